"""Figure of program attributes over time, with labels as background."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_behavior.errors import InputError
from ssl_behavior.plots.style import PALETTE, check_figure, class_colors, save_figure, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ssl_behavior.programs import ProgramFacts, ProgramSet
    from ssl_behavior.recording import Labels, Recording
    from ssl_behavior.store import Store


__all__ = ["Measured", "draw_attributes", "plan_figure"]


_MOST_FRAMES = 3000
_LEGEND_COLUMNS = 12
_PAIR = "pair"
"""Label of the one line of a program of two animals."""
_WIDTH_INCHES, _ROW_INCHES = 14.0, 0.75
_LINES = ("#222222", *PALETTE[:6])
_DASHES = ("solid", "dashed", "dotted")


@dataclass(frozen=True)
class Measured:
    """Programs fitted to a store."""

    store: "Store"
    programs: "ProgramSet"


@dataclass(frozen=True, kw_only=True)
class FigurePlan:
    """Checked content and path of the figure: an error comes before the long measurement."""

    recording: "Recording"
    frames: tuple[int, int]
    labels: "Labels | None"
    path: Path


def plan_figure(
    store: "Store", recording: str | None, frames: tuple[int, int] | None, stream: str | None, path: Path
) -> FigurePlan:
    """Content of the figure; by default the first 3,000 frames and first label stream of the first recording.

    Raises
    ------
    InputError
        If there is no such recording, stream or frame, the file's ending is not that of a picture, or matplotlib is
        not installed.
    """
    check_figure(path)
    if recording is None and not store.rows:
        raise InputError(f"{store.path} has no recordings to draw")
    chosen = store.recording(store.rows[0].id if recording is None else recording)
    first, last = frames or (0, min(chosen.num_frames, _MOST_FRAMES))
    if last > chosen.num_frames:
        raise InputError(f"--frames {first}:{last}: {chosen.id!r} has {chosen.num_frames} frames")
    return FigurePlan(recording=chosen, frames=(first, last), labels=_labels(chosen, stream), path=path)


@styled
def draw_attributes(measured: Measured, plan: FigurePlan) -> None:
    """Draw one row per program over time, one line per animal or pair, over the labels as background colors.

    Raises
    ------
    InputError
        If the picture cannot be written.
    """
    from ssl_behavior.windows import recording_window

    # The whole recording is measured: a program may look back from the first frame that is drawn.
    batch = recording_window(plan.recording, 0, plan.recording.num_frames)
    values = measured.programs.measure(batch)[0, slice(*plan.frames)].numpy()
    figure = _figure(measured, values, plan)
    save_figure(figure, plan.path)


def _labels(recording: "Recording", stream: str | None) -> "Labels | None":
    if stream is not None and stream not in recording.labels:
        raise InputError(
            f"recording {recording.id!r} has no label stream {stream!r}; it has {sorted(recording.labels)}"
        )
    return recording.labels.get(stream or next(iter(recording.labels), ""))


def _rows_of(number: int) -> tuple[Any, Any]:
    """A figure with one axis per row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_INCHES, _ROW_INCHES * number + 1.2), layout="constrained")
    return figure, figure.subplots(number, 1, sharex=True, squeeze=False)[:, 0]


def _figure(measured: Measured, values: "np.ndarray", plan: FigurePlan) -> Any:
    import numpy as np

    span, labels, recording = plan.frames, plan.labels, plan.recording
    programs = measured.programs
    names = list(dict.fromkeys(facts.name for facts in programs.attribute_facts))
    labels_of = [_line_label(facts, of) for facts, of in zip(programs.attribute_facts, programs.subjects, strict=True)]
    styles = _line_styles(labels_of)
    figure, axes = _rows_of(len(names))
    seconds = np.arange(span[0], span[0] + len(values)) / recording.fps
    for axis, name in zip(axes, names, strict=True):
        columns = [i for i, facts in enumerate(programs.attribute_facts) if facts.name == name]
        for column in columns:
            label = labels_of[column]
            axis.plot(seconds, values[:, column], linewidth=0.8, label=label, **styles[label])
        units = programs.units[columns[0]]
        axis.set_ylabel(f"{name}\n[{units}]", rotation=0, ha="right", va="center", fontsize=8)
        _limit(axis, values[:, columns])
        axis.tick_params(labelsize=7)
        axis.margins(x=0)
        if labels is not None:
            _shade(axis, labels, span, recording.fps)
    axes[-1].set_xlabel("seconds", fontsize=9)
    _legend(figure, axes, labels, span)
    figure.suptitle(recording.id, fontsize=10, x=0.01, ha="left")
    return figure


def _line_label(facts: "ProgramFacts", subject: tuple[str, ...]) -> str:
    """The animal, "m1 → m2" for one toward another, "m1, m2" for two of them, or "pair" where there are only two."""
    return (" → " if facts.each_animal else ", ").join(subject) or _PAIR


def _line_styles(labels: "Sequence[str]") -> dict[str, dict[str, str]]:
    """Color and dashes of the line of every animal or pair; those of two animals have the first two colors."""
    names = [label for label in dict.fromkeys(labels) if label != _PAIR]
    styles = [{"color": color, "linestyle": dashes} for dashes in _DASHES for color in _LINES]
    return {_PAIR: styles[0]} | {name: styles[place % len(styles)] for place, name in enumerate(names)}


def _limit(axis: Any, values: "np.ndarray") -> None:
    """Axis limits that a few outliers do not stretch."""
    import numpy as np

    known = values[np.isfinite(values)]
    if len(known):
        low, high = np.percentile(known, (0.5, 99.5))
        room = 0.08 * (high - low) or 1.0
        axis.set_ylim(low - room, high + room)


def _colors(labels: "Labels") -> dict[str, Any]:
    """Color of every behavior but the background."""
    return class_colors([name for name in labels.vocabulary if name != labels.background])


def _shade(axis: Any, labels: "Labels", span: tuple[int, int], fps: float) -> None:
    import numpy as np

    colors = _colors(labels)
    frames = np.asarray(labels.frames[span[0] : span[1]])
    edges = [0, *(np.flatnonzero(np.diff(frames)) + 1), len(frames)]
    for start, stop in pairwise(edges):
        name = labels.vocabulary[frames[start]] if frames[start] >= 0 else ""
        if name in colors:
            ends = ((span[0] + start) / fps, (span[0] + stop) / fps)
            axis.axvspan(*ends, color=colors[name], alpha=0.25, linewidth=0)


def _legend(figure: Any, axes: Any, labels: "Labels | None", span: tuple[int, int]) -> None:
    """Legend entries: the animals, and the behaviors that occur."""
    import numpy as np
    from matplotlib.patches import Patch

    lines = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    handles: dict[str, Any] = {name: line for name, line in lines.items() if name != _PAIR}
    if labels is not None:
        names = {labels.vocabulary[label] for label in np.unique(labels.frames[slice(*span)]) if label >= 0}
        colors = {name: color for name, color in _colors(labels).items() if name in names}
        handles |= {name: Patch(color=color, alpha=0.25) for name, color in colors.items()}
    if handles:
        columns = min(len(handles), _LEGEND_COLUMNS)
        figure.legend(list(handles.values()), list(handles), loc="outside upper right", ncols=columns, fontsize=8)
