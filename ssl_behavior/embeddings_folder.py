"""Embeddings on disk: one row per frame of every recording.

An embeddings folder holds `embeddings.npy` (float16 or float32 [frames, dim], one row for every frame of every
recording, in store order) and `embeddings.json` (the recordings and the checkpoint). Read it with
`numpy.load(mmap_mode="r")`.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from ssl_behavior.arguments import opened, several, whole_number
from ssl_behavior.errors import InputError
from ssl_behavior.files import (
    atomic_folder,
    publish_folder,
    read_contents,
    read_json,
    write_json,
)
from ssl_behavior.labeled_arrays import data_array
from ssl_behavior.methods import Method, behavior_groups, group_slices
from ssl_behavior.plots import embedding_map
from ssl_behavior.recording import FrameTimes
from ssl_behavior.reprs import Described, described_columns
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import FrameRow, Store, StoreRow, check_numbers
from ssl_behavior.terminal import counted, listed, quoted
from ssl_behavior.units import OfActors, Unit, actors_of

__all__ = [
    "EmbeddingRow", "Embeddings", "EmbeddingsWriter", "array_of_rows", "bout_columns", "check_dtype", "count_rows",
    "open_embeddings", "recording_numbers", "rows_of_recording", "sample_frames", "select_rows", "store_embeddings",
    "unit_rows",
]  # fmt: skip


FORMAT_VERSION = 1
Row = TypeVar("Row", bound=FrameRow)
_DTYPES = ("float16", "float32")
_ASKED, _FINISHED, _OWN_FINISHED = "asked.json", "finished.json", "finished-{}.txt"
"""Files of an unfinished export: its settings and table, and the rows finished by earlier attempts and each process."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingRow(OfActors, FrameRow):
    """Rows of the array that belong to a recording, or to an animal or a pair of it: one for every frame.

    `id` is unique in the table; `recording` is the id in the store.
    """

    recording: str = ""
    """Id of the recording; given only where it is not `id`."""
    agent: str = ""
    """Animal of an embedding of animals or pairs; "" = the scene."""
    target: str = ""
    """The other animal of an embedding of pairs; equal to `agent` for what an animal directs at itself."""

    source_fps: float | None = None
    """Frame rate of the source of a resampled recording; None = not resampled."""
    source_frames: int | None = None
    """Number of frames of the source of a resampled recording; None = its frame times are irregular."""

    def __post_init__(self) -> None:
        if not self.recording:
            object.__setattr__(self, "recording", self.id)

    @property
    def file_times(self) -> FrameTimes:
        """Times of the frames that written label files count, see `Store.file_times`."""
        if self.source_fps is None or self.source_frames is None:
            return self.frame_times
        return FrameTimes(fps=self.source_fps, num_frames=self.source_frames)

    def facts(self) -> dict[str, Any]:
        """The row as JSON; only resampled recordings have facts about a source, and scenes name no animals."""
        facts = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        return facts if self.agent else {name: value for name, value in facts.items() if name != "recording"}


def bout_columns(rows: Sequence[EmbeddingRow], start: Sequence[int], stop: Sequence[int]) -> dict[str, Sequence[Any]]:
    """Columns of a table of bouts: recording, agent and target where rows have them, frames, seconds.

    Parameters
    ----------
    rows : row of each bout.
    """
    columns: dict[str, Sequence[Any]] = {"recording": [row.recording for row in rows]}
    for name in ("agent", "target"):
        if any(animals := [getattr(row, name) for row in rows]):
            columns[name] = animals
    columns |= {"start_frame": start, "stop_frame": stop}
    for name, frames in (("start_s", start), ("stop_s", stop)):
        columns[name] = [frame / row.fps for frame, row in zip(frames, rows, strict=True)]
    return columns


