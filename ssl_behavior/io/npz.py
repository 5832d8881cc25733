"""Reader and writer of the generic `.npz`: one recording as plain numpy arrays, for tracks of any origin.

Keys: `keypoints` float [time, individual, keypoint, space=2], pixels, NaN = missing; `keypoint_names` [keypoint];
`fps`, a number. Optional: `confidence` [time, individual, keypoint], `individuals` [individual] names, `id`,
`subset`, `resolution_px` (width, height), `px_per_cm`, `skeleton` (JSON text of a skeleton), `times` [time], seconds of
each frame from the start of the video (then `fps` may be left out; irregular ones are resampled), and for each label
stream `labels__STREAM` int [time] (-1 = not annotated), `vocabulary__STREAM` names, and the names
`background__STREAM` and `annotator__STREAM`.
"""

import json
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file
from ssl_behavior.io.reader_helpers import (
    NPZ_PAGE,
    ReadOptions,
    check_file,
    frame_numbers,
    id_from_name,
    is_text,
    measured_times,
    numbers_with,
    same_clock,
    to_float32,
)
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import Skeleton, choose_skeleton

__all__ = ["load_arrays", "member_names", "read_npz", "sniff_npz", "write_npz"]

_FAILURES = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, KeyError, TypeError, MemoryError,
             RuntimeError, NotImplementedError, SyntaxError, OverflowError, tokenize.TokenError)  # fmt: skip
"""What numpy and zipfile raise on damaged files."""
_KEYS = (
    "keypoints", "keypoint_names", "fps", "confidence", "individuals", "id", "subset", "resolution_px", "px_per_cm",
    "skeleton", "times",
)  # fmt: skip
_STREAM_KEYS = ("labels", "vocabulary", "background", "annotator")


def member_names(path: Path) -> list[str]:
    """Names of the arrays of a `.npz`; [] for any other file."""
    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _FAILURES:
        return []
    return [name.removesuffix(".npy") for name in names] if all(name.endswith(".npy") for name in names) else []


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a `.npz`, without pickles.

    Raises
    ------
    InputError
        If the file is damaged or holds objects.
    """
    check_file(path)
    try:
        with warnings.catch_warnings(action="ignore"), np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except _FAILURES as error:
        if "allow_pickle" in str(error):
            raise InputError(
                f"{path}: one of its arrays holds Python objects; save names as text, for example "
                f"keypoint_names=np.array(names, dtype=str); see {NPZ_PAGE}"
            ) from None
        raise InputError(f"{path}: damaged .npz ({type(error).__name__}: {error})"[:300]) from None
    others = [key for key, value in arrays.items() if not isinstance(value, np.ndarray)]
    if others:
        raise InputError(f"{path}: its members {others[:5]} are no arrays; expected a .npz of plain arrays")
    return arrays


def sniff_npz(path: Path) -> bool:
    """Whether the file is a zip of `.npy` members."""
    return bool(member_names(path))


def read_npz(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a generic `.npz`.

    Raises
    ------
    InputError
        If a key is missing or unknown, an array has another shape, or fps is neither in the file nor given.
    """
    contents = _Contents(path)
    names = contents.names("keypoint_names")
    skeleton, order = choose_skeleton(names, options.skeleton or contents.skeleton(), str(path))
    keypoints = contents.numbers("keypoints", 4)
    if keypoints.shape[2:] != (len(names), 2):
        raise contents.error(
            f"keypoints must have shape [time, individual, keypoint={len(names)}, space=2], got {list(keypoints.shape)}"
        )
    individuals = contents.names("individuals") or [f"animal{i}" for i in range(keypoints.shape[1])]
    own_id = contents.text("id")
    fps, times = contents.clock(len(keypoints), options)
    yield Recording(
        id=options.prefix + own_id if own_id else id_from_name(path, options.prefix),
        keypoints=to_float32(keypoints[:, :, order]),
        confidence=contents.confidence(keypoints.shape, order),
        fps=fps,
        skeleton=skeleton,
        individuals=tuple(individuals),
        labels=contents.labels(),
        subset=contents.text("subset"),
        source=str(path),
        resolution_px=contents.resolution(),
        px_per_cm=contents.number("px_per_cm"),
        times=times,
    )


