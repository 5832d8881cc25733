"""Cluster use compared between groups of animals: tests, effect sizes and figures.

Every animal (in each group, where it was recorded in all) has three numbers per cluster: the share of its frames, bouts
per minute, and the median length of its bouts. The unit is the animal, never the recording or the frame: recordings of
one animal are pooled. p values come from permutations of the animals' groups, q values from Benjamini and Hochberg over
all clusters (and pairs of groups), separately for each of the three numbers.

A CSV file gives the animal and the group of each recording or, for embeddings of animals or pairs, of each
acting animal of a recording. Figures show every animal's share of every cluster, and the
differences between groups; every group has its own color and marker (`ssl_behavior.plots.style`).
"""

import csv
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.clusters.frame_clusters import FrameClusters
from ssl_behavior.clusters.group_statistics import (
    Arrangements,
    Effects,
    GroupDesign,
    arrangements,
    benjamini_hochberg,
    effects,
    minimum_p,
    permutation_p,
)
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.plots.style import line_style, literal, save_figure, styled, tidy
from ssl_behavior.terminal import counted, quoted

__all__ = [
    "MEASURES",
    "Comparison",
    "GroupMean",
    "Groups",
    "OverallTest",
    "Profiles",
    "ProfilesConfig",
    "compare_profiles",
    "draw_effects",
    "draw_shares",
    "read_groups",
]

_RECORDING, _AGENT, _ANIMAL = "recording", "agent", "animal"
_FEWEST_ANIMALS = 2


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Recordings to compare.

    Parameters
    ----------
    factor : column of the file that defines the groups.
    names : names of the groups, in the order of the file.
    group, animal : id of a row (a recording, or an animal or pair of it) -> group and animal of each compared row.
    within : every animal was recorded in every group (days of one animal) and is compared with itself; otherwise each
        animal is in one group.
    notes : recordings and animals left out, and reasons, a sentence each.
    """

    factor: str
    names: tuple[str, ...]
    group: Mapping[str, str]
    animal: Mapping[str, str]
    within: bool
    notes: tuple[str, ...] = ()

    @property
    def animals(self) -> dict[str, list[str]]:
        """Group -> its animals, in the file's order."""
        found: dict[str, dict[str, None]] = {name: {} for name in self.names}
        for id, name in self.group.items():
            found[name][self.animal[id]] = None
        return {name: list(animals) for name, animals in found.items()}


def read_groups(path: str | Path, rows: Sequence[EmbeddingRow], factor: str | None = None) -> Groups:
    """Read a CSV file with the columns `recording`, `animal` (without it, each recording is an animal), and factors.

    All animals and pairs of a recording have its group. With a column `agent`, a line is about one acting animal of a
    recording: animals of one recording can be in different groups, and without `animal` each of them is one.

    Parameters
    ----------
    rows : of the clustering; those missing in the file are left out with a note.
    factor : the column that defines the groups; None = the only one.

    Raises
    ------
    InputError
        If the file cannot be read, a column is missing, a recording is unknown or repeated, there are fewer than two
        groups or fewer than two animals in a group, or some animals are in one group and some in several.
    """
    path = Path(path)
    # Of scenes, a column "agent" is a factor such as a drug.
    keys = (_RECORDING, _ANIMAL) if not rows or rows[0].actors.unit == "scene" else (_RECORDING, _AGENT, _ANIMAL)
    header, lines = _table(path, keys)
    factor = _factor(path, header, factor, keys)
    of_agents = _AGENT in header and _AGENT in keys
    ids = {row.id: _name(row.recording, row.agent if of_agents else "") for row in rows}
    known = tuple(dict.fromkeys(ids.values()))
    table = _checked(path, lines, known, of_agents)
    what = "animal" if of_agents else "recording"
    notes = []
    if missing := [name for name in known if name not in table]:
        notes.append(f"{counted(len(missing), what)} not in {path.name}: left out ({quoted(missing)})")
    if blank := [name for name, line in table.items() if not line[factor]]:
        notes.append(f"{counted(len(blank), what)} without {factor}: left out ({quoted(blank)})")
    if _ANIMAL not in header:
        of = "every animal of every recording counts" if of_agents else "every recording counts"
        notes.append(f"{path.name} has no column {_ANIMAL!r}: {of} as a separate animal")
    group = {name: line[factor] for name, line in table.items() if line[factor]}
    animal = {name: table[name].get(_ANIMAL, name) for name in group}
    return _of_rows(_designed(path, factor, group, animal, notes), ids)


