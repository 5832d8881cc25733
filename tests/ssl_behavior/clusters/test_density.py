import numpy as np
import pytest

from ssl_behavior.clusters.algorithms import DensityConfig, fit_density
from ssl_behavior.errors import InputError

CONFIG = DensityConfig(sample=1000, smallest=20)


@pytest.fixture(scope="module")
def sample(states):
    state, points = states(701, num_states=3, dim=2, stay=0.5)
    noise = np.random.default_rng(0).uniform(-40, 40, (60, 2)).astype(np.float32)
    return np.concatenate([state, np.full(60, -1)]), np.concatenate([points, noise])


@pytest.fixture(scope="module")
def fitted(sample):
    return fit_density(sample[1], CONFIG)


def test_the_sample_keeps_what_hdbscan_said(fitted, sample):
    from sklearn.cluster import HDBSCAN

    said = (
        HDBSCAN(min_cluster_size=20, min_samples=5, cluster_selection_method="leaf", copy=True).fit(sample[1]).labels_
    )
    np.testing.assert_array_equal(fitted.fine(sample[1]), said)
    assert (said == -1).any() and fitted.num_clusters == said.max() + 1


def test_other_frames_get_what_the_nearest_sampled_frame_got_unless_it_is_too_far(fitted, sample):
    points = (sample[1] + np.random.default_rng(1).normal(size=sample[1].shape)).astype(np.float32)
    reach = {}
    for label in range(fitted.num_clusters):
        members = sample[1][fitted.labels == label].astype(float)
        others = np.sort(np.linalg.norm(members[:, None] - members[None], axis=-1), axis=1)[:, 1]
        reach[label] = np.quantile(others, 0.99)
    distances = np.linalg.norm(points[:, None].astype(float) - sample[1][None].astype(float), axis=-1)
    near = fitted.labels[distances.argmin(axis=1)]
    wanted = [
        -1 if gap > reach.get(label, np.inf) else label for gap, label in zip(distances.min(1), near, strict=True)
    ]
    got = fitted.fine(points)
    np.testing.assert_array_equal(got, wanted)
    assert got.dtype == np.int32 and len(set(got)) == fitted.num_clusters + 1


def test_a_cluster_of_equal_frames_reaches_as_far_as_rounding(sample):
    points = np.concatenate([sample[1], np.full((97, 2), 71.3, np.float32)])
    fitted = fit_density(points, CONFIG)
    (own,) = set(fitted.labels[-97:].tolist())
    assert own >= 0
    assert fitted.fine(np.nextafter(points[-97:], np.float32(99))).tolist() == [own] * 97
    assert fitted.fine(points[-97:] + np.float32(0.01)).tolist() == [-1] * 97


def test_renumbered_is_the_same_by_other_numbers(fitted, sample):
    order = np.arange(fitted.num_clusters)[::-1].copy()
    other = fitted.renumbered(order)
    old, new = fitted.fine(sample[1]), other.fine(sample[1])
    np.testing.assert_array_equal(new[old >= 0], fitted.num_clusters - 1 - old[old >= 0])
    assert (new[old < 0] == -1).all()
    np.testing.assert_allclose(other.centers, fitted.centers[::-1])
    np.testing.assert_allclose(fitted.centers[0], sample[1][old == 0].mean(axis=0), rtol=1e-5)


def test_what_cannot_be_is_refused(sample):
    with pytest.raises(InputError, match="HDBSCAN of 15 frames with clusters of 20 or more cannot be"):
        fit_density(sample[1][:15], CONFIG)
    even = np.random.default_rng(0).uniform(size=(90, 5)).astype(np.float32)
    with pytest.raises(InputError, match="HDBSCAN finds no cluster of 40 among 90 frames: give a smaller --smallest"):
        fit_density(even, DensityConfig(sample=90, smallest=40))
    for wrong, words in (
        ({"smallest": 1}, "--smallest must be 2"),
        ({"neighbors": 0}, "--neighbors must be 1"),
        ({"sample": 60, "smallest": 50}, "--sample 60 is too few"),
    ):
        with pytest.raises(InputError, match=words):
            DensityConfig(**wrong)
