"""`labels.json`: what label files of `export` and `annotate` cannot hold, restored where the file lies beside them.

Files of bouts do not state the frames without annotation, most formats do not name the background, and some neither
streams nor recordings. `labels.json` has all of it, for every file that it lists.
"""

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import PairStreamFacts, unique_behavior_names
from ssl_behavior.io.annotation import DEFAULT_STREAM, Annotation, AnnotationStream
from ssl_behavior.recording import StreamFacts

__all__ = ["ExportedFile", "exported_file", "is_contents", "restore_annotation"]

_NAME = "labels.json"
_KIND = "ssl-behavior labels"
_MOST_FOLDERS = 8


@dataclass(frozen=True)
class ExportedFile:
    """A file that a `labels.json` lists: its format, the streams, and its recordings by id."""

    format: str
    streams: tuple[StreamFacts, ...]
    names: Mapping[str, str]
    """Stream names in the file -> streams."""
    recordings: Mapping[str, Mapping[str, Any]]


def exported_file(path: Path) -> ExportedFile | None:
    """Facts about a file from the `labels.json` beside or above it; None if none lists it.

    Raises
    ------
    InputError
        If the `labels.json` that lists it is damaged.
    """
    path = path.resolve()
    for folder in path.parents[:_MOST_FOLDERS]:
        if (folder / _NAME).is_file():
            contents = _contents(folder / _NAME)
            return None if contents is None else _listed(contents, path.relative_to(folder).as_posix(), folder / _NAME)
    return None


def is_contents(path: Path) -> bool:
    """Whether a file is a `labels.json`, which describes other files."""
    return path.name == _NAME and _contents(path) is not None


def _contents(file: Path) -> dict[str, Any] | None:
    try:
        contents = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return contents if isinstance(contents, dict) and contents.get("format") == _KIND else None


def _listed(contents: Mapping[str, Any], name: str, file: Path) -> ExportedFile | None:
    try:
        shared = next((format for format, own in contents.get("files", {}).items() if own == name), "")
        rows = contents["recordings"]
        entries = {one["id"]: (one, [f for f, own in one["files"].items() if own == name]) for one in rows}
        format = shared or next((formats[0] for _, formats in entries.values() if formats), "")
        streams = tuple(
            (PairStreamFacts if one.get("pairs") else StreamFacts)(
                name=one["name"], classes=tuple(one["classes"]), background=one["background"]
            )
            for one in contents["streams"]
        )
        names = {one[format]: one["name"] for one in contents["streams"]} if format in ("caltech", "bento") else {}
        own = {id: entry for id, (entry, formats) in entries.items() if shared or formats}
        if format == "mabe":
            own |= {id.rpartition("/")[2]: entry for id, entry in own.items()}
    except (KeyError, TypeError, AttributeError, IndexError):
        raise InputError(f"{file} is damaged: expected the list of files that `export` writes; move it away") from None
    return ExportedFile(format, streams, names, own) if format else None


def restore_annotation(annotation: Annotation, file: ExportedFile) -> Annotation:
    """Annotation with the streams, vocabularies, backgrounds and unannotated frames that were exported.

    What was changed in the file wins: new behaviors are appended, and bouts in unannotated frames are kept.
    """
    entry = next((file.recordings[name] for name in annotation.names if name in file.recordings), None)
    if not annotation.names:
        entry = next(iter(file.recordings.values()), None)
    if entry is None:
        return annotation  # an observation that was added in another tool
    streams = _renamed(annotation, file)
    facts = {stream.name: stream for stream in file.streams}
    absent = entry.get("not_annotated", {})
    annotators = entry.get("annotators", {})
    restored = {}
    for name in [*facts, *(other for other in streams if other not in facts)]:
        one = streams.get(name)
        if name not in facts:
            restored[name] = streams[name]
            continue
        if isinstance(facts[name], PairStreamFacts):
            if one is not None or name in entry.get("looked_for", {}):
                restored[name] = _with_pair_facts(
                    one or AnnotationStream.of([]), facts[name], annotators.get(name, ""), entry
                )
            continue
        nothing = _covers(absent.get(name, []), int(entry["frames"]))
        if one is None and "not_annotated" not in entry:
            continue
        one = AnnotationStream.of([]) if one is None else one
        if len(one) or not nothing:
            restored[name] = _with_facts(one, facts[name], absent.get(name, []), annotators.get(name, ""), entry)
    return replace(annotation, streams=restored, recording=str(entry["id"]))


