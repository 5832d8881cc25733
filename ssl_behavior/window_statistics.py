"""Statistics of sliding time windows: means, and how often each feature of the scene is above each of its quantiles.

A window of length L is the sum of windows whose lengths are powers of two, each the sum of two windows of half its
length: log2(L) additions per value, for any number of windows. Unlike differences of cumulative sums, every output
depends only on the inputs in its own window, to the last bit, and rounding does not grow with the recording.

For every step (a few frames) a window of time around, before or after it is described by the share of its steps in
which each channel lies above each of that channel's quantiles over the recordings: a histogram in cumulative form.
All windows together are compressed to principal components that keep their variances, so that distances between
compressed summaries are those between the histograms. They are what `methods.summary_prediction` predicts, and,
compressed to as many columns as an embedding, a reference that needs no training.

Histograms of hand features as targets of self-supervised learning: Azabou et al. 2023 (BAMS, arXiv:2303.08811).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.features import Channels
from ssl_behavior.numerics import principal_axes
from ssl_behavior.tensor_types import FrameMask, StepMask
from ssl_behavior.views import Views, mean_and_maximum, place_animals

__all__ = [
    "NEVER_KNOWN",
    "QUANTILES",
    "Moments",
    "Piece",
    "QuantileCodes",
    "Summaries",
    "SummariesConfig",
    "ViewMoments",
    "WindowsConfig",
    "joined_moments",
    "scene_moments",
    "sliding_means",
    "sliding_sums",
    "step_moments",
]

Span = tuple[int, int]
"""First and last time of a window, relative to its own; both are in it."""


@dataclass(frozen=True, kw_only=True)
class WindowsConfig:
    """Windows of time around, before and after a frame, in frames.

    Parameters
    ----------
    around_frames : lengths of windows centered on the frame.
    past_frames : lengths of windows that end just before it.
    future_frames : lengths of windows that begin just after it.
    """

    around_frames: tuple[int, ...] = (30, 90, 300, 900)
    past_frames: tuple[int, ...] = (30, 150)
    future_frames: tuple[int, ...] = (30, 150)

    def __post_init__(self) -> None:
        for name in ("around_frames", "past_frames", "future_frames"):
            lengths = getattr(self, name)
            if any(length < 1 for length in lengths) or len(set(lengths)) < len(lengths):
                raise InputError(f"windows: {name} must be different lengths of at least 1 frame, got {lengths}")
        if not self:
            raise InputError("windows: name at least one window in around_frames, past_frames or future_frames")

    def __len__(self) -> int:
        return len(self.around_frames) + len(self.past_frames) + len(self.future_frames)

    def spans(self, stride: int) -> list[Span]:
        """First and last step of every window, relative to the own step; a step is `stride` frames.

        >>> WindowsConfig(around_frames=(30,), past_frames=(12,), future_frames=()).spans(6)
        [(-2, 2), (-2, -1)]
        """
        around = [(-(frames // stride // 2), frames // stride // 2) for frames in self.around_frames]
        past = [(-max(1, frames // stride), -1) for frames in self.past_frames]
        future = [(1, max(1, frames // stride)) for frames in self.future_frames]
        return [*around, *past, *future]

    def receptive_field(self, stride: int) -> tuple[int, int]:
        """Steps before and after the own one that the windows cover."""
        spans = self.spans(stride)
        return max(0, *(-first for first, _ in spans)), max(0, *(last for _, last in spans))


def sliding_sums(
    values: Float[Tensor, "batch time channel"], spans: Sequence[Span]
) -> list[Float[Tensor, "batch time channel"]]:
    """Sums over times t + first .. t + last for every span; times outside the values count nothing."""
    num_times = values.shape[1]
    before, after = max(0, *(-first for first, _ in spans)), max(0, *(last for _, last in spans))
    doubled = [F.pad(values, (0, 0, before, after))]
    longest = max(last - first + 1 for first, last in spans)
    while 2 ** len(doubled) <= longest:
        half, shorter = 2 ** (len(doubled) - 1), doubled[-1]
        doubled.append(shorter[:, :-half] + shorter[:, half:])
    return [_one_sum(doubled, before + first, last - first + 1, num_times) for first, last in spans]


def _one_sum(doubled: Sequence[Tensor], start: int, length: int, num_times: int) -> Tensor:
    """Sums over windows of `length` from `start` on, composed of windows of powers of two."""
    total: Tensor | None = None
    for power, sums in enumerate(doubled):
        if length >> power & 1:
            part = sums[:, start : start + num_times]
            total = part if total is None else total + part
            start += 2**power
    assert total is not None
    return total


def sliding_means(
    values: Float[Tensor, "batch time channel"], weight: Float[Tensor, "batch time weight"], spans: Sequence[Span]
) -> list[tuple[Float[Tensor, "batch time channel"], Bool[Tensor, "batch time weight"]]]:
    """Weighted means over times t + first .. t + last for every span, 0 without weight, and the mask of nonzero weight.

    Parameters
    ----------
    weight : 0 where a value is not known; as many channels as values, or one for all.
    """
    sums = sliding_sums(values * weight, spans)
    counts = sliding_sums(weight, spans)
    known = [count > 0 for count in counts]
    # The mean of no values is 0 / 1.
    means = [
        total / count.where(seen, count.new_ones(())) for total, count, seen in zip(sums, counts, known, strict=True)
    ]
    return list(zip(means, known, strict=True))


NEVER_KNOWN = 1e30
"""Edges of a channel that no training recording knows: nothing lies above them."""

QUANTILES = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)
"""Of each channel over the training recordings; the edges of the histograms' bins."""

