"""Readers of MABe 2022 (mouse triplets, `.npy`) and MABe 2025 (tracks as a long parquet table).

MABe 2022: {"sequences": {name: {"keypoints": [time][3][12][2], "annotations": [task][time]}}, "vocabulary": [task]};
30 frames per second, 850 x 850 px. Copies of it differ in the order of a point, (y, x) or (x, y). A camera above sees
a mouse's left ear on its left, so the ears tell the order.

MABe 2025: columns video_frame, mouse_id, bodypart, x, y. Frame rate and scale are in the data set's `train.csv`, which
is looked for in the folders above the table.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.parquet import is_parquet, open_parquet, parquet_columns
from ssl_behavior.io.pickled_npy import load_pickled_npy, pickle_start
from ssl_behavior.io.reader_helpers import (
    ReadOptions,
    empty_tracks,
    frames_in_file,
    in_order,
    note_gaps,
    recording_id,
    stated_fps,
    to_float32,
)
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import choose_skeleton

__all__ = ["TRIPLET_KEYPOINTS", "read_mabe22", "read_mabe25", "sniff_mabe22", "sniff_mabe25"]

TRIPLET_KEYPOINTS = (
    "nose", "left ear", "right ear", "neck", "left forepaw", "right forepaw", "center back", "left hindpaw",
    "right hindpaw", "tail base", "tail middle", "tail tip",
)  # fmt: skip
"""Documented order of the keypoints; the files do not name them."""

_TRIPLET = (3, 12, 2)
_FPS = 30.0
_RESOLUTION_PX = (850.0, 850.0)
_LAYOUT = "expected MABe 2022 mouse triplets: a dictionary with `sequences` of keypoints [time, 3, 12, 2]"


def sniff_mabe22(path: Path) -> bool:
    """Whether the file is a pickled `.npy` with sequences of three animals and twelve keypoints."""
    start = pickle_start(path)
    numbers = [item for item in start if isinstance(item, int)]
    triplet = any(tuple(numbers[i : i + 3]) == _TRIPLET for i in range(len(numbers)))
    return triplet and "sequences" in start and "keypoints" in start


def read_mabe22(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """Every sequence of the mouse triplets, in the file's order; each task with 0 and 1 is a label stream.

    Raises
    ------
    InputError
        If the pickle holds anything but plain data, is damaged, or is of another layout.
    """
    contents = load_pickled_npy(path, _LAYOUT)
    sequences = contents.get("sequences") if isinstance(contents, Mapping) else None
    if not isinstance(sequences, Mapping) or not sequences:
        raise InputError(f"{path}: it has no sequences; {_LAYOUT}")
    keypoints = {name: _triplet(name, values, path) for name, values in sequences.items()}
    flipped = _is_yx(keypoints.values())
    skeleton, order = choose_skeleton(TRIPLET_KEYPOINTS, options.skeleton, str(path))
    vocabulary = contents.get("vocabulary", [])
    for name, values in keypoints.items():
        notes = ["coordinates are stored as (y, x), as the ears show"] if flipped else []
        yield Recording(
            id=f"{options.prefix}{name}",
            keypoints=in_order(to_float32(values[..., ::-1] if flipped else values), order),
            fps=stated_fps(options, _FPS, path, "MABe file", notes),
            skeleton=skeleton,
            individuals=("mouse1", "mouse2", "mouse3"),
            labels=_task_labels(sequences[name].get("annotations"), vocabulary, len(values), notes),
            source=str(path),
            resolution_px=_RESOLUTION_PX,
            notes=tuple(notes),
        )


def _triplet(name: Any, values: Any, path: Path) -> np.ndarray:
    array = np.asarray(values.get("keypoints") if isinstance(values, Mapping) else None)
    if array.dtype.kind not in "fiu" or array.ndim != 4 or array.shape[1:] != _TRIPLET or not len(array):
        raise InputError(
            f"{path}: the keypoints of {str(name)[:60]!r} must be numbers of shape [time, mouse=3, keypoint=12, 2], "
            f"got {array.dtype} {list(array.shape)}"
        )
    return array


def _is_yx(arrays: Any) -> bool:
    """Whether points are (y, x): as (x, y), the left ears would be on the right side, seen from above."""
    votes = 0.0
    for array in arrays:
        nose, left, right, neck = (array[:, :, k].astype(float) for k in range(4))
        ahead, aside = nose - neck, left - right
        votes += np.nansum(np.sign(ahead[..., 0] * aside[..., 1] - ahead[..., 1] * aside[..., 0]))
    return bool(votes > 0)


def _task_labels(annotations: Any, vocabulary: Any, num_frames: int, notes: list[str]) -> dict[str, Labels]:
    """A stream for each task whose values are 0 and 1 (or missing); other tasks are left out with a note."""
    if annotations is None:
        return {}
    rows = np.asarray(annotations)
    if rows.dtype.kind not in "fiu" or rows.ndim != 2 or rows.shape[1] != num_frames:
        notes.append(f"left out annotations of shape {list(rows.shape)}; expected [task, time={num_frames}]")
        return {}
    names = [str(name) for name in vocabulary] if len(vocabulary) == len(rows) else []
    streams = {}
    for number, row in enumerate(rows):
        name = names[number] if names else f"task{number}"
        known = np.isfinite(row) & (row >= 0)
        if np.isin(row[known], (0, 1)).all() and known.any() and name != "other":
            frames = np.where(known, row, -1).astype(np.int64)
            streams[name] = Labels(vocabulary=("other", name), frames=frames, background="other")
    if len(streams) < len(rows):
        notes.append(f"left out {len(rows) - len(streams)} of {len(rows)} tasks, whose values are not 0 and 1")
    return streams


_COLUMNS = ("video_frame", "mouse_id", "bodypart", "x", "y")
_BATCH_ROWS = 1 << 20
_FRAME_LIMIT = 1 << 40


def sniff_mabe25(path: Path) -> bool:
    """Whether the file is parquet whose columns are those of a track table."""
    return is_parquet(path) and set(_COLUMNS[:3]) <= set(parquet_columns(path))


def read_mabe25(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a long parquet table; a point without a row is missing.

    Raises
    ------
    InputError
        If pyarrow is not installed, the file is damaged, a column is absent or of another kind, it has no rows, or no
        frame rate is known.
    """
    with open_parquet(path) as file:
        keypoints, mice, bodyparts, numbers = _read_rows(file, path)
    notes = note_gaps(int(numbers[0]), len(numbers), len(keypoints))
    metadata = _metadata(path)
    skeleton, order = choose_skeleton(bodyparts, options.skeleton, str(path))
    yield Recording(
        id=recording_id(path, options),
        keypoints=in_order(keypoints, order),
        fps=stated_fps(options, metadata.get("frames_per_second"), path, "MABe table", notes),
        skeleton=skeleton,
        individuals=tuple(f"mouse{mouse}" for mouse in mice),
        source=str(path),
        resolution_px=_size(metadata),
        px_per_cm=metadata.get("pix_per_cm_approx"),
        notes=tuple(notes),
        in_file=frames_in_file(numbers, len(keypoints)),
    )


