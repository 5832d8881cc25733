"""Palette, files, and plots without matplotlib."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import ssl_behavior
from ssl_behavior import plots
from ssl_behavior.errors import InputError
from ssl_behavior.plots.style import BACKGROUND, PALETTE, axes_for, check_figure, class_colors, literal, save_figure

# Machado et al. 2009, severity 1, on linear RGB: normal vision, protanopia, deuteranopia, tritanopia.
VISIONS = (
    np.eye(3),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]),
    np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]),
)


def lab(linear):
    """CIELAB of linear RGB [color, 3]."""
    xyz = linear @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    xyz = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("vision", VISIONS, ids=["normal", "protanopia", "deuteranopia", "tritanopia"])
def test_colors_differ_for_every_vision(vision):
    colors = np.array([to_rgb(color) for color in (*PALETTE, BACKGROUND)])
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = lab(np.clip(linear @ vision.T, 0, 1))
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=2) + 99 * np.eye(len(seen))
    assert distance.min() >= 15


def test_every_class_has_its_color_and_the_background_is_gray():
    names = [f"c{number}" for number in range(30)]
    colors = class_colors(["other", *names], ["other"], {"c3": "red", "unknown": "blue"})
    assert colors["other"] == BACKGROUND and colors["c3"] == "red" and "unknown" not in colors
    assert [colors[name] for name in ("c0", "c7", "c24")] == [PALETTE[0], PALETTE[7], PALETTE[0]]
    assert all(colors[a] != colors[b] for a, b in pairwise(names))


def test_figures_are_written_by_their_ending(ax, tmp_path):
    for ending, magic in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        save_figure(ax.figure, tmp_path / "new" / f"figure{ending}")
        assert (tmp_path / "new" / f"figure{ending}").read_bytes().startswith(magic)
    with pytest.raises(InputError, match=r"`figure` .*x.doc: expected a file that ends in one of"):
        check_figure(tmp_path / "x.doc")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        check_figure(tmp_path / "folder.png")


def test_given_axes_are_used_and_others_are_refused(ax, pyplot):
    assert axes_for(ax, 1.0, 1.0) is ax and not pyplot.get_fignums()
    assert axes_for(None, 3.0, 2.0).figure.get_size_inches().tolist() == [3, 2] and len(pyplot.get_fignums()) == 1
    with pytest.raises(InputError, match="`ax` must be the axes of a matplotlib figure, got Figure"):
        axes_for(ax.figure, 1.0, 1.0)


@pytest.mark.parametrize("name", plots.__all__)
def test_without_matplotlib_plots_say_what_to_install(name, monkeypatch):
    monkeypatch.setattr("ssl_behavior.plots.style.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"^plots need matplotlib: pip install 'ssl-behavior\[plots\]'$"):
        getattr(ssl_behavior.plots, name)(None)


def test_dollars_are_no_formula():
    assert literal("a $x$") == r"a \$x\$"
