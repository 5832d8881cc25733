"""The two halves of a variational bound: likelihood of what is decoded, and divergence from the prior."""

import math

from jaxtyping import Bool, Float
from torch import Tensor

from ssl_behavior.objectives.sums import Sums, full_precision

__all__ = ["gaussian_nll", "kl_to_standard_normal"]


def gaussian_nll(
    mean: Float[Tensor, "*any channel"],
    log_variance: Float[Tensor, "*any channel"],
    target: Float[Tensor, "*any channel"],
    known: Bool[Tensor, "*any channel"],
) -> Sums:
    """-log N(target | mean, exp(log_variance)) in nats, summed over the known values; one term, which counts them."""
    mean, log_variance, target = (full_precision(values) for values in (mean, log_variance, target))
    # The difference is masked before it is squared: what stands where nothing is known cannot spoil a gradient.
    squares = (target - mean).masked_fill(~known, 0.0).square() * (-log_variance).exp()
    losses = 0.5 * (squares + log_variance + math.log(2 * math.pi)).masked_fill(~known, 0.0)
    return Sums(total=losses.sum().view(1), count=known.to(losses.dtype).sum().view(1))


def kl_to_standard_normal(
    mean: Float[Tensor, "*any latent"],
    log_variance: Float[Tensor, "*any latent"],
    free_bits: float,
    usable: Bool[Tensor, "*any"],
) -> Sums:
    """Sum over latents of max(KL(N(mean, exp(log_variance)) || N(0, 1)), free_bits) in nats; one term.

    Free bits (Kingma et al. 2016, arXiv:1606.04934) are here per latent and point: below them there is no gradient.
    Summed over the usable points, which are what the term counts.
    """
    mean, log_variance = full_precision(mean), full_precision(log_variance)
    divergence = 0.5 * (mean.square() + log_variance.expm1() - log_variance)
    losses = divergence.clamp_min(free_bits).sum(dim=-1).masked_fill(~usable, 0.0)
    return Sums(total=losses.sum().view(1), count=usable.to(losses.dtype).sum().view(1))
