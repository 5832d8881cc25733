"""The CalMS21 paper's fully connected and single-frame baselines (Sun et al. 2021, arXiv:2104.02710, Task 1)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from probe.calms21.baselines.network import (
    DenseBlock,
    FrameClassifier,
    Layout,
    WindowSpan,
    check_dropout,
    dense_blocks,
    glorot_,
    passed,
    row_norm,
)
from ssl_behavior.errors import InputError

__all__ = ["FullyConnected", "FullyConnectedConfig"]


@dataclass(frozen=True, kw_only=True)
class FullyConnectedConfig:
    """Dense layers on all numbers of a window at once, each with batch normalisation, ReLU and dropout.

    Parameters
    ----------
    widths : of each layer.
    dropout : probability that a value is set to 0 in training.

    Raises
    ------
    InputError
        If a width is too small, or the dropout no probability below 1.
    """

    kind: Literal["fully_connected"] = "fully_connected"
    widths: tuple[int, ...] = (512, 256, 128)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise InputError(f"dense layers need widths of at least 1, got {list(self.widths)}")
        check_dropout(self.dropout)

    def build(self, layout: Layout, num_samples: int, num_classes: int, generator: torch.Generator) -> "FullyConnected":
        """The network for windows of `num_samples` samples, its weights drawn."""
        return FullyConnected(self, layout.num_channels, num_samples, num_classes, generator)


class FullyConnected(FrameClassifier):
    """See `FullyConnectedConfig`. Inputs pass a batch normalisation first, the outside of a recording included."""

    def __init__(
        self,
        config: FullyConnectedConfig,
        num_channels: int,
        num_samples: int,
        num_classes: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.num_samples, self.dropout = num_samples, config.dropout
        self.norm = row_norm(num_channels)
        self.blocks = dense_blocks((num_samples * num_channels, *config.widths), generator)
        self.dense = nn.Linear(config.widths[-1], num_classes)
        glorot_(self.dense, generator)

    def forward(
        self, windows: Float[Tensor, "batch sample channel"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch class"]:
        x = self.norm(windows.flatten(0, 1)).view(len(windows), -1)
        return self.dense(passed(x, self.blocks, self.dropout, generator))

    def slide(self, values: Float[Tensor, "place channel"], span: WindowSpan) -> Float[Tensor, "frame class"]:
        """The same logits, the first layer as a convolution, which makes no window; valid once training is over."""
        assert not self.training
        first = self.blocks[0]
        assert isinstance(first, DenseBlock)
        weight = first.linear.weight.unflatten(1, (self.num_samples, -1)).transpose(1, 2).unsqueeze(2)
        image = self.norm(values).T[None, :, None]
        x = F.conv2d(image, weight, first.linear.bias, dilation=(1, span.gap))[0, :, 0].T
        return self.dense(passed(F.relu(first.norm(x)), self.blocks[1:], 0.0, None))
