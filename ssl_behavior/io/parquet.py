"""Parquet files: recognition, names of columns, and opening with pyarrow, an optional library."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssl_behavior.errors import InputError
from ssl_behavior.io.reader_helpers import check_file, library, library_errors, read_head

__all__ = ["is_parquet", "open_parquet", "parquet_columns"]

_MAGIC = b"PAR1"
_FOOTER_BYTES = 1 << 16
_WORD = re.compile(rb"[A-Za-z_][\w ]*")


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does."""
    return read_head(path, len(_MAGIC)) == _MAGIC


def parquet_columns(path: Path) -> list[str]:
    """Names of the columns; the words of the footer, names among them, where pyarrow is not installed.

    Nothing of a damaged file.
    """
    try:
        with open_parquet(path) as file:
            return list(file.schema_arrow.names)
    except InputError:
        return _words_of_footer(path)


def _words_of_footer(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _FOOTER_BYTES))
        return [word.decode("ascii", "replace") for word in _WORD.findall(file.read())]


@contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile`; failures while it is read, in the block, are reported as damage.

    Raises
    ------
    InputError
        If the file is missing or damaged, or pyarrow is not installed.
    """
    check_file(path)
    parquet = library("pyarrow.parquet", "store", path, "a Parquet file")
    with library_errors(path, "Parquet file"), parquet.ParquetFile(path) as file:
        yield file
