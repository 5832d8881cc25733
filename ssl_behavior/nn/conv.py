"""Residual 1-D convolution stacks over time: causal, anticausal or centered."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from ssl_behavior.errors import InputError
from ssl_behavior.tensor_types import Features, FrameMask, Latents

__all__ = ["ConvStack", "Direction", "ResidualBlock", "TemporalConv", "receptive_field"]

Direction = Literal["past", "future", "both"]


def receptive_field(kernel_size: int, dilations: Sequence[int]) -> int:
    """Frames seen by one output of a stack of dilated convolutions.

    >>> receptive_field(kernel_size=3, dilations=(1, 2, 4))
    15
    """
    return 1 + (kernel_size - 1) * sum(dilations)


class TemporalConv(nn.Module):
    """Convolution over time that keeps the number of frames and sees only past, future or both, by `direction`.

    "past": an output sees its own frame and earlier ones; "future": its own and later ones; "both": centered.

    Raises
    ------
    InputError
        If a centered convolution has an even kernel size.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel_size: int, dilation: int, direction: Direction) -> None:
        super().__init__()
        if direction == "both" and kernel_size % 2 == 0:
            raise InputError(f"a centered convolution needs an odd kernel size, got {kernel_size}")
        span = (kernel_size - 1) * dilation
        self.receptive_field = {"past": (span, 0), "future": (0, span), "both": (span // 2, span // 2)}[direction]
        self.starts = tuple(range(0, span + 1, dilation))
        # One matrix product over the frames a kernel touches, side by side: a quarter faster than the library's
        # convolution, which has to move channels to the front and back.
        self.linear = nn.Linear(kernel_size * in_dim, out_dim)
        nn.init.kaiming_normal_(self.linear.weight, a=0.01, nonlinearity="leaky_relu")
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Features) -> Latents:
        frames = x.shape[1]
        padded = F.pad(x, (0, 0, *self.receptive_field)) if any(self.receptive_field) else x
        taps = [padded[:, start : start + frames] for start in self.starts]
        return self.linear(torch.cat(taps, dim=-1) if len(taps) > 1 else padded)


class ResidualBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))): pre-activation, LayerNorm over channels, LeakyReLU.

    The block of the MABe 2021 Task 1 winner, with padding and dilation. The second convolution has
    `second_kernel_size` frames; 1 halves the cost.
    """

    def __init__(
        self, dim: int, kernel_size: int, second_kernel_size: int, dilation: int, direction: Direction
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.conv1 = TemporalConv(dim, dim, kernel_size, dilation, direction)
        self.conv2 = TemporalConv(dim, dim, second_kernel_size, dilation, direction)
        # Close to the identity at first: deep stacks start as shallow ones.
        with torch.no_grad():
            self.conv2.linear.weight.mul_(0.5)
        first, second = self.conv1.receptive_field, self.conv2.receptive_field
        self.receptive_field = (first[0] + second[0], first[1] + second[1])

    def forward(self, x: Latents, valid: FrameMask) -> Latents:
        # Padding frames are zero before every convolution, like the outside of the recording itself:
        # a short recording in a long window gives the numbers it gives alone.
        inside = valid.unsqueeze(-1)
        y = self.conv1(F.leaky_relu(self.norm1(x), 0.01) * inside)
        return x + self.conv2(F.leaky_relu(self.norm2(y), 0.01) * inside)


class ConvStack(nn.Module):
    """A linear layer to `dim` channels, then one residual block per dilation, then LayerNorm.

    Parameters
    ----------
    in_dim, dim : channels in, and of every block.
    kernel_size, second_kernel_size : frames that the two convolutions of a block touch.
    dilations : one residual block for each.
    direction : where the stack may look: "past", "future" or "both".

    Attributes
    ----------
    receptive_field : frames (before, after) on which one output depends.
    """

    def __init__(
        self,
        in_dim: int,
        dim: int,
        kernel_size: int,
        second_kernel_size: int,
        dilations: Sequence[int],
        direction: Direction,
    ) -> None:
        super().__init__()
        blocks = [ResidualBlock(dim, kernel_size, second_kernel_size, d, direction) for d in dilations]
        self.entry = nn.Linear(in_dim, dim)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim)
        self.receptive_field = (
            sum(block.receptive_field[0] for block in blocks),
            sum(block.receptive_field[1] for block in blocks),
        )

    def forward(self, x: Features, valid: FrameMask) -> Latents:
        x = self.entry(x)
        for block in self.blocks:
            x = block(x, valid)
        return self.norm(x)