def _name(recording: str, agent: str) -> str:
    """What a line of the file is about, for messages: "cage3" or "cage3, m1"."""
    return f"{recording}, {agent}" if agent else recording


def _of_rows(groups: Groups, ids: Mapping[str, str]) -> Groups:
    """Groups of the rows, from groups of what the lines of the file are about; `ids`: row -> that."""
    rows: dict[str, list[str]] = {}
    for id, name in ids.items():
        rows.setdefault(name, []).append(id)
    own = [(id, name) for name in groups.group for id in rows[name]]
    return replace(
        groups,
        group={id: groups.group[name] for id, name in own},
        animal={id: groups.animal[name] for id, name in own},
    )


def _table(path: Path, keys: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    """The header, and lines as dictionaries; cells are separated by commas, semicolons or tabs."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the file of groups cannot be read ({error}); expected CSV in UTF-8") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    try:
        cells = [(reader.line_num, [cell.strip() for cell in line]) for line in reader]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: invalid CSV ({error})") from None
    cells = [(number, line) for number, line in cells if any(line)]
    if not cells:
        raise InputError(f"{path}: the file is empty; expected a line of column names (recording, animal, treatment)")
    header = [name.lower() if name.lower() in keys else name for name in cells[0][1]]
    if _RECORDING not in header or len(set(header)) < len(header):
        raise InputError(f"{path}: expected distinct column names, one of them {_RECORDING!r}, got {header}")
    for number, line in cells[1:]:
        if len(line) != len(header):
            raise InputError(f"{path}, line {number}: expected {len(header)} cells as in the header, got {len(line)}")
    return header, [dict(zip(header, line, strict=True)) for _, line in cells[1:]]


def _factor(path: Path, header: Sequence[str], factor: str | None, keys: Sequence[str]) -> str:
    known = [name for name in header if name not in keys]
    if factor is None and len(known) == 1:
        return known[0]
    if factor is None or factor not in known:
        what = (
            "`factor` must name the column to compare by" if factor is None else f"no column {factor!r} to compare by"
        )
        raise InputError(f"{path}: {what}; the file has {known or 'none'}")
    return factor


def _checked(
    path: Path, lines: Sequence[dict[str, str]], known: Sequence[str], of_agents: bool
) -> dict[str, dict[str, str]]:
    """Lines by what they are about, see `_name`; unknown and repeated ones are refused."""
    seen: dict[str, dict[str, str]] = {}
    what = "animal" if of_agents else "recording"
    for line in lines:
        name = _name(line[_RECORDING], line[_AGENT] if of_agents else "")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {quoted(known)}"
            raise InputError(f"{path}: {what} {name!r} was not clustered{hint}")
        if name in seen:
            had = "an animal of a recording" if of_agents else "a recording"
            raise InputError(f"{path}: {what} {name!r} is listed twice; {had} has one animal and one group")
        if not line.get(_ANIMAL, name):
            raise InputError(f"{path}: {what} {name!r} has no animal; give its name, or leave the {what} out")
        seen[name] = line
    return seen


def _designed(path: Path, factor: str, group: Mapping[str, str], animal: Mapping[str, str], notes: list[str]) -> Groups:
    """Groups of a design between or within animals, with a check that there are enough animals."""
    names = tuple(dict.fromkeys(group.values()))
    if len(names) < 2:
        raise InputError(f"{path}: {factor} must have at least two values to compare, got {list(names)}")
    of: dict[str, set[str]] = {}
    for id, name in group.items():
        of.setdefault(animal[id], set()).add(name)
    several = [one for one, found in of.items() if len(found) > 1]
    if several:
        whole = [one for one in of if len(of[one]) == len(names)]
        if len(whole) < max(_FEWEST_ANIMALS, len(of) / 2):
            raise InputError(
                f"{path}: animal {several[0]!r} is in several groups of {factor} ({sorted(of[several[0]])}), but most "
                f"animals are not in all of {list(names)}; put every animal in exactly one group, or every animal in "
                "all groups"
            )
        if partial := [one for one in of if one not in whole]:
            notes = [*notes, f"{counted(len(partial), 'animal')} not in every group: left out ({quoted(partial)})"]
        group = {id: name for id, name in group.items() if animal[id] in whole}
        animal = {id: one for id, one in animal.items() if id in group}
    found = Groups(factor=factor, names=names, group=group, animal=animal, within=bool(several), notes=tuple(notes))
    for name, animals in found.animals.items():
        if len(animals) < _FEWEST_ANIMALS:
            raise InputError(
                f"{path}: group {name!r} of {factor} has {counted(len(animals), 'animal')} ({animals[0]!r}); a "
                "comparison needs at least two in each group, because one animal shows no variation between animals"
            )
    return found


MEASURES: Mapping[str, str] = {
    "share": "share of frames",
    "bouts_per_minute": "bouts per minute",
    "median_bout_s": "median bout length in s",
}
_FEWEST_BOUTS = 3


@dataclass(frozen=True, kw_only=True)
class ProfilesConfig:
    """Settings of the comparison.

    Parameters
    ----------
    level : the false discovery rate up to which a difference counts as found.
    permutations : maximum number of arrangements of animals; above it, a random sample of this size.
    resamples : resamples of the bootstrap over animals.
    seed : seed of both.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    level: float = 0.05
    permutations: int = 10_000
    resamples: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InputError(f"`level` must be between 0 and 1, got {self.level}")
        for name, value in (("permutations", self.permutations), ("resamples", self.resamples)):
            if value < 100:
                raise InputError(f"`{name}` must be 100 or more, got {value}")


@dataclass(frozen=True, kw_only=True)
class GroupMean:
    """Mean and standard deviation of a group over `animals` animals; None = undefined."""

    mean: float | None
    std: float | None
    animals: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparison of two groups in one measure of one cluster; `difference` is second minus first. None = undefined.

    Parameters
    ----------
    low, high : the 95 % bootstrap interval of the difference, over animals.
    hedges_g, cliffs_delta, delta_low, delta_high : see `ssl_behavior.clusters.group_statistics.Effects`.
    p, q : p value of the permutation test, and q value over all clusters and pairs of groups.
    found : q is at most the level (with more than two groups, that of the overall test, too).
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
    """Test of any difference between more than two groups, in one measure of one cluster."""

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
    groups : the compared groups.
    config : settings of the comparison.
    num_clusters : number of clusters.
    cells : (group, animal) of each row of `values`.
    values : measure -> float64 [cell, cluster]; NaN = unknown.
    comparisons : comparisons of every measure, pair of groups and cluster.
    overall : tests of more than two groups; empty for two.
    exact : True if all arrangements of the animals were tested; `arrangements` is their number.
    notes : remarks for the reader, a sentence each.
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

    With more than two groups a difference between two of them counts as found only where the overall test finds one.
    """
    config = config or ProfilesConfig()
    cells = tuple((name, animal) for name, animals in groups.animals.items() for animal in animals)
    values = _cell_values(clusters, groups, cells)
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


def _cell_values(clusters: FrameClusters, groups: Groups, cells: Sequence[tuple[str, str]]) -> dict[str, np.ndarray]:
    """Values of every measure, float64 [cell, cluster]."""
    number, table = clusters.num_clusters, clusters.table
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
    at = cell[kept] * number + table.label[kept]
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


def _design(groups: Groups, cells: Sequence[tuple[str, str]]) -> GroupDesign:
    animals = list(dict.fromkeys(animal for _, animal in cells))
    return GroupDesign(
        group=np.array([groups.names.index(name) for name, _ in cells]),
        animal=np.array([animals.index(animal) for _, animal in cells]),
        num_groups=len(groups.names),
        within=groups.within,
    )


def _overall(
    design: GroupDesign, values: np.ndarray, among: Arrangements, measure: str, config: ProfilesConfig
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
    design: GroupDesign,
    values: np.ndarray,
    names: Sequence[str],
    measure: str,
    config: ProfilesConfig,
    differ: set[int],
) -> list[Comparison]:
    """Comparisons of all pairs of groups in one measure; `differ`: clusters that differ in the overall test."""
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
    design: GroupDesign, values: np.ndarray, pair: tuple[int, int], config: ProfilesConfig
) -> tuple[np.ndarray, Effects]:
    """p values and effect sizes of two groups."""
    two, kept = design.pair(*pair)
    among = arrangements(two, config.permutations, config.seed)
    p = permutation_p(two, values[kept], among)
    return p, effects(two, values[kept], config.resamples, seed=config.seed)


def _means(values: np.ndarray) -> list[GroupMean]:
    """Means of a group's values [animal, cluster], cluster by cluster."""
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
    design: GroupDesign, names: Sequence[str], num_clusters: int, among: Arrangements, config: ProfilesConfig
) -> list[str]:
    """Notes on the differences that these numbers of animals and arrangements can find, overall and in pairs."""
    notes = _limits(design, num_clusters, f"{num_clusters} clusters", among, config)
    if len(names) == 2 or minimum_p(design, among) > config.level:
        return notes
    pairs = list(combinations(range(len(names)), 2))
    hopeless, tests = [], num_clusters * len(pairs)
    for first, second in pairs:
        two, _ = design.pair(first, second)
        among = arrangements(two, config.permutations, config.seed)
        if minimum_p(two, among) > config.level:
            hopeless.append(f"{names[first]} and {names[second]}")
        elif not notes:
            notes = _limits(two, tests, f"{num_clusters} clusters and {len(pairs)} pairs of groups", among, config)
    if hopeless:
        notes.append(
            f"no p value of {', '.join(hopeless)} can be as low as {config.level:g}: the overall test can find a "
            "difference, but the comparison of these groups cannot; record more animals"
        )
    return notes


