"""The verb `video`."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.recording import Labels
from ssl_behavior.store import write_store
from ssl_behavior.videos import VideoReader

pytest.importorskip("av")

SMALL = ("--size", "320x240")


@pytest.fixture(scope="module")
def place(dyad, tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    recordings = []
    for number, frames in enumerate((40, 31)):
        made = dyad(f"m{number}", frames, seed=number)
        labels = {"S1": Labels(vocabulary=("rest", "fight"), frames=np.zeros(frames, np.int16), background="rest")}
        recordings.append(replace(made, labels=labels))
    write_store(folder / "store", recordings)
    return folder


def run(place, *words):
    return main(["video", str(place / "store"), *map(str, words), *SMALL])


def test_a_movie_of_a_part_is_written_and_its_size_said(place, tmp_path, capsys):
    out = tmp_path / "a[/b].mp4"
    assert run(place, "--out", out, "--recordings", "m0", "--frames", "5:15", "--labels", "S1") == 0
    said = capsys.readouterr().out
    assert "1 movie, " in said and "m0" in said and "100 %" in said
    with VideoReader(out) as reader:
        assert len(reader) == 10


@pytest.mark.parametrize(("text", "frames"), [("30:", 10), (":4", 4), ("35:99", 5)])
def test_frames_may_lack_an_end(place, tmp_path, text, frames):
    assert run(place, "--out", tmp_path / "a.mkv", "--recordings", "m0", "--frames", text, "--labels", "none") == 0
    with VideoReader(tmp_path / "a.mkv") as reader:
        assert len(reader) == frames


def test_recordings_without_a_video_are_named(place, tmp_path, capsys):
    (tmp_path / "v").mkdir()
    assert run(place, "--out", tmp_path / "m", "--videos", tmp_path / "v", "--frames", "0:3") == 0
    assert "has no video of m0, m1: drawn in an empty arena" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["m0.mp4", "m1.mp4"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--frames", "9"], "--frames '9': expected A:B"),
        (["--frames", ":"], "--frames ':': expected A:B"),
        (["--frames", "50:60"], "--frames 50:60: recording 'm0' has the frames 0 to 39"),
        (["--size", "big"], "--size 'big': expected width and height such as 1280x720"),
        (["--videos", "nowhere"], "there is no such folder; --videos is the folder of the recordings' videos"),
        (["--labels", "S9"], "--labels S9: "),
        (["--clusters", "nowhere"], "is not a clusters folder"),
        (["--grid"], "--grid shows typical bouts of clusters: give their folder as --clusters"),
        (["--which", "3"], "--which is for grid movies: pass --grid, too"),
        (["--recordings", "m9"], "no recording matches 'm9'"),
        (["--speed", "0"], "--speed must be a number above 0"),
    ],
)
def test_mistakes_exit_2_with_a_sentence(place, tmp_path, capsys, words, message):
    assert main(["video", str(place / "store"), "--out", str(tmp_path / "m"), *SMALL, *words]) == 2
    error = capsys.readouterr().err
    assert message in error and "`" not in error and "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_one_file_is_for_one_movie(place, tmp_path, capsys):
    assert run(place, "--out", tmp_path / "a.mp4") == 2
    assert (
        "is one file, but there are 2 movies: name a folder, or choose one with --recordings" in capsys.readouterr().err
    )


def test_movies_are_replaced_on_request(place, tmp_path, capsys):
    words = ("--out", tmp_path / "m", "--recordings", "m1", "--frames", "0:3")
    assert run(place, *words) == 0 and run(place, *words) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert run(place, *words, "--overwrite") == 0


def test_a_damaged_store_is_named(place, tmp_path, capsys):
    shutil.copytree(place / "store", tmp_path / "store")
    (tmp_path / "store" / "keypoints.npy").unlink()
    assert main(["video", str(tmp_path / "store"), "--out", str(tmp_path / "m")]) == 2
    assert "keypoints.npy is missing" in capsys.readouterr().err
