"""Checked access to HDF5 files: damage, absent datasets and wrong kinds become one sentence with the file's name."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.reader_helpers import check_file, numbers_with, read_head

__all__ = [
    "BLOCK_FRAMES",
    "HDF5_FAILURES",
    "blocks",
    "check_claim",
    "decoded_json",
    "is_hdf5",
    "json_texts",
    "numbers",
    "open_hdf5",
    "sniff_hdf5",
    "table",
    "texts",
]

BLOCK_FRAMES = 1 << 16
"""Frames that are read at once; the rest of a long recording stays on disk."""

_MAX_RATIO = 1200
"""gzip packs at most 1032 bytes into one."""
_SMALL = 1 << 26
_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_FAILURES = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError, MemoryError,
                 OverflowError, NotImplementedError)  # fmt: skip
"""What h5py raises on damaged files."""


def is_hdf5(path: Path) -> bool:
    """Whether the file begins like HDF5."""
    return read_head(path, len(_MAGIC)) == _MAGIC


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises
    ------
    InputError
        If the file is missing, no HDF5, or damaged (also when that shows only later, in the block).
    """
    check_file(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except HDF5_FAILURES as error:
        raise InputError(f"{path}: damaged HDF5 file ({str(error)[:300]}): copy or export it again") from None


def sniff_hdf5(path: Path, *names: str) -> bool:
    """Whether the file is HDF5 with all of these datasets or groups."""
    if not is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            return all(name in file for name in names)
    except HDF5_FAILURES:
        return False


def _dataset(group: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    dataset = group.get(name, None)
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{path}: it lacks the dataset {name!r}; it has {sorted(group)[:20]}: export it again")
    check_claim(name, dataset.shape or (), dataset.dtype.itemsize, path)
    return dataset


def check_claim(name: str, shape: tuple[int, ...], itemsize: int, path: Path) -> None:
    """Refuse an array that is larger than its file can hold, even compressed: its shape is damaged.

    Raises
    ------
    InputError
        With the array's name and shape.
    """
    size = float(np.prod(shape, dtype=float)) * itemsize
    if size > _SMALL and size > _MAX_RATIO * path.stat().st_size:
        raise InputError(
            f"{path}: {name} claims shape {list(shape)}, more numbers than the file can hold: it is cut off or damaged"
        )


def numbers(group: h5py.Group, name: str, ndim: int, path: Path) -> h5py.Dataset:
    """A dataset of numbers with `ndim` axes, not yet read.

    Raises
    ------
    InputError
        If it is absent, of another kind or shape, or larger than the file can hold.
    """
    dataset = _dataset(group, name, path)
    if dataset.dtype.kind not in "fiub" or dataset.ndim != ndim:
        raise InputError(
            f"{path}: {name} must be {numbers_with(ndim)}, got {dataset.dtype} {list(dataset.shape or ())}"
        )
    return dataset


def table(group: h5py.Group, name: str, columns: tuple[str, ...], path: Path) -> h5py.Dataset:
    """A table (compound dataset with one axis) that has these columns of numbers, not yet read.

    Raises
    ------
    InputError
        If it is absent, no table, or a column is absent or no number.
    """
    dataset = _dataset(group, name, path)
    fields = dataset.dtype.fields or {}
    missing = [column for column in columns if column not in fields or fields[column][0].kind not in "fiub"]
    if dataset.ndim != 1 or missing:
        raise InputError(
            f"{path}: {name} must be a table with columns of numbers {list(columns)}, got {str(dataset.dtype)[:200]} "
            f"{list(dataset.shape or ())}"
        )
    return dataset


def texts(group: h5py.Group, name: str, path: Path) -> list[str]:
    """The texts of a dataset with one axis; an absent one gives an empty list.

    Raises
    ------
    InputError
        If it holds something else.
    """
    if name not in group:
        return []
    dataset = _dataset(group, name, path)
    if dataset.size == 0:
        return []
    if dataset.ndim != 1 or dataset.dtype.kind not in "SO":
        raise InputError(f"{path}: {name} must be a list of texts, got {dataset.dtype} {list(dataset.shape or ())}")
    return [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in dataset[()].tolist()]


def json_texts(group: h5py.Group, name: str, path: Path) -> list[Any]:
    """The decoded JSON texts of a dataset with one axis.

    Raises
    ------
    InputError
        If it holds something else, or a text is no JSON.
    """
    return [decoded_json(text, f"{path}: {name}") for text in texts(group, name, path)]


def decoded_json(text: str, where: str) -> Any:
    """JSON, or an InputError that says where it is."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{where} is no JSON ({error}): the file is damaged; export it again") from None


def blocks(num_frames: int, size: int = BLOCK_FRAMES) -> Iterator[slice]:
    """Consecutive slices of at most `size` frames."""
    for start in range(0, num_frames, size):
        yield slice(start, min(start + size, num_frames))
