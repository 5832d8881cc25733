"""Cluster use compared between groups of animals: what differs, by how much, and how sure one may be.

Of each animal (in each group, where it was recorded in all) three numbers per cluster: the share of its frames, bouts
per minute, and the median length of its bouts. The unit is the animal, never the recording or the frame: recordings of
one animal are pooled. p values come from permutations of the animals' groups, q values from Benjamini and Hochberg over
all clusters (and pairs of groups), for each of the three numbers apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from typing import Any

import numpy as np

from ssl_behavior.clusters.bout_table import BoutTable, bout_table
from ssl_behavior.clusters.groups import Groups
from ssl_behavior.clusters.labels import FrameClusters
from ssl_behavior.clusters.permutation import (
    Arrangements,
    Design,
    Effects,
    arrangements,
    benjamini_hochberg,
    effects,
    permutation_p,
    smallest_p,
)
from ssl_behavior.errors import InputError

__all__ = ["MEASURES", "Comparison", "GroupMean", "OverallTest", "Profiles", "ProfilesConfig", "compare_profiles"]

MEASURES: Mapping[str, str] = {
    "share": "share of frames",
    "bouts_per_minute": "bouts per minute",
    "median_bout_s": "median bout length in s",
}
_FEWEST_BOUTS = 3


@dataclass(frozen=True, kw_only=True)
class ProfilesConfig:
    """How groups are compared.

    Parameters
    ----------
    level : the false discovery rate at which a difference is called found.
    permutations : all arrangements of animals are looked at if they are no more than this, else so many are drawn.
    resamples : of the bootstrap over animals.
    seed : of both.

    Raises
    ------
    InputError
        If a number makes no sense.
    """

    level: float = 0.05
    permutations: int = 10_000
    resamples: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InputError(f"--level must be between 0 and 1, got {self.level}")
        if self.permutations < 100 or self.resamples < 100:
            raise InputError(
                f"--permutations and --resamples must be at least 100, got {self.permutations} and {self.resamples}"
            )


@dataclass(frozen=True, kw_only=True)
class GroupMean:
    """Of a group: mean and standard deviation over `animals`; None = cannot be given."""

    mean: float | None
    std: float | None
    animals: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two groups in one measure of one cluster; `difference` is second less first. None = cannot be given.

    Parameters
    ----------
    low, high : the 95 % bootstrap interval of the difference, over animals.
    hedges_g, cliffs_delta, delta_low, delta_high : see `ssl_behavior.clusters.permutation.Effects`.
    p, q : of the permutation test, and corrected for all clusters and pairs of groups.
    found : q is at most the level (and so is that of all groups together, where there are more than two).
    """

    cluster: int
    measure: str
    first: str
    second: str
    of_first: GroupMean
    of_second: GroupMean
    difference: float | None
    low: float | None
    high: float | None
    hedges_g: float | None
    cliffs_delta: float | None
    delta_low: float | None
    delta_high: float | None
    p: float | None
    q: float | None
    found: bool


