"""What DeepLabCut's CSV and H5 files have in common: a table of columns (individual, body part, coordinate)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.names import choose_skeleton
from ssl_behavior.io.options import ReadOptions
from ssl_behavior.io.source import id_from_name, to_float32
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS, Skeleton

__all__ = ["DOCUMENTED_BACKGROUND", "DOCUMENTED_FPS", "Column", "DlcTable", "table_to_recording"]

Column = tuple[str, str, str]
"""Individual ("" in single-animal files), body part, and x, y or likelihood."""

DOCUMENTED_FPS = {"rat_dyads": 30.0}
"""Skeletons whose recordings have one documented frame rate; a file must name exactly their keypoints."""

DOCUMENTED_BACKGROUND = {"rat_dyads": {"S2": "base"}}
"""Skeleton -> stream -> the behaviour that means "nothing of interest" there (in S1, `base` is a behaviour)."""

_COORDS = ("x", "y", "likelihood")
_UNIQUE = "single"
"""DeepLabCut's word for the body parts that belong to no animal (corners of the arena)."""
_MAX_GAP = 10_000


@dataclass(frozen=True)
class DlcTable:
    """A DeepLabCut file, read but not yet understood.

    `columns` : what each column holds; `frames` : frame number of each row; `values` : float64 [row, column].
    """

    columns: Sequence[Column]
    frames: np.ndarray
    values: np.ndarray


def table_to_recording(table: DlcTable, path: Path, options: ReadOptions) -> Recording:
    """Put every number at its frame, individual and keypoint; what the table does not have is missing.

    Rows are placed by their frame number: a table that starts at frame 1 gives a recording whose frame 0 is
    missing, so that annotations by frame number stay aligned.

    Raises
    ------
    InputError
        If coordinates other than x, y, likelihood occur, frame numbers repeat or jump, or fps is not known.
    """
    notes: list[str] = []
    individuals = _individuals(table.columns, path, options)
    bodyparts = _bodyparts(table.columns, individuals)
    skeleton, order = choose_skeleton(bodyparts, options.skeleton, str(path))
    chosen = [bodyparts[i] for i in order]
    if len(chosen) < len(bodyparts):
        notes.append(f"body parts left out, not in the skeleton: {sorted(set(bodyparts) - set(chosen))}")
    rows = _placed(table.frames, path, notes)
    index = {column: i for i, column in enumerate(table.columns)}
    arrays = _arrays(table.values, rows, [[[(a, b, c) for c in _COORDS] for b in chosen] for a in individuals], index)
    keypoints, confidence = arrays[..., :2], arrays[..., 2]
    return Recording(
        id=id_from_name(path, options.prefix),
        keypoints=np.ascontiguousarray(keypoints),
        confidence=np.ascontiguousarray(confidence) if any(c[2] == "likelihood" for c in table.columns) else None,
        fps=_fps(options, skeleton, chosen, path, notes),
        skeleton=skeleton,
        individuals=tuple(name or "animal0" for name in individuals),
        source=str(path),
        notes=tuple(notes),
    )


def _individuals(columns: Sequence[Column], path: Path, options: ReadOptions) -> list[str]:
    unknown = sorted({c[2] for c in columns} - set(_COORDS))
    if unknown or not columns:
        raise InputError(f"{path}: expected the coordinates x, y and likelihood, got {unknown or 'no columns'}")
    if len(set(columns)) < len(columns):
        raise InputError(f"{path}: a column occurs twice in its header")
    names = list(dict.fromkeys(c[0] for c in columns))
    if len(names) > 1 and _UNIQUE in names:
        options.notice(f"{path}: left out the body parts that belong to no animal ({_UNIQUE!r})")
        names.remove(_UNIQUE)
    return names


def _bodyparts(columns: Sequence[Column], individuals: list[str]) -> list[str]:
    return list(dict.fromkeys(c[1] for c in columns if c[0] in individuals))


def _placed(frames: np.ndarray, path: Path, notes: list[str]) -> np.ndarray:
    """Row of each table row in the recording: its frame number, checked."""
    if len(frames) == 0:
        raise InputError(f"{path}: a header and no frames")
    first, last = int(frames.min()), int(frames.max())
    if first < 0 or len(np.unique(frames)) < len(frames):
        raise InputError(f"{path}: frame numbers (first column) must be 0 or more and differ, got {_odd(frames)}")
    absent = last + 1 - len(frames)
    if absent > _MAX_GAP + 10 * len(frames):
        raise InputError(f"{path}: {len(frames)} rows, but frame numbers (first column) up to {last}; is it cut off?")
    if absent:
        notes.append(f"first frame number {first}; {absent} of {last + 1} frames have no row and are missing")
    return frames


def _odd(frames: np.ndarray) -> int:
    if frames.min() < 0:
        return int(frames.min())
    values, counts = np.unique(frames, return_counts=True)
    return int(values[counts > 1][0])


def _arrays(
    values: np.ndarray, rows: np.ndarray, wanted: list[list[list[Column]]], index: dict[Column, int]
) -> np.ndarray:
    """float32 [time, individual, keypoint, (x, y, likelihood)], NaN where the table has no such column or row."""
    positions = np.array([[[index.get(c, -1) for c in triple] for triple in animal] for animal in wanted])
    out = np.full((int(rows.max()) + 1, *positions.shape), np.nan, dtype=np.float32)
    with_nan = np.concatenate([to_float32(values), np.full((len(values), 1), np.nan, dtype=np.float32)], axis=1)
    out[rows] = with_nan[:, positions]
    return out


def _fps(options: ReadOptions, skeleton: Skeleton, chosen: list[str], path: Path, notes: list[str]) -> float:
    if options.fps is not None:
        return options.fps
    documented = DOCUMENTED_FPS.get(skeleton.name)
    if documented is None or skeleton != SKELETONS[skeleton.name] or tuple(chosen) != skeleton.keypoints:
        raise InputError(
            f"{path}: DeepLabCut files do not say how many frames a second has; give it with --fps, e.g. --fps 30"
        )
    notes.append(f"fps {documented:g} assumed: the {skeleton.name} recordings' documented rate; --fps changes it")
    return documented
