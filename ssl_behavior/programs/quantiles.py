"""Thresholds and spreads that a few wild values, and many equal ones, do not spoil."""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["quantile_thresholds", "robust_spread"]

# Pairs of normal quantiles, and how many standard deviations lie between them.
_SPREADS = ((0.1587, 2.0), (0.0228, 4.0), (0.00135, 6.0))


def quantile_thresholds(values: Float[Tensor, " frames"], num_classes: int) -> Float[Tensor, " threshold"]:
    """At most num_classes - 1 rising thresholds that part the values into classes as equal as can be.

    Where many values are the same, a quantile would leave a class empty; the threshold is then the next value, and the
    classes above share what is left.

    >>> quantile_thresholds(torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]), 3)
    tensor([1., 3.])
    """
    rest, thresholds = values.sort().values, []
    for remaining in range(num_classes, 1, -1):
        threshold = rest[len(rest) // remaining]
        if threshold <= rest[0]:
            threshold = rest[min(int(torch.searchsorted(rest, rest[0], right=True)), len(rest) - 1)]
        if threshold <= rest[0]:
            break
        thresholds.append(threshold)
        rest = rest[int(torch.searchsorted(rest, threshold)) :]
    return torch.stack(thresholds) if thresholds else values.new_zeros(0)


def robust_spread(values: Float[Tensor, " frames"]) -> float:
    """The standard deviation of normal values; from quantiles at 1, 2 and 3 of them, the widest.

    Values that are nearly always the same and sometimes far away (an overlap, a contact) keep a spread that does not
    cut the far ones off.
    """
    ordered = values.sort().values
    last = len(ordered) - 1
    return max(float(ordered[round((1 - low) * last)] - ordered[round(low * last)]) / width for low, width in _SPREADS)
