"""Quality of tracks: counts of missing and doubtful points, and the two optional repairs."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.recording import Recording, observed_points

if TYPE_CHECKING:
    pass


__all__ = ["Cleaned", "Quality", "body_length", "clean", "inspect_quality"]


_JUMP_BODY_LENGTHS = 0.5
"""Per frame; at 30 frames/s that is 15 body lengths a second, more than a mouse or rat runs."""
_SWAP_RATIO = 3.0
_SAME_POINT_PX = 1.0
_FAR_SPANS = 0.5


@dataclass(frozen=True)
class Cleaned:
    """Number of points set to missing: exact zeros, and points below the minimum confidence."""

    zeros: int = 0
    low_confidence: int = 0


def clean(
    recording: Recording, keep_zeros: bool = False, min_confidence: float | None = None
) -> tuple[Recording, Cleaned]:
    """Set exact (0, 0) points to missing: trackers write the image corner for points they did not find.

    Confidence masks points only if `min_confidence` is given; a point whose confidence is not known stays.

    Raises
    ------
    InputError
        If `min_confidence` is given for a recording without confidence.
    """
    zeros = (recording.keypoints == 0).all(axis=-1) & (not keep_zeros)
    low = np.zeros_like(zeros)
    if min_confidence is not None:
        if recording.confidence is None:
            raise InputError(
                f"{recording.source}: recording {recording.id!r} has no confidence; leave out `min_confidence`"
            )
        with np.errstate(invalid="ignore"):
            low = (recording.confidence < min_confidence) & observed_points(recording.keypoints) & ~zeros
    drop = zeros | low
    if not drop.any():
        return recording, Cleaned()
    keypoints = np.where(drop[..., None], np.float32(np.nan), recording.keypoints)
    return replace(recording, keypoints=keypoints), Cleaned(int(zeros.sum()), int(low.sum()))


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Counts over one recording.

    Parameters
    ----------
    missing : keypoint -> share of its points (all animals, all frames) that are missing.
    never_seen : "individual/keypoint" that has no point in any frame.
    half_missing : points with one coordinate only; they count as missing.
    zeros : points at exactly (0, 0) that are still in the recording.
    no_animal_frames : frames without a single point.
    body_length_px : median over frames of an animal's largest extent; None if unknown.
    jump_px : the displacement from one frame to the next beyond which a point counts as a jump.
    jumps : points that moved more than `jump_px` since the frame before.
    swapped_frames : frames at which exchanging two animals would make the movement much smaller.
    coinciding_frames : frames in which every point that two animals share lies within a pixel (at least two points).
    far_points : points farther outside the middle 98 % of their recording than half of that range's width.
    """

    missing: dict[str, float]
    never_seen: list[str]
    half_missing: int
    zeros: int
    no_animal_frames: int
    body_length_px: float | None
    jump_px: float | None
    jumps: int
    swapped_frames: int
    coinciding_frames: int
    far_points: int

    @property
    def missing_share(self) -> float:
        return float(np.mean(list(self.missing.values())))


def inspect_quality(recording: Recording) -> Quality:
    """Quality counts of one recording; vectorized, with memory of a few copies of its tracks."""
    keypoints = recording.keypoints
    observed = observed_points(keypoints)
    length = body_length(keypoints, observed)
    jump_px = None if length is None else _JUMP_BODY_LENGTHS * length
    never = np.argwhere(~observed.any(axis=0))
    names = recording.skeleton.keypoints
    return Quality(
        missing={name: float(1 - observed[:, :, k].mean()) for k, name in enumerate(names)},
        never_seen=[f"{recording.individuals[i]}/{names[k]}" for i, k in never],
        half_missing=int(np.isfinite(keypoints).any(axis=-1).sum() - observed.sum()),
        zeros=int((keypoints == 0).all(axis=-1).sum()),
        no_animal_frames=int((~observed.any(axis=(1, 2))).sum()),
        body_length_px=length,
        jump_px=jump_px,
        jumps=0 if jump_px is None else _jumps(keypoints, jump_px),
        swapped_frames=0 if jump_px is None else _swapped(keypoints, observed, jump_px),
        coinciding_frames=_coinciding(keypoints, observed),
        far_points=_far(keypoints, observed),
    )


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


def _jumps(keypoints: np.ndarray, jump_px: float) -> int:
    with np.errstate(invalid="ignore"):
        return int((_displacement(keypoints[1:], keypoints[:-1]) > jump_px).sum())


def _swapped(keypoints: np.ndarray, observed: np.ndarray, jump_px: float) -> int:
    """Number of possible identity swaps, compared over keypoints that both animals show in both frames."""
    found = np.zeros(max(0, len(keypoints) - 1), dtype=bool)
    for i, j in combinations(range(keypoints.shape[1]), 2):
        shared = observed[:, i] & observed[:, j]
        shared = shared[1:] & shared[:-1]
        a, b = keypoints[:, i], keypoints[:, j]
        stay = _displacement(a[1:], a[:-1]) + _displacement(b[1:], b[:-1])
        swap = _displacement(a[1:], b[:-1]) + _displacement(b[1:], a[:-1])
        count = np.maximum(shared.sum(axis=1), 1)
        stay = np.where(shared, stay, 0).sum(axis=1) / count
        swap = np.where(shared, swap, 0).sum(axis=1) / count
        found |= (stay > jump_px) & (stay > _SWAP_RATIO * swap)
    return int(found.sum())


def _coinciding(keypoints: np.ndarray, observed: np.ndarray) -> int:
    found = np.zeros(len(keypoints), dtype=bool)
    for i, j in combinations(range(keypoints.shape[1]), 2):
        shared = observed[:, i] & observed[:, j]
        with np.errstate(invalid="ignore"):
            distinct = _displacement(keypoints[:, i], keypoints[:, j]) > _SAME_POINT_PX
        found |= (shared.sum(axis=1) >= min(2, shared.shape[1])) & ~(distinct & shared).any(axis=1)
    return int(found.sum())


def _far(keypoints: np.ndarray, observed: np.ndarray) -> int:
    points = keypoints[observed].astype(np.float64)
    if not len(points):
        return 0
    low, high = np.percentile(points, [1, 99], axis=0)
    margin = _FAR_SPANS * (high - low).max()
    return int(((points < low - margin) | (points > high + margin)).any(axis=1).sum())
