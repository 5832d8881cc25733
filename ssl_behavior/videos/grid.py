"""Grid movie of a cluster: its typical bouts beside each other, all beginning at the same moment.

Each cell shows half a second before a bout, the bout, and half a second after it, and begins again. Its camera has one
scale for all cells and moves only where the animals would leave the cell.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from PIL import Image

from ssl_behavior.recording import observed_points
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import clock_text
from ssl_behavior.videos.drawing import Color, Number, draw_text, fill, ink_on, text_size
from ssl_behavior.videos.find import VideoFile, matched_frames
from ssl_behavior.videos.overlay import ARENA_COLOR, arena_of, video_scale
from ssl_behavior.videos.poses import PoseStyle, draw_poses, middles_of
from ssl_behavior.videos.reader import VideoReader

__all__ = ["Cell", "GridTitle", "grid_pictures", "grid_shape", "loop_frames"]

_LEAD = _TAIL = 0.5
"""Seconds shown before and after a bout."""
_LOOPS = 2
_WHITE: Color = (255, 255, 255)
_OUTSIDE, _LINES, _QUIET, _INK, _FAINT = (
    (228, 231, 235),
    (233, 236, 239),
    (205, 210, 216),
    (28, 32, 38),
    (104, 112, 122),
)
_CURSOR: Color = (214, 30, 30)
_ROOM, _ROOM_ALONE = 1.15, 1.8
"""Half of a cell's free part, in the distance of the animals' points from their middle in nine of ten frames. A single
animal has more room, to see where it goes."""
_CAPTION, _BAR = 24, 14
"""Lines of a cell that its caption and its bar of time cover, in a movie of 720 lines."""
_REACH_SHARE = 0.9
_SMOOTH_SECONDS = 0.25
_MOST_KEPT = 48 << 20
"""Bytes of a cell's pictures that are kept in memory: five seconds of a sixteenth of 1280 x 720 pixels are 22 MB."""
_PAGE_LINES = 720


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """A bout in a grid movie.

    Parameters
    ----------
    row : of its recording in the store.
    start, stop : frames of the bout, `stop` not included.
    actors : numbers of the animals that the bout is of; empty = all.
    who : their names, "" for all.
    video : of the recording; None = an empty arena.
    seconds : of the bout that are shown.
    """

    row: StoreRow
    start: int
    stop: int
    actors: tuple[int, ...] = ()
    who: str = ""
    video: VideoFile | None = None
    seconds: Number

    @property
    def length(self) -> float:
        """Duration of a loop, s."""
        return _LEAD + self.seconds + _TAIL

    def frame_at(self, seconds: Number) -> tuple[int, float]:
        """Frame of the recording at a time of the movie, and the time within the loop; the ends of a recording hold."""
        inside = seconds % self.length
        frame = self.start + int(np.floor((inside - _LEAD) * self.row.fps + 1e-6))
        return min(max(frame, 0), self.row.frames - 1), inside

    def frames(self) -> np.ndarray:
        """Frames of a loop, int64."""
        first, _ = self.frame_at(0.0)
        last = self.start + ceil((self.seconds + _TAIL) * self.row.fps)
        return np.arange(first, max(min(last, self.row.frames), first + 1))


@dataclass(frozen=True, kw_only=True)
class GridTitle:
    """Name of a cluster, its color, and a sentence about the bouts."""

    name: str
    text: str
    color: Color


def loop_frames(cells: Sequence[Cell], fps: Number) -> int:
    """Number of pictures of a movie in which the longest bout is shown twice."""
    return max(1, round(_LOOPS * max(cell.length for cell in cells) * fps))


def grid_shape(number: int) -> tuple[int, int]:
    """Columns and rows of a grid: as many cells as needed, about as wide as high.

    >>> grid_shape(16), grid_shape(5), grid_shape(1)
    ((4, 4), (3, 2), (1, 1))
    """
    columns = ceil(sqrt(number))
    return columns, ceil(number / columns)


def grid_pictures(
    store: Store, cells: Sequence[Cell], title: GridTitle, size: tuple[int, int], fps: Number
) -> Iterator[np.ndarray]:
    """Pictures of a grid movie, uint8 [height, width, RGB]; each is overwritten by the next."""
    width, height = size
    unit = min(height / _PAGE_LINES, width / 960)
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = _WHITE
    top, gap = round(46 * unit), round(8 * unit)
    _draw_title(picture[:top], title, unit)
    columns, rows = grid_shape(len(cells))
    wide, high = (width - gap * (columns + 1)) // columns, (height - top - gap * rows) // rows
    reach = _common_reach(store, cells)
    with ExitStack() as opened:
        shown = [_ShownCell(store, cell, (wide, high), reach, unit, title.color, opened) for cell in cells]
        for number in range(loop_frames(cells, fps)):
            for place, one in enumerate(shown):
                x, y = gap + place % columns * (wide + gap), top + place // columns * (high + gap)
                one.draw(picture[y : y + high, x : x + wide], number / fps)
            yield picture


