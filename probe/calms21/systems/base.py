"""The interface of systems: learn from recordings, then predict recordings; and systems on frozen embeddings.

`FrozenProbe` is a linear or nearest-neighbor probe, `FrozenAnnotatorProbe` one head for all annotators.
"""

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from probe.annotators import AnnotatorConfig, AnnotatorProbe, annotated_frames, find_annotators, fit_annotators
from probe.experiment import (
    BALANCED,
    FITS,
    PLAIN,
    Experiment,
    Problem,
    balance_probabilities,
    check_learnable,
    recording_names,
    sample_frames,
)
from probe.folds import stratified_folds
from probe.learners import PROBES, Probe, fit_probe
from probe.representations import Matrix, PartialMatrix, Representation
from ssl_behavior.errors import InputError
from ssl_behavior.labeled import labels_fingerprint
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.splits import Split
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "Advance",
    "AnnotatorProbes",
    "CrossFitFold",
    "FittedSystem",
    "FrozenAnnotatorProbe",
    "FrozenProbe",
    "Problem",
    "System",
    "TimedSystem",
    "labels_digest",
    "matrix_digest",
    "with_balanced",
]

Advance = Callable[[int], None]
"""Told of progress: so many frames more were learned from."""

DIGEST_ROWS = 997


class FittedSystem(ABC):
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
class TimedSystem:
    """A model, timed.

    Parameters
    ----------
    num_train_frames : annotated frames of the recordings it learned from.
    seconds : of learning.
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
        """JSON-ready: frames learned from, seconds of learning, frames per second of prediction, the model's own."""
        speed = round(self._predicted / self._spent) if self._spent > 0 else None
        own = {"num_train_frames": self.num_train_frames, "seconds": round(self.seconds, 3)}
        return own | {"predicted_frames_per_second": speed} | self.model.facts