class Embeddings(Described):
    """An embeddings folder.

    Attributes
    ----------
    rows : the recordings table, in the store's order.
    groups : column groups: name -> number of columns.
    checkpoint, store : fingerprints of the encoder and of the tracks.
    precision : "float32" or "bfloat16", number type of the computation; "" = unknown.

    Raises
    ------
    InputError
        If the folder holds no embeddings, is damaged, or was written by a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        contents = read_contents(
            self.path, "embeddings.json", "embeddings", FORMAT_VERSION, ", or embed again", "an embeddings folder"
        )
        try:
            for row in contents["recordings"]:
                check_numbers(row, self.path / "embeddings.json", min_frames=0)
            self.rows = [EmbeddingRow(**row) for row in contents["recordings"]]
            self.groups: dict[str, int] = dict(contents["channel_groups"])
            self.checkpoint, self.store = str(contents["checkpoint"]), str(contents["store"])
            self.precision = str(contents.get("precision", ""))
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.path}/embeddings.json is damaged: {error!r}") from None
        wanted = sum(row.frames for row in self.rows), sum(self.groups.values())
        if getattr(self.array, "shape", None) != wanted:
            raise InputError(
                f"{self.path} is damaged: its table says {wanted[0]} rows and {wanted[1]} columns, embeddings.npy has "
                f"shape {list(self.array.shape)}"
            )

    @cached_property
    def array(self) -> np.ndarray:
        """[frames, dim], memory-mapped."""
        try:
            return np.load(self.path / "embeddings.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{self.path} is damaged: embeddings.npy cannot be read ({error})") from None

    def _headline(self) -> str:
        size = f"{len(self.array):,} x {self.dim} {self.array.dtype}"
        return f"Embeddings {str(self.path)!r}: {size}, a row for each {self.unit} of every frame"

    def _facts(self) -> list[tuple[str, str]]:
        return [
            ("columns", described_columns(self.groups)),
            ("recordings", listed(list(dict.fromkeys(row.recording for row in self.rows)), 6)),
        ]

    @property
    def unit(self) -> Unit:
        """What a row describes: a scene, an animal, or an ordered pair."""
        return self.rows[0].actors.unit if self.rows else "scene"

    @property
    def dim(self) -> int:
        return int(self.array.shape[1])

    def row(self, id: str) -> EmbeddingRow:
        """Row with an id; raises InputError for an unknown one, and lists the rows of a recording that has several."""
        for row in self.rows:
            if row.id == id:
                return row
        if own := [row.id for row in self.rows if row.recording == id]:
            raise InputError(f"{self.path}: recording {id!r} has a row for each {self.unit}: name one of {quoted(own)}")
        raise InputError(f"{self.path} has no recording {id!r}")

    def to_xarray(self, recording: str) -> Any:
        """Embeddings of a recording as an xarray.DataArray (time, channel), float32.

        `time` is in seconds; `group` is the column group of each channel. Of a recording with rows for its animals or
        pairs, the first dimension is `animal` or `pair`, with coordinates `agent` and `target`.

        Parameters
        ----------
        recording : id of a recording, or of one row of it.

        Raises
        ------
        InputError
            If there is no such recording, or xarray is not installed.
        """
        rows = rows_of_recording(self.rows, recording, str(self.path))
        channels = {
            "channel": np.arange(self.dim),
            "group": ("channel", np.repeat([*self.groups], [*self.groups.values()])),
        }
        values = [self.array[row.slice].astype(np.float32) for row in rows]
        return array_of_rows(rows, values, ("channel",), channels, "embedding", {"checkpoint": self.checkpoint})

    def plot(
        self,
        labels: Any = None,
        values: Any = None,
        *,
        recordings: str | Sequence[str] = (),
        only: str | Sequence[str] = (),
        without: str | Sequence[str] = (),
        most: int = 5000,
        seed: int = 0,
        **options: Any,
    ) -> Any:
        """Draw a map of the frames, see `ssl_behavior.plots.embedding_map`.

        Parameters
        ----------
        labels : a `Clustering` of these embeddings, or whole numbers or names [frames] of all frames; None = none.
        values : float [frames] of all frames, for a color scale.
        recordings : draw frames of these recordings alone (ids or globs); empty = all.
        only, without : column groups, names or globs; with neither, all but "time".
        most : number of frames, a random sample.
        options : further arguments of `embedding_map`: names, background, colors, map, legend, title, ax.

        Raises
        ------
        InputError
            If an argument does not fit, or matplotlib is not installed.
        """
        rows = self.select(several(recordings, "recordings")) if recordings else self.rows
        kept = behavior_groups(self.groups, several(without, "without"), several(only, "only"))
        sample = sample_frames(rows, whole_number(most, "most", 1), seed)
        block = self.array[sample].astype(np.float32)
        points = np.concatenate([block[:, span] for name, span in group_slices(self.groups).items() if name in kept], 1)
        clusters = getattr(labels, "frames", None)
        if clusters is not None:
            labels, options = clusters.labels, {"legend": "cluster"} | options
        shown = {"labels": labels, "values": values}
        shown = {name: self._of_frames(each, name)[sample] for name, each in shown.items() if each is not None}
        return embedding_map(points, **shown, most=most, seed=seed, **options)

    def _of_frames(self, values: Any, argument: str) -> np.ndarray:
        found = np.asarray(values)
        if found.shape != (len(self.array),):
            raise InputError(
                f"`{argument}` must be one for each of the {len(self.array):,} frames, got shape {list(found.shape)}"
            )
        return found

    def select(self, patterns: Sequence[str]) -> list[EmbeddingRow]:
        """Rows whose id, or recording, equals or matches (as a glob) any of `patterns`, in order.

        Raises
        ------
        InputError
            If a pattern matches nothing.
        """
        return select_rows(self.rows, patterns, str(self.path))


def rows_of_recording(rows: Sequence[EmbeddingRow], recording: str, where: str) -> list[EmbeddingRow]:
    """The rows of a recording, or the one row with this id.

    Parameters
    ----------
    where : name of the source of the rows, for the error.

    Raises
    ------
    InputError
        If there are none.
    """
    found = [row for row in rows if row.id == recording] or [row for row in rows if row.recording == recording]
    if not found:
        known = quoted(list(dict.fromkeys(row.recording for row in rows))) or "none"
        raise InputError(f"{where} has no recording {recording!r}; it has {known}")
    return found


def array_of_rows(
    rows: Sequence[EmbeddingRow],
    values: Sequence[np.ndarray],
    dimensions: Sequence[str],
    coordinates: Mapping[str, Any],
    name: str,
    attributes: Mapping[str, Any],
) -> Any:
    """xarray.DataArray over time of one row, or of all rows of a recording, which are then the first dimension.

    Parameters
    ----------
    values : array [time, ...] of each row.
    dimensions : names of the dimensions after time.
    """
    first, several_rows = rows[0], len(rows) > 1
    found = {"time": first.frame_times.seconds(), **coordinates}
    for actor in ("agent", "target"):
        if getattr(first, actor):
            names = [getattr(row, actor) for row in rows]
            found[actor] = (first.actors.unit, names) if several_rows else names[0]
    facts = {"recording": first.recording, "fps": first.fps, **attributes}
    array = np.stack(values) if several_rows else values[0]
    leading = (first.actors.unit, "time") if several_rows else ("time",)
    return data_array(array, (*leading, *dimensions), found, name, facts)


def select_rows(rows: Sequence[Row], patterns: Sequence[str], where: str) -> list[Row]:
    """Rows whose id, or recording, equals or matches (as a glob) any of `patterns`, in order.

    Parameters
    ----------
    where : name of the source of the rows, for the error.

    Raises
    ------
    InputError
        If a pattern matches nothing.
    """

    def matches(row: Row, pattern: str) -> bool:
        return any(name == pattern or fnmatchcase(name, pattern) for name in (row.id, row.recording))

    for pattern in patterns:
        if not any(matches(row, pattern) for row in rows):
            known = f"{rows[0].recording!r} and others" if rows else "none"
            raise InputError(f"{where}: no recording matches {pattern!r}; it has {known}")
    return [row for row in rows if any(matches(row, one) for one in patterns)]


def rows_by_recording(rows: Iterable[EmbeddingRow]) -> dict[str, list[EmbeddingRow]]:
    """Recording -> its rows, both in order of first appearance; scenes have one row each."""
    found: dict[str, list[EmbeddingRow]] = {}
    for row in rows:
        found.setdefault(row.recording, []).append(row)
    return found


def recording_numbers(rows: Sequence[EmbeddingRow]) -> np.ndarray:
    """Number of the recording of each row, int64 [row], in order of first appearance; scenes have one row each."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(row.recording, len(numbers)) for row in rows], np.int64)


