"""Plots over time: ethograms, and bouts found by a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from ssl_behavior.bouts import Bout, runs
from ssl_behavior.errors import InputError
from ssl_behavior.plots.style import (
    BACKGROUND,
    axes_for,
    class_colors,
    legend_beside,
    legend_inches,
    literal,
    styled,
    tidy,
    values_map,
)
from ssl_behavior.recording import Labels
from ssl_behavior.terminal import listed

__all__ = ["ethogram", "search_hits"]

_BAR = 0.8
"""Height of a row's bars, of 1."""
_UNITS = {"s": ("time (s)", 1.0), "min": ("time (min)", 60.0), "h": ("time (h)", 3600.0)}
_MOST_SECONDS, _MOST_MINUTES = 300.0, 300.0
"""Longest recordings whose time is in seconds, and in minutes."""


@dataclass(frozen=True)
class _Stream:
    """Bouts of one stream: class -> (start, stop) in frames; `names` are all classes, `length` is in frames."""

    title: str
    names: tuple[str, ...]
    bouts: Mapping[str, Sequence[tuple[int, int]]]
    background: str
    length: int


@styled
def ethogram(
    streams: Any,
    names: Sequence[str] | None = None,
    *,
    fps: float | None = None,
    background: str | None = None,
    rows: str = "streams",
    frames: tuple[int, int] | None = None,
    time: str = "auto",
    colors: Mapping[str, Any] | None = None,
    title: str = "",
    ax: Any = None,
) -> Any:
    """Draw behaviors or clusters over time, one stream above the other. The background is gray; frames without a label
    are white.

    Parameters
    ----------
    streams : one stream, or title -> stream. A stream is `Labels`, whole numbers [time] (-1 = no label), a list of
        `Bout`, or a list of (start, stop, name) in frames, `stop` not included.
    names : classes of streams of whole numbers; None = the numbers themselves.
    fps : frames per second; None = time is in frames.
    background : class drawn in gray; None = that of `Labels`.
    rows : "streams" = a row for each stream, classes have colors and a legend; "classes" = a row for each class of
        each stream but the background.
    frames : first frame and stop of the part to draw; None = everything.
    time : unit of time, "s", "min", "h", "frames", or "auto".
    colors : class -> color; None = `ssl_behavior.plots.style.PALETTE`.
    ax : axes to draw on; None = a new figure.

    Returns
    -------
    The axes.

    Raises
    ------
    InputError
        If there is no stream, a stream is none of the above, or another argument is no possible one.
    """
    drawn = [_stream(one, stream, names, background) for one, stream in _named(streams)]
    if rows not in ("streams", "classes"):
        raise InputError(f"`rows` must be 'streams' or 'classes', got {rows!r}")
    span = _span(frames, max(stream.length for stream in drawn))
    words, scale = _time_axis(time, fps, span[1] - span[0])
    found = [name for stream in drawn for name in stream.names]
    shades = class_colors(found, [stream.background for stream in drawn], colors)
    lines = _lines(drawn, rows)
    entries = _shown_classes(drawn, shades, span) if rows == "streams" else []
    height = (0.24 if rows == "classes" else 0.5) * max(2, len(lines))
    ax = axes_for(ax, 9.0, 0.8 + max(height, legend_inches(len(entries))))
    for place, (stream, name) in enumerate(lines):
        _draw_line(ax, stream, stream.names if name is None else (name,), shades, span, scale, place)
    _name_lines(ax, lines, len(drawn) > 1)
    ax.set_xlim(span[0] * scale, max(span[1], span[0] + 1) * scale)
    ax.set_xlabel(words)
    ax.set_title(literal(title), loc="left")
    tidy(ax, "y" if rows == "classes" else "")
    ax.spines["left"].set_visible(False)
    _legend(ax, entries, shades)
    return ax


def _named(streams: Any) -> list[tuple[str, Any]]:
    """(title, stream) of all streams; a single stream has no title."""
    found = list(streams.items()) if isinstance(streams, Mapping) else [("", streams)]
    if not found:
        raise InputError("`streams` is empty; expected a stream, or title -> stream")
    return [(str(title), stream) for title, stream in found]


