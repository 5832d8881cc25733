"""Labels with agents and targets, predicted for every ordered pair of a recording's animals by a saved probe."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from probe.experiment import BALANCED, DECISION
from probe.label_predictors import LabelOptions, LabelSummary, check_probed_columns, label_facts, open_encoder
from probe.pair_scores import decided_bouts
from probe.representations import columns_without
from probe.saved_probes import load_heads, read_probe
from ssl_behavior.embedding import check_fits, check_gives, embed_actors, kept_groups
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import (
    AnnotatedRecording,
    PairStreamFacts,
    annotated_recording,
    check_media,
)
from ssl_behavior.io.annotation_writers import write_annotations
from ssl_behavior.recording import PairLabels
from ssl_behavior.resampling import own_frames_notice, resample_pair_labels
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import Progress, no_progress
from ssl_behavior.units import Actors, actors_of

__all__ = ["PairPredictor", "is_pair_probe", "predicted_pair_labels", "write_pair_labels"]


def is_pair_probe(folder: Path) -> bool:
    """Whether a saved probe is of pairs.

    Raises
    ------
    InputError
        If the folder holds no probe, or it is damaged.
    """
    contents, _ = read_probe(folder)
    return contents.get("unit") == "pair"


class PairPredictor:
    """A saved probe of pairs with the encoder, or the embeddings of pairs, of its training.

    Parameters
    ----------
    run : run or checkpoint folder, or an embeddings folder of pairs.
    last : load the newest checkpoint of a run instead of the best.

    Attributes
    ----------
    stream : label stream with agents and targets that is predicted.
    always_balanced : see `LabelPredictor`.

    Raises
    ------
    InputError
        If the probe was fitted to another encoder or to other columns, or the embeddings are not of pairs.
    """

    always_balanced = False

    def __init__(
        self, run: Path, store: Path, probe: Path, device: torch.device, precision: torch.dtype, last: bool = False
    ) -> None:
        self.store, self.source, self.precision = Store(store), probe, precision
        self.saved = load_heads(probe)
        self.stream = PairStreamFacts(name=self.saved.streams[0], classes=self.saved.classes)
        self.method, self.embeddings, self.checkpoint, groups = open_encoder(run, device, last)
        if self.embeddings is not None and self.embeddings.unit != "pair":
            raise InputError(
                f"{run} holds embeddings of the unit {self.embeddings.unit!r}, and {probe} was fitted to pairs: "
                "embed with `unit=pair`, or give the run"
            )
        if self.method is not None:
            check_gives(self.method, "pair")
        self.without = check_probed_columns(self.saved, probe, run, self.checkpoint, groups)
        self.kept = kept_groups(groups, self.without)

    def check(self, rows: Sequence[StoreRow]) -> None:
        """Refuse recordings that do not fit the encoder."""
        if self.method is not None:
            for row in rows:
                check_fits(self.method, row, self.store.skeleton.keypoints, self.store.individuals)

    def actors(self, row: StoreRow) -> list[Actors]:
        """Ordered pairs of the animals that a recording has."""
        return actors_of("pair", self.store.individuals, bool(self.saved.toward_self), row.absent)

    def probabilities(self, row: StoreRow, balanced: bool = False) -> Iterator[tuple[Actors, np.ndarray]]:
        """Each pair of a recording, and the probability of its behaviors, float32 [time, behavior]."""
        use, alone = BALANCED if balanced else DECISION, replace(row, offset=0)
        actors = self.actors(row)
        for one, values in zip(actors, self._embedded(row, actors), strict=True):
            yield one, self.saved.probabilities(values, alone, use)

    def _embedded(self, row: StoreRow, actors: Sequence[Actors]) -> Iterator[np.ndarray]:
        if self.embeddings is not None:
            matrix = columns_without(self.embeddings, self.without)
            yield from (matrix[self.embeddings.row(one.row_id(row.id)).slice] for one in actors)
            return
        assert self.method is not None
        chunks = embed_actors(self.method, self.store, row, actors, self.kept, precision=self.precision)
        yield from np.concatenate([values for _, values in chunks], axis=1)

    def labels(
        self, row: StoreRow, balanced: bool = False, min_bout_frames: int = 1, exclusive: bool = False
    ) -> PairLabels:
        """Bouts of every pair: a behavior is shown where its probability is above one half.

        A pair of two animals shows only behaviors that were directed at others in training, an animal with itself only
        behaviors that were directed at oneself.

        Parameters
        ----------
        exclusive : at most one behavior of a pair in a frame: the most probable one.
        """
        places = {name: number for number, name in enumerate(self.store.individuals)}
        found = [np.empty((0, 5), np.int64)]
        for actors, probability in self.probabilities(row, balanced):
            known = self.saved.toward_self if actors.agent == actors.target else self.saved.toward_others
            possible = [name in known for name in self.saved.classes]
            who = places[actors.agent], places[actors.target]
            bouts = [(*who, *bout) for bout in decided_bouts(probability, possible, exclusive, min_bout_frames)]
            found.append(np.array(bouts, np.int64).reshape(-1, 5))
        return PairLabels(vocabulary=self.saved.classes, bouts=np.concatenate(found))


def predicted_pair_labels(
    predictor: PairPredictor,
    rows: Sequence[StoreRow],
    options: LabelOptions,
    exclusive: bool = False,
    progress: Progress = no_progress,
) -> tuple[LabelSummary, Iterator[AnnotatedRecording]]:
    """Labels with agents and targets, as `probe.label_predictors.predicted_labels` gives those of scenes.

    Parameters
    ----------
    exclusive : a pair has at most one behavior in a frame.

    Raises
    ------
    InputError
        If a recording does not fit the encoder, or the options are for labels of scenes.
    """
    for name in ("annotator", "actor"):
        if getattr(options, name):
            raise InputError(f"`{name}` is for labels of scenes, and this probe gives agents and targets: leave it out")
    if missing := [name for name in options.streams if name != predictor.stream.name]:
        raise InputError(f"`streams={missing[0]}`: {predictor.source} gives {predictor.stream.name}")
    predictor.check(rows)
    check_media(options.media, [row.id for row in rows])
    total = sum(row.frames for row in rows)
    irregular = [row.id for row in rows if row.source_times is not None]
    summary = LabelSummary([predictor.stream], [own_frames_notice(irregular)] if irregular else [])

    def label(row: StoreRow) -> AnnotatedRecording:
        labels = predictor.labels(row, options.balanced, options.min_bout_frames, exclusive)
        times = predictor.store.file_times(row)
        if row.source_fps is not None:
            labels = resample_pair_labels(labels, row.frame_times, times)
        recording = annotated_recording(
            row.id, times.fps, {}, individuals=predictor.store.individuals, media=options.media,
            pair_labels={predictor.stream.name: labels}, num_frames=times.num_frames,
        )  # fmt: skip
        summary.add(recording)
        progress("annotating", row.frames, total)
        return recording

    return summary, map(label, rows)


def write_pair_labels(
    predictor: PairPredictor,
    rows: Sequence[StoreRow],
    out: Path,
    options: LabelOptions | None = None,
    *,
    formats: Sequence[str] = ("csv",),
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> LabelSummary:
    """Write labels with agents and targets as `probe.label_predictors.write_labels` does those of scenes.

    In the submission table of MABe 2025 a pair has at most one behavior in a frame, so it has in all files then.

    Raises
    ------
    InputError
        If `out` exists, the disk is full, a recording does not fit the encoder, or a format cannot hold agents and
        targets.
    """
    options = options or LabelOptions()
    summary, recordings = predicted_pair_labels(predictor, rows, options, "mabe" in formats, progress)
    facts, ids = label_facts(predictor, options, summary), [row.id for row in rows]
    write_annotations(out, recordings, ids, summary.streams, formats, facts, overwrite)
    return summary
