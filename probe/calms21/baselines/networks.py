"""The CalMS21 paper's baseline networks (Sun et al. 2021, arXiv:2104.02710, Task 1)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from probe.calms21.baselines.layers import (
    DenseBlock,
    FrameClassifier,
    Layout,
    WindowSpan,
    apply_blocks,
    batch_norm,
    check_dropout,
    dense_blocks,
    dropout,
    glorot_,
    row_norm,
)
from ssl_behavior.device import choose_precision
from ssl_behavior.errors import InputError

__all__ = [
    "Attention",
    "AttentionConfig",
    "Conv1d",
    "Conv1dConfig",
    "FullyConnected",
    "FullyConnectedConfig",
    "Lstm",
    "LstmConfig",
]


@dataclass(frozen=True, kw_only=True)
class FullyConnectedConfig:
    """Dense layers on all values of a window, each with batch normalization, ReLU and dropout.

    Parameters
    ----------
    widths : widths of the layers.
    dropout : dropout probability.

    Raises
    ------
    InputError
        If a width is too small, or the dropout is not in [0, 1).
    """

    kind: Literal["fully_connected"] = "fully_connected"
    widths: tuple[int, ...] = (512, 256, 128)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise InputError(f"dense layers need widths of at least 1, got {list(self.widths)}")
        check_dropout(self.dropout)

    def build(self, layout: Layout, num_samples: int, num_classes: int, generator: torch.Generator) -> "FullyConnected":
        """A network with random weights, for windows of `num_samples` samples."""
        return FullyConnected(self, layout.num_channels, num_samples, num_classes, generator)


class FullyConnected(FrameClassifier):
    """See `FullyConnectedConfig`. Inputs pass a batch normalization first, including zeros outside of a recording."""

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
        return self.dense(apply_blocks(x, self.blocks, self.dropout, generator))

    def slide(self, values: Float[Tensor, "place channel"], span: WindowSpan) -> Float[Tensor, "frame class"]:
        """The same logits with the first layer as a convolution instead of windows; in evaluation mode only."""
        assert not self.training
        first = self.blocks[0]
        assert isinstance(first, DenseBlock)
        weight = first.linear.weight.unflatten(1, (self.num_samples, -1)).transpose(1, 2).unsqueeze(2)
        image = self.norm(values).T[None, :, None]
        x = F.conv2d(image, weight, first.linear.bias, dilation=(1, span.gap))[0, :, 0].T
        return self.dense(apply_blocks(F.relu(first.norm(x)), self.blocks[1:], 0.0, None))


_Image = Float[Tensor, "batch channel row sample"]
_Slid = Float[Tensor, "batch out_channel row out_sample"]


@dataclass(frozen=True, kw_only=True)
class Conv1dConfig:
    """Layers of convolution, batch normalization, ReLU, max-pooling over pairs, and dropout; then one dense layer.

    Parameters
    ----------
    channels : output channels of each convolution.
    kernel_size : kernel size in samples; without padding.
    dropout : dropout probability.

    Raises
    ------
    InputError
        If a number is too small, or the dropout is not in [0, 1).
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
        """Number of samples after the last layer.

        >>> Conv1dConfig().num_positions(201)
        21
        """
        for _ in self.channels:
            num_samples = (num_samples - self.kernel_size + 1) // 2
        return num_samples

    def build(self, layout: Layout, num_samples: int, num_classes: int, generator: torch.Generator) -> "Conv1d":
        """A network with random weights, for windows of `num_samples` samples."""
        return Conv1d(self, layout.num_channels, num_samples, num_classes, generator)


class Conv1d(FrameClassifier):
    """See `Conv1dConfig`. Inputs pass a batch normalization first, including zeros outside of a recording.

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
        self.layers = nn.ModuleList(_ConvLayer(*pair, config.kernel_size, generator) for pair in pairwise(widths))
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
        """The same logits without repeated sums, hundreds of times as fast; in evaluation mode only.

        Overlapping windows share their values, so each layer runs once over the recording, on samples `gap` apart at
        first and twice as far apart after each max-pooling.
        """
        assert not self.training
        x, gap = self.norm(_as_image(values[None])), span.gap
        for layer in self.layers:
            assert isinstance(layer, _ConvLayer)
            x, gap = layer.slide(x, gap), 2 * gap
        weight = self.dense.weight.unflatten(1, (self.num_positions, -1))
        x = F.conv2d(x, weight.transpose(1, 2).unsqueeze(2), self.dense.bias, dilation=(1, gap))
        # The layers ignore some samples at the end of a window, so there are a few more outputs than frames.
        return _as_rows(x)[0, : len(values) - sum(span.receptive_field)]


class _ConvLayer(nn.Module):
    """Convolution, batch normalization, max-pooling over pairs, ReLU.

    Images of one row with channels last are several times as fast on CPUs as torch's 1-D operations. Max-pooling before
    the ReLU gives the same result at half the cost.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, (1, kernel_size))
        self.norm = batch_norm(out_channels)
        glorot_(self.conv, generator)

    def forward(self, x: _Image) -> _Slid:
        return F.relu(F.max_pool2d(self.norm(self.conv(x)), (1, 2)))

    def slide(self, x: _Image, gap: int) -> _Slid:
        """The layer at every place instead of every second one, on samples `gap` places apart."""
        x = self.norm(F.conv2d(x, self.conv.weight, self.conv.bias, dilation=(1, gap)))
        return F.relu(torch.maximum(x[..., :-gap], x[..., gap:]))


def _as_image(x: Float[Tensor, "batch sample channel"]) -> _Image:
    """A view as an image of one row."""
    return x.transpose(1, 2).unsqueeze(2)


