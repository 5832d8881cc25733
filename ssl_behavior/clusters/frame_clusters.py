"""Cluster labels of frames: smoothing, bouts, and transitions between clusters.

Embeddings see seconds around a frame, so clusters seldom change. Smoothing removes the few frames of another cluster at
a border or inside a bout.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ssl_behavior.bouts import BoutTable, bout_table, runs, without_short_runs
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError

__all__ = [
    "FrameClusters",
    "SmoothingConfig",
    "Transitions",
    "transitions",
]


@dataclass(frozen=True, eq=False)
class FrameClusters:
    """The cluster of each frame.

    Parameters
    ----------
    rows : the recordings, one after the other; offsets index `labels`.
    labels : int32 [frames], from 0 to `num_clusters` - 1; -1 = of no cluster.
    num_clusters : number of clusters, including those without a frame in these recordings.
    """

    rows: Sequence[EmbeddingRow]
    labels: np.ndarray
    num_clusters: int

    def __post_init__(self) -> None:
        assert len(self.labels) == sum(row.frames for row in self.rows)
        assert not len(self.labels) or (self.labels.min() >= -1 and self.labels.max() < self.num_clusters)

    def of(self, row: EmbeddingRow) -> np.ndarray:
        """int32 [time] of a recording."""
        return self.labels[row.slice]

    def bouts(self, row: EmbeddingRow) -> list[tuple[int, int, int]]:
        """(start, stop, cluster) of a recording, in frames of it; frames of no cluster are no bout."""
        return [bout for bout in runs(self.of(row)) if bout[2] >= 0]

    @cached_property
    def table(self) -> BoutTable:
        """The bouts of all recordings; frames of no cluster are no bout."""
        return bout_table([self.of(row) for row in self.rows], self.rows)

    def only(self, ids: Sequence[str]) -> "FrameClusters":
        """The recordings named in `ids` that exist here, in that order."""
        known = {row.id: row for row in self.rows}
        rows = [known[id] for id in ids if id in known]
        offsets = np.cumsum([0, *(row.frames for row in rows)]).tolist()
        moved = [replace(row, offset=offset) for row, offset in zip(rows, offsets, strict=False)]
        labels = np.concatenate([np.empty(0, np.int32), *(self.of(row) for row in rows)])
        return FrameClusters(moved, labels, self.num_clusters)

    def shares(self) -> np.ndarray:
        """Each cluster's share of each recording's frames, float64 [recording, cluster]; 0 where there are none."""
        counts = [np.bincount(own[own >= 0], minlength=self.num_clusters) for own in map(self.of, self.rows)]
        frames = np.array([row.frames for row in self.rows])
        shares = np.array(counts, dtype=np.float64).reshape(len(self.rows), self.num_clusters)
        return shares / np.maximum(frames, 1)[:, None]


@dataclass(frozen=True, kw_only=True)
class SmoothingConfig:
    """How frame labels become bouts.

    Parameters
    ----------
    minimum_bout_seconds : shorter bouts become part of the longer bout beside them, the shortest first (see
        `ssl_behavior.bouts.without_short_runs`); frames of no cluster count as bouts, too. 0 = keep all bouts.

    Raises
    ------
    InputError
        If it is negative or not finite.
    """

    minimum_bout_seconds: float = 0.25

    def __post_init__(self) -> None:
        if not (np.isfinite(self.minimum_bout_seconds) and self.minimum_bout_seconds >= 0):
            raise InputError(f"`minimum_bout_seconds` must be 0 or more, got {self.minimum_bout_seconds}")

    def without_short(self, labels: np.ndarray, fps: float) -> np.ndarray:
        """Labels of a recording [time] without bouts shorter than the minimum."""
        return without_short_runs(labels + 1, round(self.minimum_bout_seconds * fps)) - 1


@dataclass(frozen=True, eq=False)
class Transitions:
    """Ends of each cluster's bouts, within recordings.

    Parameters
    ----------
    counts : bouts of a cluster directly followed by a bout of another cluster, int64 [cluster, next cluster]; the
        diagonal is 0, because a bout ends where another cluster begins.
    to_none : bouts followed by frames of no cluster; the cluster after those frames does not count as following.
    to_end : bouts that end with the recording.
    """

    counts: np.ndarray
    to_none: np.ndarray
    to_end: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """Probability of the next cluster where one follows directly, float64 [cluster, next cluster]; NaN where none
        does."""
        total = self.counts.sum(axis=1, keepdims=True)
        return np.where(total > 0, self.counts / np.maximum(total, 1), np.nan)

    @property
    def expected(self) -> np.ndarray:
        """The same with the other clusters' bouts in random order: each cluster's share of all following bouts."""
        came = np.broadcast_to(self.counts.sum(axis=0), self.counts.shape) * ~np.eye(len(self.counts), dtype=bool)
        total = came.sum(axis=1, keepdims=True)
        return np.where(total > 0, came / np.maximum(total, 1), np.nan)


def transitions(clusters: FrameClusters) -> Transitions:
    """Count the transitions between clusters."""
    number, table = clusters.num_clusters, clusters.table
    frames = np.array([row.frames for row in clusters.rows])
    ends = table.stop == frames[table.recording]
    follows = np.zeros(len(table), bool)
    follows[:-1] = (table.recording[1:] == table.recording[:-1]) & (table.start[1:] == table.stop[:-1])
    pairs = table.label[:-1][follows[:-1]] * number + table.label[1:][follows[:-1]]
    return Transitions(
        counts=np.bincount(pairs, minlength=number**2).reshape(number, number),
        to_none=np.bincount(table.label[~ends & ~follows], minlength=number),
        to_end=np.bincount(table.label[ends], minlength=number),
    )
