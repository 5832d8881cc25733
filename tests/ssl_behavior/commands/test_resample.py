"""The verb `resample`: the new store, what it says, and what it refuses."""

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.io import write_npz
from ssl_behavior.recording import FrameTimes, Labels
from ssl_behavior.resampling import resample
from ssl_behavior.store import Store, write_store


@pytest.fixture
def store(tmp_path, dyad):
    labels = {"S1": Labels(vocabulary=("x", "y"), frames=np.arange(120) // 10 % 2, annotator="ann", background="y")}
    made = [dyad("day/fast", 120, fps=60.0, labels=labels), dyad("mid", 61), dyad("slow", 31, fps=5.0)]
    return write_store(tmp_path / "store", made)


def run(*words):
    return main(["resample", *map(str, words)])


def test_new_store(store, tmp_path, capsys):
    assert run(store.path, "--fps", "30", "--out", tmp_path / "new") == 0
    output = capsys.readouterr().out
    for sentence in (
        "1 recording: resampled from 60 to 30 frames per second", "1 recording: 30 frames per second already",
        "1 recording: resampled from 5 to 30", "1 recording: 30 is 6 times as many frames per second as were filmed",
        "302 frames at 30 per second",
    ):  # fmt: skip
        assert sentence in output
    new = Store(tmp_path / "new")
    assert [(row.id, row.frames, row.fps) for row in new.rows] == [
        ("day/fast", 60, 30.0), ("mid", 61, 30.0), ("slow", 181, 30.0)
    ]  # fmt: skip
    for recording in store:
        made, expected = new.recording(recording.id), resample(recording, 30.0)
        assert np.array_equal(made.keypoints, expected.keypoints, equal_nan=True)
        assert made.source == recording.source and made.subset == recording.subset
    own = new.recording("day/fast").labels["S1"]
    assert (own.annotator, own.background, own.vocabulary) == ("ann", "y", ("x", "y"))
    assert own.frames.tolist() == (np.arange(60) // 5 % 2).tolist()
    # The first source is kept when the result is resampled.
    assert run(new.path, "--fps", "20", "--out", tmp_path / "again") == 0
    source = Store(tmp_path / "again").recording("day/fast").resampled_from
    assert (source.fps, source.num_frames, source.measured) == (60.0, 120, None)


def test_removed_bouts_are_counted_by_import_resample_and_labels_add(tmp_path, dyad, capsys):
    frames = np.zeros(90, int)
    frames[[10, 31, 52]], frames[60:80] = 1, 2
    labels = {"S1": Labels(vocabulary=("other", "rear", "sniff"), frames=frames, background="other")}
    videos = [dyad(name, 90, labels=labels) for name in ("a", "b")]
    store = write_store(tmp_path / "store", videos).path
    for one in videos:
        write_npz(tmp_path / f"{one.id}.npz", one)
    np.save(tmp_path / "a.npy", np.array(["other", "rear", "sniff"])[frames])
    expected = (
        "  - resampling removed {} of {} bouts of rear: none of the new frames is mostly theirs; a higher rate keeps "
        "them ({})"
    )
    assert run(store, "--fps", "10", "--out", tmp_path / "new") == 0
    assert capsys.readouterr().out.splitlines()[0] == expected.format(6, 6, "a, b")
    words = ["import", str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), "--resample", "10"]
    assert main([*words, "--out", str(tmp_path / "imported")]) == 0
    assert expected.format(6, 6, "a, b").strip() in " ".join(capsys.readouterr().out.split())
    assert (
        main(["labels", "add", str(tmp_path / "new"), str(tmp_path / "a.npy"), "--background", "behavior=other"]) == 0
    )
    assert capsys.readouterr().out.splitlines()[0] == expected.format(3, 3, "a")
    assert run(store, "--fps", "60", "--out", tmp_path / "fast") == 0
    assert "resampling removed" not in capsys.readouterr().out


def test_measured_times_stay(tmp_path, dyad):
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.06, 50))
    source = FrameTimes(fps=30.0, num_frames=50, measured=times)
    made = [dyad("a", 40, resampled_from=source), dyad("b", 40), dyad("c", 40, resampled_from=source)]
    store = write_store(tmp_path / "store", made)
    assert run(store.path, "--fps", "15", "--out", tmp_path / "new") == 0
    new = Store(tmp_path / "new")
    assert [row.source_times for row in new.rows] == [0, None, 50]
    assert all(np.array_equal(new.recording(id).resampled_from.measured, times) for id in "ac")


@pytest.mark.parametrize(
    ("fps", "message"),
    [("0", "--fps must be a number from 0.01 to 100,000 frames per second, got 0"), ("-3", "per second, got -3"),
     ("nan", "per second, got nan")],
)  # fmt: skip
def test_bad_rates(store, tmp_path, fps, message, capsys):
    assert run(store.path, "--fps", fps, "--out", tmp_path / "new") == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_nothing_to_do(tmp_path, dyad, capsys):
    store = write_store(tmp_path / "store", [dyad("a", 11), dyad("b", 13)])
    assert run(store.path, "--fps", "30", "--out", tmp_path / "new") == 2
    assert f"{store.path}: all recordings have 30 frames per second already: nothing to resample" in (
        capsys.readouterr().err
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_places_that_are_taken(store, tmp_path, capsys):
    assert run(store.path, "--fps", "30", "--out", store.path, "--overwrite") == 2
    assert f"{store.path} is the store itself" in capsys.readouterr().err
    assert run(store.path, "--fps", "30", "--out", store.path / "new") == 2
    assert f"{store.path / 'new'} lies inside the store {store.path}; choose another --out" in capsys.readouterr().err
    (tmp_path / "store.json").write_text("{}")
    assert run(store.path, "--fps", "30", "--out", tmp_path, "--overwrite") == 2
    assert f"{store.path} lies inside {tmp_path}, which would be replaced" in capsys.readouterr().err
    (tmp_path / "store.json").unlink()
    write_store(tmp_path / "new", [resample(store.recording("mid"), 10.0)])
    assert run(store.path, "--fps", "30", "--out", tmp_path / "new") == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert run(store.path, "--fps", "30", "--out", tmp_path / "new", "--overwrite") == 0
    assert len(Store(tmp_path / "new")) == 3
    assert run(tmp_path / "nothing", "--fps", "30", "--out", tmp_path / "other") == 2
    assert not (tmp_path / "other").exists()


def test_too_many_frames_leave_nothing(tmp_path, dyad, capsys):
    store = write_store(tmp_path / "store", [dyad("a", 31, fps=0.02)])
    assert run(store.path, "--fps", "1e5", "--out", tmp_path / "new") == 2
    assert "GB of memory; choose a lower rate" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]
