"""Augmentations of windows: pure functions that return new windows; the caller owns the randomness."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.collectives import own_share
from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.windows import WindowBatch

__all__ = [
    "AugmentConfig",
    "augment",
    "drop_keypoints",
    "geometric",
    "hidden",
    "jitter",
    "moved",
    "reflect",
    "rotate",
    "swap_animals",
    "translate",
]


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Strength of each augmentation; 0 turns it off.

    Parameters
    ----------
    reflect : probability that a window is mirrored (left and right keypoints exchanged).
    swap : probability that the two animals of a window change places.
    drop_keypoints : mean share of keypoints hidden; the share of a window is uniform from 0 to twice this.
    drop_frames : length of the pieces in which keypoints are hidden.
    jitter_px : standard deviation of noise on every coordinate.
    rotate : probability that a window is turned about the middle of its arena, by any angle.
    translate : probability that a window is shifted, so far that its observed points stay in the arena.
    """

    reflect: float = 0.5
    swap: float = 0.0
    drop_keypoints: float = 0.15
    drop_frames: int = 16
    jitter_px: float = 0.0
    rotate: float = 0.0
    translate: float = 0.0

    def __post_init__(self) -> None:
        for name in ("reflect", "swap", "drop_keypoints", "rotate", "translate"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augment: {name} must be between 0 and 1, got {getattr(self, name)}")
        if self.drop_frames < 1 or self.jitter_px < 0:
            raise InputError(f"augment: drop_frames must be at least 1 and jitter_px 0 or more, got {self}")


def augment(batch: WindowBatch, config: AugmentConfig, skeleton: Skeleton, generator: torch.Generator) -> WindowBatch:
    """Apply all augmentations of `config`, drawn for each window: first `moved`, then `hidden`."""
    return hidden(moved(batch, config, skeleton, generator), config, generator)


def moved(batch: WindowBatch, config: AugmentConfig, skeleton: Skeleton, generator: torch.Generator) -> WindowBatch:
    """Geometry (rotation, reflection, translation, swap) and jitter: a new scene, whose attributes may differ."""
    if config.rotate:
        chosen = _chosen(batch, config.rotate, generator)
        turns = (own_share(torch.rand, generator, [len(batch)]).to(batch.keypoints) * 2 - 1) * math.pi
        batch = rotate(batch, turns * chosen)
    if config.reflect:
        batch = reflect(batch, _chosen(batch, config.reflect, generator), skeleton)
    if config.translate:
        chosen = _chosen(batch, config.translate, generator)
        place = own_share(torch.rand, generator, [len(batch), 2]).to(batch.keypoints)
        batch = translate(batch, _shift_to(batch, place) * chosen.unsqueeze(-1))
    if config.swap:
        batch = swap_animals(batch, _chosen(batch, config.swap, generator))
    if config.jitter_px:
        batch = jitter(batch, config.jitter_px, generator)
    return batch


def hidden(batch: WindowBatch, config: AugmentConfig, generator: torch.Generator) -> WindowBatch:
    """Keypoint dropout: the same scene with fewer observed points."""
    if config.drop_keypoints:
        batch = drop_keypoints(batch, config.drop_keypoints, config.drop_frames, generator)
    return batch


def geometric(config: AugmentConfig) -> frozenset[str]:
    """Transformations that `moved` may apply; an attribute keeps its value only if it is invariant under all of them.

    >>> sorted(geometric(AugmentConfig(reflect=0.5, rotate=1.0)))
    ['reflection', 'rotation']
    """
    names = {"rotate": "rotation", "reflect": "reflection", "translate": "translation", "swap": "swap"}
    return frozenset(name for setting, name in names.items() if getattr(config, setting))


def _chosen(batch: WindowBatch, probability: float, generator: torch.Generator) -> torch.Tensor:
    return (own_share(torch.rand, generator, [len(batch)]) < probability).to(batch.keypoints.device)


def reflect(batch: WindowBatch, chosen: torch.Tensor, skeleton: Skeleton) -> WindowBatch:
    """Mirror the chosen windows at the vertical middle of their arena; left keypoints become right ones."""
    order = skeleton.mirror_order()
    middle = batch.arena[:, [0, 2]].sum(dim=1).view(-1, 1, 1, 1)
    x, y = batch.keypoints.unbind(-1)
    mirrored = torch.stack([middle - x, y], dim=-1)[..., order, :]
    observed = batch.observed[..., order]
    pick = chosen.view(-1, 1, 1, 1)
    return replace(
        batch,
        keypoints=torch.where(pick.unsqueeze(-1), mirrored * observed.unsqueeze(-1), batch.keypoints),
        observed=torch.where(pick, observed, batch.observed),
    )


def rotate(batch: WindowBatch, radians: Float[Tensor, " batch"]) -> WindowBatch:
    """Turn each window about the middle of its arena, from x toward y; points may leave the arena."""
    middle = ((batch.arena[:, :2] + batch.arena[:, 2:]) / 2)[:, None, None, None, :]
    cos, sin = (values.view(-1, 1, 1, 1) for values in (radians.cos(), radians.sin()))
    x, y = (batch.keypoints - middle).unbind(-1)
    turned = middle + torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1)
    pick = (radians != 0).view(-1, 1, 1, 1, 1) & batch.observed.unsqueeze(-1)
    return replace(batch, keypoints=torch.where(pick, turned, batch.keypoints))


