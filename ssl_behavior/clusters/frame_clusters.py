"""Cluster labels of frames: smoothing, bouts, and which cluster follows which.

Embeddings see seconds around a frame, so clusters change seldom by themselves; what has to go are the few frames of
something else at a border or amid a bout.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ssl_behavior.bouts import BoutTable, bout_table, runs, without_short_runs
from ssl_behavior.embedding import EmbeddingRow
from ssl_behavior.errors import InputError

__all__ = [
    "FrameClusters",
    "SmoothingConfig",
    "Transitions",
    "cheapest_paths",
    "transitions",
]


@dataclass(frozen=True, eq=False)
class FrameClusters:
    """The cluster of each frame.

    Parameters
    ----------
    rows : the recordings, one after the other; their offsets are into `labels`.
    labels : int32 [frames], from 0 to `num_clusters` - 1; -1 = of no cluster.
    num_clusters : how many there are, seen in these recordings or not.
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
        """Those of the recordings that are here, in the order of `ids`."""
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
    penalty : the price of changing the cluster, in median squared distances of a frame to its centroid; the labels
        then have the smallest sum of squared distances and prices (see `cheapest_paths`). 0 = every frame by itself.
    minimum_bout_seconds : after that, shorter bouts become part of the longer one beside them, the shortest first
        (see `ssl_behavior.bouts.without_short_runs`); frames of no cluster count as bouts, too. 0 = as short as they
        come.

    Raises
    ------
    InputError
        If one of them is negative or not finite.
    """

    penalty: float = 0.0
    minimum_bout_seconds: float = 0.25

    def __post_init__(self) -> None:
        named = (("--smooth", self.penalty), ("--minimum-bout-seconds", self.minimum_bout_seconds))
        for name, value in named:
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"{name} must be 0 or more, got {value}")

    def without_short(self, labels: np.ndarray, fps: float) -> np.ndarray:
        """Labels of a recording [time] without bouts that are too short."""
        return without_short_runs(labels + 1, round(self.minimum_bout_seconds * fps)) - 1


def cheapest_paths(gains: Sequence[np.ndarray], penalty: float) -> list[np.ndarray]:
    """The labels of each recording with the greatest sum of gains less `penalty` for every change, int32 [time].

    Exact, by dynamic programming over time (Bellman; Viterbi's algorithm without probabilities): the best sum up to a
    frame that ends in cluster j either stayed there or came from the best cluster of all before, so a step costs as
    many operations as there are clusters. Recordings go through it beside each other. Of equally good paths one that
    stays is taken, and then the lower number.

    Parameters
    ----------
    gains : [time, cluster] of each recording, e.g. minus the squared distance; of any length, perhaps 0.
    """
    order = sorted(range(len(gains)), key=lambda one: -len(gains[one]))
    lengths = np.array([len(gains[one]) for one in order])
    out: list[np.ndarray] = [np.empty(0, np.int32)] * len(gains)
    going = int(np.count_nonzero(lengths))
    if not going:
        return out
    best, came, last = _forward([gains[one] for one in order[:going]], lengths[:going], penalty)
    labels = _backward(best, came, last, lengths[:going])
    for place, one in enumerate(order[:going]):
        out[one] = labels[place, : lengths[place]]
    return out


def _forward(gains: list[np.ndarray], lengths: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every frame, the best cluster of the frame before, int32 [recording, time], and which clusters are better
    reached from there than by staying, bool [recording, time, cluster]; and each recording's last cluster.

    Recordings come with the longest first, so that those still going are always the first ones.
    """
    most, num_clusters = int(lengths[0]), gains[0].shape[1]
    best = np.zeros((len(gains), most), np.int32)
    came = np.zeros((len(gains), most, num_clusters), bool)
    total = np.array([gain[0] for gain in gains], np.float64)
    going = len(gains)
    for frame in range(1, most):
        going = int(np.searchsorted(-lengths[:going], -frame, side="left"))
        now = total[:going]
        best[:going, frame] = now.argmax(axis=1)
        moved = (now.max(axis=1) - penalty)[:, None]
        came[:going, frame] = moved > now
        np.maximum(now, moved, out=now)
        now += [gain[frame] for gain in gains[:going]]
    return best, came, total.argmax(axis=1).astype(np.int32)


def _backward(best: np.ndarray, came: np.ndarray, last: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The labels int32 [recording, time] that end in `last`; meaningless after a recording's end."""
    labels = np.empty_like(best)
    everyone = np.arange(len(best))
    labels[everyone, lengths - 1] = last
    for frame in range(int(lengths[0]) - 1, 0, -1):
        going = everyone[lengths > frame]
        own = labels[going, frame]
        labels[going, frame - 1] = np.where(came[going, frame, own], best[going, frame], own)
    return labels


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


def transitions(clusters: FrameClusters) -> Transitions:
    """Count what follows each bout."""
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
