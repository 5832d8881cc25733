"""Labels with agents and targets, predicted for every ordered pair of a recording's animals by a saved probe."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from probe.experiment import BALANCED, DECISION
from probe.label_predictors import Labeler, LabelOptions, Predictor, check_probed_columns, open_encoder
from probe.pair_scores import decided_bouts
from probe.representations import columns_without
from probe.saved_probes import load_heads, read_probe
from ssl_behavior.embedding import check_gives, embed_actors, kept_groups
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import (
    AnnotatedRecording,
    PairStreamFacts,
    annotated_recording,
    check_media,
)
from ssl_behavior.recording import PairLabels, StreamFacts
from ssl_behavior.resampling import resample_pair_labels
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.units import Actors, actors_of

__all__ = ["PairPredictor", "is_pair_probe"]


def is_pair_probe(folder: Path) -> bool:
    """Whether a saved probe is of pairs.

    Raises
    ------
    InputError
        If the folder holds no probe, or it is damaged.
    """
    contents, _ = read_probe(folder)
    return contents.get("unit") == "pair"


class PairPredictor(Predictor):
    """A saved probe of pairs with the encoder, or the embeddings of pairs, of its training.

    Parameters
    ----------
    run : run or checkpoint folder, or an embeddings folder of pairs.
    last : load the newest checkpoint of a run instead of the best.

    Attributes
    ----------
    stream : label stream with agents and targets that is predicted.

    Raises
    ------
    InputError
        If the probe was fitted to another encoder or to other columns, or the embeddings are not of pairs.
    """

    def __init__(
        self, run: Path, store: Path, probe: Path, device: torch.device, precision: torch.dtype, last: bool = False
    ) -> None:
        self.store, self.source, self.precision = Store(store), probe, precision
        self.saved = load_heads(probe)
        self.thresholds = self.saved.thresholds_by_class
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

    def labeler(
        self, rows: Sequence[StoreRow], options: LabelOptions, formats: Sequence[str] = ()
    ) -> tuple[Sequence[StreamFacts], Sequence[str], Labeler]:
        """As `Predictor.labeler`.

        In the submission table of MABe 2025 a pair has at most one behavior in a frame, so it has in all files then.
        """
        for name in ("annotator", "actor"):
            if getattr(options, name):
                raise InputError(
                    f"`{name}` is for labels of scenes, and this probe gives agents and targets: leave it out"
                )
        if missing := [name for name in options.streams if name != self.stream.name]:
            raise InputError(f"`streams={missing[0]}`: {self.source} gives {self.stream.name}")
        self.check(rows)
        check_media(options.media, [row.id for row in rows])

        def label(row: StoreRow) -> AnnotatedRecording:
            labels = self.labels(row, options.balanced, options.min_bout_frames, exclusive="mabe" in formats)
            times = self.store.file_times(row)
            if row.source_fps is not None:
                labels = resample_pair_labels(labels, row.frame_times, times)
            return annotated_recording(
                row.id, times.fps, {}, individuals=self.store.individuals, media=options.media,
                pair_labels={self.stream.name: labels}, num_frames=times.num_frames,
            )  # fmt: skip

        return [self.stream], [], label

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
        """Bouts of every pair: a behavior is shown where its probability is above one half, or above its threshold.

        A pair of two animals shows only behaviors that were directed at others in training, an animal with itself only
        behaviors that were directed at oneself.

        Parameters
        ----------
        exclusive : at most one behavior of a pair in a frame: the most probable of those that are shown.
        """
        places = {name: number for number, name in enumerate(self.store.individuals)}
        found = [np.empty((0, 5), np.int64)]
        thresholds = tuple(self.deciding_thresholds(balanced).values())
        for actors, probability in self.probabilities(row, balanced):
            known = self.saved.toward_self if actors.agent == actors.target else self.saved.toward_others
            possible = [name in known for name in self.saved.classes]
            who = places[actors.agent], places[actors.target]
            bouts = decided_bouts(probability, possible, exclusive, min_bout_frames, thresholds)
            found.append(np.array([(*who, *bout) for bout in bouts], np.int64).reshape(-1, 5))
        return PairLabels(vocabulary=self.saved.classes, bouts=np.concatenate(found))
