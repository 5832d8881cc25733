"""From probabilities to labels, and from labels to bouts."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from probe.trial import decide
from ssl_behavior.labeled import StreamFacts
from ssl_behavior.recording import Labels

__all__ = ["Bout", "bouts_csv", "bouts_of", "decided_labels", "runs", "without_short_bouts"]


@dataclass(frozen=True, kw_only=True)
class Bout:
    """A behaviour of a label stream from frame `start` up to, not including, frame `stop`; its probability is the mean
    of the frames'."""

    stream: str
    behavior: str
    start: int
    stop: int
    probability: float


def decided_labels(probability: np.ndarray, stream: StreamFacts) -> Labels:
    """The likeliest class of each frame, none of the frames left out.

    Parameters
    ----------
    probability : float [time, classes]; NaN for classes that were not learned.
    """
    shown = decide(probability, "multinomial").argmax(axis=1)
    return Labels(vocabulary=stream.classes, frames=shown, background=stream.background)


def runs(frames: np.ndarray) -> list[tuple[int, int, int]]:
    """(start, stop, label) of the runs of equal labels.

    >>> runs(np.array([2, 2, 0]))
    [(0, 2, 2), (2, 3, 0)]
    """
    edges = [0, *(np.flatnonzero(np.diff(frames)) + 1).tolist(), len(frames)]
    return [(start, stop, int(frames[start])) for start, stop in pairwise(edges)]


def without_short_bouts(labels: Labels, fewest_frames: int) -> Labels:
    """Bouts of fewer frames become background; where there is none, part of the longer bout beside them.

    Bouts of the background itself may be as short as they are.
    """
    frames = labels.frames.copy()
    if labels.background:
        background = labels.vocabulary.index(labels.background)
        for start, stop, label in runs(frames):
            if stop - start < fewest_frames and label != background:
                frames[start:stop] = background
        return replace(labels, frames=frames)
    while True:
        parts = runs(frames)
        start, stop, _ = shortest = min(parts, key=lambda part: part[1] - part[0])
        if stop - start >= fewest_frames or len(parts) == 1:
            return replace(labels, frames=frames)
        index = parts.index(shortest)
        beside = parts[max(0, index - 1) : index] + parts[index + 1 : index + 2]
        frames[start:stop] = max(beside, key=lambda part: part[1] - part[0])[2]


def bouts_of(stream: str, labels: Labels, probability: np.ndarray) -> list[Bout]:
    """The bouts of a stream; frames of the background are no bout.

    Parameters
    ----------
    probability : float [time, classes], a column for each word of the labels' vocabulary.
    """
    return [
        Bout(
            stream=stream,
            behavior=labels.vocabulary[label],
            start=start,
            stop=stop,
            probability=float(probability[start:stop, label].mean()),
        )
        for start, stop, label in runs(labels.frames)
        if labels.vocabulary[label] != labels.background
    ]


def bouts_csv(bouts: Sequence[Bout], fps: float) -> str:
    """A line per bout. Frames are counted from 0; a bout ends before its stop frame."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["stream", "behavior", "start_frame", "stop_frame", "start_s", "stop_s", "probability"])
    for bout in bouts:
        seconds = (f"{frame / fps:.3f}" for frame in (bout.start, bout.stop))
        writer.writerow([bout.stream, bout.behavior, bout.start, bout.stop, *seconds, f"{bout.probability:.4f}"])
    return text.getvalue()
