"""The CalMS21 paper's recurrent baseline (Sun et al. 2021, arXiv:2104.02710, Task 1)."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probe.calms21.baselines.network import (
    FrameClassifier,
    Layout,
    check_dropout,
    dense_blocks,
    glorot_,
    passed,
    row_norm,
)
from ssl_behavior.device import choose_precision
from ssl_behavior.errors import InputError

__all__ = ["Lstm", "LstmConfig"]


@dataclass(frozen=True, kw_only=True)
class LstmConfig:
    """An LSTM over the samples of a window; its last state goes through dense layers with batch norm, ReLU, dropout.

    Parameters
    ----------
    units : of the LSTM.
    widths : of each dense layer.
    dropout : probability that a value is set to 0 in training, behind dense layers.

    Raises
    ------
    InputError
        If a number is too small, or the dropout no probability below 1.
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
        """The network for windows of any number of samples, its weights drawn."""
        return Lstm(self, layout.num_channels, num_classes, generator)


class Lstm(FrameClassifier):
    """See `LstmConfig`. Inputs pass a batch normalisation first, the outside of a recording included.

    There is one bias, and the first weights are Keras's: Glorot's for the inputs, orthogonal ones for the state, and a
    forget gate that is open (bias 1).
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
        return self.dense(passed(self._last_state(x), self.blocks, self.dropout, generator))

    def _last_state(self, x: Float[Tensor, "batch sample channel"]) -> Float[Tensor, "batch unit"]:
        state = x.new_zeros(1, len(x), self.state_weight.shape[1])
        # The library's LSTM asks for a second bias, which would only be the first one over again.
        weights = [self.input_weight, self.state_weight, self.bias, torch.zeros_like(self.bias)]
        # A processor without bfloat16 has no such LSTM, where other layers are only slow.
        fast = choose_precision("auto", x.device) == torch.bfloat16
        with torch.autocast(x.device.type, enabled=torch.is_autocast_enabled(x.device.type) and fast):
            _, last, _ = torch.lstm(x, [state, state], weights, True, 1, 0.0, self.training, False, True)
        return last[0]
