"""Scores over the number of labeled recordings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.plots.probe_contents import results_of
from ssl_behavior.plots.style import axes_for, legend_beside, legend_line, line_style, literal, styled, tidy
from ssl_behavior.terminal import quoted

__all__ = ["SCORE_NAMES", "draw_band", "few_label_curve"]

SCORE_NAMES = {"ap": "AP", "f1": "F1", "f1_balanced": "F1 balanced", "precision": "precision", "recall": "recall"}
"""Names of scores on axes."""
_WIDE = 8
"""Ratio of the most to the fewest recordings from which on the axis is logarithmic."""


@styled
def few_label_curve(
    results: Any,
    score: str = "f1",
    *,
    behavior: str | None = None,
    smoothed: bool = False,
    over: str = "auto",
    title: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw a score over the number of labeled recordings, a line for each representation.

    Bands are the standard deviation over the probe seeds, each of which draws its own recordings. An open marker is a
    mean over fewer classes, because some drawn recordings lack one; a dotted line leads there.

    Parameters
    ----------
    results : what `probe` returns for several `fractions`, its folder, or the contents of `results.json`; or a mapping
        name -> such results, to compare encoders.
    score : "f1", "ap", "f1_balanced", "precision" or "recall".
    behavior : a class; None = the first mean over classes.
    smoothed : scores of predictions smoothed over time.
    over : "recordings", "percent" of the labeled recordings, or "auto" = recordings where their number is known.
    ax : axes to draw on; None = a new figure.

    Returns
    -------
    The axes.

    Raises
    ------
    InputError
        If all scores are for one share of the labels, or a name is unknown.
    """
    if score not in SCORE_NAMES:
        raise InputError(f"`score` must be one of {quoted(list(SCORE_NAMES), len(SCORE_NAMES))}, got {score!r}")
    if over not in ("auto", "recordings", "percent"):
        raise InputError(f"`over` must be 'recordings', 'percent' or 'auto', got {over!r}")
    named = _several(results)
    counted = over != "percent" and all("parts" not in one["split"] for one in named.values())
    if over == "recordings" and not counted:
        raise InputError("parts of this task have different numbers of recordings: choose `over='percent'`")
    curves = _curves(named, score, behavior, smoothed, counted)
    ax = axes_for(ax, 8.4, 4.2)
    handles = [_draw_curve(ax, name, points, *line_style(place)) for place, (name, points) in enumerate(curves.items())]
    last = {name: points[-1][1] for name, points in curves.items()}
    handles.sort(key=lambda handle: -last[handle.get_gid()])
    if any(fewer for points in curves.values() for *_, fewer in points):
        handles.append(_open_marker())
    _finish(ax, sorted({x for points in curves.values() for x, *_ in points}), counted)
    mean = f"macro {SCORE_NAMES[score]}" if behavior is None else f"{SCORE_NAMES[score]} of {behavior}"
    ax.set_ylabel(literal(mean))
    ax.set_title(literal(_title(named) if title is None else title), loc="left")
    legend_beside(ax, handles)
    return ax


def _several(results: Any) -> dict[str, Mapping[str, Any]]:
    """Name -> results; a single one has no name."""
    if isinstance(results, Mapping) and "format" not in results:
        if not results:
            raise InputError("`results` is empty")
        return {str(name): results_of(one) for name, one in results.items()}
    return {"": results_of(results)}


def _title(named: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(str(one["task"]["name"]) for one in named.values()))


def _curves(
    named: Mapping[str, Mapping[str, Any]], score: str, behavior: str | None, smoothed: bool, counted: bool
) -> dict[str, list[tuple[float, float, float, bool]]]:
    """Line -> (x, mean, standard deviation, whether it is a mean over fewer classes) from few labels to many."""
    curves: dict[str, list[tuple[float, float, float, bool]]] = {}
    for title, results in named.items():
        for row in results["rows"]:
            if bool(row.get("smoothed")) != smoothed:
                continue
            summary = _summary(row, score, behavior)
            name = row["representation"] if not title else f"{title}: {row['representation']}"
            if summary["mean"] is not None:
                x = _recordings(results, row["percent"]) if counted else float(row["percent"])
                fewer = behavior is None and bool(row["undefined"])
                curves.setdefault(name, []).append((x, summary["mean"], summary["std"] or 0.0, fewer))
    if not any(len({x for x, *_ in points}) > 1 for points in curves.values()):
        raise InputError(
            "these results are for one share of the labels: run `probe` with several `fractions`, such as (5, 20, 100)"
        )
    return {name: sorted(points) for name, points in curves.items()}


def _summary(row: Mapping[str, Any], score: str, behavior: str | None) -> Mapping[str, Any]:
    if behavior is None:
        return dict(row["macros"][0][score])
    if behavior not in row["classes"]:
        raise InputError(f"`behavior` {behavior!r}: the task has the classes {quoted(list(row['classes']))}")
    return dict(row["classes"][behavior][score])


def _recordings(results: Mapping[str, Any], percent: float) -> float:
    """Number of the recordings that a share of the labels is, as the probe draws them."""
    return float(max(1, round(percent / 100 * len(results["split"]["train"]))))


def _draw_curve(ax: Any, name: str, points: Sequence[tuple[float, float, float, bool]], color: str, marker: str) -> Any:
    """Draw a line; returns its entry of the legend, with the name as `gid`."""
    x, mean, std, fewer = (np.array(values) for values in zip(*points, strict=True))
    if fewer.any():
        ax.plot(x, mean, color=color, linestyle=":", linewidth=1.0)
    draw_band(ax, x, mean, std, fewer.astype(bool), color, marker)
    return legend_line(name, color=color, marker=marker, gid=name)


def _open_marker() -> Any:
    """Entry of the legend about means over fewer classes."""
    style = {"color": "#666666", "linestyle": ":", "linewidth": 1.0, "marker": "o", "markerfacecolor": "white"}
    return legend_line("mean over fewer classes", **style)


def draw_band(
    ax: Any, x: np.ndarray, mean: np.ndarray, std: np.ndarray, fewer: np.ndarray, color: str, marker: str
) -> None:
    """Draw a line with a band of one standard deviation; points that are `fewer` (bool) have open markers and no line.

    Means over fewer classes are not comparable, so no line connects them.
    """
    whole = ~fewer
    ax.fill_between(x[whole], (mean - std)[whole], (mean + std)[whole], color=color, alpha=0.15, linewidth=0)
    ax.plot(x[whole], mean[whole], color=color, marker=marker, markersize=5.0, linewidth=1.6)
    if fewer.any():
        ax.plot(
            x[fewer], mean[fewer], color=color, marker=marker, markersize=5.0, markerfacecolor="white", linestyle=""
        )


def _finish(ax: Any, places: Sequence[float], counted: bool) -> None:
    if places[-1] / places[0] >= _WIDE:
        ax.set_xscale("log")
    ax.set_xticks(places, [f"{place:g}" for place in places])
    ax.minorticks_off()
    ax.set_xlabel("labeled recordings" if counted else "labeled recordings (%)")
    tidy(ax, "both")
