from itertools import product

import numpy as np
import pytest

from ssl_behavior.clusters.frame_clusters import SmoothingConfig, cheapest_paths
from ssl_behavior.errors import InputError


def value(gains, labels, penalty):
    changes = np.count_nonzero(np.diff(labels))
    return sum(gains[frame, label] for frame, label in enumerate(labels)) - penalty * changes


@pytest.mark.parametrize("seed", range(40))
def test_paths_are_the_best_of_all_there_are(seed):
    rng = np.random.default_rng(seed)
    penalty = float(rng.choice([0, 0.5, 1, 2.5]))
    gains = [rng.integers(0, 4, (n, 3)).astype(float) if seed % 2 else rng.normal(size=(n, 3)) for n in (5, 0, 7, 1, 5)]
    for own, labels in zip(gains, cheapest_paths(gains, penalty), strict=True):
        assert len(labels) == len(own) and labels.dtype == np.int32
        best = max((value(own, every, penalty) for every in product(range(3), repeat=len(own))), default=0)
        assert value(own, labels, penalty) == pytest.approx(best)


def test_recordings_do_not_know_of_each_other():
    rng = np.random.default_rng(0)
    gains = [rng.normal(size=(n, 5)).astype(np.float32) for n in (31, 97, 53)]
    together = cheapest_paths(gains, 2.0)
    for own, labels in zip(gains, together, strict=True):
        np.testing.assert_array_equal(cheapest_paths([own], 2.0)[0], labels)
    assert cheapest_paths([], 1.0) == []


def test_a_price_of_0_takes_each_frames_best_and_a_great_one_a_single_cluster():
    gains = np.random.default_rng(1).normal(size=(211, 7))
    np.testing.assert_array_equal(cheapest_paths([gains], 0.0)[0], gains.argmax(axis=1))
    assert set(cheapest_paths([gains], 1e6)[0]) == {gains.sum(axis=0).argmax()}
    changes = [np.count_nonzero(np.diff(cheapest_paths([gains], price)[0])) for price in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert changes == sorted(changes, reverse=True) and changes[0] > changes[-1]


def test_short_bouts_go_in_seconds_and_no_cluster_is_one_too():
    labels = np.array([2] * 9 + [0] * 3 + [2] * 5 + [-1] * 2 + [1] * 8 + [-1] * 9 + [1] * 2 + [-1] * 7, np.int32)
    smooth = SmoothingConfig(minimum_bout_seconds=0.25).without_short(labels, fps=16.0)
    # No cluster's 2 frames are gone before the 3 of cluster 0: to the longer one beside them, then.
    np.testing.assert_array_equal(smooth, [2] * 17 + [1] * 10 + [-1] * 18)
    np.testing.assert_array_equal(SmoothingConfig(minimum_bout_seconds=0.0).without_short(labels, 16.0), labels)


@pytest.mark.parametrize("wrong", [{"penalty": -1.0}, {"penalty": float("nan")}, {"minimum_bout_seconds": -0.1}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(InputError, match="must be 0 or more"):
        SmoothingConfig(**wrong)
