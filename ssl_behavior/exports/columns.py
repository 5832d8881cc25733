"""What else is known of every frame of an embedding: label streams of a store, clusters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.embedding import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.exports.clustered import STREAM
from ssl_behavior.exports.stored import chosen_streams
from ssl_behavior.store import Store

__all__ = ["FrameColumn", "cluster_column", "label_columns"]


@dataclass(frozen=True)
class FrameColumn:
    """A word for every frame.

    Parameters
    ----------
    words : which there are, all different.
    codes : a recording's row -> int [time], which word each frame has; -1 = none.
    """

    name: str
    words: tuple[str, ...]
    codes: Callable[[EmbeddingRow], np.ndarray]


def label_columns(store: Store, rows: Sequence[EmbeddingRow], streams: Sequence[str] = ()) -> list[FrameColumn]:
    """A column for each label stream of a store (of these names, if there are any).

    Raises
    ------
    InputError
        If the store lacks a stream or a recording, or has another number of frames of it.
    """
    chosen = chosen_streams(store, streams)
    for row in rows:
        _check_frames(row, store.row(row.id).frames, str(store.path))

    def column(name: str) -> Callable[[EmbeddingRow], np.ndarray]:
        return lambda row: store.labels(name)[store.row(row.id).slice]

    return [FrameColumn(one.name, one.classes, column(one.name)) for one in chosen]


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
            raise InputError(f"{where} has no clusters of the recording {row.id!r}: assign them first")
        _check_frames(row, own[row.id].frames, where)
    words = tuple(dict.fromkeys(names))
    numbers = np.array([*(words.index(name) for name in names), -1], dtype=np.int32)
    return FrameColumn(STREAM, words, lambda row: numbers[clusters.of(own[row.id])])


def _check_frames(row: EmbeddingRow, frames: int, where: str) -> None:
    if frames != row.frames:
        raise InputError(f"recording {row.id!r} has {frames:,} frames in {where}, and {row.frames:,} were embedded")
