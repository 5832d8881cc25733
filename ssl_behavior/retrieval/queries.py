"""What is looked for: frames and bouts of recordings, as many as one likes, and what they are not to be like."""

import re
from dataclasses import dataclass

import numpy as np

from ssl_behavior.embedding import EmbeddingRow, Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.space import Space

__all__ = ["Example", "Query", "query_point"]

UNLIKE_WEIGHT = 0.3
"""How far a query moves away from what it is not to be like; on the rats' bouts .1 to 1 do nearly as well."""

_TEXT = re.compile(r"(?P<recording>.+):(?P<start>[0-9]{1,18})(-(?P<stop>[0-9]{1,18}))?")


@dataclass(frozen=True)
class Example:
    """Frames `start` up to, not including, `stop` of a recording."""

    recording: str
    start: int
    stop: int

    @classmethod
    def parse(cls, text: str, option: str = "--query") -> "Example":
        """From RECORDING:FRAME or RECORDING:START-STOP; what stands before the last colon is the recording.

        >>> Example.parse("day 1/a:b:12-40")
        Example(recording='day 1/a:b', start=12, stop=40)

        Raises
        ------
        InputError
            If it is neither.
        """
        found = _TEXT.fullmatch(text)
        if not found:
            raise InputError(
                f"{option} {text!r}: expected RECORDING:FRAME or RECORDING:START-STOP with frames counted from 0, such "
                "as 07:1250 or 07:1250-1310"
            )
        start = int(found["start"])
        stop = start + 1 if found["stop"] is None else int(found["stop"])
        if stop <= start:
            raise InputError(f"{option} {text!r}: it has to stop after its start; frame {stop} is not part of it")
        return cls(found["recording"], start, stop)

    def __str__(self) -> str:
        return f"{self.recording}:{self.start}" + (f"-{self.stop}" if self.stop > self.start + 1 else "")

    def row(self, embeddings: Embeddings) -> EmbeddingRow:
        """The recording.

        Raises
        ------
        InputError
            If the embeddings have no such recording, or it ends before.
        """
        row = embeddings.row(self.recording)
        if not 0 <= self.start < self.stop <= row.frames:
            raise InputError(
                f"{self}: recording {row.id!r} has {row.frames:,} frames, from 0 to {row.frames - 1}; a bout stops at "
                f"{row.frames} at the latest"
            )
        return row


@dataclass(frozen=True)
class Query:
    """Like these examples, and not like those.

    Raises
    ------
    InputError
        If there is nothing to be like, or an example is on both sides.
    """

    like: tuple[Example, ...]
    unlike: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        if not self.like:
            raise InputError("a search needs an example to be like: --query RECORDING:FRAME")
        both = set(self.like) & set(self.unlike)
        if both:
            raise InputError(f"{min(map(str, both))} is given with --query and with --unlike: choose one of them")


def query_point(query: Query, space: Space, embeddings: Embeddings) -> np.ndarray:
    """Where to look, float32 [dim]: every example is the mean of its frames' points, and examples are averaged.

    With a, the mean of what to be like, and b, of what not, the point is a + .3 (a - b) (Rocchio 1971). In a space of
    points of length 1 every mean, and the result, is given that length again.

    Raises
    ------
    InputError
        If an example is no part of a recording, or has numbers that are not finite.
    """
    like = _mean_point(query.like, space, embeddings)
    if query.unlike:
        like = _scaled(like + UNLIKE_WEIGHT * (like - _mean_point(query.unlike, space, embeddings)), space)
    return like.astype(np.float32)


def _mean_point(examples: tuple[Example, ...], space: Space, embeddings: Embeddings) -> np.ndarray:
    return _scaled(np.mean([_pooled(example, space, embeddings) for example in examples], axis=0), space)


def _pooled(example: Example, space: Space, embeddings: Embeddings) -> np.ndarray:
    row = example.row(embeddings)
    frames = np.arange(row.offset + example.start, row.offset + example.stop)
    total = np.zeros(space.dim)
    for _, points in space.blocks(embeddings, frames):
        total += points.sum(axis=0, dtype=np.float64)
    return _scaled(total / len(frames), space)


def _scaled(point: np.ndarray, space: Space) -> np.ndarray:
    length = np.linalg.norm(point)
    return point / length if space.config.unit and length > 0 else point
