"""How well attributes (the values of programs) are read off a representation: pure functions that know no network.

The decoding objective of task programming (Sun et al., CVPR 2021, arXiv:2011.13917), for values and for classes.
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ssl_behavior.objectives.sums import Sums, full_precision

__all__ = ["attribute_classification", "attribute_regression"]


def attribute_regression(
    predicted: Float[Tensor, "*any attribute"],
    target: Float[Tensor, "*any attribute"],
    known: Bool[Tensor, "*any attribute"],
) -> Sums:
    """Huber loss with delta 1, so give standardised values; summed over known ones, one term per attribute."""
    # The difference is masked, not the loss: what stands where nothing is known cannot spoil a gradient either.
    difference = (full_precision(predicted) - full_precision(target)).masked_fill(~known, 0.0)
    losses = F.huber_loss(difference, difference.new_zeros(()).expand_as(difference), reduction="none")
    return _per_attribute(losses, known)


def attribute_classification(
    logits: Float[Tensor, "*any attribute class"],
    classes: Int[Tensor, "*any attribute"],
    known: Bool[Tensor, "*any attribute"],
) -> Sums:
    """Cross-entropy summed over known attributes, one term per attribute; a class not known may be any number."""
    log_probability = full_precision(logits).log_softmax(dim=-1)
    index = classes.masked_fill(~known, 0).unsqueeze(-1)
    losses = -log_probability.gather(-1, index).squeeze(-1)
    return _per_attribute(losses.masked_fill(~known, 0.0), known)


def _per_attribute(losses: Tensor, known: Tensor) -> Sums:
    total, count = (values.reshape(-1, values.shape[-1]).sum(dim=0) for values in (losses, known.to(losses.dtype)))
    return Sums(total=total, count=count)
