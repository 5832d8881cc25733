"""Label predictors for any recording (a run with label heads, or a saved probe), and the files with their labels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from rich.table import Table

from probe.annotators import AnnotatorConfig, add_annotator, annotated_frames
from probe.annotators.annotator_probe import recordings_labeled_by
from probe.experiment import BALANCED, DECISION, balance_probabilities, decide
from probe.representations import Columns, Matrix, check_alignment, columns_without
from probe.saved_probes import (
    ANNOTATORS,
    SavedAnnotatorProbe,
    SavedProbe,
    load_annotators,
    load_heads,
    read_probe,
    save_annotators,
)
from ssl_behavior.bouts import without_short_bouts
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.embedding import check_fits, embed_row, kept_groups
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder
from ssl_behavior.io.annotated_recording import (
    DEFAULT_MEDIA,
    AnnotatedRecording,
    annotated_recording,
    check_actor,
    check_media,
)
from ssl_behavior.io.annotation_writers import write_annotations
from ssl_behavior.joint_predictions import Style, predict_row, style_of, with_labels
from ssl_behavior.labeled_windows import LabelFacts, StreamFacts
from ssl_behavior.methods import Method
from ssl_behavior.objectives import class_prior
from ssl_behavior.recording import Labels
from ssl_behavior.resampling import frames_at, own_frames_notice, resample_labels
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import Progress, make_table, no_progress

__all__ = [
    "LabelOptions",
    "LabelPredictor",
    "LabelSummary",
    "Labeler",
    "Predictor",
    "ProbePredictor",
    "RunPredictor",
    "add_annotator_from_store",
    "check_probed_columns",
    "decided_labels",
    "label_facts",
    "open_encoder",
    "predicted_labels",
    "write_labels",
]

_OTHER = ("other", "none")
"""Candidate names of the negative class in a binary class's own stream."""


