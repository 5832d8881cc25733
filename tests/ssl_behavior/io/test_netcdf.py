"""movement's netCDF, beside xarray's own numbers."""

import sys

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, detect_format, read_recordings
from ssl_behavior.skeleton import Skeleton

xarray = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
PARTS = ["top", "body", "tail", "tail-m", "tail-e"]


def read(path, **options):
    (recording,) = read_recordings(path, ReadOptions(**options))
    return recording


@pytest.fixture
def values(make):
    values = make.tracks(11, 3)
    values[2, 1, 3, :2] = np.nan
    return values


def dataset(values, end="", fps=25.0, order=(0, 3, 2, 1), times=None, space=("x", "y"), **attributes):
    dims = np.array(["time", f"individual{end}", f"keypoint{end}", "space"])
    position = values[..., : len(space)]
    return xarray.Dataset(
        {"position": (list(dims[list(order)]), position.transpose(order)), "confidence": (dims[:3], values[..., 2])},
        coords={
            "time": np.arange(len(values)) / fps if times is None else times,
            f"individual{end}": ["m1", "m2", "m3"], f"keypoint{end}": PARTS, "space": list(space),
        },
        attrs={"fps": fps, "time_unit": "seconds", "ds_type": "poses"} | attributes,
    )  # fmt: skip


def write(path, data, engine="h5netcdf"):
    data.to_netcdf(path, engine=engine)
    return path


def same(recording, values):
    np.testing.assert_array_equal(recording.keypoints, values[..., :2].astype(np.float32))
    np.testing.assert_array_equal(recording.confidence, values[..., 2].astype(np.float32))


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("end", ["", "s"])
@pytest.mark.parametrize("order", [(0, 3, 2, 1), (0, 1, 2, 3), (3, 2, 1, 0)])
def test_both_spellings_and_every_order(tmp_path, values, engine, end, order):
    path = write(tmp_path / "x.nc", dataset(values, end, order=order), engine)
    assert detect_format(path).name == "netcdf"
    recording = read(path)
    same(recording, values)
    assert recording.individuals == ("m1", "m2", "m3") and recording.fps == 25.0 and not recording.notes


def test_times_place_the_frames(tmp_path, values):
    times = np.array([4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 20]) / 30
    data = dataset(values, times=times)
    del data.attrs["fps"]
    recording = read(write(tmp_path / "x.nc", data))
    assert recording.fps == pytest.approx(30) and recording.num_frames == 21
    np.testing.assert_array_equal(recording.keypoints[[4, 9, 20]], values[[0, 3, 10], ..., :2].astype(np.float32))
    assert recording.notes == ("first frame number 4; 10 of 21 frames are not in the file: missing",)


def test_times_in_frames(tmp_path, values):
    data = dataset(values, times=np.arange(2, 13), time_unit="frames")
    assert read(write(tmp_path / "x.nc", data)).num_frames == 13
    del data.attrs["fps"]
    with pytest.raises(InputError, match="pass it as `fps`"):
        read(write(tmp_path / "y.nc", data))


def test_fps_that_contradicts_the_times(tmp_path, values):
    path = write(tmp_path / "x.nc", dataset(values, times=np.arange(11) / 50))
    with pytest.raises(InputError, match=r"fps is 25, but its times are 0.02 s apart, which is 50 frames per second"):
        read(path)
    assert read(path, fps=50.0).fps == 50


def test_three_dimensions_and_no_scores(tmp_path, values):
    recording = read(write(tmp_path / "x.nc", dataset(values, space=("x", "y", "z")).drop_vars("confidence")))
    np.testing.assert_array_equal(recording.keypoints, values[..., :2].astype(np.float32))
    assert recording.confidence is None
    assert recording.notes == ("3-D tracks: x and y are read, the third coordinate is left out",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("keypoint"), "keypoints have no names"),
        (lambda d: d.rename(keypoint="node"), "position must have the dimensions"),
        (lambda d: d.assign_coords(space=["rho", "phi"]), "polar coordinates are not read"),
        (lambda d: d.assign_attrs(time_unit="hours"), "its time unit is 'hours'"),
        (lambda d: d.assign_coords(time=np.zeros(11)), "its times must increase"),
        (lambda d: d.assign_coords(time=np.arange(11.0) ** 3 / 25), "irregular"),
        (lambda d: d.assign_coords(time=np.arange(11) - 1.0), "its times must increase from 0"),
        (lambda d: d.assign(position=d.position.astype(str)), "position must be numbers"),
        (lambda d: d.assign(confidence=d.position), "confidence must have dimensions"),
        (lambda d: d.isel(time=slice(0, 0)), "its times must be numbers"),
        (lambda d: d.isel(individual=slice(0, 0)), "no individuals"),
    ],
)
def test_bad_files(tmp_path, values, change, message):
    with pytest.raises(InputError, match=f"x.nc.*{message}"):
        read(write(tmp_path / "x.nc", change(dataset(values))))


