"""Sums and means over sliding windows of time: around, before or after each frame, of any length.

A window of length L is the sum of windows whose lengths are powers of two, each the sum of two windows of half its
length: log2(L) additions per value, for any number of windows. Unlike differences of cumulative sums, every output
depends only on the inputs in its own window, to the last bit, and rounding does not grow with the recording.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ssl_behavior.errors import InputError

__all__ = ["WindowsConfig", "sliding_means", "sliding_sums"]

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
