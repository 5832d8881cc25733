"""Standardization, principal components, rotations to equal variances and measures of collapse."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from ssl_behavior.numerics import (
    RunningCovariance,
    RunningMoments,
    Standardizer,
    effective_rank,
    equal_variance_rotation,
    oriented,
    participation_ratio,
    principal_axes,
    principal_components,
    uniformity,
)


def spread_out(rows, columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=generator, dtype=torch.float64) * 0.8 ** torch.arange(columns)
    mixed = values @ torch.linalg.qr(torch.randn(columns, columns, generator=generator, dtype=torch.float64)).Q
    return mixed - mixed.mean(dim=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_standardizing_is_scikit_learn_s(monkeypatch, dtype):
    monkeypatch.setattr("ssl_behavior.numerics._BLOCK_ROWS", 100)
    rows = (spread_out(1009, 5) * 3 + 700).to(dtype)
    expected = StandardScaler().fit(rows.double().numpy())
    standardizer = Standardizer.fit(rows)
    np.testing.assert_allclose(standardizer.mean, expected.mean_, rtol=1e-6)
    np.testing.assert_allclose(standardizer.std, expected.scale_, rtol=1e-6)
    assert standardizer.mean.dtype == standardizer.std.dtype == dtype
    in_place = rows.clone()
    standardized = standardizer.transform_(in_place)
    assert standardized.data_ptr() == in_place.data_ptr()
    np.testing.assert_allclose(standardized, expected.transform(rows.double().numpy()), atol=2e-4)


def test_constant_columns_become_0_or_are_only_centered():
    rows = spread_out(1009, 4)
    rows[:, 1] = 0.1
    rows[:, 3] = 1000 + 1e-5 * rows[:, 3]
    assert Standardizer.fit(rows).std.isinf().tolist() == [False, True, False, True]
    assert Standardizer.fit(rows, rtol=0.0).std.isinf().tolist() == [False, True, False, False]
    assert Standardizer.fit(rows, atol=10.0).std.isinf().all()
    assert not Standardizer.fit(rows).transform_(rows.clone())[:, [1, 3]].any()
    centered = Standardizer.fit(rows, constant_std=1.0).transform_(rows.clone())
    torch.testing.assert_close(centered[:, [1, 3]], rows[:, [1, 3]] - rows[:, [1, 3]].mean(dim=0))
    measured = Standardizer.from_moments(torch.tensor([5.0, 5.0]), torch.tensor([1e-5, 1e-4]), atol=1e-6)
    assert measured.std.tolist() == pytest.approx([1e-5, 1e-4])
    assert Standardizer.from_moments(measured.mean, measured.std, rtol=1e-5).std.isinf().tolist() == [True, False]


def test_running_moments_are_those_of_the_known_values():
    rows, known = spread_out(503, 4) + 9, torch.rand(503, 4, generator=torch.Generator().manual_seed(1)) > 0.3
    known[:, 2] = False
    part, whole = RunningMoments(4), RunningMoments(4)
    for block, seen in zip(rows.split(100), known.split(100), strict=True):
        part.add(block.masked_fill(~seen, torch.nan), seen)
        whole.add(block)
    standardizer = part.standardizer(constant_std=1.0)
    for column in (0, 1, 3):
        values = rows[known[:, column], column].numpy()
        np.testing.assert_allclose(standardizer.mean[column], values.mean(), rtol=1e-12)
        np.testing.assert_allclose(standardizer.std[column], values.std(), rtol=1e-9)
    assert (standardizer.mean[2], standardizer.std[2]) == (0.0, 1.0)
    at_once = Standardizer.fit(rows)
    torch.testing.assert_close(whole.standardizer().mean, at_once.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(whole.standardizer().std, at_once.std, rtol=1e-9, atol=0)


def test_running_covariance_is_numpy_s():
    rows = spread_out(503, 4) + torch.arange(4)
    running = RunningCovariance(4)
    for block in rows.split(100):
        running.add(block)
    np.testing.assert_allclose(running.covariance, np.cov(rows.numpy().T, bias=True), atol=1e-12)
    np.testing.assert_allclose(running.second_moment, (rows.T @ rows / 503).numpy(), atol=1e-12)


@pytest.mark.parametrize("most", [3, 12, None])
def test_principal_components_are_scikit_learn_s(most):
    rows = spread_out(300, 12)
    covariance = rows.T @ rows / len(rows)
    axes, variances = principal_components(covariance, most)
    expected = PCA(most, svd_solver="full").fit(rows.numpy())
    np.testing.assert_allclose(np.abs(axes.numpy().T @ expected.components_.T), np.eye(len(variances)), atol=1e-7)
    np.testing.assert_allclose(variances, expected.explained_variance_ * 299 / 300, rtol=1e-9)
    np.testing.assert_allclose(variances / covariance.trace(), expected.explained_variance_ratio_, rtol=1e-9)
    torch.testing.assert_close(principal_components(300 * covariance, most)[0], axes)


def test_variances_are_never_negative():
    rows = (spread_out(300, 2) @ spread_out(9, 2).T).float()
    variances = principal_components(rows.T @ rows)[1]
    assert variances.dtype == torch.float64 and (variances >= 0).all() and (variances[2:] < 1e-4 * variances[0]).all()


def test_oriented_axes_differ_in_sign_alone_and_their_largest_entry_is_positive():
    axes = principal_components(spread_out(9, 9).T @ spread_out(9, 9))[0]
    turned = oriented(axes * torch.tensor([1.0, -1, 1, -1, 1, -1, 1, -1, 1]))
    assert torch.equal(turned.abs(), axes.abs()) and torch.equal(turned, oriented(axes))
    assert (turned.gather(0, turned.abs().argmax(dim=0, keepdim=True)) > 0).all()
    assert not oriented(torch.zeros(3, 2)).any()


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


@pytest.mark.parametrize(("dtype", "rel"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
@pytest.mark.parametrize("offset", [0.0, 1e-7])
def test_effective_rank_is_the_entropy_of_the_singular_values(dtype, rel, offset):
    points = (spread_out(211, 7) + 3).to(dtype)
    singular = np.linalg.svd(points.numpy() - points.numpy().mean(axis=0), compute_uv=False)
    shares = singular / singular.sum() + offset
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert effective_rank(points, offset).item() == pytest.approx(expected, rel=rel)


def test_participation_ratio_is_of_scikit_learn_s_variances():
    points = spread_out(211, 7) + 3
    variances = PCA(svd_solver="full").fit(points.numpy()).explained_variance_
    assert participation_ratio(points).item() == pytest.approx(variances.sum() ** 2 / (variances**2).sum())


@pytest.mark.parametrize("rank", [effective_rank, participation_ratio])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ranks_count_dimensions(rank, dtype):
    generator = torch.Generator().manual_seed(1)
    even = torch.cat([torch.eye(7), -torch.eye(7)]).to(dtype)
    line = torch.linspace(0, 1, 11, dtype=dtype)[:, None] * torch.tensor([1.0, 2.0, -3.0], dtype=dtype) + 50
    flat = (
        torch.randn(20011, 3, generator=generator, dtype=dtype)
        @ torch.linalg.qr(torch.randn(11, 11, generator=generator, dtype=dtype)).Q[:3]
    )
    assert rank(even).item() == pytest.approx(7, rel=1e-5)
    assert rank(line).item() == pytest.approx(1, abs=1e-2)
    assert rank(flat).item() == pytest.approx(3, abs=0.02)
    assert rank(torch.ones(5, 3, dtype=dtype)).item() == 0


@pytest.mark.parametrize(("dtype", "rel"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
@pytest.mark.parametrize("sharpness", [2.0, 3.0])
def test_uniformity_is_the_mean_over_all_pairs(dtype, rel, sharpness):
    points = spread_out(1301, 5, seed=2).to(dtype)
    on_sphere = points.double() / points.double().norm(dim=1, keepdim=True)
    expected = np.log(np.exp(-sharpness * pdist(on_sphere.numpy(), "sqeuclidean")).mean())
    assert uniformity(points, sharpness).item() == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniformity_is_0_where_points_coincide_and_falls_to_minus_4(dtype):
    line = torch.tensor([[1.0, 1.0], [5.0, 5.0], [2.0, 2.0]], dtype=dtype)
    assert uniformity(line).item() == pytest.approx(0, abs=1e-6)
    even = torch.randn(1301, 97, generator=torch.Generator().manual_seed(3), dtype=dtype)
    assert uniformity(spread_out(1301, 5).to(dtype)) > uniformity(even) > -4
