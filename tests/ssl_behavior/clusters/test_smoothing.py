import numpy as np
import pytest

from ssl_behavior.clusters.frame_clusters import SmoothingConfig
from ssl_behavior.errors import InputError


def test_bouts_shorter_than_the_minimum_in_seconds_join_the_longer_one_beside_them():
    labels = np.array([2] * 9 + [0] * 3 + [2] * 5 + [-1] * 2 + [1] * 8 + [-1] * 9 + [1] * 2 + [-1] * 7, np.int32)
    smooth = SmoothingConfig(minimum_bout_seconds=0.25).without_short(labels, fps=16.0)
    # No cluster's 2 frames are gone before the 3 of cluster 0: to the longer one beside them, then.
    np.testing.assert_array_equal(smooth, [2] * 17 + [1] * 10 + [-1] * 18)
    np.testing.assert_array_equal(SmoothingConfig(minimum_bout_seconds=0.0).without_short(labels, 16.0), labels)


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf")])
def test_nonsense_is_refused(wrong):
    with pytest.raises(InputError, match="`minimum_bout_seconds` must be 0 or more"):
        SmoothingConfig(minimum_bout_seconds=wrong)
