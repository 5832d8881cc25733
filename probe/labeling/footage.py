"""`Footage`: what a player shows of a recording: its tracks, its video, and the times of its frames."""

from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.store import Store

__all__ = ["Footage"]


class Footage:
    """Tracks and videos of a store's recordings.

    Parameters
    ----------
    folder : with the recordings' videos; None = skeletons alone.

    Attributes
    ----------
    notices : what is wrong with videos that are not shown.
    """

    def __init__(self, store: Store, folder: str | Path | None) -> None:
        self._store = store
        self.notices: list[str] = []
        self._videos: dict[str, Any] = {}
        if folder is not None:
            from ssl_behavior.videos import find_videos

            self._videos = dict(find_videos(store, folder, refused=lambda name, why: self.notices.append(why)))

    def facts(self, recording: str) -> dict[str, Any] | None:
        """Size, rate and length of the recording's video; None = there is none."""
        video = self._videos.get(recording)
        if video is None:
            return None
        return {name: getattr(video, name) for name in ("width", "height", "fps", "frames", "notice")}

    def path(self, recording: str) -> Path | None:
        """The recording's video; None = there is none."""
        found = self._videos.get(recording)
        return None if found is None else Path(found.path)

    def tracks(self, recording: str, start: int, stop: int) -> np.ndarray:
        """Keypoints, float32 [frames, individual, keypoint, space]; NaN = missing. `stop` is cut to the recording."""
        row = self._store.row(recording)
        first, last = max(0, start), min(stop, row.frames)
        return np.asarray(self._store.keypoints[row.offset + first : row.offset + max(first, last)], np.float32)

    def frame_times(self, recording: str) -> np.ndarray:
        """Seconds at which the recording's video shows each frame of the store, float64 [time]."""
        row = self._store.row(recording)
        if recording not in self._videos:
            return row.frame_times.seconds()
        from ssl_behavior.videos import shown_times

        return np.asarray(shown_times(self._store, recording, self._videos[recording]), np.float64)
