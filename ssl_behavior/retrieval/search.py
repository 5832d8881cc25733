"""Search for bouts like given examples: the frames nearest to the examples, each extended to a bout."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.arguments import check_number, whole_number
from ssl_behavior.bouts import Span, runs
from ssl_behavior.embedding_space import Space, sample_frames
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, rows_by_recording
from ssl_behavior.errors import InputError
from ssl_behavior.retrieval.frame_index import FrameIndex
from ssl_behavior.terminal import listed

__all__ = [
    "EXCLUDE_SECONDS", "NearBout", "Query", "example_of", "nearest_bouts", "query_point", "recording_of", "searchable",
]  # fmt: skip

UNLIKE_WEIGHT = 0.3
"""Step of the query away from the unlike examples; on the rats' bouts .1 to 1 do nearly as well."""


def example_of(span: Span, embeddings: Embeddings, agent: str = "", target: str = "") -> Span:
    """A span of a row of the embeddings, from one that names the row or its recording.

    Parameters
    ----------
    agent, target : animals of the row, for a span that names a recording with several rows; "" = not given.

    Raises
    ------
    InputError
        If no row fits, or several do; it lists the rows of the recording.
    """
    rows = [row for row in embeddings.rows if span.recording in (row.id, row.recording)]
    if not rows:
        embeddings.row(span.recording)
    given = {name: value for name, value in (("agent", agent), ("target", target)) if value}
    if given and embeddings.unit == "scene":
        raise InputError(
            f"`{next(iter(given))}` names an animal, but rows of {embeddings.path} are scenes with all animals: leave "
            "it out, or embed animals or pairs"
        )
    fitting = [row for row in rows if all(getattr(row, name) == value for name, value in given.items())]
    if len(fitting) == 1:
        return Span(fitting[0].id, span.start, span.stop)
    has = f"recording {rows[0].recording!r} has the rows {listed([f'{row.id} ({row.actors})' for row in rows])}"
    if not fitting:
        what = " and ".join(f"`{name}={value}`" for name, value in given.items())
        raise InputError(f"{span}: no row has {what}; {has}")
    names = "`agent`" if embeddings.unit == "animal" else "`agent` and `target`"
    raise InputError(f"{span}: {has}; name one of them, or give {names}")


def recording_of(span: Span, embeddings: Embeddings) -> EmbeddingRow:
    """The row of a span: a recording, or an animal or pair of it.

    Raises
    ------
    InputError
        If the embeddings have no such recording, or the span ends after it.
    """
    row = embeddings.row(span.recording)
    if span.stop > row.frames:
        raise InputError(
            f"{span}: recording {row.id!r} has {row.frames:,} frames, from 0 to {row.frames - 1}; a bout stops at "
            f"{row.frames} or earlier"
        )
    return row


@dataclass(frozen=True)
class Query:
    """Examples to search for, and examples to avoid.

    Raises
    ------
    InputError
        If there is no example to search for, or an example is on both sides.
    """

    like: tuple[Span, ...]
    unlike: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        if not self.like:
            raise InputError("a search needs an example in `query`, such as Span.parse('RECORDING:FRAME')")
        both = set(self.like) & set(self.unlike)
        if both:
            raise InputError(f"{min(map(str, both))} is both in `query` and in `unlike`: choose one of them")


def query_point(query: Query, space: Space, embeddings: Embeddings) -> np.ndarray:
    """Point of a query, float32 [dim]: every example is the mean of its frames' points, and examples are averaged.

    Let a be the mean of the like examples and b that of the unlike ones; the point is a + .3 (a - b) (Rocchio 1971). In
    a space of points of length 1, every mean and the result are scaled to length 1 again.

    Raises
    ------
    InputError
        If an example is not part of a recording, or has numbers that are not finite.
    """
    like = _mean_point(query.like, space, embeddings)
    if query.unlike:
        like = _scaled(like + UNLIKE_WEIGHT * (like - _mean_point(query.unlike, space, embeddings)), space)
    return like.astype(np.float32)


def _mean_point(examples: tuple[Span, ...], space: Space, embeddings: Embeddings) -> np.ndarray:
    return _scaled(np.mean([_pooled(example, space, embeddings) for example in examples], axis=0), space)


def _pooled(example: Span, space: Space, embeddings: Embeddings) -> np.ndarray:
    row = recording_of(example, embeddings)
    frames = np.arange(row.offset + example.start, row.offset + example.stop)
    total = np.zeros(space.dim)
    for _, points in space.blocks(embeddings, frames):
        total += points.sum(axis=0, dtype=np.float64)
    return _scaled(total / len(frames), space)


def _scaled(point: np.ndarray, space: Space) -> np.ndarray:
    length = np.linalg.norm(point)
    return point / length if space.config.unit and length > 0 else point


