"""Postprocessing of probabilities: smoothing over time, and decisions tuned for F1.

Everything is chosen on held-out training recordings, from probabilities of models that did not learn from them.
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
"""Window lengths tried for each class; 0 is no smoothing."""


def moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean over an odd number of frames of one recording; at the ends over the frames that exist.

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
    """Smooth each class by its own window, within each recording; a new array.

    Parameters
    ----------
    probability : float [frames, classes], all frames of the recordings one after the other.
    slices : where each recording lies; nothing is averaged across them.
    fps : frames per second of each recording.
    windows : seconds, one per class.
    """
    smoothed = probability.copy()
    for part, rate in zip(slices, fps, strict=True):
        for column, seconds in enumerate(windows):
            smoothed[part, column] = moving_average(probability[part, column], window_frames(seconds, rate))
    return smoothed


LOG_WEIGHTS = np.linspace(-8.0, 8.0, 161)
"""Logarithms of the weights tried. A binary threshold t is the weight (1 - t) / t: from .0003 to .9997."""

MOST_ROUNDS = 8
"""Rounds over the classes of a multinomial decision, if it does not stop getting better before."""

SMALLEST = 1e-30


@dataclass(frozen=True)
class Postprocessing:
    """How probabilities are smoothed and decided on. The default leaves them as they are.

    Parameters
    ----------
    windows : "plain", "balanced" and `DECISION` -> smoothing window of each class in seconds.
    weights : of each class's odds in a tuned decision; () if the decision is not tuned. Of a binary class a weight w is
        the threshold 1 / (1 + w).
    """

    windows: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    weights: tuple[float, ...] = ()

    def apply(
        self, probability: Mapping[str, np.ndarray], rows: Sequence[StoreRow], kind: str
    ) -> dict[str, np.ndarray]:
        """Fit name, and `DECISION` -> float32 [frames, classes]; empty if there is nothing to do.

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
    """The treatment that does best on `rows`, whose probabilities come from models that did not learn from them.

    Ranking (plain fit) is smoothed for each class's own average precision; the balanced fit for F1, by one window where
    the classes of a frame exclude each other. So is the decision, its weights tuned under each window.

    Parameters
    ----------
    probability : fit name -> float32 [frames, classes], NaN where no model knew the class.
    """
    target = problem.targets(rows)
    seconds = sorted(WINDOWS_SECONDS, reverse=True) if smooth else [0.0]

    def best(fit: str, by: str, together: Problem | None) -> tuple[float, ...]:
        tried = {}
        for window in seconds:
            tried[window] = selection_scores(problem, by, _same(probability[fit], rows, window), target)
        return choose_settings(tried, 0.0, together)

    windows = {PLAIN: best(PLAIN, PLAIN, None), BALANCED: best(BALANCED, BALANCED, problem.together)} if smooth else {}
    if not thresholds:
        return Postprocessing(windows | {DECISION: best(PLAIN, BALANCED, problem.together)} if smooth else {})
    decision, weights = _tuned(problem, {window: _same(probability[PLAIN], rows, window) for window in seconds}, target)
    return Postprocessing(windows | {DECISION: decision} if smooth else {}, weights)


def _same(probability: np.ndarray, rows: Sequence[StoreRow], seconds: float) -> np.ndarray:
    return _smoothed(probability, rows, (seconds,) * probability.shape[1])


def _smoothed(probability: np.ndarray, rows: Sequence[StoreRow], windows: Sequence[float]) -> np.ndarray:
    if not any(windows):
        return probability
    return smooth(probability, all_frames(rows).slices, [row.fps for row in rows], windows)