def _batches(file: Any, path: Path) -> Iterator[tuple[np.ndarray, np.ndarray, Any, np.ndarray]]:
    """Frame, mouse, body part (as a pyarrow dictionary array) and float [row, (x, y)] of a batch of rows."""
    missing = sorted(set(_COLUMNS) - set(file.schema_arrow.names))
    if missing:
        raise InputError(f"{path}: it lacks the columns {missing}; it has {file.schema_arrow.names[:20]}")
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(_COLUMNS)):
        frame, mouse = (batch.column(name).to_numpy(zero_copy_only=False) for name in _COLUMNS[:2])
        parts = batch.column("bodypart")
        parts = parts if hasattr(parts, "dictionary") else parts.dictionary_encode()
        xy = np.stack([batch.column(name).to_numpy(zero_copy_only=False) for name in ("x", "y")], axis=1)
        whole = frame.dtype.kind in "iu" and (not frame.size or (frame.min() >= 0 and frame.max() < _FRAME_LIMIT))
        if not whole or mouse.dtype.kind not in "iu" or xy.dtype.kind not in "fiu" or parts.null_count:
            raise InputError(
                f"{path}: video_frame and mouse_id must be whole numbers, x and y numbers, bodypart text, got "
                f"{[str(kind) for kind in file.schema_arrow.types][:8]}"
            )
        yield frame.astype(np.int64), mouse.astype(np.int64), parts, xy


def _read_rows(file: Any, path: Path) -> tuple[np.ndarray, list[int], list[str], np.ndarray]:
    """Keypoints, mice in numerical order, body parts as they occur, and the frame numbers that occur."""
    mice: set[int] = set()
    bodyparts: dict[str, None] = {}
    seen = np.zeros(0, dtype=np.int64)
    for frame, mouse, parts, _ in _batches(file, path):
        mice.update(np.unique(mouse).tolist())
        bodyparts.update(dict.fromkeys(map(str, parts.dictionary.to_pylist())))
        seen = np.union1d(seen, frame)
    if not len(seen):
        raise InputError(f"{path}: it has no rows; there is nothing to read")
    ordered = sorted(mice)
    keypoints, _ = empty_tracks(int(seen[-1]) + 1, len(ordered), len(bodyparts), path, "write a table for each video")
    place = {name: number for number, name in enumerate(bodyparts)}
    filled = 0
    for frame, mouse, parts, xy in _batches(file, path):
        part = np.array([place[str(name)] for name in parts.dictionary.to_pylist()])[parts.indices.to_numpy()]
        keypoints[frame, np.searchsorted(ordered, mouse), part] = to_float32(xy)
        filled += int(np.isfinite(xy).all(axis=1).sum())
    if filled > np.isfinite(keypoints).all(axis=-1).sum():
        raise InputError(f"{path}: some points of a frame, mouse and body part occur twice; expected one row for each")
    return keypoints, ordered, list(bodyparts), seen


def _metadata(path: Path) -> dict[str, float]:
    """Numbers of the video's row in the data set's `train.csv`, {} if there is none."""
    for folder in list(path.resolve().parents)[:3]:
        table = folder / "train.csv"
        if not table.is_file():
            continue
        with table.open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("video_id") == path.stem:
                    return {name: number for name, text in row.items() if (number := _positive(text)) is not None}
    return {}


def _positive(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


def _size(metadata: dict[str, float]) -> tuple[float, float] | None:
    width, height = metadata.get("video_width_pix"), metadata.get("video_height_pix")
    return (width, height) if width and height else None
