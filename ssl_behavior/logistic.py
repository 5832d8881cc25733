"""Full-batch logistic regression on frozen embeddings, fast enough for half a million frames on a laptop.

The objective is scikit-learn's: ½‖W‖² + C Σ_frames weight · loss, the bias unpenalized, on standardized embeddings.
It is minimized by L-BFGS in coordinates in which the embeddings' second moment and the penalty together are the
identity, so that correlated dimensions (windowed features, neighboring channels) do not slow it down.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["PENALTIES", "Design", "LinearHead", "class_weights", "fit_head", "no_longer_better", "prior_logits"]

PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
"""Tried from strong to weak, each fit starting at the one before. Per frame: 1 / (C · frames) in scikit-learn's C.

As the penalty grows a head tends to the class shares, because its bias is not penalized.
"""

PATIENCE = 2
"""Number of successive weaker penalties without improvement that end the search."""

Embedded = Float[Tensor, "frames latent"]
Targets = Int[Tensor, "frames classes"]
Scores = Float[Tensor, "frames classes"]


@dataclass(frozen=True)
class LinearHead:
    """Weights and bias of a linear layer on standardized embeddings, and how to read its output."""

    weights: Float[Tensor, "latent classes"]
    bias: Float[Tensor, " classes"]
    kind: str

    def probabilities(self, embedded: Embedded) -> Scores:
        """Softmax over the classes ("multinomial"), or one sigmoid per class ("binary").

        Parameters
        ----------
        embedded : standardized embeddings.
        """
        logits = self.logits(embedded)
        return logits.softmax(dim=1) if self.kind == "multinomial" else logits.sigmoid()

    def logits(self, embedded: Embedded) -> Scores:
        """Output before softmax or sigmoid, see `probabilities`."""
        return embedded @ self.weights + self.bias

    def shrunk(self, factor: Float[Tensor, " classes"], prior: Float[Tensor, " classes"]) -> "LinearHead":
        """Head with logits shrunk toward the class prior: prior + factor · (logits - prior).

        Parameters
        ----------
        factor : 1 leaves a class as it is, 0 leaves its share alone; one number for all classes of "multinomial".
        prior : as of `prior_logits`.
        """
        factor, prior = factor.to(self.bias), prior.to(self.bias)
        return replace(self, weights=self.weights * factor, bias=factor * self.bias + (1 - factor) * prior)


def prior_logits(target: Targets, kind: str, balanced: bool) -> Float[Tensor, " classes"]:
    """Constant logits of the class shares; 0 for classes with equal weights.

    Every class has a frame that shows it, and of a "binary" one also frames that do not.
    """
    if balanced:
        return torch.zeros(target.shape[1], dtype=torch.float64)
    share = (target == 1).sum(dim=0).double() / (target >= 0).sum(dim=0)
    return share.log() if kind == "multinomial" else share.logit()


def class_weights(target: Targets, kind: str) -> Float[Tensor, "frames classes"]:
    """Balanced weights of frames, frames / (classes · frames of the class); 0 where not annotated.

    For "binary", the two sides of each column have equal sums.
    """
    known = target >= 0
    share = (target == 1).sum(dim=0) / known.sum(dim=0).clamp_min(1)
    if kind == "multinomial":
        present = (share > 0).sum()
        per_class = torch.where(share > 0, 1 / (present * share.clamp_min(1e-12)), 0.0)
        return (target.clamp_min(0) * per_class).sum(dim=1, keepdim=True).expand(target.shape) * known
    positive, negative = 0.5 / share.clamp_min(1e-12), 0.5 / (1 - share).clamp_min(1e-12)
    return torch.where(target == 1, positive, negative) * known


class Design:
    """Prepared training data, shared by many fits.

    Parameters
    ----------
    embedded : standardized embeddings.
    target : 1 the frame shows the class, 0 it does not, -1 not annotated. "multinomial": exactly one 1 per frame.
    kind : "multinomial" or "binary".
    balanced : give the classes equal weights.
    weights : further weights of the frames, with a mean of 1; None = all alike.

    A class without a positive frame has no place in a fit: leave its column out.
    """

    def __init__(
        self,
        embedded: Embedded,
        target: Targets,
        kind: str,
        balanced: bool,
        weights: Float[Tensor, " frames"] | None = None,
    ) -> None:
        embedded, self.basis = _spanned(embedded)
        self.embedded, self.kind = embedded, kind
        known = (target >= 0).to(embedded.dtype)
        weight = class_weights(target, kind).to(embedded.dtype) if balanced else known
        if weights is not None:
            weight = weight * weights.to(embedded.dtype)[:, None]
        frame_weight = weight.mean(dim=1, keepdim=True)
        # Classes first from here on: [classes, frames] @ [frames, latent] is four times faster than its transpose.
        self.weight, self.positive = weight.T.contiguous(), target.clamp_min(0).to(embedded.dtype).T.contiguous()
        self.num_frames = len(target)
        moment = ((embedded * frame_weight).T @ embedded).double() / self.num_frames
        scale, self.rotation = torch.linalg.eigh(moment)
        self.scale = scale.clamp_min(0)
        share = (self.weight * self.positive).sum(dim=1) / self.weight.sum(dim=1).clamp_min(1e-12)
        # The curvature of a logistic loss at the class shares.
        self.curvature = (share * (1 - share)).double().clamp_min(1e-4)

    def loss_and_gradient(
        self, logits: Float[Tensor, "classes frames"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "classes frames"]]:
        """Sum of the weighted losses divided by the frames, and its derivative by the logits."""
        if self.kind == "multinomial":
            log_probability = logits.log_softmax(dim=0)
            each = -self.positive * log_probability
            derivative = (log_probability.exp() - self.positive) * self.weight
        else:
            # softplus(z) - y z is the cross-entropy of a sigmoid.
            each = torch.nn.functional.softplus(logits) - self.positive * logits
            derivative = (logits.sigmoid() - self.positive) * self.weight
        # Summed along the frames in pairs by torch: float32 is enough for one class, not for all of them in a row.
        loss = (self.weight * each).sum(dim=1).double().sum()
        return loss / self.num_frames, derivative / self.num_frames


def _spanned(embedded: Embedded) -> tuple[Float[Tensor, "frames axis"], Float[Tensor, "latent axis"] | None]:
    """If there are fewer frames than dimensions: data in an orthonormal basis of their span, and the basis.

    The penalty leaves no weight outside of that space, so a fit in it is the same fit, in a fraction of the time.
    """
    if len(embedded) >= embedded.shape[1]:
        return embedded, None
    basis, coordinates = torch.linalg.qr(embedded.T.double())
    return coordinates.T.to(embedded.dtype).contiguous(), basis


def fit_head(
    design: Design,
    penalty: float | Sequence[float],
    start: LinearHead | None = None,
    max_steps: int = 100,
    tolerance: float = 1e-7,
) -> LinearHead:
    """Fit a head with one penalty, starting from `start` or from zero.

    Parameters
    ----------
    penalty : of ½‖W‖² beside the mean loss of a frame, so 1 / (C · frames) in scikit-learn's terms; one, or one per
        class.
    max_steps, tolerance : maximal number of L-BFGS steps, and minimal decrease of the loss per frame.
    """
    strength = torch.as_tensor(penalty, dtype=torch.float64, device=design.curvature.device)
    strength = strength.expand(len(design.curvature))
    stretch = (design.curvature * design.scale[:, None] + strength).rsqrt()
    bias_stretch = design.curvature.rsqrt()
    dtype = design.embedded.dtype
    parameters = torch.zeros(len(design.scale) + 1, len(design.curvature), dtype=torch.float64, device=strength.device)
    if start is not None:
        weights = start.weights.double() if design.basis is None else design.basis.T @ start.weights.double()
        parameters[:-1] = (design.rotation.T @ weights) / stretch
        parameters[-1] = start.bias.double() / bias_stretch
    parameters.requires_grad_()

    def head() -> LinearHead:
        values = parameters.detach()
        weights = design.rotation @ (values[:-1] * stretch)
        return LinearHead(weights.to(dtype), (values[-1] * bias_stretch).to(dtype), design.kind)

    def evaluate() -> Tensor:
        now = head()
        loss, derivative = design.loss_and_gradient(now.weights.T @ design.embedded.T + now.bias[:, None])
        weights = now.weights.double()
        by_weights = (derivative @ design.embedded).T.double() + strength * weights
        by_bias = derivative.sum(dim=1).double()
        parameters.grad = torch.cat([(design.rotation.T @ by_weights) * stretch, (by_bias * bias_stretch)[None]])
        return loss + (strength / 2 * weights.square()).sum()

    _minimize(parameters, evaluate, max_steps, tolerance)
    found = head()
    return found if design.basis is None else replace(found, weights=(design.basis @ found.weights.double()).to(dtype))


def _minimize(parameters: Tensor, evaluate: Callable[[], Tensor], max_steps: int, tolerance: float) -> None:
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=max_steps,
        history_size=20,
        tolerance_grad=1e-6,
        tolerance_change=tolerance,
        line_search_fn="strong_wolfe",
    )
    with torch.no_grad():
        optimizer.step(evaluate)


def no_longer_better(values: Sequence[float]) -> bool:
    """Stopping rule of a search from strong to weak penalties.

    Parameters
    ----------
    values : score of each tried penalty, in order; higher is better.
    """
    return len(values) > PATIENCE and max(values[-PATIENCE:]) <= max(values[:-PATIENCE])
