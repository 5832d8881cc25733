"""Readers of SLEAP: `.slp` (labels and predictions) and the analysis `.h5`, both with h5py alone.

A `.slp` file holds tables. `frames`: each labeled frame, its video and number, and its range of rows of `instances`.
`instances`: each animal in a frame, whether a person (0) or the network (1) placed it, its track, and its range of
rows of `points` or `pred_points`. The JSON of `metadata` names the nodes. Before format 1.1, coordinates counted from
the corner of the first pixel instead of its center. A person's instance replaces a predicted one of the same track.

An analysis `.h5` holds `tracks` [track, xy, node, frame], or another order of these axes that its attribute `dims`
or the axes' lengths tell, with `track_names`, `node_names` and `point_scores`. It states no frame rate.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import h5py
import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.hdf5 import blocks, decoded_json, json_texts, numbers, open_hdf5, sniff_hdf5, table, texts
from ssl_behavior.io.reader_helpers import (
    ReadOptions,
    empty_tracks,
    frames_in_file,
    in_order,
    note_fragments,
    note_gaps,
    recording_id,
    stated_fps,
)
from ssl_behavior.recording import Recording, observed_points
from ssl_behavior.skeleton import choose_skeleton

__all__ = ["read_sleap_h5", "read_slp", "sniff_sleap_h5", "sniff_slp"]

_USER, _PREDICTED = 0, 1
_SUFFIX = r"\.(predictions|analysis)"
_JOIN = "Join them in SLEAP (proofread the tracks, or track again with a target number of instances)"
_FRAMES = ("video", "frame_idx", "instance_id_start", "instance_id_end")
_INSTANCES = ("instance_type", "track", "point_id_start", "point_id_end")
_BLOCK_INSTANCES = 1 << 16


def sniff_slp(path: Path) -> bool:
    """Whether the file is HDF5 with SLEAP's tables."""
    return sniff_hdf5(path, "frames", "instances", "pred_points")


def sniff_sleap_h5(path: Path) -> bool:
    """Whether the file is HDF5 with SLEAP's analysis arrays."""
    return sniff_hdf5(path, "tracks", "node_names")


@dataclass(frozen=True)
class _Instances:
    """Instances of one video. All arrays [instance], in the file's order."""

    frame: np.ndarray
    track: np.ndarray
    predicted: np.ndarray
    first_point: np.ndarray

    def of(self, chosen: np.ndarray) -> "_Instances":
        return _Instances(self.frame[chosen], self.track[chosen], self.predicted[chosen], self.first_point[chosen])


