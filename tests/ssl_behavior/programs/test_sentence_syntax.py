"""Sentences: what belongs together, numbers with units, and errors that say where."""

import math

import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.programs import PROGRAMS
from ssl_behavior.programs.sentence_syntax import All, Comparison, Either, Lasting, Not, Quantity, comparisons, parse
from ssl_behavior.programs.sentence_units import converter

NAMES = ("speed", "speed.m1", "speed.m10", "speed.mouse 2", "following", "between_us", "Rank.a", "rank.a")


def shown(node):
    """A tree as text with all parentheses."""
    if isinstance(node, Comparison):
        return f"{node.name}{node.operator}{','.join(f'{one.value:g}{one.unit}' for one in node.numbers)}"
    if isinstance(node, Not):
        return f"-{shown(node.part)}"
    if isinstance(node, Lasting):
        return f"[{shown(node.part)}]{node.seconds:g}"
    assert isinstance(node, All | Either)
    return "(" + ("&" if isinstance(node, All) else "|").join(map(shown, node.parts)) + ")"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("following > .7 and speed.m1 > 20 cm/s", "(following>0.7&speed.m1>20cm/s)"),
        ("speed>1 or speed<2 and following>=3", "(speed>1|(speed<2&following>=3))"),
        ("(speed>1 or speed<2) and following<=3", "((speed>1|speed<2)&following<=3)"),
        ("not speed > 1 and following > 2", "(-speed>1&following>2)"),
        ("not (speed > 1 and following > 2)", "-(speed>1&following>2)"),
        ("not not speed > 1", "--speed>1"),
        ("speed between 1 and 2 cm/s and following > 3", "(speedbetween1cm/s,2cm/s&following>3)"),
        ("speed between 1 cm/s and 2", "speedbetween1cm/s,2cm/s"),
        ("speed is between 1 mm/s and 2 cm/s", "speedbetween1mm/s,2cm/s"),
        (
            "speed > 1e3 or speed < -.5E-1 OR speed ≥ 5. AND speed => −2",
            "(speed>1000|speed<-0.05|(speed>=5&speed>=-2))",
        ),
        ("Speed > 1.", "speed>1"),
        ("speed > 20.5.", "speed>20.5"),
        ("  speed\n>\t2deg / s ", "speed>2deg/s"),
        ("speed > 3 m/s^2 or speed > 4m²", "(speed>3m/s^2|speed>4m²)"),
        ("speed.m1 > 1 and speed.m10 > 2 and speed.mouse 2 > 3", "(speed.m1>1&speed.m10>2&speed.mouse 2>3)"),
        ('"speed.mouse 2" < 1 and between_us < 50 %', "(speed.mouse 2<1&between_us<50%)"),
        ("Rank.a > 1 or rank.a > 2", "(Rank.a>1|rank.a>2)"),
        # A last duration is of the whole, one before it of its condition.
        ("speed > 1 for .5 s", "[speed>1]0.5"),
        ("speed > 1 and following > 2 for at least 500 ms", "[(speed>1&following>2)]0.5"),
        ("speed > 1 for 2 s and following > 2", "([speed>1]2&following>2)"),
        ("speed > 1 for 2 s and following > 2 for 1 min", "([speed>1]2&[following>2]60)"),
        ("speed > 1 and (following > 2 for 1 s)", "(speed>1&[following>2]1)"),
        ("(speed > 1 or following > 2 for 1 s) and speed < 3", "([(speed>1|following>2)]1&speed<3)"),
        ("(speed > 1 or following > 2) for 1 seconds and speed < 3", "([(speed>1|following>2)]1&speed<3)"),
        ("((speed > 1) or (following > 2)) for 1 s", "[(speed>1|following>2)]1"),
        ("not speed > 1 for 1 s.", "[-speed>1]1"),
    ],
)
def test_what_belongs_together(text, tree):
    assert shown(parse(text, NAMES)) == tree


