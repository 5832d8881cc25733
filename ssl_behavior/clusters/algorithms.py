"""Clustering algorithms: k-means with faiss, a Ward hierarchy of its centroids, and HDBSCAN of a sample.

k-means: centroids are fitted on a sample, the best of several starts; then every frame goes to its nearest centroid.
The hierarchy joins them to any smaller number of clusters. `scipy.cluster.hierarchy.ward` counts every point as one
observation. Here a centroid counts as often as it has frames (Ward 1963, doi:10.1080/01621459.1963.10500845), as if
all frames lay on their centroids.

HDBSCAN: Campello, Moulavi and Sander 2013, doi:10.1007/978-3-642-37456-2_14, from scikit-learn, which cannot label
new points. This rule labels them: a frame takes the label of the nearest sampled frame, "of no cluster" included. A
frame belongs to no cluster if it is farther from that sampled frame than the radius of its cluster, the distance within
which 99 % of the cluster's sampled frames have another one. A sampled frame is nearest to itself, so the sample keeps
the labels of HDBSCAN.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.seeds import derive_seed, numpy_generator
from ssl_behavior.terminal import Progress, no_progress

__all__ = [
    "DensityConfig",
    "DensityModel",
    "KMeansConfig",
    "KMeansModel",
    "cut",
    "fit_centroids",
    "fit_density",
    "nearest",
    "ward",
]


def ward(centroids: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Merges of clusters, one row each: float64 [centroid - 1, 4], the layout of scipy's linkage.

    A row is (one cluster, the other, height, frames of both). The first clusters are the centroids, in order;
    row i makes cluster `len(centroids) + i`. Each step joins the two whose union adds least to the sum of squared
    distances to the means, which is n_a n_b / (n_a + n_b) |mean_a - mean_b|²; the height is the root of twice that.

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
    hierarchy = np.empty((len(means) - 1, 4))
    for step in range(len(hierarchy)):
        at = int(costs[np.arange(len(costs)), nearest].argmin())
        a, b = sorted((at, int(nearest[at])))
        low, high = sorted((numbers[a], numbers[b]))
        hierarchy[step] = low, high, np.sqrt(2 * costs[a, b]), weights[a] + weights[b]
        means[a] = (weights[a] * means[a] + weights[b] * means[b]) / (weights[a] + weights[b])
        weights[a] += weights[b]
        numbers[a] = len(means) + step
        _replace(costs, nearest, a, b, _costs(means[a], weights[a], means, weights))
    return hierarchy


def _costs(mean: np.ndarray, weight: float, means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Increase of the sum of squares when a cluster joins each of the others."""
    return weight * weights / (weight + weights) * np.square(means - mean).sum(axis=1)


def _replace(costs: np.ndarray, nearest: np.ndarray, a: int, b: int, new: np.ndarray) -> None:
    """Remove cluster b and make a the union; update the nearest cluster of all rows."""
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