Values = Float[Tensor, "batch step channel"]
Known = Bool[Tensor, "batch step channel"]
Components = Float[Tensor, "batch anchor component"]
Moments = tuple[Float[Tensor, "batch step moment"], Bool[Tensor, "batch step moment"]]
ViewMoments = tuple[Float[Tensor, "batch step view own"], Bool[Tensor, "batch step view own"]]
Piece = tuple[Tensor, Tensor]
"""Values and known [1 step channel] of a stretch of a recording. Pieces differ in their number of steps."""

_FITTING_STEPS = 8000
_FITTING_SHARES = 60_000_000
"""Shares of all steps that principal axes are taken of; steps are left out where there are more."""
_EDGE_VALUES = 15_000_000
"""Values that quantiles are taken of; torch refuses more than 16 million."""
_MIN_SPREAD = 1e-6
_CONSTANT_SPREAD = 0.01
"""A window that varies less than this share of the window that varies most has no weight."""
_ROUNDING = 1e-5


@dataclass(frozen=True, kw_only=True)
class SummariesConfig:
    """Windows of the summaries, and number of components.

    Parameters
    ----------
    windows : around, before and after a step.
    components : principal components of all windows together.
    """

    windows: WindowsConfig = field(default_factory=WindowsConfig)
    components: int = 256

    def __post_init__(self) -> None:
        if self.components < 1:
            raise InputError(f"summaries: components must be at least 1, got {self.components}")


@torch.no_grad()
def step_moments(features: Channels, known: Bool[Tensor, "batch time view channel"] | None, valid: FrameMask,
                 stride: int) -> ViewMoments:  # fmt: skip
    """Mean and standard deviation of each feature over the known frames of each step (else 0), and their mask.

    Parameters
    ----------
    known : None = every value but exactly 0.
    """
    if known is None:
        features = features if bool(valid.all()) else features * valid[..., None, None]
        weight = torch.ne(features, 0, out=torch.empty_like(features))
    else:
        weight = (known & valid[..., None, None]).to(features.dtype)
        features = features * weight
    pattern = "batch (step stride) view channel -> batch step stride view channel"
    features, weight = (rearrange(one, pattern, stride=stride) for one in (features, weight))
    count = weight.sum(dim=2)
    divisor = count.clamp_min(1)
    # In place: memory bounds this, and each pass over the features counts.
    mean = features.sum(dim=2).div_(divisor)
    # A difference of mean squares would be rounding where nothing changes, and rounding has quantiles too.
    deviation = torch.addcmul(features, weight, mean.unsqueeze(2), value=-1)
    std = deviation.square_().sum(dim=2).div_(divisor).sqrt_()
    return torch.cat([mean, std], dim=-1), (count > 0).repeat(1, 1, 1, 2)