def _as_rows(x: _Image) -> Float[Tensor, "batch sample channel"]:
    return x.squeeze(2).transpose(1, 2)


@dataclass(frozen=True, kw_only=True)
class LstmConfig:
    """An LSTM over the samples of a window, and dense layers with batch norm, ReLU and dropout on its last state.

    Parameters
    ----------
    units : units of the LSTM.
    widths : widths of the dense layers.
    dropout : dropout probability after dense layers.

    Raises
    ------
    InputError
        If a number is too small, or the dropout is not in [0, 1).
    """

    kind: Literal["lstm"] = "lstm"
    units: int = 256
    widths: tuple[int, ...] = (256, 128)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if self.units < 1 or not self.widths or min(self.widths) < 1:
            raise InputError(
                f"an LSTM and its dense layers need widths of at least 1, got {self.units}, {list(self.widths)}"
            )
        check_dropout(self.dropout)

    def build(self, layout: Layout, num_samples: int, num_classes: int, generator: torch.Generator) -> "Lstm":
        """A network with random weights, for windows of any number of samples."""
        return Lstm(self, layout.num_channels, num_classes, generator)


class Lstm(FrameClassifier):
    """See `LstmConfig`. Inputs pass a batch normalization first, including zeros outside of a recording.

    There is one bias. Initial weights follow Keras: Glorot for the inputs, orthogonal for the state, and a bias of 1 in
    forget gate.
    """

    def __init__(self, config: LstmConfig, num_channels: int, num_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        units = config.units
        self.dropout = config.dropout
        self.norm = row_norm(num_channels)
        self.input_weight = nn.Parameter(torch.empty(4 * units, num_channels))
        self.state_weight = nn.Parameter(torch.empty(4 * units, units))
        self.bias = nn.Parameter(torch.zeros(4 * units))
        nn.init.xavier_uniform_(self.input_weight, generator=generator)
        nn.init.orthogonal_(self.state_weight, generator=generator)
        with torch.no_grad():
            self.bias[units : 2 * units] = 1.0
        self.blocks = dense_blocks((units, *config.widths), generator)
        self.dense = nn.Linear(config.widths[-1], num_classes)
        glorot_(self.dense, generator)

    def forward(
        self, windows: Float[Tensor, "batch sample channel"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch class"]:
        x = self.norm(windows.flatten(0, 1)).view_as(windows)
        return self.dense(apply_blocks(self._last_state(x), self.blocks, self.dropout, generator))

    def _last_state(self, x: Float[Tensor, "batch sample channel"]) -> Float[Tensor, "batch unit"]:
        state = x.new_zeros(1, len(x), self.state_weight.shape[1])
        # torch's LSTM needs a second bias, which is redundant and stays 0.
        weights = [self.input_weight, self.state_weight, self.bias, torch.zeros_like(self.bias)]
        # CPUs without bfloat16 support have no bfloat16 LSTM; other layers are only slow there.
        fast = choose_precision("auto", x.device) == torch.bfloat16
        with torch.autocast(x.device.type, enabled=torch.is_autocast_enabled(x.device.type) and fast):
            _, last, _ = torch.lstm(x, [state, state], weights, True, 1, 0.0, self.training, False, True)
        return last[0]


_Windows = Float[Tensor, "batch sample channel"]
_Attended = Float[Tensor, "batch out_sample out_channel"]


@dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    """Attention layers over the samples of a window, each with batch norm, ReLU, max-pooling over pairs, dropout.

    A layer has one head with unscaled dot products, keys equal to values, and no position encoding; a dense layer
    follows.

    Parameters
    ----------
    channels : channels of queries, values and outputs of each layer.
    dropout : dropout probability.

    Raises
    ------
    InputError
        If a number is too small, or the dropout is not in [0, 1).
    """

    kind: Literal["self_attention"] = "self_attention"
    channels: tuple[int, ...] = (128, 64, 32)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise InputError(f"attention needs channels of at least 1, got {list(self.channels)}")
        check_dropout(self.dropout)

    def num_positions(self, num_samples: int) -> int:
        """Number of samples after the last layer.

        >>> AttentionConfig().num_positions(101)
        12
        """
        return int(num_samples // 2 ** len(self.channels))

    def build(self, layout: Layout, num_samples: int, num_classes: int, generator: torch.Generator) -> "Attention":
        """A network with random weights, for windows of `num_samples` samples."""
        return Attention(self, layout.num_channels, num_samples, num_classes, generator)


class Attention(FrameClassifier):
    """See `AttentionConfig`. Inputs pass a batch normalization first, including zeros outside of a recording.

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
        self.layers = nn.ModuleList(_AttentionLayer(*pair, generator) for pair in pairwise(widths))
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


class _AttentionLayer(nn.Module):
    """Attention, dense layer, batch normalization, max-pooling over pairs, ReLU."""

    def __init__(self, in_channels: int, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.query, self.value = nn.Linear(in_channels, channels), nn.Linear(in_channels, channels)
        self.mix = nn.Linear(channels, channels)
        self.norm = row_norm(channels)
        for linear in (self.query, self.value, self.mix):
            glorot_(linear, generator)

    def forward(self, x: _Windows) -> _Attended:
        value = self.value(x)
        x = self.mix(F.scaled_dot_product_attention(self.query(x), value, value, scale=1.0))
        x = _each_sample(self.norm, x)
        pairs = x.shape[1] // 2
        # Max-pooling before the ReLU gives the same result at half the cost.
        return F.relu(x[:, : 2 * pairs].unflatten(1, (pairs, 2)).amax(dim=2))


def _each_sample(norm: nn.Module, x: _Windows) -> _Windows:
    """Normalization over all samples of all windows."""
    return norm(x.flatten(0, 1)).view_as(x)
