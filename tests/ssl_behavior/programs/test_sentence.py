"""Sentences over attributes: names of scenes, animals and pairs, meanings, and margins with unknown values."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig
from ssl_behavior.programs.attribute_names import AttributeNames
from ssl_behavior.programs.sentence import read_sentence
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.units import Actors

NAN = np.nan


@pytest.fixture
def names():
    def make(number=2, unit="scene", exchangeable=False, others="nearest"):
        skeleton = replace(
            SKELETONS["calms21"], individuals=("m1", "m2", "m3")[:number], exchangeable=exchangeable and number > 1
        )
        return AttributeNames(replace(ProgramsConfig(), others=others), skeleton, unit)

    return make


@pytest.fixture
def read(names):
    def make(text, gap_seconds=0.2, least_seconds=0.2, **kind):
        return read_sentence(
            text, names(**kind), "cm", gap_seconds=float(gap_seconds), least_seconds=float(least_seconds)
        )

    return make


@pytest.mark.parametrize(
    ("kind", "text", "meaning"),
    [
        ({}, "following > .7", "following of any animal > 0.7"),
        ({}, "speed.m1 > 20", "speed of m1 > 20 cm/s"),
        ({}, "speed.m1 > 20 px/s", "speed of m1 > 20 px/s"),
        ({}, "facing_angle.m1 < 30 deg", "facing_angle of m1 toward the other < 30 deg"),
        ({}, "nose_nose_distance between 1 and 2", "nose_nose_distance of the two animals between 1 cm and 2 cm"),
        ({}, "body_overlap > 50 %", "body_overlap of the two animals > 50%"),
        ({"number": 1}, "speed > 2", "speed of any animal > 2 cm/s"),
        ({"number": 3}, "facing_angle.m1.m2 < 1", "facing_angle of m1 toward m2 < 1 rad"),
        ({"number": 3}, "facing_angle.m1 < 1", "facing_angle of m1 toward its nearest < 1 rad"),
        ({"number": 3}, "body_gap.m1 < 1", "body_gap of m1 and its nearest < 1 cm"),
        ({"number": 3}, "body_gap.m1.m2 < 1", "body_gap of m1 and m2 < 1 cm"),
        ({"number": 3}, "body_gap < 1", "body_gap of any pair of animals < 1 cm"),
        ({"exchangeable": True}, "speed.greater > 1", "the greater speed of the two animals > 1 cm/s"),
        ({"exchangeable": True}, "speed > 1", "speed of any animal > 1 cm/s"),
        ({"exchangeable": True, "number": 3}, "speed.least > 1", "the least speed in the group > 1 cm/s"),
        ({"unit": "animal"}, "speed > 1", "speed of the animal > 1 cm/s"),
        ({"unit": "animal"}, "following > 1", "following of the animal toward the other > 1"),
        ({"unit": "animal", "number": 3}, "following > 1", "following of the animal toward its nearest > 1"),
        ({"unit": "animal"}, "speed.m2 > 1", "speed of m2 > 1 cm/s"),
        ({"unit": "pair"}, "following > 1", "following of the agent toward the target > 1"),
        ({"unit": "pair"}, "following.target > 1", "following of the target toward the agent > 1"),
        ({"unit": "pair"}, "speed > 1", "speed of the agent > 1 cm/s"),
        ({"unit": "pair"}, "body_gap > 1", "body_gap of the agent and the target > 1 cm"),
        ({"unit": "pair"}, "speed.m1 > 1", "speed of m1 > 1 cm/s"),
        ({"unit": "pair"}, "following.m1.m2 > 1", "following of m1 toward m2 > 1"),
        ({"unit": "pair", "number": 1}, "speed > 1", "speed of the animal > 1 cm/s"),
    ],
)
def test_meanings_name_animals_and_units(read, kind, text, meaning):
    bouts = ", for at least 0.2 s (gaps of up to 0.2 s are bridged)"
    assert read(text, **kind).meaning == meaning + bouts


def test_the_meaning_shows_what_belongs_together_and_how_long(read):
    text = "speed.m1 > 1 for 1 s and not (speed.m2 > 2 or body_gap < 3) and body_gap > 1 for 500 ms"
    assert read(text, gap_seconds=0).meaning == (
        "(speed of m1 > 1 cm/s for at least 1 s) and not (speed of m2 > 2 cm/s or body_gap of the two animals < 3 cm) "
        "and (body_gap of the two animals > 1 cm for at least 0.5 s), for at least 0.2 s"
    )
    assert read("speed.m1 > 1 for .5 s").meaning == (
        "speed of m1 > 1 cm/s, for at least 0.5 s (gaps of up to 0.2 s are bridged)"
    )
    assert "may be fulfilled by another animal" in read("speed > 1 and following > .5").meaning
    assert "another animal" not in read("speed > 1 and following > .5", unit="pair").meaning


def test_columns_of_pairs_are_those_of_the_row(read):
    sentence = read("speed.m1 > 1 and following.m1.m2 > .5 and body_gap.m2.m3 < 2", unit="pair", number=3)
    speed, following, gap = sentence.conditions
    own = sentence.names.sets[0].names

    def columns(condition, agent, target):
        found = sentence.reference(condition).columns(Actors(agent=agent, target=target))
        return [own[column] for _, column in found]

    assert columns(speed, "m1", "m2") == ["speed.agent"] and columns(speed, "m3", "m1") == ["speed.target"]
    assert columns(speed, "m2", "m3") == []
    assert columns(following, "m1", "m2") == ["following.agent"]
    assert columns(following, "m2", "m1") == ["following.target"]
    assert columns(following, "m1", "m3") == []
    assert columns(gap, "m3", "m2") == columns(gap, "m2", "m3") == ["body_gap"]


def test_only_programs_of_the_sentence_are_computed(read):
    assert read("speed.m1 > 1 and body_gap < 2").names.sets[0].names == ("speed.m1", "speed.m2", "body_gap")


@pytest.mark.parametrize(
    ("kind", "text", "place", "words"),
    [
        ({}, "speed.m3 > 1", 1, "did you mean 'speed.m2' or 'speed.m1' or 'speed'? the programs are speed, facing"),
        ({"exchangeable": True}, "speed.m1 > 1", 1, "'speed.greater'"),
        ({"number": 1}, "following > 1", 1, "following is left out: it needs another animal"),
        ({}, "body_gap < 1 and speed > 20 deg", 26, "speed is no measure in 'deg': write a number in cm/s or px/s"),
        ({}, "speed between 3 and 2", 15, "must be less"),
        ({}, "speed between 20 px/s and 5", 15, "must be less"),
        ({}, "speed between 20 and 5 mm/s", 15, "must be less"),
        ({}, "speed between 1 cm/s and 5 mm/s", 15, "must be less"),
        ({"unit": "animal"}, "speed.agent > 1", 1, "no 'speed.agent'"),
    ],
)
def test_errors_say_where(read, kind, text, place, words):
    with pytest.raises(InputError) as raised:
        read(text, **kind)
    assert f"at character {place}: " in str(raised.value) and words in str(raised.value)


def bouts_of(sentence, fps=10.0, **columns):
    """(start, stop) of the bouts where the conditions have these values, one array for each name."""
    margins = {
        condition: sentence.margin(condition, [np.asarray(columns[condition.name.replace(".", "_")], float)], 8.0, 4.0)
        for condition in sentence.conditions
    }
    start, stop, _ = sentence.bouts(margins, fps)
    return list(zip(start.tolist(), stop.tolist(), strict=True))


def test_unknown_values_are_not_fulfilled_unless_other_conditions_decide(read):
    speed, gap = [1, 1, 1, NAN, NAN, NAN, 3, 3, 3], [1, NAN, 3, 1, NAN, 3, 1, NAN, 3]
    quick = {"gap_seconds": 0, "least_seconds": 0}

    def fulfilled(text):
        return [start for start, stop in bouts_of(read(text, **quick), speed_m1=speed, body_gap=gap)
                for start in range(start, stop)]  # fmt: skip

    assert fulfilled("speed.m1 > 2 and body_gap > 2") == [8]
    assert fulfilled("speed.m1 > 2 or body_gap > 2") == [2, 5, 6, 7, 8]
    assert fulfilled("not (speed.m1 > 2 and body_gap > 2)") == [0, 1, 2, 3, 6]
    assert fulfilled("not (speed.m1 > 2 or body_gap > 2)") == [0]
    assert fulfilled("not speed.m1 > 2 and body_gap > 0") == [0, 2]


@pytest.mark.parametrize(
    ("text", "frames"),
    [("speed.m1 > 2", [3]), ("speed.m1 >= 2", [2, 3]), ("speed.m1 < 2", [0, 1]), ("speed.m1 <= 2", [0, 1, 2]),
     ("speed.m1 between 1 and 2", [1, 2]), ("not speed.m1 > 2", [0, 1, 2]), ("speed.m1 > 16 px/s", [3])],
)  # fmt: skip
def test_limits_belong_to_the_condition_or_not(read, text, frames):
    sentence = read(text, gap_seconds=0, least_seconds=0)
    found = bouts_of(sentence, speed_m1=[0, 1, 2, 3, np.inf, NAN])
    assert [frame for start, stop in found for frame in range(start, stop)] == frames


def test_gaps_are_bridged_before_short_bouts_are_dropped(read):
    fast = np.array([0, 9, 9, 0, 0, 9, 9, 0, 0, 0, 9, 9, 0, 0, 0, 9, 9, 9, 9, NAN, 9])
    assert bouts_of(read("speed.m1 > 1 for .5 s"), speed_m1=fast) == [(1, 7), (15, 21)]
    assert bouts_of(read("speed.m1 > 1", least_seconds=0.2), speed_m1=fast) == [(1, 7), (10, 12), (15, 21)]
    assert bouts_of(read("speed.m1 > 1 for .3 s", gap_seconds=0), speed_m1=fast) == [(15, 19)]
    assert bouts_of(read("speed.m1 > 1 for .4 s"), fps=20.0, speed_m1=fast) == [(1, 21)]


def test_a_duration_within_is_of_its_condition(read):
    speed, gap = [9, 9, 9, 9, 0, 0, 9, 9, 0, 0], [0, 0, 5, 5, 5, 5, 5, 5, 5, 5]
    quick = {"gap_seconds": 0, "least_seconds": 0}
    assert bouts_of(read("speed.m1 > 1 for .4 s and body_gap > 1", **quick), speed_m1=speed, body_gap=gap) == [(2, 4)]
    assert bouts_of(read("not (speed.m1 > 1 for .4 s) and body_gap > 1", **quick), speed_m1=speed, body_gap=gap) == [
        (4, 10)
    ]


def test_margins_are_in_body_lengths_and_of_the_tightest_condition(read):
    sentence = read("speed.m1 > 2 and facing_angle.m1 < 1", gap_seconds=0.2)
    speed, angle = sentence.conditions
    values = {speed: np.array([0.0, 6.0, 6.0, 0.0, 4.0, 0.0, 0.0, 0.0]), angle: np.array([0.0, 0.0, 0.6] + [0.0] * 5)}
    margins = {one: sentence.margin(one, [values[one]], None, 4.0) for one in sentence.conditions}
    start, stop, margin = sentence.bouts(margins, 10.0)
    assert (start.tolist(), stop.tolist()) == ([1], [5])
    np.testing.assert_allclose(margin, [(1.0 + 0.4 + 0.0 + 0.5) / 4], rtol=1e-6)


def test_any_of_several_values_fulfills(read):
    sentence = read("speed > 2", gap_seconds=0, least_seconds=0)
    (speed,) = sentence.conditions
    values = [np.array([3, 1, NAN, NAN, 1]), np.array([1, 3, 3, 1, 1])]
    start, stop, _ = sentence.bouts({speed: sentence.margin(speed, values, None, 1.0)}, 10.0)
    assert (start.tolist(), stop.tolist()) == ([0], [3])
