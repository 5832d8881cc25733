"""Frozen probes: linear and nearest-neighbor, and the choice of the linear one's penalty.

The penalty is chosen on held-out recordings, or on held-out stretches of time of a single recording, along a path from
strong to weak. The best average precision wins (the best F1 for balanced classes); among nearly equal penalties, the
least held-out loss. Scores on few recordings are noisy, so more penalties are nearly equal there. Heads of few
recordings are overconfident: shrinkage moves their logits toward those of the class shares until the held-out loss
stops falling.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.experiment import (
    BALANCED,
    FITS,
    NEARLY_EQUAL,
    Experiment,
    FittedHead,
    LabeledFrames,
    Predictions,
    Problem,
    can_learn,
    check_learnable,
    choose_settings,
    expand_classes,
    learned_classes,
    sample_frames,
    selection_score,
    selection_scores,
    undefined_predictions,
)
from probe.folds import FEW_RECORDINGS, SOME_RECORDINGS, InnerFold, inner_folds, num_inner_folds
from probe.postprocessing import Postprocessing, choose_postprocessing
from probe.representations import Matrix, all_frames, standardized_blocks
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
    "fit_probe",
    "fit_probe_head",
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


DEFAULT_PENALTY = 1e-2
"""Penalty of classes without a held-out score."""

SHRINKAGES = tuple(round(0.05 * step, 2) for step in range(20, 0, -1))
"""Candidate factors of the logits; 0 is excluded, because it destroys the ranking."""

UNSURE = 0.04
"""Scores on few recordings are equal within this much, divided by the number of recordings."""

CHOOSING_TOLERANCE = 1e-6
FINAL_STEPS = 200

Logits = Float[np.ndarray, "frames classes"]
"""NaN for classes that the frame's head did not learn."""


@dataclass(frozen=True)
class ChosenPenalty:
    """Settings of a linear head.

    Parameters
    ----------
    penalty : penalty per frame of each of the task's classes, for `num_frames` training frames.
    shrinkage : factor of each class's logits, see `LinearHead.shrunk`; 1 without evidence that they are too large, and
        with more than `SOME_RECORDINGS` recordings.
    num_frames : mean number of training frames over the folds; 0 without folds.
    """

    penalty: tuple[float, ...]
    shrinkage: tuple[float, ...]
    num_frames: float = 0.0

    def rescaled(self, num_frames: int) -> tuple[float, ...]:
        """The penalties per frame for another number of frames, at the same total penalty.

        A penalty per frame is 1 / (C · frames) in scikit-learn's terms: C stays constant.
        """
        if not self.num_frames:
            return self.penalty
        return tuple(penalty * self.num_frames / num_frames for penalty in self.penalty)


def choose_penalty(problem: Problem, fit: str, folds: Sequence[InnerFold]) -> ChosenPenalty:
    """Search the path `PENALTIES` on the pooled held-out frames of all folds.

    The search ends when two weaker penalties in a row improve neither the score nor the loss. A class without
    training frames in a fold has no logit there, and that fold does not count in its score.

    Parameters
    ----------
    fit : "plain" or "balanced".
    """
    num_classes = problem.num_classes
    if not folds:
        return ChosenPenalty((DEFAULT_PENALTY,) * num_classes, (1.0,) * num_classes)
    path = _Path(problem, fit, folds)
    for penalty in PENALTIES:
        path.advance_to(penalty)
        if path.ended:
            break
    few = path.num_recordings <= SOME_RECORDINGS
    near = max(NEARLY_EQUAL, UNSURE / path.num_recordings) if few else NEARLY_EQUAL
    chosen = choose_settings(path.values, DEFAULT_PENALTY, problem, path.losses, near)
    shrinkage = (1.0,) * num_classes
    if few:
        shrinkage = tuple(path.shrinkage(penalty)[column] for column, penalty in enumerate(chosen))
    return ChosenPenalty(chosen, shrinkage, float(np.mean([fold.num_frames for fold in folds])))


def fit_probe_head(fit: str, data: LabeledFrames, chosen: ChosenPenalty) -> FittedHead:
    """The head of these training frames with the chosen settings."""
    balanced, columns = fit == BALANCED, list(data.learned)
    penalty = tuple(chosen.rescaled(len(data))[column] for column in columns)
    shrinkage = tuple(chosen.shrinkage[column] for column in columns)
    head = fit_head(Design(data.embedded, data.learned_target, data.kind, balanced), penalty, max_steps=FINAL_STEPS)
    prior = prior_logits(data.learned_target, data.kind, balanced)
    return FittedHead(head.shrunk(torch.tensor(shrinkage), prior), data.scaling, data.learned, penalty, shrinkage)


