"""Tracks as CalMS21's JSON text: every frame has one layout of bytes, and each number is looked up in a table.

Numbers have a fixed width, with spaces in front, which JSON allows and leading zeros it does not.
"""

import json
import re
from functools import cache

import numpy as np

from ssl_behavior.recording import Recording

__all__ = ["recording_json"]

_CHUNK_FRAMES = 16_384


@cache
def _table(template: str, largest: int) -> np.ndarray:
    """Bytes of `template` filled with each multiple 0..largest of its last decimal, and a comma."""
    decimals = int(template.partition(".")[2][0])
    return np.array([f"{number / 10**decimals:{template}}," for number in range(largest + 1)], dtype=np.bytes_)


def _rows(table: np.ndarray, values: np.ndarray) -> bytes:
    """Nested lists of numbers [row, ..., keypoint]; `values` are places in the table."""
    parts = [_some_rows(table, values[i : i + _CHUNK_FRAMES]) for i in range(0, len(values), _CHUNK_FRAMES)]
    return b"[" + b"".join(parts)[1:] + b"]"


def _some_rows(table: np.ndarray, values: np.ndarray) -> bytes:
    width = table.itemsize
    cell = "#" * (width - 1)
    layout = "," + json.dumps(np.full(values.shape[1:], cell).tolist(), separators=(",", ":")).replace('"', "")
    text = np.tile(np.frombuffer(layout.encode(), dtype=np.uint8), (len(values), 1))
    # The numbers of an innermost list lie together, commas included: all but the comma after the last one.
    cells = table[values].reshape(len(values), -1, values.shape[-1]).view(np.uint8)[:, :, :-1]
    for number, found in enumerate(re.finditer("[#,]*#", layout[1:])):
        text[:, found.start() + 1 : found.end() + 1] = cells[:, number]
    return text.tobytes()


def recording_json(recording: Recording, stream: str | None) -> bytes:
    """One sequence of the release: `{"keypoints": ..., "scores": ..., "annotations": ..., "metadata": ...}`.

    Parameters
    ----------
    recording : two animals of seven keypoints inside a frame of at most 1,024 px, none missing; with confidence.
    stream : the label stream to write, or None for a recording without annotations.

    Coordinates are rounded to 0.01 px, scores to 0.001.
    """
    assert recording.confidence is not None and np.isfinite(recording.keypoints).all()
    # The release has x and y before the keypoints.
    pixels = np.rint(np.swapaxes(recording.keypoints, 2, 3) * 100).astype(np.int32)
    scores = np.rint(recording.confidence * 1000).astype(np.int32)
    parts = [b'{"keypoints":', _rows(_table("7.2f", 102_400), pixels)]
    parts += [b',"scores":', _rows(_table("5.3f", 1000), scores)]
    metadata: dict[str, object] = {}
    if stream is not None:
        labels = recording.labels[stream]
        parts += [b',"annotations":', b"[" + _table("1.0f", 9)[labels.frames].tobytes()[:-1] + b"]"]
        vocabulary = {name: number for number, name in enumerate(labels.vocabulary)}
        metadata = {"annotator-id": int(labels.annotator), "vocab": vocabulary}
    return b"".join([*parts, b',"metadata":', json.dumps(metadata).encode(), b"}"])
