"""Figures of profiles: every animal's share of every cluster, and how far groups are apart.

Colours are those of Okabe and Ito, told apart by colour-blind people too, and every group has a marker of its own.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.clusters.profiles import MEASURES, Comparison, Profiles

__all__ = ["draw_effects", "draw_shares"]

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_ROW_INCHES, _WIDTH_INCHES, _PANEL_INCHES = 0.32, 8.0, 3.6
_MOST_PAIRS = 6
_DPI = 150


def draw_shares(profiles: Profiles, path: Path) -> None:
    """A row per cluster, a point per animal, a bar at each group's mean; clusters whose shares differ are marked.

    Parameters
    ----------
    path : its ending (.png, .svg, .pdf) says the format.
    """
    figure, (axis,) = _figure(profiles, 1)
    names = profiles.groups.names
    offsets = _offsets(len(names))
    values = 100 * profiles.values["share"]
    groups = np.array([group for group, _ in profiles.cells])
    rows = np.arange(profiles.num_clusters)
    for place, name in enumerate(names):
        color, marker = _COLORS[place % len(_COLORS)], _MARKERS[place % len(_MARKERS)]
        own = values[groups == name]
        heights = rows + offsets[place]
        spread = np.linspace(-0.06, 0.06, len(own))[:, None]
        style = {"color": color, "alpha": 0.65, "linewidth": 0}
        axis.scatter(own.ravel(), (heights + spread).ravel(), s=14, marker=marker, label=_literal(name), **style)
        axis.vlines(own.mean(axis=0), heights - 0.12, heights + 0.12, color=color, linewidth=2)
    axis.set_xlabel("share of an animal's frames in %")
    axis.set_xlim(left=0)
    _finish(figure, [axis], profiles)
    figure.savefig(path, format=path.suffix[1:], dpi=_DPI)


def draw_effects(profiles: Profiles, path: Path) -> None:
    """A panel per measure, a row per cluster: difference of the groups' means and its 95 % interval; filled = found.

    Of more than six pairs of groups the first six are drawn.
    """
    figure, axes = _figure(profiles, len(MEASURES))
    pairs = list(combinations(profiles.groups.names, 2))[:_MOST_PAIRS]
    offsets = _offsets(len(pairs))
    for axis, (measure, words) in zip(axes, MEASURES.items(), strict=True):
        for place, (first, second) in enumerate(pairs):
            own = [
                one
                for one in profiles.comparisons
                if (one.measure, one.first, one.second) == (measure, first, second) and one.difference is not None
            ]
            _draw_pair(axis, own, place, offsets[place], 100.0 if measure == "share" else 1.0)
        axis.axvline(0, color="#888888", linewidth=0.8, zorder=0)
        axis.set_xlabel(words + (" (points of %)" if measure == "share" else ""), fontsize=9)
    _finish(figure, axes, profiles)
    figure.savefig(path, format=path.suffix[1:], dpi=_DPI)


def _draw_pair(axis: Any, own: Sequence[Comparison], place: int, offset: float, scale: float) -> None:
    """One pair of groups in one panel."""
    color, marker = _COLORS[place % len(_COLORS)], _MARKERS[place % len(_MARKERS)]
    label = _literal(f"{own[0].second} less {own[0].first}") if own else ""
    for one in own:
        assert one.difference is not None and one.low is not None and one.high is not None
        height = one.cluster + offset
        axis.hlines(height, scale * one.low, scale * one.high, color=color, linewidth=1.2)
        face = color if one.found else "white"
        axis.scatter(
            scale * one.difference, height, s=22, marker=marker, facecolor=face, edgecolor=color, zorder=3, label=label
        )
        label = ""


def _figure(profiles: Profiles, panels: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    across = max(1, len(profiles.groups.names) - 1)
    height = 1.6 + profiles.num_clusters * _ROW_INCHES * (1 + 0.25 * (across - 1))
    width = _WIDTH_INCHES if panels == 1 else _PANEL_INCHES * panels
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])


def _literal(text: str) -> str:
    """Names as they are: matplotlib takes what is between two dollars for a formula."""
    return text.replace("$", r"\$")


def _offsets(number: int) -> np.ndarray:
    """Where several things of one row lie, from above to below."""
    return np.linspace(-0.25, 0.25, number) if number > 1 else np.zeros(1)


def _finish(figure: Any, axes: Sequence[Any], profiles: Profiles) -> None:
    """Names of the rows, those of found clusters in bold with a star, and the legend."""
    level = profiles.config.level
    found = {one.cluster for one in profiles.comparisons if one.found and one.measure == "share"}
    axes[0].set_yticks(range(profiles.num_clusters))
    axes[0].set_yticklabels([f"{n} *" if n in found else f"{n}" for n in range(profiles.num_clusters)], fontsize=8)
    for number, label in enumerate(axes[0].get_yticklabels()):
        label.set_fontweight("bold" if number in found else "normal")
    axes[0].set_ylim(profiles.num_clusters - 0.5, -0.5)
    axes[0].set_ylabel("cluster")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_axisbelow(True)
        axis.grid(axis="x", color="#e5e5e5", linewidth=0.6)
        for row in range(1, profiles.num_clusters, 2):
            axis.axhspan(row - 0.5, row + 0.5, color="#f6f6f6", zorder=-1, linewidth=0)
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    if handles:
        figure.legend(
            list(handles.values()), list(handles), loc="outside upper right", ncols=min(len(handles), 4), fontsize=8
        )
    sizes = ", ".join(f"{name} {len(animals)}" for name, animals in profiles.groups.animals.items())
    title = f"{profiles.groups.factor}: {sizes} animals; * = share differs (false discovery rate {level:g})"
    figure.suptitle(_literal(title), fontsize=9, x=0.01, ha="left")
