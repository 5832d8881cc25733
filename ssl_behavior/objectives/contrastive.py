"""Supervised contrastive loss, one per program: a pure function that knows no network."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ssl_behavior.objectives.sums import Sums, full_precision

__all__ = ["supervised_contrastive"]


def supervised_contrastive(
    query: Float[Tensor, "program query latent"],
    key: Float[Tensor, "program key latent"],
    query_class: Int[Tensor, "program query"],
    key_class: Int[Tensor, "program key"],
    own: Int[Tensor, " query"],
    temperature: float,
) -> Sums:
    """Points of one class together, all others apart: L_out of Khosla et al. 2020 (arXiv:2004.11362, eq. 2).

    For an anchor i with the positives P(i), the mean over p in P(i) of -log(exp(q_i·k_p / t) / sum_a exp(q_i·k_a / t)),
    where a runs over all keys but its own. Summed over the anchors that have a positive, one term per program.

    Parameters
    ----------
    query, key : unit vectors, already projected for each program.
    query_class, key_class : what makes two points positives; -1 = unknown: neither anchor, positive nor negative.
    own : the place of each query among the keys, which is no candidate for it.
    temperature : divides the scores.
    """
    scores = full_precision(torch.bmm(query / temperature, key.transpose(1, 2)))
    mine = own.unsqueeze(-1) == torch.arange(key.shape[1], device=own.device)
    candidate = (key_class >= 0).unsqueeze(1) & ~mine
    positive = (query_class.unsqueeze(-1) == key_class.unsqueeze(1)) & candidate
    positives = positive.sum(dim=-1)
    # The lowest finite score, not -inf: an anchor without any candidate would give NaN gradients.
    normaliser = scores.masked_fill(~candidate, torch.finfo(scores.dtype).min).logsumexp(dim=-1)
    attraction = (scores * positive).sum(dim=-1) / positives.clamp_min(1)
    anchor = positives > 0
    losses = (normaliser - attraction).masked_fill(~anchor, 0.0)
    return Sums(total=losses.sum(dim=-1), count=anchor.to(losses.dtype).sum(dim=-1))
