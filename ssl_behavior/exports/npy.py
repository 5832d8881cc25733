"""Embeddings as a plain numpy array, and a JSON file beside it that says what its rows and columns are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ssl_behavior.exports.frames import ExportedFrames
from ssl_behavior.files import atomic_file, write_json

__all__ = ["sidecar_of", "write_npy"]


def sidecar_of(path: Path) -> Path:
    """The JSON file beside an array."""
    return path.with_suffix(".json")


def write_npy(path: Path, frames: ExportedFrames, progress: Callable[[int], None]) -> None:
    """[frames, dim], with the numbers as they are stored."""
    dtype = frames.embeddings.array.dtype
    with atomic_file(path) as partial:
        with partial.open("wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
            np.lib.format.write_array_header_1_0(file, header | {"shape": (frames.num_frames, frames.dim)})
            for _, span, block in frames.blocks():
                file.write(np.ascontiguousarray(block).data)
                progress(span.stop - span.start)
        stops = np.cumsum([row.frames for row in frames.rows]).tolist()
        table = [
            {"id": row.id, "offset": stop - row.frames, "frames": row.frames, "fps": row.fps}
            for row, stop in zip(frames.rows, stops, strict=True)
        ]
        write_json(sidecar_of(path), frames.facts() | {"dtype": str(dtype), "recordings": table})
