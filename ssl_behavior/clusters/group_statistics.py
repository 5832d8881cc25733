"""Tests and effect sizes over animals: permutations of group labels, and a bootstrap over animals."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np
from scipy.special import ndtr, stdtrit
from scipy.stats import false_discovery_control

from ssl_behavior.seeds import numpy_generator

__all__ = [
    "Arrangements",
    "Effects",
    "GroupDesign",
    "arrangements",
    "benjamini_hochberg",
    "effects",
    "minimum_p",
    "permutation_p",
]  # fmt: skip

_CHUNK = 2048
_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class GroupDesign:
    """Cells (an animal in a group) whose values are compared.

    Parameters
    ----------
    group : group of each cell, int [cell], 0 to `num_groups` - 1.
    animal : animal of each cell. Between animals, each animal has one cell; within, one for every group.
    within : every animal is compared with itself.
    """

    group: np.ndarray
    animal: np.ndarray
    num_groups: int
    within: bool

    def pair(self, first: int, second: int) -> tuple["GroupDesign", np.ndarray]:
        """The design of two of the groups, and the cells that it keeps."""
        kept = np.flatnonzero((self.group == first) | (self.group == second))
        return GroupDesign((self.group[kept] == second).astype(np.int64), self.animal[kept], 2, self.within), kept


@dataclass(frozen=True, eq=False)
class Arrangements:
    """Assignments of cells to groups that are equally probable under the null hypothesis.

    Parameters
    ----------
    group : int8 [arrangement, cell]; where `exact`, all arrangements, including the observed one.
    """

    group: np.ndarray
    exact: bool


def arrangements(design: GroupDesign, most: int = 10_000, seed: int = 0) -> Arrangements:
    """All arrangements of a design if there are at most `most`, else `most` random ones.

    Between animals, all animals exchange their groups; within, each animal exchanges its own cells. The recordings of
    an animal in a group are one cell, so they stay together.
    """
    if _number(design) <= most:
        sizes = np.bincount(design.group, minlength=design.num_groups).tolist()
        every = _within(design) if design.within else _between(sizes)
        return Arrangements(np.array(list(every), np.int8), exact=True)
    generator = numpy_generator(seed, "permutations")
    drawn = np.tile(design.group.astype(np.int8), (most, 1))
    for cells in _exchangeable(design):
        drawn[:, cells] = generator.permuted(drawn[:, cells], axis=1)
    return Arrangements(drawn, exact=False)


def _number(design: GroupDesign) -> int:
    if design.within:
        return math.factorial(design.num_groups) ** len(np.unique(design.animal))
    number = math.factorial(len(design.group))
    for size in np.bincount(design.group).tolist():
        number //= math.factorial(size)
    return number


def _exchangeable(design: GroupDesign) -> list[np.ndarray]:
    """Blocks of cells that may exchange their groups."""
    if not design.within:
        return [np.arange(len(design.group))]
    return [np.flatnonzero(design.animal == animal) for animal in np.unique(design.animal)]


def _between(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Every assignment of sum(sizes) cells to groups of these sizes."""

    def fill(left: tuple[int, ...], group: int, so_far: list[int]) -> Iterator[list[int]]:
        if group == len(sizes) - 1:
            yield [group if value < 0 else value for value in so_far]
            return
        for chosen in combinations(left, int(sizes[group])):
            filled = so_far.copy()
            for cell in chosen:
                filled[cell] = group
            yield from fill(tuple(cell for cell in left if cell not in chosen), group + 1, filled)

    total = int(sum(sizes))
    return fill(tuple(range(total)), 0, [-1] * total)


def _within(design: GroupDesign) -> Iterator[np.ndarray]:
    """Every assignment in which animals exchange their own cells."""
    blocks = _exchangeable(design)
    for orders in product(*(permutations(design.group[cells].tolist()) for cells in blocks)):
        group = np.empty(len(design.group), np.int64)
        for cells, order in zip(blocks, orders, strict=True):
            group[cells] = order
        yield group


