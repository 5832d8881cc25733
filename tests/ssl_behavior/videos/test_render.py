"""Movies as files: contents, names, refusals, interruptions."""

import numpy as np
import pytest

from ssl_behavior.clusters import load_clustering
from ssl_behavior.errors import InputError
from ssl_behavior.store import write_store
from ssl_behavior.videos import MovieConfig, VideoReader, render
from ssl_behavior.videos.render import Movies, movie_sources
from ssl_behavior.videos.writer import movie_writer
from tests.ssl_behavior.videos.conftest import write_video

av = pytest.importorskip("av")

SMALL = {"size": (320, 240), "verbose": False}
SHORT = (0, 6)


def facts(path):
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        return stream.codec_context.name, stream.codec_context.pix_fmt, float(stream.average_rate), stream.frames


def test_a_movie_is_h264_that_browsers_start_at_once(store, tmp_path):
    out = tmp_path / "new" / "movie.mp4"
    assert render(store, out, recordings="day1/m1", frames=(10, 31), speed=0.5, **SMALL) == [out]
    assert facts(out) == ("h264", "yuv420p", 15.0, 21)
    contents = out.read_bytes()
    assert contents.index(b"moov") < contents.index(b"mdat")
    with VideoReader(out) as reader:
        assert reader.read(0).shape == (240, 320, 3)


def test_several_recordings_make_a_folder_of_movies_with_their_ids(store, tmp_path):
    made = render(store, tmp_path / "out", frames=SHORT, format="mkv", **SMALL)
    assert [path.relative_to(tmp_path).as_posix() for path in made] == ["out/day1/m1.mkv", "out/day1/m2.mkv"]
    assert sorted(tmp_path.rglob("*.mkv")) == made


def test_odd_sizes_are_rounded_down(store, tmp_path):
    render(store, tmp_path / "a.mp4", recordings="day1/m1", frames=(0, 2), size=(321, 243), verbose=False)
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert reader.read(1).shape == (242, 320, 3)


def test_grid_movies_are_one_for_each_cluster_with_bouts(store, clustered, videos, tmp_path):
    clusters = load_clustering(clustered / "clusters")
    made = render(
        store, tmp_path / "g", videos=videos, clusters=clusters, embeddings=clustered / "embeddings", grid=True,
        which=[0, 2], cells=4, **SMALL,
    )  # fmt: skip
    assert [path.name for path in made] == ["cluster_0.mp4", "cluster_2.mp4"]
    assert facts(made[0])[2:] == (30.0, 2 * 40)
    (one,) = render(store, tmp_path / "one.mp4", clusters=clusters, grid=True, which=2, cells=1, **SMALL)
    assert one.exists()


def test_a_bout_is_shown_no_longer_than_asked(store, clustered, tmp_path):
    (path,) = render(
        store, tmp_path / "a.mp4", clusters=clustered / "clusters", grid=True, which=1, cell_seconds=0.2, **SMALL
    )
    assert facts(path)[3] == 2 * 36


def test_notices_are_printed(store, clustered, videos, tmp_path, capsys):
    options = SMALL | {"verbose": True}
    render(store, tmp_path / "g", videos=videos, clusters=clustered / "clusters", grid=True, which=1, **options)
    said = capsys.readouterr().err
    assert "has no video of day1/m2: drawn in an empty arena" in said and "without `embeddings`" in said


def test_clusters_of_another_store_are_said_and_those_of_other_recordings_refused(clustered, group, dyad, tmp_path):
    alike = write_store(tmp_path / "store", [dyad("day1/m1", 61, seed=9), dyad("day1/m2", 50, seed=9)])
    movies = render_notices(alike, clustered)
    assert any("the clusters were not made from" in one for one in movies)
    longer = write_store(tmp_path / "longer", [dyad("day1/m1", 62)])
    with pytest.raises(InputError, match="has 62 frames at 30 per second, but was clustered with 61"):
        render(longer, tmp_path / "out", clusters=clustered / "clusters", **SMALL)
    with pytest.raises(InputError, match="has no recording 'day1/m1'"):
        render(group / "store", tmp_path / "out", clusters=clustered / "clusters", grid=True, **SMALL)


