"""Frames of a video file: number and time of each, read without decoding.

Frames are numbered from 0 in the order in which they are shown. Their times are the presentation times of the file's
packets, in order. Files of some kinds state no usable times, such as AVI with H.264: their frames are numbered in
the order in which they are decoded, and lie evenly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.videos.av_library import load_av, reading_errors

__all__ = ["FrameIndex", "VideoHeader", "frame_index", "frame_times", "read_header", "upright", "video_stream"]

_KEPT_INDEXES = 64
_USUAL_RATE = 25.0
"""Rate of a file that states none."""
_ATTACHED_PICTURE = 0x400


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameIndex:
    """Times of a video's frames, and where decoding can begin.

    Parameters
    ----------
    times : presentation time of each frame, float64 [frames], s, increasing; read-only.
    stamps : the same in units of the file's clock, int64 [frames]; None = the file states none, count the frames.
    keyframes : stamps of the frames at which decoding can begin, int64, increasing.
    """

    times: np.ndarray
    stamps: np.ndarray | None
    keyframes: np.ndarray

    def __len__(self) -> int:
        return len(self.times)

    @property
    def fps(self) -> float:
        """Mean number of frames per second."""
        if len(self.times) < 2:
            return _USUAL_RATE
        return float((len(self.times) - 1) / (self.times[-1] - self.times[0]))


@dataclass(frozen=True, kw_only=True)
class VideoHeader:
    """What a file says of its video: size in pixels as shown, frames per second, number of frames (0 = not stated)."""

    width: int
    height: int
    fps: float
    frames: int


def frame_times(path: str | Path) -> np.ndarray:
    """Presentation time of every frame of a video, float64 [frames], s.

    They count from the start of the file's own clock, as players do; the first frame need not be at 0. The file is read
    once, without decoding; the result is kept in memory until the file changes.

    Raises
    ------
    InputError
        If the file is not there, is damaged or holds no video, or PyAV is not installed.
    """
    return frame_index(path).times


def frame_index(path: str | Path) -> FrameIndex:
    """Index of a video's frames, kept in memory until the file changes; see `frame_times`."""
    path = Path(path)
    with reading_errors(path):
        facts = path.stat()
    return _frame_index(path.resolve(), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=_KEPT_INDEXES)
def _frame_index(path: Path, size: int, changed: int) -> FrameIndex:
    stamps: list[int | None] = []
    starts: list[bool] = []
    with reading_errors(path), load_av().open(str(path)) as container:
        stream = video_stream(container, path)
        for packet in container.demux(stream):
            # The last packet is an empty one; others are cut away by the file's own table of edits.
            if packet.size and not packet.is_discard:
                stamps.append(packet.pts)
                starts.append(bool(packet.is_keyframe))
        reordered = "avi" in container.format.name.split(",") and stream.codec_context.has_b_frames
        clock, rate = Fraction(stream.time_base or Fraction(1, 1000)), stream.average_rate or stream.guessed_rate
    if not stamps:
        raise InputError(f"{path}: this video has no frames: copy or export it again")
    known = [stamp for stamp in stamps if stamp is not None]
    if reordered or len(set(known)) < len(stamps):
        return FrameIndex(
            times=_read_only(np.arange(len(stamps)) / float(rate or _USUAL_RATE)), stamps=None,
            keyframes=np.zeros(0, np.int64),
        )  # fmt: skip
    every = np.array(known, np.int64)
    shown = np.sort(every)
    return FrameIndex(
        times=_read_only(shown * float(clock)), stamps=_read_only(shown), keyframes=np.sort(every[np.array(starts)])
    )


def _read_only(values: np.ndarray) -> np.ndarray:
    values.setflags(write=False)
    return values


def read_header(path: Path) -> VideoHeader:
    """Size, rate and stated number of frames of a video; its first frame is decoded.

    Raises
    ------
    InputError
        If the file is not there, is damaged or holds no video, or PyAV is not installed.
    """
    with reading_errors(path), load_av().open(str(path)) as container:
        stream = video_stream(container, path)
        frames: Iterator[Any] = container.decode(stream)
        first = next(frames, None)
        if first is None:
            raise InputError(f"{path}: no frame of this video can be decoded: copy or export it again")
        turned = getattr(first, "rotation", 0) % 180 != 0
        width, height = (first.height, first.width) if turned else (first.width, first.height)
        rate = stream.average_rate or stream.guessed_rate or _USUAL_RATE
        return VideoHeader(width=width, height=height, fps=float(rate), frames=int(stream.frames))


def video_stream(container: Any, path: Path) -> Any:
    """First video of an open file; pictures of covers do not count."""
    for stream in container.streams.video:
        if stream.codec_context is not None and not _is_cover(stream):
            return stream
    raise InputError(f"{path}: this file holds no video")


def _is_cover(stream: Any) -> bool:
    return bool(int(getattr(stream, "disposition", 0)) & _ATTACHED_PICTURE)


def upright(frame: Any, size: tuple[int, int] | None = None) -> np.ndarray:
    """A decoded frame as players show it, uint8 [height, width, RGB].

    Parameters
    ----------
    size : (width, height) to scale to; None = as it is.
    """
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    width, height = size or (None, None)
    if turns % 2:
        width, height = height, width
    shown = frame.reformat(width=width, height=height, format="rgb24", interpolation="BILINEAR")
    array: np.ndarray = shown.to_ndarray()
    return np.rot90(array, turns) if turns else array
