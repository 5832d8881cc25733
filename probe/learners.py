"""Frozen probes: linear and nearest-neighbor, and the choice of the linear one's penalty.

The penalty and the shrinkage of logits toward those of the class shares are chosen on held-out recordings, or on
held-out stretches of time of a single recording, along a path of penalties from strong to weak. The penalty that ranks
best (or, of balanced classes, decides best) wins, of near equals that of least held-out loss. Scores of few recordings
are noisy, so there more penalties are near equals. Heads learned from few recordings are overconfident: the shrinkage
takes their logits toward those of the class shares as far as that lessens the held-out loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.folds import FEW_RECORDINGS, SOME_RECORDINGS, Fold, inner_folds, num_folds
from probe.representations import Matrix, all_frames, standardized_blocks
from probe.trial import (
    BALANCED,
    FITS,
    NEARLY_EQUAL,
    Data,
    FittedHead,
    Outcome,
    Problem,
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
from probe.tuning import Postprocessing, choose_postprocessing
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.logistic import PENALTIES, Design, LinearHead, class_weights, fit_head, no_longer_better, prior_logits
from ssl_behavior.splits import fraction_of
from ssl_behavior.store import StoreRow

__all__ = [
    "DEFAULT_K",
    "DEFAULT_PENALTY",
    "K_GRID",
    "PROBES",
    "SHRINKAGES",
    "ChosenPenalty",
    "LinearProbe",
    "NeighborIndex",
    "NeighborProbe",
    "Neighbors",
    "Probe",
    "choose_penalty",
    "choosing_folds",
    "learn_head",
    "run_trial",
    "vote",
]

K_GRID = (5.0, 20.0, 50.0, 200.0)
"""Numbers of neighbours tried."""

TEMPERATURE = 0.07
"""Votes weigh exp(cosine / temperature), Wu et al. 2018 (arXiv:1805.01978)."""

QUERY_FRAMES = 4096


@dataclass(frozen=True)
class Neighbors:
    """The most similar training frames of each query, most similar first."""

    similarity: np.ndarray
    """Cosine, float32 [query, neighbour]."""
    index: np.ndarray
    """Training frame, int64 [query, neighbour]."""


class NeighborIndex:
    """An exact faiss index of unit vectors; faiss is loaded here and not before.

    Raises
    ------
    InputError
        If faiss is not installed.
    """

    def __init__(self, embedded: Float[Tensor, "frames latent"]) -> None:
        self._index = load_faiss("--mode knn").IndexFlatIP(embedded.shape[1])
        for block in embedded.split(QUERY_FRAMES):
            self._index.add(_unit(block))

    def search(self, queries: Float[Tensor, "frames latent"], num_neighbors: int) -> Iterator[Neighbors]:
        """The nearest training frames by cosine (all of them if there are fewer), a few thousand queries at a time."""
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
    num_neighbors : how many of the neighbours vote.
    prior : [classes] shares by which the votes for yes, and 1 - prior by which those for no, are divided, so that
        frequent classes have no advantage. None = votes as they are.
    """
    similarity = neighbors.similarity[:, :num_neighbors]
    # Relative to the nearest: exp() cannot overflow, and the shares stay the same.
    weight = np.exp((similarity - similarity[:, :1]) / TEMPERATURE)
    shown = target[neighbors.index[:, :num_neighbors]]
    yes = (weight[..., None] * (shown == 1)).sum(axis=1)
    no = (weight[..., None] * (shown == 0)).sum(axis=1)
    if prior is not None:
        yes, no = yes / np.clip(prior, 1e-12, None), no / np.clip(1 - prior, 1e-12, None)
    return (yes / np.maximum(yes + no, 1e-12)).astype(np.float32)


DEFAULT_PENALTY = 1e-2
"""Where held-out frames say nothing."""

SHRINKAGES = tuple(round(0.05 * step, 2) for step in range(20, 0, -1))
"""Factors of the logits that are tried; never 0, which would rank nothing."""

UNSURE = 0.04
"""Scores on few recordings are near equals within this much, divided by the number of recordings."""

CHOOSING_TOLERANCE = 1e-6
FINAL_STEPS = 200

Logits = Float[np.ndarray, "frames classes"]
"""NaN for classes that the frame's head has not learned."""


