"""Clustering algorithms: k-means with faiss, a Ward hierarchy of its centroids, and HDBSCAN of a sample.

k-means: centroids are fitted on a sample, the best of several starts; then every frame goes to its nearest centroid.
The hierarchy gives every smaller number of clusters. `scipy.cluster.hierarchy.ward` takes every point for one
observation. Here a centroid counts as often as it has frames (Ward 1963, doi:10.1080/01621459.1963.10500845), as if
all frames lay on their centroids.

HDBSCAN: Campello, Moulavi and Sander 2013, doi:10.1007/978-3-642-37456-2_14, from scikit-learn, which cannot label
new points. The rule for these is ours: a frame takes what the nearest sampled frame got, "of no cluster" included;
and it is of no cluster if that sampled frame is farther from it than the cluster's own reach, the distance within
which all but one in a hundred of the cluster's sampled frames have another one. A sampled frame is nearest to itself,
so labels of the sample are what HDBSCAN said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.seeds import derive_seed, numpy_generator

__all__ = [
    "DensityConfig",
    "DensityModel",
    "KMeansConfig",
    "KMeansModel",
    "cut",
    "fit_centroids",
    "fit_density",
    "nearest",
    "nearness",
    "ward",
]


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


_MOST_SCORES = 1 << 24
"""Numbers held at a time, frames times centroids: 64 MB."""
_SAME_POINT = 1e-9
_STARTING_POINTS = 10_000


@dataclass(frozen=True, kw_only=True)
class KMeansConfig:
    """How centroids are found.

    Parameters
    ----------
    clusters : how many clusters the labels tell apart.
    fine : how many centroids, which a hierarchy then joins to `clusters`; 0 = as many as `clusters`, none are joined.
    seeds : starts, of which the one with the smallest sum of squared distances is kept.
    iterations : of each start.
    sample : frames that centroids are learned from, at most.

    Raises
    ------
    InputError
        If a number is too small, or there are fewer centroids than clusters.
    """

    clusters: int = 20
    fine: int = 0
    seeds: int = 3
    iterations: int = 25
    sample: int = 100_000

    def __post_init__(self) -> None:
        for name, value in (("--clusters", self.clusters), ("--seeds", self.seeds), ("iterations", self.iterations)):
            if value < 1:
                raise InputError(f"{name} must be 1 or more, got {value}")
        if self.fine and self.fine < self.clusters:
            raise InputError(f"--fine {self.fine} centroids cannot be joined to {self.clusters} clusters: give more")
        if self.sample < self.centroids:
            raise InputError(f"--sample {self.sample} frames are too few for {self.centroids} clusters")

    @property
    def centroids(self) -> int:
        return self.fine or self.clusters


@dataclass(frozen=True, eq=False)
class KMeansModel:
    """Centroids, and which of them are one cluster.

    Parameters
    ----------
    centroids : float32 [centroid, dim], the one with the most frames first.
    sizes : int64 [centroid], frames of each when it was fitted, 1 or more.
    joined : Ward's hierarchy over them, see `ward`.
    num_clusters : into how many clusters that is cut; 0 is the one with the most frames when it was fitted.
    spread : the median squared distance of a frame to its centroid, the unit of a smoothing's penalty.
    """

    centroids: np.ndarray
    sizes: np.ndarray
    joined: np.ndarray
    num_clusters: int
    spread: float = 1.0

    @classmethod
    def of(cls, centroids: np.ndarray, sizes: np.ndarray, num_clusters: int, spread: float = 1.0) -> "KMeansModel":
        """The model of centroids that already are in order."""
        return cls(centroids, sizes, ward(centroids, sizes), num_clusters, spread)

    @cached_property
    def cluster_of(self) -> np.ndarray:
        """int32 [centroid], the cluster that each is part of."""
        part_of = cut(self.joined, self.num_clusters)
        frames = np.bincount(part_of, weights=self.sizes)
        number = np.empty(self.num_clusters, np.int32)
        number[np.argsort(-frames, kind="stable")] = np.arange(self.num_clusters)
        return number[part_of]

    @cached_property
    def centers(self) -> np.ndarray:
        """float32 [cluster, dim], the mean of each cluster's centroids, weighed by their frames."""
        parts = (self.cluster_of == np.arange(self.num_clusters)[:, None]) * self.sizes.astype(np.float64)
        return (parts @ self.centroids / parts.sum(axis=1, keepdims=True)).astype(np.float32)

    def cut(self, num_clusters: int) -> "KMeansModel":
        """The same centroids as so many clusters.

        Raises
        ------
        InputError
            If there are fewer centroids.
        """
        cut(self.joined, num_clusters)
        return replace(self, num_clusters=num_clusters)

    def fine(self, points: np.ndarray) -> np.ndarray:
        """int32 [frames], the centroid nearest to each point."""
        return nearest(points, self.centroids)

    def clusters(self, fine: np.ndarray) -> np.ndarray:
        """int32 [frames], the clusters that centroids are part of."""
        return self.cluster_of[fine]

    def gains(self, points: np.ndarray) -> np.ndarray:
        """float32 [frames, cluster]: |x|² minus the squared distance to the cluster's nearest centroid, in spreads."""
        order = np.argsort(self.cluster_of, kind="stable")
        starts = np.searchsorted(self.cluster_of[order], np.arange(self.num_clusters))
        scores = nearness(points, self.centroids[order])
        best: np.ndarray = np.maximum.reduceat(scores, starts, axis=1)
        return best * np.float32(2 / self.spread)


