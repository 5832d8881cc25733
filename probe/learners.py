"""The two frozen probes, linear and nearest neighbours: learn, choose settings, predict."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from probe.knn import K_GRID, NeighborIndex, vote
from probe.representations import Matrix, all_frames, standardised_blocks
from probe.trial import (
    BALANCED,
    FITS,
    Data,
    FittedHead,
    Outcome,
    Trial,
    can_learn,
    check_learnable,
    choose_settings,
    class_values,
    nothing_learned,
    sample,
    spread,
    steering_value,
)
from probe.tuning import Treatment, choose_treatment
from ssl_behavior.logistic import PENALTIES, Design, LinearHead, fit_head, no_longer_better
from ssl_behavior.splits import fraction_of
from ssl_behavior.store import StoreRow

__all__ = ["DEFAULT_K", "DEFAULT_PENALTY", "PROBES", "LinearProbe", "NeighborProbe", "Probe", "run_trial"]

DEFAULT_PENALTY = 1e-2
DEFAULT_K = 50.0
"""Where the tuning recordings say nothing."""

CHOOSING_FRAMES = 25_000
CHOOSING_TOLERANCE = 1e-6
"""The penalty is chosen on about so many of the sampled frames, which say nearly all that the rest does."""


class Probe(ABC):
    """A probe with its settings chosen."""

    trial: Trial
    settings: dict[str, tuple[float, ...]]

    @abstractmethod
    def relearned(self, data: Data) -> "Probe":
        """The same settings, learned from other frames."""

    @abstractmethod
    def predict(self, array: Matrix, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        """Fit name -> float32 [frames, classes] over all frames of the recordings; NaN for classes not learned."""

    @property
    def heads(self) -> dict[str, FittedHead]:
        """The linear heads, if the probe has any."""
        return {}


class LinearProbe(Probe):
    """Logistic regression, once with equal frames and once with equal classes."""

    def __init__(self, trial: Trial, heads: dict[str, FittedHead]) -> None:
        self.trial, self._heads = trial, heads
        self.settings = {fit: head.penalty for fit, head in heads.items()}

    @property
    def heads(self) -> dict[str, FittedHead]:
        return self._heads

    @classmethod
    def chosen(cls, trial: Trial, data: Data, tune: Data | None) -> "LinearProbe":
        """Learn from some of `data` with the penalty that does best on `tune`, or with the default if that is None."""
        data = data.thinned(CHOOSING_FRAMES)
        return cls(trial, {fit: _choose_penalty(trial, fit, data, tune) for fit in FITS})

    def relearned(self, data: Data) -> "LinearProbe":
        return LinearProbe(self.trial, {fit: _refit(self.trial, fit, data, head) for fit, head in self.heads.items()})

    def predict(self, array: Matrix, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        frames = all_frames(rows)
        first = self.heads[FITS[0]]
        probability = {fit: np.empty((len(frames), len(first.learned)), dtype=np.float32) for fit in FITS}
        for part, block in standardised_blocks(array, frames, first.scaling):
            for fit, fitted in self.heads.items():
                probability[fit][part] = fitted.head.probabilities(block).numpy()
        return {fit: spread(values, first.learned, self.trial.num_classes) for fit, values in probability.items()}


def _choose_penalty(trial: Trial, fit: str, data: Data, tune: Data | None) -> FittedHead:
    design = Design(data.embedded, data.learnable, trial.task.kind, balanced=fit == BALANCED)
    if tune is None:
        head = fit_head(design, DEFAULT_PENALTY)
        return FittedHead(head, data.scaling, data.learned, (DEFAULT_PENALTY,) * len(data.learned))
    heads: dict[float, LinearHead] = {}
    tried: dict[float, list[float | None]] = {}
    for penalty in PENALTIES:
        heads[penalty] = fit_head(design, penalty, heads[min(heads)] if heads else None, tolerance=CHOOSING_TOLERANCE)
        probability = spread(heads[penalty].probabilities(tune.embedded).numpy(), data.learned, trial.num_classes)
        tried[penalty] = class_values(trial.problem, fit, probability, tune.target.numpy())
        if no_longer_better([steering_value(trial.problem, values) or 0.0 for values in tried.values()]):
            break
    by_class = choose_settings(tried, DEFAULT_PENALTY, trial.problem.together)
    chosen = tuple(by_class[index] for index in data.learned)
    weights = torch.stack([heads[penalty].weights[:, column] for column, penalty in enumerate(chosen)], dim=1)
    bias = torch.stack([heads[penalty].bias[column] for column, penalty in enumerate(chosen)])
    return FittedHead(LinearHead(weights, bias, trial.task.kind), data.scaling, data.learned, chosen)


def _refit(trial: Trial, fit: str, data: Data, before: FittedHead) -> FittedHead:
    design = Design(data.embedded, data.learnable, trial.task.kind, balanced=fit == BALANCED)
    known = dict(zip(before.learned, before.penalty, strict=True))
    # One penalty serves all classes of a multinomial head, a class seen only now included.
    other = before.penalty[0] if trial.task.kind == "multinomial" else DEFAULT_PENALTY
    penalty = tuple(known.get(index, other) for index in data.learned)
    start = before.head if before.learned == data.learned else None
    return FittedHead(fit_head(design, penalty, start), data.scaling, data.learned, penalty)


class NeighborProbe(Probe):
    """Votes of the most similar training frames, once as they are and once divided by the classes' shares."""

    def __init__(self, trial: Trial, data: Data, settings: dict[str, tuple[float, ...]]) -> None:
        self.trial, self.settings, self._scaling = trial, settings, data.scaling
        self._index, self._target = NeighborIndex(data.embedded), data.target.numpy()
        self._share = (self._target == 1).sum(axis=0) / np.maximum((self._target >= 0).sum(axis=0), 1)
        self._hidden = [column for column in range(trial.num_classes) if column not in data.learned]

    @classmethod
    def chosen(cls, trial: Trial, data: Data, tune: Data | None) -> "NeighborProbe":
        """Choose k on `tune`, or take the default if there is nothing to try."""
        probe = cls(trial, data, dict.fromkeys(FITS, (DEFAULT_K,) * trial.num_classes))
        if tune is not None:
            votes = probe._votes(tune.embedded, K_GRID)
            target = tune.target.numpy()
            for fit in FITS:
                tried = {k: class_values(trial.problem, fit, votes[fit, k], target) for k in K_GRID}
                probe.settings[fit] = choose_settings(tried, DEFAULT_K, trial.problem.together)
        return probe

    def relearned(self, data: Data) -> "NeighborProbe":
        return NeighborProbe(self.trial, data, self.settings)

    def predict(self, array: Matrix, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        frames = all_frames(rows)
        probability = {fit: np.empty((len(frames), self.trial.num_classes), dtype=np.float32) for fit in FITS}
        ks = sorted({k for setting in self.settings.values() for k in setting})
        for part, block in standardised_blocks(array, frames, self._scaling):
            votes = self._votes(block, ks)
            for fit, setting in self.settings.items():
                for column, k in enumerate(setting):
                    probability[fit][part, column] = votes[fit, k][:, column]
        return probability

    def _votes(self, embedded: Tensor, ks: Sequence[float]) -> dict[tuple[str, float], np.ndarray]:
        """(fit, k) -> float32 [frames, classes]."""
        parts: dict[tuple[str, float], list[np.ndarray]] = {(fit, k): [] for fit in FITS for k in ks}
        for neighbors in self._index.search(embedded, int(max(ks))):
            for fit, k in parts:
                share = self._share if fit == BALANCED else None
                parts[fit, k].append(vote(neighbors, self._target, int(k), share))
        votes = {key: np.concatenate(values) for key, values in parts.items()}
        for values in votes.values():
            values[:, self._hidden] = np.nan
        return votes


PROBES: dict[str, type[LinearProbe] | type[NeighborProbe]] = {"linear": LinearProbe, "knn": NeighborProbe}


def run_trial(trial: Trial, array: Matrix, seed: int, percent: float = 100.0, lenient: bool = False) -> Outcome:
    """Learn from a seeded `percent` of the training recordings and predict the evaluated ones.

    At 100 % of a split whose tuning recordings were taken from the training part, the final probe learns from both
    once its settings are chosen.

    Parameters
    ----------
    array : embeddings [frames of the store, dim].
    lenient : what cannot be learned is undefined at 100 % too, as it is below; for one part of several.

    Raises
    ------
    InputError
        If an embedding is NaN, or at 100 % the training recordings show one class only.
    """
    split = trial.split
    data = sample(trial, array, fraction_of(split.fit, percent, seed), seed)
    if not can_learn(trial, data):
        if percent >= 100 and not lenient:
            check_learnable(trial, data)
        return nothing_learned(trial, sum(row.frames for row in split.evaluate), len(data))
    tune = sample(trial, array, split.tune, seed, data.scaling) if split.tune else None
    probe: Probe = PROBES[trial.mode].chosen(trial, data, tune)
    treatment = _treatment(trial, probe, array)
    del tune
    if percent >= 100 and split.tune_from_train and split.tune:
        data = sample(trial, array, split.train, seed)
    probe, num_frames = probe.relearned(data), len(data)
    del data
    return _outcome(trial, probe, array, treatment, num_frames)


def _treatment(trial: Trial, probe: Probe, array: Matrix) -> Treatment:
    """Smoothing windows chosen on the tuning recordings; none without them."""
    rows = trial.split.tune
    if not trial.smooth or not rows:
        return Treatment()
    return choose_treatment(trial.problem, rows, probe.predict(array, rows), smooth=True)


def _outcome(trial: Trial, probe: Probe, array: Matrix, treatment: Treatment, num_train_frames: int) -> Outcome:
    rows = trial.split.evaluate
    probability = probe.predict(array, rows)
    treated = treatment.apply(probability, rows, trial.task.kind)
    return Outcome(probability, treated, probe.settings, treatment.windows, probe.heads, num_train_frames)
