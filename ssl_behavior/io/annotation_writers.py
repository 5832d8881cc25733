"""Table of annotation formats, and writing of a folder of annotation files.

The folder holds one file per recording and format, and `labels.json`, which lists them.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import numpy as np

from ssl_behavior.bouts import Bout, runs
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, check_names, name_on_disk, write_json, write_text
from ssl_behavior.io.annotated_recording import (
    BACKGROUND,
    AnnotatedRecording,
    PairStreamFacts,
    streams_of,
    unique_behavior_names,
)
from ssl_behavior.io.bento import bento_channels, bento_text, check_bento
from ssl_behavior.io.boris_writer import boris_text, check_boris
from ssl_behavior.io.caltech import caltech_names, caltech_of, check_caltech
from ssl_behavior.io.mabe25_submission import check_submission, write_submission
from ssl_behavior.recording import NOT_ANNOTATED, PairLabels, StreamFacts

__all__ = [
    "ANNOTATION_FORMATS",
    "FORMAT_VERSION",
    "FRAME_FORMATS",
    "LABELS_FILE",
    "PAIR_FORMATS",
    "AnnotationFormat",
    "annotation_files",
    "annotation_format_titles",
    "bouts_csv",
    "check_simba",
    "frames_csv",
    "simba_csv",
    "write_annotations",
]


def bouts_csv(bouts: Sequence[Bout], fps: float, with_targets: bool = False) -> str:
    """CSV with one line per bout. Frames are counted from 0; the stop frame is not part of the bout.

    Actor, target and probability are empty where they are not known.

    Parameters
    ----------
    with_targets : the columns `agent` and `target` in place of `actor`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    who = ["agent", "target"] if with_targets else ["actor"]
    writer.writerow(["stream", "behavior", "start_frame", "stop_frame", "start_s", "stop_s", *who, "probability"])
    for bout in bouts:
        seconds = (f"{frame / fps:.3f}" for frame in (bout.start, bout.stop))
        probability = "" if bout.probability is None else f"{bout.probability:.4f}"
        animals = [bout.agent, bout.target] if with_targets else [bout.agent]
        writer.writerow([bout.stream, bout.behavior, bout.start, bout.stop, *seconds, *animals, probability])
    return text.getvalue()