def cut(hierarchy: np.ndarray, num_clusters: int) -> np.ndarray:
    """int32 [centroid], the cluster of each centroid where there are `num_clusters`; in order of first centroids.

    Raises
    ------
    InputError
        If there are fewer centroids than clusters.
    """
    num_centroids = len(hierarchy) + 1
    if not 1 <= num_clusters <= num_centroids:
        raise InputError(f"a hierarchy of {num_centroids} centroids cannot be cut into {num_clusters} clusters")
    # scipy's cut_tree refuses this hierarchy: its last column counts frames, not centroids.
    parent = np.arange(num_centroids + len(hierarchy))
    for step in range(num_centroids - num_clusters):
        parent[hierarchy[step, :2].astype(np.int64)] = num_centroids + step
    # A union has a higher number than its parts: from the top down, every parent already is a root.
    for one in range(len(parent) - 1, -1, -1):
        parent[one] = parent[parent[one]]
    _, first, inverse = np.unique(parent[:num_centroids], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


_MOST_SCORES = 1 << 24
"""Scores held at a time, frames times centroids: 64 MB."""
_SAME_POINT = 1e-9
_STARTING_POINTS = 10_000


@dataclass(frozen=True, kw_only=True)
class KMeansConfig:
    """Settings of k-means.

    Parameters
    ----------
    clusters : number of clusters.
    n_init : starts; the one with the smallest sum of squared distances is kept.
    iterations : iterations of each start.
    sample : frames to fit on, at most.

    Raises
    ------
    InputError
        If a number is too small, or the sample is smaller than the number of clusters.
    """

    clusters: int = 20
    n_init: int = 3
    iterations: int = 25
    sample: int = 100_000

    def __post_init__(self) -> None:
        for name, value in (("clusters", self.clusters), ("n_init", self.n_init), ("iterations", self.iterations)):
            if value < 1:
                raise InputError(f"`{name}` must be 1 or more, got {value}")
        if self.sample < self.clusters:
            raise InputError(f"`sample` must be at least the number of clusters, {self.clusters}, got {self.sample}")


@dataclass(frozen=True, eq=False)
class KMeansModel:
    """Centroids, and the clusters that they belong to.

    Parameters
    ----------
    centroids : float32 [centroid, dim], the one with the most frames first.
    sizes : int64 [centroid], frames of each at fitting, 1 or more.
    hierarchy : Ward's hierarchy of the centroids, see `ward`.
    num_clusters : number of clusters that the hierarchy is cut into; 0 is the one with the most frames at fitting.
    """

    centroids: np.ndarray
    sizes: np.ndarray
    hierarchy: np.ndarray
    num_clusters: int

    @classmethod
    def of(cls, centroids: np.ndarray, sizes: np.ndarray, num_clusters: int) -> "KMeansModel":
        """The model of centroids that already are in order."""
        return cls(centroids, sizes, ward(centroids, sizes), num_clusters)

    @cached_property
    def cluster_of(self) -> np.ndarray:
        """int32 [centroid], the cluster of each centroid."""
        part_of = cut(self.hierarchy, self.num_clusters)
        frames = np.bincount(part_of, weights=self.sizes)
        number = np.empty(self.num_clusters, np.int32)
        number[np.argsort(-frames, kind="stable")] = np.arange(self.num_clusters)
        return number[part_of]

    @cached_property
    def centers(self) -> np.ndarray:
        """float32 [cluster, dim], the mean of each cluster's centroids, weighted by their frames."""
        parts = (self.cluster_of == np.arange(self.num_clusters)[:, None]) * self.sizes.astype(np.float64)
        return (parts @ self.centroids / parts.sum(axis=1, keepdims=True)).astype(np.float32)

    def cut(self, num_clusters: int) -> "KMeansModel":
        """The same centroids, joined to `num_clusters` clusters.

        Raises
        ------
        InputError
            If there are fewer centroids.
        """
        cut(self.hierarchy, num_clusters)
        return replace(self, num_clusters=num_clusters)

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Raw labels int32 [frames]: the centroid nearest to each point."""
        return nearest(points, self.centroids)

    def clusters(self, raw_labels: np.ndarray) -> np.ndarray:
        """int32 [frames], the clusters of raw labels."""
        return self.cluster_of[raw_labels]


def fit_centroids(
    sample: np.ndarray,
    config: KMeansConfig,
    spherical: bool = False,
    seed: int = 0,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Centroids float32 [cluster, dim] of points float32 [frames, dim], each nearest to at least one of them.

    Parameters
    ----------
    spherical : points and centroids have length 1.

    Raises
    ------
    InputError
        If there are fewer frames, or fewer distinct frames, than clusters.
    """
    if len(sample) < config.clusters:
        raise InputError(f"cannot fit {config.clusters} clusters to {len(sample)} frames: ask for fewer `clusters`")
    progress("k-means", 0, config.n_init)
    best, centroids = np.inf, np.empty((0, sample.shape[1]), np.float32)
    for start in range(config.n_init):
        found, error = _one_start(sample, config, spherical, derive_seed(seed, "k-means", start))
        if error < best:
            best, centroids = error, found
        progress("k-means", 1, config.n_init)
    return _without_empty(sample, centroids)


def _one_start(sample: np.ndarray, config: KMeansConfig, spherical: bool, seed: int) -> tuple[np.ndarray, float]:
    """Centroids and the sum of squared distances to them."""
    faiss = load_faiss("k-means")
    starts = _starting_points(sample, config.clusters, numpy_generator(seed, "starting points"))
    kmeans = faiss.Kmeans(
        sample.shape[1], config.clusters, niter=config.iterations, seed=seed % 2**31, spherical=spherical,
        min_points_per_centroid=1, max_points_per_centroid=len(sample),
    )  # fmt: skip
    objective = float(kmeans.train(sample, init_centroids=starts))
    # On the sphere the objective of faiss is the sum of cosines, the greater the better.
    return np.asarray(kmeans.centroids, np.float32), -objective if spherical else objective


def _starting_points(sample: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
    """Points to start from, float32 [number, dim]: greedy k-means++ (Arthur and Vassilvitskii 2007) on a part of the
    sample.

    From points drawn uniformly, k-means gets stuck where two centroids share one cluster.
    """
    from sklearn.cluster import kmeans_plusplus

    most = max(_STARTING_POINTS, 20 * number)
    points = sample if len(sample) <= most else sample[generator.choice(len(sample), most, replace=False)]
    starts, _ = kmeans_plusplus(points, number, random_state=int(generator.integers(2**32)))
    return np.asarray(starts, np.float32)


def _without_empty(sample: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Move each centroid without points to the point farthest from its own centroid, until every one has points."""
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
                f"cannot fit {len(centroids)} clusters: only {np.count_nonzero(counts)} frames of the sample are "
                "distinct; ask for fewer `clusters`"
            )
        centroids[int(counts.argmin())] = sample[farthest]


def _similarity(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """float32 [frames, centroid], the higher the nearer: x·c - |c|²/2, which is (|x|² - |x - c|²) / 2."""
    on = torch.from_numpy(np.ascontiguousarray(centroids))
    return torch.addmm(-on.square().sum(dim=1) / 2, torch.from_numpy(points), on.T).numpy()


def nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """int32 [frames], the centroid nearest to each point; of equally near ones the first."""
    out = np.empty(len(points), np.int32)
    step = max(1, _MOST_SCORES // len(centroids))
    for start in range(0, len(points), step):
        out[start : start + step] = _similarity(points[start : start + step], centroids).argmax(axis=1)
    return out


_RADIUS_QUANTILE = 0.99
_ROUNDING = 1e-5


@dataclass(frozen=True, kw_only=True)
class DensityConfig:
    """Settings of HDBSCAN; names and meanings are scikit-learn's.

    Parameters
    ----------
    sample : frames to fit on, at most; time grows with their square.
    min_cluster_size : sampled frames that make a cluster.
    min_samples : sampled frames in a neighborhood; the distance to the last of them estimates the density.
    cluster_selection_method : "leaf" takes the leaves of the hierarchy, many small clusters; "eom" takes the most
        persistent clusters, in embeddings of continuous behavior often a single one with nearly all frames.

    Raises
    ------
    InputError
        If a number is too small.
    """

    sample: int = 20_000
    min_cluster_size: int = 50
    min_samples: int = 5
    cluster_selection_method: Literal["leaf", "eom"] = "leaf"

    def __post_init__(self) -> None:
        limits = (("min_cluster_size", self.min_cluster_size, 2), ("min_samples", self.min_samples, 1))
        for name, value, least in limits:
            if value < least:
                raise InputError(f"`{name}` must be {least} or more, got {value}")
        if self.sample < 2 * self.min_cluster_size:
            raise InputError(
                f"`sample` must be {2 * self.min_cluster_size} or more, twice `min_cluster_size`, got {self.sample}"
            )


@dataclass(frozen=True, eq=False)
class DensityModel:
    """HDBSCAN's labels of a sample, and the radius of each cluster.

    Parameters
    ----------
    points : float32 [frame, dim] of the sample.
    labels : int32 [frame], -1 = of no cluster.
    radii : float64 [cluster], distances.
    """

    points: np.ndarray
    labels: np.ndarray
    radii: np.ndarray

    @property
    def num_clusters(self) -> int:
        return len(self.radii)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.points)

    @cached_property
    def centers(self) -> np.ndarray:
        """float32 [cluster, dim], the mean of each cluster's sampled frames."""
        means = [self.points[self.labels == cluster].mean(axis=0) for cluster in range(self.num_clusters)]
        return np.array(means, np.float32)

    def clusters(self, raw_labels: np.ndarray) -> np.ndarray:
        """The raw labels themselves: HDBSCAN's clusters are not joined."""
        return raw_labels

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Raw labels int32 [frames] of points float32 [frames, dim]; -1 = of no cluster."""
        distances, at = self._tree.query(points, workers=-1)
        labels = self.labels[at]
        far = distances > self.radii[labels]
        return np.where(far, np.int32(-1), labels)

    def renumbered(self, order: np.ndarray) -> "DensityModel":
        """The same model with cluster `order[i]` as number i."""
        number = np.empty(len(order) + 1, np.int32)
        number[order] = np.arange(len(order))
        number[-1] = -1
        return DensityModel(self.points, number[self.labels], self.radii[order])


def fit_density(sample: np.ndarray, config: DensityConfig) -> DensityModel:
    """HDBSCAN of points float32 [frames, dim].

    Raises
    ------
    InputError
        If there are too few points, or HDBSCAN finds no cluster.
    """
    from sklearn.cluster import HDBSCAN

    fewest = max(config.min_cluster_size, config.min_samples)
    if len(sample) < fewest:
        raise InputError(f"HDBSCAN cannot find clusters of {fewest} or more in {len(sample)} frames: give more frames")
    hdbscan = HDBSCAN(
        min_cluster_size=config.min_cluster_size, min_samples=config.min_samples,
        cluster_selection_method=config.cluster_selection_method, copy=True,
    )  # fmt: skip
    labels = hdbscan.fit(sample.astype(np.float64)).labels_.astype(np.int32)
    if labels.max() < 0:
        raise InputError(
            f"HDBSCAN finds no cluster of {config.min_cluster_size} among {len(sample)} frames: set "
            "`min_cluster_size` or `most_dims` lower, or use `KMeansConfig`"
        )
    return DensityModel(sample, labels, _radii(sample, labels))


def _radii(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each cluster, the distance within which 99 % of its points have another one, float64 [cluster]."""
    from scipy.spatial import cKDTree

    members = [points[labels == cluster] for cluster in range(int(labels.max()) + 1)]
    gaps = [cKDTree(own).query(own, k=2)[0][:, 1] for own in members]
    # Clusters of equal frames (nothing tracked) keep them on machines that round their points differently.
    rounding = _ROUNDING * np.sqrt(np.square(points).sum(axis=1).mean())
    return np.array([max(np.quantile(gap, _RADIUS_QUANTILE), rounding) for gap in gaps])