def fit_centroids(
    sample: np.ndarray,
    num_centroids: int,
    config: KMeansConfig,
    spherical: bool = False,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Centroids float32 [centroid, dim] of points float32 [frames, dim], each nearest to at least one of them.

    Parameters
    ----------
    spherical : points and centroids have length 1.
    progress : told the number of starts done since the last call.

    Raises
    ------
    InputError
        If there are fewer frames, or fewer different ones, than centroids.
    """
    if len(sample) < num_centroids:
        raise InputError(f"{num_centroids} clusters of {len(sample)} frames cannot be: ask for fewer --clusters")
    best, centroids = np.inf, np.empty((0, sample.shape[1]), np.float32)
    for start in range(config.seeds):
        found, error = _one_start(sample, num_centroids, config, spherical, derive_seed(seed, "k-means", start))
        if error < best:
            best, centroids = error, found
        progress(1)
    return _without_empty(sample, centroids)


def _one_start(
    sample: np.ndarray, num_centroids: int, config: KMeansConfig, spherical: bool, seed: int
) -> tuple[np.ndarray, float]:
    """Centroids and the sum of squared distances to them."""
    faiss = load_faiss("k-means")
    starts = _scattered(sample, num_centroids, numpy_generator(seed, "starting points"))
    kmeans = faiss.Kmeans(
        sample.shape[1], num_centroids, niter=config.iterations, seed=seed % 2**31, spherical=spherical,
        min_points_per_centroid=1, max_points_per_centroid=len(sample),
    )  # fmt: skip
    objective = float(kmeans.train(sample, init_centroids=starts))
    # On the sphere faiss tells the sum of cosines, the greater the better.
    return np.asarray(kmeans.centroids, np.float32), -objective if spherical else objective


def _scattered(sample: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
    """Points to start from, float32 [number, dim]: greedy k-means++ (Arthur and Vassilvitskii 2007) on some of the
    sample.

    Each is the best of a few points drawn with a probability that grows with the squared distance to those before.
    Starting from any points, k-means gets stuck where two centroids share one cluster.
    """
    most = max(_STARTING_POINTS, 20 * number)
    points = sample if len(sample) <= most else sample[generator.choice(len(sample), most, replace=False)]
    tries, chosen = 2 + int(np.log(number)), [int(generator.integers(len(points)))]
    lengths = np.square(points).sum(axis=1)
    gaps = _gaps(points, lengths, chosen)[0]
    while len(chosen) < number:
        total = np.cumsum(gaps, dtype=np.float64)
        drawn = np.searchsorted(total, generator.random(tries) * total[-1], side="right").clip(max=len(points) - 1)
        closer = np.minimum(_gaps(points, lengths, drawn), gaps)
        best = int(closer.sum(axis=1).argmin())
        chosen.append(int(drawn[best]))
        gaps = closer[best]
    return points[chosen]


def _gaps(points: np.ndarray, lengths: np.ndarray, chosen: Sequence[int] | np.ndarray) -> np.ndarray:
    """Squared distances of chosen points to all, float32 [chosen, points]."""
    products = torch.from_numpy(points[chosen]) @ torch.from_numpy(points).T
    gaps: np.ndarray = lengths[chosen, None] - 2 * products.numpy() + lengths
    return gaps.clip(min=0)


def _without_empty(sample: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """A centroid that no point is nearest to goes to the point that is farthest from its own, until none is left."""
    centroids = centroids.copy()
    while True:
        own = nearest(sample, centroids)
        counts = np.bincount(own, minlength=len(centroids))
        if counts.all():
            return centroids
        gaps = np.square(sample - centroids[own]).sum(axis=1)
        farthest = int(gaps.argmax())
        if gaps[farthest] <= _SAME_POINT * max(1.0, float(np.square(sample[farthest]).sum())):
            raise InputError(
                f"{len(centroids)} clusters cannot be: only {np.count_nonzero(counts)} frames of the sample differ "
                "from each other; ask for fewer --clusters"
            )
        centroids[int(counts.argmin())] = sample[farthest]


def nearness(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """float32 [frames, centroid], the greater the nearer: x·c - |c|²/2, which is (|x|² - |x - c|²) / 2."""
    on = torch.from_numpy(np.ascontiguousarray(centroids))
    return torch.addmm(-on.square().sum(dim=1) / 2, torch.from_numpy(points), on.T).numpy()


def nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """int32 [frames], the centroid nearest to each point; of equally near ones the first."""
    out = np.empty(len(points), np.int32)
    step = max(1, _MOST_SCORES // len(centroids))
    for start in range(0, len(points), step):
        out[start : start + step] = nearness(points[start : start + step], centroids).argmax(axis=1)
    return out


_REACH_QUANTILE = 0.99
_ROUNDING = 1e-5


@dataclass(frozen=True, kw_only=True)
class DensityConfig:
    """How clusters of density are found.

    Parameters
    ----------
    sample : frames that HDBSCAN sees; its time grows with their square.
    smallest : sampled frames that make a cluster (scikit-learn's min_cluster_size).
    neighbors : the density at a frame is told by the distance to so many sampled frames (min_samples).
    selection : "leaf" takes the hierarchy's last clusters, many and small; "eom" the ones that persist longest, which
        in embeddings of continuous behaviour is often nearly everything as one cluster.

    Raises
    ------
    InputError
        If a number is too small.
    """

    sample: int = 20_000
    smallest: int = 50
    neighbors: int = 5
    selection: Literal["leaf", "eom"] = "leaf"

    def __post_init__(self) -> None:
        for name, value, least in (("smallest", self.smallest, 2), ("neighbors", self.neighbors, 1)):
            if value < least:
                raise InputError(f"--{name} must be {least} or more, got {value}")
        if self.sample < 2 * self.smallest:
            raise InputError(f"--sample {self.sample} is too few for clusters of {self.smallest} sampled frames")


@dataclass(frozen=True, eq=False)
class DensityModel:
    """What HDBSCAN said of a sample, and how far that reaches.

    Parameters
    ----------
    points : float32 [frame, dim] of the sample.
    labels : int32 [frame], -1 = of no cluster.
    reaches : float64 [cluster], distances.
    """

    points: np.ndarray
    labels: np.ndarray
    reaches: np.ndarray

    @property
    def num_clusters(self) -> int:
        return len(self.reaches)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.points)

    @cached_property
    def centers(self) -> np.ndarray:
        """float32 [cluster, dim], the mean of each cluster's sampled frames."""
        means = [self.points[self.labels == cluster].mean(axis=0) for cluster in range(self.num_clusters)]
        return np.array(means, np.float32)

    def clusters(self, fine: np.ndarray) -> np.ndarray:
        """The labels themselves: clusters of density are not joined."""
        return fine

    def fine(self, points: np.ndarray) -> np.ndarray:
        """int32 [frames] of points float32 [frames, dim]; -1 = of no cluster."""
        distances, at = self._tree.query(points, workers=-1)
        labels = self.labels[at]
        far = distances > self.reaches[labels]
        return np.where(far, np.int32(-1), labels)

    def renumbered(self, order: np.ndarray) -> "DensityModel":
        """The same with cluster `order[i]` as number i."""
        number = np.empty(len(order) + 1, np.int32)
        number[order] = np.arange(len(order))
        number[-1] = -1
        return DensityModel(self.points, number[self.labels], self.reaches[order])


def fit_density(sample: np.ndarray, config: DensityConfig) -> DensityModel:
    """HDBSCAN of points float32 [frames, dim].

    Raises
    ------
    InputError
        If there are too few points, or it finds no cluster.
    """
    from sklearn.cluster import HDBSCAN

    fewest = max(config.smallest, config.neighbors)
    if len(sample) < fewest:
        raise InputError(f"HDBSCAN of {len(sample)} frames with clusters of {fewest} or more cannot be: give more")
    hdbscan = HDBSCAN(
        min_cluster_size=config.smallest, min_samples=config.neighbors, cluster_selection_method=config.selection,
        copy=True,
    )  # fmt: skip
    labels = hdbscan.fit(sample.astype(np.float64)).labels_.astype(np.int32)
    if labels.max() < 0:
        raise InputError(
            f"HDBSCAN finds no cluster of {config.smallest} among {len(sample)} frames: give a smaller --smallest or "
            "fewer --dims, or use --method kmeans"
        )
    return DensityModel(sample, labels, _reaches(sample, labels))


def _reaches(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each cluster, the distance within which most of its points have another one, float64 [cluster]."""
    from scipy.spatial import cKDTree

    members = [points[labels == cluster] for cluster in range(int(labels.max()) + 1)]
    gaps = [cKDTree(own).query(own, k=2)[0][:, 1] for own in members]
    # Frames that are all alike (nothing tracked) are still that where another machine rounds their points otherwise.
    rounding = _ROUNDING * np.sqrt(np.square(points).sum(axis=1).mean())
    return np.array([max(np.quantile(gap, _REACH_QUANTILE), rounding) for gap in gaps])
