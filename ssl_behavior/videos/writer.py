"""Writer of movies: H.264 in MP4 or Matroska, which every player and browser shows."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file
from ssl_behavior.videos.av_library import load_av

__all__ = ["MOVIE_FORMATS", "MovieWriter", "movie_writer"]

MOVIE_FORMATS = {"mp4": "mp4", "mkv": "matroska"}
"""Endings of movies, and what FFmpeg calls their formats."""

_QUALITY = {"preset": "veryfast", "crf": "20"}
_FRACTION_LIMIT = 10_000
_WAITING_PICTURES = 4
_HD = "ITU709"
_HD_NUMBER = 1
_LIMITED_RANGE = 1


class MovieWriter:
    """Writer of pictures of one size, which are encoded while the next ones are drawn. Use through `movie_writer`."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._av, self._container, self._stream = load_av(), container, stream
        self._waiting: Queue[np.ndarray | None] = Queue(_WAITING_PICTURES)
        self._error: Exception | None = None
        self._encoder = Thread(target=self._encode_all, daemon=True)
        self._encoder.start()

    def add(self, picture: np.ndarray) -> None:
        """Add a picture, uint8 [height, width, RGB]; it is copied."""
        self._raise_error()
        self._waiting.put(picture.copy())

    def finish(self) -> None:
        """Wait for the encoder, and write what it still holds."""
        self.stop()
        self._raise_error()
        self._mux(None)

    def stop(self) -> None:
        """End the encoder after the pictures that wait."""
        if self._encoder.is_alive():
            self._waiting.put(None)
            self._encoder.join()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _encode_all(self) -> None:
        while (picture := self._waiting.get()) is not None:
            # After an error, pictures are only taken away, so that `add` does not wait forever.
            if self._error is None:
                try:
                    self._encode(picture)
                except Exception as error:  # noqa: BLE001 - raised again by `add` or `finish`
                    self._error = error

    def _encode(self, picture: np.ndarray) -> None:
        frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
        self._mux(frame.reformat(format="yuv420p", dst_colorspace=_HD, interpolation="FAST_BILINEAR"))

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


@contextmanager
def movie_writer(path: Path, size: tuple[int, int], fps: float, format: str = "mp4") -> Iterator[MovieWriter]:
    """Writer of a movie; the file is there when the block ends without an error, whole, and else not at all.

    Parameters
    ----------
    size : (width, height), even numbers.
    fps : pictures per second.
    format : one of `MOVIE_FORMATS`.

    Raises
    ------
    InputError
        If PyAV is not installed or cannot write H.264, or the file cannot be written.
    """
    av = load_av()
    options = {"movflags": "+faststart"} if format == "mp4" else {}
    rate = Fraction(fps).limit_denominator(_FRACTION_LIMIT)
    with (
        atomic_file(path) as partial,
        av.open(str(partial), "w", format=MOVIE_FORMATS[format], options=options) as file,
    ):
        try:
            stream = file.add_stream("libx264", rate=rate, options=_QUALITY)
        except (av.FFmpegError, ValueError) as error:
            raise InputError(
                f"this PyAV cannot write H.264 ({error}): install it from its wheel, pip install 'ssl-behavior[video]'"
            ) from None
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _HD_NUMBER
        context.color_range = _LIMITED_RANGE
        writer = MovieWriter(file, stream)
        try:
            yield writer
            writer.finish()
        finally:
            writer.stop()
