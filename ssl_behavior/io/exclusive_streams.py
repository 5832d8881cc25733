"""Streams of exclusive behaviors from annotations that have several animals, or behaviors at the same time.

Decided over all annotations of an import together, so that all recordings have the same streams.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ssl_behavior.io.annotated_recording import named_actor
from ssl_behavior.io.annotation import DEFAULT_STREAM, Annotation, AnnotationStream, overlaps

__all__ = ["exclusive_streams", "stream_name"]


def stream_name(behavior: str) -> str:
    """A behavior's name as that of a stream: letters, digits, "_", "-" and "." only.

    >>> stream_name("sniff (nose), été")
    'sniff_nose_ete'
    """
    plain = unicodedata.normalize("NFKD", behavior).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", plain).strip("_.-") or "behavior"


def exclusive_streams(annotations: Sequence[Annotation], notice: Callable[[str], None]) -> list[Annotation]:
    """Annotations with one stream for each subject, if there are several, and for each behavior that overlaps another.

    Streams with agents and targets stay whole. `notice` is called with one sentence for each stream that was divided.
    """
    return _by_behavior(_by_subject(annotations, notice), notice)


def _by_subject(annotations: Sequence[Annotation], notice: Callable[[str], None]) -> list[Annotation]:
    subjects: dict[str, dict[str, None]] = defaultdict(dict)
    for annotation in annotations:
        for name, one in _of_frames(annotation):
            for subject, label in zip(one.subject, one.label.tolist(), strict=bool(one.subject)):
                if subject and not named_actor(one.vocabulary[label], [subject]):
                    subjects[name][subject] = None
    several = {name: list(own) for name, own in subjects.items() if len(own) > 1}
    for name, own in several.items():
        notice(
            f"{name} has behaviors of {', '.join(own)}: one stream for each "
            f"({', '.join(f'{name}.{stream_name(subject)}' for subject in own)})"
        )

    def divided(name: str, one: AnnotationStream) -> dict[str, AnnotationStream]:
        if name not in several or one.directed or not (one.subject or one.complete):
            return {name: one}
        who = np.array(one.subject or [""] * len(one), dtype=object)
        parts = {f"{name}.{stream_name(subject)}": one.take(who == subject) for subject in several[name]}
        rest = ~np.isin(who, several[name])
        return parts | ({name: one.take(rest)} if rest.any() else {})

    return [_replaced(annotation, divided) for annotation in annotations]


def _of_frames(annotation: Annotation) -> Iterator[tuple[str, AnnotationStream]]:
    """Streams without agents and targets, which need exclusive classes."""
    return ((name, one) for name, one in annotation.streams.items() if not one.directed)


def _by_behavior(annotations: Sequence[Annotation], notice: Callable[[str], None]) -> list[Annotation]:
    apart: dict[str, dict[str, None]] = defaultdict(dict)
    example: dict[str, str] = {}
    for annotation in annotations:
        for name, one in _of_frames(annotation):
            for pair in sorted(map(sorted, overlaps(one))):
                apart[name].update(dict.fromkeys(pair))
                example.setdefault(name, annotation.where)
    streams = {name for annotation in annotations for name in annotation.streams}
    names = {stream: _names(stream, list(own), streams) for stream, own in apart.items()}
    for stream, own in names.items():
        notice(
            f"{', '.join(own)} of the stream {stream} overlap ({example[stream]}): one stream for each "
            f"({', '.join(own.values())})"
        )

    def divided(name: str, one: AnnotationStream) -> dict[str, AnnotationStream]:
        if name not in names or one.directed:
            return {name: one}
        everything = np.ones(len(one), dtype=bool)
        parts = {new: one.take(everything, [word]) for word, new in names[name].items() if word in one.vocabulary}
        rest = [word for word in one.vocabulary if word not in names[name]]
        return parts | ({name: one.take(everything, rest)} if rest and rest != [one.background] else {})

    return [_replaced(annotation, divided) for annotation in annotations]


def _names(stream: str, behaviors: Sequence[str], taken: set[str]) -> dict[str, str]:
    """Stream of each behavior; those of the default stream have the behavior's own name."""
    before, _, subject = stream.partition(".")
    found: dict[str, str] = {}
    for behavior in behaviors:
        own = stream_name(behavior)
        parts = [own, subject] if before == DEFAULT_STREAM else [stream, own]
        own = ".".join(filter(None, parts))
        new, number = own, 2
        while new in found.values() or new in taken:
            new, number = f"{own}_{number}", number + 1
        found[behavior] = new
    return found


def _replaced(
    annotation: Annotation, divided: Callable[[str, AnnotationStream], dict[str, AnnotationStream]]
) -> Annotation:
    streams: dict[str, AnnotationStream] = {}
    for name, one in annotation.streams.items():
        streams |= divided(name, one)
    return replace(annotation, streams=streams)
