"""How much a system learns from few labels: its scores over numbers of labeled recordings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from probe.folds import positive_frames
from probe.scoring import ResultRow, score_row
from probe.systems.base import Problem, System
from probe.systems.crossfit import AfterConfig, run_system
from probe.tasks import Macro
from probe.trial import Outcome, Trial
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.splits import Split
from ssl_behavior.store import StoreRow

__all__ = ["Curve", "CurvePoint", "check_figure", "draw_curves", "label_counts", "label_curve", "nested_rows"]

Runner = Callable[[System, Problem, Split, int, AfterConfig], Outcome]
"""`run_system`, or `probe.predictions.remembered` with its folder given."""

_FORMATS = (".png", ".svg", ".pdf")
_SCORES = {"ap": "AP", "f1": "F1", "f1_balanced": "F1 balanced"}
_COLORS = ("#1b6ca8", "#d1495b", "#3a8a5d", "#8d6a9f", "#c98a1b", "#555555", "#5bb0c9", "#a0522d")


@dataclass(frozen=True)
class CurvePoint:
    """Results of learning from so many recordings.

    Parameters
    ----------
    positive : class -> frames that show it among those learned from, one number per seed.
    row : the scores over the seeds.
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
    """A system's points, from few recordings to all of them."""

    system: str
    after: AfterConfig
    points: tuple[CurvePoint, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "system": self.system, "after": asdict(self.after), "points": [point.to_dict() for point in self.points],
        }  # fmt: skip


def label_counts(num_recordings: int) -> tuple[int, ...]:
    """1, 2, 4, 8 ... and all of them.

    >>> label_counts(11), label_counts(4)
    ((1, 2, 4, 8, 11), (1, 2, 4))
    """
    powers = [2**power for power in range(num_recordings.bit_length()) if 2**power < num_recordings]
    return (*powers, num_recordings)


def nested_rows(rows: Sequence[StoreRow], count: int, seed: int) -> tuple[StoreRow, ...]:
    """`count` recordings drawn by `seed`, in the order of `rows`; fewer of one seed are among more of it."""
    chosen = numpy_generator(seed, "label curve").permutation(len(rows))[:count]
    return tuple(rows[index] for index in sorted(chosen))


def label_curve(
    system: System,
    problem: Problem,
    split: Split,
    macros: Sequence[Macro],
    seeds: Sequence[int],
    after: AfterConfig | None = None,
    counts: Sequence[int] | None = None,
    run: Runner = run_system,
    advance: Callable[[int], None] | None = None,
) -> Curve:
    """Scores over numbers of labeled recordings, of which each seed draws its own; nested within a seed.

    A class that no drawn recording shows is undefined for that seed, and said to be.

    Parameters
    ----------
    macros : means to report; the first is the headline.
    counts : numbers of recordings; 1, 2, 4, 8 ... and all by default.
    run : how an outcome is got.
    advance : told of every seed of every point.

    Raises
    ------
    InputError
        If a number is less than 1 or more than there are recordings to learn from.
    """
    after, rows = after or AfterConfig(), split.train
    counts = label_counts(len(rows)) if counts is None else sorted(set(counts))
    if not counts or counts[0] < 1 or counts[-1] > len(rows):
        raise InputError(
            f"numbers of labeled recordings are from 1 to {len(rows)}, as many as there are; got {list(counts)}"
        )
    points = []
    for count in counts:
        drawn = [nested_rows(rows, count, seed) for seed in seeds]
        outcomes = []
        for some, seed in zip(drawn, seeds, strict=True):
            outcomes.append(run(system, problem, _learning_from(split, some), seed, after))
            if advance is not None:
                advance(1)
        points.append(_point(system, problem, split, macros, drawn, outcomes, after))
    return Curve(system.name, after, tuple(points))


def _learning_from(split: Split, rows: tuple[StoreRow, ...]) -> Split:
    return replace(split, fit=rows, tune=(), tune_from_train=True)


