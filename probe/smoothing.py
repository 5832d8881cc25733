"""Probabilities averaged over time: behaviours last longer than a frame."""

from collections.abc import Sequence

import numpy as np

__all__ = ["WINDOWS_SECONDS", "moving_average", "smooth", "window_frames"]

WINDOWS_SECONDS = (0.0, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
"""Window lengths tried for each class; 0 is no smoothing."""


def moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean over an odd number of frames of one recording; at the ends over the frames that exist.

    >>> moving_average(np.array([0.0, 3.0, 0.0, 0.0]), 3).tolist()
    [1.5, 1.0, 1.0, 0.0]
    """
    assert window % 2 == 1
    if window == 1 or len(values) < 2:
        return values
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    frame = np.arange(len(values))
    first, last = np.maximum(frame - window // 2, 0), np.minimum(frame + window // 2 + 1, len(values))
    return ((total[last] - total[first]) / (last - first)).astype(values.dtype)


def window_frames(seconds: float, fps: float) -> int:
    """The odd number of frames nearest to `seconds`, at least 1.

    >>> window_frames(1.0, 30.0), window_frames(0.0, 30.0)
    (31, 1)
    """
    return 2 * round(seconds * fps / 2) + 1


def smooth(
    probability: np.ndarray, slices: Sequence[slice], fps: Sequence[float], windows: Sequence[float]
) -> np.ndarray:
    """Smooth each class by its own window, within each recording; a new array.

    Parameters
    ----------
    probability : float [frames, classes], all frames of the recordings one after the other.
    slices : where each recording lies; nothing is averaged across them.
    fps : frames per second of each recording.
    windows : seconds, one per class.
    """
    smoothed = probability.copy()
    for part, rate in zip(slices, fps, strict=True):
        for column, seconds in enumerate(windows):
            smoothed[part, column] = moving_average(probability[part, column], window_frames(seconds, rate))
    return smoothed