def _limits(design: GroupDesign, tests: int, which: str, among: Arrangements, config: ProfilesConfig) -> list[str]:
    """Notes on one comparison with `tests` tests, described by `which`."""
    sizes = np.bincount(design.group, minlength=design.num_groups).tolist()
    minimum = minimum_p(design, among)
    animals = f"{' and '.join(str(size) for size in sizes)} animals"
    if minimum > config.level:
        return [
            f"with {animals} no p value can be below {minimum:.2g}: no difference can be found at {config.level:g}, "
            "however large it is; record more animals"
        ]
    if minimum * tests > config.level:
        remedy = "record more animals" if among.exact else "ask for more `permutations`"
        return [
            f"with {animals} no p value can be below {minimum:.2g}: among {which} a single different one "
            f"cannot be found at {config.level:g}, only {int(np.ceil(minimum * tests / config.level))} or more "
            f"together; {remedy}"
        ]
    return []


_ROW_INCHES, _WIDTH_INCHES, _PANEL_INCHES = 0.32, 8.0, 3.6
_MOST_PAIRS = 6


@styled
def draw_shares(profiles: Profiles, path: Path) -> None:
    """Draw a row per cluster, a point per animal, a bar at each group's mean, and a mark on clusters that differ.

    Parameters
    ----------
    path : file; its ending (.png, .svg, .pdf) sets the format.
    """
    figure, (axis,) = _figure(profiles, 1)
    names = profiles.groups.names
    offsets = _offsets(len(names))
    values = 100 * profiles.values["share"]
    groups = np.array([group for group, _ in profiles.cells])
    rows = np.arange(profiles.num_clusters)
    for place, name in enumerate(names):
        color, marker = line_style(place)
        own = values[groups == name]
        heights = rows + offsets[place]
        spread = np.linspace(-0.06, 0.06, len(own))[:, None]
        style = {"color": color, "alpha": 0.65, "linewidth": 0}
        axis.scatter(own.ravel(), (heights + spread).ravel(), s=14, marker=marker, label=literal(name), **style)
        axis.vlines(own.mean(axis=0), heights - 0.12, heights + 0.12, color=color, linewidth=2)
    axis.set_xlabel("share of an animal's frames in %")
    axis.set_xlim(left=0)
    _finish(figure, [axis], profiles)
    save_figure(figure, path)