@dataclass(frozen=True, kw_only=True)
class OverallTest:
    """Whether any of more than two groups differs, in one measure of one cluster."""

    cluster: int
    measure: str
    p: float | None
    q: float | None
    found: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Profiles:
    """Groups of animals and their use of clusters.

    Parameters
    ----------
    groups : who was compared.
    config : how.
    num_clusters : how many there are.
    cells : (group, animal) of each row of `values`.
    values : measure -> float64 [cell, cluster]; NaN = not known.
    comparisons : every measure, pair of groups and cluster.
    overall : of more than two groups; empty for two.
    exact : every arrangement of the animals was looked at; `arrangements` is how many were.
    notes : what a reader has to know, a sentence each.
    """

    groups: Groups
    config: ProfilesConfig
    num_clusters: int
    cells: tuple[tuple[str, str], ...]
    values: Mapping[str, np.ndarray]
    comparisons: tuple[Comparison, ...]
    overall: tuple[OverallTest, ...]
    exact: bool
    arrangements: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: unknown numbers are None."""
        groups = self.groups
        return {
            "factor": groups.factor,
            "groups": groups.animals,
            "design": "within animals" if groups.within else "between animals",
            **asdict(self.config),
            "exact": self.exact,
            "arrangements": self.arrangements,
            "notes": list(self.notes),
            "animals": [
                {"group": group, "animal": animal} | {name: _listed(self.values[name][row]) for name in MEASURES}
                for row, (group, animal) in enumerate(self.cells)
            ],
            "overall": [asdict(one) for one in self.overall],
            "comparisons": [asdict(one) for one in self.comparisons],
        }


def _listed(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def compare_profiles(clusters: FrameClusters, groups: Groups, config: ProfilesConfig | None = None) -> Profiles:
    """Compare the groups' use of every cluster.

    With more than two groups a difference between two of them is called found only where all of them together differ,
    too.
    """
    config = config or ProfilesConfig()
    cells = tuple((name, animal) for name, animals in groups.animals.items() for animal in animals)
    values = _cell_values(clusters, bout_table(clusters), groups, cells)
    design = _design(groups, cells)
    among = arrangements(design, config.permutations, config.seed)
    overall: list[OverallTest] = []
    comparisons: list[Comparison] = []
    for measure in MEASURES:
        tests = _overall(design, values[measure], among, measure, config) if len(groups.names) > 2 else []
        overall += tests
        differ = {one.cluster for one in tests if one.found}
        comparisons += _pairs(design, values[measure], groups.names, measure, config, differ)
    return Profiles(
        groups=groups,
        config=config,
        num_clusters=clusters.num_clusters,
        cells=cells,
        values=values,
        comparisons=tuple(comparisons),
        overall=tuple(overall),
        exact=among.exact,
        arrangements=len(among.group),
        notes=(*groups.notes, *_notes(design, groups.names, clusters.num_clusters, among, config)),
    )


def _cell_values(
    clusters: FrameClusters, table: BoutTable, groups: Groups, cells: Sequence[tuple[str, str]]
) -> dict[str, np.ndarray]:
    """Every measure of every animal in every group, float64 [cell, cluster]."""
    number = clusters.num_clusters
    place = {cell: row for row, cell in enumerate(cells)}
    cell_of = np.full(len(clusters.rows), -1)
    seconds, frames = np.zeros(len(cells)), np.zeros(len(cells))
    for pick, row in enumerate(clusters.rows):
        if row.id in groups.group:
            cell_of[pick] = place[groups.group[row.id], groups.animal[row.id]]
            seconds[cell_of[pick]] += row.frames / row.fps
            frames[cell_of[pick]] += row.frames
    cell = cell_of[table.recording]
    kept = cell >= 0
    at = cell[kept] * number + table.cluster[kept]
    size = len(cells) * number
    in_cluster = np.bincount(at, table.frames[kept], minlength=size).reshape(-1, number)
    bouts = np.bincount(at, minlength=size).reshape(-1, number)
    return {
        "share": in_cluster / frames[:, None],
        "bouts_per_minute": bouts / seconds[:, None] * 60,
        "median_bout_s": _medians(at, table.seconds[kept], size).reshape(-1, number),
    }


def _medians(at: np.ndarray, seconds: np.ndarray, size: int) -> np.ndarray:
    """Median bout of each place, NaN with fewer than three bouts: float64 [size]."""
    medians = np.full(size, np.nan)
    order = np.argsort(at, kind="stable")
    places, starts = np.unique(at[order], return_index=True)
    for one, part in zip(places, np.split(seconds[order], starts[1:]), strict=True):
        if len(part) >= _FEWEST_BOUTS:
            medians[one] = np.median(part)
    return medians


def _design(groups: Groups, cells: Sequence[tuple[str, str]]) -> Design:
    animals = list(dict.fromkeys(animal for _, animal in cells))
    return Design(
        group=np.array([groups.names.index(name) for name, _ in cells]),
        animal=np.array([animals.index(animal) for _, animal in cells]),
        num_groups=len(groups.names),
        within=groups.within,
    )


def _overall(
    design: Design, values: np.ndarray, among: Arrangements, measure: str, config: ProfilesConfig
) -> list[OverallTest]:
    p = permutation_p(design, values, among)
    q = benjamini_hochberg(p)
    return [
        OverallTest(
            cluster=cluster, measure=measure, p=_number(p[cluster]), q=_number(q[cluster]),
            found=bool(q[cluster] <= config.level),
        )
        for cluster in range(values.shape[1])
    ]  # fmt: skip


def _pairs(
    design: Design, values: np.ndarray, names: Sequence[str], measure: str, config: ProfilesConfig, differ: set[int]
) -> list[Comparison]:
    """Every pair of groups in one measure; `differ` are the clusters in which all groups together do."""
    pairs = list(combinations(range(len(names)), 2))
    tested = [_tested(design, values, pair, config) for pair in pairs]
    q = benjamini_hochberg(np.array([p for p, _ in tested]))
    found = q <= config.level
    if len(names) > 2:
        found &= np.isin(np.arange(values.shape[1]), list(differ))
    means = [_means(values[design.group == group]) for group in range(len(names))]
    return [
        Comparison(
            cluster=cluster,
            measure=measure,
            first=names[first],
            second=names[second],
            of_first=means[first][cluster],
            of_second=means[second][cluster],
            p=_number(p[cluster]),
            q=_number(q[row, cluster]),
            found=bool(found[row, cluster]),
            **_of_cluster(effect, cluster),
        )
        for row, ((first, second), (p, effect)) in enumerate(zip(pairs, tested, strict=True))
        for cluster in range(values.shape[1])
    ]


def _tested(
    design: Design, values: np.ndarray, pair: tuple[int, int], config: ProfilesConfig
) -> tuple[np.ndarray, Effects]:
    """p values and effect sizes of two groups."""
    two, kept = design.pair(*pair)
    among = arrangements(two, config.permutations, config.seed)
    p = permutation_p(two, values[kept], among)
    return p, effects(two, values[kept], config.resamples, seed=config.seed)


def _means(values: np.ndarray) -> list[GroupMean]:
    """Of a group's values [animal, cluster], cluster by cluster."""
    made = []
    for column in values.T:
        known = column[np.isfinite(column)]
        made.append(
            GroupMean(
                mean=float(known.mean()) if len(known) else None,
                std=float(known.std(ddof=1)) if len(known) > 1 else None,
                animals=len(known),
            )
        )
    return made


