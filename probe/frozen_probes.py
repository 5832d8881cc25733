"""Frozen probes: linear and nearest-neighbor."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.experiment import (
    BALANCED,
    FITS,
    Experiment,
    FittedHead,
    Predictions,
    choose_settings,
    expand_classes,
    selection_scores,
    undefined_predictions,
)
from probe.folds import FEW_RECORDINGS, InnerFold, inner_folds, num_inner_folds
from probe.labeled_frames import LabeledFrames, check_learnable, sample_frames
from probe.penalty import ChosenPenalty, choose_penalty, fit_probe_head
from probe.postprocessing import Postprocessing, choose_postprocessing
from probe.representations import Matrix, all_frames, standardized_blocks
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.splits import fraction_of
from ssl_behavior.store import StoreRow

__all__ = [
    "DEFAULT_K",
    "K_GRID",
    "PROBES",
    "LinearProbe",
    "NeighborIndex",
    "NeighborProbe",
    "Neighbors",
    "Probe",
    "choosing_folds",
    "fit_probe",
    "run_experiment",
    "vote",
]


K_GRID = (5.0, 20.0, 50.0, 200.0)
"""Candidate numbers of neighbors."""

TEMPERATURE = 0.07
"""A vote has the weight exp(cosine / temperature), Wu et al. 2018 (arXiv:1805.01978)."""

QUERY_FRAMES = 4096


@dataclass(frozen=True)
class Neighbors:
    """The most similar training frames of each query, most similar first."""

    similarity: np.ndarray
    """Cosine, float32 [query, neighbor]."""
    index: np.ndarray
    """Training frame, int64 [query, neighbor]."""


class NeighborIndex:
    """An exact faiss index of unit vectors; faiss is imported here.

    Raises
    ------
    InputError
        If faiss is not installed.
    """

    def __init__(self, embedded: Float[Tensor, "frames latent"]) -> None:
        self._index = load_faiss("`mode=knn`").IndexFlatIP(embedded.shape[1])
        for block in embedded.split(QUERY_FRAMES):
            self._index.add(_unit(block))

    def search(self, queries: Float[Tensor, "frames latent"], num_neighbors: int) -> Iterator[Neighbors]:
        """Nearest training frames by cosine, at most all of them, in blocks of `QUERY_FRAMES` queries."""
        for block in queries.split(QUERY_FRAMES):
            similarity, index = self._index.search(_unit(block), min(num_neighbors, self._index.ntotal))
            yield Neighbors(similarity, index)


def _unit(embedded: Float[Tensor, "frames latent"]) -> np.ndarray:
    return torch.nn.functional.normalize(embedded.float(), dim=1).numpy()


def vote(neighbors: Neighbors, target: np.ndarray, num_neighbors: int, prior: np.ndarray | None = None) -> np.ndarray:
    """Share of the votes for each class, float32 [query, classes].

    Parameters
    ----------
    target : int [training frames, classes], 1 yes, 0 no, -1 not annotated (no vote in this class).
    num_neighbors : number of voting neighbors.
    prior : [classes] class shares: yes votes are divided by `prior`, no votes by 1 - `prior`, so that frequent classes
        have no advantage. None = unweighted votes.
    """
    similarity = neighbors.similarity[:, :num_neighbors]
    # Weights relative to the nearest neighbor: exp() cannot overflow, and the shares stay the same.
    weight = np.exp((similarity - similarity[:, :1]) / TEMPERATURE)
    labels = target[neighbors.index[:, :num_neighbors]]
    yes = (weight[..., None] * (labels == 1)).sum(axis=1)
    no = (weight[..., None] * (labels == 0)).sum(axis=1)
    if prior is not None:
        yes, no = yes / np.clip(prior, 1e-12, None), no / np.clip(1 - prior, 1e-12, None)
    return (yes / np.maximum(yes + no, 1e-12)).astype(np.float32)


DEFAULT_K = 50.0
"""Number of neighbors of classes without a held-out score."""

CHOOSING_FRAMES = 25_000
ALL_FOLDS_FRAMES = 60_000
"""Maximum training frames for the choice of a penalty, in one fold and in all folds; more change it little."""


class Probe(ABC):
    """A fitted frozen probe."""

    experiment: Experiment
    settings: dict[str, tuple[float, ...]]

    @classmethod
    @abstractmethod
    def fit(cls, experiment: Experiment, data: LabeledFrames, folds: Sequence[InnerFold]) -> "Probe":
        """Choose settings on the folds (defaults without folds), then fit all of `data`."""

    @abstractmethod
    def refit(self, data: LabeledFrames) -> "Probe":
        """A probe with the same settings, fitted to other frames."""

    @abstractmethod
    def predict(self, array: Matrix, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        """Fit name -> float32 [frames, classes], all frames of the recordings; NaN for classes not learned."""

    @property
    def heads(self) -> dict[str, FittedHead]:
        """The linear heads; empty for other probes."""
        return {}


class LinearProbe(Probe):
    """Logistic regression, once with equal weight for frames and once with equal weight for classes."""

    def __init__(self, experiment: Experiment, data: LabeledFrames, chosen: dict[str, ChosenPenalty]) -> None:
        self.experiment, self._chosen = experiment, chosen
        self._heads = {fit: fit_probe_head(fit, data, chosen[fit]) for fit in FITS}
        self.settings = {fit: head.penalty for fit, head in self._heads.items()}

    @property
    def heads(self) -> dict[str, FittedHead]:
        return self._heads

    @classmethod
    def fit(cls, experiment: Experiment, data: LabeledFrames, folds: Sequence[InnerFold]) -> "LinearProbe":
        return cls(experiment, data, {fit: choose_penalty(experiment.problem, fit, folds) for fit in FITS})

    def refit(self, data: LabeledFrames) -> "LinearProbe":
        return LinearProbe(self.experiment, data, self._chosen)

    def predict(self, array: Matrix, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        frames = all_frames(rows)
        first = self.heads[FITS[0]]
        probability = {fit: np.empty((len(frames), len(first.learned)), dtype=np.float32) for fit in FITS}
        for part, block in standardized_blocks(array, frames, first.scaling):
            for fit, fitted in self.heads.items():
                probability[fit][part] = fitted.head.probabilities(block).numpy()
        return {
            fit: expand_classes(values, first.learned, self.experiment.num_classes)
            for fit, values in probability.items()
        }


class NeighborProbe(Probe):
    """Votes of the most similar training frames, once unweighted and once divided by the class shares."""

    def __init__(self, experiment: Experiment, data: LabeledFrames, settings: dict[str, tuple[float, ...]]) -> None:
        self.experiment, self.settings, self._scaling = experiment, settings, data.scaling
        self._index, self._target = NeighborIndex(data.embedded), data.target.numpy()
        self._share = (self._target == 1).sum(axis=0) / np.maximum((self._target >= 0).sum(axis=0), 1)
        self._hidden = [column for column in range(experiment.num_classes) if column not in data.learned]

    @classmethod
    def fit(cls, experiment: Experiment, data: LabeledFrames, folds: Sequence[InnerFold]) -> "NeighborProbe":
        settings = dict.fromkeys(FITS, (DEFAULT_K,) * experiment.num_classes)
        if folds:
            votes = [cls(experiment, fold.fit, settings)._votes(fold.held_out.embedded, K_GRID) for fold in folds]
            target = np.concatenate([fold.held_out.target.numpy() for fold in folds])
            for fit in FITS:
                pooled = {k: np.concatenate([one[fit, k] for one in votes]) for k in K_GRID}
                scores = {k: selection_scores(experiment.problem, fit, pooled[k], target) for k in K_GRID}
                settings[fit] = choose_settings(scores, DEFAULT_K, experiment.problem)
        return cls(experiment, data, settings)

    def refit(self, data: LabeledFrames) -> "NeighborProbe":
        return NeighborProbe(self.experiment, data, self.settings)

    def predict(self, array: Matrix, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        frames = all_frames(rows)
        probability = {fit: np.empty((len(frames), self.experiment.num_classes), dtype=np.float32) for fit in FITS}
        ks = sorted({k for setting in self.settings.values() for k in setting})
        for part, block in standardized_blocks(array, frames, self._scaling):
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


def run_experiment(
    experiment: Experiment, array: Matrix, seed: int, percent: float = 100.0, allow_undefined: bool = False
) -> Predictions:
    """Fit a seeded `percent` of the training recordings and predict the evaluated recordings.

    Settings are chosen on the split's validation recordings if there are any, else on inner folds of the training
    frames (`probe.folds.held_out_masks`). The final probe is fitted to all training frames.

    Parameters
    ----------
    array : embeddings [frames of the store, dim].
    allow_undefined : give NaN for too few classes at 100 % of the recordings too, as below 100 %; for tasks of several
        parts.

    Raises
    ------
    InputError
        If an embedding is NaN, or the training recordings show too few classes at 100 %.
    """
    split = experiment.split
    data = sample_frames(
        experiment, array, split.train if percent >= 100 else fraction_of(split.fit, percent, seed), seed
    )
    if not data.can_learn:
        if percent >= 100 and not allow_undefined:
            check_learnable(experiment.task, data.target.numpy(), f"split: {split.source}")
        return undefined_predictions(experiment, sum(row.frames for row in split.evaluate), len(data))
    probe = fit_probe(experiment, array, data, seed)
    postprocessing = _postprocessing(experiment, probe, array, seed, percent)
    return _predict_evaluated(experiment, probe, array, postprocessing, len(data))


def fit_probe(experiment: Experiment, array: Matrix, data: LabeledFrames, seed: int) -> Probe:
    """The experiment's probe of the training frames `data`, its settings chosen on `choosing_folds`.

    Parameters
    ----------
    array : embeddings [frames of the store, dim].
    """
    return PROBES[experiment.mode].fit(experiment, data, choosing_folds(experiment, array, data, seed))


def choosing_folds(experiment: Experiment, array: Matrix, data: LabeledFrames, seed: int) -> list[InnerFold]:
    """Folds for the choice of settings: the split's validation recordings, or inner folds of the training frames."""
    split, linear = experiment.split, experiment.mode == "linear"
    if split.tune and not split.tune_from_train:
        some = data.thinned(CHOOSING_FRAMES) if linear else data
        return [InnerFold(some, sample_frames(experiment, array, split.tune, seed, data.scaling), len(data))]
    max_frames = min(CHOOSING_FRAMES, ALL_FOLDS_FRAMES // num_inner_folds(data)) if linear else len(data)
    # A neighbor index holds all training frames, so many folds would need many copies of them.
    max_folds = None if linear or len(np.unique(data.frames.recording)) <= FEW_RECORDINGS else 1
    return inner_folds(data, seed, max_frames, [row.id for row in split.tune], max_folds)


def _postprocessing(experiment: Experiment, probe: Probe, array: Matrix, seed: int, percent: float) -> Postprocessing:
    """Smoothing windows, chosen on the tuning recordings by a probe that was not fitted to them."""
    split = experiment.split
    if not experiment.smooth or not split.tune:
        return Postprocessing()
    if percent >= 100 and split.tune_from_train:
        others = sample_frames(experiment, array, split.fit, seed)
        if not others.can_learn:
            return Postprocessing()
        probe = probe.refit(others)
    return choose_postprocessing(experiment.problem, split.tune, probe.predict(array, split.tune), smooth=True)


def _predict_evaluated(
    experiment: Experiment, probe: Probe, array: Matrix, postprocessing: Postprocessing, num_train_frames: int
) -> Predictions:
    rows = experiment.split.evaluate
    probability = probe.predict(array, rows)
    postprocessed = postprocessing.apply(probability, rows, experiment.task.kind)
    facts = {"shrinkage": {fit: list(head.shrinkage) for fit, head in probe.heads.items()}} if probe.heads else {}
    return Predictions(
        probability, postprocessed, probe.settings, postprocessing.windows, probe.heads, num_train_frames, facts=facts
    )
