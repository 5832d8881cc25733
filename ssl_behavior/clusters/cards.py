"""A card for each cluster: how much there is of it, what comes after it, how it looks, in numbers and in words."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ssl_behavior.bouts import BoutTable
from ssl_behavior.clusters.differences import (
    Difference,
    Enrichment,
    compare_clusters,
    contingency,
    differences_of,
    enrichments,
)
from ssl_behavior.clusters.discovery import Discovery, Geometry, discover, medoid_bouts, place_bouts
from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.clusters.frame_clusters import Transitions, transitions
from ssl_behavior.clusters.measures import SEEN, Measures, fit_measures
from ssl_behavior.clusters.sentences import Concentration, SayingRules, Scene, sentence
from ssl_behavior.programs import ProgramsConfig
from ssl_behavior.store import Store

__all__ = ["BoutLengths", "Card", "Cards", "Follower", "MedoidBout", "make_cards"]

_MEDOIDS = 5


@dataclass(frozen=True, kw_only=True)
class BoutLengths:
    """How many bouts, how often, and their quartiles in seconds."""

    number: int
    per_minute: float
    lower: float
    median: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class Follower:
    """The next cluster: how often, out of the bouts that another cluster's bout follows at once; and how often it would
    come if order did not matter."""

    cluster: int
    count: int
    probability: float
    expected: float


@dataclass(frozen=True, kw_only=True)
class MedoidBout:
    """A typical bout, frames `start` up to `stop` of a recording; `distance` from its mean point to the centre."""

    recording: str
    start: int
    stop: int
    seconds: float
    distance: float


@dataclass(frozen=True, kw_only=True)
class Card:
    """A cluster.

    Parameters
    ----------
    frames, share : how many frames, and their share of all frames.
    shares : recording -> share of its frames, in the clustering's order.
    recordings : in how many it occurs.
    bouts : None where it occurs nowhere.
    followers : the clusters that come next, most frequent first.
    to_none, to_end : bouts followed by frames of no cluster, and bouts that a recording's end cuts: neither counts
        among the followers.
    medoids : see `medoid_bouts`.
    separation : see `Geometry`; None where it cannot be given.
    labels : every behaviour of every label stream, most enriched first in each stream.
    differences : from all frames, greatest first.
    sentence : what sets it apart, see `ssl_behavior.clusters.sentences`.
    """

    cluster: int
    frames: int
    share: float
    shares: Mapping[str, float]
    recordings: int
    bouts: BoutLengths | None
    followers: tuple[Follower, ...]
    to_none: int
    to_end: int
    medoids: tuple[MedoidBout, ...]
    separation: float | None
    labels: tuple[Enrichment, ...]
    differences: tuple[Difference, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **{name: getattr(self, name) for name in ("cluster", "sentence", "frames", "share", "recordings")},
            "bouts": None if self.bouts is None else asdict(self.bouts),
            "followers": [asdict(one) for one in self.followers],
            **{name: getattr(self, name) for name in ("to_none", "to_end", "separation")},
            "medoids": [asdict(one) for one in self.medoids],
            "labels": [one.to_dict() for one in self.labels],
            "differences": [one.to_dict() for one in self.differences],
            "shares": dict(self.shares),
        }


@dataclass(frozen=True, kw_only=True)
class Cards:
    """All cards of a clustering, in the order of the clusters.

    Parameters
    ----------
    num_frames, num_recordings : that were clustered; `of_no_cluster` frames belong to none.
    unit, body_length : of the measures; None where it is not known.
    anonymous : the animals cannot be told apart.
    notes : what a reader has to know, a sentence each.
    discovery : what known labels explain least.
    """

    cards: tuple[Card, ...]
    num_frames: int
    num_recordings: int
    of_no_cluster: int
    unit: str
    body_length: float | None
    anonymous: bool
    notes: tuple[str, ...]
    discovery: Discovery

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        names = ("num_frames", "num_recordings", "of_no_cluster", "unit", "body_length", "anonymous")
        return {
            **{name: getattr(self, name) for name in names},
            "notes": list(self.notes),
            "clusters": [card.to_dict() for card in self.cards],
            "discovery": self.discovery.to_dict(),
        }


def make_cards(
    clustered: ClusteredStore,
    blocks: Iterable[tuple[slice, np.ndarray]],
    centroids: np.ndarray,
    *,
    unit: bool = False,
    programs: ProgramsConfig | None = None,
    rules: SayingRules | None = None,
    medoids: int = _MEDOIDS,
    seed: int = 0,
    progress: Callable[[str, int], None] | None = None,
) -> Cards:
    """Describe every cluster, in the memory of some blocks.

    Parameters
    ----------
    blocks : the points of all frames, a block at a time, e.g. `space.blocks(embeddings)`; read once.
    centroids : float [cluster, dim].
    unit : points have length 1 (the space's `config.unit`).
    programs : which are measured; None = all built-in ones.
    medoids : how many typical bouts each card names.
    progress : called with what is done ("points", "programs") and the number of frames since the last call.

    Raises
    ------
    InputError
        If a program of one's own is not acceptable, or a point is not finite.
    """
    tell = progress or _silent
    geometry = place_bouts(_counted(blocks, tell), clustered.frames, centroids, unit)
    measures = fit_measures(clustered.store, clustered.rows, programs)
    differences = compare_clusters(clustered.frames, measures, lambda frames: tell("programs", frames))
    counts = [contingency(clustered, stream) for stream in clustered.store.streams]
    table = clustered.frames.table
    frames = np.bincount(table.label, table.frames, minlength=clustered.num_clusters)
    maker = _Maker(
        clustered=clustered,
        geometry=geometry,
        followers=transitions(clustered.frames),
        shares=clustered.frames.shares(),
        frames=frames.astype(np.int64),
        labels=[one for table in counts if table.annotated.any() for one in enrichments(table, seed)],
        differences=differences_of(differences, measures.measures, frames),
        scene=_scene(clustered.store, measures),
        rules=rules or SayingRules(),
        medoids=medoids,
    )
    length = measures.body_length
    return Cards(
        cards=tuple(maker.card(cluster) for cluster in range(clustered.num_clusters)),
        num_frames=len(clustered.frames.labels),
        num_recordings=len(clustered.rows),
        of_no_cluster=int((clustered.frames.labels < 0).sum()),
        unit=measures.unit,
        body_length=length if np.isfinite(length) else None,
        anonymous=clustered.store.skeleton.exchangeable,
        notes=measures.notes,
        discovery=discover(clustered, counts, geometry, _seen(maker.differences, clustered.num_clusters)),
    )


def _silent(what: str, frames: int) -> None:
    """Tell nobody."""


def _counted(
    blocks: Iterable[tuple[slice, np.ndarray]], tell: Callable[[str, int], None]
) -> Iterator[tuple[slice, np.ndarray]]:
    for span, points in blocks:
        yield span, points
        tell("points", len(points))


def _scene(store: Store, measures: Measures) -> Scene:
    return Scene(
        individuals=store.individuals,
        anonymous=store.skeleton.exchangeable,
        body_length=measures.body_length,
        nose="nose" if "nose" in store.skeleton.roles else "head",
    )


def _seen(differences: Sequence[Sequence[Difference]], number: int) -> np.ndarray:
    """Median share of keypoints seen in each cluster over that of all frames; 1 where that never changes."""
    seen = np.ones(number)
    for cluster, measured in enumerate(differences):
        for one in measured:
            if one.measure.program == SEEN and one.usual > 0:
                seen[cluster] = one.median / one.usual
    return seen


@dataclass(frozen=True, eq=False)
class _Maker:
    """What cards are made of; `frames` is [cluster], `shares` [recording, cluster]."""

    clustered: ClusteredStore
    geometry: Geometry
    followers: Transitions
    shares: np.ndarray
    frames: np.ndarray
    labels: Sequence[Enrichment]
    differences: Sequence[Sequence[Difference]]
    scene: Scene
    rules: SayingRules
    medoids: int

    def card(self, cluster: int) -> Card:
        """Of one cluster."""
        rows = self.clustered.frames.rows
        separation = float(self.geometry.separation[cluster])
        bouts = self._bouts(cluster)
        return Card(
            cluster=cluster,
            frames=int(self.frames[cluster]),
            share=float(self.frames[cluster] / len(self.clustered.frames.labels)),
            shares={row.id: float(self.shares[pick, cluster]) for pick, row in enumerate(rows)},
            recordings=int((self.shares[:, cluster] > 0).sum()),
            bouts=bouts,
            followers=self._followers(cluster),
            to_none=int(self.followers.to_none[cluster]),
            to_end=int(self.followers.to_end[cluster]),
            medoids=self._medoids(cluster),
            separation=separation if np.isfinite(separation) else None,
            labels=self._labels(cluster),
            differences=tuple(self.differences[cluster]),
            sentence=self._sentence(cluster, bouts),
        )

    def _bouts(self, cluster: int) -> BoutLengths | None:
        table = self.clustered.frames.table
        seconds = table.seconds[table.label == cluster]
        if not len(seconds):
            return None
        lower, median, upper = np.quantile(seconds, [0.25, 0.5, 0.75]).tolist()
        minutes = sum(row.frames / row.fps for row in self.clustered.frames.rows) / 60
        return BoutLengths(
            number=len(seconds), per_minute=len(seconds) / minutes, lower=lower, median=median, upper=upper
        )

    def _followers(self, cluster: int) -> tuple[Follower, ...]:
        counts = self.followers.counts[cluster]
        chance, usual = self.followers.probability[cluster], self.followers.expected[cluster]
        order = np.argsort(-counts, kind="stable")
        return tuple(
            Follower(cluster=int(n), count=int(counts[n]), probability=float(chance[n]), expected=float(usual[n]))
            for n in order
            if counts[n]
        )

    def _medoids(self, cluster: int) -> tuple[MedoidBout, ...]:
        table = self.clustered.frames.table
        return tuple(
            _medoid(table, bout, self.clustered.rows[int(table.recording[bout])].id, self.geometry.distance)
            for bout in medoid_bouts(table, self.geometry.distance, cluster, self.medoids).tolist()
        )

    def _labels(self, cluster: int) -> tuple[Enrichment, ...]:
        own = [one for one in self.labels if one.cluster == cluster]
        order = list(dict.fromkeys(one.stream for one in own))
        return tuple(sorted(own, key=lambda one: (order.index(one.stream), -_ratio(one))))

    def _sentence(self, cluster: int, bouts: BoutLengths | None) -> str:
        if bouts is None:
            return "Not seen in these recordings"
        return sentence(self.differences[cluster], self.scene, bouts.median, self._concentration(cluster), self.rules)

    def _concentration(self, cluster: int) -> Concentration | None:
        rows = self.clustered.frames.rows
        if len(rows) == 1:
            return None
        own = self.shares[:, cluster] * [row.frames for row in rows]
        most = int(own.argmax())
        return Concentration(recording=rows[most].id, share=float(own[most] / own.sum()))


def _ratio(one: Enrichment) -> float:
    return float("-inf") if one.log2_ratio is None else one.log2_ratio


def _medoid(table: BoutTable, bout: int, recording: str, distance: np.ndarray) -> MedoidBout:
    return MedoidBout(
        recording=recording,
        start=int(table.start[bout]),
        stop=int(table.stop[bout]),
        seconds=float(table.seconds[bout]),
        distance=float(distance[bout]),
    )