def frames_csv(recording: AnnotatedRecording) -> str:
    """CSV with one line per frame: number from 0, time, and label in each stream; empty = not annotated."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["frame", "seconds", *recording.labels])
    words = [[*one.vocabulary, ""] for one in recording.labels.values()]
    numbers = [one.frames.tolist() for one in recording.labels.values()]
    for frame, labels in enumerate(zip(*numbers, strict=True)):
        said = (names[label] for names, label in zip(words, labels, strict=True))
        writer.writerow([frame, f"{frame / recording.fps:.3f}", *said])
    return text.getvalue()


def check_simba(streams: Sequence[StreamFacts]) -> None:
    """Refuse behaviors whose names cannot be columns of the table.

    Raises
    ------
    InputError
        Naming the behavior.
    """
    for (_, behavior), name in unique_behavior_names(streams).items():
        if name == BACKGROUND or not name.isprintable() or any(sign in name for sign in ',"') or name != name.strip():
            raise InputError(
                f"behavior {behavior!r} cannot be a column for SimBA: it must be printable, without commas and "
                f"quotes, and not called {BACKGROUND!r}; rename it, or choose another `format`"
            )


def simba_csv(recording: AnnotatedRecording) -> str:
    """SimBA table of one recording; frames without annotation are background.

    Raises
    ------
    InputError
        See `check_simba`.
    """
    streams = streams_of([recording])
    check_simba(streams)
    foreground = [recording.labels[stream.name].frames == number for stream in streams for number in stream.foreground]
    columns = np.array(foreground, dtype=np.int8).reshape(len(foreground), recording.num_frames)
    table = np.vstack([~columns.any(axis=0), columns]).astype(np.int8)
    kinds, kind = np.unique(table, axis=1, return_inverse=True)
    lines = [",".join(map(str, one)) for one in kinds.T.tolist()]
    header = ",".join(["", BACKGROUND, *unique_behavior_names(streams).values()])
    return "\n".join([header, *(f"{frame},{lines[one]}" for frame, one in enumerate(kind.ravel().tolist())), ""])


_ID = "{id}"


def _anything(_: Sequence[StreamFacts]) -> None:
    """Check of formats that allow every name."""


@dataclass(frozen=True)
class AnnotationFormat:
    """A format of label files.

    Parameters
    ----------
    title : a short description with the tool that reads it.
    file : file name of a recording's labels, with "{id}" for its id; without "{id}", all recordings share the file.
    write : writes recordings (one, unless the file is shared) to a path.
    check : raises InputError for label streams with names that the file cannot hold.
    targets : the file holds agents and targets.
    only_targets : the file holds nothing else.
    """

    name: str
    title: str
    file: str
    write: Callable[[Path, Sequence[AnnotatedRecording]], None]
    check: Callable[[Sequence[StreamFacts]], None] = _anything
    targets: bool = False
    only_targets: bool = False

    @property
    def shared(self) -> bool:
        return _ID not in self.file

    def file_of(self, recording: str) -> str:
        """Path of a recording's file within the folder.

        Raises
        ------
        InputError
            If its id cannot be a file's name, on Windows also because of characters such as ":".
        """
        parts = recording.split("/")
        if any(part in ("", ".", "..") or "\\" in part for part in parts):
            raise InputError(f"recording {recording!r}: its id cannot be a file's name; import it under another id")
        file = self.file.replace(_ID, str(PurePosixPath(*parts)))
        check_names([file], f"recording {recording!r}: its file")
        return file


def _text(content: Callable[[AnnotatedRecording], str]) -> Callable[[Path, Sequence[AnnotatedRecording]], None]:
    """Writer of text that keeps line ends."""

    def write(path: Path, recordings: Sequence[AnnotatedRecording]) -> None:
        (recording,) = recordings
        write_text(path, content(recording))

    return write


def _write_npy(path: Path, recordings: Sequence[AnnotatedRecording]) -> None:
    """int16 [time], of several streams [time, stream]."""
    (recording,) = recordings
    columns = [one.frames for one in recording.labels.values()]
    with path.open("wb") as file:
        np.save(file, columns[0] if len(columns) == 1 else np.stack(columns, axis=1))


def _write_boris(path: Path, recordings: Sequence[AnnotatedRecording]) -> None:
    write_text(path, boris_text(recordings, path.stem, datetime.now()))


ANNOTATION_FORMATS: dict[str, AnnotationFormat] = {
    format.name: format
    for format in (
        AnnotationFormat(
            "csv", "a table of bouts", "{id}.csv",
            _text(lambda one: bouts_csv(one.bouts, one.fps, with_targets=bool(one.pair_labels))), targets=True,
        ),
        AnnotationFormat("frames", "a table of frames", "{id}.frames.csv", _text(frames_csv)),
        AnnotationFormat(
            "caltech", "text for the Caltech Behavior Annotator", "{id}.txt", _text(caltech_of), check_caltech
        ),
        AnnotationFormat("npy", "a whole number per frame and stream", "{id}.npy", _write_npy),
        AnnotationFormat(
            "boris", "a BORIS project of all recordings, to be corrected there", "project.boris", _write_boris,
            check_boris, targets=True,
        ),
        AnnotationFormat("bento", "text for Bento and MARS", "{id}.annot", _text(bento_text), check_bento),
        AnnotationFormat(
            "simba", "0/1 columns for SimBA (as annotations of DeepEthogram)", "simba/{id}.csv", _text(simba_csv),
            check_simba,
        ),
        AnnotationFormat(
            "mabe", "the submission table of MABe 2025, of labels with agents and targets", "submission.csv",
            write_submission, check_submission, targets=True, only_targets=True,
        ),
    )
}  # fmt: skip


FRAME_FORMATS = tuple(format.name for format in ANNOTATION_FORMATS.values() if not format.only_targets)
"""Formats of label streams with one behavior per frame."""
PAIR_FORMATS = tuple(format.name for format in ANNOTATION_FORMATS.values() if format.targets)
"""Formats of label streams with agents and targets."""


def annotation_format_titles() -> str:
    """List of the formats for --help."""
    return ". ".join(f"{format.name}: {format.title}" for format in ANNOTATION_FORMATS.values())


def annotation_files(recordings: Sequence[str], formats: Sequence[str]) -> dict[str, dict[str, str]]:
    """Paths within the folder: recording -> format -> file, without formats that share one file.

    Raises
    ------
    InputError
        If a format is unknown, an id cannot be a file's name, or two files would have one name.
    """
    for name in formats:
        if name not in ANNOTATION_FORMATS:
            raise InputError(f"`format` {name} is unknown; known: {', '.join(ANNOTATION_FORMATS)}")
    chosen = [ANNOTATION_FORMATS[name] for name in dict.fromkeys(formats)]
    files = {id: {format.name: format.file_of(id) for format in chosen if not format.shared} for id in recordings}
    taken = {name_on_disk(format.file): "all recordings" for format in chosen if format.shared}
    for recording, own in files.items():
        for file in own.values():
            other = taken.setdefault(name_on_disk(file), recording)
            if other != recording:
                raise InputError(f"recordings {other!r} and {recording!r} would both be written to {file}; rename one")
    return files


FORMAT_VERSION = 1
LABELS_FILE = "labels.json"


def write_annotations(
    out: Path,
    recordings: Iterable[AnnotatedRecording],
    ids: Sequence[str],
    streams: Sequence[StreamFacts],
    formats: Sequence[str] = ("csv",),
    facts: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> None:
    """Write the annotations of recordings one by one; the folder is atomic.

    A recording `a/b` becomes `a/b.csv`, `a/b.txt` and so on, see `ANNOTATION_FORMATS`. Names are checked before the
    first recording is asked for.

    Parameters
    ----------
    ids : ids of the recordings, in order.
    streams : the label streams that any of them has.
    facts : further entries of `labels.json`.

    Raises
    ------
    InputError
        If `out` exists, the disk is full, or an id or a behavior's name cannot stand in a format.
    """
    files, shared = annotation_files(ids, formats), _shared(formats)
    for name in formats:
        _check_targets(ANNOTATION_FORMATS[name], streams)
        ANNOTATION_FORMATS[name].check(streams)
    with atomic_folder(out, overwrite, LABELS_FILE) as folder:
        kept, table = [], []
        for recording in recordings:
            for name, file in files[recording.id].items():
                _write(name, folder, file, [recording])
            table.append(_entry(recording, files[recording.id], streams))
            if shared:
                kept.append(recording)
        for name, file in shared.items():
            _write(name, folder, file, kept)
        contents = {"format": "ssl-behavior labels", "version": FORMAT_VERSION, "streams": _streams(streams)}
        whole = {"files": shared} if shared else {}
        write_json(folder / LABELS_FILE, contents | dict(facts or {}) | whole | {"recordings": table})


def _check_targets(format: AnnotationFormat, streams: Sequence[StreamFacts]) -> None:
    """Refuse streams with agents and targets in formats that cannot hold them, and others where only these fit."""
    for stream in streams:
        directed = isinstance(stream, PairStreamFacts)
        if directed and not format.targets:
            raise InputError(
                f"label stream {stream.name!r} has agents and targets, which the `format` {format.name} cannot hold; "
                f"choose one of {', '.join(PAIR_FORMATS)}, or other `streams`"
            )
        if not directed and format.only_targets:
            raise InputError(
                f"label stream {stream.name!r} has no agents and targets, which the `format` {format.name} needs; "
                f"choose one of {', '.join(FRAME_FORMATS)}, or other `streams`"
            )


def _shared(formats: Sequence[str]) -> dict[str, str]:
    return {name: ANNOTATION_FORMATS[name].file for name in formats if ANNOTATION_FORMATS[name].shared}


def _write(name: str, folder: Path, file: str, recordings: Sequence[AnnotatedRecording]) -> None:
    path = folder / file
    if path.exists():
        # On Windows and macOS A.csv is a.csv, and the labels of one would be lost.
        raise InputError(f"two recordings would be written to {file} on this disk; import one under another id")
    path.parent.mkdir(parents=True, exist_ok=True)
    ANNOTATION_FORMATS[name].write(path, recordings)


def _streams(streams: Sequence[StreamFacts]) -> list[dict[str, object]]:
    names = [stream.name for stream in streams]
    caltech, bento = caltech_names(names), bento_channels(names)
    return [
        {
            "name": stream.name,
            "classes": list(stream.classes),
            "background": stream.background,
            "caltech": caltech[stream.name],
            "bento": bento[stream.name],
            **({"pairs": True} if isinstance(stream, PairStreamFacts) else {}),
        }
        for stream in streams
    ]


def _entry(
    recording: AnnotatedRecording, files: Mapping[str, str], streams: Sequence[StreamFacts]
) -> dict[str, object]:
    absent = {name: _absent(one.frames) for name, one in recording.labels.items()}
    frames_only = (one.name for one in streams if not isinstance(one, PairStreamFacts))
    absent |= {name: [[0, recording.num_frames]] for name in frames_only if name not in absent}
    pairs = {name: _looked_for(own, recording.individuals) for name, own in recording.pair_labels.items()}
    annotators = {name: one.annotator for name, one in recording.labels.items()}
    annotators |= {name: one.annotator for name, one in recording.pair_labels.items()}
    return {
        "id": recording.id,
        "frames": recording.num_frames,
        "fps": recording.fps,
        "annotator": recording.annotator,
        "annotators": {name: annotator for name, annotator in annotators.items() if annotator},
        "not_annotated": {name: stretches for name, stretches in absent.items() if stretches},
        **({"looked_for": pairs} if pairs else {}),
        "files": dict(files),
    }


def _looked_for(labels: PairLabels, individuals: Sequence[str]) -> list[list[str]]:
    """[agent, target, behavior] of all that was looked for, which no format states."""
    triples = np.argwhere(labels.looked_for_of(len(individuals))).tolist()
    return [[individuals[agent], individuals[target], labels.vocabulary[word]] for agent, target, word in triples]


def _absent(frames: np.ndarray) -> list[list[int]]:
    """[start, stop] of the frames without annotation, which most formats cannot tell from background."""
    return [[start, stop] for start, stop, label in runs(frames) if label == NOT_ANNOTATED]