def joined_moments(
    values: Float[Tensor, "batch step view own"],
    seen: Bool[Tensor, "batch step view own"],
    pooled: bool,
    views: Views | None = None,
    num_individuals: int | None = None,
) -> Moments:
    """Moments of the scene from the moments of every view, and the mask of known ones.

    Of exchangeable animals (`pooled`) mean and maximum over the points of view that know the feature, else those of all
    animals side by side.

    Parameters
    ----------
    views : of the view axis; None = every view is an animal's, in order.
    num_individuals : animals that stand side by side; None = as many as there are agents.
    """
    if pooled:
        mean, largest, any_seen = mean_and_maximum(values, seen, dim=2)
        return torch.cat([mean, largest], dim=-1), any_seen.repeat(1, 1, 2)
    if views is not None:
        values, known = views.over_targets(values, seen)
        assert known is not None
        number = len(views.agents) if num_individuals is None else num_individuals
        values, seen = (place_animals(one, views.agents, number) for one in (values, known))
    return values.flatten(2), seen.flatten(2)


def scene_moments(
    features: Channels,
    known: Bool[Tensor, "batch time view channel"],
    valid: FrameMask,
    stride: int,
    pooled: bool,
    views: Views | None = None,
) -> Moments:
    """`joined_moments` of `step_moments`."""
    return joined_moments(*step_moments(features, known, valid, stride), pooled, views)


