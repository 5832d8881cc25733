import pytest

from ssl_behavior.clusters.distinctive import Difference
from ssl_behavior.clusters.frame_measures import SEEN
from ssl_behavior.clusters.sentences import SIZE_WORDING, WORDING, Concentration, SentenceRules, Subjects, sentence
from ssl_behavior.programs import PROGRAMS
from ssl_behavior.units import Actors

NAMED = Subjects(individuals=("resident", "intruder"), anonymous=False, body_length=60.0)
ANONYMOUS = Subjects(individuals=("rat1", "rat2"), anonymous=True, body_length=60.0, nose="head")


def difference(program, of="", d=0.0, median=0.0, below=0.5, size=False, known=0.9, bouts=100, error=0.01):
    facts = PROGRAMS.get(program)
    units = facts.facts.units_in("px") if facts else "share" if program == SEEN else "px"
    return Difference(
        name=program, program=program, of=of, units=units, description="", size=size, known=1000, share_known=known,
        bouts=bouts, difference=d, error=error, median=median, below=below, usual=0.0,
    )  # fmt: skip


def said(*differences, subjects=NAMED, seconds=0.8, **more):
    return sentence(differences, subjects, seconds, **more)


def both(program, greater, lesser, **more):
    return [difference(program, "greater", **greater, **more), difference(program, "lesser", **lesser, **more)]


def test_the_example():
    text = said(
        difference("nose_tail_distance", "resident", d=-1.6, median=14.0, below=0.06),
        difference("speed", "resident", d=1.2, median=310.0, below=0.91),
        difference("speed", "intruder", d=1.3, median=280.0, below=0.93),
        difference("facing_angle", "resident", d=-0.9, median=0.3, below=0.12),
        difference("facing_angle", "intruder", d=0.1, median=2.0, below=0.52),
    )
    assert text == (
        "Resident with the nose at intruder's tail base (14 px, lowest 6 %), facing it (17°, lowest 12 %), both moving "
        "fast (310 and 280 px/s of resident and intruder, top 9 %); bouts of 0.8 s"
    )


def test_it_is_only_who_was_named_before():
    text = said(
        difference("elongation", "intruder", d=-0.9, median=168.0, below=0.2),
        difference("facing_angle", "intruder", d=0.8, median=2.95, below=0.85),
    )
    assert "Intruder with a short body (tail base to nose 168 px, lowest 20 %), facing away from resident (169°" in text


def test_a_strong_word_needs_its_number():
    near = difference("nose_tail_distance", "resident", d=-1.6, median=200.0, below=0.06)
    assert said(near).startswith("Resident with the nose closer to intruder's tail base (200 px, lowest 6 %)")
    turned = difference("facing_angle", "resident", d=-0.9, median=1.4, below=0.2)
    assert said(turned).startswith("Resident turned more towards intruder (80°, lowest 20 %)")
    # Faster towards the other than usual, and still away from it: no word of approaching.
    retreat = difference("approach_velocity", "resident", d=0.9, median=-20.0, below=0.8)
    assert said(retreat).startswith("Different in nothing that can be said in words and for sure; bouts of")
    # What is 60 px in px is 0.6 body lengths of 100 px: the bound is in bodies, whatever the unit.
    bodies = difference("body_gap", d=-1.0, median=70.0, below=0.1)
    assert said(bodies).startswith("Bodies closer together")
    large = Subjects(individuals=("a", "b"), anonymous=False, body_length=100.0)
    assert said(bodies, subjects=large).startswith("Bodies close together")


UNSURE = "Different in nothing that can be said in words and for sure"


@pytest.mark.parametrize(
    ("weak", "words"),
    [
        ({"d": 0.49}, "Usual in everything measured"),
        ({"d": 0.9, "error": 0.31}, UNSURE),
        ({"d": 0.9, "bouts": 9}, "Usual in everything measured"),
        ({"d": 0.9, "known": 0.09}, "Usual in everything measured"),
        ({"d": 0.9, "below": 0.6}, UNSURE),
        ({"d": 0.9, "error": None}, UNSURE),
    ],
)
def test_nothing_is_said_of_what_is_small_unsure_rare_or_contradicted(weak, words):
    strong = difference("body_gap", d=0.9, median=90.0, below=0.8)
    assert said(strong).startswith("Bodies further apart (gap 90 px, top 20 %)")
    values = {"median": 90.0, "below": 0.8} | weak
    usual = [difference("speed", name) for name in ("resident", "intruder")]
    assert said(difference("body_gap", **values), *usual).startswith(f"{words}; bouts of")


