"""Labeled frames of recordings, drawn for training, and the check that they suffice to learn a task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.experiment import Experiment
from probe.representations import Frames, Matrix, gather, sampled_frames
from probe.tasks import Task, targets
from ssl_behavior.errors import InputError
from ssl_behavior.numerics import Standardizer
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.store import StoreRow
from ssl_behavior.terminal import listed

__all__ = [
    "MIN_CLASSES",
    "LabeledFrames",
    "can_learn",
    "check_learnable",
    "learned_classes",
    "recording_names",
    "sample_frames",
]


MIN_CLASSES = {"multinomial": 2, "binary": 1}
"""Kind of task -> learned classes that training needs."""


@dataclass(frozen=True)
class LabeledFrames:
    """Sampled annotated frames of some recordings, standardized.

    Parameters
    ----------
    frames : their recordings and frame numbers.
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
        """A copy with the frames where the bool `keep` [frames] is True."""
        chosen = torch.from_numpy(keep)
        return replace(self, embedded=self.embedded[chosen], target=self.target[chosen], frames=self.frames.where(keep))

    def thinned(self, num_frames: int) -> "LabeledFrames":
        """About `num_frames` evenly spaced frames; all frames if there are fewer."""
        every = max(1, len(self) // num_frames)
        return self if every == 1 else self.where(np.arange(len(self)) % every == 0)

    def __len__(self) -> int:
        return len(self.embedded)

    @property
    def can_learn(self) -> bool:
        """Whether the frames show enough classes, see `can_learn`."""
        return can_learn(self.target.numpy(), self.kind)

    @property
    def learned_target(self) -> Int[Tensor, "frames learned"]:
        """Targets of the learned classes."""
        return self.target[:, list(self.learned)]


def learned_classes(target: np.ndarray, kind: str) -> tuple[int, ...]:
    """Indices of the classes with positive frames; a binary class also needs negative frames.

    >>> learned_classes(np.array([[1, 0, -1], [0, 0, -1]]), "binary")
    (0,)
    """
    positive, negative = (target == 1).any(axis=0), (target == 0).any(axis=0)
    usable = positive & negative if kind == "binary" else positive
    return tuple(int(index) for index in np.flatnonzero(usable))


def sample_frames(
    experiment: Experiment, array: Matrix, rows: Sequence[StoreRow], seed: int, scaling: Standardizer | None = None
) -> LabeledFrames:
    """Every `stride`-th annotated frame of `rows`, standardized with `scaling` or with their own mean and std."""
    frames = sampled_frames(rows, experiment.stride, seed)
    target = frames.take(targets(experiment.store, experiment.task, rows))
    known = (target != NOT_ANNOTATED).any(axis=1)
    frames = frames.where(known)
    embedded = gather(array, frames)
    scaling = scaling or Standardizer.fit(embedded)
    return LabeledFrames(
        scaling.transform_(embedded), torch.from_numpy(target[known]), scaling, experiment.task.kind, frames
    )


def can_learn(target: np.ndarray, kind: str) -> bool:
    """Whether labels int8 [frames, class] show at least two exclusive classes, or one binary class and its rest.

    >>> can_learn(np.array([[1, 0], [1, 0]]), "multinomial"), can_learn(np.array([[1], [0]]), "binary")
    (False, True)
    """
    return len(learned_classes(target, kind)) >= MIN_CLASSES[kind]


def check_learnable(task: Task, target: np.ndarray, source: str) -> None:
    """Refuse training labels int8 [frames, class] that show too few classes, see `can_learn`.

    Parameters
    ----------
    source : the training recordings or their split, for the message.

    Raises
    ------
    InputError
        Naming the classes that the labels show.
    """
    if can_learn(target, task.kind):
        return
    names = ", ".join(repr(task.classes[index]) for index in np.flatnonzero((target == 1).any(axis=0)))
    raise InputError(
        f"task {task.name!r}: the training recordings ({source}) show {'only ' + names if names else 'no class'}; "
        "training needs frames of at least two kinds: put other recordings into train"
    )


def recording_names(rows: Sequence[StoreRow]) -> str:
    """The ids of the first three recordings, and the number of the others."""
    return listed([row.id for row in rows], 3)
