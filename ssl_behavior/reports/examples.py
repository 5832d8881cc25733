"""Example bouts that a page plays: central bouts of every cluster, bouts of every label, and their nearest neighbors.

Bouts are compared by the mean of four of their points, by exact search. `Source` locates the recordings of a report in
the store and in the embeddings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ssl_behavior.bouts import BoutTable, Span, bout_table
from ssl_behavior.embedding_space import Space
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, recording_numbers
from ssl_behavior.errors import InputError
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.reports.contents import Ethogram, ExampleBout, Neighbor, ReportRecording
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "Source", "bouts_in", "central_bouts", "choose_bouts", "nearest_points", "pooled", "seconds_of", "similar_bouts",
]  # fmt: skip

_FRAMES_PER_BOUT = 4
_FIRST_LOOK = 8


def bouts_in(ethogram: Ethogram, rows: Sequence[EmbeddingRow], fewest_seconds: float) -> BoutTable:
    """Bouts of an ethogram of at least `fewest_seconds`, without background."""
    background = ethogram.words.index(ethogram.background) if ethogram.background else -1
    table = bout_table([np.empty(0, np.int64) if own is None else own for own in ethogram.frames], rows)
    return table.take((table.label != background) & (table.seconds >= fewest_seconds))


def seconds_of(rows: Sequence[EmbeddingRow]) -> BoutTable:
    """Every second as a bout, for reports without clusters."""
    bouts = []
    for number, row in enumerate(rows):
        length = max(1, round(row.fps))
        starts = range(0, max(1, row.frames - length + 1), length)
        bouts += [(number, start, min(start + length, row.frames), -1) for start in starts]
    return BoutTable.of(bouts, rows)


def _drawn(bouts: BoutTable, most: int, seed: int) -> BoutTable:
    """All bouts, or a random `most` of them, in the same order."""
    if len(bouts) <= most:
        return bouts
    return bouts.take(np.sort(numpy_generator(seed, "bouts").choice(len(bouts), most, replace=False)))


def pooled(bouts: BoutTable, space: Space, embeddings: Embeddings) -> np.ndarray:
    """Mean point of four evenly spaced frames of each bout, float32 [bout, dim]."""
    if not len(bouts):
        return np.zeros((0, space.dim), np.float32)
    parts = (np.arange(_FRAMES_PER_BOUT) + 0.5) / _FRAMES_PER_BOUT
    inside = np.floor(parts * bouts.frames[:, None]).astype(np.int64)
    points = space.gather(embeddings, (bouts.first[:, None] + inside).reshape(-1))
    return points.reshape(len(bouts), _FRAMES_PER_BOUT, -1).mean(axis=1)


def similar_bouts(
    queries: BoutTable,
    query_points: np.ndarray,
    bouts: BoutTable,
    points: np.ndarray,
    k: int,
    same_event_seconds: float,
    recordings: np.ndarray | None = None,
) -> list[list[tuple[int, float]]]:
    """(number among `bouts`, distance) of the k nearest bouts of each query, by exact search; fewer if there are not k.

    Bouts of the query's recording that begin less than `same_event_seconds` after its end, or end as little before its
    start, are the same event and are skipped. Of bouts that overlap or touch each other, only the nearest is returned.
    Both hold for all animals and pairs of a recording: what another animal does at that time is part of the event.

    Parameters
    ----------
    query_points, points : float32 [bout, dim].
    recordings : number of the recording of each row of the tables, see `recording_numbers`; None = a row each.
    """
    if recordings is not None:
        queries, bouts = (_of_recordings(one, recordings) for one in (queries, bouts))
    if not len(bouts) or not len(queries):
        return [[] for _ in range(len(queries))]
    index = load_faiss("the report").IndexFlatL2(points.shape[1])
    index.add(points)
    found: list[list[tuple[int, float]]] = [[] for _ in range(len(queries))]
    left, depth = np.arange(len(queries)), min(len(bouts), k + _FIRST_LOOK)
    while len(left):
        distances, ids = index.search(query_points[left], depth)
        far = _other_events(queries.take(left), bouts, ids, (same_event_seconds * queries.fps).astype(np.int64))
        for row, query in enumerate(left):
            kept = _events(bouts, ids[row], np.flatnonzero(far[row]), k)
            squared = np.maximum(distances[row, kept], 0.0)
            found[query] = [(int(ids[row, i]), float(d)) for i, d in zip(kept, np.sqrt(squared), strict=True)]
        short = np.array([len(found[query]) < k for query in left])
        left = left[short] if depth < len(bouts) else left[:0]
        depth = min(len(bouts), depth * 4)
    return found


def _of_recordings(bouts: BoutTable, recordings: np.ndarray) -> BoutTable:
    """Bouts with the numbers of their recordings; all rows of a recording have its frame rate."""
    fps = bouts.fps[np.unique(recordings, return_index=True)[1]]
    return replace(bouts, recording=recordings[bouts.recording], fps=fps)


def _other_events(queries: BoutTable, bouts: BoutTable, ids: np.ndarray, same_event_frames: np.ndarray) -> np.ndarray:
    """Found bouts that are another event than the query, bool [query, found]."""
    room = same_event_frames[queries.recording][:, None]
    other = bouts.recording[ids] != queries.recording[:, None]
    later = bouts.start[ids] >= queries.stop[:, None] + room
    earlier = bouts.stop[ids] <= queries.start[:, None] - room
    other_events: np.ndarray = other | later | earlier
    return other_events


def _events(bouts: BoutTable, ids: np.ndarray, places: np.ndarray, k: int) -> list[int]:
    """First k of the places, nearest first, whose bouts do not overlap or touch an earlier one."""
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


def central_bouts(
    bouts: BoutTable, points: np.ndarray, number: int, recordings: np.ndarray | None = None
) -> np.ndarray:
    """Bouts of each label nearest to the label's mean, from as many recordings as possible.

    Parameters
    ----------
    recordings : number of the recording of each row of the table; None = a row each.
    """
    places = bouts.recording if recordings is None else recordings[bouts.recording]
    chosen = [np.empty(0, np.int64)]
    for label in np.unique(bouts.label):
        own = np.flatnonzero(bouts.label == label)
        distances = np.linalg.norm(points[own] - points[own].mean(axis=0), axis=1)
        order = own[np.argsort(distances, kind="stable")]
        turn = _turns(places[order])
        chosen.append(order[np.argsort(turn, kind="stable")][:number])
    return np.concatenate(chosen)


def _turns(recordings: np.ndarray) -> np.ndarray:
    """Number of earlier occurrences of each recording, [2, 2, 5, 2] -> [0, 1, 0, 2]."""
    seen: dict[int, int] = {}
    turns = []
    for recording in recordings.tolist():
        turns.append(seen.get(recording, 0))
        seen[recording] = turns[-1] + 1
    return np.array(turns, np.int64)


@dataclass(frozen=True, eq=False)
class Source:
    """Recordings of a report, located in a store and in its embeddings.

    Parameters
    ----------
    rows : the recordings in the embeddings or, of animals and pairs, all rows of these recordings, in their order.
    """

    store: Store
    embeddings: Embeddings
    rows: tuple[EmbeddingRow, ...]

    @classmethod
    def of(cls, store: Store, embeddings: Embeddings, chosen_rows: Sequence[StoreRow] | None = None) -> "Source":
        """Locate the chosen recordings, by default all that are embedded.

        Raises
        ------
        InputError
            If one of them is not in both, or not as long in both.
        """
        every = {row.recording for row in embeddings.rows}
        ids = every if chosen_rows is None else {row.id for row in chosen_rows}
        rows = tuple(row for row in embeddings.rows if row.recording in ids)
        if missing := sorted(ids - every):
            raise InputError(f"{embeddings.path} has no recording {missing[0]!r}: embed it, or leave it out")
        if not rows:
            raise InputError(f"{embeddings.path} has no recordings to report on")
        for row in rows:
            frames = store.row(row.recording).frames
            if frames != row.frames:
                raise InputError(
                    f"recording {row.recording!r} has {frames} frames in {store.path} and {row.frames} in "
                    f"{embeddings.path}: embed this store again"
                )
        return cls(store, embeddings, rows)

    @cached_property
    def store_rows(self) -> tuple[StoreRow, ...]:
        return tuple(self.store.row(row.recording) for row in self.rows)

    @cached_property
    def numbers(self) -> np.ndarray:
        """Number of the recording of each row, int64 [row]."""
        return recording_numbers(self.rows)

    @cached_property
    def recordings(self) -> tuple[ReportRecording, ...]:
        return tuple(
            ReportRecording(
                id=row.id, recording=row.recording, agent=row.agent, target=row.target, frames=stored.frames,
                fps=stored.fps, subset=stored.subset,
            )
            for row, stored in zip(self.rows, self.store_rows, strict=True)
        )  # fmt: skip

    @cached_property
    def offsets(self) -> np.ndarray:
        """First row of each recording in the embeddings."""
        return np.array([row.offset for row in self.rows])

    @cached_property
    def store_offsets(self) -> np.ndarray:
        """First frame of each row's recording in the store."""
        return np.array([row.offset for row in self.store_rows])


