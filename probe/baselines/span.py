"""Which frames around a frame a classifier looks at."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ssl_behavior.errors import InputError

__all__ = ["WindowSpan"]


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
    def reach(self) -> tuple[int, int]:
        """Frames seen before and after a frame."""
        return self.past * self.gap, self.future * self.gap

    def gather(
        self, values: Float[Tensor, "place channel"], places: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch sample channel"]:
        """The windows of the frames at `places` of `values`, which has to reach far enough to either side."""
        before, after = self.reach
        offsets = torch.arange(-before, after + 1, self.gap, device=places.device)
        # Rows picked in one go lie side by side in memory, channel last, as the convolutions like them.
        rows = values.index_select(0, (places[:, None] + offsets).flatten())
        return rows.view(len(places), self.num_samples, values.shape[1])
