"""F1 and average precision of frame labels, pooled over recordings, with bootstrap intervals.

The protocol is CalMS21's (Sun et al. 2021, arXiv:2104.02710): frames of all evaluated recordings are concatenated, F1
and one-vs-rest average precision are computed per class, and macro values are plain means over the classes that
are not background. A score without a definition is None, never 0 or 1: a class without a positive frame has
no F1 and no average precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

__all__ = [
    "CALIBRATION_BINS",
    "CalibrationBins",
    "ClassScores",
    "Interval",
    "Summary",
    "average_precision",
    "bootstrap_ap",
    "bootstrap_f1",
    "calibration_bins",
    "class_scores",
    "confusion_counts",
    "interval",
    "macro",
    "resample_counts",
    "summarize",
]

AP_BINS = 2048
"""Thresholds kept per class in the bootstrap; average precision is exact while a class has fewer different scores."""


CALIBRATION_BINS = 10
"""Bins of equal width between probabilities 0 and 1."""


@dataclass(frozen=True)
class CalibrationBins:
    """Probabilities of one class in `CALIBRATION_BINS` bins; the last one holds the probability 1, too.

    Parameters
    ----------
    frames, positive : number of frames in each bin, and of those that show the behavior.
    probability : mean probability of the frames of each bin; None = a bin without frames.
    """

    frames: tuple[int, ...]
    positive: tuple[int, ...]
    probability: tuple[float | None, ...]


@dataclass(frozen=True)
class ClassScores:
    """One class against the rest. None = undefined.

    `precision` is undefined where nothing was predicted; `f1` is then 0, because every positive was missed.
    """

    f1: float | None
    ap: float | None
    precision: float | None
    recall: float | None
    support: int


@dataclass(frozen=True)
class Summary:
    """Mean and population standard deviation (ddof = 0) over the seeds for which the value is defined."""

    mean: float | None
    std: float | None
    num_defined: int


@dataclass(frozen=True)
class Interval:
    """A percentile bootstrap interval."""

    low: float
    high: float


def average_precision(positive: np.ndarray, score: np.ndarray) -> float | None:
    """Average precision of `score` [frames] for the bool `positive` [frames]; None if there is no positive frame."""
    if not positive.any():
        return None
    return float(average_precision_score(positive, score))


def class_scores(positive: np.ndarray, score: np.ndarray | None, predicted: np.ndarray) -> ClassScores:
    """Scores of one class over pooled frames.

    Parameters
    ----------
    positive : bool [frames], the frame shows the behavior.
    score : float [frames], its probability; None if the class could not be learned, so that it has no score at all.
    predicted : bool [frames], the decision.
    """
    support = int(positive.sum())
    if support == 0 or score is None:
        return ClassScores(None, None, None, None, support)
    hits, claims = int((positive & predicted).sum()), int(predicted.sum())
    return ClassScores(
        f1=2 * hits / (claims + support),
        ap=average_precision(positive, score),
        precision=hits / claims if claims else None,
        recall=hits / support,
        support=support,
    )


def confusion_counts(target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Frames of each annotated class (row) that were predicted as each class (column), int64 [class, class].

    >>> confusion_counts(np.eye(2)[[0, 0, 1]] > 0, np.eye(2)[[0, 1, 1]] > 0).tolist()
    [[1, 1], [0, 1]]

    Parameters
    ----------
    target, predicted : bool [frames, class], one class in each frame.
    """
    return target.T.astype(np.int64) @ predicted.astype(np.int64)