def _draw_title(picture: np.ndarray, title: GridTitle, unit: Number) -> None:
    middle, text, small = picture.shape[0] / 2, max(9, round(18 * unit)), max(8, round(14 * unit))
    room = 8 * unit
    width = text_size(title.name, text)[0] + 2 * room
    fill(picture, room, middle - 0.8 * text, width, 1.6 * text, title.color)
    draw_text(picture, 2 * room, middle, title.name, text, ink_on(title.color))
    draw_text(picture, width + 3 * room, middle, title.text, small, _FAINT, most=picture.shape[1] - width - 4 * room)


def _shown_points(store: Store, cell: Cell, frames: np.ndarray) -> np.ndarray:
    """Points of the animals that a bout is of, float32 [frame, individual, keypoint, 2]."""
    points: np.ndarray = store.keypoints[cell.row.offset + frames]
    return points[:, list(cell.actors)] if cell.actors else points


def _common_reach(store: Store, cells: Sequence[Cell]) -> float:
    """Distance of points from the animals' middle that nine of ten frames keep to, over all cells."""
    far = [np.empty(0)]
    for cell in cells:
        points = _shown_points(store, cell, cell.frames())
        gaps = points - _centers(points)[:, None, None]
        distances = np.abs(gaps).max(axis=-1).reshape(len(points), -1)
        known = np.isfinite(distances)
        far.append(np.where(known, distances, 0).max(axis=1)[known.any(axis=1)])
    every = np.concatenate(far)
    return max(float(np.quantile(every, _REACH_SHARE)), 1e-6) if len(every) else 1.0


def _centers(points: np.ndarray) -> np.ndarray:
    """Middle of all animals that are seen in each frame, float64 [frame, 2]; NaN where none is."""
    middles = middles_of(points)
    return middles_of(middles)


