"""Optimizer, learning rate and the running average of the weights."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from pretrain.config import OptimConfig
from pretrain.madgrad import Madgrad
from pretrain.muon import Muon

_HIDDEN = ("embedder.", "contexters.")

__all__ = ["WeightAverage", "learning_rate", "make_optimizer", "set_learning_rate"]


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
        self.average = {name: p.detach().clone() for name, p in module.named_parameters()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the parameters of the step just done into the average.

        Early on the decay is smaller, (1 + step) / (10 + step): else a short run would keep the first weights.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, average in self.average.items():
            average.lerp_(self.module.get_parameter(name), 1 - decay)

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
        for name, average in self.average.items():
            parameter = self.module.get_parameter(name)
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)

    def raw_weights(self) -> dict[str, Tensor]:
        """Copies of the un-averaged parameters, where they differ from what a checkpoint of the average holds."""
        return {name: self.module.get_parameter(name).detach().clone() for name in self.average}

    @torch.no_grad()
    def restore(self, raw: dict[str, Tensor]) -> None:
        """The module holds the average (as a checkpoint does): take it over, and put the raw parameters back."""
        for name, average in self.average.items():
            parameter = self.module.get_parameter(name)
            average.copy_(parameter)
            parameter.copy_(raw[name])
