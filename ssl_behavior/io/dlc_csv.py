"""DeepLabCut CSV, plain or gzip: three header rows for one animal, four for several."""

import csv
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.dlc import Column, DlcTable, table_to_recording
from ssl_behavior.io.options import ReadOptions
from ssl_behavior.io.source import decoded, read_head
from ssl_behavior.recording import Recording

__all__ = ["read_dlc_csv", "sniff_dlc_csv"]

_BOM = b"\xef\xbb\xbf"
_NUMBER_BYTES = np.zeros(256, dtype=bool)
_NUMBER_BYTES[list(b"0123456789.,+-eE \tnaNAifI\n")] = True
"""Digits, separators, and the letters of nan and inf."""


def sniff_dlc_csv(path: Path) -> bool:
    """Whether the first rows are headed scorer, (individuals,) bodyparts, coords."""
    head = read_head(path).removeprefix(_BOM)
    if not head.startswith(b"scorer,"):
        return False
    labels = [line.partition(b",")[0] for line in head.splitlines()[1:4]]
    return labels[:2] == [b"bodyparts", b"coords"] or labels == [b"individuals", b"bodyparts", b"coords"]


def read_dlc_csv(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a DeepLabCut CSV. Empty cells are missing; likelihood is kept and masks nothing.

    Raises
    ------
    InputError
        If a row has another number of cells than the header, a cell is no number; and as `table_to_recording`.
    """
    content = decoded(path).removeprefix(_BOM).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    columns, body_start, header_rows = _header(content, path)
    values = _parse(content[body_start:], len(columns) + 1, header_rows, path)
    frames = values[:, 0]
    whole = np.isfinite(frames) & (frames == np.floor(frames)) & (np.abs(frames) < 1e12)
    if not whole.all():
        row = int(np.flatnonzero(~whole)[0])
        raise InputError(
            f"{path}: line {row + header_rows + 1} begins with {frames[row]:g}; expected a whole frame number"
        )
    yield table_to_recording(DlcTable(columns, frames.astype(np.int64), values[:, 1:]), path, options)


def _header(content: bytes, path: Path) -> tuple[list[Column], int, int]:
    """Columns, where the numbers begin, and how many lines come before them."""
    start, rows = 0, []
    for _ in range(4):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        try:
            rows.append(next(csv.reader([content[start:end].decode("utf-8")]), []))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: line {len(rows) + 1} of the header is no text ({error})") from None
        start = end + 1
        if rows[-1] and rows[-1][0] == "coords":
            break
    if [row[0] if row else "" for row in rows[1:]] not in (
        ["bodyparts", "coords"],
        ["individuals", "bodyparts", "coords"],
    ):
        raise InputError(f"{path}: expected header rows scorer, (individuals,) bodyparts, coords")
    if len({len(row) for row in rows}) != 1:
        raise InputError(f"{path}: its header rows have {[len(row) for row in rows]} cells; they must be equal")
    animals = rows[1][1:] if len(rows) == 4 else [""] * (len(rows[-1]) - 1)
    return list(zip(animals, rows[-2][1:], rows[-1][1:], strict=True)), start, len(rows)


def _parse(body: bytes, num_cells: int, header_rows: int, path: Path) -> np.ndarray:
    """float64 [row, cell]; several times as fast as numpy's own readers of text."""
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
    # Each empty cell becomes "nan"; twice, because neighbouring ones share a comma.
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
    return "a cell is no number"
