"""Simulated tracker: occlusion, jitter, misplaced points and confidence, added to true keypoints.

It may also exchange the tracks of two animals that touched, see `exchange_identities`.
"""

import numpy as np
from scipy.signal import lfilter

from ssl_behavior.simulate.schedule import CONFIDENCE, SCORES

__all__ = ["exchange_identities", "track"]


_JITTER_PX = 0.9
_DRIFT_PX = 1.6
_WRONG_SCORE = -1.95
"""Below this normal score of the confidence a point may be somewhere else entirely."""
_OCCLUSION_PX = 38.0
_EARS = (1, 2)
_CENTER = slice(3, None)
"""Keypoints whose mean is the middle of an animal: neck, hips and tail base."""
_LOST_FRAMES = 8.0
_LOST_IF_HIDDEN = 6.0
"""How much more often points are lost that another animal covers, over others, in groups."""
_TOUCH_PX = 19.0
_TOUCH_GAP_FRAMES = 30
_SWAPPED_FRAMES = 60.0
"""Mean time until the tracker finds the identities again."""


def track(
    generator: np.random.Generator,
    points: np.ndarray,
    frame_px: tuple[float, float],
    missing: float,
    more_if_hidden: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Measured keypoints and confidence.

    Parameters
    ----------
    points : complex [time, individual, 7], true places in pixels.
    frame_px : width and height of the video; nothing is found outside.
    missing : share of the points lost as NaN (CalMS21 has none: a lost point lies somewhere else there).
    more_if_hidden : points that another animal covers are lost more often than others.

    Returns
    -------
    float32 [time, individual, 7, 2] and float32 [time, individual, 7] in [0, 1].
    """
    num_frames, num_animals = points.shape[:2]
    hidden = _occlusion(points)
    score = _doubt(generator, num_frames, num_animals) - 0.9 * hidden
    swapped = _episodes(generator, (num_frames, num_animals, 1), 1 / 1500, 6.0) & np.isin(np.arange(7), _EARS)
    measured = np.where(swapped, points[:, :, [0, 2, 1, 3, 4, 5, 6]], points)
    score -= 1.2 * swapped
    measured = _misplaced(generator, measured, score)
    measured += _noise(generator, num_frames, num_animals) * (1 + 0.8 * hidden + 0.5 * np.maximum(-score, 0))
    confidence = _confidence(score)
    keypoints = np.stack([measured.real, measured.imag], axis=-1).astype(np.float32)
    keypoints = np.clip(keypoints, 0, np.array(frame_px, dtype=np.float32) - 1)
    if missing:
        weight = 1 + (_LOST_IF_HIDDEN - 1) * hidden if more_if_hidden else None
        lost = _episodes(generator, points.shape, missing / _LOST_FRAMES, _LOST_FRAMES, weight)
        keypoints[lost] = np.nan
        confidence[lost] *= 0.3
    return keypoints, confidence


def _occlusion(points: np.ndarray) -> np.ndarray:
    """[time, individual, 7] in [0, 1]: how closely a point of another animal covers this one."""
    hidden = np.zeros(points.shape, dtype=np.float32)
    centers = points[:, :, _CENTER].mean(axis=2)
    for i, j in _pairs(points.shape[1]):
        close = np.flatnonzero(np.abs(centers[:, i] - centers[:, j]) < 260)
        one, other = points[close, i].astype(np.complex64), points[close, j].astype(np.complex64)
        distance = np.abs(one[:, :, None] - other[:, None, :])
        hidden[close, i] = np.maximum(hidden[close, i], 1 - distance.min(axis=2) / _OCCLUSION_PX)
        hidden[close, j] = np.maximum(hidden[close, j], 1 - distance.min(axis=1) / _OCCLUSION_PX)
    return hidden


def _pairs(num_animals: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(num_animals) for j in range(i + 1, num_animals)]


def _doubt(generator: np.random.Generator, num_frames: int, num_animals: int) -> np.ndarray:
    """Normal scores of the confidence [time, individual, 7]: slow, and correlated among an animal's points."""
    own = _autoregressive(generator, (num_frames, num_animals, 7), 0.88)
    shared = _autoregressive(generator, (num_frames, num_animals, 1), 0.97)
    return 0.80 * own + 0.60 * shared


def _autoregressive(generator: np.random.Generator, shape: tuple[int, ...], keep: float) -> np.ndarray:
    """Unit-variance first-order noise along the first axis."""
    noise = generator.standard_normal(shape, dtype=np.float32)
    noise[0] /= np.sqrt(1 - keep**2)
    b, a = np.array([np.sqrt(1 - keep**2)], dtype=np.float32), np.array([1, -keep], dtype=np.float32)
    return lfilter(b, a, noise, axis=0)


def _noise(generator: np.random.Generator, num_frames: int, num_animals: int) -> np.ndarray:
    white = generator.standard_normal((num_frames, num_animals, 7, 2), dtype=np.float32)
    error = _JITTER_PX * white + _DRIFT_PX * _autoregressive(generator, white.shape, 0.8)
    return error.view(np.complex64)[..., 0]


def _episodes(
    generator: np.random.Generator,
    shape: tuple[int, ...],
    starts_per_frame: float,
    mean_frames: float,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Boolean [time, ...]: episodes of geometric length that begin at a rate (an overlap counts once).

    Drawn as single events, so that rare ones cost nothing; where many overlap, the share is 1 - exp(-rate * length).
    With a `weight` of this shape, above 0, episodes begin in proportion to it, as many as without.
    """
    streams = int(np.prod(shape[1:]))
    most = 1.0 if weight is None else float(weight.max() / weight.mean())
    begun = generator.poisson(most * starts_per_frame * shape[0] * streams)
    start = generator.integers(0, shape[0], begun)
    stream = generator.integers(0, streams, begun)
    if weight is not None:
        kept = generator.random(begun) * weight.max() < weight.reshape(len(weight), -1)[start, stream]
        start, stream, begun = start[kept], stream[kept], int(kept.sum())
    stop = np.minimum(start + generator.geometric(1 / mean_frames, begun), shape[0])
    edges = np.zeros((shape[0] + 1, streams), dtype=np.int32)
    np.add.at(edges, (start, stream), 1)
    np.add.at(edges, (stop, stream), -1)
    return (np.cumsum(edges[:-1], axis=0, dtype=np.int32) > 0).reshape(shape)


def _misplaced(generator: np.random.Generator, points: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Points of low confidence, half of the episodes: on another point, on the other animal, or anywhere near."""
    flat_score = score.reshape(len(score), -1)
    time, stream = np.nonzero(flat_score.T < _WRONG_SCORE)[::-1]
    if not len(time):
        return points.copy()
    episode = np.cumsum((np.diff(time, prepend=-9) != 1) | (np.diff(stream, prepend=-1) != 0)) - 1
    kind = generator.random(episode[-1] + 1)[episode]
    donor = generator.integers(0, 7, episode[-1] + 1)[episode]
    drawn = generator.standard_normal((2, episode[-1] + 1))
    offset = 60 * (drawn[0] + 1j * drawn[1])[episode]
    individual, keypoint = stream // 7, stream % 7
    source = np.where(kind < 0.20, individual, _nearest(points, time, individual))
    source_keypoint = np.where(kind < 0.20, donor, keypoint)
    other = points[time, source, source_keypoint]
    true = points[time, individual, keypoint]
    near = np.abs(other - true) < 250
    wrong = np.where((kind < 0.35) & near, other, np.where((kind < 0.55), true + offset, true))
    measured = points.copy()
    measured[time, individual, keypoint] = wrong
    return measured


def _nearest(points: np.ndarray, time: np.ndarray, individual: np.ndarray) -> np.ndarray:
    """The animal nearest to each of these at its time; a lone animal is its own."""
    num_animals = points.shape[1]
    if num_animals <= 2:
        return individual if num_animals == 1 else 1 - individual
    centers = points[time][:, :, _CENTER].mean(axis=2)
    apart = np.abs(centers - centers[np.arange(len(time)), individual][:, None])
    apart[np.arange(len(time)), individual] = np.inf
    return apart.argmin(axis=1)


def exchange_identities(
    generator: np.random.Generator, points: np.ndarray, tracks: tuple[np.ndarray, np.ndarray], share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exchange the tracks of two animals after some of the touches between them, for a while.

    Parameters
    ----------
    points : complex [time, individual, 7], true places in pixels.
    tracks : keypoints [time, individual, 7, 2] and confidence [time, individual, 7], as `track` returns them.
    share : share of the touches after which identities are exchanged; a touch is a spell of frames, with pauses of up
        to a second, in which a point of one animal lies on one of the other. The exchange begins where most points do.

    Returns
    -------
    Keypoints and confidence, new arrays if anything changed, and the swaps: int64 [swap, (animal, other animal, start,
    stop)]. An animal takes part in one swap at a time.
    """
    keypoints, confidence = tracks
    swaps = _draw_swaps(generator, points, share) if share else []
    if swaps:
        keypoints, confidence = keypoints.copy(), confidence.copy()
    for i, j, start, stop in swaps:
        for array in (keypoints, confidence):
            array[start:stop, [i, j]] = array[start:stop, [j, i]]
    return keypoints, confidence, np.array(swaps, dtype=np.int64).reshape(-1, 4)


def _draw_swaps(generator: np.random.Generator, points: np.ndarray, share: float) -> list[tuple[int, int, int, int]]:
    drawn = []
    for i, j in _pairs(points.shape[1]):
        closest = _touches(points[:, i], points[:, j])
        starts = closest[generator.random(len(closest)) < share]
        lengths = generator.geometric(1 / _SWAPPED_FRAMES, len(starts))
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            drawn.append((start, min(start + length, len(points)), i, j))
    swaps, busy_until = [], [0] * points.shape[1]
    for start, stop, i, j in sorted(drawn):
        if start >= max(busy_until[i], busy_until[j]):
            busy_until[i] = busy_until[j] = stop
            swaps.append((i, j, start, stop))
    return swaps


def _touches(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Frame of each touch at which most points of one animal lie near points of the other."""
    close = np.flatnonzero(np.abs(one[:, _CENTER].mean(axis=1) - other[:, _CENTER].mean(axis=1)) < 260)
    apart = np.abs(one[close].astype(np.complex64)[:, :, None] - other[close].astype(np.complex64)[:, None, :])
    nearest = apart.min(axis=2)
    touching = nearest.min(axis=1) < _TOUCH_PX
    frames, mean_px = close[touching], nearest[touching].mean(axis=1)
    first = np.flatnonzero(np.diff(frames, prepend=-_TOUCH_GAP_FRAMES - 1) > _TOUCH_GAP_FRAMES)
    return np.array(
        [frames[at][mean_px[at].argmin()] for at in np.split(np.arange(len(frames)), first)[1:]], dtype=np.int64
    )


def _confidence(score: np.ndarray) -> np.ndarray:
    """Normal scores to the tracker's numbers, keypoint by keypoint."""
    confidence = np.empty(score.shape, dtype=np.float32)
    for keypoint in range(7):
        confidence[..., keypoint] = np.interp(score[..., keypoint], SCORES, CONFIDENCE[keypoint])
    return confidence
