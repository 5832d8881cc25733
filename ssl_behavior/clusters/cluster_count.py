"""Choice of the number of clusters: scores of several numbers without labels, and the rule that suggests one.

No number of clusters is correct, and the scores pull in different directions: fewer clusters are more stable, more
clusters explain more variance. Stability is measured between recordings: they are split into two halves, each half is
clustered by itself, and both clusterings label the same frames of all recordings (Lange et al. 2004,
doi:10.1162/089976604773717621).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.metrics import silhouette_score

from ssl_behavior.clusters.algorithms import KMeansConfig, KMeansModel
from ssl_behavior.clusters.clustering import bouts_of_frames, fit_model, predict_frames
from ssl_behavior.clusters.embedding_quality import adjusted_rand_index, normalized_mutual_information
from ssl_behavior.clusters.frame_clusters import FrameClusters, SmoothingConfig
from ssl_behavior.embedding_space import Space, sample_frames
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, recording_numbers
from ssl_behavior.errors import InputError
from ssl_behavior.seeds import derive_seed, numpy_generator
from ssl_behavior.terminal import Progress, no_progress

__all__ = [
    "RULE",
    "ChoiceConfig",
    "NumberScores",
    "explained_variance",
    "score_numbers",
    "silhouette",
    "suggested_number",
]


RULE = (
    "the most clusters whose stability (mean adjusted Rand index of two halves of the recordings) is less than one "
    "standard deviation below the best"
)


@dataclass(frozen=True, kw_only=True)
class ChoiceConfig:
    """How numbers of clusters are rated.

    Parameters
    ----------
    numbers : candidate numbers of clusters.
    resamples : splits of the recordings into two halves.
    sample : frames of all recordings, labeled by the clusterings of both halves.
    half_sample : frames that each half's clusterings are fitted on, at most.
    silhouette_frames : frames of the sample whose silhouette is measured; memory grows with their square.

    Raises
    ------
    InputError
        If there is no number, or one below 2.
    """

    numbers: tuple[int, ...]
    resamples: int = 5
    sample: int = 20_000
    half_sample: int = 25_000
    silhouette_frames: int = 5_000

    def __post_init__(self) -> None:
        if not self.numbers or min(self.numbers) < 2:
            raise InputError(f"`numbers` must list numbers of clusters, each 2 or more, got {list(self.numbers)}")
        if self.resamples < 1:
            raise InputError(f"`resamples` must be 1 or more, got {self.resamples}")


@dataclass(frozen=True, kw_only=True)
class NumberScores:
    """Scores of a number of clusters.

    Parameters
    ----------
    stability, stability_std : adjusted Rand index of the halves' labels, mean and population standard deviation over
        the splits; None with fewer than two recordings.
    agreement : their normalized mutual information, mean.
    silhouette : mean over a sample of (b - a) / max(a, b), a the mean distance to frames of the own cluster, b to those
        of the nearest other cluster (Rousseeuw 1987); None where all frames of the sample are in one cluster.
    explained : share of the variance in a sample that the clusters' means explain.
    bout_seconds : median length of the bouts, after smoothing.
    """

    clusters: int
    stability: float | None
    stability_std: float | None
    agreement: float | None
    silhouette: float | None
    explained: float
    bout_seconds: float


def suggested_number(scores: Sequence[NumberScores]) -> int | None:
    """The number that `RULE` suggests; None where stability is unknown."""
    known = [(one.clusters, one.stability, one.stability_std) for one in scores if one.stability is not None]
    if not known:
        return None
    _, best, spread = max(known, key=lambda one: one[1])
    assert spread is not None
    return max(clusters for clusters, stability, _ in known if stability >= best - spread)


def score_numbers(
    embeddings: Embeddings,
    space: Space,
    config: KMeansConfig,
    choice: ChoiceConfig,
    smoothing: SmoothingConfig | None = None,
    rows: Sequence[EmbeddingRow] | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[NumberScores]:
    """Rate k-means with each number of clusters.

    Parameters
    ----------
    space : fitted to `rows`.
    rows : recordings to use; None = all.
    progress : called in the stages "stability" and "numbers".

    Raises
    ------
    InputError
        If there are fewer (distinct) frames than clusters.
    """
    smoothing, rows = smoothing or SmoothingConfig(), list(embeddings.rows if rows is None else rows)
    common = sample_frames(rows, choice.sample, seed)
    points = space.gather(embeddings, common)
    halves = [half for split in range(choice.resamples) for half in _halves(rows, seed, split)]
    labels: list[dict[int, np.ndarray]] = []
    of_half = replace(config, sample=min(config.sample, choice.half_sample))
    for number, half in enumerate(halves):
        models = _models(embeddings, space, of_half, choice, half, derive_seed(seed, "half", number))
        labels.append({clusters: model.clusters(model.predict(points)) for clusters, model in models.items()})
        progress("stability", 1, len(halves))
    scores = []
    for clusters, model in _models(embeddings, space, config, choice, rows, seed).items():
        raw_labels = predict_frames(model, space, embeddings)
        frames = bouts_of_frames(model, smoothing, embeddings.rows, raw_labels)
        pairs = [(one[clusters], other[clusters]) for one, other in zip(labels[::2], labels[1::2], strict=True)]
        own = model.clusters(raw_labels[common])
        scores.append(_scores(clusters, pairs, points, own, frames, rows, choice.silhouette_frames))
        progress("numbers", 1, len(choice.numbers))
    return scores


def _halves(rows: list[EmbeddingRow], seed: int, split: int) -> list[list[EmbeddingRow]]:
    """Two halves of the recordings, each with all its rows; none where there is only one recording."""
    numbers = recording_numbers(rows)
    recordings = int(numbers.max(initial=-1)) + 1
    if recordings < 2:
        return []
    order = numpy_generator(seed, "halves", split).permutation(recordings)
    parts = order[: recordings // 2], order[recordings // 2 :]
    return [[rows[pick] for pick in np.flatnonzero(np.isin(numbers, part))] for part in parts]


def _models(
    embeddings: Embeddings,
    space: Space,
    config: KMeansConfig,
    choice: ChoiceConfig,
    rows: Sequence[EmbeddingRow],
    seed: int,
) -> dict[int, KMeansModel]:
    """A model for each number of clusters, fitted on a sample of some recordings."""
    sample = space.gather(embeddings, sample_frames(rows, config.sample, seed))
    models = {}
    for clusters in choice.numbers:
        model = fit_model(sample, replace(config, clusters=clusters), space.config.unit, seed)
        assert isinstance(model, KMeansModel)
        models[clusters] = model
    return models


def _scores(
    clusters: int,
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    points: np.ndarray,
    own: np.ndarray,
    frames: FrameClusters,
    rows: Sequence[EmbeddingRow],
    silhouette_frames: int,
) -> NumberScores:
    rand = [adjusted_rand_index(one, other) for one, other in pairs]
    mutual = [normalized_mutual_information(one, other) for one, other in pairs]
    # Frames of the sample are in ascending order, so every `stride`-th one comes from all recordings.
    stride = -(-len(points) // silhouette_frames)
    seconds = [(stop - start) / row.fps for row in rows for start, stop, _ in frames.bouts(row)]
    return NumberScores(
        clusters=clusters,
        stability=float(np.mean(rand)) if pairs else None,
        stability_std=float(np.std(rand)) if pairs else None,
        agreement=float(np.mean(mutual)) if pairs else None,
        silhouette=silhouette(points[::stride], own[::stride]),
        explained=explained_variance(points, own),
        bout_seconds=float(np.median(seconds)),
    )


def silhouette(points: np.ndarray, labels: np.ndarray) -> float | None:
    """Mean silhouette of points [frames, dim] with labels [frames]; None where all labels are equal or all distinct."""
    if not 1 < len(np.unique(labels)) < len(labels):
        return None
    return float(silhouette_score(points, labels))


def explained_variance(points: np.ndarray, labels: np.ndarray) -> float:
    """1 - (squared distances to the mean of the own label) / (squared distances to the mean)."""
    _, own = np.unique(labels, return_inverse=True)
    wide = points - points.mean(axis=0, dtype=np.float64)
    sums = np.zeros((own.max() + 1, wide.shape[1]))
    np.add.at(sums, own, wide)
    between = np.square(sums).sum(axis=1) / np.bincount(own)
    return float(between.sum() / np.square(wide).sum())
