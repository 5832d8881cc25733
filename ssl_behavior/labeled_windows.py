"""Windows with labels: the input of methods that learn from some labels and many tracks.

Only named recordings give labels. All others count as unlabeled, even if their store has labels.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED, StreamFacts
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = [
    "LabelFacts", "LabeledBatch", "LabeledReader", "Sampling", "StreamFacts", "label_facts", "labels_fingerprint",
]  # fmt: skip

Source = tuple[Store, StoreRow]
Span = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class LabelFacts:
    """Label streams and annotators to learn from; the annotator "" is unknown."""

    streams: tuple[StreamFacts, ...] = ()
    annotators: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        for what, names in (("streams", [stream.name for stream in self.streams]), ("annotators", self.annotators)):
            if len(set(names)) < len(names):
                raise InputError(f"labels: {what} must have different names, got {list(names)}")
        if not self.annotators:
            raise InputError(
                "labels: at least one annotator is needed; for labels without a named annotator, name one ''"
            )


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Shares of labeled and unlabeled windows in a batch.

    Parameters
    ----------
    labeled_share : of the windows, those drawn from recordings with labels; the others come from all recordings.
    per_stream : windows of a batch that every label stream gets for certain, whatever its share of the frames; where
        there are more streams than labeled windows they take turns.
    rare_share : of the labeled windows, those laid around a frame of a class drawn evenly among those of a stream that
        are not background, so that a rare class is met as often as a frequent one. Weights made of how often a class
        is labeled do not know of it: either this, or they.
    """

    labeled_share: float = 0.5
    per_stream: int = 1
    rare_share: float = 0.0

    def __post_init__(self) -> None:
        for name in ("labeled_share", "rare_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"sampling: {name} must be in [0, 1], got {getattr(self, name)}")
        if self.per_stream < 0:
            raise InputError(f"sampling: per_stream must be 0 or more, got {self.per_stream}")


@dataclass(frozen=True)
class LabeledBatch(WindowBatch):
    """Windows and the labels of their frames."""

    labels: Int[Tensor, "batch time stream"]
    """Class of each frame in each stream; -1 = not known."""
    annotator: Int[Tensor, " batch"]
    """Whose labels they are, as a number in `LabelFacts.annotators`."""


def label_facts(sources: Sequence[Source], streams: Sequence[str] = ()) -> LabelFacts:
    """Label streams and annotators of recordings.

    Parameters
    ----------
    streams : names of the streams to learn; none = all that the recordings have.

    Raises
    ------
    InputError
        If a stream is in none of the recordings, none has any, or two stores give a stream other classes.
    """
    there = list(dict.fromkeys(name for _, row in sources for name in row.annotators))
    if missing := [name for name in streams if name not in there]:
        raise InputError(f"no recording to learn from has labels called {missing[0]!r}; there are {sorted(there)}")
    if not there:
        raise InputError(
            "no recording to learn from has labels; name others, or pretrain without labels (recipe summaries)"
        )
    names = tuple(streams) or tuple(there)
    annotators = {row.annotators[name] for _, row in sources for name in names if name in row.annotators}
    return LabelFacts(
        streams=tuple(_stream_facts(sources, name) for name in names), annotators=tuple(sorted(annotators))
    )


def labels_fingerprint(sources: Sequence[Source]) -> str:
    """SHA-256 over all labels of recordings; a store's fingerprint covers only the tracks."""
    digest = hashlib.sha256()
    for store, row in sources:
        for name, annotator in sorted(row.annotators.items()):
            digest.update(json.dumps([row.id, name, annotator, list(store.stream(name).vocabulary)]).encode())
            digest.update(np.ascontiguousarray(store.labels(name)[row.slice]).data)
    return digest.hexdigest()


def _stream_facts(sources: Sequence[Source], name: str) -> StreamFacts:
    stores = {id(store): store for store, row in sources if name in row.annotators}
    first, *others = stores.values()
    for other in others:
        if other.stream(name) != first.stream(name):
            one, two = first.stream(name), other.stream(name)
            raise InputError(
                f"the labels {name!r} of {first.path} and {other.path} have other classes: {list(one.vocabulary)} "
                f"(background {one.background!r}) and {list(two.vocabulary)} (background {two.background!r})"
            )
    stream = first.stream(name)
    return StreamFacts(name=name, classes=stream.vocabulary, background=stream.background)


class LabeledReader(WindowReader):
    """WindowReader that also reads labels, of the recordings whose labels may be used.

    Parameters
    ----------
    sources, window_frames, individuals : as of `WindowReader`.
    labeled : (store path, recording id) of the recordings whose labels are used.
    facts : the streams and annotators; others are not shown.
    sampling : shares of the kinds of windows in `draw`.

    Raises
    ------
    InputError
        As `WindowReader`, and if labels were given by an annotator that `facts` does not know.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        window_frames: int,
        labeled: Collection[tuple[str, str]],
        facts: LabelFacts,
        sampling: Sampling,
        individuals: Sequence[str] | None = None,
    ) -> None:
        super().__init__(sources, window_frames, individuals=individuals)
        self.facts, self.sampling = facts, sampling
        self.labeled = [
            pick
            for pick, (store, row) in enumerate(self.sources)
            if (str(store.path), row.id) in labeled and any(s.name in row.annotators for s in facts.streams)
        ]
        self._annotators = {pick: self._known_annotator(pick) for pick in self.labeled}

    def annotator(self, pick: int) -> int:
        """Index of a recording's annotator in `facts.annotators`; 0 without labels."""
        return self._annotators.get(pick, 0)

    def _known_annotator(self, pick: int) -> int:
        row = self.sources[pick][1]
        names = sorted({row.annotators[s.name] for s in self.facts.streams if s.name in row.annotators})
        if len(names) > 1:
            raise InputError(
                f"recording {row.id!r} was labeled by {names}, each in a stream of their own: one style per recording "
                "can be learned; name the streams of one of them (`streams`)"
            )
        (name,) = names
        if name not in self.facts.annotators:
            raise InputError(
                f"recording {row.id!r} was labeled by {name!r}, which is none of the annotators "
                f"{list(self.facts.annotators)}"
            )
        return self.facts.annotators.index(name)

    def labels(self, pick: int, start: int, frames: int) -> np.ndarray:
        """int64 [time, stream] of frames start .. start + frames; -1 where not known or outside the recording."""
        store, row = self.sources[pick]
        out = np.full((frames, len(self.facts.streams)), NOT_ANNOTATED, dtype=np.int64)
        if pick not in self._annotators:
            return out
        first, last = max(start, 0), min(start + frames, row.frames)
        for column, stream in enumerate(self.facts.streams):
            if stream.name in row.annotators and last > first:
                frame_labels = store.labels(stream.name)[row.offset + first : row.offset + last]
                out[first - start : last - start, column] = frame_labels
        return out

    def labeled_spans(self, frames: int) -> Iterator[Span]:
        """Spans that cover every frame of the labeled recordings once, at most `frames` frames each."""
        return (span for span in self._chunk_spans(frames) if span[0] in self._annotators)

    @cached_property
    def counts(self) -> dict[str, np.ndarray]:
        """Stream -> labeled frames of each class."""
        return {
            stream.name: np.array([len(picks) for picks, _ in self._places[stream.name]])
            for stream in self.facts.streams
        }

    @cached_property
    def _places(self) -> Mapping[str, list[tuple[np.ndarray, np.ndarray]]]:
        """Stream -> for each class its labeled frames, as (recording, frame)."""
        places: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for column, stream in enumerate(self.facts.streams):
            found: list[list[np.ndarray]] = [[] for _ in stream.classes]
            for pick in self.labeled:
                frame_labels = self.labels(pick, 0, self.sources[pick][1].frames)[:, column]
                for number in range(len(stream.classes)):
                    frames = np.flatnonzero(frame_labels == number).astype(np.int32)
                    found[number].append(np.stack([np.full_like(frames, pick), frames]))
            joined = [np.concatenate(parts, axis=1) if parts else np.empty((2, 0), np.int32) for parts in found]
            places[stream.name] = [(both[0], both[1]) for both in joined]
        return places

    def draw(self, batch_size: int, generator: np.random.Generator) -> list[Span]:
        """Random spans: the unlabeled share from all recordings, then the labeled one, in a random order."""
        number = round(self.sampling.labeled_share * batch_size) if self.labeled else 0
        spans = super().draw(batch_size - number, generator) if number < batch_size else []
        spans += self._labeled_spans(number, generator)
        # Mixed, so that processes that share a batch get the same of each kind.
        return [spans[place] for place in generator.permutation(len(spans))]

    def _labeled_spans(self, number: int, generator: np.random.Generator) -> list[Span]:
        streams = [stream.name for stream in self.facts.streams for _ in range(self.sampling.per_stream)]
        if len(streams) > number:
            streams = [streams[place] for place in generator.permutation(len(streams))[:number]]
        spans = []
        for place in range(number):
            stream = streams[place] if place < len(streams) else ""
            rare = generator.random() < self.sampling.rare_share
            spans.append(self._around_a_class(stream, generator) if rare else self._anywhere(stream, generator))
        return spans

    def _anywhere(self, stream: str, generator: np.random.Generator) -> Span:
        """Random span of a labeled recording (in one stream, if named), in proportion to length."""
        picks = [pick for pick in self.labeled if not stream or stream in self.sources[pick][1].annotators]
        picks = picks or self.labeled
        frames = np.array([self.sources[pick][1].frames for pick in picks], dtype=np.float64)
        return self._anywhere_in(picks[generator.choice(len(picks), p=frames / frames.sum())], generator)

    def _around_a_class(self, stream: str, generator: np.random.Generator) -> Span:
        """Random span around a frame of a uniformly drawn class; the frame's place in the span is random."""
        streams = [facts for facts in self.facts.streams if stream in ("", facts.name)]
        chosen = streams[generator.integers(len(streams))]
        places = [self._places[chosen.name][number] for number in chosen.foreground]
        places = [place for place in places if len(place[0])]
        if not places:
            return self._anywhere(stream, generator)
        picks, frames = places[generator.integers(len(places))]
        which = generator.integers(len(picks))
        start = int(frames[which]) - int(generator.integers(self.window_frames))
        pick = int(picks[which])
        return pick, min(max(start, 0), self._room(pick)), self.window_frames

    def read(self, spans: Sequence[Span]) -> LabeledBatch:
        """Windows and labels of spans, see `WindowReader.read`."""
        batch = super().read(spans)
        labels = np.stack([self.labels(pick, start, frames) for pick, start, frames in spans])
        annotator = np.array([self.annotator(pick) for pick, _, _ in spans])
        return LabeledBatch(
            **{field.name: getattr(batch, field.name) for field in fields(batch)},
            labels=torch.from_numpy(labels),
            annotator=torch.from_numpy(annotator),
        )
