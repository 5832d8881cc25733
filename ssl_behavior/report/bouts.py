"""Bouts that are alike: the mean point of each bout in a space, and the nearest of them, exactly.

Which bouts a page plays: some from the middle of every cluster and with every label, and the nearest to each.

The recordings of a report: where they are in the store, and where in the embeddings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ssl_behavior.embedding import EmbeddingRow, Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.report.contents import Ethogram, Neighbor, ReportRecording, ShownBout, Span
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.space import Space
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "Bouts",
    "Shown",
    "Source",
    "bouts_in",
    "central_bouts",
    "choose_bouts",
    "nearest_bouts",
    "nearest_points",
    "pooled",
    "seconds_of",
]

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


@dataclass(frozen=True, eq=False)
class Source:
    """Recordings of a store and of its embeddings.

    Parameters
    ----------
    rows : the recordings in the embeddings, in their order.
    """

    store: Store
    embeddings: Embeddings
    rows: tuple[EmbeddingRow, ...]

    @classmethod
    def of(cls, store: Store, embeddings: Embeddings, wanted: Sequence[StoreRow] | None = None) -> "Source":
        """The wanted recordings, or all that are embedded.

        Raises
        ------
        InputError
            If one of them is not in both, or not as long in both.
        """
        ids = {row.id for row in (embeddings.rows if wanted is None else wanted)}
        rows = tuple(row for row in embeddings.rows if row.id in ids)
        if missing := sorted(ids - {row.id for row in rows}):
            raise InputError(f"{embeddings.path} has no recording {missing[0]!r}: embed it, or leave it out")
        if not rows:
            raise InputError(f"{embeddings.path} has no recordings to report on")
        for row in rows:
            frames = store.row(row.id).frames
            if frames != row.frames:
                raise InputError(
                    f"recording {row.id!r} has {frames} frames in {store.path} and {row.frames} in {embeddings.path}: "
                    "embed this store again"
                )
        return cls(store, embeddings, rows)

    @cached_property
    def store_rows(self) -> tuple[StoreRow, ...]:
        return tuple(self.store.row(row.id) for row in self.rows)

    @cached_property
    def recordings(self) -> tuple[ReportRecording, ...]:
        return tuple(
            ReportRecording(id=row.id, frames=row.frames, fps=row.fps, subset=row.subset) for row in self.store_rows
        )

    @cached_property
    def offsets(self) -> np.ndarray:
        """The row of the embeddings at which each recording begins."""
        return np.array([row.offset for row in self.rows])

    @cached_property
    def store_offsets(self) -> np.ndarray:
        """The frame of the store at which each recording begins."""
        return np.array([row.offset for row in self.store_rows])


_SHORTEST_SECONDS = 0.25
_MOST_CANDIDATES = 50_000
_APART_SECONDS = 10.0
_LEAD_SECONDS = 0.5
_LONGEST_SECONDS = 4.0
_CENTRAL = 0.5
"""Of the shown bouts, those from the middle of a cluster; half of the rest have a label, the others are drawn."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The bouts that are shown.

    Parameters
    ----------
    nearest : the one nearest to each point asked about.
    medoids : cluster -> bouts in its middle.
    """

    bouts: tuple[ShownBout, ...]
    nearest: np.ndarray
    medoids: dict[int, list[Span]]


def choose_bouts(
    source: Source,
    space: Space,
    number: int,
    neighbors: int,
    points: np.ndarray,
    clusters: Ethogram | None,
    labels: Sequence[Ethogram],
    named: Sequence[tuple[Span, int]] = (),
    seed: int = 0,
) -> Shown:
    """About `number` bouts, and the `neighbors` nearest to each of them among the bouts of all clusters.

    Where there are no clusters, seconds take the place of bouts. Of very many bouts, 50,000 are drawn to look among.

    Parameters
    ----------
    points : float32 [point, dim], each of which is told the shown bout nearest to it.
    named : (bout, cluster) that have to be shown; cluster -1 for none.
    """
    every = bouts_in(clusters, source.recordings, _SHORTEST_SECONDS) if clusters else seconds_of(source.recordings)
    candidates = every.drawn(_MOST_CANDIDATES, seed)
    means = pooled(candidates, source.offsets, space, source.embeddings)
    central: dict[int, np.ndarray] = {}
    if clusters:
        each = max(1, int(_CENTRAL * number) // max(1, len(clusters.words)))
        central = central_bouts(candidates, means, each)
    first = Bouts.of(
        [(s.recording, s.start, s.stop, cluster) for s, cluster in named], clusters.name if clusters else ""
    )
    apart = np.array([int(_APART_SECONDS * row.fps) for row in source.rows])
    chosen = _Chosen()
    for part in [first, *_queries(source.recordings, number, candidates, central, labels, seed)]:
        own = pooled(part, source.offsets, space, source.embeddings)
        found = nearest_bouts(part, own, candidates, means, neighbors, apart)
        chosen.add(part, own, found, candidates, means)
    chosen.add_among_shown(neighbors, apart, space.dim)
    nearest = nearest_points(points, chosen.points(space.dim))
    medoids = {value: [candidates.span(pick) for pick in picks.tolist()] for value, picks in central.items()}
    return Shown(chosen.bouts(source), nearest, medoids)


def _queries(
    recordings: Sequence[ReportRecording],
    number: int,
    candidates: Bouts,
    central: dict[int, np.ndarray],
    labels: Sequence[Ethogram],
    seed: int,
) -> list[Bouts]:
    """The middle of each cluster, some of each label, and some more."""
    middle = [pick for picks in central.values() for pick in picks.tolist()]
    parts = [candidates.take(np.array(middle[:number], np.int64))]
    left = number - len(parts[0])
    labeled = [bouts_in(stream, recordings, _SHORTEST_SECONDS) for stream in labels]
    words = sum(len(np.unique(part.value)) for part in labeled)
    each = max(1, left // 2 // max(1, words)) if left else 0
    parts += [part.take(_some_of_each(part, each, seed)) for part in labeled]
    left = max(0, number - sum(map(len, parts)))
    return [*parts, candidates.drawn(left, seed)]


def _some_of_each(bouts: Bouts, each: int, seed: int) -> np.ndarray:
    """At most so many bouts of each value, drawn."""
    order = numpy_generator(seed, "labeled bouts", bouts.ethogram).permutation(len(bouts))
    picks = [order[bouts.value[order] == value][:each] for value in np.unique(bouts.value)]
    return np.sort(np.concatenate([*picks, np.zeros(0, np.int64)])).astype(np.int64)


class _Chosen:
    """The shown bouts while they are collected: each once, numbered as they come."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, int, int, int], int] = {}
        self.rows: list[tuple[Span, str, int]] = []
        self.means: list[np.ndarray] = []
        self.neighbors: dict[int, tuple[Neighbor, ...]] = {}
        self.near_shown: set[int] = set()

    def _number(self, bouts: Bouts, pick: int, mean: np.ndarray) -> int:
        span, value = bouts.span(pick), int(bouts.value[pick])
        key = (bouts.ethogram, span.recording, span.start, span.stop)
        if key not in self.numbers:
            self.numbers[key] = len(self.rows)
            self.rows.append((span, bouts.ethogram if value >= 0 else "", value))
            self.means.append(mean)
        return self.numbers[key]

    def add(
        self,
        queries: Bouts,
        query_means: np.ndarray,
        found: list[list[tuple[int, float]]],
        candidates: Bouts,
        means: np.ndarray,
    ) -> None:
        """Queries, and the neighbours found for them."""
        for query, near in enumerate(found):
            number = self._number(queries, query, query_means[query])
            self.neighbors[number] = tuple(
                Neighbor(bout=self._number(candidates, pick, means[pick]), distance=distance) for pick, distance in near
            )

    def add_among_shown(self, k: int, apart_frames: np.ndarray, dim: int) -> None:
        """Neighbours among what is shown, for the bouts that are only neighbours of others."""
        self.near_shown = {number for number in range(len(self.rows)) if number not in self.neighbors}
        shown = Bouts.of([(span.recording, span.start, span.stop, value) for span, _, value in self.rows])
        left, means = np.array(sorted(self.near_shown), np.int64), self.points(dim)
        found = nearest_bouts(shown.take(left), means[left], shown, means, k, apart_frames)
        for number, near in zip(left.tolist(), found, strict=True):
            self.neighbors[number] = tuple(Neighbor(bout=bout, distance=distance) for bout, distance in near)

    def points(self, dim: int) -> np.ndarray:
        return np.stack(self.means) if self.means else np.zeros((0, dim), np.float32)

    def bouts(self, source: Source) -> tuple[ShownBout, ...]:
        """With their tracks, read one by one."""
        shown = []
        for number, (span, ethogram, value) in enumerate(self.rows):
            first, stop = _shown_frames(span, source.recordings[span.recording])
            offset = int(source.store_offsets[span.recording])
            track = np.array(source.store.keypoints[offset + first : offset + stop])
            shown.append(
                ShownBout(
                    span=span, ethogram=ethogram, value=value, first=first, track=track,
                    neighbors=self.neighbors.get(number, ()), among_shown=number in self.near_shown,
                )
            )  # fmt: skip
        return tuple(shown)


def _shown_frames(span: Span, recording: ReportRecording) -> tuple[int, int]:
    """(first, stop) of the track that is shown: the bout and half a second around it, of long ones the middle."""
    longest, lead = max(1, int(_LONGEST_SECONDS * recording.fps)), int(_LEAD_SECONDS * recording.fps)
    first, stop = span.start - lead, span.stop + lead
    if stop - first > longest:
        first = (span.start + span.stop) // 2 - longest // 2
        stop = first + longest
    return max(0, first), min(recording.frames, stop)
