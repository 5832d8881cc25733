"""Readers of flat CSV tables with one header row: SimBA's (`Nose_1_x, Nose_1_y, Nose_1_p`) and boxes of body parts.

Boxes: `nose-1-left_x, nose-1-top_y, nose-1-width, nose-1-height` in pixels; the center of a box is the keypoint. A
column `class` holds one behavior per frame as a number, -1 = not annotated.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.reader_helpers import ReadOptions, decoded, read_head
from ssl_behavior.io.track_arrays import empty_tracks, in_order, recording_id, stated_fps
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import choose_skeleton

__all__ = ["FlatTable", "read_boxes", "read_flat", "read_simba", "sniff_boxes", "sniff_simba"]

_BOX = re.compile(r"(.+)-(\w+)-(left_x|top_y|width|height)")
_POINT = re.compile(r"(.+?)(?:_(\d+))?_(x|y|p)", re.IGNORECASE)
_NOTHING = ("", "na", "nan", "n/a", "null", "none", "-")


@dataclass(frozen=True)
class FlatTable:
    """Header and float64 [row, column] of a table; a cell without a number is NaN."""

    header: list[str]
    values: np.ndarray

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """[row, name], NaN where the table has no such column."""
        place = {name: number for number, name in enumerate(self.header)}
        out = np.full((len(self.values), len(names)), np.nan)
        for number, name in enumerate(names):
            if name in place:
                out[:, number] = self.values[:, place[name]]
        return out


def _first_row(path: Path) -> list[str]:
    head = read_head(path).removeprefix(b"\xef\xbb\xbf")
    line = head.partition(b"\n")[0].decode("utf-8", "replace").strip()
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def sniff_boxes(path: Path) -> bool:
    """Whether the header names the left, top, width and height of a body part."""
    found = [match for name in _first_row(path) if (match := _BOX.fullmatch(name))]
    return len({match[3] for match in found}) == 4


def sniff_simba(path: Path) -> bool:
    """Whether the header names the x, y and p of a body part beside each other."""
    header = _first_row(path)
    triples = zip(header, header[1:], header[2:], strict=False)
    return any(a.endswith("_x") and b == f"{a[:-1]}y" and c == f"{a[:-1]}p" for a, b, c in triples)


def read_flat(path: Path) -> FlatTable:
    """A CSV with one header row, plain or gzip.

    Raises
    ------
    InputError
        If it is not text, a column repeats, it has no rows, or a row has another number of cells.
    """
    try:
        text = decoded(path).removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        rows = csv.reader(io.StringIO(text, newline=""))
        header = next(rows, [])
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated:
            raise InputError(f"{path}: the columns {repeated[:5]} occur twice in its header")
        values = [_cells(row, len(header), number, path) for number, row in enumerate(rows, start=2) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: it is not a CSV text ({error}): export it again as UTF-8") from None
    if not values:
        raise InputError(f"{path}: a header without frames")
    return FlatTable(header, np.stack(values))


def _cells(row: list[str], many: int, number: int, path: Path) -> np.ndarray:
    if len(row) != many:
        raise InputError(
            f"{path}: line {number} has {len(row)} cells, the header has {many}: the file is cut off or damaged"
        )
    try:
        return np.array(row, dtype=float)
    except ValueError:
        return np.array([_cell(cell) for cell in row])


def _cell(cell: str) -> float:
    """A number; NaN for text, which other columns may hold."""
    try:
        return np.nan if cell.strip().lower() in _NOTHING else float(cell)
    except ValueError:
        return np.nan


def _rows(table: FlatTable, path: Path) -> np.ndarray:
    """Frame number of each row: the first column if it has no coordinate's name, else the number of the row."""
    first = table.values[:, 0]
    named = _BOX.fullmatch(table.header[0]) or _POINT.fullmatch(table.header[0])
    if named or table.header[0] not in ("", "scorer", "Unnamed: 0", "frame", "frames", "Frame"):
        return np.arange(len(first))
    if not (np.isfinite(first).all() and (first == np.rint(first)).all() and first.min() >= 0):
        raise InputError(f"{path}: its first column must be frame numbers, got {first[:3].tolist()}")
    if (np.diff(first) <= 0).any() or first[-1] > 1e12:
        line = int(np.flatnonzero(np.append(np.diff(first) <= 0, True))[0]) + 3
        raise InputError(f"{path}: frame numbers (first column) must increase, see line {line}; is it cut and joined?")
    return first.astype(np.int64)


