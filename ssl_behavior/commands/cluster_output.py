"""Progress and tables of `cluster`, `assign` and `quality`, and the figure of `cluster --choose`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from ssl_behavior.clusters.clustering import Clustering
from ssl_behavior.clusters.clustering import Progress as StageProgress
from ssl_behavior.clusters.quality import RULE, ChoiceConfig, NumberScores
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, check_free
from ssl_behavior.terminal import counted, echo

__all__ = ["check_figure", "choice_contents", "draw_choice", "print_choice", "print_clusters", "stages"]

_MOST_ROWS = 30


@contextmanager
def stages(console: Console) -> Iterator[StageProgress]:
    """A progress bar for each stage, added when the stage begins."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.advance(tasks[stage], done)

        yield advance


def print_clusters(console: Console, clustering: Clustering) -> None:
    """Print a row per cluster (share of frames, bouts, recordings), then a line that sums them up."""
    frames, sizes = clustering.frames, clustering.sizes
    seconds = frames.table.seconds
    seen = (frames.shares() > 0).sum(axis=0)
    table = Table()
    for name in ("cluster", "share", "bouts", "median bout", "recordings"):
        table.add_column(name, justify="right")
    for cluster in range(min(len(sizes), _MOST_ROWS)):
        own = seconds[frames.table.label == cluster]
        table.add_row(
            str(cluster), f"{sizes[cluster] / len(frames.labels):.1%}", f"{len(own):,}", _median(own),
            f"{seen[cluster]} of {len(frames.rows)}",
        )  # fmt: skip
    console.print(table)
    if len(sizes) > _MOST_ROWS:
        echo(console, f"and {len(sizes) - _MOST_ROWS} smaller clusters")
    nowhere = int(np.count_nonzero(frames.labels < 0))
    outside = f", {nowhere / len(frames.labels):.1%} of the frames in none" if nowhere else ""
    bouts = f"{counted(len(seconds), 'bout')}, median {_median(seconds)}"
    echo(console, f"{counted(len(sizes), 'cluster')} in {len(frames.labels):,} frames, {bouts}{outside}")


def _median(seconds: np.ndarray) -> str:
    return f"{np.median(seconds):.2f} s" if len(seconds) else "-"


def print_choice(console: Console, scores: Sequence[NumberScores], suggested: int | None) -> None:
    """Print the scores of each number of clusters."""
    table = Table()
    for name in ("clusters", "stability (ARI)", "agreement (NMI)", "silhouette", "explained", "median bout", ""):
        table.add_column(name, justify="right")
    for one in scores:
        stability = "-" if one.stability is None else f"{one.stability:.3f} ± {one.stability_std:.3f}"
        table.add_row(
            str(one.clusters), stability, _number(one.agreement), _number(one.silhouette), f"{one.explained:.1%}",
            f"{one.bout_seconds:.2f} s", "suggested" if one.clusters == suggested else "",
        )  # fmt: skip
    console.print(table)
    if suggested is not None:
        echo(console, f"suggested: {suggested}, {RULE}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def choice_contents(scores: Sequence[NumberScores], suggested: int | None, choice: ChoiceConfig) -> dict[str, Any]:
    """Contents of `choice.json`."""
    return {"rule": RULE, "suggested": suggested, "config": asdict(choice), "numbers": [asdict(one) for one in scores]}


_FORMATS = (".png", ".svg", ".pdf")
_LINE, _MARK = "#1b4f72", "#b9770e"
_PANELS = {
    "stability": "stability: adjusted Rand index\nof two halves of the recordings",
    "silhouette": "silhouette: how far clusters\nare from each other",
    "explained": "explained variance",
    "bout_seconds": "median bout [s]",
}


def check_figure(path: Path) -> None:
    """Check that a figure can be drawn, before the measurements.

    Raises
    ------
    InputError
        If the file has no ending of a picture, is a folder or lies inside a file, or matplotlib is not installed.
    """
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"--figure {path}: expected a file that ends in one of {list(_FORMATS)}")
    check_free(path, True, argument="figure")
    if path.is_dir():
        raise InputError(f"--figure {path} is a folder: name a file to draw")
    if find_spec("matplotlib") is None:
        raise InputError("--figure needs matplotlib: pip install 'ssl-behavior[plots]'")


def draw_choice(scores: Sequence[NumberScores], suggested: int | None, path: Path) -> None:
    """Draw every measure against the number of clusters.

    Raises
    ------
    InputError
        If the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    for axis, (name, title) in zip(figure.subplots(2, 2, sharex=True).flat, _PANELS.items(), strict=True):
        _draw(axis, scores, name, suggested)
        axis.set_title(title, fontsize=10)
    figure.supxlabel("number of clusters", fontsize=10)
    if suggested is not None:
        figure.suptitle(f"suggested: {suggested} clusters", fontsize=11)
    with atomic_file(path, "figure") as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=130)


def _draw(axis: Any, scores: Sequence[NumberScores], name: str, suggested: int | None) -> None:
    known = [(one.clusters, getattr(one, name), one) for one in scores if getattr(one, name) is not None]
    numbers, values = [number for number, _, _ in known], [value for _, value, _ in known]
    spread = [one.stability_std for _, _, one in known] if name == "stability" else None
    axis.errorbar(numbers, values, yerr=spread, color=_LINE, marker="o", markersize=4, linewidth=1.4, capsize=3)
    if not known:
        axis.text(0.5, 0.5, "unknown: one recording", transform=axis.transAxes, ha="center", va="center")
    if suggested is not None:
        axis.axvline(suggested, color=_MARK, linewidth=1.2, linestyle="--")
    if name != "silhouette":
        axis.set_ylim(bottom=0)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
