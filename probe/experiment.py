"""What one probe is given and what it returns: sampled training frames, predictions, and how settings are chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.representations import Frames, Matrix, gather, sampled_frames
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
    "LabeledFrames",
    "Predictions",
    "Problem",
    "balanced",
    "check_learnable",
    "choose_settings",
    "decide",
    "expand_classes",
    "learned_classes",
    "sample_frames",
    "selection_scores",
    "split_parts",
]

PLAIN, BALANCED = "plain", "balanced"
FITS = (PLAIN, BALANCED)
"""Two fits of everything: every frame weighs the same, or every class weighs the same."""

DECISION = "plain decision"
"""The plain fit treated for decisions: smoothed by one window for all classes, where ranking has one for each, and with
every class's odds weighed by what was tuned."""


NEARLY_EQUAL = 0.002
"""Settings this close do equally well: of penalties that of least held-out loss is taken, of others the last tried."""


@dataclass(frozen=True)
class Problem:
    """What is to be learned, by whatever means.

    Parameters
    ----------
    task : one part of a task (`probe.tasks.task_parts`): what is learned and scored by itself.
    selection : the mean over classes by which settings are chosen.
    """

    store: Store
    task: Task
    selection: MacroAverage

    @property
    def together(self) -> "Problem | None":
        """For `choose_settings`: the columns of a multinomial head share their settings."""
        return self if self.task.kind == "multinomial" else None

    @property
    def num_classes(self) -> int:
        return len(self.task.classes)

    def targets(self, rows: Sequence[StoreRow]) -> np.ndarray:
        """Int8 [frames, class]: `probe.tasks.targets` of these recordings."""
        return targets(self.store, self.task, rows)