_SHORTEST_SECONDS = 0.25
_MOST_CANDIDATES = 50_000
_SAME_EVENT_SECONDS = 10.0
_LEAD_SECONDS = 0.5
_LONGEST_SECONDS = 4.0
_CENTRAL = 0.5
"""Share of central bouts of clusters among the examples; half of the rest are labeled, the others random."""


def choose_bouts(
    source: Source,
    space: Space,
    number: int,
    neighbors: int,
    clusters: Ethogram | None,
    labels: Sequence[Ethogram],
    named: Sequence[tuple[Span, int]] = (),
    seed: int = 0,
) -> tuple[tuple[ExampleBout, ...], np.ndarray]:
    """Choose about `number` bouts and, for each, its `neighbors` nearest bouts of any cluster.

    Returns the bouts and their mean points, float32 [bout, dim]. Without clusters, every second is a bout. Of more than
    50,000 bouts, a random 50,000 are candidates.

    Parameters
    ----------
    named : (bout, cluster) that must be among the examples; cluster -1 for none.
    """
    name, rows = clusters.name if clusters else "", source.rows
    every = bouts_in(clusters, rows, _SHORTEST_SECONDS) if clusters else seconds_of(rows)
    candidates = _drawn(every, _MOST_CANDIDATES, seed)
    means = pooled(candidates, space, source.embeddings)
    central = np.empty(0, np.int64)
    if clusters:
        each = max(1, int(_CENTRAL * number) // max(1, len(clusters.words)))
        central = central_bouts(candidates, means, each, source.numbers)
    numbers = {row.id: place for place, row in enumerate(rows)}
    required = BoutTable.of(
        [(numbers[span.recording], span.start, span.stop, cluster) for span, cluster in named], rows
    )
    chosen = _Chosen(source)
    parts = [(name, required), (name, candidates.take(central[:number]))]
    parts += _labeled(labels, rows, number - len(parts[1][1]), seed)
    left = max(0, number - sum(len(part) for _, part in parts[1:]))
    for ethogram, part in [*parts, (name, _drawn(candidates, left, seed))]:
        own = pooled(part, space, source.embeddings)
        found = similar_bouts(part, own, candidates, means, neighbors, _SAME_EVENT_SECONDS, source.numbers)
        chosen.add(ethogram, part, own, found, name, candidates, means)
    chosen.add_neighbors_among_examples(neighbors, space.dim)
    return chosen.bouts(), chosen.points(space.dim)


def _labeled(
    labels: Sequence[Ethogram], rows: Sequence[EmbeddingRow], left: int, seed: int
) -> list[tuple[str, BoutTable]]:
    """Random bouts of each label of each stream, together at most about half of `left`."""
    tables = [(stream.name, bouts_in(stream, rows, _SHORTEST_SECONDS)) for stream in labels]
    words = sum(len(np.unique(table.label)) for _, table in tables)
    each = max(1, left // 2 // max(1, words)) if left else 0
    return [(name, table.take(_some_of_each(name, table, each, seed))) for name, table in tables]


def _some_of_each(ethogram: str, bouts: BoutTable, each: int, seed: int) -> np.ndarray:
    """Random bouts of each label, at most `each`."""
    order = numpy_generator(seed, "labeled bouts", ethogram).permutation(len(bouts))
    picks = [order[bouts.label[order] == label][:each] for label in np.unique(bouts.label)]
    return np.sort(np.concatenate([*picks, np.zeros(0, np.int64)])).astype(np.int64)


class _Chosen:
    """Collector of example bouts: each bout once, numbered in order of addition."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.numbers: dict[tuple[str, int, int, int], int] = {}
        self.rows: list[tuple[int, int, int, int]] = []
        self.ethograms: list[str] = []
        self.means: list[np.ndarray] = []
        self.neighbors: dict[int, tuple[Neighbor, ...]] = {}
        self.only_neighbors: set[int] = set()

    def _number(self, ethogram: str, bouts: BoutTable, pick: int, mean: np.ndarray) -> int:
        recording, start, stop = int(bouts.recording[pick]), int(bouts.start[pick]), int(bouts.stop[pick])
        key, label = (ethogram, recording, start, stop), int(bouts.label[pick])
        if key not in self.numbers:
            self.numbers[key] = len(self.rows)
            self.rows.append((recording, start, stop, label))
            self.ethograms.append(ethogram if label >= 0 else "")
            self.means.append(mean)
        return self.numbers[key]

    def add(
        self,
        ethogram: str,
        queries: BoutTable,
        query_means: np.ndarray,
        found: list[list[tuple[int, float]]],
        of_candidates: str,
        candidates: BoutTable,
        means: np.ndarray,
    ) -> None:
        """Add queries of an ethogram, and their neighbors among the candidates of another."""
        for query, near in enumerate(found):
            number = self._number(ethogram, queries, query, query_means[query])
            self.neighbors[number] = tuple(
                Neighbor(bout=self._number(of_candidates, candidates, pick, means[pick]), distance=distance)
                for pick, distance in near
            )

    def add_neighbors_among_examples(self, k: int, dim: int) -> None:
        """Add neighbors among the examples, for bouts that are only neighbors of others."""
        self.only_neighbors = {number for number in range(len(self.rows)) if number not in self.neighbors}
        examples, means = BoutTable.of(self.rows, self.source.rows), self.points(dim)
        left = np.array(sorted(self.only_neighbors), np.int64)
        numbers = self.source.numbers
        found = similar_bouts(examples.take(left), means[left], examples, means, k, _SAME_EVENT_SECONDS, numbers)
        for number, near in zip(left.tolist(), found, strict=True):
            self.neighbors[number] = tuple(Neighbor(bout=bout, distance=distance) for bout, distance in near)

    def points(self, dim: int) -> np.ndarray:
        return np.stack(self.means) if self.means else np.zeros((0, dim), np.float32)

    def bouts(self) -> tuple[ExampleBout, ...]:
        """The example bouts with their tracks, read one by one."""
        examples, store = [], self.source.store
        for number, (place, start, stop, label) in enumerate(self.rows):
            row = self.source.store_rows[place]
            first, last = _track_frames(start, stop, row)
            examples.append(
                ExampleBout(
                    recording=self.source.rows[place].id, start=start, stop=stop, ethogram=self.ethograms[number],
                    value=label, first=first,
                    track=np.array(store.keypoints[row.offset + first : row.offset + last]),
                    neighbors=self.neighbors.get(number, ()), among_examples=number in self.only_neighbors,
                )
            )  # fmt: skip
        return tuple(examples)


def _track_frames(start: int, stop: int, row: StoreRow) -> tuple[int, int]:
    """(first, stop) of a bout's track: the bout and half a second around it; of a long bout, its middle."""
    longest, lead = max(1, int(_LONGEST_SECONDS * row.fps)), int(_LEAD_SECONDS * row.fps)
    first, last = start - lead, stop + lead
    if last - first > longest:
        first = (start + stop) // 2 - longest // 2
        last = first + longest
    return max(0, first), min(row.frames, last)
