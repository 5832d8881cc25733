from dataclasses import replace

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
    kept, counts = clean(before, keep_sentinels=True)
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


def test_padding_of_absent_animals_is_missing():
    keypoints, confidence = scene(), np.full((TIME, 2, KEYPOINTS), 0.9)
    keypoints[10:, 1], confidence[10:, 1] = -1, -1
    keypoints[3, 0, 0, 0] = -1  # beyond the edge of the picture, a position
    confidence[5, 0, 1] = -1
    before = recording(keypoints, confidence)
    after, counts = clean(before)
    assert (counts.minus_ones, counts.negative_confidence, counts.zeros) == ((TIME - 10) * 3, 1, 0)
    assert np.isnan(after.keypoints[10:, 1]).all() and np.isnan(after.keypoints[5, 0, 1]).all()
    assert np.isfinite(after.keypoints[:10]).sum() == 10 * 12 - 2
    assert np.nanmin(after.confidence) > 0 and np.isnan(after.confidence).sum() == (TIME - 10) * 3 + 1
    assert inspect_quality(after).unknown_confidence == 0 and inspect_quality(before).minus_ones == counts.minus_ones
    assert clean(before, keep_sentinels=True)[0] is before
    # A point below the minimum is counted once.
    assert clean(before, min_confidence=0.5)[1] == counts


def test_unknown_confidence_counts_where_others_are_known():
    confidence = np.full((TIME, 2, KEYPOINTS), 0.9)
    confidence[3, :, 1] = np.nan
    assert inspect_quality(recording(scene(), confidence)).unknown_confidence == 2
    assert inspect_quality(recording(scene(), confidence * np.nan)).unknown_confidence == 0


def test_frozen_points_stand_for_seconds_while_others_move():
    keypoints = scene()
    keypoints[20:82, 1, 2] = keypoints[20, 1, 2]  # 61 steps at 30 frames/s
    assert inspect(keypoints).frozen_points == 62
    keypoints[50, 1, 2] += 0.01
    assert inspect(keypoints).frozen_points == 0
    paused = scene()
    paused[20:82] = paused[20]  # the whole picture stands
    assert inspect(paused).frozen_points == 0
    paused[20:82, 0] = scene()[20:82, 0]  # one animal stands, the other walks
    assert inspect(paused).frozen_points == 3 * 62


def test_thresholds_are_in_body_lengths():
    keypoints = scene()
    keypoints[10:17, 1] = keypoints[10:17, 0] + 0.3
    keypoints[30:33, 0] = keypoints[30:33, 0, :1] + 0.2 * SHAPE / 100
    keypoints[40, 0, 2] = np.nan
    keypoints[40, 0, 1] = keypoints[40, 0, 0]  # two points are no body
    for scale in (1.0, 1 / 600, 1 / 15, 40.0):
        quality = inspect(keypoints * scale)
        assert (quality.coinciding_frames, quality.collapsed_bodies) == (7, 3)


def several(number, frames=TIME):
    """Animals 100 px long in a row, 400 px apart, moving 1 px a frame."""
    offsets = np.stack([100 + 400 * np.arange(number), np.full(number, 100.0)], axis=-1)
    return SHAPE + offsets[:, None] + np.arange(frames)[:, None, None, None] * np.array([1.0, 0.0])


def of_animals(keypoints):
    skeleton = replace(SKELETON, individuals=tuple(f"m{n + 1}" for n in range(keypoints.shape[1])))
    return inspect_quality(Recording(id="r", keypoints=keypoints, fps=30.0, skeleton=skeleton))


def test_of_groups_each_finding_names_its_animals():
    keypoints = several(3)
    keypoints[40:60] = keypoints[40:60][:, [2, 1, 0]]
    keypoints[10:17, 1] = keypoints[10:17, 0] + 0.3
    keypoints[30, 1, 1] += [0, 52]
    keypoints[70, 2] = keypoints[70, 2, :1]
    keypoints[80, 0, 0] = [0, 9000]
    quality = of_animals(keypoints)
    assert quality.by_animal["swapped_frames"] == {"m1 and m3": 2} and quality.swapped_frames == 2
    assert quality.by_animal["coinciding_frames"] == {"m1 and m2": 7} and quality.coinciding_frames == 7
    assert quality.by_animal["jumps"]["m2"] == 2 + 2 * 3 and quality.by_animal["collapsed_bodies"] == {"m3": 1}
    assert quality.by_animal["far_points"] == {"m1": 1}
    for name, parts in quality.by_animal.items():
        assert sum(parts.values()) == getattr(quality, name)
    assert of_animals(scene()).by_animal == {}


