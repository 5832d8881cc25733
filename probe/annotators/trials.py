"""The probe of all annotators at once, scored part by part as every other: `ssl-behavior probe --mode annotators`."""

from collections.abc import Mapping
from itertools import chain

import numpy as np

from probe.annotators.learning import (
    AnnotatedFrames,
    AnnotatorConfig,
    AnnotatorProbe,
    annotated_frames,
    learn_annotators,
)
from probe.representations import Matrix
from probe.trial import FITS, Outcome, Trial
from probe.tuning import Treatment, choose_treatment
from ssl_behavior.errors import InputError
from ssl_behavior.splits import fraction_of
from ssl_behavior.store import StoreRow

__all__ = ["run_annotator_trials"]


def run_annotator_trials(
    trials: Mapping[str, Trial],
    array: Matrix,
    seed: int,
    percent: float = 100.0,
    config: AnnotatorConfig | None = None,
) -> tuple[dict[str, Outcome], AnnotatorProbe]:
    """Learn one head from a seeded `percent` of the training recordings of all parts; each part is its annotator's.

    Nothing is chosen but, where trials ask for it, smoothing windows: by a head that has not learned from the
    recordings they are chosen on. The head that predicts has learned from those too where they are training recordings
    and `percent` is 100.

    Parameters
    ----------
    trials : name of a part -> trial whose task has one annotator.

    Returns
    -------
    Name of the part -> outcome; and the head.

    Raises
    ------
    InputError
        If a part is not one annotator's, or the recordings cannot be learned from.
    """
    config, annotators = config or AnnotatorConfig(), _annotators(trials)
    fitted = {part: fraction_of(trial.split.fit, percent, seed) for part, trial in trials.items()}
    treatments = dict.fromkeys(trials, Treatment())
    if any(trial.smooth and trial.split.tune for trial in trials.values()):
        probe = _learned(trials, annotators, fitted, array, seed, config)[0]
        treatments = {part: _treatment(trial, probe, array) for part, trial in trials.items()}
    if percent >= 100:
        fitted = {part: list(trial.split.train) for part, trial in trials.items()}
    probe, frames = _learned(trials, annotators, fitted, array, seed, config)
    counts = frames.counts(len(annotators), len(probe.classes)).sum(dim=1)
    outcomes = {
        part: _outcome(trial, probe, array, treatments[part], int(count))
        for (part, trial), count in zip(trials.items(), counts, strict=True)
    }
    return outcomes, probe


def _annotators(trials: Mapping[str, Trial]) -> tuple[str, ...]:
    names = [trial.task.annotators for trial in trials.values()]
    if len(names) < 2 or any(len(one) != 1 for one in names):
        raise InputError(
            f"--mode annotators learns the styles of several annotators of one label stream; this task has the parts "
            f"{list(trials)}"
        )
    return tuple(chain.from_iterable(names))


def _learned(
    trials: Mapping[str, Trial],
    annotators: tuple[str, ...],
    fitted: Mapping[str, list[StoreRow]],
    array: Matrix,
    seed: int,
    config: AnnotatorConfig,
) -> tuple[AnnotatorProbe, AnnotatedFrames]:
    trial = next(iter(trials.values()))
    rows = list(chain.from_iterable(fitted.values()))
    frames = annotated_frames(trial.store, trial.task, array, rows, annotators, trial.stride, seed)
    return learn_annotators(frames, annotators, trial.task.classes, config, seed), frames


def _predicted(trial: Trial, probe: AnnotatorProbe, array: Matrix, rows: tuple[StoreRow, ...]) -> dict[str, np.ndarray]:
    (annotator,) = trial.task.annotators
    return {fit: probe.probabilities(array, rows, annotator, fit) for fit in FITS}


def _treatment(trial: Trial, probe: AnnotatorProbe, array: Matrix) -> Treatment:
    rows = trial.split.tune
    if not trial.smooth or not rows:
        return Treatment()
    return choose_treatment(trial.problem, rows, _predicted(trial, probe, array, rows), smooth=True)


def _outcome(
    trial: Trial, probe: AnnotatorProbe, array: Matrix, treatment: Treatment, num_train_frames: int
) -> Outcome:
    rows = trial.split.evaluate
    probability = _predicted(trial, probe, array, rows)
    treated = treatment.apply(probability, rows, trial.task.kind)
    return Outcome(probability, treated, {}, treatment.windows, {}, num_train_frames)
