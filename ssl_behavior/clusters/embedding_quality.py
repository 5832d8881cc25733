"""Quality of embeddings and clusterings without labels.

These numbers do not prove that an embedding is useful. They detect a collapsed embedding, and separate structure that
comes back with another seed or sample from structure that is due to chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from ssl_behavior.clusters.algorithms import KMeansConfig
from ssl_behavior.clusters.clustering import fit_model, table_fingerprint
from ssl_behavior.embedding_space import Space, SpaceConfig, sample_frames
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, recording_numbers
from ssl_behavior.errors import InputError
from ssl_behavior.numerics import effective_rank, participation_ratio, uniformity
from ssl_behavior.seeds import numpy_generator

__all__ = [
    "Agreement",
    "EmbeddingQuality",
    "QualityConfig",
    "adjusted_rand_index",
    "compare_embeddings",
    "frame_pairs",
    "judge_embeddings",
    "neighborhood_overlap",
    "normalized_mutual_information",
    "purity",
    "temporal_coherence",
]


_BLOCK = 1024
_RANKME_OFFSET = 1e-7


def frame_pairs(
    rows: Sequence[EmbeddingRow], lag_seconds: float, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of frames `lag_seconds` apart in the same recording: rows of the array, int64 [pairs] each, ascending.

    All pairs, or `most` of them drawn by `seed`; none where every recording is shorter than the lag.
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
    """1 - mean |x_t - x_{t+lag}|² / mean |x_t - x_s|², s a random frame: 1 = points do not move within the lag, 0 = the
    frame a lag later is as far as a random frame.

    Parameters
    ----------
    earlier, later : points [pairs, dim] of the first and second frames of `frame_pairs`.
    seed : draws the random frames from the later ones.
    """
    other = later[numpy_generator(seed, "other frames").permutation(len(later))]
    near, far = (np.square(earlier.astype(np.float64) - points).sum(axis=1).mean() for points in (later, other))
    return float(1 - near / far)


def neighborhood_overlap(one: np.ndarray, other: np.ndarray, k: int = 10, apart: np.ndarray | None = None) -> float:
    """Mean share of a frame's k nearest frames in one embedding that are among its k nearest in the other.

    The value by chance is k over the number of candidate frames.

    Parameters
    ----------
    one, other : points [frames, dim] of the same frames in two embeddings; dims may differ.
    apart : int [frames]; frames with the same number are never neighbors. With the numbers of recordings, adjacent
        frames of one recording do not count as agreement.
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
    """The k nearest frames of each frame in `span`, except barred ones, [frames, k]."""
    points = points.float()
    similarity = points[span] @ points.T - points.square().sum(dim=1) / 2
    return similarity.masked_fill(barred, -torch.inf).topk(k, dim=1).indices


def normalized_mutual_information(one: np.ndarray, other: np.ndarray) -> float:
    """I(one; other) / ((H(one) + H(other)) / 2) of two labelings [frames]; 0 = independent, 1 = the same partition.

    It grows with the number of clusters even for random clusters: compare equal numbers of clusters.
    """
    return float(normalized_mutual_info_score(one, other))


def adjusted_rand_index(one: np.ndarray, other: np.ndarray) -> float:
    """The share of pairs of frames on which two labelings [frames] agree (together or apart in both), corrected for
    chance: 0 = random labelings of these sizes, 1 = the same partition (Hubert and Arabie 1985)."""
    return float(adjusted_rand_score(one, other))


def purity(labels: np.ndarray, clusters: np.ndarray) -> float:
    """The share of frames with the most common label of their cluster; it grows with the number of clusters.

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
    """Settings of the measures.

    Parameters
    ----------
    sample : frames for rank, uniformity and neighbors, and pairs of frames for each lag.
    lags_seconds : lags of the temporal coherence.
    clusters : number of clusters of the compared clusterings.
    neighbors : number of nearest frames compared.
    fitting_sample : frames that clusterings are fitted on.

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
        for name, value, least in (("clusters", self.clusters, 2), ("neighbors", self.neighbors, 1)):
            if value < least:
                raise InputError(f"`{name}` must be {least} or more, got {value}")
        if self.sample <= self.neighbors:
            raise InputError(f"`sample` must be greater than `neighbors`, {self.neighbors}, got {self.sample} frames")


@dataclass(frozen=True, kw_only=True)
class EmbeddingQuality:
    """Measures of one embedding; see `ssl_behavior.numerics` for the formulas.

    Parameters
    ----------
    dim : number of columns used.
    coherence : pairs of a lag in seconds and the temporal coherence, None where every recording is shorter.
    """

    dim: int
    effective_rank: float
    participation_ratio: float
    uniformity: float
    coherence: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of two embeddings of the same frames.

    Parameters
    ----------
    mutual_information, rand : agreement of their k-means clusterings.
    overlap, overlap_by_chance : share of each frame's nearest frames in other recordings that are nearest in the other
        embedding, too (in the same recording where there is only one).
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
    """Rank, uniformity and temporal coherence of the selected columns, each of spread 1.

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
    """Compare clusters and neighbors of two embeddings, e.g. of two seeds.

    Raises
    ------
    InputError
        If the embeddings are of different recordings, numbers are not finite or all the same, or frames are too few.
    """
    if table_fingerprint(one.rows) != table_fingerprint(other.rows):
        raise InputError(f"{one.path} and {other.path} are of different recordings: embed the same store")
    config = config or QualityConfig()
    frames = sample_frames(one.rows, config.sample, seed)
    numbers = recording_numbers(one.rows)
    recordings = np.repeat(numbers, [row.frames for row in one.rows])[frames]
    points, labels = [], []
    for embeddings in (one, other):
        fitted = Space.fit(embeddings, space or SpaceConfig(), seed)
        points.append(fitted.gather(embeddings, frames))
        labels.append(_clustered(embeddings, fitted, points[-1], config, seed))
    apart = recordings if numbers.max() > 0 else np.arange(len(frames))
    choices = len(frames) - np.bincount(apart)[apart]
    if choices.min() < config.neighbors:
        raise InputError(
            f"{one.path}: a sample of {len(frames)} frames is too small for {config.neighbors} neighbors; set `sample` "
            "higher or `neighbors` lower"
        )
    return Agreement(
        mutual_information=normalized_mutual_information(*labels),
        rand=adjusted_rand_index(*labels),
        overlap=neighborhood_overlap(points[0], points[1], config.neighbors, apart),
        overlap_by_chance=float((config.neighbors / choices).mean()),
    )


def _clustered(
    embeddings: Embeddings, space: Space, points: np.ndarray, config: QualityConfig, seed: int
) -> np.ndarray:
    """Labels of points, from k-means of a sample of all frames."""
    sample = space.gather(embeddings, sample_frames(embeddings.rows, config.fitting_sample, seed))
    k_means = KMeansConfig(clusters=config.clusters, sample=config.fitting_sample)
    model = fit_model(sample, k_means, space.config.unit, seed)
    return model.clusters(model.predict(points))
