"""Optimizers (AdamW, Muon, MADGRAD), learning rate, and the running average of the weights.

Muon: momentum, orthogonalized (Jordan et al. 2024, kellerjordan.github.io/posts/muon), beside AdamW for the rest.
MADGRAD: momentumized, adaptive, dual averaged gradients (Defazio and Jelassi 2021, arXiv:2101.11075).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pretrain.config import OptimConfig

__all__ = ["Madgrad", "Muon", "WeightAverage", "learning_rate", "make_optimizer", "orthogonalized", "set_learning_rate"]


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


_HIDDEN = ("embedder.", "contexters.")


def learning_rate(config: OptimConfig, steps: int, step: int) -> float:
    """The rate of step `step` (from 0) of `steps`: a linear warm-up, then half a cosine or a constant.

    >>> config = OptimConfig(lr=1.0, warmup_steps=2)
    >>> [round(learning_rate(config, 10, step), 3) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    share = config.final_lr_share + (1 - config.final_lr_share) * (1 + math.cos(math.pi * progress)) / 2
    return config.lr * share


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Use `rate` in the next step, times each group's own multiple of it."""
    for group in optimizer.param_groups:
        # A run begun by an older program has none.
        group["lr"] = rate * group.get("multiple", 1.0)


def make_optimizer(config: OptimConfig, module: nn.Module) -> Optimizer:
    """The optimizer of `module`'s parameters; weight decay applies to those with two axes or more.

    Parameters of a submodule called `label_heads` have a learning rate of their own, `config.heads_lr`; with Muon, so
    have the encoder's weight matrices but for the one that gives the latents, `config.matrix_lr`.
    """
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            hidden = parameter.ndim == 2 and name.startswith(_HIDDEN) and ".exit." not in name
            by_muon = hidden and config.optimizer == "muon"
            multiple = config.matrix_lr if by_muon else config.heads_lr if name.startswith("label_heads.") else 1.0
            groups.setdefault((by_muon, multiple, parameter.ndim >= 2), []).append(parameter)
    listed: list[dict[str, Any]] = [
        {"params": own, "orthogonal": by_muon, "multiple": multiple, "weight_decay": decays * config.weight_decay}
        for (by_muon, multiple, decays), own in groups.items()
    ]
    if config.optimizer == "muon":
        return Muon(listed, lr=config.lr, betas=config.betas)
    if config.optimizer == "madgrad":
        return Madgrad(listed, lr=config.lr, momentum=config.betas[0])
    return AdamW(listed, lr=config.lr, betas=config.betas)


class WeightAverage:
    """The exponential moving average of a module's parameters; with decay 0 it is the parameters themselves."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self.averaged = AveragedModel(module) if decay else None
        if self.averaged is not None:
            # The first update copies the weights: the average begins with those before the first step.
            self.averaged.update_parameters(module)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the parameters after step `step` to the average.

        The first steps have a smaller decay, (1 + step) / (10 + step), so that short runs forget their first weights.
        """
        if self.averaged is not None:
            decay = min(self.decay, (1 + step) / (10 + step))
            self.averaged.multi_avg_fn = get_ema_multi_avg_fn(decay)
            self.averaged.update_parameters(self.module)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within this block the module has the averaged parameters."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for _, average, parameter in self._parameters():
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)

    def _parameters(self) -> Iterator[tuple[str, nn.Parameter, nn.Parameter]]:
        """(name, average, parameter) of the module; none with decay 0."""
        if self.averaged is not None:
            pairs = zip(self.averaged.module.parameters(), self.module.named_parameters(), strict=True)
            yield from ((name, average, parameter) for average, (name, parameter) in pairs)

    def raw_weights(self) -> dict[str, Tensor]:
        """Copies of the parameters that are not averaged; empty with decay 0, where a checkpoint holds them already."""
        return {name: parameter.detach().clone() for name, _, parameter in self._parameters()}

    @torch.no_grad()
    def restore(self, raw: dict[str, Tensor]) -> None:
        """Take the average from the module (a checkpoint holds averaged weights), then put the raw parameters back."""
        for name, average, parameter in self._parameters():
            average.copy_(parameter)
            parameter.copy_(raw[name])