class _Contents:
    """Arrays of a generic `.npz`, each checked on access."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.arrays = load_arrays(path)
        for key in self.arrays:
            kind, separator, stream = key.partition("__")
            if key not in _KEYS and not (separator and stream and kind in _STREAM_KEYS):
                raise self.error(
                    f"unknown array {key!r}; known: {', '.join(_KEYS)}, labels__STREAM, vocabulary__STREAM; "
                    f"see {NPZ_PAGE}"
                )
        missing = [key for key in ("keypoints", "keypoint_names") if key not in self.arrays]
        if missing:
            raise self.error(f"it lacks the arrays {missing}; it has {sorted(self.arrays)}; see {NPZ_PAGE}")

    def error(self, sentence: str) -> InputError:
        return InputError(f"{self.path}: {sentence}")

    def numbers(self, key: str, ndim: int) -> np.ndarray:
        array = self.arrays[key]
        if array.dtype.kind not in "fiu" or array.ndim != ndim:
            raise self.error(f"{key} must be {numbers_with(ndim)}, got {array.dtype} {list(array.shape)}")
        return array

    def names(self, key: str) -> list[str]:
        array = self.arrays.get(key, np.empty(0, dtype=str))
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8", "replace")
        if not is_text(array) or array.ndim != 1:
            raise self.error(f"{key} must be a list of names, got {array.dtype} {list(array.shape)}")
        return [str(name) for name in array]

    def text(self, key: str) -> str:
        array = self.arrays.get(key, np.array(""))
        if not is_text(array) or array.shape != ():
            raise self.error(f"{key} must be one text, got {array.dtype} {list(array.shape)}")
        return str(array)

    def number(self, key: str) -> float | None:
        return float(self.numbers(key, 0)) if key in self.arrays else None

    def clock(self, num_frames: int, options: ReadOptions) -> tuple[float, np.ndarray | None]:
        """Frame rate, and measured times of the frames, see `measured_times`."""
        fps = self.number("fps") if options.fps is None else options.fps
        if "times" not in self.arrays:
            if fps is None:
                raise self.error("it has no fps; add this number to the file, or pass it as `fps`")
            return fps, None
        times = self.numbers("times", 1)
        if len(times) != num_frames:
            raise self.error(f"times must be one number for each frame, {num_frames} in all, got {len(times)}")
        numbers, rate = frame_numbers(times, self.path, options.keep_times, fps)
        rows = np.arange(num_frames)
        if not options.keep_times and (numbers != rows).any():
            first = int(np.flatnonzero(numbers != rows)[0])
            where = f"its times have a hole before frame {first}, at {times[first]:g} s"
            raise self.error(
                (where if first else f"its first frame is at {times[0]:g} s, not at 0 s")
                + ": pass a frame rate to resample it to, e.g. `resample=30`, or add the missing frames as NaN"
            )
        if options.fps is None and fps and rate and not same_clock(rate, fps):
            raise self.error(
                f"its fps is {fps:g}, but its times are usually {1 / rate:g} s apart, which is {rate:g} frames per "
                "second; correct one of them, or leave fps out"
            )
        fps = fps or rate
        if fps is None:
            raise self.error("it has one frame and no fps; add this number to the file, or pass it as `fps`")
        return fps, measured_times(times, rows, rate, fps, self.path, options)

    def resolution(self) -> tuple[float, float] | None:
        if "resolution_px" not in self.arrays:
            return None
        size = self.numbers("resolution_px", 1)
        if len(size) != 2 or not (np.isfinite(size) & (size > 0)).all():
            raise self.error(f"resolution_px must be (width, height), got {size[:8].tolist()}")
        return float(size[0]), float(size[1])

    def confidence(self, shape: tuple[int, ...], order: list[int]) -> np.ndarray | None:
        if "confidence" not in self.arrays:
            return None
        confidence = self.numbers("confidence", 3)
        if confidence.shape != shape[:3]:
            raise self.error(f"confidence must have shape {list(shape[:3])}, got {list(confidence.shape)}")
        return to_float32(confidence[:, :, order])

    def skeleton(self) -> Skeleton | None:
        text = self.text("skeleton")
        try:
            values = json.loads(text) if text else None
        except (json.JSONDecodeError, RecursionError) as error:
            raise self.error(f"skeleton is not JSON ({error})") from None
        if values is None:
            return None
        if not isinstance(values, dict):
            raise self.error("skeleton must be a JSON object")
        return Skeleton.from_dict(values, source=f"{self.path}: skeleton")

    def labels(self) -> dict[str, Labels]:
        streams = [key.partition("__")[2] for key in self.arrays if key.startswith("labels__")]
        return {stream: self._stream(stream) for stream in streams}

    def _stream(self, stream: str) -> Labels:
        try:
            return Labels(
                vocabulary=tuple(self.names(f"vocabulary__{stream}")),
                frames=self.numbers(f"labels__{stream}", 1),
                annotator=self.text(f"annotator__{stream}"),
                background=self.text(f"background__{stream}"),
            )
        except InputError as error:
            raise error if str(self.path) in str(error) else self.error(f"labels__{stream}: {error}") from None


def write_npz(path: Path, recording: Recording) -> None:
    """Write a recording as a generic `.npz`, atomically; `read_npz` gives the same back.

    Raises
    ------
    InputError
        If the disk is full, the place is not writable, or the recording has labels with agents and targets.
    """
    if recording.pair_labels:
        raise InputError(
            f"recording {recording.id!r} has labels with agents and targets ({', '.join(recording.pair_labels)}), "
            "which `.npz` cannot hold; write a store, or leave them out"
        )
    values: dict[str, Any] = {
        "id": recording.id,
        "keypoints": recording.keypoints,
        "keypoint_names": list(recording.skeleton.keypoints),
        "individuals": list(recording.individuals),
        "fps": recording.fps,
        "times": recording.times,
        "subset": recording.subset,
        "skeleton": json.dumps(recording.skeleton.to_dict()),
        "confidence": recording.confidence,
        "resolution_px": recording.resolution_px,
        "px_per_cm": recording.px_per_cm,
    }
    for stream, labels in recording.labels.items():
        values[f"labels__{stream}"] = labels.frames
        values[f"vocabulary__{stream}"] = list(labels.vocabulary)
        values[f"background__{stream}"] = labels.background
        values[f"annotator__{stream}"] = labels.annotator
    arrays = {key: np.asarray(value) for key, value in values.items() if value is not None}
    with atomic_file(Path(path)) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
