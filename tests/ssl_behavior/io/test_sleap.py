"""SLEAP's `.slp` and analysis `.h5`, beside sleap-io's own numbers."""

import h5py
import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, detect_format, read_recordings
from ssl_behavior.skeleton import SKELETONS, Skeleton

from .track_files import INSTANCES, POINTS, PRED_POINTS, sleap_tables, write_sleap_h5, write_slp

RATS = SKELETONS["rat_dyads"]


def read(path, **options):
    return list(read_recordings(path, ReadOptions(**options)))


@pytest.fixture
def values(make):
    values = make.tracks(11, 3)
    values[2, 1, 3, :2] = np.nan
    values[4:6, 2] = np.nan
    return values


def same(recording, values):
    np.testing.assert_array_equal(recording.keypoints, values[..., :2].astype(np.float32))


def test_slp(tmp_path, values):
    path = write_slp(tmp_path / "night.mp4.predictions.slp", values)
    assert detect_format(path).name == "slp"
    (recording,) = read(path)
    same(recording, values)
    seen = np.isfinite(values[..., 0]).any(axis=2)
    np.testing.assert_array_equal(recording.confidence[seen], values[seen][..., 2].astype(np.float32))
    assert np.isnan(recording.confidence[~seen]).all()
    assert recording.id == "night" and recording.individuals == ("track_0", "track_1", "track_2")
    assert recording.fps == 25.0 and recording.resolution_px == (640.0, 480.0) and not recording.notes


def test_slp_with_gaps_other_fps_and_a_subset_of_body_parts(tmp_path, values):
    numbers = [5, 6, 9, *range(20, 28)]
    path = write_slp(tmp_path / "x.slp", values, frame_numbers=numbers)
    chosen = Skeleton(name="two", keypoints=("tail", "top"), individuals=("a", "b", "c"))
    (recording,) = read(path, fps=50.0, skeleton=chosen)
    expected = np.full((28, 3, 2, 2), np.nan, dtype=np.float32)
    expected[numbers] = values[:, :, [2, 0], :2]
    np.testing.assert_array_equal(recording.keypoints, expected)
    assert recording.notes == (
        "first frame number 5; 17 of 28 frames are not in the file: missing",
        "fps 50 as passed, but the file states 25",
    )


def test_invisible_points_and_the_old_pixel_origin(tmp_path, values):
    tables = sleap_tables(values)
    tables[2]["visible"][7] = False
    (old,) = read(write_slp(tmp_path / "old.slp", values, tables=tables, format_id=1.0))
    expected = values[..., :2] - 0.5
    expected[0, 1, 2] = np.nan
    np.testing.assert_array_equal(old.keypoints, expected.astype(np.float32))


def test_a_persons_instance_replaces_the_predicted_one(tmp_path, values):
    frames, instances, points = sleap_tables(values)
    users = np.array([(10.0 + k, 20.0, True, True) for k in range(5)], POINTS)
    by_hand = np.array([(len(instances), 0, 10, 0, 1, -1, 0.0, 0, 5, 0.0)], INSTANCES)
    frames[-1]["instance_id_end"] += 1
    tables = (frames, np.concatenate([instances, by_hand]), points)
    (recording,) = read(write_slp(tmp_path / "x.slp", values, tables=tables, users=users))
    assert recording.keypoints[10, 1, :, 0].tolist() == [10, 11, 12, 13, 14]
    assert recording.confidence[10, 1].tolist() == [1] * 5
    np.testing.assert_array_equal(recording.keypoints[:10], values[:10, ..., :2].astype(np.float32))


def test_fragments_are_counted_and_named(tmp_path, values):
    fragments = np.full((11, 9, 5, 3), np.nan)
    fragments[:6, 0], fragments[6:, 4], fragments[:, 5] = values[:6, 0], values[6:, 0], values[:, 1]
    names = ["a", "b", "c", "d", "a2", "other", "x", "y", "z"]
    for write in (write_slp, write_sleap_h5):
        path = write(tmp_path / f"{write.__name__}.h5", fragments, names=names)
        (recording,) = read(path, fps=25.0)
        note = next(note for note in recording.notes if "fragments" in note)
        many = len(recording.individuals)
        assert note.startswith(f"{many} tracks, but at most 2 at once in a frame: some tracks are fragments of one")
        assert "other 50%, a 27%, a2 23%" in note and "Join them in SLEAP" in note and "`individuals`" in note
    (recording,) = read(tmp_path / "write_slp.h5")
    assert recording.individuals == ("a", "a2", "other")
    assert "left out 6 tracks without instances, of 9" in recording.notes


