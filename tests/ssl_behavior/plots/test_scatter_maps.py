"""Maps show a point for each frame, in the color of its class or value."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from ssl_behavior.errors import InputError
from ssl_behavior.map_coordinates import map_coordinates
from ssl_behavior.plots import embedding_map
from ssl_behavior.plots.style import BACKGROUND, PALETTE


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(97, 5)).astype(np.float32) * np.array([1, 5, 2, 1, 0], np.float32)


def test_points_are_the_principal_components_of_standardized_columns(points, ax, pyplot):
    assert embedding_map(points, ax=ax) is ax and not pyplot.get_fignums()
    spread = points.std(axis=0, dtype=np.float64)
    mapped = map_coordinates(((points - points.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32))
    xy = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_allclose(np.abs(xy[xy[:, 0].argsort()][:, 0]), np.abs(np.sort(mapped.xy[:, 0])), atol=1e-5)
    assert ax.get_xlabel() == f"PC 1 ({mapped.shares[0]:.0%} of the variance)"
    assert not len(ax.get_xticks()) and ax.collections[0].get_rasterized()


def test_each_point_has_the_color_of_its_class(ax, legend):
    xy = np.arange(14.0).reshape(7, 2)
    labels = np.array([0, 1, -1, 2, 1, 1, 0])
    embedding_map(xy, labels, names=["attack", "mount", "other"], background="other", map="given", ax=ax)
    (drawn,) = ax.collections
    order = (np.asarray(drawn.get_offsets())[:, 0] / 2).astype(int)
    assert sorted(order) == list(range(7)) and list(order) != list(range(7))
    shades = np.array([to_rgb(color) for color in (PALETTE[0], PALETTE[1], BACKGROUND, BACKGROUND)])
    np.testing.assert_allclose(drawn.get_facecolors()[:, :3], shades[labels[order]])
    assert legend(ax) == ["attack", "mount", "other", "none"]


def test_values_are_on_the_color_scale_and_unknown_ones_have_none(ax):
    xy, values = np.arange(10.0).reshape(5, 2), np.array([3.0, np.nan, 1.0, 2.0, 5.0])
    embedding_map(xy, values=values, map="given", legend="speed", ax=ax)
    drawn = ax.collections[0]
    order = (np.asarray(drawn.get_offsets())[:, 0] / 2).astype(int)
    np.testing.assert_array_equal(drawn.get_array().filled(np.nan), values[order])
    assert drawn.cmap.name == "cividis" and ax.figure.axes[1].get_ylabel() == "speed"


def test_a_sample_of_many_points(points, ax, legend):
    names = np.array(["left", "right"])[np.arange(97) % 2]
    embedding_map(points, names, most=20, seed=3, ax=ax)
    assert len(ax.collections[0].get_offsets()) == 20 and legend(ax) == ["left", "right"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": np.zeros(4)}, r"`points` must be numbers \[row, dim\]"),
        ({"points": np.zeros((0, 3))}, r"`points` must be numbers"),
        ({"points": np.full((4, 3), np.nan)}, "`points` must be finite"),
        ({"labels": [0, 1]}, "`labels` must be one for each of the 97 points"),
        ({"values": [0, 1]}, "`values` must be one for each of the 97 points"),
        ({"labels": np.zeros(97, int), "values": np.zeros(97)}, "`labels` or `values`, not both"),
        ({"labels": np.ones(97, int), "names": ["a"]}, "there is a label 1"),
        ({"map": "isomap"}, "unknown `map`"),
        ({"map": "given"}, r"points \[row, 2\]"),
        ({"most": 0}, "`most` must be a whole number of 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, points, pyplot):
    with pytest.raises(InputError, match=message):
        embedding_map(**{"points": points} | arguments)
    assert not pyplot.get_fignums()
