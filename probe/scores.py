"""Scores of predictions: F1 and average precision of classes and macro averages, over seeds, with bootstrap intervals.

Scores pool the frames of all evaluated recordings per class. Macro averages are means over the foreground classes and,
for a task of several parts (annotators, behaviors), over the parts, per seed. Mean and population standard deviation
are over the seeds (Sun et al. 2021, arXiv:2104.02710, and the code behind its tables).

Confusion matrices and calibration bins count the frames of all seeds together, so that each frame counts once a seed.
Scores of bouts and Brier scores are those of `probe.bout_scores`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from probe.bout_scores import (
    BoutResults,
    ByClass,
    EvaluatedFrames,
    bout_results,
    bout_results_of_parts,
    seed_bout_scores,
)
from probe.experiment import BALANCED, DECISION, FITS, PLAIN, Experiment, Predictions, decide
from probe.tasks import MacroAverage
from ssl_behavior.metrics import (
    CalibrationBins,
    ClassScores,
    Interval,
    Summary,
    bootstrap_ap,
    bootstrap_f1,
    calibration_bins,
    class_scores,
    confusion_counts,
    interval,
    macro,
    mean_defined,
    resample_counts,
    summarize,
)
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.seeds import numpy_generator

__all__ = ["NUM_RESAMPLES", "SCORES", "MacroScores", "ResultRow", "score_parts", "score_row"]


NUM_RESAMPLES = 500

SCORES = ("f1", "ap", "precision", "recall", "f1_balanced")
"""Scores of every class and macro average: "f1_balanced" from the balanced fit, the others from the plain fit."""

BOOTSTRAPPED = ("ap", "f1", "f1_balanced")

Seeds = tuple[float | None, ...]
"""One score per seed; None = undefined."""


@dataclass(frozen=True)
class MacroScores:
    """Scores of a macro average over the seeds, with bootstrap intervals over recordings (of the mean over seeds).

    One recording has no interval.

    Parameters
    ----------
    precision, recall : means over the classes.
    by_seed : score name -> macro average of each seed.
    resampled : score name -> float64 [resample], for means over several rows; not part of the results.
    """

    name: str
    ap: Summary
    f1: Summary
    f1_balanced: Summary
    precision: Summary
    recall: Summary
    ap_interval: Interval | None
    f1_interval: Interval | None
    f1_balanced_interval: Interval | None
    by_seed: Mapping[str, Seeds]
    resampled: Mapping[str, np.ndarray] = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        values = asdict(replace(self, resampled={}))
        del values["resampled"]
        return values


@dataclass(frozen=True)
class ResultRow:
    """One row of a table.

    Parameters
    ----------
    smoothed, tuned : whether probabilities were smoothed over time, and decisions tuned.
    num_train_frames : annotated training frames per seed, summed over parts.
    classes : class -> score name (`SCORES`) -> summary over the seeds.
    by_seed : class -> score name -> score of each seed.
    support : class -> number of positive evaluated frames.
    undefined : classes without an average precision in some seed; macro averages leave them out.
    settings, windows, weights : chosen settings per seed, by fit and class; for several parts see `parts`.
    facts : facts about the training per seed.
    confusion : frames of each annotated class (row) predicted as each class (column) in the plain fit, in the order of
        `classes`; None = classes that do not exclude each other.
    calibration : class -> its probabilities in the plain fit, in bins; without classes that were never learned.
    bouts : scores of bouts, and Brier scores, of the plain fit.
    parts : part of the task -> its row; empty for a task of one part.
    """

    representation: str
    dim: int
    percent: float
    smoothed: bool
    tuned: bool
    num_train_frames: tuple[int, ...]
    classes: dict[str, dict[str, Summary]]
    by_seed: dict[str, dict[str, Seeds]]
    support: dict[str, int]
    macros: tuple[MacroScores, ...]
    undefined: tuple[str, ...]
    settings: tuple[Mapping[str, tuple[float, ...]], ...]
    windows: tuple[Mapping[str, tuple[float, ...]], ...]
    weights: tuple[tuple[float, ...], ...]
    facts: tuple[Mapping[str, Any], ...]
    confusion: tuple[tuple[int, ...], ...] | None = None
    calibration: Mapping[str, CalibrationBins] = field(default_factory=dict)
    bouts: BoutResults = field(default_factory=BoutResults)
    parts: Mapping[str, "ResultRow"] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the first macro is the headline."""
        values = asdict(replace(self, macros=(), parts={}, bouts=BoutResults()))
        values |= self.bouts.to_dict()
        values["macros"] = [macro.to_dict() for macro in self.macros]
        values["parts"] = {name: part.to_dict() for name, part in self.parts.items()}
        values["classes"] = {
            name: {**scores, "support": self.support[name]} for name, scores in values["classes"].items()
        }
        del values["support"]
        return values


