"""Quality of tracks: counts of missing and doubtful points, and the two optional repairs."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.recording import Recording, observed_points

__all__ = ["Cleaned", "Quality", "body_length", "clean", "inspect_quality"]


_JUMP_BODY_LENGTHS = 0.5
"""Per frame; at 30 frames/s that is 15 body lengths a second, more than a mouse or rat runs."""
_SWAP_RATIO = 3.0
_SAME_POINT_BODY_LENGTHS = 0.005
"""Points closer than this lie on one point: a pixel for an animal of 200 pixels."""
_FEWEST_POINTS_OF_A_BODY = 3
_FROZEN_SECONDS = 2.0
_FAR_SPANS = 0.5


@dataclass(frozen=True)
class Cleaned:
    """Number of points set to missing.

    Parameters
    ----------
    zeros, minus_ones : points at exactly (0, 0), and at (-1, -1).
    negative_confidence : other points whose confidence is below 0.
    low_confidence : other points below the minimum confidence.
    """

    zeros: int = 0
    low_confidence: int = 0
    minus_ones: int = 0
    negative_confidence: int = 0


def clean(
    recording: Recording, keep_sentinels: bool = False, min_confidence: float | None = None
) -> tuple[Recording, Cleaned]:
    """Set points at exactly (0, 0) or (-1, -1), or with a negative confidence, to missing.

    Trackers write these for points that they did not find: DeepLabCut the corner of the image, SuperAnimal -1 in all
    columns of an animal that is not there. Negative confidences become unknown (NaN).

    Confidence otherwise masks points only if `min_confidence` is given; a point of unknown confidence stays.

    Raises
    ------
    InputError
        If `min_confidence` is given for a recording without confidence.
    """
    zeros, minus_ones, negative = _sentinels(recording, keep_sentinels)
    drop = zeros | minus_ones | negative
    low = np.zeros_like(drop)
    if min_confidence is not None:
        if recording.confidence is None:
            raise InputError(
                f"{recording.source}: recording {recording.id!r} has no confidence; leave out `min_confidence`"
            )
        with np.errstate(invalid="ignore"):
            low = (recording.confidence < min_confidence) & observed_points(recording.keypoints) & ~drop
    counts = Cleaned(*(int(found.sum()) for found in (zeros, low, minus_ones, negative)))
    if not (drop | low).any():
        return recording, counts
    return replace(
        recording,
        keypoints=np.where((drop | low)[..., None], np.float32(np.nan), recording.keypoints),
        confidence=_probabilities(recording.confidence, keep_sentinels),
    ), counts


def _sentinels(recording: Recording, keep: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points at (0, 0), at (-1, -1), and others of negative confidence: bool [time, individual, keypoint] each."""
    zeros, minus_ones = (_at_sentinel(recording.keypoints, value) & (not keep) for value in (0.0, -1.0))
    negative = np.zeros_like(zeros)
    if recording.confidence is not None and not keep:
        with np.errstate(invalid="ignore"):
            negative = (recording.confidence < 0) & observed_points(recording.keypoints) & ~zeros & ~minus_ones
    return zeros, minus_ones, negative


def _probabilities(confidence: np.ndarray | None, keep: bool) -> np.ndarray | None:
    """Confidence with NaN in place of negative values."""
    if confidence is None or keep:
        return confidence
    with np.errstate(invalid="ignore"):
        return np.where(confidence < 0, np.float32(np.nan), confidence)