def read_simba(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a SimBA table; a number after a body part's name tells the animal.

    Raises
    ------
    InputError
        If the table is damaged, a body part lacks x or y, or `fps` is not given.
    """
    table = read_flat(path)
    found = {name: match for name in table.header if (match := _POINT.fullmatch(name))}
    points = {(m[2] or "", m[1]): name[: -len(m[3])] for name, m in found.items() if m[3] == "x"}
    points = {key: stem for key, stem in points.items() if f"{stem}y" in found}
    animals = list(dict.fromkeys(animal for animal, _ in points))
    bodyparts = list(dict.fromkeys(part for _, part in points))
    notes: list[str] = []
    used = {f"{stem}{end}" for stem in points.values() for end in "xyp"} & set(table.header)
    if len(table.header) - len(used) > 1:
        notes.append(f"left out {len(table.header) - len(used) - 1} columns that are no coordinates")
    arrays = {key: table.columns([f"{stem}x", f"{stem}y", f"{stem}p"]) for key, stem in points.items()}
    scored = any(f"{stem}p" in found for stem in points.values())
    names = [f"animal{animal}" if animal else "animal0" for animal in animals]
    yield _recording(table, arrays, animals, bodyparts, names, scored, {}, notes, path, options, "SimBA table")


def read_boxes(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a table of boxes; the center of a box is the keypoint.

    Raises
    ------
    InputError
        If the table is damaged, a box lacks a side, or `fps` is not given.
    """
    table = read_flat(path)
    boxes = list(dict.fromkeys((m[2], m[1]) for name in table.header if (m := _BOX.fullmatch(name))))
    sides = ("left_x", "top_y", "width", "height")
    lacking = [f"{part}-{a}-{side}" for a, part in boxes for side in sides if f"{part}-{a}-{side}" not in table.header]
    if lacking:
        raise InputError(f"{path}: a box needs left_x, top_y, width and height; it lacks {lacking[:4]}")
    arrays = {}
    for animal, part in boxes:
        box = table.columns([f"{part}-{animal}-{side}" for side in sides])
        center = box[:, :2] + box[:, 2:] / 2
        center[(box[:, 2:] <= 0).all(axis=1)] = np.nan
        arrays[animal, part] = np.concatenate([center, np.full((len(box), 1), np.nan)], axis=1)
    animals = list(dict.fromkeys(animal for animal, _ in boxes))
    bodyparts = list(dict.fromkeys(part for _, part in boxes))
    notes: list[str] = []
    labels = _class_labels(table, path)
    names = [f"mouse{animal}" if animal.isdigit() else animal for animal in animals]
    yield _recording(table, arrays, animals, bodyparts, names, False, labels, notes, path, options, "table of boxes")


def _class_labels(table: FlatTable, path: Path) -> dict[str, np.ndarray]:
    """The column `class` as int [row], if anything is annotated."""
    if "class" not in table.header:
        return {}
    values = table.values[:, table.header.index("class")]
    values = np.where(np.isnan(values), -1, values)
    if (values != np.rint(values)).any() or values.min() < -1 or values.max() > 999:
        raise InputError(f"{path}: the column class must hold whole numbers from -1 on, got {np.unique(values)[:5]}")
    return {"class": values.astype(np.int64)} if (values >= 0).any() else {}


def _recording(
    table: FlatTable, arrays: dict[tuple[str, str], np.ndarray], animals: list[str], bodyparts: list[str],
    names: list[str], scored: bool, labels: dict[str, np.ndarray], notes: list[str], path: Path,
    options: ReadOptions, title: str,
) -> Recording:  # fmt: skip
    rows = _rows(table, path)
    skeleton, order = choose_skeleton(bodyparts, options.skeleton, str(path))
    keypoints, confidence = empty_tracks(int(rows[-1]) + 1, len(animals), len(bodyparts), path, "export fewer frames")
    for (animal, part), values in arrays.items():
        place = animals.index(animal), bodyparts.index(part)
        with np.errstate(over="ignore", invalid="ignore"):
            keypoints[rows, place[0], place[1]] = values[:, :2]
            confidence[rows, place[0], place[1]] = values[:, 2]
    return Recording(
        id=recording_id(path, options),
        keypoints=in_order(keypoints, order),
        confidence=in_order(confidence, order) if scored else None,
        fps=stated_fps(options, None, path, title, notes),
        skeleton=skeleton,
        individuals=tuple(names),
        labels={name: _stream(values, rows, len(keypoints)) for name, values in labels.items()},
        source=str(path),
        notes=tuple(notes),
    )


def _stream(values: np.ndarray, rows: np.ndarray, num_frames: int) -> Labels:
    frames = np.full(num_frames, -1, dtype=np.int64)
    frames[rows] = values
    return Labels(vocabulary=tuple(str(number) for number in range(int(values.max()) + 1)), frames=frames)