def _tuned(
    problem: Problem, smoothed: Mapping[float, np.ndarray], target: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Window and weight of each class, from the probabilities under each window."""
    weights, tried = {}, {}
    for window, probability in smoothed.items():
        weights[window] = choose_weights(problem, probability, target)
        decided = reweigh(probability, weights[window], problem.task.kind)
        tried[window] = selection_scores(problem, BALANCED, decided, target)
    windows = choose_settings(tried, 0.0, problem.together)
    return windows, tuple(weights[window][column] for column, window in enumerate(windows))


def reweigh(probability: np.ndarray, weights: Sequence[float], kind: str) -> np.ndarray:
    """Probabilities with the odds of every class multiplied by its weight, for `probe.experiment.decide`.

    Parameters
    ----------
    probability : float32 [frames, classes], NaN for classes not learned.

    >>> reweighed(np.array([[0.2, 0.8], [0.6, 0.4]]), [4.0, 1.0], "binary").round(2).tolist()
    [[0.5, 0.8], [0.86, 0.4]]
    """
    weighed = probability.astype(np.float64) * np.asarray(weights)
    if kind == "multinomial":
        total = np.nansum(weighed, axis=1, keepdims=True)
    else:
        total = weighed + (1 - probability.astype(np.float64))
    return (weighed / np.maximum(total, SMALLEST)).astype(probability.dtype)


def choose_weights(problem: Problem, probability: np.ndarray, target: np.ndarray) -> tuple[float, ...]:
    """The weight of each class's odds under which decisions have the best F1; 1 for classes that cannot be tuned.

    Binary classes are tuned one by one. The classes of a multinomial task are tuned in turn, each over all of
    `LOG_WEIGHTS` while the others stay, for the steering macro F1, as long as that gets better. Of near equals the
    middle is taken: the very best one of many is often an accident.

    Parameters
    ----------
    probability : float32 [frames, classes].
    target : int8 [frames, classes], 1 yes, 0 no, -1 not annotated.
    """
    if problem.task.kind == "binary":
        columns = range(problem.num_classes)
        return tuple(_binary_weight(probability[:, column], target[:, column]) for column in columns)
    known = (target != NOT_ANNOTATED).any(axis=1) & np.isfinite(probability).any(axis=1)
    shown = target[known].argmax(axis=1)
    # A class that a model did not know is one it never claims.
    scores = np.log(np.maximum(np.nan_to_num(probability[known].astype(np.float64), nan=0.0), SMALLEST))
    return _coordinate_search(problem, scores, shown)


def _binary_weight(probability: np.ndarray, target: np.ndarray) -> float:
    known = (target != NOT_ANNOTATED) & np.isfinite(probability)
    positive, score = target[known] == 1, probability[known].astype(np.float64)
    if not positive.any() or positive.all():
        return 1.0
    needed = np.log(np.maximum(1 - score, SMALLEST)) - np.log(np.maximum(score, SMALLEST))
    hits, claims = (_claimed(needed[chosen]) for chosen in (positive, slice(None)))
    f1 = 2 * hits / (claims + positive.sum())
    return float(np.exp(LOG_WEIGHTS[_middle_of_the_best(f1)]))


def _coordinate_search(problem: Problem, scores: np.ndarray, shown: np.ndarray) -> tuple[float, ...]:
    """Parameters: log probabilities float64 [frames, classes], the class of each frame int [frames]."""
    names, num_classes = problem.task.classes, problem.num_classes
    support = np.bincount(shown, minlength=num_classes)
    steering = [names.index(name) for name in problem.selection.classes if support[names.index(name)]]
    if not steering:
        return (1.0,) * num_classes
    log_weights, unweighted = np.zeros(num_classes), int(np.abs(LOG_WEIGHTS).argmin())
    best = _sweep(scores, steering[0], 0.0, shown)[unweighted, steering].mean()
    for _ in range(MOST_ROUNDS):
        before = best
        for column in np.flatnonzero(support):
            f1 = _sweep(scores + log_weights, int(column), log_weights[column], shown)[:, steering].mean(axis=1)
            chosen = _middle_of_the_best(f1)
            if f1[chosen] > best:
                best, log_weights[column] = f1[chosen], LOG_WEIGHTS[chosen]
        if best <= before:
            break
    return tuple(float(weight) for weight in np.exp(log_weights))


def _sweep(scores: np.ndarray, column: int, log_weight: float, shown: np.ndarray) -> np.ndarray:
    """F1 of every class, float64 [weight, class], as the weight of one class runs over `LOG_WEIGHTS`.

    A frame goes over to the class where its weight makes up for what it lacks to the best of the others, so one
    histogram over the weights answers them all.
    """
    num_classes = scores.shape[1]
    others = scores.copy()
    others[:, column] = -np.inf
    rival = others.argmax(axis=1)
    needed = others[np.arange(len(others)), rival] - (scores[:, column] - log_weight)
    support = np.bincount(shown, minlength=num_classes)
    f1 = np.zeros((len(LOG_WEIGHTS), num_classes))
    for other in range(num_classes):
        if other == column:
            hits, claims = _claimed(needed[shown == column]), _claimed(needed)
        else:
            own = rival == other
            right = own & (shown == other)
            hits, claims = right.sum() - _claimed(needed[right]), own.sum() - _claimed(needed[own])
        f1[:, other] = 2 * hits / np.maximum(claims + support[other], 1)
    return f1


def _claimed(needed: np.ndarray) -> np.ndarray:
    """How many frames need less than each of `LOG_WEIGHTS`, int64 [weight]."""
    first = np.searchsorted(LOG_WEIGHTS, needed, side="right")
    return np.cumsum(np.bincount(first, minlength=len(LOG_WEIGHTS) + 1))[:-1]


def _middle_of_the_best(values: np.ndarray) -> int:
    """The middle of the run of near equals around the best value."""
    best = int(values.argmax())
    outside = np.flatnonzero(values < values[best] - NEARLY_EQUAL)
    before = outside[outside < best].max(initial=-1)
    after = outside[outside > best].min(initial=len(values))
    return int(before + after) // 2