Labeler = Callable[[StoreRow], AnnotatedRecording]
"""Function that labels a recording."""


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Options of predicted labels.

    Parameters
    ----------
    streams, annotator, balanced : see `LabelPredictor`; no streams = all.
    min_bout_frames : shorter bouts are removed, see `without_short_bouts`.
    actor, media : see `annotated_recording`.
    """

    streams: Sequence[str] = ()
    annotator: str = ""
    balanced: bool = False
    min_bout_frames: int = 1
    actor: str = ""
    media: str = DEFAULT_MEDIA


class Predictor(ABC):
    """A predictor of labels for the recordings of a store.

    Attributes
    ----------
    source : folder of the run or probe, for messages.
    method : the encoder; None if embeddings are read.
    checkpoint : fingerprint of the encoder.
    always_balanced : classes had equal weight in training, so all predictions are balanced.
    thresholds : behavior -> probability from which a frame shows it; without one, above one half.
    """

    store: Store
    source: Path
    method: Method | None
    checkpoint: str
    always_balanced = False
    thresholds: Mapping[str, float] = MappingProxyType({})

    @abstractmethod
    def labeler(
        self, rows: Sequence[StoreRow], options: LabelOptions, formats: Sequence[str] = ()
    ) -> tuple[Sequence[StreamFacts], Sequence[str], Labeler]:
        """Predicted streams, notes about the labels of these recordings, and the function that labels one of them.

        Parameters
        ----------
        formats : formats of the files that the labels are for.

        Raises
        ------
        InputError
            If an option does not fit, or a recording does not fit the encoder.
        """

    def deciding_thresholds(self, balanced: bool) -> Mapping[str, float]:
        """Thresholds that decide; where classes have equal weight, none."""
        return {} if balanced or self.always_balanced else self.thresholds

    def check(self, rows: Sequence[StoreRow]) -> None:
        """Refuse recordings that do not fit the encoder, see `check_fits`."""
        if self.method is not None:
            for row in rows:
                check_fits(self.method, row, self.store.skeleton.keypoints, self.store.individuals)


class LabelPredictor(Predictor):
    """A predictor of label probabilities for scenes.

    Attributes
    ----------
    facts : predicted label streams, and annotators with learned styles ("" = no particular annotator).
    """

    facts: LabelFacts

    @abstractmethod
    def probabilities(self, row: StoreRow, annotator: str = "", balanced: bool = False) -> Mapping[str, np.ndarray]:
        """Stream -> float32 [time, classes] of one recording, for decisions; NaN for classes that were not learned.

        Parameters
        ----------
        annotator : annotator whose style is predicted, see `style`.
        balanced : assume equally frequent classes.
        """

    def labeler(
        self, rows: Sequence[StoreRow], options: LabelOptions, formats: Sequence[str] = ()
    ) -> tuple[Sequence[StreamFacts], Sequence[str], Labeler]:
        self.check(rows)
        check_actor(options.actor, self.store.individuals)
        check_media(options.media, [row.id for row in rows])
        chosen = self.streams(options.streams)
        styles = {row.id: self.style(row, options.annotator, chosen) for row in rows}

        def label(row: StoreRow) -> AnnotatedRecording:
            style = styles[row.id].annotator
            probability = self.probabilities(row, style, options.balanced)
            thresholds = self.deciding_thresholds(options.balanced)
            labels = _decided_streams(probability, chosen, options.min_bout_frames, thresholds)
            fps, shown, probability = _of_video(self.store, row, labels, probability)
            return annotated_recording(
                row.id, fps, shown, probabilities=probability, individuals=self.store.individuals,
                actor=options.actor, annotator=style, media=options.media,
            )  # fmt: skip

        return chosen, _notes(self, styles, options.balanced), label

    def streams(self, names: Sequence[str] = ()) -> tuple[StreamFacts, ...]:
        """The named streams in their order in training; all by default.

        Raises
        ------
        InputError
            If a stream was not learned.
        """
        known = [stream.name for stream in self.facts.streams]
        if missing := [name for name in names if name not in known]:
            raise InputError(f"`streams={missing[0]}`: {self.source} gives no such labels; it gives {known}")
        return tuple(stream for stream in self.facts.streams if not names or stream.name in names)

    def style(self, row: StoreRow, annotator: str = "", streams: Sequence[StreamFacts] = ()) -> Style:
        """The annotator style for a recording, see `style_of`; "" without learned styles.

        Parameters
        ----------
        streams : streams whose annotator of the recording is used; none = all.

        Raises
        ------
        InputError
            If the named annotator was not learned.
        """
        if any(self.facts.annotators):
            chosen = LabelFacts(streams=tuple(streams) or self.facts.streams, annotators=self.facts.annotators)
            return style_of(chosen, row, annotator)
        if annotator:
            raise InputError(
                f"`annotator={annotator}`: {self.source} has no annotator styles; leave `annotator` out, or learn "
                "styles from recordings with named annotators (ssl-behavior probe with `mode=annotators`)"
            )
        return Style("")


class RunPredictor(LabelPredictor):
    """Label heads that a run trained with its encoder (recipes joint, finetune, joint_mabe2021).

    Balanced probabilities follow from the class shares of the training labels by Bayes' rule.

    Parameters
    ----------
    run : run or checkpoint folder.
    last : load the newest checkpoint of a run instead of the best.

    Raises
    ------
    InputError
        If the run was trained without labels.
    """

    method: Method

    def __init__(
        self, run: Path, store: Path, device: torch.device, precision: torch.dtype, last: bool = False
    ) -> None:
        if (run / "embeddings.json").exists():
            raise InputError(f"{run} holds embeddings and no labels: give a probe of them (`probe`)")
        self.store, self.source, self.precision = Store(store), run, precision
        self.method = self._joint = with_labels(load_checkpoint(run, best=not last).to(device), str(run))
        labels = self._joint.config.labels
        self.facts = LabelFacts(streams=labels.streams, annotators=labels.annotators)
        self.checkpoint, self.always_balanced = self.method.fingerprint(), labels.balanced

    def probabilities(self, row: StoreRow, annotator: str = "", balanced: bool = False) -> Mapping[str, np.ndarray]:
        probability = predict_row(self._joint, self.store, row, Style(annotator), self.precision)
        if not balanced or self.always_balanced:
            return probability
        shares = [class_prior(self._joint.label_counts.of(number)).cpu().numpy() for number in range(len(probability))]
        return {
            name: balance_probabilities(values, share, "multinomial")
            for (name, values), share in zip(probability.items(), shares, strict=True)
        }


class ProbePredictor(LabelPredictor):
    """A saved probe with the encoder or the embeddings of its training.

    Each binary class is a stream of its own, because a frame may show several.

    Parameters
    ----------
    run : run or checkpoint folder, or an embeddings folder.
    last : load the newest checkpoint of a run instead of the best.

    Raises
    ------
    InputError
        If the probe was fitted to another encoder or to other columns, or store and encoder do not fit.
    """

    def __init__(
        self, run: Path, store: Path, probe: Path, device: torch.device, precision: torch.dtype, last: bool = False
    ) -> None:
        self.store, self.source, self.saved = Store(store), probe, _load(probe)
        known = self.saved.probe.annotators if isinstance(self.saved, SavedAnnotatorProbe) else ("",)
        self.facts = LabelFacts(streams=_streams_of(self.saved), annotators=known)
        if isinstance(self.saved, SavedProbe):
            self.thresholds = self.saved.thresholds_by_class
        self.method, embeddings, self.checkpoint, groups = open_encoder(run, device, last)
        if embeddings is not None:
            check_alignment(embeddings, self.store)
        without = check_probed_columns(self.saved, probe, run, self.checkpoint, groups)
        kept = kept_groups(groups, without)
        if self.method is not None:
            self.array: Matrix = _LazyEmbeddings(self.method, self.store, kept, precision)
        else:
            assert embeddings is not None
            self.array = columns_without(embeddings, without)

    @property
    def annotators(self) -> SavedAnnotatorProbe:
        """The saved probe with annotator styles.

        Raises
        ------
        InputError
            If the probe has no styles.
        """
        if not isinstance(self.saved, SavedAnnotatorProbe):
            raise InputError(
                f"{self.source} has no annotator styles: make a probe with ssl-behavior probe and `mode=annotators`"
            )
        return self.saved

    def probabilities(self, row: StoreRow, annotator: str = "", balanced: bool = False) -> Mapping[str, np.ndarray]:
        use = BALANCED if balanced else DECISION
        if isinstance(self.saved, SavedAnnotatorProbe):
            probability = self.saved.probabilities(self.array, row, use, annotator)
        else:
            probability = self.saved.probabilities(self.array, row, use)
        if self.saved.kind == "multinomial":
            return {self.facts.streams[0].name: probability}
        return {
            stream.name: np.stack([1 - yes, yes], axis=1)
            for stream, yes in zip(self.facts.streams, probability.T, strict=True)
        }


def open_encoder(
    run: Path, device: torch.device, last: bool
) -> tuple[Method | None, Embeddings | None, str, Mapping[str, int]]:
    """The encoder of a run or checkpoint folder, or given embeddings; its fingerprint, and its column groups.

    Parameters
    ----------
    last : load the newest checkpoint of a run instead of the best.
    """
    if (run / "embeddings.json").exists():
        embeddings = Embeddings(run)
        return None, embeddings, embeddings.checkpoint, embeddings.groups
    method = load_checkpoint(run, best=not last).to(device)
    return method, None, method.fingerprint(), method.channel_groups


def check_probed_columns(
    saved: SavedProbe | SavedAnnotatorProbe, probe: Path, run: Path, checkpoint: str, groups: Mapping[str, int]
) -> list[str]:
    """Column groups of an encoder that a saved probe does not read.

    Raises
    ------
    InputError
        If the probe was fitted to another encoder, or to other columns.
    """
    if checkpoint != saved.checkpoint:
        raise InputError(
            f"{probe} was fitted to another encoder than {run} (fingerprints {saved.checkpoint[:12]} and "
            f"{checkpoint[:12]}): give the run that was probed, or probe this one"
        )
    without = [name for name in saved.without if name in groups]
    kept = kept_groups(groups, without)
    if sum(kept.values()) != saved.dim:
        raise InputError(
            f"{probe} reads {saved.dim} columns of an embedding, {run} gives {sum(kept.values())} "
            f"({', '.join(kept)}): give the embeddings folder that was probed, or probe again"
        )
    return without


def _load(folder: Path) -> SavedProbe | SavedAnnotatorProbe:
    contents, _ = read_probe(folder)
    if contents.get("unit") == "pair":
        raise InputError(f"{folder} holds a probe of pairs of animals; `probe.pair_predictor` labels recordings by it")
    return load_annotators(folder) if contents.get("heads") == ANNOTATORS else load_heads(folder)


def _streams_of(saved: SavedProbe | SavedAnnotatorProbe) -> tuple[StreamFacts, ...]:
    if saved.kind == "multinomial":
        return (StreamFacts(name=saved.streams[0], classes=saved.classes, background=saved.background),)
    free = [name for name in _OTHER if name not in saved.classes]
    others = {name: free[0] if free else f"not {name}" for name in saved.classes}
    return tuple(StreamFacts(name=name, classes=(other, name), background=other) for name, other in others.items())


class _LazyEmbeddings(Columns):
    """The embedding of a store, computed per recording on access; the last recording is cached."""

    def __init__(self, method: Method, store: Store, kept: Mapping[str, int], precision: torch.dtype) -> None:
        self.method, self.store, self.kept, self.precision = method, store, kept, precision
        self.shape = (store.num_frames, sum(kept.values()))
        self._rows = {row.offset: row for row in store.rows}
        self._last: tuple[StoreRow, np.ndarray] | None = None

    def __getitem__(self, rows: slice) -> np.ndarray:
        """The rows of exactly one recording."""
        row = self._rows[rows.start]
        assert rows == row.slice
        if self._last is None or self._last[0] is not row:
            chunks = embed_row(self.method, self.store, row, self.kept, precision=self.precision)
            self._last = row, np.concatenate([values for _, values in chunks])
        return self._last[1]


class LabelSummary:
    """Bouts and seconds of each behavior in written labels, and notes about them."""

    def __init__(self, streams: Sequence[StreamFacts], notes: Sequence[str]) -> None:
        self.streams, self.notes = tuple(streams), tuple(notes)
        behaviors = [(stream.name, stream.classes[number]) for stream in streams for number in stream.foreground]
        self.bouts = dict.fromkeys(behaviors, 0)
        self.seconds = dict.fromkeys(behaviors, 0.0)
        self.total_seconds = 0.0

    def add(self, recording: AnnotatedRecording) -> None:
        self.total_seconds += recording.num_frames / recording.fps
        for bout in recording.bouts:
            self.bouts[bout.stream, bout.behavior] += 1
            self.seconds[bout.stream, bout.behavior] += (bout.stop - bout.start) / recording.fps

    def table(self) -> Table:
        rows = []
        for (stream, name), count in self.bouts.items():
            seconds = self.seconds[stream, name]
            share = 100 * seconds / self.total_seconds
            rows.append([stream, name, f"{count:,}", f"{seconds:,.1f}", f"{share:.1f}"])
        return make_table(["stream", "behavior", "bouts", "seconds", "% of the time"], rows, text=["behavior"])


def predicted_labels(
    predictor: Predictor,
    rows: Sequence[StoreRow],
    options: LabelOptions,
    formats: Sequence[str] = (),
    progress: Progress = no_progress,
) -> tuple[LabelSummary, Iterator[AnnotatedRecording]]:
    """Labels of each recording, computed one by one as they are asked for, and their summary, complete at the end.

    Raises
    ------
    InputError
        As `Predictor.labeler`.
    """
    streams, notes, label = predictor.labeler(rows, options, formats)
    irregular = [row.id for row in rows if row.source_times is not None]
    summary = LabelSummary(streams, [*notes, *([own_frames_notice(irregular)] if irregular else [])])
    total = sum(row.frames for row in rows)

    def labeled(row: StoreRow) -> AnnotatedRecording:
        recording = label(row)
        summary.add(recording)
        progress("annotating", row.frames, total)
        return recording

    return summary, map(labeled, rows)


def write_labels(
    predictor: Predictor,
    rows: Sequence[StoreRow],
    out: Path,
    options: LabelOptions | None = None,
    *,
    formats: Sequence[str] = ("csv",),
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> LabelSummary:
    """Write a file per recording and format, and `labels.json` with streams, classes and styles, all or nothing.

    Parameters
    ----------
    formats : names of `ANNOTATION_FORMATS`.

    Raises
    ------
    InputError
        If `out` exists, the disk is full, a stream, annotator or actor is unknown, a recording does not fit the
        encoder, or a format cannot hold its id, a behavior, or agents and targets.
    """
    options = options or LabelOptions()
    summary, recordings = predicted_labels(predictor, rows, options, formats, progress)
    facts = label_facts(predictor, options, summary)
    write_annotations(out, recordings, [row.id for row in rows], summary.streams, formats, facts, overwrite)
    return summary


def _of_video(
    store: Store, row: StoreRow, labels: Mapping[str, Labels], probability: Mapping[str, np.ndarray]
) -> tuple[float, Mapping[str, Labels], Mapping[str, np.ndarray]]:
    """Frame rate, labels and probabilities of the frames that files count, see `Store.file_times`."""
    if row.source_fps is None:
        return row.fps, labels, probability
    own, times = row.frame_times, store.file_times(row)
    frames = frames_at(own, times)
    labels = {name: resample_labels(one, own, times) for name, one in labels.items()}
    return times.fps, labels, {name: one[frames] for name, one in probability.items()}


def label_facts(predictor: Predictor, options: LabelOptions, summary: LabelSummary) -> dict[str, Any]:
    """Facts for `labels.json`."""
    return {
        "checkpoint": predictor.checkpoint,
        "store": predictor.store.fingerprint(),
        "balanced": options.balanced or predictor.always_balanced,
        "thresholds": dict(predictor.deciding_thresholds(options.balanced)),
        "minimum_bout_frames": options.min_bout_frames,
        "notes": list(summary.notes),
    }


def _decided_streams(
    probability: Mapping[str, np.ndarray],
    streams: Sequence[StreamFacts],
    min_bout_frames: int,
    thresholds: Mapping[str, float],
) -> dict[str, Labels]:
    found = {
        stream.name: decided_labels(probability[stream.name], stream, thresholds.get(stream.name)) for stream in streams
    }
    return {name: without_short_bouts(labels, min_bout_frames) for name, labels in found.items()}


def decided_labels(probability: np.ndarray, stream: StreamFacts, threshold: float | None = None) -> Labels:
    """The most probable class of every frame.

    Parameters
    ----------
    probability : float [time, classes]; NaN for classes that were not learned.
    threshold : of two classes, the probability from which a frame shows the second; None = above one half.
    """
    if threshold is None:
        frames = decide(probability, "multinomial").argmax(axis=1)
    else:
        frames = (np.nan_to_num(probability[:, 1], nan=-1.0) >= threshold).astype(np.int64)
    return Labels(vocabulary=stream.classes, frames=frames, background=stream.background)


def _notes(predictor: LabelPredictor, styles: Mapping[str, Style], balanced: bool) -> list[str]:
    notes = [style.warning for style in styles.values() if style.warning]
    if balanced and predictor.always_balanced:
        notes.append(
            f"all classes weighed the same when {predictor.source} was trained: its labels are balanced, with "
            "`balanced` or without"
        )
    return list(dict.fromkeys(notes))


def add_annotator_from_store(
    predictor: ProbePredictor,
    rows: Sequence[StoreRow],
    name: str,
    out: Path,
    overwrite: bool = False,
    seed: int = 0,
) -> list[StoreRow]:
    """Write the probe with one more annotator to `out`; returns the new annotator's recordings.

    Raises
    ------
    InputError
        As `add_annotator`; or if the annotator labeled none of `rows`, `out` exists, or the store has classes that the
        probe does not have.
    """
    saved, store = predictor.annotators, predictor.store
    (stream,) = saved.streams
    own = recordings_labeled_by(rows, saved.task, name)
    if not own:
        names = {row.annotators.get(stream, "") for row in rows} - {""}
        raise InputError(
            f"annotator {name!r} labeled {stream!r} in none of these recordings; their annotators are "
            f"{sorted(names) or 'unknown'}"
        )
    predictor.check(own)
    if foreign := [word for word in store.stream(stream).vocabulary if word not in saved.classes]:
        raise InputError(
            f"{store.path}: the stream {stream!r} has the classes {foreign}, which the probe does not know"
        )
    frames = annotated_frames(store, saved.task, predictor.array, own, [name], seed=seed, scaling=saved.probe.scaling)
    probe = add_annotator(saved.probe, name, frames, AnnotatorConfig(), seed)
    with atomic_folder(out, overwrite, "probe.json") as folder:
        extended = saved.extended(probe)
        save_annotators(folder, probe, extended.task, saved.checkpoint, saved.without, saved.windows)
    return own
