"""Resampling of recordings to another frame rate: tracks by interpolation in time, labels by majority.

Frame j of the result has the pose at j / fps seconds of the source, and the label of the time from j / fps to
(j + 1) / fps. Times count from the start of the source: seconds of a resampled recording are seconds of its video.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.recording import (
    MAX_BYTES,
    NOT_ANNOTATED,
    FrameTimes,
    Labels,
    PairLabels,
    Recording,
    check_rate,
    tracks_bytes,
)

__all__ = [
    "equal_rates",
    "frames_at",
    "own_frames_notice",
    "removed_bouts",
    "removed_pair_bouts",
    "resample",
    "resample_labels",
    "resample_pair_labels",
]

_RATE_ROUNDING = 1e-9
_SAME_FRAME = 1e-6
"""Distance, in frames, below which a time is that of a frame: far above rounding, far below anything visible."""
_HOLE_STEPS = 4.0
"""Measured frames that are further apart than this many usual steps have a hole between them."""
_MANY_TIMES = 4.0
_MANY = 1e12
_BLOCK_FRAMES = 4096
"""Frames interpolated at once: their tracks fit into a processor's cache."""
_OUTSIDE = NOT_ANNOTATED - 1
"""Label of the time before, after and between the source's frames."""
_LABEL_BLOCK_FRAMES = 1 << 16


def equal_rates(one: float, other: float) -> bool:
    """Whether two frame rates are equal but for rounding; 29.97 and 30 are not."""
    return math.isclose(one, other, rel_tol=_RATE_ROUNDING)


def resample(recording: Recording, fps: float) -> Recording:
    """The recording at another frame rate; a recording that has it already is returned as it is.

    Keypoints are interpolated linearly between the two frames around each time, where both are observed; a time that is
    a frame's own takes that frame alone. Nothing is extrapolated: before the first measured time, and in holes of more
    than four usual steps between measured times, points are missing. The confidence is the lower one of the two frames.
    Labels are `resample_labels` and `resample_pair_labels`. The last frame is the last one not after the source's.

    Parameters
    ----------
    recording : with frames at i / fps, or with measured `times`.
    fps : frames per second of the result.

    Returns
    -------
    Recording
        Its `resampled_from` has the times of the source's frames (of the first source, if it was resampled before),
        its `notes` say what was done.

    Raises
    ------
    InputError
        If fps is no rate that videos have, or the result would not fit into memory.
    """
    check_rate(fps)
    if recording.times is None and equal_rates(recording.fps, fps):
        return recording
    source = recording.frame_times
    num_frames = _num_frames(source, fps)
    size = tracks_bytes(num_frames, *recording.keypoints.shape[1:3])
    if size > MAX_BYTES:
        raise InputError(
            f"recording {recording.id!r}: at {fps:g} frames per second it has {_rounded(num_frames)} frames, which "
            f"need {_rounded(size / 2**30)} GB of memory; choose a lower rate"
            + ("" if source.measured is None else ", or count its times from the first frame on")
        )
    target = FrameTimes(fps=float(fps), num_frames=int(num_frames))
    keypoints, confidence = _interpolated(recording, source, target)
    return replace(
        recording,
        keypoints=keypoints,
        confidence=confidence,
        fps=target.fps,
        labels={name: resample_labels(labels, source, target) for name, labels in recording.labels.items()},
        pair_labels={
            name: resample_pair_labels(labels, source, target) for name, labels in recording.pair_labels.items()
        },
        notes=(*recording.notes, *_notes(source, fps)),
        times=None,
        in_file=None,
        resampled_from=recording.resampled_from or source,
    )


def _num_frames(source: FrameTimes, fps: float) -> float:
    """Number of frames j / fps that are not after the source's last frame; infinite for times that are too large."""
    last = (source.num_frames - 1) / source.fps if source.measured is None else float(source.measured[-1])
    return float(np.floor(last * fps + _SAME_FRAME)) + 1


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if number < _MANY else f"{number:.3g}"


def _notes(source: FrameTimes, fps: float) -> list[str]:
    usual = source.fps if source.measured is None else 1 / _usual_step(source)
    measured = "" if source.measured is None else "measured frame times, usually "
    notes = [f"resampled from {measured}{usual:.6g} to {fps:.6g} frames per second"]
    if fps > _MANY_TIMES * usual:
        notes.append(
            f"{fps:.6g} is {fps / usual:.2g} times as many frames per second as were filmed: most points are "
            "interpolated, and show no movement that is faster than the video"
        )
    return notes


