"""Frame classifiers: base class, shared layers, the window around a frame, and the layout of its channels."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import Skeleton

__all__ = [
    "FEATURES",
    "HEAD",
    "KEYPOINTS",
    "OBSERVED",
    "DenseBlock",
    "FrameClassifier",
    "Layout",
    "WindowSpan",
    "apply_blocks",
    "batch_norm",
    "check_dropout",
    "dense_blocks",
    "dropout",
    "glorot_",
    "row_norm",
]


@dataclass(frozen=True, kw_only=True)
class WindowSpan:
    """Samples around a frame: `past` before it, itself, and `future` after it, `gap` frames apart.

    The default is the paper's: 201 samples over 200 frames to either side.

    Raises
    ------
    InputError
        If a number is too small.
    """

    past: int = 100
    future: int = 100
    gap: int = 2

    def __post_init__(self) -> None:
        if self.past < 0 or self.future < 0 or self.gap < 1:
            raise InputError(
                f"a window needs past and future of at least 0 and a gap of at least 1, got past {self.past}, "
                f"future {self.future}, gap {self.gap}"
            )

    @property
    def num_samples(self) -> int:
        return self.past + 1 + self.future

    @property
    def receptive_field(self) -> tuple[int, int]:
        """Frames seen before and after a frame."""
        return self.past * self.gap, self.future * self.gap

    def gather(
        self, values: Float[Tensor, "place channel"], places: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch sample channel"]:
        """The windows of the frames at `places` of `values`, which has to reach far enough to either side."""
        before, after = self.receptive_field
        offsets = torch.arange(-before, after + 1, self.gap, device=places.device)
        # Rows picked in one go lie side by side in memory, channel last, as the convolutions like them.
        rows = values.index_select(0, (places[:, None] + offsets).flatten())
        return rows.view(len(places), self.num_samples, values.shape[1])


SLIDE_FRAMES = 256
"""Windows made at a time where a network has no faster way over all frames."""

HEAD = "dense"
"""Name of the last layer in every network."""


class FrameClassifier(nn.Module, ABC):
    """A network that tells from a window what its frame shows. It knows no loss and draws nothing by itself."""

    dense: nn.Linear
    """The last layer, from whatever the layers before make of a window to the logits."""

    @abstractmethod
    def forward(
        self, windows: Float[Tensor, "batch sample channel"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch class"]:
        """Logits; while the network trains, dropout is drawn from `generator`, on the device of the windows."""

    def slide(self, values: Float[Tensor, "place channel"], span: WindowSpan) -> Float[Tensor, "frame class"]:
        """Logits of every frame of `values` whose whole window lies in it: the receptive field cuts both ends."""
        before, after = span.receptive_field
        return self.at(torch.arange(before, len(values) - after, device=values.device), values, span)

    def at(
        self, places: Int[Tensor, " frame"], values: Float[Tensor, "place channel"], span: WindowSpan
    ) -> Float[Tensor, "frame class"]:
        """Logits of the frames at `places`, some windows at a time."""
        return torch.cat([self(span.gather(values, some)) for some in places.split(SLIDE_FRAMES)])


class DenseBlock(nn.Module):
    """Dense layer, batch normalisation, ReLU."""

    def __init__(self, in_width: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = nn.Linear(in_width, width)
        self.norm = row_norm(width)
        glorot_(self.linear, generator)

    def forward(self, x: Float[Tensor, "batch in_channel"]) -> Float[Tensor, "batch channel"]:
        return F.relu(self.norm(self.linear(x)))


def dense_blocks(widths: Sequence[int], generator: torch.Generator) -> nn.ModuleList:
    """A `DenseBlock` from each width to the next."""
    return nn.ModuleList(DenseBlock(*pair, generator) for pair in pairwise(widths))


def apply_blocks(
    x: Float[Tensor, "batch in_channel"],
    blocks: nn.ModuleList,
    probability: float,
    generator: torch.Generator | None,
) -> Float[Tensor, "batch channel"]:
    """`x` through all blocks, while they train with dropout after each."""
    for block in blocks:
        x = block(x)
        if blocks.training:
            x = dropout(x, probability, generator)
    return x


def batch_norm(num_channels: int) -> nn.BatchNorm2d:
    """Batch normalisation as Keras does it by default: momentum .99 (.01 in torch's sense), epsilon 1e-3."""
    return nn.BatchNorm2d(num_channels, eps=1e-3, momentum=0.01)


def row_norm(num_channels: int) -> nn.BatchNorm1d:
    """The same for [batch channel]."""
    return nn.BatchNorm1d(num_channels, eps=1e-3, momentum=0.01)


def glorot_(layer: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """Initialise a layer as Keras does by default: weights uniform by Glorot and Bengio (2010), biases 0."""
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


def check_dropout(probability: float) -> None:
    """Raise an InputError unless `probability` is one below 1."""
    if not 0 <= probability < 1:
        raise InputError(f"dropout must be at least 0 and below 1, got {probability}")


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


KEYPOINTS, OBSERVED, FEATURES = "keypoints", "observed", "features"


@dataclass(frozen=True)
class Layout:
    """What the channels of a frame are.

    Parameters
    ----------
    groups : name -> number of channels, in their order: "keypoints" (individual, keypoint, space), "observed"
        (individual, keypoint; 1 or 0) where the store has missing points, "features" where there are any.
    skeleton : of the animals.
    num_individuals : how many there are.
    """

    groups: Mapping[str, int]
    skeleton: Skeleton
    num_individuals: int

    @property
    def num_channels(self) -> int:
        return sum(self.groups.values())

    def part(self, name: str) -> slice:
        """The channels of a group; none where there is no such group."""
        before = 0
        for group, count in self.groups.items():
            if group == name:
                return slice(before, before + count)
            before += count
        return slice(0, 0)

    def points(self, x: Float[Tensor, "*batch channel"]) -> Float[Tensor, "*batch individual keypoint space"]:
        """A view of the coordinates, in units of the arena."""
        return x[..., self.part(KEYPOINTS)].unflatten(-1, (self.num_individuals, self.skeleton.num_keypoints, 2))

    def observed(self, x: Float[Tensor, "*batch channel"]) -> Float[Tensor, "*batch individual keypoint"]:
        """A view of the channels that tell what was observed; only where there are any."""
        return x[..., self.part(OBSERVED)].unflatten(-1, (self.num_individuals, self.skeleton.num_keypoints))

    def seen(self, x: Float[Tensor, "*batch channel"]) -> Bool[Tensor, "*batch individual keypoint"]:
        """Where there is a point: True if it was observed.

        Without channels that tell so nothing is missing inside of a recording; its outside is known by coordinates
        that are exactly 0.
        """
        if OBSERVED in self.groups:
            return self.observed(x) > 0
        return (self.points(x) != 0).any(dim=-1)