def calibration_bins(positive: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Number of frames, of positive frames, and sum of probabilities in each bin, float64 [3, `CALIBRATION_BINS`].

    Parameters
    ----------
    positive : bool [frames], the frame shows the behavior.
    probability : float [frames], from 0 to 1.
    """
    bins = np.clip((probability * CALIBRATION_BINS).astype(np.int64), 0, CALIBRATION_BINS - 1)
    weights = (None, positive.astype(np.float64), probability.astype(np.float64))
    return np.stack([np.bincount(bins, weight, CALIBRATION_BINS) for weight in weights])


def macro(values: Sequence[float | None]) -> float | None:
    """Plain mean over the defined values; None if none is defined.

    >>> macro([0.25, None, 0.75])
    0.5
    """
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def summarize(values: Sequence[float | None]) -> Summary:
    """Mean and population standard deviation over seeds.

    >>> summarize([1.0, 3.0, None])
    Summary(mean=2.0, std=1.0, num_defined=2)
    """
    defined = [value for value in values if value is not None]
    if not defined:
        return Summary(None, None, 0)
    return Summary(float(np.mean(defined)), float(np.std(defined)), len(defined))


def resample_counts(num_recordings: int, num_resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Bootstrap counts of each recording, int64 [resample, recording]; rows sum to `num_recordings`."""
    return generator.multinomial(num_recordings, np.full(num_recordings, 1 / num_recordings), size=num_resamples)


def bootstrap_f1(positive: np.ndarray, predicted: np.ndarray, recording: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """F1 of every resample of the recordings, float64 [resample]; NaN where a resample has no positive frame.

    Parameters
    ----------
    positive, predicted : bool [frames].
    recording : int [frames], which recording the frame belongs to, 0 to `counts.shape[1] - 1`.
    counts : int [resample, recording] from `resample_counts`.
    """
    per_recording = [
        np.bincount(recording[chosen], minlength=counts.shape[1])
        for chosen in (positive & predicted, predicted, positive)
    ]
    hits, claims, support = (counts @ values for values in per_recording)
    return np.where(support > 0, 2 * hits / np.maximum(claims + support, 1), np.nan)


def bootstrap_ap(positive: np.ndarray, score: np.ndarray, recording: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average precision of every resample of the recordings, float64 [resample]; NaN without a positive frame.

    Precision is read at the scores of positive frames only (elsewhere recall does not grow), so one histogram per
    recording answers all resamples. It is exact up to `AP_BINS` different positive scores; beyond that, scores between
    two thresholds count as tied, which moves the result by less than 1 / AP_BINS times the variation of precision.
    Parameters as in `bootstrap_f1`, with `score` float [frames].
    """
    if not positive.any():
        return np.full(len(counts), np.nan)
    thresholds = np.unique(score[positive])
    if len(thresholds) > AP_BINS:
        thresholds = np.unique(np.quantile(score[positive], np.linspace(0, 1, AP_BINS), method="lower"))
    # Bin b holds the scores from thresholds[b] up to the next threshold; frames below all of them change nothing.
    bins = np.searchsorted(thresholds, score, side="right") - 1
    above = bins >= 0
    claims = _resampled_histogram(bins, recording, above, counts, len(thresholds))
    hits = _resampled_histogram(bins, recording, above & positive, counts, len(thresholds))
    gained = np.diff(hits, axis=1, prepend=0)
    support = hits[:, -1]
    total = (gained * hits / np.maximum(claims, 1)).sum(axis=1)
    return np.where(support > 0, total / np.maximum(support, 1), np.nan)


def _resampled_histogram(
    bins: np.ndarray, recording: np.ndarray, chosen: np.ndarray, counts: np.ndarray, num_bins: int
) -> np.ndarray:
    """Frames at or above each threshold, highest threshold first, float64 [resample, threshold]."""
    flat = np.bincount(recording[chosen] * num_bins + bins[chosen], minlength=counts.shape[1] * num_bins)
    histogram = flat.reshape(counts.shape[1], num_bins)[:, ::-1]
    # Whole numbers below 2**53: the float product is exact, and much faster than an integer one.
    return counts.astype(np.float64) @ np.cumsum(histogram, axis=1).astype(np.float64)


def interval(values: np.ndarray, level: float = 0.95) -> Interval | None:
    """The central `level` of bootstrap values [resample], NaNs left out; None if all of them are NaN."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
