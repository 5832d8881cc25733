"""TRex, idtracker.ai and EthoVision, which track one or a few points of each animal."""

import h5py
import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig, Featurizer
from ssl_behavior.importer import ImportOptions, import_recordings
from ssl_behavior.io import ReadOptions, detect_format, read_recordings
from ssl_behavior.io.import_report import findings
from ssl_behavior.multi_animal import joined
from ssl_behavior.skeleton import Skeleton, body_axis
from ssl_behavior.store import Store
from ssl_behavior.trajectory_coder import StateConfig, TrajectoryCoder

CENTROID = Skeleton(name="dot", keypoints=("centroid",))


def read(path, parts=("centroid",), **options):
    skeleton = Skeleton(name="dots", keypoints=parts)
    (recording,) = read_recordings(path, ReadOptions(skeleton=skeleton, **options))
    return recording


@pytest.fixture
def values(make):
    return make.tracks(11, 3, 2)


def trex(path, values, numbers=None, **more):
    numbers = np.arange(len(values)) if numbers is None else np.asarray(numbers)
    arrays = {"frame": numbers.astype(float), "time": numbers / 50, "missing": np.zeros(len(values))}
    arrays |= {
        "X": values[:, 0, 0],
        "Y": values[:, 0, 1],
        "X#wcentroid": values[:, 1, 0],
        "Y#wcentroid": values[:, 1, 1],
    }
    np.savez(path, **arrays | more)
    return path


def test_trex(tmp_path, values):
    path = trex(tmp_path / "night_fish3.npz", values[:, 0] * 0.1, cm_per_pixel=0.1, video_size=np.array([640.0, 480.0]))
    assert detect_format(path).name == "trex"
    recording = read(path, ("wcentroid", "head"))
    np.testing.assert_allclose(recording.keypoints[:, 0], values[:, 0, ::-1, :2].astype(np.float32), rtol=1e-6)
    assert recording.individuals == ("fish3",) and recording.id == "night/fish3"
    assert recording.fps == pytest.approx(50) and recording.px_per_cm == pytest.approx(10)
    assert recording.resolution_px == (640, 480) and not recording.notes


def test_trex_missing_gaps_pose_and_units(tmp_path, values):
    one = values[:, 0].copy()
    one[3, 1, 0] = np.inf
    missing = np.zeros(11)
    missing[5] = 1
    path = trex(tmp_path / "a.npz", one, [4, 5, 6, 9, *range(10, 17)], missing=missing, frame_rate=np.array(25))
    recording = read(path, ("head", "wcentroid"))
    assert np.isnan(recording.keypoints[9, 0, 1]).all() and np.isfinite(recording.keypoints[9, 0, 0]).all()
    assert np.isnan(recording.keypoints[11]).all() and np.isnan(recording.keypoints[:4]).all()
    assert recording.fps == 25 and recording.individuals == ("animal0",)
    assert recording.notes[1] == "coordinates are in cm, not in pixels: the file does not state cm_per_pixel"
    pose = trex(tmp_path / "b.npz", one, poseX0=one[:, 0, 0], poseY0=one[:, 0, 1], cm_per_pixel=0.1)
    np.testing.assert_array_equal(read(pose, ("pose0",)).keypoints[:, 0, 0], one[:, 0, :2].astype(np.float32))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"frame": np.zeros(0)}, "expected TRex's arrays"),
        ({"frame": np.arange(11)[::-1]}, "frame numbers must increase"),
        ({"Y#wcentroid": np.zeros(5)}, "Y#wcentroid must be 11 numbers"),
        ({"X#wcentroid": np.array(["a"] * 11)}, "X#wcentroid must be 11 numbers"),
        ({"frame": np.arange(11) + 1e12}, "GB of memory"),
    ],
)
def test_bad_trex(tmp_path, values, more, message):
    with pytest.raises(InputError, match=f"a.npz.*{message}"):
        read(trex(tmp_path / "a.npz", values[:, 0], **more), ("wcentroid",))


def idtracker(path, values, **more):
    contents = {
        "trajectories": values[:, :, 0, :2], "frames_per_second": 32, "body_length": 20.5, "video_paths": ["a.avi"],
        "id_probabilities": values[:, :, 0, 2], "identities_labels": ["m", "f", "k"], "stats": {"accuracy": 1.0},
    } | more  # fmt: skip
    if path.suffix == ".npy":
        np.save(path, contents, allow_pickle=True)
    else:
        with h5py.File(path, "w") as file:
            for name in ("trajectories", "id_probabilities"):
                file[name] = contents[name]
            file.attrs["frames_per_second"] = contents["frames_per_second"]
            file.attrs["identities_labels"] = contents["identities_labels"]
    return path


