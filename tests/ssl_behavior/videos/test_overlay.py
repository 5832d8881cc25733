"""Movies of recordings: video, poses and panel in step, to the frame."""

import numpy as np

from ssl_behavior.store import write_store
from ssl_behavior.videos import VideoReader, find_videos
from ssl_behavior.videos.find import matched_frames
from ssl_behavior.videos.lanes import lanes_of
from ssl_behavior.videos.overlay import View, arena_of, overlay_pictures
from ssl_behavior.videos.panel import Panel
from ssl_behavior.videos.poses import animal_color
from ssl_behavior.videos.writer import movie_writer
from tests.ssl_behavior.videos.conftest import BLOCK, HEIGHT, WIDTH, number_in, uneven_times, write_video

SIZE = (960, 540)


def place_of_picture(row, panel_height):
    return View.fitted((0, 0, WIDTH, HEIGHT), 0, 0, SIZE[0], SIZE[1] - panel_height)


def pictures_of(store, row, video, frames, lanes=()):
    made = overlay_pictures(store, row, video, lanes, frames, SIZE, 30.0)
    return [picture.copy() for picture in made]


def view_of(row, lanes=()):
    panel = Panel(lanes, row.fps, 0, row.frames, 30.0, SIZE[0], SIZE[1] / 720)
    return View.fitted((0.0, 0.0, float(WIDTH), float(HEIGHT)), 0, 0, SIZE[0], SIZE[1] - panel.height)


def test_frames_of_the_video_are_those_of_the_recording(store, videos):
    row = store.rows[0]
    video = find_videos(store, videos)[row.id]
    view = view_of(row)
    pictures = pictures_of(store, row, video, (7, 40))
    assert [number_in(view.part_of(one), BLOCK * view.scale) for one in pictures] == list(range(7, 40))


def test_frames_of_a_resampled_recording_are_the_nearest(resampled, tmp_path):
    row = resampled.rows[0]
    write_video(tmp_path / "v" / "m1.mp4", 61, times=uneven_times(61), options={"bf": "2"})
    video = find_videos(resampled, tmp_path / "v")["m1"]
    view, expected = view_of(row), matched_frames(resampled, "m1", video)
    pictures = pictures_of(resampled, row, video, (0, row.frames))
    assert [number_in(view.part_of(one), BLOCK * view.scale) for one in pictures] == expected.tolist()


def test_points_lie_on_the_shapes_of_their_frame(store, videos):
    """The video has black discs at the points; the middle of each pose's dot is on a disc, and of the pose's color."""
    row = store.rows[0]
    video = find_videos(store, videos)[row.id]
    view, off = view_of(row), []
    with VideoReader(video.path) as reader:
        for frame, picture in zip(range(0, 50), pictures_of(store, row, video, (0, 50)), strict=True):
            plain, points = reader.read(frame), store.keypoints[row.offset + frame]
            for x, y in points[0][np.isfinite(points[0]).all(axis=1)]:
                if 12 < x < WIDTH - 12 and 12 < y < HEIGHT - 30:
                    assert plain[round(float(y)), round(float(x))].max() < 60
                    column, line = np.round(view.points(np.array([x, y]))).astype(int)
                    off.append(view.part_of(picture)[line, column].astype(int) - np.array(animal_color(0)))
    assert np.median(np.abs(off)) <= 2 and len(off) > 200


def test_after_the_end_of_the_video_the_picture_says_so(store, tmp_path):
    row = store.rows[0]
    write_video(tmp_path / "v" / "m1.mp4", row.frames - 1)
    video = find_videos(store, tmp_path / "v")[row.id]
    last = pictures_of(store, row, video, (row.frames - 2, row.frames))
    view = view_of(row)
    assert view.part_of(last[0])[5, -5].max() < 200 < view.part_of(last[1])[5, -5].min()


def test_without_a_video_there_is_an_arena(store):
    row = store.rows[0]
    assert arena_of(store, row) == (0, 0, WIDTH, HEIGHT)
    (picture,) = pictures_of(store, row, None, (3, 4))
    part = view_of(row).part_of(picture)
    assert (part[2, -2] == (246, 247, 248)).all()
    column, line = np.round(view_of(row).points(np.nanmean(store.keypoints[row.offset + 3, 0, :1], axis=0))).astype(int)
    assert picture.shape == (SIZE[1], SIZE[0], 3) and (part[line - 3 : line + 4, column - 3 : column + 4] < 200).any()


def test_the_arena_of_unknown_size_holds_the_points(dyad, tmp_path):
    store = write_store(tmp_path / "store", [dyad("a", 80)])
    points = store.keypoints[:].reshape(-1, 2)
    x0, y0, x1, y1 = arena_of(store, store.rows[0])
    assert ((points > (x0, y0)) & (points < (x1, y1))).mean() > 0.99


def test_the_cursor_is_at_its_frame_and_pages_turn(store):
    row = store.rows[0]
    lanes = lanes_of(store, row, ["S1"], None)
    panel = Panel(lanes, row.fps, 0, 60, 1.0, SIZE[0], 0.75)
    picture = np.empty((panel.height, SIZE[0], 3), np.uint8)
    places = []
    for frame in range(60):
        panel.draw(picture, frame)
        red = picture[..., 0].astype(float) - picture[..., 1:].max(axis=2)
        red = np.where(red > 60, red, 0.0).sum(axis=0)
        places.append((red * np.arange(SIZE[0])).sum() / red.sum())
    left, right = panel.sizes.left, panel.sizes.right
    expected = left + (np.arange(60) % 30 + 0.5) / 30 * (right - left)
    np.testing.assert_allclose(places, expected, atol=1.5)


def test_colors_under_the_cursor_are_those_of_the_frame(store):
    row = store.rows[0]
    lanes = lanes_of(store, row, ["S1"], None)
    panel = Panel(lanes, row.fps, 0, row.frames, 30.0, SIZE[0], 0.75)
    picture = np.empty((panel.height, SIZE[0], 3), np.uint8)
    for frame in range(2, row.frames, 15):
        panel.draw(picture, (frame + 30) % row.frames)
        color = picture[int(panel._middle(0)) - 7, round(panel._x(frame + 0.5))]
        assert color.tolist() == list(lanes[0].at(frame)[0].color)


def test_movies_keep_step_after_encoding(store, videos, tmp_path):
    """What a player shows at frame n has the video's frame n."""
    row = store.rows[0]
    video = find_videos(store, videos)[row.id]
    with movie_writer(tmp_path / "a.mp4", SIZE, row.fps) as writer:
        for picture in overlay_pictures(store, row, video, (), (5, 50), SIZE, 30.0):
            writer.add(picture)
    view = view_of(row)
    with VideoReader(tmp_path / "a.mp4") as reader:
        found = [number_in(view.part_of(reader.read(n)), BLOCK * view.scale) for n in range(len(reader))]
    assert found == list(range(5, 50))
    np.testing.assert_allclose(reader.index.times, np.arange(45) / row.fps, atol=1e-4)
