"""Classification tasks: label streams, classes, background, and the classes of a macro average."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from probe.pair_store import PairStore
from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "KINDS",
    "TASKS",
    "MacroAverage",
    "Task",
    "TaskPreset",
    "annotated_rows",
    "make_task",
    "parse_macro",
    "targets",
    "task_parts",
]

KINDS = ("multinomial", "binary")


@dataclass(frozen=True)
class Task:
    """A classification of frames.

    Parameters
    ----------
    name : the preset's or the stream's name.
    streams : the label streams of the store. Several streams make one binary class each.
    classes : behaviors, in the order of the columns of every probability matrix.
    background : the class for "nothing of interest", left out of macro averages; "" = none.
    kind : "multinomial" (one class per frame, probabilities sum to 1) or "binary" (each class against the rest).
    annotators : the task's recordings are those labeled by these annotators; () = by any annotator.
    """

    name: str
    streams: tuple[str, ...]
    classes: tuple[str, ...]
    background: str
    kind: str
    annotators: tuple[str, ...] = ()

    @property
    def foreground(self) -> tuple[str, ...]:
        return tuple(name for name in self.classes if name != self.background)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "streams": list(self.streams),
            "classes": list(self.classes),
            "background": self.background,
            "kind": self.kind,
            "annotators": list(self.annotators),
        }


@dataclass(frozen=True)
class MacroAverage:
    """A named mean over classes."""

    name: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class TaskPreset:
    """A named task. Without a background the stream's own background applies.

    Parameters
    ----------
    annotators : annotators whose labels count, if the store names annotators; () = all.
    """

    streams: tuple[str, ...]
    background: str = ""
    kind: str = "multinomial"
    annotators: tuple[str, ...] = ()


TASK3_BEHAVIORS = ("approach", "disengaged", "groom", "intromission", "mount_attempt", "sniff_face", "whiterearing")

TASKS: dict[str, TaskPreset] = {
    "calms21_task1": TaskPreset(streams=("behavior",), background="other", annotators=("0",)),
    "calms21_task2": TaskPreset(streams=("behavior",), background="other", annotators=("1", "2", "3", "4", "5")),
    "calms21_task3": TaskPreset(streams=TASK3_BEHAVIORS, background="other", kind="binary"),
}
"""Presets. Any label stream's own name is a task too."""


def make_task(store: Store, name: str, kind: str | None = None, background: str | None = None) -> Task:
    """The task of the preset or label stream `name` in this store.

    Parameters
    ----------
    kind : "multinomial" or "binary"; default: the preset's kind, else multinomial.
    background : overrides the stream's background; "" = none.

    Raises
    ------
    InputError
        If the store has no such stream, or the kind or background is unknown.
    """
    if isinstance(store, PairStore):
        return _pairs_task(store, name, kind, background)
    if name not in TASKS and name not in store.streams:
        known = sorted({*store.streams, *store.pair_streams})
        raise InputError(
            f"`task={name}`: {store.path} has no such label stream (it has {known or 'none'}), "
            f"and no preset has that name ({sorted(TASKS)})"
        )
    preset = TASKS[name] if name in TASKS else TaskPreset(streams=(name,))
    if len(preset.streams) > 1:
        return _many_streams(store, name, preset)
    stream = store.stream(preset.streams[0])
    task = Task(
        name=name,
        streams=preset.streams,
        classes=stream.vocabulary,
        background=stream.background or (preset.background if preset.background in stream.vocabulary else ""),
        kind=kind or preset.kind,
        annotators=_annotators(store, name, preset),
    )
    return _checked(task if background is None else replace(task, background=background))


def _pairs_task(store: PairStore, name: str, kind: str | None, background: str | None) -> Task:
    """The behaviors of pairs: they may overlap, so each is classified against the rest."""
    if kind == "multinomial" or background:
        option = "kind=multinomial" if kind == "multinomial" else f"background={background}"
        raise InputError(
            f"`{option}`: the behaviors of {name!r} have agents and targets and may overlap, so each is learned "
            "against the rest; leave it out"
        )
    return Task(name=name, streams=(name,), classes=store.stream(name).vocabulary, background="", kind="binary")