def _usual_step(source: FrameTimes) -> float:
    """Median time between frames, s."""
    steps = np.zeros(0) if source.measured is None else np.diff(source.measured)
    return float(np.median(steps)) if len(steps) else 1 / source.fps


@dataclass(frozen=True, eq=False)
class _Neighbors:
    """Source frames around some target frames.

    Parameters
    ----------
    left, right : frames before and after, int64 [time]; equal where the time is a frame's own.
    weight : of the right one, float32 [time] in [0, 1); NaN where there is nothing to interpolate.
    """

    left: np.ndarray
    right: np.ndarray
    weight: np.ndarray


def _positions(source: FrameTimes, fps: float, start: int, stop: int) -> np.ndarray:
    """Places of the times j / fps, start <= j < stop, among the source's frames, float64 [time]; NaN = outside.

    Place 2.25 is a quarter of the way from frame 2 to frame 3.
    """
    numbers = np.arange(start, stop)
    if source.measured is None:
        places = numbers * source.fps / fps
    elif source.num_frames == 1:
        places = (numbers / fps - source.measured[0]) * source.fps
    else:
        times, seconds = source.measured, numbers / fps
        left = np.clip(np.searchsorted(times, seconds, side="right") - 1, 0, source.num_frames - 2)
        places = left + (seconds - times[left]) / (times[left + 1] - times[left])
    near = np.rint(places)
    places = np.where(np.abs(places - near) < _SAME_FRAME, near, places)
    return np.where((places < 0) | (places > source.num_frames - 1), np.nan, places)


def _neighbors(source: FrameTimes, hole: float, fps: float, start: int, stop: int) -> _Neighbors:
    """Neighbors of the times j / fps, start <= j < stop; between measured frames `hole` s apart there is nothing."""
    places = _positions(source, fps, start, stop)
    known = ~np.isnan(places)
    left = np.where(known, places, 0).astype(np.int64)
    weight = np.where(known, places - left, 0)
    right = left + (weight > 0)
    if source.measured is not None:
        weight[source.measured[right] - source.measured[left] > hole] = np.nan
    weight[~known] = np.nan
    return _Neighbors(left, right, weight.astype(np.float32))


def _interpolated(recording: Recording, source: FrameTimes, target: FrameTimes) -> tuple[np.ndarray, np.ndarray | None]:
    """Keypoints and confidence at the target's times, made a block at a time."""
    tracks = recording.keypoints.reshape(source.num_frames, -1)
    scores = None if recording.confidence is None else recording.confidence.reshape(source.num_frames, -1)
    keypoints = np.empty((target.num_frames, *recording.keypoints.shape[1:]), dtype=np.float32)
    confidence = None if scores is None else np.empty(keypoints.shape[:3], dtype=np.float32)
    hole = _HOLE_STEPS * _usual_step(source)
    for start in range(0, target.num_frames, _BLOCK_FRAMES):
        stop = min(start + _BLOCK_FRAMES, target.num_frames)
        between = _neighbors(source, hole, target.fps, start, stop)
        keypoints[start:stop] = _between(tracks, between).reshape(-1, *keypoints.shape[1:])
        if scores is not None and confidence is not None:
            lower = np.fmin(scores[between.left], scores[between.right])
            lower[np.isnan(between.weight)] = np.nan
            confidence[start:stop] = lower.reshape(-1, *confidence.shape[1:])
    return keypoints, confidence


def _between(values: np.ndarray, between: _Neighbors) -> np.ndarray:
    """Rows of float32 [source frame, value] between their neighbors, [time, value]."""
    left = np.take(values, between.left, axis=0)
    if not between.weight.any():
        return left
    step = np.take(values, between.right, axis=0)
    step -= left
    step *= between.weight[:, None]
    left += step
    return left


