"""Times and numbers of frames of a file."""

import builtins
import sys

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.videos import VideoReader, frame_times
from ssl_behavior.videos.frame_index import frame_index, read_header
from tests.ssl_behavior.videos.conftest import CLOCK, HEIGHT, WIDTH, number_in, uneven_times, write_video

KINDS = {
    "out of order": ("a.mp4", "libx264", {"bf": "3", "g": "10"}, None),
    "variable rate": ("b.mp4", "libx264", {"bf": "2", "g": "10"}, uneven_times),
    "open groups": ("c.mkv", "libx264", {"bf": "3", "g": "8", "x264-params": "open-gop=1"}, None),
    "no times in the file": ("d.avi", "libx264", {"bf": "2", "g": "10"}, None),
    "keyframes alone": ("e.avi", "mjpeg", {"strict": "-1"}, None),
    "one keyframe": ("f.mov", "libx264", {"g": "1000"}, None),
}
FRAMES = 41


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory):
    name, codec, options, times = KINDS[request.param]
    path = tmp_path_factory.mktemp("kinds") / name
    known = None if times is None else times(FRAMES)
    write_video(path, FRAMES, times=known, codec=codec, options=options)
    return path, np.arange(FRAMES) / 30 if known is None else known


def test_times_are_those_of_the_frames(made):
    path, expected = made
    times = frame_times(path)
    assert times.dtype == np.float64 and not times.flags.writeable
    np.testing.assert_allclose(times - times[0], expected, atol=0.6 / CLOCK)


def test_frames_are_exact_one_after_the_other_and_in_any_order(made):
    path, _ = made
    order = [*range(FRAMES), *np.random.default_rng(0).permutation(FRAMES).tolist(), 0, 0, FRAMES - 1, FRAMES - 2]
    with VideoReader(path) as reader:
        assert len(reader) == FRAMES
        assert [number_in(reader.read(number)) for number in order] == order


def test_reading_on_decodes_each_frame_once(tmp_path):
    path = write_video(tmp_path / "a.mp4", 30, options={"g": "1000"})
    with VideoReader(path) as reader:
        seeks = []
        seek = reader._seek
        reader._seek = lambda stamp: (seeks.append(stamp), seek(stamp))
        for number in (0, 1, 2, 5, 29):
            reader.read(number)
        assert len(seeks) == 1
        reader.read(3)
        assert len(seeks) == 2


def test_pictures_have_the_size_asked_for(tmp_path):
    path = write_video(tmp_path / "a.mp4", 3)
    header = read_header(path)
    assert (header.width, header.height, header.frames, header.fps) == (WIDTH, HEIGHT, 3, 30.0)
    with VideoReader(path, (WIDTH // 2, HEIGHT // 2)) as reader:
        picture = reader.read(2)
    assert picture.shape == (HEIGHT // 2, WIDTH // 2, 3) and number_in(picture, 8) == 2


def test_a_changed_file_is_read_again(tmp_path):
    path = write_video(tmp_path / "a.mp4", 5)
    assert len(frame_times(path)) == 5 and frame_index(path) is frame_index(path)
    write_video(path, 7)
    assert len(frame_times(path)) == 7


def test_files_without_a_readable_video_are_refused(tmp_path):
    text, short = tmp_path / "a.mp4", tmp_path / "b.mp4"
    text.write_text("no video")
    short.write_bytes(write_video(tmp_path / "c.mp4", 20).read_bytes()[:900])
    for path in (text, short):
        with pytest.raises(InputError, match="cannot be read"):
            frame_times(path)
    with pytest.raises(InputError, match="no such file"):
        frame_times(tmp_path / "d.mp4")
    with VideoReader(tmp_path / "c.mp4") as reader, pytest.raises(InputError, match="its frames are 0 to 19"):
        reader.read(20)


def test_frames_that_are_damaged_are_refused(tmp_path):
    whole = write_video(tmp_path / "a.mp4", 40, options={"g": "5"})
    contents = bytearray(whole.read_bytes())
    place = contents.index(b"mdat") + 4
    contents[place : place + 2000] = bytes(2000)
    damaged = tmp_path / "b.mp4"
    damaged.write_bytes(contents)
    with VideoReader(damaged) as reader, pytest.raises(InputError, match=r"b.mp4.*cannot be .*copy or export it again"):
        reader.read(1)


def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch):
    real = builtins.__import__
    path = write_video(tmp_path / "a.mp4", 2)
    monkeypatch.delitem(sys.modules, "av")

    def refuse(name, *rest):
        if name == "av":
            raise ImportError("No module named 'av'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"pip install 'ssl-behavior\[video\]'"):
        frame_times(path)
