"""Lines, dots, arrows and text on pictures."""

import numpy as np
import pytest

from ssl_behavior.videos import drawing
from ssl_behavior.videos.drawing import Strokes, blend, draw_arrow, draw_text, fill, ink_on, text_size
from ssl_behavior.videos.poses import middles_of

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def white(width=120, height=80):
    return np.full((height, width, 3), 255, np.uint8)


def ink(picture):
    """Sum of the blackness of all pixels, in pixels."""
    return float((255 - picture[..., 0].astype(float)).sum() / 255)


def middle(picture):
    """Center of the ink."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    weight = 255 - picture[..., 0].astype(float)
    return (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()


@pytest.mark.parametrize("center", [(60, 40), (60.5, 39.25), (33.3, 50.7)])
def test_dots_have_their_area_and_place(center):
    picture, points = white(), np.array([center], float)
    strokes = Strokes(picture, points, 7.0)
    strokes.dot(points[0], 7.0)
    strokes.paint(BLACK)
    assert ink(picture) == pytest.approx(np.pi * 7**2, rel=0.01)
    assert middle(picture) == pytest.approx(center, abs=0.03)


def test_lines_have_their_area_and_no_pixel_is_painted_twice():
    picture, ends = white(), np.array([[20.0, 30], [90, 55]])
    strokes = Strokes(picture, ends, 2.0)
    strokes.line(*ends, 2.0)
    strokes.line(*ends, 2.0)
    strokes.paint(BLACK, 0.5)
    length = np.hypot(70, 25)
    assert ink(picture) == pytest.approx(0.5 * (4 * length + np.pi * 4), rel=0.01)
    assert middle(picture) == pytest.approx((55, 42.5), abs=0.05)


def test_an_outline_is_wider_by_what_it_says():
    thin, wide = white(), white()
    for picture, wider in ((thin, 0.0), (wide, 3.0)):
        strokes = Strokes(picture, np.array([[60.0, 40]]), 10.0)
        strokes.dot(np.array([60.0, 40]), 10.0)
        strokes.paint(BLACK, wider=wider)
    assert ink(thin) == pytest.approx(np.pi * 100, rel=0.01) and ink(wide) == pytest.approx(np.pi * 169, rel=0.01)


@pytest.mark.parametrize("place", [(-5, 40), (125, 40), (60, -4), (60, 84), (-500, 9000)])
def test_what_lies_outside_is_left_out(place):
    picture, point = white(), np.array([place], float)
    strokes = Strokes(picture, point, 8.0)
    strokes.dot(point[0], 8.0)
    strokes.line(point[0], np.array([np.nan, 3.0]), 8.0)
    strokes.paint(BLACK)
    draw_text(picture, *place, "text", 14, BLACK)
    fill(picture, *place, 9, 9, BLACK)
    draw_arrow(picture, place, (place[0] + 40, place[1]), BLACK, 3)
    assert ink(picture) < 900


def test_missing_points_are_no_dots():
    picture = white()
    strokes = Strokes(picture, np.full((3, 2), np.nan), 4.0)
    strokes.dot(np.array([np.nan, np.nan]), 4.0)
    strokes.paint(BLACK)
    assert ink(picture) == 0


def test_arrows_end_at_their_tip_and_short_ones_are_left_out():
    picture = white()
    draw_arrow(picture, (20, 40), (100, 40), BLACK, 4)
    columns = np.flatnonzero((picture[..., 0] < 128).any(axis=0))
    assert columns.min() == pytest.approx(18, abs=1) and columns.max() == pytest.approx(99, abs=1)
    before = picture.copy()
    draw_arrow(picture, (20, 40), (25, 40), BLACK, 4)
    draw_arrow(picture, (np.nan, 40), (25, 40), BLACK, 4)
    assert (picture == before).all()


@pytest.mark.parametrize(("anchor", "left"), [("left", 60), ("center", 40), ("right", 20)])
def test_text_lies_where_its_anchor_says(anchor, left):
    picture = white(120, 40)
    width = draw_text(picture, 60, 20, "moves", 16, BLACK, anchor=anchor)
    columns, rows = (np.flatnonzero((picture[..., 0] < 128).any(axis=axis)) for axis in (0, 1))
    assert width == text_size("moves", 16)[0]
    assert columns.min() == pytest.approx(
        left + {"left": 0, "center": 20 - width / 2, "right": 40 - width}[anchor], abs=3
    )
    assert rows.mean() == pytest.approx(20, abs=2)


def test_long_text_is_cut():
    picture = white()
    assert draw_text(picture, 2, 20, "a name that is much too long", 16, BLACK, most=60) <= 60
    assert not (picture[:, 66:, 0] < 128).any()


@pytest.mark.parametrize("text", ["m1 → m2", "Käfig 3", "マウス", "", "→"])
@pytest.mark.parametrize("fonts", [drawing._FONTS, ()])
def test_any_text_can_be_drawn_with_and_without_fonts_of_the_system(text, fonts, monkeypatch):
    drawing._text_masks.cache_clear()
    drawing._system_font.cache_clear()
    monkeypatch.setattr(drawing, "_FONTS", fonts)
    picture = white()
    draw_text(picture, 5, 20, text, 16, BLACK, WHITE)
    assert (ink(picture) > 0) == bool(text)
    drawing._text_masks.cache_clear()
    drawing._system_font.cache_clear()


def test_masks_blend_by_their_share():
    picture = white(4, 1)
    blend(picture, np.array([[0.0, 0.25, 1.0, 1.0]], np.float32), BLACK, 1, 0)
    assert picture[0, :, 0].tolist() == [255, 255, 191, 0]


def test_ink_reads_on_its_color():
    assert ink_on((240, 228, 66)) == (17, 17, 17) and ink_on((0, 114, 178)) == WHITE


def test_middles_leave_out_missing_points():
    points = np.array([[[1.0, 2], [3, 4], [np.nan, 9]], [[np.nan] * 2] * 3])
    np.testing.assert_array_equal(middles_of(points), [[2, 3], [np.nan, np.nan]])
