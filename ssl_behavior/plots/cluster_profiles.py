"""Profiles of clusters: what sets them apart, and their shares of known labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.plots.style import PALETTE, axes_for, literal, styled, tidy
from ssl_behavior.terminal import counted, listed, quoted

__all__ = ["cluster_profile"]

_GREATER, _LESSER = PALETTE[0], PALETTE[1]
_COLUMNS, _PANEL_WIDTH = 3, 4.4


@styled
def cluster_profile(
    cards: Any,
    cluster: int | None = None,
    *,
    content: str = "auto",
    most: int = 6,
    stream: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw what sets a cluster apart, or its shares of known labels; of all clusters in small panels.

    The title of a panel has the cluster's share of all frames, its number of bouts, and the quartiles of their lengths.

    Parameters
    ----------
    cards : of `ssl_behavior.describe`.
    cluster : number of a cluster; None = a panel for each.
    content : "programs" = differences from all frames, in standard deviations of a frame, with standard errors over
        bouts; "labels" = share of the cluster's annotated frames with each behavior, and a tick at the share of all
        annotated frames; "auto" = programs where they were measured, else labels.
    most : number of bars, the largest first.
    stream : label stream of "labels"; None = the first with annotations.
    ax : axes to draw one cluster on; None = a new figure.

    Returns
    -------
    The axes; for all clusters, an array of axes [cluster].

    Raises
    ------
    InputError
        If there is no such cluster or stream, or neither programs were measured nor frames annotated.
    """
    known = [card.cluster for card in cards.clusters]
    if cluster is not None and cluster not in known:
        raise InputError(f"`cluster` {cluster}: the clusters are {listed([str(one) for one in known]) or 'none'}")
    if content not in ("auto", "programs", "labels"):
        raise InputError(f"`content` must be 'programs', 'labels' or 'auto', got {content!r}")
    if cluster is None and ax is not None:
        raise InputError("`ax` holds one cluster: name it in `cluster`")
    if content == "auto":
        content = "programs" if stream is None and any(card.differences for card in cards.clusters) else "labels"
    streams = list(dict.fromkeys(one.stream for card in cards.clusters for one in card.labels))
    if content == "labels" and (not streams or (stream is not None and stream not in streams)):
        raise InputError(f"`stream` {stream!r}: the cards have the label streams {quoted(streams) or 'none'}")
    if content == "programs" and not any(card.differences for card in cards.clusters):
        raise InputError("the programs were not measured: choose `content='labels'`")
    stream = stream or next(iter(streams), None)
    if cluster is not None:
        return _panel(axes_for(ax, 5.4, 1.3 + 0.3 * most), cards.clusters[known.index(cluster)], content, most, stream)
    axes = _panels(len(known), most)
    for axis, card in zip(axes, cards.clusters, strict=True):
        _panel(axis, card, content, most, stream)
    _share_scale(axes)
    return axes


def _panels(number: int, most: int) -> np.ndarray:
    """Axes of small panels, [panel]."""
    from matplotlib import pyplot

    if not number:
        raise InputError("`cards` has no clusters to draw")
    columns = min(_COLUMNS, number)
    rows = -(-number // columns)
    size = (_PANEL_WIDTH * columns, (1.0 + 0.22 * most) * rows)
    _, axes = pyplot.subplots(rows, columns, squeeze=False, figsize=size, layout="constrained")
    for axis in axes.flat[number:]:
        axis.remove()
    return np.array(axes.flat[:number])


def _share_scale(axes: np.ndarray) -> None:
    """Give panels one scale, so that their bars can be compared, and one label of it."""
    low, high = min(axis.get_xlim()[0] for axis in axes), max(axis.get_xlim()[1] for axis in axes)
    axes[0].figure.supxlabel(axes[0].get_xlabel(), fontsize=10)
    for axis in axes:
        axis.set_xlim(low, high)
        axis.set_xlabel("")


def _panel(ax: Any, card: Any, content: str, most: int, stream: str | None) -> Any:
    if content == "programs":
        _draw_programs(ax, card.differences[:most])
    else:
        own = sorted((one for one in card.labels if one.stream == stream), key=lambda one: -one.both)[:most]
        # Panels have their behaviors in one order, the most frequent of all frames first.
        _draw_labels(ax, sorted(own, key=lambda one: (-one.of_behavior, one.behavior)), stream or "")
    ax.set_title(_heading(card), loc="left", fontsize=10)
    tidy(ax, "x")
    return ax


def _heading(card: Any) -> str:
    """Number and share of a cluster; in a second line its bouts, with the quartiles of their lengths."""
    words, bouts = f"cluster {card.cluster}: {card.share:.1%} of the frames", card.bouts
    if not bouts:
        return f"{words}\nno bouts"
    return f"{words}\n{counted(bouts.number, 'bout')} of {bouts.median:.1f} s ({bouts.lower:.1f}–{bouts.upper:.1f} s)"


def _draw_programs(ax: Any, differences: Sequence[Any]) -> None:
    """Bars of differences from all frames, with standard errors."""
    size = np.array([one.difference for one in differences])
    error = [0.0 if one.error is None else one.error for one in differences]
    colors = [_GREATER if value > 0 else _LESSER for value in size]
    style = {"ecolor": "#333333", "error_kw": {"elinewidth": 1.0}}
    ax.barh(range(len(size)), size, xerr=error, height=0.7, color=colors, **style)
    ax.axvline(0, color="#333333", linewidth=0.8)
    _name_bars(ax, [_measure_words(one) for one in differences])
    ax.set_xlabel("difference from all frames (SD)")


def _measure_words(measure: Any) -> str:
    """
    >>> from types import SimpleNamespace as Measure
    >>> _measure_words(Measure(program="facing_angle", of="resident", size=True))
    'facing angle, size (resident)'
    """
    words = measure.program.replace("_", " ") + (", size" if measure.size else "")
    return f"{words} ({measure.of})" if measure.of else words


def _draw_labels(ax: Any, labels: Sequence[Any], stream: str) -> None:
    """Bars of shares of behaviors, and a tick where the share of all frames is."""
    share = [one.both / one.of_cluster if one.of_cluster else 0.0 for one in labels]
    usual = [one.of_behavior / one.annotated if one.annotated else 0.0 for one in labels]
    colors = ["#BBBBBB" if one.background else _GREATER for one in labels]
    ax.barh(range(len(labels)), [100 * one for one in share], height=0.7, color=colors, linewidth=0)
    heights = np.arange(len(labels))
    ax.vlines([100 * one for one in usual], heights - 0.42, heights + 0.42, color="#000000", linewidth=1.8)
    ax.set_xlim(0, 100)
    _name_bars(ax, [one.behavior for one in labels])
    ax.set_xlabel(literal(f"{stream}: % of the annotated frames (line: in all clusters)"))


def _name_bars(ax: Any, names: Sequence[str]) -> None:
    ax.set_yticks(range(len(names)), [literal(name) for name in names])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(max(len(names), 1) - 0.5, -0.5)
