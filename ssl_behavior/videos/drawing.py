"""Anti-aliased drawing on pictures, uint8 [height, width, RGB]: lines, dots, arrows and text.

Coordinates are pixels, x to the right and y down; (0, 0) is the middle of the first pixel. What lies outside a picture
is left out. The share of a pixel that a line covers comes from the pixel's distance to it.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from math import ceil
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "Color",
    "Number",
    "Strokes",
    "blend",
    "draw_arrow",
    "draw_text",
    "fill",
    "ink_on",
    "rgb",
    "text_size",
]

Color = tuple[int, int, int]
Number = int | float
"""Coordinates, sizes and times."""

_FAR = np.float32(1e6)
_ROOM = 3.0
"""Pixels around a shape that its soft edge and its outline may touch."""
_FONTS = ("DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf", "Arial.ttf", "NotoSans-Regular.ttf")
"""Fonts of the system, for letters that Pillow's own font lacks."""
_OWN_LETTERS = set(map(chr, range(32, 127))) | set("‘’“”…·•")
_ARROW = "→"
_KEPT_TEXTS = 2048
_LINE_HEIGHT = 1.3
_RISE = 0.05
"""Small letters look centered when the middle of the font's line is this much above, in letter heights."""
_READS_DARK = 140


@cache
def rgb(color: str) -> Color:
    """Color from #RRGGBB.

    >>> rgb("#0072B2")
    (0, 114, 178)
    """
    number = int(color.lstrip("#"), 16)
    return number >> 16, number >> 8 & 255, number & 255


def ink_on(color: Color) -> Color:
    """Black or white, whichever reads better on a color."""
    red, green, blue = color
    return (17, 17, 17) if 0.299 * red + 0.587 * green + 0.114 * blue > _READS_DARK else (255, 255, 255)


class _Part(NamedTuple):
    """Part of a picture, and the part of a mask that lies on it."""

    picture: tuple[slice, slice]
    mask: tuple[slice, slice]


def _part(picture: np.ndarray, x: int, y: int, width: int, height: int) -> _Part | None:
    """Where a mask of this size at (x, y) lies on a picture; None = outside."""
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, picture.shape[1]), min(y + height, picture.shape[0])
    if left >= right or top >= bottom:
        return None
    return _Part(
        (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))
    )  # fmt: skip


def blend(picture: np.ndarray, mask: np.ndarray, color: Color, x: int, y: int) -> None:
    """Paint a color through a mask, float32 [height, width] from 0 to 1, whose left upper pixel is at (x, y)."""
    part = _part(picture, x, y, mask.shape[1], mask.shape[0])
    if part is None:
        return
    below = picture[part.picture].astype(np.float32)
    below += (np.array(color, np.float32) - below) * mask[part.mask][..., None]
    picture[part.picture] = (below + 0.5).astype(np.uint8)


def fill(
    picture: np.ndarray, x: Number, y: Number, width: Number, height: Number, color: Color, alpha: Number = 1.0
) -> None:
    """Fill a rectangle with whole pixels."""
    part = _part(picture, round(x), round(y), round(width), round(height))
    if part is None:
        return
    if alpha >= 1:
        picture[part.picture] = color
        return
    below = picture[part.picture].astype(np.float32)
    below += (np.array(color, np.float32) - below) * alpha
    picture[part.picture] = (below + 0.5).astype(np.uint8)