class QuantileCodes(nn.Module):
    """Compressed codes of a step: which channels are above which of their quantiles.

    A channel above an edge is 1, else 0, less the mean over the training recordings; 0 where the channel is not known.
    These are projected on principal axes of one-second histograms, whose mean standard deviation is 1. Everything is
    fitted once and travels with the weights; before, codes are 0.

    Parameters
    ----------
    quantiles : of each channel over the training recordings.
    num_codes : at most; there are never more than channels times quantiles.
    num_channels : that are coded.
    """

    edges: Float[Tensor, "quantile channel"]
    mean: Float[Tensor, " share"]
    axes: Float[Tensor, "share code"]

    def __init__(self, quantiles: Sequence[float], num_codes: int, num_channels: int) -> None:
        super().__init__()
        self.quantiles = tuple(quantiles)
        num_shares = num_channels * len(self.quantiles)
        self.num_codes = min(num_codes, num_shares)
        self.register_buffer("edges", torch.zeros(len(self.quantiles), num_channels))
        self.register_buffer("mean", torch.zeros(num_shares))
        self.register_buffer("axes", torch.zeros(num_shares, self.num_codes))
        self._made: tuple[object, Tensor] | None = None

    def forward(self, values: Values, known: Known) -> Float[Tensor, "batch step code"]:
        above = torch.zeros(values.shape, dtype=torch.int32, device=values.device)
        for edge in self.edges:
            above += values > edge
        table = self._table()
        num_channels = values.shape[-1]
        unknown = len(table) // num_channels - 1
        rows = torch.where(known, above, unknown) * num_channels
        rows += torch.arange(num_channels, dtype=torch.int32, device=values.device)
        return F.embedding_bag(rows.flatten(0, 1), table, mode="sum").unflatten(0, values.shape[:2])

    def _table(self) -> Float[Tensor, "row code"]:
        """Lookup table of a channel's contribution to the codes: a row per number of edges below its value, then zeros.

        Rows are added up in half the time that a product of all shares with the axes takes: shares are 0 or 1.
        Cached until `axes` or `mean` change.
        """
        if self.axes.is_inference() or self.mean.is_inference():
            return self._tabulated()
        state = tuple((one.data_ptr(), one._version, one.dtype) for one in (self.axes, self.mean))
        if self._made is None or self._made[0] != state:
            self._made = state, self._tabulated()
        return self._made[1]

    @torch.no_grad()
    def _tabulated(self) -> Float[Tensor, "row code"]:
        axes = self.axes.unflatten(0, self.edges.shape)
        mean = (self.mean.view(*self.edges.shape, 1) * axes).sum(dim=0)
        sums = torch.cat([torch.zeros_like(axes[:1]), axes.cumsum(dim=0)]) - mean
        return torch.cat([sums, torch.zeros_like(sums[:1])]).flatten(0, 1)

    def _above(self, values: Values, known: Known) -> Float[Tensor, "batch step share"]:
        """Indicators that a channel is above an edge, quantile by quantile, minus their mean; 0 where unknown."""
        above = (values.unsqueeze(-2) > self.edges).to(self.mean.dtype)
        return ((above - self.mean.view_as(self.edges)) * known.unsqueeze(-2)).flatten(-2)

    @torch.no_grad()
    def fit(self, pieces: Sequence[Piece]) -> "QuantileCodes":
        """Fit edges, mean and axes on pieces of the training recordings.

        Beyond the pieces, memory does not grow with their number: quantiles and axes are taken of evenly spaced steps.

        Raises
        ------
        InputError
            If no channel was ever known.
        """
        lengths = [values.shape[1] for values, _ in pieces]
        self.edges.copy_(self._edges(pieces, lengths))
        if (self.edges >= NEVER_KNOWN).all():
            raise InputError("summaries: nothing was observed in any training recording")
        self.mean.copy_(self._mean_share(pieces))
        every = _evenly(lengths, min(_FITTING_STEPS, max(1, _FITTING_SHARES // len(self.mean))))
        second = torch.cat([
            _window_means(self._above(*piece), _everywhere(piece[0]), [(-2, 2)])[0][0, some]
            for piece, some in zip(pieces, every, strict=True)
        ])  # fmt: skip
        axes = principal_axes(second, self.num_codes)
        spread = (second @ axes).std(dim=0, correction=0).mean()
        self.axes.copy_(axes / spread.clamp_min(_MIN_SPREAD))
        return self

    def _edges(self, pieces: Sequence[Piece], lengths: Sequence[int]) -> Float[Tensor, "quantile channel"]:
        """Edges: quantiles of known values, slightly raised; `NEVER_KNOWN` for a channel without known values.

        Channels stand at a few values for long (seen or not, clipped, held), and quantiles are such values: which of
        them are above must not depend on rounding.
        """
        every = _evenly(lengths, max(1, _EDGE_VALUES // self.edges.shape[1]))
        together = torch.cat([
            values[0, some].masked_fill(~known[0, some], torch.nan)
            for (values, known), some in zip(pieces, every, strict=True)
        ])  # fmt: skip
        found = torch.nanquantile(together, together.new_tensor(self.quantiles), dim=0) + _ROUNDING
        return found.nan_to_num(nan=NEVER_KNOWN)

    def _mean_share(self, pieces: Sequence[Piece]) -> Float[Tensor, " share"]:
        total = count = torch.zeros_like(self.edges)
        for values, known in pieces:
            above = (values.unsqueeze(-2) > self.edges) & known.unsqueeze(-2)
            total = total + above.sum(dim=(0, 1))
            count = count + known.sum(dim=(0, 1))
        return (total / count.clamp_min(1)).flatten()


class Summaries(nn.Module):
    """Compressed windowed histograms: means of `QuantileCodes` over windows, in the principal components of them all.

    Every window is brought to one total variance first. Fitted once; fitted buffers are saved with the weights.

    Attributes
    ----------
    spread : standard deviation of each component over the training recordings.

    Parameters
    ----------
    num_codes : of a step.
    stride : frames of a step.
    """

    mixing: Float[Tensor, "window_code component"]
    spread: Float[Tensor, " component"]

    def __init__(self, config: SummariesConfig, num_codes: int, stride: int) -> None:
        super().__init__()
        self.config, self.stride, self.spans = config, stride, config.windows.spans(stride)
        self.components = min(config.components, num_codes * len(self.spans))
        self.register_buffer("mixing", torch.zeros(num_codes * len(self.spans), self.components))
        self.register_buffer("spread", torch.ones(self.components))

    @property
    def receptive_field(self) -> tuple[int, int]:
        """Steps before and after the own one that a summary covers."""
        return self.config.windows.receptive_field(self.stride)

    def forward(
        self, codes: Float[Tensor, "batch step code"], inside: StepMask, every: slice = slice(None)
    ) -> Components:
        """Compressed summaries of every step, or of the steps `every`. The mean square of a component is about 1.

        Parameters
        ----------
        inside : steps inside the recording; a window at its end holds the steps that exist.
        """
        means = _window_means(codes, inside, self.spans)
        return torch.cat([mean[:, every] for mean in means], dim=-1) @ self.mixing

    @torch.no_grad()
    def fit(self, pieces: Sequence[Tensor]) -> "Summaries":
        """Fit the components on codes [1 step code] of pieces of the training recordings, at evenly spaced steps."""
        every = _evenly([codes.shape[1] for codes in pieces], _FITTING_STEPS)
        rows = []
        for codes, some in zip(pieces, every, strict=True):
            means = _window_means(codes, _everywhere(codes), self.spans)
            rows.append(torch.stack([mean[0, some] for mean in means], dim=1))
        together = torch.cat(rows)
        self.mixing.copy_(self._mixed(together))
        self.spread.copy_((together.flatten(1) @ self.mixing).std(dim=0, correction=0))
        return self

    def _mixed(self, codes: Float[Tensor, "row window code"]) -> Float[Tensor, "window_code component"]:
        """Axes of all windows together: each window has the same total variance, components a mean square of 1.

        A window as long as all recordings holds the same steps everywhere. Its weight is 0: what varies is rounding.
        """
        centered = codes - codes.mean(dim=0)
        spread = centered.square().sum(dim=2).mean(dim=0).sqrt()
        spread = torch.where(spread > _CONSTANT_SPREAD * spread.max(), spread.clamp_min(_MIN_SPREAD), torch.inf)
        axes = principal_axes((centered / spread[:, None]).flatten(1), self.components)
        mixing = (axes.unflatten(0, codes.shape[1:]) / spread[:, None, None]).flatten(0, 1)
        return mixing / (centered.flatten(1) @ mixing).square().mean().sqrt().clamp_min(_MIN_SPREAD)


def _window_means(values: Tensor, inside: StepMask, spans: Sequence[tuple[int, int]]) -> list[Tensor]:
    return [mean for mean, _ in sliding_means(values, inside.unsqueeze(-1).to(values.dtype), spans)]


def _everywhere(values: Tensor) -> StepMask:
    return values.new_ones(values.shape[:2], dtype=torch.bool)


def _evenly(lengths: Sequence[int], most: int) -> list[slice]:
    """Every n-th step of pieces of these lengths, counted on from piece to piece: at most `most` steps.

    >>> _evenly([4, 1, 1, 5], 4)
    [slice(0, None, 3), slice(2, None, 3), slice(1, None, 3), slice(0, None, 3)]
    """
    every = max(1, -(-sum(lengths) // most))
    starts = list(accumulate(lengths, initial=0))[:-1]
    return [slice(-start % every, None, every) for start in starts]
