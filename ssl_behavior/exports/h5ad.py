"""Embeddings as AnnData's `.h5ad`, which scanpy and its relatives read.

The layout is that of AnnData's documentation ("On-disk format", for 0.8 and newer): groups and arrays of an HDF5 file
that say in attributes what they encode. It is written without anndata, which would want all frames in memory and holds
pandas back.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssl_behavior.exports.columns import FrameColumn
from ssl_behavior.exports.frames import FRAME, RECORDING, SECONDS, ExportedFrames
from ssl_behavior.files import atomic_file

__all__ = ["write_h5ad"]

_TEXT = h5py.string_dtype()
_INDEX = "_index"


def write_h5ad(path: Path, frames: ExportedFrames, progress: Callable[[int], None]) -> None:
    """`X` float32 [frames, dim]; `obs`: recording, frame, seconds and words (labels, clusters) of every frame, whose
    name is RECORDING:FRAME; `var`: the group of every column; `uns["ssl_behavior"]`: where the numbers come from."""
    with atomic_file(path) as partial, h5py.File(partial, "w") as file:
        _encode(file, "anndata", "0.1.0")
        for name in ("layers", "obsm", "obsp", "varm", "varp"):
            _encode(file.create_group(name), "dict", "0.1.0")
        _write_var(file, frames)
        _write_uns(file, frames.facts())
        obs = _new_obs(file, frames)
        numbers = _encode(file.create_dataset("X", (frames.num_frames, frames.dim), np.float32), "array", "0.2.0")
        offset = 0
        for row, span, block in frames.blocks():
            place = slice(offset, offset + len(block))
            own = np.arange(span.start, span.stop, dtype=np.int32)
            numbers[place] = block
            obs[_INDEX][place] = [f"{row.id}:{frame}" for frame in own.tolist()]
            obs[FRAME][place], obs[SECONDS][place] = own, own / row.fps
            obs[f"{RECORDING}/codes"][place] = frames.rows.index(row)
            for column in frames.columns:
                obs[f"{column.name}/codes"][place] = column.codes(row)[span]
            offset = place.stop
            progress(len(block))


def _encode(item: Any, kind: str, version: str) -> Any:
    item.attrs["encoding-type"], item.attrs["encoding-version"] = kind, version
    return item


def _strings(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    _encode(group.create_dataset(name, data=list(values), dtype=_TEXT), "string-array", "0.2.0")


def _categories(group: h5py.Group, name: str, words: Sequence[str], codes: np.ndarray | int) -> None:
    """A column of words; `codes`: which each row has (-1 = none), or how many rows there will be."""
    column = _encode(group.create_group(name), "categorical", "0.2.0")
    column.attrs["ordered"] = False
    _strings(column, "categories", words)
    space = {"shape": (codes,), "dtype": np.int32} if isinstance(codes, int) else {"data": codes}
    _encode(column.create_dataset("codes", **space), "array", "0.2.0")


def _dataframe(file: h5py.File, name: str, columns: Sequence[str]) -> h5py.Group:
    group = _encode(file.create_group(name), "dataframe", "0.2.0")
    group.attrs["_index"] = _INDEX
    group.attrs.create("column-order", list(columns), dtype=_TEXT)
    return group


def _new_obs(file: h5py.File, frames: ExportedFrames) -> h5py.Group:
    """The table of frames, to be filled."""
    columns: Sequence[FrameColumn] = frames.columns
    obs = _dataframe(file, "obs", [RECORDING, FRAME, SECONDS, *(column.name for column in columns)])
    _encode(obs.create_dataset(_INDEX, (frames.num_frames,), _TEXT), "string-array", "0.2.0")
    for name, dtype in ((FRAME, np.int32), (SECONDS, np.float64)):
        _encode(obs.create_dataset(name, (frames.num_frames,), dtype), "array", "0.2.0")
    _categories(obs, RECORDING, [row.id for row in frames.rows], frames.num_frames)
    for column in columns:
        _categories(obs, column.name, column.words, frames.num_frames)
    return obs


def _write_var(file: h5py.File, frames: ExportedFrames) -> None:
    var = _dataframe(file, "var", ["group"])
    _strings(var, _INDEX, frames.names)
    widths = list(frames.groups.values())
    _categories(var, "group", list(frames.groups), np.repeat(np.arange(len(widths), dtype=np.int32), widths))


def _write_uns(file: h5py.File, facts: Mapping[str, Any]) -> None:
    group = _encode(_encode(file.create_group("uns"), "dict", "0.1.0").create_group("ssl_behavior"), "dict", "0.1.0")
    for name in ("checkpoint", "store"):
        _encode(group.create_dataset(name, data=facts[name], dtype=_TEXT), "string", "0.2.0")