@dataclass(frozen=True)
class CrossFitFold:
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
    def extra_training_rows(self) -> tuple[StoreRow, ...]:
        """Recordings whose labels are learned from whatever `fit` is given, such as those of another task."""
        return ()

    def folds(self, problem: Problem, rows: Sequence[StoreRow], num_folds: int, seed: int) -> list[CrossFitFold]:
        """The recordings in parts, and for each the system that learns the others: as many parts as there are
        recordings for."""
        parts = stratified_folds(problem, rows, min(num_folds, len(rows)), seed)
        return [CrossFitFold(self, part) for part in parts]

    @abstractmethod
    def _fit(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> FittedSystem:
        """Learn from these recordings, and from no other's labels; whatever is drawn comes from `seed`."""

    def fit(
        self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Callable[[int], None] | None = None
    ) -> TimedSystem:
        """Learn from `rows` alone.

        Raises
        ------
        InputError
            If the recordings show one kind of frame only.
        """
        target = problem.targets(rows)
        check_learnable(problem.task, target, recording_names(rows))
        start = time.perf_counter()
        model = self._fit(problem, rows, seed, advance or _nobody)
        known = int((target != NOT_ANNOTATED).any(axis=1).sum())
        return TimedSystem(problem, model, known, time.perf_counter() - start)


def _nobody(count: int) -> None:
    """Nobody wants to know."""


def with_balanced(problem: Problem, rows: Sequence[StoreRow], plain: np.ndarray) -> dict[str, np.ndarray]:
    """Both fits of a system that has the plain one only: the other by Bayes' rule from the shares in training.

    Parameters
    ----------
    rows : the recordings that were learned from.
    plain : float32 [frames, classes].
    """
    target = problem.targets(rows)
    share = (target == 1).sum(axis=0) / np.maximum((target != NOT_ANNOTATED).sum(axis=0), 1)
    return {PLAIN: plain, BALANCED: balance_probabilities(plain, share, problem.task.kind)}


def labels_digest(problem: Problem, rows: Sequence[StoreRow]) -> str:
    """SHA-256 of what the frames of these recordings show."""
    return hashlib.sha256(np.ascontiguousarray(problem.targets(rows)).tobytes()).hexdigest()


def matrix_digest(matrices: Sequence[Matrix]) -> str:
    """SHA-256 of shapes and of some evenly spread rows, by which an embedding is known without reading all of it."""
    digest = hashlib.sha256()
    for matrix in matrices:
        digest.update(str(tuple(matrix.shape)).encode())
        values = matrix.values if isinstance(matrix, PartialMatrix) else matrix
        for place in np.linspace(0, len(values) - 1, min(DIGEST_ROWS, len(values))).astype(int):
            digest.update(np.ascontiguousarray(values[int(place) : int(place) + 1]).tobytes())
    return digest.hexdigest()


CHOOSING = 3
"""Version of how settings are chosen: predictions that were kept from another one are other predictions."""


class FrozenProbe(System):
    """Logistic regression, or votes of the nearest training frames, on standardised rows of a matrix.

    The penalty, or the number of neighbors, is chosen on parts of the recordings learned from: each left out in turn
    where they are few, five parts in turn of some, a fifth of many, stretches of time of a single one
    (`probe.folds.held_out_masks`); then the probe learns from all of them. Expected on the rats (train 01-30, scored
    31-38, S1) of a pretrained encoder, linear: see `benchmarks/results/quality_rats.md`.

    Parameters
    ----------
    representation : its arrays are pretraining seeds of one encoder: probe seed s reads array s modulo their number.
    mode : "linear" or "knn".
    stride : learn from every so-manieth frame.
    """

    def __init__(self, representation: Representation, mode: str = "linear", stride: int = 4) -> None:
        if mode not in PROBES:
            raise InputError(f"--mode {mode}: known are {sorted(PROBES)}")
        if stride < 1:
            raise InputError(f"stride must be at least 1, got {stride}")
        self.representation, self.mode, self.stride = representation, mode, stride
        self.name = f"{representation.name}, {'linear' if mode == 'linear' else 'nearest neighbours'}"
        self.source = "frozen embedding, settings chosen on held-out training recordings (this package)"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "system": "frozen",
            "choosing": CHOOSING,
            "mode": self.mode,
            "stride": self.stride,
            "dim": self.representation.dim,
            "checkpoints": list(self.representation.checkpoints),
            "matrix": matrix_digest(self.representation.arrays),
        }

    def _fit(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> FittedSystem:
        array = self.representation.array(seed)
        split = Split(tuple(rows), (), (), "test", True, "recordings to learn from")
        experiment = Experiment(problem.store, problem.task, split, problem.selection, self.mode, self.stride)
        data = sample_frames(experiment, array, rows, seed)
        advance(len(data))
        return _FittedProbe(fit_probe(experiment, array, data, seed), array, len(data))


class _FittedProbe(FittedSystem):
    def __init__(self, probe: Probe, array: Matrix, num_frames: int) -> None:
        self.probe, self.array, self.num_frames = probe, array, num_frames

    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        return self.probe.predict(self.array, rows)

    @property
    def facts(self) -> dict[str, Any]:
        chosen = {fit: list(values) for fit, values in self.probe.settings.items()}
        heads = self.probe.heads.values()
        parameters = max((head.head.weights.numel() + head.head.bias.numel() for head in heads), default=0)
        return {"num_parameters": parameters, "sampled_frames": self.num_frames, "chosen": chosen}


AnnotatorProbes = dict[str, AnnotatorProbe]
"""All that a head of all annotators depends on -> the head."""


class FrozenAnnotatorProbe(System):
    """`probe.annotators.fit_annotators` on the recordings of a part, and on those of all other annotators.

    Parameters
    ----------
    representation : its arrays are pretraining seeds, as in `FrozenProbe`.
    store : of `extra_rows`.
    extra_rows : recordings that other annotators labeled in the same stream; never one that is evaluated.
    stride : learn from every so-manieth frame.
    heads : heads learned already; parts whose recordings are the same share one.
    """

    source = "learned annotator embeddings on a frozen encoder, after the MABe 2021 winner (arXiv:2104.02710)"

    def __init__(
        self,
        representation: Representation,
        store: Store,
        extra_rows: Sequence[StoreRow] = (),
        stride: int = 4,
        config: AnnotatorConfig | None = None,
        heads: AnnotatorProbes | None = None,
    ) -> None:
        self.representation, self.extra_rows, self.stride = representation, tuple(extra_rows), stride
        self.config = config or AnnotatorConfig()
        self.heads = {} if heads is None else heads
        self._extra_labels = labels_fingerprint([(store, row) for row in extra_rows])
        self.name = f"{representation.name}, one head for all annotators"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "system": "styles",
            **asdict(self.config),
            "stride": self.stride,
            "also": [row.id for row in self.extra_rows],
            "labels": self._extra_labels,
            "checkpoints": list(self.representation.checkpoints),
            "matrix": matrix_digest(self.representation.arrays),
        }

    @property
    def extra_training_rows(self) -> tuple[StoreRow, ...]:
        return self.extra_rows

    def _fit(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> FittedSystem:
        """Learn the head.

        Raises
        ------
        InputError
            If the part is not one annotator's.
        """
        task = problem.task
        if len(task.annotators) != 1 or len(task.streams) != 1:
            raise InputError(f"task {task.name!r} is not one annotator's: there is no style to learn")
        (stream,), own = task.streams, task.annotators[0]
        others = [row for row in self.extra_rows if row.annotators.get(stream, own) != own]
        together = sorted([*rows, *others], key=lambda row: row.offset)
        array = self.representation.array(seed)
        everything = [self.settings, problem.store.fingerprint(), task.streams, task.classes]
        known = json.dumps([*everything, seed, [row.id for row in together]], sort_keys=True)
        if known not in self.heads:
            self.heads[known] = self._learned(problem, together, array, seed, advance)
        return _FittedAnnotatorProbe(self.heads[known], array, own)

    def _learned(
        self, problem: Problem, rows: Sequence[StoreRow], array: Matrix, seed: int, advance: Advance
    ) -> AnnotatorProbe:
        everybody = replace(problem.task, annotators=())
        names = find_annotators(problem.store, everybody, rows)
        frames = annotated_frames(problem.store, everybody, array, rows, names, self.stride, seed)
        advance(len(frames))
        return fit_annotators(frames, names, problem.task.classes, self.config, seed)


class _FittedAnnotatorProbe(FittedSystem):
    def __init__(self, probe: AnnotatorProbe, array: Matrix, annotator: str) -> None:
        self.probe, self.array, self.annotator = probe, array, annotator

    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        return {fit: self.probe.probabilities(self.array, rows, self.annotator, fit) for fit in FITS}

    @property
    def facts(self) -> dict[str, Any]:
        sizes = [parameter.numel() for head in self.probe.heads.values() for parameter in head.parameters()]
        return {"num_parameters": sum(sizes), "annotators": list(self.probe.annotators)}
