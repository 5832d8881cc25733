"""Input of task programs: the pose of two animals from one's view, and functions of plane vectors over time.

A missing point makes a result NaN, and nothing else: a gradient that arrives at that NaN as 0 leaves as 0. Where a
direction does not exist (two points coincide) an angle is 0, and so is its gradient. Two bodies are lines (their gap)
or ellipses (their overlap).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import Skeleton

__all__ = [
    "Animal",
    "MissingRole",
    "Pose",
    "Scalars",
    "Vectors",
    "angle_between",
    "cross",
    "dot",
    "length",
    "masked",
    "overlap",
    "segment_gap",
    "shifted_difference",
    "turn",
    "unit",
]

Vectors = Float[Tensor, "*batch time space"]
Scalars = Float[Tensor, "*batch time"]

# Squares of numbers below this one are lost in float32.
_EPSILON = 1e-15


def masked(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorator of vector functions: missing inputs give NaN, and their gradients are 0.

    0 times NaN is NaN: without this, one missing point spoils the gradients of all points of its frame, although its
    own result is masked in the loss.
    """

    @wraps(function)
    def safe(*vectors: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and any(vector.requires_grad for vector in vectors)):
            return function(*vectors)
        holes = [vector.isnan() for vector in vectors]
        result = function(*(vector.masked_fill(hole, 0.0) for vector, hole in zip(vectors, holes, strict=True)))
        missing = torch.stack(torch.broadcast_tensors(*(hole.any(-1) for hole in holes))).any(0)
        return result.masked_fill(missing if result.ndim == missing.ndim else missing.unsqueeze(-1), torch.nan)

    return safe


def root(square: Tensor) -> Tensor:
    """Square root with gradient 0 at 0."""
    if not square.requires_grad:
        return square.sqrt()
    zero = square == 0
    return square.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)


def nonzero(values: Tensor) -> Tensor:
    """Nonnegative values as divisors: 0 is replaced, and has no gradient."""
    if not values.requires_grad:
        return values.clamp_min(torch.finfo(values.dtype).tiny)
    return values.masked_fill(values == 0, 1.0)


def arc(cross_product: Tensor, dot_product: Tensor) -> Tensor:
    """atan2, 0 with gradient 0 where there is no direction."""
    if cross_product.requires_grad or dot_product.requires_grad:
        nowhere = (cross_product.abs() < _EPSILON) & (dot_product.abs() < _EPSILON)
        cross_product, dot_product = cross_product.masked_fill(nowhere, 0.0), dot_product.masked_fill(nowhere, 1.0)
    return torch.atan2(cross_product, dot_product)


def dot_of(one: Tensor, two: Tensor) -> Tensor:
    """`dot` for use inside masked functions."""
    return torch.addcmul(one[..., 0] * two[..., 0], one[..., 1], two[..., 1])


def cross_of(one: Tensor, two: Tensor) -> Tensor:
    """`cross` for use inside masked functions."""
    return torch.addcmul(one[..., 0] * two[..., 1], one[..., 1], two[..., 0], value=-1)


@masked
def dot(one: Vectors, two: Vectors) -> Scalars:
    """The scalar product."""
    return dot_of(one, two)


@masked
def cross(one: Vectors, two: Vectors) -> Scalars:
    """x1 y2 - y1 x2: positive where `two` lies clockwise of `one`, as seen on the screen (its y points down)."""
    return cross_of(one, two)


@masked
def length(vectors: Vectors) -> Scalars:
    """The Euclidean norm."""
    return root(dot_of(vectors, vectors))


@masked
def unit(vectors: Vectors) -> Vectors:
    """Vectors of length 1; 0 stays 0."""
    return vectors / nonzero(root(dot_of(vectors, vectors))).unsqueeze(-1)


@masked
def angle_between(one: Vectors, two: Vectors) -> Scalars:
    """The angle between two directions, in [0, pi]."""
    return arc(cross_of(one, two).abs(), dot_of(one, two))


@masked
def turn(before: Vectors, after: Vectors) -> Scalars:
    """The signed angle from one direction to another, in (-pi, pi], positive clockwise as seen on the screen.

    The picture's y points down: from x toward y is clockwise.
    """
    return arc(cross_of(before, after), dot_of(before, after))


def shifted_difference(values: Float[Tensor, "*batch time"], before: int, after: int) -> Float[Tensor, "*batch time"]:
    """values[t + after] - values[t - before]; NaN where either lies outside.

    >>> shifted_difference(torch.tensor([1.0, 4.0, 9.0, 16.0]), before=1, after=1)
    tensor([nan,  8., 12., nan])
    """
    frames = values.shape[-1]
    if frames <= before + after:
        return torch.full_like(values, torch.nan)
    later, earlier = values[..., before + after :], values[..., : frames - before - after]
    if values.requires_grad:
        return F.pad(later - earlier, (before, after), value=torch.nan)
    difference = torch.empty_like(values)
    torch.sub(later, earlier, out=difference[..., before : frames - after])
    difference[..., :before] = torch.nan
    difference[..., frames - after :] = torch.nan
    return difference


