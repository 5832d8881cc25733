"""Principal axes, and rotations that give every column the same variance."""

import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.seeds import torch_generator

__all__ = ["equal_variance_rotation", "principal_axes"]

_OVERSAMPLING = 16
_SMALLEST_SHARE = 1e-5


def principal_axes(centered: Float[Tensor, "row column"], most: int) -> Float[Tensor, "column axis"]:
    """Orthonormal axes of largest variance, at most `most` of them, largest first; all zero beyond the rank.

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
    rank = min(most, int((spread > spread[:1] * _SMALLEST_SHARE).sum()))
    axes = centered.new_zeros(num_columns, most)
    axes[:, :rank] = found[:rank].T
    # An axis has no sign of its own: its largest entry is positive, on every machine.
    largest = axes.abs().argmax(dim=0, keepdim=True)
    return axes * axes.gather(0, largest).sign()


def equal_variance_rotation(covariance: Float[Tensor, "column column"]) -> Float[Tensor, "column column"]:
    """An orthogonal matrix R so that all columns of x R have the same variance, where x has this covariance.

    A rotation changes no distance and no angle. With equal variances, standardizing the columns, which most heads and
    searches begin with, changes none either: strong directions stay strong and weak ones weak, where standardized
    principal components would all count alike.

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
    """The rotation of two axes that gives the first one the variance `target`, which lies between those of the two."""
    first, shared, second = float(block[0, 0]), float(block[0, 1]), float(block[1, 1])
    # (second - target) t^2 + 2 shared t + (first - target) = 0, with t the tangent of the angle.
    a, c = second - target, first - target
    root = max(shared * shared - a * c, 0.0) ** 0.5
    tangent = c / (-shared - (root if shared >= 0 else -root))
    cos = (1 + tangent * tangent) ** -0.5
    sin = tangent * cos
    return block.new_tensor([[cos, -sin], [sin, cos]])
