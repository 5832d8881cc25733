import math
from itertools import permutations, product

import numpy as np
import pytest

from ssl_behavior.clusters.group_statistics import (
    Arrangements,
    GroupDesign,
    arrangements,
    benjamini_hochberg,
    effects,
    minimum_p,
    permutation_p,
)

MEASURES = 5


def between(*sizes):
    group = np.repeat(np.arange(len(sizes)), sizes)
    return GroupDesign(group, np.arange(len(group)), len(sizes), False)


def within(animals, groups):
    return GroupDesign(np.tile(np.arange(groups), animals), np.repeat(np.arange(animals), groups), groups, True)


def values_of(design, seed=0):
    return np.random.default_rng(seed).normal(size=(len(design.group), MEASURES))


def squares(group, values):
    """Between groups, of one measure."""
    known = np.isfinite(values)
    means = {name: values[known & (group == name)].mean() for name in set(group[known])}
    overall = values[known].mean()
    return sum((known & (group == name)).sum() * (mean - overall) ** 2 for name, mean in means.items())


@pytest.mark.parametrize("sizes", [(3, 4), (2, 2, 3)])
def test_between_animals_every_arrangement_is_there_once(sizes):
    design = between(*sizes)
    among = arrangements(design)
    assert among.exact and {tuple(one) for one in among.group.tolist()} == set(permutations(design.group.tolist()))
    assert len(among.group) == len({tuple(one) for one in among.group.tolist()})


def test_within_animals_each_exchanges_its_own_cells():
    among = arrangements(within(3, 3))
    orders = list(permutations(range(3)))
    wanted = {tuple(cell for order in choice for cell in order) for choice in product(orders, repeat=3)}
    assert among.exact and {tuple(one) for one in among.group.tolist()} == wanted and len(among.group) == 6**3


@pytest.mark.parametrize("sizes", [(3, 4), (2, 3, 2)])
def test_exact_p_values_are_shares_of_arrangements(sizes):
    design = between(*sizes)
    values = values_of(design)
    values[1, 3] = np.nan
    found = permutation_p(design, values, arrangements(design))
    every = set(permutations(design.group.tolist()))
    for measure in range(MEASURES):
        if measure == 3 and 2 in sizes:
            continue
        real = squares(design.group, values[:, measure])
        as_far = [squares(np.array(one), values[:, measure]) >= real - 1e-9 for one in every]
        assert found[measure] == pytest.approx(np.mean(as_far))


def test_of_two_groups_it_is_the_difference_of_means_in_either_direction():
    design = between(4, 4)
    values = values_of(design)
    among = arrangements(design)
    found = permutation_p(design, values, among)
    for measure in range(MEASURES):
        gaps = [
            abs(values[one == 1, measure].mean() - values[one == 0, measure].mean()) for one in among.group.astype(int)
        ]
        gap = abs(values[4:, measure].mean() - values[:4, measure].mean())
        assert found[measure] == pytest.approx(np.mean(np.array(gaps) >= gap - 1e-12))


def test_within_animals_signs_are_flipped():
    design = within(6, 2)
    values = values_of(design, 1)
    found = permutation_p(design, values, arrangements(design))
    differences = values[1::2] - values[::2]
    flips = np.array(list(product([1, -1], repeat=6)))
    wanted = (np.abs(flips @ differences) >= np.abs(differences.sum(axis=0)) - 1e-12).mean(axis=0)
    np.testing.assert_allclose(found, wanted)
    # How much animals differ from each other does not matter.
    moved = values + np.repeat(np.arange(6) * 100.0, 2)[:, None]
    np.testing.assert_allclose(permutation_p(design, moved, arrangements(design)), wanted)


def test_drawn_arrangements_come_near_and_are_never_zero():
    design = between(6, 6)
    values = values_of(design)
    values[6:, 0] += 10
    exact = permutation_p(design, values, arrangements(design))
    drawn = arrangements(design, most=900, seed=7)
    assert not drawn.exact and len(drawn.group) == 900
    assert (np.sort(drawn.group, axis=1) == np.sort(design.group)).all()
    found = permutation_p(design, values, drawn)
    np.testing.assert_allclose(found, exact, atol=0.06)
    assert found.min() >= 1 / 901
    np.testing.assert_array_equal(drawn.group, arrangements(design, most=900, seed=7).group)
    assert (drawn.group != arrangements(design, most=900, seed=8).group).any()


def test_drawn_within_animals_stay_within():
    drawn = arrangements(within(11, 2), most=500)
    assert not drawn.exact and (drawn.group.reshape(500, 11, 2).sum(axis=2) == 1).all()


def test_what_cannot_be_tested_is_nan():
    design = between(3, 3)
    values = values_of(design)
    values[:2, 0] = np.nan
    values[:, 1] = 4.2
    found = permutation_p(design, values, arrangements(design))
    assert np.isnan(found[0]) and found[1] == 1
    paired = within(3, 2)
    values = values_of(paired)
    values[[0, 2], 0] = np.nan
    assert np.isnan(permutation_p(paired, values, arrangements(paired))[0])


