import numpy as np
import pytest

from ssl_behavior.clusters.algorithms import KMeansConfig, KMeansModel, fit_centroids, nearest
from ssl_behavior.errors import InputError


def squared(points, centroids):
    return np.square(points[:, None].astype(float) - centroids[None].astype(float)).sum(axis=-1)


def test_nearest_is_the_smallest_distance_and_the_first_of_equals():
    rng = np.random.default_rng(0)
    points, centroids = rng.normal(size=(1009, 5)).astype(np.float32), rng.normal(size=(13, 5)).astype(np.float32)
    np.testing.assert_array_equal(nearest(points, centroids), squared(points, centroids).argmin(axis=1))
    assert (nearest(points, np.repeat(centroids[:1], 3, axis=0)) == 0).all()


def test_places_are_found_and_each_start_is_of_its_own(states):
    state, points = states(3001, num_states=11)
    told = []
    centroids = fit_centroids(points, KMeansConfig(clusters=11), seed=0, progress=lambda *calls: told.append(calls))
    own = nearest(points, centroids)
    assert len(set(zip(own, state, strict=True))) == 11 and told == [("k-means", done, 3) for done in (0, 1, 1, 1)]
    again = fit_centroids(points, KMeansConfig(clusters=11), seed=0)
    np.testing.assert_array_equal(again, centroids)


def test_the_best_of_several_starts_is_kept():
    points = np.random.default_rng(1).normal(size=(701, 3)).astype(np.float32)

    def error(n_init, seed):
        centroids = fit_centroids(points, KMeansConfig(clusters=17, n_init=n_init, iterations=5), seed=seed)
        return squared(points, centroids).min(axis=1).sum()

    ones, fives = [error(1, seed) for seed in range(6)], [error(5, seed) for seed in range(6)]
    assert np.mean(fives) < np.mean(ones) and all(five <= one + 1e-3 for five, one in zip(fives, ones, strict=True))


def test_on_the_sphere_centroids_have_length_1_and_the_best_is_kept():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(601, 5)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)

    def cosine(n_init):
        centroids = fit_centroids(points, KMeansConfig(clusters=7, n_init=n_init, iterations=4), True, seed=3)
        np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)
        own = nearest(points, centroids)
        np.testing.assert_array_equal(own, (points @ centroids.T).argmax(axis=1))
        return (points * centroids[own]).sum()

    assert cosine(7) >= cosine(1)


def test_every_centroid_has_a_frame_and_more_than_there_are_cannot_be():
    points = np.repeat(np.random.default_rng(3).normal(size=(5, 3)), 40, axis=0).astype(np.float32)
    assert len(set(nearest(points, fit_centroids(points, KMeansConfig(clusters=5))))) == 5
    with pytest.raises(InputError, match="cannot fit 6 clusters: only 5 frames of the sample are distinct"):
        fit_centroids(points, KMeansConfig(clusters=6))
    with pytest.raises(InputError, match="cannot fit 201 clusters to 200 frames"):
        fit_centroids(points, KMeansConfig(clusters=201))
    few = np.random.default_rng(4).normal(size=(23, 2)).astype(np.float32)
    for k in (19, 23):
        assert len(set(nearest(few, fit_centroids(few, KMeansConfig(clusters=k))))) == k


def model(num_clusters=3, seed=5):
    rng = np.random.default_rng(seed)
    sizes = np.sort(rng.integers(1, 99, 13))[::-1].copy()
    return KMeansModel.of(rng.normal(size=(13, 5)).astype(np.float32), sizes, num_clusters)


def test_clusters_are_numbered_by_their_frames_and_centers_are_their_means():
    fitted = model()
    frames = np.bincount(fitted.cluster_of, weights=fitted.sizes)
    assert (np.diff(frames) <= 0).all() and len(frames) == 3
    for cluster in range(3):
        own = fitted.cluster_of == cluster
        mean = (fitted.centroids[own] * fitted.sizes[own, None]).sum(axis=0) / fitted.sizes[own].sum()
        np.testing.assert_allclose(fitted.centers[cluster], mean, atol=1e-5)
    assert fitted.cut(13).cluster_of.tolist() == list(range(13))


def test_labels_are_the_clusters_of_the_nearest_centroids():
    fitted = model(4)
    points = np.random.default_rng(6).normal(size=(101, 5)).astype(np.float32)
    distances = squared(points, fitted.centroids)
    of_cluster = np.stack([distances[:, fitted.cluster_of == cluster].min(axis=1) for cluster in range(4)], axis=1)
    np.testing.assert_array_equal(of_cluster.argmin(axis=1), fitted.clusters(fitted.predict(points)))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"clusters": 0}, "`clusters` must be 1 or more"),
        ({"n_init": 0}, "`n_init` must be 1 or more"),
        ({"clusters": 50, "sample": 49}, "`sample` must be at least the number of clusters, 50, got 49"),
    ],
)
def test_nonsense_is_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        KMeansConfig(**wrong)
