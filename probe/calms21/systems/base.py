"""The interface of systems: fit recordings, then predict recordings."""

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from probe.experiment import BALANCED, FITS, PLAIN, Problem, balance_probabilities
from probe.folds import stratified_folds
from probe.labeled_frames import check_learnable, recording_names
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.store import StoreRow

__all__ = [
    "Advance",
    "CrossFitFold",
    "FittedSystem",
    "Problem",
    "System",
    "TimedSystem",
    "labels_digest",
    "with_balanced",
]

Advance = Callable[[int], None]
"""Progress callback: the number of further training frames."""


class FittedSystem(ABC):
    """A system fitted to training recordings."""

    @abstractmethod
    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        """Fit name ("plain", "balanced") -> float32 [frames, classes], all frames of `rows`, concatenated.

        Classes that were not learned are NaN.
        """

    @property
    def facts(self) -> dict[str, Any]:
        """Chosen settings and size, JSON-ready."""
        return {}


@dataclass(eq=False)
class TimedSystem:
    """A fitted system with the times of its training and predictions.

    Parameters
    ----------
    num_train_frames : annotated frames of the training recordings.
    seconds : duration of the training.
    """

    problem: Problem
    model: FittedSystem
    num_train_frames: int
    seconds: float
    _predicted: int = field(default=0, init=False)
    _spent: float = field(default=0.0, init=False)

    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        """See `FittedSystem.predict`."""
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
        """JSON-ready: training frames, seconds of training, predicted frames per second, and the system's facts."""
        speed = round(self._predicted / self._spent) if self._spent > 0 else None
        own = {"num_train_frames": self.num_train_frames, "seconds": round(self.seconds, 3)}
        return own | {"predicted_frames_per_second": speed} | self.model.facts


@dataclass(frozen=True)
class CrossFitFold:
    """Held-out training recordings, and the system for the other ones."""

    system: "System"
    held_out: tuple[StoreRow, ...]


class System(ABC):
    """A recipe that is fitted to labeled recordings.

    `name` is the name in tables, `source` the origin of the recipe, such as a paper and its table.
    """

    name: str
    source: str

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """All inputs of predictions besides problem, recordings and seed, JSON-ready; part of the cache key."""

    @property
    def extra_training_rows(self) -> tuple[StoreRow, ...]:
        """Labeled recordings that every fit uses besides its own, such as those of another task."""
        return ()

    def folds(self, problem: Problem, rows: Sequence[StoreRow], num_folds: int, seed: int) -> list[CrossFitFold]:
        """Stratified folds of the recordings, at most one per recording, and the system for each fold."""
        parts = stratified_folds(problem, rows, min(num_folds, len(rows)), seed)
        return [CrossFitFold(self, part) for part in parts]

    @abstractmethod
    def _fit(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> FittedSystem:
        """Fit the labels of these recordings only; `seed` determines all random draws."""

    def fit(
        self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Callable[[int], None] | None = None
    ) -> TimedSystem:
        """Fit `rows`.

        Raises
        ------
        InputError
            If the recordings show too few classes, see `check_learnable`.
        """
        target = problem.targets(rows)
        check_learnable(problem.task, target, recording_names(rows))
        start = time.perf_counter()
        model = self._fit(problem, rows, seed, advance or _no_progress)
        known = int((target != NOT_ANNOTATED).any(axis=1).sum())
        return TimedSystem(problem, model, known, time.perf_counter() - start)


def _no_progress(count: int) -> None:
    """No-op progress callback."""


def with_balanced(problem: Problem, rows: Sequence[StoreRow], plain: np.ndarray) -> dict[str, np.ndarray]:
    """The plain fit, and the balanced fit derived from it by Bayes' rule with the class shares in training.

    Parameters
    ----------
    rows : training recordings.
    plain : float32 [frames, classes].
    """
    target = problem.targets(rows)
    share = (target == 1).sum(axis=0) / np.maximum((target != NOT_ANNOTATED).sum(axis=0), 1)
    return {PLAIN: plain, BALANCED: balance_probabilities(plain, share, problem.task.kind)}


def labels_digest(problem: Problem, rows: Sequence[StoreRow]) -> str:
    """SHA-256 of the labels of these recordings."""
    return hashlib.sha256(np.ascontiguousarray(problem.targets(rows)).tobytes()).hexdigest()
