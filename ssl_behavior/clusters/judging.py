"""The numbers of `quality` for whole embeddings: of one by itself, and of two of the same recordings."""

from dataclasses import dataclass

import numpy as np

from ssl_behavior.clusters.clustering import table_fingerprint
from ssl_behavior.clusters.fitting import sampled_model
from ssl_behavior.clusters.kmeans import KMeansConfig
from ssl_behavior.clusters.quality import (
    adjusted_rand_index,
    effective_rank,
    frame_pairs,
    neighbourhood_overlap,
    normalized_mutual_information,
    participation_ratio,
    temporal_coherence,
    uniformity,
)
from ssl_behavior.embedding import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.space import Space, SpaceConfig, sample_frames

__all__ = ["Agreement", "EmbeddingQuality", "QualityConfig", "compare_embeddings", "judge_embeddings"]


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """What is measured.

    Parameters
    ----------
    sample : frames that rank, uniformity and neighbours are measured on, and pairs of frames for each lag.
    lags_seconds : of the temporal coherence.
    clusters : of the clusterings that are compared.
    neighbors : nearest frames that are compared.
    fitting_sample : frames that these are learned from.

    Raises
    ------
    InputError
        If a number is too small.
    """

    sample: int = 10_000
    lags_seconds: tuple[float, ...] = (0.2, 1.0, 5.0, 30.0)
    clusters: int = 20
    neighbors: int = 10
    fitting_sample: int = 50_000

    def __post_init__(self) -> None:
        for name, value, least in (("--clusters", self.clusters, 2), ("--neighbors", self.neighbors, 1)):
            if value < least:
                raise InputError(f"{name} must be {least} or more, got {value}")
        if self.sample <= self.neighbors:
            raise InputError(f"--sample {self.sample} frames are too few for {self.neighbors} neighbours")


@dataclass(frozen=True, kw_only=True)
class EmbeddingQuality:
    """An embedding by itself; see `ssl_behavior.clusters.quality` for the formulas.

    Parameters
    ----------
    dim : columns that count.
    coherence : a lag in seconds and the temporal coherence there, None where every recording is shorter.
    """

    dim: int
    effective_rank: float
    participation_ratio: float
    uniformity: float
    coherence: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two embeddings of the same frames.

    Parameters
    ----------
    mutual_information, rand : of k-means clusterings of the one and the other.
    overlap, overlap_by_chance : share of each frame's nearest frames in other recordings that are its nearest in the
        other embedding, too (in all recordings where there is only one).
    """

    mutual_information: float
    rand: float
    overlap: float
    overlap_by_chance: float


def judge_embeddings(
    embeddings: Embeddings,
    space: SpaceConfig | None = None,
    config: QualityConfig | None = None,
    seed: int = 0,
) -> EmbeddingQuality:
    """Rank, uniformity and temporal coherence of the columns that count, each of spread 1.

    Raises
    ------
    InputError
        If numbers are not finite or all the same, or there are fewer than 2 frames.
    """
    config = config or QualityConfig()
    fitted = Space.fit(embeddings, space or SpaceConfig(most_dims=0), seed)
    points = fitted.gather(embeddings, sample_frames(embeddings.rows, config.sample, seed))
    coherence: list[tuple[float, float | None]] = []
    for lag in config.lags_seconds:
        pairs = frame_pairs(embeddings.rows, lag, config.sample, seed)
        earlier, later = (fitted.gather(embeddings, frames) for frames in pairs)
        coherence.append((lag, temporal_coherence(earlier, later, seed) if len(earlier) > 1 else None))
    return EmbeddingQuality(
        dim=fitted.dim,
        effective_rank=effective_rank(points),
        participation_ratio=participation_ratio(points),
        uniformity=uniformity(points),
        coherence=tuple(coherence),
    )


def compare_embeddings(
    one: Embeddings,
    other: Embeddings,
    space: SpaceConfig | None = None,
    config: QualityConfig | None = None,
    seed: int = 0,
) -> Agreement:
    """Do clusters and neighbours of one embedding come back in another, e.g. of another seed?

    Raises
    ------
    InputError
        If they are of other recordings, numbers are not finite or all the same, or there are too few frames.
    """
    if table_fingerprint(one.rows) != table_fingerprint(other.rows):
        raise InputError(f"{one.path} and {other.path} are of different recordings: embed the same store")
    config = config or QualityConfig()
    frames = sample_frames(one.rows, config.sample, seed)
    recordings = np.repeat(np.arange(len(one.rows)), [row.frames for row in one.rows])[frames]
    points, labels = [], []
    for embeddings in (one, other):
        fitted = Space.fit(embeddings, space or SpaceConfig(), seed)
        points.append(fitted.gather(embeddings, frames))
        labels.append(_clustered(embeddings, fitted, points[-1], config, seed))
    apart = recordings if len(one.rows) > 1 else np.arange(len(frames))
    choices = len(frames) - np.bincount(apart)[apart]
    if choices.min() < config.neighbors:
        raise InputError(f"{one.path}: a sample of {len(frames)} frames has too few for {config.neighbors} neighbours")
    return Agreement(
        mutual_information=normalized_mutual_information(*labels),
        rand=adjusted_rand_index(*labels),
        overlap=neighbourhood_overlap(points[0], points[1], config.neighbors, apart),
        overlap_by_chance=float((config.neighbors / choices).mean()),
    )


def _clustered(
    embeddings: Embeddings, space: Space, points: np.ndarray, config: QualityConfig, seed: int
) -> np.ndarray:
    """Labels of points by clusters of a sample of all frames."""
    sample = space.gather(embeddings, sample_frames(embeddings.rows, config.fitting_sample, seed))
    k_means = KMeansConfig(clusters=config.clusters, sample=config.fitting_sample)
    model = sampled_model(sample, k_means, space.config.unit, seed)
    return model.clusters(model.fine(points))
