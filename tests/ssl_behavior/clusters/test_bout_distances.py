import numpy as np
import pytest

from ssl_behavior.bouts import BoutTable
from ssl_behavior.clusters import FrameClusters
from ssl_behavior.clusters.bout_distances import medoid_bouts, place_bouts

DIM = 7


@pytest.fixture
def points(clusters):
    generator = np.random.default_rng(3)
    centers = generator.normal(size=(5, DIM)) * 2
    return (centers[clusters.labels] + generator.normal(size=(len(clusters.labels), DIM))).astype(np.float32)


def blocks_of(points, size):
    return [(slice(s, min(s + size, len(points))), points[s : s + size]) for s in range(0, len(points), size)]


def unit(values):
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


@pytest.mark.parametrize("size", [1, 13, 1000])
@pytest.mark.parametrize("spherical", [False, True])
def test_distances_and_separations_whatever_the_blocks(clusters, points, size, spherical):
    centroids = np.random.default_rng(4).normal(size=(5, DIM))
    if spherical:
        points, centroids = unit(points), unit(centroids)
    found, table = place_bouts(blocks_of(points, size), clusters, centroids, spherical), clusters.table
    pooled = np.stack([points[f : f + n].mean(axis=0) for f, n in zip(table.first, table.frames, strict=True)])
    pooled = unit(pooled) if spherical else pooled
    wanted = np.linalg.norm(pooled - centroids[table.label], axis=1)
    np.testing.assert_allclose(found.distance, wanted, rtol=1e-4, atol=1e-5)
    for cluster in range(4):
        silhouettes = []
        for point in points[clusters.labels == cluster]:
            far = np.linalg.norm(centroids - point, axis=1)
            own, other = far[cluster], np.delete(far, cluster).min()
            silhouettes.append((other - own) / max(own, other))
        assert found.separation[cluster] == pytest.approx(np.mean(silhouettes), abs=1e-4)
    assert np.isnan(found.separation[4])


def test_a_single_cluster_stands_apart_from_nothing(clusters, points):
    one = FrameClusters(clusters.rows, np.zeros_like(clusters.labels), 1)
    found = place_bouts(blocks_of(points, 50), one, np.zeros((1, DIM)))
    assert np.isnan(found.separation).all() and np.isfinite(found.distance).all()


def table_of(recording, seconds, cluster):
    start = np.zeros(len(recording), np.int64)
    return BoutTable(np.array(recording), start, np.array(seconds), np.array(cluster), np.zeros(3), np.ones(3))


def test_medoids_are_near_long_enough_and_of_several_recordings():
    table = table_of([0, 0, 0, 1, 2, 2, 1], [2, 2, 3, 2, 1, 2, 9], [0, 0, 0, 0, 0, 0, 1])
    distance = np.array([0.1, 0.2, 0.3, 0.6, 0.0, 0.5, 0.0])
    # Bout 4 is shorter than the median, bout 6 of another cluster; one of each recording comes before a second.
    assert medoid_bouts(table, distance, 0, 3).tolist() == [0, 5, 3]
    assert medoid_bouts(table, distance, 0, 4).tolist() == [0, 1, 5, 3]
    assert medoid_bouts(table, distance, 1, 4).tolist() == [6]
    assert not len(medoid_bouts(table, distance, 2, 4))