def sample_frames(rows: Sequence[EmbeddingRow], most: int, seed: int) -> np.ndarray:
    """Sorted array rows, int64: all frames of `rows`, or a random `most` of them."""
    frames = np.concatenate([np.arange(row.offset, row.offset + row.frames) for row in rows])
    if len(frames) <= most:
        return frames
    drawn = numpy_generator(seed, "sample of frames").choice(len(frames), most, replace=False, shuffle=False)
    return frames[np.sort(drawn)]


def count_rows(rows: Sequence[EmbeddingRow]) -> str:
    """Number of recordings and, for animals and pairs, of rows, for messages: "2 recordings, 12 pairs"."""
    recordings = counted(len({row.recording for row in rows}), "recording")
    unit = rows[0].actors.unit if rows else "scene"
    return recordings if unit == "scene" else f"{recordings}, {counted(len(rows), unit)}"


def store_embeddings(
    out: str | Path,
    store: Store,
    rows: Sequence[StoreRow],
    sequences: Iterable[tuple[str, np.ndarray]],
    group: str,
    made_by: Callable[[], str],
    dtype: str = "float16",
    overwrite: bool = False,
    unit: Unit = "scene",
) -> Embeddings:
    """Write precomputed features, e.g. released ones, as an embeddings folder, atomically.

    Parameters
    ----------
    sequences : (id, values [time, dim]) for each row of the table, in any order: a recording's id or, of an animal or
        a pair, `Actors.row_id`.
    unit : the table has a row for each of these in every recording, see `ssl_behavior.units.actors_of`.
    group : name of the column group.
    made_by : called after all sequences are read; its value replaces the checkpoint's fingerprint in `embeddings.json`.

    Raises
    ------
    InputError
        If `out` exists, the disk is full, or a value cannot be held in float16.
    """
    check_dtype(dtype)
    out, table = Path(out), {row.id: row for row in unit_rows(rows, unit, store.individuals)}
    array: np.memmap | None = None
    with atomic_folder(out, overwrite, "embeddings.json") as folder:
        for recording, values in sequences:
            if array is None:
                shape = sum(row.frames for row in table.values()), values.shape[1]
                array = _new_array(folder / "embeddings.npy", np.dtype(dtype), shape)
            array[table[recording].slice] = _as_stored(values, array.dtype, recording)
        assert array is not None
        array.flush()
        groups = {group: array.shape[1]}
        # Windows does not rename a folder with a file that is still mapped.
        del array
        write_json(folder / "embeddings.json", _contents(store, list(table.values()), groups, dtype, made_by()))
    return Embeddings(out)