def _at_sentinel(keypoints: np.ndarray, value: float) -> np.ndarray:
    """bool [time, individual, keypoint]: whether both coordinates are exactly the value."""
    return np.asarray((keypoints[..., 0] == value) & (keypoints[..., 1] == value))


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Counts over one recording.

    Parameters
    ----------
    missing : keypoint -> share of its points (all frames, all animals that are seen at all) that are missing.
    never_seen : "individual/keypoint" that has no point in any frame.
    half_missing : points with one coordinate only; they count as missing.
    zeros, minus_ones : points at exactly (0, 0), and at (-1, -1), that are still in the recording.
    unknown_confidence : observed points without confidence, in a recording that has confidences.
    frozen_points : points (of single frames) that stand at exactly one place for more than 2 s while others move.
    collapsed_bodies : an animal's frames with all of its points (three or more) on one point.
    no_animal_frames : frames without a single point.
    body_length_px : median over frames of an animal's largest extent; None if unknown.
    jump_px : the displacement from one frame to the next beyond which a point counts as a jump.
    jumps : points that moved more than `jump_px` since the frame before.
    swapped_frames : frames at which exchanging two animals would make the movement much smaller.
    coinciding_frames : frames in which every point that two animals share lies within 0.005
        body lengths (at least two points).
    far_points : points farther outside the middle 98 % of their recording than half of that range's width.
    by_animal : of more than two animals, the field -> animal, pair "m1 and m2" or ring of swaps "m1, m2 and m3" -> its
        part of the count, where it is above 0. A frame counts once in `swapped_frames`, and in each of its pairs.
    """

    missing: dict[str, float]
    never_seen: list[str]
    half_missing: int
    zeros: int
    minus_ones: int = 0
    unknown_confidence: int = 0
    frozen_points: int = 0
    collapsed_bodies: int = 0
    no_animal_frames: int
    body_length_px: float | None
    jump_px: float | None
    jumps: int
    swapped_frames: int
    coinciding_frames: int
    far_points: int
    by_animal: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def missing_share(self) -> float:
        return float(np.mean(list(self.missing.values())))


def inspect_quality(recording: Recording) -> Quality:
    """Quality counts of one recording; vectorized, with memory of a few copies of its tracks."""
    keypoints = recording.keypoints
    observed = observed_points(keypoints)
    length = body_length(keypoints, observed)
    same_px = _SAME_POINT_BODY_LENGTHS * (length or 0.0)
    jump_px = None if length is None else _JUMP_BODY_LENGTHS * length
    never = np.argwhere(~observed.any(axis=0))
    names = recording.skeleton.keypoints
    moved = _displacement(keypoints[1:], keypoints[:-1])
    none, nobody = np.zeros(len(recording.individuals), dtype=np.int64), _Pairs({}, 0)
    animals = {
        "frozen_points": _frozen(keypoints, observed, math.ceil(_FROZEN_SECONDS * recording.fps)),
        "collapsed_bodies": none if length is None else _collapsed(keypoints, observed, same_px),
        "jumps": none if jump_px is None else _jumps(moved, jump_px),
        "far_points": _far(keypoints, observed),
    }
    pairs = {
        "swapped_frames": nobody if jump_px is None else _swapped(keypoints, observed, moved, jump_px),
        "coinciding_frames": _coinciding(keypoints, observed, same_px),
    }
    return Quality(
        missing=_missing(observed, names),
        never_seen=[f"{recording.individuals[i]}/{names[k]}" for i, k in never],
        half_missing=int(np.isfinite(keypoints).any(axis=-1).sum() - observed.sum()),
        zeros=int(_at_sentinel(keypoints, 0.0).sum()),
        minus_ones=int(_at_sentinel(keypoints, -1.0).sum()),
        unknown_confidence=_unknown_confidence(recording.confidence, observed),
        no_animal_frames=int((~observed.any(axis=(1, 2))).sum()),
        body_length_px=length,
        jump_px=jump_px,
        **{name: int(counts.sum()) for name, counts in animals.items()},
        **{name: found.frames for name, found in pairs.items()},
        by_animal=_by_animal(recording.individuals, animals, pairs),
    )


def _together(names: Sequence[str]) -> str:
    """
    >>> _together(["m1", "m2"]), _together(["m1", "m2", "m3"])
    ('m1 and m2', 'm1, m2 and m3')
    """
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _missing(observed: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Share of each keypoint's points that are missing; animals that are never seen are absent, not missing."""
    present = np.flatnonzero(observed.any(axis=(0, 2)))
    there = observed if len(present) in (0, observed.shape[1]) else observed[:, present]
    return {name: float(1 - there[:, :, k].mean()) for k, name in enumerate(names)}


@dataclass(frozen=True)
class _Pairs:
    """Frames of a finding about groups of animals: (their numbers) -> frames, and the number of different frames."""

    counts: dict[tuple[int, ...], int]
    frames: int


def _by_animal(
    individuals: Sequence[str], animals: Mapping[str, np.ndarray], pairs: Mapping[str, _Pairs]
) -> dict[str, dict[str, int]]:
    """Parts of the counts, of more than two animals; those of two are the counts themselves, or nearly."""
    if len(individuals) < 3:
        return {}
    found = {
        name: {individuals[i]: int(count) for i, count in enumerate(counts) if count}
        for name, counts in animals.items()
    }
    for name, parts in pairs.items():
        found[name] = {_together([individuals[i] for i in who]): count for who, count in parts.counts.items()}
    return {name: counts for name, counts in found.items() if counts}