def test_places_are_those_of_the_text():
    first, second = comparisons(parse(" speed > 1 and following between 2 and 30 s", NAMES))
    assert first == Comparison("speed", ">", (Quantity(1.0, "", 9),), 1)
    assert (second.place, [one.place for one in second.numbers]) == (15, [33, 39])


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("speeed > 1", 1, "no 'speeed'; did you mean 'speed'"),
        ("speed > 1 and quiet > 2", 15, "no 'quiet'; ADVICE"),
        ("speed > 1 and", 14, 'expected the name of a program, such as "speed", got the end'),
        ("speed > 1 following > 2", 11, """expected "and", "or", "for" or the end, got 'following'"""),
        ("speed 20", 7, "expected >, <, >=, <= or \"between A and B\" after 'speed', got '20'"),
        ("speed == 20", 7, "expected >, <"),
        ("speed > fast", 9, "expected a number, got 'fast'"),
        ("speed > 0,5", 10, "comma"),
        ("speed > 1e999", 9, "too large"),
        ("speed between 1 or 2", 17, 'expected "and" and the second number'),
        ("(speed > 1 and following > 2", 29, '")" of the "(" at character 1, got the end'),
        ("speed > 1)", 10, "got ')'"),
        ("speed > 1 for 5", 16, 'a unit of time after "for"'),
        ("speed > 1 for at 5 s", 18, 'expected "least" after "for at", got \'5\''),
        ("speed > 1 for 5 cm", 17, "got 'cm'"),
        ("speed > 1 for -1 s", 15, "negative"),
        ("and", 1, "expected the name"),
        ("RANK.A > 1", 1, "'Rank.a', 'rank.a'"),
        ('"speed > 1', 8, 'closing "'),
        ("()", 2, "got ')'"),
        ("__import__('os')", 1, "no '__import__'"),
    ],
)
def test_errors_say_where(text, place, words):
    with pytest.raises(InputError) as raised:
        parse(text, NAMES, advice="ADVICE")
    assert f"`sentence` {text!r}, at character {place}: " in str(raised.value)
    assert words in str(raised.value)


@pytest.mark.parametrize("text", ["", " \n", "x" * 2001, "(" * 400 + "speed > 1" + ")" * 400, "not " * 400 + "speed>1"])
def test_texts_that_are_no_sentences(text):
    with pytest.raises(InputError, match="`sentence`"):
        parse(text, NAMES)


@pytest.mark.parametrize(
    ("program", "number", "unit", "in_px", "in_cm"),
    [
        ("speed", 20.0, "", 20.0, 20.0),
        ("speed", 20.0, "cm/s", 160.0, 20.0),
        ("speed", 200.0, "mm/s", 160.0, 20.0),
        ("speed", 1.2, "m/min", 16.0, 2.0),
        ("speed", 16.0, "px/s", 16.0, 2.0),
        ("acceleration", 2.0, "cm/s^2", 16.0, 2.0),
        ("acceleration", 2.0, "cm/s²", 16.0, 2.0),
        ("body_gap", 16.0, "px", 16.0, 2.0),
        ("facing_angle", 30.0, "deg", math.pi / 6, math.pi / 6),
        ("facing_angle", 30.0, "°", math.pi / 6, math.pi / 6),
        ("turning", 180.0, "degrees/s", math.pi, math.pi),
        ("body_overlap", 50.0, "%", 0.5, 0.5),
        ("time_since_contact", 500.0, "ms", 0.5, 0.5),
    ],
)
def test_units_are_converted(program, number, unit, in_px, in_cm):
    given = converter(Quantity(number, unit, 0), PROGRAMS[program].facts)
    assert given.value_in("px", 8.0) == pytest.approx(in_px)
    assert given.value_in("cm", 8.0) == pytest.approx(in_cm)
    assert given.needs_scale("px") == ("m/" in unit or unit in ("mm", "cm", "m"))


@pytest.mark.parametrize(
    ("program", "unit", "advice"),
    [
        ("speed", "cm", "cm/s or px/s"),
        ("speed", "deg", "cm/s or px/s"),
        ("speed", "furlong/s", "cm/s or px/s"),
        ("speed", "cm/s^2", "cm/s or px/s"),
        ("speed", "length/px", "cm/s or px/s"),
        ("facing_angle", "cm", "deg or rad"),
        ("turning", "deg", "deg/s or rad/s"),
        ("following", "s", "without unit"),
        ("time_since_contact", "cm", "a number in s"),
    ],
)
def test_units_of_something_else_are_refused(program, unit, advice):
    with pytest.raises(InputError, match=advice):
        converter(Quantity(1.0, unit, 0), PROGRAMS[program].facts)
