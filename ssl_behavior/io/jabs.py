"""Reader of JABS pose files, `*_pose_est_vN.h5` of versions 2 to 6 (later ones hold the same datasets).

`poseest/points` holds (y, x) as whole pixels, `poseest/confidence` 0 for a point that was not found. Version 2 has one
mouse: [time, keypoint]. Later versions have one row for each detection, [time, detection, keypoint], and say which
mouse a detection is. Version 3: `instance_track_id` for the first `instance_count` detections; a track ends when the
mouse is lost. Version 4 on: `instance_embed_id`, 1 to the number of rows of `instance_id_center`, where `id_mask` is
false. The content decides, since `version` is not always kept up. Versions 5 and 6 may add the scale, `cm_per_pixel`.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.hdf5 import blocks, numbers, open_hdf5, sniff_hdf5
from ssl_behavior.io.reader_helpers import ReadOptions, empty_tracks, in_order, note_fragments, recording_id, stated_fps
from ssl_behavior.recording import Recording, observed_points
from ssl_behavior.skeleton import choose_skeleton

__all__ = ["KEYPOINTS", "read_jabs", "sniff_jabs"]

KEYPOINTS = (
    "NOSE", "LEFT_EAR", "RIGHT_EAR", "BASE_NECK", "LEFT_FRONT_PAW", "RIGHT_FRONT_PAW", "CENTER_SPINE",
    "LEFT_REAR_PAW", "RIGHT_REAR_PAW", "BASE_TAIL", "MID_TAIL", "TIP_TAIL",
)  # fmt: skip
"""The keypoints of every version, in the files' order; the files do not name them."""

_NOBODY = -1
_JOIN = "Version 4 of the pose file, which JABS writes from this one, joins them"


def sniff_jabs(path: Path) -> bool:
    """Whether the file is HDF5 with JABS's points."""
    return sniff_hdf5(path, "poseest/points")


