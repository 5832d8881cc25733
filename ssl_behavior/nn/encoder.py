"""Encoders: features of every view -> latents of the scene -> contexts of past and future.

A `WindowBlock` averages hidden units over many windows of time at once and mixes the averages. A stack of dilated
convolutions has to learn such averages; here they are fixed. Half a minute of context costs the same as a second, and a
few hundred training steps are enough.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.nn.conv import ConvStack, ResidualBlock
from ssl_behavior.tensor_types import FrameMask, Latents, StepMask, Steps
from ssl_behavior.views import Views, join_views
from ssl_behavior.window_statistics import (
    QUANTILES,
    Moments,
    QuantileCodes,
    WindowsConfig,
    joined_moments,
    sliding_means,
    step_moments,
)

__all__ = [
    "Contexters",
    "Embedder",
    "EncoderConfig",
    "MixerConfig",
    "MixingEmbedder",
    "WindowBlock",
    "make_embedder",
    "pad_to_multiple",
    "step_mean",
    "to_frames",
    "window_mean",
]


@dataclass(frozen=True, kw_only=True)
class MixerConfig:
    """Sizes of a `MixingEmbedder` (`nn.encoder`).

    Parameters
    ----------
    view_dim : hidden units of each animal's point of view.
    dim : width of the scene.
    dilations : one residual convolution block of the scene for each, before the windows; none = none.
    windows_dim : hidden units that are averaged over windows, in each block.
    windows : that they are averaged over.
    blocks : how many blocks of windows follow one another.
    quantiles, codes : the scene's quantile codes (`window_statistics.QuantileCodes`) that are read beside its features.
    """

    view_dim: int = 192
    dim: int = 192
    dilations: tuple[int, ...] = ()
    windows_dim: int = 96
    windows: WindowsConfig = field(default_factory=WindowsConfig)
    blocks: int = 1
    quantiles: tuple[float, ...] = QUANTILES
    codes: int = 192

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in zip(self.quantiles, self.quantiles[1:], strict=False))
        if not self.quantiles or not rising or self.quantiles[0] <= 0 or self.quantiles[-1] >= 1:
            raise InputError(f"mixer: quantiles must rise between 0 and 1, got {self.quantiles}")
        if self.codes < 1:
            raise InputError(f"mixer: codes must be at least 1, got {self.codes}")
        if min(self.view_dim, self.dim, self.windows_dim, self.blocks, *self.dilations) < 1:
            raise InputError(f"mixer: widths, blocks and dilations must be at least 1, got {self}")


class WindowBlock(nn.Module):
    """x + mix(means of hidden units over windows), then x + MLP(x); pre-normalized by LayerNorm, GELU.

    Attributes
    ----------
    receptive_field : steps (before, after) on which one output depends.
    """

    def __init__(self, dim: int, windows_dim: int, windows: WindowsConfig, stride: int) -> None:
        super().__init__()
        self.spans, self.receptive_field = windows.spans(stride), windows.receptive_field(stride)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.hidden = nn.Linear(dim, windows_dim)
        self.mix = nn.Linear(windows_dim * len(self.spans), dim)
        self.widen, self.narrow = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Steps, inside: StepMask) -> Steps:
        hidden = F.gelu(self.hidden(self.norm1(x)))
        means = sliding_means(hidden, inside.unsqueeze(-1).to(hidden.dtype), self.spans)
        x = x + self.mix(torch.cat([mean for mean, _ in means], dim=-1))
        return x + self.narrow(F.gelu(self.widen(self.norm2(x))))


_MIN_SHARE = 1e-6

Animals = Literal["auto", "pooled", "concatenated", "first"]


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Widths and depths. Frames are stacked `stride` at a time first, so kernels and dilations count steps.

    Parameters
    ----------
    stride : frames per step; every frame still gets its own embedding, interpolated between steps.
    animals : pooling of the animals' views: "pooled" (mean and maximum, independent of the order of the animals),
        "concatenated" (for named animals), "first" (only the first animal's view), or "auto": pooled if
        the skeleton says that the animals are exchangeable, else concatenated. An animal among several others first
        pools its views of them, see `ssl_behavior.views`.
    latent_dim : width of the embedder's output.
    embedder_dim, embedder_kernels : the embedder's width, and the kernel size of each of its residual blocks.
    contexter_dim, contexter_kernel, contexter_second_kernel, contexter_dilations : the causal stack; one residual
        block for each dilation.
    directions : "forward" (past -> future), "backward" (future -> past), "both", or "none": no contexts at all.
    mixer : sizes of a `MixingEmbedder`, which takes the place of the embedder's convolutions; None = those.
    """

    stride: int = 6
    animals: Animals = "auto"
    latent_dim: int = 128
    embedder_dim: int = 128
    embedder_kernels: tuple[int, ...] = (3, 3)
    contexter_dim: int = 192
    contexter_kernel: int = 3
    contexter_second_kernel: int = 1
    contexter_dilations: tuple[int, ...] = (1, 2, 4)
    directions: Literal["forward", "backward", "both", "none"] = "both"
    mixer: MixerConfig | None = None

    def __post_init__(self) -> None:
        sizes = (self.stride, self.latent_dim, self.embedder_dim, self.contexter_dim)
        kernels = (self.contexter_kernel, self.contexter_second_kernel, *self.embedder_kernels)
        if min(*sizes, *kernels, *self.contexter_dilations) < 1:
            raise InputError(f"encoder: strides, widths, kernels and dilations must be at least 1, got {self}")
        if self.directions not in ("forward", "backward", "both", "none"):
            raise InputError(f"encoder: directions must be forward, backward, both or none, got {self.directions!r}")
        if not self.contexter_dilations:
            raise InputError("encoder: contexter_dilations is empty; the contexter needs at least one block")

    @property
    def contexts(self) -> tuple[Literal["past", "future"], ...]:
        """Directions of the contexts: "past" (predicts forward), "future" (predicts backward)."""
        if self.directions == "none":
            return ()
        if self.directions == "both":
            return "past", "future"
        return ("past",) if self.directions == "forward" else ("future",)


