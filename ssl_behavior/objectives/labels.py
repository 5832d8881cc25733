"""Cross-entropy with labels somebody gave, weighted by class and smoothed toward the prior. They know no network.

The supervised losses of the MABe 2021 Task 1 and 2 winner (Sun et al. 2021, arXiv:2104.02710).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ssl_behavior.objectives.sums import Sums, full_precision

__all__ = ["balanced_class_weights", "binary_label_cross_entropy", "class_prior", "label_cross_entropy"]


def balanced_class_weights(counts: Float[Tensor, "*any class"]) -> Float[Tensor, "*any class"]:
    """n / (k n_c) for the k classes that occur, so that they weigh the same; 0 for one that never does.

    >>> balanced_class_weights(torch.tensor([30.0, 10.0, 0.0])).tolist()
    [0.6666666865348816, 2.0, 0.0]
    """
    occurs = counts > 0
    num_classes = occurs.sum(dim=-1, keepdim=True)
    weights = counts.sum(dim=-1, keepdim=True) / (num_classes * counts)
    return weights.masked_fill(~occurs, 0.0)


def class_prior(counts: Float[Tensor, "*any class"]) -> Float[Tensor, "*any class"]:
    """The share of each class; equal shares where nothing was counted."""
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
    # The logits are masked, not the loss: what stands where nothing is known cannot spoil a gradient either.
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
