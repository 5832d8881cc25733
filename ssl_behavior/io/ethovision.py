"""Reader of EthoVision XT's raw data as text: one file for each animal.

The first line states the number of header lines; the last two of these name the columns and their units. Points are
columns `X center`, `Y center`, `X nose`, ...; `-` is missing. Text has any encoding and separator.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.delimited import head_text, read_text
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

__all__ = ["read_ethovision", "sniff_ethovision"]

_FIRST = re.compile(r'^"?number of header lines:?"?\s*([;,\t|])\s*"?(\d+)', re.IGNORECASE)
_POINT = re.compile(r"([XY]) (.+)")
_UNITS_PER_CM = {"cm": 1.0, "mm": 10.0, "m": 0.01}


def sniff_ethovision(path: Path) -> bool:
    """Whether the text begins with the number of header lines."""
    return _FIRST.match(head_text(path, 256)) is not None


def read_ethovision(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording, of one animal, of an exported track.

    Raises
    ------
    InputError
        If the header is cut, it has no points, a row has another number of cells, or times are irregular.
    """
    text = read_text(path)
    match = _FIRST.match(text)
    if not match:
        raise InputError(f"{path}: expected EthoVision's first line `Number of header lines`, got {text[:60]!r}")
    lines = text.splitlines()
    separator, many = match[1], int(match[2])
    if many < 3 or len(lines) <= many:
        raise InputError(f"{path}: it should have {many} header lines and then frames, but has {len(lines)} lines")
    header = _cells(lines[: many - 2], separator, path)
    columns, units = (_cells([line], separator, path)[0] for line in lines[many - 2 : many])
    values = _numbers(lines[many:], separator, len(columns), many, path)
    facts = {row[0].rstrip(":").strip().lower(): row[1].strip() for row in header if len(row) > 1}
    yield _recording(columns, units, values, facts, path, options)


def _cells(lines: list[str], separator: str, path: Path) -> list[list[str]]:
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    except csv.Error as error:
        raise InputError(f"{path}: its header is not text with the separator {separator!r} ({error})") from None


def _numbers(lines: list[str], separator: str, many: int, num_header: int, path: Path) -> np.ndarray:
    """float64 [row, column]; NaN for `-` and for text."""
    rows = []
    for number, row in enumerate(_cells(lines, separator, path), start=num_header + 1):
        if not any(row):
            continue
        # A separator at a line's end makes one empty cell more.
        if len(row) not in (many, many + 1, many - 1):
            raise InputError(f"{path}: line {number} has {len(row)} cells, the header has {many}: the file is cut off")
        rows.append([_number(cell) for cell in [*row, ""][:many]])
    if not rows:
        raise InputError(f"{path}: a header without frames")
    return np.array(rows, dtype=float)


def _number(cell: str) -> float:
    """A number with a point or a decimal comma; NaN for anything else."""
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return np.nan


def _recording(
    columns: list[str], units: list[str], values: np.ndarray, facts: dict[str, str], path: Path, options: ReadOptions
) -> Recording:
    points = {match[2] for name in columns if (match := _POINT.fullmatch(name))}
    bodyparts = [name[2:] for name in columns if name[:2] == "X " and name[2:] in points and f"Y {name[2:]}" in columns]
    if not bodyparts:
        raise InputError(f"{path}: it has no columns such as `X center` and `Y center`; it has {columns[:12]}")
    lowered = [name.lower() for name in columns]
    clock = next((lowered.index(name) for name in ("trial time", "recording time") if name in lowered), None)
    if clock is None:
        raise InputError(f"{path}: it has no column `Trial time`; it has {columns[:12]}")
    rows, measured = frame_numbers(values[:, clock], path, options.keep_times, options.fps)
    skeleton, order = choose_skeleton(bodyparts, options.skeleton, str(path))
    keypoints, _ = empty_tracks(int(rows[-1]) + 1, 1, len(bodyparts), path, "export fewer frames")
    for number, part in enumerate(bodyparts):
        place = [columns.index(f"X {part}"), columns.index(f"Y {part}")]
        with np.errstate(over="ignore"):
            keypoints[rows, 0, number] = values[:, place]
    notes = note_gaps(int(rows[0]), len(rows), len(keypoints))
    unit = (units + [""] * len(columns))[columns.index(f"X {bodyparts[0]}")].strip("() ").lower()
    if unit not in ("px", "pixel", "pixels"):
        notes.append(f"coordinates are in {unit or 'an unnamed unit'}, not in pixels; y may point up")
    fps = stated_fps(options, measured, path, "EthoVision file", notes)
    return Recording(
        id=recording_id(path, options),
        keypoints=in_order(keypoints, order),
        fps=fps,
        skeleton=skeleton,
        individuals=(facts.get("subject name") or "animal0",),
        source=str(path),
        px_per_cm=_UNITS_PER_CM.get(unit),
        notes=tuple(notes),
        in_file=frames_in_file(rows, len(keypoints)),
        times=measured_times(values[:, clock], rows, measured, fps, path, options),
    )
