"""Representations for probes: one row of numbers per frame, in store order, from an encoder or a reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.embedding import kept_groups
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.methods import group_slices
from ssl_behavior.numerics import Standardizer
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "Columns",
    "Frames",
    "Matrix",
    "PartialMatrix",
    "Representation",
    "all_frames",
    "check_alignment",
    "columns_without",
    "gather",
    "sampled_frames",
    "standardized_blocks",
]

BLOCK_FRAMES = 65_536


class Columns:
    """Columns of several matrices side by side, read on access.

    Parameters
    ----------
    parts : (matrix [frames, width], slice of its columns).
    """

    def __init__(self, *parts: tuple[np.ndarray, slice]) -> None:
        self.parts = parts
        widths = (len(range(*chosen.indices(matrix.shape[1]))) for matrix, chosen in parts)
        self.shape = (len(parts[0][0]), sum(widths))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        return np.concatenate([matrix[rows, chosen] for matrix, chosen in self.parts], axis=1)


Matrix = np.ndarray | Columns
"""One row per frame of a store."""


class PartialMatrix(Columns):
    """A matrix of some recordings of a store, indexed by the frames of the whole store.

    Parameters
    ----------
    values : [frames, dim], the recordings concatenated.
    ids : ids of the recordings in this order.
    """

    def __init__(self, values: Matrix, ids: Sequence[str], store: Store) -> None:
        self.values = values
        self.shape = (store.num_frames, values.shape[1])
        rows = [store.row(name) for name in ids]
        ends = np.cumsum([row.frames for row in rows])
        assert len(values) == ends[-1], f"{len(values)} rows for {ends[-1]} frames"
        self._places = {row.offset: (row.frames, int(end) - row.frames) for row, end in zip(rows, ends, strict=True)}
        self._starts = np.array(sorted(self._places))

    def __getitem__(self, rows: slice) -> np.ndarray:
        """The rows of a slice within one of the recordings."""
        before = self._starts[self._starts <= rows.start]
        start = int(before[-1]) if len(before) else -1
        frames, place = self._places.get(start, (0, 0))
        assert rows.stop <= start + frames, f"frames {rows} lie outside the recordings of this matrix"
        return self.values[place + rows.start - start : place + rows.stop - start]


@dataclass(frozen=True)
class Representation:
    """A named matrix [frames, dim] over a whole store; several matrices are pretraining seeds of one encoder.

    Parameters
    ----------
    name : name in tables.
    arrays : [frames, dim], memory-mapped or not; probe seed s reads `arrays[s % len(arrays)]`.
    checkpoints : fingerprints of the encoders, one per array; () for references without an encoder.
    """

    name: str
    arrays: tuple[Matrix, ...]
    checkpoints: tuple[str, ...] = ()

    @property
    def dim(self) -> int:
        return int(self.arrays[0].shape[1])

    def array(self, seed: int) -> Matrix:
        return self.arrays[seed % len(self.arrays)]


@dataclass(frozen=True)
class Frames:
    """Frames of some recordings.

    Parameters
    ----------
    rows : the recordings, or their pairs of animals.
    picks : ascending frame numbers within each recording.
    """

    rows: tuple[StoreRow, ...]
    picks: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return sum(len(pick) for pick in self.picks)

    @property
    def recording(self) -> np.ndarray:
        """int64 [frames]: position in `rows` of the first row of each frame's recording."""
        first = {row.recording: number for number, row in reversed([*enumerate(self.rows)])}
        return np.repeat([first[row.recording] for row in self.rows], [len(pick) for pick in self.picks])

    @property
    def slices(self) -> list[slice]:
        """Slice of each recording in the concatenated frames."""
        ends = np.cumsum([len(pick) for pick in self.picks])
        return [slice(int(end) - len(pick), int(end)) for end, pick in zip(ends, self.picks, strict=True)]

    def where(self, keep: np.ndarray) -> "Frames":
        """The frames where the bool `keep` [frames] is True."""
        return Frames(self.rows, tuple(pick[keep[part]] for pick, part in zip(self.picks, self.slices, strict=True)))

    def take(self, matrix: np.ndarray) -> np.ndarray:
        """The frames' rows of a matrix over all frames of `rows`, recordings concatenated."""
        starts = np.cumsum([0, *(row.frames for row in self.rows)])
        return np.concatenate([matrix[start + pick] for start, pick in zip(starts, self.picks, strict=False)])


def all_frames(rows: Sequence[StoreRow]) -> Frames:
    """Every frame of the recordings."""
    return Frames(tuple(rows), tuple(np.arange(row.frames) for row in rows))


def sampled_frames(rows: Sequence[StoreRow], stride: int, seed: int) -> Frames:
    """Every `stride`-th frame from a seeded start in each recording: adjacent frames are nearly equal."""
    picks = []
    for row in rows:
        phase = numpy_generator(seed, "stride", row.id).integers(0, min(stride, row.frames))
        picks.append(np.arange(phase, row.frames, stride))
    return Frames(tuple(rows), tuple(picks))


def gather(array: Matrix, frames: Frames) -> Float[Tensor, "frames latent"]:
    """The frames' rows as float32, recordings concatenated.

    Raises
    ------
    InputError
        If a value is NaN or infinite, naming the recording.
    """
    values = np.empty((len(frames), array.shape[1]), dtype=np.float32)
    for row, pick, part in zip(frames.rows, frames.picks, frames.slices, strict=True):
        whole = array[row.offset : row.offset + row.frames]
        values[part] = whole if len(pick) == row.frames else whole[pick]
        if not np.isfinite(values[part].sum(dtype=np.float64)):
            raise InputError(
                f"recording {row.id!r}: its embedding holds NaN or infinite values; embed the store again, "
                "and look at the checkpoint if they come back"
            )
    return torch.from_numpy(values)


def standardized_blocks(
    array: Matrix, frames: Frames, scaling: Standardizer
) -> Iterator[tuple[slice, Float[Tensor, "frames latent"]]]:
    """(slice of `frames`, standardized values) in blocks of at most `BLOCK_FRAMES` frames."""
    for row, pick, part in zip(frames.rows, frames.picks, frames.slices, strict=True):
        for start in range(0, len(pick), BLOCK_FRAMES):
            some = Frames((row,), (pick[start : start + BLOCK_FRAMES],))
            here = slice(part.start + start, part.start + start + len(some))
            yield here, scaling.transform_(gather(array, some))


def columns_without(embeddings: Embeddings, groups: Sequence[str]) -> Matrix:
    """The embedding without the column groups that match a name or glob of `groups`."""
    if not groups:
        return embeddings.array
    slices = group_slices(embeddings.groups)
    return Columns(*((embeddings.array, slices[name]) for name in kept_groups(embeddings.groups, groups)))


def check_alignment(embeddings: Embeddings, store: Store) -> None:
    """Check that embeddings belong to this store: same tracks, one row per frame.

    Raises
    ------
    InputError
        If they were made from another store, or their rows do not fit.
    """
    if embeddings.store != store.fingerprint():
        raise InputError(
            f"{embeddings.path} was made from another store than {store.path} (the fingerprints differ): "
            "embed this store, or name the store the embeddings came from"
        )
    rows = {row.id: (row.offset, row.frames) for row in embeddings.rows}
    for row in store.rows:
        if rows.get(row.id) != (row.offset, row.frames):
            raise InputError(f"{embeddings.path} has no embedding of all frames of the recording {row.id!r}")
    if len(embeddings.array) != store.num_frames:
        raise InputError(
            f"{embeddings.path} has {len(embeddings.array)} rows, the store {store.path} has {store.num_frames} frames"
        )
