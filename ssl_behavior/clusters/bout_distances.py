"""Distances of bouts to clusters: silhouettes, and the medoid bouts of each cluster."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ssl_behavior.bouts import BoutTable
from ssl_behavior.clusters.frame_clusters import FrameClusters

__all__ = ["Geometry", "medoid_bouts", "place_bouts"]


_SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class Geometry:
    """Distances of bouts and separation of clusters.

    Parameters
    ----------
    distance : distance of the mean point of a bout to the center of its cluster, float64 [bout].
    separation : float64 [cluster]: mean over the cluster's frames of (b - a) / max(a, b), where a is the distance
        to its own center and b that to the nearest other center (the simplified silhouette of Hruschka et al. 2004):
        near 1 = isolated, 0 = on the border. NaN without frames or without another center.
    """

    distance: np.ndarray
    separation: np.ndarray


def place_bouts(
    blocks: Iterable[tuple[slice, np.ndarray]],
    clusters: FrameClusters,
    centroids: np.ndarray,
    unit: bool = False,
) -> Geometry:
    """Distances of all bouts and the separation of all clusters, in one pass over the points.

    Parameters
    ----------
    blocks : (rows, their points float32 [rows, dim]) of all frames in order, e.g. `Space.blocks`; only one block is
        held at a time.
    centroids : float [cluster, dim].
    unit : points have length 1, and mean points of bouts are scaled to it.
    """
    centroids = np.asarray(centroids, np.float32)
    number, table = clusters.num_clusters, clusters.table
    starts, ends = table.first, table.first + table.frames
    distance = np.full(len(table), np.nan)
    apart, seen = np.zeros(number), np.zeros(number, np.int64)
    begun = np.zeros(centroids.shape[1])
    for span, points in blocks:
        own = clusters.labels[span]
        seen += np.bincount(own[own >= 0], minlength=number)
        if number > 1:
            apart += np.bincount(own[own >= 0], _silhouettes(points, own, centroids), minlength=number)
        here = slice(np.searchsorted(ends, span.start, "right"), np.searchsorted(starts, span.stop))
        if here.start == here.stop:
            continue
        sums = _sums(points, starts[here] - span.start, ends[here] - span.start)
        if starts[here.start] < span.start:
            sums[0] += begun
        begun = sums[-1]
        means = sums / (ends - starts)[here, None]
        if unit:
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), _SMALLEST)
        # A bout that continues in the next block is overwritten there.
        distance[here] = np.linalg.norm(means - centroids[table.label[here]], axis=1)
    separation = np.where((seen > 0) & (number > 1), apart / np.maximum(seen, 1), np.nan)
    return Geometry(distance, separation)


def _sums(points: np.ndarray, first: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Sums over the rows from `first` up to `ends` within the block, float64 [bout, dim]."""
    edges = np.stack([np.maximum(first, 0), np.minimum(ends, len(points))], axis=1).reshape(-1)
    # Every second sum is that of the rows between two bouts.
    inside = edges[:-1] if edges[-1] == len(points) else edges
    return np.add.reduceat(points, inside, axis=0, dtype=np.float64)[::2]


def _silhouettes(points: np.ndarray, own: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """(b - a) / max(a, b) of the frames that have a cluster."""
    points, own = points[own >= 0], own[own >= 0]
    squares = (points**2).sum(axis=1)[:, None] - 2 * points @ centroids.T + (centroids**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares, 0.0))
    rows = np.arange(len(own))
    to_own = distances[rows, own]
    distances[rows, own] = np.inf
    to_other = distances.min(axis=1)
    silhouettes: np.ndarray = (to_other - to_own) / np.maximum(np.maximum(to_own, to_other), _SMALLEST)
    return silhouettes


def medoid_bouts(
    table: BoutTable, distance: np.ndarray, cluster: int, most: int, recordings: np.ndarray | None = None
) -> np.ndarray:
    """The bouts of a cluster nearest to its center, nearest first: int64, numbers of bouts.

    Bouts shorter than the cluster's median are left out, because they show little. While there are enough recordings,
    each gives at most one bout, so that the examples show several animals.

    Parameters
    ----------
    recordings : number of the recording of each row of the table, see `recording_numbers`; None = a row each.
    """
    own = np.flatnonzero(table.label == cluster)
    if not len(own):
        return own
    seconds = table.seconds[own]
    own = own[seconds >= np.median(seconds)]
    own = own[np.argsort(distance[own], kind="stable")]
    places = table.recording[own] if recordings is None else recordings[table.recording[own]]
    _, first_of_recording = np.unique(places, return_index=True)
    again = np.ones(len(own), bool)
    again[first_of_recording] = False
    chosen = own[np.argsort(again, kind="stable")[:most]]
    return chosen[np.argsort(distance[chosen], kind="stable")]
