"""Penalty and shrinkage of the linear probe, chosen on inner folds.

The penalty is chosen on held-out recordings, or on held-out stretches of time of a single recording, along a path from
strong to weak. The best average precision wins (the best F1 for balanced classes); among nearly equal penalties, the
least held-out loss. Scores on few recordings are noisy, so more penalties are nearly equal there. Heads of few
recordings are overconfident: shrinkage moves their logits toward those of the class shares until the held-out loss
stops falling.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from probe.experiment import (
    BALANCED,
    NEARLY_EQUAL,
    FittedHead,
    Problem,
    choose_settings,
    expand_classes,
    selection_score,
    selection_scores,
)
from probe.folds import SOME_RECORDINGS, InnerFold
from probe.labeled_frames import LabeledFrames, can_learn, learned_classes
from ssl_behavior.logistic import PENALTIES, Design, LinearHead, class_weights, fit_head, no_longer_better, prior_logits

__all__ = ["DEFAULT_PENALTY", "SHRINKAGES", "ChosenPenalty", "choose_penalty", "fit_probe_head"]


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
