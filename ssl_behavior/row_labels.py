"""Labels of the rows of an embedding: classes of every frame of a scene, an animal or a pair.

A stream of a recording applies to all its rows. Bouts with an agent and a target apply to the row of this agent and
target; to an animal's row as agent, whatever the target; to a scene's row always. They may overlap:
`behavior_labels` has labels of each behavior by itself, for statistics; `stream_labels` has one class for every frame
and stream, for figures and tables, where behaviors at the same time are one class ("chase + sniff").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.recording import NOT_ANNOTATED, PairLabels
from ssl_behavior.store import Store

__all__ = ["RowLabels", "behavior_labels", "frame_labels", "stream_labels"]

_OTHER = "other"


@dataclass(frozen=True, eq=False)
class RowLabels:
    """One class for every frame of every row.

    Parameters
    ----------
    stream : name of the label stream.
    classes : names of the classes; `background` is "" if there is none.
    of : a row -> whole numbers [time], -1 = not annotated, or not looked for in these animals.
    of_recording : all rows of a recording have the same labels.
    """

    stream: str
    classes: tuple[str, ...]
    background: str
    of: Callable[[EmbeddingRow], np.ndarray]
    of_recording: bool = True


def frame_labels(store: Store, stream: str) -> RowLabels:
    """A stream of one class per frame, which applies to all rows of a recording.

    Raises
    ------
    InputError
        If the store has no such stream.
    """
    facts, frames = store.stream(stream), store.labels(stream)
    return RowLabels(stream, facts.vocabulary, facts.background, lambda row: frames[store.row(row.recording).slice])


def behavior_labels(store: Store, rows: Sequence[EmbeddingRow]) -> list[RowLabels]:
    """Streams of one class per frame; of streams with agents and targets, every behavior against its absence."""
    found = [frame_labels(store, stream) for stream in store.streams]
    for stream, own in _pair_streams(store, rows).items():
        for behavior in _vocabulary(own):
            found.append(_one_behavior(store, stream, behavior, own))
    return found


def stream_labels(store: Store, rows: Sequence[EmbeddingRow]) -> list[RowLabels]:
    """One class per frame for every stream; see above."""
    found = [frame_labels(store, stream) for stream in store.streams]
    return found + [_joined(store, stream, own, rows) for stream, own in _pair_streams(store, rows).items()]


def _pair_streams(store: Store, rows: Sequence[EmbeddingRow]) -> dict[str, dict[str, PairLabels]]:
    """Streams with agents and targets: name -> recording -> its bouts."""
    recordings = list(dict.fromkeys(row.recording for row in rows))
    return {
        stream: {id: store.pair_labels(stream, store.row(id)) for id in recordings if id in facts.recordings}
        for stream, facts in store.pair_streams.items()
        if any(id in facts.recordings for id in recordings)
    }


def _vocabulary(labels: Mapping[str, PairLabels]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for own in labels.values() for word in own.vocabulary))


def _one_behavior(store: Store, stream: str, behavior: str, labels: Mapping[str, PairLabels]) -> RowLabels:
    other = _background([behavior])

    def of(row: EmbeddingRow) -> np.ndarray:
        shown = _shown(store, row, behavior, labels)
        # 1 = shown is class 0, 0 = not shown is class 1.
        return np.where(shown == NOT_ANNOTATED, NOT_ANNOTATED, 1 - shown).astype(np.int16)

    return RowLabels(stream, (behavior, other), other, of, of_recording=False)


def _background(behaviors: Sequence[str]) -> str:
    """Name of "none of them" that is no behavior's."""
    name = _OTHER
    while name in behaviors:
        name += "_"
    return name


def _shown(store: Store, row: EmbeddingRow, behavior: str, labels: Mapping[str, PairLabels]) -> np.ndarray:
    """One behavior of the animals of a row: int8 [time], 1 = shown, 0 = looked for and not shown, -1 = neither."""
    none = np.full(row.frames, NOT_ANNOTATED, np.int8)
    own = labels.get(row.recording)
    if own is None or behavior not in own.vocabulary:
        return none
    number, names = own.vocabulary.index(behavior), store.individuals
    agents = [names.index(row.agent)] if row.agent else range(len(names))
    targets = [names.index(row.target)] if row.target else range(len(names))
    every = [own.frames(agent, target, number, row.frames) for agent in agents for target in targets]
    return np.maximum.reduce([none, *every])


def _joined(store: Store, stream: str, labels: Mapping[str, PairLabels], rows: Sequence[EmbeddingRow]) -> RowLabels:
    """Behaviors of a stream as one class per frame; those at the same time are a class of their own."""
    behaviors = _vocabulary(labels)

    def sets_of(row: EmbeddingRow) -> np.ndarray:
        """Shown behaviors, bool [time, behavior], and at the end whether any was looked for."""
        shown = np.stack([_shown(store, row, behavior, labels) for behavior in behaviors], axis=1)
        return np.concatenate([shown == 1, (shown != NOT_ANNOTATED).any(axis=1, keepdims=True)], axis=1)

    together = {tuple(one) for row in rows for one in np.unique(sets_of(row)[:, :-1], axis=0).tolist() if sum(one) > 1}
    background = _background(behaviors)
    # Single behaviors come first, in the order of the vocabulary.
    singles = [tuple(n == m for m in range(len(behaviors))) for n in range(len(behaviors))]
    known = [*singles, *sorted(together, reverse=True)]
    words = [" + ".join(b for b, on in zip(behaviors, one, strict=True) if on) for one in known]
    number = {one: place for place, one in enumerate(known)} | {(False,) * len(behaviors): len(known)}

    def of(row: EmbeddingRow) -> np.ndarray:
        kinds, which = np.unique(sets_of(row), axis=0, return_inverse=True)
        classes = [number[tuple(kind[:-1])] if kind[-1] else NOT_ANNOTATED for kind in kinds.tolist()]
        return np.array(classes, np.int16)[which.reshape(-1)]

    return RowLabels(stream, (*words, background), background, of, of_recording=False)
