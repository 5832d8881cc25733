"""Caltech Behavior Annotator `.txt`: intervals of behaviours, in one or more streams S1, S2 ...

Frames are counted from 1 and both ends belong to an interval. The configuration at the top lists the behaviours
of all streams; a stream's vocabulary is those it uses, in that order.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.source import decoded, read_head
from ssl_behavior.recording import NOT_ANNOTATED, Labels

__all__ = ["Annotation", "AnnotationSpan", "labels_from_annotation", "read_caltech", "sniff_caltech"]

_TITLE = b"Caltech Behavior Annotator"
_STREAM = re.compile(r"S(\d+):\s+start\s+end\s+type\s*")
_INTERVAL = re.compile(r"\s*(\d{1,9})\s+(\d{1,9})\s+(\S.*?)\s*")
_BEHAVIOR = re.compile(r"(\S.*?)\s+(\S)\s*")
_OTHER = "other"


@dataclass(frozen=True)
class Annotation:
    """One annotation file. `streams`: name -> [(first frame, last frame, behaviour)], counted from 1, both included."""

    path: Path
    behaviors: tuple[str, ...]
    streams: Mapping[str, list[tuple[int, int, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class AnnotationSpan:
    """How an annotated stream and its tracks fit: frames clipped at the end, gaps inside, frames after its end."""

    clipped: int
    uncovered: int
    after_end: int


def sniff_caltech(path: Path) -> bool:
    """Whether the file's first line is the annotator's."""
    return read_head(path, 64).lstrip(b"\xef\xbb\xbf").startswith(_TITLE)


def read_caltech(path: Path) -> Annotation:
    """Behaviours and intervals of an annotation file.

    Raises
    ------
    InputError
        Naming the line, if it is neither a behaviour, a stream nor an interval, if an interval runs backwards,
        overlaps another of its stream, or names a behaviour that the configuration does not list.
    """
    content = decoded(path)
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file ({error})") from None
    if not lines or not lines[0].startswith(_TITLE.decode()):
        raise InputError(f"{path}: expected a first line that begins {_TITLE.decode()!r}")
    behaviors: list[str] = []
    streams: dict[str, list[tuple[int, int, str]]] = {}
    current: list[tuple[int, int, str]] | None = None
    for number, line in enumerate(lines[1:], start=2):
        text = line.strip()
        if not text or set(text) == {"-"} or text == "Configuration file:":
            continue
        where = f"{path}: line {number} ({text[:60]!r})"
        header = _STREAM.fullmatch(line)
        if header:
            name = f"S{header.group(1)}"
            if name in streams:
                raise InputError(f"{where}: the stream {name} occurs twice")
            current = streams[name] = []
        elif current is None:
            behaviors.append(_behavior(line, where))
        else:
            current.append(_interval(line, behaviors, where))
    for name, intervals in streams.items():
        intervals.sort()
        _refuse_overlaps(intervals, f"{path}: stream {name}")
    return Annotation(path, tuple(dict.fromkeys(behaviors)), streams)


def _behavior(line: str, where: str) -> str:
    match = _BEHAVIOR.fullmatch(line)
    if not match:
        raise InputError(f"{where}: expected a behaviour and its key")
    return match.group(1)


def _interval(line: str, behaviors: list[str], where: str) -> tuple[int, int, str]:
    match = _INTERVAL.fullmatch(line)
    if not match:
        raise InputError(f"{where}: expected first frame, last frame and behaviour")
    first, last, behavior = int(match.group(1)), int(match.group(2)), match.group(3)
    if not 1 <= first <= last:
        raise InputError(f"{where}: expected 1 <= first frame <= last frame")
    if behavior not in behaviors:
        raise InputError(f"{where}: {behavior!r} is outside the vocabulary {behaviors} of the file's configuration")
    return first, last, behavior


def _refuse_overlaps(intervals: list[tuple[int, int, str]], where: str) -> None:
    for before, after in pairwise(intervals):
        if after[0] <= before[1]:
            raise InputError(f"{where}: {before} and {after} overlap; a frame has one behaviour per stream")


def labels_from_annotation(
    annotation: Annotation, stream: str, num_frames: int, background: str = ""
) -> tuple[Labels, AnnotationSpan]:
    """One stream as labels for tracks of `num_frames` frames; annotation frame f is table frame f - 1.

    Frames between intervals are the background where there is one (`background`, or else a behaviour called
    "other"), and not annotated otherwise. Frames after the last interval are not annotated: nobody looked.
    Intervals that run past the tracks are clipped.
    """
    intervals = annotation.streams[stream]
    used = {behavior for _, _, behavior in intervals}
    vocabulary = tuple(b for b in annotation.behaviors if b in used)
    background = background if background in vocabulary else (_OTHER if _OTHER in vocabulary else "")
    end = max((last for _, last, _ in intervals), default=0)
    frames = np.full(num_frames, NOT_ANNOTATED, dtype=np.int16)
    covered = np.zeros(num_frames, dtype=bool)
    if background:
        frames[:end] = vocabulary.index(background)
    for first, last, behavior in intervals:
        frames[first - 1 : last] = vocabulary.index(behavior)
        covered[first - 1 : last] = True
    span = AnnotationSpan(
        clipped=max(0, end - num_frames),
        uncovered=int((~covered[:end]).sum()),
        after_end=max(0, num_frames - end),
    )
    return Labels(vocabulary=vocabulary, frames=frames, background=background), span
