"""How alike annotators are: by what was learned of them, and by what they would write."""

from collections.abc import Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from probe.annotators.model import AnnotatorProbe
from probe.trial import PLAIN

__all__ = ["agreement", "annotator_similarity", "closest_pair", "mean_similarity", "style_similarity"]


def annotator_similarity(matrix: Float[Tensor, "annotator style"]) -> Float[Tensor, "annotator annotator"]:
    """Cosine of every two rows. It starts at 0 (the identity): what differs from 0 was learned.

    The rows pass through a network, so this says which annotators the head treats alike, not how much their labels have
    in common; for that there is `agreement`.
    """
    unit = F.normalize(matrix, dim=1)
    return unit @ unit.T


def mean_similarity(probes: Sequence[AnnotatorProbe]) -> Float[Tensor, "annotator annotator"]:
    """The mean of `annotator_similarity` over all fits of probes that were learned with different seeds.

    What one head makes of an annotator is partly chance: a few recordings each, and first weights that were drawn.
    """
    heads = [head for probe in probes for head in probe.heads.values()]
    return torch.stack([annotator_similarity(head.annotator_matrix) for head in heads]).mean(dim=0)


def agreement(
    probe: AnnotatorProbe, embedded: Float[Tensor, "frames latent"], fit: str = PLAIN
) -> Float[Tensor, "annotator annotator"]:
    """The share of the same frames that two annotators would call the same, by the head's probabilities; 1 = always.

    The mean over frames of sum_c min(p_c, q_c), which is 1 minus the total variation between p and q: the most often
    that two people with these probabilities can agree.

    Parameters
    ----------
    embedded : standardised frames; best of recordings nobody learned from.
    """
    predicted = [probe.predict(embedded, name, fit) for name in probe.annotators]
    result = embedded.new_ones(len(predicted), len(predicted))
    for i, j in combinations(range(len(predicted)), 2):
        result[i, j] = result[j, i] = predicted[i].minimum(predicted[j]).sum(dim=1).mean()
    return result


def style_similarity(
    probe: AnnotatorProbe, embedded: Float[Tensor, "frames latent"], fit: str = PLAIN
) -> Float[Tensor, "annotator annotator"]:
    """Cosine of what sets two annotators apart from all: their log-probabilities less the mean of all annotators'.

    What everybody sees alike, most of all that little happens in most frames, is in `agreement` and not in here. What
    is left sums to 0 over annotators: of k who have nothing in common every two have -1 / (k - 1).

    Parameters
    ----------
    embedded : standardised frames; best of recordings nobody learned from.
    """
    logs = torch.stack([probe.log_probabilities(embedded, name, fit) for name in probe.annotators])
    apart = F.normalize((logs - logs.mean(dim=0)).flatten(1).double(), dim=1)
    return (apart @ apart.T).to(embedded.dtype)


def closest_pair(similarity: Float[Tensor, "annotator annotator"]) -> tuple[int, int]:
    """The two different annotators that are most alike; of equal pairs the first."""
    return max(combinations(range(len(similarity)), 2), key=lambda pair: float(similarity[pair]))
