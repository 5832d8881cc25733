"""A fitted clustering: fit it on embeddings, label frames with it.

`clusters.json` says what it is; `labels.npy` (int32 [frames], -1 = of no cluster) are the labels as bouts, `fine.npy`
the centroid or cluster of each frame by itself, before centroids are joined and bouts are made; `centroids.npy`
(float32 [cluster, dim]) is the middle of each cluster. The rest is what new frames are labeled with: the space, and of
k-means `kmeans_centroids.npy` and `hierarchy.npy`, of HDBSCAN its sample.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssl_behavior.clusters.algorithms import (
    DensityConfig,
    DensityModel,
    KMeansConfig,
    KMeansModel,
    fit_centroids,
    fit_density,
    nearest,
)
from ssl_behavior.clusters.frame_clusters import FrameClusters, SmoothingConfig, cheapest_paths
from ssl_behavior.embedding import EmbeddingRow, Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.space import Space, SpaceConfig, sample_frames

__all__ = [
    "DENSITY_DIMS",
    "Clustering",
    "FittedOn",
    "Progress",
    "bouts_of_frames",
    "fine_labels",
    "fit_clusters",
    "sampled_model",
    "table_fingerprint",
]

Progress = Callable[[str, int, int], None]
"""Told what is done, how much of it since the last call, and of how much."""

_MOST_CELLS = 1 << 25
"""Frames times clusters that a smoothing holds at a time: some 300 MB."""


def table_fingerprint(rows: Sequence[EmbeddingRow]) -> str:
    """SHA-256 of a recordings table: ids, lengths and frame rates, in order."""
    return hashlib.sha256(json.dumps([[row.id, row.frames, row.fps] for row in rows]).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class FittedOn:
    """What a clustering was learned from.

    Parameters
    ----------
    checkpoint, store, table : fingerprints of the encoder, of the store that was embedded, of the recordings table.
    recordings : ids of those whose frames were used.
    frames : how many frames these have.
    """

    checkpoint: str
    store: str
    table: str
    recordings: tuple[str, ...]
    frames: int

    @classmethod
    def of(cls, embeddings: Embeddings, rows: Sequence[EmbeddingRow]) -> "FittedOn":
        return cls(
            checkpoint=embeddings.checkpoint, store=embeddings.store, table=table_fingerprint(embeddings.rows),
            recordings=tuple(row.id for row in rows), frames=sum(row.frames for row in rows),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Clustering:
    """What labels frames, and the labels of some recordings.

    Parameters
    ----------
    model : k-means or HDBSCAN, fitted.
    config, seed : how it was fitted.
    space : in which it was.
    smoothing : how its labels become bouts.
    fitted : on what.
    store : fingerprint of the store whose recordings are labeled.
    frames : the labels, as bouts.
    fine : int32 [frames], the model's own label of each frame (see above).
    """

    model: KMeansModel | DensityModel
    config: KMeansConfig | DensityConfig
    seed: int
    space: Space
    smoothing: SmoothingConfig
    fitted: FittedOn
    store: str
    frames: FrameClusters
    fine: np.ndarray

    @property
    def num_clusters(self) -> int:
        return self.frames.num_clusters

    @property
    def sizes(self) -> np.ndarray:
        """int64 [cluster], frames with each label."""
        labels = self.frames.labels
        return np.bincount(labels[labels >= 0], minlength=self.num_clusters)

    def assign(
        self,
        embeddings: Embeddings,
        num_clusters: int | None = None,
        progress: Progress = lambda what, done, total: None,
    ) -> "Clustering":
        """The same clusters in any recordings of the same encoder; on those that it was fitted on, the same labels.

        A recording's labels depend on nothing but its own frames.

        Parameters
        ----------
        num_clusters : of the same centroids, joined by their hierarchy; None = as many as there are.

        Raises
        ------
        InputError
            If they are another encoder's, have other columns, or numbers that are not finite; or see `cut`.
        """
        self.space.check(embeddings, "the clustering")
        model = self.model if num_clusters is None else self._cut_model(num_clusters)
        fine = fine_labels(model, self.space, embeddings, progress)
        return self.with_labels(model, embeddings, fine, progress)

    def with_labels(
        self,
        model: KMeansModel | DensityModel,
        embeddings: Embeddings,
        fine: np.ndarray,
        progress: Progress = lambda what, done, total: None,
    ) -> "Clustering":
        """A model's clusters in recordings whose frames' own labels are known: what is left are the bouts."""
        frames = bouts_of_frames(model, self.space, self.smoothing, embeddings, fine, progress)
        return replace(self, model=model, store=embeddings.store, frames=frames, fine=fine)

    def cut(self, num_clusters: int, embeddings: Embeddings | None = None) -> "Clustering":
        """The same centroids joined to so many clusters by their hierarchy, and the same frames labeled so.

        Parameters
        ----------
        embeddings : of these frames; needed where changes have a price (`SmoothingConfig.penalty`).

        Raises
        ------
        InputError
            If there are fewer centroids, HDBSCAN was fitted, which has none, or embeddings are needed.
        """
        model = self._cut_model(num_clusters)
        if embeddings is not None:
            self.check_labeled(embeddings)
            return self.with_labels(model, embeddings, self.fine)
        if self.smoothing.penalty:
            raise InputError("these labels were smoothed with distances: another number of clusters needs embeddings")
        labels = _as_bouts(model.clusters(self.fine), self.frames.rows, self.smoothing)
        return replace(self, model=model, frames=FrameClusters(self.frames.rows, labels, num_clusters))

    def _cut_model(self, num_clusters: int) -> KMeansModel:
        if not isinstance(self.model, KMeansModel):
            raise InputError("clusters of HDBSCAN cannot be joined to another number of them: k-means can")
        return self.model.cut(num_clusters)

    def check_labeled(self, embeddings: Embeddings) -> None:
        """Refuse embeddings other than those of the labeled frames.

        Raises
        ------
        InputError
            If they are another encoder's, have other columns, or are of other recordings.
        """
        self.space.check(embeddings, "the clustering")
        if table_fingerprint(embeddings.rows) != table_fingerprint(self.frames.rows):
            ours, theirs = (
                {row.id: (row.frames, row.fps) for row in rows} for rows in (self.frames.rows, embeddings.rows)
            )
            other = next((name for name in [*ours, *theirs] if ours.get(name) != theirs.get(name)), None)
            differs = "their order differs" if other is None else f"recording {other!r} differs"
            raise InputError(
                f"{embeddings.path} has other recordings than the clustering labels ({differs}): give the embeddings "
                "that were clustered, or label these with ssl-behavior assign"
            )


def fine_labels(
    model: KMeansModel | DensityModel,
    space: Space,
    embeddings: Embeddings,
    progress: Progress = lambda what, done, total: None,
) -> np.ndarray:
    """The model's own label of every frame, int32 [frames], a block of a recording at a time.

    Blocks begin where a recording does, so that numbers are the same, to the last bit, whatever lies beside it.
    """
    out = np.empty(len(embeddings.array), np.int32)
    for row in embeddings.rows:
        for span, points in space.blocks(embeddings, row.slice):
            out[row.slice][span] = model.fine(points)
            progress("labels", len(points), len(out))
    return out


def bouts_of_frames(
    model: KMeansModel | DensityModel,
    space: Space,
    smoothing: SmoothingConfig,
    embeddings: Embeddings,
    fine: np.ndarray,
    progress: Progress = lambda what, done, total: None,
) -> FrameClusters:
    """The clusters of frames as bouts.

    Parameters
    ----------
    fine : the model's own labels of these frames, see `fine_labels`.

    Raises
    ------
    InputError
        If changes have a price, but the model no distances.
    """
    if not smoothing.penalty:
        labels = model.clusters(fine)
    elif isinstance(model, KMeansModel):
        labels = _smoothed(model, space, smoothing.penalty, embeddings, progress)
    else:
        raise InputError("--smooth needs distances to centroids, which HDBSCAN has not: use --minimum-bout-seconds")
    return FrameClusters(embeddings.rows, _as_bouts(labels, embeddings.rows, smoothing), model.num_clusters)


def _as_bouts(labels: np.ndarray, rows: Sequence[EmbeddingRow], smoothing: SmoothingConfig) -> np.ndarray:
    out = np.empty(len(labels), np.int32)
    for row in rows:
        out[row.slice] = smoothing.without_short(labels[row.slice], row.fps)
    return out


def _smoothed(
    model: KMeansModel, space: Space, penalty: float, embeddings: Embeddings, progress: Progress
) -> np.ndarray:
    """The labels int32 [frames] of least distance and fewest changes, see `cheapest_paths`."""
    out = np.empty(len(embeddings.array), np.int32)
    for rows in _together(embeddings.rows, model.num_clusters):
        gains = []
        for row in rows:
            blocks = [model.gains(points) for _, points in space.blocks(embeddings, row.slice)]
            gains.append(np.concatenate([np.empty((0, model.num_clusters), np.float32), *blocks]))
        for row, labels in zip(rows, cheapest_paths(gains, penalty), strict=True):
            out[row.slice] = labels
            progress("smoothing", row.frames, len(out))
    return out


def _together(rows: Sequence[EmbeddingRow], num_clusters: int) -> list[list[EmbeddingRow]]:
    """Recordings that fit into memory beside each other, of alike lengths."""
    batches: list[list[EmbeddingRow]] = []
    for row in sorted(rows, key=lambda one: -one.frames):
        if batches and (len(batches[-1]) + 1) * batches[-1][0].frames * num_clusters <= _MOST_CELLS:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


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
