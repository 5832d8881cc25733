"""Resampling: hand-computed values, a slow loop as reference, and laws of motion, labels and times."""

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.bouts import runs
from ssl_behavior.errors import InputError
from ssl_behavior.io.track_quality import clean
from ssl_behavior.recording import FrameTimes, Labels, Recording
from ssl_behavior.resampling import equal_rates, frames_at, removed_bouts, resample, resample_labels
from ssl_behavior.skeleton import Skeleton

INDIVIDUALS, KEYPOINTS = 3, 5
SKELETON = Skeleton(
    name="five", keypoints=tuple("abcde"), individuals=("x", "y", "z"), exchangeable=False,
    roles={"nose": "a", "tail_base": "e"},
)  # fmt: skip
NTSC = 30_000 / 1001
RATES = [
    (60.0, 30.0), (30.0, 60.0), (25.0, 30.0), (30.0, 25.0), (NTSC, 30.0), (30.0, NTSC), (29.97, 25.0), (7.0, 11.0),
    (100.0, 30.0),
]  # fmt: skip


def recording(values, fps, labels=None, times=None):
    """All points at (value, -value) of their frame."""
    values = np.asarray(values, dtype=np.float32)
    keypoints = np.broadcast_to(values[:, None, None, None] * [1, -1], (len(values), INDIVIDUALS, KEYPOINTS, 2))
    streams = {} if labels is None else {"S": Labels(vocabulary=tuple("uvw"), frames=np.array(labels), background="w")}
    times = None if times is None else np.array(times)
    return Recording(id="r", keypoints=keypoints.copy(), fps=float(fps), skeleton=SKELETON, labels=streams, times=times)


def at_rate(one, fps):
    return resample(one, float(fps))


def values_of(made):
    assert np.array_equal(made.keypoints[..., 0], -made.keypoints[..., 1], equal_nan=True)
    assert np.array_equal(made.keypoints, made.keypoints[:, :1, :1] + 0 * made.keypoints, equal_nan=True)
    return made.keypoints[:, 0, 0, 0].tolist()


def random_recording(generator, fps, num_frames, measured=False):
    keypoints = generator.normal(500, 100, (num_frames, INDIVIDUALS, KEYPOINTS, 2)).astype(np.float32)
    keypoints[generator.random(keypoints.shape[:3]) < 0.2] = np.nan
    confidence = generator.random(keypoints.shape[:3]).astype(np.float32)
    confidence[generator.random(confidence.shape) < 0.1] = np.nan
    labels = Labels(vocabulary=tuple("uvw"), frames=generator.integers(-1, 3, num_frames))
    steps = generator.choice([0.2, 0.7, 1.0, 1.3, 6.0], num_frames, p=[0.1, 0.2, 0.5, 0.15, 0.05]) / fps
    return Recording(
        id="r", keypoints=keypoints, confidence=confidence, fps=fps, skeleton=SKELETON, labels={"S": labels},
        times=np.cumsum(steps) if measured else None,
    )  # fmt: skip


def reference(one, fps):
    """Keypoints, confidence and labels, frame by frame, as the rules say."""
    times = [i / one.fps for i in range(one.num_frames)] if one.times is None else one.times.tolist()
    usual = 1 / one.fps if one.times is None else float(np.median(np.diff(one.times)))
    ends = [*times[1:], times[-1] + 1 / one.fps]
    ends = [start + usual if end - start > 4 * usual else end for start, end in zip(times, ends, strict=True)]
    keypoints, confidence, labels = [], [], []
    for j in range(math.floor(times[-1] * fps + 1e-6) + 1):
        now, then = j / fps, (j + 1) / fps
        same = [i for i, time in enumerate(times) if abs(time - now) < 1e-9]
        left = [i for i, time in enumerate(times) if time < now]
        if same:
            keypoints.append(one.keypoints[same[0]])
            confidence.append(one.confidence[same[0]])
        elif not left or times[left[-1] + 1] - times[left[-1]] > 4 * usual:
            keypoints.append(np.full_like(one.keypoints[0], np.nan))
            confidence.append(np.full_like(one.confidence[0], np.nan))
        else:
            i = left[-1]
            weight = (now - times[i]) / (times[i + 1] - times[i])
            keypoints.append((1 - weight) * one.keypoints[i] + weight * one.keypoints[i + 1])
            confidence.append(np.fmin(one.confidence[i], one.confidence[i + 1]))
        votes, nearest = defaultdict(float), defaultdict(lambda: math.inf)
        for label, start, end in zip(one.labels["S"].frames.tolist(), times, ends, strict=True):
            shared = min(end, then) - max(start, now)
            if shared > 1e-9:
                votes[label] += shared
                nearest[label] = min(nearest[label], abs(start - now))
        best = max(votes.values(), default=0)
        tied = [label for label, vote in votes.items() if vote > best - 1e-9]
        labels.append(min(tied, key=lambda label: nearest[label]) if tied else -1)
    return np.array(keypoints), np.array(confidence), labels


