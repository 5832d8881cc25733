"""Principal axes and rotations to equal variances."""

import pytest
import torch

from ssl_behavior.numerics import equal_variance_rotation, principal_axes


def spread_out(rows, columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=generator, dtype=torch.float64) * 0.8 ** torch.arange(columns)
    mixed = values @ torch.linalg.qr(torch.randn(columns, columns, generator=generator, dtype=torch.float64)).Q
    return mixed - mixed.mean(dim=0)


@pytest.mark.parametrize(("rows", "columns"), [(300, 12), (400, 90), (20, 90)])
def test_axes_are_the_eigenvectors_of_the_covariance(rows, columns):
    centered = spread_out(rows, columns)
    axes = principal_axes(centered, 8)
    vectors = torch.linalg.eigh(centered.T @ centered).eigenvectors.flip(1)[:, :8]
    torch.testing.assert_close((axes * vectors).sum(dim=0).abs(), torch.ones(8, dtype=torch.float64), atol=1e-4, rtol=0)
    torch.testing.assert_close(axes.T @ axes, torch.eye(8, dtype=torch.float64))
    assert torch.equal(axes, principal_axes(centered, 8))


def test_axes_beyond_the_rank_are_zero():
    centered = spread_out(50, 2) @ torch.randn(2, 9, dtype=torch.float64)
    axes = principal_axes(centered, 5)
    assert axes[:, :2].any(dim=0).all() and not axes[:, 2:].any()


@pytest.mark.parametrize("columns", [1, 2, 7, 128])
def test_rotated_columns_have_one_variance_and_the_same_distances(columns):
    values = spread_out(500, columns)
    rotated = values @ equal_variance_rotation(values.T @ values / len(values))
    variances = rotated.square().mean(dim=0)
    torch.testing.assert_close(variances, variances.mean().expand(columns), rtol=1e-8, atol=0)
    torch.testing.assert_close(torch.cdist(rotated[:9], rotated[:9]), torch.cdist(values[:9], values[:9]))


def test_columns_of_no_variance_at_all_are_rotated_all_the_same():
    rotation = equal_variance_rotation(torch.zeros(4, 4, dtype=torch.float64))
    torch.testing.assert_close(rotation.T @ rotation, torch.eye(4, dtype=torch.float64))
