"""Linear and nearest-neighbour probes of a frozen embedding, or of whatever else has one row of numbers per frame."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from probe.learners import PROBES, Probe, choosing_folds
from probe.representations import Matrix, Representation
from probe.systems.base import Advance, Model, System, matrix_digest
from probe.trial import Problem, Trial, sample
from ssl_behavior.errors import InputError
from ssl_behavior.splits import Split
from ssl_behavior.store import StoreRow

__all__ = ["FrozenProbe"]

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

    def learn(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> Model:
        array = self.representation.array(seed)
        split = Split(tuple(rows), (), (), "test", True, "recordings to learn from")
        trial = Trial(problem.store, problem.task, split, problem.steer, self.mode, self.stride)
        data = sample(trial, array, rows, seed)
        advance(len(data))
        probe: Probe = PROBES[self.mode].chosen(trial, data, choosing_folds(trial, array, data, seed))
        return _ProbeModel(probe, array, len(data))


class _ProbeModel(Model):
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
