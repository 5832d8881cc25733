"""A store seen as ordered pairs of animals: a row for every pair of a recording, with the labels of agent and target.

Probes learn from its rows as from recordings. Splits, folds and resampling hold out recordings as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

import numpy as np

from ssl_behavior.embeddings_folder import select_rows
from ssl_behavior.recording import NOT_ANNOTATED, PairLabels
from ssl_behavior.store import Store, StoreRow, Stream
from ssl_behavior.units import OfActors, actors_of

__all__ = ["PairRow", "PairStore"]


@dataclass(frozen=True, kw_only=True)
class PairRow(OfActors, StoreRow):
    """An ordered pair of animals of a recording; its frames lie in embeddings of pairs, not in the store's tracks."""

    recording: str = ""
    agent: str = ""
    target: str = ""


class PairStore(Store):
    """Pairs of the recordings of a store, in the order of an embedding of pairs.

    Parameters
    ----------
    store : whose pairs the rows are.
    stream : label stream with agents and targets.

    Attributes
    ----------
    rows : every ordered pair of animals that a recording has; each animal with itself too, where a behavior of the
        stream is directed at oneself.
    scenes, scene_rows : the store itself, and its recordings.
    with_self : whether the rows include animals with themselves.

    Raises
    ------
    InputError
        If the store has no such stream.
    """

    def __init__(self, store: Store, stream: str) -> None:
        super().__init__(store.path)
        facts = self.pair_stream(stream)
        self.pair_stream_name = stream
        self.streams = {stream: Stream(vocabulary=facts.vocabulary)}
        self.scenes, self.scene_rows = store, self.rows
        self.with_self = bool(self._directed[0].any())
        self.rows = list(self._pairs(self.scene_rows))
        self._by_id = {row.id: row for row in self.rows}

    def _pairs(self, rows: Sequence[StoreRow]) -> list[StoreRow]:
        pairs: list[StoreRow] = []
        offset = 0
        for row in rows:
            known = {one.name: getattr(row, one.name) for one in fields(StoreRow)}
            places = self.pair_stream(self.pair_stream_name).recordings
            annotator = places[row.id].annotator if row.id in places else ""
            for actors in actors_of(
                "pair", [name for name in self.individuals if name not in row.absent], self.with_self
            ):
                own = {
                    "id": actors.row_id(row.id), "offset": offset, "recording": row.id, "agent": actors.agent,
                    "target": actors.target,
                    "annotators": {self.pair_stream_name: annotator} if row.id in places else {},
                }  # fmt: skip
                pairs.append(PairRow(**(known | own)))
                offset += row.frames
        return pairs

    @property
    def toward_self(self) -> tuple[str, ...]:
        """Behaviors that animals direct at themselves, anywhere in the stream."""
        return self._of_direction(0)

    @property
    def toward_others(self) -> tuple[str, ...]:
        """Behaviors that animals direct at others, anywhere in the stream."""
        return self._of_direction(1)

    def _of_direction(self, direction: int) -> tuple[str, ...]:
        vocabulary = self.streams[self.pair_stream_name].vocabulary
        return tuple(name for name, shown in zip(vocabulary, self._directed[direction], strict=True) if shown)

    @cached_property
    def _directed(self) -> np.ndarray:
        """Behaviors that animals direct at themselves, and at others, anywhere in the stream: bool [2, behavior]."""
        found = np.zeros((2, len(self.streams[self.pair_stream_name].vocabulary)), dtype=bool)
        for row in self.scene_rows:
            bouts = self._labels_of(row.id).bouts if self._has(row.id) else np.empty((0, 5), np.int64)
            other = (bouts[:, 0] != bouts[:, 1]).astype(int)
            found[other, bouts[:, 2]] = True
        return found

    def _has(self, recording: str) -> bool:
        return recording in self.pair_stream(self.pair_stream_name).recordings

    @cached_property
    def _scene_by_id(self) -> dict[str, StoreRow]:
        return {row.id: row for row in self.scene_rows}

    @lru_cache(maxsize=64)  # noqa: B019 (as long as the store lives)
    def _labels_of(self, recording: str) -> PairLabels:
        return self.pair_labels(self.pair_stream_name, self._scene_by_id[recording])

    @property
    def keypoints(self) -> np.ndarray:
        """Not those of the rows: raises, because a row's frames are not the frames of the tracks."""
        if not hasattr(self, "scene_rows"):
            return self._map("keypoints.npy", (*self._points, 2))
        raise TypeError("rows of pairs have no tracks of their own; read those of the store")

    def targets(self, behaviors: Sequence[str], rows: Sequence[StoreRow]) -> np.ndarray:
        """Labels int8 [frames, behavior] of the rows, concatenated: 1 yes, 0 no, -1 not looked for.

        A behavior that is never directed at oneself in the stream counts as not looked for in an animal with itself;
        one that is never directed at others, in pairs of two animals.
        """
        vocabulary = self.streams[self.pair_stream_name].vocabulary
        numbers = [vocabulary.index(name) for name in behaviors]
        parts = [np.empty((0, len(numbers)), np.int8)]
        for row in rows:
            assert isinstance(row, PairRow)
            own = np.full((row.frames, len(numbers)), NOT_ANNOTATED, np.int8)
            if self._has(row.recording):
                labels = self._labels_of(row.recording)
                agent, target = (self.individuals.index(name) for name in (row.agent, row.target))
                for column, number in enumerate(numbers):
                    if self._directed[int(agent != target), number]:
                        own[:, column] = labels.frames(agent, target, number, row.frames)
            parts.append(own)
        return np.concatenate(parts)

    def fingerprint(self) -> str:
        """Fingerprint of the store."""
        return self.scenes.fingerprint()

    def select(self, patterns: Sequence[str]) -> list[StoreRow]:
        """Rows whose recording, or whose own id, equals or matches (as a glob) any of `patterns`.

        Raises
        ------
        InputError
            If a pattern matches nothing.
        """
        return select_rows(self.rows, patterns, str(self.path))
