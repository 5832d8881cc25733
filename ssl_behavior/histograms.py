"""Windowed histograms: shares of the frames around each frame in which a channel is above its quantiles."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["QUANTILES", "bin_edges", "shares_above", "usable_bins", "windowed_mean"]

QUANTILES = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)

_SMALLEST_WEIGHT = 1e-12


def bin_edges(
    values: Float[Tensor, "frame channel"],
    known: Bool[Tensor, "frame channel"],
    quantiles: Sequence[float] = QUANTILES,
) -> Float[Tensor, "quantile channel"]:
    """Quantiles of the known values of each channel, linearly interpolated; NaN for channels never known.

    Edges of a channel with few distinct values repeat: `usable_bins` says which ones tell something new.

    Parameters
    ----------
    values : what is not known may be anything, NaN included.
    quantiles : shares from 0 to 1.
    """
    if not len(values):
        return values.new_full((len(quantiles), values.shape[1]), torch.nan)
    ordered = values.masked_fill(~known, torch.inf).sort(dim=0).values
    count = known.sum(dim=0)
    # Channels differ in the number of their known values, which stand first.
    share = torch.tensor(quantiles, dtype=torch.float64)
    position = share[:, None] * (count.cpu() - 1).clamp_min(0)
    below = position.floor().long().to(values.device)
    above = torch.minimum(below + 1, (count - 1).clamp_min(0))
    part = (position - position.floor()).to(values.dtype).to(values.device)
    low, high = ordered.gather(0, below), ordered.gather(0, above)
    return torch.where(count > 0, low + part * (high - low), torch.nan)


def usable_bins(edges: Float[Tensor, "quantile channel"]) -> Bool[Tensor, "quantile channel"]:
    """Edges that exist and do not repeat the one below them: the columns of `shares_above` that differ.

    A constant channel keeps one edge, above which no value lies; so does a channel that is constant but for rare
    larger values, above whose edge these lie.
    """
    repeated = torch.zeros_like(edges, dtype=torch.bool)
    repeated[1:] = edges[1:] == edges[:-1]
    return edges.isfinite() & ~repeated


def shares_above(
    values: Float[Tensor, "*batch channel"], edges: Float[Tensor, "quantile channel"]
) -> Float[Tensor, "*batch quantile channel"]:
    """1 where the value is above the edge, else 0 (thermometer coding); 0 where value or edge is NaN."""
    return (values.unsqueeze(-2) > edges).to(values.dtype)


def windowed_mean(
    values: Float[Tensor, "batch time channel"],
    weight: Float[Tensor, "#batch time channel"],
    first: int,
    last: int,
    stride: int = 1,
) -> tuple[Float[Tensor, "batch step channel"], Bool[Tensor, "batch step channel"]]:
    """Weighted mean over the times t + `first` .. t + `last`, both included, and whether any weight was there.

    Where none was, the mean is 0. Sums are differences of cumulative sums: the time taken does not depend on the length
    of the window. They are taken in float64 wherever the device has it.

    Parameters
    ----------
    values : where the weight is 0 they may be anything, NaN included.
    weight : 0 or more.
    first, last : first <= last; first = -30, last = -1 are the past 30 frames. Windows end with the series.
    stride : means at the times 0, stride, 2 stride ...; every time by default.
    """
    assert first <= last, f"a window from {first} to {last} is empty"
    there = weight > 0
    precise = torch.float32 if values.device.type == "mps" else torch.float64
    weight = weight.to(precise)
    ends = _window_ends(values, first, last, stride)
    total = _between(torch.where(there, values.to(precise) * weight, 0.0), ends)
    weights = _between(weight.masked_fill(~there, 0.0), ends)
    # A count is exact; a difference of sums of weights may be a little above 0 where there is none.
    seen = _between(there.to(precise), ends) > 0.5
    mean = torch.where(seen, total / weights.clamp_min(_SMALLEST_WEIGHT), 0.0)
    return mean.to(values.dtype), seen.expand(mean.shape)


def _window_ends(values: Tensor, first: int, last: int, stride: int) -> Int[Tensor, "2 step"]:
    """First time of each window, and the one after its last."""
    length = values.shape[1]
    time = torch.arange(0, length, stride, device=values.device)
    return torch.stack([time + first, time + last + 1]).clamp(0, length)


def _between(
    values: Float[Tensor, "batch time channel"], ends: Int[Tensor, "2 step"]
) -> Float[Tensor, "batch step channel"]:
    sums = F.pad(values.cumsum(dim=1), (0, 0, 1, 0))
    return sums[:, ends[1]] - sums[:, ends[0]]
