"""Labels for recordings, in files for people and programs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from probe.annotators import AnnotatorConfig, add_annotator, annotated_frames
from probe.annotators.frames import rows_of
from probe.annotators.saved import save_annotators
from probe.labelers import Labeler, ProbeLabeler
from probe.trial import decide
from ssl_behavior.bouts import Bout, bouts_csv, bouts_of, runs, without_short_bouts
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, write_json
from ssl_behavior.io.caltech_text import caltech_names, caltech_text
from ssl_behavior.labeled import StreamFacts
from ssl_behavior.prediction import Style
from ssl_behavior.recording import Labels
from ssl_behavior.store import StoreRow

__all__ = ["FORMAT_VERSION", "Told", "add_from_store", "decided_labels", "write_labels"]

FORMAT_VERSION = 1
LABELS_FILE = "labels.json"
_SUFFIXES = {"csv": ".csv", "caltech": ".txt", "npy": ".npy"}

Progress = Callable[[int], None]


class Told:
    """What was written, for a person: bouts and seconds of each behaviour, and what to know about the labels."""

    def __init__(self, streams: Sequence[StreamFacts], notes: Sequence[str]) -> None:
        self.notes = tuple(notes)
        behaviors = [(stream.name, stream.classes[number]) for stream in streams for number in stream.foreground]
        self.bouts = dict.fromkeys(behaviors, 0)
        self.seconds = dict.fromkeys(behaviors, 0.0)
        self.total_seconds = 0.0

    def add(self, bouts: Sequence[Bout], row: StoreRow) -> None:
        self.total_seconds += row.frames / row.fps
        for bout in bouts:
            self.bouts[bout.stream, bout.behavior] += 1
            self.seconds[bout.stream, bout.behavior] += (bout.stop - bout.start) / row.fps

    def table(self) -> Table:
        table = Table("stream", "behaviour", "bouts", "seconds", "% of the time", box=SIMPLE)
        for (stream, name), count in self.bouts.items():
            seconds = self.seconds[stream, name]
            share = 100 * seconds / self.total_seconds
            table.add_row(Text(stream), Text(name), f"{count:,}", f"{seconds:,.1f}", f"{share:.1f}")
        return table


def write_labels(
    labeler: Labeler,
    rows: Sequence[StoreRow],
    out: Path,
    *,
    formats: Sequence[str] = ("csv",),
    streams: Sequence[str] = (),
    annotator: str = "",
    balanced: bool = False,
    fewest_frames: int = 1,
    overwrite: bool = False,
    progress: Progress = lambda _: None,
) -> Told:
    """A folder with a file per recording and format, and `labels.json`; whole or not at all.

    A recording `a/b` becomes `a/b.csv` (bouts of all that is not background), `a/b.txt` (Caltech Behavior Annotator) or
    `a/b.npy` (int16 numbers of the classes, [time], of several streams [time, stream]). Streams, their classes and what
    they are called in `a/b.txt` are told in `labels.json`, and in whose style each recording was labeled.

    Parameters
    ----------
    streams : only these; none = all that the labeler gives.
    annotator : in whose style, see `Labeler.style`.
    balanced : decide as if all classes were equally frequent.
    fewest_frames : shorter bouts are left out, see `without_short_bouts`.

    Raises
    ------
    InputError
        If `out` exists, the disk is full, a stream or annotator is unknown, a recording does not fit the encoder, or
        its id cannot be a file's name.
    """
    labeler.check(rows)
    chosen = labeler.streams(streams)
    styles = {row.id: labeler.style(row, annotator, chosen) for row in rows}
    files = {row.id: {name: _file_name(row.id, _SUFFIXES[name]) for name in dict.fromkeys(formats)} for row in rows}
    told = Told(chosen, _notes(labeler, styles, balanced))
    with atomic_folder(out, overwrite, LABELS_FILE) as folder:
        for row in rows:
            said = labeler.probabilities(row, styles[row.id].annotator, balanced)
            written = _labeled(said, chosen, row, fewest_frames)
            for name, file in files[row.id].items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                _WRITERS[name](folder / file, written)
            told.add(written.bouts, row)
            progress(row.frames)
        choices = {"balanced": balanced or labeler.always_balanced, "minimum_bout_frames": fewest_frames}
        contents = _contents(labeler, chosen) | choices | {"notes": list(told.notes)}
        table = [_entry(row, styles[row.id], files[row.id]) for row in rows]
        write_json(folder / LABELS_FILE, contents | {"recordings": table})
    return told


def decided_labels(probability: np.ndarray, stream: StreamFacts) -> Labels:
    """The likeliest class of each frame, none of the frames left out.

    Parameters
    ----------
    probability : float [time, classes]; NaN for classes that were not learned.
    """
    shown = decide(probability, "multinomial").argmax(axis=1)
    return Labels(vocabulary=stream.classes, frames=shown, background=stream.background)


def _notes(labeler: Labeler, styles: Mapping[str, Style], balanced: bool) -> list[str]:
    notes = [style.told for style in styles.values() if style.told]
    if balanced and labeler.always_balanced:
        notes.append(
            f"all classes weighed the same when {labeler.source} was trained: its labels are balanced, with --balanced "
            "or without"
        )
    return list(dict.fromkeys(notes))


def _file_name(recording: str, suffix: str) -> str:
    """A recording's id as a path inside a folder."""
    parts = recording.split("/")
    if any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise InputError(f"recording {recording!r}: its id cannot be a file's name; import it under another id")
    return str(PurePosixPath(*parts)) + suffix