def _of_cluster(effect: Effects, cluster: int) -> dict[str, float | None]:
    return {field.name: _number(getattr(effect, field.name)[cluster]) for field in fields(Effects)}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _notes(
    design: Design, names: Sequence[str], num_clusters: int, among: Arrangements, config: ProfilesConfig
) -> list[str]:
    """What the numbers of animals and arrangements allow to be found, of all groups and of pairs of them."""
    notes = _limits(design, num_clusters, f"{num_clusters} clusters", among, config)
    if len(names) == 2 or smallest_p(design, among) > config.level:
        return notes
    pairs = list(combinations(range(len(names)), 2))
    hopeless, tests = [], num_clusters * len(pairs)
    for first, second in pairs:
        two, _ = design.pair(first, second)
        among = arrangements(two, config.permutations, config.seed)
        if smallest_p(two, among) > config.level:
            hopeless.append(f"{names[first]} and {names[second]}")
        elif not notes:
            notes = _limits(two, tests, f"{num_clusters} clusters and {len(pairs)} pairs of groups", among, config)
    if hopeless:
        notes.append(
            f"no p value of {', '.join(hopeless)} can be as low as {config.level:g}: whether all groups together "
            "differ can be found, but not whether these do; record more animals"
        )
    return notes


def _limits(design: Design, tests: int, which: str, among: Arrangements, config: ProfilesConfig) -> list[str]:
    """The same of one comparison, in each of so many tests, which are `which`."""
    sizes = np.bincount(design.group, minlength=design.num_groups).tolist()
    smallest = smallest_p(design, among)
    who = f"{' and '.join(str(size) for size in sizes)} animals"
    if smallest > config.level:
        return [
            f"with {who} no p value can be below {smallest:.2g}: nothing can be found at {config.level:g}, however "
            "different the groups are; record more animals"
        ]
    if smallest * tests > config.level:
        remedy = "record more animals" if among.exact else "ask for more --permutations"
        return [
            f"with {who} no p value can be below {smallest:.2g}: among {which} a single different one "
            f"cannot be found at {config.level:g}, only {int(np.ceil(smallest * tests / config.level))} or more "
            f"together; {remedy}"
        ]
    return []
