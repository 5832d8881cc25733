"""Readers of flat CSV tables with one header row: coordinates of body parts, and boxes of body parts.

Coordinates: `Nose_1_x, Nose_1_y, Nose_1_p` as SimBA writes them, where the number is the animal's, or any names that
end in `_x`, `_y` and, if there is one, `_p`, `_likelihood`, `_confidence` or `_score`; a DeepLabCut table whose header
rows were joined to one is such a table (`m1_nose_x`).

Boxes: `nose-1-left_x, nose-1-top_y, nose-1-width, nose-1-height` in pixels; the center of a box is the keypoint. A
column `class` holds one behavior per frame as a number, -1 = not annotated.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_behavior.body_parts import all_usual, animal_and_rest
from ssl_behavior.errors import InputError
from ssl_behavior.io.delimited import detect_dialect, head_text, read_text
from ssl_behavior.io.reader_helpers import ReadOptions, empty_tracks, in_order, recording_id, stated_fps
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import choose_skeleton

__all__ = ["FlatTable", "read_boxes", "read_flat", "read_simba", "sniff_boxes", "sniff_simba"]

_BOX = re.compile(r"(.+)-(\w+)-(left_x|top_y|width|height)")
_POINT = re.compile(r"(.+)[_. ](x|y|p|likelihood|confidence|score|prob|conf)", re.IGNORECASE)
_NUMBERED = re.compile(r"(.+)_(\d+)")
_FRAME_COLUMNS = ("", "scorer", "unnamed: 0", "frame", "frames", "index", "bodyparts_coords")
_MIN_SHARED = 0.5
"""Share of the body parts that numbered animals must have in common."""
_COMMA_NUMBER = re.compile(r"\s*[-+]?\d+,\d+(?:[eE][-+]?\d+)?\s*")
_POINT_NUMBER = re.compile(r"(?<![\w.])\d+\.\d")


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
            if name and name in place:
                out[:, number] = self.values[:, place[name]]
        return out


def _first_row(path: Path) -> list[str]:
    return next(_split(head_text(path)), [])


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends; unlike `io.StringIO`, no copy of the text in four bytes a letter."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _split(text: str) -> Iterator[list[str]]:
    """Rows of cells, whatever separates them; empty columns at the end of the header are cut off.

    Raises
    ------
    InputError
        If a row is no row of cells.
    """
    dialect = detect_dialect(text.split("\n", _LOOK_LINES)[:_LOOK_LINES])
    lines = text.split("\n", dialect.skipped)[-1]
    rows = csv.reader(_lines(lines), delimiter=dialect.separator)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        while header and not header[-1]:
            header.pop()
        yield header
        yield from rows
    except csv.Error as error:
        raise InputError(f"it is not a table of text ({error}): export it again as UTF-8 with commas") from None


_LOOK_LINES = 20


@dataclass
class _Point:
    """Columns of a body part: names of its x, y and score ("" for none)."""

    x: str = ""
    y: str = ""
    score: str = ""


def _points(header: Sequence[str]) -> dict[str, _Point]:
    """Name of a point -> its columns, for points with x and y."""
    found: dict[str, _Point] = {}
    for name in header:
        if match := _POINT.fullmatch(name):
            end = match[2].lower()
            setattr(found.setdefault(match[1], _Point()), end if end in ("x", "y") else "score", name)
    return {name: point for name, point in found.items() if point.x and point.y}


def _animals(names: Sequence[str]) -> dict[tuple[str, str], str]:
    """(Animal, body part) -> name of the point; the animal is "" where the numbers of the names are no animals'."""
    numbered = {name: match for name in names if (match := _NUMBERED.fullmatch(name))}
    parts: dict[str, set[str]] = {}
    for match in numbered.values():
        parts.setdefault(match[2], set()).add(match[1])
    every = parts.values()
    if len(numbered) == len(names) and len(set.intersection(*every)) >= _MIN_SHARED * len(set.union(*every)):
        return {(match[2], match[1]): name for name, match in numbered.items()}
    return {("", name): name for name in names}


def sniff_boxes(path: Path) -> bool:
    """Whether the header names the left, top, width and height of a body part."""
    found = [match for name in _header(path) if (match := _BOX.fullmatch(name))]
    return len({match[3] for match in found}) == 4


def sniff_simba(path: Path) -> bool:
    """Whether the header names the x, y and score of a point, or x and y of several, a body part among them, alone."""
    header = _header(path)
    points = _points(header)
    if any(point.score for point in points.values()):
        return True
    others = [name for name in header[1:] if not _POINT.fullmatch(name)]
    first = header[:1] and header[0].lower() in _FRAME_COLUMNS
    alone = len(points) > 1 and not others and bool(first or _POINT.fullmatch(header[0]))
    return alone and any(_is_body_part(name) for name in points)


