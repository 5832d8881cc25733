import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io.track_quality import body_length, clean, inspect_quality
from ssl_behavior.recording import Recording, observed_points
from ssl_behavior.skeleton import Skeleton

TIME, KEYPOINTS = 101, 3
SKELETON = Skeleton(name="s", keypoints=("a", "b", "c"))
SHAPE = np.array([[0.0, 0.0], [0.0, 50.0], [0.0, 100.0]])


def scene():
    """Two animals 100 px long, 400 px apart, moving 1 px a frame."""
    offsets = np.array([[100.0, 100.0], [500.0, 100.0]])
    motion = np.arange(TIME)[:, None, None, None] * np.array([1.0, 0.0])
    return SHAPE + offsets[:, None] + motion


def recording(keypoints, confidence=None):
    return Recording(id="r", keypoints=keypoints, fps=30.0, skeleton=SKELETON, confidence=confidence)


def inspect(keypoints):
    return inspect_quality(recording(keypoints))


def test_nothing_stands_out_in_a_clean_scene():
    quality = inspect(scene())
    assert quality.body_length_px == 100 and quality.jump_px == 50
    assert (quality.jumps, quality.swapped_frames, quality.coinciding_frames, quality.far_points) == (0, 0, 0, 0)
    assert (quality.zeros, quality.half_missing, quality.no_animal_frames) == (0, 0, 0)
    assert quality.never_seen == [] and quality.missing_share == 0


def test_jumps_are_relative_to_the_body():
    keypoints = scene()
    keypoints[30, 0, 1] += [52, 0]
    assert inspect(keypoints).jumps == 2  # there and back
    assert inspect(keypoints * 10).jumps == 2
    keypoints[30, 0, 1] -= [5, 0]
    assert inspect(keypoints).jumps == 0


def test_swap_is_seen_at_its_two_ends_and_a_jump_of_both_is_none():
    keypoints = scene()
    keypoints[40:60] = keypoints[40:60, ::-1]
    assert inspect(keypoints).swapped_frames == 2
    moved = scene()
    moved[40:60, :, :, 1] += 150
    assert inspect(moved).swapped_frames == 0
    keypoints[39] = np.nan
    assert inspect(keypoints).swapped_frames == 1


def test_coinciding_needs_two_shared_points():
    keypoints = scene()
    keypoints[10:17, 1] = keypoints[10:17, 0] + 0.3
    keypoints[50, 1] = keypoints[50, 0]
    keypoints[50, 1, 1:] = np.nan
    keypoints[51, 1] = keypoints[51, 0]
    keypoints[51, 1, 2] += 30
    assert inspect(keypoints).coinciding_frames == 7


def test_far_points_and_half_points_and_missing():
    keypoints = scene()
    keypoints[7, 0, 0] = [5000, 5000]
    keypoints[8, 0, 0, 0] = np.nan
    keypoints[:, 1, 2] = np.nan
    keypoints[20] = np.nan
    quality = inspect(keypoints)
    assert quality.far_points == 1 and quality.half_missing == 1 and quality.no_animal_frames == 1
    assert quality.never_seen == ["animal1/c"]
    assert quality.missing == pytest.approx({"a": 3 / 202, "b": 2 / 202, "c": (101 + 1) / 202})


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_nothing_observed_and_very_short(frames):
    empty = inspect(np.full((frames, 2, 3, 2), np.nan))
    assert empty.missing_share == 1 and empty.body_length_px is None and len(empty.never_seen) == 6
    assert inspect(scene()[:frames]).body_length_px == 100
    assert inspect(np.zeros((frames, 2, 3, 2))).body_length_px is None


def test_one_animal_one_keypoint():
    lone = Skeleton(name="dot", keypoints=("x",), individuals=("only",))
    quality = inspect_quality(Recording(id="r", keypoints=np.ones((5, 1, 1, 2)), fps=1.0, skeleton=lone))
    assert quality.body_length_px is None and quality.jumps == 0 and quality.coinciding_frames == 0


def test_huge_coordinates_overflow_nothing():
    keypoints = scene()
    keypoints[3, 0, 0] = 3e38
    keypoints[4, 0, 0] = -3e38
    quality = inspect(keypoints)
    assert quality.far_points == 2 and np.isfinite(quality.body_length_px)


def test_body_length_against_a_loop():
    rng = np.random.default_rng(0)
    keypoints = rng.normal(size=(31, 2, 5, 2)) * 50
    keypoints[rng.random((31, 2, 5)) < 0.3] = np.nan
    observed = observed_points(keypoints)
    lengths = [
        np.linalg.norm(points[seen].max(axis=0) - points[seen].min(axis=0))
        for points, seen in zip(keypoints.reshape(-1, 5, 2), observed.reshape(-1, 5), strict=True)
        if seen.sum() >= 3
    ]
    assert body_length(keypoints, observed) == pytest.approx(np.median(lengths))


def test_clean_sets_exact_zeros_to_missing_and_writes_into_nothing():
    keypoints = scene()
    keypoints[2:4, 1, 0] = 0
    keypoints[5, 1, 0, 0] = 0  # on the edge of the picture, a position
    before = recording(keypoints)
    after, counts = clean(before)
    assert counts.zeros == 2 and np.isnan(after.keypoints).sum() == 4
    assert np.isfinite(before.keypoints).all()
    kept, counts = clean(before, keep_zeros=True)
    assert kept is before and counts.zeros == 0


def test_confidence_masks_only_when_asked():
    confidence = np.full((TIME, 2, KEYPOINTS), 0.9)
    confidence[1, 0, 0], confidence[2, 0, 0], confidence[3, 0, 0] = 0.1, np.nan, 0.1
    keypoints = scene()
    keypoints[3, 0, 0] = np.nan
    before = recording(keypoints, confidence)
    assert clean(before)[0] is before
    after, counts = clean(before, min_confidence=0.5)
    assert counts.low_confidence == 1 and np.isnan(after.keypoints[1, 0, 0]).all()
    assert np.isfinite(after.keypoints[2, 0, 0]).all()
    with pytest.raises(InputError, match="no confidence"):
        clean(recording(keypoints), min_confidence=0.5)