def check_dtype(dtype: str) -> None:
    """Refuse a type other than float16 and float32.

    Raises
    ------
    InputError
        If it is another one.
    """
    if dtype not in _DTYPES:
        raise InputError(f"embeddings can be stored as {' or '.join(_DTYPES)}, not {dtype!r}")


def unit_rows(
    rows: Sequence[StoreRow], unit: Unit = "scene", individuals: Sequence[str] = (), with_self: bool = False
) -> list[EmbeddingRow]:
    """Row table: offset, frames and fps of each recording, or of each of its animals or pairs.

    Parameters
    ----------
    individuals : of the store; those that a recording lacks have no rows.
    with_self : see `ssl_behavior.units.actors_of`.
    """
    described = [(row, actors) for row in rows for actors in actors_of(unit, individuals, with_self, row.absent)]
    stops = np.cumsum([row.frames for row, _ in described]).tolist()
    return [
        EmbeddingRow(
            id=actors.row_id(row.id),
            recording=row.id,
            agent=actors.agent,
            target=actors.target,
            offset=stop - row.frames,
            frames=row.frames,
            fps=row.fps,
            source_fps=row.source_fps,
            source_frames=row.source_frames if row.source_times is None else None,
        )
        for (row, actors), stop in zip(described, stops, strict=True)
    ]


def _contents(
    store: Store, table: Sequence[EmbeddingRow], groups: Mapping[str, int], dtype: str, made_by: str
) -> dict[str, Any]:
    return {
        "format": "ssl-behavior embeddings",
        "version": FORMAT_VERSION,
        "dim": sum(groups.values()),
        "dtype": dtype,
        "channel_groups": dict(groups),
        "checkpoint": made_by,
        "store": store.fingerprint(),
        "recordings": [row.facts() for row in table],
    }


def _new_array(file: Path, dtype: np.dtype, shape: tuple[int, int]) -> np.memmap:
    """A memory-mapped array whose space is reserved: a full disk raises now, not after hours as SIGBUS."""
    array = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as handle:
            os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
    return array


