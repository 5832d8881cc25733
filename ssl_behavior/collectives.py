"""Collective operations of distributed training, with the gradients of a single process.

Every process r computes a loss L_r on its share of the batch, and gradients are averaged over processes: training
descends the mean of the L_r. `gather` and `all_sum` return the gradients of exactly that mean: the gradient of their
output is summed over processes, because every L_s may depend on every process's input. A method therefore matches a
single process when the mean of its L_r is the single process's loss; for a mean over usable anchors that is
L_r = world_size() * (sum over own anchors) / all_sum(number of own anchors).

Without processes (and inside `alone()`) all functions are the identity.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["all_sum", "alone", "gather", "is_main", "own_share", "rank", "world_size"]

_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


def _distributed() -> bool:
    return not _ALONE.get() and dist.is_available() and dist.is_initialized()


def world_size() -> int:
    """Number of processes that train together; 1 when not distributed."""
    return dist.get_world_size() if _distributed() else 1


def rank() -> int:
    """This process's number, 0 .. world_size() - 1."""
    return dist.get_rank() if _distributed() else 0


def is_main() -> bool:
    """True in the one process that writes files and prints messages."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


@contextmanager
def alone() -> Iterator[None]:
    """Within this block the process acts as a single process (validation by the main process only)."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def own_share(draw: Callable[..., Tensor], generator: torch.Generator, shape: Sequence[int]) -> Tensor:
    """Random numbers of this process's items, drawn for the whole batch: the same as those of a single process."""
    whole = draw((shape[0] * world_size(), *shape[1:]), generator=generator, device=generator.device)
    return whole[rank() * shape[0] : (rank() + 1) * shape[0]]


def gather(tensor: Tensor) -> Tensor:
    """Concatenate the processes' tensors, of equal shape, along the first axis in the order of ranks; differentiable.

    The share of process r is `gather(x)[r * len(x) : (r + 1) * len(x)]`.
    """
    if world_size() == 1:
        return tensor
    if tensor.dtype == torch.bool:
        return gather(tensor.to(torch.uint8)).bool()
    return _Gather.apply(tensor)


def all_sum(tensor: Tensor) -> Tensor:
    """Sum of the processes' tensors, the same in every process; differentiable."""
    return tensor if world_size() == 1 else _AllSum.apply(tensor)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        ctx.length = len(tensor)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = _summed(gradients[0])
        return total[dist.get_rank() * ctx.length :][: ctx.length]


class _AllSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _summed(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _summed(gradients[0])


def _summed(tensor: Tensor) -> Tensor:
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total