class _Written(NamedTuple):
    """What there is to write of a recording: stream -> labels, and the bouts of all streams by their start."""

    labels: Mapping[str, Labels]
    bouts: Sequence[Bout]
    fps: float


def _labeled(
    said: Mapping[str, np.ndarray], streams: Sequence[StreamFacts], row: StoreRow, fewest_frames: int
) -> _Written:
    labels = {one.name: without_short_bouts(decided_labels(said[one.name], one), fewest_frames) for one in streams}
    bouts = [bout for name, one in labels.items() for bout in bouts_of(name, one, said[name])]
    return _Written(labels, sorted(bouts, key=lambda bout: (bout.start, bout.stream)), row.fps)


def _write_csv(path: Path, written: _Written) -> None:
    path.write_text(bouts_csv(written.bouts, written.fps), encoding="utf-8")


def _write_npy(path: Path, written: _Written) -> None:
    columns = [one.frames for one in written.labels.values()]
    with path.open("wb") as file:
        np.save(file, columns[0] if len(columns) == 1 else np.stack(columns, axis=1))


def _write_caltech(path: Path, written: _Written) -> None:
    """Every frame lies in an interval, so that none counts as not annotated."""
    names = caltech_names(list(written.labels))
    streams = {
        names[stream]: [(start, stop, one.vocabulary[label]) for start, stop, label in runs(one.frames)]
        for stream, one in written.labels.items()
    }
    words = dict.fromkeys(word for one in written.labels.values() for word in one.vocabulary)
    path.write_text(caltech_text(list(words), streams), encoding="utf-8", newline="")


_WRITERS = {"csv": _write_csv, "caltech": _write_caltech, "npy": _write_npy}


def _contents(labeler: Labeler, streams: Sequence[StreamFacts]) -> dict[str, object]:
    names = caltech_names([stream.name for stream in streams])
    return {
        "format": "ssl-behavior labels",
        "version": FORMAT_VERSION,
        "streams": [
            {
                "name": stream.name,
                "classes": list(stream.classes),
                "background": stream.background,
                "caltech": names[stream.name],
            }
            for stream in streams
        ],
        "checkpoint": labeler.checkpoint,
        "store": labeler.store.fingerprint(),
    }


def _entry(row: StoreRow, style: Style, files: Mapping[str, str]) -> dict[str, object]:
    return {"id": row.id, "frames": row.frames, "fps": row.fps, "annotator": style.annotator, "files": files}


def add_from_store(
    labeler: ProbeLabeler,
    rows: Sequence[StoreRow],
    name: str,
    out: Path,
    overwrite: bool = False,
    seed: int = 0,
) -> list[StoreRow]:
    """A probe in `out` that has one annotator more; the recordings it was learned from, those that annotator labeled.

    Raises
    ------
    InputError
        As `add_annotator`; or if the annotator labeled none of `rows`, `out` exists, or the store's classes are not the
        probe's.
    """
    saved, store = labeler.annotators, labeler.store
    (stream,) = saved.streams
    own = rows_of(rows, saved.task, name)
    if not own:
        names = {row.annotators.get(stream, "") for row in rows} - {""}
        raise InputError(
            f"--learn {name}: nobody of that name has labeled {stream!r} in these recordings; they were labeled by "
            f"{sorted(names) or 'nobody'}"
        )
    labeler.check(own)
    if foreign := [word for word in store.stream(stream).vocabulary if word not in saved.classes]:
        raise InputError(
            f"{store.path}: the stream {stream!r} has the classes {foreign}, which the probe does not know"
        )
    frames = annotated_frames(store, saved.task, labeler.array, own, [name], seed=seed, scaling=saved.probe.scaling)
    probe = add_annotator(saved.probe, name, frames, AnnotatorConfig(), seed)
    with atomic_folder(out, overwrite, "probe.json") as folder:
        extended = saved.extended(probe)
        save_annotators(folder, probe, extended.task, saved.checkpoint, saved.without, saved.windows)
    return own