def _stream(title: str, stream: Any, names: Sequence[str] | None, background: str | None) -> _Stream:
    """A stream of any kind as bouts."""
    if isinstance(stream, Labels):
        stream, names, own = stream.frames, stream.vocabulary, stream.background
    else:
        own = ""
    background = own if background is None else background
    values: Any = list(stream) if isinstance(stream, Sequence) else stream
    if isinstance(stream, str) or not isinstance(values, list | np.ndarray):
        raise InputError(f"`streams`: {title or 'the stream'} must be labels or bouts, got {type(stream).__name__}")
    if len(values) and isinstance(values[0], Bout | tuple):
        return _of_bouts(title, list(values), background)
    return _of_frames(title, np.asarray(values), names, background)


def _of_frames(title: str, frames: np.ndarray, names: Sequence[str] | None, background: str) -> _Stream:
    if frames.ndim != 1 or (frames.size and frames.dtype.kind not in "iu"):
        raise InputError(
            f"`streams`: {title or 'the stream'} must hold whole numbers [time] or bouts (start, stop, name), got "
            f"{frames.dtype} {list(frames.shape)}"
        )
    most = int(frames.max(initial=-1)) + 1
    if names is None:
        names = [str(number) for number in range(most)]
    elif most > len(names):
        raise InputError(f"`names` has {len(names)} classes, but {title or 'the stream'} has the label {most - 1}")
    bouts: dict[str, list[tuple[int, int]]] = {}
    for start, stop, label in runs(frames):
        if label >= 0:
            bouts.setdefault(str(names[label]), []).append((start, stop))
    return _Stream(title, tuple(map(str, names)), bouts, background, len(frames))


def _of_bouts(title: str, values: Sequence[Any], background: str) -> _Stream:
    bouts: dict[str, list[tuple[int, int]]] = {}
    for one in values:
        given = (one.start, one.stop, one.behavior) if isinstance(one, Bout) else one
        if not (isinstance(given, tuple) and len(given) == 3 and 0 <= given[0] < given[1]):
            raise InputError(f"`streams`: {title or 'the stream'} has the bout {given!r}; expected (start, stop, name)")
        bouts.setdefault(str(given[2]), []).append((int(given[0]), int(given[1])))
    last = max(stop for own in bouts.values() for _, stop in own)
    return _Stream(title, tuple(bouts), bouts, background, last)


def _span(frames: tuple[int, int] | None, length: int) -> tuple[int, int]:
    first, stop = frames or (0, length)
    if frames is not None and not 0 <= first < stop:
        raise InputError(f"`frames` must be a first frame and a later stop, got {frames}")
    return first, stop


def _time_axis(time: str, fps: float | None, length: int) -> tuple[str, float]:
    """Label of the time axis, and the length of a frame in its unit."""
    if time not in (*_UNITS, "auto", "frames"):
        raise InputError(f"`time` must be one of {listed([*_UNITS, 'frames', 'auto'])}, got {time!r}")
    if time == "frames" or (fps is None and time == "auto"):
        return "frame", 1.0
    if fps is None or not fps > 0:
        raise InputError(f"`fps` must be a number above 0 for a time in {time}, got {fps}")
    if time == "auto":
        seconds = length / fps
        time = "s" if seconds <= _MOST_SECONDS else "min" if seconds <= 60 * _MOST_MINUTES else "h"
    words, seconds_of_unit = _UNITS[time]
    return words, 1 / (fps * seconds_of_unit)


def _lines(streams: Sequence[_Stream], rows: str) -> list[tuple[_Stream, str | None]]:
    """Rows of the plot from top to bottom: a stream, and its class or None for all."""
    if rows == "streams":
        return [(stream, None) for stream in streams]
    lines = [(stream, name) for stream in streams for name in stream.names if name != stream.background]
    # Without a class but the background, there are no other rows.
    return [*lines] or _lines(streams, "streams")


def _draw_line(
    ax: Any,
    stream: _Stream,
    names: Sequence[str],
    shades: Mapping[str, Any],
    span: tuple[int, int],
    scale: float,
    height: int,
) -> None:
    """Bars of some classes of a stream, in one row."""
    for name in names:
        bars = _clipped(stream.bouts.get(name, ()), span)
        if bars:
            spans = [(start * scale, (stop - start) * scale) for start, stop in bars]
            label = f"{stream.title}: {name}" if stream.title else name
            ax.broken_barh(spans, (height - _BAR / 2, _BAR), facecolors=shades[name], linewidth=0, label=label)


