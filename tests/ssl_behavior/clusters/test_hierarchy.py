import numpy as np
import pytest
from scipy.cluster.hierarchy import dendrogram, fcluster, linkage

from ssl_behavior.clusters.algorithms import cut, ward
from ssl_behavior.errors import InputError


def slow_ward(points, weights):
    """Try every pair, every time: (members, members, cost) of each join."""
    parts = [[n] for n in range(len(points))]

    def squares(members):
        own, w = points[members], weights[members]
        mean = (own * w[:, None]).sum(axis=0) / w.sum()
        return (w * np.square(own - mean).sum(axis=1)).sum()

    joins = []
    while len(parts) > 1:
        pairs = [(a, b) for a in range(len(parts)) for b in range(a)]
        costs = [squares(parts[a] + parts[b]) - squares(parts[a]) - squares(parts[b]) for a, b in pairs]
        a, b = pairs[int(np.argmin(costs))]
        joins.append((set(parts[a]), set(parts[b]), min(costs)))
        parts = [part for n, part in enumerate(parts) if n not in (a, b)] + [parts[a] + parts[b]]
    return joins


def members(joined):
    sets = [{n} for n in range(len(joined) + 1)]
    for low, high, _, _ in joined:
        sets.append(sets[int(low)] | sets[int(high)])
    return sets


@pytest.mark.parametrize("seed", range(5))
def test_weighted_joins_are_those_of_trying_every_pair(seed):
    rng = np.random.default_rng(seed)
    points, weights = rng.normal(size=(13, 3)), rng.integers(1, 50, 13)
    joined, sets = ward(points, weights), None
    sets = members(joined)
    for (low, high, height, size), (one, other, cost) in zip(joined, slow_ward(points, weights), strict=True):
        assert {frozenset(sets[int(low)]), frozenset(sets[int(high)])} == {frozenset(one), frozenset(other)}
        assert height == pytest.approx(np.sqrt(2 * cost)) and size == weights[list(one | other)].sum()


def test_points_of_weight_1_are_scipys():
    points = np.random.default_rng(3).normal(size=(29, 5))
    ours, scipys = ward(points, np.ones(29)), linkage(points, "ward")
    np.testing.assert_allclose(ours, scipys, atol=1e-9)
    for k in (2, 7, 11):
        theirs = fcluster(scipys, k, "maxclust")
        assert len(set(zip(cut(ours, k), theirs, strict=True))) == k
    assert len(dendrogram(ours, no_plot=True)["leaves"]) == 29, "scipy draws it"


def test_a_weight_is_so_many_points_in_one_place():
    rng = np.random.default_rng(4)
    points, weights = rng.normal(size=(11, 2)), rng.integers(1, 9, 11)
    scipys = linkage(np.repeat(points, weights, axis=0), "ward")[-10:]
    np.testing.assert_allclose(ward(points, weights)[:, 2], scipys[:, 2], atol=1e-7)
    assert not np.allclose(ward(points, np.ones(11))[:, 2], scipys[:, 2])


def test_cuts_are_nested_and_of_every_number():
    rng = np.random.default_rng(5)
    joined = ward(rng.normal(size=(17, 3)), rng.integers(1, 9, 17))
    before = cut(joined, 17)
    np.testing.assert_array_equal(before, np.arange(17))
    for k in range(16, 0, -1):
        now = cut(joined, k)
        assert now.dtype == np.int32 and sorted(set(now.tolist())) == list(range(k))
        assert len(set(zip(before, now, strict=True))) == k + 1, "one pair is joined, the rest stay as they are"
        before = now
    for k in (0, 18):
        with pytest.raises(InputError, match=f"a hierarchy of 17 centroids cannot be cut into {k} clusters"):
            cut(joined, k)


def test_a_single_centroid_has_a_hierarchy():
    assert ward(np.zeros((1, 3)), np.ones(1)).shape == (0, 4) and cut(np.empty((0, 4)), 1).tolist() == [0]
