"""MADGRAD: momentumized, adaptive, dual averaged gradients (Defazio and Jelassi 2021, arXiv:2101.11075)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["Madgrad"]


class Madgrad(Optimizer):
    """With lr_k the learning rate of step k (from 0), g_k the gradient, x_0 the first weights and c = 1 - momentum:

        lambda_k = lr_k sqrt(k + 1)
        s_{k+1}  = s_k + lambda_k g_k
        v_{k+1}  = v_k + lambda_k g_k^2
        z_{k+1}  = x_0 - s_{k+1} / (v_{k+1}^(1/3) + eps)
        x_{k+1}  = (1 - c) x_k + c z_{k+1}

    Weight decay is added to the gradient (the method averages gradients over its whole past, so decay cannot be
    decoupled as in AdamW), which calls for far smaller values than AdamW's. Sparse gradients are not supported.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-2,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eps: float = 1e-6,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "eps": eps}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient; a closure is not supported."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float64)
            state["start"] = parameter.clone()
            state["sum"], state["squares"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        scale = group["lr"] * float(state["step"]) ** 0.5
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        state["sum"].add_(gradient, alpha=scale)
        state["squares"].addcmul_(gradient, gradient, value=scale)
        target = state["start"] - state["sum"] / (state["squares"].pow(1 / 3) + group["eps"])
        parameter.lerp_(target, 1 - group["momentum"])
