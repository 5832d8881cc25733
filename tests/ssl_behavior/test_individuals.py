from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.individuals import IndividualsByName
from ssl_behavior.recording import PairLabels, Recording
from ssl_behavior.skeleton import SKELETONS, Skeleton, are_anonymous

MICE = Skeleton(name="mice", keypoints=("nose", "neck", "tail"), roles={"nose": "nose", "tail_base": "tail"})


def recording(id, names, skeleton=MICE, confidence=True):
    """Every coordinate of an animal is the number in ORDER of its name."""
    place = np.array([float(len(name)) for name in names], np.float32)
    keypoints = np.broadcast_to(place[:, None, None], (5, len(names), skeleton.num_keypoints, 2)).copy()
    keypoints += np.arange(skeleton.num_keypoints, dtype=np.float32)[:, None] / 10
    return Recording(
        id=id, keypoints=keypoints, fps=30.0, skeleton=skeleton, individuals=tuple(names),
        confidence=keypoints[..., 0] / 100 if confidence else None,
    )  # fmt: skip


def test_individuals_are_ordered_by_name():
    individuals = IndividualsByName({})
    first = individuals.matched(recording("a", ["resident", "intru"]))
    other = individuals.matched(recording("b", ["intru", "resident"]))
    assert first.individuals == other.individuals == ("resident", "intru")
    np.testing.assert_array_equal(first.keypoints, other.keypoints)
    np.testing.assert_array_equal(first.confidence, other.confidence)
    assert other.skeleton.individuals == ("resident", "intru") and not other.skeleton.exchangeable


def test_other_names_are_refused_unless_anonymous():
    individuals = IndividualsByName({})
    individuals.matched(recording("a", ["resident", "intruder"]))
    with pytest.raises(InputError, match="`individuals=resident=m1 intruder=m2`"):
        individuals.matched(recording("b", ["m1", "m2"]))
    anonymous = IndividualsByName({})
    assert anonymous.matched(recording("a", ["ind1", "ind2"])).skeleton.exchangeable
    assert anonymous.matched(recording("b", ["track_0", "track_1"])).individuals == ("ind1", "ind2")
    assert any("matched by position" in sentence for sentence in anonymous.sentences())


def test_chosen_individuals_are_renamed_and_the_others_left_out():
    individuals = IndividualsByName({"resident": "m22", "intruder": "m1"})
    found = individuals.matched(recording("a", ["m1", "m22", "m333"]))
    assert found.individuals == ("resident", "intruder") and found.keypoints[0, :, 0, 0].tolist() == [3.0, 2.0]
    assert "m333" in found.notes[0]
    # A file that has the new names already is taken as it is.
    again = individuals.matched(recording("b", ["intruder", "resident"]))
    assert again.keypoints[0, :, 0, 0].tolist() == [8.0, 8.0] and again.individuals == ("resident", "intruder")
    with pytest.raises(InputError, match="m22"):
        individuals.matched(recording("c", ["m1", "m4"]))


def test_given_skeleton_chooses_its_individuals():
    skeleton = replace(MICE, individuals=("bb", "a"))
    individuals = IndividualsByName({}, skeleton=skeleton)
    found = individuals.matched(recording("x", ["a", "bb", "ccc"], skeleton))
    assert found.individuals == ("bb", "a") and found.keypoints[0, :, 0, 0].tolist() == [2.0, 1.0]
    with pytest.raises(InputError, match="assign the animals"):
        IndividualsByName({}, skeleton=skeleton).matched(recording("x", ["d", "e"], skeleton))


def test_keypoints_are_matched_by_name():
    individuals = IndividualsByName({})
    individuals.matched(recording("a", ["x", "y"]))
    mixed = Skeleton(name="mixed", keypoints=("Tail", "ear", "NOSE"))
    found = individuals.matched(recording("b", ["x", "y"], mixed))
    assert found.skeleton.keypoints == MICE.keypoints
    np.testing.assert_allclose(found.keypoints[0, 0, [0, 2], 0], [1.2, 1.0])
    assert np.isnan(found.keypoints[:, :, 1]).all() and np.isnan(found.confidence[:, :, 1]).all()
    assert any("neck" in note for note in found.notes) and any("ear" in note for note in found.notes)
    with pytest.raises(InputError, match="one store has one skeleton"):
        individuals.matched(recording("c", ["x", "y"], Skeleton(name="far", keypoints=("p", "q"))))


