"""What `cluster`, `assign` and `quality` print."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from ssl_behavior.clusters.choosing import RULE, ChoiceConfig, NumberScores
from ssl_behavior.clusters.clustering import Clustering
from ssl_behavior.clusters.clustering import Progress as Told
from ssl_behavior.terminal import counted, tell

__all__ = ["choice_contents", "print_choice", "print_clusters", "stages"]

_MOST_ROWS = 30


@contextmanager
def stages(console: Console) -> Iterator[Told]:
    """A progress bar for each stage, from when it is first heard of."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.advance(tasks[what], done)

        yield told


def print_clusters(console: Console, clustering: Clustering) -> None:
    """Each cluster's share of the frames, its bouts, and in how many recordings it is; then all of them in a line."""
    frames, sizes = clustering.frames, clustering.sizes
    lengths: list[list[float]] = [[] for _ in sizes]
    for row in frames.rows:
        for start, stop, cluster in frames.bouts(row):
            lengths[cluster].append((stop - start) / row.fps)
    seen = (frames.shares() > 0).sum(axis=0)
    table = Table()
    for name in ("cluster", "share", "bouts", "median bout", "recordings"):
        table.add_column(name, justify="right")
    for cluster in range(min(len(sizes), _MOST_ROWS)):
        own = lengths[cluster]
        table.add_row(
            str(cluster), f"{sizes[cluster] / len(frames.labels):.1%}", f"{len(own):,}", _seconds(own),
            f"{seen[cluster]} of {len(frames.rows)}",
        )  # fmt: skip
    console.print(table)
    if len(sizes) > _MOST_ROWS:
        tell(console, f"and {len(sizes) - _MOST_ROWS} smaller ones")
    every = [length for own in lengths for length in own]
    nowhere = int(np.count_nonzero(frames.labels < 0))
    outside = f", {nowhere / len(frames.labels):.1%} of the frames in none" if nowhere else ""
    tell(console, f"{counted(len(sizes), 'cluster')} in {len(frames.labels):,} frames, {counted(len(every), 'bout')}, "
                  f"median {_seconds(every)}{outside}")  # fmt: skip


def _seconds(lengths: Sequence[float]) -> str:
    return f"{np.median(lengths):.2f} s" if lengths else "-"


def print_choice(console: Console, scores: Sequence[NumberScores], suggested: int | None) -> None:
    """The table of numbers of clusters."""
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
        tell(console, f"suggested: {suggested}, {RULE}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def choice_contents(scores: Sequence[NumberScores], suggested: int | None, choice: ChoiceConfig) -> dict[str, Any]:
    """What is kept of a choice, as JSON."""
    return {"rule": RULE, "suggested": suggested, "config": asdict(choice), "numbers": [asdict(one) for one in scores]}
