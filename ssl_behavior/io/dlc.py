"""Readers of DeepLabCut tracks: CSV (plain or gzip) and H5, for one animal or several.

Both hold a table of columns (individual, body part, coordinate). A CSV has three header rows for one animal, four for
several. An H5 is a pandas table in one of two layouts, read without pandas or pytables. "fixed": the columns' levels
lie in `block<i>_items_level<j>` / `_label<j>`, the numbers in `block<i>_values`. "table": one compound dataset `table`;
its column names are a pickle in an attribute, read by the restricted reader.
"""

import csv
import io
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.delimited import Dialect, decode_text, detect_dialect, plain_numbers, split_rows, trim_columns
from ssl_behavior.io.hdf5 import HDF5_FAILURES, is_hdf5
from ssl_behavior.io.pickled_npy import load_plain_pickle
from ssl_behavior.io.reader_helpers import (
    ReadOptions,
    check_file,
    decoded,
    id_from_name,
    read_head,
    to_float32,
    two_dimensions,
)
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS, Skeleton, choose_skeleton

__all__ = [
    "DOCUMENTED_BACKGROUND",
    "DOCUMENTED_FPS",
    "Column",
    "DlcTable",
    "csv_without_tracks",
    "h5_without_tracks",
    "read_dlc_csv",
    "read_dlc_h5",
    "sniff_dlc_csv",
    "sniff_dlc_h5",
    "table_to_recording",
    "write_dlc_csv",
]

Column = tuple[str, str, str]
"""Individual ("" in single-animal files), body part, and x, y or likelihood."""

DOCUMENTED_FPS = {"rat_dyads": 30.0}
"""Skeletons whose recordings have one documented frame rate; a file must name exactly their keypoints."""

DOCUMENTED_BACKGROUND = {"rat_dyads": {"S2": "base"}}
"""Skeleton -> stream -> the behavior that means "nothing of interest" there (in S1, `base` is a behavior)."""

LABELED_FRAMES = "labeled-frames table"
"""Kind of DeepLabCut's CollectedData files."""

_COORDS = ("x", "y", "likelihood")
_THIRD = "z"
"""Of DeepLabCut's 3-D tables."""
_KNOWN_COORDS = {*_COORDS, _THIRD}
_IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_ONLY_LABELED = (
    "labeled frames (images with points placed by hand, as in DeepLabCut's CollectedData), not tracks of a video; give "
    "the tracker's output, which is named <video>DLC_<network>..."
)
_OTHER_TABLE = (
    "a pandas table in another layout than DeepLabCut's, which is a frame of (scorer, (individual,) bodypart, coord)"
)
_HEAD_BYTES = 1 << 22
_MOST_HEADER_LINES = 9
_BLANK_LINES = re.compile(r"^[ \t]*\n", re.MULTILINE)
_LABELS = {3: ["scorer", "bodyparts", "coords"], 4: ["scorer", "individuals", "bodyparts", "coords"]}
"""First cells of the header rows, by their number."""
_UNIQUE = "single"
"""DeepLabCut's word for the body parts that belong to no animal (corners of the arena)."""
_MAX_GAP = 10_000


@dataclass(frozen=True)
class DlcTable:
    """Raw table of a DeepLabCut file.

    `columns` : name of each column; `frames` : frame number of each row; `values` : float64 [row, column].
    """

    columns: Sequence[Column]
    frames: np.ndarray
    values: np.ndarray


def table_to_recording(
    table: DlcTable, path: Path, options: ReadOptions, reader_notes: Sequence[str] = ()
) -> Recording:
    """Recording from a table; frames and columns that the table lacks are missing (NaN).

    Rows are placed by their frame number: a table that starts at frame 1 gives a recording whose frame 0 is
    missing, so that annotations by frame number stay aligned.

    Raises
    ------
    InputError
        If coordinates other than x, y, z, likelihood occur, frame numbers repeat or jump, or fps is not known.
    """
    notes = list(reader_notes)
    two_dimensions(3 if any(column[2] == _THIRD for column in table.columns) else 2, notes)
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
    unknown = sorted({c[2] for c in columns} - _KNOWN_COORDS)
    if unknown or not columns:
        raise InputError(f"{path}: expected the coordinates x, y and likelihood, got {unknown or 'no columns'}")
    if len(set(columns)) < len(columns):
        raise InputError(f"{path}: a column occurs twice in its header")
    names = list(dict.fromkeys(c[0] for c in columns))
    chosen = (*options.individuals, *(options.skeleton.individuals if options.skeleton else ()))
    if len(names) > 1 and _UNIQUE in names and _UNIQUE not in chosen:
        options.notice(
            f"{path}: left out the body parts that belong to no animal ({_UNIQUE!r}); `individuals` takes them as one"
        )
        names.remove(_UNIQUE)
    return names


