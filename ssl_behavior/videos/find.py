"""Video file of each recording of a store: found by name, checked by length and rate.

Names follow the rules of annotation files. A video `07.mp4` belongs to the recording `07`, also where this came from
`07DLC_resnet50_....h5`; `07_cropped.mp4` belongs to it, too, unless another recording fits better. Folders of ids
count: `night1/07.mp4` belongs to `night1/07`. Where several files fit equally well, nothing is guessed.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.reader_helpers import id_from_name, stem
from ssl_behavior.recording import CLOCK_DRIFT, FrameTimes
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import counted, listed
from ssl_behavior.videos.av_library import load_av
from ssl_behavior.videos.frame_index import FrameIndex, frame_index, read_header

__all__ = ["VIDEO_ENDINGS", "VideoFile", "find_videos", "matched_frames", "shown_times"]

VIDEO_ENDINGS = (
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".mts", ".m2ts", ".ts", ".flv", ".ogv",
)  # fmt: skip
"""Endings of video files, in small letters."""

_FEW_FRAMES, _SHORT_PARTS = 5, 50
"""A video may lack, or have, this many frames at its end; in short recordings, one in so many (but always one)."""
_ASPECT = 0.02
_NO_FRAME = -1


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """Video of a recording.

    Parameters
    ----------
    path : the file.
    width, height : size as shown, pixels.
    fps : mean number of frames per second.
    frames : number of frames.
    notice : a sentence about a harmless difference from the recording, "" if there is none.
    by_time : frames belong to those of the recording by time, because their rates differ; else by number.
    """

    path: Path
    width: int
    height: int
    fps: float
    frames: int
    notice: str = ""
    by_time: bool = False


def find_videos(
    store: Store,
    folder: str | Path,
    recordings: Sequence[StoreRow] | None = None,
    refused: Callable[[str, str], None] | None = None,
) -> dict[str, VideoFile]:
    """Video of each recording in a folder and the folders in it; recordings without one are left out.

    A video must have the recording's frames (of a resampled recording, those of its source). A few frames more or less,
    at most 5 and at most 1 in 50, are taken for frames at the end, with a notice: frames belong together by number.
    A video of the same duration and another rate is used by time, with a notice. Any other length is an error.

    Parameters
    ----------
    folder : searched with all folders in it; hidden ones are left out.
    recordings : rows of the store to find videos for; None = all.
    refused : callback with the recording and a sentence where its video is damaged or has another length, or where
        several files fit; the recording then has no video. None = such a file is an error.

    Raises
    ------
    InputError
        If there is no such folder, PyAV is not installed, or as under `refused`.
    """
    load_av()
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; `videos` is the folder of the recordings' videos")
    files = _video_files(folder)
    names = _names_of_recordings(store)
    found: dict[str, VideoFile] = {}
    chosen = store.rows if recordings is None else recordings
    for row, path, problem in _assigned(chosen, names, files, folder):
        try:
            if problem:
                raise InputError(problem)
            found[row.id] = _checked(store, row, path)
        except InputError as error:
            if refused is None:
                raise
            refused(row.id, str(error))
    return found


def _video_files(folder: Path) -> list[Path]:
    """Video files below a folder, sorted; without hidden ones."""
    found = []
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        wanted = (one for one in sorted(files) if one.lower().endswith(VIDEO_ENDINGS) and not one.startswith("."))
        found += [Path(name) / one for one in wanted]
    return found


def _names_of_recordings(store: Store) -> dict[str, tuple[str, ...]]:
    """Recording -> its names, the id first: the id without folders, and the track file's name, where these are its own
    alone."""
    owners: dict[str, set[str]] = defaultdict(set)
    names = {
        row.id: (row.id, row.id.rpartition("/")[2], stem(Path(row.source)) if row.source else "") for row in store.rows
    }
    for id, own in names.items():
        for name in own:
            owners[name].add(id)
    return {
        id: tuple(dict.fromkeys(name for name in own if name and owners[name] == {id})) for id, own in names.items()
    }


def _assigned(
    rows: Sequence[StoreRow], names: dict[str, tuple[str, ...]], files: Sequence[Path], folder: Path
) -> list[tuple[StoreRow, Path, str]]:
    """(recording, its file, "" or why there is none) of the recordings that a file fits."""
    fits: dict[str, list[tuple[tuple[int, int], Path]]] = defaultdict(list)
    for path in files:
        ranks = {id: rank for id, own in names.items() if (rank := _fit(own, path, folder)) is not None}
        # A file belongs to the recordings that it fits best.
        best = max(ranks.values(), default=None)
        for id in (id for id, rank in ranks.items() if rank == best):
            fits[id].append((ranks[id], path))
    taken: dict[Path, list[str]] = defaultdict(list)
    chosen: dict[str, list[Path]] = {}
    for id, own in fits.items():
        best = max(rank for rank, _ in own)
        chosen[id] = [path for rank, path in own if rank == best]
        taken[chosen[id][0]].append(id)
    return [
        (row, chosen[row.id][0], _ambiguity(row.id, chosen[row.id], taken[chosen[row.id][0]]))
        for row in rows
        if row.id in chosen
    ]


def _ambiguity(recording: str, paths: Sequence[Path], owners: Sequence[str]) -> str:
    if len(paths) > 1:
        both = listed(list(map(str, paths)), 2, " and ")
        return f"recording {recording!r} has several videos: {both}; rename or move all but one"
    if len(owners) > 1:
        return f"{paths[0]} fits two recordings, {owners[0]!r} and {owners[1]!r}; rename it after one"
    return ""


_EXACT, _BEGINNING, _LONGER = 2, 1, 0


def _fit(names: Sequence[str], path: Path, folder: Path) -> tuple[int, int] | None:
    """How well a file fits a recording with these names: (kind of fit, letters in common); None = not at all."""
    parent = path.parent.relative_to(folder).as_posix()
    key = path.name[: -len(path.suffix)]
    keys = {key, id_from_name(Path(key))}
    if parent != ".":
        keys |= {f"{parent}/{one}" for one in keys}
    own = key if parent == "." else f"{parent}/{key}"
    if exact := [len(name) for name in names if own == name or own.endswith(f"/{name}")]:
        return _EXACT, max(exact)
    # An id may begin above the searched folder: videos of night1 for the recordings night1/07 and night1/08.
    if beginning := [len(one) for one in keys for name in names if _begins(name, one) or name.endswith(f"/{one}")]:
        return _BEGINNING, max(beginning)
    longer = [len(name) for one in keys for name in names if _begins(one, name)]
    return (_LONGER, max(longer)) if longer else None


def _begins(name: str, key: str) -> bool:
    return name == key or (name.startswith(key) and not name[len(key)].isalnum())


def _checked(store: Store, row: StoreRow, path: Path) -> VideoFile:
    """The video with its facts.

    Raises
    ------
    InputError
        If it is damaged, or its length is not that of the recording.
    """
    header, source = read_header(path), _source_times(store, row)
    video = VideoFile(path=path, width=header.width, height=header.height, fps=header.fps, frames=header.frames)
    # What the file says is believed where it agrees with the recording; else its frames are counted.
    if header.frames != source.num_frames or _rates_differ(header.fps, source.fps):
        index = frame_index(path)
        video = replace(video, fps=index.fps, frames=len(index))
    by_time, notices = _compared(video, row, source)
    notices += _about_size(video, row)
    return replace(video, by_time=by_time, notice=" ".join(notices))


def _source_times(store: Store, row: StoreRow) -> FrameTimes:
    """Times of the frames that the recording's video has."""
    return store.resampled_from(row) or row.frame_times