def body_length(keypoints: np.ndarray, observed: np.ndarray) -> float | None:
    """Median over frames and animals of the diagonal of the box around an animal's points, in pixels.

    Only frames with at least half of the keypoints (and two) count; None if there is no such frame, or no extent.
    """
    enough = observed.sum(axis=2) >= max(2, (observed.shape[2] + 1) // 2)
    if not enough.any():
        return None
    points = keypoints[enough].astype(np.float64)
    seen = observed[enough][..., None]
    high = np.where(seen, points, -np.inf).max(axis=1)
    low = np.where(seen, points, np.inf).min(axis=1)
    length = float(np.median(np.linalg.norm(high - low, axis=-1)))
    return length if length > 0 else None


def _displacement(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Euclidean distance in pixels; NaN where either is missing."""
    with np.errstate(invalid="ignore"):
        return np.linalg.norm(now.astype(np.float64) - before, axis=-1)


def _jumps(moved: np.ndarray, jump_px: float) -> np.ndarray:
    """Number of jumps of each animal, int64 [individual]; `moved` is float64 [step, individual, keypoint], px."""
    with np.errstate(invalid="ignore"):
        return np.asarray((moved > jump_px).sum(axis=(0, 2)))


def _pairs_together(present: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of animals with a common frame; present: bool [time, animal].

    A tracker that loses its animals leaves hundreds of short tracks, and few of their pairs share a frame.
    """
    counts = present.astype(np.float32)
    first, second = np.nonzero(np.triu(counts.T @ counts, k=1))
    return zip(first.tolist(), second.tolist(), strict=True)


def _swapped(keypoints: np.ndarray, observed: np.ndarray, moved: np.ndarray, jump_px: float) -> _Pairs:
    """Possible identity swaps of two animals, or around a ring of more, over keypoints shown in both frames."""
    steps = observed[1:] & observed[:-1]
    present = np.asarray(steps.any(axis=2))
    with np.errstate(invalid="ignore"):
        far = np.any(moved > jump_px / 2, axis=2)  # a pair's mean exceeds `jump_px` only if a point moves half of it
    found, explained = np.zeros(len(steps), dtype=bool), np.zeros(present.shape, dtype=bool)
    counts: dict[tuple[int, ...], int] = {}
    rings = _rings(keypoints, steps, far & present)
    pairs = (
        ((i, j), np.flatnonzero(present[:, i] & present[:, j] & (far[:, i] | far[:, j])))
        for i, j in _pairs_together(present)
    )
    for who, at in chain(rings, pairs):
        at = at[~explained[at][:, who].all(axis=1)]
        at = at[_exchanged(keypoints, steps, moved, at, who, jump_px)]
        if len(at):
            members = tuple(sorted(who))
            counts[members] = counts.get(members, 0) + len(at)
            explained[np.ix_(at, who)] = len(who) > 2
            found[at] = True
    return _Pairs(counts, int(found.sum()))


def _exchanged(
    keypoints: np.ndarray, steps: np.ndarray, moved: np.ndarray, at: np.ndarray, ring: tuple[int, ...], jump_px: float
) -> np.ndarray:
    """Whether the movement after frames `at` is much smaller if each animal's track goes on as the next one's.

    Compared over keypoints that all animals of the ring show in both frames; bool [at].
    """
    following = (*ring[1:], ring[0])
    shared = np.all([steps[at, i] for i in ring], axis=0)
    stay = np.sum([moved[at, i] for i in ring], axis=0)
    swap = np.sum(
        [_displacement(keypoints[at + 1, j], keypoints[at, i]) for i, j in zip(ring, following, strict=True)], axis=0
    )
    count = np.maximum(shared.sum(axis=1), 1)
    stay = np.where(shared, stay, 0).sum(axis=1) / count
    swap = np.where(shared, swap, 0).sum(axis=1) / count
    return np.asarray((stay > jump_px * len(ring) / 2) & (stay > _SWAP_RATIO * swap))


def _rings(keypoints: np.ndarray, steps: np.ndarray, far: np.ndarray) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Rings of three or more animals whose tracks may have gone on as the next one's, and the frames before.

    Parameters
    ----------
    far : animals that moved far in a step, bool [step, individual].
    """
    rings: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for step in np.flatnonzero(far.sum(axis=1) > 2).tolist():
        movers = np.flatnonzero(far[step])
        shared = steps[step, movers].all(axis=0)
        if not shared.any():
            continue
        before, after = (keypoints[frame, movers][:, shared].astype(np.float64) for frame in (step, step + 1))
        nearest = np.linalg.norm(after[None] - before[:, None], axis=-1).mean(axis=-1).argmin(axis=1)
        for ring in _cycles(nearest):
            rings[tuple(movers[list(ring)].tolist())].append(step)
    for ring, found in rings.items():
        yield ring, np.array(found)


def _cycles(following: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Rings of three or more numbers that follow each other.

    >>> list(_cycles(np.array([1, 2, 0, 4, 3])))
    [(0, 1, 2)]
    """
    for start in range(len(following)):
        ring = [start]
        while (after := int(following[ring[-1]])) not in ring:
            ring.append(after)
        if after == start == min(ring) and len(ring) > 2:
            yield tuple(ring)


def _coinciding(keypoints: np.ndarray, observed: np.ndarray, same_px: float) -> _Pairs:
    """Frames in which all points that two animals share, two or more, lie on each other."""
    present = np.asarray(observed.any(axis=2))
    found = np.zeros(len(keypoints), dtype=bool)
    counts: dict[tuple[int, ...], int] = {}
    for i, j in _pairs_together(present):
        at = np.flatnonzero(present[:, i] & present[:, j])
        fewest = min(2, observed.shape[2])
        shared = np.zeros(len(at), dtype=np.int64)
        for k in range(observed.shape[2]):
            # Most frames are out after one keypoint.
            both = observed[at, i, k] & observed[at, j, k]
            with np.errstate(invalid="ignore"):
                distinct = both & (_displacement(keypoints[at, i, k], keypoints[at, j, k]) > same_px)
            at, shared = at[~distinct], (shared + both)[~distinct]
        at = at[shared >= fewest]
        found[at] = True
        if len(at):
            counts[i, j] = len(at)
    return _Pairs(counts, int(found.sum()))


def _unknown_confidence(confidence: np.ndarray | None, observed: np.ndarray) -> int:
    if confidence is None or np.isnan(confidence).all():
        return 0
    return int((observed & np.isnan(confidence)).sum())


def _frozen(keypoints: np.ndarray, observed: np.ndarray, longest: int) -> np.ndarray:
    """Points in runs of more than `longest` steps without motion, in half of which others move; int64 [individual]."""
    both = observed[1:] & observed[:-1]
    same = keypoints[1:] == keypoints[:-1]
    still = same[..., 0] & same[..., 1] & both
    moving = (both & ~still).any(axis=(1, 2))
    moved = np.concatenate([[0], np.cumsum(moving)])
    counts = []
    for column in still.reshape(len(still), observed[0].size).T:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], column, [0]]).astype(np.int8)))
        start, stop = edges[::2], edges[1::2]
        length = stop - start
        frozen = (length > longest) & (2 * (moved[stop] - moved[start]) >= length)
        counts.append(int((length[frozen] + 1).sum()))
    return np.array(counts, dtype=np.int64).reshape(observed.shape[1:]).sum(axis=1)


def _collapsed(keypoints: np.ndarray, observed: np.ndarray, same_px: float) -> np.ndarray:
    """Frames of each animal whose points, at least three and half of the skeleton, lie within `same_px`."""
    enough = observed.sum(axis=2) >= max(_FEWEST_POINTS_OF_A_BODY, (observed.shape[2] + 1) // 2)
    seen = observed[..., None]
    extent = np.where(seen, keypoints, -np.inf).max(axis=2) - np.where(seen, keypoints, np.inf).min(axis=2)
    return np.asarray((enough & (extent <= same_px).all(axis=-1)).sum(axis=0))


def _far(keypoints: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Number of far points of each animal, int64 [individual]."""
    points = keypoints[observed].astype(np.float64)
    animal = np.nonzero(observed)[1]
    if not len(points):
        return np.zeros(observed.shape[1], dtype=np.int64)
    low, high = np.percentile(points, [1, 99], axis=0)
    margin = _FAR_SPANS * (high - low).max()
    far = ((points < low - margin) | (points > high + margin)).any(axis=1)
    return np.bincount(animal[far], minlength=observed.shape[1])
