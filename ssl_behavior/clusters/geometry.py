"""Where bouts and clusters lie among the points: which bouts are typical, which clusters stand apart."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ssl_behavior.clusters.bout_table import BoutTable
from ssl_behavior.clusters.labels import FrameClusters

__all__ = ["Geometry", "medoid_bouts", "place_bouts"]

_SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class Geometry:
    """How the points of a clustering lie.

    Parameters
    ----------
    distance : from the mean point of a bout to the centre of its cluster, float64 [bout].
    separation : of a cluster, float64 [cluster]: mean over its frames of (b - a) / max(a, b), where a is the distance
        to its own centre and b that to the nearest other centre (the simplified silhouette of Hruschka et al. 2004):
        near 1 = a world of its own, 0 = on the border. NaN without frames, or where there is no other centre.
    """

    distance: np.ndarray
    separation: np.ndarray


def place_bouts(
    blocks: Iterable[tuple[slice, np.ndarray]],
    table: BoutTable,
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
    unit : points have length 1: so has the mean point of a bout.
    """
    centroids = np.asarray(centroids, np.float32)
    number, ends = clusters.num_clusters, table.first + table.frames
    distance = np.full(len(table), np.nan)
    apart, seen = np.zeros(number), np.zeros(number, np.int64)
    begun = np.zeros(centroids.shape[1])
    for span, points in blocks:
        own = clusters.labels[span]
        seen += np.bincount(own[own >= 0], minlength=number)
        if number > 1:
            apart += np.bincount(own[own >= 0], _silhouettes(points, own, centroids), minlength=number)
        here = slice(np.searchsorted(ends, span.start, "right"), np.searchsorted(table.first, span.stop))
        if here.start == here.stop:
            continue
        sums = _sums(points, table.first[here] - span.start, ends[here] - span.start)
        if table.first[here.start] < span.start:
            sums[0] += begun
        begun = sums[-1]
        means = sums / table.frames[here, None]
        if unit:
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), _SMALLEST)
        # Of a bout that goes on in the next block this is a part; it is written again there.
        distance[here] = np.linalg.norm(means - centroids[table.cluster[here]], axis=1)
    separation = np.where((seen > 0) & (number > 1), apart / np.maximum(seen, 1), np.nan)
    return Geometry(distance, separation)


def _sums(points: np.ndarray, first: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Sums over the rows from `first` up to `ends`, as far as they are in the block, float64 [bout, dim]."""
    edges = np.stack([np.maximum(first, 0), np.minimum(ends, len(points))], axis=1).reshape(-1)
    # Every other sum is that of the rows between two bouts, if there are any.
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


def medoid_bouts(table: BoutTable, distance: np.ndarray, cluster: int, most: int) -> np.ndarray:
    """The bouts of a cluster nearest to its centre, nearest first: int64, numbers of bouts.

    Only bouts at least as long as the cluster's median one, for there is little to see in shorter ones; and as long as
    there are others, no two of one recording, so that the examples are not those of one animal.
    """
    own = np.flatnonzero(table.cluster == cluster)
    if not len(own):
        return own
    own = own[table.seconds[own] >= np.median(table.seconds[own])]
    own = own[np.argsort(distance[own], kind="stable")]
    _, first_of_recording = np.unique(table.recording[own], return_index=True)
    again = np.ones(len(own), bool)
    again[first_of_recording] = False
    chosen = own[np.argsort(again, kind="stable")[:most]]
    return chosen[np.argsort(distance[chosen], kind="stable")]