@pytest.mark.parametrize(
    ("sizes", "minimum"), [((3, 3), 0.1), ((3, 4), 1 / 35), ((2, 2, 2), 6 / 90), ((2, 3, 2), 2 / 210)]
)
def test_the_minimum_p_is_what_the_most_different_groups_reach(sizes, minimum):
    design = between(*sizes)
    among = arrangements(design)
    assert minimum_p(design, among) == pytest.approx(minimum)
    values = (design.group * 1000.0 + np.random.default_rng(0).random(len(design.group)))[:, None]
    assert permutation_p(design, values, among)[0] == pytest.approx(minimum)
    paired = within(5, 2)
    assert minimum_p(paired, arrangements(paired)) == 2 / 32
    assert minimum_p(design, Arrangements(np.zeros((99, 3), np.int8), False)) == 0.01


def test_p_values_are_uniform_where_groups_do_not_matter():
    design = between(5, 5)
    values = np.random.default_rng(3).exponential(size=(10, 2000))
    p = permutation_p(design, values, arrangements(design))
    for level in (0.05, 0.2, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=0.03)


def test_benjamini_hochberg_rejects_what_the_procedure_does():
    generator = np.random.default_rng(0)
    for _ in range(20):
        p = generator.random(13) ** 3
        p[generator.integers(13)] = np.nan
        q = benjamini_hochberg(p)
        known = np.sort(p[np.isfinite(p)])
        for level in (0.01, 0.05, 0.3):
            passing = np.flatnonzero(known <= level * np.arange(1, 13) / 12)
            rejected = known[: passing[-1] + 1] if len(passing) else known[:0]
            assert np.sort(p[q <= level]).tolist() == rejected.tolist()
    assert benjamini_hochberg(p.reshape(13, 1)).shape == (13, 1)


def test_effects_are_their_formulas():
    design = between(5, 7)
    values = values_of(design)
    values[2, 1] = np.nan
    found = effects(design, values)
    for measure in range(MEASURES):
        first, second = (values[design.group == n, measure] for n in (0, 1))
        first = first[np.isfinite(first)]
        difference = second.mean() - first.mean()
        freedom = len(first) + len(second) - 2
        pooled = math.sqrt(((len(first) - 1) * first.var(ddof=1) + (len(second) - 1) * second.var(ddof=1)) / freedom)
        assert found.difference[measure] == pytest.approx(difference)
        assert found.hedges_g[measure] == pytest.approx(difference / pooled * (1 - 3 / (4 * freedom - 1)))
        delta = np.mean([np.sign(b - a) for a in first for b in second])
        assert found.cliffs_delta[measure] == pytest.approx(delta)
        assert found.low[measure] < difference < found.high[measure]
        assert found.delta_low[measure] <= delta <= found.delta_high[measure]


def test_effects_within_animals_are_of_their_differences():
    design = within(7, 2)
    order = np.random.default_rng(1).permutation(14)
    mixed = GroupDesign(design.group[order], design.animal[order], 2, True)
    values = values_of(mixed)
    found = effects(mixed, values)
    sorted_values = values[np.argsort(order)]
    differences = sorted_values[1::2] - sorted_values[::2]
    np.testing.assert_allclose(found.difference, differences.mean(axis=0))
    np.testing.assert_allclose(found.cliffs_delta, np.sign(differences).mean(axis=0))
    g = differences.mean(axis=0) / differences.std(axis=0, ddof=1) * (1 - 3 / 23)
    np.testing.assert_allclose(found.hedges_g, g)


def test_a_group_without_spread_has_effects_still():
    design = between(3, 3)
    values = np.array([0, 0, 0, 1.0, 1.0, 1.0])[:, None] * np.ones(2) * [1, 0]
    found = effects(design, values)
    assert found.difference.tolist() == [1, 0] and np.isnan(found.hedges_g[0]) and found.hedges_g[1] == 0
    assert found.cliffs_delta.tolist() == [1, 0] and (found.low[0], found.high[0]) == (1, 1)


@pytest.mark.parametrize("value", [0.7, 0.1])
def test_of_equal_values_rounding_is_no_effect(value):
    values = np.full((7, 1), value)
    assert np.ptp([values[:3].mean(), values[3:].mean()]) > 0
    assert effects(between(3, 4), values).hedges_g.tolist() == [0]


def test_two_animals_within_have_no_standardized_effect():
    found = effects(
        GroupDesign(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), 2, True), np.array([[1.0], [5], [1], [5.1]])
    )
    assert np.isnan(found.hedges_g[0]) and found.difference[0] == pytest.approx(4.05)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(5)
    design = between(6, 6)
    found = effects(design, generator.normal(size=(12, 400)) + design.group[:, None] * 0.7, resamples=400)
    assert 0.91 < ((found.low <= 0.7) & (found.high >= 0.7)).mean() < 0.99
