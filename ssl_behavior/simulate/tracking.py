"""Simulated tracker: occlusion, jitter, misplaced points and confidence, added to true keypoints."""

import numpy as np
from scipy.signal import lfilter

from ssl_behavior.simulate.schedule import CONFIDENCE, SCORES

__all__ = ["track"]


_JITTER_PX = 0.9
_DRIFT_PX = 1.6
_WRONG_SCORE = -1.95
"""Below this normal score of the confidence a point may be somewhere else entirely."""
_OCCLUSION_PX = 38.0
_EARS = (1, 2)


def track(
    generator: np.random.Generator, points: np.ndarray, frame_px: tuple[float, float], missing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Measured keypoints and confidence.

    Parameters
    ----------
    points : complex [time, 2, 7], true places in pixels.
    frame_px : width and height of the video; nothing is found outside.
    missing : share of the points lost as NaN (CalMS21 has none: a lost point lies somewhere else there).

    Returns
    -------
    float32 [time, 2, 7, 2] and float32 [time, 2, 7] in [0, 1].
    """
    num_frames = len(points)
    hidden = _occlusion(points)
    score = _doubt(generator, num_frames) - 0.9 * hidden
    swapped = _episodes(generator, (num_frames, 2, 1), 1 / 1500, 6.0) & np.isin(np.arange(7), _EARS)
    measured = np.where(swapped, points[:, :, [0, 2, 1, 3, 4, 5, 6]], points)
    score -= 1.2 * swapped
    measured = _misplaced(generator, measured, score)
    measured += _noise(generator, num_frames) * (1 + 0.8 * hidden + 0.5 * np.maximum(-score, 0))
    confidence = _confidence(score)
    keypoints = np.stack([measured.real, measured.imag], axis=-1).astype(np.float32)
    keypoints = np.clip(keypoints, 0, np.array(frame_px, dtype=np.float32) - 1)
    if missing:
        lost = _episodes(generator, (num_frames, 2, 7), missing / 8.0, 8.0)
        keypoints[lost] = np.nan
        confidence[lost] *= 0.3
    return keypoints, confidence


def _occlusion(points: np.ndarray) -> np.ndarray:
    """[time, 2, 7] in [0, 1]: how closely a point of the other animal covers this one."""
    hidden = np.zeros(points.shape, dtype=np.float32)
    close = np.flatnonzero(np.abs(points[:, 0, 3:].mean(axis=1) - points[:, 1, 3:].mean(axis=1)) < 260)
    one, other = points[close, 0].astype(np.complex64), points[close, 1].astype(np.complex64)
    distance = np.abs(one[:, :, None] - other[:, None, :])
    hidden[close, 0] = np.maximum(0, 1 - distance.min(axis=2) / _OCCLUSION_PX)
    hidden[close, 1] = np.maximum(0, 1 - distance.min(axis=1) / _OCCLUSION_PX)
    return hidden


def _doubt(generator: np.random.Generator, num_frames: int) -> np.ndarray:
    """Normal scores of the confidence [time, 2, 7]: slow, and correlated among an animal's points."""
    own = _autoregressive(generator, (num_frames, 2, 7), 0.88)
    shared = _autoregressive(generator, (num_frames, 2, 1), 0.97)
    return 0.80 * own + 0.60 * shared


def _autoregressive(generator: np.random.Generator, shape: tuple[int, ...], keep: float) -> np.ndarray:
    """Unit-variance first-order noise along the first axis."""
    noise = generator.standard_normal(shape, dtype=np.float32)
    noise[0] /= np.sqrt(1 - keep**2)
    b, a = np.array([np.sqrt(1 - keep**2)], dtype=np.float32), np.array([1, -keep], dtype=np.float32)
    return lfilter(b, a, noise, axis=0)


def _noise(generator: np.random.Generator, num_frames: int) -> np.ndarray:
    white = generator.standard_normal((num_frames, 2, 7, 2), dtype=np.float32)
    error = _JITTER_PX * white + _DRIFT_PX * _autoregressive(generator, white.shape, 0.8)
    return error.view(np.complex64)[..., 0]


def _episodes(
    generator: np.random.Generator, shape: tuple[int, ...], starts_per_frame: float, mean_frames: float
) -> np.ndarray:
    """Boolean [time, ...]: episodes of geometric length that begin at a rate (an overlap counts once).

    Drawn as single events, so that rare ones cost nothing; where many overlap, the share is 1 - exp(-rate * length).
    """
    streams = int(np.prod(shape[1:]))
    begun = generator.poisson(starts_per_frame * shape[0] * streams)
    start = generator.integers(0, shape[0], begun)
    stream = generator.integers(0, streams, begun)
    stop = np.minimum(start + generator.geometric(1 / mean_frames, begun), shape[0])
    edges = np.zeros((shape[0] + 1, streams), dtype=np.int32)
    np.add.at(edges, (start, stream), 1)
    np.add.at(edges, (stop, stream), -1)
    return (np.cumsum(edges[:-1], axis=0, dtype=np.int32) > 0).reshape(shape)


def _misplaced(generator: np.random.Generator, points: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Points of low confidence, half of the episodes: on another point, on the other animal, or anywhere near."""
    flat_score = score.reshape(len(score), 14)
    time, stream = np.nonzero(flat_score.T < _WRONG_SCORE)[::-1]
    if not len(time):
        return points.copy()
    episode = np.cumsum((np.diff(time, prepend=-9) != 1) | (np.diff(stream, prepend=-1) != 0)) - 1
    kind = generator.random(episode[-1] + 1)[episode]
    donor = generator.integers(0, 7, episode[-1] + 1)[episode]
    drawn = generator.standard_normal((2, episode[-1] + 1))
    offset = 60 * (drawn[0] + 1j * drawn[1])[episode]
    individual, keypoint = stream // 7, stream % 7
    source = np.where(kind < 0.20, individual, 1 - individual)
    source_keypoint = np.where(kind < 0.20, donor, keypoint)
    other = points[time, source, source_keypoint]
    true = points[time, individual, keypoint]
    near = np.abs(other - true) < 250
    wrong = np.where((kind < 0.35) & near, other, np.where((kind < 0.55), true + offset, true))
    measured = points.copy()
    measured[time, individual, keypoint] = wrong
    return measured


def _confidence(score: np.ndarray) -> np.ndarray:
    """Normal scores to the tracker's numbers, keypoint by keypoint."""
    confidence = np.empty(score.shape, dtype=np.float32)
    for keypoint in range(7):
        confidence[..., keypoint] = np.interp(score[..., keypoint], SCORES, CONFIDENCE[keypoint])
    return confidence
