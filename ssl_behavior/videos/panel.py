"""Panel below the picture of a movie: what each lane says of the frame, an ethogram of its time, and a cursor.

The ethogram shows one page of time; the cursor moves over it, and at its end the page is turned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from ssl_behavior.terminal import clock_text
from ssl_behavior.videos.drawing import Color, Number, Strokes, draw_text, fill, ink_on, text_size
from ssl_behavior.videos.lanes import Lane

__all__ = ["PAGE_COLOR", "Panel"]

PAGE_COLOR: Color = (255, 255, 255)
_INK, _FAINT, _RULE, _CURSOR = (28, 32, 38), (104, 112, 122), (214, 218, 223), (214, 30, 30)
_EMPTY: Color = (243, 244, 246)
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
_WIDEST_TICKS = 90
_LANE, _LOW_LANE, _FEW_LANES = 28, 22, 4
"""Height of a lane, in a movie of 720 lines: of up to four lanes, and of more."""


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    """Places in the panel, pixels of the movie."""

    width: int
    lane: int
    text: int
    small: int
    left: int
    right: int
    margin: int
    axis: int

    @classmethod
    def of(cls, width: int, unit: Number, lanes: int) -> "_Sizes":
        lane = _LANE if lanes <= _FEW_LANES else _LOW_LANE
        return cls(
            width=width, lane=round(lane * unit), text=max(9, round(0.6 * lane * unit)), small=max(8, round(13 * unit)),
            left=round(0.27 * width), right=width - round(18 * unit), margin=round(12 * unit), axis=round(30 * unit),
        )  # fmt: skip


class Panel:
    """Panel of a recording's frames `first` up to `last`.

    Parameters
    ----------
    lanes : rows of the ethogram.
    fps : frames per second of the recording.
    seconds : longest time that a page of the ethogram shows.
    width : of the movie, pixels.
    unit : 1 for a movie of 720 lines.
    """

    def __init__(
        self, lanes: Sequence[Lane], fps: Number, first: int, last: int, seconds: Number, width: int, unit: Number
    ) -> None:
        self.lanes, self.fps, self.first, self.last = lanes, fps, first, last
        self.unit, self.sizes = unit, _Sizes.of(width, unit, len(lanes))
        pages = max(1, ceil((last - first) / max(1.0, seconds * fps)))
        self.page_frames = (last - first) / pages
        self.height = 2 * self.sizes.margin // 2 + len(lanes) * self.sizes.lane + self.sizes.axis
        self._page, self._background = -1, np.zeros((self.height, width, 3), np.uint8)

    def draw(self, picture: np.ndarray, frame: int) -> None:
        """Draw the panel of a frame onto a picture, uint8 [height, width, RGB]."""
        page = min(int((frame - self.first) / self.page_frames), ceil((self.last - self.first) / self.page_frames) - 1)
        if page != self._page:
            self._page = page
            self._background = self._drawn_page()
        picture[:] = self._background
        for place, lane in enumerate(self.lanes):
            self._draw_words(picture, lane, frame, self._middle(place))
        self._draw_clock(picture, frame)
        self._draw_cursor(picture, frame)

    def _middle(self, place: int) -> float:
        return self.sizes.margin + (place + 0.5) * self.sizes.lane

    def _start(self) -> float:
        """First frame of the page."""
        return self.first + self._page * self.page_frames

    def _x(self, frame: Number) -> float:
        left, right = self.sizes.left, self.sizes.right
        return left + (frame - self._start()) / self.page_frames * (right - left)

    def _drawn_page(self) -> np.ndarray:
        """What all frames of a page share: titles, bouts and the axis of time."""
        sizes, picture = self.sizes, np.empty((self.height, self.sizes.width, 3), np.uint8)
        picture[:] = PAGE_COLOR
        fill(picture, 0, 0, sizes.width, max(1, round(self.unit)), _RULE)
        edges = np.linspace(self._start(), self._start() + self.page_frames, sizes.right - sizes.left + 1)
        bar = round(0.68 * sizes.lane)
        for place, lane in enumerate(self.lanes):
            top = round(self._middle(place) - bar / 2)
            picture[top : top + bar, sizes.left : sizes.right] = lane.colors_of(edges, _EMPTY)
            title, most = lane.title, 0.42 * sizes.left
            draw_text(picture, sizes.margin, self._middle(place), title, sizes.small, _FAINT, most=most)
            self._draw_words_of_bouts(picture, lane, self._middle(place))
        self._draw_axis(picture)
        return picture

    def _draw_words_of_bouts(self, picture: np.ndarray, lane: Lane, middle: Number) -> None:
        """Words on the bouts that have room for them."""
        sizes, begin = self.sizes, self._start()
        for start, stop, number in lane.bouts_between(begin, begin + self.page_frames).tolist():
            left, right = max(self._x(start), sizes.left), min(self._x(stop), sizes.right)
            deed = lane.deeds[number]
            if deed.quiet or right - left < text_size(deed.word, sizes.small)[0] + 8 * self.unit:
                continue
            x = (left + right) / 2
            draw_text(picture, x, middle, deed.word, sizes.small, ink_on(deed.color), anchor="center")

    def _draw_axis(self, picture: np.ndarray) -> None:
        sizes = self.sizes
        top = sizes.margin + len(self.lanes) * sizes.lane
        seconds = self.page_frames / self.fps
        fewest = seconds * _WIDEST_TICKS * self.unit / (sizes.right - sizes.left)
        step = next((step for step in _TICKS if step >= fewest), _TICKS[-1])
        digits = 1 if step < 1 else 0
        fill(picture, sizes.left, top, sizes.right - sizes.left, max(1, round(self.unit)), _RULE)
        begin = self._start() / self.fps
        for number in range(ceil(begin / step - 1e-9), int((begin + seconds) / step + 1e-9) + 1):
            x = self._x(number * step * self.fps)
            fill(picture, x, top, max(1, round(self.unit)), round(5 * self.unit), _FAINT)
            text = clock_text(number * step, digits)
            half = text_size(text, sizes.small)[0] / 2
            draw_text(
                picture, min(x, sizes.width - 3 - half), top + 0.58 * sizes.axis, text, sizes.small, _FAINT,
                anchor="center",
            )  # fmt: skip

    def _draw_words(self, picture: np.ndarray, lane: Lane, frame: int, middle: Number) -> None:
        """Words of the frame on their colors, one beside the other as far as there is room."""
        sizes, x = self.sizes, 0.42 * self.sizes.left + 2 * self.sizes.margin
        for deed in lane.at(frame):
            room, most = 0.4 * sizes.text, self.sizes.left - x - 2 * sizes.margin
            if most < 2 * sizes.text:
                return
            width = min(text_size(deed.word, sizes.text)[0], most) + 2 * room
            if deed.quiet:
                draw_text(picture, x + room, middle, deed.word, sizes.text, _FAINT, most=most)
                x += width + room
                continue
            height = round(0.82 * sizes.lane)
            _fill_round(picture, x, middle - height / 2, width, height, deed.color)
            draw_text(picture, x + room, middle, deed.word, sizes.text, ink_on(deed.color), most=most)
            x += width + room

    def _draw_clock(self, picture: np.ndarray, frame: int) -> None:
        sizes = self.sizes
        y = sizes.margin + len(self.lanes) * sizes.lane + 0.5 * sizes.axis
        digits = 2 if self.fps <= 100 else 3
        draw_text(picture, sizes.margin, y, clock_text(frame / self.fps, digits), sizes.text, _INK)
        x = 0.42 * sizes.left + 2 * sizes.margin
        draw_text(picture, x, y, f"frame {frame:,}", sizes.small, _FAINT)

    def _draw_cursor(self, picture: np.ndarray, frame: int) -> None:
        """A line over all lanes, with a head that shows where it is among dark bouts."""
        x, top = self._x(frame + 0.5), 0.45 * self.sizes.margin
        bottom = self.sizes.margin + len(self.lanes) * self.sizes.lane + 0.2 * self.sizes.axis
        ends = np.array([[x, top], [x, bottom]])
        strokes = Strokes(picture, ends, 4 * self.unit)
        strokes.line(ends[0], ends[1], 0.9 * self.unit)
        strokes.dot(ends[0], 3.6 * self.unit)
        strokes.paint((255, 255, 255), 0.9, wider=1.3 * self.unit)
        strokes.paint(_CURSOR)


def _fill_round(picture: np.ndarray, x: Number, y: Number, width: Number, height: Number, color: Color) -> None:
    """Fill a rectangle with round corners."""
    radius = 0.22 * height
    middle = y + height / 2
    ends = np.array([[x + height / 2, middle], [x + max(width - height / 2, height / 2), middle]])
    strokes = Strokes(picture, ends, height / 2)
    strokes.box(x, y, width, height, radius)
    strokes.paint(color)
