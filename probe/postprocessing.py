"""Postprocessing of probabilities: smoothing over time, and decisions tuned for F1.

All settings are chosen on held-out training recordings, from probabilities of models that were not fitted to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from probe.experiment import (
    BALANCED,
    DECISION,
    FITS,
    NEARLY_EQUAL,
    PLAIN,
    Problem,
    choose_settings,
    selection_scores,
)
from probe.representations import all_frames
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.store import StoreRow

__all__ = [
    "LOG_WEIGHTS",
    "WINDOWS_SECONDS",
    "Postprocessing",
    "choose_postprocessing",
    "choose_weights",
    "moving_average",
    "reweigh",
    "smooth",
    "window_frames",
]

WINDOWS_SECONDS = (0.0, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
"""Candidate window lengths; 0 is no smoothing."""


def moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """Centered mean over an odd number of frames of one recording; over fewer frames at its ends.

    >>> moving_average(np.array([0.0, 3.0, 0.0, 0.0]), 3).tolist()
    [1.5, 1.0, 1.0, 0.0]
    """
    assert window % 2 == 1
    if window == 1 or len(values) < 2:
        return values
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    frame = np.arange(len(values))
    first, last = np.maximum(frame - window // 2, 0), np.minimum(frame + window // 2 + 1, len(values))
    return ((total[last] - total[first]) / (last - first)).astype(values.dtype)


def window_frames(seconds: float, fps: float) -> int:
    """The odd number of frames nearest to `seconds`, at least 1.

    >>> window_frames(1.0, 30.0), window_frames(0.0, 30.0)
    (31, 1)
    """
    return 2 * round(seconds * fps / 2) + 1


def smooth(
    probability: np.ndarray, slices: Sequence[slice], fps: Sequence[float], windows: Sequence[float]
) -> np.ndarray:
    """A new array: each class smoothed by its own window, within each recording.

    Parameters
    ----------
    probability : float [frames, classes], all frames of the recordings, concatenated.
    slices : frames of each recording; windows do not cross them.
    fps : frames per second of each recording.
    windows : seconds, one per class.
    """
    smoothed = probability.copy()
    for part, rate in zip(slices, fps, strict=True):
        for column, seconds in enumerate(windows):
            smoothed[part, column] = moving_average(probability[part, column], window_frames(seconds, rate))
    return smoothed


LOG_WEIGHTS = np.linspace(-8.0, 8.0, 161)
"""Logarithms of the candidate weights. A binary threshold t is the weight (1 - t) / t: from .0003 to .9997."""

MAX_ROUNDS = 8
"""Maximum rounds of coordinate search over the classes of a multinomial decision."""

EPSILON = 1e-30
"""Lower bound of probabilities in logarithms and denominators."""


@dataclass(frozen=True)
class Postprocessing:
    """Smoothing windows and decision weights. The default changes nothing.

    Parameters
    ----------
    windows : "plain", "balanced" and `DECISION` -> smoothing window of each class in seconds.
    weights : weight of each class's odds in a tuned decision; () without tuning. The weight w of a binary class is the
        threshold 1 / (1 + w).
    """

    windows: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    weights: tuple[float, ...] = ()

    def apply(
        self, probability: Mapping[str, np.ndarray], rows: Sequence[StoreRow], kind: str
    ) -> dict[str, np.ndarray]:
        """Fit name, and `DECISION` -> float32 [frames, classes]; empty without windows and weights.

        Parameters
        ----------
        probability : fit name -> float32 [frames, classes], all frames of `rows`.
        kind : of the task.
        """
        if not self.windows and not self.weights:
            return {}
        postprocessed = {fit: _smoothed(probability[fit], rows, self.windows.get(fit, ())) for fit in FITS}
        postprocessed[DECISION] = _smoothed(probability[PLAIN], rows, self.windows.get(DECISION, ()))
        if self.weights:
            postprocessed[DECISION] = reweigh(postprocessed[DECISION], self.weights, kind)
        return postprocessed


def choose_postprocessing(
    problem: Problem,
    rows: Sequence[StoreRow],
    probability: Mapping[str, np.ndarray],
    smooth: bool = False,
    thresholds: bool = False,
) -> Postprocessing:
    """The best postprocessing on `rows`, whose probabilities come from models that were not fitted to them.

    The plain fit is smoothed for the average precision of each class, the balanced fit for F1. Exclusive classes share
    one window of the balanced fit and one of the decision, whose weights are tuned under each window.

    Parameters
    ----------
    probability : fit name -> float32 [frames, classes], NaN for classes that no model learned.
    """
    target = problem.targets(rows)
    seconds = sorted(WINDOWS_SECONDS, reverse=True) if smooth else [0.0]

    def best_windows(fit: str, score: str, shared: Problem | None) -> tuple[float, ...]:
        scores = {
            window: selection_scores(problem, score, _one_window(probability[fit], rows, window), target)
            for window in seconds
        }
        return choose_settings(scores, 0.0, shared)

    windows = {}
    if smooth:
        windows = {PLAIN: best_windows(PLAIN, PLAIN, None), BALANCED: best_windows(BALANCED, BALANCED, problem)}
    if not thresholds:
        return Postprocessing(windows | {DECISION: best_windows(PLAIN, BALANCED, problem)} if smooth else {})
    smoothed = {window: _one_window(probability[PLAIN], rows, window) for window in seconds}
    decision, weights = _tuned(problem, smoothed, target)
    return Postprocessing(windows | {DECISION: decision} if smooth else {}, weights)


def _one_window(probability: np.ndarray, rows: Sequence[StoreRow], seconds: float) -> np.ndarray:
    return _smoothed(probability, rows, (seconds,) * probability.shape[1])


def _smoothed(probability: np.ndarray, rows: Sequence[StoreRow], windows: Sequence[float]) -> np.ndarray:
    if not any(windows):
        return probability
    return smooth(probability, all_frames(rows).slices, [row.fps for row in rows], windows)


def _tuned(
    problem: Problem, smoothed: Mapping[float, np.ndarray], target: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Window and weight of each class, from the probabilities under each window."""
    weights, scores = {}, {}
    for window, probability in smoothed.items():
        weights[window] = choose_weights(problem, probability, target)
        decided = reweigh(probability, weights[window], problem.task.kind)
        scores[window] = selection_scores(problem, BALANCED, decided, target)
    windows = choose_settings(scores, 0.0, problem)
    return windows, tuple(weights[window][column] for column, window in enumerate(windows))


