"""DeepLabCut H5: a pandas table in HDF5, in either of pandas' two layouts, read without pandas or pytables.

"fixed": the columns' levels lie in `block<i>_items_level<j>` / `_label<j>`, the numbers in `block<i>_values`.
"table": one compound dataset `table`; its column names are a pickle in an attribute, read by the restricted reader.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.dlc import Column, DlcTable, table_to_recording
from ssl_behavior.io.options import ReadOptions
from ssl_behavior.io.source import check_file, read_head
from ssl_behavior.io.unpickle import load_plain_pickle
from ssl_behavior.recording import Recording

__all__ = ["HDF5_FAILURES", "is_hdf5", "read_dlc_h5", "sniff_dlc_h5"]

_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_FAILURES = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError, MemoryError,
                 OverflowError, NotImplementedError)  # fmt: skip
"""What h5py raises on damaged files."""


def is_hdf5(path: Path) -> bool:
    """Whether the file begins like HDF5."""
    return read_head(path, len(_MAGIC)) == _MAGIC


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
    return [name for name in file if "pandas_type" in file[name].attrs]


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
                raise InputError(f"{path}: expected one pandas table in it, got {names or 'none'}")
            group = file[names[0]]
            table = _read_table(group, path) if "table" in group else _read_fixed(group, path)
    except InputError:
        raise
    except HDF5_FAILURES as error:
        raise InputError(f"{path}: damaged HDF5 file ({error}): copy or export it again"[:400]) from None
    yield table_to_recording(table, path, options)


def _read_fixed(group: h5py.Group, path: Path) -> DlcTable:
    columns: list[Column] = []
    blocks = []
    for block in range(int(group.attrs["nblocks"])):
        columns += _columns(_fixed_names(group, f"block{block}_items"), path)
        blocks.append(group[f"block{block}_values"][()])
    return _checked(columns, group["axis1"][()], np.concatenate(blocks, axis=1), path)


def _fixed_names(group: h5py.Group, prefix: str) -> list[tuple[Any, ...]]:
    """Column names of a block: each level lists its words, each label picks one."""
    levels = []
    for level in range(int(group.attrs[f"{prefix}_nlevels"])):
        words, picks = group[f"{prefix}_level{level}"][()], group[f"{prefix}_label{level}"][()]
        levels.append([words[pick] for pick in picks])
    return list(zip(*levels, strict=True))


def _read_table(group: h5py.Group, path: Path) -> DlcTable:
    table = group["table"]
    kinds = sorted(name for name in table.dtype.names if name.startswith("values_block_"))
    content = table[()]
    columns: list[Column] = []
    for kind in kinds:
        pickled = bytes(table.attrs[f"{kind}_kind"])
        columns += _columns(load_plain_pickle(io.BytesIO(pickled), f"{path}: column names"), path)
    values = np.concatenate([content[kind] for kind in kinds], axis=1)
    return _checked(columns, content["index"], values, path)


def _columns(names: Any, path: Path) -> list[Column]:
    """(scorer, bodypart, coord) or (scorer, individual, bodypart, coord) -> (individual, bodypart, coord)."""
    columns: list[Column] = []
    for name in names:
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
