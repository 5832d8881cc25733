"""Squared error of predicted summaries."""

from jaxtyping import Bool, Float
from torch import Tensor

from ssl_behavior.objectives.sums import Sums, full_precision

__all__ = ["summary_error"]


def summary_error(
    predicted: Float[Tensor, "*any component"], target: Float[Tensor, "*any component"], usable: Bool[Tensor, "*any"]
) -> Sums:
    """Sum over usable points of the mean square of predicted - target over components; one term, which counts points.

    Targets that are orthonormal projections of histograms make this the squared distance between the histograms
    themselves, up to what the projection leaves out.
    """
    # Masked before it is squared: what stands where nothing is known cannot spoil a gradient.
    error = (full_precision(predicted) - full_precision(target)).masked_fill(~usable.unsqueeze(-1), 0.0)
    return Sums(total=error.square().mean(dim=-1).sum().view(1), count=usable.to(error.dtype).sum().view(1))