def read_slp(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The recordings of a `.slp`, one for each video with instances; tracks are individuals, in the file's order.

    Raises
    ------
    InputError
        If the file is damaged, has no instances, several animals without tracks, several skeletons, or no frame rate.
    """
    with open_hdf5(path) as file:
        nodes, shift = _nodes(file, path)
        names = [_track_name(value, path) for value in json_texts(file, "tracks_json", path)]
        videos = json_texts(file, "videos_json", path)
        by_video = _instances(file, len(nodes), len(names), path)
        if not by_video:
            raise InputError(f"{path}: it has no instances (0 labeled frames): run the prediction, then save again")
        for number, instances in by_video.items():
            video = _video(videos, number)
            yield _slp_recording(file, instances, nodes, names, shift, video, len(by_video) > 1, path, options)


def _nodes(file: h5py.File, path: Path) -> tuple[list[str], float]:
    """Names of the skeleton's nodes in the order of an instance's points, and the shift of coordinates in px."""
    attributes = file["metadata"].attrs if "metadata" in file else {}
    text = attributes.get("json", b"")
    values = decoded_json(
        text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text), f"{path}: metadata"
    )
    version = float(attributes.get("format_id", 1.0))
    if not version < 3:
        raise InputError(f"{path}: SLEAP format {version:g} is newer than this reader; export an analysis .h5 instead")
    try:
        skeletons = values["skeletons"]
        if len(skeletons) != 1:
            raise InputError(f"{path}: it has {len(skeletons)} skeletons; only files with one skeleton are read")
        order = [node["id"] for node in skeletons[0]["nodes"]]
        names = [values["nodes"][node]["name"] if isinstance(node, int) else node["name"] for node in order]
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path}: its metadata name no skeleton ({error!r}): save the file again in SLEAP") from None
    return [str(name) for name in names], -0.5 if version < 1.1 else 0.0


def _track_name(value: Any, path: Path) -> str:
    if not (isinstance(value, list) and len(value) >= 2):
        raise InputError(f"{path}: tracks_json must hold [number, name] for each track, got {str(value)[:80]}")
    return str(value[1])


def _instances(file: h5py.File, num_nodes: int, num_tracks: int, path: Path) -> dict[int, _Instances]:
    """Instances of each video, checked: all row numbers are in their tables."""
    frames = table(file, "frames", _FRAMES, path)[()]
    rows = table(file, "instances", _INSTANCES, path)[()]
    first, last = (frames[name].astype(np.int64) for name in ("instance_id_start", "instance_id_end"))
    many = last - first
    if (first < 0).any() or (many < 0).any() or (last > len(rows)).any() or many.sum() > len(rows):
        raise InputError(f"{path}: its frames name instances that are not in the file: it is cut off or damaged")
    picked = np.repeat(first - np.cumsum(many) + many, many) + np.arange(int(many.sum()))
    rows = rows[picked]
    kind, track = rows["instance_type"].astype(np.int64), rows["track"].astype(np.int64)
    start, end = (rows[name].astype(np.int64) for name in ("point_id_start", "point_id_end"))
    num_points = np.where(kind == _USER, _num_rows(file, "points", path), _num_rows(file, "pred_points", path))
    if not np.isin(kind, (_USER, _PREDICTED)).all() or (end - start != num_nodes).any():
        raise InputError(f"{path}: an instance has no {num_nodes} points, one for each node: the file is damaged")
    if (start < 0).any() or (end > num_points).any() or (track >= num_tracks).any():
        raise InputError(f"{path}: its instances name points or tracks that are not in the file: it is cut off")
    number = np.repeat(frames["frame_idx"].astype(np.int64), many)
    if (number < 0).any() or (number > 1 << 40).any():
        raise InputError(
            f"{path}: a frame number is {int(number[(number < 0) | (number > 1 << 40)][0])}; it is damaged"
        )
    video = np.repeat(frames["video"].astype(np.int64), many)
    everything = _Instances(number, np.maximum(track, -1), kind == _PREDICTED, start)
    return {int(v): everything.of(video == v) for v in np.unique(video)}


def _num_rows(file: h5py.File, name: str, path: Path) -> int:
    return int(table(file, name, ("x", "y", "visible"), path).shape[0]) if name in file else 0


def _video(videos: list[Any], number: int) -> dict[str, Any]:
    """What the file says of a video: name, shape, fps."""
    video = videos[number] if 0 <= number < len(videos) else {}
    video = video if isinstance(video, dict) else {}
    backend = video.get("backend")
    return video | (backend if isinstance(backend, dict) else {}) | {"number": number}


def _slp_recording(
    file: h5py.File, instances: _Instances, nodes: list[str], names: list[str], shift: float,
    video: dict[str, Any], several: bool, path: Path, options: ReadOptions,
) -> Recording:  # fmt: skip
    notes: list[str] = []
    instances, names = _tracked(instances, names, path, notes)
    skeleton, order = choose_skeleton(nodes, options.skeleton, str(path))
    num_frames = int(instances.frame.max()) + 1
    keypoints, confidence = empty_tracks(num_frames, len(names), len(nodes), path, f"{_JOIN}, or export a shorter part")
    for chosen, points in ((True, "pred_points"), (False, "points")):
        _place_points(file, points, instances.of(instances.predicted == chosen), shift, keypoints, confidence, path)
    notes += note_gaps(int(instances.frame.min()), len(np.unique(instances.frame)), num_frames)
    notes += _about_tracks(instances, names)
    own = recording_id(path, options, _SUFFIX)
    return Recording(
        id=f"{own}/{_video_name(video)}" if several else own,
        keypoints=in_order(keypoints, order),
        confidence=in_order(confidence, order),
        fps=stated_fps(options, _number(video.get("fps")), path, "SLEAP file", notes),
        skeleton=skeleton,
        individuals=tuple(names),
        source=str(path),
        resolution_px=_resolution(video),
        notes=tuple(notes),
        in_file=frames_in_file(instances.frame, len(keypoints)),
    )


def _video_name(video: dict[str, Any]) -> str:
    return f"{video['number']}_{PureWindowsPath(str(video.get('filename', ''))).stem}".rstrip("_")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _resolution(video: dict[str, Any]) -> tuple[float, float] | None:
    shape = video.get("shape")
    if isinstance(shape, list) and len(shape) == 4 and all(isinstance(n, int) and n > 0 for n in shape):
        return float(shape[2]), float(shape[1])
    return None


def _tracked(instances: _Instances, names: list[str], path: Path, notes: list[str]) -> tuple[_Instances, list[str]]:
    """Instances numbered by used tracks, and the tracks' names; without tracks, one animal."""
    untracked = instances.track < 0
    if untracked.all():
        kept = _unreplaced(instances)
        _, many = np.unique(kept.frame, return_counts=True)
        if many.max() > 1:
            raise InputError(
                f"{path}: up to {many.max()} instances in a frame, but no tracks, so nobody knows which is which: "
                "track them in SLEAP, then save again"
            )
        return _Instances(kept.frame, np.zeros_like(kept.track), kept.predicted, kept.first_point), ["animal0"]
    if untracked.any():
        notes.append(f"left out {int(untracked.sum())} instances without a track, of {len(untracked)}")
    instances = instances.of(~untracked)
    used, track = np.unique(instances.track, return_inverse=True)
    if len(used) < len(names):
        notes.append(f"left out {len(names) - len(used)} tracks without instances, of {len(names)}")
    chosen = [names[number] for number in used]
    if len(set(chosen)) < len(chosen):
        chosen = [f"{names[number]}_{number}" if chosen.count(names[number]) > 1 else names[number] for number in used]
        notes.append("several tracks have one name; their numbers were added")
    place = instances.frame * len(used) + track
    twice = sum(len(place[instances.predicted == p]) - len(np.unique(place[instances.predicted == p])) for p in (0, 1))
    if twice:
        notes.append(f"{twice} instances share frame and track with another one; the last in the file is kept")
    return _Instances(instances.frame, track, instances.predicted, instances.first_point), chosen


def _unreplaced(instances: _Instances) -> _Instances:
    """Instances without the predicted ones of frames that a person labeled."""
    by_hand = np.isin(instances.frame, instances.frame[~instances.predicted])
    return instances.of(~(by_hand & instances.predicted))


def _place_points(
    file: h5py.File, name: str, instances: _Instances, shift: float,
    keypoints: np.ndarray, confidence: np.ndarray, path: Path,
) -> None:  # fmt: skip
    """Write the points of `instances` into the arrays, reading a block of instances at a time."""
    columns = ("x", "y", "visible") + (("score",) if name == "pred_points" else ())
    if len(instances.frame) == 0:
        return
    points = table(file, name, columns, path)
    num_nodes = keypoints.shape[2]
    # Rows in order of their points are read with one slice for each block, whatever their order in the file.
    order = np.argsort(instances.first_point, kind="stable")
    for block in blocks(len(order), _BLOCK_INSTANCES):
        rows = np.sort(order[block])
        start = instances.first_point[rows]
        low, high = int(start.min()), int(start.max()) + num_nodes
        values = points[low:high]
        at = (start - low)[:, None] + np.arange(num_nodes)
        xy = np.stack([values["x"][at], values["y"][at]], axis=-1)
        xy = np.where(values["visible"][at].astype(bool)[..., None], xy + shift, np.nan)
        where = instances.frame[rows], instances.track[rows]
        with np.errstate(over="ignore"):
            keypoints[where] = xy
            confidence[where] = values["score"][at] if name == "pred_points" else 1.0


def _about_tracks(instances: _Instances, names: list[str]) -> list[str]:
    place = np.unique(instances.frame * len(names) + instances.track)
    present = np.bincount(place % len(names), minlength=len(names))
    _, at_once = np.unique(place // len(names), return_counts=True)
    return note_fragments(names, present, int(at_once.max()), _JOIN)


def read_sleap_h5(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of an analysis `.h5`; tracks are individuals.

    Raises
    ------
    InputError
        If the file is damaged, its axes do not fit its names, it has no tracks, or `fps` is not given.
    """
    notes: list[str] = []
    with open_hdf5(path) as file:
        nodes, names = texts(file, "node_names", path), texts(file, "track_names", path)
        tracks = numbers(file, "tracks", 4, path)
        axes = _axes(tracks, len(nodes), len(names), path)
        names = names or [f"animal{i}" for i in range(tracks.shape[axes[1]])]
        skeleton, order = choose_skeleton(nodes, options.skeleton, str(path))
        num_frames = tracks.shape[axes[0]]
        keypoints, confidence = empty_tracks(num_frames, len(names), len(nodes), path, f"{_JOIN}, then export again")
        scores = numbers(file, "point_scores", 3, path) if "point_scores" in file else None
        _read_axes(tracks, axes, keypoints)
        if scores is not None:
            _read_axes(scores, _score_axes(scores, axes, tracks, path), confidence)
    present = observed_points(keypoints).any(axis=2)
    notes += note_fragments(names, present.sum(axis=0), int(present.sum(axis=1).max()), _JOIN)
    yield Recording(
        id=recording_id(path, options, _SUFFIX),
        keypoints=in_order(keypoints, order),
        confidence=None if scores is None else in_order(confidence, order),
        fps=stated_fps(options, None, path, "SLEAP analysis file", notes),
        skeleton=skeleton,
        individuals=tuple(names),
        source=str(path),
        notes=tuple(notes),
    )


def _axes(tracks: h5py.Dataset, num_nodes: int, num_tracks: int, path: Path) -> tuple[int, ...]:
    """Axes of (frame, track, node, xy): as the attribute `dims` says, else the order that fits the names."""
    shape, words = tracks.shape, ("frame", "track", "node", "xy")
    try:
        named = json.loads(tracks.attrs.get("dims", "[]"))
    except (ValueError, TypeError, RecursionError):
        named = []
    orders: list[tuple[int, ...]] = [(3, 0, 2, 1), (0, 3, 1, 2), (0, 1, 2, 3)]
    if isinstance(named, list) and sorted(map(str, named)) == sorted(words):
        orders = [tuple(named.index(word) for word in words)]
    for order in orders:
        sizes = tuple(shape[axis] for axis in order)
        if sizes[2:] == (num_nodes, 2) and (sizes[1] == num_tracks or (num_tracks == 0 and sizes[1] == 1)):
            return order
    raise InputError(
        f"{path}: tracks have shape {list(shape)}, which fits neither [track, xy, node, frame] nor [frame, node, xy, "
        f"track] with {num_tracks} track names and {num_nodes} node names: export it again"
    )


def _score_axes(scores: h5py.Dataset, axes: tuple[int, ...], tracks: h5py.Dataset, path: Path) -> tuple[int, ...]:
    """Axes of (frame, track, node) in the scores, whose axes have the order of the tracks' ones without xy."""
    order = tuple(axis - (axis > axes[3]) for axis in axes[:3])
    expected = [tracks.shape[axis] for axis in range(4) if axis != axes[3]]
    if list(scores.shape) != expected:
        raise InputError(f"{path}: point_scores must have shape {expected}, got {list(scores.shape)}")
    return order


def _read_axes(dataset: h5py.Dataset, axes: tuple[int, ...], out: np.ndarray) -> None:
    """Read a dataset into `out`, whose axes are `axes` of the dataset, a block of frames at a time."""
    for block in blocks(len(out)):
        place = tuple(block if axis == axes[0] else slice(None) for axis in range(dataset.ndim))
        with np.errstate(over="ignore", invalid="ignore"):
            out[block] = dataset[place].transpose(axes)
