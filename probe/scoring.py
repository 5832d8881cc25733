"""From predictions to one row of results: scores per class, macro values, spread over seeds, bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from probe.representations import all_frames
from probe.tasks import Macro, targets
from probe.trial import BALANCED, DECISION, FITS, PLAIN, Outcome, Trial, decide
from ssl_behavior.metrics import (
    ClassScores,
    Interval,
    Summary,
    bootstrap_ap,
    bootstrap_f1,
    class_scores,
    interval,
    macro,
    resample_counts,
    summarize,
)
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.seeds import numpy_generator

__all__ = ["NUM_RESAMPLES", "MacroScores", "ResultRow", "score_row"]

NUM_RESAMPLES = 500


@dataclass(frozen=True)
class MacroScores:
    """A mean over classes: over the seeds, and its bootstrap interval over recordings (of the mean over seeds).

    One recording has no interval.
    """

    name: str
    ap: Summary
    f1: Summary
    f1_balanced: Summary
    ap_interval: Interval | None
    f1_interval: Interval | None
    f1_balanced_interval: Interval | None


@dataclass(frozen=True)
class ResultRow:
    """One line of the table.

    Parameters
    ----------
    classes : class -> score name ("f1", "ap", "precision", "recall", "f1_balanced") -> summary over the seeds.
    support : class -> positive frames among the evaluated ones.
    undefined : classes for which some seed could not give an average precision; macro values are means over the rest.
    settings, windows : per seed what was chosen, by fit and class.
    """

    representation: str
    dim: int
    percent: float
    smoothed: bool
    num_train_frames: tuple[int, ...]
    classes: dict[str, dict[str, Summary]]
    support: dict[str, int]
    macros: tuple[MacroScores, ...]
    undefined: tuple[str, ...]
    settings: tuple[Mapping[str, tuple[float, ...]], ...]
    windows: tuple[Mapping[str, tuple[float, ...]], ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the first macro is the headline."""
        values = asdict(self)
        values["classes"] = {
            name: {**scores, "support": self.support[name]} for name, scores in values["classes"].items()
        }
        del values["support"]
        return values


@dataclass(frozen=True)
class _SeedScores:
    """Scores of one seed: per class, and per class for every resample [resample, class]."""

    plain: list[ClassScores]
    balanced: list[ClassScores]
    ap: np.ndarray
    f1: np.ndarray
    f1_balanced: np.ndarray


def score_row(
    trial: Trial,
    macros: Sequence[Macro],
    representation: str,
    dim: int,
    percent: float,
    outcomes: Sequence[Outcome],
    smoothed: bool = False,
) -> ResultRow:
    """Scores of the outcomes of all seeds, over the annotated frames of all evaluated recordings pooled.

    Parameters
    ----------
    macros : means to report; the first is the headline.
    """
    frames = all_frames(trial.split.evaluate)
    target = targets(trial.store, trial.task, frames.rows)
    generator = numpy_generator(0, "bootstrap")
    counts = resample_counts(len(frames.rows), NUM_RESAMPLES, generator)
    seeds = [
        _score_seed(trial, outcome.smoothed if smoothed else outcome.probability, target, frames.recording, counts)
        for outcome in outcomes
    ]
    names = trial.task.classes
    return ResultRow(
        representation=representation,
        dim=dim,
        percent=percent,
        smoothed=smoothed,
        num_train_frames=tuple(outcome.num_train_frames for outcome in outcomes),
        classes={name: _class_summary(seeds, index) for index, name in enumerate(names)},
        support={name: int((target[:, index] == 1).sum()) for index, name in enumerate(names)},
        macros=tuple(
            _macro_scores(seeds, chosen, [names.index(name) for name in chosen.classes], len(frames.rows))
            for chosen in macros
        ),
        undefined=tuple(n for i, n in enumerate(names) if any(seed.plain[i].ap is None for seed in seeds)),
        settings=tuple(outcome.settings for outcome in outcomes),
        windows=tuple(outcome.windows if smoothed else {} for outcome in outcomes),
    )


def _score_seed(
    trial: Trial,
    probability: Mapping[str, np.ndarray],
    target: np.ndarray,
    recording: np.ndarray,
    counts: np.ndarray,
) -> _SeedScores:
    scores: dict[str, list[ClassScores]] = {fit: [] for fit in FITS}
    ap: list[np.ndarray] = []
    f1: dict[str, list[np.ndarray]] = {fit: [] for fit in FITS}
    predicted = {fit: decide(probability[fit], trial.task.kind) for fit in FITS}
    if DECISION in probability:
        predicted[PLAIN] = decide(probability[DECISION], trial.task.kind)
    for column in range(trial.num_classes):
        known = target[:, column] != NOT_ANNOTATED
        positive, of = target[known, column] == 1, recording[known]
        for fit in FITS:
            score, claim = probability[fit][known, column], predicted[fit][known, column]
            learned = bool(np.isfinite(score).all())
            scores[fit].append(class_scores(positive, score if learned else None, claim))
            undefined = np.full(len(counts), np.nan)
            f1[fit].append(bootstrap_f1(positive, claim, of, counts) if learned else undefined)
            if fit == PLAIN:
                ap.append(bootstrap_ap(positive, score, of, counts) if learned else undefined)
    return _SeedScores(
        scores[PLAIN], scores[BALANCED], np.stack(ap, 1), np.stack(f1[PLAIN], 1), np.stack(f1[BALANCED], 1)
    )


def _class_summary(seeds: Sequence[_SeedScores], index: int) -> dict[str, Summary]:
    summary = {
        name: summarize([getattr(seed.plain[index], name) for seed in seeds])
        for name in ("f1", "ap", "precision", "recall")
    }
    return summary | {"f1_balanced": summarize([seed.balanced[index].f1 for seed in seeds])}


def _macro_scores(seeds: Sequence[_SeedScores], chosen: Macro, columns: list[int], num_recordings: int) -> MacroScores:
    def over_seeds(fit: str, name: str) -> Summary:
        return summarize([macro([getattr(getattr(seed, fit)[i], name) for i in columns]) for seed in seeds])

    def bootstrapped(name: str) -> Interval | None:
        if num_recordings < 2:
            return None
        return interval(_mean_defined(np.stack([_mean_defined(getattr(s, name)[:, columns]) for s in seeds], axis=1)))

    return MacroScores(
        name=chosen.name,
        ap=over_seeds(PLAIN, "ap"),
        f1=over_seeds(PLAIN, "f1"),
        f1_balanced=over_seeds(BALANCED, "f1"),
        ap_interval=bootstrapped("ap"),
        f1_interval=bootstrapped("f1"),
        f1_balanced_interval=bootstrapped("f1_balanced"),
    )


def _mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaNs; NaN where all are."""
    defined = np.isfinite(values)
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
