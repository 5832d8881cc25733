"""Labels of a recording as input of annotation writers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ssl_behavior.bouts import Bout, bouts_of, bouts_of_pairs
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Labels, PairLabels, StreamFacts

__all__ = [
    "DEFAULT_MEDIA",
    "AnnotatedRecording",
    "PairStreamFacts",
    "annotated_recording",
    "check_actor",
    "check_media",
    "named_actor",
    "shortcut_keys",
    "streams_of",
    "unique_behavior_names",
]


DEFAULT_MEDIA = "{id}.mp4"
"""Where a recording's video is looked for, beside the files that name it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AnnotatedRecording:
    """Labels and bouts of a recording, ready to write.

    Parameters
    ----------
    labels : stream -> labels; all streams have as many frames.
    bouts : bouts of all streams, sorted by start.
    pair_labels : stream -> labels with agents and targets, numbers of `individuals`.
    frames : number of frames of a recording that has only labels with agents and targets.
    individuals : names of the animals, where they are known.
    annotator : the annotator, or the annotator whose style was used; "" = unknown.
    media : the video's file, for tools that play it; "" = not known.
    """

    id: str
    fps: float
    labels: Mapping[str, Labels]
    bouts: Sequence[Bout]
    individuals: tuple[str, ...] = ()
    annotator: str = ""
    media: str = ""
    pair_labels: Mapping[str, PairLabels] = field(default_factory=dict)
    frames: int = 0

    @property
    def num_frames(self) -> int:
        return len(next(iter(self.labels.values())).frames) if self.labels else self.frames


class PairStreamFacts(StreamFacts):
    """Name and behaviors of a label stream with agents and targets."""


def annotated_recording(
    recording: str,
    fps: float,
    labels: Mapping[str, Labels],
    *,
    probabilities: Mapping[str, np.ndarray] | None = None,
    individuals: Sequence[str] = (),
    actor: str = "",
    annotator: str = "",
    media: str = DEFAULT_MEDIA,
    pair_labels: Mapping[str, PairLabels] | None = None,
    num_frames: int = 0,
) -> AnnotatedRecording:
    """Labels and bouts of a recording; a bout has an agent where one is known.

    Parameters
    ----------
    probabilities : stream -> float [time, classes], where they are known.
    actor : the acting individual of behaviors whose names hold none, see `named_actor`.
    pair_labels : stream -> labels with agents and targets, numbers of `individuals`.
    num_frames : of a recording that has only such labels.
    media : video file; "{id}" stands for the recording's id and "{name}" for the last part of the id.
    """
    said = probabilities or {}
    bouts = [bout for stream, one in labels.items() for bout in bouts_of(stream, one, said.get(stream))]
    names = {name: named_actor(name, individuals) for name in {bout.behavior for bout in bouts} | set(labels)}
    acted = [replace(bout, agent=names[bout.behavior] or names[bout.stream] or actor) for bout in bouts]
    pairs = dict(pair_labels or {})
    acted += [bout for stream, own in pairs.items() for bout in bouts_of_pairs(stream, own, individuals)]
    return AnnotatedRecording(
        id=recording,
        fps=fps,
        labels=labels,
        bouts=sorted(acted, key=lambda bout: (bout.start, bout.stream)),
        individuals=tuple(individuals),
        annotator=annotator,
        media=media.replace("{id}", recording).replace("{name}", recording.rpartition("/")[2]),
        pair_labels=pairs,
        frames=num_frames,
    )


def check_actor(actor: str, individuals: Sequence[str]) -> None:
    """Refuse an actor that is none of the animals; "" means no actor."""
    if actor and actor not in individuals:
        raise InputError(f"`actor` {actor}: no animal has this name; there are {list(individuals) or 'none'}")


def check_media(media: str, recordings: Sequence[str]) -> None:
    """Refuse a video name that a file cannot hold or that several recordings would share."""
    if not media.isprintable():
        raise InputError(f"`media` {media!r} cannot be the name of a file")
    if len(recordings) > 1 and "{id}" not in media and "{name}" not in media:
        raise InputError(f"`media` {media}: all recordings would have this video; use {{id}} or {{name}} in it")


def named_actor(name: str, individuals: Sequence[str]) -> str:
    """Individual whose name occurs as a word in a behavior's or stream's name; "" for none or several.

    >>> named_actor("Resident_attack", ["resident", "intruder"]), named_actor("attack", ["resident", "intruder"])
    ('resident', '')
    """
    word = r"(?<![^\W_]){}(?![^\W_])"
    named = [one for one in individuals if re.search(word.format(re.escape(one)), name, re.IGNORECASE)]
    return named[0] if len(named) == 1 else ""


def streams_of(recordings: Sequence[AnnotatedRecording]) -> tuple[StreamFacts, ...]:
    """Label streams of all recordings, in order of first occurrence."""
    found: dict[str, StreamFacts] = {}
    for recording in recordings:
        for name, one in recording.labels.items():
            found.setdefault(name, StreamFacts(name=name, classes=one.vocabulary, background=one.background))
        for name, pairs in recording.pair_labels.items():
            found.setdefault(name, PairStreamFacts(name=name, classes=pairs.vocabulary))
    return tuple(found.values())


def unique_behavior_names(streams: Sequence[StreamFacts]) -> dict[tuple[str, str], str]:
    """Unique names of (stream, behavior), for file formats without streams.

    A name is the behavior's own, or "STREAM behavior" if several streams have a behavior of that name. Background has
    none.

    Raises
    ------
    InputError
        If two behaviors would still have the same name.
    """
    foreground = [(stream.name, stream.classes[number]) for stream in streams for number in stream.foreground]
    behaviors = [behavior for _, behavior in foreground]
    names = {(s, b): b if behaviors.count(b) == 1 else f"{s} {b}" for s, b in foreground}
    for one, name in names.items():
        if other := next((o for o, n in names.items() if n == name and o != one), None):
            raise InputError(f"behavior {one[1]!r} of {one[0]} and {other[1]!r} of {other[0]} would have the same name")
    return names


def shortcut_keys(names: Sequence[str], keys: str) -> dict[str, str]:
    """Keyboard key for each name: its first letter if free, else the first free one of `keys`.

    All keys are different; a name gets "" when no key is left.

    >>> shortcut_keys(["bite", "Base", "chase"], "abc")
    {'bite': 'b', 'Base': 'a', 'chase': 'c'}
    """
    given: dict[str, str] = {}
    for name in names:
        free = [key for key in keys if key not in given.values()]
        own = name[0].lower()
        given[name] = own if own in free else next(iter(free), "")
    return given


BACKGROUND = "background"