@pytest.mark.parametrize("end", ["npy", "h5"])
def test_idtracker(tmp_path, values, end):
    values[2, 1] = np.nan
    folder = tmp_path / "session_day4" / "trajectories"
    folder.mkdir(parents=True)
    path = idtracker(folder / f"trajectories.{end}", values)
    assert detect_format(path).name == "idtracker"
    recording = read(path)
    np.testing.assert_array_equal(recording.keypoints, values[:, :, :1, :2].astype(np.float32))
    np.testing.assert_array_equal(recording.confidence, values[:, :, :1, 2].astype(np.float32))
    assert recording.individuals == ("m", "f", "k") and recording.fps == 32 and recording.id == "day4"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"trajectories": np.zeros((11, 3))}, "trajectories must be numbers"),
        ({"trajectories": np.zeros((0, 3, 2))}, "trajectories must be numbers"),
        ({"id_probabilities": np.zeros((11, 2))}, r"id_probabilities must have shape \[11, 3\]"),
        ({"frames_per_second": None}, "pass it as `fps`"),
        ({"frames_per_second": -1}, "its frame rate is -1"),
        ({"stats": ValueError("x")}, "asks to run"),
    ],
)
def test_bad_idtracker(tmp_path, values, more, message):
    with pytest.raises(InputError, match=f"a.npy.*{message}"):
        read(idtracker(tmp_path / "a.npy", values, **more))


def ethovision(values, separator=";", unit="cm", end="\r\n", comma=False):
    shown = lambda v: "-" if np.isnan(v) else f"{v:.3f}".replace(".", "," if comma else ".")  # noqa: E731
    header = ["Number of header lines:", "Experiment", "Trial name", "Subject name"]
    rows = [[header[0], "7"], [header[1], "x"], [header[2], "Trial 1"], [header[3], "Subject 2"], []]
    rows += [["Trial time", "X center", "Y center", "X nose", "Y nose", "Zone"], ["s", *[unit] * 4, ""]]
    rows += [[shown(t / 25), *map(shown, row[:, :2].reshape(-1)), "in"] for t, row in enumerate(values)]
    return "".join(separator.join(f'"{cell}"' for cell in row) + end for row in rows)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_ethovision(tmp_path, values, encoding, separator):
    one = values[:, 0].copy()
    one[3, 1] = np.nan
    path = tmp_path / "Raw data.txt"
    path.write_bytes(ethovision(one, separator, comma=separator == ";").encode(encoding))
    assert detect_format(path).name == "ethovision"
    recording = read(path, ("center", "nose"))
    np.testing.assert_array_equal(recording.keypoints[:, 0], one[..., :2].astype(np.float32))
    assert recording.individuals == ("Subject 2",) and recording.fps == pytest.approx(25)
    assert recording.px_per_cm == 1 and recording.notes == ("coordinates are in cm, not in pixels; y may point up",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace('"7"', '"70"'), "should have 70 header lines"),
        (lambda t: t.replace("X ", "U "), "has no columns such as"),
        (lambda t: t.replace("Trial time", "Clock"), "has no column `Trial time`"),
        (lambda t: t.replace('"0.120"', '"0.020"'), "times must increase"),
        (lambda t: t.replace('"0.120"', '"late"'), "times must be numbers"),
        (lambda t: t[:-40], "cells, the header has 6"),
        (lambda t: "\r\n".join(t.split("\r\n")[:7]), "header lines and then frames"),
    ],
)
def test_bad_ethovision(tmp_path, values, change, message):
    (tmp_path / "a.txt").write_text(change(ethovision(values[:, 0])), newline="")
    with pytest.raises(InputError, match=f"a.txt.*{message}"):
        read(tmp_path / "a.txt", ("center", "nose"))


def test_animals_of_one_point_need_no_skeleton_until_a_job_needs_a_heading(tmp_path, values):
    (tmp_path / "centers.txt").write_text(ethovision(values[:, 0]), newline="")
    files = [idtracker(tmp_path / "trajectories.npy", values), tmp_path / "centers.txt"]
    files += [trex(tmp_path / f"night_fish{n}.npz", values[:, n] * 0.1, cm_per_pixel=0.1) for n in (0, 1)]
    for path in files:
        (recording,) = read_recordings(path, ReadOptions())
        assert "center" in recording.skeleton.roles and "tail_base" not in recording.skeleton.roles
        with pytest.raises(InputError, match="heading and body length need a keypoint at the base of the tail"):
            body_axis(recording.skeleton)
    report = import_recordings(files[2:], tmp_path / "st", ImportOptions(animals_from="files"))
    assert Store(tmp_path / "st").individuals == ("fish0", "fish1") and [r.id for r in report.recordings] == ["night"]
    assert any("no heading and no body length" in sentence for sentence in findings(report))
    with pytest.raises(InputError, match="name its role in a `skeleton` file"):
        Featurizer(FeatureConfig(), Store(tmp_path / "st").skeleton)
    with pytest.raises(InputError, match="poses need two or more points"):
        TrajectoryCoder(StateConfig(), Skeleton(name="dot", keypoints=("centroid",), roles={"center": "centroid"}))


