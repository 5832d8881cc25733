"""Labels of a project for others: streams of the store, files of other programs, and a saved probe."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from probe.experiment import BALANCED, PLAIN
from probe.labeling.decisions import NO, YES, spans_of
from probe.labeling.project import OTHER
from probe.labeling.trust import Trust
from probe.saved_probes import LINEAR, write_probe
from ssl_behavior.embedding_space import Space
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, rows_by_recording
from ssl_behavior.errors import InputError
from ssl_behavior.files import make_folder
from ssl_behavior.io.annotated_recording import AnnotatedRecording, PairStreamFacts, annotated_recording
from ssl_behavior.io.annotation_writers import ANNOTATION_FORMATS, write_annotations
from ssl_behavior.label_changes import put_labels
from ssl_behavior.logistic import LinearHead
from ssl_behavior.recording import NOT_ANNOTATED, Labels, PairLabels, StreamFacts
from ssl_behavior.resampling import resample_labels, resample_pair_labels
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import counted, quoted

__all__ = ["Labeled", "write_files", "write_heads", "write_to_store"]


@dataclass(frozen=True, eq=False)
class Labeled:
    """Labels of a behavior.

    Parameters
    ----------
    states : row -> state of each frame, int8 [time], see `probe.labeling.decisions`.
    annotator : name that stands for all; "" = the names of those who answered.
    annotators : (behavior, row) -> names of those who answered.
    threshold : probability from which frames are predicted where nobody decided; None = there are no predictions.
    """

    behavior: str
    states: Mapping[str, np.ndarray]
    annotator: str
    annotators: Callable[[str, str], Sequence[str]]
    threshold: float | None

    @property
    def whole(self) -> bool:
        """Whether states hold predictions where nobody decided."""
        return self.threshold is not None

    def by(self, rows: Sequence[EmbeddingRow]) -> str:
        """Annotator of these rows."""
        names = [name for row in rows for name in self.annotators(self.behavior, row.id)]
        name = self.annotator or ", ".join(dict.fromkeys(names))
        return f"{name} and model".strip() if self.whole else name


def _of_scene(labeled: Labeled, row: EmbeddingRow) -> Labels | None:
    """Labels of a scene; None if no frame is decided."""
    states = labeled.states[row.id]
    frames = np.full(len(states), NOT_ANNOTATED, np.int16)
    frames[states == NO], frames[states == YES] = 0, 1
    if (frames == NOT_ANNOTATED).all():
        return None
    return Labels(
        frames=frames, vocabulary=(OTHER, labeled.behavior), background=OTHER, annotator=labeled.by([row])
    )  # fmt: skip


def _of_animals(labeled: Labeled, rows: Sequence[EmbeddingRow], individuals: Sequence[str]) -> PairLabels | None:
    """Labels of the animals or pairs of a recording; None without any. An animal without a target is its own target.

    Without a model, what was looked for are the animals with a decision.
    """
    rows = [row for row in rows if np.isin(labeled.states[row.id], (YES, NO)).any()]
    if not rows:
        return None
    places = {name: number for number, name in enumerate(individuals)}
    looked_for = np.zeros((len(individuals), len(individuals), 1), bool)
    bouts = []
    for row in rows:
        agent, target = places[row.agent], places[row.target or row.agent]
        looked_for[agent, target, 0] = True
        bouts += [(agent, target, 0, start, stop) for start, stop, _ in spans_of(labeled.states[row.id], (YES,))]
    return PairLabels(
        vocabulary=(labeled.behavior,), bouts=np.array(bouts, np.int64).reshape(-1, 5), looked_for=looked_for,
        annotator=labeled.by(rows),
    )  # fmt: skip


def _labels_of(
    labeled: Sequence[Labeled], rows: Sequence[EmbeddingRow], individuals: Sequence[str]
) -> tuple[dict[str, Labels], dict[str, PairLabels]]:
    """Streams of a recording, without and with animals."""
    if rows[0].agent:
        pairs = {one.behavior: _of_animals(one, rows, individuals) for one in labeled}
        return {}, {name: labels for name, labels in pairs.items() if labels is not None}
    found = {one.behavior: _of_scene(one, rows[0]) for one in labeled}
    return {name: labels for name, labels in found.items() if labels is not None}, {}


def write_to_store(
    store: Store, rows: Sequence[EmbeddingRow], labeled: Sequence[Labeled], overwrite: bool
) -> dict[str, Any]:
    """Put labels into the store, a stream for each behavior.

    Raises
    ------
    InputError
        If nothing is decided, or a recording has such a stream and `overwrite` is not set.
    """
    frames: dict[str, dict[str, Labels]] = {}
    bouts: dict[str, dict[str, PairLabels]] = {}
    for recording, own in rows_by_recording(rows).items():
        frames[recording], bouts[recording] = _labels_of(labeled, own, store.individuals)
    if not any(frames.values()) and not any(bouts.values()) and not overwrite:
        raise InputError("nothing is decided yet: answer first")
    clear = [one.behavior for one in labeled] if overwrite else []
    change = put_labels(store.path, frames, bouts, overwrite, clear)
    return {
        "sentence": f"{change.sentence}: {store.path}",
        "notices": [*change.notices, *_about_animals(rows, labeled)],
    }


def _about_animals(rows: Sequence[EmbeddingRow], labeled: Sequence[Labeled]) -> list[str]:
    """What labels of animals and pairs say where nobody answered."""
    if not rows[0].agent:
        return []
    said = "those of the model" if all(one.whole for one in labeled) else '"no"'
    return [f"Labels of {rows[0].actors.unit}s have no open frames: frames without a yes or no are {said}."]


def write_files(
    store: Store, rows: Sequence[EmbeddingRow], labeled: Sequence[Labeled], out: Path, format: str
) -> dict[str, Any]:
    """Write label files of a format, for the frames of the videos; an earlier export is replaced.

    Raises
    ------
    InputError
        If the format is unknown or cannot hold the labels, or nothing is decided.
    """
    if format not in ANNOTATION_FORMATS:
        raise InputError(f"`format` {format!r} is unknown; known: {', '.join(ANNOTATION_FORMATS)}")
    groups, scenes = rows_by_recording(rows), not rows[0].agent
    made = {name: _labels_of(labeled, own, store.individuals) for name, own in groups.items()}
    ids = [name for name, (frames, bouts) in made.items() if frames or bouts]
    if not ids:
        raise InputError("nothing is decided yet: answer first")
    kind = StreamFacts if scenes else PairStreamFacts
    streams = [
        kind(name=one.behavior, classes=(OTHER, one.behavior), background=OTHER)
        if scenes else kind(name=one.behavior, classes=(one.behavior,))
        for one in labeled
    ]  # fmt: skip

    def recordings() -> Iterator[AnnotatedRecording]:
        for name in ids:
            yield _annotated(store, store.row(name), *made[name], [one.behavior for one in labeled])

    make_folder(out.parent)
    thresholds = {one.behavior: one.threshold for one in labeled if one.threshold is not None}
    facts = {"store": store.fingerprint(), "thresholds": thresholds}
    write_annotations(out, recordings(), ids, streams, (format,), facts, overwrite=True)
    names = quoted([one.behavior for one in labeled])
    sentence = f"Labels of {counted(len(ids), 'recording')} ({names}) are in {out}."
    return {"sentence": sentence, "notices": _about_animals(rows, labeled)}


def _annotated(
    store: Store, row: StoreRow, frames: Mapping[str, Labels], bouts: Mapping[str, PairLabels], behaviors: Sequence[str]
) -> AnnotatedRecording:
    """Labels in frames of the recording's video."""
    frames = dict(frames)
    if not bouts:
        # A recording that was answered for some of the behaviors has the others, without annotation.
        empty = np.full(row.frames, NOT_ANNOTATED, np.int16)
        for name in behaviors:
            frames.setdefault(name, Labels(frames=empty, vocabulary=(OTHER, name), background=OTHER))
    times = store.file_times(row)
    if row.source_fps is not None:
        frames = {name: resample_labels(one, row.frame_times, times) for name, one in frames.items()}
        bouts = {name: resample_pair_labels(one, row.frame_times, times) for name, one in bouts.items()}
    names = {one.annotator for one in frames.values()} | {one.annotator for one in bouts.values()}
    return annotated_recording(
        row.id, times.fps, frames, individuals=store.individuals, annotator=", ".join(sorted(names - {""})),
        pair_labels=dict(bouts), num_frames=times.num_frames,
    )  # fmt: skip


