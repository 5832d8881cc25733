"""Which known behaviours a cluster holds more of, or less, than chance would put there."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ssl_behavior.clusters.clustered import ClusteredStore
from ssl_behavior.metrics import interval, resample_counts
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.seeds import numpy_generator

__all__ = ["Contingency", "Enrichment", "contingency", "enrichments"]

_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Contingency:
    """How often clusters and the behaviours of a label stream meet.

    Parameters
    ----------
    stream : its name.
    behaviors : its vocabulary.
    background : the behaviour that is none, "" if there is none.
    frames : int64 [recording, cluster or none, behaviour or not annotated]; the last of each is "none".
    cluster_bouts : bouts of a cluster with a frame of a behaviour, int64 [cluster, behaviour].
    behavior_bouts : bouts of a behaviour with a frame in a cluster, int64 [cluster, behaviour].
    """

    stream: str
    behaviors: tuple[str, ...]
    background: str
    frames: np.ndarray
    cluster_bouts: np.ndarray
    behavior_bouts: np.ndarray

    @property
    def annotated(self) -> np.ndarray:
        """Frames that somebody annotated, int64 [recording, cluster or none, behaviour]."""
        return self.frames[..., :-1]


def contingency(clustered: ClusteredStore, stream: str) -> Contingency:
    """Count a stream's behaviours in each cluster, recording by recording.

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
    """One behaviour in one cluster. Only annotated frames count, those of no cluster among them.

    Parameters
    ----------
    both : frames of the behaviour in the cluster.
    of_behavior, of_cluster, annotated : frames of each, and of the stream.
    expected : frames there would be if clusters and behaviours had nothing to do with each other.
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

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def enrichments(table: Contingency, seed: int = 0) -> list[Enrichment]:
    """Every behaviour in every cluster, cluster by cluster."""
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
    """Observed over expected frames (NaN where nothing is expected), and expected ones, [..., cluster, behaviour]."""
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