def test_two_pairs_in_one_frame_are_one_frame():
    keypoints = several(4)
    keypoints[40:] = keypoints[40:][:, [1, 0, 3, 2]]
    quality = of_animals(keypoints)
    assert quality.swapped_frames == 1
    assert quality.by_animal["swapped_frames"] == {"m1 and m2": 1, "m3 and m4": 1}


@pytest.mark.parametrize("ring", [(1, 2, 0, 3), (3, 0, 1, 2), (0, 2, 3, 1)])
def test_identities_that_go_round_are_swaps(ring):
    keypoints = several(4)
    # Far apart in two directions, so that no exchange of two of them looks better than nothing.
    keypoints += np.array([[0, 0], [0, 900], [900, 900], [900, 0.0]])[:, None]
    keypoints[40:] = keypoints[40:][:, list(ring)]
    quality = of_animals(keypoints)
    assert quality.swapped_frames == 1
    ((who, count),) = quality.by_animal["swapped_frames"].items()
    moved = [f"m{n + 1}" for n in range(4) if ring[n] != n]
    assert count == 1 and who == f"{', '.join(moved[:-1])} and {moved[-1]}"


def test_animals_that_all_jump_are_no_swap():
    keypoints = several(5)
    keypoints[40:] += np.random.default_rng(0).uniform(150, 350, (5, 1, 2))
    assert of_animals(keypoints).swapped_frames == 0


def reference_pairs(keypoints, jump_px, same_px):
    """Swapped and coinciding frames of pairs, point by point."""
    frames, number = keypoints.shape[:2]
    swapped, coinciding = set(), set()
    observed = observed_points(keypoints)
    for t in range(frames):
        for i in range(number):
            for j in range(i + 1, number):
                both = observed[t, i] & observed[t, j]
                if (
                    both.sum() >= 2
                    and (np.linalg.norm(keypoints[t, i] - keypoints[t, j], axis=-1)[both] <= same_px).all()
                ):
                    coinciding.add(t)
                if t + 1 == frames:
                    continue
                shared = both & observed[t + 1, i] & observed[t + 1, j]
                if not shared.any():
                    continue
                now, after = keypoints[t][:, shared], keypoints[t + 1][:, shared]
                stay = (np.linalg.norm(after[i] - now[i], axis=-1) + np.linalg.norm(after[j] - now[j], axis=-1)).mean()
                swap = (np.linalg.norm(after[i] - now[j], axis=-1) + np.linalg.norm(after[j] - now[i], axis=-1)).mean()
                if stay > jump_px and stay > 3 * swap:
                    swapped.add(t)
    return len(swapped), len(coinciding)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8])
def test_pairs_against_a_loop(number):
    rng = np.random.default_rng(number)
    keypoints = several(number, 61) + rng.normal(0, 2, (61, number, 3, 2))
    for t in rng.choice(61, 12, replace=False):
        i, j = rng.integers(0, number, 2)
        if t % 2:
            keypoints[t:, [i, j]] = keypoints[t:, [j, i]]
        else:
            keypoints[t, i] = keypoints[t, j]
    keypoints[rng.random((61, number, 3)) < 0.15] = np.nan
    quality = of_animals(keypoints.astype(np.float32))
    expected = reference_pairs(
        keypoints.astype(np.float32).astype(float), quality.jump_px, 0.005 * quality.body_length_px
    )
    assert (quality.swapped_frames, quality.coinciding_frames) == expected


def test_absent_animals_have_no_missing_points():
    keypoints = several(3)
    keypoints[:, 1] = np.nan
    keypoints[:50, 0, 0] = np.nan
    quality = of_animals(keypoints)
    assert quality.missing == pytest.approx({"a": 50 / 202, "b": 0, "c": 0})
    assert quality.never_seen == ["m2/a", "m2/b", "m2/c"] and quality.swapped_frames == 0
