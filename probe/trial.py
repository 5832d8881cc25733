"""What one probe is given and what it returns: sampled training frames, predictions, and how settings are chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.linear import LinearHead
from probe.representations import Matrix, Scaling, gather, sampled_frames
from probe.tasks import Macro, Task, targets
from ssl_behavior.errors import InputError
from ssl_behavior.metrics import class_scores, macro
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.splits import Split
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "BALANCED",
    "DECISION",
    "FITS",
    "PLAIN",
    "Data",
    "FittedHead",
    "Outcome",
    "Trial",
    "check_learnable",
    "choose_settings",
    "class_values",
    "decide",
    "sample",
    "spread",
]  # fmt: skip

PLAIN, BALANCED = "plain", "balanced"
FITS = (PLAIN, BALANCED)
"""Two fits of everything: every frame weighs the same, or every class weighs the same."""

DECISION = "plain decision"
"""The plain fit smoothed for decisions: one window for all classes, where ranking has one for each."""


NEARLY_EQUAL = 0.002
"""Of settings this close the weaker penalty is taken: it ranks as well, and its probabilities are less shrunk."""


@dataclass(frozen=True)
class Trial:
    """What is probed and how.

    Parameters
    ----------
    steer : the mean over classes by which settings are chosen.
    mode : "linear" or "knn".
    stride : learn from, and choose by, every so-manieth frame; all frames are scored.
    smooth : also smooth the probabilities over time.
    """

    store: Store
    task: Task
    split: Split
    steer: Macro
    mode: str = "linear"
    stride: int = 4
    smooth: bool = False

    @property
    def together(self) -> "Trial | None":
        """For `choose_settings`: the columns of a multinomial head share their settings."""
        return self if self.task.kind == "multinomial" else None

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
    """

    head: LinearHead
    scaling: Scaling
    learned: tuple[int, ...]
    penalty: tuple[float, ...]


@dataclass(frozen=True)
class Outcome:
    """Predictions of one seed, each by fit name. A class that could not be learned has NaN probabilities.

    Parameters
    ----------
    probability : float32 [frames, classes] over all frames of the evaluated recordings.
    smoothed : the same after smoothing, and `DECISION`; empty if that was not asked for.
    settings : the chosen penalty (per frame) or number of neighbours of each class.
    windows : the chosen smoothing window of each class, seconds.
    heads : the linear heads; empty for nearest neighbours.
    num_train_frames : annotated frames learned from.
    """

    probability: Mapping[str, np.ndarray]
    smoothed: Mapping[str, np.ndarray]
    settings: Mapping[str, tuple[float, ...]]
    windows: Mapping[str, tuple[float, ...]]
    heads: Mapping[str, FittedHead]
    num_train_frames: int


@dataclass(frozen=True)
class Data:
    """Sampled annotated frames of some recordings, standardised."""

    embedded: Float[Tensor, "frames latent"]
    target: Int[Tensor, "frames classes"]
    scaling: Scaling
    kind: str

    @cached_property
    def learned(self) -> tuple[int, ...]:
        """Classes with frames that show them, and of a binary class also frames that do not."""
        shown, hidden = (self.target == 1).any(dim=0), (self.target == 0).any(dim=0)
        usable = shown & hidden if self.kind == "binary" else shown
        return tuple(int(index) for index in usable.nonzero()[:, 0])

    def thinned(self, num_frames: int) -> "Data":
        """About `num_frames` of the frames, evenly spread; all of them if there are no more."""
        every = max(1, len(self) // num_frames)
        return self if every == 1 else Data(self.embedded[::every], self.target[::every], self.scaling, self.kind)

    def __len__(self) -> int:
        return len(self.embedded)

    @property
    def learnable(self) -> Int[Tensor, "frames learned"]:
        """Targets of the learned classes only."""
        return self.target[:, list(self.learned)]


def sample(trial: Trial, array: Matrix, rows: Sequence[StoreRow], seed: int, scaling: Scaling | None = None) -> Data:
    """Every so-manieth annotated frame of `rows`, standardised by itself unless a scaling is given."""
    frames = sampled_frames(rows, trial.stride, seed)
    target = frames.take(targets(trial.store, trial.task, rows))
    known = (target != NOT_ANNOTATED).any(axis=1)
    embedded = gather(array, frames.where(known))
    scaling = scaling or Scaling.of(embedded)
    return Data(scaling.apply_(embedded), torch.from_numpy(target[known]), scaling, trial.task.kind)


def check_learnable(trial: Trial, data: Data) -> None:
    """Refuse training data that show one kind of frame only.

    Raises
    ------
    InputError
        Saying what they show.
    """
    if can_learn(trial, data):
        return
    shown = ", ".join(repr(trial.task.classes[i]) for i in np.flatnonzero((data.target == 1).any(dim=0).numpy()))
    raise InputError(
        f"task {trial.task.name!r}: the training recordings show {'only ' + shown if shown else 'none of its classes'} "
        f"(split: {trial.split.source}); a probe needs frames of at least two kinds: put other recordings into train"
    )


def can_learn(trial: Trial, data: Data) -> bool:
    """Two classes to tell apart, or one against the rest."""
    return len(data.learned) >= (2 if trial.task.kind == "multinomial" else 1)


def nothing_learned(trial: Trial, num_frames: int, num_train_frames: int) -> Outcome:
    """The outcome of too few labels: nothing is defined."""
    nothing = {fit: np.full((num_frames, trial.num_classes), np.nan, dtype=np.float32) for fit in FITS}
    return Outcome(nothing, nothing if trial.smooth else {}, {}, {}, {}, num_train_frames)


def spread(values: np.ndarray, learned: Sequence[int], num_classes: int) -> np.ndarray:
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


def class_values(trial: Trial, fit: str, probability: np.ndarray, target: np.ndarray) -> list[float | None]:
    """Of every class what its settings are chosen by: average precision (plain fit) or F1 (balanced fit)."""
    predicted = decide(probability, trial.task.kind)
    values = []
    for column in range(trial.num_classes):
        known = target[:, column] != NOT_ANNOTATED
        score = probability[known, column]
        learned = bool(np.isfinite(score).all())
        scores = class_scores(target[known, column] == 1, score if learned else None, predicted[known, column])
        values.append(scores.ap if fit == PLAIN else scores.f1)
    return values


def steering_value(trial: Trial, values: Sequence[float | None]) -> float | None:
    """The steering mean of class values, or the mean over all classes where none of its own is defined."""
    own = macro([values[trial.task.classes.index(name)] for name in trial.steer.classes])
    return macro(values) if own is None else own


def choose_settings(
    tried: Mapping[float, Sequence[float | None]], default: float, together: Trial | None = None
) -> tuple[float, ...]:
    """The best setting of each class, or one for all classes.

    Parameters
    ----------
    tried : setting -> class values on the tuning recordings, as `class_values` gives them. Of near equals the last
        wins.
    default : for classes that the tuning recordings do not show.
    together : the trial by whose steering mean one setting is chosen for all classes; None = each class by itself.
    """
    if together is not None:
        tried = {setting: [steering_value(together, values)] * len(values) for setting, values in tried.items()}
    chosen = []
    for column in range(len(next(iter(tried.values())))):
        defined = {setting: value for setting, values in tried.items() if (value := values[column]) is not None}
        good = [setting for setting, value in defined.items() if value >= max(defined.values()) - NEARLY_EQUAL]
        chosen.append(good[-1] if good else default)
    return tuple(chosen)
