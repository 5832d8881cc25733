"""Problems, experiments and predictions, and the choice of settings on held-out predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from probe.tasks import MacroAverage, Task, annotated_rows, targets, task_parts
from ssl_behavior.errors import InputError
from ssl_behavior.logistic import LinearHead
from ssl_behavior.metrics import average_precision, macro
from ssl_behavior.numerics import Standardizer
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.splits import TUNING_SHARE, Split, fraction_of, make_split
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "BALANCED",
    "DECISION",
    "FITS",
    "PLAIN",
    "Experiment",
    "FittedHead",
    "Predictions",
    "Problem",
    "balance_probabilities",
    "choose_settings",
    "decide",
    "expand_classes",
    "selection_scores",
    "split_parts",
]


PLAIN, BALANCED = "plain", "balanced"
FITS = (PLAIN, BALANCED)
"""Two fits of every system: equal weight for every frame, or for every class."""

DECISION = "plain decision"
"""The plain fit, postprocessed for decisions: one smoothing window for all classes, and tuned weights of their odds.

The plain fit itself serves rankings and has one smoothing window per class."""

NEARLY_EQUAL = 0.002
"""Scores this close are equal. Among equal penalties the least held-out loss wins, among other settings the last."""


@dataclass(frozen=True)
class Problem:
    """A task on the labels of one store.

    Parameters
    ----------
    task : one part of a task (`probe.tasks.task_parts`), trained and scored on its own.
    selection : mean over classes that selects settings.
    """

    store: Store
    task: Task
    selection: MacroAverage

    @property
    def num_classes(self) -> int:
        return len(self.task.classes)

    def targets(self, rows: Sequence[StoreRow]) -> np.ndarray:
        """Int8 [frames, class]: `probe.tasks.targets` of these recordings."""
        return targets(self.store, self.task, rows)


@dataclass(frozen=True)
class Experiment:
    """A task, its split, and the probe that learns it.

    Parameters
    ----------
    selection : mean over classes that selects settings.
    mode : "linear" or "knn".
    stride : every `stride`-th frame serves training and selection; all frames are scored.
    smooth : also smooth the probabilities over time.
    """

    store: Store
    task: Task
    split: Split
    selection: MacroAverage
    mode: str = "linear"
    stride: int = 4
    smooth: bool = False

    @property
    def problem(self) -> Problem:
        return Problem(self.store, self.task, self.selection)

    @property
    def num_classes(self) -> int:
        return len(self.task.classes)


@dataclass(frozen=True)
class FittedHead:
    """A linear head and the scaling of its inputs.

    Parameters
    ----------
    learned : indices of the task's classes that the head predicts.
    penalty : penalty per frame of each learned class.
    shrinkage : factor of each learned class's logits, see `probe.frozen_probes.ChosenPenalty`; () = no shrinkage.
    """

    head: LinearHead
    scaling: Standardizer
    learned: tuple[int, ...]
    penalty: tuple[float, ...]
    shrinkage: tuple[float, ...] = ()


@dataclass(frozen=True)
class Predictions:
    """Predictions of one seed, by fit name. A class without enough labels has NaN probabilities.

    Parameters
    ----------
    probability : float32 [frames, classes], all frames of the evaluated recordings.
    postprocessed : the same after smoothing and tuning (`probe.postprocessing`), and `DECISION`; empty without
        postprocessing, or without recordings to choose it on.
    settings : penalty per frame, or number of neighbors, of each class.
    windows : smoothing window of each class, in seconds.
    heads : linear heads; empty for other systems.
    num_train_frames : annotated training frames.
    weights : weights of the classes' odds in a tuned decision; empty without tuning.
    facts : facts about the training, JSON-ready.
    """

    probability: Mapping[str, np.ndarray]
    postprocessed: Mapping[str, np.ndarray]
    settings: Mapping[str, tuple[float, ...]]
    windows: Mapping[str, tuple[float, ...]]
    heads: Mapping[str, FittedHead]
    num_train_frames: int
    weights: tuple[float, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def split_parts(
    store: Store, task: Task, file: Path | Mapping[str, Any] | None = None, seed: int = 0
) -> dict[str, Split]:
    """The split of every part of a task (`probe.tasks.task_parts`), made by `make_split`.

    Annotators label different recordings, so each annotator has a split. Behaviors may be annotated in the same
    recordings: they share one split, and no part trains on a recording that another part scores.

    Raises
    ------
    InputError
        As `make_split`; the message names the part.
    """
    parts = task_parts(task)
    if len(task.streams) == 1:
        return {name: _named_split(store, part, file, seed, len(parts) > 1) for name, part in parts.items()}
    whole = make_split(store, file, seed, annotated_rows(store, task))
    return {name: _restricted(whole, name, annotated_rows(store, part), seed) for name, part in parts.items()}


def _named_split(
    store: Store, part: Task, file: Path | Mapping[str, Any] | None, seed: int, one_of_many: bool
) -> Split:
    try:
        return make_split(store, file, seed, annotated_rows(store, part))
    except InputError as error:
        if not one_of_many:
            raise
        raise InputError(f"annotator {part.annotators[0]}: {error}") from None


def _restricted(whole: Split, name: str, rows: Sequence[StoreRow], seed: int) -> Split:
    """A split of the recordings annotated for one part; tuning recordings drawn from train are drawn again."""
    train, tune, evaluate = ([row for row in part if row in rows] for part in (whole.train, whole.tune, whole.evaluate))
    if not train or not evaluate:
        use = whole.evaluated_on if train else "train"
        raise InputError(f"{whole.source}: no {use} recording is annotated for {name!r}")
    if whole.tune_from_train:
        tune = fraction_of(train, 100 * TUNING_SHARE, seed) if len(train) > 1 else []
        train = [row for row in train if row not in tune]
    return replace(whole, fit=tuple(train), tune=tuple(tune), evaluate=tuple(evaluate))


def undefined_predictions(experiment: Experiment, num_frames: int, num_train_frames: int) -> Predictions:
    """NaN probabilities, for training labels that show too few classes."""
    undefined = {fit: np.full((num_frames, experiment.num_classes), np.nan, dtype=np.float32) for fit in FITS}
    return Predictions(undefined, undefined if experiment.smooth else {}, {}, {}, {}, num_train_frames)


def expand_classes(values: np.ndarray, learned: Sequence[int], num_classes: int) -> np.ndarray:
    """Columns of all classes from those of the learned classes; NaN for the others."""
    wide = np.full((len(values), num_classes), np.nan, dtype=np.float32)
    wide[:, list(learned)] = values
    return wide


def decide(probability: np.ndarray, kind: str) -> np.ndarray:
    """Bool [frames, classes]: the most probable class ("multinomial"), or each class above one half ("binary").

    >>> decide(np.array([[0.2, 0.5, 0.3], [0.4, np.nan, 0.3]]), "multinomial").argmax(axis=1).tolist()
    [1, 0]
    """
    filled = np.nan_to_num(probability, nan=-1.0)
    if kind == "binary":
        return filled > 0.5
    return np.arange(filled.shape[1]) == filled.argmax(axis=1)[:, None]


def selection_scores(problem: Problem, fit: str, probability: np.ndarray, target: np.ndarray) -> list[float | None]:
    """The score of each class that selects settings: average precision (plain fit) or F1 (balanced fit).

    Frames with a NaN probability do not count.
    """
    predicted = decide(probability, problem.task.kind)
    values = []
    for column in range(problem.num_classes):
        score = probability[:, column]
        known = (target[:, column] != NOT_ANNOTATED) & np.isfinite(score)
        positive, claimed = target[known, column] == 1, predicted[known, column]
        values.append(average_precision(positive, score[known]) if fit == PLAIN else _f1(positive, claimed))
    return values


def _f1(positive: np.ndarray, claimed: np.ndarray) -> float | None:
    support = int(positive.sum())
    return 2 * int((positive & claimed).sum()) / (int(claimed.sum()) + support) if support else None


def selection_score(problem: Problem, values: Sequence[float | None]) -> float | None:
    """The mean of class scores over `problem.selection`, or over all classes if none of those is defined."""
    own = macro([values[problem.task.classes.index(name)] for name in problem.selection.classes])
    return macro(values) if own is None else own


def choose_settings(
    scores: Mapping[float, Sequence[float | None]],
    default: float,
    problem: Problem | None = None,
    losses: Mapping[float, Sequence[float]] | None = None,
    nearly_equal: float = NEARLY_EQUAL,
) -> tuple[float, ...]:
    """The best setting of each class, or one setting for all classes.

    Parameters
    ----------
    scores : setting -> score of each class on held-out frames, from `selection_scores`.
    default : setting of classes without a score.
    problem : exclusive classes of this problem share the setting with the best `selection_score`; None = each class
        has its own setting, as binary classes always have.
    losses : setting -> held-out loss of each class, which decides among equal scores; None = the last setting wins.
    nearly_equal : scores within this much of the best are equal to it.
    """
    if problem is not None and problem.task.kind == "multinomial":
        scores = {setting: [selection_score(problem, values)] * len(values) for setting, values in scores.items()}
    chosen = []
    for column in range(len(next(iter(scores.values())))):
        defined = {setting: value for setting, values in scores.items() if (value := values[column]) is not None}
        good = [setting for setting, value in defined.items() if value >= max(defined.values()) - nearly_equal]
        if losses is not None:
            good.sort(key=lambda setting: losses[setting][column], reverse=True)
        chosen.append(good[-1] if good else default)
    return tuple(chosen)


def balance_probabilities(probability: np.ndarray, share: np.ndarray, kind: str) -> np.ndarray:
    """Probabilities for equally frequent classes (of a binary class: yes and no), by Bayes' rule.

    Parameters
    ----------
    probability : float32 [frames, class], NaN for classes that were not learned.
    share : [class], share of each class in the training frames; above 0 for learned classes.

    >>> balance_probabilities(np.array([[0.2, 0.8]]), np.array([0.1, 0.9]), "multinomial").round(3).tolist()
    [[0.692, 0.308]]
    """
    weighed = probability / np.where(share > 0, share, 1.0)
    rest = (1 - probability) / np.where(share < 1, 1 - share, 1.0)
    total = np.nansum(weighed, axis=1, keepdims=True) if kind == "multinomial" else weighed + rest
    return (weighed / total).astype(probability.dtype)
