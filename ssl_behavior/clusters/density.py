"""HDBSCAN of a sample; every other frame gets the cluster of the sampled frame nearest to it, if that is near enough.

Campello, Moulavi and Sander 2013, doi:10.1007/978-3-642-37456-2_14, as scikit-learn has it. scikit-learn's cannot label
new points, so the rule is ours: a frame takes what the nearest sampled frame got, "of no cluster" included; and it is
of no cluster if that sampled frame is farther from it than the cluster's own reach, the distance within which all but
one in a hundred of the cluster's sampled frames have another one. A sampled frame is nearest to itself, so labels of
the sample are what HDBSCAN said.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ssl_behavior.errors import InputError

__all__ = ["DensityConfig", "DensityModel", "fit_density"]

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
