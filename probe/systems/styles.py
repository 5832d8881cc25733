"""One head for all annotators on a frozen embedding, as a system: each part of the task is one annotator's style."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from probe.annotators import AnnotatorConfig, AnnotatorProbe, annotated_frames, annotators_of, learn_annotators
from probe.representations import Matrix, Representation
from probe.systems.base import Advance, Model, Problem, System, matrix_digest
from probe.trial import FITS
from ssl_behavior.errors import InputError
from ssl_behavior.labeled import labels_fingerprint
from ssl_behavior.store import Store, StoreRow

__all__ = ["FrozenStyles", "Heads"]

Heads = dict[str, AnnotatorProbe]
"""All that a head of all annotators depends on -> the head."""


class FrozenStyles(System):
    """`probe.annotators.learn_annotators` on the recordings of a part, and on those of all other annotators.

    Parameters
    ----------
    representation : its arrays are pretraining seeds, as in `FrozenProbe`.
    store : of `also`.
    also : recordings that other annotators labeled in the same stream; never one that is evaluated.
    stride : learn from every so-manieth frame.
    shelf : heads learned already; parts whose recordings are the same share one.
    """

    source = "learned annotator embeddings on a frozen encoder, after the MABe 2021 winner (arXiv:2104.02710)"

    def __init__(
        self,
        representation: Representation,
        store: Store,
        also: Sequence[StoreRow] = (),
        stride: int = 4,
        config: AnnotatorConfig | None = None,
        shelf: Heads | None = None,
    ) -> None:
        self.representation, self.also, self.stride = representation, tuple(also), stride
        self.config, self.shelf = config or AnnotatorConfig(), {} if shelf is None else shelf
        self._also_labels = labels_fingerprint([(store, row) for row in also])
        self.name = f"{representation.name}, one head for all annotators"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "system": "styles",
            **asdict(self.config),
            "stride": self.stride,
            "also": [row.id for row in self.also],
            "labels": self._also_labels,
            "checkpoints": list(self.representation.checkpoints),
            "matrix": matrix_digest(self.representation.arrays),
        }

    @property
    def elsewhere(self) -> tuple[StoreRow, ...]:
        return self.also

    def learn(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> Model:
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
        others = [row for row in self.also if row.annotators.get(stream, own) != own]
        together = sorted([*rows, *others], key=lambda row: row.offset)
        array = self.representation.array(seed)
        everything = [self.settings, problem.store.fingerprint(), task.streams, task.classes]
        known = json.dumps([*everything, seed, [row.id for row in together]], sort_keys=True)
        if known not in self.shelf:
            self.shelf[known] = self._learned(problem, together, array, seed, advance)
        return _StylesModel(self.shelf[known], array, own)

    def _learned(
        self, problem: Problem, rows: Sequence[StoreRow], array: Matrix, seed: int, advance: Advance
    ) -> AnnotatorProbe:
        everybody = replace(problem.task, annotators=())
        names = annotators_of(problem.store, everybody, rows)
        frames = annotated_frames(problem.store, everybody, array, rows, names, self.stride, seed)
        advance(len(frames))
        return learn_annotators(frames, names, problem.task.classes, self.config, seed)


class _StylesModel(Model):
    def __init__(self, probe: AnnotatorProbe, array: Matrix, annotator: str) -> None:
        self.probe, self.array, self.annotator = probe, array, annotator

    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        return {fit: self.probe.probabilities(self.array, rows, self.annotator, fit) for fit in FITS}

    @property
    def facts(self) -> dict[str, Any]:
        sizes = [parameter.numel() for head in self.probe.heads.values() for parameter in head.parameters()]
        return {"num_parameters": sum(sizes), "annotators": list(self.probe.annotators)}
