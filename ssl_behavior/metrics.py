"""F1 and average precision of frame labels, pooled over recordings, with bootstrap intervals.

The protocol is CalMS21's (Sun et al. 2021, arXiv:2104.02710): frames of all evaluated recordings are concatenated, F1
and one-vs-rest average precision are computed per class, and macro values are plain means over the classes that
are not background. A score without a definition is None, never 0 or 1: a class without a positive frame has
no F1 and no average precision.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "CALIBRATION_BINS",
    "CalibrationBins",
    "ClassScores",
    "Interval",
    "PooledCount",
    "PooledMedian",
    "PooledRatio",
    "PooledScore",
    "Summary",
    "average_precision",
    "bootstrap_ap",
    "bootstrap_f1",
    "brier_score",
    "calibration_bins",
    "class_scores",
    "confusion_counts",
    "interval",
    "macro",
    "mean_defined",
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
    # Takes a second to import, and many who import this module score nothing.
    from sklearn.metrics import average_precision_score

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


def brier_score(
    positive: np.ndarray, probability: np.ndarray, recording: np.ndarray, num_recordings: int
) -> "PooledRatio":
    """Brier score of one class against the rest: the mean squared error of its probability, pooled over recordings.

    0 is perfect; a constant probability equal to the share p of positive frames has p (1 - p). Brier 1950,
    doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2, half of his sum over two classes.

    Parameters
    ----------
    positive : bool [frames], the frame shows the behavior.
    probability : float [frames], from 0 to 1.
    recording : int [frames], which recording the frame belongs to, 0 to `num_recordings - 1`.
    """
    error = (probability.astype(np.float64) - positive) ** 2
    frames = np.bincount(recording, minlength=num_recordings).astype(np.float64)
    return PooledRatio(np.bincount(recording, error, num_recordings), frames)


def macro(values: Sequence[float | None]) -> float | None:
    """Plain mean over the defined values; None if none is defined.

    >>> macro([0.25, None, 0.75])
    0.5
    """
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN if all values are NaN."""
    defined = np.isfinite(values)
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


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


class PooledScore(ABC):
    """A score of things that are pooled over recordings, for all of them, for each, and for resamples of them."""

    @abstractmethod
    def _of(self, counts: np.ndarray) -> np.ndarray:
        """Score of each row of `counts` [row, recording], float64 [row]; NaN = undefined."""

    @property
    @abstractmethod
    def num_recordings(self) -> int: ...

    def value(self) -> float | None:
        """Score of all recordings; None = undefined."""
        (value,) = self._of(np.ones((1, self.num_recordings))).tolist()
        return None if np.isnan(value) else value

    @abstractmethod
    def by_recording(self) -> np.ndarray:
        """Score of each recording alone, float64 [recording]; NaN = undefined."""

    def resampled(self, counts: np.ndarray) -> np.ndarray:
        """Score of every resample, float64 [resample]; NaN = undefined. `counts` are those of `resample_counts`."""
        return self._of(counts.astype(np.float64))


@dataclass(frozen=True, eq=False)
class PooledRatio(PooledScore):
    """A quotient of sums over recordings, such as recall or a mean.

    Parameters
    ----------
    numerator, denominator : float64 [recording].
    support : float64 [recording]; where its sum is 0, the score is undefined. None = the denominator.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    support: np.ndarray | None = None

    @property
    def num_recordings(self) -> int:
        return len(self.numerator)

    def _of(self, counts: np.ndarray) -> np.ndarray:
        return self._quotient(lambda sums: counts @ sums)

    def by_recording(self) -> np.ndarray:
        return self._quotient(lambda sums: sums)

    def _quotient(self, summed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        below = summed(self.denominator)
        defined = (below if self.support is None else summed(self.support)) > 0
        return np.where(defined, summed(self.numerator) / np.where(defined, below, 1.0), np.nan)


@dataclass(frozen=True, eq=False)
class PooledCount(PooledScore):
    """A number of things.

    Parameters
    ----------
    counted : float64 [recording].
    """

    counted: np.ndarray

    @property
    def num_recordings(self) -> int:
        return len(self.counted)

    def _of(self, counts: np.ndarray) -> np.ndarray:
        return counts @ self.counted

    def by_recording(self) -> np.ndarray:
        return self.counted


class PooledMedian(PooledScore):
    """The median of values of several recordings.

    Parameters
    ----------
    values : float64 [value].
    recording : int64 [value], the recording of each.
    num_recordings : number of recordings.
    """

    def __init__(self, values: np.ndarray, recording: np.ndarray, num_recordings: int) -> None:
        self._num_recordings = num_recordings
        # Errors in frames repeat: a histogram for each recording with values answers all resamples.
        self._values, place = np.unique(values, return_inverse=True)
        self._seen, row = np.unique(recording, return_inverse=True)
        shape = len(self._seen), len(self._values)
        flat = np.bincount(row * shape[1] + place, minlength=shape[0] * shape[1])
        self._histogram = flat.reshape(shape).astype(np.float64)

    @property
    def num_recordings(self) -> int:
        return self._num_recordings

    def _of(self, counts: np.ndarray) -> np.ndarray:
        return self._medians(counts[:, self._seen] @ self._histogram)

    def by_recording(self) -> np.ndarray:
        medians = np.full(self._num_recordings, np.nan)
        medians[self._seen] = self._medians(self._histogram)
        return medians

    def _medians(self, weights: np.ndarray) -> np.ndarray:
        """Median of the values, each taken `weights` [row, value] times, float64 [row]; NaN without values."""
        if not len(self._values):
            return np.full(len(weights), np.nan)
        below = np.cumsum(weights, axis=1)
        total = below[:, -1]
        middle = [(below <= place[:, None]).sum(axis=1) for place in ((total - 1) // 2, total // 2)]
        low, high = (self._values[np.minimum(place, len(self._values) - 1)] for place in middle)
        return np.where(total > 0, (low + high) / 2, np.nan)
