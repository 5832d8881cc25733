"""InfoNCE with every time step as an anchor: a pure function that knows no network."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["InfoNCE", "dense_info_nce"]


@dataclass(frozen=True)
class InfoNCE:
    """Sums over usable anchors, so that parts of a batch can be added before dividing by the count."""

    loss: Float[Tensor, ""]
    count: Int[Tensor, ""]
    correct: Int[Tensor, ""]
    """Anchors whose positive scored above every negative: retrieval accuracy times count."""


def dense_info_nce(
    query: Float[Tensor, "time query latent"],
    key: Float[Tensor, "time key latent"],
    usable_query: Bool[Tensor, "time query"],
    usable_key: Bool[Tensor, "time key"],
    temperature: float,
    first: int = 0,
    negatives: Float[Tensor, "query negative latent"] | None = None,
    usable_negatives: Bool[Tensor, "time query negative"] | None = None,
) -> InfoNCE:
    """InfoNCE (arXiv:1807.03748, eq. 4) on dot products, at every time step; give unit vectors for cosine scores.

    The positive of query[t, i] is key[t, first + i]; its negatives are key[t, j] of the other sequences j (the
    same target offset, so a time step costs query * key), and, where given, negatives[i] (other times of the same
    sequence). What is not usable is neither anchor nor negative. Time comes first: a horizon is a slice, no copy.

    Parameters
    ----------
    query : predictions, one column per sequence of this process.
    key : targets of all sequences of all processes, already moved so that key[t] belongs to query[t].
    usable_query, usable_key : True where there is data.
    temperature : divides the scores.
    first : position of query[:, 0]'s own sequence among the keys.
    negatives, usable_negatives : further candidates per sequence, and which of them each anchor may use.
    """
    query = query / temperature
    scores, allowed = torch.bmm(query, key.transpose(1, 2)), usable_key.unsqueeze(1).expand(-1, query.shape[1], -1)
    if negatives is not None:
        assert usable_negatives is not None
        own_times = torch.bmm(rearrange(query, "time query latent -> query time latent"), negatives.transpose(1, 2))
        scores = torch.cat([scores, own_times.transpose(0, 1)], dim=-1)
        allowed = torch.cat([allowed, usable_negatives], dim=-1)
    scores = scores if scores.dtype == torch.float64 else scores.float()
    # The lowest finite score, not -inf: a row without any usable key would give NaN gradients.
    scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
    own = torch.arange(first, first + query.shape[1], device=query.device)
    positive = scores[..., own].diagonal(dim1=1, dim2=2)
    anchors = usable_query & usable_key[:, own]
    losses = F.cross_entropy(scores.flatten(0, 1), own.repeat(len(query)), reduction="none").view_as(positive)
    with torch.no_grad():
        # Only the positive itself reaches its score: equal keys, as of a collapsed encoder, retrieve nothing.
        best = (scores >= positive.unsqueeze(-1)).sum(dim=-1) == 1
    return InfoNCE(loss=losses.masked_fill(~anchors, 0.0).sum(), count=anchors.sum(), correct=(best & anchors).sum())
