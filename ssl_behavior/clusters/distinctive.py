"""What sets each cluster apart from all frames: differences of measures, and enrichment of labeled behaviors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.clusters.frame_clusters import FrameClusters
from ssl_behavior.clusters.frame_quantities import Measure, Measures
from ssl_behavior.metrics import interval, resample_counts
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.terminal import Progress, no_progress

__all__ = [
    "Contingency",
    "Difference",
    "Differences",
    "Enrichment",
    "compare_clusters",
    "contingency",
    "differences_of",
    "enrichments",
]


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


_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Contingency:
    """Contingency table of clusters and the behaviors of a label stream.

    Parameters
    ----------
    stream : name of the stream.
    behaviors : its vocabulary.
    background : its background behavior, "" without one.
    frames : int64 [recording, cluster or none, behavior or not annotated]; the last of each is "none".
    cluster_bouts : bouts of a cluster with a frame of a behavior, int64 [cluster, behavior].
    behavior_bouts : bouts of a behavior with a frame in a cluster, int64 [cluster, behavior].
    """

    stream: str
    behaviors: tuple[str, ...]
    background: str
    frames: np.ndarray
    cluster_bouts: np.ndarray
    behavior_bouts: np.ndarray

    @property
    def annotated(self) -> np.ndarray:
        """Annotated frames, int64 [recording, cluster or none, behavior]."""
        return self.frames[..., :-1]


def contingency(clustered: ClusteredStore, stream: str) -> Contingency:
    """Count a stream's behaviors in each cluster, recording by recording.

    Raises
    ------
    InputError
        If the store has no such stream.
    """
    facts, labels = clustered.store.stream(stream), clustered.store.labels(stream)
    number, behaviors = clustered.num_clusters, len(facts.vocabulary)
    frames = np.zeros((len(clustered.rows), number + 1, behaviors + 1), np.int64)
    cluster_bouts = np.zeros((number, behaviors), np.int64)
    behavior_bouts = np.zeros((number, behaviors), np.int64)
    for pick, (row, own) in enumerate(zip(clustered.frames.rows, clustered.rows, strict=True)):
        cluster, label = np.asarray(clustered.frames.of(row)), np.asarray(labels[own.slice]).astype(np.int64)
        # The modulo puts -1 into the last row or column.
        place = (cluster % (number + 1)) * (behaviors + 1) + label % (behaviors + 1)
        frames[pick] = np.bincount(place, minlength=frames[pick].size).reshape(frames[pick].shape)
        for counts, of in ((cluster_bouts, cluster), (behavior_bouts, label)):
            counts += _bouts_that_meet(of, cluster, label, counts.shape)
    return Contingency(stream, facts.vocabulary, facts.background, frames, cluster_bouts, behavior_bouts)


def _bouts_that_meet(of: np.ndarray, cluster: np.ndarray, label: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Number of bouts of `of` with a frame of each cluster and label, int64 [cluster, label]."""
    bout = np.append(0, (np.diff(of) != 0).cumsum())
    both = (cluster >= 0) & (label != NOT_ANNOTATED)
    size = shape[0] * shape[1]
    met = np.unique(bout[both] * size + cluster[both] * shape[1] + label[both])
    return np.bincount(met % size, minlength=size).reshape(shape)


@dataclass(frozen=True, kw_only=True)
class Enrichment:
    """Enrichment of one behavior in one cluster, over annotated frames, including those of no cluster.

    Parameters
    ----------
    both : frames of the behavior in the cluster.
    of_behavior, of_cluster, annotated : frames of the behavior, of the cluster, and of the stream.
    expected : frames expected if clusters and behaviors were independent.
    log2_ratio : log2 of `both` over `expected`; None where one of them is 0.
    low, high : central 95 % of its bootstrap over recordings; None with one recording, or where it is infinite.
    cluster_bouts, behavior_bouts : bouts of the cluster with a frame of the behavior, and the reverse.
    recordings : number of recordings with such frames.
    """

    stream: str
    behavior: str
    background: bool
    cluster: int
    both: int
    of_behavior: int
    of_cluster: int
    annotated: int
    expected: float
    log2_ratio: float | None
    low: float | None
    high: float | None
    cluster_bouts: int
    behavior_bouts: int
    recordings: int

    @property
    def share(self) -> float:
        """Share of the cluster's annotated frames that have the behavior."""
        return self.both / self.of_cluster

    @property
    def lift(self) -> float:
        """Ratio of frames to expected frames."""
        return self.both / self.expected


def enrichments(table: Contingency, seed: int = 0) -> list[Enrichment]:
    """Enrichment of every behavior in every cluster, cluster by cluster."""
    frames = table.annotated
    num_recordings, clusters, behaviors = frames.shape[0], frames.shape[1] - 1, frames.shape[2]
    resamples = resample_counts(num_recordings, _RESAMPLES, numpy_generator(seed, "enrichment", table.stream))
    whole = _ratios(frames.sum(axis=0))
    flat = frames.reshape(num_recordings, -1).astype(np.float64)
    drawn = (resamples.astype(np.float64) @ flat).reshape(_RESAMPLES, *frames.shape[1:]) if num_recordings > 1 else None
    ratios = None if drawn is None else _ratios(drawn)[0]
    return [
        _enrichment(table, cluster, behavior, whole, None if ratios is None else ratios[:, cluster, behavior])
        for cluster in range(clusters)
        for behavior in range(behaviors)
    ]


def _ratios(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observed over expected frames (NaN where 0 are expected), and expected frames, [..., cluster, behavior]."""
    of_cluster, of_behavior = frames.sum(axis=-1, keepdims=True), frames.sum(axis=-2, keepdims=True)
    total = of_cluster.sum(axis=-2, keepdims=True)
    expected = of_cluster * of_behavior / np.maximum(total, 1)
    ratios = np.where(expected > 0, frames / np.where(expected > 0, expected, 1.0), np.nan)
    return ratios, expected


def _enrichment(
    table: Contingency,
    cluster: int,
    behavior: int,
    whole: tuple[np.ndarray, np.ndarray],
    drawn: np.ndarray | None,
) -> Enrichment:
    frames, (ratios, expected) = table.annotated, whole
    bounds = None if drawn is None else interval(drawn)
    return Enrichment(
        stream=table.stream,
        behavior=table.behaviors[behavior],
        background=table.behaviors[behavior] == table.background,
        cluster=cluster,
        both=int(frames[:, cluster, behavior].sum()),
        of_behavior=int(frames[:, :, behavior].sum()),
        of_cluster=int(frames[:, cluster].sum()),
        annotated=int(frames.sum()),
        expected=float(expected[cluster, behavior]),
        log2_ratio=_log2(float(ratios[cluster, behavior])),
        low=_log2(bounds.low) if bounds else None,
        high=_log2(bounds.high) if bounds else None,
        cluster_bouts=int(table.cluster_bouts[cluster, behavior]),
        behavior_bouts=int(table.behavior_bouts[cluster, behavior]),
        recordings=int((frames[:, cluster, behavior] > 0).sum()),
    )


def _log2(ratio: float) -> float | None:
    return math.log2(ratio) if ratio > 0 else None