def resample_labels(labels: Labels, source: FrameTimes, target: FrameTimes) -> Labels:
    """Labels at other times: of each target frame the label that lasts longest in it.

    "Not annotated" is one of them, so that labels come back from a higher rate as they were. Of those that last equally
    long, the one of the source frame nearest to the target frame's time is taken. Time outside the source, and holes
    between its measured times (see `resample`), count only where nothing else is in a frame, which is then not
    annotated.

    Parameters
    ----------
    labels : of the source's frames.
    source, target : times of the frames, both from the start of the same video.

    Returns
    -------
    Labels
        Of the target's frames, with the same vocabulary, annotator and background.
    """
    assert len(labels.frames) == source.num_frames
    stretches = _stretches(labels.frames, source)
    edges = target.edges()
    frames = np.empty(target.num_frames, dtype=np.int16)
    for start in range(0, target.num_frames, _LABEL_BLOCK_FRAMES):
        stop = min(start + _LABEL_BLOCK_FRAMES, target.num_frames)
        frames[start:stop] = _majority(stretches, edges[start : stop + 1])
    return replace(labels, frames=frames)


def _starts(frames: np.ndarray) -> np.ndarray:
    """First frame of each run of equal labels, int64 [run]."""
    return np.flatnonzero(np.diff(frames, prepend=_OUTSIDE))


def removed_bouts(labels: Labels, source: FrameTimes, made: Labels, target: FrameTimes) -> dict[str, tuple[int, int]]:
    """Bouts that resampling removed: of no target frame around them is theirs the majority.

    Parameters
    ----------
    labels : of the source's frames.
    made : of the target's frames, from `resample_labels`.

    Returns
    -------
    dict
        Behavior -> (removed bouts, all its bouts), of the behaviors with bouts; the background is left out.
    """
    first = _starts(labels.frames)
    own, edges, stops = labels.frames[first], source.edges(), np.append(first[1:], len(labels.frames))
    goal, slack = target.edges(), _SAME_FRAME / target.fps
    begin = np.clip(np.searchsorted(goal, edges[first] + slack, side="right") - 1, 0, target.num_frames)
    end = np.clip(np.searchsorted(goal, edges[stops] - slack, side="left"), begin, target.num_frames)
    found = {}
    for number in np.unique(own[own != NOT_ANNOTATED]).tolist():
        if labels.vocabulary[number] != labels.background:
            seen = np.concatenate([[0], np.cumsum(made.frames == number)])
            kept = (seen[end] > seen[begin])[own == number]
            found[labels.vocabulary[number]] = int((~kept).sum()), len(kept)
    return found


_SHOWN = ("not shown", "shown")


def _behaviors_of_pairs(labels: PairLabels, times: FrameTimes) -> Iterator[tuple[tuple[int, int, int], Labels]]:
    """Each (agent, target, behavior) with bouts, and its frames: shown or not."""
    for agent, target, behavior in np.unique(labels.bouts[:, :3], axis=0).tolist():
        shown = np.zeros(times.num_frames, dtype=np.int16)
        for start, stop in labels.bouts[(labels.bouts[:, :3] == (agent, target, behavior)).all(axis=1), 3:].tolist():
            shown[start:stop] = 1
        yield (agent, target, behavior), Labels(vocabulary=_SHOWN, frames=shown, background=_SHOWN[0])


def resample_pair_labels(labels: PairLabels, source: FrameTimes, target: FrameTimes) -> PairLabels:
    """Bouts at other times: each behavior of each pair as by `resample_labels`; bouts that touch become one."""
    bouts = [np.empty((0, 5), dtype=np.int64)]
    for who, shown in _behaviors_of_pairs(labels, source):
        frames = resample_labels(shown, source, target).frames == 1
        edges = np.flatnonzero(np.diff(np.concatenate([[False], frames, [False]]))).reshape(-1, 2)
        bouts.append(np.concatenate([np.tile(who, (len(edges), 1)), edges], axis=1))
    return replace(labels, bouts=np.concatenate(bouts))


def removed_pair_bouts(labels: PairLabels, source: FrameTimes, target: FrameTimes) -> dict[str, tuple[int, int]]:
    """Bouts that resampling removed, of all pairs together, see `removed_bouts`; bouts that touch count as one."""
    found: dict[str, tuple[int, int]] = {}
    for (_, _, behavior), shown in _behaviors_of_pairs(labels, source):
        made = resample_labels(shown, source, target)
        gone, total = removed_bouts(shown, source, made, target)[_SHOWN[1]]
        before = found.get(labels.vocabulary[behavior], (0, 0))
        found[labels.vocabulary[behavior]] = before[0] + gone, before[1] + total
    return found


def frames_at(own: FrameTimes, other: FrameTimes) -> np.ndarray:
    """Number of the own frame that is shown in the middle of each of the other frames, int64 [other frame]."""
    edges = other.edges()
    found = np.searchsorted(own.edges(), (edges[1:] + edges[:-1]) / 2, side="right") - 1
    return np.clip(found, 0, own.num_frames - 1)


