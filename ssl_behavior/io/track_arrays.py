"""Shared parts of readers of tracks: empty arrays of checked size, frame rate, ids, tracks that are fragments."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.reader_helpers import ReadOptions, id_from_name, stem

__all__ = [
    "empty_tracks",
    "frame_numbers",
    "in_order",
    "measured_times",
    "note_fragments",
    "note_gaps",
    "recording_id",
    "stated_fps",
    "two_dimensions",
]

MAX_BYTES = 8 << 30
"""Largest recording that is read: 6 million frames of 4 animals with 27 keypoints."""

_SAME_CLOCK = 0.01
_ON_TIME_FRAMES = 0.05
"""Times that are this near to i / fps are regular; at 50 frames per second, rounding to whole ms is half of it."""
_VIDEO = re.compile(r"\.(mp4|avi|mov|mkv|mpg|wmv|m4v)$", re.IGNORECASE)


def empty_tracks(
    num_frames: int, num_individuals: int, num_keypoints: int, path: Path, advice: str
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints float32 [time, individual, keypoint, 2] and confidence [time, individual, keypoint], all NaN.

    Parameters
    ----------
    advice : what to do if there are too many frames or individuals.

    Raises
    ------
    InputError
        If the file has no frames, individuals or keypoints, or the arrays would not fit into memory.
    """
    counts = {"frames": num_frames, "individuals": num_individuals, "keypoints": num_keypoints}
    empty = [name for name, count in counts.items() if count < 1]
    if empty:
        raise InputError(f"{path}: it has no {' and no '.join(empty)}; there is nothing to read")
    size = 12.0 * num_frames * num_individuals * num_keypoints
    if size > MAX_BYTES:
        shown = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        raise InputError(f"{path}: {shown} would need {size / 2**30:,.0f} GB of memory; {advice}")
    shape = (num_frames, num_individuals, num_keypoints)
    return np.full((*shape, 2), np.nan, dtype=np.float32), np.full(shape, np.nan, dtype=np.float32)


