"""Two bodies as lines and as ellipses: how far apart they are, and how much of one lies on the other."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.programs.vectors import Scalars, Vectors, cross_of, dot_of, masked, nonzero, root

__all__ = ["overlap", "segment_gap"]

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
