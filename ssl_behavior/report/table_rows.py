"""Rows of the report's tables: results of probes and benchmarks, distinctive labels and measures, notable bouts.

`results.json` of a probe or a benchmark gives tables, `profiles.json` of `ssl-behavior describe` the cluster use of
groups of animals.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssl_behavior.clusters.distinctive import Difference
from ssl_behavior.clusters.enrichment import Enrichment
from ssl_behavior.errors import InputError
from ssl_behavior.files import read_contents, read_json
from ssl_behavior.report.contents import AnimalProfiles, Ethogram, FrameMap, ProfileTest, Report, Scores
from ssl_behavior.report.maps import named

__all__ = [
    "MOST_BOUTS",
    "DifferenceRow",
    "channel_differences",
    "difference_rows",
    "discovery_rows",
    "distinctive_labels",
    "read_profiles",
    "read_scores",
]

_UNDEFINED = "undefined"


def read_scores(folder: Path) -> tuple[Scores, ...]:
    """The tables of a results folder: one for a probe, one for each problem of a benchmark.

    Raises
    ------
    InputError
        If it has no results, or they are damaged.
    """
    contents = read_json(folder / "results.json", "a results folder")
    kind = contents.get("format") if isinstance(contents, dict) else None
    try:
        if kind == "ssl-behavior results":
            return (_table(_probe_title(contents), contents["rows"], _probe_notes(contents)),)
        if kind == "ssl-behavior benchmark":
            return tuple(_table(str(one["title"]), one["rows"], ()) for one in contents["tables"] if one["rows"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{folder}/results.json is damaged: {error!r}") from None
    raise InputError(f"{folder}/results.json has results of neither a probe nor a benchmark")


def _probe_title(contents: Mapping[str, Any]) -> str:
    task = contents["task"]
    return f"{task['name']}, {contents['mode']} probe"


def _probe_notes(contents: Mapping[str, Any]) -> tuple[str, ...]:
    split, seeds = contents["split"], len(contents["seeds"])
    return (
        f"Learned from {len(split['train'])} recordings, scored on {len(split['evaluated'])} others; mean and "
        f"population standard deviation over {seeds} seed{'s' * (seeds != 1)}, intervals by bootstrap over recordings.",
    )


def _table(title: str, rows: Sequence[Mapping[str, Any]], notes: tuple[str, ...]) -> Scores:
    """Table of average precision: the first macro mean, which the chart shows, and every class."""
    first = rows[0]
    macros = [str(macro["name"]) for macro in first["macros"]]
    classes = list(first["classes"])
    means = ["mean" if name == "all" else name.replace("+", " + ") for name in macros]
    header = (
        "",
        *(f"{name} AP" for name in means),
        *(f"{name} F1" for name in means),
        *(f"AP {one}" for one in classes),
    )
    cells = [
        (
            _name(row),
            *(_score_cell(macro["ap"], macro.get("ap_interval")) for macro in row["macros"]),
            *(_score_cell(macro["f1"], macro.get("f1_interval")) for macro in row["macros"]),
            *(_score_cell(row["classes"][one]["ap"]) for one in classes),
        )
        for row in rows
    ]
    bars = [(_name(row), row["macros"][0]) for row in rows if row["macros"][0]["ap"]["mean"] is not None]
    return Scores(
        title=title, header=header, cells=tuple(cells), score=f"average precision, {means[0]} over classes"
        if means[0] == "mean" else f"average precision, {means[0]}",
        bars=tuple(_bar(name, macro) for name, macro in bars), notes=notes,
    )  # fmt: skip


def _name(row: Mapping[str, Any]) -> str:
    words = [str(row["representation"])]
    words += [word for word in ("smoothed", "tuned") if row.get(word)]
    words += [f"{row['percent']:g} % of the labels"] if row.get("percent", 100) != 100 else []
    return ", ".join(words)


def _bar(name: str, macro: Mapping[str, Any]) -> tuple[str, float, float, float | None, float | None]:
    between = macro.get("ap_interval") or {}
    return name, float(macro["ap"]["mean"]), float(macro["ap"]["std"] or 0.0), between.get("low"), between.get("high")


def _score_cell(summary: Mapping[str, Any], between: Mapping[str, Any] | None = None) -> str:
    """Mean, with the standard deviation over several seeds and the interval if given."""
    if summary["mean"] is None:
        return _UNDEFINED
    spread = f" ± {summary['std']:.3f}" if summary.get("num_defined", 1) > 1 else ""
    interval = f" [{between['low']:.3f}, {between['high']:.3f}]" if between else ""
    return f"{summary['mean']:.3f}{spread}{interval}"


_PROFILES, _VERSION = "profiles.json", 1


def read_profiles(folder: Path) -> tuple[AnimalProfiles, ...]:
    """Profiles of a description folder; empty without compared groups.

    Raises
    ------
    InputError
        If `profiles.json` is damaged or has missing or wrong fields.
    """
    if not (folder / _PROFILES).exists():
        return ()
    again = ", or describe the clusters again"
    contents = read_contents(folder, _PROFILES, "profiles", _VERSION, again, "a description of clusters")
    try:
        return (_profile(contents),)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}/{_PROFILES} is not as expected ({error!r}); describe the clusters again") from None


def _profile(contents: Mapping[str, Any]) -> AnimalProfiles:
    animals = contents["animals"]
    tests = [
        ProfileTest(
            cluster=int(one["cluster"]), effect=float(one["hedges_g"]), p=float(one["p"]), q=float(one["q"]),
            between=(str(one["first"]), str(one["second"])),
        )
        for one in contents["comparisons"]
        if one["measure"] == "share" and None not in (one["hedges_g"], one["p"], one["q"])
    ]  # fmt: skip
    return AnimalProfiles(
        name=str(contents["factor"]),
        animals=tuple(str(one["animal"]) for one in animals),
        groups=tuple(str(one["group"]) for one in animals),
        shares=np.array([one["share"] for one in animals], np.float64),
        tests=tuple(tests),
        level=float(contents["level"]),
        effect="Hedges' g",
        notes=tuple(map(str, contents["notes"])),
    )


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