def test_instances_without_tracks(tmp_path, values):
    one = write_slp(tmp_path / "one.slp", values[:, :1], names=[], tracks=[-1])
    (recording,) = read(one)
    same(recording, values[:, :1])
    assert recording.individuals == ("animal0",)
    several = write_slp(tmp_path / "several.slp", values, names=[], tracks=[-1, -1, -1])
    with pytest.raises(InputError, match="up to 3 instances in a frame, but no tracks"):
        read(several)
    mixed = write_slp(tmp_path / "mixed.slp", values, names=["a", "b"], tracks=[0, 1, -1])
    (recording,) = read(mixed)
    same(recording, values[:, :2])
    assert recording.notes == ("left out 9 instances without a track, of 31",)


def test_tracks_of_one_name_get_numbers(tmp_path, values):
    (recording,) = read(write_slp(tmp_path / "x.slp", values, names=["m", "m", "f"]))
    assert recording.individuals == ("m_0", "m_1", "f")


def test_each_video_is_a_recording(tmp_path, values):
    first, second = sleap_tables(values), sleap_tables(values[:4] + 100, video=1)
    for name, more in (("instance_id_start", first[1]), ("instance_id_end", first[1])):
        second[0][name] += len(more)
    for name in ("point_id_start", "point_id_end"):
        second[1][name] += len(first[2])
    tables = [np.concatenate(pair) for pair in zip(first, second, strict=True)]
    recordings = read(write_slp(tmp_path / "both.slp", values, tables=tables, videos=2))
    assert [r.id for r in recordings] == ["both/0_v0", "both/1_v1"]
    same(recordings[0], values)
    same(recordings[1], values[:4] + 100)


@pytest.mark.parametrize("order", ["matlab", "plain", "standard"])
@pytest.mark.parametrize("dims", [True, False])
def test_analysis_h5(tmp_path, values, order, dims):
    path = write_sleap_h5(tmp_path / "labels.v001.analysis.h5", values, order=order, dims=dims)
    assert detect_format(path).name == "sleap_h5"
    (recording,) = read(path, fps=30.0)
    same(recording, values)
    np.testing.assert_array_equal(recording.confidence, values[..., 2].astype(np.float32))
    assert recording.id == "labels.v001" and not recording.notes
    with pytest.raises(InputError, match="does not contain the frame rate; pass it as `fps`"):
        read(path)


def test_analysis_h5_of_an_untracked_animal(tmp_path, values):
    (recording,) = read(write_sleap_h5(tmp_path / "x.h5", values[:, :1], names=[]), fps=30.0)
    assert recording.individuals == ("animal0",)
    same(recording, values[:, :1])


def change(path, name, data):
    with h5py.File(path, "r+") as file:
        del file[name]
        if data is not None:
            file[name] = data


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("pred_points", np.zeros((3, 4)), "must be a table with columns of numbers"),
        ("pred_points", np.zeros(3, PRED_POINTS), "points or tracks that are not in the file"),
        ("frames", np.zeros(2, [("video", "<u4")]), "frames must be a table with columns"),
        ("instances", np.zeros(2, INSTANCES), "instances that are not in the file"),
        ("tracks_json", np.array([b"[0,"]), "tracks_json is no JSON"),
        ("tracks_json", np.array([b"[0]"]), "tracks_json must hold"),
        ("tracks_json", np.array([b'[0,"a"]']), "points or tracks that are not in the file"),
        ("metadata", None, "metadata is no JSON"),
    ],
)
def test_bad_slp(tmp_path, values, name, data, message):
    path = write_slp(tmp_path / "x.slp", values)
    change(path, name, data)
    with pytest.raises(InputError, match=f"x.slp.*{message}"):
        read(path, fps=30.0)