@pytest.mark.parametrize(
    ("names", "anonymous"),
    [(("mouse1", "mouse2"), True), (("track_0", "track_1"), True), (("m1", "rat2"), False), (("black", "white"), False),
     (("animal0",), True)],
)  # fmt: skip
def test_anonymous_names_are_numbers_of_a_tracker(names, anonymous):
    assert are_anonymous(names) == anonymous


@pytest.mark.parametrize("number", [1, 3])
def test_no_import_says_that_two_animals_are_needed(number):
    individuals = IndividualsByName({})
    names = ["a", "bb", "ccc"][:number]
    individuals.matched(recording("x", names))
    said = list(individuals.sentences())
    assert not any("need two" in one for one in said)
    assert sum("are taken as identified" in one for one in said) == (number > 1)


def test_an_animal_that_a_recording_lacks_is_missing_there():
    individuals = IndividualsByName({})
    individuals.matched(recording("a", ["resident", "intru"]))
    own = individuals.matched(recording("b", ["intru"]))
    assert own.individuals == ("intru",) and own.skeleton.individuals == ("resident", "intru")
    whole = individuals.completed(own)
    assert whole.individuals == ("resident", "intru") and whole.absent == ("resident",)
    np.testing.assert_array_equal(whole.keypoints[:, 1], own.keypoints[:, 0])
    np.testing.assert_array_equal(whole.confidence[:, 1], own.confidence[:, 0])
    assert np.isnan(whole.confidence[:, 0]).all()


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_animals_are_the_same_in_every_order_of_recordings(order):
    named = [["m1"], ["m3", "m1", "m2"], ["m2", "m1"], ["m1", "m4", "m3", "m2"]]
    individuals = IndividualsByName({})
    found = [individuals.matched(recording(str(pick), named[pick])) for pick in order]
    assert set(individuals.skeleton.individuals) == {"m1", "m2", "m3", "m4"} and individuals.skeleton.exchangeable
    for pick, one in zip(order, found, strict=True):
        whole = individuals.completed(one)
        assert whole.individuals == individuals.skeleton.individuals and set(one.individuals) == set(named[pick])
        assert set(whole.absent) == {"m1", "m2", "m3", "m4"} - set(named[pick])


def test_names_that_overlap_are_refused_with_what_to_do():
    individuals = IndividualsByName({})
    individuals.matched(recording("a", ["m1", "m2", "m3"]))
    with pytest.raises(
        InputError, match=r"neither list contains the other.*name all of them .`individuals=m1 m2 m3 m4`"
    ):
        individuals.matched(recording("b", ["m1", "m4"]))
    with pytest.raises(InputError, match="for example `individuals=m1=animal0 m2 m3`, or"):
        individuals.matched(recording("b", ["animal0"]))
    paired = IndividualsByName({"m1": "animal0", "m2": "m2", "m3": "m3"})
    for names, expected in ((["m3", "m1", "m2"], ("m1", "m2", "m3")), (["animal0"], ("m1",))):
        assert paired.matched(recording("x", names)).individuals == expected
    named = IndividualsByName({name: name for name in ("m1", "m2", "m3", "m4")})
    for names in (["m1", "m2", "m3"], ["m1", "m4"]):
        assert named.matched(recording("x", names)).individuals == tuple(names)
    named.check_found()
    told_apart = IndividualsByName({})
    told_apart.matched(recording("a", ["black", "white"]))
    with pytest.raises(InputError, match=r"1 animal .red.*the recordings before have 2 animals .black, white"):
        told_apart.matched(recording("b", ["red"]))


def test_as_many_animals_as_before_are_matched_by_position_and_again_after_more_came():
    individuals = IndividualsByName({})
    individuals.matched(recording("a", ["m1", "m2"]))
    assert individuals.matched(recording("b", ["m2", "m3"])).individuals == ("m1", "m2")
    individuals.matched(recording("c", ["m1", "m2", "m5"]))
    assert individuals.matched(recording("d", ["m2", "m3"])).individuals == ("m1", "m2")
    (said,) = [one for one in individuals.sentences() if "by position" in one]
    assert said.endswith("exchangeable; `individuals=m1 m2 m3` matches them by name")
    with pytest.raises(InputError, match=r"tell the animals apart, but those of b .m2, m3. were matched by position"):
        individuals.matched(recording("e", ["m1", "m2", "m5", "black"]))


def test_a_chosen_animal_may_be_absent_but_not_everywhere():
    individuals = IndividualsByName({"resident": "m1", "intruder": "m2", "third": "m3"})
    assert individuals.matched(recording("a", ["m2", "m1"])).individuals == ("resident", "intruder")
    assert individuals.matched(recording("b", ["intruder"])).individuals == ("intruder",)
    assert individuals.skeleton.individuals == ("resident", "intruder", "third")
    with pytest.raises(InputError, match="names m3, which no recording has; of those named, they have m1, m2"):
        individuals.check_found()
    with pytest.raises(InputError, match="names m2, m3, which is not among them, and leaves out m4: name m4, too"):
        individuals.matched(recording("c", ["m1", "m4"]))


