"""Muon: momentum, orthogonalized (Jordan et al. 2024, kellerjordan.github.io/posts/muon), beside AdamW for the rest."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import AdamW

__all__ = ["Muon", "orthogonalized"]

_ITERATIONS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_SMALLEST_NORM = 1e-7


def orthogonalized(matrix: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
    """About U V^T, where the matrix is U S V^T: five Newton-Schulz iterations bring its singular values near 1.

    In the precision of the matrix: `torch.optim.Muon` computes in bfloat16, which many processors do slowly.
    """
    a, b, c = _COEFFICIENTS
    x = matrix / matrix.norm().clamp_min(_SMALLEST_NORM)
    flipped = x.shape[0] > x.shape[1]
    x = x.T if flipped else x
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if flipped else x


class Muon(AdamW):
    """AdamW, but for parameter groups with `orthogonal`: True, which hold matrices and learn as follows.

        m_k = momentum m_{k-1} + (1 - momentum) g_k
        x_k = (1 - lr decay) x_{k-1} - lr sqrt(max(1, rows / columns)) orthogonalized((1 - momentum) g_k + momentum m_k)

    Every direction of a matrix learns at the same rate, however small its gradient. `momentum` is each group's, .95
    unless it says otherwise.
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], **options: Any) -> None:
        super().__init__(params, **options)
        for group in self.param_groups:
            group.setdefault("orthogonal", False)
            group.setdefault("momentum", 0.95)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient; a closure is not supported."""
        assert closure is None
        groups = self.param_groups
        for group in groups:
            for parameter in group["params"] if group["orthogonal"] else ():
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        try:
            self.param_groups = [group for group in groups if not group["orthogonal"]]
            super().step()
        finally:
            self.param_groups = groups

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            # AdamW asks every state that it takes up for its step.
            state["step"], state["mean"] = torch.zeros(()), torch.zeros_like(parameter)
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - group["momentum"])
        change = orthogonalized(gradient.lerp(mean, group["momentum"]))
        rows, columns = parameter.shape
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(change, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)