@styled
def draw_effects(profiles: Profiles, path: Path) -> None:
    """Draw a panel per measure, a row per cluster: differences of means and 95 % intervals; filled = found.

    The figure holds the first six pairs of groups.
    """
    figure, axes = _figure(profiles, len(MEASURES))
    pairs = list(combinations(profiles.groups.names, 2))[:_MOST_PAIRS]
    offsets = _offsets(len(pairs))
    for axis, (measure, words) in zip(axes, MEASURES.items(), strict=True):
        for place, (first, second) in enumerate(pairs):
            own = [
                one
                for one in profiles.comparisons
                if (one.measure, one.first, one.second) == (measure, first, second) and one.difference is not None
            ]
            _draw_pair(axis, own, place, offsets[place], 100.0 if measure == "share" else 1.0)
        axis.axvline(0, color="#888888", linewidth=0.8, zorder=0)
        axis.set_xlabel(words + (" (points of %)" if measure == "share" else ""), fontsize=9)
    _finish(figure, axes, profiles)
    save_figure(figure, path)


def _draw_pair(axis: Any, own: Sequence[Comparison], place: int, offset: float, scale: float) -> None:
    """One pair of groups in one panel."""
    color, marker = line_style(place)
    label = literal(f"{own[0].second} less {own[0].first}") if own else ""
    for one in own:
        assert one.difference is not None and one.low is not None and one.high is not None
        height = one.cluster + offset
        axis.hlines(height, scale * one.low, scale * one.high, color=color, linewidth=1.2)
        face = color if one.found else "white"
        axis.scatter(
            scale * one.difference, height, s=22, marker=marker, facecolor=face, edgecolor=color, zorder=3, label=label
        )
        label = ""