def _point(
    system: System,
    problem: Problem,
    split: Split,
    macros: Sequence[Macro],
    drawn: Sequence[tuple[StoreRow, ...]],
    outcomes: Sequence[Outcome],
    after: AfterConfig,
) -> CurvePoint:
    trial = Trial(problem.store, problem.task, split, problem.steer)
    percent = 100 * len(drawn[0]) / len(split.train)
    row = score_row(trial, macros, system.name, 0, percent, outcomes, after.smooth or after.thresholds)
    shown = np.array([positive_frames(problem, some).sum(axis=0) for some in drawn])
    positive = {name: tuple(shown[:, column].tolist()) for column, name in enumerate(problem.task.classes)}
    return CurvePoint(len(drawn[0]), positive, row, macros[0].classes)


def check_figure(path: Path) -> None:
    """Refuse a figure that could not be drawn, before anything is learned for it.

    Raises
    ------
    InputError
        If the file's ending is not that of a picture, or matplotlib is not installed.
    """
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"--figure {path}: expected a file that ends in one of {list(_FORMATS)}")
    if find_spec("matplotlib") is None:
        raise InputError("--figure needs matplotlib: pip install 'ssl-behavior[plots]'")


def draw_curves(curves: Sequence[Curve], path: Path, title: str = "", scores: Sequence[str] = ("ap", "f1")) -> None:
    """Draw the first macro score of each system over labeled recordings (left) and over positive frames (right).

    One row of panels for each of `scores`; bars are the population standard deviation over seeds. An open circle is a
    mean over fewer classes: too few recordings to show them all in every seed.

    Parameters
    ----------
    path : ends in .png, .svg or .pdf.
    scores : of "ap", "f1", "f1_balanced".

    Raises
    ------
    InputError
        As `check_figure` does, or if there is nothing to draw or the file cannot be written.
    """
    check_figure(path)
    if not curves:
        raise InputError(f"--figure {path}: there is no curve to draw")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 0.8 + 3.0 * len(scores)), layout="constrained")
    panels = figure.subplots(len(scores), 2, squeeze=False, sharey="row")
    for row, score in zip(panels, scores, strict=True):
        for panel, over in zip(row, (_recordings, _positive_frames), strict=True):
            for number, curve in enumerate(curves):
                _draw(panel, curve, score, over, _COLORS[number % len(_COLORS)])
            panel.set_xscale("log", base=2 if over is _recordings else 10)
            panel.grid(alpha=0.25, linewidth=0.6)
        row[0].set_ylabel(f"macro {_SCORES[score]}")
    counts = sorted({point.num_recordings for curve in curves for point in curve.points})
    for panel in panels[:, 0]:
        panel.set_xticks(counts, [str(count) for count in counts])
    panels[-1, 0].set_xlabel("labeled recordings")
    panels[-1, 1].set_xlabel("positive frames per class (mean)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    figure.suptitle(title, fontsize=10)
    with atomic_file(path) as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=120)


def _recordings(point: CurvePoint) -> float:
    return float(point.num_recordings)


def _positive_frames(point: CurvePoint) -> float:
    """Mean over seeds and over the classes of the mean that is drawn."""
    return float(np.mean([point.positive[name] for name in point.headline]))


def _draw(panel: Any, curve: Curve, score: str, over: Callable[[CurvePoint], float], color: str) -> None:
    """Parameters: a matplotlib axis; what stands on the horizontal axis."""
    found = [(over(point), getattr(point.row.macros[0], score), point) for point in curve.points]
    defined = [(x, summary, point) for x, summary, point in found if summary.mean is not None and x > 0]
    # A mean over fewer classes is another mean: no line leads from it to the next.
    whole = [(x, summary) for x, summary, point in defined if not point.row.undefined]
    xs, means = [x for x, _ in whole], [summary.mean for _, summary in whole]
    spread = [summary.std for _, summary in whole]
    style = {"color": color, "marker": "o", "markersize": 4.5}
    panel.errorbar(xs, means, spread, linewidth=1.4, capsize=2, label=curve.system, **style)
    partial = [(x, summary.mean) for x, summary, point in defined if point.row.undefined]
    panel.plot([x for x, _ in partial], [y for _, y in partial], linestyle="", markerfacecolor="white", **style)
