"""What sets a cluster apart: how its frames differ from all frames in everything that is measured."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ssl_behavior.clusters.labels import FrameClusters
from ssl_behavior.clusters.measures import Measure, Measures

__all__ = ["Difference", "Differences", "compare_clusters", "differences_of"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One cluster against all frames in one measure; the fields are those of `Differences`.

    Parameters
    ----------
    share_known : of the cluster's frames.
    usual : the median of all frames.
    """

    measure: Measure
    known: int
    share_known: float
    bouts: int
    difference: float
    error: float
    median: float
    below: float
    usual: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; an error that cannot be given is None."""
        values = {name: getattr(self, name) for name in ("known", "share_known", "bouts", "difference")}
        error = self.error if math.isfinite(self.error) else None
        return asdict(self.measure) | values | {
            "error": error, "median": self.median, "usual": self.usual, "below": self.below
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Differences:
    """Clusters against all frames of their recordings (those of no cluster, too), arrays [cluster, measure].

    Parameters
    ----------
    known : frames of the cluster at which the measure is known; all else is of these alone.
    bouts : bouts with such frames.
    difference : cluster mean less overall mean, in units of the overall spread, see `Measures.standardised`; NaN where
        nothing is known.
    error : standard error of that, taken over bouts (a ratio estimate: frames of one bout are alike); infinite where
        there are fewer than two bouts.
    median : of the values themselves, in the measure's units.
    below : share of all frames whose value is below the cluster's median, from 0 to 1; equal ones count half.
    overall_known : frames at which each measure is known, [measure].
    overall_median : of all those, [measure].
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
    """Running sums over frames, bouts and bins of values; one row more than clusters: frames of no cluster."""

    def __init__(self, num_clusters: int, edges: np.ndarray) -> None:
        self.rows, self.edges = num_clusters + 1, edges
        measures, bins = len(edges), edges.shape[1] - 1
        self.frames, self.scores, self.bouts, self.squares, self.products, self.lengths = np.zeros(
            (6, self.rows, measures)
        )
        self.counts = np.zeros((measures, self.rows, bins), np.int64)
        self.values = np.zeros((measures, bins))

    def add(self, labels: np.ndarray, values: np.ndarray, scores: np.ndarray) -> None:
        """Frames of one recording, in order: cluster (-1 = none), values and their standard scores [frames, measure].

        A bout that goes on in the next block counts as two.
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


def compare_clusters(
    clusters: FrameClusters, measures: Measures, progress: Callable[[int], None] | None = None
) -> Differences:
    """Measure all frames, a block at a time, and compare each cluster's with all.

    Medians and shares are read from 512 bins of about equal numbers of frames: they are right to a fifth of a percent
    of the frames.

    Parameters
    ----------
    progress : called with the number of frames done since the last call.
    """
    sums = _Sums(clusters.num_clusters, measures.edges)
    for pick, start, values in measures.blocks():
        labels = clusters.of(clusters.rows[pick])[start : start + len(values)]
        sums.add(np.asarray(labels), values, measures.standardised(values))
        if progress is not None:
            progress(len(values))
    return _finished(sums)


def _finished(sums: _Sums) -> Differences:
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.scores / sums.frames
        overall = sums.scores.sum(axis=0) / sums.frames.sum(axis=0)
        # Of a ratio of sums over bouts: sum((total - mean * number)^2), written out.
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
    """Median, and the share of all frames below it, of each row: float64 [measure, row]; NaN where nothing is known.

    Parameters
    ----------
    counts : int64 [measure, row, bin].
    by_bin, values : number and sum of all frames' values in each bin, [measure, bin].
    """
    reached = counts.cumsum(axis=-1)
    total = reached[..., -1:]
    middle = (2 * reached >= total).argmax(axis=-1)
    centers = values / np.maximum(by_bin, 1)
    below = (by_bin.cumsum(axis=-1) - by_bin / 2) / np.maximum(by_bin.sum(axis=-1, keepdims=True), 1)
    seen = total[..., 0] > 0
    return tuple(  # type: ignore[return-value]
        np.where(seen, np.take_along_axis(table, middle, axis=-1), np.nan) for table in (centers, below)
    )


def differences_of(differences: Differences, measures: Sequence[Measure], frames: np.ndarray) -> list[list[Difference]]:
    """Of each cluster, the greatest difference first; measures that are known nowhere in it are left out.

    Parameters
    ----------
    frames : of each cluster, int [cluster].
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
    return Difference(
        measure=measure,
        known=int(differences.known[at]),
        share_known=int(differences.known[at]) / frames,
        bouts=int(differences.bouts[at]),
        difference=float(differences.difference[at]),
        error=float(differences.error[at]),
        median=float(differences.median[at]),
        below=float(differences.below[at]),
        usual=float(differences.overall_median[column]),
    )
