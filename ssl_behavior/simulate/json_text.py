"""Tracks as CalMS21's JSON text, formatted by numpy: every frame has one layout of bytes, only the digits differ."""

import json

import numpy as np

from ssl_behavior.recording import Recording

__all__ = ["recording_json"]

_CHUNK_FRAMES = 16_384


def _keypoints_template() -> str:
    axis = "[" + ",".join(["####.##"] * 7) + "]"
    mouse = f"[{axis},{axis}]"
    return f",[{mouse},{mouse}]"


def _scores_template() -> str:
    mouse = "[" + ",".join(["#.###"] * 7) + "]"
    return f",[{mouse},{mouse}]"


def _write_digits(template: str, values: np.ndarray) -> bytes:
    """Fill the `#` of a template per row.

    Parameters
    ----------
    values : whole numbers [row, number] of 0 or more, in units of the last decimal; JSON allows no leading zeros, but
        spaces.
    """
    pattern = np.frombuffer(template.encode(), dtype=np.uint8)
    places = np.flatnonzero(pattern == ord("#")).reshape(values.shape[1], -1)
    width = places.shape[1]
    decimals = len(template[places[0, 0] : places[0, -1] + 1].partition(".")[2])
    text = np.tile(pattern, (len(values), 1))
    rest = values.astype(np.uint32)
    for place in range(width - 1, -1, -1):
        rest, digit = np.divmod(rest, 10) if place else (rest, rest)
        character = (digit + ord("0")).astype(np.uint8)
        if place < width - decimals - 1:
            character[values < 10 ** (width - 1 - place)] = ord(" ")
        text[:, places[:, place]] = character
    return text.tobytes()


def _rows(template: str, values: np.ndarray) -> bytes:
    """All rows in brackets, without the comma before the first."""
    parts = [_write_digits(template, values[i : i + _CHUNK_FRAMES]) for i in range(0, len(values), _CHUNK_FRAMES)]
    return b"[" + b"".join(parts)[1:] + b"]"


def recording_json(recording: Recording, stream: str | None) -> bytes:
    """One sequence of the release: `{"keypoints": ..., "scores": ..., "annotations": ..., "metadata": ...}`.

    Parameters
    ----------
    recording : two animals of seven keypoints inside a frame of at most 10,000 px, none missing; with confidence.
    stream : the label stream to write, or None for a recording without annotations.

    Coordinates are rounded to 0.01 px, scores to 0.001.
    """
    assert recording.confidence is not None and np.isfinite(recording.keypoints).all()
    frames = recording.num_frames
    # The release has x and y before the keypoints.
    pixels = np.rint(np.swapaxes(recording.keypoints, 2, 3).reshape(frames, 28) * 100)
    scores = np.rint(recording.confidence.reshape(frames, 14) * 1000)
    parts = [b'{"keypoints":', _rows(_keypoints_template(), pixels), b',"scores":', _rows(_scores_template(), scores)]
    metadata: dict[str, object] = {}
    if stream is not None:
        labels = recording.labels[stream]
        parts += [b',"annotations":', _rows(",#", labels.frames[:, None])]
        vocabulary = {name: number for number, name in enumerate(labels.vocabulary)}
        metadata = {"annotator-id": int(labels.annotator), "vocab": vocabulary}
    return b"".join([*parts, b',"metadata":', json.dumps(metadata).encode(), b"}"])
