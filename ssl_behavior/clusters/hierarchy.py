"""Ward's hierarchy of centroids that stand for many frames each: one k-means serves every smaller number of clusters.

`scipy.cluster.hierarchy.ward` takes every point for one observation. Here a centroid counts as often as it has frames
(Ward 1963, doi:10.1080/01621459.1963.10500845), as if all frames lay on their centroids.
"""

import numpy as np

from ssl_behavior.errors import InputError

__all__ = ["cut", "ward"]


def ward(centroids: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which clusters are joined, one after the other: float64 [centroid - 1, 4], as scipy's linkage has it.

    A row is (one cluster, the other, height, frames of both); clusters are numbered from the centroids on, so row i
    makes cluster `len(centroids) + i`. Each step joins the two whose union adds least to the sum of squared distances
    to the means, which is n_a n_b / (n_a + n_b) |mean_a - mean_b|²; the height is the root of twice that.

    Parameters
    ----------
    centroids : [centroid, dim].
    sizes : frames of each, 1 or more.
    """
    assert len(centroids) == len(sizes) and (np.asarray(sizes) > 0).all()
    means, weights = centroids.astype(np.float64), np.asarray(sizes, np.float64)
    numbers = np.arange(len(means))
    costs = np.full((len(means), len(means)), np.inf)
    for one in range(len(means)):
        costs[one, :one] = costs[:one, one] = _costs(means[one], weights[one], means[:one], weights[:one])
    nearest = costs.argmin(axis=1)
    joined = np.empty((len(means) - 1, 4))
    for step in range(len(joined)):
        at = int(costs[np.arange(len(costs)), nearest].argmin())
        a, b = sorted((at, int(nearest[at])))
        low, high = sorted((numbers[a], numbers[b]))
        joined[step] = low, high, np.sqrt(2 * costs[a, b]), weights[a] + weights[b]
        means[a] = (weights[a] * means[a] + weights[b] * means[b]) / (weights[a] + weights[b])
        weights[a] += weights[b]
        numbers[a] = len(means) + step
        _replace(costs, nearest, a, b, _costs(means[a], weights[a], means, weights))
    return joined


def _costs(mean: np.ndarray, weight: float, means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What joining a cluster to each of others adds."""
    return weight * weights / (weight + weights) * np.square(means - mean).sum(axis=1)


def _replace(costs: np.ndarray, nearest: np.ndarray, a: int, b: int, new: np.ndarray) -> None:
    """Cluster b is gone and a is the union; rows whose nearest that concerns look again."""
    gone = np.isinf(costs[a])
    gone[b] = True
    new[gone] = np.inf
    costs[a], costs[:, a] = new, new
    costs[b], costs[:, b] = np.inf, np.inf
    again = np.flatnonzero((nearest == a) | (nearest == b))
    nearest[again] = costs[again].argmin(axis=1)
    nearer = new < costs[np.arange(len(costs)), nearest]
    nearest[nearer] = a
    nearest[a] = new.argmin()


def cut(joined: np.ndarray, num_clusters: int) -> np.ndarray:
    """int32 [centroid], the cluster of each centroid where the hierarchy has so many; in order of first centroids.

    Raises
    ------
    InputError
        If there are not so many.
    """
    num_centroids = len(joined) + 1
    if not 1 <= num_clusters <= num_centroids:
        raise InputError(f"a hierarchy of {num_centroids} centroids cannot be cut into {num_clusters} clusters")
    parent = np.arange(num_centroids + len(joined))
    for step in range(num_centroids - num_clusters):
        parent[joined[step, :2].astype(np.int64)] = num_centroids + step
    # A union has a higher number than its parts: from the top down, everybody's parent is a root already.
    for one in range(len(parent) - 1, -1, -1):
        parent[one] = parent[parent[one]]
    roots, first, inverse = np.unique(parent[:num_centroids], return_index=True, return_inverse=True)
    rank = np.empty(len(roots), np.int32)
    rank[np.argsort(first)] = np.arange(len(roots))
    return rank[inverse]