def test_irregular_times_are_kept_to_be_resampled(tmp_path, values):
    times = np.cumsum([0, 0.02, 0.07, 0.01, 0.04, 0.04, 0.04, 0.04, 0.005, 0.1, 0.04])
    path = trex(tmp_path / "a.npz", values[:, 0], time=times + 3)
    with pytest.raises(InputError, match="its times are irregular"):
        read(path, ("wcentroid",))
    np.testing.assert_allclose(read(path, ("wcentroid",), keep_times=True).times, times)
    shown = [f'"{number / 25:.3f}";' for number in range(11)]
    text = ethovision(values[:, 0])
    for number in reversed(range(11)):
        text = text.replace(f"\n{shown[number]}", f'\n"{times[number]:.3f}";')
    (tmp_path / "b.txt").write_text(text, newline="")
    with pytest.raises(InputError, match="its times are irregular"):
        read(tmp_path / "b.txt", ("center", "nose"))
    np.testing.assert_allclose(read(tmp_path / "b.txt", ("center", "nose"), keep_times=True).times, times)
    (tmp_path / "c.txt").write_text(ethovision(values[:, 0]), newline="")
    assert read(tmp_path / "c.txt", ("center", "nose"), keep_times=True).times is None


def trex_late(path, values, numbers, time, **more):
    return read(trex(path, values[:, 0], numbers, time=np.asarray(time), **more), ("wcentroid",), keep_times=True)


def test_trex_times_of_a_late_animal_stay(tmp_path, values):
    numbers = np.arange(90, 101)
    # The camera made 29.4 frames per second, not 30: at these frames the video is 0.06 s late.
    late = trex_late(tmp_path / "v_fish1.npz", values, numbers, numbers / 29.4, frame_rate=np.array(30.0))
    np.testing.assert_allclose(late.times, np.arange(101) / 29.4)
    # Every third frame is in the file: frames are still 1/30 s apart.
    numbers[1:] += 2 * np.arange(1, 11)
    assert trex_late(tmp_path / "w_fish1.npz", values, numbers, numbers / 30).fps == pytest.approx(30)
    # A clock that starts with the animal.
    own = trex_late(tmp_path / "x_fish1.npz", values, np.arange(90, 101), np.arange(11) / 29.4, frame_rate=np.array(30))
    np.testing.assert_allclose(own.times, np.arange(101) / 29.4)


@pytest.mark.parametrize("start", [0.0, 3.0])
def test_trex_animals_that_come_late_or_go_early_are_joined(tmp_path, values, start):
    clock = np.cumsum([0, 0.02, 0.07, 0.01, 0.04, 0.04, 0.04, 0.04, 0.005, 0.1, 0.04])
    parts = [np.arange(0, 9), np.arange(3, 11), np.arange(5, 8)]
    fish = [
        trex_late(tmp_path / f"v_fish{n}.npz", values[own], own, clock[own] + start, frame_rate=np.array(30.0))
        for n, own in enumerate(parts)
    ]
    both = joined(fish, "v", ["fish0", "fish1", "fish2"])
    np.testing.assert_allclose(both.times, clock)
    assert both.num_frames == 11 and both.in_file is None
    for n, own in enumerate(parts):
        assert (np.flatnonzero(np.isfinite(both.keypoints[:, n, 0, 0])) == own).all()
    assert both.notes[-2:] == tuple(
        f"the file of fish{n} ends {early} of 11 frames before the video: missing" for n, early in ((0, 2), (2, 3))
    )
    wrong = trex_late(tmp_path / "v_fish3.npz", values, np.arange(3, 14), clock * 1.5 + 0.1, frame_rate=np.array(30.0))
    with pytest.raises(InputError, match="different times of the same frames: they are not of one video"):
        joined([fish[0], wrong], "v", ["fish0", "fish3"])


def test_trex_animals_without_a_frame_rate_are_joined_at_that_of_the_longer_file(tmp_path, values):
    clock = np.arange(11) / 30 + np.array([0, 1, 0, -1, 1, 0, 0, 1, -1, 0, 0]) * 1e-5
    parts = [np.arange(4, 9), np.arange(11)]
    fish = [read(trex(tmp_path / f"v_fish{n}.npz", values[own, 0], own, time=clock[own]), ("wcentroid",))
            for n, own in enumerate(parts)]  # fmt: skip
    assert fish[0].fps != fish[1].fps
    both = joined(fish, "v", ["fish0", "fish1"])
    assert both.fps == fish[1].fps and both.times is None and both.individuals == ("fish0", "fish1")


def test_one_frame_keeps_its_time(tmp_path, values):
    one = trex_late(tmp_path / "v_fish1.npz", values[:1], np.array([4]), [0.51], frame_rate=np.array(10.0))
    np.testing.assert_allclose(one.times, np.arange(5) * 0.51 / 4)
    lines = ethovision(values[:1, 0]).replace('"0.000"', '"0.510"')
    (tmp_path / "a.txt").write_text(lines, newline="")
    for keep_times in (False, True):
        late = read(tmp_path / "a.txt", ("center", "nose"), fps=10.0, keep_times=keep_times)
        assert np.flatnonzero(np.isfinite(late.keypoints[:, 0, 0, 0])).tolist() == [5]
        assert late.times is None if not keep_times else late.times[-1] == 0.51