def in_order(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Keypoints (the third axis) in this order; the array itself, not a copy, if they are so already."""
    return array if list(order) == list(range(array.shape[2])) else array[:, :, list(order)]


def stated_fps(options: ReadOptions, stated: float | None, path: Path, title: str, notes: list[str]) -> float:
    """The frame rate that was passed, or else the file's own; a note if they differ.

    Raises
    ------
    InputError
        If neither is known, or the file's is no number above 0.
    """
    usable = stated is not None and math.isfinite(stated) and stated > 0
    if options.fps is not None:
        if usable and not math.isclose(options.fps, float(stated or 0), rel_tol=1e-4):
            notes.append(f"fps {options.fps:.6g} as passed, but the file states {stated:.6g}")
        return options.fps
    if stated is None:
        raise InputError(f"{path}: this {title} does not contain the frame rate; pass it as `fps`, e.g. `fps=30`")
    if not usable:
        raise InputError(f"{path}: its frame rate is {stated}; expected a number above 0; pass it as `fps`")
    return float(stated)


def recording_id(path: Path, options: ReadOptions, suffix: str = "") -> str:
    """Id from a file's name, without the extension, the tracker's suffix (a regular expression) and the video's."""
    name = stem(path)
    for pattern in (re.compile(f"({suffix})$"), _VIDEO):
        name = pattern.sub("", name) or name
    return id_from_name(path.with_name(name), options.prefix)


def note_fragments(names: Sequence[str], present: np.ndarray, at_once: int, advice: str) -> list[str]:
    """One note if there are more tracks than animals are seen at once, else none.

    Parameters
    ----------
    present : frames in which each track has a point, [individual].
    at_once : largest number of tracks in one frame.
    advice : how to join tracks in the tracker.
    """
    if len(names) <= max(at_once, 1):
        return []
    order = np.argsort(-present, kind="stable")
    total = max(int(present.sum()), 1)
    shown = ", ".join(f"{names[i]} {present[i] / total:.0%}" for i in order[: at_once + 3])
    more = f" and {len(names) - at_once - 3} more" if len(names) > at_once + 3 else ""
    return [
        f"{len(names)} tracks, but at most {at_once} at once in a frame: some tracks are fragments of one animal. "
        f"Share of the detections: {shown}{more}. {advice}, or name the tracks to keep as `individuals` of the skeleton"
    ]


def note_gaps(first: int, num_rows: int, num_frames: int) -> list[str]:
    """One note if some frames of a recording are not in the file, else none."""
    if num_rows == num_frames:
        return []
    return [f"first frame number {first}; {num_frames - num_rows} of {num_frames} frames are not in the file: missing"]


def two_dimensions(num_space: int, notes: list[str]) -> None:
    """Note that of three coordinates two are read."""
    if num_space > 2:
        notes.append("3-D tracks: x and y are read, the third coordinate is left out")


def frame_numbers(times: np.ndarray, path: Path, any_steps: bool = False) -> tuple[np.ndarray, float | None]:
    """Frame number of each time in s, counted from 0 s, and the frame rate; None for a single time.

    Parameters
    ----------
    any_steps : irregular times are numbered one after the other, for `frame_times` to keep; otherwise refused.

    Raises
    ------
    InputError
        If times are no numbers, are negative or do not increase, or are irregular.
    """
    steps = np.diff(times)
    if times.size == 0 or times.dtype.kind not in "fiu" or not np.isfinite(times).all():
        raise InputError(f"{path}: its times must be numbers, got {times.dtype} {times[:3].tolist()}")
    if times[0] < 0 or (steps <= 0).any():
        wrong = 0 if times[0] < 0 else int(np.flatnonzero(steps <= 0)[0]) + 1
        raise InputError(f"{path}: its times must increase from 0 on, but time {wrong} is {times[wrong]:g} s")
    if len(times) == 1:
        return np.zeros(1, dtype=np.int64), None
    # The median is the step of a regular recording with gaps; the mean of such steps is free of rounding.
    step = float(np.median(steps))
    near = steps[np.abs(steps - step) < 0.2 * step]
    step = float(near.mean()) if len(near) else step
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.rint(times / step)
        irregular = not (np.diff(numbers) >= 1).all() or numbers[-1] > 1 << 40
    if irregular and any_steps:
        return np.arange(len(times)), 1 / float(np.median(steps))
    if irregular:
        raise InputError(
            f"{path}: its times are irregular, {steps.min():g} to {steps.max():g} s apart: pass a frame rate to "
            "resample it to, e.g. `resample=30`"
        )
    return numbers.astype(np.int64), 1 / step


def measured_times(
    times: np.ndarray, numbers: np.ndarray, rate: float | None, fps: float, path: Path, options: ReadOptions
) -> np.ndarray | None:
    """Time of every frame, float64 [time], s, of a recording that will be resampled.

    None if that is not asked for, or all frames are within a twentieth of a frame of i / fps. Frames that a file lacks
    lie evenly between their neighbors. A frame rate that was passed and contradicts the times says that these are not
    in seconds: regular ones are then not kept.

    Parameters
    ----------
    times, numbers : time in s and frame number of each row, see `frame_numbers`.
    rate : frames per second by these times, or None.
    fps : frame rate of the recording.

    Raises
    ------
    InputError
        If times are irregular, and the frame rate that was passed contradicts them.
    """
    if not options.keep_times or rate is None:
        return None
    if options.fps is not None and abs(options.fps / rate - 1) > _SAME_CLOCK:
        frame_numbers(times, path)
        return None
    frames = np.arange(int(numbers[-1]) + 1)
    # The first frame of the file is at its own time or, rounded to a frame, a little before 0 s.
    before = np.maximum(times[0] - (numbers[0] - frames[: numbers[0]]) / rate, 0)
    every = np.concatenate([before, np.interp(frames[numbers[0] :], numbers, times)])
    return None if np.abs(every * fps - frames).max() < _ON_TIME_FRAMES else every
