"""What sets a cluster apart: differences of measures, and enrichment of known behaviors."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.clusters.frame_clusters import FrameClusters
from ssl_behavior.clusters.measures import Measure, Measures
from ssl_behavior.metrics import interval, resample_counts
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.seeds import numpy_generator

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
    """One cluster against all frames in one measure; the fields are those of `Differences`.

    Parameters
    ----------
    share_known : share of the cluster's frames.
    error : None where there are fewer than two bouts.
    usual : the median of all frames.
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
    """How often clusters and the behaviors of a label stream meet.

    Parameters
    ----------
    stream : its name.
    behaviors : its vocabulary.
    background : the behavior that is none, "" if there is none.
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
        """Frames that somebody annotated, int64 [recording, cluster or none, behavior]."""
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
        # -1 counts from the end, as an index does.
        place = (cluster % (number + 1)) * (behaviors + 1) + label % (behaviors + 1)
        frames[pick] = np.bincount(place, minlength=frames[pick].size).reshape(frames[pick].shape)
        for counts, of in ((cluster_bouts, cluster), (behavior_bouts, label)):
            counts += _bouts_that_meet(of, cluster, label, counts.shape)
    return Contingency(stream, facts.vocabulary, facts.background, frames, cluster_bouts, behavior_bouts)


def _bouts_that_meet(of: np.ndarray, cluster: np.ndarray, label: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How many bouts of `of` hold a frame of each cluster and label, int64 [cluster, label]."""
    bout = np.append(0, (np.diff(of) != 0).cumsum())
    both = (cluster >= 0) & (label != NOT_ANNOTATED)
    size = shape[0] * shape[1]
    met = np.unique(bout[both] * size + cluster[both] * shape[1] + label[both])
    return np.bincount(met % size, minlength=size).reshape(shape)


@dataclass(frozen=True, kw_only=True)
class Enrichment:
    """One behavior in one cluster. Only annotated frames count, those of no cluster among them.

    Parameters
    ----------
    both : frames of the behavior in the cluster.
    of_behavior, of_cluster, annotated : frames of each, and of the stream.
    expected : frames there would be if clusters and behaviors had nothing to do with each other.
    log2_ratio : of `both` to `expected`; None where `both` or `expected` is 0.
    low, high : of it, the central 95 % of a bootstrap over recordings; None where there is but one, or it is infinite.
    cluster_bouts, behavior_bouts : bouts of either with a frame of the other.
    recordings : in which both meet.
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
        """How many times as many frames as expected."""
        return self.both / self.expected


def enrichments(table: Contingency, seed: int = 0) -> list[Enrichment]:
    """Every behavior in every cluster, cluster by cluster."""
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
    """Observed over expected frames (NaN where nothing is expected), and expected ones, [..., cluster, behavior]."""
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
