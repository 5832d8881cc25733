"""Runs of a system: training, optionally in folds, and postprocessing chosen on out-of-fold probabilities.

Evaluated recordings choose no settings: a `Postprocessing` is chosen on training recordings, from the probabilities of
systems that were not fitted to them. `FittedSystem.predict` gets no labels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from probe.calms21.systems.base import Problem, System
from probe.experiment import FITS, Predictions
from probe.labeled_frames import can_learn
from probe.postprocessing import Postprocessing, choose_postprocessing
from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.splits import Split
from ssl_behavior.store import StoreRow

__all__ = ["PostprocessingConfig", "mean_of", "run_system"]

Probabilities = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class PostprocessingConfig:
    """Number of models of a system, and the postprocessing of their probabilities.

    Parameters
    ----------
    folds : 0 = one model of all training recordings; K >= 2 = K models of K - 1 stratified folds of recordings each,
        whose predictions are averaged. K is at most the number of recordings; one recording gives one model without
        postprocessing.
    refit : predict with one more model of all training recordings, instead of the mean of the K.
    smooth : smooth over time, with windows chosen on out-of-fold probabilities.
    thresholds : decide with weights tuned for F1 on out-of-fold probabilities; rankings stay unchanged.

    Raises
    ------
    InputError
        If a setting needs folds and there are none.
    """

    folds: int = 0
    refit: bool = False
    smooth: bool = False
    thresholds: bool = False

    def __post_init__(self) -> None:
        if self.folds < 0:
            raise InputError(f"folds must be at least 0, got {self.folds}")
        asked = [name for name in ("refit", "smooth", "thresholds") if getattr(self, name)]
        if asked and self.folds < 2:
            raise InputError(
                f"{' and '.join(asked)} need out-of-fold probabilities of the training recordings: set folds to 2 or "
                f"more, got {self.folds}"
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Learned:
    """Predictions of the evaluated recordings, and out-of-fold probabilities of the training ones if there are any."""

    probability: dict[str, np.ndarray]
    out_of_fold: dict[str, np.ndarray] | None
    facts: list[dict[str, Any]]


def run_system(
    system: System,
    problem: Problem,
    split: Split,
    seed: int,
    config: PostprocessingConfig | None = None,
    advance: Callable[[int], None] | None = None,
) -> Predictions:
    """Fit the training recordings and predict the evaluated recordings.

    Training recordings with too few classes give NaN probabilities, which score as undefined.

    Parameters
    ----------
    advance : progress callback with the number of further training frames.

    Raises
    ------
    InputError
        If an evaluated recording is also a training recording.
    """
    config, rows = config or PostprocessingConfig(), split.train
    _check_apart(split, system)
    target = problem.targets(rows)
    learned = _learned(system, problem, split, seed, config, advance)
    postprocessing = Postprocessing()
    if learned.out_of_fold is not None and (config.smooth or config.thresholds):
        postprocessing = choose_postprocessing(problem, rows, learned.out_of_fold, config.smooth, config.thresholds)
    return Predictions(
        probability=learned.probability,
        postprocessed=postprocessing.apply(learned.probability, split.evaluate, problem.task.kind),
        settings={},
        windows=postprocessing.windows,
        heads={},
        num_train_frames=int((target != NOT_ANNOTATED).any(axis=1).sum()),
        weights=postprocessing.weights,
        facts={"system": system.name, "seed": seed, "models": learned.facts},
    )


def _check_apart(split: Split, system: System) -> None:
    learned = {row.id for row in (*split.train, *system.extra_training_rows)}
    both = [row.id for row in split.evaluate if row.id in learned]
    if both:
        raise InputError(
            f"{split.source}: {both[0]!r} is a training recording and a scored recording: take it out of one of the two"
        )


def _learned(
    system: System,
    problem: Problem,
    split: Split,
    seed: int,
    config: PostprocessingConfig,
    advance: Callable[[int], None] | None,
) -> _Learned:
    rows, evaluate = split.train, split.evaluate
    if min(config.folds, len(rows)) < 2:
        probability, facts = _fit_predict(system, problem, rows, [evaluate], seed, advance)
        return _Learned(probability[0], None, [facts])
    parts, held_out, all_facts = [], [], []
    folds = system.folds(problem, rows, config.folds, seed)
    for fold in folds:
        rest = [row for row in rows if row not in fold.held_out]
        wanted = [fold.held_out] if config.refit else [fold.held_out, evaluate]
        probability, facts = _fit_predict(fold.system, problem, rest, wanted, seed, advance)
        held_out.append(probability[0])
        parts += probability[1:]
        all_facts.append(facts)
    if config.refit:
        probability, facts = _fit_predict(system, problem, rows, [evaluate], seed, advance)
        parts, all_facts = probability, [*all_facts, facts]
    out_of_fold = _in_order(rows, [fold.held_out for fold in folds], held_out)
    return _Learned(_mean(parts, problem.task.kind), out_of_fold, all_facts)


def _fit_predict(
    system: System,
    problem: Problem,
    rows: Sequence[StoreRow],
    wanted: Sequence[Sequence[StoreRow]],
    seed: int,
    advance: Callable[[int], None] | None,
) -> tuple[list[dict[str, np.ndarray]], dict[str, Any]]:
    """Probabilities of each group of recordings in `wanted` (NaN if `rows` show too few classes), and facts."""
    if not can_learn(problem.targets(rows), problem.task.kind):
        return [_undefined(problem, some) for some in wanted], {"nothing_to_learn_from": [row.id for row in rows]}
    fitted = system.fit(problem, rows, seed, advance)
    made = [fitted.predict(some) for some in wanted]
    return made, fitted.facts


def _undefined(problem: Problem, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
    shape = (sum(row.frames for row in rows), problem.num_classes)
    return {fit: np.full(shape, np.nan, dtype=np.float32) for fit in FITS}


def _in_order(
    rows: Sequence[StoreRow], folds: Sequence[Sequence[StoreRow]], held_out: Sequence[Probabilities]
) -> dict[str, np.ndarray]:
    """Out-of-fold probabilities, float32 [frames, classes], recordings in the order of `rows`."""
    found: dict[tuple[str, str], np.ndarray] = {}
    for fold, probability in zip(folds, held_out, strict=True):
        ends = np.cumsum([row.frames for row in fold])
        for row, end in zip(fold, ends, strict=True):
            for fit in FITS:
                found[row.id, fit] = probability[fit][end - row.frames : end]
    return {fit: np.concatenate([found[row.id, fit] for row in rows]) for fit in FITS}


def _mean(many: Sequence[Probabilities], kind: str) -> dict[str, np.ndarray]:
    """The mean over models that learned a class; the exclusive classes of a frame still sum to 1.

    All models have the keys of the first one.
    """
    mean = {}
    for key in many[0]:
        stacked = np.stack([one[key] for one in many])
        known = np.isfinite(stacked)
        count = known.sum(axis=0)
        value = np.where(known, stacked, 0).sum(axis=0, dtype=np.float64) / np.where(count > 0, count, np.nan)
        if kind == "multinomial" and not known.all():
            total = np.nansum(value, axis=1, keepdims=True)
            value = value / np.where(total > 0, total, 1.0)
        mean[key] = value.astype(np.float32)
    return mean


def mean_of(seed_predictions: Sequence[Predictions], kind: str) -> Predictions:
    """An ensemble: the means of plain and of postprocessed probabilities.

    Decisions follow the mean of the postprocessed probabilities, each with its own weights.

    Parameters
    ----------
    seed_predictions : predictions of several seeds or systems for one problem and split.
    kind : kind of the task.

    Raises
    ------
    InputError
        If there are no predictions, their recordings differ, or only some are postprocessed.
    """
    shapes = {predictions.probability[FITS[0]].shape for predictions in seed_predictions}
    if len(shapes) != 1 or len({tuple(predictions.postprocessed) for predictions in seed_predictions}) != 1:
        raise InputError(
            "an ensemble needs predictions of the same recordings and classes, all postprocessed or none; got "
            f"{len(seed_predictions)} with {sorted(shapes)} frames and classes, postprocessed "
            f"{[bool(predictions.postprocessed) for predictions in seed_predictions]}"
        )
    return Predictions(
        probability=_mean([predictions.probability for predictions in seed_predictions], kind),
        postprocessed=_mean([predictions.postprocessed for predictions in seed_predictions], kind),
        settings={},
        windows={},
        heads={},
        num_train_frames=max(predictions.num_train_frames for predictions in seed_predictions),
        facts={"ensemble": [dict(predictions.facts) for predictions in seed_predictions]},
    )
