"""Thresholds and spreads that a few wild values, and many equal ones, do not spoil."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["quantile_thresholds", "robust_spread"]

# Pairs of normal quantiles, and how many standard deviations lie between them.
_SPREADS = ((0.1587, 2.0), (0.0228, 4.0))
_RARE = (0.00135, 6.0)
_GRID = 100


def quantile_thresholds(
    ordered: Float[Tensor, " frames"], num_classes: int, spread: float
) -> Float[Tensor, " threshold"]:
    """At most num_classes - 1 rising thresholds that part sorted values into classes as equal as can be.

    Values that differ by less than a hundredth of `spread` are the same (a gap of 0, a cosine of 1e-13). Where a
    quantile of many equal values would leave a class empty, the threshold is at the next value, and the classes above
    share what is left.

    >>> quantile_thresholds(torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]), 3, spread=2.0)
    tensor([0.9900, 2.9900])
    """
    step = spread / _GRID
    rest, thresholds = torch.round(ordered / step), []
    for remaining in range(num_classes, 1, -1):
        threshold = rest[len(rest) // remaining]
        if threshold <= rest[0]:
            threshold = rest[min(int(torch.searchsorted(rest, rest[:1], right=True)), len(rest) - 1)]
        if threshold <= rest[0]:
            break
        thresholds.append((threshold - 0.5) * step)
        rest = rest[int(torch.searchsorted(rest, threshold)) :]
    return torch.stack(thresholds) if thresholds else ordered.new_zeros(0)


def robust_spread(ordered: Float[Tensor, " frames"]) -> float:
    """The standard deviation of normal values, from quantiles of sorted ones at 1 and 2 of them, the wider.

    Values that are mostly the same and now and then far away (an overlap) keep a spread that does not cut the far ones
    off. The quantiles at 3 decide only where all others agree: that far out are the tracker's errors.
    """
    last = len(ordered) - 1

    def between(low: float, width: float) -> float:
        return float(ordered[round((1 - low) * last)] - ordered[round(low * last)]) / width

    return max(between(*quantiles) for quantiles in _SPREADS) or between(*_RARE)