def _covers(stretches: list[list[int]], frames: int) -> bool:
    return [list(one) for one in stretches] == [[0, frames]]


def _with_facts(
    one: AnnotationStream, facts: StreamFacts, absent: list[list[int]], annotator: str, entry: Mapping[str, Any]
) -> AnnotationStream:
    words = tuple(dict.fromkeys([*facts.classes, *one.vocabulary]))
    number = np.array([words.index(word) for word in one.vocabulary], dtype=np.int64)
    frames = int(entry["frames"])
    rate = (one.fps or float(entry["fps"])) if one.seconds else 1.0
    stretches = [(start / rate, stop / rate) for start, stop in absent]
    return replace(
        one, vocabulary=words, label=number[one.label] if len(one) else one.label, background=facts.background,
        complete=True, gaps=True, subject=(), target=(), directed=False, annotator=annotator or one.annotator,
        fps=one.fps or float(entry["fps"]),
        not_annotated=(*one.not_annotated, *stretches, (frames / rate, math.inf)), num_frames=frames,
    )  # fmt: skip


def _with_pair_facts(
    one: AnnotationStream, facts: StreamFacts, annotator: str, entry: Mapping[str, Any]
) -> AnnotationStream:
    """Stream with agents and targets, and what was looked for; pairs in which a behavior occurs are added."""
    words = tuple(dict.fromkeys([*facts.classes, *one.vocabulary]))
    number = np.array([words.index(word) for word in one.vocabulary], dtype=np.int64)
    occurring = [
        (agent, target, one.vocabulary[label])
        for agent, target, label in zip(one.subject, one.target, one.label.tolist(), strict=True)
        if agent and target
    ]
    stated = [(agent, target, behavior) for agent, target, behavior in entry.get("looked_for", {}).get(facts.name, [])]
    return replace(
        one, vocabulary=words, label=number[one.label], directed=True, complete=False, background=None,
        looked_for=tuple(dict.fromkeys([*stated, *occurring])), annotator=annotator or one.annotator,
        fps=one.fps or float(entry["fps"]), num_frames=int(entry["frames"]),
    )  # fmt: skip


def _renamed(annotation: Annotation, file: ExportedFile) -> dict[str, AnnotationStream]:
    """Streams of the file under the names that they had when they were exported."""
    if file.format == "npy":
        return _numbered(annotation, file)
    if file.format == "mabe":
        return dict(zip((file.streams[0].name,), annotation.streams.values(), strict=True))
    if file.format not in ("boris", "simba"):
        return {file.names.get(name, name): one for name, one in annotation.streams.items()}
    behaviors = {code: key for key, code in unique_behavior_names(file.streams).items()}
    alone = file.streams[0].name if len(file.streams) == 1 else ""
    parts: dict[str, list[tuple[float, float, str, str, str]]] = defaultdict(list)
    like: dict[str, AnnotationStream] = {}
    for category, one in annotation.streams.items():
        who = zip(one.subject or ("",) * len(one), one.target or ("",) * len(one), strict=True)
        for (start, stop, code), animals in zip(one.intervals(), who, strict=True):
            known = {stream.name for stream in file.streams}
            stream, behavior = behaviors.get(code, (category if category in known else alone or DEFAULT_STREAM, code))
            parts[stream].append((start, stop, behavior, *animals))
            like[stream] = one
    return {
        name: AnnotationStream.of(
            [bout[:3] for bout in sorted(own)], subject=tuple(bout[3] for bout in sorted(own)),
            target=tuple(bout[4] for bout in sorted(own)), complete=True, seconds=like[name].seconds,
            fps=like[name].fps, tolerance=like[name].tolerance, annotator=like[name].annotator,
            not_annotated=like[name].not_annotated,
        )
        for name, own in parts.items()
    }  # fmt: skip


def _numbered(annotation: Annotation, file: ExportedFile) -> dict[str, AnnotationStream]:
    """Streams of an array: its columns are the streams in order, its numbers the classes."""
    renamed = {}
    columns = [one for name, one in annotation.streams.items()]
    if len(columns) != len(file.streams):
        return dict(annotation.streams)
    for stream, one in zip(file.streams, columns, strict=True):
        if one.vocabulary and int(one.vocabulary[-1]) >= len(stream.classes):
            raise InputError(
                f"{annotation.path}: {stream.name!r} has the label {one.vocabulary[-1]}; it has {len(stream.classes)} "
                "classes"
            )
        renamed[stream.name] = replace(one, vocabulary=stream.classes[: len(one.vocabulary)])
    return renamed
