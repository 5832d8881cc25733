"""The two frozen probes, linear and nearest neighbours: learn, choose settings, predict."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from probe.folds import FEW_RECORDINGS, Fold, inner_folds, num_folds
from probe.knn import K_GRID, NeighborIndex, vote
from probe.penalty import ChosenPenalty, choose_penalty, learn_head
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
)
from probe.tuning import Treatment, choose_treatment
from ssl_behavior.splits import fraction_of
from ssl_behavior.store import StoreRow

__all__ = ["DEFAULT_K", "PROBES", "LinearProbe", "NeighborProbe", "Probe", "choosing_folds", "run_trial"]

DEFAULT_K = 50.0
"""Where held-out frames say nothing."""

CHOOSING_FRAMES = 25_000
ALL_FOLDS_FRAMES = 60_000
"""A penalty is chosen on so many of the sampled frames, in one fold and in all: they say nearly all there is."""


class Probe(ABC):
    """A probe with its settings chosen."""

    trial: Trial
    settings: dict[str, tuple[float, ...]]

    @classmethod
    @abstractmethod
    def chosen(cls, trial: Trial, data: Data, folds: Sequence[Fold]) -> "Probe":
        """Choose settings by the folds, defaults if there are none, and learn from all of `data`."""

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

    def __init__(self, trial: Trial, data: Data, chosen: dict[str, ChosenPenalty]) -> None:
        self.trial, self._chosen = trial, chosen
        self._heads = {fit: learn_head(fit, data, chosen[fit]) for fit in FITS}
        self.settings = {fit: head.penalty for fit, head in self._heads.items()}

    @property
    def heads(self) -> dict[str, FittedHead]:
        return self._heads

    @classmethod
    def chosen(cls, trial: Trial, data: Data, folds: Sequence[Fold]) -> "LinearProbe":
        return cls(trial, data, {fit: choose_penalty(trial.problem, fit, folds) for fit in FITS})

    def relearned(self, data: Data) -> "LinearProbe":
        return LinearProbe(self.trial, data, self._chosen)

    def predict(self, array: Matrix, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        frames = all_frames(rows)
        first = self.heads[FITS[0]]
        probability = {fit: np.empty((len(frames), len(first.learned)), dtype=np.float32) for fit in FITS}
        for part, block in standardised_blocks(array, frames, first.scaling):
            for fit, fitted in self.heads.items():
                probability[fit][part] = fitted.head.probabilities(block).numpy()
        return {fit: spread(values, first.learned, self.trial.num_classes) for fit, values in probability.items()}


class NeighborProbe(Probe):
    """Votes of the most similar training frames, once as they are and once divided by the classes' shares."""

    def __init__(self, trial: Trial, data: Data, settings: dict[str, tuple[float, ...]]) -> None:
        self.trial, self.settings, self._scaling = trial, settings, data.scaling
        self._index, self._target = NeighborIndex(data.embedded), data.target.numpy()
        self._share = (self._target == 1).sum(axis=0) / np.maximum((self._target >= 0).sum(axis=0), 1)
        self._hidden = [column for column in range(trial.num_classes) if column not in data.learned]

    @classmethod
    def chosen(cls, trial: Trial, data: Data, folds: Sequence[Fold]) -> "NeighborProbe":
        settings = dict.fromkeys(FITS, (DEFAULT_K,) * trial.num_classes)
        if folds:
            votes = [cls(trial, fold.fit, settings)._votes(fold.held_out.embedded, K_GRID) for fold in folds]
            target = np.concatenate([fold.held_out.target.numpy() for fold in folds])
            for fit in FITS:
                together = {k: np.concatenate([one[fit, k] for one in votes]) for k in K_GRID}
                tried = {k: class_values(trial.problem, fit, together[k], target) for k in K_GRID}
                settings[fit] = choose_settings(tried, DEFAULT_K, trial.problem.together)
        return cls(trial, data, settings)

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

    Settings are chosen on validation recordings that are not learned from, where the split has some; else on parts of
    what is learned from, see `probe.folds.held_out_masks`. The final probe learns from all of it.

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
    data = sample(trial, array, split.train if percent >= 100 else fraction_of(split.fit, percent, seed), seed)
    if not can_learn(data):
        if percent >= 100 and not lenient:
            check_learnable(trial, data)
        return nothing_learned(trial, sum(row.frames for row in split.evaluate), len(data))
    probe: Probe = PROBES[trial.mode].chosen(trial, data, choosing_folds(trial, array, data, seed))
    treatment = _treatment(trial, probe, array, seed, percent)
    return _outcome(trial, probe, array, treatment, len(data))


def choosing_folds(trial: Trial, array: Matrix, data: Data, seed: int) -> list[Fold]:
    """What settings are chosen by: the split's validation recordings, or parts of the training frames `data`."""
    split, linear = trial.split, trial.mode == "linear"
    if split.tune and not split.tune_from_train:
        some = data.thinned(CHOOSING_FRAMES) if linear else data
        return [Fold(some, sample(trial, array, split.tune, seed, data.scaling), len(data))]
    most = min(CHOOSING_FRAMES, ALL_FOLDS_FRAMES // num_folds(data)) if linear else len(data)
    # Neighbors are looked for among all frames, and every fold holds a copy of nearly all of them.
    most_folds = None if linear or len(np.unique(data.frames.recording)) <= FEW_RECORDINGS else 1
    return inner_folds(data, seed, most, [row.id for row in split.tune], most_folds)


def _treatment(trial: Trial, probe: Probe, array: Matrix, seed: int, percent: float) -> Treatment:
    """Smoothing windows, chosen on the tuning recordings by a probe that has not learned from them."""
    split = trial.split
    if not trial.smooth or not split.tune:
        return Treatment()
    if percent >= 100 and split.tune_from_train:
        others = sample(trial, array, split.fit, seed)
        if not can_learn(others):
            return Treatment()
        probe = probe.relearned(others)
    return choose_treatment(trial.problem, split.tune, probe.predict(array, split.tune), smooth=True)


def _outcome(trial: Trial, probe: Probe, array: Matrix, treatment: Treatment, num_train_frames: int) -> Outcome:
    rows = trial.split.evaluate
    probability = probe.predict(array, rows)
    treated = treatment.apply(probability, rows, trial.task.kind)
    facts = {"shrinkage": {fit: list(head.shrinkage) for fit, head in probe.heads.items()}} if probe.heads else {}
    return Outcome(probability, treated, probe.settings, treatment.windows, probe.heads, num_train_frames, facts=facts)
