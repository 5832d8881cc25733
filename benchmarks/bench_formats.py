"""Speed and peak memory of the readers of other tools' files, beside the bare libraries: a million frames of each.

    python benchmarks/bench_formats.py [--frames 1000000] [--formats slp netcdf ...] [--folder DIR] [--without-library]

Two animals of seven keypoints with confidences. Each read is a process of its own. The library reads every number of
the file into memory and nothing more; where there is none, h5py, NumPy or pandas does. The ceiling reads the raw bytes.
Ratios are of CPU seconds, which a busy machine affects less. Peak memory is from /proc (Linux) and includes the
interpreter and imports, which are given beside it. The last line of stdout is one JSON object.
"""

import argparse
import json
import pickle
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
PARTS = ("nose", "left_ear", "right_ear", "neck", "left_hip", "right_hip", "tail_base")
SECONDS = 3600


def walk(num_frames: int, parts: int = len(PARTS)) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints [time, individual=2, keypoint, 2] in px, and scores [time, individual, keypoint]."""
    rng = np.random.default_rng(0)
    center = 400 + np.cumsum(rng.normal(size=(num_frames, 2, 1, 2)), axis=0)
    return center + rng.normal(size=(num_frames, 2, parts, 2)) * 40, rng.random((num_frames, 2, parts))


def write_slp(path: Path, num_frames: int) -> None:
    keypoints, scores = walk(num_frames)
    frames = np.zeros(
        num_frames,
        [("frame_id", "<u8"), ("video", "<u4"), ("frame_idx", "<u8"), ("instance_id_start", "<u8"),
         ("instance_id_end", "<u8")],
    )  # fmt: skip
    frames["frame_id"] = frames["frame_idx"] = np.arange(num_frames)
    frames["instance_id_start"] = np.arange(num_frames) * 2
    frames["instance_id_end"] = frames["instance_id_start"] + 2
    instances = np.zeros(
        num_frames * 2,
        [("instance_id", "<i8"), ("instance_type", "u1"), ("frame_id", "<u8"), ("skeleton", "<u4"), ("track", "<i4"),
         ("from_predicted", "<i8"), ("score", "<f4"), ("point_id_start", "<u8"), ("point_id_end", "<u8"),
         ("tracking_score", "<f4")],
    )  # fmt: skip
    instances["instance_id"], instances["instance_type"] = np.arange(num_frames * 2), 1
    instances["frame_id"], instances["track"] = np.repeat(np.arange(num_frames), 2), np.tile([0, 1], num_frames)
    instances["from_predicted"], instances["point_id_start"] = -1, np.arange(num_frames * 2) * len(PARTS)
    instances["point_id_end"] = instances["point_id_start"] + len(PARTS)
    plain = [("x", "<f8"), ("y", "<f8"), ("visible", "?"), ("complete", "?")]
    points = np.zeros(scores.size, [*plain, ("score", "<f8")])
    points["x"], points["y"] = keypoints.reshape(-1, 2).T
    points["visible"], points["score"] = True, scores.reshape(-1)
    skeleton = {"nodes": [{"id": i} for i in range(len(PARTS))], "links": [], "directed": True, "multigraph": True}
    metadata = {"version": "2.0.0", "skeletons": [skeleton | {"graph": {"name": "mouse"}}], "videos": [], "tracks": []}
    metadata |= {"nodes": [{"name": name, "weight": 1.0} for name in PARTS], "suggestions": [], "provenance": {}}
    video = {"filename": "x.mp4", "backend": {"filename": "x.mp4", "grayscale": True, "bgr": True, "fps": 30.0}}
    with h5py.File(path, "w") as file:
        group = file.create_group("metadata")
        group.attrs["format_id"], group.attrs["json"] = 1.2, np.bytes_(json.dumps(metadata))
        file["frames"], file["instances"], file["pred_points"] = frames, instances, points
        file["points"], file["suggestions_json"] = np.zeros(0, plain), np.zeros(0)
        file["videos_json"] = np.array([json.dumps(video)], dtype="S")
        file["tracks_json"] = np.array([json.dumps([0, f"track_{i}"]) for i in range(2)], dtype="S")


def write_sleap_h5(path: Path, num_frames: int) -> None:
    keypoints, scores = walk(num_frames)
    with h5py.File(path, "w") as file:
        file.create_dataset("tracks", data=keypoints.transpose(1, 3, 2, 0), compression="gzip", compression_opts=1)
        file.create_dataset("point_scores", data=scores.transpose(1, 2, 0), compression="gzip", compression_opts=1)
        file["node_names"] = np.array(PARTS, dtype="S")
        file["track_names"] = np.array(["track_0", "track_1"], dtype="S")


def write_jabs(path: Path, num_frames: int) -> None:
    keypoints, scores = walk(num_frames, 12)
    with h5py.File(path, "w") as file:
        pose = file.create_group("poseest")
        points = keypoints.clip(0, 65535).astype(np.uint16)[..., ::-1]
        pose.create_dataset("points", data=points, compression="gzip", compression_opts=1)
        pose.create_dataset("confidence", data=scores.astype(np.float32) + 0.1, compression="gzip", compression_opts=1)
        pose["instance_embed_id"] = np.tile(np.array([1, 2], dtype=np.uint32), (num_frames, 1))


def write_netcdf(path: Path, num_frames: int) -> None:
    import xarray

    keypoints, scores = walk(num_frames)
    dims = ("time", "space", "keypoint", "individual")
    xarray.Dataset(
        {"position": (dims, keypoints.transpose(0, 3, 2, 1)),
         "confidence": (("time", "keypoint", "individual"), scores.transpose(0, 2, 1))},
        coords={"time": np.arange(num_frames) / 30, "space": ["x", "y"], "keypoint": list(PARTS),
                "individual": ["a", "b"]},
        attrs={"fps": 30.0, "time_unit": "seconds"},
    ).to_netcdf(path, engine="h5netcdf")  # fmt: skip


def write_nwb(path: Path, num_frames: int) -> None:
    import ndx_pose
    import pynwb

    keypoints, scores = walk(num_frames)
    file = pynwb.NWBFile(session_description="x", identifier="x", session_start_time=datetime(2024, 1, 1, tzinfo=UTC))
    module, skeletons = file.create_processing_module("behavior", "x"), []
    for animal in range(2):
        skeletons.append(ndx_pose.Skeleton(name=f"mouse{animal}_skeleton", nodes=list(PARTS)))
        series = [
            ndx_pose.PoseEstimationSeries(
                name=part, data=keypoints[:, animal, k], confidence=scores[:, animal, k], unit="pixels", rate=30.0,
                starting_time=0.0, reference_frame="top left",
            )
            for k, part in enumerate(PARTS)
        ]  # fmt: skip
        module.add(
            ndx_pose.PoseEstimation(name=f"mouse{animal}", pose_estimation_series=series, skeleton=skeletons[-1])
        )
    module.add(ndx_pose.Skeletons(skeletons=skeletons))
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)


def write_parquet(path: Path, num_frames: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    keypoints, _ = walk(num_frames)
    time_, animal, part = np.indices(keypoints.shape[:3]).reshape(3, -1)
    names = pa.DictionaryArray.from_arrays(part.astype(np.int32), list(PARTS)).cast(pa.string())
    columns = {"video_frame": time_.astype(np.int32), "mouse_id": (animal + 1).astype(np.int8), "bodypart": names}
    x, y = keypoints.reshape(-1, 2).astype(np.float32).T
    parquet.write_table(pa.table(columns | {"x": x, "y": y}), path)


def write_rows(path: Path, head: str, values: np.ndarray) -> None:
    """Text table: the head, then one line a frame, its number first."""
    with path.open("w", encoding="utf-8") as file:
        file.write(head)
        for start in range(0, len(values), 50_000):
            rows = values[start : start + 50_000].tolist()
            file.writelines(f"{n}," + ",".join([f"{v:.4f}" for v in row]) + "\n" for n, row in enumerate(rows, start))


def scored(num_frames: int) -> np.ndarray:
    """float64 [time, individual x keypoint x (x, y, score)]."""
    keypoints, scores = walk(num_frames)
    return np.concatenate([keypoints, scores[..., None]], axis=-1).reshape(num_frames, -1)


def dlc_head() -> list[list[str]]:
    columns = [(animal, part, end) for animal in ("a", "b") for part in PARTS for end in ("x", "y", "likelihood")]
    animals, parts, ends = zip(*columns, strict=True)
    scorer = ["scorer", *["DLC_net"] * len(columns)]
    return [scorer, ["individuals", *animals], ["bodyparts", *parts], ["coords", *ends]]


def write_dlc_csv(path: Path, num_frames: int) -> None:
    write_rows(path, "".join(",".join(row) + "\n" for row in dlc_head()), scored(num_frames))


def write_dlc_h5(path: Path, num_frames: int) -> None:
    """As pandas writes it with `format="table"`, without pandas' tables."""
    table = np.zeros(num_frames, dtype=[("index", "<i8"), ("values_block_0", "<f8", (6 * len(PARTS),))])
    table["index"], table["values_block_0"] = np.arange(num_frames), scored(num_frames)
    names = list(zip(*(row[1:] for row in dlc_head()), strict=True))
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = b"frame_table"
        group["table"] = table
        group["table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(names, protocol=0))


def write_simba(path: Path, num_frames: int) -> None:
    ends = [f"{part}_{animal}_{end}" for animal in (1, 2) for part in PARTS for end in "xyp"]
    write_rows(path, ",".join(["", *ends]) + "\n", scored(num_frames))


def write_boxes(path: Path, num_frames: int) -> None:
    keypoints, _ = walk(num_frames)
    boxes = np.concatenate([keypoints, np.full_like(keypoints, 20.0)], axis=-1)
    sides = ("left_x", "top_y", "width", "height")
    names = [f"{part}-{animal}-{side}" for animal in (1, 2) for part in PARTS for side in sides]
    write_rows(path, ",".join(["Unnamed: 0", *names]) + "\n", boxes.reshape(num_frames, -1))


def write_npz(path: Path, num_frames: int) -> None:
    keypoints, scores = walk(num_frames)
    arrays = {"keypoints": keypoints.astype(np.float32), "confidence": scores.astype(np.float32), "fps": 30.0}
    np.savez(path, keypoint_names=PARTS, individuals=("a", "b"), **arrays)


def write_mabe22(path: Path, num_frames: int) -> None:
    keypoints, _ = walk(num_frames, 12)
    three = np.concatenate([keypoints, keypoints[:, :1] + 100], axis=1).astype(np.int32)
    np.save(path, {"sequences": {"A1": {"keypoints": three}}}, allow_pickle=True)


def write_trex(path: Path, num_frames: int) -> None:
    keypoints, _ = walk(num_frames)
    arrays = {"frame": np.arange(num_frames) * 1.0, "time": np.arange(num_frames) / 30}
    arrays |= {f"{axis}#wcentroid": keypoints[:, 0, 0, k] for k, axis in enumerate("XY")}
    np.savez(path, missing=np.zeros(num_frames), cm_per_pixel=1.0, **arrays)


def write_idtracker(path: Path, num_frames: int) -> None:
    keypoints, scores = walk(num_frames, 1)
    contents = {"trajectories": keypoints[:, :, 0], "id_probabilities": scores[:, :, 0], "frames_per_second": 30}
    np.save(path, contents | {"identities_labels": ["a", "b"]}, allow_pickle=True)


def write_ethovision(path: Path, num_frames: int) -> None:
    keypoints, _ = walk(num_frames)
    columns = ["Trial time", "Recording time", "X center", "Y center", "X nose", "Y nose", "X tail", "Y tail"]
    lines = [["Number of header lines:", "6"], ["Trial name", "Trial 1"], ["Subject name", "a"], []]
    lines += [columns, ["s", "s", *["cm"] * 6]]
    with path.open("w", encoding="utf-16") as file:
        file.writelines(";".join(f'"{word}"' for word in line) + "\n" for line in lines)
        for n, row in enumerate(keypoints[:, 0, :3].reshape(num_frames, -1).tolist()):
            file.write(f"{n / 30:.3f};{n / 30:.3f};" + ";".join([f"{v:.4f}" for v in row]) + "\n")


FORMATS = {
    "slp": write_slp, "sleap_h5": write_sleap_h5, "jabs": write_jabs, "netcdf": write_netcdf, "nwb": write_nwb,
    "mabe25": write_parquet, "mabe22": write_mabe22, "dlc_csv": write_dlc_csv, "dlc_h5": write_dlc_h5,
    "simba_csv": write_simba, "boxes_csv": write_boxes, "npz": write_npz, "trex": write_trex,
    "idtracker": write_idtracker, "ethovision": write_ethovision,
}  # fmt: skip
ENDINGS = {"dlc_csv": "csv", "simba_csv": "csv", "boxes_csv": "csv", "trex": "npz", "mabe22": "npy", "idtracker": "npy",
           "ethovision": "txt", "mabe25": "parquet", "netcdf": "nc"}  # fmt: skip

CHILD = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
name, path, ours = sys.argv[1], sys.argv[2], sys.argv[3] == "ours"

def peak_mb():
    # Not ru_maxrss: that one starts at the parent's peak.
    status = open("/proc/self/status").read().split()
    return int(status[status.index("VmHWM:") + 1]) / 1024

def sleap_h5():
    with h5py.File(path) as file:
        return file["tracks"][()], file["point_scores"][()]

def jabs():
    with h5py.File(path) as file:
        return file["poseest/points"][()], file["poseest/confidence"][()]

def netcdf():
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        return data.position.values, data.confidence.values

def nwb():
    with pynwb.NWBHDF5IO(path, "r") as io:
        module = io.read().processing["behavior"].data_interfaces.values()
        poses = [pose for pose in module if hasattr(pose, "pose_estimation_series")]
        series = [one for pose in poses for one in pose.pose_estimation_series.values()]
        return [(one.data[:], one.confidence[:]) for one in series]

def pickled():
    return np.load(path, allow_pickle=True).item()

def zipped():
    with np.load(path) as arrays:
        return [arrays[name] for name in arrays]

def dlc_h5():
    with h5py.File(path) as file:
        return file["df_with_missing/table"][()]

if ours:
    from ssl_behavior.io import ReadOptions, read_recordings
    from ssl_behavior.skeleton import Skeleton
    if name in ("netcdf", "nwb", "mabe25"):
        __import__({"netcdf": "xarray", "nwb": "ndx_pose", "mabe25": "pyarrow.parquet"}[name])
    skeleton = Skeleton(name="parts", keypoints=tuple(sys.argv[4].split(","))) if sys.argv[4] else None
    job = lambda: list(read_recordings(path, ReadOptions(fps=30.0, skeleton=skeleton)))
elif name == "slp":
    import sleap_io
    job = lambda: sleap_io.load_slp(path, open_videos=False).numpy(return_confidence=True)
elif name == "netcdf":
    import xarray, h5netcdf
    job = netcdf
elif name == "nwb":
    import pynwb, ndx_pose
    job = nwb
elif name == "mabe25":
    import pyarrow.parquet
    job = lambda: pyarrow.parquet.read_table(path)
elif name in ("dlc_csv", "simba_csv", "boxes_csv", "ethovision"):
    import pandas
    options = {"dlc_csv": {"header": [0, 1, 2, 3], "index_col": 0}, "ethovision": {"skiprows": 6, "sep": ";",
               "encoding": "utf-16", "header": None}}.get(name, {})
    job = lambda: pandas.read_csv(path, **options)
elif name in ("mabe22", "idtracker", "npz", "trex"):
    import numpy as np
    job = pickled if name in ("mabe22", "idtracker") else zipped
else:
    import h5py
    job = {"sleap_h5": sleap_h5, "jabs": jabs, "dlc_h5": dlc_h5}[name]
base, wall, cpu = peak_mb(), time.perf_counter(), time.process_time()
content = job()
print(json.dumps({"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu,
                  "peak_mb": peak_mb(), "imports_mb": base}))
"""


def child(name: str, path: Path, who: str) -> dict[str, float]:
    parts = ",".join(PARTS) if name in ("boxes_csv",) else ""
    command = [sys.executable, "-c", CHILD, name, str(path), who, parts]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY, timeout=SECONDS)
    return json.loads(result.stdout.splitlines()[-1])


def raw_read_seconds(path: Path) -> float:
    """Reading every byte from the page cache."""
    start = time.process_time()
    with path.open("rb") as file:
        while file.read(1 << 18):
            pass
    return time.process_time() - start


def measure(folder: Path, name: str, num_frames: int, library: bool) -> dict[str, float]:
    path = folder / f"tracks.{ENDINGS.get(name, name)}"
    FORMATS[name](path, num_frames)
    raw_read_seconds(path)
    result = {"file_mb": path.stat().st_size / 1e6, "raw_read_cpu_seconds": raw_read_seconds(path)}
    for who in ("ours", "library") if library else ("ours",):
        values = child(name, path, who)
        result |= {f"{who}_{key}": value for key, value in values.items()}
        result[f"{who}_frames_per_s"] = num_frames / values["seconds"]
    if library:
        result["library_over_ours_cpu"] = result["library_cpu_seconds"] / result["ours_cpu_seconds"]
    path.unlink()
    return {key: round(value, 3) for key, value in result.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="+", choices=sorted(FORMATS), default=list(FORMATS))
    parser.add_argument("--folder", type=Path, help="where the temporary files go; needs about 1 GB")
    parser.add_argument("--without-library", action="store_true", help="sleap-io takes minutes for a million frames")
    arguments = parser.parse_args()
    result: dict[str, object] = {"benchmark": "formats", "frames": arguments.frames}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for name in arguments.formats:
            result[name] = measure(Path(folder), name, arguments.frames, not arguments.without_library)
            print(name, result[name], flush=True)
    result |= {"python": platform.python_version(), "machine": platform.machine(), "numpy": np.__version__}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
