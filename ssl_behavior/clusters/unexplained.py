"""Clusters and bouts that known labels explain least, ranked.

**Clusters.** A label stream explains a share of a cluster: the part of the uncertainty of "is this frame in the
cluster?" that the frame's label removes (Theil's uncertainty coefficient), times the share of the cluster's frames that
are annotated. Labels explain a cluster that is part of a rare behavior, or that occurs only within it; they do not
explain a part of "background", or of any other label that covers half of the recordings. With several streams, the
one that explains most counts. The unexplained rest is weighted by the separation of the cluster (at least 0) and by the
share of observed keypoints (over the usual share, at most 1): lost tracks are no discovery.

**Bouts.** The surprise of a bout is the mean over its frames of log2 P(cluster) / P(cluster | label): the label makes
the cluster less likely by this number of bits. 0 = the label carries no information, below 0 = it explains the cluster,
above 0 = they disagree: a new behavior, or a mistake of the annotator or the encoder. Frames without annotation count
0, and the bits of several streams add up. The list holds a limited number of bouts of each cluster, typical ones first
among equals, no surprise below 0, and no clusters with less than half of the usual share of keypoints.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.bouts import BoutTable, Span
from ssl_behavior.clusters.bout_distances import Geometry
from ssl_behavior.clusters.enrichment import Contingency
from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.embeddings_folder import recording_numbers

__all__ = ["DiscoveredBout", "DiscoveredCluster", "Discovery", "discover", "explained_share"]


_LEAST_SEEN = 0.5
_NO_SURPRISE = 1e-9
_NOTHING_LABELED = "these recordings have no labels: every cluster is unexplained, and there are no bouts to list"


@dataclass(frozen=True, kw_only=True)
class DiscoveredCluster:
    """Explanation of a cluster by labels.

    Parameters
    ----------
    score : (1 - explained) x separation x seen, which ranks clusters.
    explained : 0 to 1, by the stream that explains most; `stream` is its name, "" without labels.
    annotated : share of the cluster's frames with labels in that stream.
    behavior, behavior_share : most common label of its annotated frames in that stream, and their share; "" = none.
    separation : see `Geometry`; None without another cluster.
    seen : median share of observed keypoints over the usual (median) share, at most 1.
    """

    cluster: int
    score: float
    explained: float
    stream: str
    annotated: float
    behavior: str
    behavior_share: float
    separation: float | None
    seen: float
    frames: int
    bouts: int
    recordings: int


@dataclass(frozen=True, kw_only=True)
class DiscoveredBout(Span):
    """A bout and its surprise in bits, see above; `behaviors`: label stream -> most common label of its frames
    ("" = not annotated)."""

    cluster: int
    surprise: float
    behaviors: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """Clusters and bouts, least explained first; `note` is a remark for recordings without labels."""

    clusters: tuple[DiscoveredCluster, ...]
    bouts: tuple[DiscoveredBout, ...]
    note: str = ""


def explained_share(counts: np.ndarray) -> np.ndarray:
    """Share of each cluster's uncertainty that the labels remove (Theil's U), float64 [cluster].

    0 for a cluster without annotated frames, and for one that holds all frames.

    Parameters
    ----------
    counts : annotated frames, int [cluster or none, label]; the result leaves out the last row.
    """
    total = counts.sum()
    if not total:
        return np.zeros(len(counts) - 1)
    of_label = counts.sum(axis=0)
    alone = _entropy(counts.sum(axis=1) / total)
    given = (of_label / total * _entropy(counts / np.maximum(of_label, 1))).sum(axis=1)
    share: np.ndarray = np.where(alone > 0, 1 - given / np.where(alone > 0, alone, 1.0), 0.0)[:-1]
    return np.clip(share, 0.0, 1.0)


def _entropy(probability: np.ndarray) -> np.ndarray:
    """Binary entropy in bits."""
    rest = 1 - probability
    logs = [np.log2(np.where(part > 0, part, 1.0)) for part in (probability, rest)]
    entropy: np.ndarray = -(probability * logs[0] + rest * logs[1])
    return entropy


def discover(
    clustered: ClusteredStore,
    tables: Sequence[Contingency],
    geometry: Geometry,
    seen: np.ndarray,
    most_bouts: int = 100,
    most_of_cluster: int = 5,
) -> Discovery:
    """Rank clusters and bouts.

    Parameters
    ----------
    tables : tables of all label streams; streams without annotations are left out.
    seen : median share of observed keypoints in each cluster over that of all frames, float64 [cluster].
    most_bouts, most_of_cluster : maximum number of listed bouts, in all and of each cluster.
    """
    tables = [one for one in tables if one.annotated.any()]
    weight = np.nan_to_num(np.minimum(seen, 1.0))
    recordings = recording_numbers(clustered.frames.rows)[clustered.frames.table.recording]
    found = [
        _cluster(
            number, clustered.frames.table, recordings, tables, float(geometry.separation[number]),
            float(weight[number]),
        )
        for number in np.unique(clustered.frames.table.label).tolist()
    ]  # fmt: skip
    surprise = _surprises(clustered, tables)
    lost = np.flatnonzero(weight < _LEAST_SEEN)
    bouts = _listed(clustered.frames.table, surprise, lost, geometry.distance, most_of_cluster) if tables else []
    return Discovery(
        clusters=tuple(sorted(found, key=lambda one: (-one.score, one.cluster))),
        bouts=tuple(_bout(number, clustered, tables, float(surprise[number])) for number in bouts[:most_bouts]),
        note="" if tables else _NOTHING_LABELED,
    )


def _cluster(
    number: int,
    table: BoutTable,
    recordings: np.ndarray,
    tables: Sequence[Contingency],
    separation: float,
    seen: float,
) -> DiscoveredCluster:
    """Explanation of one cluster; `recordings` are the numbers of the bouts' recordings."""
    own = table.label == number
    explained, stream, annotated, behavior, share = max(
        (_explained(one, number) for one in tables), key=lambda values: values[0], default=(0.0, "", 0.0, "", 0.0)
    )
    known = bool(np.isfinite(separation))
    return DiscoveredCluster(
        cluster=number,
        score=(1 - explained) * (max(separation, 0.0) if known else 1.0) * seen,
        explained=explained,
        stream=stream,
        annotated=annotated,
        behavior=behavior,
        behavior_share=share,
        separation=separation if known else None,
        seen=seen,
        frames=int(table.frames[own].sum()),
        bouts=int(own.sum()),
        recordings=len(np.unique(recordings[own])),
    )