class _ShownCell:
    """A cell with its camera and its video.

    Parameters
    ----------
    reach : see `_common_reach`; it fits into a cell with some room.
    opened : takes the video's reader, to close it.
    """

    def __init__(
        self,
        store: Store,
        cell: Cell,
        size: tuple[int, int],
        reach: Number,
        unit: Number,
        color: Color,
        opened: ExitStack,
    ) -> None:
        self.store, self.cell, self.unit, self.color = store, cell, unit, color
        self.width, self.height = size
        free = max(self.height - (_CAPTION + _BAR) * unit, self.height / 2)
        room = reach * (_ROOM_ALONE if len(cell.actors) == 1 else _ROOM)
        self.scale, self.step = min(self.width, free) / 2 / room, room
        self.free = np.array([self.width, free])
        frames = cell.frames()
        self.first, self.camera = int(frames[0]), self._camera(frames, reach)
        self.arena = arena_of(store, cell.row)
        self.style = PoseStyle.of(store.skeleton, 0.62 * unit)
        # A loop begins again without decoding again.
        self._kept: dict[int, np.ndarray] = {}
        self._keeps = 3 * self.width * self.height * len(frames) <= _MOST_KEPT
        self.reader: VideoReader | None = None
        if cell.video is not None:
            self.numbers = matched_frames(store, cell.row.id, cell.video)
            self.reader = opened.enter_context(VideoReader(cell.video.path, threads=False))
            self.video_scale = video_scale(cell.row, cell.video)

    def _camera(self, frames: np.ndarray, reach: Number) -> np.ndarray:
        """Middle of the cell in each frame, float64 [frame, 2]: it moves only as far as it must."""
        centers = _filled(_centers(_shown_points(self.store, self.cell, frames)), self.arena_middle())
        half = max(1, round(_SMOOTH_SECONDS * self.cell.row.fps))
        padded = np.pad(centers, ((half, half), (0, 0)), mode="edge")
        sums = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0)
        smooth = (sums[2 * half + 1 :] - sums[: -2 * half - 1]) / (2 * half + 1)
        slack = np.maximum(self.free / 2 / self.scale - reach, 0)
        # It begins where most of the bout stays inside.
        place = np.clip(np.median(smooth, axis=0), smooth[0] - slack, smooth[0] + slack)
        path = []
        for center in smooth:
            place = np.clip(place, center - slack, center + slack)
            path.append(place)
        return np.array(path)

    def corner_at(self, frame: int) -> np.ndarray:
        """Point of the tracks' plane at the left upper corner in a frame of the recording, float64 [2]."""
        middle: np.ndarray = self.camera[min(max(frame - self.first, 0), len(self.camera) - 1)]
        return middle - (self.free / 2 + (0, min(_CAPTION * self.unit, self.height / 4))) / self.scale

    def arena_middle(self) -> np.ndarray:
        x0, y0, x1, y1 = arena_of(self.store, self.cell.row)
        return np.array([(x0 + x1) / 2, (y0 + y1) / 2])

    def draw(self, picture: np.ndarray, seconds: Number) -> None:
        """Draw the cell at a time of the movie."""
        frame, inside = self.cell.frame_at(seconds)
        if frame in self._kept:
            picture[:] = self._kept[frame]
        else:
            self._draw_animals(picture, frame)
            if self._keeps:
                self._kept[frame] = picture.copy()
        self._draw_caption(picture)
        self._draw_progress(picture, inside)

    def _draw_animals(self, picture: np.ndarray, frame: int) -> None:
        """Draw the animals of a frame on the video, or in an empty arena."""
        corner = self.corner_at(frame)
        if not self._draw_video(picture, frame, corner):
            self._draw_arena(picture, corner)
        points = (self.store.keypoints[self.cell.row.offset + frame] - corner + 0.5) * self.scale - 0.5
        draw_poses(picture, points, self.style, self.cell.actors)

    def _draw_video(self, picture: np.ndarray, frame: int, corner: np.ndarray) -> bool:
        """Part of the video's frame; False if there is none."""
        if self.reader is None or not 0 <= (number := int(self.numbers[frame])) < len(self.reader):
            return False
        whole = self.reader.read(number)
        picture[:] = _OUTSIDE
        # The cell in pixels of the video, and the part of it that the video covers.
        low = corner * self.video_scale
        size = np.array([self.width, self.height]) / self.scale * self.video_scale
        limits = np.array([whole.shape[1], whole.shape[0]])
        first, last = np.clip(low, 0, limits), np.clip(low + size, 0, limits)
        if (last - first < 1).any():
            return True
        ratio = np.array([self.width, self.height]) / size
        left, top = np.round((first - low) * ratio).astype(int).tolist()
        right, bottom = np.round((last - low) * ratio).astype(int).tolist()
        if right > left and bottom > top:
            box = (float(first[0]), float(first[1]), float(last[0]), float(last[1]))
            scaled = Image.fromarray(whole).resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=box)
            picture[top:bottom, left:right] = np.asarray(scaled)
        return True

    def _draw_arena(self, picture: np.ndarray, corner: np.ndarray) -> None:
        """An empty arena, with lines by which one sees the camera move."""
        picture[:] = _OUTSIDE
        low = np.round((np.array(self.arena[:2]) - corner) * self.scale).astype(int).clip(0)
        high = np.round((np.array(self.arena[2:]) - corner) * self.scale).astype(int).clip(0)
        picture[low[1] : high[1], low[0] : high[0]] = ARENA_COLOR
        for axis, length in ((0, self.width), (1, self.height)):
            first = ceil(corner[axis] / self.step) * self.step
            for place in np.arange(first, corner[axis] + length / self.scale, self.step):
                at = round((place - corner[axis]) * self.scale)
                picture[(slice(None), slice(at, at + 1)) if axis == 0 else slice(at, at + 1)] = _LINES

    def _draw_caption(self, picture: np.ndarray) -> None:
        """Recording, animals and time in the corner."""
        cell, size, room = self.cell, max(8, round(11.5 * self.unit)), 8 * self.unit
        time = clock_text(cell.start / cell.row.fps, 1)
        fill(picture, 0, 0, self.width, 2.1 * size, _WHITE, 0.78)
        right, middle = self.width - 2 * room, 1.2 * size
        used = draw_text(picture, right + room, middle, time, size, _FAINT, anchor="right")
        words = f"{cell.row.id}, {cell.who}" if cell.who else cell.row.id
        draw_text(picture, room, middle, words, size, _INK, most=right - used)

    def _draw_progress(self, picture: np.ndarray, inside: Number) -> None:
        """Time of the loop below the animals, its thick part the bout; a frame in the cluster's color in the bout."""
        cell, unit = self.cell, self.unit
        within = _LEAD <= inside < _LEAD + cell.seconds
        line = max(2, round((3 if within else 1) * unit))
        color = self.color if within else _QUIET
        for part in (picture[:line], picture[-line:], picture[:, :line], picture[:, -line:]):
            part[:] = color
        left, y = 8 * unit, self.height - 10 * unit
        length = self.width - 2 * left
        fill(picture, left, y, length, max(2, round(2 * unit)), _QUIET)
        start, wide = left + length * _LEAD / cell.length, length * cell.seconds / cell.length
        fill(picture, start, y - unit, max(wide, 2), max(3, round(4 * unit)), self.color)
        fill(picture, left + length * inside / cell.length - unit, y - 3 * unit, 3 * unit, 8 * unit, _CURSOR)


def _filled(values: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Rows [frame, 2] with missing ones interpolated, the ends held; `otherwise` where none is known."""
    known = observed_points(values)
    if not known.any():
        return np.tile(otherwise, (len(values), 1))
    places = np.arange(len(values))
    return np.stack([np.interp(places, places[known], values[known, axis]) for axis in range(2)], axis=1)
