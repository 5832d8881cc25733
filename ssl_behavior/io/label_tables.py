"""Readers of label tables: bouts, frames, and 0/1 columns (SimBA, DeepEthogram).

Tables are text with commas, semicolons or tabs, plain or gzip, or Parquet. Columns decide the kind.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import DEFAULT_STREAM, Annotation, AnnotationStream, Interval, stream_of_frames
from ssl_behavior.io.delimited import head_text, read_text
from ssl_behavior.io.parquet import is_parquet, open_parquet, parquet_columns
from ssl_behavior.io.reader_helpers import HEAD_BYTES, read_head
from ssl_behavior.recording import NOT_ANNOTATED, Labels

__all__ = [
    "LabelTable",
    "has_columns",
    "read_bouts_table",
    "read_columns_table",
    "read_frames_table",
    "read_rows",
    "row_interval",
    "row_name",
    "rows_by_recording",
    "sniff_bouts_table",
    "sniff_columns_table",
    "sniff_frames_table",
    "text_rows",
]

_DELIMITERS = ",;\t"
_COARSE = 3e-4
"""Relative error of seconds from which on they tell no frame rate: 29.97 and 30 are three times as far apart."""
_ROUNDING = 1e-9
_RECORDING_COLUMNS = ("recording", "video_id", "video", "observation id")


@dataclass(frozen=True)
class LabelTable:
    """Rows of a table as text, below a header."""

    path: Path
    header: list[str]
    rows: list[list[str]]

    def column(self, *names: str) -> int:
        """Number of the first of these columns that is there, -1 for none."""
        found = [word.strip().lower() for word in self.header]
        return next((found.index(name) for name in names if name in found), -1)

    def where(self, row: int) -> str:
        """Place of a row, for messages."""
        return f"{self.path}: row {row + 1} ({','.join(self.rows[row])[:60]!r})"


def text_rows(text: str, path: Path) -> list[list[str]]:
    """Cells of delimited text; the delimiter is the most frequent of comma, semicolon and tab in its first lines.

    Raises
    ------
    InputError
        If it is no table.
    """
    start = "\n".join(text.splitlines()[:20])
    delimiter = max(_DELIMITERS, key=start.count)
    try:
        return list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"{path}: not a table ({error})") from None


def read_rows(path: Path) -> LabelTable:
    """The whole table; rows without content are left out.

    Raises
    ------
    InputError
        If the file cannot be read, or a row is cut off.
    """
    if is_parquet(path):
        return _parquet(path)
    rows = [row for row in text_rows(read_text(path), path) if any(cell.strip() for cell in row)]
    header, body = rows[0] if rows else [], rows[1:]
    for number, row in enumerate(body, start=2):
        if len(row) < len(header):
            raise InputError(f"{path}: row {number} has {len(row)} cells, the header {len(header)}; is it cut off?")
    return LabelTable(path, header, body)


def _parquet(path: Path) -> LabelTable:
    with open_parquet(path) as file:
        table = file.read()
        columns = [["" if value is None else str(value) for value in column.to_pylist()] for column in table.columns]
    return LabelTable(path, list(table.column_names), [list(row) for row in zip(*columns, strict=True)])


def _head(path: Path) -> LabelTable:
    """The header and the first whole rows."""
    if is_parquet(path):
        return LabelTable(path, parquet_columns(path), [])
    rows = _first_rows(head_text(path), is_whole=len(read_head(path)) < HEAD_BYTES)
    return LabelTable(path, list(rows[0]) if rows else [], [list(row) for row in rows[1:]])


@lru_cache(maxsize=4)
def _first_rows(head: str, is_whole: bool) -> tuple[tuple[str, ...], ...]:
    """At most 50 whole rows of a file's first text."""
    try:
        rows = text_rows(head, Path())
    except InputError:
        return ()
    whole = rows if is_whole else rows[:-1]
    return tuple(tuple(row) for row in whole if any(cell.strip() for cell in row))[:50]


def has_columns(path: Path, *groups: tuple[str, ...]) -> bool:
    """Whether a table has a column of each group of names."""
    table = _head(path)
    return all(table.column(*names) >= 0 for names in groups)


_AGENT, _TARGET = ("agent", "agent_id"), ("target", "target_id")
_BEHAVIOR = ("behavior", "action")
_START, _STOP, _SECONDS = ("start_frame", "start"), ("stop_frame", "stop"), ("start_s", "stop_s")


