"""`GrowingArray`: a `.npy` file that grows by appending, in bounded memory."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO

import numpy as np

from ssl_behavior.recording import take_or_missing

__all__ = ["GrowingArray"]

_PART_FRAMES = 1 << 14


class GrowingArray:
    """Appendable `.npy` file; closing rewrites the header with the final length.

    Parameters
    ----------
    tail : shape of the array without its first axis.
    """

    def __init__(self, path: Path, dtype: np.dtype | type, tail: tuple[int, ...]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.dtype, self.tail, self.length = path, np.dtype(dtype), tail, 0
        self.file: IO[bytes] = path.open("wb")
        self._header()
        self.data_start = self.file.tell()

    def _header(self) -> None:
        shape = (self.length, *self.tail)
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, values: np.ndarray) -> None:
        """Add rows [row, *tail] at the end."""
        assert values.shape[1:] == self.tail
        self.file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.length += len(values)

    def fill(self, value: int | float, length: int) -> None:
        """Add rows of one value."""
        for start in range(0, length, 1 << 16):
            self.append(np.full((min(1 << 16, length - start), *self.tail), value, dtype=self.dtype))

    def parts(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Frames start .. stop as they are in the file, a bounded number at a time."""
        self.file.flush()
        size = math.prod(self.tail)
        with self.path.open("rb") as file:
            file.seek(self.data_start + start * size * self.dtype.itemsize)
            for first in range(start, stop, _PART_FRAMES):
                count = min(_PART_FRAMES, stop - first)
                yield np.fromfile(file, self.dtype, count * size).reshape(count, *self.tail)

    def widened(self, places: Sequence[int]) -> "GrowingArray":
        """The array with other columns on its second axis, NaN for places below 0; replaces the file."""
        wide = GrowingArray(self.path.with_name(f"wide.{self.path.name}"), self.dtype, (len(places), *self.tail[1:]))
        with closing(wide.file):
            for part in self.parts(0, self.length):
                wide.append(take_or_missing(part, places, axis=1))
            wide.close()
        self.file.close()
        wide.path.replace(self.path)
        wide.path, wide.file = self.path, self.path.open("r+b")
        wide.file.seek(0, os.SEEK_END)
        return wide

    def close(self) -> None:
        """Complete the file; a second call does nothing."""
        if self.file.closed:
            return
        self.file.seek(0)
        self._header()
        # numpy pads headers so that the length can grow; were it otherwise, the data would be overwritten.
        assert self.file.tell() == self.data_start
        self.file.close()
