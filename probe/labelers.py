"""Labelers: what gives labels for any recording (a run or a saved probe), and the files they are written to."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from probe.annotators import AnnotatorConfig, add_annotator, annotated_frames
from probe.annotators.learning import rows_of
from probe.annotators.saved import ANNOTATORS, SavedAnnotators, load_annotators, save_annotators
from probe.heads import SavedProbe, load_heads, read_probe
from probe.representations import Columns, Matrix, check_alignment, columns_without
from probe.trial import BALANCED, DECISION, decide
from probe.trial import balanced as as_if_balanced
from ssl_behavior.bouts import Bout, without_short_bouts
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.embedding import Embeddings, check_fits, embed_row, kept_groups
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder
from ssl_behavior.io.annotated import DEFAULT_MEDIA, AnnotatedRecording, annotated_recording, check_actor, check_media
from ssl_behavior.io.annotation_formats import write_annotations
from ssl_behavior.labeled import LabelFacts, StreamFacts
from ssl_behavior.methods import Method
from ssl_behavior.objectives import class_prior
from ssl_behavior.prediction import Style, predict_row, style_of, with_labels
from ssl_behavior.recording import Labels
from ssl_behavior.store import Store, StoreRow

__all__ = ["Labeler", "ProbeLabeler", "RunLabeler", "Told", "add_from_store", "decided_labels", "write_labels"]

_OTHER = ("other", "none")
"""What a binary class's own stream calls the frames that do not show it."""


class Labeler(ABC):
    """Gives labels for the recordings of a store.

    Attributes
    ----------
    source : the folder that knows the labels, for messages.
    facts : the label streams it gives, and the annotators whose styles it has learned ("" = nobody in particular).
    method : the encoder; None where embeddings are read.
    checkpoint : the encoder's fingerprint.
    always_balanced : its classes weighed the same in training, so there are no other labels than balanced ones.
    """

    store: Store
    source: Path
    facts: LabelFacts
    method: Method | None
    checkpoint: str
    always_balanced = False

    @abstractmethod
    def probabilities(self, row: StoreRow, annotator: str = "", balanced: bool = False) -> Mapping[str, np.ndarray]:
        """Stream -> float32 [time, classes] of one recording, made to be decided by; NaN for classes not learned.

        Parameters
        ----------
        annotator : in whose style, as `style` says.
        balanced : as if all classes were equally frequent.
        """

    def check(self, rows: Sequence[StoreRow]) -> None:
        """Refuse recordings that the encoder was not made for, see `check_fits`."""
        if self.method is not None:
            for row in rows:
                check_fits(self.method, row, self.store.skeleton.keypoints, len(self.store.individuals))

    def streams(self, names: Sequence[str] = ()) -> tuple[StreamFacts, ...]:
        """The streams of these names, in the order they were learned; all of them by default.

        Raises
        ------
        InputError
            If one was not learned.
        """
        known = [stream.name for stream in self.facts.streams]
        if missing := [name for name in names if name not in known]:
            raise InputError(f"--streams {missing[0]}: {self.source} gives no such labels; it gives {known}")
        return tuple(stream for stream in self.facts.streams if not names or stream.name in names)

    def style(self, row: StoreRow, annotator: str = "", streams: Sequence[StreamFacts] = ()) -> Style:
        """In whose style a recording is labeled, see `style_of`; "" where no styles are known.

        Parameters
        ----------
        streams : look who labeled one of these; none = all there are.

        Raises
        ------
        InputError
            If an annotator is named and was not learned.
        """
        if any(self.facts.annotators):
            chosen = LabelFacts(streams=tuple(streams) or self.facts.streams, annotators=self.facts.annotators)
            return style_of(chosen, row, annotator)
        if annotator:
            raise InputError(
                f"--annotator {annotator}: {self.source} tells no annotators apart; leave the option out, or learn "
                "styles from recordings that say who labeled them (ssl-behavior probe --mode annotators)"
            )
        return Style("")


class RunLabeler(Labeler):
    """The heads that a run learned together with its encoder (recipes joint, finetune, joint_mabe2021).

    Balanced probabilities are made by Bayes' rule of the shares that the classes have in the training labels.

    Parameters
    ----------
    run : run or checkpoint folder.
    last : the newest checkpoint of a run, not the best.

    Raises
    ------
    InputError
        If the run learned from no labels.
    """

    method: Method

    def __init__(
        self, run: Path, store: Path, device: torch.device, precision: torch.dtype, last: bool = False
    ) -> None:
        if (run / "embeddings.json").exists():
            raise InputError(f"{run} holds embeddings and no labels: give a probe of them (--probe DIR)")
        self.store, self.source, self.precision = Store(store), run, precision
        self.method = self._joint = with_labels(load_checkpoint(run, best=not last).to(device), str(run))
        labels = self._joint.config.labels
        self.facts = LabelFacts(streams=labels.streams, annotators=labels.annotators)
        self.checkpoint, self.always_balanced = self.method.fingerprint(), labels.balanced

    def probabilities(self, row: StoreRow, annotator: str = "", balanced: bool = False) -> Mapping[str, np.ndarray]:
        said = predict_row(self._joint, self.store, row, Style(annotator), self.precision)
        if not balanced or self.always_balanced:
            return said
        shares = [class_prior(self._joint.label_counts.of(number)).cpu().numpy() for number in range(len(said))]
        return {
            name: as_if_balanced(values, share, "multinomial")
            for (name, values), share in zip(said.items(), shares, strict=True)
        }