def _rates_differ(one: float, other: float) -> bool:
    return abs(one - other) > CLOCK_DRIFT * other


def _few_frames(frames: int) -> int:
    return min(_FEW_FRAMES, max(1, frames // _SHORT_PARTS))


def _compared(video: VideoFile, row: StoreRow, source: FrameTimes) -> tuple[bool, list[str]]:
    """Whether frames belong together by time, and sentences about harmless differences."""
    more, few = video.frames - source.num_frames, _few_frames(source.num_frames)
    rates_differ = _rates_differ(video.fps, source.fps)
    where = f"{video.path} (recording {row.id!r})"
    both = f"{video.fps:.5g} frames per second, the recording {source.fps:.5g}"
    if abs(more) <= few:
        said = []
        if more:
            difference = f"{counted(abs(more), 'frame')} {'more' if more > 0 else 'less'}"
            said.append(f"{where} has {difference} than the recording: frames are counted from the first one.")
        if rates_differ:
            said.append(f"{where} states {both}, and as many frames: frames are matched by number.")
        return False, said
    gap = abs(video.frames / video.fps - float(source.edges()[-1])) * min(video.fps, source.fps)
    if rates_differ and gap <= _few_frames(min(video.frames, source.num_frames)):
        return True, [f"{where} has {both}, and lasts as long: frames are matched by time."]
    raise InputError(
        f"{where} has {video.frames:,} frames at {video.fps:.5g} per second, the recording {source.num_frames:,} at "
        f"{source.fps:.5g}: it is not the video of this recording, or it was cut; give the video that was tracked, or "
        "move this file away"
    )


def _about_size(video: VideoFile, row: StoreRow) -> list[str]:
    """A sentence where the video has not the size of the pictures that were tracked."""
    if row.resolution_px is None or (video.width, video.height) == tuple(map(round, row.resolution_px)):
        return []
    width, height = row.resolution_px
    sizes = f"{video.path} is {video.width} x {video.height} pixels, the tracks are of {width:g} x {height:g}"
    if abs(video.width * height / (video.height * width) - 1) > _ASPECT:
        return [f"{sizes}: if the video was cropped, points are drawn beside the animals."]
    return [f"{sizes}: points are scaled."]


def matched_frames(store: Store, recording: str, video: VideoFile) -> np.ndarray:
    """Number of the video's frame that each frame of a recording shows, int64 [frames]; -1 = the video has none.

    Frames of a resampled recording show the frame of the source nearest in time. `by_time` of the video: see
    `VideoFile`.
    """
    row = store.row(recording)
    seconds = np.arange(row.frames) / row.fps
    if video.by_time:
        return _nearest(frame_index(video.path), seconds)
    source = store.resampled_from(row)
    numbers = np.arange(row.frames)
    if source is not None:
        numbers = np.clip(source.nearest(seconds), 0, source.num_frames - 1).astype(np.int64)
    return np.where(numbers < video.frames, numbers, _NO_FRAME)


def _nearest(index: FrameIndex, seconds: np.ndarray) -> np.ndarray:
    """Numbers of the frames nearest to these times after the first frame; -1 after the end of the last one."""
    times = FrameTimes(fps=index.fps, num_frames=len(index), measured=index.times - index.times[0])
    numbers = np.clip(times.nearest(seconds), 0, len(index) - 1).astype(np.int64)
    return np.where(seconds < times.edges()[-1], numbers, _NO_FRAME)


def shown_times(store: Store, recording: str, video: VideoFile) -> np.ndarray:
    """Time in the video at which each frame of a recording is shown, float64 [frames], s; NaN = it is not.

    See `frame_times` for the clock.
    """
    numbers, times = matched_frames(store, recording, video), frame_index(video.path).times
    inside = (numbers >= 0) & (numbers < len(times))
    return np.where(inside, times[np.where(inside, numbers, 0)], np.nan)