class _Path:
    """Heads of all folds along the penalties, with their held-out scores and losses.

    Attributes
    ----------
    values, losses : penalty -> score, and loss, of each class.
    """

    def __init__(self, problem: Problem, fit: str, folds: Sequence[InnerFold]) -> None:
        self.problem, self.fit, self.folds = problem, fit, folds
        self.kind, self.balanced = problem.task.kind, fit == BALANCED
        self.designs = [Design(f.fit.embedded, f.fit.learned_target, self.kind, self.balanced) for f in folds]
        self.heads: list[LinearHead | None] = [None] * len(folds)
        self.target = np.concatenate([fold.held_out.target.numpy() for fold in folds])
        self.prior = self._wide([prior_logits(f.fit.learned_target, self.kind, self.balanced).numpy() for f in folds])
        self.logits: dict[float, Logits] = {}
        self.values: dict[float, list[float | None]] = {}
        self.losses: dict[float, list[float]] = {}

    def _wide(self, parts: Sequence[np.ndarray]) -> Logits:
        """One array [held-out frames, classes] from each fold's values of its learned classes."""
        wide = []
        for fold, values in zip(self.folds, parts, strict=True):
            values = np.broadcast_to(values, (len(fold.held_out), len(fold.fit.learned)))
            wide.append(expand_classes(values, fold.fit.learned, self.problem.num_classes))
        return np.concatenate(wide)

    def advance_to(self, penalty: float) -> None:
        """Fit every fold, starting from the head of the previous penalty."""
        for number, (design, before) in enumerate(zip(self.designs, self.heads, strict=True)):
            self.heads[number] = fit_head(design, penalty, before, tolerance=CHOOSING_TOLERANCE)
        fold_logits = [
            head.logits(f.held_out.embedded).numpy() for head, f in zip(self.heads, self.folds, strict=True) if head
        ]
        logits = self.logits[penalty] = self._wide(fold_logits)
        probability = _probabilities(logits, self.kind)
        self.values[penalty] = selection_scores(self.problem, self.fit, probability, self.target)
        self.losses[penalty] = _losses(logits, self.target, self.kind, self.balanced)

    @property
    def num_recordings(self) -> int:
        """Number of recordings in any fold, fitted or held out."""
        parts = [part.frames for fold in self.folds for part in (fold.fit, fold.held_out)]
        return len({row.id for part in parts for row, pick in zip(part.rows, part.picks, strict=True) if len(pick)})

    @property
    def ended(self) -> bool:
        scores = [selection_score(self.problem, values) or 0.0 for values in self.values.values()]
        return no_longer_better(scores) and no_longer_better([-float(np.mean(loss)) for loss in self.losses.values()])

    def shrinkage(self, penalty: float) -> list[float]:
        """The factor of least held-out loss of each class; 1 for classes with one kind of held-out frames."""
        logits = self.logits.get(penalty)
        if logits is None:
            return [1.0] * self.problem.num_classes
        tried = [
            _losses(self.prior + factor * (logits - self.prior), self.target, self.kind, self.balanced)
            for factor in SHRINKAGES
        ]
        best = [SHRINKAGES[int(index)] for index in np.argmin(tried, axis=0)]
        if self.kind == "multinomial":
            return best if can_learn(self.target, self.kind) else [1.0] * len(best)
        learned = learned_classes(self.target, self.kind)
        return [factor if column in learned else 1.0 for column, factor in enumerate(best)]


def _probabilities(logits: Logits, kind: str) -> Logits:
    """Probabilities of logits; NaN stays NaN, and the learned exclusive classes sum to 1."""
    if kind == "binary":
        return np.exp(-_softplus(-logits))
    return np.exp(logits - _log_total(logits))


def _softplus(logits: Logits) -> Logits:
    """log(1 + exp(logits)); NaN stays NaN."""
    return np.maximum(logits, 0) + np.log1p(np.exp(-np.abs(logits)))


def _log_total(logits: Logits) -> Float[np.ndarray, "frames 1"]:
    return np.logaddexp.reduce(np.where(np.isnan(logits), -np.inf, logits), axis=1, keepdims=True)


def _losses(logits: Logits, target: Int[np.ndarray, "frames classes"], kind: str, balanced: bool) -> list[float]:
    """Mean held-out cross-entropy of each class, in nats; the classes of "multinomial" share one value.

    Frames of a class that their head did not learn do not count. `balanced` gives every class the same weight.
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