def test_cut_files_and_other_netcdf(tmp_path, values):
    for engine in ("h5netcdf", "scipy"):
        path = write(tmp_path / "x.nc", dataset(values), engine)
        path.write_bytes(path.read_bytes()[:-700])
        with pytest.raises(InputError, match=r"x.nc: (damaged|its times)"):
            list(read_recordings(path, ReadOptions(), format="netcdf"))
        other = write(tmp_path / "speed.nc", dataset(values).rename(position="speed"), engine)
        with pytest.raises(InputError, match="netCDF without positions is not supported"):
            read(other)


def test_a_missing_library_is_named(tmp_path, values, monkeypatch):
    path = write(tmp_path / "x.nc", dataset(values))
    for module in ("h5netcdf", "xarray"):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(InputError, match=rf"x.nc: a movement netCDF file needs {module}.*ssl-behavior\[netcdf\]"):
            read(path)


@pytest.mark.data
def test_real_file_equals_xarray(real_data):
    path = real_data / "formats" / "movement_single.nc"
    with xarray.open_dataset(path, engine="h5netcdf", decode_times=False) as data:
        names = tuple(str(name) for name in data.keypoints.values)
        theirs = data.position.transpose("time", "individuals", "keypoints", "space").values
        scores = data.confidence.transpose("time", "individuals", "keypoints").values
    recording = read(path, skeleton=Skeleton(name="mouse", keypoints=names))
    np.testing.assert_array_equal(recording.keypoints, theirs.astype(np.float32))
    np.testing.assert_array_equal(recording.confidence, scores.astype(np.float32))
    assert recording.fps == 30 and recording.individuals == ("individual_0",)


UNEVEN = np.cumsum([0, 0.02, 0.07, 0.01, 0.04, 0.04, 0.04, 0.04, 0.005, 0.1, 0.04])


def test_irregular_times_are_kept_to_be_resampled(tmp_path, values):
    path = write(tmp_path / "x.nc", dataset(values, times=UNEVEN))
    with pytest.raises(InputError, match=r"x\.nc: its times are irregular, 0\.005 to 0\.1 s apart: pass a frame rate"):
        read(path)
    recording = read(path, keep_times=True)
    same(recording, values)
    np.testing.assert_array_equal(recording.times, UNEVEN)
    with pytest.raises(InputError, match="irregular"):
        read(path, keep_times=True, fps=30.0)


def test_measured_times_of_a_regular_recording_with_gaps(tmp_path, values):
    numbers = np.array([2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15])
    times = numbers / 25 + np.array([0, 3, -3, 2, 0, 0, -2, 3, -3, 2, 0]) / 1000
    recording = read(write(tmp_path / "x.nc", dataset(values, times=times)), keep_times=True)
    np.testing.assert_array_equal(recording.times[numbers], times)
    assert (np.diff(recording.times) > 0).all() and recording.num_frames == 16
    assert read(write(tmp_path / "y.nc", dataset(values, times=numbers / 25)), keep_times=True).times is None
    assert read(tmp_path / "x.nc").times is None


def test_one_frame_is_placed_by_its_time(tmp_path, values):
    path = write(tmp_path / "x.nc", dataset(values[:1], times=np.array([0.43]), fps=10.0))
    assert np.flatnonzero(np.isfinite(read(path).keypoints[:, 0, 0, 0])).tolist() == [4]
    assert read(path, keep_times=True).times[-1] == 0.43


@pytest.mark.parametrize("fps", [0.0, 30.0])
def test_a_rate_that_contradicts_the_times_is_refused(tmp_path, values, fps):
    data = dataset(values, times=np.arange(11) / 25).assign_attrs(fps=fps)
    with pytest.raises(InputError, match=f"its attribute fps is {fps:g}, but its times are 0.04 s apart, which is 25"):
        read(write(tmp_path / "x.nc", data))
