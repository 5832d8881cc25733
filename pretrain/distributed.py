"""Training on several processes: averages over processes, and a common stop."""

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ssl_behavior import collectives

__all__ = ["averaged", "stop_signal", "wrap"]


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
