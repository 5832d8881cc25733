"""NWB with ndx-pose, beside pynwb's own numbers."""

import sys
import warnings
from datetime import UTC, datetime

import h5py
import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, detect_format, read_recordings
from ssl_behavior.skeleton import Skeleton

pynwb = pytest.importorskip("pynwb")
ndx_pose = pytest.importorskip("ndx_pose")
PARTS = ["top", "body", "tail", "tail-m", "tail-e"]


def read(path, **options):
    (recording,) = read_recordings(path, ReadOptions(**options))
    return recording


@pytest.fixture
def values(make):
    values = make.tracks(11, 3)
    values[2, 1, 3, :2] = np.nan
    return values


def write(path, values, names=("mouse9", "mouse10", "mouse11"), prefixes=(), times=None, scores=True, space=2, **more):
    """One container for each of `names`; with `prefixes`, all individuals in the first."""
    file = pynwb.NWBFile(session_description="x", identifier="x", session_start_time=datetime(2024, 1, 1, tzinfo=UTC))
    module = file.create_processing_module("behavior", "x")
    when = {"rate": 25.0, "starting_time": 7.0} if times is None else {"timestamps": times}
    skeletons, groups = [], [[animal] for animal in range(len(names))] if not prefixes else [range(len(prefixes))]
    for name, animals in zip(names, groups, strict=False):
        skeleton = ndx_pose.Skeleton(name=f"{name}_skeleton", nodes=PARTS)
        series = [
            ndx_pose.PoseEstimationSeries(
                name=f"{prefixes[animal]}_{part}" if prefixes else f"PoseEstimationSeries{part}",
                data=np.concatenate([values[:, animal, k, :2], values[:, animal, k, :1]], axis=1)[:, :space],
                confidence=values[:, animal, k, 2] if scores else None, reference_frame="top left",
                **({"unit": "pixels"} | when | more),
            )
            for animal in animals
            for k, part in enumerate(PARTS)
        ]  # fmt: skip
        skeletons.append(skeleton)
        module.add(ndx_pose.PoseEstimation(name=name, pose_estimation_series=series, skeleton=skeleton))
    module.add(ndx_pose.Skeletons(skeletons=skeletons))
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def same(recording, values):
    np.testing.assert_array_equal(recording.keypoints, values[..., :2].astype(np.float32))
    np.testing.assert_array_equal(recording.confidence, values[..., 2].astype(np.float32))


def test_containers_are_individuals(tmp_path, values):
    path = write(tmp_path / "x.nwb", values)
    assert detect_format(path).name == "nwb"
    recording = read(path)
    same(recording, values)
    assert recording.individuals == ("mouse9", "mouse10", "mouse11")
    assert recording.fps == pytest.approx(25) and not recording.notes


def test_series_with_prefixes_and_timestamps(tmp_path, values):
    times = 100 + np.array([0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12]) / 40
    recording = read(write(tmp_path / "x.nwb", values, ["PoseEstimation"], ("a", "b", "c"), times))
    assert recording.individuals == ("a", "b", "c") and recording.fps == pytest.approx(40)
    np.testing.assert_array_equal(recording.keypoints[[0, 2, 5]], values[[0, 2, 3], ..., :2].astype(np.float32))
    assert np.isnan(recording.keypoints[3:5]).all()
    assert recording.notes == ("first frame number 0; 2 of 13 frames are not in the file: missing",)


def test_three_dimensions_units_and_no_scores(tmp_path, values):
    recording = read(write(tmp_path / "x.nwb", values, space=3, scores=False, unit="meters"))
    assert recording.confidence is None
    assert recording.notes == (
        "3-D tracks: x and y are read, the third coordinate is left out",
        "coordinates are in 'meters', not in pixels",
    )


def test_timestamps_that_count_frames(tmp_path, values):
    path = write(tmp_path / "x.nwb", values, times=np.arange(11.0))
    with pytest.raises(InputError, match="frames and not seconds; pass the frame rate as `fps`"):
        read(path)
    same(read(path, fps=30.0), values)