class _Pooling:
    """Pooling of views: over the targets of each animal, then mean and maximum of anonymous animals, else side by side.

    Attributes
    ----------
    number : how many times the width of one view that of all joined is.
    """

    def __init__(self, animals: Animals, num_individuals: int, exchangeable: bool) -> None:
        auto: Animals = "pooled" if exchangeable else "concatenated"
        self.animals = auto if animals == "auto" else animals
        self.num_individuals = 1 if self.animals == "first" else num_individuals
        self.number = {"pooled": 2, "concatenated": num_individuals, "first": 1}[self.animals]

    def joined(
        self, values: Float[Tensor, "batch step view channel"], views: Views | None
    ) -> Float[Tensor, "batch step joined"]:
        """All views as one; `views` None = every view is an animal's, in order, and counts."""
        if views is None:
            views = Views(tuple(range(values.shape[2])), (-1,) * values.shape[2], ())
        if self.animals == "first":
            views = replace(views, agents=(0,))
        return join_views(values, views, self.animals == "pooled", self.num_individuals)


def _each_used(
    layer: Callable[[Tensor], Tensor], values: Float[Tensor, "batch step view channel"], views: Views | None
) -> Float[Tensor, "batch step view hidden"]:
    """A layer applied to the views that count; 0 for the others."""
    if views is None or views.used is None:
        return layer(values)
    return _placed(layer(values.movedim(2, 1)[views.used]), views.used).movedim(1, 2)


def _placed(
    values: Float[Tensor, " _used *rest"], used: Bool[Tensor, "batch view"]
) -> Float[Tensor, "batch view *rest"]:
    """Values of the views that count in their places; 0 for the others."""
    every = values.new_zeros(*used.shape, *values.shape[1:])
    every[used] = values
    return every


class Embedder(nn.Module):
    """Non-causal stack over each animal's view (shared weights), then one latent per step for the scene.

    Attributes
    ----------
    num_views : how many times the width of one view that of all joined is.
    receptive_field : steps (before, after) on which one latent depends.
    """

    def __init__(self, config: EncoderConfig, num_channels: int, num_individuals: int, exchangeable: bool) -> None:
        super().__init__()
        self.views = _Pooling(config.animals, num_individuals, exchangeable)
        self.stride, self.num_views = config.stride, self.views.number
        dim = config.embedder_dim
        blocks = [ResidualBlock(dim, kernel, kernel, 1, "both") for kernel in config.embedder_kernels]
        self.entry = nn.Linear(config.stride * num_channels, dim)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(self.num_views * dim)
        self.exit = nn.Linear(self.num_views * dim, config.latent_dim)
        self.receptive_field = (
            sum(block.receptive_field[0] for block in blocks),
            sum(block.receptive_field[1] for block in blocks),
        )

    def forward(
        self, features: Float[Tensor, "batch time view channel"], valid: FrameMask, views: Views | None = None
    ) -> tuple[Steps, StepMask]:
        """Frames (a multiple of `stride`) -> latents, and which steps lie inside the recording.

        Parameters
        ----------
        views : of the view axis; None = every view is an animal's, in order.
        """
        stacked = rearrange(
            features, "batch (step stride) view channel -> batch view step (stride channel)", stride=self.stride
        )
        inside = rearrange(valid, "batch (step stride) -> batch step stride", stride=self.stride).any(-1)
        every = inside.unsqueeze(1).expand(stacked.shape[:3])
        used = None if views is None else views.used
        x, where = (stacked.flatten(0, 1), every.flatten(0, 1)) if used is None else (stacked[used], every[used])
        x = self.entry(x)
        for block in self.blocks:
            x = block(x, where)
        x = x.unflatten(0, stacked.shape[:2]) if used is None else _placed(x, used)
        return self.exit(self.norm(self.joined(x.movedim(1, 2), views))), inside

    def joined(
        self, values: Float[Tensor, "batch step view channel"], views: Views | None = None
    ) -> Float[Tensor, "batch step joined"]:
        """All points of view as one, see `EncoderConfig.animals`."""
        return self.views.joined(values, views)


