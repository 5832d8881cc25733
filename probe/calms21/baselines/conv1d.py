"""The CalMS21 paper's 1-D convolutional baseline (Sun et al. 2021, arXiv:2104.02710, Task 1)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from probe.calms21.baselines.network import (
    FrameClassifier,
    Layout,
    WindowSpan,
    batch_norm,
    check_dropout,
    dropout,
    glorot_,
)
from ssl_behavior.errors import InputError

__all__ = ["Conv1d", "Conv1dConfig"]

_Image = Float[Tensor, "batch channel row sample"]
_Made = Float[Tensor, "batch out_channel row out_sample"]


@dataclass(frozen=True, kw_only=True)
class Conv1dConfig:
    """Layers of convolution, batch normalisation, ReLU, maximum over pairs, and dropout; then one dense layer.

    Parameters
    ----------
    channels : of each layer's convolution.
    kernel_size : samples that a convolution touches; the ends are not padded.
    dropout : probability that a value is set to 0 in training.

    Raises
    ------
    InputError
        If a number is too small, or the dropout no probability below 1.
    """

    kind: Literal["conv1d"] = "conv1d"
    channels: tuple[int, ...] = (128, 64, 32)
    kernel_size: int = 5
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or self.kernel_size < 1:
            raise InputError(
                f"convolutions need channels and a kernel of at least 1, got channels {list(self.channels)}, "
                f"kernel_size {self.kernel_size}"
            )
        check_dropout(self.dropout)

    def num_positions(self, num_samples: int) -> int:
        """Samples left after the last layer.

        >>> Conv1dConfig().num_positions(201)
        21
        """
        for _ in self.channels:
            num_samples = (num_samples - self.kernel_size + 1) // 2
        return num_samples

    def build(self, layout: Layout, num_samples: int, num_classes: int, generator: torch.Generator) -> "Conv1d":
        """The network for windows of `num_samples` samples, its weights drawn."""
        return Conv1d(self, layout.num_channels, num_samples, num_classes, generator)


class Conv1d(FrameClassifier):
    """See `Conv1dConfig`. Inputs pass a batch normalisation first, the outside of a recording included.

    Raises
    ------
    InputError
        If the window is too short for the layers.
    """

    def __init__(
        self, config: Conv1dConfig, num_channels: int, num_samples: int, num_classes: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.num_positions = config.num_positions(num_samples)
        if self.num_positions < 1:
            raise InputError(
                f"a window of {num_samples} samples is too short for {len(config.channels)} convolutions of "
                f"{config.kernel_size} samples, each followed by a maximum over pairs: widen the window"
            )
        self.dropout = config.dropout
        widths = (num_channels, *config.channels)
        self.norm = batch_norm(num_channels)
        self.layers = nn.ModuleList(_Layer(*pair, config.kernel_size, generator) for pair in pairwise(widths))
        self.dense = nn.Linear(self.num_positions * widths[-1], num_classes)
        glorot_(self.dense, generator)

    def forward(
        self, windows: Float[Tensor, "batch sample channel"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch class"]:
        x = self.norm(_as_image(windows))
        for layer in self.layers:
            x = layer(x)
            if self.training:
                x = _as_image(dropout(_as_rows(x), self.dropout, generator))
        return self.dense(_as_rows(x).flatten(1))

    def slide(self, values: Float[Tensor, "place channel"], span: WindowSpan) -> Float[Tensor, "frame class"]:
        """The same logits, every sum shared by all windows that need it: hundreds of times as fast.

        Valid once training is over. What a window computes at its sample k is what another computes at k + 1, so each
        layer runs once over the recording, on samples `gap` apart at first and twice as far apart after each maximum.
        """
        assert not self.training
        x, gap = self.norm(_as_image(values[None])), span.gap
        for layer in self.layers:
            assert isinstance(layer, _Layer)
            x, gap = layer.slide(x, gap), 2 * gap
        weight = self.dense.weight.unflatten(1, (self.num_positions, -1))
        x = F.conv2d(x, weight.transpose(1, 2).unsqueeze(2), self.dense.bias, dilation=(1, gap))
        # The layers leave some samples at the end of a window unread, so there are outputs for a few frames more.
        return _as_rows(x)[0, : len(values) - sum(span.receptive_field)]


class _Layer(nn.Module):
    """Convolution, batch normalisation, maximum over pairs, ReLU.

    On images one row high with channels last in memory, which is several times as fast on processors as the library's
    1-D operations. The maximum before the ReLU is the maximum after it, at half the cost.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, (1, kernel_size))
        self.norm = batch_norm(out_channels)
        glorot_(self.conv, generator)

    def forward(self, x: _Image) -> _Made:
        return F.relu(F.max_pool2d(self.norm(self.conv(x)), (1, 2)))

    def slide(self, x: _Image, gap: int) -> _Made:
        """The same at every place instead of every second one, on samples `gap` places apart."""
        x = self.norm(F.conv2d(x, self.conv.weight, self.conv.bias, dilation=(1, gap)))
        return F.relu(torch.maximum(x[..., :-gap], x[..., gap:]))


def _as_image(x: Float[Tensor, "batch sample channel"]) -> _Image:
    """The same numbers in the same places of memory."""
    return x.transpose(1, 2).unsqueeze(2)


def _as_rows(x: _Image) -> Float[Tensor, "batch sample channel"]:
    return x.squeeze(2).transpose(1, 2)
