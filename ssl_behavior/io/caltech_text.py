"""Writing Caltech Behavior Annotator `.txt`, as `ssl_behavior.io.caltech` reads it: for correction by a person."""

import re
import string
from collections.abc import Iterable, Mapping, Sequence

from ssl_behavior.bouts import runs
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated import AnnotatedRecording, shortcut_keys
from ssl_behavior.recording import NOT_ANNOTATED, StreamFacts

__all__ = ["caltech_names", "caltech_of", "caltech_text", "check_caltech", "stream_numbers"]

_TITLE = "Caltech Behavior Annotator - Annotation File"
_KEYS = string.ascii_lowercase + string.ascii_uppercase + string.digits + string.punctuation.replace("-", "")


def stream_numbers(streams: Sequence[str]) -> dict[str, int]:
    """Numbers for label streams: those in their names if all are S1, S2 ..., else by their order, from 1."""
    if all(re.fullmatch(r"S[1-9]\d*", name) for name in streams):
        return {name: int(name[1:]) for name in streams}
    return {name: number for number, name in enumerate(streams, start=1)}


def caltech_names(streams: Sequence[str]) -> dict[str, str]:
    """What label streams are called in an annotation file.

    >>> caltech_names(["S2"]), caltech_names(["behavior", "groom"])
    ({'S2': 'S2'}, {'behavior': 'S1', 'groom': 'S2'})
    """
    return {name: f"S{number}" for name, number in stream_numbers(streams).items()}


def check_caltech(streams: Sequence[StreamFacts]) -> None:
    """Refuse behaviours whose names cannot stand in an annotation file, or that are more than there are keys.

    Raises
    ------
    InputError
        Naming the behaviour, or their number.
    """
    caltech_text(list(dict.fromkeys(word for stream in streams for word in stream.classes)), {})


def caltech_of(recording: AnnotatedRecording) -> str:
    """The annotation file of a recording; streams that say nothing of it are left out.

    The background is a behaviour like others: every annotated frame lies in an interval.
    """
    names = caltech_names(list(recording.labels))
    streams = {
        names[stream]: [(s, e, one.vocabulary[label]) for s, e, label in runs(one.frames) if label != NOT_ANNOTATED]
        for stream, one in recording.labels.items()
        if (one.frames != NOT_ANNOTATED).any()
    }
    return caltech_text(list(dict.fromkeys(w for one in recording.labels.values() for w in one.vocabulary)), streams)


def caltech_text(behaviors: Sequence[str], streams: Mapping[str, Iterable[tuple[int, int, str]]]) -> str:
    """The text of an annotation file, lines ended as the annotator's own.

    Parameters
    ----------
    behaviors : the configuration's; each gets a key, its first letter where that is free.
    streams : "S1", "S2" ... -> the intervals (first frame, frame after the last, behaviour), counted from 0. (In the
        file frames are counted from 1 and both ends belong to an interval.)

    Raises
    ------
    InputError
        If a name cannot stand in such a file, or there are more behaviours than keys.
    """
    for name in behaviors:
        if not name.isprintable() or name != name.strip() or not name:
            raise InputError(f"behaviour {name!r} cannot stand in an annotation file; rename it, or choose csv or npy")
    lines = [_TITLE, "", "Configuration file:"]
    lines += [f"{name}\t{key}" for name, key in _keys(behaviors).items()]
    for stream, intervals in streams.items():
        lines += ["", f"{stream}:\tstart\tend\ttype", "-" * 29]
        lines += [f"   \t{start + 1}\t{stop}\t{name}" for start, stop, name in intervals]
    return "\r\n".join([*lines, ""])


def _keys(behaviors: Sequence[str]) -> Mapping[str, str]:
    """A key for each behaviour, all different."""
    if len(behaviors) > len(_KEYS):
        raise InputError(f"an annotation file has keys for {len(_KEYS)} behaviours, not for {len(behaviors)}")
    return shortcut_keys(behaviors, _KEYS)
