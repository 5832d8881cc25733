import numpy as np
import pytest

from ssl_behavior.clusters.embedding_quality import (
    adjusted_rand_index,
    frame_pairs,
    neighborhood_overlap,
    normalized_mutual_information,
    purity,
    temporal_coherence,
)
from ssl_behavior.embeddings_folder import EmbeddingRow


def points(seed=0, frames=211, dim=7):
    return np.random.default_rng(seed).normal(size=(frames, dim)) * np.arange(1, dim + 1)


ROWS = [
    EmbeddingRow(id="a", offset=0, frames=31, fps=10.0),
    EmbeddingRow(id="b", offset=31, frames=7, fps=10.0),
    EmbeddingRow(id="c", offset=38, frames=53, fps=20.0),
]


def test_pairs_are_a_lag_apart_and_never_leave_their_recording():
    first, later = frame_pairs(ROWS, 1.0, 10_000, 0)
    wanted = [(t, t + 10) for t in range(21)] + [(t, t + 20) for t in range(38, 71)]
    assert list(zip(first, later, strict=True)) == wanted
    some, after = frame_pairs(ROWS, 1.0, 17, 0)
    assert len(some) == 17 and set(zip(some, after, strict=True)) <= set(wanted)
    assert not np.array_equal(some, frame_pairs(ROWS, 1.0, 17, 1)[0])
    assert len(frame_pairs(ROWS, 100.0, 17, 0)[0]) == 0


def test_coherence_is_1_at_rest_and_0_without_order():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(4001, 5))
    assert temporal_coherence(x, x) == 1
    assert temporal_coherence(x, rng.normal(size=(4001, 5))) == pytest.approx(0, abs=0.05)
    walk = x[:-1] + 0.5 * rng.normal(size=(4000, 5))
    # |x - walk|² is .25 of dim, and two independent ones are 1 + 1.25 apart.
    assert temporal_coherence(x[:-1], walk) == pytest.approx(1 - 0.25 / 2.25, abs=0.02)


def slow_overlap(one, other, k, apart):
    shared = 0
    for frame in range(len(one)):
        others = [n for n in range(len(one)) if apart[n] != apart[frame]]
        near = []
        for x in (one, other):
            near.append(sorted(others, key=lambda n, x=x: np.square(x[n] - x[frame]).sum())[:k])
        shared += len(set(near[0]) & set(near[1]))
    return shared / (k * len(one))


@pytest.mark.parametrize("num_recordings", [0, 5])
def test_overlap_is_that_of_sorted_lists(num_recordings):
    one = points(5, 101, 3)
    other = np.concatenate([one[:, :2], points(6, 101, 2)], axis=1)
    apart = np.arange(101) % num_recordings if num_recordings else np.arange(101)
    given = apart if num_recordings else None
    assert neighborhood_overlap(one, other, 7, given) == pytest.approx(slow_overlap(one, other, 7, apart))


def test_overlap_is_1_of_the_same_and_chance_of_another():
    one, other = points(7, 1511, 5), points(8, 1511, 5)
    turned = one @ np.linalg.qr(np.random.default_rng(9).normal(size=(5, 5)))[0] * 3
    assert neighborhood_overlap(one, turned, 11) == pytest.approx(1, abs=1e-3)
    assert neighborhood_overlap(one, other, 11) == pytest.approx(11 / 1510, rel=0.3)


def slow_agreement(a, b):
    """(normalised mutual information, adjusted Rand index, purity) from their definitions, by loops."""
    n, mutual, together = len(a), 0.0, np.zeros(4)
    share = {(x, y): np.mean((a == x) & (b == y)) for x in set(a) for y in set(b)}
    for (x, y), p in share.items():
        mutual += p * np.log(p / (np.mean(a == x) * np.mean(b == y))) if p else 0
    entropy = [-sum(np.mean(z == v) * np.log(np.mean(z == v)) for v in set(z)) for z in (a, b)]
    for i in range(n):
        for j in range(i):
            together += [a[i] == a[j] and b[i] == b[j], a[i] == a[j], b[i] == b[j], 1]
    both, own, other, every = together
    expected = own * other / every
    best = sum(max(np.count_nonzero((b == y) & (a == x)) for x in set(a)) for y in set(b)) / n
    return mutual / np.mean(entropy), (both - expected) / ((own + other) / 2 - expected), best


def test_agreements_are_their_definitions():
    rng = np.random.default_rng(10)
    labels = rng.integers(-1, 4, 97)
    clusters = np.where(rng.random(97) < 0.5, labels, rng.integers(0, 7, 97))
    mutual, rand, pure = slow_agreement(labels, clusters)
    assert normalized_mutual_information(labels, clusters) == pytest.approx(mutual)
    assert adjusted_rand_index(labels, clusters) == pytest.approx(rand)
    assert purity(labels, clusters) == pytest.approx(pure)
    assert purity(labels, np.zeros(97, int)) == pytest.approx(np.unique(labels, return_counts=True)[1].max() / 97)
    for measure in (normalized_mutual_information, adjusted_rand_index, purity):
        assert measure(labels, 7 - labels) == pytest.approx(1)