@dataclass(frozen=True)
class _SeedScores:
    """Scores of one seed: per class, and [resample, class] for every bootstrap resample.

    Parameters
    ----------
    confusion : see `confusion_counts`; None where classes do not exclude each other.
    bins : float64 [class, 3, bin], see `calibration_bins`; 0 for a class that could not be learned.
    bouts : see `seed_bout_scores`.
    """

    plain: list[ClassScores]
    balanced: list[ClassScores]
    ap: np.ndarray
    f1: np.ndarray
    f1_balanced: np.ndarray
    confusion: np.ndarray | None
    bins: np.ndarray
    bouts: ByClass


def score_row(
    experiment: Experiment,
    macros: Sequence[MacroAverage],
    representation: str,
    dim: int,
    percent: float,
    seed_predictions: Sequence[Predictions],
    postprocessed: bool = False,
) -> ResultRow:
    """Scores of all seeds over the pooled annotated frames of all evaluated recordings.

    Parameters
    ----------
    macros : means to report; the first is the headline.
    postprocessed : score the probabilities after smoothing and tuning, if there are any.
    """
    evaluated = EvaluatedFrames.of(experiment)
    counts = resample_counts(len(evaluated.names), NUM_RESAMPLES, numpy_generator(0, "bootstrap"))
    seeds = [
        _score_seed(
            experiment, (postprocessed and predictions.postprocessed) or predictions.probability, evaluated, counts
        )
        for predictions in seed_predictions
    ]
    names = experiment.task.classes
    by_seed = {name: _class_seeds(seeds, index) for index, name in enumerate(names)}
    return ResultRow(
        representation=representation,
        dim=dim,
        percent=percent,
        smoothed=postprocessed and any(predictions.windows for predictions in seed_predictions),
        tuned=postprocessed and any(predictions.weights for predictions in seed_predictions),
        num_train_frames=tuple(predictions.num_train_frames for predictions in seed_predictions),
        classes={name: _summaries(scores) for name, scores in by_seed.items()},
        by_seed=by_seed,
        support={name: int((evaluated.target[:, index] == 1).sum()) for index, name in enumerate(names)},
        macros=tuple(
            _macro_scores(seeds, chosen, [names.index(name) for name in chosen.classes], len(evaluated.names))
            for chosen in macros
        ),
        undefined=tuple(n for i, n in enumerate(names) if any(seed.plain[i].ap is None for seed in seeds)),
        settings=tuple(predictions.settings for predictions in seed_predictions),
        windows=tuple(predictions.windows if postprocessed else {} for predictions in seed_predictions),
        weights=tuple(predictions.weights if postprocessed else () for predictions in seed_predictions),
        facts=tuple(predictions.facts for predictions in seed_predictions),
        confusion=_confusion([seed.confusion for seed in seeds]),
        calibration=_calibration(names, np.sum([seed.bins for seed in seeds], axis=0)),
        bouts=bout_results([seed.bouts for seed in seeds], macros, counts, evaluated.names),
    )


def _confusion(counts: Sequence[np.ndarray | None]) -> tuple[tuple[int, ...], ...] | None:
    """Sum of confusion matrices; None if there is none of any."""
    known = [one for one in counts if one is not None]
    return tuple(map(tuple, np.sum(known, axis=0).tolist())) if known and len(known) == len(counts) else None


