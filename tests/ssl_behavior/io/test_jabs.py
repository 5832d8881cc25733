"""JABS pose files of versions 2 to 6."""

import h5py
import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, detect_format, read_recordings
from ssl_behavior.io.jabs import KEYPOINTS
from ssl_behavior.skeleton import Skeleton

from .track_files import write_jabs

MOUSE = Skeleton(name="jabs_mouse", keypoints=KEYPOINTS)


def read(path, **options):
    (recording,) = read_recordings(path, ReadOptions(**{"skeleton": MOUSE} | options))
    return recording


@pytest.fixture
def values(make):
    values = make.tracks(11, 3, 12).round(0)
    values[..., 2] = np.linspace(0.5, 4, values[..., 2].size, dtype=np.float32).reshape(values.shape[:3])
    values[2, 1, 3] = np.nan
    values[4:6, 2] = np.nan
    return values


def shuffled(values):
    """Detections in another order in each frame, and the animal of each, 0 to 2."""
    animal = np.stack([np.random.default_rng(t).permutation(3) for t in range(len(values))])
    return np.take_along_axis(values, animal[..., None, None], axis=1), animal


def same(recording, values):
    np.testing.assert_array_equal(recording.keypoints, values[..., :2].astype(np.float32))
    seen = np.isfinite(values[..., 0])
    np.testing.assert_array_equal(recording.confidence[seen], values[seen][..., 2].astype(np.float32))


def test_one_mouse(tmp_path, values):
    path = write_jabs(tmp_path / "cage7_pose_est_v2.h5", values[:, :1], 2)
    assert detect_format(path).name == "jabs"
    recording = read(path, fps=30.0)
    same(recording, values[:, :1])
    assert recording.id == "cage7" and recording.individuals == ("mouse",) and recording.px_per_cm is None


@pytest.mark.parametrize("version", [4, 5, 6])
def test_identities_scale_and_fps(tmp_path, values, version):
    detections, animal = shuffled(values)
    ids = np.where(np.isfinite(detections[..., 0]).any(axis=2), animal + 1, 0)
    attributes = {"cm_per_pixel": np.float32(0.08), "fps": 60}
    recording = read(write_jabs(tmp_path / "x.h5", detections, version, ids, attributes=attributes))
    same(recording, values)
    assert recording.individuals == ("mouse1", "mouse2", "mouse3") and recording.fps == 60
    assert recording.px_per_cm == pytest.approx(12.5)
    assert recording.notes == ("confidence is no probability in JABS files: it goes beyond 1",)


def test_detections_without_a_mouse_are_counted(tmp_path, values):
    detections, animal = shuffled(values)
    ids = animal + 1
    ids[7, 0], ids[8, 1] = 88, 91
    recording = read(write_jabs(tmp_path / "x.h5", detections, 4, ids, mask=ids > 3), fps=30.0)
    expected = values.copy()
    expected[7, animal[7, 0]] = expected[8, animal[8, 1]] = np.nan
    same(recording, expected)
    assert "left out 2 detections that JABS gave to no mouse, of 33" in recording.notes


def test_tracks_of_version_3_are_fragments(tmp_path, values):
    present = values.copy()
    present[4:6, 2] = 7.0
    tracks = np.tile([37, 2, 5], (11, 1))
    tracks[6:, 0] = 40
    count = np.full(11, 3)
    count[9] = 2
    recording = read(write_jabs(tmp_path / "x.h5", present, 3, tracks, count), fps=30.0)
    assert recording.individuals == ("track2", "track5", "track37", "track40")
    np.testing.assert_array_equal(recording.keypoints[6:, 3], present[6:, 0, :, :2].astype(np.float32))
    assert np.isnan(recording.keypoints[9, 1]).all() and np.isnan(recording.keypoints[6:, 2]).all()
    note = next(note for note in recording.notes if "fragments" in note)
    assert note.startswith("4 tracks, but at most 3 at once in a frame") and "Version 4 of the pose file" in note


