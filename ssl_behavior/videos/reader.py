"""Reader of a video's frames by number."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.videos.av_library import load_av, reading_errors
from ssl_behavior.videos.frame_index import FrameIndex, frame_index, upright, video_stream

__all__ = ["VideoReader"]


class VideoReader:
    """Frames of a video by number, exactly; use it in a `with` block.

    A frame after the last one that was read is decoded on from there. For any other, decoding begins at the last
    keyframe before it. A frame that was just read is not decoded again.

    Parameters
    ----------
    path : video file.
    size : (width, height) of the pictures; None = those of the video.
    threads : let the decoder use several threads, for one video that is read from start to end.

    Raises
    ------
    InputError
        If the file is not there, is damaged or holds no video, or PyAV is not installed.
    """

    def __init__(self, path: str | Path, size: tuple[int, int] | None = None, threads: bool = True) -> None:
        self.path, self.size = Path(path), size
        self.index: FrameIndex = frame_index(path)
        with reading_errors(self.path):
            self._container: Any = load_av().open(str(self.path))
            self._stream = video_stream(self._container, self.path)
        if threads:
            self._stream.thread_type = "AUTO"
        else:
            self._stream.codec_context.thread_count = 1
        self._frames: Iterator[Any] = iter(())
        self._at, self._picture = -1, np.zeros((0, 0, 3), np.uint8)
        self._started = False

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.index)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def read(self, number: int) -> np.ndarray:
        """Picture of a frame, uint8 [height, width, RGB]; do not write into it.

        Raises
        ------
        InputError
            If there is no such frame, or it cannot be decoded.
        """
        if not 0 <= number < len(self):
            raise InputError(f"{self.path}: it has no frame {number}; its frames are 0 to {len(self) - 1}")
        if number != self._at:
            with reading_errors(self.path):
                frame = self._counted(number) if self.index.stamps is None else self._stamped(number)
                self._picture = upright(frame, self.size)
            self._at = number
        return self._picture

    def _stamped(self, number: int) -> Any:
        """The frame with the time stamp of this number."""
        stamps, keyframes = self.index.stamps, self.index.keyframes
        assert stamps is not None
        wanted = int(stamps[number])
        if self._is_ahead(number) and not self._is_keyframe_between(number):
            frame = self._forward(wanted)
            if frame is not None:
                return frame
        # A container may land after the keyframe that it was asked for: then from an earlier one.
        place = int(np.searchsorted(keyframes, wanted, side="right")) - 1
        for back in (0, 1, 4):
            start = int(keyframes[place - back]) if place >= back else int(stamps[0])
            self._seek(start)
            if (frame := self._forward(wanted)) is not None:
                return frame
        raise InputError(f"{self.path}: frame {number} of this video cannot be decoded: copy or export it again")

    def _is_ahead(self, number: int) -> bool:
        return self._started and number > self._at

    def _is_keyframe_between(self, number: int) -> bool:
        """Whether a seek would save decoding."""
        assert self.index.stamps is not None
        last = self.index.stamps[max(self._at, 0)]
        keyframes = self.index.keyframes
        first, stop = np.searchsorted(keyframes, [last, self.index.stamps[number]], side="right")
        return number > self._at + 1 and bool(stop > first)

    def _forward(self, wanted: int) -> Any:
        """Decode on up to this time stamp; None if it is not to come."""
        for frame in self._frames:
            if frame.pts is not None and frame.pts >= wanted:
                return frame if frame.pts == wanted else None
        return None

    def _seek(self, stamp: int) -> None:
        self._container.seek(stamp, stream=self._stream, backward=True, any_frame=False)
        self._frames = self._container.decode(self._stream)
        self._started = True

    def _counted(self, number: int) -> Any:
        """The frame with this number where frames have no time stamps: counted from the first."""
        if not self._is_ahead(number):
            self._container.seek(0, backward=True)
            self._frames, self._started = self._container.decode(self._stream), True
            self._at = -1
        for at, frame in enumerate(self._frames, start=self._at + 1):
            if at == number:
                return frame
        raise InputError(f"{self.path}: frame {number} of this video cannot be decoded: copy or export it again")