def translate(batch: WindowBatch, shifts: Float[Tensor, "batch space"]) -> WindowBatch:
    """Move each window by its own shift, in pixels."""
    return replace(batch, keypoints=batch.keypoints + shifts[:, None, None, None, :] * batch.observed.unsqueeze(-1))


def _shift_to(batch: WindowBatch, place: Float[Tensor, "batch space"]) -> Float[Tensor, "batch space"]:
    """Shift that keeps the observed points in the arena, at a place 0 to 1 of the possible range; 0 without room."""
    seen = batch.observed.unsqueeze(-1)
    low = batch.keypoints.masked_fill(~seen, torch.inf).amin(dim=(1, 2, 3))
    high = batch.keypoints.masked_fill(~seen, -torch.inf).amax(dim=(1, 2, 3))
    least, most = batch.arena[:, :2] - low, batch.arena[:, 2:] - high
    fits = ((least <= most) & (low <= high)).all(dim=1, keepdim=True)
    return torch.where(fits, torch.lerp(least, most, place), 0.0)


def swap_animals(batch: WindowBatch, chosen: torch.Tensor) -> WindowBatch:
    """Reverse the order of the animals in the chosen windows."""
    other, pick = batch.swapped(), chosen.view(-1, 1, 1, 1)
    return replace(
        batch,
        keypoints=torch.where(pick.unsqueeze(-1), other.keypoints, batch.keypoints),
        observed=torch.where(pick, other.observed, batch.observed),
        present=torch.where(chosen.view(-1, 1), other.present, batch.present),
    )


def jitter(batch: WindowBatch, sigma_px: float, generator: torch.Generator) -> WindowBatch:
    """Gaussian noise on every observed coordinate."""
    noise = own_share(torch.randn, generator, batch.keypoints.shape).to(batch.keypoints) * sigma_px
    return replace(batch, keypoints=batch.keypoints + noise * batch.observed.unsqueeze(-1))


def drop_keypoints(batch: WindowBatch, share: float, span_frames: int, generator: torch.Generator) -> WindowBatch:
    """Hide keypoints for `span_frames` at a time, as if the tracker had lost them."""
    windows, frames, individuals, keypoints = batch.observed.shape
    pieces = -(-frames // span_frames)
    rate = 2 * share * own_share(torch.rand, generator, [windows, 1, 1, 1])
    keep = own_share(torch.rand, generator, [windows, pieces, individuals, keypoints]) >= rate
    observed = batch.observed & keep.repeat_interleave(span_frames, dim=1)[:, :frames].to(batch.observed.device)
    return replace(batch, keypoints=batch.keypoints * observed.unsqueeze(-1), observed=observed)