class Strokes:
    """Distances of pixels to lines and dots, painted together: no pixel is darker where two of them meet.

    Parameters
    ----------
    picture : to be painted on.
    points : all points of the lines and dots, float [point, 2]; NaN = missing.
    radius : largest radius of a line or dot, pixels.
    """

    def __init__(self, picture: np.ndarray, points: np.ndarray, radius: Number) -> None:
        self.picture = picture
        height, width = picture.shape[:2]
        seen = points[np.isfinite(points).all(axis=-1)]
        room = radius + _ROOM
        low = np.floor(seen.min(axis=0, initial=np.inf) - room) if len(seen) else np.zeros(2)
        high = np.ceil(seen.max(axis=0, initial=-np.inf) + room) + 1 if len(seen) else np.zeros(2)
        (self.x, self.y) = (int(max(low[0], 0)), int(max(low[1], 0)))
        right, bottom = int(min(high[0], width)), int(min(high[1], height))
        self.distance = np.full((max(bottom - self.y, 0), max(right - self.x, 0)), _FAR, np.float32)

    def clear(self) -> None:
        """Forget all lines and dots."""
        self.distance[:] = _FAR

    def line(self, start: np.ndarray, stop: np.ndarray, radius: Number) -> None:
        """Add a line with round ends; nothing where an end is missing."""
        if not (np.isfinite(start).all() and np.isfinite(stop).all()):
            return
        region, x, y = self._region(np.minimum(start, stop), np.maximum(start, stop), radius)
        if not region.size:
            return
        (dx, dy), (sx, sy) = (stop - start).tolist(), start.tolist()
        squared = dx * dx + dy * dy
        px, py = x - np.float32(sx), y - np.float32(sy)
        along = (px * np.float32(dx) + py * np.float32(dy)) / np.float32(max(squared, 1e-9))
        along = np.clip(along, 0, 1)
        far = np.hypot(px - along * np.float32(dx), py - along * np.float32(dy)) - np.float32(radius)
        np.minimum(region, far, out=region)

    def dot(self, center: np.ndarray, radius: Number) -> None:
        """Add a filled circle; nothing where the point is missing."""
        if not np.isfinite(center).all():
            return
        region, x, y = self._region(center, center, radius)
        if region.size:
            cx, cy = center.tolist()
            np.minimum(region, np.hypot(x - np.float32(cx), y - np.float32(cy)) - np.float32(radius), out=region)

    def box(self, x: Number, y: Number, width: Number, height: Number, radius: Number) -> None:
        """Add a rectangle with round corners, left upper corner at (x, y)."""
        middle, half = np.array([x + width / 2, y + height / 2]), np.array([width / 2, height / 2])
        region, columns, rows = self._region(middle - half, middle + half, 1.0)
        if region.size:
            across = np.abs(columns - np.float32(middle[0])) - np.float32(half[0] - radius)
            down = np.abs(rows - np.float32(middle[1])) - np.float32(half[1] - radius)
            outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
            np.minimum(region, outside + np.minimum(np.maximum(across, down), 0) - np.float32(radius), out=region)

    def triangle(self, corners: np.ndarray) -> None:
        """Add a filled triangle, corners [3, 2] in the order of a clock."""
        region, x, y = self._region(corners.min(axis=0), corners.max(axis=0), 1.0)
        if not region.size:
            return
        far = np.full(region.shape, -_FAR, np.float32)
        for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            way = other - one
            normal = np.array([way[1], -way[0]]) / max(float(np.hypot(*way)), 1e-9)
            outside = (x - np.float32(one[0])) * np.float32(normal[0]) + (y - np.float32(one[1])) * np.float32(
                normal[1]
            )
            np.maximum(far, outside, out=far)
        np.minimum(region, far, out=region)

    def _region(self, low: np.ndarray, high: np.ndarray, radius: Number) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distances around a box, and the coordinates of their columns and rows."""
        room = radius + _ROOM
        height, width = self.distance.shape
        left, top = (max(int(value) - at, 0) for value, at in zip(np.floor(low - room), (self.x, self.y), strict=True))
        right, bottom = (int(value) + 1 - at for value, at in zip(np.ceil(high + room), (self.x, self.y), strict=True))
        right, bottom = min(max(right, 0), width), min(max(bottom, 0), height)
        region = self.distance[min(top, height) : bottom, min(left, width) : right]
        columns = np.arange(left + self.x, left + self.x + region.shape[1], dtype=np.float32)[None]
        rows = np.arange(top + self.y, top + self.y + region.shape[0], dtype=np.float32)[:, None]
        return region, columns, rows

    def paint(self, color: Color, alpha: Number = 1.0, wider: Number = 0.0) -> None:
        """Paint what was added; `wider` by so many pixels, as an outline below it."""
        if self.distance.size:
            mask = np.clip(np.float32(0.5 + wider) - self.distance, 0, 1)
            blend(self.picture, mask if alpha >= 1 else mask * np.float32(alpha), color, self.x, self.y)


def draw_arrow(
    picture: np.ndarray,
    start: Sequence[Number],
    stop: Sequence[Number],
    color: Color,
    width: Number,
    alpha: Number = 1.0,
) -> None:
    """Draw an arrow with a light outline; nothing if it would be shorter than its head."""
    tail, tip = np.asarray(start, float), np.asarray(stop, float)
    way = tip - tail
    length, head = float(np.hypot(*way)), 4.5 * width
    if not np.isfinite(length) or length < 1.2 * head:
        return
    way = way / length
    side, neck = np.array([-way[1], way[0]]), tip - head * way
    corners = np.stack([tip, neck + 0.6 * head * side, neck - 0.6 * head * side])
    strokes = Strokes(picture, np.stack([tail, tip, *corners]), width)
    strokes.line(tail, neck, width / 2)
    strokes.triangle(corners)
    strokes.paint((255, 255, 255), 0.8 * alpha, wider=1.2)
    strokes.paint(color, alpha)


@cache
def _own_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@cache
def _system_font(size: int) -> ImageFont.FreeTypeFont | None:
    """A font of the system with more letters than Pillow's own; None if none is found."""
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


