"""A residual block that averages hidden units over many windows of time at once, and mixes the averages.

A stack of dilated convolutions has to learn to average; here the averages are given. Half a minute of context costs
what a second does, and a few hundred training steps are enough.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from ssl_behavior.errors import InputError
from ssl_behavior.shapes import StepMask, Steps
from ssl_behavior.sliding import WindowsConfig, sliding_means
from ssl_behavior.summaries import QUANTILES

__all__ = ["MixerConfig", "WindowBlock"]


@dataclass(frozen=True, kw_only=True)
class MixerConfig:
    """Sizes of a `MixingEmbedder` (`nn.encoder`).

    Parameters
    ----------
    view_dim : hidden units of each animal's point of view.
    dim : width of the scene.
    dilations : one residual convolution block of the scene for each, before the windows; none = none.
    windows_dim : hidden units that are averaged over windows, in each block.
    windows : that they are averaged over.
    blocks : how many blocks of windows follow one another.
    quantiles, codes : the scene's quantile codes (`summaries.QuantileCodes`) that are read beside its features.
    """

    view_dim: int = 192
    dim: int = 192
    dilations: tuple[int, ...] = ()
    windows_dim: int = 96
    windows: WindowsConfig = field(default_factory=WindowsConfig)
    blocks: int = 1
    quantiles: tuple[float, ...] = QUANTILES
    codes: int = 192

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in zip(self.quantiles, self.quantiles[1:], strict=False))
        if not self.quantiles or not rising or self.quantiles[0] <= 0 or self.quantiles[-1] >= 1:
            raise InputError(f"mixer: quantiles must rise between 0 and 1, got {self.quantiles}")
        if self.codes < 1:
            raise InputError(f"mixer: codes must be at least 1, got {self.codes}")
        if min(self.view_dim, self.dim, self.windows_dim, self.blocks, *self.dilations) < 1:
            raise InputError(f"mixer: widths, blocks and dilations must be at least 1, got {self}")


class WindowBlock(nn.Module):
    """x + mix(means of hidden units over windows), then x + MLP(x); pre-normalized by LayerNorm, GELU.

    Attributes
    ----------
    reach : steps (before, after) on which one output depends.
    """

    def __init__(self, dim: int, windows_dim: int, windows: WindowsConfig, stride: int) -> None:
        super().__init__()
        self.spans, self.reach = windows.spans(stride), windows.reach(stride)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.hidden = nn.Linear(dim, windows_dim)
        self.mix = nn.Linear(windows_dim * len(self.spans), dim)
        self.widen, self.narrow = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Steps, inside: StepMask) -> Steps:
        hidden = F.gelu(self.hidden(self.norm1(x)))
        means = sliding_means(hidden, inside.unsqueeze(-1).to(hidden.dtype), self.spans)
        x = x + self.mix(torch.cat([mean for mean, _ in means], dim=-1))
        return x + self.narrow(F.gelu(self.widen(self.norm2(x))))