@dataclass(frozen=True)
class Experiment:
    """What is probed and how.

    Parameters
    ----------
    selection : the mean over classes by which settings are chosen.
    mode : "linear" or "knn".
    stride : learn from, and choose by, every so-manieth frame; all frames are scored.
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
    """A linear head and all it needs to read an embedding.

    Parameters
    ----------
    learned : the task's classes, by index, that the head has columns for.
    penalty : the chosen penalty per frame of each of them.
    shrinkage : factors by which the head's logits were taken toward those of the class shares; see
        `probe.learners.ChosenPenalty`. () = they were not.
    """

    head: LinearHead
    scaling: Standardizer
    learned: tuple[int, ...]
    penalty: tuple[float, ...]
    shrinkage: tuple[float, ...] = ()


@dataclass(frozen=True)
class Predictions:
    """Predictions of one seed, each by fit name. A class that could not be learned has NaN probabilities.

    Parameters
    ----------
    probability : float32 [frames, classes] over all frames of the evaluated recordings.
    postprocessed : the same after smoothing and tuning (`probe.tuning`), and `DECISION`; empty without
        postprocessing, or without recordings to choose it on.
    settings : the chosen penalty (per frame) or number of neighbours of each class.
    windows : the chosen smoothing window of each class, seconds.
    heads : the linear heads; empty for all else.
    num_train_frames : annotated frames learned from.
    weights : of each class's odds in a tuned decision; empty if nothing was tuned.
    facts : how it was learned, JSON-ready.
    """

    probability: Mapping[str, np.ndarray]
    postprocessed: Mapping[str, np.ndarray]
    settings: Mapping[str, tuple[float, ...]]
    windows: Mapping[str, tuple[float, ...]]
    heads: Mapping[str, FittedHead]
    num_train_frames: int
    weights: tuple[float, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LabeledFrames:
    """Sampled annotated frames of some recordings, standardised.

    Parameters
    ----------
    frames : which frames of which recordings they are.
    """

    embedded: Float[Tensor, "frames latent"]
    target: Int[Tensor, "frames classes"]
    scaling: Standardizer
    kind: str
    frames: Frames

    @cached_property
    def learned(self) -> tuple[int, ...]:
        return learned_classes(self.target.numpy(), self.kind)

    def where(self, keep: np.ndarray) -> "LabeledFrames":
        """A copy of the frames for which the bool `keep` [frames] holds."""
        chosen = torch.from_numpy(keep)
        return replace(self, embedded=self.embedded[chosen], target=self.target[chosen], frames=self.frames.where(keep))

    def thinned(self, num_frames: int) -> "LabeledFrames":
        """About `num_frames` of the frames, evenly spread; all of them if there are no more."""
        every = max(1, len(self) // num_frames)
        return self if every == 1 else self.where(np.arange(len(self)) % every == 0)

    def __len__(self) -> int:
        return len(self.embedded)

    @property
    def learnable(self) -> Int[Tensor, "frames learned"]:
        """Targets of the learned classes only."""
        return self.target[:, list(self.learned)]


def split_parts(store: Store, task: Task, file: Path | None = None, seed: int = 0) -> dict[str, Split]:
    """The split of every part of a task (`probe.tasks.task_parts`), as `make_split` makes them.

    The recordings of annotators are different ones, so each part has a split of its own. Behaviours may be annotated in
    the same recordings: one split serves them all, so that no part learns from what another is scored on.

    Raises
    ------
    InputError
        As `make_split` does, naming the part.
    """
    parts = task_parts(task)
    if len(task.streams) == 1:
        return {name: _named_split(store, part, file, seed, len(parts) > 1) for name, part in parts.items()}
    whole = make_split(store, file, seed, annotated_rows(store, task))
    return {name: _restricted(whole, name, annotated_rows(store, part), seed) for name, part in parts.items()}


def _named_split(store: Store, part: Task, file: Path | None, seed: int, one_of_many: bool) -> Split:
    try:
        return make_split(store, file, seed, annotated_rows(store, part))
    except InputError as error:
        if not one_of_many:
            raise
        raise InputError(f"annotator {part.annotators[0]}: {error}") from None


def _restricted(whole: Split, name: str, rows: Sequence[StoreRow], seed: int) -> Split:
    """A split of the recordings annotated for one part; what settings are chosen by is drawn anew if it was drawn."""
    train, tune, evaluate = ([row for row in part if row in rows] for part in (whole.train, whole.tune, whole.evaluate))
    if not train or not evaluate:
        use = whole.evaluated_on if train else "train"
        raise InputError(f"{whole.source}: no {use} recording is annotated for {name!r}")
    if whole.tune_from_train:
        tune = fraction_of(train, 100 * TUNING_SHARE, seed) if len(train) > 1 else []
        train = [row for row in train if row not in tune]
    return replace(whole, fit=tuple(train), tune=tuple(tune), evaluate=tuple(evaluate))


def learned_classes(target: np.ndarray, kind: str) -> tuple[int, ...]:
    """Classes, by index, with frames that show them, and of a binary class also frames that do not.

    >>> learned_classes(np.array([[1, 0, -1], [0, 0, -1]]), "binary")
    (0,)
    """
    shown, hidden = (target == 1).any(axis=0), (target == 0).any(axis=0)
    usable = shown & hidden if kind == "binary" else shown
    return tuple(int(index) for index in np.flatnonzero(usable))


def sample_frames(
    experiment: Experiment, array: Matrix, rows: Sequence[StoreRow], seed: int, scaling: Standardizer | None = None
) -> LabeledFrames:
    """Every so-manieth annotated frame of `rows`, standardised by itself unless a scaling is given."""
    frames = sampled_frames(rows, experiment.stride, seed)
    target = frames.take(targets(experiment.store, experiment.task, rows))
    known = (target != NOT_ANNOTATED).any(axis=1)
    frames = frames.where(known)
    embedded = gather(array, frames)
    scaling = scaling or Standardizer.fit(embedded)
    return LabeledFrames(
        scaling.transform_(embedded), torch.from_numpy(target[known]), scaling, experiment.task.kind, frames
    )


def check_learnable(experiment: Experiment, data: LabeledFrames) -> None:
    """Refuse training data that show one kind of frame only.

    Raises
    ------
    InputError
        Saying what they show.
    """
    if can_learn(data):
        return
    task, split = experiment.task, experiment.split
    shown = ", ".join(repr(task.classes[i]) for i in np.flatnonzero((data.target == 1).any(dim=0).numpy()))
    raise InputError(
        f"task {task.name!r}: the training recordings show {'only ' + shown if shown else 'none of its classes'} "
        f"(split: {split.source}); a probe needs frames of at least two kinds: put other recordings into train"
    )


def can_learn(data: LabeledFrames) -> bool:
    """Two classes to tell apart, or one against the rest."""
    return len(data.learned) >= (2 if data.kind == "multinomial" else 1)


def undefined_predictions(experiment: Experiment, num_frames: int, num_train_frames: int) -> Predictions:
    """The outcome of too few labels: nothing is defined."""
    nothing = {fit: np.full((num_frames, experiment.num_classes), np.nan, dtype=np.float32) for fit in FITS}
    return Predictions(nothing, nothing if experiment.smooth else {}, {}, {}, {}, num_train_frames)


def expand_classes(values: np.ndarray, learned: Sequence[int], num_classes: int) -> np.ndarray:
    """Columns of the learned classes put in their places among all; NaN for the others."""
    wide = np.full((len(values), num_classes), np.nan, dtype=np.float32)
    wide[:, list(learned)] = values
    return wide


def decide(probability: np.ndarray, kind: str) -> np.ndarray:
    """Bool [frames, classes]: the likeliest class ("multinomial"), or every one above one half ("binary").

    >>> decide(np.array([[0.2, 0.5, 0.3], [0.4, np.nan, 0.3]]), "multinomial").argmax(axis=1).tolist()
    [1, 0]
    """
    filled = np.nan_to_num(probability, nan=-1.0)
    if kind == "binary":
        return filled > 0.5
    return np.arange(filled.shape[1]) == filled.argmax(axis=1)[:, None]


def selection_scores(problem: Problem, fit: str, probability: np.ndarray, target: np.ndarray) -> list[float | None]:
    """Of every class what its settings are chosen by: average precision (plain fit) or F1 (balanced fit).

    Frames without a probability (nobody learned the class to predict them) do not count.
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
    """The steering mean of class values, or the mean over all classes where none of its own is defined."""
    own = macro([values[problem.task.classes.index(name)] for name in problem.selection.classes])
    return macro(values) if own is None else own