class ProbeLabeler(Labeler):
    """A saved probe, with the encoder or the embeddings it was fitted to.

    A binary class is a stream of its own, for a frame may show several.

    Parameters
    ----------
    run : run or checkpoint folder, or an embeddings folder.
    last : the newest checkpoint of a run, not the best.

    Raises
    ------
    InputError
        If the probe was fitted to another encoder or to other columns, or store and encoder do not fit.
    """

    def __init__(
        self, run: Path, store: Path, probe: Path, device: torch.device, precision: torch.dtype, last: bool = False
    ) -> None:
        self.store, self.source, self.saved = Store(store), probe, _load(probe)
        known = self.saved.probe.annotators if isinstance(self.saved, SavedAnnotators) else ("",)
        self.facts = LabelFacts(streams=_streams_of(self.saved), annotators=known)
        self.method = None
        if (run / "embeddings.json").exists():
            embeddings = Embeddings(run)
            check_alignment(embeddings, self.store)
            self.checkpoint, groups = embeddings.checkpoint, embeddings.groups
        else:
            self.method = load_checkpoint(run, best=not last).to(device)
            self.checkpoint, groups = self.method.fingerprint(), self.method.channel_groups
        if self.checkpoint != self.saved.checkpoint:
            raise InputError(
                f"{probe} was fitted to another encoder than {run} (fingerprints {self.saved.checkpoint[:12]} and "
                f"{self.checkpoint[:12]}): give the run that was probed, or probe this one"
            )
        without = [name for name in self.saved.without if name in groups]
        kept = kept_groups(groups, without)
        if sum(kept.values()) != self.saved.dim:
            raise InputError(
                f"{probe} reads {self.saved.dim} columns of an embedding, {run} gives {sum(kept.values())} "
                f"({', '.join(kept)}): give the embeddings folder that was probed, or probe again"
            )
        self.array: Matrix = (
            _EmbeddedWhenAsked(self.method, self.store, kept, precision)
            if self.method is not None
            else columns_without(embeddings, without)
        )

    @property
    def annotators(self) -> SavedAnnotators:
        """The saved probe, if it knows annotators.

        Raises
        ------
        InputError
            If it does not.
        """
        if not isinstance(self.saved, SavedAnnotators):
            raise InputError(
                f"{self.source} tells no annotators apart: make a probe with ssl-behavior probe --mode annotators"
            )
        return self.saved

    def probabilities(self, row: StoreRow, annotator: str = "", balanced: bool = False) -> Mapping[str, np.ndarray]:
        use = BALANCED if balanced else DECISION
        if isinstance(self.saved, SavedAnnotators):
            said = self.saved.probabilities(self.array, row, use, annotator)
        else:
            said = self.saved.probabilities(self.array, row, use)
        if self.saved.kind == "multinomial":
            return {self.facts.streams[0].name: said}
        return {
            stream.name: np.stack([1 - yes, yes], axis=1)
            for stream, yes in zip(self.facts.streams, said.T, strict=True)
        }


def _load(folder: Path) -> SavedProbe | SavedAnnotators:
    contents, _ = read_probe(folder)
    return load_annotators(folder) if contents.get("heads") == ANNOTATORS else load_heads(folder)


def _streams_of(saved: SavedProbe | SavedAnnotators) -> tuple[StreamFacts, ...]:
    if saved.kind == "multinomial":
        return (StreamFacts(name=saved.streams[0], classes=saved.classes, background=saved.background),)
    free = [name for name in _OTHER if name not in saved.classes]
    others = {name: free[0] if free else f"not {name}" for name in saved.classes}
    return tuple(StreamFacts(name=name, classes=(other, name), background=other) for name, other in others.items())


class _EmbeddedWhenAsked(Columns):
    """The embedding of a store, made recording by recording where it is read; the last one is kept."""

    def __init__(self, method: Method, store: Store, kept: Mapping[str, int], precision: torch.dtype) -> None:
        self.method, self.store, self.kept, self.precision = method, store, kept, precision
        self.shape = (store.num_frames, sum(kept.values()))
        self._rows = {row.offset: row for row in store.rows}
        self._last: tuple[StoreRow, np.ndarray] | None = None

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Only slices that are a recording's."""
        row = self._rows[rows.start]
        assert rows == row.slice
        if self._last is None or self._last[0] is not row:
            chunks = embed_row(self.method, self.store, row, self.kept, precision=self.precision)
            self._last = row, np.concatenate([values for _, values in chunks])
        return self._last[1]


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
    warning = Told(chosen, _notes(labeler, styles, balanced))

    def label(row: StoreRow) -> AnnotatedRecording:
        said = labeler.probabilities(row, styles[row.id].annotator, balanced)
        labels = {one.name: without_short_bouts(decided_labels(said[one.name], one), fewest_frames) for one in chosen}
        written = annotated_recording(
            row.id, row.fps, labels, probabilities=said, individuals=labeler.store.individuals, actor=actor,
            annotator=styles[row.id].annotator, media=media,
        )  # fmt: skip
        warning.add(written.bouts, row)
        progress(row.frames)
        return written

    facts = {
        "checkpoint": labeler.checkpoint,
        "store": labeler.store.fingerprint(),
        "balanced": balanced or labeler.always_balanced,
        "minimum_bout_frames": fewest_frames,
        "notes": list(warning.notes),
    }
    write_annotations(out, map(label, rows), [row.id for row in rows], chosen, formats, facts, overwrite)
    return warning


def decided_labels(probability: np.ndarray, stream: StreamFacts) -> Labels:
    """The likeliest class of each frame, none of the frames left out.

    Parameters
    ----------
    probability : float [time, classes]; NaN for classes that were not learned.
    """
    shown = decide(probability, "multinomial").argmax(axis=1)
    return Labels(vocabulary=stream.classes, frames=shown, background=stream.background)


def _notes(labeler: Labeler, styles: Mapping[str, Style], balanced: bool) -> list[str]:
    notes = [style.warning for style in styles.values() if style.warning]
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
