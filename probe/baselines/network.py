"""What every classifier of frames is, and the parts that several of them are made of."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probe.baselines.span import WindowSpan

__all__ = ["FrameClassifier", "batch_norm", "dropout", "glorot_"]

SLIDE_FRAMES = 256
"""Windows made at a time where a network has no faster way over all frames."""


class FrameClassifier(nn.Module, ABC):
    """A network that tells from a window what its frame shows. It knows no loss and draws nothing by itself."""

    @abstractmethod
    def forward(
        self, windows: Float[Tensor, "batch sample channel"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch class"]:
        """Logits; while the network trains, dropout is drawn from `generator`, on the device of the windows."""

    def slide(self, values: Float[Tensor, "place channel"], span: WindowSpan) -> Float[Tensor, "frame class"]:
        """Logits of every frame of `values` whose whole window lies in it: all but `span.reach` at the two ends."""
        before, after = span.reach
        places = torch.arange(before, len(values) - after, device=values.device)
        return torch.cat([self(span.gather(values, some)) for some in places.split(SLIDE_FRAMES)])


def batch_norm(num_channels: int) -> nn.BatchNorm2d:
    """Batch normalisation as Keras does it by default: momentum .99 (.01 in torch's sense), epsilon 1e-3."""
    return nn.BatchNorm2d(num_channels, eps=1e-3, momentum=0.01)


def glorot_(layer: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """Initialise a layer as Keras does by default: weights uniform by Glorot and Bengio (2010), biases 0."""
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


def dropout(
    x: Float[Tensor, "*shape"], probability: float, generator: torch.Generator | None
) -> Float[Tensor, "*shape"]:
    """`x` with every value set to 0 with `probability`, the others divided by 1 - `probability`.

    The generator is the caller's, where torch's own dropout draws from the global one.
    """
    if probability == 0:
        return x
    return x * (_kept(x, probability, generator).to(x.dtype) / (1 - probability))


def _kept(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    if probability != 0.5:
        return torch.empty(x.shape, device=x.device).bernoulli_(1 - probability, generator=generator)
    # One random word decides on 64 values: drawing them one by one takes longer than the convolutions around it.
    words = torch.empty(-(-x.numel() // 64), dtype=torch.int64, device=x.device)
    words.random_(-(2**63), None, generator=generator)
    bits = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=x.device)
    kept = (words.view(torch.uint8)[:, None] & bits) != 0
    return kept.view(-1)[: x.numel()].view(x.shape)
