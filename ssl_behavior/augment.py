"""Augmentations of windows: pure functions that return new windows; the caller owns the randomness."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from ssl_behavior.errors import InputError
from ssl_behavior.parallel import rank, world_size
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.windows import WindowBatch

__all__ = ["AugmentConfig", "augment", "drop_keypoints", "jitter", "reflect", "swap_animals"]


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How much of each augmentation; 0 turns it off.

    Parameters
    ----------
    reflect : probability that a window is mirrored (left and right keypoints exchanged).
    swap : probability that the two animals of a window change places.
    drop_keypoints : mean share of keypoints hidden; the share of a window is uniform from 0 to twice this.
    drop_frames : length of the pieces in which keypoints are hidden.
    jitter_px : standard deviation of noise on every coordinate.
    """

    reflect: float = 0.5
    swap: float = 0.0
    drop_keypoints: float = 0.15
    drop_frames: int = 16
    jitter_px: float = 0.0

    def __post_init__(self) -> None:
        for name in ("reflect", "swap", "drop_keypoints"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augment: {name} must be between 0 and 1, got {getattr(self, name)}")
        if self.drop_frames < 1 or self.jitter_px < 0:
            raise InputError(f"augment: drop_frames must be at least 1 and jitter_px 0 or more, got {self}")


def augment(batch: WindowBatch, config: AugmentConfig, skeleton: Skeleton, generator: torch.Generator) -> WindowBatch:
    """All augmentations of `config`, each window with its own draw."""
    if config.reflect:
        batch = reflect(batch, _chosen(batch, config.reflect, generator), skeleton)
    if config.swap:
        batch = swap_animals(batch, _chosen(batch, config.swap, generator))
    if config.jitter_px:
        batch = jitter(batch, config.jitter_px, generator)
    if config.drop_keypoints:
        batch = drop_keypoints(batch, config.drop_keypoints, config.drop_frames, generator)
    return batch


def _own_share(draw: Callable[..., torch.Tensor], generator: torch.Generator, shape: Sequence[int]) -> torch.Tensor:
    """Random numbers for this process's windows: drawn for the whole batch, so that they are those of one process."""
    everyone = draw((shape[0] * world_size(), *shape[1:]), generator=generator, device=generator.device)
    return everyone[rank() * shape[0] : (rank() + 1) * shape[0]]


def _chosen(batch: WindowBatch, probability: float, generator: torch.Generator) -> torch.Tensor:
    return (_own_share(torch.rand, generator, [len(batch)]) < probability).to(batch.keypoints.device)


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


def swap_animals(batch: WindowBatch, chosen: torch.Tensor) -> WindowBatch:
    """Reverse the order of the animals in the chosen windows."""
    other, pick = batch.swapped(), chosen.view(-1, 1, 1, 1)
    return replace(
        batch,
        keypoints=torch.where(pick.unsqueeze(-1), other.keypoints, batch.keypoints),
        observed=torch.where(pick, other.observed, batch.observed),
    )


def jitter(batch: WindowBatch, sigma_px: float, generator: torch.Generator) -> WindowBatch:
    """Gaussian noise on every observed coordinate."""
    noise = _own_share(torch.randn, generator, batch.keypoints.shape).to(batch.keypoints) * sigma_px
    return replace(batch, keypoints=batch.keypoints + noise * batch.observed.unsqueeze(-1))


def drop_keypoints(batch: WindowBatch, share: float, span_frames: int, generator: torch.Generator) -> WindowBatch:
    """Hide keypoints for `span_frames` at a time, as if the tracker had lost them."""
    windows, frames, individuals, keypoints = batch.observed.shape
    pieces = -(-frames // span_frames)
    rate = 2 * share * _own_share(torch.rand, generator, [windows, 1, 1, 1])
    keep = _own_share(torch.rand, generator, [windows, pieces, individuals, keypoints]) >= rate
    observed = batch.observed & keep.repeat_interleave(span_frames, dim=1)[:, :frames].to(batch.observed.device)
    return replace(batch, keypoints=batch.keypoints * observed.unsqueeze(-1), observed=observed)
