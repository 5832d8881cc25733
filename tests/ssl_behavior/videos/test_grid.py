"""Grid movies: cells, cameras, and which bouts they show."""

from contextlib import ExitStack

import numpy as np
import pytest

from ssl_behavior.clusters import describe, load_clustering
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.store import Store
from ssl_behavior.videos import find_videos
from ssl_behavior.videos.grid import Cell, GridTitle, _common_reach, _ShownCell, grid_pictures, grid_shape, loop_frames
from ssl_behavior.videos.typical import TypicalBouts
from tests.ssl_behavior.videos.conftest import CLUSTERS

SIZE = (640, 360)
RED = (200, 0, 0)
TITLE = GridTitle(name="cluster 1", text="two bouts", color=RED)


def cell(store, number=0, start=20, seconds=1 / 3, **fields):
    return Cell(row=store.rows[number], start=start, stop=start + round(30 * seconds), seconds=seconds, **fields)


def test_a_cell_begins_half_a_second_before_its_bout_and_loops(store):
    one = cell(store)
    assert [one.frame_at(seconds)[0] for seconds in (0.0, 0.5, 0.5 + 10 / 30, 4 / 3, 4 / 3 + 0.5)] == [5, 20, 30, 5, 20]
    assert one.frames().tolist() == list(range(5, 45))
    first, last = cell(store, start=3), cell(store, start=51)
    assert first.frame_at(0.0)[0] == 0 and last.frame_at(1.3)[0] == store.rows[0].frames - 1


def test_every_bout_is_shown_twice(store):
    assert loop_frames([cell(store), cell(store, seconds=0.5)], 30.0) == 2 * 45


def colored(picture):
    return (picture == RED).all(axis=2)


def test_cells_lie_in_a_grid_and_turn_to_the_cluster_s_color_in_their_bout(store):
    cells = [cell(store, number=n % 2, start=20 + n) for n in range(5)]
    pictures = [one.copy() for one in grid_pictures(store, cells, TITLE, SIZE, 30.0)]
    assert len(pictures) == loop_frames(cells, 30.0) and pictures[0].shape == (SIZE[1], SIZE[0], 3)
    assert grid_shape(5) == (3, 2)
    top, gap = round(46 * 0.5), round(8 * 0.5)
    wide, high = (SIZE[0] - 4 * gap) // 3, (SIZE[1] - top - 2 * gap) // 2
    for number in range(6):
        x, y = gap + number % 3 * (wide + gap), top + number // 3 * (high + gap)
        for frame, inside in ((0, False), (14, False), (16, True), (24, True), (26, False)):
            border = colored(pictures[frame][y : y + 1, x : x + wide]).mean()
            assert border == (1.0 if inside and number < 5 else 0.0), (number, frame)
    assert (pictures[3][-gap:] == 255).all() and (pictures[3][top:, :gap] == 255).all()


def test_the_animals_of_a_bout_are_inside_of_its_cell_and_the_camera_is_calm(store):
    cells = [cell(store, number=n, start=start) for n in (0, 1) for start in (10, 25)]
    reach = _common_reach(store, cells)
    with ExitStack() as opened:
        for one in cells:
            shown = _ShownCell(store, one, (200, 120), reach, 0.5, RED, opened)
            frames = one.frames()
            corners = np.stack([shown.corner_at(frame) for frame in frames.tolist()])
            points = (store.keypoints[one.row.offset + frames] - corners[:, None, None]) * shown.scale
            inside = ((points >= 0) & (points <= (200, 120))).all(axis=-1)
            assert inside[np.isfinite(points).all(axis=-1)].mean() > 0.9
            assert np.abs(np.diff(shown.camera, axis=0)).max() < 4


def test_a_cell_shows_the_part_of_the_video_below_its_animals(store, videos):
    """Discs of the made video are under the points of the cell."""
    row = store.rows[0]
    one = cell(store, video=find_videos(store, videos)[row.id])
    with ExitStack() as opened:
        shown = _ShownCell(store, one, (320, 240), _common_reach(store, [one]), 1.0, RED, opened)
        dark = []
        for frame in range(15, 35):
            picture = np.empty((240, 320, 3), np.uint8)
            corner = shown.corner_at(frame)
            assert shown._draw_video(picture, frame, corner)
            for point in store.keypoints[row.offset + frame].reshape(-1, 2):
                x, y = (point - corner + 0.5) * shown.scale - 0.5
                if np.isfinite(x + y) and 3 < x < 317 and 3 < y < 237:
                    dark.append(picture[round(float(y)), round(float(x))].max() < 90)
    assert len(dark) > 100 and np.mean(dark) > 0.97


def test_typical_bouts_are_those_of_the_cards(store, clustered):
    clusters, embeddings = load_clustering(clustered / "clusters"), Embeddings(clustered / "embeddings")
    cards = describe(clusters, embeddings, store, examples=3, verbose=False)
    every = TypicalBouts(clusters, embeddings, {row.id for row in store.rows})
    for card in cards.clusters:
        expected = [(one.recording, one.start, one.stop) for one in card.medoids]
        assert [(one.recording, one.start, one.stop) for one in every.of(card.cluster, 3)] == expected
    assert every.number_of(0) == 3 + 3


def test_bouts_come_from_the_chosen_recordings_also_without_embeddings(store, clustered):
    clusters = load_clustering(clustered / "clusters")
    only = TypicalBouts(clusters, None, {store.rows[1].id})
    assert only.number_of(2) == 0 and only.of(2, 4) == []
    assert {one.recording for one in only.of(0, 9)} == {store.rows[1].id}
    assert sum(TypicalBouts(clusters, None, {row.id for row in store.rows}).number_of(n) for n in range(CLUSTERS)) == 12


def test_embeddings_of_other_recordings_are_refused(clustered, group):
    with pytest.raises(InputError):
        TypicalBouts(load_clustering(clustered / "clusters"), Embeddings(group / "scene"), {"day1/m1"})


def test_bouts_of_pairs_show_their_animals(group):
    store = Store(group / "store")
    one = Cell(row=store.rows[0], start=30, stop=60, actors=(0, 1), who="m1 → m2", seconds=1.0)
    (picture, *_) = grid_pictures(store, [one], TITLE, SIZE, 30.0)
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    assert _common_reach(store, [one]) < 200