def test_bad_instances_fps_and_frame_numbers(tmp_path, values):
    nothing = tuple(table[:0] for table in sleap_tables(values))
    with pytest.raises(InputError, match="has no instances"):
        read(write_slp(tmp_path / "x.slp", values, tables=nothing))
    with pytest.raises(InputError, match="pass it as `fps`"):
        read(write_slp(tmp_path / "x.slp", values, fps=None))
    with pytest.raises(InputError, match="would need 168 GB of memory"):
        read(write_slp(tmp_path / "x.slp", values, frame_numbers=[*range(10), 10**9]))
    with pytest.raises(InputError, match="no 5 points, one for each node"):
        read(write_slp(tmp_path / "x.slp", values, tables=sleap_tables(values[:, :, :4])))
    with pytest.raises(InputError, match="SLEAP format 3 is newer"):
        read(write_slp(tmp_path / "x.slp", values, format_id=3.0))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("tracks", np.zeros((3, 5, 2)), "tracks must be numbers with 4 axes"),
        ("tracks", np.zeros((3, 2, 4, 11)), "fits neither"),
        ("tracks", np.zeros((3, 2, 5, 0)), "it has no frames"),
        ("tracks", np.array([[[[b"x"]]]]), "must be numbers"),
        ("track_names", np.zeros(2), "track_names must be a list of texts"),
        ("track_names", np.array([b"a"]), "fits neither"),
        ("point_scores", np.zeros((3, 5, 10)), r"point_scores must have shape \[3, 5, 11\]"),
        ("node_names", np.zeros(0), "fits neither"),
    ],
)
def test_bad_analysis_h5(tmp_path, values, name, data, message):
    path = write_sleap_h5(tmp_path / "x.h5", values)
    change(path, name, data)
    with pytest.raises(InputError, match=f"x.h5.*{message}"):
        read(path, fps=30.0)


def test_nan_everywhere_is_read_as_missing(tmp_path, values):
    (recording,) = read(write_sleap_h5(tmp_path / "x.h5", values * np.nan), fps=30.0)
    assert np.isnan(recording.keypoints).all()


@pytest.mark.data
@pytest.mark.parametrize("name", ["sleap_3mice.slp", "sleap_predictions.slp"])
def test_real_slp_equals_sleap_io(real_data, name):
    sleap_io = pytest.importorskip("sleap_io")
    path = real_data / "formats" / name
    labels = sleap_io.load_slp(str(path), open_videos=False)
    skeleton = Skeleton(name="theirs", keypoints=tuple(labels.skeleton.node_names))
    (recording,) = read(path, fps=50.0, skeleton=skeleton)
    theirs = labels.numpy(return_confidence=True)
    # sleap-io goes on to the video's last frame; a recording ends with its last instance.
    assert np.isnan(theirs[recording.num_frames :, ..., 0]).all()
    theirs = theirs[: recording.num_frames]
    np.testing.assert_array_equal(recording.keypoints, theirs[..., :2].astype(np.float32))
    assert recording.individuals == tuple(track.name for track in labels.tracks)
    seen = np.isfinite(theirs[..., 0])
    np.testing.assert_array_equal(recording.confidence[seen], theirs[..., 2][seen].astype(np.float32))


@pytest.mark.data
def test_real_analysis_h5(real_data):
    # sleap-io refuses this file, which has no scores.
    path = real_data / "formats" / "sleap_analysis_flies.h5"
    with h5py.File(path) as file:
        names = tuple(name.decode() for name in file["node_names"][()])
        theirs = file["tracks"][()].transpose(3, 0, 2, 1).astype(np.float32)
    (recording,) = read(path, fps=150.0, skeleton=Skeleton(name="fly", keypoints=names))
    np.testing.assert_array_equal(recording.keypoints, theirs)
    assert recording.individuals == ("track_0", "track_1") and recording.confidence is None


def test_analysis_h5_equals_sleap_io(tmp_path, values):
    sleap_io = pytest.importorskip("sleap_io")
    labels = sleap_io.load_slp(str(write_slp(tmp_path / "x.slp", values)), open_videos=False)
    for preset in ("matlab", "standard"):
        labels.save(str(tmp_path / "theirs.analysis.h5"), format="analysis_h5", preset=preset)
        (recording,) = read(tmp_path / "theirs.analysis.h5", fps=30.0)
        np.testing.assert_array_equal(recording.keypoints[:11], values[..., :2].astype(np.float32))
        assert np.isnan(recording.keypoints[11:]).all()
