"""Bouts: spans, tables and runs of frames with one label, and merging of short bouts."""

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED, Labels, PairLabels

__all__ = [
    "Bout",
    "BoutTable",
    "Span",
    "bout_table",
    "bouts_of",
    "bouts_of_pairs",
    "runs",
    "without_short_bouts",
    "without_short_runs",
]

_SPAN = re.compile(r"(?P<recording>.+):(?P<start>[0-9]{1,18})(-(?P<stop>[0-9]{1,18}))?")


@dataclass(frozen=True)
class Span:
    """Frames `start` up to, not including, `stop` of the recording with the id `recording`.

    Raises
    ------
    InputError
        If there is no frame in it, or it starts before frame 0.
    """

    recording: str
    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise InputError(
                f"span of recording {self.recording!r}: expected 0 <= start < stop, got {self.start}:{self.stop}"
            )

    @classmethod
    def parse(cls, text: str, argument: str = "query") -> "Span":
        """Parse RECORDING:FRAME or RECORDING:START-STOP; the text before the last colon is the recording.

        >>> Span.parse("day 1/a:b:12-40")
        Span(recording='day 1/a:b', start=12, stop=40)

        Raises
        ------
        InputError
            If it is neither.
        """
        found = _SPAN.fullmatch(text)
        if not found:
            raise InputError(
                f"`{argument}` {text!r}: expected RECORDING:FRAME or RECORDING:START-STOP with frames counted from 0, "
                "such as 07:1250 or 07:1250-1310"
            )
        start = int(found["start"])
        stop = start + 1 if found["stop"] is None else int(found["stop"])
        if stop <= start:
            raise InputError(f"`{argument}` {text!r}: stop must be after start; frame {stop} is not part of it")
        return Span(found["recording"], start, stop)

    def __str__(self) -> str:
        return f"{self.recording}:{self.start}" + (f"-{self.stop}" if self.stop > self.start + 1 else "")


@dataclass(frozen=True, kw_only=True)
class Bout:
    """A behavior of a label stream from frame `start` up to, not including, frame `stop`.

    Parameters
    ----------
    probability : mean probability of its frames; None = unknown.
    agent : the individual that shows it; "" = not known.
    target : the individual that it is directed at, the agent itself in behaviors such as grooming; "" = not known.
    """

    stream: str
    behavior: str
    start: int
    stop: int
    probability: float | None = None
    agent: str = ""
    target: str = ""


@runtime_checkable
class _Recording(Protocol):
    """Row of a table of consecutive recordings."""

    @property
    def offset(self) -> int: ...
    @property
    def fps(self) -> float: ...


@dataclass(frozen=True, eq=False)
class BoutTable:
    """Bouts of several recordings as columns.

    Parameters
    ----------
    recording : number of the recording, int64 [bout].
    start, stop : frames of that recording, `stop` not included, int64 [bout].
    label : int64 [bout]; -1 = none.
    offset : row at which each recording begins where recordings lie one after the other, int64 [recording].
    fps : frame rate of each recording, float64 [recording].
    """

    recording: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    label: np.ndarray
    offset: np.ndarray
    fps: np.ndarray

    @classmethod
    def of(cls, bouts: ArrayLike, recordings: Sequence[_Recording]) -> "BoutTable":
        """Table from whole numbers [bout, 4]: recording, start, stop, label."""
        recording, start, stop, label = np.asarray(bouts, np.int64).reshape(-1, 4).T
        offset, fps = (np.array([getattr(one, name) for one in recordings]) for name in ("offset", "fps"))
        return cls(recording, start, stop, label, offset, fps)

    def __len__(self) -> int:
        return len(self.start)

    @property
    def frames(self) -> np.ndarray:
        """Length of each bout, int64 [bout]."""
        return self.stop - self.start

    @cached_property
    def seconds(self) -> np.ndarray:
        """Length of each bout, float64 [bout]; bouts cut by an end of the recording count as long as they are seen."""
        return self.frames / self.fps[self.recording]

    @property
    def first(self) -> np.ndarray:
        """Row of each bout's first frame, int64 [bout]."""
        return self.offset[self.recording] + self.start

    def take(self, picks: np.ndarray) -> "BoutTable":
        """Subset of the bouts; `picks` are numbers or a mask."""
        return replace(
            self, recording=self.recording[picks], start=self.start[picks], stop=self.stop[picks],
            label=self.label[picks],
        )  # fmt: skip


