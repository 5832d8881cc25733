"""All bouts of a clustering as arrays, and which cluster follows which."""

from dataclasses import dataclass

import numpy as np

from ssl_behavior.clusters.labels import FrameClusters

__all__ = ["BoutTable", "Transitions", "bout_table", "transitions"]


@dataclass(frozen=True, eq=False)
class BoutTable:
    """Every bout of every recording in order, arrays [bout]; frames of no cluster are no bout.

    Parameters
    ----------
    recording : which of the clustering's rows.
    first : its first frame, as a row of all labels.
    start, stop : in frames of the recording, `stop` not included.
    cluster : from 0.
    seconds : how long it lasts. Bouts that the start or end of a recording cuts count as long as they are seen.
    """

    recording: np.ndarray
    first: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    cluster: np.ndarray
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.cluster)

    @property
    def frames(self) -> np.ndarray:
        """Length of each, int64 [bout]."""
        return self.stop - self.start


def bout_table(clusters: FrameClusters) -> BoutTable:
    """The bouts of a clustering."""
    offsets = np.array([row.offset for row in clusters.rows], np.int64)
    changes = np.flatnonzero(np.diff(clusters.labels)) + 1
    # A recording without frames begins where the next one does, or where there is nothing any more.
    begins = offsets[offsets < len(clusters.labels)]
    first = np.union1d(begins, changes).astype(np.int64)
    last = np.append(first[1:], len(clusters.labels))
    kept = clusters.labels[first] >= 0
    first, last = first[kept], last[kept]
    recording = np.searchsorted(offsets, first, side="right") - 1
    fps = np.array([row.fps for row in clusters.rows])
    start = first - offsets[recording]
    return BoutTable(
        recording=recording,
        first=first,
        start=start,
        stop=start + (last - first),
        cluster=clusters.labels[first].astype(np.int64),
        seconds=(last - first) / fps[recording],
    )


@dataclass(frozen=True, eq=False)
class Transitions:
    """What comes at the end of a cluster's bouts, within recordings.

    Parameters
    ----------
    counts : bouts of a cluster that a bout of another one follows at once, int64 [cluster, next cluster]; the diagonal
        is 0, for a bout ends where another cluster begins.
    to_none : bouts followed by frames of no cluster; what comes after those is not counted as following.
    to_end : bouts that the recording's end cuts.
    """

    counts: np.ndarray
    to_none: np.ndarray
    to_end: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """Of the next cluster, given that one follows at once, float64 [cluster, next cluster]; NaN where none does."""
        total = self.counts.sum(axis=1, keepdims=True)
        return np.where(total > 0, self.counts / np.maximum(total, 1), np.nan)

    @property
    def expected(self) -> np.ndarray:
        """The same, had the bouts of the other clusters come in any order: each one's share of all that follow."""
        came = np.broadcast_to(self.counts.sum(axis=0), self.counts.shape) * ~np.eye(len(self.counts), dtype=bool)
        total = came.sum(axis=1, keepdims=True)
        return np.where(total > 0, came / np.maximum(total, 1), np.nan)


def transitions(table: BoutTable, clusters: FrameClusters) -> Transitions:
    """Count what follows each bout."""
    number = clusters.num_clusters
    frames = np.array([row.frames for row in clusters.rows])
    ends = table.stop == frames[table.recording]
    follows = np.zeros(len(table), bool)
    follows[:-1] = (table.recording[1:] == table.recording[:-1]) & (table.start[1:] == table.stop[:-1])
    pairs = table.cluster[:-1][follows[:-1]] * number + table.cluster[1:][follows[:-1]]
    return Transitions(
        counts=np.bincount(pairs, minlength=number**2).reshape(number, number),
        to_none=np.bincount(table.cluster[~ends & ~follows], minlength=number),
        to_end=np.bincount(table.cluster[ends], minlength=number),
    )
