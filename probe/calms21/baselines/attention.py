"""The CalMS21 paper's self-attention baseline (Sun et al. 2021, arXiv:2104.02710, Task 1)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from probe.calms21.baselines.network import FrameClassifier, Layout, check_dropout, dropout, glorot_, row_norm
from ssl_behavior.errors import InputError

__all__ = ["Attention", "AttentionConfig"]

_Windows = Float[Tensor, "batch sample channel"]
_Made = Float[Tensor, "batch out_sample out_channel"]


@dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    """Layers of attention between the samples of a window, each with batch norm, ReLU, maximum over pairs, dropout.

    A layer makes a query and a value of every sample, mixes the values by how well the query fits each of them (keys
    are values, dot products unscaled, one head, no code of positions), and passes the mixture through a dense layer.

    Parameters
    ----------
    channels : of each layer: queries, values and what comes out.
    dropout : probability that a value is set to 0 in training.

    Raises
    ------
    InputError
        If a number is too small, or the dropout no probability below 1.
    """

    kind: Literal["self_attention"] = "self_attention"
    channels: tuple[int, ...] = (128, 64, 32)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise InputError(f"attention needs channels of at least 1, got {list(self.channels)}")
        check_dropout(self.dropout)

    def num_positions(self, num_samples: int) -> int:
        """Samples left after the last layer.

        >>> AttentionConfig().num_positions(101)
        12
        """
        return int(num_samples // 2 ** len(self.channels))

    def build(self, layout: Layout, num_samples: int, num_classes: int, generator: torch.Generator) -> "Attention":
        """The network for windows of `num_samples` samples, its weights drawn."""
        return Attention(self, layout.num_channels, num_samples, num_classes, generator)


class Attention(FrameClassifier):
    """See `AttentionConfig`. Inputs pass a batch normalisation first, the outside of a recording included.

    Raises
    ------
    InputError
        If the window is too short for the layers.
    """

    def __init__(
        self, config: AttentionConfig, num_channels: int, num_samples: int, num_classes: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        num_positions = config.num_positions(num_samples)
        if num_positions < 1:
            raise InputError(
                f"a window of {num_samples} samples is too short for {len(config.channels)} layers, each of which "
                "halves it: widen the window"
            )
        self.dropout = config.dropout
        widths = (num_channels, *config.channels)
        self.norm = row_norm(num_channels)
        self.layers = nn.ModuleList(_Layer(*pair, generator) for pair in pairwise(widths))
        self.dense = nn.Linear(num_positions * widths[-1], num_classes)
        glorot_(self.dense, generator)

    def forward(
        self, windows: Float[Tensor, "batch sample channel"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch class"]:
        x = _each_sample(self.norm, windows)
        for layer in self.layers:
            x = layer(x)
            if self.training:
                x = dropout(x, self.dropout, generator)
        return self.dense(x.flatten(1))


class _Layer(nn.Module):
    """Attention, dense layer, batch normalisation, maximum over pairs, ReLU."""

    def __init__(self, in_channels: int, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.query, self.value = nn.Linear(in_channels, channels), nn.Linear(in_channels, channels)
        self.mix = nn.Linear(channels, channels)
        self.norm = row_norm(channels)
        for linear in (self.query, self.value, self.mix):
            glorot_(linear, generator)

    def forward(self, x: _Windows) -> _Made:
        value = self.value(x)
        x = self.mix(F.scaled_dot_product_attention(self.query(x), value, value, scale=1.0))
        x = _each_sample(self.norm, x)
        pairs = x.shape[1] // 2
        # The maximum before the ReLU is the maximum after it, at half the cost.
        return F.relu(x[:, : 2 * pairs].unflatten(1, (pairs, 2)).amax(dim=2))


def _each_sample(norm: nn.Module, x: _Windows) -> _Windows:
    """Normalisation over all samples of all windows."""
    return norm(x.flatten(0, 1)).view_as(x)
