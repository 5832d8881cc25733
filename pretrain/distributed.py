"""Runs on several processes (torchrun): the process group, averages over processes, and a common stop."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ssl_behavior import collectives
from ssl_behavior.errors import InputError

__all__ = ["averaged", "in_main", "process_group", "stop_signal", "wrap"]


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes of a torchrun (nccl on CUDA, else gloo); does nothing without torchrun."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def wrap(losses: nn.Module) -> nn.Module:
    """Wrap a module so that gradients are averaged over processes; with one process, return the module itself."""
    if collectives.world_size() == 1:
        return losses
    return DistributedDataParallel(losses)


def averaged(values: dict[str, Tensor]) -> dict[str, float]:
    """Means over processes, as numbers."""
    own = torch.stack([value.detach() for value in values.values()])
    # Apple's MPS knows no float64; it never trains in several processes.
    own = own.double() if collectives.world_size() > 1 else own.cpu().double()
    return dict(zip(values, (collectives.all_sum(own) / collectives.world_size()).tolist(), strict=True))


def stop_signal(received: int, device: torch.device) -> int:
    """Largest signal number that any process received, so that all stop after the same step; 0 = none."""
    if collectives.world_size() == 1:
        return received
    return int(collectives.gather(torch.tensor([received], device=device)).max())


def in_main(action: Callable[[], None]) -> None:
    """Run a function in the main process while the others wait.

    Raises
    ------
    InputError
        In every process, if the main one's action raised it.
    """
    refusal: list[str | None] = [None]
    if collectives.is_main():
        try:
            action()
        except InputError as error:
            refusal = [str(error)]
    if collectives.world_size() > 1:
        dist.broadcast_object_list(refusal)
    if refusal[0] is not None:
        raise InputError(refusal[0])
