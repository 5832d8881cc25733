"""Movie of a recording: its video or an empty arena, poses and directed behaviors on it, and a panel below."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from ssl_behavior.recording import observed_points
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.videos.drawing import Color, Number, draw_text, fill, text_size
from ssl_behavior.videos.find import VideoFile, matched_frames
from ssl_behavior.videos.lanes import Lane
from ssl_behavior.videos.panel import Panel
from ssl_behavior.videos.poses import PoseStyle, draw_directions, draw_names, draw_poses
from ssl_behavior.videos.reader import VideoReader

__all__ = ["ARENA_COLOR", "View", "arena_of", "draw_scale", "overlay_pictures", "video_scale"]

ARENA_COLOR: Color = (246, 247, 248)
_AROUND = (255, 255, 255)
_BORDER, _INK, _FAINT = (205, 210, 216), (28, 32, 38), (104, 112, 122)
_MARGIN = 0.06
_ARENA_SAMPLE = 20_000
_LINES = 720
_SCALE_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True, kw_only=True)
class View:
    """Where a part of the tracks' plane lies on a picture.

    Parameters
    ----------
    x, y : the point of the plane at the left upper corner.
    scale : pixels of the picture for one unit of the plane.
    left, top, width, height : place on the picture, pixels.
    """

    x: Number
    y: Number
    scale: Number
    left: int
    top: int
    width: int
    height: int

    @classmethod
    def fitted(cls, box: Sequence[Number], left: int, top: int, width: int, height: int) -> "View":
        """A box (x0, y0, x1, y1) of the plane, as large as it fits into the middle of a place."""
        x0, y0, x1, y1 = box
        scale = min(width / (x1 - x0), height / (y1 - y0))
        wide, high = max(1, round(scale * (x1 - x0))), max(1, round(scale * (y1 - y0)))
        return cls(
            x=x0, y=y0, scale=scale, left=left + (width - wide) // 2, top=top + (height - high) // 2, width=wide,
            height=high,
        )  # fmt: skip

    def part_of(self, picture: np.ndarray) -> np.ndarray:
        """The place on a picture, to be drawn on."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]

    def points(self, keypoints: np.ndarray) -> np.ndarray:
        """Points of the plane in pixels of the place. A point of the plane is in the middle of its pixel."""
        return (keypoints - np.array([self.x, self.y]) + 0.5) * self.scale - 0.5


def arena_of(store: Store, row: StoreRow) -> tuple[float, float, float, float]:
    """Box (x0, y0, x1, y1) of a recording's arena: its video's picture, or the box around nearly all of its points."""
    if row.resolution_px is not None:
        return 0.0, 0.0, float(row.resolution_px[0]), float(row.resolution_px[1])
    step = max(1, row.frames // _ARENA_SAMPLE)
    points = store.keypoints[row.slice][::step].reshape(-1, 2)
    seen = points[observed_points(points)]
    if not len(seen):
        return 0.0, 0.0, 1.0, 1.0
    low, high = np.quantile(seen.astype(np.float64), [0.0005, 0.9995], axis=0)
    room = _MARGIN * max(float((high - low).max()), 1.0)
    return float(low[0] - room), float(low[1] - room), float(high[0] + room), float(high[1] + room)


def video_scale(row: StoreRow, video: VideoFile) -> np.ndarray:
    """Pixels of the video for one of the tracked pictures, along x and y."""
    if row.resolution_px is None:
        return np.ones(2)
    return np.array([video.width, video.height]) / np.array(row.resolution_px)


def overlay_pictures(
    store: Store,
    row: StoreRow,
    video: VideoFile | None,
    lanes: Sequence[Lane],
    frames: tuple[int, int],
    size: tuple[int, int],
    strip_seconds: Number,
) -> Iterator[np.ndarray]:
    """Pictures of a recording's frames, uint8 [height, width, RGB]; each is overwritten by the next.

    Parameters
    ----------
    video : of the recording; None = an empty arena.
    lanes : rows of the panel.
    frames : first frame, and the one after the last.
    size : (width, height) of the pictures.
    strip_seconds : longest time that the panel shows at once.
    """
    width, height = size
    unit = min(height / _LINES, width / 960)
    panel = Panel(lanes, row.fps, *frames, strip_seconds, width, unit)
    picture = np.empty((height, width, 3), np.uint8)
    top = max(height - panel.height, height // 4)
    box = arena_of(store, row) if video is None else (0.0, 0.0, float(video.width), float(video.height))
    view = View.fitted(box, 0, 0, width, top)
    picture[:] = _AROUND
    style, title = PoseStyle.of(store.skeleton, unit), _Title(row.id, unit)
    shown = np.full(row.frames, -1) if video is None else matched_frames(store, row.id, video)
    scale = np.ones(2) if video is None else video_scale(row, video)
    arena = _arena(view, row, unit)
    names = store.individuals if len(store.individuals) > 1 else ()
    reader = nullcontext() if video is None else VideoReader(video.path, (view.width, view.height))
    with reader as source:
        for frame in range(*frames):
            here = view.part_of(picture)
            if source is not None and 0 <= shown[frame] < len(source):
                here[:] = source.read(int(shown[frame]))
            else:
                here[:] = arena
                if video is not None:
                    _say_missing(here, unit)
            pose = view.points(store.keypoints[row.offset + frame] * scale)
            deeds = [deed for lane in lanes for deed in lane.at(frame)]
            draw_poses(here, pose, style)
            draw_directions(here, pose, deeds, style)
            draw_names(here, pose, names, style)
            title.draw(here)
            panel.draw(picture[top : top + panel.height], frame)
            yield picture


def _arena(view: View, row: StoreRow, unit: Number) -> np.ndarray:
    """An empty arena with a border, and a scale where the size of a pixel is known."""
    arena = np.empty((view.height, view.width, 3), np.uint8)
    arena[:] = _BORDER
    line = max(1, round(unit))
    arena[line:-line, line:-line] = ARENA_COLOR
    if row.px_per_cm is not None:
        draw_scale(arena, view.scale * row.px_per_cm, unit)
    return arena


def draw_scale(picture: np.ndarray, per_cm: Number, unit: Number) -> None:
    """Draw a bar of a round length in cm into the lower right corner; `per_cm` = pixels of a cm."""
    wanted = 0.12 * picture.shape[1] / per_cm
    length = min(_SCALE_STEPS, key=lambda one: abs(np.log(one / wanted)))
    pixels, room, text = length * per_cm, 16 * unit, max(8, round(13 * unit))
    x, y = picture.shape[1] - room - pixels, picture.shape[0] - room
    fill(picture, x, y, pixels, max(2, round(2 * unit)), _FAINT)
    draw_text(picture, x + pixels / 2, y - 0.9 * text, f"{length:g} cm", text, _FAINT, anchor="center")


def _say_missing(picture: np.ndarray, unit: Number) -> None:
    height, width = picture.shape[:2]
    draw_text(picture, width / 2, height / 2, "the video has no such frame", round(16 * unit), _FAINT, anchor="center")


class _Title:
    """The recording's name in the left upper corner of its picture."""

    def __init__(self, text: str, unit: Number) -> None:
        self.text, self.unit, self.size = text, unit, max(8, round(14 * unit))

    def draw(self, picture: np.ndarray) -> None:
        room, most = 7 * self.unit, 0.6 * picture.shape[1]
        width = min(text_size(self.text, self.size)[0], most)
        fill(picture, room, room, width + 2 * room, 1.7 * self.size, (255, 255, 255), 0.78)
        draw_text(picture, 2 * room, room + 0.85 * self.size, self.text, self.size, _INK, most=most)
