"""Plane vectors over time: lengths, angles, turns, gaps of segments and overlap of ellipses.

A missing point makes a result NaN, and nothing else: a gradient that arrives at that NaN as 0 leaves as 0. Where a
direction does not exist (two points coincide) an angle is 0, and so is its gradient. Two bodies are lines (their gap)
or ellipses (their overlap).
"""

import math
from collections.abc import Callable
from functools import wraps

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = [
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