def _clipped(bouts: Sequence[tuple[int, int]], span: tuple[int, int]) -> list[tuple[int, int]]:
    inside = [(max(start, span[0]), min(stop, span[1])) for start, stop in bouts]
    return [(start, stop) for start, stop in inside if start < stop]


def _name_lines(ax: Any, lines: Sequence[tuple[_Stream, str | None]], several: bool) -> None:
    """Names of the rows; of several streams with a row per class, a line between the streams."""
    classes = [name for _, name in lines]
    words = [
        stream.title if name is None
        # Numbers, and names in several streams, say nothing without the stream.
        else f"{stream.title}: {name}" if several and (name.isdigit() or classes.count(name) > 1)
        else name
        for stream, name in lines
    ]  # fmt: skip
    ax.set_yticks(range(len(lines)), [literal(word) for word in words])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(lines) - 0.5, -0.5)
    last = 0
    for _, own in groupby(lines, key=lambda line: id(line[0])):
        if last and any(name is not None for _, name in lines):
            ax.axhline(last - 0.5, color="#999999", linewidth=0.8)
        last += len(list(own))


def _shown_classes(streams: Sequence[_Stream], shades: Mapping[str, Any], span: tuple[int, int]) -> list[str]:
    """Classes that are drawn, the background last."""
    seen = {name for stream in streams for name, own in stream.bouts.items() if _clipped(own, span)}
    gray = {stream.background for stream in streams}
    return sorted((name for name in shades if name in seen), key=lambda name: name in gray)


def _legend(ax: Any, names: Sequence[str], shades: Mapping[str, Any]) -> None:
    """One entry for each class."""
    from matplotlib.patches import Patch

    legend_beside(ax, [Patch(facecolor=shades[name], label=literal(name)) for name in names])


@styled
def search_hits(neighbors: Any, *, title: str = "", ax: Any = None) -> Any:
    """Draw the bouts that a search found along the time of their recordings; color is the distance to the example.

    Parameters
    ----------
    neighbors : of `ssl_behavior.neighbors`.
    ax : axes to draw on; None = a new figure.

    Returns
    -------
    The axes. Each hit has a bar from start to stop, and a point at its nearest frame.

    Raises
    ------
    InputError
        If there is no hit.
    """
    if not len(neighbors.bouts):
        raise InputError("`neighbors` holds no bout to draw")
    rows = {row.id: row for row in neighbors.rows}
    words, scale = _time_axis("auto", 1.0, max(int(row.frames / row.fps) for row in rows.values()))
    ax = axes_for(ax, 9.0, 1.1 + 0.34 * max(3, len(rows)))
    places = {id: place for place, id in enumerate(rows)}
    for id, row in rows.items():
        ax.barh(places[id], row.frames / row.fps * scale, height=_BAR, color=BACKGROUND, alpha=0.5, linewidth=0)
    bouts = list(neighbors.bouts)
    distance = np.array([bout.distance for bout in bouts])
    start, stop, best = (
        np.array([getattr(bout, name) / rows[bout.recording].fps * scale for bout in bouts])
        for name in ("start", "stop", "frame")
    )
    heights = np.array([places[bout.recording] for bout in bouts])
    colors, limits = values_map(), (float(distance.min()), float(distance.max()))
    shade = colors((distance - limits[0]) / max(limits[1] - limits[0], 1e-12))
    ax.barh(heights, stop - start, left=start, height=_BAR, color=shade, linewidth=0)
    points = ax.scatter(best, heights, c=distance, cmap=colors, vmin=limits[0], vmax=limits[1], s=34,
                        edgecolors="white", linewidths=0.8, zorder=3)  # fmt: skip
    ax.figure.colorbar(points, ax=ax, label="distance to the example")
    ax.set_xlim(0, max(row.frames / row.fps for row in rows.values()) * scale)
    ax.set_yticks(range(len(rows)), [literal(row.title) for row in rows.values()])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(words)
    ax.set_title(literal(title), loc="left")
    tidy(ax)
    ax.spines["left"].set_visible(False)
    return ax
