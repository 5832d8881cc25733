"""Cards of clusters: share, bouts, following clusters, typical bouts, labels and differences, in numbers and words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.bouts import Span
from ssl_behavior.clusters.bout_distances import medoid_bouts, place_bouts
from ssl_behavior.clusters.distinctive import Difference, compare_clusters, differences_of
from ssl_behavior.clusters.enrichment import Contingency, Enrichment, contingency, enrichments
from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.clusters.frame_clusters import FrameClusters, Transitions, transitions
from ssl_behavior.clusters.frame_measures import SEEN, fit_measures
from ssl_behavior.clusters.sentences import Concentration, SentenceRules, Subjects, sentence, subjects_of
from ssl_behavior.clusters.unexplained import Discovery, discover
from ssl_behavior.configs import config_from_dict
from ssl_behavior.embeddings_folder import EmbeddingRow, recording_numbers
from ssl_behavior.errors import InputError
from ssl_behavior.files import read_contents, write_json
from ssl_behavior.plots import cluster_profile
from ssl_behavior.programs import ProgramsConfig
from ssl_behavior.reprs import Described, data_frame
from ssl_behavior.row_labels import behavior_labels
from ssl_behavior.terminal import Progress, counted, no_progress

__all__ = ["CARDS", "BoutLengths", "Card", "Cards", "Follower", "MedoidBout", "count_cards", "make_cards"]

CARDS = "cards.json"
FORMAT_VERSION = 1

_MEDOIDS = 5


@dataclass(frozen=True, kw_only=True)
class BoutLengths:
    """Number of bouts, their rate, and quartiles of their length in seconds."""

    number: int
    per_minute: float
    lower: float
    median: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A following cluster: its share of the bouts that directly follow, and the share expected for random order."""

    cluster: int
    count: int
    probability: float
    expected: float


@dataclass(frozen=True, kw_only=True)
class MedoidBout(Span):
    """A typical bout; `recording` is the id of its row, `distance` that of its mean point to the center."""

    seconds: float
    distance: float


@dataclass(frozen=True, kw_only=True)
class Card:
    """A cluster.

    Parameters
    ----------
    sentence : what sets it apart, see `ssl_behavior.clusters.sentences`; "" where it was not measured.
    frames, share : number of frames, and their share of all frames.
    recordings : number of recordings with the cluster.
    bouts : None where it has no frames.
    followers : the following clusters, most frequent first.
    to_none, to_end : bouts followed by frames of no cluster, and bouts that end with the recording; both are no
        followers.
    separation : see `Geometry`; None where it is undefined.
    medoids : see `medoid_bouts`.
    labels : enrichment of every behavior of every label stream, most enriched first in each stream.
    differences : differences from all frames, greatest first; empty where they were not measured.
    shares : id of a row (a recording, or an animal or pair of it) -> share of its frames, in the clustering's order.
    """

    cluster: int
    sentence: str = ""
    frames: int
    share: float
    recordings: int
    bouts: BoutLengths | None
    followers: tuple[Follower, ...]
    to_none: int
    to_end: int
    separation: float | None = None
    medoids: tuple[MedoidBout, ...] = ()
    labels: tuple[Enrichment, ...]
    differences: tuple[Difference, ...] = ()
    shares: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, repr=False)
