"""Which channel of a frame is what: where the points of which animals are, what was observed, and further features."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from ssl_behavior.skeleton import Skeleton

__all__ = ["FEATURES", "KEYPOINTS", "OBSERVED", "Layout"]

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
