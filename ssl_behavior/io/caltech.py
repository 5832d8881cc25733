"""Reader and writer of Caltech Behavior Annotator `.txt`: intervals of behaviors in streams S1, S2 ...

Frames are counted from 1 and both ends belong to an interval. The configuration at the top lists the behaviors
of all streams; a stream's vocabulary is the behaviors that it uses, in that order.
"""

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from ssl_behavior.bouts import runs
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import AnnotatedRecording, shortcut_keys
from ssl_behavior.io.annotation import Annotation, AnnotationStream
from ssl_behavior.io.delimited import head_text, read_text
from ssl_behavior.recording import NOT_ANNOTATED, StreamFacts

__all__ = [
    "caltech_names",
    "caltech_of",
    "caltech_text",
    "check_caltech",
    "read_caltech",
    "sniff_caltech",
    "stream_numbers",
]

_TITLE = "Caltech Behavior Annotator"
_STREAM = re.compile(r"S(\d+):\s+start\s+end\s+type\s*")
_INTERVAL = re.compile(r"\s*(\d{1,9})\s+(\d{1,9})\s+(\S.*?)\s*")
_BEHAVIOR = re.compile(r"(\S.*?)\s+(\S)\s*")


def sniff_caltech(path: Path) -> bool:
    """Whether the file's first line is the annotator's."""
    return head_text(path, 256).startswith(_TITLE)


def read_caltech(path: Path) -> Annotation:
    """Behaviors and intervals of an annotation file.

    Raises
    ------
    InputError
        Naming the line, if it is neither a behavior, a stream nor an interval, if an interval runs backwards,
        overlaps another of its stream, or names a behavior that the configuration does not list.
    """
    lines = read_text(path).splitlines()
    if not lines or not lines[0].startswith(_TITLE):
        raise InputError(f"{path}: expected a first line that begins with {_TITLE!r}")
    behaviors: list[str] = []
    found: dict[str, list[tuple[int, int, str]]] = {}
    current: list[tuple[int, int, str]] | None = None
    for number, line in enumerate(lines[1:], start=2):
        text = line.strip()
        if not text or set(text) == {"-"} or text == "Configuration file:":
            continue
        where = f"{path}: line {number} ({text[:60]!r})"
        header = _STREAM.fullmatch(line)
        if header:
            name = f"S{header.group(1)}"
            if name in found:
                raise InputError(f"{where}: the stream {name} occurs twice")
            current = found[name] = []
        elif current is None:
            behaviors.append(_behavior(line, where))
        else:
            current.append(_interval(line, behaviors, where))
    for name, intervals in found.items():
        intervals.sort()
        _refuse_overlaps(intervals, f"{path}: stream {name}")
    return Annotation(path=path, streams={name: _stream(own, behaviors) for name, own in found.items()})


def _stream(intervals: list[tuple[int, int, str]], behaviors: list[str]) -> AnnotationStream:
    """Stream whose vocabulary is the behaviors that it uses, in the order of the configuration."""
    used = {behavior for _, _, behavior in intervals}
    vocabulary = [behavior for behavior in dict.fromkeys(behaviors) if behavior in used]
    return AnnotationStream.of([(first - 1, last, behavior) for first, last, behavior in intervals], vocabulary)


def _behavior(line: str, where: str) -> str:
    match = _BEHAVIOR.fullmatch(line)
    if not match:
        raise InputError(f"{where}: expected a behavior and its key")
    return match.group(1)


def _interval(line: str, behaviors: list[str], where: str) -> tuple[int, int, str]:
    match = _INTERVAL.fullmatch(line)
    if not match:
        raise InputError(f"{where}: expected first frame, last frame and behavior")
    first, last, behavior = int(match.group(1)), int(match.group(2)), match.group(3)
    if not 1 <= first <= last:
        raise InputError(f"{where}: expected 1 <= first frame <= last frame")
    if behavior not in behaviors:
        raise InputError(f"{where}: {behavior!r} is outside the vocabulary {behaviors} of the file's configuration")
    return first, last, behavior


def _refuse_overlaps(intervals: list[tuple[int, int, str]], where: str) -> None:
    for before, after in pairwise(intervals):
        if after[0] <= before[1]:
            raise InputError(f"{where}: {before} and {after} overlap; a frame has one behavior per stream")


_FIRST_LINE = "Caltech Behavior Annotator - Annotation File"
_KEYS = string.ascii_lowercase + string.ascii_uppercase + string.digits + string.punctuation.replace("-", "")


def stream_numbers(streams: Sequence[str]) -> dict[str, int]:
    """Numbers of label streams: from their names if all are S1, S2 ..., else by order, from 1."""
    if all(re.fullmatch(r"S[1-9]\d*", name) for name in streams):
        return {name: int(name[1:]) for name in streams}
    return {name: number for number, name in enumerate(streams, start=1)}


def caltech_names(streams: Sequence[str]) -> dict[str, str]:
    """Names of label streams in an annotation file.

    >>> caltech_names(["S2"]), caltech_names(["behavior", "groom"])
    ({'S2': 'S2'}, {'behavior': 'S1', 'groom': 'S2'})
    """
    return {name: f"S{number}" for name, number in stream_numbers(streams).items()}


def check_caltech(streams: Sequence[StreamFacts]) -> None:
    """Refuse names that an annotation file cannot hold, and more behaviors than keys.

    Raises
    ------
    InputError
        Naming the behavior, or their number.
    """
    caltech_text(list(dict.fromkeys(word for stream in streams for word in stream.classes)), {})


def caltech_of(recording: AnnotatedRecording) -> str:
    """Annotation file of a recording, without streams that do not annotate it.

    The background is a behavior like others: every annotated frame lies in an interval.
    """
    names = caltech_names(list(recording.labels))
    streams = {
        names[stream]: [(s, e, one.vocabulary[label]) for s, e, label in runs(one.frames) if label != NOT_ANNOTATED]
        for stream, one in recording.labels.items()
        if (one.frames != NOT_ANNOTATED).any()
    }
    return caltech_text(list(dict.fromkeys(w for one in recording.labels.values() for w in one.vocabulary)), streams)


def caltech_text(behaviors: Sequence[str], streams: Mapping[str, Iterable[tuple[int, int, str]]]) -> str:
    """Text of an annotation file, with the annotator's line ends.

    Parameters
    ----------
    behaviors : the configuration's; each gets a key, its first letter where that is free.
    streams : "S1", "S2" ... -> the intervals (first frame, frame after the last, behavior), counted from 0. (In the
        file frames are counted from 1 and both ends belong to an interval.)

    Raises
    ------
    InputError
        If a name cannot stand in such a file, or there are more behaviors than keys.
    """
    for name in behaviors:
        if not name.isprintable() or name != name.strip() or not name:
            raise InputError(
                f"behavior {name!r} is not allowed in an annotation file; rename it, or choose `format=csv` or "
                "`format=npy`"
            )
    lines = [_FIRST_LINE, "", "Configuration file:"]
    lines += [f"{name}\t{key}" for name, key in _keys(behaviors).items()]
    for stream, intervals in streams.items():
        lines += ["", f"{stream}:\tstart\tend\ttype", "-" * 29]
        lines += [f"   \t{start + 1}\t{stop}\t{name}" for start, stop, name in intervals]
    return "\r\n".join([*lines, ""])


def _keys(behaviors: Sequence[str]) -> Mapping[str, str]:
    """Unique key for each behavior."""
    if len(behaviors) > len(_KEYS):
        raise InputError(f"an annotation file has keys for at most {len(_KEYS)} behaviors, got {len(behaviors)}")
    return shortcut_keys(behaviors, _KEYS)
