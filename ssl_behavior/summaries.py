"""Summaries of a stretch of time: how often each feature of the scene is above each of its quantiles.

For every step (a few frames) a window of time around, before or after it is described by the share of its steps in
which each channel lies above each of that channel's quantiles over the recordings: a histogram in cumulative form.
All windows together are compressed to principal components that keep their variances, so that distances between
compressed summaries are those between the histograms. They are what `methods.summaries` predicts, and, compressed to
as many columns as an embedding, a reference that needs no training.

Histograms of hand features as targets of self-supervised learning: Azabou et al. 2023 (BAMS, arXiv:2303.08811).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.numerics import principal_axes
from ssl_behavior.shapes import StepMask
from ssl_behavior.sliding import WindowsConfig, sliding_means

__all__ = ["Summaries", "SummariesConfig"]

Values = Float[Tensor, "batch step channel"]
Known = Bool[Tensor, "batch step channel"]
Components = Float[Tensor, "batch anchor component"]

_FITTING_STEPS = 8000
_SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True, kw_only=True)
class SummariesConfig:
    """Which windows are summed up, how finely, and in how many numbers.

    Parameters
    ----------
    windows : around, before and after a step.
    quantiles : of each channel over the training recordings; the edges of the histograms' bins.
    codes : principal components of one-second histograms that every window is described in.
    components : principal components of all windows together.
    """

    windows: WindowsConfig = field(default_factory=WindowsConfig)
    quantiles: tuple[float, ...] = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)
    codes: int = 192
    components: int = 256

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in zip(self.quantiles, self.quantiles[1:], strict=False))
        if not self.quantiles or not rising or not self.quantiles[0] > 0 or not self.quantiles[-1] < 1:
            raise InputError(f"summaries: quantiles must rise between 0 and 1, got {self.quantiles}")
        if min(self.codes, self.components) < 1:
            raise InputError(f"summaries: components must be at least 1, got {self}")


class Summaries(nn.Module):
    """Compressed windowed histograms of channels; edges, means and axes are fitted once and travel with the weights.

    Every step is coded by which channels lie above which of their edges, less the mean over the training recordings (0
    where a channel is not known) and projected on principal axes of one-second histograms; of these codes the means
    over every window are taken, brought to one total variance, and projected on principal axes of all windows together.

    Parameters
    ----------
    num_channels : of what is summed up.
    stride : frames of a step.
    """

    edges: Float[Tensor, "quantile channel"]
    mean: Float[Tensor, " share"]
    axes: Float[Tensor, "share code"]
    mixing: Float[Tensor, "window_code component"]

    def __init__(self, config: SummariesConfig, num_channels: int, stride: int) -> None:
        super().__init__()
        self.config, self.spans = config, config.windows.spans(stride)
        num_shares = num_channels * len(config.quantiles)
        codes = min(config.codes, num_shares)
        self.components = min(config.components, codes * len(self.spans))
        self.register_buffer("edges", torch.zeros(len(config.quantiles), num_channels))
        self.register_buffer("mean", torch.zeros(num_shares))
        self.register_buffer("axes", torch.zeros(num_shares, codes))
        self.register_buffer("mixing", torch.zeros(codes * len(self.spans), self.components))

    @property
    def reach(self) -> tuple[int, int]:
        """Steps before and after the own one that a summary covers."""
        return max(0, *(-first for first, _ in self.spans)), max(0, *(last for _, last in self.spans))

    def forward(self, values: Values, known: Known, inside: StepMask, every: slice = slice(None)) -> Components:
        """Compressed summaries of every step, or of the steps `every`. The mean square of a component is about 1.

        Parameters
        ----------
        inside : steps inside the recording; a window at its end holds the steps that exist.
        """
        codes = self._coded(values, known) @ self.axes
        return torch.cat([mean[:, every] for mean in self._means(codes, inside)], dim=-1) @ self.mixing

    def _coded(self, values: Values, known: Known) -> Float[Tensor, "batch step share"]:
        """Whether each channel is above each edge, quantile by quantile, less the mean; 0 where it is not known."""
        # NaN edges (a channel never known in training) are above everything.
        above = (values.unsqueeze(-2) > self.edges).to(self.mean.dtype)
        return ((above - self.mean.view_as(self.edges)) * known.unsqueeze(-2)).flatten(-2)

    def _means(self, codes: Tensor, inside: StepMask, spans: Sequence[tuple[int, int]] | None = None) -> list[Tensor]:
        weight = inside.unsqueeze(-1).to(codes.dtype)
        return [mean for mean, _ in sliding_means(codes, weight, spans or self.spans)]

    @torch.no_grad()
    def fit(self, pieces: Sequence[tuple[Tensor, Tensor]]) -> "Summaries":
        """Fit edges, mean and axes on pieces of recordings: values and known [1 step channel], of any number of steps.

        Raises
        ------
        InputError
            If no channel was ever known.
        """
        sampled = [_sampled(values.flatten(0, 1), known.flatten(0, 1)) for values, known in pieces]
        self.edges.copy_(_edges(torch.cat(sampled), self.config.quantiles))
        if not torch.isfinite(self.edges).any():
            raise InputError("summaries: nothing was observed in any training recording")
        self.mean.copy_(self._mean_share(pieces))
        everywhere = [values.new_ones(values.shape[:2], dtype=torch.bool) for values, _ in pieces]
        every = slice(None, None, 1 + sum(inside.shape[1] for inside in everywhere) // _FITTING_STEPS)
        brief, codes = [(-2, 2)], []
        second = torch.cat([
            self._means(self._coded(*piece), inside, brief)[0][0, every]
            for piece, inside in zip(pieces, everywhere, strict=True)
        ])  # fmt: skip
        self.axes.copy_(principal_axes(second, self.axes.shape[1]))
        for piece, inside in zip(pieces, everywhere, strict=True):
            means = self._means(self._coded(*piece) @ self.axes, inside)
            codes.append(torch.stack([mean[0, every] for mean in means], dim=1))
        self.mixing.copy_(self._mixed(torch.cat(codes)))
        return self

    def _mean_share(self, pieces: Sequence[tuple[Tensor, Tensor]]) -> Float[Tensor, " share"]:
        total = count = torch.zeros_like(self.edges)
        for values, known in pieces:
            above = (values.unsqueeze(-2) > self.edges) & known.unsqueeze(-2)
            total = total + above.sum(dim=(0, 1))
            count = count + known.sum(dim=(0, 1))
        return (total / count.clamp_min(1)).flatten()

    def _mixed(self, codes: Float[Tensor, "row window code"]) -> Float[Tensor, "window_code component"]:
        """Axes of all windows together: each window has the same total variance, components a mean square of 1."""
        centered = codes - codes.mean(dim=0)
        spread = centered.square().sum(dim=2).mean(dim=0).sqrt().clamp_min(_SMALLEST_SPREAD)
        axes = principal_axes((centered / spread[:, None]).flatten(1), self.components)
        mixing = (axes.unflatten(0, codes.shape[1:]) / spread[:, None, None]).flatten(0, 1)
        return mixing / (centered.flatten(1) @ mixing).square().mean().sqrt().clamp_min(_SMALLEST_SPREAD)


def _sampled(values: Float[Tensor, "row channel"], known: Bool[Tensor, "row channel"]) -> Tensor:
    """Some rows, NaN where not known."""
    every = max(1, len(values) // 1000)
    return values[::every].masked_fill(~known[::every], torch.nan)


def _edges(together: Float[Tensor, "row channel"], quantiles: Sequence[float]) -> Float[Tensor, "quantile channel"]:
    """Quantiles of what is known; NaN for a channel never known."""
    levels = torch.tensor(quantiles, dtype=together.dtype, device=together.device)
    return torch.nanquantile(together, levels, dim=0)