def render_notices(store, clustered):
    return movie_sources(store, clusters=load_clustering(clustered / "clusters"))[1]


def test_nothing_is_replaced_without_being_asked(store, tmp_path):
    out = tmp_path / "a.mp4"
    out.write_text("years of work")
    with pytest.raises(InputError, match="exists already: choose another `out`, or pass `overwrite`"):
        render(store, out, recordings="day1/m1", frames=SHORT, **SMALL)
    assert out.read_text() == "years of work"
    render(store, out, recordings="day1/m1", frames=SHORT, overwrite=True, **SMALL)
    assert facts(out)[3] == 6


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_movie_leaves_nothing(store, tmp_path, error, monkeypatch):
    def interrupted(self, movies, progress=None):
        def stop(stage, done, total):
            raise error

        return write(self, movies, stop)

    write = Movies.write
    monkeypatch.setattr(Movies, "write", interrupted)
    with pytest.raises(error):
        render(store, tmp_path / "out" / "a.mp4", recordings="day1/m1", **SMALL)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_error_of_the_encoder_reaches_the_caller(tmp_path):
    with pytest.raises(ValueError), movie_writer(tmp_path / "a.mp4", (320, 240), 30.0) as writer:
        for _ in range(20):
            writer.add(np.zeros((240, 320), np.uint8))
    assert not list(tmp_path.iterdir())


MISTAKES = {
    "the recordings' videos": {"videos": "nowhere"},
    "no recording matches 'x'": {"recordings": "x"},
    "has no such label stream": {"labels": "S9"},
    "`out` .*a.mp4 is one file, but there are 2 movies": {"out": "a.mp4"},
    "ends in .mkv, `format` is mp4": {"out": "a.mkv", "recordings": "day1/m1"},
    "`frames` 70:90: recording 'day1/m1' has the frames 0 to 60": {"frames": (70, 90)},
    "`frames` 9:9": {"frames": (9, 9)},
    "`size` must be width and height from 160 to 7680 pixels, got 20x20": {"size": (20, 20)},
    "`speed` must be a number above 0": {"speed": 0.0},
    "`format` must be one of": {"format": "avi"},
    "`cells` must be 1 to 64": {"cells": 0},
    "there is no setting": {"bouts": 3},
    "`grid` shows typical bouts of clusters": {"grid": True},
    "`which` is for grid movies": {"which": 3},
    "`embeddings` is for grid movies": {"embeddings": "e"},
    "`names` are those of clusters": {"names": "n.json"},
    "is not a clusters folder": {"clusters": "nowhere"},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_refused_before_anything_is_written(message, store, tmp_path):
    options = {"out": tmp_path / "out"} | MISTAKES[message]
    for name in ("out", "videos", "clusters"):
        if name in options:
            options[name] = tmp_path / options[name]
    with pytest.raises(InputError, match=message if message != "there is no setting" else "bouts"):
        render(store, **(SMALL | options))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"which": 7}, "`which` 7: the clusters are 0 to 2"),
        ({"frames": (0, 9)}, "leave them out with `grid`"),
        ({"recordings": "day1/m2", "which": 2}, "none of the clusters has a bout in these recordings"),
    ],
)
def test_mistakes_about_grids_are_refused(options, message, store, clustered, tmp_path):
    with pytest.raises(InputError, match=message):
        render(store, tmp_path / "g", clusters=clustered / "clusters", grid=True, **SMALL, **options)


def test_a_video_of_another_length_is_refused_by_name(store, tmp_path):
    write_video(tmp_path / "v" / "m1.mp4", 30)
    with pytest.raises(InputError, match=r"m1.mp4 \(recording 'day1/m1'\) has 30 frames .* the recording 61"):
        render(store, tmp_path / "out", videos=tmp_path / "v", **SMALL)


def test_settings_are_checked():
    assert MovieConfig(size=(641, 481)).size == (640, 480) and MovieConfig(speed=2.0).fps_of(30.0) == 60
    with pytest.raises(InputError, match="`speed`"):
        MovieConfig(speed=1e9).fps_of(30.0)
