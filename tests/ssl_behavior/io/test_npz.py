from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, detect_format, read_recordings, write_npz
from ssl_behavior.io.annotation_readers import read_annotations
from ssl_behavior.io.npz import read_npz
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import SKELETONS, Skeleton

OWN = Skeleton(name="own", keypoints=("a", "b", "c"), individuals=("x", "y"), edges=(("a", "b"),), exchangeable=True)


def recording(make, skeleton=OWN):
    values = make.tracks(11, 2, skeleton.num_keypoints)
    values[3, 0, 1] = np.nan
    labels = {
        "S1": Labels(vocabulary=("p", "q"), frames=np.array([0, 1] * 5 + [-1]), annotator="me", background="q"),
        "S2": Labels(vocabulary=("r",), frames=np.zeros(11, dtype=int)),
    }
    return Recording(
        id="day1/a", keypoints=values[..., :2], confidence=values[..., 2], fps=25.0, skeleton=skeleton, labels=labels,
        subset="test", resolution_px=(640.0, 480.0), px_per_cm=12.5,
    )  # fmt: skip


def change(path, **changes):
    with np.load(path) as file:
        values = {**file, **changes}
    np.savez(path, **{key: value for key, value in values.items() if value is not None})


def read(path, **options):
    (result,) = read_recordings(path, ReadOptions(**options))
    return result


@pytest.mark.parametrize("skeleton", [OWN, SKELETONS["calms21"]], ids=lambda s: s.name)
def test_round_trip(tmp_path, make, skeleton):
    written = recording(make, skeleton)
    write_npz(tmp_path / "a.npz", written)
    assert detect_format(tmp_path / "a.npz").name == "npz"
    back = read(tmp_path / "a.npz")
    for name in ("id", "fps", "skeleton", "individuals", "subset", "resolution_px", "px_per_cm"):
        assert getattr(back, name) == getattr(written, name), name
    np.testing.assert_array_equal(back.keypoints, written.keypoints)
    np.testing.assert_array_equal(back.confidence, written.confidence)
    for stream, labels in written.labels.items():
        other = back.labels[stream]
        np.testing.assert_array_equal(other.frames, labels.frames)
        assert (other.vocabulary, other.annotator, other.background) == (
            labels.vocabulary, labels.annotator, labels.background,
        )  # fmt: skip


def test_minimal_file_by_hand(tmp_path):
    keypoints = np.arange(3 * 2 * 7 * 2, dtype=float).reshape(3, 2, 7, 2)
    names = list(reversed(SKELETONS["calms21"].keypoints))
    np.savez(tmp_path / "mine.npz", keypoints=keypoints, keypoint_names=names, fps=30)
    back = read(tmp_path / "mine.npz", prefix="p/")
    assert back.id == "p/mine" and back.individuals == ("animal0", "animal1") and back.confidence is None
    np.testing.assert_array_equal(back.keypoints, keypoints[:, :, ::-1])


def test_fps_can_be_given_and_must_be_known(tmp_path, make):
    write_npz(tmp_path / "a.npz", recording(make))
    assert read(tmp_path / "a.npz", fps=50.0).fps == 50.0
    change(tmp_path / "a.npz", fps=None)
    with pytest.raises(InputError, match="no fps"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints": None}, "lacks the arrays"),
        ({"keypoints": np.zeros((11, 2, 4, 2))}, "keypoint=3, space=2"),
        ({"keypoints": np.zeros((11, 2, 3, 3))}, "space=2"),
        ({"keypoints": np.zeros((0, 2, 3, 2)), "confidence": None}, "no frames"),
        ({"keypoints": np.full((11, 2, 3, 2), np.inf)}, "infinite"),
        ({"keypoints": np.full((11, 2, 3, 2), "1")}, "must be numbers"),
        ({"confidence": np.zeros((11, 2, 2))}, "confidence must have shape"),
        ({"keypoint_names": np.array([1, 2, 3])}, "list of names"),
        ({"fps": 0}, r"fps must be a number from 0\.01"),
        ({"fps": np.nan}, r"fps must be a number from 0\.01"),
        ({"surprise": 3}, "unknown array 'surprise'"),
        ({"labels__S1": np.zeros(10, dtype=int)}, "has 10 frames"),
        ({"labels__S1": np.zeros(12, dtype=int)}, "has 12 frames"),
        ({"labels__S1": np.full(11, 2)}, "outside the vocabulary"),
        ({"labels__S1": np.zeros(11)}, "whole numbers"),
        ({"vocabulary__S1": None}, "vocabulary"),
        ({"background__S1": "zzz"}, "not in the vocabulary"),
        ({"skeleton": "{"}, "not JSON"),
        ({"skeleton": "[]"}, "JSON object"),
        ({"resolution_px": [0, 3]}, "width, height"),
        ({"id": "a\x00b\x07c"}, "printable"),
    ],
)
def test_damaged_file_raises(tmp_path, make, changes, message):
    path = tmp_path / "a.npz"
    write_npz(path, recording(make))
    change(path, **changes)
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert "a.npz" in str(error.value)


def test_object_arrays_are_not_unpickled(tmp_path, make):
    path = tmp_path / "a.npz"
    write_npz(path, recording(make))
    change(path, id=np.array({"a": 1}, dtype=object))
    with pytest.raises(InputError, match="holds Python objects; save names as text"):
        read(path)


def test_names_may_be_bytes(tmp_path, make):
    write_npz(tmp_path / "a.npz", recording(make))
    change(tmp_path / "a.npz", keypoint_names=np.array(recording(make).skeleton.keypoints, dtype="S"))
    assert read(tmp_path / "a.npz").skeleton.keypoints == recording(make).skeleton.keypoints


def test_failed_write_leaves_no_file(tmp_path, make, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(InputError, match="disk is full"):
        write_npz(tmp_path / "a.npz", replace(recording(make), id="b"))
    assert list(tmp_path.iterdir()) == []


def test_characters_that_do_not_exist_are_refused(tmp_path):
    words = np.array(["base", "social"])
    words.view(np.uint32)[0] = 0x7FFFFFFF
    np.save(tmp_path / "x.npy", words)
    with pytest.raises(InputError, match="characters that do not exist"):
        read_annotations(tmp_path / "x.npy")
    np.savez(tmp_path / "x.npz", keypoints=np.zeros((3, 2, 2, 2)), keypoint_names=words, fps=30)
    with pytest.raises(InputError, match="keypoint_names must be a list of names"):
        list(read_npz(tmp_path / "x.npz", ReadOptions()))


@pytest.mark.parametrize("frames", [1, 100])
def test_tracks_that_start_late_keep_their_times_or_are_refused(tmp_path, frames):
    path, names = tmp_path / "a.npz", np.array(SKELETONS["calms21"].keypoints)
    times = 5.02 + np.arange(frames) / 30
    np.savez(path, keypoints=np.ones((frames, 2, 7, 2)), keypoint_names=names, fps=30.0, times=times)
    with pytest.raises(InputError, match=r"a\.npz: its first frame is at 5\.02 s, not at 0 s: pass a frame rate"):
        read(path)
    np.testing.assert_array_equal(read(path, keep_times=True).times, times)
    np.savez(path, keypoints=np.ones((frames, 2, 7, 2)), keypoint_names=names, fps=30.0, times=times - 5.02)
    assert read(path, keep_times=True).times is None and read(path).num_frames == frames