def _is_body_part(name: str) -> bool:
    """Whether a name, or what it has beside an animal's name, is one that body parts usually have."""
    divided = animal_and_rest(name)
    return all_usual([name]) or (divided is not None and all_usual([divided[1]]))


def _header(path: Path) -> list[str]:
    try:
        return _first_row(path)
    except InputError:
        return []


def read_flat(path: Path) -> FlatTable:
    """A CSV with one header row, plain or gzip, in any encoding and dialect.

    Raises
    ------
    InputError
        If it is not text, a column repeats, it has no rows, a row has another number of cells, or commas and points
        both occur in numbers.
    """
    text = read_text(path)
    try:
        rows = _split(text)
        header = next(rows, [])
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated:
            raise InputError(f"the columns {repeated[:5]} occur twice in its header")
        values, with_commas = np.empty((text.count("\n") + 1, len(header))), False
        count = 0
        for number, row in enumerate(rows, start=2):
            if any(row):
                values[count], has_comma = _cells(row, len(header), number)
                count, with_commas = count + 1, with_commas or has_comma
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if not count:
        raise InputError(f"{path}: a header without frames")
    if with_commas and (mixed := _POINT_NUMBER.search(text)):
        raise InputError(
            f"{path}: its numbers have commas and points ({text[max(0, mixed.start() - 9) : mixed.end() + 9]!r}); one "
            "of them is the decimal mark: export the table with decimal points and without marks for thousands"
        )
    return FlatTable(header, values[:count])


def _cells(row: list[str], many: int, number: int) -> tuple[np.ndarray, bool]:
    """Numbers of a row, and whether one of them has a decimal comma."""
    if len(row) > many and not any(cell.strip() for cell in row[many:]):
        row = row[:many]
    if len(row) != many:
        raise InputError(f"line {number} has {len(row)} cells, the header has {many}: the file is cut off or damaged")
    try:
        return np.array(row, dtype=float), False
    except ValueError:
        commas = any(_COMMA_NUMBER.fullmatch(cell) for cell in row)
        return np.array([_cell(cell) for cell in row]), commas


def _cell(cell: str) -> float:
    """A number, with a point or a decimal comma; NaN for text, which other columns may hold."""
    try:
        return float(cell.replace(",", ".") if _COMMA_NUMBER.fullmatch(cell) else cell)
    except ValueError:
        return np.nan


def _rows(table: FlatTable, path: Path) -> np.ndarray:
    """Frame number of each row: the first column if it has no coordinate's name, else the number of the row."""
    first = table.values[:, 0]
    named = _BOX.fullmatch(table.header[0]) or _POINT.fullmatch(table.header[0])
    if named or table.header[0].lower() not in _FRAME_COLUMNS:
        return np.arange(len(first))
    if not (np.isfinite(first).all() and (first == np.rint(first)).all() and first.min() >= 0):
        raise InputError(f"{path}: its first column must be frame numbers, got {first[:3].tolist()}")
    if (np.diff(first) <= 0).any() or first[-1] > 1e12:
        line = int(np.flatnonzero(np.append(np.diff(first) <= 0, True))[0]) + 3
        raise InputError(f"{path}: frame numbers (first column) must increase, see line {line}; is it cut and joined?")
    return first.astype(np.int64)


def read_simba(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a flat table of coordinates; a number after every body part's name tells the animal.

    Raises
    ------
    InputError
        If the table is damaged, no body part has x and y, or `fps` is not given.
    """
    table = read_flat(path)
    points = _points(table.header)
    if not points:
        raise InputError(f"{path}: expected columns such as nose_x and nose_y, got {table.header[:12]}")
    owners = _animals(list(points))
    animals = list(dict.fromkeys(animal for animal, _ in owners))
    bodyparts = list(dict.fromkeys(part for _, part in owners))
    used = {column for point in points.values() for column in (point.x, point.y, point.score)} - {""}
    others = len(table.header) - len(used) - (table.header[0].lower() in _FRAME_COLUMNS)
    notes = [f"left out {others} columns that are no coordinates"] if others else []
    arrays = {key: table.columns([points[name].x, points[name].y, points[name].score]) for key, name in owners.items()}
    scored = any(point.score for point in points.values())
    names = [f"animal{animal}" if animal else "animal0" for animal in animals]
    yield _recording(table, arrays, animals, bodyparts, names, scored, {}, notes, path, options, "flat table")


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