@lru_cache(maxsize=_KEPT_TEXTS)
def _text_masks(text: str, size: int, outline: int) -> tuple[np.ndarray, np.ndarray]:
    """Letters and letters with outline, float32 [height, width], of one height for all texts; arrows are drawn."""
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for place, part in enumerate(text.split(_ARROW)):
        if place:
            parts.append(_arrow_masks(size, outline))
        parts.append(_letters(part, size, outline))
    room = 2 * (outline + 1)
    # Neighbors share the room around them.
    width = sum(one.shape[1] - room for one, _ in parts) + room
    whole = [np.zeros((parts[0][0].shape[0], width), np.float32) for _ in range(2)]
    left = 0
    for masks in parts:
        for mask, own in zip(whole, masks, strict=True):
            here = mask[:, left : left + own.shape[1]]
            np.maximum(here, own, out=here)
        left += masks[0].shape[1] - room
    return whole[0], whole[1]


def _letters(text: str, size: int, outline: int) -> tuple[np.ndarray, np.ndarray]:
    font = None if _OWN_LETTERS.issuperset(text) else _system_font(size)
    if font is None and not _OWN_LETTERS.issuperset(text):
        text = normalize("NFKD", text).encode("ascii", "ignore").decode() or "?"
    used, room = font or _own_font(size), outline + 1
    width = ceil(ImageDraw.Draw(Image.new("L", (1, 1))).textlength(text, font=used)) + 2 * room
    height = round(_LINE_HEIGHT * size) + 2 * room
    masks = []
    for stroke in (0, outline):
        image = Image.new("L", (width, height))
        ImageDraw.Draw(image).text(
            (room, height / 2 - _RISE * size), text, fill=255, font=used, anchor="lm", stroke_width=stroke
        )
        masks.append(np.asarray(image, np.float32) / 255)
    return masks[0], masks[1]


def _arrow_masks(size: int, outline: int) -> tuple[np.ndarray, np.ndarray]:
    """An arrow to the right as a letter."""
    room = outline + 1
    height, middle = round(_LINE_HEIGHT * size) + 2 * room, 0.5 * (round(_LINE_HEIGHT * size) + 2 * room - 1)
    tail, tip = np.array([room, middle]), np.array([room + 0.8 * size, middle])
    head = 0.28 * size
    strokes = Strokes(np.zeros((height, ceil(0.8 * size) + 2 * room, 3), np.uint8), np.stack([tail, tip + head]), size)
    for start in (tail, tip - np.array([head, head]), tip - np.array([head, -head])):
        strokes.line(start, tip, max(0.045 * size, 0.5))
    masks = [np.zeros((height, ceil(0.8 * size) + 2 * room), np.float32) for _ in range(2)]
    for mask, wider in zip(masks, (0, outline), strict=True):
        rows, columns = strokes.distance.shape
        here = mask[strokes.y : strokes.y + rows, strokes.x : strokes.x + columns]
        here[:] = np.clip(0.5 + wider - strokes.distance, 0, 1)
    return masks[0], masks[1]


def text_size(text: str, size: int) -> tuple[int, int]:
    """Width and height of a text without outline, pixels."""
    height, width = _text_masks(text, size, 0)[0].shape
    return width - 2, height - 2


def draw_text(
    picture: np.ndarray,
    x: Number,
    y: Number,
    text: str,
    size: int,
    color: Color,
    outline: Color | None = None,
    anchor: str = "left",
    most: Number = np.inf,
) -> int:
    """Draw a line of text whose vertical middle is at y; returns its width.

    Parameters
    ----------
    size : height of the letters, pixels.
    outline : color around the letters; None = none.
    anchor : what is at x: "left", "center" or "right".
    most : longest width; a longer text is cut and ends in "…".
    """
    text = _shortened(text, size, most)
    around = 0 if outline is None else max(1, round(size / 8))
    letters, outlined = _text_masks(text, size, around)
    height, width = letters.shape
    left = x - (around + 1) - {"left": 0, "center": 0.5, "right": 1.0}[anchor] * (width - 2 * around - 2)
    at = round(left), round(y - height / 2)
    if outline is not None:
        blend(picture, outlined * np.float32(0.85), outline, *at)
    blend(picture, letters, color, *at)
    return width - 2 * around - 2


@lru_cache(maxsize=_KEPT_TEXTS)
def _shortened(text: str, size: int, most: Number) -> str:
    if text_size(text, size)[0] <= most:
        return text
    while len(text) > 1 and text_size(f"{text}…", size)[0] > most:
        text = text[:-1]
    return f"{text.rstrip()}…"