def read_jabs(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a JABS pose file.

    Raises
    ------
    InputError
        If the file is damaged, a dataset is absent or of another shape, it has no mouse, or no frame rate is known.
    """
    notes: list[str] = []
    with open_hdf5(path) as file:
        pose = file["poseest"]
        _check_points(pose, path)
        identity, names = _identities(pose, path, notes)
        skeleton, order = choose_skeleton(KEYPOINTS, options.skeleton, str(path))
        keypoints, confidence = empty_tracks(len(identity), len(names), len(KEYPOINTS), path, _JOIN)
        _read_points(pose, identity, keypoints, confidence)
        fps = _attribute(file, pose, "fps")
        cm_per_pixel = _attribute(file, pose, "cm_per_pixel")
    present = observed_points(keypoints).any(axis=2)
    notes += note_fragments(names, present.sum(axis=0), int(present.sum(axis=1).max()), _JOIN)
    scaled = cm_per_pixel is not None and np.isfinite(cm_per_pixel) and cm_per_pixel > 0
    if cm_per_pixel is not None and not scaled:
        notes.append(f"cm_per_pixel is {cm_per_pixel:g} in the file, no scale; `px_per_cm` gives one")
    if np.fmax.reduce(confidence, axis=None) > 1:
        notes.append("confidence is no probability in JABS files: it goes beyond 1")
    yield Recording(
        id=recording_id(path, options, r"_pose_est_v\d+"),
        keypoints=in_order(keypoints, order),
        confidence=in_order(confidence, order),
        fps=stated_fps(options, fps, path, "JABS pose file", notes),
        skeleton=skeleton,
        individuals=tuple(names),
        source=str(path),
        px_per_cm=1 / cm_per_pixel if cm_per_pixel is not None and scaled else None,
        notes=tuple(notes),
    )


def _check_points(pose: h5py.Group, path: Path) -> None:
    ndim = max(1, pose["points"].ndim)
    points, scores = numbers(pose, "points", ndim, path), numbers(pose, "confidence", ndim - 1, path)
    if ndim not in (3, 4) or points.shape[-2:] != (len(KEYPOINTS), 2) or scores.shape != points.shape[:-1]:
        raise InputError(
            f"{path}: points must have shape [time, (detection,) keypoint={len(KEYPOINTS)}, (y, x)] and confidence the "
            f"same without the last axis, got {list(points.shape)} and {list(scores.shape)}"
        )


def _attribute(file: h5py.File, pose: h5py.Group, name: str) -> float | None:
    value = pose.attrs.get(name, file.attrs.get(name))
    return None if value is None else float(np.asarray(value, dtype=float).reshape(-1)[0])


def _identities(pose: h5py.Group, path: Path, notes: list[str]) -> tuple[np.ndarray, list[str]]:
    """Number of the individual of each detection, int [time, detection], -1 = none, and the individuals' names."""
    points = pose["points"]
    if points.ndim == 3:
        return np.zeros((len(points), 1), dtype=np.int64), ["mouse"]
    shape = points.shape[:2]
    if "instance_embed_id" in pose:
        ids = _whole_numbers(pose, "instance_embed_id", shape, path)
        known = ids > 0
        masked = _whole_numbers(pose, "id_mask", shape, path) > 0 if "id_mask" in pose else ~known
        if "instance_id_center" in pose:
            masked = masked | (ids > len(numbers(pose, "instance_id_center", 2, path)))
        known &= ~masked
        left = int(((ids > 0) & masked).sum())
        if left:
            notes.append(f"left out {left} detections that JABS gave to no mouse, of {int((ids > 0).sum())}")
        word = "mouse"
    elif "instance_track_id" in pose:
        ids = _whole_numbers(pose, "instance_track_id", shape, path)
        count = _whole_numbers(pose, "instance_count", shape[:1], path)
        known, word = np.arange(shape[1]) < count[:, None], "track"
    else:
        raise InputError(
            f"{path}: several detections in a frame, but neither instance_embed_id nor instance_track_id says which "
            f"mouse each is; it has {sorted(pose)}"
        )
    if not known.any():
        raise InputError(f"{path}: no detection belongs to a mouse (0 tracks); there is nothing to read")
    used, numbered = np.unique(ids[known], return_inverse=True)
    identity = np.full(shape, _NOBODY, dtype=np.int64)
    identity[known] = numbered
    _count_repeats(identity, notes)
    return identity, [f"{word}{number}" for number in used]


def _whole_numbers(pose: h5py.Group, name: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    dataset = numbers(pose, name, len(shape), path)
    if dataset.shape != shape or dataset.dtype.kind == "f":
        raise InputError(
            f"{path}: {name} must be whole numbers of shape {list(shape)} like the points, got {dataset.dtype} "
            f"{list(dataset.shape)}"
        )
    return dataset[()].astype(np.int64)


def _count_repeats(identity: np.ndarray, notes: list[str]) -> None:
    ordered = np.sort(identity, axis=1)
    repeats = int(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != _NOBODY)).sum())
    if repeats:
        notes.append(f"{repeats} detections share frame and mouse with another one; the last in the file is kept")


def _read_points(pose: h5py.Group, identity: np.ndarray, keypoints: np.ndarray, confidence: np.ndarray) -> None:
    """Fill the arrays, a block of frames at a time; a point of confidence 0 stays missing."""
    points, scores = pose["points"], pose["confidence"]
    for block in blocks(len(identity)):
        frame, detection = np.nonzero(identity[block] != _NOBODY)
        shape = (*identity[block].shape, len(KEYPOINTS))
        score = scores[block].reshape(shape)[frame, detection].astype(np.float32)
        with np.errstate(over="ignore"):
            yx = points[block].reshape(*shape, 2)[frame, detection].astype(np.float32)
        yx[~(score > 0)] = np.nan
        where = frame + block.start, identity[block][frame, detection]
        keypoints[where] = yx[..., ::-1]
        confidence[where] = score
