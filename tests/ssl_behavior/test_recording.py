import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.recording import Labels, Recording, observed_points
from ssl_behavior.skeleton import SKELETONS

FRAMES = 11


def fields(**changes):
    keypoints = np.arange(FRAMES * 2 * 7 * 2, dtype=np.float64).reshape(FRAMES, 2, 7, 2)
    return {"id": "r", "keypoints": keypoints, "fps": 30.0, "skeleton": SKELETONS["calms21"]} | changes


def labels(num_frames=FRAMES, **changes):
    return Labels(**{"vocabulary": ("x", "y"), "frames": np.zeros(num_frames, int)} | changes)


def test_a_recording_fills_in_only_names():
    recording = Recording(**fields())
    assert recording.individuals == ("resident", "intruder") and recording.keypoints.dtype == np.float32
    assert (recording.num_frames, recording.seconds) == (FRAMES, FRAMES / 30)


WRONG = {
    "no id": ({"id": ""}, "printable id"),
    "unprintable id": ({"id": "a\nb"}, "printable id"),
    "axes": ({"keypoints": np.zeros((FRAMES, 7, 2))}, r"individual=2, keypoint=7, space=2\].*got \[11, 7, 2\]"),
    "keypoints": ({"keypoints": np.zeros((FRAMES, 2, 5, 2))}, r"keypoint=7.*got \[11, 2, 5, 2\]"),
    "animals": ({"individuals": ("a", "b", "c")}, "individual=3"),
    "no frames": ({"keypoints": np.zeros((0, 2, 7, 2))}, "no frames"),
    "integers": ({"keypoints": np.zeros((FRAMES, 2, 7, 2), int)}, "floating point"),
    "infinite": ({"keypoints": np.full((FRAMES, 2, 7, 2), np.inf)}, "infinite"),
    "fps 0": ({"fps": 0.0}, r"fps must be a number from 0\.01 to 100,000 frames per second, got 0\.0"),
    "fps negative": ({"fps": -30.0}, "fps"),
    "fps nan": ({"fps": float("nan")}, "fps"),
    "fps infinite": ({"fps": float("inf")}, "fps"),
    "px per cm": ({"px_per_cm": 0.0}, "px_per_cm must be above 0"),
    "px per cm nan": ({"px_per_cm": float("nan")}, "px_per_cm must be above 0"),
    "resolution": ({"resolution_px": (640.0, 0.0)}, "resolution_px must be width and height above 0"),
    "confidence": ({"confidence": np.zeros((FRAMES, 7, 2))}, r"confidence must have shape \[11, 2, 7\]"),
    "labels longer": ({"labels": {"S": labels(FRAMES + 1)}}, "'S' has 12 frames, the tracks have 11"),
    "labels shorter": ({"labels": {"S": labels(FRAMES - 1)}}, "'S' has 10 frames"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_recording_is_refused_by_name(case):
    changes, message = WRONG[case]
    with pytest.raises(InputError, match=message) as caught:
        Recording(**fields(source="cam.csv", **changes))
    assert "cam.csv" in str(caught.value) and "\n" not in str(caught.value)


WRONG_LABELS = {
    "two axes": ({"frames": np.zeros((3, 2), int)}, r"shape \[time\]"),
    "fractions": ({"frames": np.zeros(3)}, "whole numbers"),
    "no vocabulary": ({"vocabulary": ()}, "vocabulary of different names"),
    "repeated names": ({"vocabulary": ("x", "x")}, "vocabulary of different names"),
    "too large": ({"frames": np.array([0, 1, 2])}, "frame 2 has the label 2, outside the vocabulary"),
    "below -1": ({"frames": np.array([0, -2, 1])}, "frame 1 has the label -2"),
    "background": ({"background": "z"}, "background 'z' is not in the vocabulary"),
}


@pytest.mark.parametrize("case", WRONG_LABELS)
def test_wrong_labels_are_refused(case):
    changes, message = WRONG_LABELS[case]
    with pytest.raises(InputError, match=message):
        labels(**changes)


def test_the_content_hash_is_of_the_tracks_alone():
    one = Recording(**fields())
    assert one.content_hash() == Recording(**fields(id="other", fps=25.0, source="b")).content_hash()
    moved = fields()["keypoints"].copy()
    moved[5, 1, 3, 0] += 1
    assert one.content_hash() != Recording(**fields(keypoints=moved)).content_hash()


def test_a_point_is_observed_if_both_coordinates_are():
    nan = np.nan
    assert observed_points(np.array([[1.0, 2], [nan, 2], [1, nan], [nan, nan]])).tolist() == [True, False, False, False]
