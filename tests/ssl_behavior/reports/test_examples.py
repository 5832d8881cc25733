import numpy as np
import pytest

from ssl_behavior.bouts import BoutTable
from ssl_behavior.embedding_space import Space
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings
from ssl_behavior.reports import Ethogram
from ssl_behavior.reports.examples import bouts_in, central_bouts, nearest_points, pooled, seconds_of, similar_bouts

ROWS = (
    EmbeddingRow(id="a", offset=0, frames=101, fps=10.0),
    EmbeddingRow(id="b", offset=101, frames=37, fps=20.0),
    EmbeddingRow(id="c", offset=138, frames=3, fps=10.0),
)


def test_bouts_of_an_ethogram_are_long_enough_and_no_background():
    values = [np.repeat([0, 1, 2, 1, -1, 2], [7, 3, 40, 31, 10, 10]), None, np.ones(3, int)]
    ethogram = Ethogram(name="S", words=("rest", "bite", "chase"), background="rest", frames=values)
    bouts = bouts_in(ethogram, ROWS, fewest_seconds=0.4)
    found = list(zip(bouts.recording, bouts.start, bouts.stop, bouts.label, strict=True))
    assert found == [(0, 10, 50, 2), (0, 50, 81, 1), (0, 91, 101, 2)]


def test_without_an_ethogram_every_whole_second_is_a_bout():
    bouts = seconds_of(ROWS[:2])
    assert bouts.start[bouts.recording == 0].tolist() == list(range(0, 100, 10))
    assert bouts.start[bouts.recording == 1].tolist() == [0] and bouts.stop[-1] == 20
    short = seconds_of(ROWS[2:])
    assert (short.start.tolist(), short.stop.tolist()) == ([0], [3])


def test_a_bout_is_the_mean_of_four_of_its_frames(folders):
    embeddings = Embeddings(folders["embeddings"])
    space = Space.fit(embeddings)
    offsets = np.array([row.offset for row in embeddings.rows])
    bouts = BoutTable.of([(1, 10, 26, 0), (0, 3, 4, 0), (2, 95, 101, 0)], embeddings.rows)
    means = pooled(bouts, space, embeddings)
    frames = [[12, 16, 20, 24], [3] * 4, [95, 97, 98, 100]]
    for mean, recording, own in zip(means, bouts.recording, frames, strict=True):
        expected = space.gather(embeddings, offsets[recording] + np.array(own)).mean(axis=0)
        np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)
    assert pooled(bouts.take(np.zeros(0, int)), space, embeddings).shape == (0, space.dim)


def slow_nearest(query, point, bouts, points, k, apart):
    """All distances, one by one."""
    found = []
    for i in range(len(bouts)):
        same = bouts.recording[i] == query[0]
        near = bouts.start[i] < query[2] + apart[query[0]] and bouts.stop[i] > query[1] - apart[query[0]]
        if not (same and near):
            found.append((float(np.linalg.norm(points[i] - point)), i))
    kept = []
    for _, i in sorted(found):
        own = set(range(bouts.start[i] - 1, bouts.stop[i] + 1))
        if not any(
            bouts.recording[j] == bouts.recording[i] and own & {*range(bouts.start[j], bouts.stop[j])} for j in kept
        ):
            kept.append(i)
    return kept[:k]


@pytest.mark.parametrize("apart", [0, 5, 1000])
def test_neighbors_exclude_the_same_event(apart):
    generator = np.random.default_rng(4)
    start = generator.integers(0, 900, 211)
    recording, stop = generator.integers(0, 2, 211), start + generator.integers(1, 90, 211)
    bouts = BoutTable.of(np.stack([recording, start, stop, np.zeros(211, int)], axis=1), ROWS)
    points = generator.normal(size=(211, 3)).astype(np.float32)
    gaps = np.array([10, 20, 10]) * apart
    queries = bouts.take(np.arange(0, 211, 7))
    found = similar_bouts(queries, points[::7], bouts, points, 5, float(apart))
    for number, near in enumerate(found):
        query = (queries.recording[number], queries.start[number], queries.stop[number])
        assert [i for i, _ in near] == slow_nearest(query, points[number * 7], bouts, points, 5, gaps)
        for i, distance in near:
            assert distance == pytest.approx(np.linalg.norm(points[i] - points[number * 7]), rel=1e-3, abs=1e-3)


def test_fewer_than_k_bouts_give_fewer_neighbors():
    bouts = BoutTable.of([(0, 0, 5, 0), (0, 6, 9, 0), (1, 0, 5, 0)], ROWS)
    points = np.eye(3, dtype=np.float32)
    found = similar_bouts(bouts, points, bouts, points, 4, 10.0)
    assert [[i for i, _ in near] for near in found] == [[2], [2], [0, 1]]
    touching = BoutTable.of([(0, 0, 5, 0), (0, 5, 9, 0), (1, 0, 5, 0)], ROWS)
    assert [i for i, _ in similar_bouts(touching, points, touching, points, 4, 10.0)[2]] == [0]
    none = bouts.take(np.zeros(0, int))
    assert similar_bouts(bouts, points, none, points[:0], 4, 0.1) == [[], [], []]
    assert similar_bouts(none, points[:0], bouts, points, 4, 0.1) == []


def test_the_nearest_point_of_each():
    points = np.array([[0, 0], [5, 0], [0, 5]], np.float32)
    assert nearest_points(np.array([[4, 1], [1, 4], [0, 1]], np.float32), points).tolist() == [1, 2, 0]
    assert nearest_points(np.ones((2, 2), np.float32), points[:0]).tolist() == [-1, -1]


def test_central_bouts_come_from_many_recordings():
    points = np.array([[0.0], [0.1], [0.2], [0.3], [5.0], [0.9]], np.float32)
    rows = [(recording, n, n + 1, n == 4) for n, recording in enumerate((0, 0, 0, 1, 1, 2))]
    # The mean of the first label is .3: recording 1 is nearest, then the nearest of 0 and of 2.
    assert central_bouts(BoutTable.of(rows, ROWS), points, 3).tolist() == [3, 2, 5, 4]
