"""Embeddings as `.npy`, `.parquet` and `.h5ad` files, with labels and clusters of every frame.

`.h5ad` follows AnnData's documentation ("On-disk format", 0.8 and newer): groups and arrays of an HDF5 file whose
attributes name their encoding. The writer does not use anndata, which needs all frames in memory and restricts the
version of pandas.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.clusters.cluster_names import STREAM
from ssl_behavior.embedding import kept_groups
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, check_free, write_json
from ssl_behavior.methods import group_slices
from ssl_behavior.row_labels import stream_labels
from ssl_behavior.store import Store
from ssl_behavior.terminal import Progress, no_progress

__all__ = [
    "EMBEDDING_FORMATS",
    "FRAME",
    "RECORDING",
    "SECONDS",
    "EmbeddingFormat",
    "ExportedFrames",
    "FrameColumn",
    "cluster_column",
    "export_embeddings",
    "label_columns",
    "sidecar_of",
    "write_h5ad",
    "write_npy",
    "write_parquet",
]


@dataclass(frozen=True)
class FrameColumn:
    """Column of categories, one per frame.

    Parameters
    ----------
    words : the categories, all different.
    codes : a recording's row -> int [time], number of the word of each frame; -1 = none.
    """

    name: str
    words: tuple[str, ...]
    codes: Callable[[EmbeddingRow], np.ndarray]


def label_columns(store: Store, rows: Sequence[EmbeddingRow], streams: Sequence[str] = ()) -> list[FrameColumn]:
    """One column for each label stream of a store; `streams` selects some. See `ssl_behavior.row_labels`.

    Raises
    ------
    InputError
        If the store lacks a stream or a recording, or has another number of frames of it.
    """
    known = {one.stream: one for one in stream_labels(store, rows)}
    if not known:
        raise InputError(f"{store.path} has no labels")
    for name in streams:
        if name not in known:
            raise InputError(f"{store.path} has no label stream {name!r}; it has {sorted(known)}")
    for row in rows:
        _check_frames(row, store.row(row.recording).frames, str(store.path))
    chosen = [known[name] for name in dict.fromkeys(streams or known)]
    return [FrameColumn(one.stream, one.classes, one.of) for one in chosen]


def cluster_column(
    clusters: FrameClusters, rows: Sequence[EmbeddingRow], names: Sequence[str], where: str
) -> FrameColumn:
    """The column "cluster".

    Parameters
    ----------
    names : of each cluster, see `cluster_names`.
    where : the clusters' folder, for errors.

    Raises
    ------
    InputError
        If these are clusters of other recordings.
    """
    own = {row.id: row for row in clusters.rows}
    for row in rows:
        if row.id not in own:
            raise InputError(f"{where} has no clusters for recording {row.id!r}: assign them first")
        _check_frames(row, own[row.id].frames, where)
    words = tuple(dict.fromkeys(names))
    numbers = np.array([*(words.index(name) for name in names), -1], dtype=np.int32)
    return FrameColumn(STREAM, words, lambda row: numbers[clusters.of(own[row.id])])


def _check_frames(row: EmbeddingRow, frames: int, where: str) -> None:
    if frames != row.frames:
        raise InputError(f"recording {row.id!r} has {frames:,} frames in {where}, but {row.frames:,} were embedded")


RECORDING, AGENT, TARGET, FRAME, SECONDS = "recording", "agent", "target", "frame", "seconds"
_BLOCK_BYTES = 1 << 26
_MIN_BLOCK_FRAMES = 1024


@dataclass(frozen=True, eq=False)
class ExportedFrames:
    """Selection of recordings and columns of an embedding.

    Parameters
    ----------
    groups : the columns that are written: name -> number of columns.
    columns : further columns, such as labels and clusters.
    """

    embeddings: Embeddings
    rows: Sequence[EmbeddingRow]
    groups: Mapping[str, int]
    columns: Sequence[FrameColumn] = ()

    @property
    def dim(self) -> int:
        return sum(self.groups.values())

    @property
    def num_frames(self) -> int:
        return sum(row.frames for row in self.rows)

    @property
    def names(self) -> list[str]:
        """Column names: group and number within the group, counted from 0."""
        return [f"{group}_{number}" for group, width in self.groups.items() for number in range(width)]

    @cached_property
    def places(self) -> dict[str, tuple[tuple[str, ...], Callable[[EmbeddingRow], int]]]:
        """Columns that say whose frames these are: name -> (words, number of the word of a row).

        The recording and, of animals and pairs, their agent and target.
        """
        unit = self.rows[0].actors.unit if self.rows else "scene"
        names = {"scene": (RECORDING,), "animal": (RECORDING, AGENT), "pair": (RECORDING, AGENT, TARGET)}[unit]
        return {name: self._words_of_rows(name) for name in names}

    def _words_of_rows(self, name: str) -> tuple[tuple[str, ...], Callable[[EmbeddingRow], int]]:
        numbers = {word: place for place, word in enumerate(dict.fromkeys(getattr(row, name) for row in self.rows))}
        return tuple(numbers), lambda row: numbers[getattr(row, name)]

    @cached_property
    def _spans(self) -> list[slice]:
        return [span for name, span in group_slices(self.embeddings.groups).items() if name in self.groups]

    def blocks(self) -> Iterator[tuple[EmbeddingRow, slice, np.ndarray]]:
        """Blocks of (recording, frames, values [frames, dim] in the stored type)."""
        most = max(_MIN_BLOCK_FRAMES, _BLOCK_BYTES // (4 * self.dim))
        for row in self.rows:
            for start in range(0, row.frames, most):
                span = slice(start, min(start + most, row.frames))
                block = self.embeddings.array[row.offset + span.start : row.offset + span.stop]
                yield row, span, np.concatenate([block[:, columns] for columns in self._spans], axis=1)

    def facts(self) -> dict[str, Any]:
        """Provenance: store, checkpoint and columns, written beside the array."""
        return {
            "checkpoint": self.embeddings.checkpoint,
            "store": self.embeddings.store,
            "channel_groups": dict(self.groups),
        }


def sidecar_of(path: Path) -> Path:
    """The JSON file beside an array."""
    return path.with_suffix(".json")


Advance = Callable[[int], None]
"""Callback with the number of frames just written."""


def write_npy(path: Path, frames: ExportedFrames, advance: Advance) -> None:
    """Write an array [frames, dim] in the stored type."""
    dtype = frames.embeddings.array.dtype
    with atomic_file(path) as partial:
        with partial.open("wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
            np.lib.format.write_array_header_1_0(file, header | {"shape": (frames.num_frames, frames.dim)})
            for _, span, block in frames.blocks():
                file.write(np.ascontiguousarray(block).data)
                advance(span.stop - span.start)
        stops = np.cumsum([row.frames for row in frames.rows]).tolist()
        table = [
            {"id": row.id, "offset": stop - row.frames, "frames": row.frames, "fps": row.fps} | _actors(row)
            for row, stop in zip(frames.rows, stops, strict=True)
        ]
        write_json(sidecar_of(path), frames.facts() | {"dtype": str(dtype), "recordings": table})


def _actors(row: EmbeddingRow) -> dict[str, str]:
    """Recording, agent and target of a row of an animal or a pair, for JSON."""
    if row.actors.unit == "scene":
        return {}
    return {RECORDING: row.recording, AGENT: row.agent} | ({TARGET: row.target} if row.target else {})


def write_parquet(path: Path, frames: ExportedFrames, advance: Advance) -> None:
    """Columns: recording (of animals and pairs: agent, target), frame, seconds, words (labels, clusters; null = none),
    then the embedding as float32.

    A row group holds frames of one recording. The schema's metadata gives the provenance.
    """
    import pyarrow.parquet

    words = [*frames.places, *(column.name for column in frames.columns)]
    schema = _schema(frames)
    with atomic_file(path) as partial:
        options = {"compression": "zstd", "use_dictionary": words, "write_statistics": [*words, FRAME, SECONDS]}
        with pyarrow.parquet.ParquetWriter(partial, schema, **options) as writer:
            for row, span, block in frames.blocks():
                arrays = [*_known(frames, row, span), *_numbers(block)]
                writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), row_group_size=len(block))
                advance(len(block))


def _schema(frames: ExportedFrames) -> Any:
    import pyarrow as pa

    word = pa.dictionary(pa.int32(), pa.string())
    fields = [*((name, word) for name in frames.places), (FRAME, pa.int32()), (SECONDS, pa.float64())]
    fields += [(column.name, word) for column in frames.columns]
    fields += [(name, pa.float32()) for name in frames.names]
    return pa.schema(fields, metadata={"ssl_behavior": json.dumps(frames.facts())})


def _known(frames: ExportedFrames, row: EmbeddingRow, span: slice) -> Iterator[Any]:
    """Write the arrays that precede the embedding."""
    import pyarrow as pa

    numbers = np.arange(span.start, span.stop, dtype=np.int32)
    for name in frames.places:
        yield _words(np.zeros(len(numbers), np.int32), (getattr(row, name),))
    yield pa.array(numbers)
    yield pa.array(numbers / row.fps)
    for column in frames.columns:
        yield _words(column.codes(row)[span], column.words)


def _words(codes: np.ndarray, words: tuple[str, ...]) -> Any:
    import pyarrow as pa

    indices = pa.array(np.asarray(codes, dtype=np.int32), mask=np.asarray(codes) < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def _numbers(block: np.ndarray) -> Iterator[Any]:
    import pyarrow as pa

    return (pa.array(column) for column in np.ascontiguousarray(block.T, dtype=np.float32))


_TEXT = h5py.string_dtype()
_INDEX = "_index"


def write_h5ad(path: Path, frames: ExportedFrames, advance: Advance) -> None:
    """`X` float32 [frames, dim]; `obs`: recording (of animals and pairs: agent, target), frame, seconds and words
    (labels, clusters) of every frame, named ID:FRAME by its row's id; `var`: the group of every column;
    `uns["ssl_behavior"]`: the provenance."""
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
            for name, (_, number) in frames.places.items():
                obs[f"{name}/codes"][place] = number(row)
            for column in frames.columns:
                obs[f"{column.name}/codes"][place] = column.codes(row)[span]
            offset = place.stop
            advance(len(block))


def _encode(item: Any, kind: str, version: str) -> Any:
    item.attrs["encoding-type"], item.attrs["encoding-version"] = kind, version
    return item


def _strings(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    _encode(group.create_dataset(name, data=list(values), dtype=_TEXT), "string-array", "0.2.0")


def _categories(group: h5py.Group, name: str, words: Sequence[str], codes: np.ndarray | int) -> None:
    """Categorical column; `codes` is each row's category (-1 = none), or the number of rows to come."""
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
    """Empty table of frames."""
    columns: Sequence[FrameColumn] = frames.columns
    obs = _dataframe(file, "obs", [*frames.places, FRAME, SECONDS, *(column.name for column in columns)])
    _encode(obs.create_dataset(_INDEX, (frames.num_frames,), _TEXT), "string-array", "0.2.0")
    for name, dtype in ((FRAME, np.int32), (SECONDS, np.float64)):
        _encode(obs.create_dataset(name, (frames.num_frames,), dtype), "array", "0.2.0")
    for name, (words, _) in frames.places.items():
        _categories(obs, name, words, frames.num_frames)
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


