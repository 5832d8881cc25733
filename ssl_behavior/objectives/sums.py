"""Sums over usable values, so that parts of a batch, or processes, can be added before dividing by the count."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Sums", "full_precision"]


@dataclass(frozen=True)
class Sums:
    """What a loss adds up, and how many values it added; a term is an attribute, a program, or the whole."""

    total: Float[Tensor, " term"]
    count: Float[Tensor, " term"]


def full_precision(values: Tensor) -> Tensor:
    """At least float32: sums of many losses in half precision lose what is added last."""
    return values if values.dtype == torch.float64 else values.float()