def bout_table(labels: Sequence[np.ndarray], recordings: Sequence[_Recording]) -> BoutTable:
    """The bouts of all recordings in order; frames labeled -1 are no bout.

    Parameters
    ----------
    labels : whole numbers [time] of each recording.
    """
    parts = [np.empty((4, 0), np.int64)]
    for number, own in enumerate(labels):
        start = np.flatnonzero(np.diff(own, prepend=own[:1] - 1))
        parts.append(np.stack([np.full(len(start), number), start, np.append(start, len(own))[1:], own[start]]))
    table = BoutTable.of(np.concatenate(parts, axis=1).T, recordings)
    return table.take(table.label >= 0)


def runs(frames: np.ndarray) -> list[tuple[int, int, int]]:
    """(start, stop, label) of the runs of equal labels.

    >>> runs(np.array([2, 2, 0]))
    [(0, 2, 2), (2, 3, 0)]
    """
    edges = [0, *(np.flatnonzero(np.diff(frames)) + 1).tolist(), len(frames)]
    return [(start, stop, int(frames[start])) for start, stop in pairwise(edges) if start < stop]


def without_short_bouts(labels: Labels, fewest_frames: int) -> Labels:
    """Labels whose bouts of fewer frames are background; without a background, see `without_short_runs`.

    Bouts of the background itself, and stretches without annotation, may be as short as they are.
    """
    if not labels.background:
        return replace(labels, frames=without_short_runs(labels.frames, fewest_frames))
    frames, background = labels.frames.copy(), labels.vocabulary.index(labels.background)
    for start, stop, label in runs(frames):
        if stop - start < fewest_frames and label not in (background, NOT_ANNOTATED):
            frames[start:stop] = background
    return replace(labels, frames=frames)


def without_short_runs(frames: np.ndarray, fewest_frames: int) -> np.ndarray:
    """Labels whose shorter runs are merged into the longer neighboring run, shortest first, until all are long enough.

    A new array. Runs of -1 stay as they are and take nothing in, so a short run between two of them stays, too.

    >>> without_short_runs(np.array([0, 0, 0, 1, 2, 2, -1, 1]), 2)
    array([ 0,  0,  0,  0,  2,  2, -1,  1])
    """
    frames = frames.copy()
    parts = {start: (stop, label) for start, stop, label in runs(frames)}
    before = {stop: start for start, (stop, _) in parts.items()}
    waiting = [(stop - start, start) for start, (stop, label) in parts.items() if label != NOT_ANNOTATED]
    heapq.heapify(waiting)
    while waiting and waiting[0][0] < fewest_frames:
        length, start = heapq.heappop(waiting)
        if start not in parts or parts[start][0] - start != length:
            continue  # it has grown, or become part of another, since it was put there
        stop = parts[start][0]
        adjacent = [one for one in (before.get(start), stop) if one in parts and parts[one][1] != NOT_ANNOTATED]
        if not adjacent:
            continue
        label = parts[max(adjacent, key=lambda one: parts[one][0] - one)][1]
        frames[start:stop] = label
        # The run joins its longer neighbor, and the other neighbor if that has the same label.
        same_label = [start, *(one for one in adjacent if parts[one][1] == label)]
        first, last = min(same_label), max(parts[one][0] for one in same_label)
        for one in same_label:
            del parts[one]
        parts[first], before[last] = (last, label), first
        heapq.heappush(waiting, (last - first, first))
    return frames


def bouts_of_pairs(stream: str, labels: PairLabels, individuals: Sequence[str]) -> list[Bout]:
    """The bouts of a stream with agents and targets, whose numbers are those of `individuals`."""
    return [
        Bout(
            stream=stream,
            behavior=labels.vocabulary[behavior],
            start=start,
            stop=stop,
            agent=individuals[agent],
            target=individuals[target],
        )
        for agent, target, behavior, start, stop in labels.bouts.tolist()
    ]


def bouts_of(stream: str, labels: Labels, probability: np.ndarray | None = None) -> list[Bout]:
    """The bouts of a stream; frames of the background, or without annotation, are no bout.

    Parameters
    ----------
    probability : float [time, classes], a column for each word of the labels' vocabulary, where it is known.
    """
    return [
        Bout(
            stream=stream,
            behavior=labels.vocabulary[label],
            start=start,
            stop=stop,
            probability=None if probability is None else float(probability[start:stop, label].mean()),
        )
        for start, stop, label in runs(labels.frames)
        if label != NOT_ANNOTATED and labels.vocabulary[label] != labels.background
    ]