def _bodyparts(columns: Sequence[Column], individuals: list[str]) -> list[str]:
    return list(dict.fromkeys(c[1] for c in columns if c[0] in individuals))


def _placed(frames: np.ndarray, path: Path, notes: list[str]) -> np.ndarray:
    """Row of each table row in the recording: its frame number, checked."""
    if len(frames) == 0:
        raise InputError(f"{path}: a header without frames")
    first, last = int(frames.min()), int(frames.max())
    if first < 0 or len(np.unique(frames)) < len(frames):
        raise InputError(f"{path}: frame numbers (first column) must be distinct and 0 or more, got {_odd(frames)}")
    absent = last + 1 - len(frames)
    if absent > _MAX_GAP + 10 * len(frames):
        is_clip = last + 1 - first == len(frames)
        advice = f"if it is a clip of a longer video, number its rows from 0, as its own video's ({first} becomes 0)"
        raise InputError(
            f"{path}: {len(frames)} rows, but frame numbers (first column) up to {last}; "
            + (advice if is_clip else "is it cut off?")
        )
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
        raise InputError(f"{path}: DeepLabCut files do not contain the frame rate; pass it as `fps`, e.g. `fps=30`")
    notes.append(f"fps {documented:g} assumed: the {skeleton.name} recordings' documented rate; `fps` changes it")
    return documented


_BOM = b"\xef\xbb\xbf"
_NUMBER_BYTES = np.zeros(256, dtype=bool)
_NUMBER_BYTES[list(b"0123456789.,+-eE \tnaNAifI\n")] = True
"""Digits, separators, and the letters of nan and inf."""


@dataclass(frozen=True)
class _Header:
    """Header rows of a table.

    `columns` : of the number columns; `first_row` : number of lines before the first row of numbers.
    """

    columns: list[Column]
    first_row: int
    dialect: Dialect


def sniff_dlc_csv(path: Path) -> bool:
    """Whether the first rows are headed scorer, (individuals,) bodyparts, coords, whatever separates their cells."""
    try:
        return _labeled_rows(_first_lines(path, 1 << 16)) is not None
    except InputError:
        return False


def _first_lines(path: Path, size: int) -> list[str]:
    """Lines at the beginning of a text file; more than `size` bytes where header rows are longer."""
    head = read_head(path, size)
    lines = _BLANK_LINES.sub("", decode_text(head, str(path), is_head=True).text).split("\n")
    if len(lines) <= _MOST_HEADER_LINES and len(head) == size < _HEAD_BYTES:
        return _first_lines(path, _HEAD_BYTES)
    return lines[:_MOST_HEADER_LINES]


def _labeled_rows(lines: Sequence[str]) -> tuple[list[list[str]], Dialect] | None:
    """Header rows scorer, (individuals,) bodyparts, coords, and the dialect; None if the lines are no such rows.

    Rows without their labels (pandas leaves them out where levels have no names) are known by the row of x and y.
    """
    dialect = detect_dialect(lines)
    rows = list(split_rows(lines[dialect.skipped : dialect.skipped + 4], dialect.separator))
    for number, row in enumerate(rows[2:], start=3):
        labels = [cells[0].lower() if cells else "" for cells in rows[:number]]
        coords = {cell.lower() for cell in row[1:]} - {""}
        if labels == _LABELS[number] or (not any(labels) and coords and coords <= _KNOWN_COORDS):
            return rows[:number], dialect
    return None


def csv_without_tracks(path: Path) -> str:
    """Kind of a CSV with DeepLabCut's header rows that holds no tracks of a video; "" if it may hold them.

    CollectedData files (labeled frames) name images in the first column; skeleton files have lengths of edges.
    """
    lines = _first_lines(path, 1 << 16)
    try:
        if _is_labeled_frames(lines):
            return LABELED_FRAMES
        return "" if {c[2] for c in _header(lines, path).columns} & {"x", "y"} else "table"
    except InputError:
        return ""


def _is_labeled_frames(lines: Sequence[str]) -> bool:
    """Whether the first row of numbers names an image in its first cells."""
    found = _labeled_rows(lines)
    if found is None:
        return False
    rows, dialect = found
    first = dialect.skipped + len(rows)
    return any(_names_image(row[:3]) for row in split_rows(lines[first : first + 2], dialect.separator))