def test_directions_of_percentiles():
    assert "lowest 3 %)" in said(difference("body_gap", d=-2.0, median=1.0, below=0.03))
    assert "top 3 %)" in said(difference("body_gap", d=2.0, median=400.0, below=0.97))
    assert "lowest <1 %)" in said(difference("body_gap", d=-2.0, median=1.0, below=0.001))
    # Of two values the less extreme share is told.
    text = said(
        difference("speed", "resident", d=1.0, median=9.0, below=0.97),
        difference("speed", "intruder", d=1.0, median=8.0, below=0.75),
    )
    assert "top 25 %" in text


def test_anonymous_animals_are_one_both_or_one_and_the_other():
    up, down, usual = {"d": 1.0, "below": 0.9}, {"d": -1.0, "below": 0.1}, {}

    def of(greater, lesser):
        return said(*both("speed", {"median": 200.0} | greater, {"median": 100.0} | lesser), subjects=ANONYMOUS)

    assert of(up, usual).startswith("One animal moving fast (200 px/s, top 10 %)")
    assert of(up, up).startswith("Both moving fast (200 and 100 px/s, top 10 %)")
    assert of(usual, up).startswith("Both moving fast (the lesser 100 px/s, top 10 %)")
    assert of(down, usual).startswith("Both moving slowly (the greater 200 px/s, lowest 10 %)")
    assert of(usual, down).startswith("One animal moving slowly (100 px/s, lowest 10 %)")
    assert of(up, down).startswith("One animal moving fast (200 px/s, top 10 %), the other moving slowly (100 px/s")
    # Each said by what differs more, where the two are nearer to each other than usual.
    assert of({"d": -1.2, "below": 0.1}, up).startswith("Both moving slowly")
    assert of(down, {"d": 1.2, "below": 0.9}).startswith("Both moving fast")


def test_one_animal_is_named_anew_for_every_program():
    text = said(
        *both("speed", {"d": 1.0, "below": 0.9, "median": 200.0}, {"median": 50.0}),
        *both("facing_angle", {"median": 2.0}, {"d": -0.9, "below": 0.1, "median": 0.2}),
        subjects=ANONYMOUS,
    )
    assert text.startswith(
        "One animal moving fast (200 px/s, top 10 %), one animal facing the other (11°, lowest 10 %)"
    )
    assert "rat" not in text


def test_each_theme_once_and_no_more_than_four():
    text = said(
        difference("body_gap", d=-1.0, median=10.0, below=0.1),
        difference("nose_nose_distance", d=-1.5, median=20.0, below=0.1),
        difference("relative_orientation", d=-0.9, median=0.1, below=0.1),
        difference("elongation", "resident", d=0.8, median=99.0, below=0.9),
        difference("wall_distance", "resident", d=-0.7, median=9.0, below=0.1),
        difference("turning", "resident", d=0.6, median=3.0, below=0.9, size=True),
    )
    assert "Noses close together" in text and "gap" not in text and "turning" not in text
    assert text.count("(") == 4


def test_what_is_known_at_few_frames_comes_last_and_is_told():
    rare = difference("body_gap", d=-2.0, median=10.0, below=0.1, known=0.13)
    text = said(difference("speed", "resident", d=0.8, median=99.0, below=0.9), rare)
    assert text.startswith("Resident moving fast (99 px/s, top 10 %), bodies against each other (gap 10 px, lowest")
    assert "lowest 10 %, known at 13 % of its frames)" in text
    text = said(rare, difference("elongation", "resident", d=0.8, median=99.0, below=0.9, known=0.17))
    assert text.endswith("bouts of 0.8 s; what is said of the animals is known at 13 to 17 % of its frames only")


def test_tracking_is_a_caution_after_the_bouts():
    lost = difference(SEEN, d=-2.0, median=0.4, below=0.08, known=1.0)
    usual = difference("speed", "resident")
    told = "; bouts of 0.8 s; poorly tracked (points seen 40 %, lowest 8 %)"
    assert said(lost, usual) == f"Usual in everything else measured{told}"
    unknown = difference("speed", "resident", d=2.0, below=0.9, known=0.01)
    assert said(lost, unknown) == f"Too little is known to say what it is{told}"
    assert said(lost) == f"Nothing but tracking is measured{told}"
    assert "tracked" not in said(difference(SEEN, d=2.0, median=1.0, below=0.9, known=1.0), usual)


def test_a_cluster_of_one_recording_is_said_to_be():
    usual = difference("speed", "resident")
    here = Concentration(recording="<b>07", share=0.92)
    assert said(usual, concentration=here).endswith("; 92 % of it in recording <b>07")
    assert "recording" not in said(usual, concentration=Concentration(recording="07", share=0.3))