def write_heads(
    out: Path,
    embeddings: Embeddings,
    space: Space,
    behaviors: Sequence[str],
    heads: Sequence[LinearHead],
    trusts: Sequence[Trust],
    smoothing_seconds: float,
) -> None:
    """Write heads as a saved probe into the folder `out`, to be read by `annotate`.

    The plain fit has calibrated probabilities and the thresholds, the balanced one the probabilities of the heads.

    Raises
    ------
    InputError
        If the embeddings are of single animals, for which `annotate` has no labels.
    """
    if embeddings.unit == "animal":
        raise InputError(
            "a saved probe is for scenes and pairs, and these embeddings are of animals: write files, or embed pairs"
        )
    balanced = torch.cat([_in_columns(head, space) for head in heads], dim=1)
    bias = torch.cat([head.bias for head in heads])
    slope = torch.tensor([one.calibrated.slope for one in trusts]).float()
    offset = torch.tensor([one.calibrated.offset for one in trusts]).float()
    tensors = {
        "mean": space.mean, "std": space.std, f"{BALANCED}.weights": balanced, f"{BALANCED}.bias": bias,
        f"{PLAIN}.weights": balanced * slope, f"{PLAIN}.bias": bias * slope + offset,
    }  # fmt: skip
    kept = space.config.kept(embeddings.groups)
    fits = (PLAIN, BALANCED)
    contents: dict[str, Any] = {
        "heads": LINEAR,
        "task": {
            "name": "labeling", "streams": list(behaviors), "classes": list(behaviors), "background": "",
            "kind": "binary", "annotators": [],
        },
        "checkpoint": embeddings.checkpoint,
        "without": [name for name in embeddings.groups if name not in kept],
        "learned": {fit: list(range(len(behaviors))) for fit in fits},
        "penalty": {fit: [0.0] * len(behaviors) for fit in fits},
        "thresholds": [one.threshold for one in trusts],
        "smoothing_seconds": {fit: [smoothing_seconds] * len(behaviors) for fit in (*fits, "plain decision")},
    }  # fmt: skip
    if embeddings.unit == "pair":
        own = any(row.agent == row.target for row in embeddings.rows)
        contents |= {
            "unit": "pair", "toward_self": list(behaviors) if own else [], "toward_others": list(behaviors),
        }  # fmt: skip

    make_folder(out)
    write_probe(out, tensors, contents)


def _in_columns(head: LinearHead, space: Space) -> torch.Tensor:
    """Weights on standardized columns, float32 [column, 1], of a head on points."""
    return head.weights if space.axes is None else space.axes @ head.weights