def _as_stored(values: np.ndarray, dtype: np.dtype, recording: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        stored = values.astype(dtype)
    if not np.isfinite(stored).all():
        raise InputError(f"recording {recording!r}: an embedding is too large for {dtype}; use `dtype=float32`")
    return stored


class EmbeddingsWriter:
    """Unfinished export: a folder beside `out` with the array, and with lists of the rows that are finished.

    One process calls `begin`. Then each process writes its own rows between `open` and `close`, to their places in the
    array and to a list of its own. At last one process calls `publish`.

    Attributes
    ----------
    rows : the table: a row for each recording, or for each animal or pair of it.
    contents : the table of contents, `embeddings.json`.
    """

    def __init__(
        self,
        method: Method,
        store: Store,
        rows: list[StoreRow],
        out: Path,
        dtype: str,
        precision: torch.dtype,
        kept: dict[str, int],
        unit: Unit = "scene",
        with_self: bool = False,
    ) -> None:
        self.out, self.folder = out, out.with_name(f".{out.name}.unfinished")
        self.rows = unit_rows(rows, unit, store.individuals, with_self)
        self.dtype, self.shape = np.dtype(dtype), (sum(row.frames for row in self.rows), sum(kept.values()))
        self.contents = {
            **_contents(store, self.rows, kept, dtype, method.fingerprint()),
            "precision": str(precision).removeprefix("torch."),
        }

    def begin(self) -> list[int]:
        """Make the folder; returns the rows that an interrupted export with the same settings finished."""
        finished = self._finished()
        if finished:
            write_json(self.folder / _FINISHED, finished)
        else:
            # Whatever another export left must not be taken for progress of this one.
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            write_json(self.folder / _ASKED, self.contents)
            try:
                _new_array(self.folder / "embeddings.npy", self.dtype, self.shape)
            except OSError:
                shutil.rmtree(self.folder, ignore_errors=True)
                raise
        for own in self.folder.glob(_OWN_FINISHED.format("*")):
            own.unlink()
        return finished

    def _finished(self) -> list[int]:
        """Rows that an interrupted export with the same settings finished, in any number of processes."""
        asked, what = self.folder / _ASKED, "an unfinished export"
        if not asked.exists() or read_json(asked, what) != json.loads(json.dumps(self.contents)):
            return []
        finished = set(read_json(self.folder / _FINISHED, what)) if (self.folder / _FINISHED).exists() else set()
        for own in self.folder.glob(_OWN_FINISHED.format("*")):
            # A process that was killed may have left half a line, which does not end.
            lines = own.read_text(encoding="ascii").splitlines(keepends=True)
            finished |= {int(pick) for line in lines if line.endswith("\n") for pick in line.split()}
        return sorted(finished)

    def open(self, process: int = 0, of: int = 1) -> None:
        """Open the array to write in process number `process` of `of`."""
        # Machines that write parts of one page must not write the rest of it, as they remember it: network file systems
        # leave it alone where the file is never read, and every write is synchronous.
        flags = os.O_WRONLY | getattr(os, "O_BINARY", 0) | (getattr(os, "O_DSYNC", 0) if of > 1 else 0)
        self._array = os.fdopen(os.open(self.folder / "embeddings.npy", flags), "wb", buffering=0)
        self._start = os.fstat(self._array.fileno()).st_size - self.shape[0] * self._row_bytes
        self._list = (self.folder / _OWN_FINISHED.format(process)).open("w", encoding="ascii", newline="\n")

    @property
    def _row_bytes(self) -> int:
        return self.shape[1] * self.dtype.itemsize

    def write(self, pick: int, span: slice, values: np.ndarray) -> None:
        """Write values [frames, dim] of some frames of a row."""
        row = self.rows[pick]
        stored = np.ascontiguousarray(_as_stored(values, self.dtype, row.id))
        self._array.seek(self._start + (row.offset + span.start) * self._row_bytes)
        left = stored.reshape(-1).view(np.uint8).data
        while left:
            left = left[self._array.write(left) :]

    def finish_rows(self, picks: Sequence[int]) -> None:
        """Record that these rows are on disk."""
        os.fsync(self._array.fileno())
        self._list.write(" ".join(map(str, picks)) + "\n")
        self._list.flush()
        os.fsync(self._list.fileno())

    def close(self) -> None:
        """Close the files of this process."""
        self._array.close()
        self._list.close()

    def publish(self) -> None:
        """Turn the folder, with all rows finished, into `out`."""
        write_json(self.folder / "embeddings.json", self.contents)
        for name in (_ASKED, _FINISHED, _OWN_FINISHED.format("*")):
            for file in self.folder.glob(name):
                file.unlink()
        publish_folder(self.folder, self.out)


def open_embeddings(embeddings: Embeddings | str | Path) -> Embeddings:
    """Embeddings, given as such or as their folder; raises InputError for anything else."""
    return opened(embeddings, Embeddings, "embeddings", Embeddings)
