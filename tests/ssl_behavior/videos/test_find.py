"""Video files of recordings: names, lengths, rates."""

import shutil

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.store import write_store
from ssl_behavior.videos import find_videos, frame_times, matched_frames, shown_times
from ssl_behavior.videos.find import _begins, _few_frames
from tests.ssl_behavior.videos.conftest import HEIGHT, WIDTH, uneven_times, write_video

FRAMES = 60


@pytest.fixture
def store_of(dyad, tmp_path):
    """A store of recordings with these ids, each from the track file that it is mapped to."""

    def make(sources, fps=30.0, **fields):
        recordings = [dyad(id, FRAMES, fps=fps, source=source, **fields) for id, source in sources.items()]
        return write_store(tmp_path / "store", recordings)

    return make


@pytest.fixture(scope="module")
def videos_of(tmp_path_factory):
    """A folder with videos of these names, all of the same contents."""
    one = write_video(tmp_path_factory.mktemp("one") / "one.mp4", FRAMES)

    def make(*names):
        folder = tmp_path_factory.mktemp("videos")
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(one.read_bytes())
        return folder

    return make


DLC = "DLC_resnet50_socialMay1shuffle1_500000"


@pytest.mark.parametrize(
    ("sources", "names", "found"),
    [
        ({"07": "07.csv"}, ["07.mp4"], {"07": "07.mp4"}),
        ({"07": f"07{DLC}.h5"}, ["07.MP4", f"07{DLC}_labeled.mp4"], {"07": "07.MP4"}),
        ({"07": f"07{DLC}.h5"}, [f"07{DLC}_labeled.mp4"], {"07": f"07{DLC}_labeled.mp4"}),
        ({"07": ""}, ["07_cropped.mp4"], {"07": "07_cropped.mp4"}),
        ({"07": "", "07_2": ""}, ["07.mp4", "07_2.mp4"], {"07": "07.mp4", "07_2": "07_2.mp4"}),
        ({"07": "", "07_2": ""}, ["07_2.mp4"], {"07_2": "07_2.mp4"}),
        ({"07": "", "071": ""}, ["071.mp4"], {"071": "071.mp4"}),
        ({"07_trial": ""}, ["07.mp4"], {"07_trial": "07.mp4"}),
        ({"w1/m": "", "w2/m": ""}, ["w1/m.mp4", "w2/m.mp4"], {"w1/m": "w1/m.mp4", "w2/m": "w2/m.mp4"}),
        ({"w1/m": ""}, ["cam/m.mp4"], {"w1/m": "cam/m.mp4"}),
        ({"w1/m": ""}, ["a/w1/m.mp4", "m.txt", "._m.mp4", ".old/m.mp4"], {"w1/m": "a/w1/m.mp4"}),
        ({"07": ""}, ["08.mp4"], {}),
    ],
)
def test_files_are_found_by_name(store_of, videos_of, sources, names, found):
    folder = videos_of(*names)
    videos = find_videos(store_of(sources), folder)
    assert {id: video.path.relative_to(folder).as_posix() for id, video in videos.items()} == found


@pytest.mark.parametrize(
    ("ids", "names", "message"),
    [
        (["07"], ["07_top.mp4", "07_side.mp4"], "'07' has several videos: .*07_side.mp4 and .*07_top.mp4"),
        (["07"], ["a/07.mp4", "b/07.avi"], "'07' has several videos"),
        (["w1/m", "w2/m"], ["m.mp4"], "m.mp4 fits two recordings, 'w1/m' and 'w2/m'"),
    ],
)
def test_several_files_that_fit_are_an_error_and_no_guess(store_of, videos_of, ids, names, message):
    store, folder = store_of(dict.fromkeys(ids, "")), videos_of(*names)
    with pytest.raises(InputError, match=message):
        find_videos(store, folder)
    said = {}
    assert find_videos(store, folder, refused=lambda id, why: said.update({id: why})) == {}
    assert set(said) == set(ids)


def test_facts_are_those_of_the_file(store_of, videos_of):
    video = find_videos(store_of({"07": ""}), videos_of("07.mp4"))["07"]
    assert (video.width, video.height, video.fps, video.frames, video.notice) == (WIDTH, HEIGHT, 30.0, FRAMES, "")