def test_one_mouse_twice_in_a_frame(tmp_path, values):
    ids = np.tile([1, 2, 3], (11, 1))
    ids[10] = [1, 2, 2]
    recording = read(write_jabs(tmp_path / "x.h5", values, 4, ids), fps=30.0)
    assert "1 detections share frame and mouse with another one; the last in the file is kept" in recording.notes


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("points", np.zeros((11, 3, 12, 3)), "points must have shape"),
        ("points", np.zeros((11, 3, 7, 2)), "points must have shape"),
        ("points", np.zeros(()), "points must .* 1 axis"),
        ("points", np.zeros((11, 3, 12, 2), dtype="S1"), "points must be numbers"),
        ("confidence", None, "it lacks the dataset 'confidence'"),
        ("confidence", np.zeros((11, 3)), "confidence must be numbers with 3 axes"),
        ("instance_embed_id", None, "neither instance_embed_id nor instance_track_id"),
        ("instance_embed_id", np.zeros((11, 3)), "must be whole numbers of shape"),
        ("instance_embed_id", np.zeros((10, 3), dtype=int), "must be whole numbers of shape"),
        ("instance_embed_id", np.zeros((11, 3), dtype=int), "no detection belongs to a mouse"),
        ("id_mask", np.ones((11, 3), dtype=bool), "no detection belongs to a mouse"),
    ],
)
def test_bad_files(tmp_path, values, name, data, message):
    path = write_jabs(tmp_path / "x.h5", values, 4, np.tile([1, 2, 3], (11, 1)))
    with h5py.File(path, "r+") as file:
        del file[f"poseest/{name}"]
        if data is not None:
            file[f"poseest/{name}"] = data
    with pytest.raises(InputError, match=f"x.h5.*({message})"):
        read(path, fps=30.0)


def test_no_fps_no_scale_and_a_cut_file(tmp_path, values):
    path = write_jabs(tmp_path / "x.h5", values, 4, np.tile([1, 2, 3], (11, 1)), attributes={"cm_per_pixel": 0.0})
    with pytest.raises(InputError, match="pass it as `fps`"):
        read(path)
    assert "cm_per_pixel is 0 in the file, no scale; `px_per_cm` gives one" in read(path, fps=30.0).notes
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match="damaged HDF5"):
        list(read_recordings(path, ReadOptions(fps=30.0), format="jabs"))


def first_frames(source, target, number):
    """A copy of a file with its first frames only: sleap-io makes an object of each point."""
    with h5py.File(source) as whole, h5py.File(target, "w") as cut:
        frames = len(whole["poseest/points"])
        cut.create_group("poseest").attrs.update(whole["poseest"].attrs)
        for name, values in whole["poseest"].items():
            cut[f"poseest/{name}"] = values[:number] if len(values) == frames else values[()]
            cut[f"poseest/{name}"].attrs.update(values.attrs)
    return target


@pytest.mark.data
@pytest.mark.parametrize("version", [3, 5])
def test_real_files_equal_sleap_io(real_data, tmp_path, version):
    sleap_io = pytest.importorskip("sleap_io")
    path = first_frames(real_data / "formats" / f"jabs_pose_est_v{version}.h5", tmp_path / "cut.h5", 300)
    recording = read(path, fps=30.0)
    # sleap-io goes by `version`, which says 3 in both files: its tracks are those of instance_track_id.
    labels = sleap_io.load_jabs(str(path))
    theirs = {(frame.frame_idx, instance.track.name): instance for frame in labels for instance in frame}
    with h5py.File(path) as file:
        name = "instance_embed_id" if version == 5 else "instance_track_id"
        tracks, ids = file["poseest/instance_track_id"][()], file[f"poseest/{name}"][()]
        mask = file["poseest/id_mask"][()] if version == 5 else np.zeros(ids.shape, dtype=bool)
    seen = 0
    for (frame, track), instance in theirs.items():
        place = int(np.flatnonzero(tracks[frame] == int(track))[0])
        if mask[frame, place]:
            continue
        animal = recording.individuals.index(f"{'mouse' if version == 5 else 'track'}{ids[frame, place]}")
        np.testing.assert_array_equal(recording.keypoints[frame, animal], instance.numpy().astype(np.float32))
        seen += 1
    assert seen == np.isfinite(recording.keypoints[..., 0]).any(axis=2).sum()
    assert recording.px_per_cm == (pytest.approx(1 / 0.073341824) if version == 5 else None)
