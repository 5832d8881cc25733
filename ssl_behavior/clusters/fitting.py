"""Find clusters in embeddings: a space, centroids or clusters of density in a sample, a label for every frame."""

from collections.abc import Sequence

import numpy as np

from ssl_behavior.clusters.clustering import Clustering, FittedOn, Progress, fine_labels
from ssl_behavior.clusters.density import DensityConfig, DensityModel, fit_density
from ssl_behavior.clusters.kmeans import KMeansConfig, KMeansModel, fit_centroids, nearest
from ssl_behavior.clusters.labels import FrameClusters
from ssl_behavior.clusters.smoothing import SmoothingConfig
from ssl_behavior.embedding import EmbeddingRow, Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.space import Space, SpaceConfig, sample_frames

__all__ = ["DENSITY_DIMS", "fit_clusters", "sampled_model"]

DENSITY_DIMS = 5
"""Principal components that HDBSCAN looks at: with many, every frame is about as far from every other."""


def fit_clusters(
    embeddings: Embeddings,
    config: KMeansConfig | DensityConfig,
    space: SpaceConfig | None = None,
    smoothing: SmoothingConfig | None = None,
    rows: Sequence[EmbeddingRow] | None = None,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
) -> Clustering:
    """Find clusters, and label all frames of all recordings. Memory is that of a sample and of a block of frames.

    Cluster 0 is the one with the most frames in `rows`, before bouts are made, 1 the next, and so on.

    Parameters
    ----------
    space : its `unit` makes k-means spherical; by default 128 dimensions for k-means, 5 for HDBSCAN.
    rows : recordings that space and clusters are learned from; None = all.
    progress : told of stages "k-means" or "HDBSCAN", "labels" and "smoothing".

    Raises
    ------
    InputError
        If numbers are not finite or all the same, there are fewer (different) frames than clusters, HDBSCAN finds
        nothing, or it is to be smoothed with a penalty.
    """
    smoothing = smoothing or SmoothingConfig()
    if isinstance(config, DensityConfig) and smoothing.penalty:
        raise InputError("--smooth needs distances to centroids, which HDBSCAN has not: use --minimum-bout-seconds")
    if space is None:
        space = SpaceConfig(most_dims=DENSITY_DIMS) if isinstance(config, DensityConfig) else SpaceConfig()
    rows = embeddings.rows if rows is None else rows
    fitted = Space.fit(embeddings, space, seed, rows)
    sample = fitted.gather(embeddings, sample_frames(rows, config.sample, seed))
    model = sampled_model(sample, config, fitted.config.unit, seed, progress)
    fine = fine_labels(model, fitted, embeddings, progress)
    model, fine = _by_size(model, fine, rows)
    clustering = Clustering(
        model=model, config=config, seed=seed, space=fitted, smoothing=smoothing,
        fitted=FittedOn.of(embeddings, rows), store=embeddings.store,
        frames=FrameClusters((), np.empty(0, np.int32), model.num_clusters), fine=fine,
    )  # fmt: skip
    return clustering.with_labels(model, embeddings, fine, progress)


def sampled_model(
    sample: np.ndarray,
    config: KMeansConfig | DensityConfig,
    spherical: bool,
    seed: int,
    progress: Progress = lambda what, done, total: None,
) -> KMeansModel | DensityModel:
    """A model of points float32 [frames, dim]; the sizes of its clusters are those in the sample.

    Raises
    ------
    InputError
        If there are fewer (different) points than clusters, or HDBSCAN finds nothing.
    """
    if isinstance(config, DensityConfig):
        progress("HDBSCAN", 0, 1)
        density = fit_density(sample, config)
        progress("HDBSCAN", 1, 1)
        return density

    def started(done: int) -> None:
        progress("k-means", done, config.seeds)

    progress("k-means", 0, config.seeds)
    centroids = fit_centroids(sample, config.centroids, config, spherical, seed, started)
    own = nearest(sample, centroids)
    spread = float(np.median(np.square(sample - centroids[own]).sum(axis=1)))
    sizes = np.bincount(own, minlength=len(centroids))
    order = np.argsort(-sizes, kind="stable")
    return KMeansModel.of(centroids[order], sizes[order], config.clusters, spread or 1.0)


def _by_size(
    model: KMeansModel | DensityModel, fine: np.ndarray, rows: Sequence[EmbeddingRow]
) -> tuple[KMeansModel | DensityModel, np.ndarray]:
    """The model with its clusters in the order of their frames in `rows`, and its labels so."""
    many = len(model.centroids) if isinstance(model, KMeansModel) else model.num_clusters
    sizes = np.zeros(many, np.int64)
    for own in (fine[row.slice] for row in rows):
        sizes += np.bincount(own[own >= 0], minlength=many)
    order = np.argsort(-sizes, kind="stable")
    number = np.append(np.empty(many, np.int32), np.int32(-1))
    number[order] = np.arange(many)
    if isinstance(model, KMeansModel):
        # Every centroid has a frame of the sample, but rounding may give that to a neighbour as near.
        counts = np.maximum(sizes[order], 1)
        ordered: KMeansModel | DensityModel = KMeansModel.of(
            model.centroids[order], counts, model.num_clusters, model.spread
        )
    else:
        ordered = model.renumbered(order)
    return ordered, number[fine]