class MixingEmbedder(nn.Module):
    """Views -> scene -> blocks that mix many windows of time -> one latent per step. Views share weights.

    Of each step the mean and standard deviation over its frames are read, view by view, and the scene's quantile codes.

    Attributes
    ----------
    num_views, receptive_field : as of `Embedder`.
    coding : the quantile codes; fitted to the training recordings before the first step.
    """

    def __init__(self, config: EncoderConfig, num_channels: int, num_individuals: int, exchangeable: bool) -> None:
        super().__init__()
        assert config.mixer is not None
        mixer = config.mixer
        self.views = _Pooling(config.animals, num_individuals, exchangeable)
        self.stride, self.num_views = config.stride, self.views.number
        self.entry = nn.Linear(2 * num_channels, mixer.view_dim)
        self.scene = nn.Linear(self.num_views * mixer.view_dim, mixer.dim)
        self.coding = QuantileCodes(mixer.quantiles, mixer.codes, 2 * self.num_views * num_channels)
        self.codes = nn.Linear(self.coding.num_codes, mixer.dim)
        convolutions = [ResidualBlock(mixer.dim, 3, 1, dilation, "both") for dilation in mixer.dilations]
        windows = [WindowBlock(mixer.dim, mixer.windows_dim, mixer.windows, config.stride) for _ in range(mixer.blocks)]
        self.blocks = nn.ModuleList([*convolutions, *windows])
        self.norm = nn.LayerNorm(mixer.dim)
        self.exit = nn.Linear(mixer.dim, config.latent_dim)
        fields = [*(block.receptive_field for block in convolutions), *(block.receptive_field for block in windows)]
        self.receptive_field = (sum(before for before, _ in fields), sum(after for _, after in fields))

    def forward(
        self, features: Float[Tensor, "batch time view channel"], valid: FrameMask, views: Views | None = None
    ) -> tuple[Steps, StepMask]:
        """Frames (a multiple of `stride`) -> latents, and which steps lie inside the recording.

        A feature that is exactly 0 was not observed, or is hidden.

        Parameters
        ----------
        views : of the view axis; None = every view is an animal's, in order.
        """
        moments, codes, inside = self.readings(features, valid, views)
        return self.latents(moments, codes, inside, views), inside

    @torch.no_grad()
    def readings(
        self, features: Float[Tensor, "batch time view channel"], valid: FrameMask, views: Views | None = None
    ) -> tuple[Float[Tensor, "batch step view moment"], Float[Tensor, "batch step code"], StepMask]:
        """Inputs of `latents`: moments of every view, the scene's codes, and the mask of steps inside the recording."""
        inside = rearrange(valid, "batch (step stride) -> batch step stride", stride=self.stride).any(-1)
        with torch.autocast(features.device.type, enabled=False):
            moments, seen = step_moments(features, None, valid, self.stride)
            codes = self.coding(*self._scene_moments(moments, seen, views))
        return moments, codes, inside

    def _scene_moments(self, values: Tensor, seen: Tensor, views: Views | None) -> Moments:
        pooled = self.views.animals == "pooled"
        return joined_moments(values, seen, pooled, views, self.views.num_individuals)

    def moments_to_code(
        self, features: Float[Tensor, "batch time view channel"], valid: FrameMask, views: Views | None = None
    ) -> tuple[Float[Tensor, "batch step moment"], Bool[Tensor, "batch step moment"]]:
        """Moments that codes are computed from, see `window_statistics.joined_moments`."""
        return self._scene_moments(*step_moments(features, None, valid, self.stride), views)

    def latents(
        self, moments: Float[Tensor, "batch step view moment"], codes: Float[Tensor, "batch step code"],
        inside: StepMask, views: Views | None = None,
    ) -> Steps:  # fmt: skip
        """Latents from means, standard deviations and codes of every step."""
        hidden = _each_used(self._hidden, moments, views)
        x = self.scene(self.views.joined(hidden, views)) + self.codes(codes)
        for block in self.blocks:
            x = block(x, inside)
        return self.exit(self.norm(x))

    def _hidden(self, moments: Tensor) -> Tensor:
        return F.gelu(self.entry(moments))

    def joined(
        self, values: Float[Tensor, "batch step view channel"], views: Views | None = None
    ) -> Float[Tensor, "batch step joined"]:
        """All points of view as one, see `EncoderConfig.animals`."""
        return self.views.joined(values, views)


