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
from itertools import accumulate

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.features import Channels
from ssl_behavior.numerics import principal_axes
from ssl_behavior.shapes import FrameMask, StepMask
from ssl_behavior.sliding import WindowsConfig, sliding_means

__all__ = ["Piece", "Summaries", "SummariesConfig", "scene_moments"]

Values = Float[Tensor, "batch step channel"]
Known = Bool[Tensor, "batch step channel"]
Components = Float[Tensor, "batch anchor component"]
Moments = tuple[Float[Tensor, "batch step moment"], Bool[Tensor, "batch step moment"]]
Piece = tuple[Tensor, Tensor]
"""Values and known [1 step channel] of a stretch of a recording. Pieces differ in their number of steps."""

_FITTING_STEPS = 8000
_FITTING_SHARES = 60_000_000
"""Shares of all steps that principal axes are taken of; steps are left out where there are more."""
_EDGE_VALUES = 15_000_000
"""Values that quantiles are taken of; torch refuses more than 16 million."""
_SMALLEST_SPREAD = 1e-6
_ROUNDING = 1e-5


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


def scene_moments(features: Channels, known: Bool[Tensor, "batch time individual channel"], valid: FrameMask,
                  stride: int, pooled: bool) -> Moments:  # fmt: skip
    """Mean and standard deviation of each feature of the scene over the known frames of each step, and which are known.

    Of exchangeable animals (`pooled`) mean and maximum over the points of view that know the feature, else all points
    of view side by side.
    """
    pattern = "batch (step stride) individual channel -> batch step stride individual channel"
    weight = rearrange((known & valid[..., None, None]).to(features.dtype), pattern, stride=stride)
    features = rearrange(features, pattern, stride=stride)
    count = weight.sum(dim=2)
    mean = (features * weight).sum(dim=2) / count.clamp_min(1)
    # A difference of mean squares would be rounding where nothing changes, and rounding has quantiles too.
    variance = ((features - mean.unsqueeze(2)).square() * weight).sum(dim=2) / count.clamp_min(1)
    std = variance.sqrt()
    values, seen = torch.cat([mean, std], dim=-1), (count > 0).repeat(1, 1, 1, 2)
    if not pooled:
        return values.flatten(2), seen.flatten(2)
    anyone = seen.any(dim=2)
    mean = (values * seen).sum(dim=2) / seen.sum(dim=2).clamp_min(1)
    largest = values.masked_fill(~seen, -torch.inf).amax(dim=2).masked_fill(~anyone, 0.0)
    return torch.cat([mean, largest], dim=-1), anyone.repeat(1, 1, 2)


class Summaries(nn.Module):
    """Compressed windowed histograms of channels; edges, means and axes are fitted once and travel with the weights.

    Every step is coded by which channels lie above which of their edges, less the mean over the training recordings (0
    where a channel is not known) and projected on principal axes of one-second histograms; of these codes the means
    over every window are taken, brought to one total variance, and projected on principal axes of all windows together.

    Attributes
    ----------
    spread : standard deviation of each component over the training recordings.

    Parameters
    ----------
    num_channels : of what is summed up.
    stride : frames of a step.
    """

    edges: Float[Tensor, "quantile channel"]
    mean: Float[Tensor, " share"]
    axes: Float[Tensor, "share code"]
    mixing: Float[Tensor, "window_code component"]
    spread: Float[Tensor, " component"]

    def __init__(self, config: SummariesConfig, num_channels: int, stride: int) -> None:
        super().__init__()
        self.config, self.stride, self.spans = config, stride, config.windows.spans(stride)
        num_shares = num_channels * len(config.quantiles)
        codes = min(config.codes, num_shares)
        self.components = min(config.components, codes * len(self.spans))
        self.register_buffer("edges", torch.zeros(len(config.quantiles), num_channels))
        self.register_buffer("mean", torch.zeros(num_shares))
        self.register_buffer("axes", torch.zeros(num_shares, codes))
        self.register_buffer("mixing", torch.zeros(codes * len(self.spans), self.components))
        self.register_buffer("spread", torch.ones(self.components))

    @property
    def reach(self) -> tuple[int, int]:
        """Steps before and after the own one that a summary covers."""
        return self.config.windows.reach(self.stride)

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
    def fit(self, pieces: Sequence[Piece]) -> "Summaries":
        """Fit edges, mean and axes on pieces of the training recordings.

        Beyond the pieces, memory does not grow with their number: quantiles and axes are taken of evenly spaced steps.

        Raises
        ------
        InputError
            If no channel was ever known.
        """
        lengths = [values.shape[1] for values, _ in pieces]
        self.edges.copy_(self._edges(pieces, lengths))
        if not torch.isfinite(self.edges).any():
            raise InputError("summaries: nothing was observed in any training recording")
        self.mean.copy_(self._mean_share(pieces))
        every = _evenly(lengths, min(_FITTING_STEPS, max(1, _FITTING_SHARES // len(self.mean))))
        brief, codes = [(-2, 2)], []
        second = torch.cat([
            self._means(self._coded(*piece), _everywhere(piece), brief)[0][0, some]
            for piece, some in zip(pieces, every, strict=True)
        ])  # fmt: skip
        self.axes.copy_(principal_axes(second, self.axes.shape[1]))
        for piece, some in zip(pieces, every, strict=True):
            means = self._means(self._coded(*piece) @ self.axes, _everywhere(piece))
            codes.append(torch.stack([mean[0, some] for mean in means], dim=1))
        together = torch.cat(codes)
        self.mixing.copy_(self._mixed(together))
        self.spread.copy_((together.flatten(1) @ self.mixing).std(dim=0, correction=0))
        return self

    def _edges(self, pieces: Sequence[Piece], lengths: Sequence[int]) -> Float[Tensor, "quantile channel"]:
        """Quantiles of what is known, and a little more; NaN for a channel never known.

        Channels stand at a few values for long (seen or not, clipped, held), and quantiles are such values: which of
        them are above must not depend on rounding.
        """
        every = _evenly(lengths, max(1, _EDGE_VALUES // self.edges.shape[1]))
        together = torch.cat([
            values[0, some].masked_fill(~known[0, some], torch.nan)
            for (values, known), some in zip(pieces, every, strict=True)
        ])  # fmt: skip
        return torch.nanquantile(together, together.new_tensor(self.config.quantiles), dim=0) + _ROUNDING

    def _mean_share(self, pieces: Sequence[Piece]) -> Float[Tensor, " share"]:
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


def _everywhere(piece: Piece) -> StepMask:
    values, _ = piece
    return values.new_ones(values.shape[:2], dtype=torch.bool)


def _evenly(lengths: Sequence[int], most: int) -> list[slice]:
    """Every n-th step of pieces of these lengths, counted on from piece to piece: at most `most` steps.

    >>> _evenly([4, 1, 1, 5], 4)
    [slice(0, None, 3), slice(2, None, 3), slice(1, None, 3), slice(0, None, 3)]
    """
    every = max(1, -(-sum(lengths) // most))
    starts = list(accumulate(lengths, initial=0))[:-1]
    return [slice(-start % every, None, every) for start in starts]
