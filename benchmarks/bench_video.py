"""Frames per second of overlay and grid movies, beside the bare encoding of constant pictures.

    python benchmarks/bench_video.py [--frames 300] [--size 1280x720] [--folder DIR]

Two simulated mice with all their label streams, rendered by `ssl_behavior.videos` in an empty arena, on a made video of
1024 x 570 pixels (decoded in the same run), and as grid movies of 16 bouts, without and with the video. The ceiling is
the writer alone: the same number of constant pictures of the same size, converted and encoded in the same way. It is
measured before and after. Encoding runs beside drawing, on as many cores as there are; `load` says how busy they were.
`reader` is decoding alone: frames one after the other, and in random order. The last line of stdout is one JSON object.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from ssl_behavior.device import describe_device
from ssl_behavior.simulate import simulate_store
from ssl_behavior.store import Store
from ssl_behavior.videos import VideoReader, find_videos
from ssl_behavior.videos.grid import Cell, GridTitle, grid_pictures
from ssl_behavior.videos.lanes import lanes_of
from ssl_behavior.videos.overlay import overlay_pictures
from ssl_behavior.videos.writer import movie_writer

_VIDEO = (1024, 570)
_RANDOM_READS = 40


def written(path: Path, pictures, size: tuple[int, int], frames: int) -> float:
    """Pictures per second of a movie."""
    start, count = time.perf_counter(), 0
    with movie_writer(path, size, 30.0) as writer:
        for picture in pictures:
            writer.add(picture)
            count += 1
            if count == frames:
                break
    return count / (time.perf_counter() - start)


def constant(size: tuple[int, int], frames: int):
    picture = np.full((size[1], size[0], 3), 128, np.uint8)
    return (picture for _ in range(frames))


def drawn(pictures) -> float:
    """Pictures per second without a file."""
    start, count = time.perf_counter(), 0
    for _ in pictures:
        count += 1
    return count / (time.perf_counter() - start)


def make_video(folder: Path, store: Store, frames: int) -> None:
    """A noisy video of the first recording, with gray discs at the points."""
    row = store.rows[0]
    width, height = _VIDEO
    path = folder / f"{row.id}.mp4"
    noise = np.random.default_rng(0).integers(80, 120, (height + 64, width + 64, 1), np.uint8).repeat(3, axis=2)

    def pictures():
        for frame in range(frames):
            picture = noise[frame % 64 :][:height, frame % 61 :][:, :width].copy()
            for x, y in store.keypoints[row.offset + frame].reshape(-1, 2):
                if np.isfinite(x + y):
                    picture[max(int(y) - 20, 0) : int(y) + 20, max(int(x) - 20, 0) : int(x) + 20] = 30
            yield picture

    written(path, pictures(), _VIDEO, frames)


def reader_rates(path: Path) -> dict[str, float]:
    with VideoReader(path) as reader:
        start = time.perf_counter()
        for number in range(len(reader)):
            reader.read(number)
        forward = len(reader) / (time.perf_counter() - start)
        start = time.perf_counter()
        for number in np.random.default_rng(0).integers(0, len(reader), _RANDOM_READS).tolist():
            reader.read(number)
        return {"forward": round(forward, 1), "random": round(_RANDOM_READS / (time.perf_counter() - start), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    size, frames = (width, height), options.frames
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        store = simulate_store(folder / "store", num_recordings=1, frames=frames)
        row = store.rows[0]
        make_video(folder / "videos", store, frames)
        video = find_videos(store, folder / "videos")[row.id]
        lanes = lanes_of(store, row, list(store.streams), None)
        starts = np.linspace(15, frames - 46, 16).astype(int).tolist()
        title = GridTitle(name="cluster 1", text="", color=(0, 114, 178))

        def overlay(of):
            return overlay_pictures(store, row, of, lanes, (0, frames), size, 30.0)

        def grid(of):
            cells = [Cell(row=row, start=start, stop=start + 30, seconds=1.0, video=of) for start in starts]
            return grid_pictures(store, cells, title, size, 30.0)

        movies = {
            "arena": lambda: overlay(None),
            "video": lambda: overlay(video),
            "grid": lambda: grid(None),
            "grid_video": lambda: grid(video),
        }
        out, load = folder / "movie.mp4", os.getloadavg()[0]
        before = written(out, constant(size, frames), size, frames)
        rates = {name: written(out, make(), size, frames) for name, make in movies.items()}
        after = written(out, constant(size, frames), size, frames)
        alone = {name: drawn(make()) for name, make in movies.items()}
        reader = reader_rates(video.path)
    ceiling = (before + after) / 2
    print(
        json.dumps(
            {
                "benchmark": "video",
                "machine": describe_device(torch.device("cpu"), torch.float32),
                "frames": frames,
                "size": options.size,
                "load": round(load, 1),
                "ceiling_fps": [round(before, 1), round(after, 1)],
                "movie_fps": {name: round(rate, 1) for name, rate in rates.items()},
                "ratio": {name: round(rate / ceiling, 2) for name, rate in rates.items()},
                "drawing_alone_fps": {name: round(rate, 1) for name, rate in alone.items()},
                "reader_fps": reader,
            }
        )
    )


if __name__ == "__main__":
    main()
