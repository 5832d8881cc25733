"""What a report says of clusters by itself: shares, bouts, labels and quantities in numbers, and what follows what.

`results.json` of a probe or a benchmark as tables.

What `ssl-behavior describe` wrote, as parts of a report.

`cards.json`, and `profiles.json` where groups of animals were compared.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.files import read_contents, read_json
from ssl_behavior.report.contents import (
    ClusterCard,
    Difference,
    Enrichment,
    Ethogram,
    FrameMap,
    Profile,
    ProfileTest,
    Ranked,
    ReportRecording,
    Runs,
    Scores,
    Span,
)
from ssl_behavior.report.maps import named

__all__ = [
    "Description",
    "completed",
    "count_transitions",
    "most_telling",
    "plain_cards",
    "read_description",
    "read_scores",
]

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


_UNDEFINED = "undefined"


def read_scores(folder: Path) -> tuple[Scores, ...]:
    """The tables of a results folder: one for a probe, one for each problem of a benchmark.

    Raises
    ------
    InputError
        If it holds no results, or they are damaged.
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
    raise InputError(f"{folder}/results.json is neither of a probe nor of a benchmark")


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
    """Average precision: of the first mean over classes, which is drawn, and of every class."""
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
            *(_shown(macro["ap"], macro.get("ap_interval")) for macro in row["macros"]),
            *(_shown(macro["f1"], macro.get("f1_interval")) for macro in row["macros"]),
            *(_shown(row["classes"][one]["ap"]) for one in classes),
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
    told = [str(row["representation"])]
    told += [word for word in ("smoothed", "tuned") if row.get(word)]
    told += [f"{row['percent']:g} % of the labels"] if row.get("percent", 100) != 100 else []
    return ", ".join(told)


def _bar(name: str, macro: Mapping[str, Any]) -> tuple[str, float, float, float | None, float | None]:
    between = macro.get("ap_interval") or {}
    return name, float(macro["ap"]["mean"]), float(macro["ap"]["std"] or 0.0), between.get("low"), between.get("high")


def _shown(summary: Mapping[str, Any], between: Mapping[str, Any] | None = None) -> str:
    """A mean, its spread where there are several seeds, its interval where there is one."""
    if summary["mean"] is None:
        return _UNDEFINED
    spread = f" ± {summary['std']:.3f}" if summary.get("num_defined", 1) > 1 else ""
    interval = f" [{between['low']:.3f}, {between['high']:.3f}]" if between else ""
    return f"{summary['mean']:.3f}{spread}{interval}"


_Built = TypeVar("_Built")
_VERSION = 1
_MOST_CLUSTERS, _MOST_BOUTS = 10, 30


@dataclass(frozen=True)
class Description:
    """Clusters in words and numbers, and what groups of animals do with them."""

    cards: tuple[ClusterCard, ...] = ()
    discoveries: tuple[Ranked, ...] = ()
    profiles: tuple[Profile, ...] = ()
    notes: tuple[str, ...] = ()

    def bouts(self) -> list[tuple[Span, int]]:
        """(bout, cluster) of everything it points at; cluster -1 where it names none."""
        named = [(span, card.cluster) for card in self.cards for span in card.medoids]
        return named + [(one.span, -1 if one.cluster is None else one.cluster) for one in self.discoveries if one.span]


def read_description(folder: Path, recordings: Sequence[str]) -> Description:
    """Cards, discoveries and, where there are some, profiles of a description folder.

    Parameters
    ----------
    recordings : ids of the report's recordings; bouts of others are left out, and a note tells that numbers are of all.

    Raises
    ------
    InputError
        If there is no `cards.json`, or something in it is not as it should be.
    """
    numbers = {id: number for number, id in enumerate(recordings)}
    cards = _told(folder, "cards", lambda contents: _cards(contents, numbers))
    compared = (folder / "profiles.json").exists()
    return replace(cards, profiles=_told(folder, "profiles", _profile) if compared else ())


def _told(folder: Path, kind: str, build: Callable[[Mapping[str, Any]], _Built]) -> _Built:
    """What is built from a file's JSON; whatever is missing in it is told with the file's name."""
    again = ", or describe the clusters again"
    contents = read_contents(folder, f"{kind}.json", kind, _VERSION, again, "a description of clusters")
    try:
        return build(contents)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}/{kind}.json is not as expected ({error!r}); describe the clusters again") from None


