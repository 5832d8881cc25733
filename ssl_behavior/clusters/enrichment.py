"""Enrichment of labeled behaviors in clusters, from contingency tables of frames and bouts."""

import math
from dataclasses import dataclass

import numpy as np

from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.embeddings_folder import recording_numbers
from ssl_behavior.metrics import interval, resample_counts
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.row_labels import RowLabels
from ssl_behavior.seeds import numpy_generator

__all__ = ["Contingency", "Enrichment", "contingency", "enrichments"]


_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Contingency:
    """Contingency table of clusters and the behaviors of a label stream.

    Parameters
    ----------
    labels : the stream, or one behavior of a stream with agents and targets.
    frames : int64 [recording, cluster or none, behavior or not annotated]; the last of each is "none". Rows of animals
        or pairs of one recording are added up.
    cluster_bouts : bouts of a cluster with a frame of a behavior, int64 [cluster, behavior].
    behavior_bouts : bouts of a behavior with a frame in a cluster, int64 [cluster, behavior].
    """

    labels: RowLabels
    frames: np.ndarray
    cluster_bouts: np.ndarray
    behavior_bouts: np.ndarray

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self.labels.stream

    @property
    def behaviors(self) -> tuple[str, ...]:
        """Its vocabulary."""
        return self.labels.classes

    @property
    def background(self) -> str:
        """Its background behavior, "" without one."""
        return self.labels.background

    @property
    def annotated(self) -> np.ndarray:
        """Annotated frames, int64 [recording, cluster or none, behavior]."""
        return self.frames[..., :-1]


def contingency(clustered: ClusteredStore, labels: RowLabels) -> Contingency:
    """Count a stream's behaviors in each cluster, recording by recording."""
    rows, recording = clustered.frames.rows, recording_numbers(clustered.frames.rows)
    number, behaviors = clustered.num_clusters, len(labels.classes)
    frames = np.zeros((recording.max(initial=-1) + 1, number + 1, behaviors + 1), np.int64)
    cluster_bouts = np.zeros((number, behaviors), np.int64)
    behavior_bouts = np.zeros((number, behaviors), np.int64)
    for row, place in zip(rows, recording.tolist(), strict=True):
        cluster, label = np.asarray(clustered.frames.of(row)), np.asarray(labels.of(row)).astype(np.int64)
        # The modulo puts -1 into the last row or column.
        at = (cluster % (number + 1)) * (behaviors + 1) + label % (behaviors + 1)
        frames[place] += np.bincount(at, minlength=frames[place].size).reshape(frames[place].shape)
        for counts, of in ((cluster_bouts, cluster), (behavior_bouts, label)):
            counts += _bouts_that_meet(of, cluster, label, counts.shape)
    return Contingency(labels, frames, cluster_bouts, behavior_bouts)


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
    """Enrichment of every behavior in every cluster, cluster by cluster; of one behavior alone, without its absence."""
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
        if table.labels.of_recording or table.behaviors[behavior] != table.background
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
