"""Label curves: scores of systems over the number of labeled recordings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from probe.calms21.systems.base import Problem, System
from probe.calms21.systems.system_runs import PostprocessingConfig, run_system
from probe.experiment import Experiment, Predictions
from probe.folds import positive_frames
from probe.scores import ResultRow, score_row
from probe.tasks import MacroAverage
from ssl_behavior.errors import InputError
from ssl_behavior.plots.label_curves import SCORE_NAMES, draw_band
from ssl_behavior.plots.style import check_figure, line_style, save_figure, styled, tidy
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.splits import Split
from ssl_behavior.store import StoreRow

__all__ = [
    "Curve",
    "CurvePoint",
    "covering_rows",
    "draw_curves",
    "draw_streams",
    "label_counts",
    "label_curve",
    "nested_rows",
]

Runner = Callable[[System, Problem, Split, int, PostprocessingConfig], Predictions]
"""`run_system`, or a partial of `probe.calms21.prediction_cache.cached_predictions`."""


@dataclass(frozen=True)
class CurvePoint:
    """Scores for one number of labeled recordings.

    Parameters
    ----------
    positive : class -> number of positive training frames per seed.
    row : scores over the seeds.
    headline : classes of the first mean.
    """

    num_recordings: int
    positive: Mapping[str, tuple[int, ...]]
    row: ResultRow
    headline: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        positive = {name: list(counts) for name, counts in self.positive.items()}
        return {"num_recordings": self.num_recordings, "positive": positive, "row": self.row.to_dict()}


@dataclass(frozen=True)
class Curve:
    """The points of a system, from few recordings to all."""

    system: str
    postprocessing: PostprocessingConfig
    points: tuple[CurvePoint, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "system": self.system,
            "after": asdict(self.postprocessing),
            "points": [point.to_dict() for point in self.points],
        }


def label_counts(num_recordings: int) -> tuple[int, ...]:
    """Powers of two below the number of recordings, and all recordings.

    >>> label_counts(11), label_counts(4)
    ((1, 2, 4, 8, 11), (1, 2, 4))
    """
    powers = [2**power for power in range(num_recordings.bit_length()) if 2**power < num_recordings]
    return (*powers, num_recordings)


def nested_rows(rows: Sequence[StoreRow], count: int, seed: int) -> tuple[StoreRow, ...]:
    """`count` recordings drawn by `seed`, in the order of `rows`; draws of one seed are nested."""
    chosen = numpy_generator(seed, "label curve").permutation(len(rows))[:count]
    return tuple(rows[index] for index in sorted(chosen))


def covering_rows(problem: Problem, rows: Sequence[StoreRow], count: int, seed: int) -> tuple[StoreRow, ...]:
    """As `nested_rows`, but recordings that cover the classes of `problem.selection` come first.

    Each draw takes the first recording in a seeded order with the most classes that are still missing; once all classes
    are covered, the first recording with any of them. Recordings without these classes come last.
    """
    columns = [problem.task.classes.index(name) for name in problem.selection.classes]
    shows = positive_frames(problem, rows)[:, columns] > 0
    left = list(numpy_generator(seed, "label curve").permutation(len(rows)))
    lacking, chosen = np.ones(len(columns), dtype=bool), []
    for _ in range(count):
        best = max(left, key=lambda index: ((shows[index] & lacking).sum(), shows[index].any()))
        left.remove(best)
        lacking &= ~shows[best]
        chosen.append(best)
    return tuple(rows[index] for index in sorted(chosen))


def label_curve(
    system: System,
    problem: Problem,
    split: Split,
    macros: Sequence[MacroAverage],
    seeds: Sequence[int],
    postprocessing: PostprocessingConfig | None = None,
    counts: Sequence[int] | None = None,
    run: Runner = run_system,
    advance: Callable[[int], None] | None = None,
    covering: bool = False,
) -> Curve:
    """Scores over numbers of labeled recordings; each seed draws its own nested sets of recordings.

    A class that is absent from the drawn recordings is undefined for that seed, and named.

    Parameters
    ----------
    macros : means to report; the first is the headline.
    counts : numbers of recordings; 1, 2, 4, 8 ... and all by default.
    run : function that gives the predictions.
    advance : called with 1 after every seed of every point.
    covering : draw with `covering_rows`; False = with `nested_rows`.

    Raises
    ------
    InputError
        If a number is below 1 or above the number of training recordings.
    """
    postprocessing, rows = postprocessing or PostprocessingConfig(), split.train
    counts = label_counts(len(rows)) if counts is None else sorted(set(counts))
    if not counts or counts[0] < 1 or counts[-1] > len(rows):
        raise InputError(
            f"numbers of labeled recordings are from 1 to {len(rows)}, the number of recordings; got {list(counts)}"
        )
    points = []
    for count in counts:
        if covering:
            drawn = [covering_rows(problem, rows, count, seed) for seed in seeds]
        else:
            drawn = [nested_rows(rows, count, seed) for seed in seeds]
        seed_predictions = []
        for some, seed in zip(drawn, seeds, strict=True):
            seed_predictions.append(run(system, problem, _learning_from(split, some), seed, postprocessing))
            if advance is not None:
                advance(1)
        points.append(_point(system, problem, split, macros, drawn, seed_predictions, postprocessing))
    return Curve(system.name, postprocessing, tuple(points))


def _learning_from(split: Split, rows: tuple[StoreRow, ...]) -> Split:
    return replace(split, fit=rows, tune=(), tune_from_train=True)


def _point(
    system: System,
    problem: Problem,
    split: Split,
    macros: Sequence[MacroAverage],
    drawn: Sequence[tuple[StoreRow, ...]],
    seed_predictions: Sequence[Predictions],
    postprocessing: PostprocessingConfig,
) -> CurvePoint:
    experiment = Experiment(problem.store, problem.task, split, problem.selection)
    percent = 100 * len(drawn[0]) / len(split.train)
    row = score_row(
        experiment,
        macros,
        system.name,
        0,
        percent,
        seed_predictions,
        postprocessing.smooth or postprocessing.thresholds,
    )
    counts = np.array([positive_frames(problem, some).sum(axis=0) for some in drawn])
    positive = {name: tuple(counts[:, column].tolist()) for column, name in enumerate(problem.task.classes)}
    return CurvePoint(len(drawn[0]), positive, row, macros[0].classes)


@styled
def draw_curves(curves: Sequence[Curve], path: Path, title: str = "", scores: Sequence[str] = ("ap", "f1")) -> None:
    """Draw the first macro score of each system over labeled recordings (left) and over positive frames (right).

    One row of panels for each of `scores`; bars are the population standard deviation over seeds. Open circles are
    means over fewer classes, because the recordings of some seed do not show them all.

    Parameters
    ----------
    path : ends in .png, .svg or .pdf.
    scores : of "ap", "f1", "f1_balanced".

    Raises
    ------
    InputError
        As `check_figure`, or if there is no curve or the file cannot be written.
    """
    check_figure(path)
    if not curves:
        raise InputError(f"{path}: there is no curve to draw")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 0.8 + 3.0 * len(scores)), layout="constrained")
    panels = figure.subplots(len(scores), 2, squeeze=False, sharey="row")
    for row, score in zip(panels, scores, strict=True):
        for panel, over in zip(row, (_recordings, _positive_frames), strict=True):
            for number, curve in enumerate(curves):
                _draw(panel, curve, score, over, line_style(number)[0])
            panel.set_xscale("log", base=2 if over is _recordings else 10)
            tidy(panel, "both")
        row[0].set_ylabel(f"macro {SCORE_NAMES[score]}")
    counts = sorted({point.num_recordings for curve in curves for point in curve.points})
    for panel in panels[:, 0]:
        panel.set_xticks(counts, [str(count) for count in counts])
    panels[-1, 0].set_xlabel("labeled recordings")
    panels[-1, 1].set_xlabel("positive frames per class (mean)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


@styled
def draw_streams(panels: Mapping[str, Sequence[Curve]], path: Path, title: str = "", score: str = "ap") -> None:
    """Draw one panel for each label stream: the first macro score of each system over labeled recordings.

    Bands are the population standard deviation over the draws; a name stands at the end of each line. Open circles are
    means over fewer classes, as in `draw_curves`. Colors are the color-blind safe ones of Okabe and Ito.

    Parameters
    ----------
    panels : stream -> its curves; a system has the same color in all of them.
    path : ends in .png, .svg or .pdf.
    score : "ap", "f1" or "f1_balanced".

    Raises
    ------
    InputError
        As `draw_curves`.
    """
    check_figure(path)
    names = list(dict.fromkeys(curve.system for curves in panels.values() for curve in curves))
    if not names:
        raise InputError(f"{path}: there is no curve to draw")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.0 + 5.2 * len(panels), 4.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (stream, curves) in zip(axes, panels.items(), strict=True):
        ends = [_draw_band(axis, curve, score, *line_style(names.index(curve.system))) for curve in curves]
        counts = sorted({point.num_recordings for curve in curves for point in curve.points})
        axis.set_xscale("log", base=2)
        axis.set_xticks(counts, [str(count) for count in counts])
        axis.minorticks_off()
        axis.set_xlim(counts[0] / 1.15, counts[-1] * max(2.0, (counts[-1] / counts[0]) ** 0.55))
        axis.set(title=stream, xlabel="labeled recordings", ylabel=f"macro {SCORE_NAMES[score]}")
        tidy(axis, "both")
        _name_lines(axis, [end for end in ends if end is not None])
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)


def _draw_band(axis: Any, curve: Curve, score: str, color: str, marker: str) -> tuple[str, str, float, float] | None:
    """Draw a line with its band; name, color and position of its end, or None without defined points."""
    found = [(float(point.num_recordings), getattr(point.row.macros[0], score), point) for point in curve.points]
    defined = [(x, summary.mean, summary.std, bool(point.row.undefined)) for x, summary, point in found
               if summary.mean is not None]  # fmt: skip
    if not defined:
        return None
    x, mean, std, fewer = (np.array(values) for values in zip(*defined, strict=True))
    draw_band(axis, x, mean, std, fewer.astype(bool), color, marker)
    return curve.system, color, defined[-1][0], defined[-1][1]


def _name_lines(axis: Any, ends: Sequence[tuple[str, str, float, float]]) -> None:
    """Write each name at the end of its line, without overlaps."""
    low, high = axis.get_ylim()
    step, place = 0.055 * (high - low), -np.inf
    for name, color, x, y in sorted(ends, key=lambda end: end[3]):
        place = max(y, place + step)
        axis.annotate(name, (x, y), (x * 1.12, place), color=color, fontsize=8, va="center", annotation_clip=False)
    axis.set_ylim(low, max(high, place + step))


def _recordings(point: CurvePoint) -> float:
    return float(point.num_recordings)


def _positive_frames(point: CurvePoint) -> float:
    """Mean over seeds and over the classes of the drawn mean."""
    return float(np.mean([point.positive[name] for name in point.headline]))


def _draw(panel: Any, curve: Curve, score: str, over: Callable[[CurvePoint], float], color: str) -> None:
    """Draw a curve with error bars on a matplotlib axis; `over` gives the horizontal coordinate."""
    found = [(over(point), getattr(point.row.macros[0], score), point) for point in curve.points]
    defined = [(x, summary, point) for x, summary, point in found if summary.mean is not None and x > 0]
    # Means over fewer classes are not comparable, so no line connects them.
    whole = [(x, summary) for x, summary, point in defined if not point.row.undefined]
    xs, means = [x for x, _ in whole], [summary.mean for _, summary in whole]
    spread = [summary.std for _, summary in whole]
    style = {"color": color, "marker": "o", "markersize": 4.5}
    panel.errorbar(xs, means, spread, linewidth=1.4, capsize=2, label=curve.system, **style)
    partial = [(x, summary.mean) for x, summary, point in defined if point.row.undefined]
    panel.plot([x for x, _ in partial], [y for _, y in partial], linestyle="", markerfacecolor="white", **style)
