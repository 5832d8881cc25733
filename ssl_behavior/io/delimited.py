"""Text tables as spreadsheets leave them: encoding, separator, decimal mark, and words for missing values.

Programs of other countries write semicolons and decimal commas; Excel writes UTF-16 or Windows-1252, a line `sep=;`,
quotes, and rows and columns of empty cells at the end. Nothing is guessed: where a number could be read in two ways,
the table is refused.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.io.reader_helpers import HEAD_BYTES, decoded, read_head

__all__ = [
    "Decoded", "Dialect", "decode_text", "detect_dialect", "head_text", "plain_numbers", "read_text", "split_rows",
    "trim_columns",
]  # fmt: skip

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks; UTF-32's before UTF-16's, with which it begins."""
_SEPARATORS = "\t;,|"
_SEP_LINE = re.compile(r'\s*"?sep=(.)"?[;,|\t]*\s*', re.IGNORECASE)
_LOOK = 5
"""Lines that decide about the separator."""
_MISSING = re.compile(
    rb"(?<![^,\n])(?:#?n/?a|nan|none|null|nil|missing|-+|\?|#num!|#value!|#div/0!|#ref!|#null!|#n/d|#nv)(?![^,\n])",
    re.IGNORECASE,
)
"""A cell that is a word for "no value", in a table with commas between its cells."""

_QUOTED = re.compile(rb'(?<![^,\n])"([^"\n]*)"(?=[,\n]|\Z)')
"""A quoted cell."""


@dataclass(frozen=True)
class Decoded:
    """Text with line ends `\\n`, and its encoding, such as "utf-8" or "cp1252"."""

    text: str
    encoding: str


@dataclass(frozen=True)
class Dialect:
    """Separator of a table's cells, and the number of lines before its first row (empty ones, and `sep=;`)."""

    separator: str
    skipped: int = 0


def decode_text(content: bytes, where: str, is_head: bool = False) -> Decoded:
    """Text of a file: UTF-8, UTF-16 or UTF-32 with or without byte order mark, else Windows-1252.

    Parameters
    ----------
    where : the file, for the message.
    is_head : the content is cut off and may end inside a letter.

    Raises
    ------
    InputError
        If the content is no text in any of these encodings.
    """
    content, encodings = _encodings(content)
    for encoding in encodings:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(content, final=not is_head)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return Decoded(text.replace("\r\n", "\n").replace("\r", "\n"), encoding)
    raise InputError(f"{where}: not a text file; expected UTF-8, UTF-16 or Windows-1252. Save it again as UTF-8 text")


def read_text(path: Path) -> str:
    """Text of a whole file, plain or gzip, with line ends `\\n`; see `decode_text`."""
    return decode_text(decoded(path), str(path)).text


def head_text(path: Path, size: int = HEAD_BYTES) -> str:
    """Text of a file's first bytes, "" if they are no text: for the recognition of formats."""
    head = read_head(path, size)
    try:
        return decode_text(head, str(path), is_head=True).text
    except InputError:
        return ""


def _encodings(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Content without its byte order mark, and the encodings to try."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content[len(mark) :], (encoding,)
    head = content[:4096]
    # Latin letters in UTF-16 are every other byte 0.
    if head[1::2].count(0) > len(head) // 4 > 0:
        return content, ("utf-16-le",)
    if head[::2].count(0) > len(head) // 4 > 0:
        return content, ("utf-16-be",)
    return content, ("utf-8", "cp1252")


def detect_dialect(lines: Sequence[str]) -> Dialect:
    """Separator of a table, from a line `sep=;` or from its first lines.

    The separator is the one that gives the first lines equally many cells, and the most of them.
    """
    skipped = next((number for number, line in enumerate(lines) if line.strip()), 0)
    given = _SEP_LINE.fullmatch(lines[skipped]) if skipped < len(lines) else None
    if given:
        return Dialect(given[1], skipped + 1)
    first = [line for line in lines[skipped:] if line.strip()][:_LOOK]

    def fit(separator: str) -> tuple[bool, int]:
        counts = [len(row) for row in split_rows(first, separator)]
        return min(counts, default=0) > 1 and len(set(counts)) == 1, min(counts, default=0)

    return Dialect(max(_SEPARATORS, key=fit), skipped)


def split_rows(lines: Sequence[str], separator: str) -> Iterator[list[str]]:
    """Cells of each line without quotes and outer spaces; a line that is no row of cells is one cell."""
    for line in lines:
        try:
            yield [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
        except csv.Error:
            yield [line]


def plain_numbers(body: bytes, separator: str, where: str) -> bytes:
    """Rows of numbers as plain CSV: commas between cells, decimal points, `nan` for words that mean "no value".

    Digits stay as they are, so numbers are equal to the original's. Empty rows at the end are cut off, and empty lines
    left out.

    Parameters
    ----------
    body : rows in ASCII, with line ends `\\n`.
    where : the file, for the message.

    Raises
    ------
    InputError
        If a point and a comma both occur where one of them must be the decimal mark.
    """
    comma_in_quotes = separator == "," and any(b"," in cell[1] for cell in _QUOTED.finditer(body))
    if comma_in_quotes or (separator != "," and b"," in body):
        mixed = re.search(rb"\d[.]\d", body)
        if mixed:
            raise InputError(
                f"{where}: its numbers have commas and points ({_around(body, mixed.start())!r}); one of them is "
                "the decimal mark: export the table with decimal points and without marks for thousands"
            )
    if comma_in_quotes:
        body = _QUOTED.sub(lambda cell: cell[1].replace(b",", b"."), body)
    elif separator != ",":
        body = body.replace(b",", b".").replace(separator.encode(), b",")
    body = body.replace(b'"', b"")
    body = re.sub(rb"[ \t]*([,\n])[ \t]*", rb"\1", b"\n" + body + b"\n")
    body = re.sub(rb"\n[,\n]*\Z", b"\n", re.sub(rb"\n\n+", b"\n", body)).removeprefix(b"\n")
    return _MISSING.sub(b"nan", body)


def _around(body: bytes, place: int) -> str:
    """The line at a place, shortened."""
    start = body.rfind(b"\n", 0, place) + 1
    return body[max(start, place - 20) : place + 20].partition(b"\n")[0].decode(errors="replace")


def trim_columns(body: bytes, num_cells: int) -> bytes:
    """Plain CSV without the empty cells that its rows have beyond `num_cells`; other rows as they are."""
    surplus = re.compile(rb",+\Z")
    lines = body.split(b"\n")
    for number, line in enumerate(lines):
        extra = line.count(b",") + 1 - num_cells
        empty = surplus.search(line) if extra > 0 else None
        if empty and len(empty[0]) >= extra:
            lines[number] = line[: len(line) - extra]
    return b"\n".join(lines)
