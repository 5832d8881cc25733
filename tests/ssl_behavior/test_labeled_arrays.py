"""xarray: movement's names, a netCDF file that is read again, and coordinates of embeddings and clusters."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.clusters import cluster
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.importer import read
from tests.ssl_behavior.conftest import write_group

pytest.importorskip("xarray")


def test_tracks_have_movements_names(dyad):
    recording = dyad("walk", 101, missing=0.1)
    data = recording.to_xarray()
    assert data["position"].dims == ("time", "space", "keypoints", "individuals")
    assert data["confidence"].dims == ("time", "keypoints", "individuals") and np.isnan(data["confidence"]).all()
    nose = data["position"].sel(keypoints="nose", individuals=recording.individuals[1], space="y").values
    np.testing.assert_array_equal(nose, recording.keypoints[:, 1, recording.skeleton.keypoints.index("nose"), 1])
    np.testing.assert_allclose(data["time"], np.arange(101) / 30)
    facts = ("ds_type", "time_unit", "fps", "source_software", "recording")
    assert [data.attrs[name] for name in facts] == ["poses", "seconds", 30.0, "ssl-behavior", "walk"]


def test_measured_times_are_the_times(dyad):
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.05, 101))
    np.testing.assert_array_equal(replace(dyad("walk", 101), times=times).to_xarray()["time"], times)


def test_a_netcdf_file_of_tracks_is_read_again(dyad, tmp_path):
    pytest.importorskip("h5netcdf")
    recording = dyad("walk", 101, missing=0.1)
    known = np.random.default_rng(0).random(recording.keypoints.shape[:3]).astype(np.float32)
    replace(recording, confidence=known).to_xarray().to_netcdf(tmp_path / "walk.nc", engine="h5netcdf")
    again = read(tmp_path / "walk.nc", skeleton="calms21", verbose=False)["walk"]
    np.testing.assert_array_equal(again.keypoints, recording.keypoints)
    np.testing.assert_array_equal(again.confidence, known)
    assert (again.fps, again.individuals) == (30.0, recording.individuals)


def test_embeddings_have_times_groups_and_animals(tmp_path):
    write_group(tmp_path / "group", units=("scene", "pair"))
    scenes, pairs = (Embeddings(tmp_path / "group" / unit) for unit in ("scene", "pair"))
    data = scenes.to_xarray("cage2")
    assert data.dims == ("time", "channel") and data.dtype == np.float32
    np.testing.assert_array_equal(data, scenes.array[scenes.row("cage2").slice].astype(np.float32))
    np.testing.assert_allclose(data["time"], np.arange(len(data)) / scenes.row("cage2").fps)
    assert list(data["group"].values) == [name for name, width in scenes.groups.items() for _ in range(width)]
    both = pairs.to_xarray("cage2")
    assert both.dims == ("pair", "time", "channel") and list(both["agent"].values) == ["m1", "m2"]
    one = pairs.to_xarray("cage2@m2,m1")
    assert one.dims == ("time", "channel") and str(one["target"].values) == "m1"
    np.testing.assert_array_equal(both[1], one)
    with pytest.raises(InputError, match="no recording 'cage9'; it has 'cage1', 'cage2', 'cage3'"):
        pairs.to_xarray("cage9")


def test_clusters_are_whole_numbers_over_time(tmp_path):
    write_group(tmp_path / "group", units=("animal",))
    found = cluster(tmp_path / "group" / "animal", 4, verbose=False)
    data = found.to_xarray("cage1")
    rows = [row for row in found.frames.rows if row.recording == "cage1"]
    assert (
        data.dims == ("animal", "time") and data.name == "cluster" and list(data["agent"].values) == ["m1", "m2", "m3"]
    )
    np.testing.assert_array_equal(data, [found.frames.of(row) for row in rows])


def test_without_xarray_it_says_what_to_install(dyad, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(InputError, match=r"pip install 'ssl-behavior\[netcdf\]'"):
        dyad("walk", 11).to_xarray()