def reweigh(probability: np.ndarray, weights: Sequence[float], kind: str) -> np.ndarray:
    """Probabilities with the odds of every class multiplied by its weight, for `probe.experiment.decide`.

    Parameters
    ----------
    probability : float32 [frames, classes], NaN for classes that were not learned.

    >>> reweigh(np.array([[0.2, 0.8], [0.6, 0.4]]), [4.0, 1.0], "binary").round(2).tolist()
    [[0.5, 0.8], [0.86, 0.4]]
    """
    weighed = probability.astype(np.float64) * np.asarray(weights)
    if kind == "multinomial":
        total = np.nansum(weighed, axis=1, keepdims=True)
    else:
        total = weighed + (1 - probability.astype(np.float64))
    return (weighed / np.maximum(total, EPSILON)).astype(probability.dtype)


def choose_weights(problem: Problem, probability: np.ndarray, target: np.ndarray) -> tuple[float, ...]:
    """The weight of each class's odds with the best F1; 1 for classes that cannot be tuned.

    Each binary class is tuned alone. The classes of a multinomial task are tuned by coordinate search over
    `LOG_WEIGHTS` for the macro F1 that selects settings, until it stops improving. The middle of the nearly equal
    weights wins: the single best weight is often an accident.

    Parameters
    ----------
    probability : float32 [frames, classes].
    target : int8 [frames, classes], 1 yes, 0 no, -1 not annotated.
    """
    if problem.task.kind == "binary":
        columns = range(problem.num_classes)
        return tuple(_binary_weight(probability[:, column], target[:, column]) for column in columns)
    known = (target != NOT_ANNOTATED).any(axis=1) & np.isfinite(probability).any(axis=1)
    labels = target[known].argmax(axis=1)
    # A class without a probability is never predicted.
    scores = np.log(np.maximum(np.nan_to_num(probability[known].astype(np.float64), nan=0.0), EPSILON))
    return _coordinate_search(problem, scores, labels)


