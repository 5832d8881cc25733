"""Fingerprints of moments, by which copies are found among millions of frames.

A fingerprint is a hash of where a few points of a scene lie now and half a second later, seen from one of them and told
in steps of a few pixels: no frame number, no place in the picture and no last digit is in it. The hash itself says
whether a fingerprint is kept (winnowing, Schleimer et al. 2003, doi:10.1145/872757.872770), so two copies keep the same
ones, wherever they begin.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

__all__ = ["fingerprint", "meetings"]

_QUANTUM_PX = 4.0
_PHASE = 0.31
"""CalMS21's points differ by whole pixels within an animal: cells must not end where such differences lie."""
_PRINTS_PER_FRAME = 1.5
"""At most, about. Few are needed: two copies of ten seconds meet hundreds of times where all points are seen."""
_MOST_SEGMENTS = 7
_ALONE = 1 << 32
_MOST_REPEATS = 3
"""A fingerprint that one recording has more often is that of a posture, not of a moment."""
_MOST_COPIES = 64
"""How many recordings may share one moment and be found all."""
_FEWEST_VOTES = 3
_MOST_OFFSETS = 16
_CHUNK_FRAMES = 1 << 16
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def fingerprint(keypoints: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The fingerprints of a recording: hash uint64 [print] and frame int32 [print].

    Memory is that of a chunk of frames. A copy whose points moved by less than a pixel has most of them too; so has one
    shifted in the picture, or with its animals in another order.

    Parameters
    ----------
    keypoints : float32 [time, individual, keypoint, space], pixels; NaN = missing.
    lag : how many frames later the points are looked at again.
    """
    hashes: list[np.ndarray] = [np.empty(0, np.uint64)]
    frames: list[np.ndarray] = [np.empty(0, np.int32)]
    for start in range(0, len(keypoints) - 2 * lag, _CHUNK_FRAMES):
        # Time last: every coordinate of every point is then one stretch of memory.
        points = np.ascontiguousarray(np.moveaxis(keypoints[start : start + _CHUNK_FRAMES + 2 * lag], 0, -1))
        found, at = (np.concatenate(column) for column in zip(*_in_chunk(points, lag), strict=True))
        # Rates are powers of two, so that of two copies the thinned out one keeps a part of what the other keeps.
        rate = 2 ** math.ceil(math.log2(max(1, len(found) / (_PRINTS_PER_FRAME * (points.shape[-1] - 2 * lag)))))
        kept = found % np.uint64(rate) == 0
        hashes.append(found[kept])
        frames.append((at[kept] + start).astype(np.int32))
    return np.concatenate(hashes), np.concatenate(frames)


def _in_chunk(points: np.ndarray, lag: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Hashes and their frames, for each choice of one or two animals and two points of each."""
    num_individuals, num_keypoints = points.shape[:2]
    # What one animal does is told apart by a third look, where the other animal would tell it.
    choices: list[tuple[tuple[int, int], tuple[int, ...]]]
    choices = [((i, i), (0, lag, 2 * lag)) for i in range(num_individuals)]
    choices += [((i, i + 1), (0, lag)) for i in range(num_individuals - 1)]
    segments = [(k, k + step) for step in (1, 2) for k in range(num_keypoints - step)][:_MOST_SEGMENTS] or [(0, 0)]
    for (animals, lags), segment in product(choices, segments):
        looks = [points[..., look : points.shape[-1] - 2 * lag + look] for look in lags]
        hashes, usable = _hash(looks, animals, segment)
        # A scene at rest gives one hash again and again: the first of them is enough.
        usable[1:] &= hashes[1:] != hashes[:-1]
        frames = np.flatnonzero(usable)
        yield hashes[frames], frames


def _hash(
    looks: Sequence[np.ndarray], animals: tuple[int, int], segment: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A hash uint64 [time] of where points are at each look, seen from the left animal's first at the first look.

    And whether all of them are there, bool [time].

    Parameters
    ----------
    looks : points [individual, keypoint, space, time], at several lags.
    segment : the two points of each animal.
    """
    first, (one, other) = looks[0], animals
    turned = first[other, segment[0], 0] < first[one, segment[0], 0]
    origin = np.where(turned, first[other, segment[0]], first[one, segment[0]])
    # Other points have other hashes; which animals they are of plays no part, so that their order does not.
    number = segment[0] * looks[0].shape[1] + segment[1]
    hashes = np.full(first.shape[-1], number + (_ALONE if one == other else 0), np.uint64)
    total = np.zeros(first.shape[-1], np.float32)
    orders = ((one, other), (other, one)) if one != other else ((one, one),)
    for look, (near, far), keypoint, axis in product(looks, orders, segment, (0, 1)):
        value = look[near, keypoint, axis]
        value = (value if one == other else np.where(turned, look[far, keypoint, axis], value)) - origin[axis]
        total += value
        with np.errstate(invalid="ignore"):
            cells = np.floor(value / _QUANTUM_PX + _PHASE).astype(np.int64)
        hashes ^= cells.view(np.uint64)
        hashes *= _MULTIPLIER
        hashes ^= hashes >> _SHIFT
    return hashes, np.isfinite(total)


def meetings(prints: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[tuple[int, int], list[int]]:
    """(recording, a later one) -> offsets at which several fingerprints meet, the likeliest first, a few at most.

    At an offset, frame t of the one shows what frame t - offset of the other shows.

    Parameters
    ----------
    prints : hashes and frames of each recording, from `fingerprint`.
    """
    sizes = [len(hashes) for hashes, _ in prints]
    hashes, frames = (np.concatenate(column) for column in zip(*prints, strict=True))
    recordings = np.repeat(np.arange(len(prints), dtype=np.int32), sizes)
    # Stable: prints of one hash stay in the order of the recordings.
    order = np.argsort(hashes, kind="stable")
    hashes, recordings, frames = hashes[order], recordings[order], frames[order]
    rare = _rare(hashes, recordings)
    return _likeliest(hashes[rare], recordings[rare], frames[rare].astype(np.int64), len(prints))


def _rare(hashes: np.ndarray, recordings: np.ndarray) -> np.ndarray:
    """Which of the sorted fingerprints do not come back again and again in their recording."""
    begins = np.ones(len(hashes), bool)
    begins[1:] = (hashes[1:] != hashes[:-1]) | (recordings[1:] != recordings[:-1])
    sizes = np.diff(np.append(np.flatnonzero(begins), len(hashes)))
    return np.repeat(sizes <= _MOST_REPEATS, sizes)


def _likeliest(
    hashes: np.ndarray, recordings: np.ndarray, frames: np.ndarray, num_recordings: int
) -> dict[tuple[int, int], list[int]]:
    span = 1 + int(frames.max(initial=0))
    codes, votes = _votes(hashes, recordings, frames, num_recordings, span)
    pairs, offsets = np.divmod(codes, 2 * span)
    order = np.lexsort((-votes, pairs))
    found: dict[tuple[int, int], list[int]] = {}
    for pair, offset in zip(pairs[order].tolist(), (offsets[order] - span).tolist(), strict=True):
        likeliest = found.setdefault(divmod(pair, num_recordings), [])
        if len(likeliest) < _MOST_OFFSETS:
            likeliest.append(offset)
    return found


def _votes(
    hashes: np.ndarray, recordings: np.ndarray, frames: np.ndarray, num_recordings: int, span: int
) -> tuple[np.ndarray, np.ndarray]:
    """(pair of recordings, offset + span) as one number, and how many fingerprints meet there, where enough do."""
    codes: list[np.ndarray] = [np.empty(0, np.int64)]
    votes: list[np.ndarray] = [np.empty(0, np.int64)]
    for step in range(1, _MOST_COPIES * _MOST_REPEATS):
        same = hashes[step:] == hashes[:-step]
        if not same.any():
            break
        same &= recordings[step:] != recordings[:-step]
        pair = recordings[:-step][same].astype(np.int64) * num_recordings + recordings[step:][same]
        offset = frames[:-step][same] - frames[step:][same]
        code, count = np.unique(pair * (2 * span) + offset + span, return_counts=True)
        codes.append(code)
        votes.append(count)
    code, place = np.unique(np.concatenate(codes), return_inverse=True)
    count = np.bincount(place, weights=np.concatenate(votes), minlength=len(code)).astype(np.int64)
    return code[count >= _FEWEST_VOTES], count[count >= _FEWEST_VOTES]
