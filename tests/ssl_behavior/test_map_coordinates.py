import importlib.util

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.map_coordinates import MAPS, check_map, map_coordinates


@pytest.fixture
def points():
    generator = np.random.default_rng(0)
    groups = generator.normal(0, 8, (3, 7))
    return (groups[np.arange(90) % 3] + generator.normal(0, 1, (90, 7))).astype(np.float32)


def test_principal_components_are_those_of_a_singular_value_decomposition(points):
    mapped = map_coordinates(points)
    centred = points - points.mean(axis=0)
    u, s, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.abs(mapped.xy), np.abs(u[:, :2] * s[:2]), rtol=1e-3, atol=1e-3)
    shares = s[:2] ** 2 / (s**2).sum()
    assert mapped.about == f"PCA: {shares[0]:.0%} and {shares[1]:.0%} of the variance"
    np.testing.assert_allclose(mapped.shares, shares, rtol=1e-5)
    assert mapped.xy.dtype == np.float32 and np.array_equal(mapped.xy, map_coordinates(points).xy)


def test_a_single_column_has_a_second_coordinate_of_0(points):
    xy = map_coordinates(points[:, :1]).xy
    assert xy.shape == (90, 2) and not xy[:, 1].any()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tsne", "umap"])
@pytest.mark.filterwarnings("ignore")
def test_other_maps_keep_groups_together_and_are_the_same_for_a_seed(kind, points):
    if importlib.util.find_spec(MAPS[kind]) is None:
        pytest.skip(f"{MAPS[kind]} is not installed: pip install 'ssl-behavior[maps]'")
    mapped = map_coordinates(points, kind, seed=3)
    xy = mapped.xy
    assert np.array_equal(xy, map_coordinates(points, kind, seed=3).xy)
    assert mapped.about.startswith(("t-SNE", "UMAP")) and not mapped.shares
    gaps = np.linalg.norm(xy[:, None] - xy[None], axis=2) + np.eye(len(xy)) * 1e9
    assert (gaps.argmin(axis=1) % 3 == np.arange(90) % 3).all()


def test_maps_that_cannot_be_drawn_are_told(points, monkeypatch):
    with pytest.raises(InputError, match="unknown `map`"):
        check_map("isomap")
    monkeypatch.setitem(MAPS, "tsne", "nowhere_to_be_found")
    with pytest.raises(InputError, match=r"pip install 'ssl-behavior\[maps\]'"):
        map_coordinates(points, "tsne")
    monkeypatch.setitem(MAPS, "umap", "json")
    with pytest.raises(InputError, match="at least 10 frames, got 9"):
        map_coordinates(points[:9], "umap")