def test_programs_of_ones_own_are_called_by_their_names():
    assert said(difference("tail_to_tail", d=1.0, median=9.5, below=0.9)).startswith(
        "High tail_to_tail (9.5 px, top 10 %)"
    )
    own = difference("hurry", "resident", d=-1.0, median=12.0, below=0.1)
    assert said(own).startswith("Resident with a low hurry (12 px, lowest 10 %)")


def test_every_built_in_program_has_words():
    assert set(WORDING) == {*PROGRAMS, SEEN} and set(SIZE_WORDING) <= set(PROGRAMS)


def test_rules_can_be_other_ones():
    weak = difference("body_gap", d=0.3, median=90.0, below=0.8)
    assert said(weak).startswith("Usual")
    assert said(weak, rules=SentenceRules(least_difference=0.2)).startswith("Bodies further apart")


THREE = Subjects(individuals=("m1", "m2", "m3"), anonymous=False, body_length=60.0)
GROUP = Subjects(individuals=("m1", "m2", "m3"), anonymous=True, body_length=60.0)
AN_ANIMAL = Subjects(individuals=("m1", "m2", "m3"), anonymous=True, body_length=60.0, unit="animal")
A_PAIR = Subjects(individuals=("m1", "m2", "m3"), anonymous=True, body_length=60.0, unit="pair")
AT_TAIL = {"d": -1.6, "median": 14.0, "below": 0.06}
FAST = {"d": 1.2, "median": 310.0, "below": 0.91}
USUAL = {"median": 100.0}
CLOSE = {"d": -1.5, "median": 12.0, "below": 0.05}


def test_one_animal_is_called_by_its_name():
    alone = Subjects(individuals=("m1",), anonymous=False, body_length=60.0)
    text = said(difference("speed", "m1", **FAST), difference("turning", "m1", size=True, d=0.9, median=3.0, below=0.9),
                subjects=alone)  # fmt: skip
    assert text == "M1 moving fast (310 px/s, top 9 %), turning fast (172°/s, top 10 %); bouts of 0.8 s"
    an_animal = Subjects(individuals=("m1",), anonymous=False, body_length=60.0, unit="animal")
    assert said(difference("speed", "the animal", **FAST), subjects=an_animal).startswith("The animal moving fast (310")


def test_named_animals_of_a_group_are_seen_toward_their_nearest():
    text = said(
        difference("nose_tail_distance", "m2", **AT_TAIL),
        difference("facing_angle", "m2", d=-1.0, median=0.3, below=0.1),
        difference("speed", "m3", **FAST),
        difference("relative_orientation", "m2 and its nearest", d=-0.9, median=0.2, below=0.1),
        subjects=THREE,
    )
    assert text.startswith(
        "M2 with the nose at the nearest animal's tail base (14 px, lowest 6 %), facing it (17°, lowest 10 %), m3 "
        "moving fast (310 px/s, top 9 %), headings alike (m2 and its nearest: angle 11°, lowest 10 %)"
    )


def test_what_holds_for_all_named_animals_is_said_once():
    fast = [difference("speed", name, **FAST | {"median": 300.0 + n}) for n, name in enumerate(("m1", "m2", "m3"))]
    assert said(*fast, subjects=THREE).startswith("All moving fast (300, 301 and 302 px/s of m1, m2 and m3, top 9 %)")
    assert said(*fast[:2], difference("speed", "m3"), subjects=THREE).startswith(
        "M1 moving fast (300 px/s, top 9 %), m2 moving fast"
    )


def test_named_animals_toward_each_other_one():
    each = Subjects(individuals=("m1", "m2", "m3"), anonymous=False, body_length=60.0, toward_each=True)
    text = said(
        difference("nose_tail_distance", "m2 → m3", **AT_TAIL),
        difference("facing_angle", "m2 → m3", d=-1.0, median=0.3, below=0.1),
        difference("approach_velocity", "m2 → m1", d=0.8, median=80.0, below=0.9),
        difference("relative_orientation", "m1 and m3", d=-0.7, median=0.2, below=0.1),
        subjects=each,
    )
    assert text.startswith(
        "M2 with the nose at m3's tail base (14 px, lowest 6 %), facing it (17°, lowest 10 %), moving towards m1 (80 "
        "px/s, top 10 %), headings alike (m1 and m3: angle 11°, lowest 10 %)"
    )


def in_group(program, greatest, least, of=("greatest", "least"), subjects=GROUP):
    return said(
        difference(program, of[0], **greatest), difference(program, of[1], **least), subjects=subjects
    ).partition(";")[0]


