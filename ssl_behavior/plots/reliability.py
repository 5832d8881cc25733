"""Reliability diagrams of predicted probabilities."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssl_behavior.plots.probe_contents import chosen_classes, results_of, row_of, stored
from ssl_behavior.plots.style import (
    BACKGROUND,
    MARKERS,
    axes_for,
    class_colors,
    legend_beside,
    legend_line,
    literal,
    styled,
    tidy,
)
from ssl_behavior.terminal import counted

__all__ = ["calibration", "expected_calibration_error"]

_SMALLEST, _LARGEST = 12.0, 110.0
"""Areas of the markers of bins with few and with many frames, in square points."""


@styled
def calibration(
    results: Any,
    representation: str | None = None,
    *,
    classes: str | Sequence[str] = (),
    percent: float = 100.0,
    smoothed: bool = False,
    title: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw a reliability diagram of a probe: how often a class is right where it has some probability.

    Each point is one of ten bins between 0 and 1: the mean probability and the share of frames with the class. Its area
    grows with the logarithm of the number of frames (of all probe seeds). The legend has the expected calibration error
    (ECE): the mean distance to the diagonal, weighted by frames. It also has the Brier score, the mean squared error of
    the probability, where the results hold it.

    Parameters
    ----------
    results : what `probe` returns, its folder, or the contents of `results.json`.
    representation : its name in the results; None = the first, the trained encoder.
    classes : classes to draw; empty = all.
    percent : share of the labeled recordings.
    smoothed : predictions smoothed over time.
    ax : axes to draw on; None = a new figure.

    Returns
    -------
    The axes.

    Raises
    ------
    InputError
        If there is no such row or class, or the results are of an older version.
    """
    contents = results_of(results)
    row = row_of(contents, representation, percent, smoothed)
    bins = stored(row, "calibration", "the calibration of probabilities")
    names = chosen_classes(classes, bins, "probabilities")
    ax = axes_for(ax, 6.6, 4.6)
    ax.plot([0, 1], [0, 1], color="#888888", linewidth=1.0, linestyle="--")
    shades = class_colors(bins, [contents["task"].get("background") or ""])
    most = max(max(bins[name]["frames"]) for name in names)
    entries = {name: _entry(name, row) for name in names}
    handles = [_draw_class(ax, entries[n], bins[n], shades[n], place, most) for place, n in enumerate(names)]
    ax.set(
        xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="predicted probability", ylabel="share of frames with the class"
    )
    frames = counted(sum(bins[names[0]]["frames"]), "frame")
    ax.set_title(literal(f"{row['representation']}, {frames} of all seeds" if title is None else title), loc="left")
    tidy(ax, "both")
    legend_beside(ax, handles)
    return ax


def _entry(name: str, row: Mapping[str, Any]) -> str:
    """Text of a class in the legend."""
    text = f"{name}, ECE {expected_calibration_error(row['calibration'][name]):.3f}"
    score = row.get("brier", {}).get(name, {"mean": None})["mean"]
    return text if score is None else f"{text}, Brier {score:.3f}"


def _draw_class(ax: Any, entry: str, bins: Mapping[str, Any], color: Any, place: int, most: int) -> Any:
    """Draw the bins of a class; returns its entry of the legend."""
    frames, share, probability = _bins(bins)
    seen = frames > 0
    color = "#8A8A8A" if color == BACKGROUND else color
    ax.plot(probability[seen], share[seen], color=color, linewidth=1.2, zorder=2)
    marker = MARKERS[place % len(MARKERS)]
    area = _SMALLEST + (_LARGEST - _SMALLEST) * np.log1p(frames[seen]) / np.log1p(most)
    ax.scatter(probability[seen], share[seen], s=area, color=color, marker=marker, alpha=0.8, linewidths=0, zorder=3)
    return legend_line(entry, color=color, marker=marker, linewidth=1.2)


def _bins(bins: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, share of positive frames and mean probability of each bin, float64 [bin]; NaN without frames."""
    frames, positive = np.array(bins["frames"], np.float64), np.array(bins["positive"], np.float64)
    share = np.where(frames > 0, positive / np.maximum(frames, 1), np.nan)
    return frames, share, np.array([np.nan if one is None else one for one in bins["probability"]])


def expected_calibration_error(bins: Mapping[str, Any]) -> float:
    """Mean distance between probability and share of positive frames over the bins of a class, weighted by frames.

    >>> expected_calibration_error({"frames": [3, 1], "positive": [0, 1], "probability": [0.2, 0.6]})
    0.25
    """
    frames, share, probability = _bins(bins)
    seen = frames > 0
    return round(float((frames * np.abs(share - probability))[seen].sum() / frames.sum()), 12)