def make_embedder(
    config: EncoderConfig, num_channels: int, num_individuals: int, exchangeable: bool
) -> Embedder | MixingEmbedder:
    """Build the embedder of a configuration."""
    kind = Embedder if config.mixer is None else MixingEmbedder
    return kind(config, num_channels, num_individuals, exchangeable)


class Contexters(nn.Module):
    """Separate stacks over past latents, future latents, or both.

    Attributes
    ----------
    receptive_field : steps (before, after) on which the contexts depend.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.stacks = nn.ModuleDict()
        before = after = 0
        for name in config.contexts:
            stack = ConvStack(
                config.latent_dim,
                config.contexter_dim,
                config.contexter_kernel,
                config.contexter_second_kernel,
                config.contexter_dilations,
                name,
            )
            self.stacks[name] = stack
            before, after = max(before, stack.receptive_field[0]), max(after, stack.receptive_field[1])
        self.receptive_field = (before, after)

    def forward(self, latents: Steps, valid: StepMask) -> dict[str, Float[Tensor, "batch step context"]]:
        """Contexts by direction, "past" and "future"."""
        return {name: stack(latents, valid) for name, stack in self.stacks.items()}


def window_mean(steps: Steps, inside: StepMask, width: int) -> Steps:
    """Mean over centered windows of `width` (odd) steps, of the steps inside the recording.

    Raises
    ------
    InputError
        If `width` is even.
    """
    if width % 2 == 0:
        raise InputError(f"centered windows need an odd number of steps, got {width}")
    weight = inside.unsqueeze(-1).to(steps.dtype)
    weighted = rearrange(torch.cat([steps * weight, weight], dim=-1), "batch step latent -> batch latent step")
    sums = rearrange(F.avg_pool1d(weighted, width, 1, width // 2), "batch latent step -> batch step latent")
    return sums[..., :-1] / sums[..., -1:].clamp_min(_MIN_SHARE)


def step_mean(
    features: Float[Tensor, "batch time view channel"], valid: FrameMask, stride: int
) -> Float[Tensor, "batch step view channel"]:
    """Mean over each step's `stride` frames (the time is a multiple of it), of the frames inside the recording."""
    weight = valid[..., None, None].to(features.dtype)
    pattern = "batch (step stride) view channel -> batch step view channel"
    total, count = (reduce(values, pattern, "sum", stride=stride) for values in (features * weight, weight))
    return total / count.clamp_min(1)


def pad_to_multiple(values: Tensor, multiple: int) -> Tensor:
    """Zeros (False) appended on the time axis (the second) until its length is a multiple."""
    missing = -values.shape[1] % multiple
    return F.pad(values, [0, 0] * (values.ndim - 2) + [0, missing]) if missing else values


def to_frames(steps: Steps, inside: StepMask, stride: int, num_frames: int) -> Latents:
    """Steps -> frames: linear interpolation between the middles of the steps inside the recording.

    Before the first middle and after the last the nearest step's value is held.
    """
    if stride == 1:
        return steps[:, :num_frames]
    # In half frames and whole numbers, so that frame one million is as exact as frame one.
    position = 2 * torch.arange(num_frames, device=steps.device) - (stride - 1)
    left = position.div(2 * stride, rounding_mode="floor")
    weight = ((position - 2 * stride * left).to(steps.dtype) / (2 * stride)).view(1, -1, 1)
    index = torch.arange(inside.shape[1], device=steps.device)
    first = torch.where(inside, index, inside.shape[1]).amin(dim=1, keepdim=True)
    last = torch.where(inside, index, -1).amax(dim=1, keepdim=True).clamp_min(0)
    first = torch.minimum(first, last)
    ends = [torch.minimum(torch.maximum(i.unsqueeze(0), first), last).unsqueeze(-1) for i in (left, left + 1)]
    before, after = (steps.gather(1, end.expand(-1, -1, steps.shape[-1])) for end in ends)
    return torch.lerp(before, after, weight)