def change(path, name, data):
    with h5py.File(path, "r+") as file:
        group = file["processing/behavior/mouse9/PoseEstimationSeriesbody"]
        attributes = dict(group[name].attrs)
        del group[name]
        if data is not None:
            group[name] = data
            group[name].attrs.update(attributes)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("data", np.zeros((11, 5)), "damaged NWB file .*shape"),
        ("data", np.zeros((11, 2), dtype="S3"), "must be numbers of shape|damaged NWB"),
        ("data", np.zeros((0, 2)), "has no frames|confidence"),
        ("data", None, "damaged NWB file|must be numbers"),
        ("confidence", np.zeros(9), r"has 11 points, but confidence \[9\]"),
    ],
)
def test_bad_series(tmp_path, values, name, data, message):
    path = write(tmp_path / "x.nwb", values)
    change(path, name, data)
    with pytest.raises(InputError, match=f"x.nwb.*({message})"):
        read(path)


def test_bad_times_no_poses_and_a_cut_file(tmp_path, values):
    with pytest.raises(InputError, match="its times must increase"):
        read(write(tmp_path / "x.nwb", values, times=np.zeros(11)))
    with pytest.raises(InputError, match="needs one timestamp for each"):
        read(write(tmp_path / "x.nwb", values, times=np.full(11, np.nan)))
    with pytest.raises(InputError, match="it has no poses"):
        read(write(tmp_path / "x.nwb", values, names=()))
    path = write(tmp_path / "x.nwb", values)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match="damaged"):
        list(read_recordings(path, ReadOptions(), format="nwb"))


def test_a_missing_library_is_named(tmp_path, values, monkeypatch):
    path = write(tmp_path / "x.nwb", values)
    for module in ("ndx_pose", "pynwb"):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(InputError, match=rf"x.nwb: an NWB file with poses needs {module}.*ssl-behavior\[nwb\]"):
            read(path)


@pytest.mark.data
@pytest.mark.parametrize("name", ["ethome_sample.nwb", "vame_sample.nwb"])
def test_real_files_equal_pynwb(real_data, name):
    path = real_data / "formats" / name
    parts = {
        "ethome_sample.nwb": ("snout", "leftear", "rightear", "tailbase"),
        "vame_sample.nwb": ("Nose", "Forehand-Left", "Forehand-Right", "Hindhand-Left", "Hindhand-Right", "Tailroot"),
    }[name]
    recording = read(path, fps=30.0, skeleton=Skeleton(name="mouse", keypoints=parts))
    prefix = "ind1_" if name.startswith("ethome") else ""
    assert recording.individuals == (("ind1",) if prefix else ("animal0",)) and not recording.notes
    with warnings.catch_warnings(action="ignore"), pynwb.NWBHDF5IO(str(path), "r") as io:
        series = io.read().processing["behavior"]["PoseEstimation"].pose_estimation_series
        assert len(series) == len(parts)
        for k, part in enumerate(parts):
            theirs = series[f"{prefix}{part}"]
            np.testing.assert_array_equal(recording.keypoints[:, 0, k], theirs.data[:].astype(np.float32))
            np.testing.assert_array_equal(recording.confidence[:, 0, k], theirs.confidence[:].astype(np.float32))


def test_irregular_timestamps_are_kept_to_be_resampled(tmp_path, values):
    times = 100 + np.cumsum([0, 0.02, 0.07, 0.01, 0.04, 0.04, 0.04, 0.04, 0.005, 0.1, 0.04])
    path = write(tmp_path / "x.nwb", values, times=times)
    with pytest.raises(InputError, match=r"x\.nwb: its times are irregular, 0\.005 to 0\.1 s apart: pass a frame rate"):
        read(path)
    recording = read(path, keep_times=True)
    same(recording, values)
    np.testing.assert_allclose(recording.times, times - 100, atol=1e-9)