_TINY = 1e-12
# A body is an ellipse as long as its axis and a third as wide; the variances of a uniform ellipse are a quarter of its
# squared half-axes.
_VARIANCE_ALONG = 1 / 16
_SQUARED_ASPECT = 1 / 9
_LOG2_E_BY_MINUS_8 = -1 / (8 * math.log(2))


@masked
def segment_gap(start: Vectors, end: Vectors, other_start: Vectors, other_end: Vectors) -> Scalars:
    """The shortest distance between two line segments of the plane, 0 where they cross."""
    own, other, between = end - start, other_end - other_start, other_start - start
    # The other's end seen from the own start, and the own end seen from the other's start.
    ahead, behind = between + other, own - between
    along, other_along, both = dot_of(between, own), dot_of(between, other), dot_of(own, other)
    per_square, other_per_square = (1 / dot_of(axis, axis).clamp_min(_TINY) for axis in (own, other))
    nearest = torch.minimum(
        torch.minimum(
            _square_to(between, own, along * per_square), _square_to(ahead, own, (along + both) * per_square)
        ),
        torch.minimum(
            _square_to(-between, other, -other_along * other_per_square),
            _square_to(behind, other, (both - other_along) * other_per_square),
        ),
    )
    # They cross where the ends of each lie on different sides of the other.
    sides = cross_of(own, between) * cross_of(own, ahead), -cross_of(other, between) * cross_of(other, behind)
    return root(nearest * (torch.maximum(*sides) >= 0))


def _square_to(point: Vectors, direction: Vectors, share: Scalars) -> Scalars:
    """Squared distance of a point from the segment from 0 to `direction`, nearest to it at that share of the line."""
    # The difference of squares would cost the small distances their digits in float32.
    offset = torch.addcmul(point, share.clamp(0.0, 1.0).unsqueeze(-1), direction, value=-1)
    return dot_of(offset, offset)


@masked
def overlap(tail: Vectors, nose: Vectors, other_tail: Vectors, other_nose: Vectors) -> Scalars:
    """Bhattacharyya coefficient of two normal densities, in [0, 1]: 1 = one on the other, 0 = far apart.

    Kailath 1967 (IEEE Trans. Commun. Technol. 15:52), with the means and variances of two ellipses, each as long as the
    body's axis and a third as wide.
    """
    axis, other_axis = nose - tail, other_nose - other_tail
    offset = (other_nose + other_tail - nose - tail) / 2
    square, other_square = dot_of(axis, axis), dot_of(other_axis, other_axis)
    xx, yy, xy = _mean_covariance(axis, other_axis, square + other_square)
    determinant = torch.addcmul(xx * yy, xy, xy, value=-1)
    determinant = nonzero(determinant)
    x, y = offset[..., 0], offset[..., 1]
    mahalanobis = (yy * x * x - 2 * xy * x * y + xx * y * y) / determinant
    # The fourth root of the product of both determinants, and the root of that of their mean.
    volume = root(square * other_square) * (_VARIANCE_ALONG * _SQUARED_ASPECT**0.5)
    # 2 to a power takes a tenth of the time of e to a power.
    return root(volume * volume / determinant) * torch.exp2(mahalanobis * _LOG2_E_BY_MINUS_8)


def _mean_covariance(
    axis: Vectors, other: Vectors, squares: Float[Tensor, "*batch time"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean of both covariances: their xx, yy and xy."""
    scale = _VARIANCE_ALONG * (1 - _SQUARED_ASPECT) / 2
    across = squares * (_VARIANCE_ALONG * _SQUARED_ASPECT / 2)
    x, y, other_x, other_y = axis[..., 0], axis[..., 1], other[..., 0], other[..., 1]
    xx = torch.add(across, torch.addcmul(x * x, other_x, other_x), alpha=scale)
    yy = torch.add(across, torch.addcmul(y * y, other_y, other_y), alpha=scale)
    return xx, yy, torch.addcmul(x * y, other_x, other_y) * scale


_TAIL = ("tail_middle", "tail_tip")
_HALF_LAGS_PER_SECOND = 15


class MissingRole(InputError):  # noqa: N818 (an InputError, named after the missing role)
    """Raised if a program needs a role that no keypoint of the skeleton has."""


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
    """Two animals from the view of one. All lengths are in `unit`."""

    own: Animal
    other: Animal
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
        """Pose from the view of the first animal; `swapped` is that of the second."""
        own, other = (Animal(keypoints[..., i, :, :], skeleton, fps) for i in (0, 1))
        return cls(own, other, arena, body_length, unit)

    def swapped(self) -> "Pose":
        """The same scene from the other animal's view."""
        return Pose(self.other, self.own, self.arena, self.body_length, self.unit)

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of both animals."""
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
