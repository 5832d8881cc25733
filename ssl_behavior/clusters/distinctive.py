"""What sets each cluster apart from all frames: differences of measures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.clusters.frame_clusters import FrameClusters
from ssl_behavior.clusters.frame_measures import Measure, Measures
from ssl_behavior.terminal import Progress, no_progress

__all__ = ["Difference", "Differences", "compare_clusters", "differences_of"]


@dataclass(frozen=True, kw_only=True)
class Difference(Measure):
    """Difference of one cluster from all frames in one measure; fields as in `Differences`.

    Parameters
    ----------
    share_known : share of the cluster's frames with a known value.
    error : None for fewer than two bouts.
    usual : median of all frames.
    """

    known: int
    share_known: float
    bouts: int
    difference: float
    error: float | None
    median: float
    usual: float
    below: float


@dataclass(frozen=True, eq=False)
class Differences:
    """Clusters against all frames of their recordings (those of no cluster, too), arrays [cluster, measure].

    Parameters
    ----------
    known : frames of the cluster with a known value; the other fields use these frames alone.
    bouts : bouts with such frames.
    difference : cluster mean minus overall mean, in units of the overall spread, see `Measures.standardized`; NaN
        without known values.
    error : standard error of the difference over bouts (a ratio estimate, because frames of one bout are similar);
        infinite for fewer than two bouts.
    median : median of the cluster, in the measure's units.
    below : share of all frames with a value below the cluster's median, from 0 to 1; equal values count half.
    overall_known : frames with a known value of each measure, [measure].
    overall_median : median of all frames, [measure].
    """

    known: np.ndarray
    bouts: np.ndarray
    difference: np.ndarray
    error: np.ndarray
    median: np.ndarray
    below: np.ndarray
    overall_known: np.ndarray
    overall_median: np.ndarray


class _Sums:
    """Running sums over frames, bouts and bins of values; the last row holds frames of no cluster."""

    def __init__(self, num_clusters: int, edges: np.ndarray) -> None:
        self.rows, self.edges = num_clusters + 1, edges
        measures, bins = len(edges), edges.shape[1] - 1
        self.frames, self.scores, self.bouts, self.squares, self.products, self.lengths = np.zeros(
            (6, self.rows, measures)
        )
        self.counts = np.zeros((measures, self.rows, bins), np.int64)
        self.values = np.zeros((measures, bins))

    def add(self, labels: np.ndarray, values: np.ndarray, scores: np.ndarray) -> None:
        """Add frames of one recording, in order: clusters (-1 = none), values and standard scores [frames, measure].

        A bout that continues in the next block counts as two.
        """
        known = np.isfinite(values)
        starts = np.append(0, np.flatnonzero(np.diff(labels)) + 1)
        number = np.add.reduceat(known.astype(np.float64), starts, axis=0)
        total = np.add.reduceat(np.where(known, scores, 0.0), starts, axis=0)
        member = np.zeros((self.rows, len(starts)))
        member[labels[starts], np.arange(len(starts))] = 1.0
        sums = (number, total, number > 0, total**2, total * number, number**2)
        mine = (self.frames, self.scores, self.bouts, self.squares, self.products, self.lengths)
        for one, own in zip(sums, mine, strict=True):
            own += member @ one
        for column, edges in enumerate(self.edges):
            self._count(column, edges, labels[known[:, column]] % self.rows, values[known[:, column], column])

    def _count(self, column: int, edges: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
        bins = np.searchsorted(edges[1:-1], values, side="right")
        number = len(edges) - 1
        self.counts[column] += np.bincount(rows * number + bins, minlength=self.rows * number).reshape(-1, number)
        self.values[column] += np.bincount(bins, values, minlength=number)


def compare_clusters(clusters: FrameClusters, measures: Measures, progress: Progress = no_progress) -> Differences:
    """Measure all frames, a block at a time, and compare each cluster with all frames.

    Medians and shares come from 512 bins of about equal numbers of frames: they are exact to .2 % of the frames.
    """
    sums = _Sums(clusters.num_clusters, measures.edges)
    for pick, start, values in measures.blocks():
        labels = clusters.of(clusters.rows[pick])[start : start + len(values)]
        sums.add(np.asarray(labels), values, measures.standardized(values))
        progress("programs", len(values), len(clusters.labels))
    return _finished(sums)


def _finished(sums: _Sums) -> Differences:
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.scores / sums.frames
        overall = sums.scores.sum(axis=0) / sums.frames.sum(axis=0)
        # Variance of a ratio of sums over bouts: sum((total - mean * number)^2), expanded.
        squares = sums.squares - 2 * mean * sums.products + mean**2 * sums.lengths
        correction = sums.bouts / (sums.bouts - 1)
        error = np.sqrt(np.maximum(squares, 0.0) * correction) / sums.frames
    error = np.where(sums.bouts > 1, error, np.inf)
    by_bin = sums.counts.sum(axis=1)
    median, below = _medians(sums.counts, by_bin, sums.values)
    overall_median, _ = _medians(by_bin[:, None], by_bin, sums.values)
    return Differences(
        known=sums.frames[:-1].astype(np.int64),
        bouts=sums.bouts[:-1].astype(np.int64),
        difference=(mean - overall)[:-1],
        error=error[:-1],
        median=median.T[:-1],
        below=below.T[:-1],
        overall_known=by_bin.sum(axis=1),
        overall_median=overall_median[:, 0],
    )


def _medians(counts: np.ndarray, by_bin: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median of each row, and the share of all frames below it, float64 [measure, row]; NaN without known values.

    Parameters
    ----------
    counts : int64 [measure, row, bin].
    by_bin, values : number of frames and sum of their values in each bin, [measure, bin].
    """
    cumulative = counts.cumsum(axis=-1)
    total = cumulative[..., -1:]
    middle = (2 * cumulative >= total).argmax(axis=-1)
    centers = values / np.maximum(by_bin, 1)
    below = (by_bin.cumsum(axis=-1) - by_bin / 2) / np.maximum(by_bin.sum(axis=-1, keepdims=True), 1)
    seen = total[..., 0] > 0
    return tuple(  # type: ignore[return-value]
        np.where(seen, np.take_along_axis(table, middle, axis=-1), np.nan) for table in (centers, below)
    )


def differences_of(differences: Differences, measures: Sequence[Measure], frames: np.ndarray) -> list[list[Difference]]:
    """Differences of each cluster, the greatest first; measures without known values in it are left out.

    Parameters
    ----------
    frames : frames of each cluster, int [cluster].
    """
    return [
        sorted(
            (
                _difference(differences, cluster, column, measure, int(frames[cluster]))
                for column, measure in enumerate(measures)
                if differences.known[cluster, column]
            ),
            key=lambda one: -abs(one.difference),
        )
        for cluster in range(len(frames))
    ]


def _difference(differences: Differences, cluster: int, column: int, measure: Measure, frames: int) -> Difference:
    at = cluster, column
    error = float(differences.error[at])
    return Difference(
        **vars(measure),
        known=int(differences.known[at]),
        share_known=int(differences.known[at]) / frames,
        bouts=int(differences.bouts[at]),
        difference=float(differences.difference[at]),
        error=error if math.isfinite(error) else None,
        median=float(differences.median[at]),
        usual=float(differences.overall_median[column]),
        below=float(differences.below[at]),
    )