def own_frames_notice(ids: Sequence[str]) -> str:
    """Notice about files of labels whose frame numbers are not those of the video."""
    return (
        "frame numbers count resampled frames, because the frame times of the source are irregular; seconds are those "
        f"of the video: {', '.join(ids)}"
    )


@dataclass(frozen=True, eq=False)
class _Stretches:
    """Stretches of one label, without gaps between them, from before the first frame to after the last.

    Parameters
    ----------
    start : float64 [stretch], s; a stretch ends where the next one starts.
    label : int64 [stretch]; `_OUTSIDE` = the source has no frame there.
    edges : starts of the source's frames and the end of the last, float64 [frame + 1], s.
    """

    start: np.ndarray
    label: np.ndarray
    edges: np.ndarray


def _stretches(frames: np.ndarray, source: FrameTimes) -> _Stretches:
    edges = source.edges()
    first = _starts(frames)
    start, label = edges[first], frames[first].astype(np.int64)
    usual = _usual_step(source)
    holes = np.flatnonzero(np.diff(edges[:-1]) > _HOLE_STEPS * usual) if source.measured is not None else first[:0]
    start = np.concatenate([[-np.inf], start, edges[holes] + usual, edges[holes + 1], edges[-1:]])
    absent = np.full(len(holes), _OUTSIDE)
    label = np.concatenate([[_OUTSIDE], label, absent, frames[holes + 1], [_OUTSIDE]])
    # A stretch may start where a hole ends, twice with the same label.
    start, kept = np.unique(start, return_index=True)
    return _Stretches(start, label[kept], edges)


def _majority(stretches: _Stretches, edges: np.ndarray) -> np.ndarray:
    """Label of each target frame, int64 [time], of frames with these edges, [time + 1]."""
    slack = _SAME_FRAME * float(np.diff(edges).min())
    first = np.searchsorted(stretches.start, edges[:-1] + slack, side="right") - 1
    last = np.maximum(first, np.searchsorted(stretches.start, edges[1:] - slack, side="left") - 1)
    labels = stretches.label[first]
    mixed = np.flatnonzero(last > first)
    if len(mixed):
        labels[mixed] = _voted(stretches, edges[mixed], edges[mixed + 1], first[mixed], last[mixed])
    return np.where(labels == _OUTSIDE, NOT_ANNOTATED, labels)


def _voted(
    stretches: _Stretches, start: np.ndarray, stop: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Label of each target frame [frame] of several stretches, the numbers `first` to `last`."""
    counts = last - first + 1
    frame = np.repeat(np.arange(len(first)), counts)
    begins = np.repeat(np.cumsum(counts) - counts, counts)
    number = np.repeat(first, counts) + np.arange(len(frame)) - begins
    ends = np.append(stretches.start[1:], np.inf)[number]
    lasting = np.minimum(ends, stop[frame]) - np.maximum(stretches.start[number], start[frame])
    distance = np.maximum(stretches.start[number] - start[frame], 0)
    leading = begins == np.arange(len(frame))
    distance[leading] = _distance(stretches, start, np.minimum(stop, stretches.start[first + 1]))
    label = stretches.label[number]
    order = np.lexsort((label, frame))
    groups = np.flatnonzero(np.diff(frame[order], prepend=-1) | np.diff(label[order], prepend=_OUTSIDE - 1))
    frame, label = frame[order][groups], label[order][groups]
    share = np.add.reduceat(lasting[order], groups) / (stop - start)[frame]
    share[label == _OUTSIDE] = -1
    nearest = np.minimum.reduceat(distance[order], groups)
    ranked = np.lexsort((nearest, -np.round(share, 6), frame))
    return label[ranked][np.flatnonzero(np.diff(frame[ranked], prepend=-1))]


def _distance(stretches: _Stretches, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Distance of times `start` to the nearest source frame that lasts until then or begins before `stop`, s."""
    edges = stretches.edges
    frame = np.searchsorted(edges, start + _SAME_FRAME * (stop - start), side="right") - 1
    own = np.where(frame < 0, np.inf, np.abs(start - edges[frame]))
    following = edges[np.minimum(frame + 1, len(edges) - 1)]
    return np.minimum(own, np.where((following > start) & (following < stop), following - start, np.inf))
