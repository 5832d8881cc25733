"""Rows of the tables of a report: clusters, labels and bouts."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ssl_behavior.clusters.distinctive import Difference
from ssl_behavior.clusters.enrichment import Enrichment
from ssl_behavior.reports.contents import Ethogram, FrameMap, Report
from ssl_behavior.reports.map_channels import named

__all__ = [
    "MOST_BOUTS",
    "DifferenceRow",
    "channel_differences",
    "difference_rows",
    "discovery_rows",
    "distinctive_labels",
]


MOST_BOUTS = 30
"""Bouts listed as worth a look."""

_MOST_CLUSTERS = 10
_MOST_DIFFERENCES = 6
_MOST_LABELS = 6
_MIN_STD = 1e-9


def distinctive_labels(labels: Sequence[Enrichment]) -> tuple[Enrichment, ...]:
    """At most six labels more frequent than elsewhere, by decreasing contribution to the divergence from all labels.

    A label's part of the Kullback-Leibler divergence of the cluster's labels from all labels is share * log(lift). By
    the lift alone, three frames of a rare label would come first.
    """
    frequent = [row for row in labels if row.both and row.lift > 1]
    return tuple(sorted(frequent, key=lambda row: -row.share * math.log(row.lift))[:_MOST_LABELS])


class DifferenceRow(NamedTuple):
    """A cluster's value of a quantity, and its difference from everything in standard deviations."""

    name: str
    difference: float
    value: float
    units: str


def difference_rows(report: Report) -> dict[int, list[DifferenceRow]]:
    """Distinctive measures of each cluster; without a description, channels of the map."""
    rows = {card.cluster: [_row(one) for one in card.differences] for card in report.cards}
    if report.clusters and report.map and not all(rows.values()):
        for cluster, own in channel_differences(report.clusters, report.map).items():
            rows[cluster] = rows.get(cluster) or own
    return rows


def _row(one: Difference) -> DifferenceRow:
    units, scale = {"1": ("", 1.0), "share": ("%", 100.0)}.get(one.units, (one.units, 1.0))
    return DifferenceRow(named(one.name), one.difference, one.median * scale, units)


def channel_differences(clusters: Ethogram, frames: FrameMap) -> dict[int, list[DifferenceRow]]:
    """Channels of each cluster with the largest difference from the overall mean, in standard deviations."""
    cluster = clusters.at(frames.recording, frames.frame)
    found: dict[int, list[DifferenceRow]] = {}
    for channel in frames.channels:
        known = np.isfinite(channel.values)
        overall, spread = channel.values[known].mean(), channel.values[known].std()
        if not spread > _MIN_STD:
            continue
        for number in np.unique(cluster[known & (cluster >= 0)]):
            mean = channel.values[known & (cluster == number)].mean()
            row = DifferenceRow(channel.name, float((mean - overall) / spread), float(mean), channel.units)
            found.setdefault(int(number), []).append(row)
    return {
        number: sorted(rows, key=lambda row: -abs(row.difference))[:_MOST_DIFFERENCES] for number, rows in found.items()
    }


def discovery_rows(report: Report) -> list[dict[str, Any]]:
    """Notable clusters and bouts, with reasons; `span` is None for a whole cluster."""
    if report.discovery is None:
        return []
    rows: list[dict[str, Any]] = []
    for one in report.discovery.clusters[:_MOST_CLUSTERS]:
        reason = "nothing is labeled"
        if one.stream:
            reason = f"{one.stream} explains {one.explained:.0%} of it"
            reason += f"; {one.behavior_share:.0%} is {one.behavior}" if one.behavior else ""
        rows.append({"reason": reason, "score": f"score {one.score:.2f}", "cluster": one.cluster, "span": None})
    for bout in [one for one in report.discovery.bouts if one.recording in report.numbers][:MOST_BOUTS]:
        labels = ", ".join(f"{stream} {behavior}" for stream, behavior in bout.behaviors.items() if behavior)
        rows.append(
            {
                "reason": f"cluster {bout.cluster} during {labels or 'no label'}",
                "score": f"{bout.surprise:.1f} bits",
                "cluster": bout.cluster,
                "span": {"recording": report.numbers[bout.recording], "start": bout.start, "stop": bout.stop},
            }
        )
    return rows
