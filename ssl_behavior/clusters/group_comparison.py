"""Cluster use compared between groups of animals: tests, effect sizes and figures.

Every animal (in each group, where it was recorded in all) has three numbers per cluster: the share of its frames, bouts
per minute, and the median length of its bouts. The unit is the animal, never the recording or the frame: recordings of
one animal are pooled. p values come from permutations of the animals' groups, q values from Benjamini and Hochberg over
all clusters (and pairs of groups), separately for each of the three numbers.

Figures show every animal's share of every cluster, and the differences between groups; every group has its own color
and marker (`ssl_behavior.plots.style`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
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
from ssl_behavior.clusters.groups import Groups
from ssl_behavior.errors import InputError
from ssl_behavior.plots.style import axes_for, legend_beside, line_style, literal, save_figure, styled, tidy
from ssl_behavior.reprs import Described, data_frame
from ssl_behavior.terminal import counted, listed

__all__ = [
    "MEASURES",
    "Comparison",
    "GroupMean",
    "OverallTest",
    "Profiles",
    "ProfilesConfig",
    "compare_profiles",
    "draw_effects",
    "draw_shares",
]


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

    def to_row(self) -> dict[str, Any]:
        """Row of a table, with columns for means and numbers of animals of both groups."""
        row = asdict(self)
        for name in ("first", "second"):
            row |= {f"{key}_{name}": value for key, value in row.pop(f"of_{name}").items()}
        return row


@dataclass(frozen=True, kw_only=True)
class OverallTest:
    """Test of any difference between more than two groups, in one measure of one cluster."""

    cluster: int
    measure: str
    p: float | None
    q: float | None
    found: bool


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Profiles(Described):
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

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per measure, pair of groups and cluster: means, difference and its interval,
        effect size, p and q value, and whether a difference was found.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        rows = [one.to_row() for one in self.comparisons]
        return data_frame({name: [row[name] for row in rows] for name in rows[0]})

    def plot(self, *, title: str = "", ax: Any = None) -> Any:
        """Draw the share of every cluster: a point per animal, a bar at each group's mean, a star at differences.

        Parameters
        ----------
        ax : axes to draw on; None = a new figure.

        Returns
        -------
        The axes.

        Raises
        ------
        InputError
            If matplotlib is not installed, or `ax` is no axes.
        """
        return _plot_shares(self, title, ax)

    def _headline(self) -> str:
        found = sum(one.found for one in self.comparisons)
        return (
            f"Comparison by {self.groups.factor!r}: {counted(found, 'difference')} found in "
            f"{counted(len(self.comparisons), 'test')}, {self.num_clusters} clusters"
        )

    def _facts(self) -> list[tuple[str, str]]:
        sizes = [f"{name} ({counted(len(animals), 'animal')})" for name, animals in self.groups.animals.items()]
        which = "all" if self.exact else "a sample of"
        tested = (
            f"{which} {self.arrangements:,} arrangements of the animals, false discovery rate {self.config.level:g}"
        )
        return [("groups", listed(sizes, 8)), ("test", tested), *(("note", note) for note in self.notes)]

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
    _draw_shares(axis, profiles)
    _finish(figure, [axis], profiles)
    save_figure(figure, path)


@styled
def _plot_shares(profiles: Profiles, title: str, ax: Any) -> Any:
    ax = axes_for(ax, _WIDTH_INCHES, _height(profiles))
    _draw_shares(ax, profiles)
    _name_rows([ax], profiles)
    legend_beside(ax, ax.get_legend_handles_labels()[0], literal(profiles.groups.factor))
    if title:
        ax.set_title(literal(title))
    return ax


def _draw_shares(axis: Any, profiles: Profiles) -> None:
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

    height = _height(profiles)
    width = _WIDTH_INCHES if panels == 1 else _PANEL_INCHES * panels
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])


def _height(profiles: Profiles) -> float:
    across = max(1, len(profiles.groups.names) - 1)
    return 1.6 + profiles.num_clusters * _ROW_INCHES * (1 + 0.25 * (across - 1))


def _offsets(number: int) -> np.ndarray:
    """Vertical offsets of the items of one row."""
    return np.linspace(-0.25, 0.25, number) if number > 1 else np.zeros(1)


def _name_rows(axes: Sequence[Any], profiles: Profiles) -> None:
    """Add the numbers of clusters; those whose share differs are bold, with a star."""
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


def _finish(figure: Any, axes: Sequence[Any], profiles: Profiles) -> None:
    """Add row names, a legend and a title."""
    level = profiles.config.level
    _name_rows(axes, profiles)
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
