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
        """Number of frames in the window before and after a frame."""
        return self.past * self.gap, self.future * self.gap

    def gather(
        self, values: Float[Tensor, "place channel"], places: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch sample channel"]:
        """The windows of the frames at `places`; `values` must extend over the receptive field on either side."""
        before, after = self.receptive_field
        offsets = torch.arange(-before, after + 1, self.gap, device=places.device)
        # One index_select gives contiguous rows with channels last, the fastest layout for the convolutions.
        rows = values.index_select(0, (places[:, None] + offsets).flatten())
        return rows.view(len(places), self.num_samples, values.shape[1])


SLIDE_FRAMES = 256
"""Windows per block in networks without a faster `slide`."""

HEAD = "dense"
"""Name of the last layer in every network."""


class FrameClassifier(nn.Module, ABC):
    """A network that classifies a frame from its window, without a loss and without random state."""

    dense: nn.Linear
    """The last layer, from hidden units to logits."""

    @abstractmethod
    def forward(
        self, windows: Float[Tensor, "batch sample channel"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch class"]:
        """Logits; in training mode `generator`, on the device of the windows, draws dropout."""

    def slide(self, values: Float[Tensor, "place channel"], span: WindowSpan) -> Float[Tensor, "frame class"]:
        """Logits of every frame of `values` with a complete window: the receptive field shortens both ends."""
        before, after = span.receptive_field
        return self.at(torch.arange(before, len(values) - after, device=values.device), values, span)

    def at(
        self, places: Int[Tensor, " frame"], values: Float[Tensor, "place channel"], span: WindowSpan
    ) -> Float[Tensor, "frame class"]:
        """Logits of the frames at `places`, in blocks of windows."""
        return torch.cat([self(span.gather(values, some)) for some in places.split(SLIDE_FRAMES)])


class DenseBlock(nn.Module):
    """Dense layer, batch normalization, ReLU."""

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
    """The output of all blocks, with dropout after each block in training."""
    for block in blocks:
        x = block(x)
        if blocks.training:
            x = dropout(x, probability, generator)
    return x


def batch_norm(num_channels: int) -> nn.BatchNorm2d:
    """Batch normalization with the defaults of Keras: momentum .99 (.01 in torch's sense), epsilon 1e-3."""
    return nn.BatchNorm2d(num_channels, eps=1e-3, momentum=0.01)


def row_norm(num_channels: int) -> nn.BatchNorm1d:
    """`batch_norm` for [batch channel]."""
    return nn.BatchNorm1d(num_channels, eps=1e-3, momentum=0.01)


def glorot_(layer: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """Initialize a layer with the defaults of Keras: uniform weights by Glorot and Bengio (2010), biases 0."""
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


def check_dropout(probability: float) -> None:
    """Raise an InputError unless `probability` is in [0, 1)."""
    if not 0 <= probability < 1:
        raise InputError(f"dropout must be at least 0 and below 1, got {probability}")


def dropout(
    x: Float[Tensor, "*shape"], probability: float, generator: torch.Generator | None
) -> Float[Tensor, "*shape"]:
    """`x` with each value set to 0 with `probability`, and the others divided by 1 - `probability`.

    Unlike torch's dropout, which uses the global generator, it draws from the caller's generator.
    """
    if probability == 0:
        return x
    return x * (_kept(x, probability, generator).to(x.dtype) / (1 - probability))


def _kept(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    if probability != 0.5:
        return torch.empty(x.shape, device=x.device).bernoulli_(1 - probability, generator=generator)
    # One random word decides on 64 values: drawing single values takes longer than the convolutions.
    words = torch.empty(-(-x.numel() // 64), dtype=torch.int64, device=x.device)
    words.random_(-(2**63), None, generator=generator)
    bits = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=x.device)
    kept = (words.view(torch.uint8)[:, None] & bits) != 0
    return kept.view(-1)[: x.numel()].view(x.shape)


KEYPOINTS, OBSERVED, FEATURES = "keypoints", "observed", "features"


@dataclass(frozen=True)
class Layout:
    """The layout of a frame's channels.

    Parameters
    ----------
    groups : name -> number of channels, in order: "keypoints" (individual, keypoint, space), "observed" (individual,
        keypoint; 1 or 0) if the store has missing points, "features" if there are any.
    skeleton : skeleton of the animals.
    num_individuals : number of animals.
    """

    groups: Mapping[str, int]
    skeleton: Skeleton
    num_individuals: int

    @property
    def num_channels(self) -> int:
        return sum(self.groups.values())

    def part(self, name: str) -> slice:
        """The channels of a group; an empty slice for absent groups."""
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
        """A view of the "observed" channels, if there are any."""
        return x[..., self.part(OBSERVED)].unflatten(-1, (self.num_individuals, self.skeleton.num_keypoints))

    def seen(self, x: Float[Tensor, "*batch channel"]) -> Bool[Tensor, "*batch individual keypoint"]:
        """Mask of observed points.

        Without "observed" channels no point is missing inside of a recording, and coordinates outside are exactly 0.
        """
        if OBSERVED in self.groups:
            return self.observed(x) > 0
        return (self.points(x) != 0).any(dim=-1)
