"""Lanes of a movie's ethogram: bouts of label streams and clusters, with words and colors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ssl_behavior.bouts import runs
from ssl_behavior.clusters import FrameClusters
from ssl_behavior.errors import InputError
from ssl_behavior.plots.style import class_colors
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.videos.drawing import Color, Number, rgb

__all__ = ["MOST_LANES", "Deed", "Lane", "check_streams", "cluster_colors", "lanes_of", "picked_lanes"]

MOST_LANES = 8
_CLUSTER = "cluster"


@dataclass(frozen=True)
class Deed:
    """What a lane says of a frame: a word, its color, whether it is the background, and the numbers of the animals."""

    word: str
    color: Color
    quiet: bool = False
    agent: int = -1
    target: int = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Lane:
    """Bouts of one row of an ethogram; those of a pair may overlap.

    Parameters
    ----------
    title : what the bouts are of, such as a stream's name or "m1 → m2".
    deeds : what the bouts say.
    bouts : int64 [bout, (start, stop, number of a deed)], by start; frames of the recording, `stop` not included.
    of_pair : left out of a movie in which it has no bout, because there are many pairs.
    """

    title: str
    deeds: tuple[Deed, ...]
    bouts: np.ndarray = field(repr=False)
    of_pair: bool = False

    def at(self, frame: int) -> list[Deed]:
        """What the lane says of a frame; nothing where it is not annotated."""
        start, stop, number = self.bouts_between(frame, frame + 1).T
        return [self.deeds[one] for one in dict.fromkeys(number[(start <= frame) & (frame < stop)].tolist())]

    def bouts_between(self, first: Number, last: Number) -> np.ndarray:
        """Bouts that may have frames from `first` up to `last`: all that do, and few others, int64 [bout, 3]."""
        low = np.searchsorted(self._latest_stops, first, side="right")
        return self.bouts[low : np.searchsorted(self.bouts[:, 0], last)]

    @cached_property
    def _latest_stops(self) -> np.ndarray:
        """Latest stop of each bout and all before it, int64 [bout]; it increases where bouts overlap, too."""
        return np.maximum.accumulate(self.bouts[:, 1])

    def told_frames(self, first: int, last: int) -> int:
        """Number of frames of its bouts from `first` up to `last`, without the background."""
        loud = np.array([not deed.quiet for deed in self.deeds], bool)
        bouts = self.bouts[loud[self.bouts[:, 2]]]
        return int((np.minimum(bouts[:, 1], last) - np.maximum(bouts[:, 0], first)).clip(0).sum())

    def colors_of(self, edges: np.ndarray, empty: Color) -> np.ndarray:
        """Mean color of the spans between frames `edges`, uint8 [edges - 1, RGB]; a bout colors at least one span.

        Parameters
        ----------
        edges : float [edge], increasing.
        empty : color of frames that are not annotated.
        """
        fine = np.linspace(0, len(edges) - 1, _PARTS * (len(edges) - 1) + 1)
        places = np.interp(fine, np.arange(len(edges)), edges)
        colors = np.tile(np.array(empty, np.float32), (len(places) - 1, 1))
        middles, span = (places[1:] + places[:-1]) / 2, (edges[-1] - edges[0]) / (len(edges) - 1)
        bouts = self.bouts_between(float(edges[0]), float(edges[-1]))
        for start, stop, number in bouts[np.argsort(self._loudness(bouts), kind="stable")].tolist():
            if stop <= edges[0]:
                continue
            first, last = np.searchsorted(middles, [start, stop])
            if stop - start < span and not self.deeds[number].quiet:
                first = min(first, len(colors) - _PARTS)
                last = max(last, first + _PARTS)
            colors[first:last] = self.deeds[number].color
        shown: np.ndarray = colors.reshape(-1, _PARTS, 3).mean(axis=1).round().astype(np.uint8)
        return shown

    def _loudness(self, bouts: np.ndarray) -> np.ndarray:
        """Order in which bouts are painted: the background first, long bouts before short ones."""
        lengths = bouts[:, 1] - bouts[:, 0]
        quiet = np.array([deed.quiet for deed in self.deeds], bool)[bouts[:, 2]]
        return np.where(quiet, -np.inf, -lengths)


_PARTS = 4
"""Parts of a pixel's width that may have different colors."""


