"""Readers of track files, one per format, and writers of annotation files. Content decides the format, not names."""

from ssl_behavior.io.npz import write_npz
from ssl_behavior.io.reader_helpers import ReadOptions, UnknownFormatError
from ssl_behavior.io.track_formats import FORMATS, Format, detect_format, format_titles, read_recordings

__all__ = [
    "FORMATS",
    "Format",
    "ReadOptions",
    "UnknownFormatError",
    "detect_format",
    "format_titles",
    "read_recordings",
    "write_npz",
]
