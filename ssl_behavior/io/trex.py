"""Reader of TRex's `.npz`, one file for each individual of a video.

Arrays [row]: `frame`, `time` in s, `missing`, and either the points of a pose (`poseX0`, `poseY0`, ... in px) or body
points: `X`, `Y` (head), `X#wcentroid`, `X#centroid`, `X#pcentroid`, in cm. `cm_per_pixel` turns them back into px;
`frame_rate` and `video_size` are optional. Infinite values mean missing.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.npz import load_arrays, member_names
from ssl_behavior.io.reader_helpers import (
    ReadOptions,
    empty_tracks,
    frame_numbers,
    frames_in_file,
    in_order,
    measured_times,
    note_gaps,
    recording_id,
    stated_fps,
)
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import choose_skeleton

__all__ = ["read_trex", "sniff_trex"]

_CENTERS = {"head": "", "wcentroid": "#wcentroid", "centroid": "#centroid", "pcentroid": "#pcentroid"}
_NAME = re.compile(r"(.+?)_((?:fish|id|bee|fly|mouse|animal)_?\d+)$", re.IGNORECASE)


def sniff_trex(path: Path) -> bool:
    """Whether the file is a zip of `.npy` members with TRex's frames and positions."""
    names = member_names(path)
    return "frame" in names and bool({"X#wcentroid", "poseX0", "X#centroid", "X#pcentroid"} & set(names))


def read_trex(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording, of one individual, of a TRex file.

    Raises
    ------
    InputError
        If the file is damaged, has no frames, an array has another length, or no frame rate is known.
    """
    arrays = load_arrays(path)
    points = _points(arrays)
    frames = arrays.get("frame", np.zeros(0))
    many = len(frames) if frames.ndim == 1 else 0
    if not many or not points:
        raise InputError(
            f"{path}: expected TRex's arrays frame, X#wcentroid and Y#wcentroid, got {sorted(arrays)[:20]}"
        )
    wanted = [name for pair in points.values() for name in pair]
    wrong = [name for name in wanted if arrays[name].shape != (many,) or arrays[name].dtype.kind not in "fiu"]
    if wrong or frames.dtype.kind not in "fiu" or not np.isfinite(frames).all():
        raise InputError(f"{path}: {(wrong or ['frame'])[0]} must be {many} numbers, one for each frame")
    rows = frames.astype(np.int64)
    if (frames < 0).any() or (frames > 1 << 40).any() or (np.diff(rows) < 1).any():
        raise InputError(f"{path}: its frame numbers must increase from 0 on, got {rows[:5].tolist()}")
    skeleton, order = choose_skeleton(list(points), options.skeleton, str(path))
    keypoints, _ = empty_tracks(int(rows[-1]) + 1, 1, len(points), path, "export fewer frames")
    notes = note_gaps(int(rows[0]), many, len(keypoints))
    scale = _scale(arrays, points, notes)
    missing = arrays.get("missing", np.zeros(many)) > 0
    for number, (x, y) in enumerate(points.values()):
        with np.errstate(over="ignore", invalid="ignore"):
            xy = np.stack([arrays[x], arrays[y]], axis=-1).astype(np.float32) / np.float32(scale or 1)
        xy[~np.isfinite(xy).all(axis=1)] = np.nan
        xy[missing if missing.shape == (many,) else slice(0)] = np.nan
        keypoints[rows, 0, number] = xy
    video, individual = _names(path, options)
    fps = stated_fps(options, _rate(arrays, rows, path, options), path, "TRex file", notes)
    yield Recording(
        id=f"{video}/{individual}" if individual != "animal0" else video,
        keypoints=in_order(keypoints, order),
        fps=fps,
        skeleton=skeleton,
        individuals=(individual,),
        source=str(path),
        resolution_px=_size(arrays),
        px_per_cm=1 / scale if scale else None,
        notes=tuple(notes),
        in_file=frames_in_file(rows, len(keypoints)),
        times=_times(arrays, rows, fps, path, options),
    )


def _points(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[str, str]]:
    """Keypoint -> names of its x and y: the pose if there is one, else the points of the body."""
    numbers = sorted(int(name[5:]) for name in arrays if re.fullmatch(r"poseX\d+", name))
    pose = {f"pose{n}": (f"poseX{n}", f"poseY{n}") for n in numbers if f"poseY{n}" in arrays}
    body = {name: (f"X{end}", f"Y{end}") for name, end in _CENTERS.items()}
    return pose or {name: pair for name, pair in body.items() if pair[0] in arrays and pair[1] in arrays}


def _number(arrays: Mapping[str, np.ndarray], name: str) -> float | None:
    value = arrays.get(name, np.zeros(0))
    usable = value.size == 1 and value.dtype.kind in "fiu" and np.isfinite(value).all() and float(value.reshape(())) > 0
    return float(value.reshape(())) if usable else None


def _scale(arrays: Mapping[str, np.ndarray], points: Mapping[str, tuple[str, str]], notes: list[str]) -> float | None:
    """cm per px of coordinates in cm; None for a pose, which is in px, or if unknown."""
    if "pose" in next(iter(points)):
        return None
    scale = _number(arrays, "cm_per_pixel")
    if scale is None:
        notes.append("coordinates are in cm, not in pixels: the file does not state cm_per_pixel")
    return scale


def _rate(arrays: Mapping[str, np.ndarray], rows: np.ndarray, path: Path, options: ReadOptions) -> float | None:
    stated, time = _number(arrays, "frame_rate"), _clock(arrays)
    if stated is not None or time is None:
        return stated
    rate = frame_numbers(time - time[0], path, options.keep_times)[1]
    # Rows are one or more frames apart.
    return None if rate is None else rate * float(np.median(np.diff(rows)))


def _clock(arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Time of each row, s, if the file has usable ones."""
    time, frame = arrays.get("time"), arrays["frame"]
    usable = time is not None and time.shape == frame.shape and time.dtype.kind in "fiu"
    return time if usable else None


def _times(
    arrays: Mapping[str, np.ndarray], rows: np.ndarray, fps: float, path: Path, options: ReadOptions
) -> np.ndarray | None:
    """Measured times of all frames, see `measured_times`; frame 0 is at 0 s.

    A file that lacks frame 0 keeps its times: where its video's clock starts later than at 0 s, only a file with frame
    0 knows. A clock that starts with the file's first row is moved to that frame.
    """
    time = _clock(arrays)
    if time is None or not options.keep_times:
        return None
    frame_numbers(time - time[0], path, any_steps=True)
    rate = float(np.median(np.diff(rows) / np.diff(time))) if len(time) > 1 else None
    start = time[0] if rows[0] == 0 else min(float(time[0]), 0.0)
    first = rows[0] / (rate or fps) if time[0] <= 0 else 0.0
    return measured_times(time - start + first, rows, rate, fps, path, options)


def _size(arrays: Mapping[str, np.ndarray]) -> tuple[float, float] | None:
    size = arrays.get("video_size", np.zeros(0))
    usable = size.shape == (2,) and size.dtype.kind in "fiu" and np.isfinite(size).all() and (size > 0).all()
    return (float(size[0]), float(size[1])) if usable else None


def _names(path: Path, options: ReadOptions) -> tuple[str, str]:
    """Video and individual, from the file's name: night_fish3.npz -> night, fish3."""
    name = recording_id(path, options)
    match = _NAME.fullmatch(name)
    return (match[1], match[2]) if match else (name, "animal0")