def lanes_of(
    store: Store, row: StoreRow, streams: Sequence[str], clusters: FrameClusters | None, names: Sequence[str] = ()
) -> list[Lane]:
    """Lanes of a recording: streams in their order, then clusters; streams that it lacks have none.

    Parameters
    ----------
    streams : names of label streams, also of those with agents and targets: these have a lane for each pair.
    clusters : of the recording, its animals or its pairs; None = none are shown.
    names : name of each cluster; none = their numbers.
    """
    lanes: list[Lane] = []
    for name in streams:
        if name in store.pair_streams:
            lanes += _pair_lanes(store, row, name)
        elif name in row.annotators:
            lanes.append(_stream_lane(store, row, name))
    return lanes + (list(_cluster_lanes(store, row, clusters, names)) if clusters is not None else [])


def _stream_lane(store: Store, row: StoreRow, name: str) -> Lane:
    stream = store.stream(name)
    colors = class_colors(stream.vocabulary, [stream.background] if stream.background else [])
    deeds = tuple(Deed(word, rgb(colors[word]), word == stream.background) for word in stream.vocabulary)
    bouts = [bout for bout in runs(np.asarray(store.labels(name)[row.slice])) if bout[2] >= 0]
    return Lane(title=name, deeds=deeds, bouts=np.array(bouts, np.int64).reshape(-1, 3))


def _pair_lanes(store: Store, row: StoreRow, name: str) -> Iterator[Lane]:
    """A lane for each pair that has bouts."""
    if row.id not in store.pair_stream(name).recordings:
        return
    labels, names = store.pair_labels(name, row), store.individuals
    colors = class_colors(labels.vocabulary)
    for agent, target in np.unique(labels.bouts[:, :2], axis=0).tolist():
        own = labels.bouts[(labels.bouts[:, :2] == (agent, target)).all(axis=1)][:, [3, 4, 2]]
        who = names[agent] if agent == target else f"{names[agent]} → {names[target]}"
        deeds = tuple(
            Deed(word, rgb(colors[word]), agent=agent, target=target) for word in labels.vocabulary
        )  # fmt: skip
        title = f"{who}, {name}" if len(store.pair_streams) > 1 else who
        yield Lane(title=title, deeds=deeds, bouts=own[np.argsort(own[:, 0], kind="stable")], of_pair=True)


def cluster_colors(number: int) -> list[Color]:
    """A color for each cluster; more clusters than the palette has colors share them."""
    return [rgb(color) for color in class_colors(map(str, range(number))).values()]


def _cluster_lanes(store: Store, row: StoreRow, clusters: FrameClusters, names: Sequence[str]) -> Iterator[Lane]:
    """A lane for each row of the clustering that is of the recording."""
    places = {name: place for place, name in enumerate(store.individuals)}
    words = names or [f"{_CLUSTER} {number}" for number in range(clusters.num_clusters)]
    colors = cluster_colors(clusters.num_clusters)
    for own in (one for one in clusters.rows if one.recording == row.id):
        agent, target = (places.get(name, -1) for name in (own.agent, own.target))
        deeds = tuple(
            Deed(word, color, agent=agent, target=target) for word, color in zip(words, colors, strict=True)
        )  # fmt: skip
        title = f"{own.actors}, {_CLUSTER}s" if own.agent else f"{_CLUSTER}s"
        yield Lane(title=title, deeds=deeds, bouts=np.array(clusters.bouts(own), np.int64).reshape(-1, 3))


def picked_lanes(lanes: Sequence[Lane], first: int, last: int) -> tuple[list[Lane], int]:
    """At most `MOST_LANES` lanes, in their order, and the number of others that have bouts.

    Those with most frames of behavior from `first` up to `last` are taken.
    """
    told = {number: lane.told_frames(first, last) for number, lane in enumerate(lanes)}
    useful = [number for number, lane in enumerate(lanes) if told[number] or not lane.of_pair]
    most = sorted(useful, key=lambda number: -told[number])[:MOST_LANES]
    return [lanes[number] for number in sorted(most)], sum(told[number] > 0 for number in useful if number not in most)


def check_streams(store: Store, names: Sequence[str]) -> tuple[str, ...]:
    """Names of label streams of a store.

    Raises
    ------
    InputError
        If one is not there; `labels` is the argument that names it.
    """
    known = (*store.streams, *store.pair_streams)
    for name in names:
        if name not in known:
            raise InputError(
                f"`labels` {name}: {store.path} has no such label stream; it has {sorted(known) or 'none'}"
            )
    return tuple(dict.fromkeys(names))