def _cards(contents: Mapping[str, Any], numbers: Mapping[str, int]) -> Description:
    discovery = contents["discovery"]
    clusters = (_ranked_cluster(one) for one in discovery["clusters"][:_MOST_CLUSTERS])
    bouts = (_ranked_bout(one, numbers) for one in discovery["bouts"] if one["recording"] in numbers)
    notes = tuple(map(str, contents.get("notes", ())))
    described = int(contents["num_recordings"])
    if described != len(numbers):
        of = f"the {described} recordings that were described, not of the {len(numbers)} in this report"
        notes += (f"Sentences and numbers of clusters are of {of}.",)
    return Description(
        cards=tuple(_card(one, numbers) for one in contents["clusters"]),
        discoveries=(*clusters, *list(bouts)[:_MOST_BOUTS]),
        notes=notes,
    )


def _card(values: Mapping[str, Any], numbers: Mapping[str, int]) -> ClusterCard:
    bouts = values["bouts"] or {"number": 0, "lower": 0.0, "median": 0.0, "upper": 0.0}
    labels = [_described_enrichment(one) for one in values["labels"] if one["both"] and one["expected"]]
    return ClusterCard(
        cluster=int(values["cluster"]),
        sentence=str(values["sentence"]),
        share=float(values["share"]),
        num_bouts=int(bouts["number"]),
        bout_seconds=(float(bouts["lower"]), float(bouts["median"]), float(bouts["upper"])),
        medoids=tuple(_span(one, numbers) for one in values["medoids"] if one["recording"] in numbers),
        enrichment=most_telling(labels),
        differences=tuple(_difference(one) for one in values["differences"]),
    )


def _difference(values: Mapping[str, Any]) -> Difference:
    units, scale = {"1": ("", 1.0), "share": ("%", 100.0)}.get(values["units"], (str(values["units"]), 1.0))
    return Difference(
        name=named(values["name"]), difference=float(values["difference"]), value=float(values["median"]) * scale,
        usual=float(values["usual"]) * scale, units=units,
    )  # fmt: skip


def _described_enrichment(values: Mapping[str, Any]) -> Enrichment:
    both = int(values["both"])
    return Enrichment(
        stream=str(values["stream"]), label=str(values["behavior"]), frames=both,
        share=both / int(values["of_cluster"]), lift=both / float(values["expected"]),
    )  # fmt: skip


def _span(values: Mapping[str, Any], numbers: Mapping[str, int]) -> Span:
    return Span(recording=numbers[values["recording"]], start=int(values["start"]), stop=int(values["stop"]))


def _ranked_cluster(values: Mapping[str, Any]) -> Ranked:
    reason = "nothing is labeled"
    if values["stream"]:
        reason = f"{values['stream']} explains {float(values['explained']):.0%} of it"
        reason += f"; {float(values['behavior_share']):.0%} is {values['behavior']}" if values["behavior"] else ""
    return Ranked(reason=reason, score=f"score {float(values['score']):.2f}", cluster=int(values["cluster"]))


def _ranked_bout(values: Mapping[str, Any], numbers: Mapping[str, int]) -> Ranked:
    labels = ", ".join(f"{stream} {behavior}" for stream, behavior in values["behaviors"].items() if behavior)
    return Ranked(
        reason=f"cluster {values['cluster']} during {labels or 'no label'}",
        score=f"{float(values['surprise']):.1f} bits", cluster=int(values["cluster"]), span=_span(values, numbers),
    )  # fmt: skip


def _profile(contents: Mapping[str, Any]) -> tuple[Profile, ...]:
    animals = contents["animals"]
    tests = [
        ProfileTest(
            cluster=int(one["cluster"]), effect=float(one["hedges_g"]), p=float(one["p"]), q=float(one["q"]),
            between=(str(one["first"]), str(one["second"])),
        )
        for one in contents["comparisons"]
        if one["measure"] == "share" and None not in (one["hedges_g"], one["p"], one["q"])
    ]  # fmt: skip
    return (
        Profile(
            name=str(contents["factor"]),
            animals=tuple(str(one["animal"]) for one in animals),
            groups=tuple(str(one["group"]) for one in animals),
            shares=np.array([one["share"] for one in animals], np.float64),
            tests=tuple(tests),
            level=float(contents["level"]),
            effect="Hedges' g",
            notes=tuple(map(str, contents["notes"])),
        ),
    )
