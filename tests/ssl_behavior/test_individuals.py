from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.individuals import IndividualsByName
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS, Skeleton, are_anonymous, check_two_individuals

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
def test_other_numbers_of_animals_are_said_and_refused_by_jobs(number):
    individuals = IndividualsByName({})
    names = ["a", "bb", "ccc"][:number]
    skeleton = individuals.matched(recording("x", names)).skeleton
    assert "need two" in next(individuals.sentences())
    with pytest.raises(InputError, match="need two animals"):
        check_two_individuals(skeleton, "features")


def test_option_decides_whether_animals_are_exchangeable():
    for exchangeable in (True, False):
        for skeleton in (MICE, SKELETONS["calms21"]):
            individuals = IndividualsByName({}, exchangeable)
            assert individuals.matched(recording("a", ["m1", "m2"], skeleton)).skeleton.exchangeable == exchangeable
