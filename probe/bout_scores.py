"""Scores of bouts and Brier scores of a row of results: over seeds, with bootstrap intervals, and of each recording.

Bouts are those of the decisions of the plain fit, after smoothing if there is any; see `ssl_behavior.bout_metrics`. The
background has no bouts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from probe.experiment import Experiment
from probe.representations import all_frames
from probe.tasks import MacroAverage, targets
from ssl_behavior.bout_metrics import BOUT_SCORES, bout_spans, compare_bouts, pooled_bout_scores
from ssl_behavior.metrics import (
    Interval,
    PooledScore,
    Summary,
    brier_score,
    interval,
    macro,
    mean_defined,
    summarize,
)
from ssl_behavior.recording import NOT_ANNOTATED

__all__ = [
    "BRIER",
    "RECORDING_SCORES",
    "BoutResults",
    "ByClass",
    "EvaluatedFrames",
    "SeedScore",
    "bout_results",
    "bout_results_of_parts",
    "seed_bout_scores",
]

BRIER = "brier"

RECORDING_SCORES = (
    BRIER, "f1_50", "onset_absolute", "offset_absolute", "fragments", "true_bouts", "predicted_bouts",
)  # fmt: skip
"""Scores that results hold for each recording."""

ByClass = Mapping[str, Mapping[str, PooledScore]]
"""Class -> score name -> score of one seed."""


@dataclass(frozen=True, eq=False)
class EvaluatedFrames:
    """Frames that are scored, one row after the other: recordings, or their pairs of animals.

    Parameters
    ----------
    target : int8 [frames, class], see `probe.tasks.targets`.
    recording : int64 [frames], number of the recording.
    lengths : frames of each row.
    fps : frame rate of each row, float64 [row].
    row_recording : number of each row's recording, int64 [row].
    names : ids of the recordings.
    """

    target: np.ndarray
    recording: np.ndarray
    lengths: tuple[int, ...]
    fps: np.ndarray
    row_recording: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, experiment: Experiment) -> "EvaluatedFrames":
        rows = all_frames(experiment.split.evaluate).rows
        names = {name: number for number, name in enumerate(dict.fromkeys(row.recording for row in rows))}
        row_recording = np.array([names[row.recording] for row in rows], np.int64)
        lengths = tuple(row.frames for row in rows)
        return cls(
            target=targets(experiment.store, experiment.task, rows),
            recording=np.repeat(row_recording, lengths),
            lengths=lengths,
            fps=np.array([row.fps for row in rows], np.float64),
            row_recording=row_recording,
            names=tuple(names),
        )


@dataclass(frozen=True)
class SeedScore:
    """A score over the seeds, with the bootstrap interval of its mean over recordings.

    Parameters
    ----------
    interval : None = undefined, or a single recording.
    by_seed : None = undefined.
    resampled : float64 [resample], for means over several scores; not part of the results.
    """

    summary: Summary
    interval: Interval | None
    by_seed: tuple[float | None, ...]
    resampled: np.ndarray = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        between = None if self.interval is None else asdict(self.interval)
        return asdict(self.summary) | {"interval": between, "by_seed": list(self.by_seed)}


@dataclass(frozen=True)
class BoutResults:
    """Scores of bouts, and Brier scores.

    Parameters
    ----------
    brier : class -> Brier score; without classes that were never learned.
    classes : class -> score name (`BOUT_SCORES`) -> score; without the background.
    macros : name of a mean over classes -> score name -> mean over its classes.
    recordings : class -> "recording" and names of `RECORDING_SCORES` -> values of each recording with annotated
        frames, means over seeds; None = undefined.
    """

    brier: Mapping[str, SeedScore] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, SeedScore]] = field(default_factory=dict)
    macros: Mapping[str, Mapping[str, SeedScore]] = field(default_factory=dict)
    recordings: Mapping[str, Mapping[str, list[Any]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "brier": {name: score.to_dict() for name, score in self.brier.items()},
            "bouts": _to_dicts(self.classes),
            "bout_macros": _to_dicts(self.macros),
            "recordings": {name: dict(columns) for name, columns in self.recordings.items()},
        }


def _to_dicts(groups: Mapping[str, Mapping[str, SeedScore]]) -> dict[str, dict[str, Any]]:
    return {name: {score: one.to_dict() for score, one in scores.items()} for name, scores in groups.items()}


def seed_bout_scores(
    experiment: Experiment, evaluated: EvaluatedFrames, probability: np.ndarray, predicted: np.ndarray
) -> dict[str, dict[str, PooledScore]]:
    """Scores of one seed by class: `BRIER`, and without the background also `BOUT_SCORES`; {} for a class not learned.

    Parameters
    ----------
    probability : float [frames, class], of the plain fit; NaN = not learned.
    predicted : bool [frames, class], the decisions.
    """
    scores: dict[str, dict[str, PooledScore]] = {}
    for column, name in enumerate(experiment.task.classes):
        known = evaluated.target[:, column] != NOT_ANNOTATED
        positive = evaluated.target[:, column] == 1
        scores[name] = {}
        if not np.isfinite(probability[known, column]).all():
            continue
        scores[name][BRIER] = brier_score(
            positive[known], probability[known, column], evaluated.recording[known], len(evaluated.names)
        )
        if name in experiment.task.foreground:
            true, claimed = (bout_spans(shown, known, evaluated.lengths) for shown in (positive, predicted[:, column]))
            comparison = compare_bouts(true, claimed)
            scores[name] |= pooled_bout_scores(comparison, evaluated.fps, evaluated.row_recording)
    return scores


def bout_results(
    seeds: Sequence[ByClass], macros: Sequence[MacroAverage], counts: np.ndarray, names: Sequence[str]
) -> BoutResults:
    """Summary of the scores of all seeds.

    Parameters
    ----------
    seeds : scores of each seed, see `seed_bout_scores`.
    macros : means over classes to report.
    counts : int [resample, recording] from `resample_counts`.
    names : ids of the recordings.
    """
    found: dict[str, dict[str, SeedScore]] = {}
    recordings: dict[str, dict[str, list[Any]]] = {}
    for name in seeds[0]:
        own = [seed[name] for seed in seeds]
        scores = [score for score in (BRIER, *BOUT_SCORES) if any(score in one for one in own)]
        found[name] = {score: _over_seeds([one.get(score) for one in own], counts) for score in scores}
        if scores:
            recordings[name] = _by_recording([one for one in own if one], names)
    bouts = {name: {n: s for n, s in scores.items() if n != BRIER} for name, scores in found.items() if len(scores) > 1}
    return BoutResults(
        brier={name: scores[BRIER] for name, scores in found.items() if scores},
        classes=bouts,
        macros={one.name: _means([bouts[name] for name in one.classes if name in bouts]) for one in macros},
        recordings=recordings,
    )


def _over_seeds(scores: Sequence[PooledScore | None], counts: np.ndarray) -> SeedScore:
    """One score over the seeds; None = not learned."""
    undefined = np.full(len(counts), np.nan)
    resampled = [undefined if one is None else one.resampled(counts) for one in scores]
    by_seed = tuple(None if one is None else one.value() for one in scores)
    return _seed_score(by_seed, mean_defined(np.stack(resampled, axis=1)), counts.shape[1] > 1)


def _seed_score(by_seed: tuple[float | None, ...], resampled: np.ndarray, several_recordings: bool) -> SeedScore:
    between = interval(resampled) if several_recordings else None
    return SeedScore(summarize(by_seed), between, by_seed, resampled)


def _by_recording(seeds: Sequence[Mapping[str, PooledScore]], names: Sequence[str]) -> dict[str, list[Any]]:
    """Means over the seeds for each recording with annotated frames, by the names of scores; ids as "recording"."""
    columns: dict[str, list[Any]] = {"recording": list(names)}
    for score in RECORDING_SCORES:
        if score in seeds[0]:
            means = mean_defined(np.stack([one[score].by_recording() for one in seeds], axis=1)).tolist()
            columns[score] = [None if np.isnan(one) else one for one in means]
    annotated = [place for place, value in enumerate(columns[BRIER]) if value is not None]
    return {name: [values[place] for place in annotated] for name, values in columns.items()}


def _means(groups: Sequence[Mapping[str, SeedScore]]) -> dict[str, SeedScore]:
    """Mean of each score over classes or parts, per seed; undefined ones are left out."""
    names = dict.fromkeys(name for one in groups for name in one)
    return {name: _mean([one[name] for one in groups if name in one]) for name in names}


def _mean(scores: Sequence[SeedScore]) -> SeedScore:
    by_seed = tuple(macro(values) for values in zip(*(one.by_seed for one in scores), strict=True))
    resampled = mean_defined(np.stack([one.resampled for one in scores], axis=1))
    return _seed_score(
        by_seed, resampled, all(one.interval is not None or not one.summary.num_defined for one in scores)
    )


def bout_results_of_parts(parts: Sequence[BoutResults]) -> BoutResults:
    """Means over the parts of a task, as `probe.scores.score_parts`; recordings are those of all parts."""
    macros = dict.fromkeys(name for part in parts for name in part.macros)
    classes = dict.fromkeys(name for part in parts for name in part.classes)
    return BoutResults(
        brier=_means([part.brier for part in parts]),
        classes={name: _means([part.classes[name] for part in parts if name in part.classes]) for name in classes},
        macros={name: _means([part.macros[name] for part in parts if name in part.macros]) for name in macros},
        recordings=_joined([part.recordings for part in parts]),
    )


def _joined(parts: Sequence[Mapping[str, Mapping[str, list[Any]]]]) -> dict[str, dict[str, list[Any]]]:
    """Columns of the same class, one part after the other."""
    joined: dict[str, dict[str, list[Any]]] = {}
    for part in parts:
        for name, columns in part.items():
            whole = joined.setdefault(name, {column: [] for column in columns})
            for column, values in columns.items():
                whole[column] += values
    return joined
