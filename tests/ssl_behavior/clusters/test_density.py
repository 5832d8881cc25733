import numpy as np
import pytest

from ssl_behavior.clusters.algorithms import DensityConfig, fit_density
from ssl_behavior.errors import InputError

CONFIG = DensityConfig(sample=1000, min_cluster_size=20)


@pytest.fixture(scope="module")
def sample(states):
    state, points = states(701, num_states=3, dim=2, stay=0.5)
    noise = np.random.default_rng(0).uniform(-40, 40, (60, 2)).astype(np.float32)
    return np.concatenate([state, np.full(60, -1)]), np.concatenate([points, noise])


@pytest.fixture(scope="module")
def fitted(sample):
    return fit_density(sample[1], CONFIG)


def test_the_sample_keeps_the_labels_of_hdbscan(fitted, sample):
    from sklearn.cluster import HDBSCAN

    expected = (
        HDBSCAN(min_cluster_size=20, min_samples=5, cluster_selection_method="leaf", copy=True).fit(sample[1]).labels_
    )
    np.testing.assert_array_equal(fitted.predict(sample[1]), expected)
    assert (expected == -1).any() and fitted.num_clusters == expected.max() + 1


def test_other_frames_get_the_label_of_the_nearest_sampled_frame_within_the_radius(fitted, sample):
    points = (sample[1] + np.random.default_rng(1).normal(size=sample[1].shape)).astype(np.float32)
    radius = {}
    for label in range(fitted.num_clusters):
        members = sample[1][fitted.labels == label].astype(float)
        others = np.sort(np.linalg.norm(members[:, None] - members[None], axis=-1), axis=1)[:, 1]
        radius[label] = np.quantile(others, 0.99)
    distances = np.linalg.norm(points[:, None].astype(float) - sample[1][None].astype(float), axis=-1)
    near = fitted.labels[distances.argmin(axis=1)]
    wanted = [
        -1 if gap > radius.get(label, np.inf) else label for gap, label in zip(distances.min(1), near, strict=True)
    ]
    got = fitted.predict(points)
    np.testing.assert_array_equal(got, wanted)
    assert got.dtype == np.int32 and len(set(got)) == fitted.num_clusters + 1


def test_the_radius_of_equal_frames_covers_rounding(sample):
    points = np.concatenate([sample[1], np.full((97, 2), 71.3, np.float32)])
    fitted = fit_density(points, CONFIG)
    (own,) = set(fitted.labels[-97:].tolist())
    assert own >= 0
    assert fitted.predict(np.nextafter(points[-97:], np.float32(99))).tolist() == [own] * 97
    assert fitted.predict(points[-97:] + np.float32(0.01)).tolist() == [-1] * 97


def test_renumbering_changes_numbers_alone(fitted, sample):
    order = np.arange(fitted.num_clusters)[::-1].copy()
    other = fitted.renumbered(order)
    old, new = fitted.predict(sample[1]), other.predict(sample[1])
    np.testing.assert_array_equal(new[old >= 0], fitted.num_clusters - 1 - old[old >= 0])
    assert (new[old < 0] == -1).all()
    np.testing.assert_allclose(other.centers, fitted.centers[::-1])
    np.testing.assert_allclose(fitted.centers[0], sample[1][old == 0].mean(axis=0), rtol=1e-5)


def test_impossible_settings_are_refused(sample):
    with pytest.raises(InputError, match="HDBSCAN cannot find clusters of 20 or more in 15 frames"):
        fit_density(sample[1][:15], CONFIG)
    even = np.random.default_rng(0).uniform(size=(90, 5)).astype(np.float32)
    with pytest.raises(InputError, match="HDBSCAN finds no cluster of 40 among 90 frames: set `min_cluster_size`"):
        fit_density(even, DensityConfig(sample=90, min_cluster_size=40))
    for wrong, words in (
        ({"min_cluster_size": 1}, "`min_cluster_size` must be 2"),
        ({"min_samples": 0}, "`min_samples` must be 1"),
        ({"sample": 60, "min_cluster_size": 50}, "`sample` must be 100 or more"),
    ):
        with pytest.raises(InputError, match=words):
            DensityConfig(**wrong)