def test_exchangeable_animals_of_a_group_are_one_another_or_all():
    up, down = FAST, {"d": -1.2, "median": 5.0, "below": 0.1}
    assert in_group("speed", up, USUAL) == "One of the animals moving fast (310 px/s, top 9 %)"
    assert in_group("speed", up, up) == "All moving fast (the least 310 px/s, top 9 %)"
    assert in_group("speed", USUAL, up) == "All moving fast (the least 310 px/s, top 9 %)"
    assert in_group("speed", down, down) == "All hardly moving (the greatest 5.0 px/s, lowest 10 %)"
    assert in_group("speed", USUAL, down) == "One of the animals hardly moving (5.0 px/s, lowest 10 %)"
    assert in_group("speed", up, down) == (
        "One of the animals moving fast (310 px/s, top 9 %), another hardly moving (5.0 px/s, lowest 10 %)"
    )
    assert in_group("nose_tail_distance", USUAL, AT_TAIL) == (
        "One of the animals with the nose at the nearest animal's tail base (14 px, lowest 6 %)"
    )
    each = Subjects(individuals=("m1", "m2", "m3"), anonymous=True, body_length=60.0, toward_each=True)
    assert "at another's tail base" in in_group("nose_tail_distance", USUAL, AT_TAIL, subjects=each)


def test_pairs_of_a_group_of_exchangeable_animals():
    of, far = ("greatest of pairs", "least of pairs"), {"d": 1.5, "median": 400.0, "below": 0.9}
    each = Subjects(individuals=("m1", "m2", "m3"), anonymous=True, body_length=60.0, toward_each=True)
    assert in_group("nose_nose_distance", USUAL, CLOSE, of) == (
        "Noses close together (one of the animals and its nearest: 12 px, lowest 5 %)"
    )
    assert in_group("nose_nose_distance", far, far, of) == (
        "Noses far apart (all animals and their nearest: 400 px, top 10 %)"
    )
    assert in_group("nose_nose_distance", USUAL, CLOSE, of, each).startswith("Noses close together (one of the pairs: ")
    assert "(all pairs: " in in_group("nose_nose_distance", far, far, of, each)


def test_clusters_of_animals_speak_of_the_animal():
    measured = (
        difference("facing_angle", "the animal", d=-1.0, median=0.3, below=0.1),
        difference("speed", "the animal", **FAST),
        difference("nose_nose_distance", "the animal and its nearest", **CLOSE),
    )
    assert said(*measured, subjects=AN_ANIMAL).startswith(
        "Noses close together (the animal and its nearest: 12 px, lowest 5 %), the animal moving fast (310 px/s, top "
        "9 %), facing the nearest animal (17°, lowest 10 %)"
    )
    of_one = Subjects(
        individuals=("m1", "m2"), anonymous=False, body_length=60.0, unit="animal", actors=Actors(agent="m2")
    )
    assert "M2 moving fast (310 px/s, top 9 %), facing m1 (17°" in said(*measured[:2], subjects=of_one)
    assert "facing the other (17°" in said(
        measured[0], subjects=Subjects(individuals=("m1", "m2"), anonymous=False, body_length=60.0, unit="animal")
    )


def test_clusters_of_pairs_speak_of_agent_and_target():
    measured = (
        difference("nose_tail_distance", "the agent", **AT_TAIL),
        difference("facing_angle", "the agent", d=-0.9, median=0.3, below=0.12),
        difference("speed", "the agent", **FAST),
        difference("speed", "the target", **FAST | {"median": 280.0}),
        difference("following", "the target", d=-0.8, median=-0.3, below=0.1),
    )
    assert said(*measured, subjects=A_PAIR) == (
        "The agent with the nose at the target's tail base (14 px, lowest 6 %), facing it (17°, lowest 12 %), both "
        "moving fast (310 and 280 px/s of the agent and the target, top 9 %), the target leading the agent on its path "
        "(following score 0.30, lowest 10 %); bouts of 0.8 s"
    )
    named = Subjects(
        individuals=("m1", "m2", "m3"), anonymous=True, body_length=60.0, unit="pair",
        actors=Actors(agent="m2", target="m1"),
    )  # fmt: skip
    assert said(*measured, subjects=named).startswith(
        "M2 with the nose at m1's tail base (14 px, lowest 6 %), facing it (17°, lowest 12 %), both moving fast (310 "
        "and 280 px/s of m2 and m1, top 9 %), m1 leading m2"
    )
    own = difference("hurry", "the target", d=-1.0, median=12.0, below=0.1)
    assert said(own, subjects=A_PAIR).startswith("The target with a low hurry (12 px, lowest 10 %)")