def choose_settings(
    tried: Mapping[float, Sequence[float | None]],
    default: float,
    together: Problem | None = None,
    losses: Mapping[float, Sequence[float]] | None = None,
    nearly_equal: float = NEARLY_EQUAL,
) -> tuple[float, ...]:
    """The best setting of each class, or one for all classes.

    Parameters
    ----------
    tried : setting -> class values on the tuning recordings, as `selection_scores` gives them.
    default : for classes that the tuning recordings do not show.
    together : the problem by whose steering mean one setting is chosen for all classes; None = each class by itself.
    losses : setting -> losses of the classes, by which the choice is made among near equals; None = the last of them.
    nearly_equal : values this close to the best are as good.
    """
    if together is not None:
        tried = {setting: [selection_score(together, values)] * len(values) for setting, values in tried.items()}
    chosen = []
    for column in range(len(next(iter(tried.values())))):
        defined = {setting: value for setting, values in tried.items() if (value := values[column]) is not None}
        good = [setting for setting, value in defined.items() if value >= max(defined.values()) - nearly_equal]
        if losses is not None:
            good.sort(key=lambda setting: losses[setting][column], reverse=True)
        chosen.append(good[-1] if good else default)
    return tuple(chosen)


def balanced(probability: np.ndarray, share: np.ndarray, kind: str) -> np.ndarray:
    """Probabilities as if all classes (of binary ones: yes and no) were equally frequent, by Bayes' rule.

    Parameters
    ----------
    probability : float32 [frames, class], NaN for classes not learned.
    share : [class], each class's share of the training frames; above 0 for learned ones.

    >>> balanced(np.array([[0.2, 0.8]]), np.array([0.1, 0.9]), "multinomial").round(3).tolist()
    [[0.692, 0.308]]
    """
    weighed = probability / np.where(share > 0, share, 1.0)
    rest = (1 - probability) / np.where(share < 1, 1 - share, 1.0)
    total = np.nansum(weighed, axis=1, keepdims=True) if kind == "multinomial" else weighed + rest
    return (weighed / total).astype(probability.dtype)
