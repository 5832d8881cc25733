"""How many of the true nearest neighbours an index finds: recall, against exact search, on a sample of queries."""

from collections.abc import Callable, Sequence

import numpy as np

from ssl_behavior.embedding import EmbeddingRow
from ssl_behavior.faiss_library import load_faiss

__all__ = ["RECALL_AT", "ExactSearch", "RecallSample"]

RECALL_AT = 10
AWAY_SECONDS = 2.0
"""Frames so near to the query in time are no neighbours that anybody would ask for, and the easiest to find."""

_TIE = 1e-5


class ExactSearch:
    """The nearest of points that come in blocks, by Euclidean distance, in the memory of a block.

    Parameters
    ----------
    queries : float32 [query, dim].
    k : neighbours of each.
    """

    def __init__(self, queries: np.ndarray, k: int) -> None:
        self._knn = load_faiss("search").knn
        self._queries, self._k = queries, k
        self.distances = np.empty((len(queries), 0), np.float32)
        self.positions = np.empty((len(queries), 0), np.int64)

    def add(self, start: int, points: np.ndarray) -> None:
        """Points at the positions `start`, `start` + 1 ..."""
        squared, positions = self._knn(self._queries, points, min(self._k, len(points)))
        distances = np.concatenate([self.distances, np.sqrt(np.maximum(squared, 0))], axis=1)
        positions = np.concatenate([self.positions, positions + start], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, : self._k]
        self.distances = np.take_along_axis(distances, order, axis=1)
        self.positions = np.take_along_axis(positions, order, axis=1)


class RecallSample:
    """Indexed frames as queries, and their true neighbours more than 2 s away in time.

    Parameters
    ----------
    rows : the recordings.
    frames : rising rows of the array that are indexed.
    chosen : which of `frames` are the queries, rising.
    points : of the queries, float32 [query, dim].
    """

    def __init__(
        self, rows: Sequence[EmbeddingRow], frames: np.ndarray, chosen: np.ndarray, points: np.ndarray
    ) -> None:
        self._offsets = np.array([row.offset for row in rows])
        self._frames, self._queries, self.points = frames, frames[chosen], points
        reach = np.array([round(AWAY_SECONDS * row.fps) for row in rows])
        self._own = self._recording(self._queries)
        self._reach = reach[self._own]
        around = np.searchsorted(frames, self._queries + self._reach) - np.searchsorted(
            frames, self._queries - self._reach
        )
        self.k = min(len(frames), RECALL_AT + int(around.max()) + 1)
        self.exact = ExactSearch(points, self.k)

    def _recording(self, frames: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._offsets, frames, side="right") - 1

    def _away(self, query: int, found: np.ndarray) -> np.ndarray:
        """Which of the frames found, -1 = none, are neighbours that count."""
        near = np.abs(found - self._queries[query]) <= self._reach[query]
        return (found >= 0) & ~(near & (self._recording(found) == self._own[query]))

    def recall(
        self, search: Callable[[np.ndarray, int], np.ndarray], gather: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Recall@10 of each query, float64 [query]; a frame as near as the tenth counts as it; NaN = no neighbours.

        Parameters
        ----------
        search : (points, k) -> frames found, int64 [query, k], -1 = none.
        gather : frames -> their points.
        """
        found = search(self.points, self.k)
        true = [self._first(query, self._frames[self.exact.positions[query]]) for query in range(len(found))]
        got = [self._first(query, frames, len(true[query])) for query, frames in enumerate(found)]
        # What is as near as the last of the true ones is no worse an answer: frames with one embedding are common.
        others = [np.append(mine[~np.isin(mine, best)], best[-1:]) for mine, best in zip(got, true, strict=True)]
        distances = self._distances(others, gather)
        recall = np.full(len(found), np.nan)
        for query in np.flatnonzero([len(best) for best in true]):
            *other, last = distances[query]
            tied = np.count_nonzero(np.array(other) <= last * (1 + _TIE))
            recall[query] = (len(got[query]) - len(other) + tied) / len(true[query])
        return recall

    def _first(self, query: int, frames: np.ndarray, most: int = RECALL_AT) -> np.ndarray:
        """The first of the frames that are neighbours which count."""
        return frames[self._away(query, frames)][:most]

    def _distances(self, frames: list[np.ndarray], gather: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """Of each query to frames of its own; they are read once."""
        every, where = np.unique(np.concatenate(frames), return_inverse=True)
        values, stops = gather(every), np.cumsum([len(own) for own in frames])
        return [
            np.linalg.norm(values[own] - point, axis=1)
            for own, point in zip(np.split(where, stops[:-1]), self.points, strict=True)
        ]
