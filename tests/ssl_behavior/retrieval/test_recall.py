import numpy as np

from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.retrieval.frame_index import ExactSearch, RecallSample

ROWS = [
    EmbeddingRow(id="a", offset=0, frames=211, fps=10.0),
    EmbeddingRow(id="b", offset=211, frames=97, fps=5.0),
]
FRAMES = np.arange(308)
CHOSEN = np.array([3, 100, 210, 211, 250])


def _sample(points, frames=FRAMES, chosen=CHOSEN):
    sample = RecallSample(ROWS, frames, chosen, points[frames[chosen]])
    for start in range(0, len(frames), 53):
        sample.exact.add(start, points[frames[start : start + 53]])
    return sample


def _slow_neighbors(points, query):
    """The ten nearest frames that are not within 2 s."""
    recording = query >= 211
    reach = 10 if recording else 20
    away = [f for f in FRAMES if (f >= 211) != recording or abs(f - query) > reach]
    return sorted(away, key=lambda f: np.linalg.norm(points[f] - points[query]))[:10]


def test_exact_search_in_blocks_is_sorting_all_distances():
    rng = np.random.default_rng(0)
    points, queries = rng.normal(size=(89, 5)).astype(np.float32), rng.normal(size=(3, 5)).astype(np.float32)
    search = ExactSearch(queries, 11)
    for start in range(0, 89, 7):
        search.add(start, points[start : start + 7])
    distances = np.linalg.norm(points[None] - queries[:, None], axis=2)
    assert np.array_equal(search.positions, np.argsort(distances, axis=1)[:, :11])
    np.testing.assert_allclose(search.distances, np.sort(distances, axis=1)[:, :11], rtol=1e-5)


def test_recall_counts_neighbours_that_are_not_of_the_same_moment():
    points = np.cumsum(np.random.default_rng(0).normal(size=(308, 7)), axis=0).astype(np.float32)
    sample = _sample(points)
    true = [_slow_neighbors(points, query) for query in CHOSEN]
    asked = []

    def search(queries, k):
        asked.append(k)
        moment = [np.arange(max(0, q - 5), min(211, q + 5)) if q < 211 else np.arange(q, q + 5) for q in CHOSEN]
        # Seven of the ten, after frames of the same moment, which count for nothing.
        found = [np.concatenate([m, t[:7], np.full(k, -1)])[:k] for m, t in zip(moment, true, strict=True)]
        return np.array(found)

    np.testing.assert_allclose(sample.recall(search, lambda frames: points[frames]), 0.7)
    assert asked == [10 + 41], "enough for ten others beside two seconds each way"


def test_a_frame_as_near_as_the_tenth_is_as_good():
    points = np.zeros((308, 3), np.float32)
    points[:211, 0], points[211:, 1] = 1, 1
    sample = _sample(points)
    others = np.array([[200], [20], [100], [260], [300]])
    recall = sample.recall(lambda _, k: np.repeat(others, k, axis=1)[:, :10], lambda frames: points[frames])
    np.testing.assert_allclose(recall, 1)
    wrong = others[::-1]
    recall = sample.recall(lambda _, k: np.repeat(wrong, k, axis=1)[:, :10], lambda frames: points[frames])
    np.testing.assert_allclose(recall, [0, 0, 1, 0, 0])


def test_frames_at_a_stride_have_fewer_of_the_same_moment():
    points = np.random.default_rng(0).normal(size=(308, 3)).astype(np.float32)
    assert _sample(points, FRAMES[::4], CHOSEN // 4).k == 10 + 11