@pytest.mark.parametrize(("more", "fine"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_frame_in_fifty_may_differ(store_of, tmp_path, more, fine):
    assert _few_frames(FRAMES) == 1 and _few_frames(10_000) == 5
    store = store_of({"07": ""})
    write_video(tmp_path / "v" / "07.mp4", FRAMES + more)
    if not fine:
        with pytest.raises(InputError, match=f"07.mp4 .*has {FRAMES + more} frames at 30 .*it is not the video of"):
            find_videos(store, tmp_path / "v")
        return
    video = find_videos(store, tmp_path / "v")["07"]
    assert ("counted from the first" in video.notice) == bool(more)
    numbers = matched_frames(store, "07", video)
    assert numbers.tolist() == [*range(min(FRAMES, FRAMES + more)), *[-1] * max(0, -more)]


def test_a_video_of_another_rate_with_as_many_frames_is_used_by_number(store_of, tmp_path):
    write_video(tmp_path / "v" / "07.mp4", FRAMES, fps=15)
    store = store_of({"07": ""})
    video = find_videos(store, tmp_path / "v")["07"]
    assert "15 frames per second, the recording 30, and as many frames: frames are matched by number" in video.notice
    assert not video.by_time and matched_frames(store, "07", video).tolist() == list(range(FRAMES))
    np.testing.assert_allclose(shown_times(store, "07", video), np.arange(FRAMES) / 15)


def test_a_video_of_another_rate_that_lasts_as_long_is_used_by_time(store_of, tmp_path):
    write_video(tmp_path / "v" / "07.mp4", 2 * FRAMES, fps=60)
    store = store_of({"07": ""})
    video = find_videos(store, tmp_path / "v")["07"]
    assert video.by_time and "lasts as long: frames are matched by time" in video.notice
    assert matched_frames(store, "07", video).tolist() == list(range(0, 2 * FRAMES, 2))


def test_frames_of_a_resampled_recording_show_the_nearest_frame_of_the_source(resampled, tmp_path):
    times = uneven_times(61)
    write_video(tmp_path / "v" / "m1.mp4", 61, times=times)
    video = find_videos(resampled, tmp_path / "v")["m1"]
    numbers = matched_frames(resampled, "m1", video)
    seconds = np.arange(resampled.rows[0].frames) / 20
    np.testing.assert_array_equal(numbers, np.abs(times[:, None] - seconds).argmin(axis=0))
    np.testing.assert_allclose(shown_times(resampled, "m1", video), frame_times(video.path)[numbers])
    assert np.abs(shown_times(resampled, "m1", video) - seconds).max() < 0.06


def test_a_video_of_another_size_is_scaled_with_a_notice(store_of, videos_of):
    same, other = (WIDTH * 2.0, HEIGHT * 2.0), (WIDTH * 2.0, HEIGHT * 1.0)
    for size, words in ((same, "points are scaled"), (other, "if the video was cropped")):
        store = store_of({"07": ""}, resolution_px=size)
        assert words in find_videos(store, videos_of("07.mp4"))["07"].notice
        shutil.rmtree(store.path)


def test_a_folder_that_is_not_there_and_a_damaged_video_are_refused(store_of, tmp_path):
    store = store_of({"07": ""})
    with pytest.raises(InputError, match="there is no such folder; `videos`"):
        find_videos(store, tmp_path / "none")
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "07.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match="this video cannot be read"):
        find_videos(store, tmp_path / "v")


def test_only_chosen_recordings_are_looked_at(store_of, videos_of, tmp_path):
    store, folder = store_of({"07": "", "08": ""}), videos_of("07.mp4")
    (folder / "08.mp4").write_bytes(b"no video")
    assert list(find_videos(store, folder, store.select(["07"]))) == ["07"]


def test_names_begin_at_a_border_of_words():
    assert _begins("07_dlc", "07") and _begins("07", "07") and not _begins("071", "07")


def test_the_source_of_several_recordings_names_none(store_of, videos_of):
    store = store_of({"a": "all.json", "b": "all.json"})
    assert find_videos(store, videos_of("all.mp4")) == {}
