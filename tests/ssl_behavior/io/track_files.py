"""Small files of other tools' formats, written from their documented layouts with h5py alone."""

import json

import h5py
import numpy as np

FRAMES = np.dtype(
    [("frame_id", "<u8"), ("video", "<u4"), ("frame_idx", "<u8"), ("instance_id_start", "<u8"),
     ("instance_id_end", "<u8")]
)  # fmt: skip
INSTANCES = np.dtype(
    [("instance_id", "<i8"), ("instance_type", "u1"), ("frame_id", "<u8"), ("skeleton", "<u4"), ("track", "<i4"),
     ("from_predicted", "<i8"), ("score", "<f4"), ("point_id_start", "<u8"), ("point_id_end", "<u8"),
     ("tracking_score", "<f4")]
)  # fmt: skip
POINTS = np.dtype([("x", "<f8"), ("y", "<f8"), ("visible", "?"), ("complete", "?")])
PRED_POINTS = np.dtype([*POINTS.descr, ("score", "<f8")])
RAT_PARTS = ("top", "body", "tail", "tail-m", "tail-e")


def sleap_tables(values, frame_numbers=None, tracks=None, video=0):
    """Tables of predicted instances, from [time, individual, keypoint, (x, y, score)]; an all-NaN animal is absent."""
    frame_numbers = range(len(values)) if frame_numbers is None else frame_numbers
    tracks = list(range(values.shape[1])) if tracks is None else tracks
    frames, instances, points = [], [], []
    for row, number in enumerate(frame_numbers):
        first = len(instances)
        for animal, track in enumerate(tracks):
            if np.isnan(values[row, animal, :, 0]).all():
                continue
            start = len(points)
            points += [(x, y, True, False, score) for x, y, score in values[row, animal]]
            instances.append((len(instances), 1, row, 0, track, -1, 1.0, start, len(points), 1.0))
        frames.append((row, video, number, first, len(instances)))
    return np.array(frames, FRAMES), np.array(instances, INSTANCES), np.array(points, PRED_POINTS)


def write_slp(
    path, values, parts=RAT_PARTS, names=None, fps=25.0, format_id=1.2, tables=None, users=None, videos=1, **kwargs
):
    """`users` : rows of `points`, or None for no points by hand."""
    frames, instances, points = sleap_tables(values, **kwargs) if tables is None else tables
    names = [f"track_{i}" for i in range(values.shape[1])] if names is None else names
    skeleton = {"nodes": [{"id": i} for i in range(len(parts))], "links": [], "graph": {"name": "s"}, "directed": True,
                "multigraph": True}  # fmt: skip
    metadata = {"version": "2.0.0", "skeletons": [skeleton], "nodes": [{"name": n, "weight": 1.0} for n in parts]}
    metadata |= {"videos": [], "tracks": [], "suggestions": [], "negative_anchors": {}, "provenance": {}}
    backend = {"type": "MediaVideo", "shape": [100, 480, 640, 1], "grayscale": True, "bgr": True, "fps": fps}
    shown = [{"filename": f"v{i}.mp4", "backend": backend | {"filename": f"v{i}.mp4"}} for i in range(videos)]
    with h5py.File(path, "w") as file:
        group = file.create_group("metadata")
        group.attrs["format_id"], group.attrs["json"] = format_id, np.bytes_(json.dumps(metadata))
        file["frames"], file["instances"], file["pred_points"] = frames, instances, points
        file["points"] = np.zeros(0, POINTS) if users is None else users
        file["videos_json"] = np.array([json.dumps(v) for v in shown], dtype="S")
        tracks = np.array([json.dumps([0, name]) for name in names], dtype="S")
        file.create_dataset("tracks_json", data=tracks if len(names) else np.zeros(0))
        file["suggestions_json"] = np.zeros(0)
    return path


def write_sleap_h5(path, values, parts=RAT_PARTS, names=None, order="matlab", dims=False):
    """`order` : "matlab" [track, xy, node, frame], "plain" [frame, node, xy, track], "standard"."""
    axes = {"matlab": (1, 3, 2, 0), "plain": (0, 2, 3, 1), "standard": (0, 1, 2, 3)}[order]
    words = ("frame", "track", "node", "xy")
    names = [f"track_{i}" for i in range(values.shape[1])] if names is None else names
    with h5py.File(path, "w") as file:
        file["tracks"] = values[..., :2].transpose(axes)
        without_xy = [axis for axis in axes if axis != 3]
        file["point_scores"] = values[..., 2].transpose(without_xy)
        file["node_names"] = np.array(parts, dtype="S")
        file["track_names"] = np.array(names, dtype="S") if names else np.zeros(0)
        file["track_occupancy"] = np.isfinite(values[..., 0]).any(axis=2).astype(np.uint8)
        if dims:
            file["tracks"].attrs["dims"] = json.dumps([words[axis] for axis in axes])
    return path


def write_jabs(path, values, version, ids=None, count=None, mask=None, attributes=None):
    """`values` [time, detection, keypoint=12, (x, y, confidence)], NaN = not found; `ids` [time, detection]."""
    found = np.isfinite(values[..., 0])
    points = np.where(found[..., None], np.nan_to_num(values[..., 1::-1]).round(), 0).astype(np.uint16)
    confidence = np.where(found, values[..., 2], 0).astype(np.float32)
    with h5py.File(path, "w") as file:
        pose = file.create_group("poseest")
        if version == 2:
            pose["points"], pose["confidence"] = points[:, 0], confidence[:, 0]
            return path
        pose.attrs["version"] = np.array([version, 0], dtype=np.uint16)
        pose["points"], pose["confidence"] = points, confidence
        count = found.any(axis=2).sum(axis=1) if count is None else count
        pose["instance_count"] = np.asarray(count, dtype=np.uint8)
        ids = np.asarray(ids)
        if version == 3:
            pose["instance_track_id"] = ids.astype(np.uint32)
        else:
            pose["instance_embed_id"] = ids.astype(np.uint32)
            pose["id_mask"] = np.asarray(ids == 0 if mask is None else mask)
            pose["instance_id_center"] = np.zeros((int(ids[~pose["id_mask"][()]].max(initial=0)), 4))
        pose.attrs.update(attributes or {})
    return path
