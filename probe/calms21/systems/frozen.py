"""Systems on frozen embeddings: a linear or nearest-neighbor probe, and one head for all annotators."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from probe.annotators import AnnotatorConfig, AnnotatorProbe, annotated_frames, find_annotators, fit_annotators
from probe.calms21.systems.base import Advance, FittedSystem, System
from probe.experiment import FITS, Experiment, Problem
from probe.frozen_probes import PROBES, Probe, fit_probe
from probe.labeled_frames import sample_frames
from probe.representations import Matrix, PartialMatrix, Representation
from ssl_behavior.errors import InputError
from ssl_behavior.labeled_windows import labels_fingerprint
from ssl_behavior.splits import Split
from ssl_behavior.store import Store, StoreRow

__all__ = ["AnnotatorProbes", "FrozenAnnotatorProbe", "FrozenProbe", "matrix_digest"]

DIGEST_ROWS = 997


def matrix_digest(matrices: Sequence[Matrix]) -> str:
    """SHA-256 of shapes and of some evenly spaced rows, which identify an embedding without reading all of it."""
    digest = hashlib.sha256()
    for matrix in matrices:
        digest.update(str(tuple(matrix.shape)).encode())
        values = matrix.values if isinstance(matrix, PartialMatrix) else matrix
        for place in np.linspace(0, len(values) - 1, min(DIGEST_ROWS, len(values))).astype(int):
            digest.update(np.ascontiguousarray(values[int(place) : int(place) + 1]).tobytes())
    return digest.hexdigest()


CHOOSING = 3
"""Version of the choice of settings; cached predictions of other versions are not used."""


class FrozenProbe(System):
    """Logistic regression, or votes of the nearest training frames, on standardized rows of a matrix.

    The penalty, or the number of neighbors, is chosen on inner folds of the training recordings
    (`probe.folds.held_out_masks`); then the probe is fitted to all of them. Expected on the rats (train 01-30, scored
    31-38, S1) with a pretrained encoder, linear: see `benchmarks/results/quality_rats.md`.

    Parameters
    ----------
    representation : its arrays are pretraining seeds of one encoder; probe seed s reads array s modulo their number.
    mode : "linear" or "knn".
    stride : the probe is fitted to every `stride`-th frame.
    """

    def __init__(self, representation: Representation, mode: str = "linear", stride: int = 4) -> None:
        if mode not in PROBES:
            raise InputError(f"`mode={mode}`: known are {sorted(PROBES)}")
        if stride < 1:
            raise InputError(f"stride must be at least 1, got {stride}")
        self.representation, self.mode, self.stride = representation, mode, stride
        self.name = f"{representation.name}, {'linear' if mode == 'linear' else 'nearest neighbors'}"
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
"""Cache of heads of all annotators, by all inputs of their training."""


class FrozenAnnotatorProbe(System):
    """`probe.annotators.fit_annotators` on the recordings of a part and of all other annotators.

    Parameters
    ----------
    representation : its arrays are pretraining seeds, as in `FrozenProbe`.
    store : of `extra_rows`.
    extra_rows : recordings that other annotators labeled in the same stream; never an evaluated recording.
    stride : the head is fitted to every `stride`-th frame.
    heads : cache of trained heads; parts with the same recordings share one head.
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
        """Fit the head.

        Raises
        ------
        InputError
            If the part does not have exactly one annotator.
        """
        task = problem.task
        if len(task.annotators) != 1 or len(task.streams) != 1:
            raise InputError(f"task {task.name!r} does not have one annotator: there is no style to learn")
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
        pooled_task = replace(problem.task, annotators=())
        names = find_annotators(problem.store, pooled_task, rows)
        frames = annotated_frames(problem.store, pooled_task, array, rows, names, self.stride, seed)
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