def _binary_weight(probability: np.ndarray, target: np.ndarray) -> float:
    known = (target != NOT_ANNOTATED) & np.isfinite(probability)
    positive, score = target[known] == 1, probability[known].astype(np.float64)
    if not positive.any() or positive.all():
        return 1.0
    needed = np.log(np.maximum(1 - score, EPSILON)) - np.log(np.maximum(score, EPSILON))
    hits, predicted = (_num_predicted(needed[chosen]) for chosen in (positive, slice(None)))
    f1 = 2 * hits / (predicted + positive.sum())
    return float(np.exp(LOG_WEIGHTS[_middle_of_best_run(f1)]))


def _coordinate_search(problem: Problem, scores: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Weights of the classes' odds, from log probabilities float64 [frames, classes] and labels int [frames]."""
    names, num_classes = problem.task.classes, problem.num_classes
    support = np.bincount(labels, minlength=num_classes)
    steering = [names.index(name) for name in problem.selection.classes if support[names.index(name)]]
    if not steering:
        return (1.0,) * num_classes
    log_weights, unweighted = np.zeros(num_classes), int(np.abs(LOG_WEIGHTS).argmin())
    best = _sweep(scores, steering[0], 0.0, labels)[unweighted, steering].mean()
    for _ in range(MAX_ROUNDS):
        before = best
        for column in np.flatnonzero(support):
            f1 = _sweep(scores + log_weights, int(column), log_weights[column], labels)[:, steering].mean(axis=1)
            chosen = _middle_of_best_run(f1)
            if f1[chosen] > best:
                best, log_weights[column] = f1[chosen], LOG_WEIGHTS[chosen]
        if best <= before:
            break
    return tuple(float(weight) for weight in np.exp(log_weights))


def _sweep(scores: np.ndarray, column: int, log_weight: float, labels: np.ndarray) -> np.ndarray:
    """F1 of every class, float64 [weight, class], for each weight of one class in `LOG_WEIGHTS`.

    A frame is assigned to the class as soon as the weight exceeds its distance to the best other class, so one
    histogram of these distances serves all weights.
    """
    num_classes = scores.shape[1]
    others = scores.copy()
    others[:, column] = -np.inf
    best_other = others.argmax(axis=1)
    needed = others[np.arange(len(others)), best_other] - (scores[:, column] - log_weight)
    support = np.bincount(labels, minlength=num_classes)
    f1 = np.zeros((len(LOG_WEIGHTS), num_classes))
    for other in range(num_classes):
        if other == column:
            hits, predicted = _num_predicted(needed[labels == column]), _num_predicted(needed)
        else:
            own = best_other == other
            right = own & (labels == other)
            hits, predicted = right.sum() - _num_predicted(needed[right]), own.sum() - _num_predicted(needed[own])
        f1[:, other] = 2 * hits / np.maximum(predicted + support[other], 1)
    return f1


def _num_predicted(needed: np.ndarray) -> np.ndarray:
    """Number of frames whose needed weight is below each of `LOG_WEIGHTS`, int64 [weight]."""
    first = np.searchsorted(LOG_WEIGHTS, needed, side="right")
    return np.cumsum(np.bincount(first, minlength=len(LOG_WEIGHTS) + 1))[:-1]


def _middle_of_best_run(values: np.ndarray) -> int:
    """The middle of the run of nearly equal values around the best one."""
    best = int(values.argmax())
    outside = np.flatnonzero(values < values[best] - NEARLY_EQUAL)
    before = outside[outside < best].max(initial=-1)
    after = outside[outside > best].min(initial=len(values))
    return int(before + after) // 2