def _explained(one: Contingency, number: int) -> tuple[float, str, float, str, float]:
    """Explained share of a cluster, name of the stream, annotated share, most common behavior and its share."""
    counts = one.frames.sum(axis=0)
    of_cluster, annotated = counts[number].sum(), counts[number, :-1].sum()
    if not annotated:
        return 0.0, one.stream, 0.0, "", 0.0
    common = int(counts[number, :-1].argmax())
    share = float(annotated / of_cluster)
    explained = float(explained_share(counts[:, :-1])[number]) * share
    return explained, one.stream, share, one.behaviors[common], float(counts[number, common] / annotated)


def _surprises(clustered: ClusteredStore, tables: Sequence[Contingency]) -> np.ndarray:
    """Surprise of each bout in bits, float64 [bout]."""
    total = np.zeros(len(clustered.frames.table))
    for one in tables:
        counts = one.frames.sum(axis=0)[:, :-1]
        alone = counts.sum(axis=1) / counts.sum()
        given = counts / np.maximum(counts.sum(axis=0), 1)
        # Pairs without frames do not occur in the sum.
        ratio = np.where(given > 0, alone[:, None] / np.where(given > 0, given, 1.0), 1.0)
        total += _mean_bits(clustered, one, np.pad(np.log2(ratio), ((0, 0), (0, 1))))
    return total


def _mean_bits(clustered: ClusteredStore, one: Contingency, bits: np.ndarray) -> np.ndarray:
    """Mean over each bout's frames of their bits [cluster or none, label or none], float64 [bout]."""
    table, rows = clustered.frames.table, clustered.frames.rows
    means = np.zeros(len(table))
    bits[-1] = 0.0
    edges = np.searchsorted(table.recording, np.arange(len(rows) + 1))
    for pick, row in enumerate(rows):
        bouts = slice(edges[pick], edges[pick + 1])
        total = np.append(0.0, np.cumsum(bits[np.asarray(clustered.frames.of(row)), one.labels.of(row)]))
        means[bouts] = (total[table.stop[bouts]] - total[table.start[bouts]]) / table.frames[bouts]
    return means


def _listed(
    table: BoutTable, surprise: np.ndarray, lost: np.ndarray, distance: np.ndarray, most_of_cluster: int
) -> list[int]:
    """The most surprising bouts, without explained ones, ones below the median length, and ones of `lost` clusters."""
    left = dict.fromkeys(np.setdiff1d(table.label, lost).tolist(), most_of_cluster)
    seconds = table.seconds
    medians = {number: float(np.median(seconds[table.label == number])) for number in left}
    # Equal labels give equal surprise: among bouts equal to .001 bit, typical ones come first.
    order = np.lexsort((distance, -surprise.round(3)))
    kept: list[int] = []
    for bout, cluster in zip(order.tolist(), table.label[order].tolist(), strict=True):
        if left.get(cluster) and surprise[bout] >= -_NO_SURPRISE and seconds[bout] >= medians[cluster]:
            left[cluster] -= 1
            kept.append(bout)
    return kept


def _bout(number: int, clustered: ClusteredStore, tables: Sequence[Contingency], surprise: float) -> DiscoveredBout:
    table = clustered.frames.table
    row = clustered.frames.rows[int(table.recording[number])]
    start, stop = int(table.start[number]), int(table.stop[number])
    behaviors: dict[str, str] = {}
    for one in tables:
        labels = np.asarray(one.labels.of(row)[start:stop])
        common = np.bincount(labels.astype(np.int64) % (len(one.behaviors) + 1)).argmax()
        word = (*one.behaviors, "")[int(common)]
        behaviors[one.stream] = _with(behaviors.get(one.stream, ""), word, one.background)
    return DiscoveredBout(
        cluster=int(table.label[number]), recording=row.id, start=start, stop=stop, surprise=surprise,
        behaviors=behaviors,
    )  # fmt: skip


def _with(words: str, word: str, background: str) -> str:
    """Behaviors of a stream with one more; absences say nothing beside a behavior.

    >>> _with("chase", "sniff", "other"), _with("chase", "other", "other"), _with("other", "sniff", "other")
    ('chase + sniff', 'chase', 'sniff')
    """
    if not words or (word and words == background):
        return word or words
    return words if word in ("", background) else f"{words} + {word}"
