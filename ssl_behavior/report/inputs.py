"""What others wrote, as parts of a report: a folder of clusters, and a folder that describes them.

`clusters.json` has `num_clusters` and `recordings` (rows with id, offset, frames, fps), `labels.npy` int32 [frames] in
that order. `cards.json` has, each of them optional,

    cards         [{cluster, name, sentence, share, num_bouts, bout_seconds [3], medoids [{recording, start, stop}],
                    enrichment [{stream, label, frames, share, lift}],
                    differences [{name, units, difference, mean, overall}]}]
    discoveries   [{reason, score, cluster, span {recording, start, stop}}]
    profiles      [{name, effect, animals [], groups [], shares [animal][cluster], tests [{cluster, effect, p, q}]}]

where a recording is its id.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.embedding import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.files import read_json
from ssl_behavior.report.contents import (
    ClusterCard,
    Difference,
    Enrichment,
    Profile,
    ProfileTest,
    Ranked,
    Span,
)

__all__ = ["Description", "read_clusters", "read_description"]

_Built = TypeVar("_Built")


@dataclass(frozen=True)
class Description:
    """Clusters in words and numbers, and what groups of animals do with them."""

    cards: tuple[ClusterCard, ...] = ()
    discoveries: tuple[Ranked, ...] = ()
    profiles: tuple[Profile, ...] = ()

    def bouts(self) -> list[tuple[Span, int]]:
        """(bout, cluster) of everything it points at; cluster -1 where it names none."""
        named = [(span, card.cluster) for card in self.cards for span in card.medoids]
        return named + [(one.span, -1 if one.cluster is None else one.cluster) for one in self.discoveries if one.span]


def read_clusters(folder: Path) -> FrameClusters:
    """The cluster of each frame, from a clusters folder.

    Raises
    ------
    InputError
        If it is no such folder, or damaged.
    """
    contents = read_json(folder / "clusters.json", "a clusters folder")
    try:
        rows = [
            EmbeddingRow(**{key: row[key] for key in ("id", "offset", "frames", "fps")})
            for row in contents["recordings"]
        ]
        number = int(contents["num_clusters"])
        labels = np.load(folder / "labels.npy", mmap_mode="r", allow_pickle=False)
    except (KeyError, TypeError, ValueError, OSError, EOFError) as error:
        raise InputError(f"{folder} is damaged: its clusters cannot be read ({error!r}); cluster again") from None
    frames = sum(row.frames for row in rows)
    if labels.shape != (frames,):
        raise InputError(f"{folder} is damaged: {frames} frames in its table, {list(labels.shape)} in labels.npy")
    if frames and not -1 <= labels.min() <= labels.max() < number:
        raise InputError(f"{folder} is damaged: labels.npy must hold -1 to {number - 1}")
    return FrameClusters(rows, labels, number)


def read_description(folder: Path, recordings: Sequence[str]) -> Description:
    """Cards, discoveries and profiles of a description folder.

    Parameters
    ----------
    recordings : ids of the report's recordings; bouts of others are left out.

    Raises
    ------
    InputError
        If there is no `cards.json`, or something in it is not as it should be.
    """
    contents = read_json(folder / "cards.json", "a description of clusters")
    numbers = {id: number for number, id in enumerate(recordings)}
    read = _Reader(folder / "cards.json", numbers)
    return Description(
        read.all_of(contents, "cards", read.card),
        read.all_of(contents, "discoveries", read.ranked),
        read.all_of(contents, "profiles", _profile),
    )


@dataclass(frozen=True)
class _Reader:
    """Decoded JSON -> parts of a report; says where in the file a mistake is."""

    file: Path
    numbers: Mapping[str, int]

    def all_of(self, contents: Any, key: str, build: Callable[[Mapping[str, Any]], _Built]) -> tuple[_Built, ...]:
        built = []
        for place, values in enumerate(contents.get(key, ()) if isinstance(contents, dict) else ()):
            try:
                built.append(build(values))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(f"{self.file}: {key}[{place}] is not as expected ({error!r})") from None
        return tuple(built)

    def card(self, values: Mapping[str, Any]) -> ClusterCard:
        low, middle, high = values.get("bout_seconds", (0.0, 0.0, 0.0))
        return ClusterCard(
            cluster=int(values["cluster"]),
            name=str(values.get("name") or ""),
            sentence=str(values.get("sentence") or ""),
            share=float(values.get("share", 0.0)),
            num_bouts=int(values.get("num_bouts", 0)),
            bout_seconds=(float(low), float(middle), float(high)),
            medoids=self.spans(values.get("medoids", ())),
            enrichment=tuple(Enrichment(**one) for one in values.get("enrichment", ())),
            differences=tuple(Difference(**one) for one in values.get("differences", ())),
        )

    def spans(self, values: Sequence[Mapping[str, Any]]) -> tuple[Span, ...]:
        return tuple(
            Span(recording=self.numbers[one["recording"]], start=int(one["start"]), stop=int(one["stop"]))
            for one in values
            if one["recording"] in self.numbers
        )

    def ranked(self, values: Mapping[str, Any]) -> Ranked:
        cluster, span = values.get("cluster"), values.get("span")
        spans = self.spans([span]) if span else ()
        return Ranked(
            reason=str(values["reason"]),
            score=float(values["score"]),
            cluster=None if cluster is None else int(cluster),
            span=spans[0] if spans else None,
        )


def _profile(values: Mapping[str, Any]) -> Profile:
    return Profile(
        name=str(values["name"]),
        animals=tuple(map(str, values["animals"])),
        groups=tuple(map(str, values["groups"])),
        shares=np.array(values["shares"], np.float64),
        tests=tuple(ProfileTest(**one) for one in values.get("tests", ())),
        effect=str(values.get("effect") or "effect size"),
    )
