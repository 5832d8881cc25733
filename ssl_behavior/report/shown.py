"""Which bouts a page plays: some from the middle of every cluster and with every label, and the nearest to each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.report.alike import Bouts, bouts_in, central_bouts, nearest_bouts, nearest_points, pooled, seconds_of
from ssl_behavior.report.contents import Ethogram, Neighbor, ReportRecording, ShownBout, Span
from ssl_behavior.report.sources import Source
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.space import Space

__all__ = ["Shown", "choose_bouts"]

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
