"""What `ssl-behavior describe` wrote, as parts of a report.

`cards.json`, and `profiles.json` where groups of animals were compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.files import read_contents
from ssl_behavior.report.channels import named
from ssl_behavior.report.contents import (
    ClusterCard,
    Difference,
    Enrichment,
    Profile,
    ProfileTest,
    Ranked,
    Span,
)
from ssl_behavior.report.summary import most_telling

__all__ = ["Description", "read_description"]

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
    labels = [_enrichment(one) for one in values["labels"] if one["both"] and one["expected"]]
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


def _enrichment(values: Mapping[str, Any]) -> Enrichment:
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
