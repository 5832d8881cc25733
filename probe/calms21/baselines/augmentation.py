"""Augmentation of baseline inputs: rotation, mirroring and noise of keypoints."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.calms21.baselines.layers import KEYPOINTS, OBSERVED, Layout
from ssl_behavior.errors import InputError

__all__ = ["Augmentation", "augment", "rotate_points"]


Points = Float[Tensor, "batch sample individual keypoint space"]
Seen = Bool[Tensor, "batch sample individual keypoint"]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of the keypoints of each training window; features stay unchanged.

    The defaults are those of the published CalMS21 baselines: a rotation about the origin in units of the arena, where
    x and y have different scales, then a shift. `about="middle"` rotates in pixels about the center of the arena.

    Parameters
    ----------
    rotate : maximum angle in radians; angles are uniform in [-rotate, rotate].
    shift : maximum shift in units of the arena; shifts are uniform, one per axis.
    about : "corner" or "middle".
    move_outside : also move frames outside of the recording, as published, if there are no "observed" channels. Missing
        points always stay 0.
    reflect : probability of a mirror image in x, with left and right keypoints exchanged.
    swap : probability of a reversed order of the animals, for exchangeable animals.

    Raises
    ------
    InputError
        If a number is negative, or a probability above 1.
    """

    rotate: float = math.pi
    shift: float = 0.25
    about: Literal["corner", "middle"] = "corner"
    move_outside: bool = True
    reflect: float = 0.0
    swap: float = 0.0

    def __post_init__(self) -> None:
        if self.rotate < 0 or self.shift < 0:
            raise InputError(f"augment: rotate and shift must be at least 0, got {self.rotate} and {self.shift}")
        for name in ("reflect", "swap"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augment: {name} must be between 0 and 1, got {getattr(self, name)}")


def augment(
    windows: Float[Tensor, "batch sample channel"],
    layout: Layout,
    config: Augmentation,
    sizes_px: Float[Tensor, "batch space"],
    generator: torch.Generator,
) -> Float[Tensor, "batch sample channel"]:
    """A new tensor of augmented windows: mirrored and exchanged, then rotated, then shifted.

    Parameters
    ----------
    sizes_px : width and height of each window's arena.
    generator : on the device of the windows.
    """
    points, seen = layout.points(windows), layout.seen(windows)

    def uniform(*shape: int) -> Tensor:
        """Uniform numbers in [-1, 1), a row for each window."""
        drawn = torch.rand((len(windows), *shape), generator=generator, device=windows.device, dtype=windows.dtype)
        return 2 * drawn - 1

    if config.reflect:
        points, seen = _chosen(uniform() < 2 * config.reflect - 1, _mirrored(points, seen, layout), (points, seen))
    if config.swap:
        points, seen = _chosen(uniform() < 2 * config.swap - 1, (points.flip(2), seen.flip(2)), (points, seen))
    if config.rotate:
        points = rotate_points(points, config.rotate * uniform(), config.about, sizes_px)
    points = points + config.shift * uniform(2)[:, None, None, None]
    has_observed = OBSERVED in layout.groups
    if has_observed or not config.move_outside:
        points = points.masked_fill(~seen[..., None], 0.0)
    changed = torch.cat([points.flatten(2), windows[..., layout.part(KEYPOINTS).stop :]], dim=2)
    if has_observed:
        changed[..., layout.part(OBSERVED)] = seen.flatten(2).to(changed.dtype)
    return changed


def rotate_points(
    points: Points, radians: Float[Tensor, " batch"], about: str, sizes_px: Float[Tensor, "batch space"]
) -> Points:
    """Points rotated from x toward y, one angle per window; see `Augmentation.about`."""
    middle = 0.5 if about == "middle" else 0.0
    scale = sizes_px[:, None, None, None] if about == "middle" else 1.0
    x, y = ((points - middle) * scale).unbind(-1)
    cos, sin = (values[:, None, None, None] for values in (radians.cos(), radians.sin()))
    return torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1) / scale + middle


def _mirrored(points: Points, seen: Seen, layout: Layout) -> tuple[Points, Seen]:
    """Mirror images in x, with left and right keypoints exchanged."""
    order = layout.skeleton.mirror_order()
    x, y = points[..., order, :].unbind(-1)
    return torch.stack([1 - x, y], dim=-1), seen[..., order]


def _chosen(
    which: Bool[Tensor, " batch"], changed: tuple[Points, Seen], kept: tuple[Points, Seen]
) -> tuple[Points, Seen]:
    pick = which[:, None, None, None]
    return torch.where(pick[..., None], changed[0], kept[0]), torch.where(pick, changed[1], kept[1])