def sniff_bouts_table(path: Path) -> bool:
    """Whether the columns are those of a table of bouts, maybe with agents and targets."""
    if has_columns(path, ("behavior",), ("start_frame",), ("stop_frame",)):
        return True
    ends = has_columns(path, _START, _STOP) or has_columns(path, _SECONDS[:1], _SECONDS[1:])
    return ends and has_columns(path, _AGENT, _TARGET, _BEHAVIOR)


def sniff_frames_table(path: Path) -> bool:
    """Whether the columns are frame, seconds, and the label of each stream."""
    return [word.strip().lower() for word in _head(path).header[:2]] == ["frame", "seconds"]


def sniff_columns_table(path: Path) -> bool:
    """Whether the last column is of 0 and 1, below a name, and no column is text."""
    table = _head(path)
    if len(table.header) < 2 or not table.rows or len({len(row) for row in table.rows}) != 1:
        return False
    cells = [cell.strip() for row in table.rows for cell in row]
    last = [row[-1].strip() for row in table.rows]
    names = [name for name in table.header[1:] if _is_number(name)]
    return not names and all(map(_is_number, cells)) and all(_is_flag(cell) for cell in last)


def _is_number(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True


def _is_flag(cell: str) -> bool:
    return cell != "" and _is_number(cell) and float(cell) in (-1, 0, 1)


def _whole(cell: str, where: str, what: str) -> int:
    try:
        number = float(cell.replace(",", "."))
        if number != int(number) or abs(number) > 2**40:
            raise ValueError
        return int(number)
    except (ValueError, OverflowError):
        hint = "; call columns of seconds start_s and stop_s" if what.strip().lower() in ("start", "stop") else ""
        raise InputError(f"{where}: expected a frame number as {what}, got {cell!r}{hint}") from None


def row_interval(table: LabelTable, number: int, columns: tuple[int, int], last: bool = False) -> tuple[int, int]:
    """Start and stop of a row's bout; `last`: the stop frame is the bout's last, not the first after it."""
    where, row = table.where(number), table.rows[number]
    start, stop = (_whole(row[one], where, table.header[one]) for one in columns)
    if last and not 0 <= start <= stop:
        raise InputError(f"{where}: expected 0 <= start <= stop, with the bout's last frame as stop")
    if not last and not 0 <= start < stop:
        raise InputError(f"{where}: expected 0 <= start < stop, with the first frame after the bout as stop")
    return start, stop + last


def rows_by_recording(table: LabelTable) -> dict[str, list[int]]:
    """Recording -> its rows; "" where the table has no column of recordings."""
    column = table.column(*_RECORDING_COLUMNS)
    parts: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(table.rows):
        parts[row[column].strip() if column >= 0 else ""].append(number)
    return parts or {"": []}


def read_bouts_table(path: Path) -> list[Annotation]:
    """Bouts of each stream; frames are counted from 0, and the stop frame is not part of a bout.

    Frames without a bout are background. With columns of agents and targets, a stream that has a target has agents and
    targets. Without columns of frames, seconds are read.

    Raises
    ------
    InputError
        Naming the row, if its frames are no numbers or run backwards, or it has a target and no agent.
    """
    table = read_rows(path)
    columns, seconds = _ends(table), (table.column("start_s"), table.column("stop_s"))
    found = []
    for recording, rows in rows_by_recording(table).items():
        parts: dict[str, list[int]] = defaultdict(list)
        stream = table.column("stream")
        for number in rows:
            parts[(table.rows[number][stream].strip() if stream >= 0 else "") or DEFAULT_STREAM].append(number)
        rate = None if min(columns) < 0 else _rate(table, rows, *zip(columns, seconds, strict=True))
        streams = {name: _stream_of_rows(table, own, columns, seconds, rate) for name, own in parts.items()}
        found.append(Annotation(path=path, streams=streams, names=(recording,) if recording else ()))
    return found


def _stream_of_rows(
    table: LabelTable, rows: Sequence[int], columns: tuple[int, int], seconds: tuple[int, int], rate: float | None
) -> AnnotationStream:
    """Stream of some rows, whose ends are frames or, without such columns, seconds."""
    in_seconds, behavior = min(columns) < 0, table.column(*_BEHAVIOR)
    ends = [
        _seconds_interval(table, number, seconds) if in_seconds else row_interval(table, number, columns)
        for number in rows
    ]
    bouts: list[Interval] = [(*own, row_name(table, number, behavior)) for own, number in zip(ends, rows, strict=True)]
    agent, target = table.column(*_AGENT), table.column(*_TARGET)
    who = tuple(table.rows[number][agent].strip() if agent >= 0 else "" for number in rows)
    whom = tuple(table.rows[number][target].strip() if min(agent, target) >= 0 else "" for number in rows)
    for number, one, other in zip(rows, who, whom, strict=True):
        if other and not one:
            raise InputError(f"{table.where(number)}: the bout has the target {other!r} and no agent")
    return AnnotationStream.of(
        bouts, complete=True, fps=rate, seconds=in_seconds, subject=who if any(who) else (),
        target=tuple(one if other == "self" else other for one, other in zip(who, whom, strict=True))
        if any(whom) else (),
        directed=any(whom), seconds_of=None if in_seconds else _numbers(table, rows, seconds),
    )  # fmt: skip


def _seconds_interval(table: LabelTable, number: int, columns: tuple[int, int]) -> tuple[float, float]:
    ends = _numbers(table, [number], columns)
    if ends is None or not 0 <= ends[0, 0] <= ends[1, 0]:
        raise InputError(f"{table.where(number)}: expected 0 <= start_s <= stop_s, in seconds")
    return float(ends[0, 0]), float(ends[1, 0])


def _numbers(table: LabelTable, rows: Sequence[int], columns: Sequence[int]) -> np.ndarray | None:
    """Finite numbers of some columns, float64 [column, row]; None if a column or a number is not there."""
    if min(columns) < 0:
        return None
    try:
        cells = [[float(table.rows[row][column].replace(",", ".")) for row in rows] for column in columns]
    except ValueError:
        return None
    numbers = np.array(cells, dtype=np.float64)
    return numbers if np.isfinite(numbers).all() else None


def _rate(table: LabelTable, rows: Sequence[int], *columns: tuple[int, int]) -> float | None:
    """Frames per second by which a table computes its seconds; None if there is none, or the seconds are too coarse.

    Of rates that give all seconds to their number of decimals, it is the one that is a whole number, that of NTSC, or
    the one with the fewest decimals.

    Parameters
    ----------
    columns : pairs of a column of frames and the column of their seconds.
    """
    frames, seconds = (_numbers(table, rows, side) for side in zip(*columns, strict=True))
    if frames is None or seconds is None or not rows:
        return None
    frames, seconds = frames.ravel(), seconds.ravel()
    cells = (table.rows[row][second] for row in rows for _, second in columns)
    decimals = max(len(cell.strip().replace(",", ".").partition(".")[2]) for cell in cells)
    latest = int(frames.argmax())
    error = 0.501 * 10.0**-decimals + _ROUNDING * seconds[latest]
    if error > _COARSE * seconds[latest] or frames[latest] <= 0:
        return None
    rate = frames[latest] / seconds[latest]
    rates = [round(rate), round(rate * 1.001) / 1.001, *(round(rate, digits) for digits in range(1, 7)), rate]
    fitting = (one for one in rates if one > 0 and (np.abs(frames / one - seconds) <= error).all())
    return next((float(one) for one in fitting), None)


def _ends(table: LabelTable) -> tuple[int, int]:
    return table.column(*_START), table.column(*_STOP)


def row_name(table: LabelTable, number: int, column: int) -> str:
    """Name of a row's behavior, agent or target.

    Raises
    ------
    InputError
        If the cell is empty.
    """
    name = table.rows[number][column].strip()
    if not name:
        what = table.header[column].strip().lower()
        raise InputError(f"{table.where(number)}: the {'behavior' if what == 'action' else what} has no name")
    return name


def read_frames_table(path: Path) -> list[Annotation]:
    """One label per frame and stream; an empty cell is "not annotated".

    Raises
    ------
    InputError
        If the frames are not 0, 1, 2 ..., or there is no stream.
    """
    table = read_rows(path)
    if len(table.header) < 3 or not table.rows:
        raise InputError(f"{path}: expected the columns frame, seconds and one for each stream, and a row per frame")
    _check_frames(table)
    rows = range(len(table.rows))
    rate, seconds = _rate(table, rows, (0, 1)), _numbers(table, rows, [1])
    streams = {}
    for column, name in enumerate(table.header[2:], start=2):
        words = np.array([row[column].strip() for row in table.rows])
        if (words == "").all():
            continue
        one = stream_of_frames(labels_of_words(words))
        ends = None if seconds is None else _edges(seconds[0])[np.stack([one.start, one.stop]).astype(np.int64)]
        streams[name.strip()] = replace(one, background=None, fps=rate, seconds_of=ends)
    return [Annotation(path=path, streams=streams)]


def _edges(seconds: np.ndarray) -> np.ndarray:
    """Times of frames and the end of the last one, which lasts as long as is usual, float64 [time + 1], s."""
    usual = np.median(np.diff(seconds)) if len(seconds) > 1 else 0.0
    return np.append(seconds, seconds[-1] + usual)


def labels_of_words(words: np.ndarray) -> Labels:
    """Labels of text [time]; "" = not annotated. The vocabulary is in order of first occurrence."""
    names, first, numbers = np.unique(words, return_index=True, return_inverse=True)
    order = [int(one) for one in np.argsort(first) if names[one] != ""]
    place = np.full(len(names), NOT_ANNOTATED)
    place[order] = np.arange(len(order))
    return Labels(vocabulary=tuple(str(names[one]) for one in order), frames=place[numbers.ravel()])


def _check_frames(table: LabelTable) -> None:
    for number, row in enumerate(table.rows):
        if _whole(row[0], table.where(number), "frame") != number:
            raise InputError(f"{table.where(number)}: expected frame {number}; rows must be the frames from 0 in order")


_POINT_ENDINGS = ("_x", "_y", "_p", "_likelihood")


def read_columns_table(path: Path) -> list[Annotation]:
    """Columns of 0 and 1, one for each behavior; of a table with features, those after the last feature.

    A column "background" is the background. If there is one, frames that are 0 in all columns are not annotated, and
    so are frames with -1.

    Raises
    ------
    InputError
        If no column has 0 and 1 alone, or the frames are not consecutive.
    """
    table = read_rows(path)
    try:
        values = np.array([[float(cell.replace(",", ".") or "nan") for cell in row] for row in table.rows])
    except ValueError:
        raise InputError(f"{path}: expected numbers, 0 or 1 for each behavior and frame") from None
    if values.ndim != 2:
        raise InputError(f"{path}: expected a row for each frame, got {len(table.rows)} rows")
    first = 1 if table.header[0].strip().lower() in ("", "frame", "frames", "index", "unnamed: 0") else 0
    names, flags = _behavior_columns(table, values, first)
    offset = _first_frame(table, values[:, 0]) if first else 0
    return [Annotation(path=path, streams={DEFAULT_STREAM: stream_of_columns(names, flags, offset)})]


def _behavior_columns(table: LabelTable, values: np.ndarray, first: int) -> tuple[list[str], np.ndarray]:
    flags = np.asarray(np.isin(values, (-1, 0, 1)).all(axis=0))
    names = [name.strip() for name in table.header]
    begin = len(names)
    while begin > first and flags[begin - 1] and not names[begin - 1].lower().endswith(_POINT_ENDINGS):
        begin -= 1
    if begin == len(names):
        raise InputError(f"{table.path}: the last column ({names[-1]!r}) is not of 0 and 1; expected one per behavior")
    if len(set(names[begin:])) < len(names) - begin or "" in names[begin:]:
        raise InputError(f"{table.path}: columns need different names, got {names[begin:]}"[:300])
    return names[begin:], values[:, begin:].astype(np.int8)


def _first_frame(table: LabelTable, numbers: np.ndarray) -> int:
    begin = numbers[0]
    if not (math.isfinite(begin) and begin >= 0 and (numbers == begin + np.arange(len(numbers))).all()):
        wrong = int(np.flatnonzero(~(numbers == begin + np.arange(len(numbers))))[:1].sum())
        raise InputError(f"{table.where(wrong)}: expected the number of the next frame in the first column")
    return int(begin)


def stream_of_columns(names: Sequence[str], flags: np.ndarray, offset: int = 0) -> AnnotationStream:
    """Stream of 0/1 columns [time, behavior]; -1 = not annotated. `offset` is the frame of the first row."""
    lowered = [name.lower() for name in names]
    background = lowered.index("background") if "background" in lowered else -1
    unknown = np.asarray((flags < 0).any(axis=1))
    if background >= 0:
        unknown |= ~(flags > 0).any(axis=1)
    found: list[Interval] = []
    for number, name in enumerate(names):
        if number != background:
            found += [(start + offset, stop + offset, name) for start, stop in _stretches(flags[:, number] > 0)]
    missing = [(0, offset)] * (offset > 0) + [(a + offset, b + offset) for a, b in _stretches(unknown)]
    end = offset + len(flags)
    return AnnotationStream.of(
        found, [name for number, name in enumerate(names) if number != background], complete=True,
        background=names[background] if background >= 0 else None,
        not_annotated=(*missing, (end, math.inf)), num_frames=end,
    )  # fmt: skip


def _stretches(mask: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