EXCLUDE_SECONDS = 2.0
"""Hits keep at least this distance in time from examples."""

HALF_EXTENT_SECONDS = 5.0
"""Maximum time from a bout's best frame to its start and stop."""

TOLERANCE = 0.15
"""A bout extends while the distance rises by at most this share of the way to a typical frame's. On the rats .1 to .3
agree best with annotated bouts (intersection over union .45 where the behavior is right)."""

BRIDGE_SECONDS = 0.2
"""Gaps up to this length are part of a bout."""

JOIN_SECONDS = 0.5
"""Hits up to this distance in time are merged into one."""

_TYPICAL_FRAMES = 1000
_FEWEST, _MOST = 256, 8192
_WIDER = 4
"""The breadth of an index is tuned on frames. A pooled bout lies apart from them: on the rats a search finds .93 of the
ten nearest bouts, with four times the breadth .997, in the same time."""


@dataclass(frozen=True, kw_only=True)
class NearBout(Span):
    """A bout near to a query; `recording` is the id of its row, `frame` its nearest frame, at `distance`."""

    frame: int
    distance: float


def nearest_bouts(
    index: FrameIndex,
    query: Query,
    k: int = 10,
    rows: Sequence[EmbeddingRow] | None = None,
    exclude_seconds: float = EXCLUDE_SECONDS,
) -> list[NearBout]:
    """The `k` bouts nearest to a query, nearest first; fewer where there are fewer.

    Frames are visited by their distance to the query's point. The bout around a frame consists of the frames, at most
    5 s away, with a distance d up to d_best + .15 (d_typical - d_best), where d_best is the distance of the nearest
    frame in it, and d_typical the median over random frames; gaps of .2 s are bridged. Frames within .5 s of a bout, or
    of frames already counted as part of it, belong to the same hit. With an exact index the first bouts are the same
    for every `k`. Of animals or pairs, a moment of a recording is one hit, in the row that is nearest: the other
    animals' view of it is no second example.

    Parameters
    ----------
    rows : recordings to search; None = all.
    exclude_seconds : minimum distance in time of hits from examples, like or unlike, in all rows of the recording.

    Raises
    ------
    InputError
        If an example is not part of a recording, or there cannot be `k` bouts.
    """
    rows = index.embeddings.rows if rows is None else rows
    allowed = searchable(index.embeddings, query, k, rows, exclude_seconds)
    point = query_point(query, index.space, index.embeddings)
    return _Search(index, point, allowed, rows).bouts(k)


def searchable(
    embeddings: Embeddings, query: Query, k: int, rows: Sequence[EmbeddingRow], exclude_seconds: float = EXCLUDE_SECONDS
) -> np.ndarray:
    """Rows of the array that a search may find, bool; raises the errors of `nearest_bouts`."""
    check_number(exclude_seconds, "exclude_seconds")
    if not 0 <= exclude_seconds < math.inf:
        raise InputError(f"`exclude_seconds` must be 0 or more, got {exclude_seconds:g}")
    allowed = np.zeros(len(embeddings.array), dtype=bool)
    for row in rows:
        allowed[row.slice] = True
    for example in (*query.like, *query.unlike):
        own = recording_of(example, embeddings)
        margin = round(exclude_seconds * own.fps)
        start, stop = max(0, example.start - margin), min(own.frames, example.stop + margin)
        for row in embeddings.rows:
            if row.recording == own.recording:
                allowed[row.offset + start : row.offset + stop] = False
    _check_number(k, rows, allowed)
    return allowed


