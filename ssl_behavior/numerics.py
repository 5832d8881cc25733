"""Standardization of columns, principal components, rotations to equal variances, and measures of collapse.

Rows are observations, columns are dimensions. Variances are population variances: divided by the number of rows.
Numbers must be finite; nothing here checks that, and not every solver does.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ssl_behavior.seeds import torch_generator

__all__ = [
    "RunningCovariance",
    "RunningMoments",
    "Standardizer",
    "effective_rank",
    "equal_variance_rotation",
    "oriented",
    "participation_ratio",
    "principal_axes",
    "principal_components",
    "uniformity",
]

_OVERSAMPLING = 16
_MIN_SHARE = 1e-5
_BLOCK_ROWS = 65_536
_BLOCK_PAIRS = 1024


@dataclass(frozen=True)
class Standardizer:
    """Standardization: mean and standard deviation of columns.

    Parameters
    ----------
    mean, std : of each column. An infinite `std` turns its column into 0.
    """

    mean: Float[Tensor, " column"]
    std: Float[Tensor, " column"]

    @classmethod
    def fit(
        cls, rows: Float[Tensor, "row column"], atol: float = 1e-6, rtol: float = 1e-6, constant_std: float = torch.inf
    ) -> "Standardizer":
        """Mean and standard deviation of rows in memory, in two passes in float64, returned in the rows' precision.

        Parameters
        ----------
        atol, rtol : a column is constant if its standard deviation is at most atol + rtol |mean|; where a mean is
            large, so is its rounding.
        constant_std : divisor of constant columns: infinity makes them 0, 1 only centers them.
        """
        mean = rows.mean(dim=0, dtype=torch.float64)
        squares = [(block.double() - mean).square().sum(dim=0) for block in rows.split(_BLOCK_ROWS)]
        std = (torch.stack(squares).sum(dim=0) / len(rows)).sqrt()
        fitted = cls.from_moments(mean, std, atol, rtol, constant_std)
        return cls(fitted.mean.to(rows.dtype), fitted.std.to(rows.dtype))

    @classmethod
    def from_moments(
        cls,
        mean: Float[Tensor, " column"],
        std: Float[Tensor, " column"],
        atol: float = 1e-6,
        rtol: float = 1e-6,
        constant_std: float = torch.inf,
    ) -> "Standardizer":
        """Standardizer from a known mean and standard deviation; other parameters as in `fit`."""
        return cls(mean, torch.where(std > atol + rtol * mean.abs(), std, constant_std))

    def transform_(self, rows: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
        """Standardize in place, without a copy of the data."""
        return rows.sub_(self.mean).div_(self.std)


class RunningMoments:
    """Mean and standard deviation of columns over blocks of rows: one pass, in the memory of a block.

    The variance is E[x²] - E[x]² in float64, so it loses digits where the mean is far larger than the standard
    deviation; `Standardizer.fit` does not.
    """

    def __init__(self, num_columns: int, device: torch.device | None = None) -> None:
        self.count, self.total, self.square = torch.zeros(3, num_columns, dtype=torch.float64, device=device)

    def add(self, rows: Float[Tensor, "row column"], known: Bool[Tensor, "row column"] | None = None) -> None:
        """Add a block; values are missing where `known` is False."""
        values = (rows if known is None else rows.masked_fill(~known, 0.0)).double()
        self.count += len(rows) if known is None else known.sum(dim=0)
        self.total += values.sum(dim=0)
        self.square += values.square().sum(dim=0)

    def standardizer(self, atol: float = 1e-6, rtol: float = 1e-6, constant_std: float = torch.inf) -> Standardizer:
        """The standardizer in float64, parameters as of `Standardizer.fit`; a column without values has the mean 0."""
        count = self.count.clamp_min(1)
        mean = self.total / count
        std = (self.square / count - mean.square()).clamp_min(0).sqrt()
        return Standardizer.from_moments(mean, std, atol, rtol, constant_std)


class RunningCovariance:
    """Covariance of columns over blocks of rows, in float64: one pass, in the memory of a block."""

    def __init__(self, num_columns: int, device: torch.device | None = None) -> None:
        self.count = 0
        self.total = torch.zeros(num_columns, dtype=torch.float64, device=device)
        self.products = torch.zeros(num_columns, num_columns, dtype=torch.float64, device=device)

    def add(self, rows: Float[Tensor, "row column"]) -> None:
        """Add the rows of a block."""
        values = rows.double()
        self.count += len(values)
        self.total += values.sum(dim=0)
        self.products += values.T @ values

    @property
    def second_moment(self) -> Float[Tensor, "column column"]:
        """E[x xᵀ]: the covariance of columns that are centered already."""
        return self.products / self.count

    @property
    def covariance(self) -> Float[Tensor, "column column"]:
        """E[x xᵀ] - E[x] E[x]ᵀ."""
        mean = self.total / self.count
        return self.second_moment - torch.outer(mean, mean)


def principal_components(
    covariance: Float[Tensor, "column column"], most: int | None = None
) -> tuple[Float[Tensor, "column axis"], Float[Tensor, " axis"]]:
    """Orthonormal axes of largest variance, largest first, and their variances; float64, `most` of them or all.

    For many rows, whose covariance is small. `principal_axes` takes the rows themselves, and is exact where columns
    outnumber rows. Any multiple of the covariance has the same axes. The trace of the covariance is the total variance.
    Signs are those of the solver, see `oriented`.
    """
    variances, axes = torch.linalg.eigh(covariance.double())
    return axes.flip(1)[:, :most], variances.flip(0)[:most].clamp_min(0)


def oriented(axes: Float[Tensor, "column axis"]) -> Float[Tensor, "column axis"]:
    """Axes with positive largest entries: the sign of an axis is arbitrary, and solvers differ between machines."""
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return torch.where(largest < 0, -axes, axes)


def principal_axes(centered: Float[Tensor, "row column"], most: int) -> Float[Tensor, "column axis"]:
    """`oriented` orthonormal axes of largest variance, at most `most`, largest first; all zero beyond the rank.

    Exact where there are few rows or columns, else by a randomized range finder with two power iterations (Halko et
    al. 2011, arXiv:0909.4061), always with the same random numbers.
    """
    num_columns = centered.shape[1]
    if min(centered.shape) > 2 * most:
        size = (num_columns, most + _OVERSAMPLING)
        start = torch.randn(size, generator=torch_generator(0, "principal axes"), dtype=centered.dtype)
        basis = torch.linalg.qr(centered @ start.to(centered.device)).Q
        for _ in range(2):
            basis = torch.linalg.qr(centered @ torch.linalg.qr(centered.T @ basis).Q).Q
        _, spread, found = torch.linalg.svd(basis.T @ centered, full_matrices=False)
    else:
        _, spread, found = torch.linalg.svd(centered, full_matrices=False)
    rank = min(most, int((spread > spread[:1] * _MIN_SHARE).sum()))
    axes = centered.new_zeros(num_columns, most)
    axes[:, :rank] = found[:rank].T
    return oriented(axes)


def equal_variance_rotation(covariance: Float[Tensor, "column column"]) -> Float[Tensor, "column column"]:
    """An orthogonal matrix R so that all columns of x R have the same variance, where x has this covariance.

    A rotation changes no distance and no angle. With equal variances, standardizing the columns, which most heads and
    searches begin with, changes none either: strong directions stay strong and weak ones weak, where standardized
    principal components would all have equal weight.

    First a rotation drawn from a fixed seed, which mixes every direction into every column; then one plane rotation
    per column that sets its variance to the mean (Bendel and Mickey 1978).
    """
    size = len(covariance)
    drawn = torch.randn(size, size, generator=torch_generator(0, "rotation"), dtype=torch.float64)
    rotation = torch.linalg.qr(drawn).Q.to(covariance.device)
    turned = rotation.T @ covariance.double() @ rotation
    target = float(turned.diagonal().mean())
    for _ in range(size - 1):
        variances = turned.diagonal()
        low, high = int(variances.argmin()), int(variances.argmax())
        if variances[high] - variances[low] <= 1e-12 * abs(target):
            break
        plane = [low, high] if target - variances[low] <= variances[high] - target else [high, low]
        turn = _plane_rotation(turned[plane][:, plane], target)
        turned[:, plane] = turned[:, plane] @ turn
        turned[plane] = turn.T @ turned[plane]
        rotation[:, plane] = rotation[:, plane] @ turn
    return rotation.to(covariance.dtype)


def _plane_rotation(block: Float[Tensor, "2 2"], target: float) -> Float[Tensor, "2 2"]:
    """Rotation of two axes that gives the first the variance `target`, which lies between the two variances."""
    first, shared, second = float(block[0, 0]), float(block[0, 1]), float(block[1, 1])
    # (second - target) t^2 + 2 shared t + (first - target) = 0, with t the tangent of the angle.
    a, c = second - target, first - target
    root = max(shared * shared - a * c, 0.0) ** 0.5
    tangent = c / (-shared - (root if shared >= 0 else -root))
    cos = (1 + tangent * tangent) ** -0.5
    sin = tangent * cos
    return block.new_tensor([[cos, -sin], [sin, cos]])


def effective_rank(points: Float[Tensor, "point column"], share_offset: float = 0.0) -> Float[Tensor, ""]:
    """exp of the entropy of p_i = s_i / Σ s + `share_offset`, with s the singular values of the centered points.

    From 1, all points on a line, to the number of columns, equally spread; 0 where all points coincide.

    The singular values of float64 points are roots of the eigenvalues of their scatter matrix, which is faster. In
    single precision squares would lose half of the digits, so there is a singular value decomposition.

    Parameters
    ----------
    share_offset : 0 in Roy and Vetterli 2007 (EUSIPCO), 1e-7 in RankMe (Garrido et al. 2023, arXiv:2210.02885).
    """
    if points.dtype == torch.float64:
        singular = _scatter_eigenvalues(points).sqrt()
    else:
        singular = torch.linalg.svdvals(points - points.mean(dim=0))
    if singular.sum() <= torch.finfo(points.dtype).eps * len(points):
        return singular.new_zeros(())
    shares = singular / singular.sum() + share_offset
    return torch.exp(torch.special.entr(shares).sum())


def participation_ratio(points: Float[Tensor, "point column"]) -> Float[Tensor, ""]:
    """(Σ λ_i)² / Σ λ_i², with λ the variances along the principal components; 0 where all points coincide.

    The number of dimensions, if all of them were equally wide. Wide ones count more than in `effective_rank`. In
    float64. Gao et al. 2017 (doi:10.1101/214262).
    """
    variances = _scatter_eigenvalues(points.double())
    return variances.sum().square() / variances.square().sum().clamp_min(torch.finfo(variances.dtype).tiny)


def _scatter_eigenvalues(points: Float[Tensor, "point column"]) -> Float[Tensor, " column"]:
    """Sums of squares along the principal components."""
    centered = points - points.mean(dim=0)
    return torch.linalg.eigvalsh(centered.T @ centered).clamp_min(0)


def uniformity(points: Float[Tensor, "point column"], sharpness: float = 2.0) -> Float[Tensor, ""]:
    """log of the mean of exp(-sharpness |x - y|²) over pairs of different points, scaled to length 1.

    0 where all points coincide; the lower, the more evenly spread (about -2 sharpness over a sphere of many
    dimensions). Wang and Isola 2020, arXiv:2005.10242.

    Distances of float64 points come from dot products, a block at a time. In single precision these would lose the
    digits of small distances, so they come from differences, all pairs at once: for a few thousand points.
    """
    on_sphere = F.normalize(points, dim=1)
    if points.dtype != torch.float64:
        return F.pdist(on_sphere).square().mul(-sharpness).exp().mean().log()
    blocks = [torch.exp(2 * sharpness * (block @ on_sphere.T - 1)).sum() for block in on_sphere.split(_BLOCK_PAIRS)]
    num_points = len(points)
    # Each point with itself gave exp(0).
    return ((torch.stack(blocks).sum() - num_points) / (num_points * (num_points - 1))).log()
