"""One interface for whatever can be benchmarked: it learns from recordings, then it predicts recordings."""

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from probe.baselines.trained import balanced
from probe.folds import stratified_folds
from probe.representations import Matrix, SomeRecordings
from probe.trial import BALANCED, FITS, PLAIN, Problem, learned_classes
from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.store import StoreRow

__all__ = [
    "Advance",
    "Fitted",
    "Fold",
    "Model",
    "Problem",
    "System",
    "can_learn_from",
    "labels_digest",
    "matrix_digest",
    "with_balanced",
]

Advance = Callable[[int], None]
"""Told of progress: so many frames more were learned from."""

DIGEST_ROWS = 997


class Model(ABC):
    """What a system made of the recordings it learned from."""

    @abstractmethod
    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        """Fit name ("plain", "balanced") -> float32 [frames, classes] over all frames of `rows`, one after the other.

        A class that could not be learned is NaN.
        """

    @property
    def facts(self) -> dict[str, Any]:
        """What was chosen and how large it is, JSON-ready."""
        return {}


@dataclass(eq=False)
class Fitted:
    """A model, timed.

    Parameters
    ----------
    num_train_frames : annotated frames of the recordings it learned from.
    seconds : of learning.
    """

    problem: Problem
    model: Model
    num_train_frames: int
    seconds: float
    _predicted: int = field(default=0, init=False)
    _spent: float = field(default=0.0, init=False)

    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        """See `Model.predict`."""
        start = time.perf_counter()
        made = self.model.predict(rows)
        self._spent += time.perf_counter() - start
        shape = (sum(row.frames for row in rows), self.problem.num_classes)
        self._predicted += shape[0]
        assert set(made) == set(FITS), f"{sorted(made)} are not the fits {FITS}"
        assert all(values.shape == shape and values.dtype == np.float32 for values in made.values())
        return made

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-ready: frames learned from, seconds of learning, frames per second of prediction, the model's own."""
        speed = round(self._predicted / self._spent) if self._spent > 0 else None
        own = {"num_train_frames": self.num_train_frames, "seconds": round(self.seconds, 3)}
        return own | {"predicted_frames_per_second": speed} | self.model.facts


@dataclass(frozen=True)
class Fold:
    """A part of the recordings to learn from, left out by a model that learns the others."""

    system: "System"
    held_out: tuple[StoreRow, ...]


class System(ABC):
    """A recipe that learns a problem from labeled recordings.

    `name` is what tables call it, `source` where it comes from: the paper and its table, in words.
    """

    name: str
    source: str

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """All that a result depends on besides problem, recordings and seed, JSON-ready; finished results are known
        by it."""

    @property
    def elsewhere(self) -> tuple[StoreRow, ...]:
        """Recordings whose labels are learned from whatever `fit` is given, such as those of another task."""
        return ()

    def folds(self, problem: Problem, rows: Sequence[StoreRow], num_folds: int, seed: int) -> list[Fold]:
        """The recordings in parts, and for each the system that learns the others: as many parts as there are
        recordings for."""
        parts = stratified_folds(problem, rows, min(num_folds, len(rows)), seed)
        return [Fold(self, part) for part in parts]

    @abstractmethod
    def learn(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> Model:
        """Learn from these recordings, and from no other's labels; whatever is drawn comes from `seed`."""

    def fit(
        self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Callable[[int], None] | None = None
    ) -> Fitted:
        """Learn from `rows` alone.

        Raises
        ------
        InputError
            If the recordings show one kind of frame only.
        """
        target = problem.targets(rows)
        _check(problem, rows, target)
        start = time.perf_counter()
        model = self.learn(problem, rows, seed, advance or _nobody)
        known = int((target != NOT_ANNOTATED).any(axis=1).sum())
        return Fitted(problem, model, known, time.perf_counter() - start)


def _nobody(count: int) -> None:
    """Nobody wants to know."""


def can_learn_from(problem: Problem, target: np.ndarray) -> bool:
    """Whether labels int8 [frames, class] show two classes to tell apart, or one against the rest."""
    return len(learned_classes(target, problem.task.kind)) >= (2 if problem.task.kind == "multinomial" else 1)


def _check(problem: Problem, rows: Sequence[StoreRow], target: np.ndarray) -> None:
    if can_learn_from(problem, target):
        return
    task = problem.task
    shown = ", ".join(repr(task.classes[column]) for column in np.flatnonzero((target == 1).any(axis=0)))
    names = ", ".join(row.id for row in rows[:3]) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")
    raise InputError(
        f"task {task.name!r}: the recordings to learn from ({names}) show {'only ' + shown if shown else 'no class'}; "
        "frames of at least two kinds are needed: put other recordings into train"
    )


def with_balanced(problem: Problem, rows: Sequence[StoreRow], plain: np.ndarray) -> dict[str, np.ndarray]:
    """Both fits of a system that has the plain one only: the other by Bayes' rule from the shares in training.

    Parameters
    ----------
    rows : the recordings that were learned from.
    plain : float32 [frames, classes].
    """
    target = problem.targets(rows)
    share = (target == 1).sum(axis=0) / np.maximum((target != NOT_ANNOTATED).sum(axis=0), 1)
    return {PLAIN: plain, BALANCED: balanced(plain, share, problem.task.kind)}


def labels_digest(problem: Problem, rows: Sequence[StoreRow]) -> str:
    """SHA-256 of what the frames of these recordings show."""
    return hashlib.sha256(np.ascontiguousarray(problem.targets(rows)).tobytes()).hexdigest()


def matrix_digest(matrices: Sequence[Matrix]) -> str:
    """SHA-256 of shapes and of some evenly spread rows, by which an embedding is known without reading all of it."""
    digest = hashlib.sha256()
    for matrix in matrices:
        digest.update(str(tuple(matrix.shape)).encode())
        held = matrix.held if isinstance(matrix, SomeRecordings) else matrix
        for place in np.linspace(0, len(held) - 1, min(DIGEST_ROWS, len(held))).astype(int):
            digest.update(np.ascontiguousarray(held[int(place) : int(place) + 1]).tobytes())
    return digest.hexdigest()
