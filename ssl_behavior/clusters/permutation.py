"""Tests and effect sizes over animals: permutations of which group they are in, and a bootstrap of who was recorded."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np

from ssl_behavior.seeds import numpy_generator

__all__ = [
    "Arrangements",
    "Effects",
    "GroupDesign",
    "arrangements",
    "benjamini_hochberg",
    "effects",
    "permutation_p",
    "smallest_p",
]  # fmt: skip

_CHUNK = 2048
_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class GroupDesign:
    """Cells whose values are compared.

    Parameters
    ----------
    group : of each cell, int [cell], 0 to `num_groups` - 1.
    animal : of each cell. Between animals each has one cell; within, one for every group.
    within : animals are compared with themselves.
    """

    group: np.ndarray
    animal: np.ndarray
    num_groups: int
    within: bool

    def pair(self, first: int, second: int) -> tuple["GroupDesign", np.ndarray]:
        """The design of two of the groups, and which cells it keeps."""
        kept = np.flatnonzero((self.group == first) | (self.group == second))
        return GroupDesign((self.group[kept] == second).astype(np.int64), self.animal[kept], 2, self.within), kept


@dataclass(frozen=True, eq=False)
class Arrangements:
    """Ways to give cells to groups that are equally probable where groups do not matter.

    Parameters
    ----------
    group : int8 [arrangement, cell]; where `exact`, all there are, the real one among them.
    """

    group: np.ndarray
    exact: bool


def arrangements(design: GroupDesign, most: int = 10_000, seed: int = 0) -> Arrangements:
    """All arrangements of a design if they are at most `most`, else so many drawn by a seed.

    Between animals, all animals exchange their groups; within, each exchanges its own cells. The recordings of an
    animal in a group are one cell, so they stay together.
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
    """Cells that may exchange their groups."""
    if not design.within:
        return [np.arange(len(design.group))]
    return [np.flatnonzero(design.animal == animal) for animal in np.unique(design.animal)]


def _between(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Every way to give sum(sizes) cells to groups of these sizes."""

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
    """Every way in which animals can exchange their own cells."""
    blocks = _exchangeable(design)
    for orders in product(*(permutations(design.group[cells].tolist()) for cells in blocks)):
        group = np.empty(len(design.group), np.int64)
        for cells, order in zip(blocks, orders, strict=True):
            group[cells] = order
        yield group


def smallest_p(design: GroupDesign, among: Arrangements) -> float:
    """The smallest p value that any values can reach: groups of one size may exchange their names and are as far apart.

    >>> smallest_p(design := GroupDesign(np.array([0, 0, 0, 1, 1, 1]), np.arange(6), 2, False), arrangements(design))
    0.1
    """
    if not among.exact:
        return 1 / (len(among.group) + 1)
    sizes = np.bincount(design.group, minlength=design.num_groups)
    alike = [sum(sizes == size) for size in set(sizes.tolist())]
    return float(math.prod(math.factorial(number) for number in alike) / len(among.group))


def permutation_p(design: GroupDesign, values: np.ndarray, among: Arrangements) -> np.ndarray:
    """How probable group means at least as far apart are, if groups do not matter: float64 [measure].

    The statistic is the sum of squares between groups (of two groups: the difference of their means, in either
    direction), of values less the animal's mean where animals are compared with themselves. Drawn arrangements count
    the real one as one more (Phipson and Smyth 2010). NaN for measures known of fewer than two animals in a group.

    Parameters
    ----------
    values : float64 [cell, measure], NaN = not known; within animals, an animal with a NaN is left out of that measure.
    """
    known, values = _prepared(design, values)
    real = _between_squares(design.group[None], values, known, design.num_groups)[0]
    size = _TIE * np.maximum((values**2).sum(axis=0), np.finfo(np.float64).tiny)
    as_far = np.zeros(values.shape[1], np.int64)
    for start in range(0, len(among.group), _CHUNK):
        found = _between_squares(among.group[start : start + _CHUNK], values, known, design.num_groups)
        as_far += (found >= real - size).sum(axis=0)
    extra = 0 if among.exact else 1
    p = (as_far + extra) / (len(among.group) + extra)
    fewest = np.min([known[design.group == group].sum(axis=0) for group in range(design.num_groups)], axis=0)
    return np.where(fewest >= 2, p, np.nan)


def _prepared(design: GroupDesign, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which values are known, and the values with their mean (within: each animal's) taken away, 0 where not known."""
    known = np.isfinite(values)
    for cells in _exchangeable(design) if design.within else []:
        known[cells] &= known[cells].all(axis=0)
    values = np.where(known, values, 0.0)
    for cells in _exchangeable(design):
        mean = values[cells].sum(axis=0) / np.maximum(known[cells].sum(axis=0), 1)
        values[cells] = np.where(known[cells], values[cells] - mean, 0.0)
    return known, values


def _between_squares(group: np.ndarray, values: np.ndarray, known: np.ndarray, num_groups: int) -> np.ndarray:
    """Sum over groups of number x mean^2, of values whose overall mean is 0: float64 [arrangement, measure]."""
    total = np.zeros((len(group), values.shape[1]))
    for number in range(num_groups):
        member = (group == number).astype(np.float64)
        total += (member @ values) ** 2 / np.maximum(member @ known.astype(np.float64), 1.0)
    return total


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """The smallest false discovery rate at which each hypothesis would be rejected, of the shape of `p`; NaN stays.

    Benjamini and Hochberg 1995.

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    flat = p.ravel()
    tested = np.flatnonzero(np.isfinite(flat))
    order = tested[np.argsort(-flat[tested], kind="stable")]
    ranks = np.arange(len(order), 0, -1)
    q = np.full(len(flat), np.nan)
    q[order] = np.minimum.accumulate(flat[order] * len(order) / ranks)
    return q.reshape(p.shape)


@dataclass(frozen=True, eq=False)
class Effects:
    """How far a second group is from a first, arrays [measure]; NaN = cannot be given.

    Parameters
    ----------
    difference, low, high : of means, and its bootstrap interval.
    hedges_g : the difference in pooled standard deviations (within: in those of the animals' differences), corrected
        for small samples (Hedges 1981); NaN where nothing spreads, and of two animals within, whom the correction
        would leave 0 of whatever they differ in.
    cliffs_delta, delta_low, delta_high : share of pairs of animals in which the second is higher less that in which it
        is lower (Cliff 1993), -1 to 1; within: of animals with themselves.
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
    narrow; these reach as far out as Hesterberg's (2015) expanded ones do, by the number of the smaller group.

    Parameters
    ----------
    values : float64 [cell, measure], NaN = not known.
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
    """How often each animal is drawn, float64 [resample, animal]; first as it is."""
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
    """Of differences within animals, [animal, measure]."""
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
    """`size` is that of the values: of equal ones, rounding leaves a spread and a difference that are nothing."""
    if freedom < 2:
        return math.nan
    if spread <= _TIE * size:
        return 0.0 if abs(difference) <= _TIE * size else math.nan
    return difference / spread * (1 - 3 / (4 * freedom - 1))


def _interval(values: np.ndarray, number: int, level: float) -> tuple[float, float]:
    """The expanded percentile interval of means over so many animals."""
    from scipy.special import ndtr, stdtrit

    outside = float(ndtr(math.sqrt(number / (number - 1)) * stdtrit(number - 1, (1 - level) / 2)))
    low, high = np.quantile(values, [outside, 1 - outside])
    return float(low), float(high)
