"""What programs teach an encoder directly: their attributes can be read off its points, and their classes lie apart."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.methods.base import LossTerms, mean_of
from ssl_behavior.objectives import (
    attribute_classification,
    attribute_regression,
    full_precision,
    supervised_contrastive,
)
from ssl_behavior.parallel import all_sum, gather, rank
from ssl_behavior.programs import ProgramSet

__all__ = ["AttributeTargets", "HeadsConfig", "ProgramHeads", "consistency_of"]

Points = Float[Tensor, "point latent"]


@dataclass(frozen=True, kw_only=True)
class HeadsConfig:
    """How much each loss weighs; 0 turns it off.

    Parameters
    ----------
    regression : Huber loss of standardised attributes read off linearly.
    classification : cross-entropy of their classes read off linearly.
    contrastive : supervised contrast of their classes, one projection per program.
    projection_dim : width of those projections.
    temperature : of the contrast.
    """

    regression: float = 1.0
    classification: float = 1.0
    contrastive: float = 0.0
    projection_dim: int = 32
    temperature: float = 0.07

    def __post_init__(self) -> None:
        weights = (self.regression, self.classification, self.contrastive)
        if min(weights) < 0:
            raise InputError(f"programs: weights of losses must be 0 or more, got {weights}")
        if self.projection_dim < 1 or self.temperature <= 0:
            raise InputError(
                f"programs: projection_dim must be at least 1 and temperature above 0, got {self.projection_dim} "
                f"and {self.temperature}"
            )


@dataclass(frozen=True)
class AttributeTargets:
    """What programs say of points."""

    values: Float[Tensor, "*any attribute"]
    """Standardised."""
    known: Bool[Tensor, "*any attribute"]
    classes: Int[Tensor, "*any attribute"]

    def each(self, change: Callable[[Tensor], Tensor]) -> "AttributeTargets":
        """The same change of all three."""
        return AttributeTargets(change(self.values), change(self.known), change(self.classes))


class ProgramHeads(nn.Module):
    """Linear heads and projections on points of `dim` latents; only those whose loss has a weight exist."""

    def __init__(self, config: HeadsConfig, dim: int, programs: ProgramSet) -> None:
        super().__init__()
        self.config, self.num_classes = config, programs.num_classes
        attributes, width = programs.num_attributes, config.projection_dim
        if config.regression:
            self.regression = nn.Linear(dim, attributes)
        if config.classification:
            self.classification = nn.Linear(dim, attributes * programs.num_classes)
        if config.contrastive:
            self.hidden = nn.Linear(dim, attributes * width)
            self.projection = nn.Parameter(torch.randn(attributes, width, width) * width**-0.5)

    def decode(self, points: Points, targets: AttributeTargets) -> LossTerms:
        """Regression and classification, the mean over attributes of the mean over their known points."""
        terms, metrics = {}, {}
        if self.config.regression:
            predicted = self.regression(points)
            sums = attribute_regression(predicted, targets.values, targets.known)
            terms["regression"] = self.config.regression * mean_of(sums, self.training)
            metrics["attribute_r2"] = _explained(predicted.detach(), targets)
        if self.config.classification:
            logits = self.classification(points).unflatten(-1, (-1, self.num_classes))
            sums = attribute_classification(logits, targets.classes, targets.known)
            terms["classification"] = self.config.classification * mean_of(sums, self.training)
            metrics["class_accuracy"] = _accuracy(logits.detach(), targets)
        return LossTerms(terms, metrics)

    def contrast(self, points: Points, targets: AttributeTargets) -> LossTerms:
        """Supervised contrast among all points of all processes, the mean over programs of that over anchors."""
        if not self.config.contrastive:
            return LossTerms({})
        hidden = F.leaky_relu(self.hidden(points).unflatten(-1, (len(self.projection), -1)))
        projected = einsum(hidden, self.projection, "point program hidden, program hidden k -> point program k")
        projected = F.normalize(projected, dim=-1)
        classes = torch.where(targets.known, targets.classes, -1)
        own = rank() * len(points) + torch.arange(len(points), device=points.device)
        sums = supervised_contrastive(
            projected.transpose(0, 1), gather(projected).transpose(0, 1), classes.T, gather(classes).T, own,
            self.config.temperature,
        )  # fmt: skip
        return LossTerms({"contrastive": self.config.contrastive * mean_of(sums, self.training)})


def consistency_of(
    programs: ProgramSet,
    said: Float[Tensor, "*any attribute"],
    target: Float[Tensor, "*any attribute"],
    known: Bool[Tensor, "*any attribute"],
    training: bool,
) -> Float[Tensor, ""]:
    """What programs say of decoded trajectories (NaN = nothing) against the true standardised attributes."""
    known = known & said.isfinite()
    # Only after the mask: a missing attribute is NaN, and so would be 0 times it.
    said = programs.standardised(torch.where(known, said, 0.0))
    return mean_of(attribute_regression(said, target, known), training)


def _explained(predicted: Tensor, targets: AttributeTargets) -> Float[Tensor, ""]:
    """Share of the attributes' variance that was read off, mean over attributes."""
    predicted = full_precision(predicted)
    known, values = targets.known.to(predicted.dtype), targets.values.to(predicted.dtype)
    count = all_sum(known.sum(0)).clamp_min(1)
    mean = all_sum((values * known).sum(0)) / count
    left, spread = (all_sum((diff.square() * known).sum(0)) for diff in (predicted - values, values - mean))
    varied = spread > 0
    shares = 1 - left / torch.where(varied, spread, 1.0)
    return (shares * varied).sum() / varied.sum().clamp_min(1)


def _accuracy(logits: Tensor, targets: AttributeTargets) -> Float[Tensor, ""]:
    right = (logits.argmax(-1) == targets.classes) & targets.known
    hits, asked = (all_sum(flags.sum().to(targets.values.dtype)) for flags in (right, targets.known))
    return hits / asked.clamp_min(1)