def test_a_skeleton_that_names_more_animals_than_a_recording_keeps_their_order():
    skeleton = replace(MICE, individuals=("a", "bb", "ccc"))
    individuals = IndividualsByName({}, skeleton=skeleton)
    assert individuals.matched(recording("x", ["ccc", "a"], skeleton)).individuals == ("a", "ccc")
    assert individuals.skeleton.individuals == ("a", "bb", "ccc")
    # One that names none chooses none, whatever the default names are.
    default = IndividualsByName({}, skeleton=MICE)
    assert len(default.matched(recording("x", [f"animal{n}" for n in range(5)])).individuals) == 5
    named = Skeleton.from_dict({"name": "s", "keypoints": list(MICE.keypoints), "individuals": ["animal0", "animal1"]})
    two = IndividualsByName({}, skeleton=named)
    assert two.matched(recording("x", [f"animal{n}" for n in range(5)], named)).individuals == ("animal0", "animal1")
    assert two.matched(recording("x", ["animal0"], named)).individuals == ("animal0",)


def test_pieces_of_tracks_are_said_and_fill_no_page():
    names = [f"track{n}" for n in range(230)]
    individuals = IndividualsByName({})
    individuals.matched(recording("a", names))
    (said,) = [one for one in individuals.sentences() if one.startswith("number of animals: 230 (track0, track1")]
    assert "52,670 ordered pairs; if these are pieces of tracks" in said
    with pytest.raises(InputError, match="name the animals to import with `individuals`") as error:
        individuals.matched(recording("b", ["mouse1", "mouse2"]))
    assert len(str(error.value)) < 500
    assert not any(one.startswith("number") for one in IndividualsByName({}).sentences())


def test_an_animal_named_twice_is_refused():
    with pytest.raises(InputError, match="recording 'x' names the animal a twice, among a, b, a"):
        IndividualsByName({}).matched(recording("x", ["a", "b", "a"]))


def test_an_animal_whose_body_parts_the_first_recording_lacks_is_not_lost():
    prey = Skeleton(name="prey", keypoints=(*MICE.keypoints, "front", "rear"))
    both = recording("b", ["mouse", "cricket"], prey)
    both.keypoints[:, 1, :3] = both.keypoints[:, 0, 3:] = np.nan
    individuals = IndividualsByName({})
    individuals.matched(recording("a", ["mouse"]))
    with pytest.raises(
        InputError, match=r"cricket are unknown to the first recording .front, rear.*import this file fir"
    ):
        individuals.matched(both)
    other_order = IndividualsByName({})
    assert other_order.matched(both).individuals == ("mouse", "cricket")
    assert other_order.completed(other_order.matched(recording("a", ["mouse"]))).absent == ("cricket",)


def test_labels_of_pairs_keep_their_animals():
    bouts = np.array([[0, 1, 0, 0, 2], [2, 0, 1, 1, 3], [2, 2, 0, 3, 5]])
    labels = PairLabels(vocabulary=("sniff", "chase"), bouts=bouts)
    individuals = IndividualsByName({"ccc": "ccc", "a": "a"})
    found = individuals.matched(replace(recording("x", ["a", "bb", "ccc"]), pair_labels={"S": labels}))
    assert found.pair_labels["S"].bouts.tolist() == [[0, 0, 0, 3, 5], [0, 1, 1, 1, 3]]
    looked_for = np.zeros((1, 1, 2), dtype=bool)
    looked_for[0, 0, 1] = True
    own = PairLabels(vocabulary=("sniff", "chase"), bouts=np.array([[0, 0, 1, 0, 4]]), looked_for=looked_for)
    alone = individuals.completed(individuals.matched(replace(recording("y", ["a"]), pair_labels={"S": own})))
    assert alone.pair_labels["S"].bouts.tolist() == [[1, 1, 1, 0, 4]]
    assert np.argwhere(alone.pair_labels["S"].looked_for).tolist() == [[1, 1, 1]]


def test_option_decides_whether_animals_are_exchangeable():
    for exchangeable in (True, False):
        for skeleton in (MICE, SKELETONS["calms21"]):
            individuals = IndividualsByName({}, exchangeable)
            assert individuals.matched(recording("a", ["m1", "m2"], skeleton)).skeleton.exchangeable == exchangeable