class Cards(Described):
    """All cards of a clustering.

    Parameters
    ----------
    num_frames, num_recordings : clustered frames (of every animal or pair) and recordings; `of_no_cluster` frames
        belong to no cluster.
    unit, body_length : unit of the measures and body length in it; None where unknown.
    anonymous : the clusters are of scenes with exchangeable animals, of which sentences say "one animal".
    notes : remarks for the reader, a sentence each.
    clusters : a card for each cluster, in order.
    discovery : clusters and bouts that known labels explain least.
    """

    num_frames: int
    num_recordings: int
    of_no_cluster: int
    unit: str
    body_length: float | None
    anonymous: bool
    notes: tuple[str, ...]
    clusters: tuple[Card, ...]
    discovery: Discovery

    def to_frame(self) -> Any:
        """Clusters as a pandas DataFrame: share, bouts, recordings, the most frequent label and its share, sentence.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        cards = self.clusters
        labels = [max(card.labels, key=lambda label: label.both, default=None) for card in cards]
        return data_frame(
            {
                "cluster": [card.cluster for card in cards],
                "share": [card.share for card in cards],
                "bouts": [card.bouts.number if card.bouts else 0 for card in cards],
                "median_bout_s": [card.bouts.median if card.bouts else float("nan") for card in cards],
                "recordings": [card.recordings for card in cards],
                "label": [label.behavior if label and label.both else "" for label in labels],
                "label_share": [label.both / label.of_cluster if label and label.both else 0.0 for label in labels],
                "sentence": [card.sentence for card in cards],
            }
        )

    def plot(self, cluster: int | None = None, **options: Any) -> Any:
        """Draw what sets a cluster apart, or all of them; see `ssl_behavior.plots.cluster_profile`.

        Parameters
        ----------
        cluster : number of a cluster; None = all, in small panels.
        options : further arguments of `cluster_profile`: content, most, stream, ax.

        Raises
        ------
        InputError
            If there is no such cluster, or matplotlib is not installed.
        """
        return cluster_profile(self, cluster, **options)

    def _headline(self) -> str:
        size = f"{counted(len(self.clusters), 'cluster')} of {counted(self.num_frames, 'frame')}"
        return f"Description of {size} in {counted(self.num_recordings, 'recording')}"

    def _facts(self) -> list[tuple[str, str]]:
        return [(str(card.cluster), f"{card.share:.1%}  {card.sentence}".rstrip()) for card in self.clusters]

    def save(self, folder: Path) -> None:
        """Write `cards.json`."""
        values = asdict(self)
        # A bout's cluster comes first, as in every file of this version.
        values["discovery"]["bouts"] = [{"cluster": one["cluster"]} | one for one in values["discovery"]["bouts"]]
        write_json(folder / CARDS, {"format": "ssl-behavior cards", "version": FORMAT_VERSION} | values)

    @classmethod
    def load(cls, folder: Path) -> "Cards":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If there is no `cards.json`, or it is damaged.
        """
        again = ", or describe the clusters again"
        contents = read_contents(folder, CARDS, "cards", FORMAT_VERSION, again, "a description of clusters")
        values = {name: value for name, value in contents.items() if name not in ("format", "version")}
        try:
            return config_from_dict(cls, values, "cards")
        except InputError as error:
            raise InputError(f"{folder}/{CARDS} is not as expected ({error}); describe the clusters again") from None