@pytest.mark.parametrize("measured", [False, True])
@pytest.mark.parametrize(("source", "target"), RATES)
def test_frames_are_those_of_a_slow_loop(source, target, measured):
    generator = np.random.default_rng([round(100 * source), round(100 * target)])
    one = random_recording(generator, source, 61, measured)
    made = at_rate(one, target)
    keypoints, confidence, labels = reference(one, target)
    np.testing.assert_allclose(made.keypoints, keypoints, rtol=1e-5)
    np.testing.assert_allclose(made.confidence, confidence, rtol=1e-6)
    assert made.labels["S"].frames.tolist() == labels
    assert (made.fps, made.keypoints.dtype, made.confidence.dtype) == (target, np.float32, np.float32)


def test_long_recordings_are_those_of_short_ones():
    # More frames than a block of tracks and a block of labels; 60 frames per second makes every second one exact.
    num_frames = 140_001
    made = at_rate(recording(np.arange(num_frames), 60, np.arange(num_frames) // 7 % 3), 30)
    assert np.array_equal(values_of(made), np.arange(0, num_frames, 2))
    assert np.array_equal(made.labels["S"].frames, np.arange(0, num_frames, 2) // 7 % 3)


def test_halved_rate_takes_every_second_frame():
    made = at_rate(recording([1, 2, 4, 8, 16], 60), 30)
    assert values_of(made) == [1, 4, 16]


def test_doubled_rate_halves_the_steps():
    made = at_rate(recording([1, 2, 4], 30), 60)
    assert values_of(made) == [1, 1.5, 2, 3, 4]


def test_points_need_both_neighbors():
    made = at_rate(recording([1, np.nan, 4, 8], 30), 60)
    assert np.array_equal(values_of(made), [1, np.nan, np.nan, np.nan, 4, 6, 8], equal_nan=True)


def test_a_frame_of_its_own_time_ignores_missing_neighbors():
    made = at_rate(recording([np.nan, 2, np.nan, 8, np.nan], 30), 10)
    assert np.array_equal(values_of(made), [np.nan, 8], equal_nan=True)


def test_confidence_is_the_lower_one():
    one = recording([1, 2], 10)
    one = replace(one, confidence=np.stack([np.full((INDIVIDUALS, KEYPOINTS), c) for c in (0.9, 0.4)]))
    assert at_rate(one, 20).confidence[:, 0, 0].tolist() == pytest.approx([0.9, 0.4, 0.4])


@pytest.mark.parametrize(("source", "target"), RATES)
def test_removing_unsure_points_commutes_with_resampling(source, target):
    one = random_recording(np.random.default_rng(5), source, 83)
    before = at_rate(clean(one, False, 0.3)[0], target)
    after = clean(at_rate(one, target), False, 0.3)[0]
    assert np.array_equal(np.isnan(before.keypoints), np.isnan(after.keypoints))
    np.testing.assert_allclose(before.keypoints, after.keypoints)


def test_labels_of_the_majority():
    #              0  1  2   3  4  5   6  7  8   9 10 11  12 13 14
    labels = [0, 1, 1, 0, 0, 2, 2, -1, -1, -1, -1, -1, 0, 1, 2]
    made = at_rate(recording(np.zeros(15), 30, labels), 10)
    assert made.labels["S"].frames.tolist() == [1, 0, -1, -1, 0]


def test_ties_go_to_the_nearest_frame():
    made = at_rate(recording(np.zeros(8), 40, [0, 1, 1, 0, 2, 2, 1, 1]), 20)
    assert made.labels["S"].frames.tolist() == [0, 1, 2, 1]
    # The target frame lasts from 0.075 to 1.075 s; its time is 0.025 s before frame 1 of the first behavior.
    labels = Labels(vocabulary=("u", "v"), frames=np.array([0, 0, 1, 1]))
    made = resample_labels(
        labels, FrameTimes(fps=1.0, num_frames=4, measured=np.array([0.0, 0.1, 0.575, 1.0])),
        FrameTimes(fps=1.0, num_frames=1, measured=np.array([0.075])),
    )  # fmt: skip
    assert made.frames.tolist() == [0]
    # Of frames 0, 1 and 2 of the source, frame 1 is nearest to 0.9 s, although frame 0 lasts until then.
    made = resample_labels(
        labels, FrameTimes(fps=1.0, num_frames=4, measured=np.array([0.0, 1.0, 1.2, 1.6])),
        FrameTimes(fps=1 / 0.6, num_frames=1, measured=np.array([0.9])),
    )  # fmt: skip
    assert made.frames.tolist() == [0]


@pytest.mark.parametrize(("source", "target"), RATES)
def test_constant_motion_stays_linear(source, target):
    made = at_rate(recording(np.arange(500) / source * 64, source), target)
    np.testing.assert_allclose(values_of(made), np.arange(made.num_frames) / target * 64, rtol=2e-6, atol=1e-4)


@pytest.mark.parametrize(("source", "target"), RATES)
def test_the_end_is_that_of_the_source(source, target):
    made = at_rate(recording(np.zeros(317), source), target)
    last = 316 / source
    assert last - 1 / target < (made.num_frames - 1) / target <= last + 1e-9
    assert not np.isnan(made.keypoints).any()


def test_the_last_frame_survives_rounding():
    # 29 / 12.5 * 25 is a little less than 58.
    assert at_rate(recording(np.zeros(30), 12.5), 25).num_frames == 59


def test_there_and_back_again():
    generator = np.random.default_rng(3)
    one = recording(np.cumsum(generator.normal(size=201)), 60, np.repeat(generator.integers(0, 3, 67), 3))
    back = at_rate(at_rate(one, 30), 60)
    assert back.num_frames == one.num_frames
    assert np.array_equal(back.keypoints[::2], one.keypoints[::2])
    between = (one.keypoints[:-2:2] + one.keypoints[2::2]) / 2
    np.testing.assert_allclose(back.keypoints[1::2], between, rtol=1e-5, atol=1e-6)
    # Up and down again gives every frame back; the source of the source is kept.
    up = at_rate(one, 120)
    assert np.array_equal(at_rate(up, 60).keypoints, one.keypoints)
    assert np.array_equal(at_rate(up, 60).labels["S"].frames, one.labels["S"].frames)
    assert (back.resampled_from.fps, back.resampled_from.num_frames) == (60, 201)


@pytest.mark.parametrize(("source", "target"), RATES)
def test_bouts_keep_their_times(source, target):
    generator = np.random.default_rng(17)
    lengths = generator.integers(math.ceil(3 * max(source, target) / target), 40, 50)
    labels = np.repeat(np.arange(50) % 3, lengths)
    made = at_rate(recording(np.zeros(len(labels)), source, labels), target).labels["S"].frames
    starts = np.cumsum(lengths)[:-1] / source
    found = (np.flatnonzero(np.diff(made)) + 1) / target
    np.testing.assert_allclose(found, starts, atol=0.5 / target + 1e-9)
    for label in range(3):
        seconds = (labels == label).sum() / source, (made == label).sum() / target
        assert abs(seconds[0] - seconds[1]) <= 17 / target


@pytest.mark.parametrize(
    ("source", "target"), [(60.0, 30.0), (30.0, 25.0), (30.0, NTSC), (100.0, 30.0), (31.0, 30.0), (50.0, 50.0)]
)
def test_labels_survive_the_frames_of_the_source(source, target):
    """Labels of resampled frames, brought to the source's frames as files have them, come back unchanged."""
    own, video = (
        FrameTimes(fps=target, num_frames=307),
        FrameTimes(fps=source, num_frames=int(306 * source / target) + 1),
    )
    labels = Labels(vocabulary=tuple("uvwxy"), frames=np.random.default_rng(11).integers(-1, 5, 307))
    there = resample_labels(labels, own, video)
    assert np.array_equal(resample_labels(there, video, own).frames, labels.frames)


def test_irregular_times_are_used():
    one = recording([0, 10, 30, 40], 10, [0, 0, 1, 1], times=[0.05, 0.1, 0.3, 0.4])
    made = at_rate(one, 20)
    expected = [np.nan, 0, 10, 15, 20, 25, 30, 35, 40]
    np.testing.assert_allclose(values_of(made), expected, rtol=1e-6)
    assert made.labels["S"].frames.tolist() == [-1, 0, 0, 0, 0, 0, 1, 1, 1]
    assert made.times is None and np.array_equal(made.resampled_from.measured, one.times)
    assert made.notes == ("resampled from measured frame times, usually 10 to 20 frames per second",)


def test_holes_between_measured_times_stay_empty():
    times = np.concatenate([np.arange(5) * 0.1, 2 + np.arange(5) * 0.1])
    made = at_rate(recording(np.arange(10), 10, np.zeros(10, int), times=times), 10)
    seen = np.isin(np.arange(made.num_frames), [*range(5), *range(20, 25)])
    assert np.array_equal(np.isfinite(values_of(made)), seen)
    assert np.array_equal(made.labels["S"].frames == 0, seen)


def test_regular_measured_times_are_the_regular_grid():
    one = random_recording(np.random.default_rng(2), 60.0, 97)
    timed = replace(one, times=np.arange(97) / 60)
    for fps in (30, 25, 60):
        made, plain = at_rate(timed, fps), at_rate(one, fps)
        assert np.array_equal(made.keypoints, plain.keypoints, equal_nan=True)
        assert np.array_equal(made.labels["S"].frames, plain.labels["S"].frames)


def test_the_same_rate_changes_nothing():
    one = recording([1, 2, 3], 29.97)
    assert at_rate(one, 29.97) is one
    assert at_rate(one, 30) is not one


def test_one_frame_and_nothing_seen():
    assert values_of(at_rate(recording([5], 30, [1]), 60)) == [5]
    assert at_rate(recording([5], 30, [1]), 60).labels["S"].frames.tolist() == [1]
    made = at_rate(recording(np.full(9, np.nan), 30), 20)
    assert made.num_frames == 6 and np.isnan(made.keypoints).all()
    assert np.isnan(values_of(at_rate(recording([5], 30, times=[0.5]), 2))).tolist() == [True, False]


def test_nothing_is_written_into_the_source():
    one = random_recording(np.random.default_rng(1), 30.0, 50)
    before = one.keypoints.copy(), one.confidence.copy(), one.labels["S"].frames.copy()
    at_rate(one, 47)
    for own, kept in zip((one.keypoints, one.confidence, one.labels["S"].frames), before, strict=True):
        assert np.array_equal(own, kept, equal_nan=own.dtype.kind == "f")


@pytest.mark.parametrize("fps", [0, -30, math.nan, math.inf, 1e-310, 0.009, 100_001])
def test_rates_are_those_of_videos(fps):
    with pytest.raises(InputError, match=r"`fps` must be a number from 0\.01 to 100,000 frames per second, got"):
        at_rate(recording([1, 2], 30), fps)


def test_many_more_frames_are_said():
    notes = at_rate(recording(np.arange(50), 5), 30).notes
    assert notes[0] == "resampled from 5 to 30 frames per second"
    assert notes[1].startswith("30 is 6 times as many frames per second as were filmed")
    assert len(at_rate(recording(np.arange(50), 5), 20).notes) == 1


def test_times_of_a_clock_are_refused():
    with pytest.raises(InputError, match="count its times from the first frame on"):
        at_rate(recording([1, 2], 30, times=[1.7e9, 1.7e9 + 1]), 30)


@pytest.mark.parametrize(
    ("times", "message"),
    [([0, 1], "for each frame, 3 in all"), ([0, 2, 2], "frame 2 is at 2 s"), ([-1, 0, 1], "frame 0 is at -1 s"),
     ([0, np.nan, 1], "frame 1 is at nan s")],
)  # fmt: skip
def test_times_increase_from_zero(times, message):
    with pytest.raises(InputError, match=f"recording 'r'.*{message}"):
        recording([1, 2, 3], 30, times=times)


def test_removed_bouts_are_those_of_a_slow_loop():
    source, target = FrameTimes(fps=30.0, num_frames=300), FrameTimes(fps=11.0, num_frames=110)
    lengths = np.random.default_rng(2).integers(1, 9, 80)
    labels = Labels(
        vocabulary=tuple("uvwx"), frames=np.repeat(np.arange(80) * 3 % 5 - 1, lengths)[:300], background="x"
    )
    made = resample_labels(labels, source, target)
    expected = {}
    for start, stop, label in runs(labels.frames):
        if label not in (-1, 3):
            around = [j for j in range(110) if (j + 1) / 11 > start / 30 and j / 11 < stop / 30]
            gone, total = expected.get("uvwx"[label], (0, 0))
            expected["uvwx"[label]] = gone + all(made.frames[j] != label for j in around), total + 1
    assert removed_bouts(labels, source, made, target) == expected
    assert sum(gone for gone, _ in expected.values()) > 2
    same = resample_labels(labels, source, source)
    assert not any(gone for gone, _ in removed_bouts(labels, source, same, source).values())


def test_frames_at_the_middle():
    assert frames_at(FrameTimes(fps=30.0, num_frames=3), FrameTimes(fps=60.0, num_frames=6)).tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    assert frames_at(FrameTimes(fps=30.0, num_frames=6), FrameTimes(fps=10.0, num_frames=2)).tolist() == [1, 4]


def test_equal_rates_differ_by_rounding_alone():
    assert equal_rates(30_000 / 1001, 30 / 1.001) and not equal_rates(30.0, 29.9999)
