"""Quality measures of embeddings and clusterings that need no labels.

None of these numbers says that an embedding is of use: they tell a collapsed embedding from one that fills its space,
and what is there by chance (of a seed, of a sample) from what comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from ssl_behavior.clusters.clustering import sampled_model, table_fingerprint
from ssl_behavior.clusters.kmeans import KMeansConfig
from ssl_behavior.embedding import EmbeddingRow, Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.numerics import effective_rank, participation_ratio, uniformity
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.space import Space, SpaceConfig, sample_frames

__all__ = [
    "Agreement",
    "EmbeddingQuality",
    "QualityConfig",
    "adjusted_rand_index",
    "compare_embeddings",
    "frame_pairs",
    "judge_embeddings",
    "neighbourhood_overlap",
    "normalized_mutual_information",
    "purity",
    "temporal_coherence",
]

_BLOCK = 1024
_RANKME_OFFSET = 1e-7


def frame_pairs(
    rows: Sequence[EmbeddingRow], lag_seconds: float, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames, and those `lag_seconds` later in the same recordings: rows of the array, int64 [pairs] each, rising.

    All there are, or `most` of them drawn by `seed`; none where every recording is shorter than the lag.
    """
    starts, lags = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for row in rows:
        lag = max(1, round(lag_seconds * row.fps))
        own = np.arange(row.offset, row.offset + max(0, row.frames - lag))
        starts.append(own)
        lags.append(np.full(len(own), lag))
    first, step = np.concatenate(starts), np.concatenate(lags)
    if len(first) > most:
        drawn = numpy_generator(seed, "frame pairs").choice(len(first), most, replace=False, shuffle=False)
        first, step = first[np.sort(drawn)], step[np.sort(drawn)]
    return first, first + step


def temporal_coherence(earlier: np.ndarray, later: np.ndarray, seed: int = 0) -> float:
    """1 - mean |x_t - x_{t+lag}|² / mean |x_t - x_s|², s another frame at random: 1 = nothing moves in that time, 0 = a
    frame is as far from the one a lag later as from any.

    Parameters
    ----------
    earlier, later : points [pairs, dim] of frames and of those a lag later, see `frame_pairs`.
    seed : draws the other frames, among the later ones.
    """
    other = later[numpy_generator(seed, "other frames").permutation(len(later))]
    near, far = (np.square(earlier.astype(np.float64) - points).sum(axis=1).mean() for points in (later, other))
    return float(1 - near / far)


def neighbourhood_overlap(one: np.ndarray, other: np.ndarray, k: int = 10, apart: np.ndarray | None = None) -> float:
    """Mean share of a frame's k nearest frames in one embedding that are among its k nearest in the other.

    By chance that is k over the number of frames to choose from.

    Parameters
    ----------
    one, other : points [frames, dim] of the same frames in two embeddings; dims may differ.
    apart : int [frames]; frames of the same number are no neighbours of each other. With recordings' numbers,
        embeddings do not agree just because what lies beside each other in time lies beside each other in both.
    """
    apart = np.arange(len(one)) if apart is None else apart
    shared = 0
    for start in range(0, len(one), _BLOCK):
        span = slice(start, start + _BLOCK)
        barred = torch.from_numpy(apart[span, None] == apart[None])
        near = [_nearest_frames(torch.from_numpy(points), span, barred, k) for points in (one, other)]
        shared += int((near[0][:, :, None] == near[1][:, None, :]).sum())
    return shared / (k * len(one))


def _nearest_frames(points: torch.Tensor, span: slice, barred: torch.Tensor, k: int) -> torch.Tensor:
    """Numbers of the k frames nearest to each of `span` that are not barred, [frames, k]."""
    points = points.float()
    nearness = points[span] @ points.T - points.square().sum(dim=1) / 2
    return nearness.masked_fill(barred, -torch.inf).topk(k, dim=1).indices


def normalized_mutual_information(one: np.ndarray, other: np.ndarray) -> float:
    """I(one; other) / ((H(one) + H(other)) / 2) of two labellings [frames]; 0 = independent, 1 = the same partition.

    It grows with the number of clusters even where these are made at random: compare equal numbers.
    """
    return float(normalized_mutual_info_score(one, other))


def adjusted_rand_index(one: np.ndarray, other: np.ndarray) -> float:
    """The share of pairs of frames on which two labellings [frames] agree (together or apart in both), corrected for
    chance: 0 = as random ones of these sizes, 1 = the same partition (Hubert and Arabie 1985)."""
    return float(adjusted_rand_score(one, other))


def purity(labels: np.ndarray, clusters: np.ndarray) -> float:
    """The share of frames that have the commonest label of their cluster; grows with the number of clusters.

    Parameters
    ----------
    labels, clusters : int [frames].
    """
    _, rows = np.unique(clusters, return_inverse=True)
    names, columns = np.unique(labels, return_inverse=True)
    table = np.bincount(rows * len(names) + columns, minlength=(rows.max() + 1) * len(names)).reshape(-1, len(names))
    return float(table.max(axis=1).sum() / len(labels))


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
    """An embedding by itself; see `ssl_behavior.numerics` for the formulas.

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
    points = torch.from_numpy(fitted.gather(embeddings, sample_frames(embeddings.rows, config.sample, seed))).double()
    coherence: list[tuple[float, float | None]] = []
    for lag in config.lags_seconds:
        pairs = frame_pairs(embeddings.rows, lag, config.sample, seed)
        earlier, later = (fitted.gather(embeddings, frames) for frames in pairs)
        coherence.append((lag, temporal_coherence(earlier, later, seed) if len(earlier) > 1 else None))
    return EmbeddingQuality(
        dim=fitted.dim,
        effective_rank=float(effective_rank(points, _RANKME_OFFSET)),
        participation_ratio=float(participation_ratio(points)),
        uniformity=float(uniformity(points)),
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
