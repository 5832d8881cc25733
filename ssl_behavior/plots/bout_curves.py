"""Scores of predicted bouts: F1 over the least overlap of a match, and errors of onsets and offsets."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.plots.probe_contents import chosen_classes, results_of, row_of, stored
from ssl_behavior.plots.style import (
    MARKERS,
    axes_for,
    class_colors,
    legend_beside,
    legend_line,
    literal,
    styled,
    tidy,
)

__all__ = ["bout_scores"]

_EDGES = ("onset", "offset")


@styled
def bout_scores(
    results: Any,
    representation: str | None = None,
    *,
    classes: str | Sequence[str] = (),
    percent: float = 100.0,
    smoothed: bool = False,
    title: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw how well a probe finds bouts: F1 of bouts, and errors of their onsets and offsets.

    Left: F1 over the least intersection over union (IoU) at which a predicted bout matches a true one. Right: median
    error of onset and offset of matched bouts; right of the line = too late. Bands and bars are 95 % bootstrap
    intervals over recordings.

    Parameters
    ----------
    results : what `probe` returns, its folder, or the contents of `results.json`.
    representation : its name in the results; None = the first, the trained encoder.
    classes : classes to draw; empty = all but the background.
    percent : share of the labeled recordings.
    smoothed : predictions smoothed over time.
    ax : axes to draw on; both parts share their place. None = a new figure.

    Returns
    -------
    The axes of the left part.

    Raises
    ------
    InputError
        If there is no such row or class, or the results are of an older version.
    """
    contents = results_of(results)
    row = row_of(contents, representation, percent, smoothed)
    bouts = stored(row, "bouts", "scores of bouts")
    names = chosen_classes(classes, bouts, "bouts")
    if not names:
        raise InputError(f"no class of {row['representation']!r} was learned, so there are no predicted bouts to draw")
    ax = axes_for(ax, 9.6, max(3.8, 1.0 + 0.5 * len(names)))
    shades = class_colors(bouts)
    handles = [
        _draw_f1(ax, name, bouts[name], shades[name], MARKERS[list(bouts).index(name) % len(MARKERS)]) for name in names
    ]
    ax.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="least IoU of a match", ylabel="F1 of bouts")
    ax.set_title(literal(row["representation"] if title is None else title), loc="left")
    tidy(ax, "both")
    beside = _axes_beside(ax)
    _draw_errors(beside, names, bouts, shades)
    legend_beside(beside, handles)
    return ax


def _axes_beside(ax: Any) -> Any:
    """New axes in the right half of the place of `ax`, which keeps the left half."""
    spec = ax.get_subplotspec()
    if spec is not None:
        left, right = spec.subgridspec(1, 2)
        ax.set_subplotspec(left)
        return ax.figure.add_subplot(right)
    whole = ax.get_position()
    ax.set_position([whole.x0, whole.y0, 0.42 * whole.width, whole.height])
    return ax.figure.add_axes([whole.x0 + 0.58 * whole.width, whole.y0, 0.42 * whole.width, whole.height])


def _thresholds(scores: Mapping[str, Any]) -> dict[float, Mapping[str, Any]]:
    """Least IoU -> F1, in ascending order."""
    return {int(name[3:]) / 100: scores[name] for name in sorted(scores) if name.startswith("f1_")}


def _draw_f1(ax: Any, name: str, scores: Mapping[str, Any], color: Any, marker: str) -> Any:
    """Draw the line of a class; returns its entry of the legend."""
    of = _thresholds(scores)
    x, values = np.array(list(of)), np.array([_number(one["mean"]) for one in of.values()])
    low, high = (np.array([_bound(one, side) for one in of.values()]) for side in ("low", "high"))
    ax.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    ax.plot(x, values, color=color, marker=marker, linewidth=1.6)
    return legend_line(name, color=color, marker=marker, linewidth=1.6)


def _draw_errors(ax: Any, names: Sequence[str], bouts: Mapping[str, Any], shades: Mapping[str, Any]) -> None:
    """Draw a line of the chart for onset and offset of every class, the first class on top."""
    ax.axvline(0, color="#888888", linewidth=1.0, linestyle="--")
    places = {(name, edge): 2.5 * number + one for number, name in enumerate(names) for one, edge in enumerate(_EDGES)}
    for (name, edge), place in places.items():
        score = bouts[name][edge]
        marker = MARKERS[list(bouts).index(name) % len(MARKERS)]
        ax.plot([_bound(score, "low"), _bound(score, "high")], [place, place], color=shades[name], linewidth=1.6)
        ax.plot([_number(score["mean"])], [place], color=shades[name], marker=marker, linestyle="")
    ax.set_yticks(list(places.values()), [edge for _, edge in places])
    ax.set_ylim(max(places.values()) + 0.8, -0.8)
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, -0.05), max(high, 0.05))
    ax.set_xlabel("predicted minus true (s)")
    tidy(ax, "x")


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _bound(score: Mapping[str, Any], side: str) -> float:
    """An end of the interval; NaN if there is none."""
    return float("nan") if score["interval"] is None else float(score["interval"][side])
