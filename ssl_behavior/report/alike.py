"""Bouts that are alike: the mean point of each bout in a space, and the nearest of them, exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.embedding import Embeddings
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.report.contents import Ethogram, ReportRecording, Span
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.space import Space

__all__ = ["Bouts", "bouts_in", "central_bouts", "nearest_bouts", "nearest_points", "pooled", "seconds_of"]

_FRAMES_PER_BOUT = 4
_FIRST_LOOK = 8


@dataclass(frozen=True, eq=False)
class Bouts:
    """Bouts as columns.

    Parameters
    ----------
    recording, start, stop, value : whole numbers [bout]; `value` is the word of the ethogram, -1 for none.
    ethogram : its name, "" where the bouts are of none.
    """

    recording: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    value: np.ndarray
    ethogram: str = ""

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, int, int]], ethogram: str = "") -> "Bouts":
        """Of (recording, start, stop, value)."""
        table = np.array(rows, np.int64).reshape(-1, 4)
        return cls(table[:, 0], table[:, 1], table[:, 2], table[:, 3], ethogram)

    def __len__(self) -> int:
        return len(self.start)

    def take(self, picks: np.ndarray) -> "Bouts":
        """Some of them."""
        return Bouts(self.recording[picks], self.start[picks], self.stop[picks], self.value[picks], self.ethogram)

    def drawn(self, most: int, seed: int) -> "Bouts":
        """All of them, or `most` drawn by `seed`, in the same order."""
        if len(self) <= most:
            return self
        return self.take(np.sort(numpy_generator(seed, "bouts").choice(len(self), most, replace=False)))

    def span(self, bout: int) -> Span:
        return Span(recording=int(self.recording[bout]), start=int(self.start[bout]), stop=int(self.stop[bout]))


def bouts_in(ethogram: Ethogram, recordings: Sequence[ReportRecording], fewest_seconds: float) -> Bouts:
    """The bouts of an ethogram that last so long; those of its background are none."""
    background = ethogram.words.index(ethogram.background) if ethogram.background else -1
    rows = []
    for number, (own, recording) in enumerate(zip(ethogram.runs, recordings, strict=True)):
        if own is None:
            continue
        stops = np.cumsum(own.lengths)
        wanted = (own.values >= 0) & (own.values != background) & (own.lengths >= fewest_seconds * recording.fps)
        for pick in np.flatnonzero(wanted):
            stop = int(stops[pick])
            rows.append((number, stop - int(own.lengths[pick]), stop, int(own.values[pick])))
    return Bouts.of(rows, ethogram.name)


def seconds_of(recordings: Sequence[ReportRecording]) -> Bouts:
    """Every second as a bout, where there is nothing better."""
    rows = []
    for number, recording in enumerate(recordings):
        length = max(1, round(recording.fps))
        starts = range(0, max(1, recording.frames - length + 1), length)
        rows += [(number, start, min(start + length, recording.frames), -1) for start in starts]
    return Bouts.of(rows)


def pooled(bouts: Bouts, offsets: np.ndarray, space: Space, embeddings: Embeddings) -> np.ndarray:
    """The mean of four frames spread evenly over each bout, float32 [bout, dim].

    Parameters
    ----------
    offsets : the row of the embeddings at which each of the report's recordings begins.
    """
    if not len(bouts):
        return np.zeros((0, space.dim), np.float32)
    parts = (np.arange(_FRAMES_PER_BOUT) + 0.5) / _FRAMES_PER_BOUT
    inside = np.floor(parts * (bouts.stop - bouts.start)[:, None]).astype(np.int64)
    frames = (offsets[bouts.recording] + bouts.start)[:, None] + inside
    points = space.gather(embeddings, frames.reshape(-1))
    return points.reshape(len(bouts), _FRAMES_PER_BOUT, -1).mean(axis=1)


def nearest_bouts(
    queries: Bouts, query_points: np.ndarray, bouts: Bouts, points: np.ndarray, k: int, apart_frames: np.ndarray
) -> list[list[tuple[int, float]]]:
    """For each query (number among `bouts`, distance) of the k nearest, by exact search; fewer where there are not k.

    Bouts of the query's recording that begin less than `apart_frames` after its end, or end as little before its
    start, are not looked for: they are the same event. So are bouts that overlap or touch a nearer one: of each event
    the nearest is found.

    Parameters
    ----------
    query_points, points : float32 [bout, dim].
    apart_frames : of each recording.
    """
    if not len(bouts) or not len(queries):
        return [[] for _ in range(len(queries))]
    index = load_faiss("the report").IndexFlatL2(points.shape[1])
    index.add(points)
    found: list[list[tuple[int, float]]] = [[] for _ in range(len(queries))]
    left, depth = np.arange(len(queries)), min(len(bouts), k + _FIRST_LOOK)
    while len(left):
        distances, ids = index.search(query_points[left], depth)
        far = _apart(queries.take(left), bouts, ids, apart_frames)
        for row, query in enumerate(left):
            kept = _events(bouts, ids[row], np.flatnonzero(far[row]), k)
            squared = np.maximum(distances[row, kept], 0.0)
            found[query] = [(int(ids[row, i]), float(d)) for i, d in zip(kept, np.sqrt(squared), strict=True)]
        short = np.array([len(found[query]) < k for query in left])
        left = left[short] if depth < len(bouts) else left[:0]
        depth = min(len(bouts), depth * 4)
    return found


def _apart(queries: Bouts, bouts: Bouts, ids: np.ndarray, apart_frames: np.ndarray) -> np.ndarray:
    """Which of the bouts found are other events than the query, bool [query, found]."""
    room = apart_frames[queries.recording][:, None]
    other = bouts.recording[ids] != queries.recording[:, None]
    later = bouts.start[ids] >= queries.stop[:, None] + room
    earlier = bouts.stop[ids] <= queries.start[:, None] - room
    apart: np.ndarray = other | later | earlier
    return apart


def _events(bouts: Bouts, ids: np.ndarray, places: np.ndarray, k: int) -> list[int]:
    """The first k of the places, nearest first, whose bouts neither overlap nor touch one of those before them."""
    kept: list[int] = []
    for place in places.tolist():
        if len(kept) == k:
            break
        bout, nearer = ids[place], ids[kept]
        same = bouts.recording[nearer] == bouts.recording[bout]
        meets = (bouts.start[nearer] <= bouts.stop[bout]) & (bouts.stop[nearer] >= bouts.start[bout])
        if not (same & meets).any():
            kept.append(place)
    return kept


def nearest_points(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The number of the point nearest to each query, int64 [query]; -1 where there is no point."""
    if not len(points):
        return np.full(len(queries), -1)
    index = load_faiss("the report").IndexFlatL2(points.shape[1])
    index.add(points)
    nearest: np.ndarray = index.search(queries, 1)[1][:, 0]
    return nearest


def central_bouts(bouts: Bouts, points: np.ndarray, number: int) -> dict[int, np.ndarray]:
    """For each value the bouts nearest to the mean of its bouts, from as many recordings as there are."""
    chosen = {}
    for value in np.unique(bouts.value):
        own = np.flatnonzero(bouts.value == value)
        distances = np.linalg.norm(points[own] - points[own].mean(axis=0), axis=1)
        order = own[np.argsort(distances, kind="stable")]
        turn = _turns(bouts.recording[order])
        chosen[int(value)] = order[np.argsort(turn, kind="stable")][:number]
    return chosen


def _turns(recordings: np.ndarray) -> np.ndarray:
    """How often each recording was there before, [2, 2, 5, 2] -> [0, 1, 0, 2]."""
    seen: dict[int, int] = {}
    turns = []
    for recording in recordings.tolist():
        turns.append(seen.get(recording, 0))
        seen[recording] = turns[-1] + 1
    return np.array(turns, np.int64)
