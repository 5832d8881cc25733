"""What a report says of clusters by itself: shares, bouts, labels and quantities in numbers, and what follows what."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ssl_behavior.report.contents import (
    ClusterCard,
    Difference,
    Enrichment,
    Ethogram,
    FrameMap,
    ReportRecording,
    Runs,
    Span,
)

__all__ = ["completed", "count_transitions", "most_telling", "plain_cards"]

_MOST_DIFFERENCES = 6
_MOST_LABELS = 6
_SMALLEST_STD = 1e-9


def count_transitions(clusters: Ethogram) -> np.ndarray:
    """How often a bout of one cluster is followed at once by one of another: int64 [from, to], 0 on the diagonal."""
    number = len(clusters.words)
    counts = np.zeros((number, number), np.int64)
    for own in clusters.runs:
        if own is None:
            continue
        before, after = own.values[:-1], own.values[1:]
        whole = (before >= 0) & (after >= 0)
        np.add.at(counts, (before[whole], after[whole]), 1)
    return counts


def plain_cards(
    clusters: Ethogram,
    labels: Sequence[Ethogram],
    recordings: Sequence[ReportRecording],
    frames: FrameMap | None,
    medoids: Mapping[int, Sequence[Span]],
) -> tuple[ClusterCard, ...]:
    """A card for every cluster: counts from all frames, differences from the points of the map."""
    total = sum(own.frames for own in clusters.runs if own is not None)
    lengths, values = _seconds(clusters, recordings)
    enrichment = _enrichment(clusters, labels)
    differences = _differences(clusters, frames)
    counts = sum(
        (np.bincount(own.values[own.values >= 0], own.lengths[own.values >= 0], len(clusters.words))
         for own in clusters.runs if own is not None),
        start=np.zeros(len(clusters.words)),
    )  # fmt: skip
    return tuple(
        ClusterCard(
            cluster=number,
            share=float(counts[number] / max(total, 1)),
            num_bouts=int((values == number).sum()),
            bout_seconds=_quartiles(lengths[values == number]),
            medoids=tuple(medoids.get(number, ())),
            enrichment=enrichment.get(number, ()),
            differences=differences.get(number, ()),
        )
        for number in range(len(clusters.words))
    )


def completed(cards: Sequence[ClusterCard], plain: Sequence[ClusterCard]) -> tuple[ClusterCard, ...]:
    """The plain card of every cluster, and on it whatever somebody's own card says."""
    own = {card.cluster: card for card in cards}
    whole = []
    for card in plain:
        given = own.get(card.cluster)
        told = {} if given is None else {name: value for name, value in vars(given).items() if _says(value)}
        whole.append(replace(card, **told))
    return tuple(whole)


def most_telling(rows: Sequence[Enrichment]) -> tuple[Enrichment, ...]:
    """The labels more frequent than elsewhere, at most six; first what adds most to the divergence from all labels.

    A label's part of the Kullback-Leibler divergence of the cluster's labels from all labels is share * log(lift). By
    the lift alone, three frames of a rare label would come first.
    """
    frequent = [row for row in rows if row.lift > 1]
    return tuple(sorted(frequent, key=lambda row: -row.share * math.log(row.lift))[:_MOST_LABELS])


def _says(value: object) -> bool:
    """Whether a value says something: three zeros do not."""
    return any(value) if isinstance(value, tuple) else bool(value)


def _seconds(clusters: Ethogram, recordings: Sequence[ReportRecording]) -> tuple[np.ndarray, np.ndarray]:
    """(length in seconds, cluster) of every bout."""
    pairs = [
        (own.lengths / recording.fps, own.values)
        for own, recording in zip(clusters.runs, recordings, strict=True)
        if own is not None
    ]
    if not pairs:
        return np.zeros(0), np.zeros(0, np.int64)
    lengths, values = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return lengths, values


def _quartiles(seconds: np.ndarray) -> tuple[float, float, float]:
    if not len(seconds):
        return 0.0, 0.0, 0.0
    low, middle, high = np.percentile(seconds, (25, 50, 75)).tolist()
    return low, middle, high


def _enrichment(clusters: Ethogram, labels: Sequence[Ethogram]) -> dict[int, tuple[Enrichment, ...]]:
    """For each cluster, the labels of which it holds more than their share."""
    found: dict[int, list[Enrichment]] = {}
    for stream in labels:
        table = _joint(clusters.runs, stream.runs, (len(clusters.words) + 1, len(stream.words)))
        overall = table.sum(axis=0) / max(table.sum(), 1)
        for cluster, label in np.argwhere(table[:-1]):
            share = table[cluster, label] / table[cluster].sum()
            found.setdefault(int(cluster), []).append(
                Enrichment(
                    stream=stream.name, label=stream.words[label], frames=int(table[cluster, label]),
                    share=float(share), lift=float(share / overall[label]),
                )
            )  # fmt: skip
    return {number: most_telling(rows) for number, rows in found.items()}


def _joint(first: Sequence[Runs | None], second: Sequence[Runs | None], shape: tuple[int, int]) -> np.ndarray:
    """Frames that have both values, int64 [first, second]; those without the first are in its last row."""
    table = np.zeros(shape, np.int64)
    for one, other in zip(first, second, strict=True):
        if one is None or other is None:
            continue
        edges = np.union1d(np.cumsum(one.lengths), np.cumsum(other.lengths))
        a = one.values[np.searchsorted(np.cumsum(one.lengths), edges)]
        b = other.values[np.searchsorted(np.cumsum(other.lengths), edges)]
        known = b >= 0
        np.add.at(table, (a[known], b[known]), np.diff(edges, prepend=0)[known])
    return table


def _differences(clusters: Ethogram, frames: FrameMap | None) -> dict[int, tuple[Difference, ...]]:
    """For each cluster, the channels whose mean is the most standard deviations from that of all points."""
    if frames is None:
        return {}
    cluster = clusters.at(frames.recording, frames.frame)
    found: dict[int, list[Difference]] = {}
    for channel in frames.channels:
        known = np.isfinite(channel.values)
        overall, spread = channel.values[known].mean(), channel.values[known].std()
        if not spread > _SMALLEST_STD:
            continue
        for number in np.unique(cluster[known & (cluster >= 0)]):
            mean = channel.values[known & (cluster == number)].mean()
            found.setdefault(int(number), []).append(
                Difference(
                    name=channel.name, units=channel.units, difference=float((mean - overall) / spread),
                    value=float(mean), usual=float(overall),
                )
            )  # fmt: skip
    return {
        number: tuple(sorted(rows, key=lambda row: -abs(row.difference))[:_MOST_DIFFERENCES])
        for number, rows in found.items()
    }
