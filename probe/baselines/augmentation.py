"""Changes of training windows after which they show the same behaviour: turned, shifted, mirrored, exchanged."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.baselines.layout import KEYPOINTS, OBSERVED, Layout
from ssl_behavior.errors import InputError

__all__ = ["Augmentation", "augment", "turned"]

Points = Float[Tensor, "batch sample individual keypoint space"]
Seen = Bool[Tensor, "batch sample individual keypoint"]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How windows of training are changed, each by its own draw; features are left alone.

    The defaults are what the published CalMS21 baselines did: turned in units of the arena, in which x and y differ in
    scale, about the corner where the units start; then shifted. `about="middle"` turns by true angles instead: in
    pixels, about the middle of the arena.

    Parameters
    ----------
    rotate : largest angle in radians; a window's own is uniform between its negative and this.
    shift : largest shift, in units of the arena; a window's own is uniform and has one value per axis.
    about : "corner" or "middle".
    move_outside : also move what lies outside of the recording, as published, where nothing tells it from a point at 0.
        Points that channels tell to be missing always stay 0.
    reflect : probability that a window is mirrored in x, left and right keypoints exchanged.
    swap : probability that the animals' order is reversed, for animals that nobody tells apart.

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
    """Windows as `config` changes them, as a new tensor: mirrored and exchanged, then turned, then shifted.

    Parameters
    ----------
    sizes_px : width and height of each window's arena.
    generator : on the device of the windows.
    """
    points, seen = layout.points(windows), layout.seen(windows)

    def uniform(*shape: int) -> Tensor:
        """From -1 to 1, a row for each window."""
        drawn = torch.rand((len(windows), *shape), generator=generator, device=windows.device, dtype=windows.dtype)
        return 2 * drawn - 1

    if config.reflect:
        points, seen = _chosen(uniform() < 2 * config.reflect - 1, _mirrored(points, seen, layout), (points, seen))
    if config.swap:
        points, seen = _chosen(uniform() < 2 * config.swap - 1, (points.flip(2), seen.flip(2)), (points, seen))
    if config.rotate:
        points = turned(points, config.rotate * uniform(), config.about, sizes_px)
    points = points + config.shift * uniform(2)[:, None, None, None]
    told = OBSERVED in layout.groups
    if told or not config.move_outside:
        points = points.masked_fill(~seen[..., None], 0.0)
    changed = torch.cat([points.flatten(2), windows[..., layout.part(KEYPOINTS).stop :]], dim=2)
    if told:
        changed[..., layout.part(OBSERVED)] = seen.flatten(2).to(changed.dtype)
    return changed


def turned(
    points: Points, radians: Float[Tensor, " batch"], about: str, sizes_px: Float[Tensor, "batch space"]
) -> Points:
    """Points turned from x towards y, all of a window by one angle; see `Augmentation.about`."""
    middle = 0.5 if about == "middle" else 0.0
    scale = sizes_px[:, None, None, None] if about == "middle" else 1.0
    x, y = ((points - middle) * scale).unbind(-1)
    cos, sin = (values[:, None, None, None] for values in (radians.cos(), radians.sin()))
    return torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1) / scale + middle


def _mirrored(points: Points, seen: Seen, layout: Layout) -> tuple[Points, Seen]:
    """x counted from the other side, left and right keypoints exchanged."""
    order = layout.skeleton.mirror_order()
    x, y = points[..., order, :].unbind(-1)
    return torch.stack([1 - x, y], dim=-1), seen[..., order]


def _chosen(
    which: Bool[Tensor, " batch"], changed: tuple[Points, Seen], kept: tuple[Points, Seen]
) -> tuple[Points, Seen]:
    pick = which[:, None, None, None]
    return torch.where(pick[..., None], changed[0], kept[0]), torch.where(pick, changed[1], kept[1])