@dataclass(frozen=True)
class ChosenPenalty:
    """Settings of a linear head.

    Parameters
    ----------
    penalty : per frame, of each of the task's classes, when `num_frames` are learned from.
    shrinkage : factor of each class's logits, see `LinearHead.shrunk`; 1 where nothing says that they are too large,
        and with more than `SOME_RECORDINGS` recordings.
    num_frames : frames learned from in a fold, in the mean over the folds; 0 if there was no fold.
    """

    penalty: tuple[float, ...]
    shrinkage: tuple[float, ...]
    num_frames: float = 0.0

    def rescaled(self, num_frames: int) -> tuple[float, ...]:
        """The penalties for another number of frames, so that all frames together weigh as much against them as before.

        A penalty per frame is 1 / (C · frames) in scikit-learn's terms: C stays, and more labels are penalized less.
        """
        if not self.num_frames:
            return self.penalty
        return tuple(penalty * self.num_frames / num_frames for penalty in self.penalty)


def choose_penalty(problem: Problem, fit: str, folds: Sequence[Fold]) -> ChosenPenalty:
    """Search the path `PENALTIES` by the held-out frames of all folds together.

    The search ends when two weaker penalties in a row improved neither the score nor the loss. A class that a fold's
    recordings do not show has no logit in that fold, and the fold no say in its score.

    Parameters
    ----------
    fit : "plain" or "balanced".
    """
    num_classes = problem.num_classes
    if not folds:
        return ChosenPenalty((DEFAULT_PENALTY,) * num_classes, (1.0,) * num_classes)
    path = _Path(problem, fit, folds)
    for penalty in PENALTIES:
        path.go_to(penalty)
        if path.ended:
            break
    few = path.num_recordings <= SOME_RECORDINGS
    near = max(NEARLY_EQUAL, UNSURE / path.num_recordings) if few else NEARLY_EQUAL
    chosen = choose_settings(path.values, DEFAULT_PENALTY, problem.together, path.losses, near)
    shrinkage = (1.0,) * num_classes
    if few:
        shrinkage = tuple(path.shrinkage(penalty)[column] for column, penalty in enumerate(chosen))
    return ChosenPenalty(chosen, shrinkage, float(np.mean([fold.num_frames for fold in folds])))


def learn_head(fit: str, data: Data, chosen: ChosenPenalty) -> FittedHead:
    """The head of these frames, with settings that were chosen on fewer or others."""
    balanced, columns = fit == BALANCED, list(data.learned)
    penalty = tuple(chosen.rescaled(len(data))[column] for column in columns)
    shrinkage = tuple(chosen.shrinkage[column] for column in columns)
    head = fit_head(Design(data.embedded, data.learnable, data.kind, balanced), penalty, max_steps=FINAL_STEPS)
    prior = prior_logits(data.learnable, data.kind, balanced)
    return FittedHead(head.shrunk(torch.tensor(shrinkage), prior), data.scaling, data.learned, penalty, shrinkage)


class _Path:
    """Heads of all folds along the penalties, and what each penalty gave on the held-out frames.

    Attributes
    ----------
    values, losses : penalty -> of each class.
    """

    def __init__(self, problem: Problem, fit: str, folds: Sequence[Fold]) -> None:
        self.problem, self.fit, self.folds = problem, fit, folds
        self.kind, self.balanced = problem.task.kind, fit == BALANCED
        self.designs = [Design(f.fit.embedded, f.fit.learnable, self.kind, self.balanced) for f in folds]
        self.heads: list[LinearHead | None] = [None] * len(folds)
        self.target = np.concatenate([fold.held_out.target.numpy() for fold in folds])
        self.prior = self._wide([prior_logits(f.fit.learnable, self.kind, self.balanced).numpy() for f in folds])
        self.logits: dict[float, Logits] = {}
        self.values: dict[float, list[float | None]] = {}
        self.losses: dict[float, list[float]] = {}

    def _wide(self, parts: Sequence[np.ndarray]) -> Logits:
        """One array [held-out frames, classes] of each fold's values for the classes that it learned."""
        wide = []
        for fold, values in zip(self.folds, parts, strict=True):
            values = np.broadcast_to(values, (len(fold.held_out), len(fold.fit.learned)))
            wide.append(spread(values, fold.fit.learned, self.problem.num_classes))
        return np.concatenate(wide)

    def go_to(self, penalty: float) -> None:
        """Fit every fold, each starting at the penalty before."""
        for number, (design, before) in enumerate(zip(self.designs, self.heads, strict=True)):
            self.heads[number] = fit_head(design, penalty, before, tolerance=CHOOSING_TOLERANCE)
        said = [
            head.logits(f.held_out.embedded).numpy() for head, f in zip(self.heads, self.folds, strict=True) if head
        ]
        logits = self.logits[penalty] = self._wide(said)
        probability = _probabilities(logits, self.kind)
        self.values[penalty] = class_values(self.problem, self.fit, probability, self.target)
        self.losses[penalty] = _losses(logits, self.target, self.kind, self.balanced)

    @property
    def num_recordings(self) -> int:
        """Recordings that are learned from or held out in any fold."""
        parts = [part.frames for fold in self.folds for part in (fold.fit, fold.held_out)]
        return len({row.id for part in parts for row, pick in zip(part.rows, part.picks, strict=True) if len(pick)})

    @property
    def ended(self) -> bool:
        scores = [steering_value(self.problem, values) or 0.0 for values in self.values.values()]
        return no_longer_better(scores) and no_longer_better([-float(np.mean(loss)) for loss in self.losses.values()])

    def shrinkage(self, penalty: float) -> list[float]:
        """Of each class the factor of least held-out loss; 1 where the held-out frames are all of one kind."""
        logits = self.logits.get(penalty)
        if logits is None:
            return [1.0] * self.problem.num_classes
        tried = [
            _losses(self.prior + factor * (logits - self.prior), self.target, self.kind, self.balanced)
            for factor in SHRINKAGES
        ]
        best = [SHRINKAGES[int(index)] for index in np.argmin(tried, axis=0)]
        shown, hidden = (self.target == 1).any(axis=0), (self.target == 0).any(axis=0)
        unique_behavior_names = shown & hidden if self.kind == "binary" else np.full(len(best), shown.sum() > 1)
        return [factor if here else 1.0 for factor, here in zip(best, unique_behavior_names, strict=True)]