def _annotators(store: Store, name: str, preset: TaskPreset) -> tuple[str, ...]:
    """The preset's annotators in the store; () if the store names no annotators."""
    found = {row.annotators.get(preset.streams[0], "") for row in store.rows}
    known = tuple(annotator for annotator in preset.annotators if annotator in found)
    if preset.annotators and not known and found - {""}:
        raise InputError(
            f"`task={name}`: no recording of {store.path} was labeled by one of the annotators "
            f"{list(preset.annotators)}; it has {sorted(found - {''})}"
        )
    return known


def _many_streams(store: Store, name: str, preset: TaskPreset) -> Task:
    """One binary class per stream: the stream's only behavior besides the background."""
    streams = tuple(stream for stream in preset.streams if stream in store.streams)
    if not streams:
        raise InputError(
            f"`task={name}`: {store.path} has none of its label streams {list(preset.streams)}; "
            f"it has {sorted(store.streams) or 'none'}"
        )
    for stream in streams:
        behaviors = [word for word in store.stream(stream).vocabulary if word != preset.background]
        if behaviors != [stream]:
            raise InputError(
                f"`task={name}`: the stream {stream!r} should hold {stream!r} and {preset.background!r}, "
                f"it holds {list(store.stream(stream).vocabulary)}"
            )
    return Task(name=name, streams=streams, classes=streams, background="", kind="binary")


def _checked(task: Task) -> Task:
    if task.kind not in KINDS:
        raise InputError(f"`kind={task.kind}`: known are {list(KINDS)}")
    if task.background and task.background not in task.classes:
        raise InputError(f"`background={task.background}`: the task {task.name!r} has the classes {list(task.classes)}")
    if task.kind == "binary":
        # Each behavior is classified against the rest, so the background is no class of its own.
        return replace(task, classes=task.foreground, background="")
    return task


def task_parts(task: Task) -> dict[str, Task]:
    """The parts of a task (its annotators or behaviors), each trained and scored on its own.

    CalMS21's Task 2 has one part per annotator, Task 3 one binary part per behavior; macro averages are averaged over
    the parts per seed (Sun et al. 2021, arXiv:2104.02710). Any other task is its only part.

    Returns
    -------
    Part name -> task.
    """
    if len(task.streams) > 1:
        return {name: replace(task, name=name, streams=(name,), classes=(name,)) for name in task.streams}
    if len(task.annotators) > 1:
        return {f"annotator {name}": replace(task, annotators=(name,)) for name in task.annotators}
    return {task.name: task}


def parse_macro(task: Task, text: str = "all") -> MacroAverage:
    """The mean over "all" foreground classes, or over the classes named in `text`, separated by commas.

    Raises
    ------
    InputError
        If a class does not belong to the task, or is named twice.
    """
    if text == "all":
        return MacroAverage("all", task.foreground)
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in task.classes]
    if unknown:
        raise InputError(f"`macros={text}`: {unknown} are not classes of the task {task.name!r}: {list(task.classes)}")
    if len(set(names)) != len(names):
        raise InputError(f"`macros={text}`: a class is named twice")
    return MacroAverage("+".join(names), names)


def targets(store: Store, task: Task, rows: Sequence[StoreRow]) -> np.ndarray:
    """Labels int8 [frames, class] of the recordings, concatenated: 1 yes, 0 no, -1 not annotated."""
    if isinstance(store, PairStore):
        return store.targets(task.classes, rows)
    columns = []
    for stream in task.streams:
        labels = store.labels(stream)
        values = np.concatenate([labels[row.slice] for row in rows]) if rows else np.empty(0, np.int16)
        vocabulary = store.stream(stream).vocabulary
        wanted = [stream] if len(task.streams) > 1 else list(task.classes)
        shows = values[:, None] == np.array([vocabulary.index(name) for name in wanted])
        columns.append(np.where(values[:, None] == NOT_ANNOTATED, NOT_ANNOTATED, shows).astype(np.int8))
    return np.concatenate(columns, axis=1)


def annotated_rows(store: Store, task: Task) -> list[StoreRow]:
    """Recordings with at least one annotated frame of the task; InputError if there are none."""
    rows = [
        row for row in store.rows if _labeled_by(row, task) and (targets(store, task, [row]) != NOT_ANNOTATED).any()
    ]
    if not rows:
        raise InputError(f"{store.path}: no recording has an annotated frame of the task {task.name!r}")
    return rows


def _labeled_by(row: StoreRow, task: Task) -> bool:
    return not task.annotators or row.annotators.get(task.streams[0]) in task.annotators