def _calibration(names: Sequence[str], sums: np.ndarray) -> dict[str, CalibrationBins]:
    """Bins of every class with any frame, from float64 [class, 3, bin], see `calibration_bins`."""
    return {
        name: CalibrationBins(
            frames=tuple(frames.astype(int).tolist()),
            positive=tuple(positive.astype(int).tolist()),
            probability=tuple(total / count if count else None for total, count in zip(sum_, frames, strict=True)),
        )
        for name, (frames, positive, sum_) in zip(names, sums, strict=True)
        if frames.any()
    }


def score_parts(parts: Mapping[str, ResultRow]) -> ResultRow:
    """The row of a task from the rows of its parts: means over the parts, per seed.

    A macro average is the mean over the parts that report it, a class score the mean over the parts with that class
    (annotators share their classes, each behavior has its own). Undefined parts are left out of the means and named.
    Recordings are resampled within the parts. The row of a single part is the row of its task.

    Parameters
    ----------
    parts : part name -> row; all of one representation, with the same number of seeds.
    """
    rows = list(parts.values())
    if len(rows) == 1:
        return rows[0]
    first = rows[0]
    names = list(dict.fromkeys(name for row in rows for name in row.classes))
    of_class = {name: [row.by_seed[name] for row in rows if name in row.by_seed] for name in names}
    by_seed = {name: _mean_of_parts(scores) for name, scores in of_class.items()}
    macro_names = dict.fromkeys(one.name for row in rows for one in row.macros)
    return replace(
        first,
        dim=max(row.dim for row in rows),
        smoothed=any(row.smoothed for row in rows),
        tuned=any(row.tuned for row in rows),
        num_train_frames=tuple(sum(counts) for counts in zip(*(row.num_train_frames for row in rows), strict=True)),
        classes={name: _summaries(scores) for name, scores in by_seed.items()},
        by_seed=by_seed,
        support={name: sum(row.support.get(name, 0) for row in rows) for name in names},
        macros=tuple(
            _macro_of_parts([one for row in rows for one in row.macros if one.name == name]) for name in macro_names
        ),
        undefined=tuple(_named(part, name, row) for part, row in parts.items() for name in row.undefined),
        settings=(),
        windows=(),
        weights=(),
        facts=(),
        confusion=_confusion_of_parts(rows),
        calibration={name: _joined_bins([row.calibration[name] for row in rows if name in row.calibration])
                     for name in names if any(name in row.calibration for row in rows)},
        bouts=bout_results_of_parts([row.bouts for row in rows]),
        parts=dict(parts),
    )  # fmt: skip


def _confusion_of_parts(rows: Sequence[ResultRow]) -> tuple[tuple[int, ...], ...] | None:
    """Sum over parts with the same classes; None for other parts."""
    if len({tuple(row.classes) for row in rows}) > 1:
        return None
    return _confusion([None if row.confusion is None else np.array(row.confusion) for row in rows])


def _joined_bins(parts: Sequence[CalibrationBins]) -> CalibrationBins:
    """Bins of the frames of several parts."""
    frames, positive = (np.sum([getattr(one, name) for one in parts], axis=0) for name in ("frames", "positive"))
    totals = [[(p or 0.0) * n for p, n in zip(one.probability, one.frames, strict=True)] for one in parts]
    (joined,) = _calibration([""], np.stack([frames, positive, np.sum(totals, axis=0)])[None]).values()
    return joined


def _named(part: str, name: str, row: ResultRow) -> str:
    """A class of a part; the part of one behavior has the name of its class."""
    return name if tuple(row.classes) == (part,) else f"{part}: {name}"


def _mean_of_parts(parts: Sequence[Mapping[str, Seeds]]) -> dict[str, Seeds]:
    """Score name -> mean over the parts, per seed."""
    return {
        score: tuple(macro(values) for values in zip(*(part[score] for part in parts), strict=True)) for score in SCORES
    }