@dataclass(frozen=True)
class EmbeddingFormat:
    """A format of embedding tables.

    Parameters
    ----------
    ending : of the file's name.
    write : writes frames to a path; calls `advance` with the number of each block.
    words : whether it can hold words, such as labels, beside the numbers.
    module, extra : required module, and its extra in `pip install 'ssl-behavior[extra]'`.
    """

    ending: str
    write: Callable[[Path, ExportedFrames, Advance], None]
    words: bool = True
    module: str = "numpy"
    extra: str = ""


EMBEDDING_FORMATS: dict[str, EmbeddingFormat] = {
    format.ending: format
    for format in (
        EmbeddingFormat(".npy", write_npy, words=False),
        EmbeddingFormat(".parquet", write_parquet, module="pyarrow", extra="store"),
        EmbeddingFormat(".h5ad", write_h5ad),
    )
}


def export_embeddings(
    embeddings: Embeddings,
    out: Path,
    *,
    rows: Sequence[EmbeddingRow] | None = None,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    columns: Sequence[FrameColumn] = (),
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> ExportedFrames:
    """Write one row per frame, recording after recording, atomically and in the memory of a block.

    Parameters
    ----------
    rows : these recordings; None = all.
    only, without : column groups, see `kept_groups`.
    columns : further columns, such as labels and clusters.

    Raises
    ------
    InputError
        If `out` exists or has an unknown ending, a library is missing, two columns have the same name, the format
        cannot hold the columns, or the disk is full.
    """
    format = _format_of(out)
    if columns and not format.words:
        names = ", ".join(column.name for column in columns)
        raise InputError(f"{out}: a {format.ending} file has only numbers, no {names}; choose another ending")
    for path in (out, sidecar_of(out)) if format.ending == ".npy" else (out,):
        if path.resolve().parent == embeddings.path.resolve():
            raise InputError(f"{path} would lie in the exported embeddings folder: choose another `out`")
        check_free(path, overwrite)
        if path.is_dir():
            raise InputError(f"{path} is a folder, which `overwrite` does not replace: choose another `out`")
    kept = kept_groups(embeddings.groups, without, only)
    frames = ExportedFrames(embeddings, list(embeddings.rows if rows is None else rows), kept, tuple(columns))
    _check_names([*frames.places, FRAME, SECONDS, *(column.name for column in columns), *frames.names])
    format.write(out, frames, lambda done: progress("writing", done, frames.num_frames))
    return frames


def _format_of(out: Path) -> EmbeddingFormat:
    format = EMBEDDING_FORMATS.get(out.suffix.lower())
    if format is None:
        raise InputError(f"{out}: embeddings are written to files that end in {', '.join(EMBEDDING_FORMATS)}")
    if find_spec(format.module) is None:
        raise InputError(f"{format.ending} files need {format.module}: pip install 'ssl-behavior[{format.extra}]'")
    return format


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two columns would be called {name!r}; leave one out (`streams`, `only`, `without`)")
