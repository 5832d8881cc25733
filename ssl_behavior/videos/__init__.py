"""Videos of recordings: found by name, read frame by frame, and movies drawn onto them."""

from ssl_behavior.videos.find import VideoFile, find_videos, matched_frames, shown_times
from ssl_behavior.videos.frame_index import frame_times
from ssl_behavior.videos.reader import VideoReader
from ssl_behavior.videos.render import MovieConfig, render

__all__ = [
    "MovieConfig",
    "VideoFile",
    "VideoReader",
    "find_videos",
    "frame_times",
    "matched_frames",
    "render",
    "shown_times",
]