def make_cards(
    clustered: ClusteredStore,
    blocks: Iterable[tuple[slice, np.ndarray]],
    centroids: np.ndarray,
    *,
    unit: bool = False,
    programs: ProgramsConfig | None = None,
    rules: SentenceRules | None = None,
    medoids: int = _MEDOIDS,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Cards:
    """Describe every cluster; memory holds some blocks of frames.

    Parameters
    ----------
    blocks : points of all frames, a block at a time, e.g. `space.blocks(embeddings)`; read once.
    centroids : float [cluster, dim].
    unit : points have length 1 (the space's `config.unit`).
    programs : programs to measure; None = all built-in ones.
    medoids : number of typical bouts on each card.

    Raises
    ------
    InputError
        If a user's program is not acceptable, or a point is not finite.
    """
    geometry = place_bouts(_counted(blocks, len(clustered.frames.labels), progress), clustered.frames, centroids, unit)
    actors = [row.actors for row in clustered.frames.rows]
    measures = fit_measures(clustered.store, clustered.rows, programs, actors)
    compared = compare_clusters(clustered.frames, measures, progress)
    tables = [contingency(clustered, labels) for labels in behavior_labels(clustered.store, clustered.frames.rows)]
    cards = count_cards(clustered.frames, tables, seed)
    differences = differences_of(compared, measures.measures, np.array([card.frames for card in cards]))
    subjects, length = subjects_of(measures, clustered.store.skeleton), measures.body_length
    return Cards(
        num_frames=len(clustered.frames.labels),
        num_recordings=len({row.id for row in clustered.rows}),
        of_no_cluster=int((clustered.frames.labels < 0).sum()),
        unit=measures.unit,
        body_length=length if np.isfinite(length) else None,
        anonymous=clustered.store.skeleton.exchangeable and actors[0].unit == "scene",
        notes=measures.notes,
        clusters=tuple(
            replace(
                card,
                sentence=_sentence(card, own, subjects, clustered.frames.rows, rules or SentenceRules()),
                separation=float(apart) if np.isfinite(apart) else None,
                medoids=_medoids(clustered.frames, geometry.distance, card.cluster, medoids),
                differences=tuple(own),
            )
            for card, own, apart in zip(cards, differences, geometry.separation, strict=True)
        ),
        discovery=discover(clustered, tables, geometry, _seen(differences, clustered.num_clusters)),
    )


def count_cards(clusters: FrameClusters, tables: Sequence[Contingency], seed: int = 0) -> list[Card]:
    """A card of every cluster with its counts: frames, bouts, followers and labels.

    Parameters
    ----------
    tables : tables of all label streams; streams without annotations are left out.
    seed : seed of the bootstrap of the enrichments.
    """
    shares, after, recordings = clusters.shares(), transitions(clusters), recording_numbers(clusters.rows)
    frames = np.bincount(clusters.table.label, clusters.table.frames, minlength=clusters.num_clusters).astype(int)
    labels = [one for table in tables if table.annotated.any() for one in enrichments(table, seed)]
    return [
        Card(
            cluster=cluster,
            frames=int(frames[cluster]),
            share=float(frames[cluster] / len(clusters.labels)),
            recordings=len(np.unique(recordings[shares[:, cluster] > 0])),
            bouts=_bout_lengths(clusters, cluster),
            followers=_followers(after, cluster),
            to_none=int(after.to_none[cluster]),
            to_end=int(after.to_end[cluster]),
            labels=_ordered([one for one in labels if one.cluster == cluster]),
            shares={row.id: float(own[cluster]) for row, own in zip(clusters.rows, shares, strict=True)},
        )
        for cluster in range(clusters.num_clusters)
    ]


def _counted(
    blocks: Iterable[tuple[slice, np.ndarray]], total: int, progress: Progress
) -> Iterator[tuple[slice, np.ndarray]]:
    for span, points in blocks:
        yield span, points
        progress("points", len(points), total)


def _seen(differences: Sequence[Sequence[Difference]], number: int) -> np.ndarray:
    """Median share of observed keypoints in each cluster over that of all frames; 1 where the share is constant."""
    seen = np.ones(number)
    for cluster, measured in enumerate(differences):
        for one in measured:
            if one.program == SEEN and one.usual > 0:
                seen[cluster] = one.median / one.usual
    return seen


def _bout_lengths(clusters: FrameClusters, cluster: int) -> BoutLengths | None:
    seconds = clusters.table.seconds[clusters.table.label == cluster]
    if not len(seconds):
        return None
    lower, median, upper = np.quantile(seconds, [0.25, 0.5, 0.75]).tolist()
    minutes = sum(row.frames / row.fps for row in clusters.rows) / 60
    return BoutLengths(number=len(seconds), per_minute=len(seconds) / minutes, lower=lower, median=median, upper=upper)


def _followers(after: Transitions, cluster: int) -> tuple[Follower, ...]:
    counts, chance, usual = after.counts[cluster], after.probability[cluster], after.expected[cluster]
    return tuple(
        Follower(cluster=int(n), count=int(counts[n]), probability=float(chance[n]), expected=float(usual[n]))
        for n in np.argsort(-counts, kind="stable")
        if counts[n]
    )


def _ordered(labels: Sequence[Enrichment]) -> tuple[Enrichment, ...]:
    """Stream by stream, the most enriched first."""
    order = list(dict.fromkeys(one.stream for one in labels))
    ratios = [float("-inf") if one.log2_ratio is None else one.log2_ratio for one in labels]
    ranks = sorted(range(len(labels)), key=lambda one: (order.index(labels[one].stream), -ratios[one]))
    return tuple(labels[rank] for rank in ranks)


def _medoids(clusters: FrameClusters, distance: np.ndarray, cluster: int, most: int) -> tuple[MedoidBout, ...]:
    table, recordings = clusters.table, recording_numbers(clusters.rows)
    return tuple(
        MedoidBout(
            recording=clusters.rows[int(table.recording[bout])].id,
            start=int(table.start[bout]),
            stop=int(table.stop[bout]),
            seconds=float(table.seconds[bout]),
            distance=float(distance[bout]),
        )
        for bout in medoid_bouts(table, distance, cluster, most, recordings).tolist()
    )


def _sentence(
    card: Card,
    differences: Sequence[Difference],
    subjects: Subjects,
    rows: Sequence[EmbeddingRow],
    rules: SentenceRules,
) -> str:
    if card.bouts is None:
        return "Not seen in these recordings"
    return sentence(differences, subjects, card.bouts.median, _concentration(card, rows), rules)


def _concentration(card: Card, rows: Sequence[EmbeddingRow]) -> Concentration | None:
    own: dict[str, float] = {}
    for row in rows:
        own[row.recording] = own.get(row.recording, 0.0) + card.shares[row.id] * row.frames
    if len(own) == 1:
        return None
    most = max(own, key=lambda recording: own[recording])
    return Concentration(recording=most, share=own[most] / float(np.sum(list(own.values()))))