def minimum_p(design: GroupDesign, among: Arrangements) -> float:
    """The lowest p value that any data can reach: exchanging the names of equally large groups keeps the statistic.

    >>> minimum_p(design := GroupDesign(np.array([0, 0, 0, 1, 1, 1]), np.arange(6), 2, False), arrangements(design))
    0.1
    """
    if not among.exact:
        return 1 / (len(among.group) + 1)
    sizes = np.bincount(design.group, minlength=design.num_groups)
    equal = [sum(sizes == size) for size in set(sizes.tolist())]
    return float(math.prod(math.factorial(number) for number in equal) / len(among.group))


def permutation_p(design: GroupDesign, values: np.ndarray, among: Arrangements) -> np.ndarray:
    """p values of a permutation test of equal group means, float64 [measure].

    The statistic is the sum of squares between groups (of two groups: a two-sided test of the difference of means), of
    values minus the animal's mean where animals are compared with themselves. Random arrangements count the observed
    one in addition (Phipson and Smyth 2010). NaN for measures known for fewer than two animals in a group.

    Parameters
    ----------
    values : float64 [cell, measure], NaN = unknown; within animals, a measure leaves out animals with a NaN.
    """
    known, values = _prepared(design, values)
    observed = _between_squares(design.group[None], values, known, design.num_groups)[0]
    tolerance = _TIE * np.maximum((values**2).sum(axis=0), np.finfo(np.float64).tiny)
    at_least = np.zeros(values.shape[1], np.int64)
    for start in range(0, len(among.group), _CHUNK):
        found = _between_squares(among.group[start : start + _CHUNK], values, known, design.num_groups)
        at_least += (found >= observed - tolerance).sum(axis=0)
    extra = 0 if among.exact else 1
    p = (at_least + extra) / (len(among.group) + extra)
    fewest = np.min([known[design.group == group].sum(axis=0) for group in range(design.num_groups)], axis=0)
    return np.where(fewest >= 2, p, np.nan)


