"""Smoothing never crosses recordings and never looks at what is scored."""

import numpy as np
import pytest

from probe.postprocessing import WINDOWS_SECONDS, moving_average, smooth, window_frames

SLICES, FPS = [slice(0, 101), slice(101, 138)], [30.0, 30.0]


@pytest.mark.parametrize("window", [1, 3, 31, 501])
def test_moving_average_equals_a_loop(window):
    values = np.random.default_rng(0).random(101)
    half = window // 2
    expected = [values[max(0, t - half) : t + half + 1].mean() for t in range(101)]
    np.testing.assert_allclose(moving_average(values, window), expected)


def test_smoothing_does_not_cross_recordings():
    probability = np.zeros((138, 3), dtype=np.float32)
    probability[:101] = 1.0
    smoothed = smooth(probability, SLICES, FPS, [1.0, 2.0, 5.0])
    assert (smoothed[:101] == 1).all() and (smoothed[101:] == 0).all()
    assert (probability[:101] == 1).all()


def test_windows_are_odd_at_every_frame_rate():
    assert all(window_frames(seconds, fps) % 2 == 1 for seconds in WINDOWS_SECONDS for fps in (5.0, 25.0, 29.97, 120.0))
