"""Losses as pure functions of tensors.

Attributes: the decoding objective of task programming (Sun et al., CVPR 2021, arXiv:2011.13917). Labels: the supervised
losses of the MABe 2021 Task 1 and 2 winner (Sun et al. 2021, arXiv:2104.02710).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = [
    "InfoNCE",
    "Sums",
    "attribute_classification",
    "attribute_regression",
    "balanced_class_weights",
    "binary_label_cross_entropy",
    "class_prior",
    "dense_info_nce",
    "full_precision",
    "gaussian_nll",
    "kl_to_standard_normal",
    "label_cross_entropy",
    "summary_error",
    "supervised_contrastive",
]


@dataclass(frozen=True)
class Sums:
    """Sum of a loss and number of values in it; a term is an attribute, a program, or the whole."""

    total: Float[Tensor, " term"]
    count: Float[Tensor, " term"]


def full_precision(values: Tensor) -> Tensor:
    """The tensor in float32 or higher: long sums in half precision lose small addends."""
    return values if values.dtype == torch.float64 else values.float()


def attribute_regression(
    predicted: Float[Tensor, "*any attribute"],
    target: Float[Tensor, "*any attribute"],
    known: Bool[Tensor, "*any attribute"],
) -> Sums:
    """Huber loss with delta 1, so give standardized values; summed over known ones, one term per attribute."""
    # The difference is masked, not the loss, so that unknown values cannot spoil a gradient either.
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


def supervised_contrastive(
    query: Float[Tensor, "program query latent"],
    key: Float[Tensor, "program key latent"],
    query_class: Int[Tensor, "program query"],
    key_class: Int[Tensor, "program key"],
    own: Int[Tensor, " query"],
    temperature: float,
) -> Sums:
    """Supervised contrastive loss, L_out of Khosla et al. 2020 (arXiv:2004.11362, eq. 2).

    For an anchor i with the positives P(i), the mean over p in P(i) of -log(exp(q_i·k_p / t) / sum_a exp(q_i·k_a / t)),
    where a runs over all keys but its own. Summed over the anchors that have a positive, one term per program.

    Parameters
    ----------
    query, key : unit vectors, already projected for each program.
    query_class, key_class : equal classes are positives; -1 = unknown: neither anchor, positive nor negative.
    own : the place of each query among the keys, which is no candidate for it.
    temperature : divides the scores.
    """
    scores = full_precision(torch.bmm(query / temperature, key.transpose(1, 2)))
    mine = own.unsqueeze(-1) == torch.arange(key.shape[1], device=own.device)
    candidate = (key_class >= 0).unsqueeze(1) & ~mine
    positive = (query_class.unsqueeze(-1) == key_class.unsqueeze(1)) & candidate
    positives = positive.sum(dim=-1)
    # The lowest finite score, not -inf: an anchor without any candidate would give NaN gradients.
    normalizer = scores.masked_fill(~candidate, torch.finfo(scores.dtype).min).logsumexp(dim=-1)
    attraction = (scores * positive).sum(dim=-1) / positives.clamp_min(1)
    anchor = positives > 0
    losses = (normalizer - attraction).masked_fill(~anchor, 0.0)
    return Sums(total=losses.sum(dim=-1), count=anchor.to(losses.dtype).sum(dim=-1))


@dataclass(frozen=True)
class InfoNCE:
    """Sums of InfoNCE over usable anchors; parts of a batch can be added before division by the count."""

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


def balanced_class_weights(counts: Float[Tensor, "*any class"]) -> Float[Tensor, "*any class"]:
    """Class weights n / (k n_c) for the k classes that occur, 0 for others, so that classes weigh the same.

    >>> balanced_class_weights(torch.tensor([30.0, 10.0, 0.0])).tolist()
    [0.6666666865348816, 2.0, 0.0]
    """
    occurs = counts > 0
    num_classes = occurs.sum(dim=-1, keepdim=True)
    weights = counts.sum(dim=-1, keepdim=True) / (num_classes * counts)
    return weights.masked_fill(~occurs, 0.0)


def class_prior(counts: Float[Tensor, "*any class"]) -> Float[Tensor, "*any class"]:
    """Share of each class; equal shares if nothing was counted."""
    total = counts.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, counts / total.clamp_min(1), 1 / counts.shape[-1])


def label_cross_entropy(
    logits: Float[Tensor, "*any class"],
    target: Int[Tensor, "*any"],
    class_weights: Float[Tensor, "*any class"] | Float[Tensor, " class"],
    prior: Float[Tensor, "*any class"] | Float[Tensor, " class"],
    smoothing: float,
) -> Sums:
    """-sum_c q_c w_c log p_c with q = (1 - smoothing) [c = target] + smoothing prior_c; one term, over known frames.

    Smoothing goes toward the prior, not toward equal shares: a frame is more likely to be mislabeled as what is
    frequent. The weights multiply the log-probabilities, and the count is one per frame whatever it weighs.

    Parameters
    ----------
    target : class of each frame; -1 = unknown: not counted.
    class_weights, prior : of the classes, or of the classes of each frame (its annotator's).
    smoothing : 0 (plain weighted cross-entropy) to 1.
    """
    known = target >= 0
    # The logits are masked, not the loss, so that unknown values cannot spoil a gradient either.
    log_probability = full_precision(logits).masked_fill(~known.unsqueeze(-1), 0.0).log_softmax(dim=-1)
    chosen = F.one_hot(target.clamp_min(0).long(), logits.shape[-1]).to(log_probability.dtype)
    smoothed = (1 - smoothing) * chosen + smoothing * prior.to(log_probability.dtype)
    losses = -(smoothed * class_weights.to(log_probability.dtype) * log_probability).sum(dim=-1)
    losses = losses.masked_fill(~known, 0.0)
    return Sums(total=losses.sum().view(1), count=known.to(losses.dtype).sum().view(1))


def binary_label_cross_entropy(
    logits: Float[Tensor, "*any task"],
    target: Int[Tensor, "*any task"],
    positive_weight: Float[Tensor, " task"],
    negative_weight: Float[Tensor, " task"],
    prior: Float[Tensor, " task"],
    smoothing: float,
) -> Sums:
    """`label_cross_entropy` of the two classes yes and no, p = sigmoid(logit); one term per task.

    Parameters
    ----------
    target : 1 yes, 0 no, -1 unknown: not counted.
    positive_weight, negative_weight : of yes and no.
    prior : of yes; of no it is 1 - prior.
    """
    known = target >= 0
    logits = full_precision(logits).masked_fill(~known, 0.0)
    yes = (1 - smoothing) * (target == 1).to(logits.dtype) + smoothing * prior.to(logits.dtype)
    # log sigmoid(x) and log(1 - sigmoid(x)), finite however large x is.
    positive = positive_weight.to(logits.dtype) * yes * F.logsigmoid(logits)
    negative = negative_weight.to(logits.dtype) * (1 - yes) * F.logsigmoid(-logits)
    losses = -(positive + negative).masked_fill(~known, 0.0)
    total, count = (values.reshape(-1, values.shape[-1]).sum(dim=0) for values in (losses, known.to(losses.dtype)))
    return Sums(total=total, count=count)


def gaussian_nll(
    mean: Float[Tensor, "*any channel"],
    log_variance: Float[Tensor, "*any channel"],
    target: Float[Tensor, "*any channel"],
    known: Bool[Tensor, "*any channel"],
) -> Sums:
    """-log N(target | mean, exp(log_variance)) in nats, summed over the known values; one term, which counts them."""
    mean, log_variance, target = (full_precision(values) for values in (mean, log_variance, target))
    # The difference is masked before squaring, so that unknown values cannot spoil a gradient.
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


def summary_error(
    predicted: Float[Tensor, "*any component"], target: Float[Tensor, "*any component"], usable: Bool[Tensor, "*any"]
) -> Sums:
    """Sum over usable points of the mean square of predicted - target over components; one term, which counts points.

    Targets that are orthonormal projections of histograms make this the squared distance between the histograms
    themselves, up to what the projection leaves out.
    """
    # Masked before squaring, so that unusable values cannot spoil a gradient.
    error = (full_precision(predicted) - full_precision(target)).masked_fill(~usable.unsqueeze(-1), 0.0)
    return Sums(total=error.square().mean(dim=-1).sum().view(1), count=usable.to(error.dtype).sum().view(1))