def _prepared(design: GroupDesign, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mask of known values, and the values minus their mean (within: minus each animal's mean), 0 where unknown."""
    known = np.isfinite(values)
    for cells in _exchangeable(design) if design.within else []:
        known[cells] &= known[cells].all(axis=0)
    values = np.where(known, values, 0.0)
    for cells in _exchangeable(design):
        mean = values[cells].sum(axis=0) / np.maximum(known[cells].sum(axis=0), 1)
        values[cells] = np.where(known[cells], values[cells] - mean, 0.0)
    return known, values


def _between_squares(group: np.ndarray, values: np.ndarray, known: np.ndarray, num_groups: int) -> np.ndarray:
    """Sum over groups of count x mean², of values whose overall mean is 0: float64 [arrangement, measure]."""
    total = np.zeros((len(group), values.shape[1]))
    for number in range(num_groups):
        member = (group == number).astype(np.float64)
        total += (member @ values) ** 2 / np.maximum(member @ known.astype(np.float64), 1.0)
    return total


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """The lowest false discovery rate at which each hypothesis would be rejected, of the shape of `p`; NaN stays.

    Benjamini and Hochberg 1995, by scipy, over all values that are not NaN.

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    q = np.full(p.shape, np.nan)
    tested = np.isfinite(p)
    if tested.any():
        q[tested] = false_discovery_control(p[tested])
    return q


@dataclass(frozen=True, eq=False)
class Effects:
    """Effect sizes of a second group against a first, arrays [measure]; NaN = undefined.

    Parameters
    ----------
    difference, low, high : difference of means and its bootstrap interval.
    hedges_g : the difference in pooled standard deviations (within: in standard deviations of the animals'
        differences), corrected for small samples (Hedges 1981); NaN without variance, and for two animals within, for
        which the correction is 0.
    cliffs_delta, delta_low, delta_high : share of pairs of animals in which the second is higher, minus the share in
        which it is lower (Cliff 1993), -1 to 1; within: over the animals' own pairs.
    """

    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    hedges_g: np.ndarray
    cliffs_delta: np.ndarray
    delta_low: np.ndarray
    delta_high: np.ndarray


def effects(
    design: GroupDesign, values: np.ndarray, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Effects:
    """Effect sizes of two groups, measure by measure, with percentile bootstrap intervals over animals.

    Animals are drawn within their group (within: with all their cells). Percentile intervals of few animals are too
    narrow; these are expanded as by Hesterberg (2015), by the number of animals in the smaller group.

    Parameters
    ----------
    values : float64 [cell, measure], NaN = unknown.
    """
    generator = numpy_generator(seed, "bootstrap over animals")
    first, second = (values[design.group == group] for group in (0, 1))
    if design.within:
        order = [np.argsort(design.animal[design.group == group]) for group in (0, 1)]
        return _paired(second[order[1]] - first[order[0]], resamples, level, generator)
    counts = [_counts(len(part), resamples, generator) for part in (first, second)]
    columns = [_unpaired(first[:, n], second[:, n], counts, level) for n in range(values.shape[1])]
    return Effects(*np.array(columns).reshape(-1, 7).T)


def _counts(number: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Draws of each animal in each resample, float64 [resample, animal]."""
    drawn = generator.multinomial(number, np.full(number, 1 / number), size=resamples)
    return drawn.astype(np.float64)


def _unpaired(first: np.ndarray, second: np.ndarray, counts: Sequence[np.ndarray], level: float) -> tuple[float, ...]:
    known = [np.isfinite(part) for part in (first, second)]
    a, b = first[known[0]], second[known[1]]
    if min(len(a), len(b)) < 2:
        return (math.nan,) * 7
    drawn = [one[:, which] for one, which in zip(counts, known, strict=True)]
    sizes = [one.sum(axis=1) for one in drawn]
    usable = (sizes[0] > 0) & (sizes[1] > 0)
    in_first, in_second = (one[usable] for one in drawn)
    of_first, of_second = (one[usable] for one in sizes)
    means = in_second @ b / of_second - in_first @ a / of_first
    above = np.sign(b[:, None] - a[None, :])
    deltas = ((in_second @ above) * in_first).sum(axis=1) / (of_first * of_second)
    freedom = len(a) + len(b) - 2
    spread = math.sqrt((((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / freedom)
    bounds = _interval(means, min(len(a), len(b)), level), _interval(deltas, min(len(a), len(b)), level)
    difference = float(b.mean() - a.mean())
    g = _hedges(difference, spread, freedom, float(np.abs([*a, *b]).max()))
    return (difference, *bounds[0], g, float(above.mean()), *bounds[1])


def _paired(differences: np.ndarray, resamples: int, level: float, generator: np.random.Generator) -> Effects:
    """Effects of differences within animals, [animal, measure]."""
    counts = _counts(len(differences), resamples, generator)
    columns = []
    for column in differences.T:
        known = np.isfinite(column)
        own, drawn = column[known], counts[:, known]
        if len(own) < 2:
            columns.append((math.nan,) * 7)
            continue
        sizes = drawn.sum(axis=1)
        drawn, sizes = drawn[sizes > 0], sizes[sizes > 0]
        means, deltas = (drawn @ part / sizes for part in (own, np.sign(own)))
        bounds = _interval(means, len(own), level), _interval(deltas, len(own), level)
        g = _hedges(float(own.mean()), float(own.std(ddof=1)), len(own) - 1, float(np.abs(own).max()))
        columns.append((float(own.mean()), *bounds[0], g, float(np.sign(own).mean()), *bounds[1]))
    return Effects(*np.array(columns).reshape(-1, 7).T)


def _hedges(difference: float, spread: float, freedom: int, size: float) -> float:
    """Hedges' g; `size`, the greatest absolute value, decides which spread and difference are rounding errors."""
    if freedom < 2:
        return math.nan
    if spread <= _TIE * size:
        return 0.0 if abs(difference) <= _TIE * size else math.nan
    return difference / spread * (1 - 3 / (4 * freedom - 1))


def _interval(values: np.ndarray, number: int, level: float) -> tuple[float, float]:
    """Expanded percentile interval of means over `number` animals."""
    outside = float(ndtr(math.sqrt(number / (number - 1)) * stdtrit(number - 1, (1 - level) / 2)))
    low, high = np.quantile(values, [outside, 1 - outside])
    return float(low), float(high)