def _probabilities(logits: Logits, kind: str) -> Logits:
    """NaN stays NaN; the classes that a frame's head has learned share 1."""
    if kind == "binary":
        return np.exp(-_softplus(-logits))
    return np.exp(logits - _log_total(logits))


def _softplus(logits: Logits) -> Logits:
    """log(1 + exp(logits)); NaN stays NaN."""
    return np.maximum(logits, 0) + np.log1p(np.exp(-np.abs(logits)))


def _log_total(logits: Logits) -> Float[np.ndarray, "frames 1"]:
    return np.logaddexp.reduce(np.where(np.isnan(logits), -np.inf, logits), axis=1, keepdims=True)


def _losses(logits: Logits, target: Int[np.ndarray, "frames classes"], kind: str, balanced: bool) -> list[float]:
    """Mean held-out cross-entropy of each class, in nats; one for all classes of "multinomial".

    Frames of a class that their head has not learned do not count. Of "balanced" every class weighs the same.
    """
    logits = logits.astype(np.float64)
    if kind == "multinomial":
        each = np.where(target == 1, _log_total(logits) - logits, 0.0).sum(axis=1)
        usable = np.isfinite(each)
        weight = _weights(target[usable], kind, balanced)[:, 0]
        return [float((weight * each[usable]).sum() / max(weight.sum(), 1.0))] * target.shape[1]
    each = _softplus(logits) - target * logits
    known = np.where(np.isnan(logits), -1, target)
    weight = _weights(known, kind, balanced)
    total = np.where(known >= 0, weight * each, 0.0).sum(axis=0)
    return [float(loss) for loss in total / np.maximum(weight.sum(axis=0), 1.0)]


def _weights(target: Int[np.ndarray, "frames classes"], kind: str, balanced: bool) -> np.ndarray:
    if not balanced:
        return (target >= 0).astype(np.float64)
    return class_weights(torch.from_numpy(target), kind).double().numpy()


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
        for part, block in standardized_blocks(array, frames, first.scaling):
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
    postprocessing = _postprocessing(trial, probe, array, seed, percent)
    return _outcome(trial, probe, array, postprocessing, len(data))


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


def _postprocessing(trial: Trial, probe: Probe, array: Matrix, seed: int, percent: float) -> Postprocessing:
    """Smoothing windows, chosen on the tuning recordings by a probe that has not learned from them."""
    split = trial.split
    if not trial.smooth or not split.tune:
        return Postprocessing()
    if percent >= 100 and split.tune_from_train:
        others = sample(trial, array, split.fit, seed)
        if not can_learn(others):
            return Postprocessing()
        probe = probe.relearned(others)
    return choose_postprocessing(trial.problem, split.tune, probe.predict(array, split.tune), smooth=True)


def _outcome(
    trial: Trial, probe: Probe, array: Matrix, postprocessing: Postprocessing, num_train_frames: int
) -> Outcome:
    rows = trial.split.evaluate
    probability = probe.predict(array, rows)
    treated = postprocessing.apply(probability, rows, trial.task.kind)
    facts = {"shrinkage": {fit: list(head.shrinkage) for fit, head in probe.heads.items()}} if probe.heads else {}
    return Outcome(
        probability, treated, probe.settings, postprocessing.windows, probe.heads, num_train_frames, facts=facts
    )