def _check_number(k: int, rows: Sequence[EmbeddingRow], allowed: np.ndarray) -> None:
    whole_number(k, "k", 1)
    # A bout has at least one frame, and bouts of one searched stretch are more than `JOIN_SECONDS` apart. Rows of one
    # recording share their moments.
    moments = {row.recording: (allowed[row.slice], row.fps) for row in rows}
    most = sum(
        -(-(stop - start) // (1 + round(JOIN_SECONDS * fps)))
        for own, fps in moments.values()
        for start, stop, searched in runs(own)
        if searched
    )
    if k > most:
        raise InputError(
            f"`k={k}`: the {int(allowed.sum()):,} searched frames have at most {most} bouts; ask for fewer"
        )


class _Search:
    """State of one search; `free`: frames that may still be found; `taken`: frames of bouts already found."""

    def __init__(self, index: FrameIndex, point: np.ndarray, allowed: np.ndarray, rows: Sequence[EmbeddingRow]) -> None:
        self.index, self.point, self.allowed = index, point, allowed
        self.rows = sorted(rows, key=lambda row: row.offset)
        self.offsets = np.array([row.offset for row in self.rows])
        self.rows_of = rows_by_recording(self.rows)
        self.free, self.taken = allowed.copy(), np.zeros_like(allowed)
        self.typical = float(np.median(self._distances(sample_frames(self.rows, _TYPICAL_FRAMES, 0))))

    def bouts(self, k: int) -> list[NearBout]:
        found: list[NearBout] = []
        breadth = min(_WIDER * self.index.facts.breadth, self.index.widest)
        while len(found) < k:
            wanted = min(max(_FEWEST, 16 * (k - len(found))), _MOST)
            frames = self.index.search(self.point[None], wanted, self.free, breadth)[1][0]
            frames = frames[frames >= 0]
            found += self._grown(frames, k - len(found))
            if len(frames) < wanted:
                if breadth >= self.index.widest:
                    break
                breadth = min(_WIDER * breadth, self.index.widest)
        return sorted(found, key=lambda bout: bout.distance)

    def _grown(self, frames: np.ndarray, most: int) -> list[NearBout]:
        """New bouts around these frames, the nearest first."""
        found: list[NearBout] = []
        for frame in frames[np.argsort(self._distances(frames), kind="stable")]:
            if len(found) == most:
                break
            if not self.free[frame]:
                continue
            row = self.rows[int(np.searchsorted(self.offsets, frame, side="right")) - 1]
            bout, apart = self._bout(row, int(frame) - row.offset)
            if apart:
                found.append(bout)
        return found

    def _bout(self, row: EmbeddingRow, frame: int) -> tuple[NearBout, bool]:
        """The bout around a frame, marked as taken, and whether it is apart from all bouts before."""
        start, stop, best, distance = self._extent(row, frame)
        passed, seen = [(start, stop)], {frame}
        # Between equally near frames rounding decides, and differently in every stretch that is read.
        while best not in seen:
            seen.add(best)
            start, stop, best, distance = self._extent(row, best)
            passed.append((start, stop))
        join = round(JOIN_SECONDS * row.fps)
        around = max(0, start - join), min(row.frames, stop + join)
        apart = not self.taken[row.offset + around[0] : row.offset + around[1]].any()
        for one in self.rows_of[row.recording]:
            self.free[one.offset + around[0] : one.offset + around[1]] = False
            for first, last in passed:
                own = slice(one.offset + first, one.offset + last)
                self.free[own], self.taken[own] = False, True
        return NearBout(recording=row.id, start=start, stop=stop, frame=best, distance=distance), apart

    def _extent(self, row: EmbeddingRow, frame: int) -> tuple[int, int, int, float]:
        """Start and stop of the bout around a frame, its nearest frame, and the distance of that frame."""
        first, last = self._allowed_around(row, frame)
        distances = self._distances(np.arange(row.offset + first, row.offset + last))
        own = distances[frame - first]
        near = distances <= own + TOLERANCE * max(0.0, self.typical - own)
        start, stop = _run_around(near, frame - first, round(BRIDGE_SECONDS * row.fps))
        best = start + int(np.argmin(distances[start:stop]))
        best = best if distances[best] < own else frame - first
        return first + start, first + stop, first + best, float(distances[best])

    def _allowed_around(self, row: EmbeddingRow, frame: int) -> tuple[int, int]:
        """Start and stop of the frames around one that may belong to its bout, up to the first excluded frame."""
        extent = round(HALF_EXTENT_SECONDS * row.fps)
        first, last = max(0, frame - extent), min(row.frames, frame + extent + 1)
        forbidden = first + np.flatnonzero(~self.allowed[row.offset + first : row.offset + last])
        before, after = forbidden[forbidden < frame], forbidden[forbidden > frame]
        return (int(before[-1]) + 1 if len(before) else first), (int(after[0]) if len(after) else last)

    def _distances(self, frames: np.ndarray) -> np.ndarray:
        """Exact distances to the query, float64 [frames]."""
        points = self.index.space.gather(self.index.embeddings, frames)
        return np.linalg.norm(points.astype(np.float64) - self.point, axis=1)


def _run_around(near: np.ndarray, frame: int, bridge: int) -> tuple[int, int]:
    """Start and stop of the run of True around a True frame; gaps up to `bridge` frames are included.

    >>> _run_around(np.array([1, 0, 0, 1, 0, 1, 1, 0, 0]) > 0, 5, 1)
    (3, 7)
    """
    true = np.flatnonzero(near)
    where = int(np.searchsorted(true, frame))
    breaks = np.flatnonzero(np.diff(true) > bridge + 1)
    before, after = breaks[breaks < where], breaks[breaks >= where]
    start = true[before[-1] + 1] if len(before) else true[0]
    stop = true[after[0]] if len(after) else true[-1]
    return int(start), int(stop) + 1
