"""Input of task programs: the pose of an animal, alone or seen toward another one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.errors import InputError
from ssl_behavior.programs.vectors import Scalars, Vectors, length, segment_gap, shifted_difference, turn, unit
from ssl_behavior.skeleton import Skeleton

__all__ = ["Animal", "MissingOther", "MissingRole", "Pose"]


_TAIL = ("tail_middle", "tail_tip")
_HALF_LAGS_PER_SECOND = 15


class MissingRole(InputError):  # noqa: N818 (an InputError, named after the missing role)
    """Raised if a program needs a role that no keypoint of the skeleton has."""


class MissingOther(InputError):  # noqa: N818 (an InputError, named after the missing animal)
    """Raised if a program of a lone animal needs another one."""


class Animal:
    """One animal over time. Quantities that several programs use are cached.

    Parameters
    ----------
    points : keypoints of this animal in px or cm; a missing point is NaN in x and y.
    skeleton : names and roles of the keypoints.
    fps : frames per second.
    """

    def __init__(self, points: Float[Tensor, "*batch time keypoint space"], skeleton: Skeleton, fps: float) -> None:
        self.points, self.skeleton, self.fps = points, skeleton, fps

    def part(self, *roles: str) -> Vectors:
        """Keypoint with the first of `roles` that the skeleton has, e.g. part("nose", "head").

        Raises
        ------
        MissingRole
            If the skeleton has none of them.
        """
        if not set(roles) & set(self.skeleton.roles):
            wanted = " or ".join(repr(role) for role in roles)
            raise MissingRole(
                f"no keypoint of the skeleton {self.skeleton.name!r} has the role {wanted}; "
                f"it has {sorted(self.skeleton.roles)}"
            )
        return self.points[..., self.skeleton.role(*roles), :]

    @property
    def half_lag(self) -> int:
        """Half the lag of velocities, in frames: 2 at 30 frames per second."""
        return max(1, round(self.fps / _HALF_LAGS_PER_SECOND))

    @cached_property
    def trunk(self) -> Float[Tensor, "space keypoint *batch time"]:
        """All keypoints but those of the tail beyond its base; time last, where sums and differences are fast."""
        tail = [self.skeleton.role(role) for role in _TAIL if role in self.skeleton.roles]
        kept = [i for i in range(self.skeleton.num_keypoints) if i not in tail]
        planes = self.points.movedim((-1, -2), (0, 1))
        return planes[:, kept] if tail else planes

    @cached_property
    def complete(self) -> bool:
        """Whether no keypoint of the trunk is missing at any frame."""
        return bool(self.trunk.detach().sum().isfinite())

    @cached_property
    def center(self) -> Vectors:
        """The center keypoint, or else the mean of the trunk's known keypoints where more than half are known."""
        if "center" in self.skeleton.roles:
            return self.part("center")
        if self.complete:
            return self._trunk_mean.movedim(0, -1)
        return _mean_known(self.trunk, self.trunk.shape[1] // 2 + 1).movedim(0, -1)

    @cached_property
    def _trunk_mean(self) -> Float[Tensor, "space *batch time"]:
        return self.trunk.mean(1)

    def displacement(self, before: int, after: int) -> Vectors:
        """How far the body moved from frame t - before to t + after: the mean over the trunk's keypoints known at both.

        With all of them known this is the displacement of their mean; a keypoint that vanishes makes no jump.
        """
        if self.complete:
            return shifted_difference(self._trunk_mean, before, after).movedim(0, -1)
        return _mean_known(shifted_difference(self.trunk, before, after), 1).movedim(0, -1)

    @cached_property
    def velocity(self) -> Vectors:
        """Velocity of the body, in length per second, see `displacement`."""
        return self.displacement(self.half_lag, self.half_lag) * self.rate

    @property
    def rate(self) -> float:
        """Inverse of the lag of velocities, in 1/s."""
        return self.fps / (2 * self.half_lag)

    @cached_property
    def speed(self) -> Scalars:
        """The length of the velocity."""
        return length(self.velocity)

    @cached_property
    def axes(self) -> Sequence[Vectors]:
        """Vectors from back to front: tail base to neck (or else center), and for skeletons with a center two more."""
        front, back = self.part("neck", "center", "head", "nose"), self.part("tail_base")
        axes = [front - back]
        if "neck" not in self.skeleton.roles and "center" in self.skeleton.roles and _has_head(self.skeleton):
            head = self.part("head", "nose")
            axes += [head - back, head - front]
        return axes

    @cached_property
    def axis(self) -> Vectors:
        """First known of `axes`; only its direction is meaningful."""
        return first_known(self.axes)

    @cached_property
    def heading(self) -> Vectors:
        """Unit vector from back to front."""
        return unit(self.axis)

    @cached_property
    def turned(self) -> Scalars:
        """The angle from the heading half a lag before to that half a lag after, by the first axis known at both."""
        return first_known([turn(*ends_around(axis, self.half_lag)) for axis in self.axes])

    @cached_property
    def nose(self) -> Vectors:
        """The foremost point: the nose, or else the head."""
        return self.part("nose", "head")

    @cached_property
    def tail_base(self) -> Vectors:
        """Where the tail begins."""
        return self.part("tail_base")

    @cached_property
    def body(self) -> Vectors:
        """From the tail base to the nose or head."""
        return self.nose - self.tail_base


@dataclass(frozen=True, eq=False)
class Pose:
    """An animal and the one it is seen toward, or an animal alone. All lengths are in `unit`.

    `other`, `keypoints`, `gap`, `offset` and `toward` raise `MissingOther` for an animal alone.
    """

    own: Animal
    partner: Animal | None
    """`other`, None for an animal alone."""
    arena: Float[Tensor, "*batch corner"]
    """x0, y0, x1, y1: where the animals can go."""
    body_length: float
    """Of the training recordings' animals: from the tail base to the neck or center."""
    unit: Literal["px", "cm"]

    @classmethod
    def of(
        cls,
        keypoints: Float[Tensor, "*batch time individual keypoint space"],
        skeleton: Skeleton,
        fps: float,
        arena: Float[Tensor, "*batch corner"],
        body_length: float,
        unit: Literal["px", "cm"] = "px",
    ) -> "Pose":
        """Pose from the view of the first of one or two animals; `swapped` is that of the second."""
        own, *others = (Animal(points, skeleton, fps) for points in keypoints.unbind(-3))
        return cls(own, others[0] if others else None, arena, body_length, unit)

    def swapped(self) -> "Pose":
        """The same scene from the other animal's view."""
        return replace(self, own=self.other, partner=self.own)

    @property
    def other(self) -> Animal:
        """The other animal.

        Raises
        ------
        MissingOther
            If there is none.
        """
        if self.partner is None:
            raise MissingOther("it needs another animal, and the recordings have one")
        return self.partner

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the animals."""
        return self.own.skeleton

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.own.fps

    @cached_property
    def keypoints(self) -> Float[Tensor, "*batch time individual keypoint space"]:
        """Keypoints of both animals, the own one first; NaN = missing."""
        return torch.stack([self.own.points, self.other.points], dim=-3)

    @cached_property
    def gap(self) -> Scalars:
        """The shortest distance between the bodies' axes, from tail base to nose; 0 where they cross."""
        return segment_gap(self.own.tail_base, self.own.nose, self.other.tail_base, self.other.nose)

    @cached_property
    def offset(self) -> Vectors:
        """Vector from the own center to the other's."""
        return self.other.center - self.own.center

    @cached_property
    def toward(self) -> Vectors:
        """Unit vector from the own center to the other's."""
        return unit(self.offset)


def along_time(vectors: Vectors, before: int, after: int) -> Vectors:
    """vectors[t + after] - vectors[t - before]; NaN where either lies outside."""
    return shifted_difference(vectors.movedim(-1, 0), before, after).movedim(0, -1)


def ends_around(vectors: Vectors, half_lag: int) -> tuple[Vectors, Vectors]:
    """vectors[t - half_lag] and vectors[t + half_lag]; NaN where they lie outside."""
    planes = vectors.movedim(-1, 0)
    frames = max(0, planes.shape[-1] - half_lag)
    before = F.pad(planes[..., :frames], (planes.shape[-1] - frames, 0), value=torch.nan)
    after = F.pad(planes[..., planes.shape[-1] - frames :], (0, planes.shape[-1] - frames), value=torch.nan)
    return before.movedim(0, -1), after.movedim(0, -1)


def first_known(choices: Sequence[Tensor]) -> Tensor:
    """At each frame the first of several values that is not missing; NaN where all are."""
    chosen = choices[0]
    for choice in choices[1:]:
        chosen = torch.where(chosen.isnan(), choice, chosen)
    return chosen


def _mean_known(planes: Float[Tensor, "space keypoint *batch time"], least: int) -> Float[Tensor, "space *batch time"]:
    """Mean over the keypoints that are not missing; NaN where they are fewer than `least`."""
    x = planes[0].detach()
    # NaN is not equal to itself; written as numbers, for masks are slow.
    number = torch.eq(x, x, out=torch.empty_like(x)).sum(0)
    mean = planes.nansum(1) / number.clamp_min(1.0)
    # 0 or NaN, to be added: a gradient of 0 passes a sum as 0, and a division by NaN as NaN.
    return mean + (F.threshold(number, least - 0.5, torch.nan) - number)


def _has_head(skeleton: Skeleton) -> bool:
    return bool({"head", "nose"} & set(skeleton.roles))