def _figure(profiles: Profiles, panels: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    across = max(1, len(profiles.groups.names) - 1)
    height = 1.6 + profiles.num_clusters * _ROW_INCHES * (1 + 0.25 * (across - 1))
    width = _WIDTH_INCHES if panels == 1 else _PANEL_INCHES * panels
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])


def _offsets(number: int) -> np.ndarray:
    """Vertical offsets of the items of one row."""
    return np.linspace(-0.25, 0.25, number) if number > 1 else np.zeros(1)


def _finish(figure: Any, axes: Sequence[Any], profiles: Profiles) -> None:
    """Add row names (found clusters in bold with a star) and the legend."""
    level = profiles.config.level
    found = {one.cluster for one in profiles.comparisons if one.found and one.measure == "share"}
    axes[0].set_yticks(range(profiles.num_clusters))
    axes[0].set_yticklabels([f"{n} *" if n in found else f"{n}" for n in range(profiles.num_clusters)], fontsize=8)
    for number, label in enumerate(axes[0].get_yticklabels()):
        label.set_fontweight("bold" if number in found else "normal")
    axes[0].set_ylim(profiles.num_clusters - 0.5, -0.5)
    axes[0].set_ylabel("cluster")
    for axis in axes:
        tidy(axis, "x")
        for row in range(1, profiles.num_clusters, 2):
            axis.axhspan(row - 0.5, row + 0.5, color="#f6f6f6", zorder=-1, linewidth=0)
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    if handles:
        figure.legend(
            list(handles.values()), list(handles), loc="outside upper right", ncols=min(len(handles), 4), fontsize=8
        )
    sizes = ", ".join(f"{name} {len(animals)}" for name, animals in profiles.groups.animals.items())
    title = f"{profiles.groups.factor}: {sizes} animals; * = share differs (false discovery rate {level:g})"
    figure.suptitle(literal(title), fontsize=9, x=0.01, ha="left")
