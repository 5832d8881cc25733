"""Labels for recordings, in files for people and programs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from probe.annotators import AnnotatorConfig, add_annotator, annotated_frames
from probe.annotators.learning import rows_of
from probe.annotators.saved import save_annotators
from probe.labelers import Labeler, ProbeLabeler
from probe.trial import decide
from ssl_behavior.bouts import Bout, without_short_bouts
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder
from ssl_behavior.io.annotated import DEFAULT_MEDIA, AnnotatedRecording, annotated_recording, check_actor, check_media
from ssl_behavior.io.annotation_formats import write_annotations
from ssl_behavior.labeled import StreamFacts
from ssl_behavior.prediction import Style
from ssl_behavior.recording import Labels
from ssl_behavior.store import StoreRow

__all__ = ["Told", "add_from_store", "decided_labels", "write_labels"]

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
    actor: str = "",
    media: str = DEFAULT_MEDIA,
    overwrite: bool = False,
    progress: Progress = lambda _: None,
) -> Told:
    """A folder with a file per recording and format, and `labels.json`; whole or not at all.

    See `ANNOTATION_FORMATS` for the formats. Streams, their classes and what they are called in text of others are told
    in `labels.json`, and in whose style each recording was labeled.

    Parameters
    ----------
    streams : only these; none = all that the labeler gives.
    annotator : in whose style, see `Labeler.style`.
    balanced : decide as if all classes were equally frequent.
    fewest_frames : shorter bouts are left out, see `without_short_bouts`.
    actor, media : see `annotated_recording`.

    Raises
    ------
    InputError
        If `out` exists, the disk is full, a stream, annotator or actor is unknown, a recording does not fit the
        encoder, or its id or a behaviour cannot stand in a format.
    """
    labeler.check(rows)
    check_actor(actor, labeler.store.individuals)
    check_media(media, [row.id for row in rows])
    chosen = labeler.streams(streams)
    styles = {row.id: labeler.style(row, annotator, chosen) for row in rows}
    told = Told(chosen, _notes(labeler, styles, balanced))

    def label(row: StoreRow) -> AnnotatedRecording:
        said = labeler.probabilities(row, styles[row.id].annotator, balanced)
        labels = {one.name: without_short_bouts(decided_labels(said[one.name], one), fewest_frames) for one in chosen}
        written = annotated_recording(
            row.id, row.fps, labels, probabilities=said, individuals=labeler.store.individuals, actor=actor,
            annotator=styles[row.id].annotator, media=media,
        )  # fmt: skip
        told.add(written.bouts, row)
        progress(row.frames)
        return written

    facts = {
        "checkpoint": labeler.checkpoint,
        "store": labeler.store.fingerprint(),
        "balanced": balanced or labeler.always_balanced,
        "minimum_bout_frames": fewest_frames,
        "notes": list(told.notes),
    }
    write_annotations(out, map(label, rows), [row.id for row in rows], chosen, formats, facts, overwrite)
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