def _names_image(cells: Sequence[str]) -> bool:
    """Whether a row's name is the path of an image, or its parts."""
    return any(cell.startswith("labeled-data") or cell.lower().endswith(_IMAGE_ENDINGS) for cell in cells)


def read_dlc_csv(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a DeepLabCut CSV, also of one that a spreadsheet wrote (`ssl_behavior.io.delimited`).

    Empty cells and words such as NA are missing; likelihood is kept and masks nothing.

    Raises
    ------
    InputError
        If a row has another number of cells than the header, a cell is no number; and as `table_to_recording`.
    """
    content = decoded(path)
    columns, values, first_line, notes = _read_plain(content, path) or _read_any(content, path)
    has_cells = np.flatnonzero(~np.isnan(values).all(axis=1))
    values = values[: has_cells[-1] + 1 if len(has_cells) else 0]
    frames = values[:, 0]
    whole = np.isfinite(frames) & (frames == np.floor(frames)) & (np.abs(frames) < 1e12)
    if not whole.all():
        row = int(np.flatnonzero(~whole)[0])
        raise InputError(
            f"{path}: line {row + first_line} begins with {frames[row]:g}; expected a whole frame number, not a time: "
            "number the rows from 0"
        )
    yield table_to_recording(DlcTable(columns, frames.astype(np.int64), values[:, 1:]), path, options, notes)


_Parsed = tuple[list[Column], np.ndarray, int, tuple[str, ...]]
"""Columns, values float64 [row, frame number and columns], line of the first row (from 1), notes."""


def _read_plain(content: bytes, path: Path) -> _Parsed | None:
    """A table as DeepLabCut writes it, read fast; None for any other."""
    content = content.removeprefix(_BOM)
    if not content.startswith(b"scorer,"):
        return None
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        lines = [line.decode("utf-8") for line in content[:_HEAD_BYTES].split(b"\n")[:_MOST_HEADER_LINES]]
        header = _header(lines, path)
        start = sum(len(line.encode()) + 1 for line in lines[: header.first_row])
        values = _parse(content[start:], len(header.columns) + 1, header.first_row, path)
    except (InputError, UnicodeDecodeError):
        return None
    return header.columns, values, header.first_row + 1, ()


def _read_any(content: bytes, path: Path) -> _Parsed:
    """A table in any encoding and dialect; several times slower."""
    decoded_text = decode_text(content, str(path))
    text = _BLANK_LINES.sub("", decoded_text.text)
    lines = text.split("\n", _MOST_HEADER_LINES)
    if _is_labeled_frames(lines):
        raise InputError(f"{path}: {_ONLY_LABELED}")
    header = _header(lines, path)
    body = text.split("\n", header.first_row)
    numbers = body[-1].encode() if len(body) > header.first_row else b""
    plain = plain_numbers(numbers, header.dialect.separator, str(path))
    plain = trim_columns(plain, len(header.columns) + 1)
    values = _parse(plain, len(header.columns) + 1, header.first_row, path)
    notes = [f"text read as {decoded_text.encoding}"] * (decoded_text.encoding != "utf-8")
    if header.dialect.separator != ",":
        notes.append(f"cells separated by {header.dialect.separator!r}")
    return header.columns, values, header.first_row + 1, tuple(notes)


def _header(lines: Sequence[str], path: Path) -> _Header:
    """Columns of a table, from its first lines.

    Raises
    ------
    InputError
        If the lines are no header rows, or the rows have unequal numbers of cells.
    """
    found = _labeled_rows(lines)
    if found is None:
        raise InputError(f"{path}: expected header rows scorer, (individuals,) bodyparts, coords")
    rows, dialect = found
    rows = [_without_empty_end(row) for row in rows]
    if len({len(row) for row in rows}) != 1:
        raise InputError(f"{path}: its header rows have {[len(row) for row in rows]} cells; they must be equal")
    animals = rows[1][1:] if len(rows) == 4 else [""] * (len(rows[-1]) - 1)
    coords = [cell.lower() if cell.lower() in _KNOWN_COORDS else cell for cell in rows[-1][1:]]
    first_row = dialect.skipped + len(rows)
    # pandas writes the name of the index in a row of its own.
    cells = next(split_rows(lines[first_row : first_row + 1], dialect.separator), []) or [""]
    first_row += cells[0].isidentifier() and not any(cells[1:])
    return _Header(list(zip(animals, rows[-2][1:], coords, strict=True)), first_row, dialect)


def _without_empty_end(row: Sequence[str]) -> list[str]:
    """A row without the empty cells at its end."""
    return list(row[: max((number for number, cell in enumerate(row, start=1) if cell), default=0)])


def _parse(body: bytes, num_cells: int, header_rows: int, path: Path) -> np.ndarray:
    """Parse cells to float64 [row, cell]; several times as fast as numpy's text readers."""
    body = body.rstrip(b"\n") + b"\n"
    if body == b"\n":
        return np.empty((0, num_cells))
    raw = np.frombuffer(body, dtype=np.uint8)
    line_ends = np.flatnonzero(raw == ord("\n"))
    commas = np.diff(np.searchsorted(np.flatnonzero(raw == ord(",")), line_ends), prepend=0)
    if (commas != num_cells - 1).any():
        row = int(np.flatnonzero(commas != num_cells - 1)[0])
        raise InputError(
            f"{path}: line {row + header_rows + 1} has {commas[row] + 1} cells, the header has {num_cells}: "
            "the file is cut off or damaged"
        )
    if not _NUMBER_BYTES[raw].all():
        raise InputError(f"{path}: {_bad_cell(body, header_rows)}")
    # Each empty cell becomes "nan"; twice, because neighboring ones share a comma.
    text = body[:-1].replace(b"\n", b",").replace(b",,", b",nan,").replace(b",,", b",nan,")
    text = (b"nan" if text.startswith(b",") else b"") + text + (b"nan" if text.endswith(b",") else b"")
    return _numbers(text, len(line_ends), num_cells, body, header_rows, path)


def _numbers(text: bytes, num_rows: int, num_cells: int, body: bytes, header_rows: int, path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        # numpy stops at the first cell that is no number, and only warns.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text.decode("ascii"), sep=",").reshape(num_rows, num_cells)
        except (ValueError, DeprecationWarning):
            pass
    raise InputError(f"{path}: {_bad_cell(body, header_rows)}")


def _bad_cell(body: bytes, header_rows: int) -> str:
    for number, line in enumerate(body.split(b"\n"), start=header_rows + 1):
        for column, cell in enumerate(line.split(b","), start=1):
            try:
                float(cell or b"nan")
            except ValueError:
                return f"line {number}, cell {column} is {cell[:40].decode(errors='replace')!r}; expected a number"
    return "a cell is not a number"


def sniff_dlc_h5(path: Path) -> bool:
    """Whether the file is HDF5 with a pandas table."""
    if not is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            return bool(_table_names(file))
    except HDF5_FAILURES:
        return False


def _table_names(file: h5py.File) -> list[str]:
    kinds = {name: file[name].attrs.get("pandas_type", b"") for name in file}
    return [
        name for name, kind in kinds.items() if b"frame" in (kind if isinstance(kind, bytes) else str(kind).encode())
    ]


def h5_without_tracks(path: Path) -> str:
    """Kind of a pandas H5 without tracks of a video, such as features or labeled frames; "" if it may hold them."""
    try:
        with h5py.File(path, "r") as file:
            names = _table_names(file)
            if len(names) != 1:
                return "HDF5 file"
            group = file[names[0]]
            if _names_image(_row_names(group)):
                return LABELED_FRAMES
            columns = _table_columns(group, path) if "table" in group else _fixed_columns(group, path)
            return "" if {c[2] for c in columns} & {"x", "y"} else "HDF5 file"
    except (InputError, KeyError, AttributeError):
        return "HDF5 file"
    except HDF5_FAILURES:
        return ""  # Damage: the reader says it.


def _row_names(group: h5py.Group) -> list[str]:
    """The parts of the name of one row, where rows have names and not frame numbers; else empty."""
    found: list[Any] = []
    if "table" in group:
        row = group["table"][:1]
        kinds = [name for name in row.dtype.names or () if row.dtype[name].base.kind in "SO"]
        found = [part for name in kinds for part in np.ravel(row[name])[:3]]
    else:
        levels = [name for name in group if name == "axis1" or name.startswith("axis1_level")]
        found = [part for name in sorted(levels) if group[name].dtype.kind in "SO" for part in group[name][:1]]
    return [part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part) for part in found]


def read_dlc_h5(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a DeepLabCut H5, single or multi-animal.

    Raises
    ------
    InputError
        If the file is damaged, holds no table or several, or a column is not numbers; and as `table_to_recording`.
    """
    check_file(path)
    try:
        with h5py.File(path, "r") as file:
            names = _table_names(file)
            if len(names) != 1:
                raise InputError(f"{path}: expected one pandas table in the file, got {names or 'none'}")
            group = file[names[0]]
            if _names_image(_row_names(group)):
                raise InputError(f"{path}: {_ONLY_LABELED}")
            table = _read_table(group, path) if "table" in group else _read_fixed(group, path)
    except InputError:
        raise
    except (KeyError, AttributeError) as error:
        raise InputError(f"{path}: {_OTHER_TABLE} ({error})"[:400]) from None
    except HDF5_FAILURES as error:
        raise InputError(f"{path}: damaged HDF5 file ({error}): copy or export it again"[:400]) from None
    yield table_to_recording(table, path, options)


def _read_fixed(group: h5py.Group, path: Path) -> DlcTable:
    if "axis1" not in group and "axis1_level0" in group:
        raise InputError(f"{path}: its rows are named {_row_names(group)}; expected frame numbers")
    blocks = [group[f"block{block}_values"][()] for block in range(int(group.attrs["nblocks"]))]
    return _checked(_fixed_columns(group, path), group["axis1"][()], np.concatenate(blocks, axis=1), path)


def _fixed_columns(group: h5py.Group, path: Path) -> list[Column]:
    blocks = range(int(group.attrs["nblocks"]))
    return [column for block in blocks for column in _columns(_fixed_names(group, f"block{block}_items"), path)]


def _fixed_names(group: h5py.Group, prefix: str) -> list[tuple[Any, ...]]:
    """Column names of a block of a "fixed" table, from levels and labels."""
    if f"{prefix}_nlevels" not in group.attrs:
        return [(name,) for name in group[prefix][()]]
    levels = []
    for level in range(int(group.attrs[f"{prefix}_nlevels"])):
        words, picks = group[f"{prefix}_level{level}"][()], group[f"{prefix}_label{level}"][()]
        levels.append([words[pick] for pick in picks])
    return list(zip(*levels, strict=True))


def _read_table(group: h5py.Group, path: Path) -> DlcTable:
    content = group["table"][()]
    values = np.concatenate([content[kind] for kind in _value_blocks(group)], axis=1)
    return _checked(_table_columns(group, path), content["index"], values, path)


def _value_blocks(group: h5py.Group) -> list[str]:
    return sorted(name for name in group["table"].dtype.names if name.startswith("values_block_"))


def _table_columns(group: h5py.Group, path: Path) -> list[Column]:
    columns: list[Column] = []
    for block in _value_blocks(group):
        pickled = bytes(group["table"].attrs[f"{block}_kind"])
        columns += _columns(load_plain_pickle(io.BytesIO(pickled), f"{path}: column names"), path)
    return columns


def _columns(names: Any, path: Path) -> list[Column]:
    """(scorer, bodypart, coord) or (scorer, individual, bodypart, coord) -> (individual, bodypart, coord)."""
    columns: list[Column] = []
    for name in names:
        name = name if isinstance(name, (tuple, list)) else (name,)
        words = [w.decode("utf-8", "replace") if isinstance(w, bytes) else str(w) for w in name]
        if len(words) not in (3, 4):
            raise InputError(f"{path}: expected columns (scorer, (individual,) bodypart, coord), got {words}"[:300])
        columns.append(("" if len(words) == 3 else words[-3], words[-2], words[-1]))
    return columns


def _checked(columns: list[Column], frames: np.ndarray, values: np.ndarray, path: Path) -> DlcTable:
    if frames.dtype.kind not in "iu":
        raise InputError(f"{path}: its rows are named {frames[:1].tolist()}; expected frame numbers")
    if values.dtype.kind not in "fiu":
        raise InputError(f"{path}: its values are {values.dtype}; expected numbers")
    if values.shape != (len(frames), len(columns)):
        raise InputError(f"{path}: {len(frames)} frames and {len(columns)} columns, but values {list(values.shape)}")
    return DlcTable(columns, frames.astype(np.int64), values.astype(np.float64))


def write_dlc_csv(path: Path, recording: Recording, scorer: str) -> None:
    """Write tracks as a multi-animal project of DeepLabCut does; missing points are empty cells.

    Parameters
    ----------
    scorer : name of the network, for the first row.
    """
    confidence = np.ones_like(recording.keypoints[..., 0]) if recording.confidence is None else recording.confidence
    columns = np.concatenate([recording.keypoints, confidence[..., None]], axis=-1)
    names = [
        (animal, part, coord)
        for animal in recording.individuals
        for part in recording.skeleton.keypoints
        for coord in _COORDS
    ]
    levels = [[scorer] * len(names), *(list(level) for level in zip(*names, strict=True))]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([label, *level] for label, level in zip(_LABELS[4], levels, strict=True))
        for frame, row in enumerate(columns.reshape(len(columns), -1).tolist()):
            writer.writerow([frame, *("" if math.isnan(value) else f"{value:.4f}" for value in row)])
