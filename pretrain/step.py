"""One training step, validation, and warnings when a representation collapses."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ssl_behavior import parallel
from ssl_behavior.methods.base import LossTerms, Method
from ssl_behavior.numerics import effective_rank, uniformity
from ssl_behavior.seeds import derive_seed, torch_generator
from ssl_behavior.windows import WindowBatch

__all__ = [
    "Losses",
    "batch_rank",
    "collapse_warning",
    "rank_limit",
    "to_model",
    "train_step",
    "validate",
]


def rank_limit(num_columns: int) -> float:
    """The effective rank below which so many columns are warned of: an eighth of them, between 2 and 16."""
    return min(16.0, max(2.0, num_columns / 8))


def collapse_warning(rank: float, num_columns: int) -> str | None:
    """A sentence for the person where the effective rank is below `rank_limit`, or not a number, else None."""
    limit = rank_limit(num_columns)
    if rank >= limit:
        return None
    return (
        f"the embeddings may be collapsing: their effective rank is {rank:.1f} of {num_columns} columns, and below "
        f"{limit:.3g} little can be read from them; try a lower --optim.lr or a larger --data.batch_size, and look at "
        "the recordings (ssl-behavior import says what is missing in them)"
    )


_MAX_POINTS = 2048


class Losses(nn.Module):
    """A method's loss as a forward pass, which is what DistributedDataParallel can wrap."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: WindowBatch, generator: torch.Generator) -> LossTerms:
        return self.method.loss(batch, generator)


def train_step(
    losses: nn.Module,
    optimizer: Optimizer,
    batch: WindowBatch,
    seed: int,
    step: int,
    precision: torch.dtype,
    clip: float,
) -> dict[str, Tensor]:
    """Forward, backward, clip, update; returns the terms, diagnostics, their total and the gradient's norm.

    All randomness depends on (seed, step) alone, so a resumed run needs no generator's state.

    Raises
    ------
    FloatingPointError
        If the loss or the gradient is not finite; the weights are then as before the step.
    """
    torch.manual_seed(derive_seed(seed, "dropout", step, parallel.rank()))
    with autocast(batch, precision):
        loss = losses(batch, torch_generator(seed, "loss", step))
    optimizer.zero_grad(set_to_none=True)
    loss.total.backward()
    grad_norm = nn.utils.clip_grad_norm_(losses.parameters(), clip or float("inf"))
    for name, value in (("loss", loss.total), ("gradient", grad_norm)):
        if not torch.isfinite(value):
            raise FloatingPointError(f"the {name} is {value.item()}")
    optimizer.step()
    return {"loss": loss.total.detach(), **_plain(loss), "grad_norm": grad_norm}


def autocast(batch: WindowBatch, precision: torch.dtype) -> torch.autocast:
    """Mixed precision for `precision` bfloat16, nothing for float32."""
    device = batch.keypoints.device.type
    return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def _plain(loss: LossTerms) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in {**loss.terms, **loss.metrics}.items()}


@torch.no_grad()
def validate(
    method: Method, batches: Iterable[WindowBatch], device: torch.device, precision: torch.dtype
) -> dict[str, float]:
    """Means over batches of the loss, its terms and diagnostics, and how much what was learned has collapsed.

    A term that a batch has nothing to say of (a label stream it shows no label of) is the mean over the other batches.
    """
    method.eval()
    values: list[dict[str, Tensor]] = []
    points: list[Tensor] = []
    for batch in batches:
        batch = to_model(batch, method, device)
        with autocast(batch, precision):
            loss = method.loss(batch, None)
            embeddings = method.embed(batch)
        values.append({"loss": loss.total, **_plain(loss)})
        points.append(method.learned(embeddings[batch.valid]).float().cpu())
    method.train()
    names = dict.fromkeys(name for value in values for name in value)
    means = {name: torch.stack([v[name].float() for v in values if name in v]).mean().item() for name in names}
    return means | _spread(torch.cat(points))


@torch.no_grad()
def batch_rank(method: Method, batch: WindowBatch, precision: torch.dtype) -> float:
    """Effective rank of what was learned, on the frames of one batch."""
    method.eval()
    with autocast(batch, precision):
        points = method.learned(method.embed(batch)[batch.valid]).float().cpu()
    method.train()
    return _spread(points)["effective_rank"]


def _spread(points: Tensor) -> dict[str, float]:
    if not torch.isfinite(points).all():
        return {"effective_rank": float("nan"), "uniformity": float("nan")}
    points = points[:: max(1, len(points) // _MAX_POINTS)]
    return {"effective_rank": effective_rank(points).item(), "uniformity": uniformity(points).item()}


def to_model(batch: WindowBatch, method: Method, device: torch.device) -> WindowBatch:
    """The batch where the method computes, in the type of its weights."""
    return batch.to(device, next(method.parameters()).dtype)
