"""Writer of movies: H.264 in MP4 or Matroska, which every player and browser shows."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
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
_HD = "ITU709"
_HD_NUMBER = 1
_LIMITED_RANGE = 1


class MovieWriter:
    """Writer of pictures of one size. Use through `movie_writer`."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._av, self._container, self._stream = load_av(), container, stream

    def add(self, picture: np.ndarray) -> None:
        """Add a picture, uint8 [height, width, RGB]."""
        frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=_HD, interpolation="FAST_BILINEAR")
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def finish(self) -> None:
        """Write what the encoder still holds."""
        for packet in self._stream.encode():
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
        yield writer
        writer.finish()