def _macro_of_parts(parts: Sequence[MacroScores]) -> MacroScores:
    resampled = {
        score: mean_defined(np.stack([part.resampled[score] for part in parts], axis=-1)) for score in BOOTSTRAPPED
    }
    several = all(part.ap_interval is not None for part in parts)
    return _macro_from(parts[0].name, _mean_of_parts([part.by_seed for part in parts]), resampled, several)


def _macro_from(
    name: str, by_seed: Mapping[str, Seeds], resampled: Mapping[str, np.ndarray], several_recordings: bool
) -> MacroScores:
    def between(score: str) -> Interval | None:
        return interval(resampled[score]) if several_recordings else None

    return MacroScores(
        name=name,
        **_summaries(by_seed),
        ap_interval=between("ap"),
        f1_interval=between("f1"),
        f1_balanced_interval=between("f1_balanced"),
        by_seed=by_seed,
        resampled=resampled,
    )


def _summaries(by_seed: Mapping[str, Seeds]) -> dict[str, Summary]:
    return {score: summarize(values) for score, values in by_seed.items()}


def _score_seed(
    experiment: Experiment,
    probability: Mapping[str, np.ndarray],
    evaluated: EvaluatedFrames,
    counts: np.ndarray,
) -> _SeedScores:
    target, recording = evaluated.target, evaluated.recording
    scores: dict[str, list[ClassScores]] = {fit: [] for fit in FITS}
    ap: list[np.ndarray] = []
    f1: dict[str, list[np.ndarray]] = {fit: [] for fit in FITS}
    predicted = {fit: decide(probability[fit], experiment.task.kind) for fit in FITS}
    if DECISION in probability:
        predicted[PLAIN] = decide(probability[DECISION], experiment.task.kind)
    for column in range(experiment.num_classes):
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
        plain=scores[PLAIN],
        balanced=scores[BALANCED],
        ap=np.stack(ap, 1),
        f1=np.stack(f1[PLAIN], 1),
        f1_balanced=np.stack(f1[BALANCED], 1),
        confusion=_seed_confusion(target, predicted[PLAIN], probability[PLAIN], experiment.task.kind),
        bins=np.stack([_seed_bins(target[:, n], probability[PLAIN][:, n]) for n in range(experiment.num_classes)]),
        bouts=seed_bout_scores(experiment, evaluated, probability[PLAIN], predicted[PLAIN]),
    )


def _seed_confusion(target: np.ndarray, predicted: np.ndarray, probability: np.ndarray, kind: str) -> np.ndarray | None:
    """Confusion matrix over annotated frames; None where classes do not exclude each other, 0 without predictions."""
    if kind != "multinomial":
        return None
    known = (target != NOT_ANNOTATED).all(axis=1) & np.isfinite(probability).any(axis=1)
    return confusion_counts(target[known] == 1, predicted[known])


def _seed_bins(target: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """`calibration_bins` of one class over annotated frames."""
    known = (target != NOT_ANNOTATED) & np.isfinite(probability)
    return calibration_bins(target[known] == 1, probability[known])


def _scores_of(seed: _SeedScores, index: int) -> dict[str, float | None]:
    """Scores of one class, by the names of `SCORES`."""
    plain = seed.plain[index]
    own = {"f1": plain.f1, "ap": plain.ap, "precision": plain.precision, "recall": plain.recall}
    return own | {"f1_balanced": seed.balanced[index].f1}


def _class_seeds(seeds: Sequence[_SeedScores], index: int) -> dict[str, Seeds]:
    return {score: tuple(_scores_of(seed, index)[score] for seed in seeds) for score in SCORES}


def _macro_scores(
    seeds: Sequence[_SeedScores], chosen: MacroAverage, columns: list[int], num_recordings: int
) -> MacroScores:
    by_seed = {
        score: tuple(macro([_scores_of(seed, index)[score] for index in columns]) for seed in seeds) for score in SCORES
    }
    resampled = {
        score: mean_defined(np.stack([mean_defined(getattr(seed, score)[:, columns]) for seed in seeds], axis=1))
        for score in BOOTSTRAPPED
    }
    return _macro_from(chosen.name, by_seed, resampled, num_recordings > 1)
