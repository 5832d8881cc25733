import json
from functools import partial

import numpy as np
import pytest

from ssl_behavior.embedding_space import Space, SpaceConfig
from ssl_behavior.errors import InputError
from ssl_behavior.retrieval import FrameIndex, IndexConfig, build_index
from ssl_behavior.retrieval.frame_index import KINDS

SPACES = {"cosine": SpaceConfig(unit=True), "euclidean": SpaceConfig(), "few": SpaceConfig(most_dims=5)}


def brute_force(points, queries, k):
    """Distances float64 [query, k] and frames of the nearest points."""
    distances = np.linalg.norm(points[None].astype(np.float64) - queries[:, None], axis=2)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), order


def assert_same_up_to_ties(distances, frames, true_distances, points, queries):
    """The distances are the true ones, and every frame has the distance it is said to have."""
    np.testing.assert_allclose(distances, true_distances, rtol=1e-3, atol=2e-3)
    own = np.linalg.norm(points[frames] - queries[:, None], axis=2)
    np.testing.assert_allclose(own, true_distances, rtol=1e-3, atol=2e-3)
    for row in frames:
        assert len(set(row)) == len(row)


@pytest.mark.parametrize("space", SPACES)
def test_an_exact_index_equals_brute_force_up_to_ties(embeddings, array, space):
    # Ten frames that are alike, and some that come twice.
    array[100:110], array[900:905] = array[100], array[300:305]
    np.save(embeddings.path / "embeddings.npy", array)
    fitted = Space.fit(embeddings, SPACES[space])
    index = FrameIndex.build(embeddings, fitted)
    assert (index.facts.kind, index.facts.recall, index.widest) == ("flat", 1.0, 0)
    points = fitted.points(array)
    queries = points[[0, 103, 302, 1500]] + np.float32(0.01)
    distances, frames = index.search(queries, 17)
    assert distances.shape == frames.shape == (4, 17) and (np.diff(distances, axis=1) >= 0).all()
    assert_same_up_to_ties(distances, frames, brute_force(points, queries, 17)[0], points, queries)


@pytest.mark.parametrize("kind", ["ivf", "ivfpq", "hnsw"])
def test_an_approximate_index_that_looks_everywhere_equals_brute_force_up_to_ties(embeddings, array, kind):
    space = Space.fit(embeddings, SpaceConfig(unit=True))
    index = FrameIndex.build(embeddings, space, IndexConfig(kind=kind))
    assert index.facts.recall >= 0.95 and index.facts.recall_queries == 512
    points = space.points(array)
    queries = points[[0, 700, 1500]]
    distances, frames = index.search(queries, 11, breadth=index.widest)
    assert_same_up_to_ties(distances, frames, brute_force(points, queries, 11)[0], points, queries)


def test_recall_rises_with_breadth_up_to_all(written):
    noise = np.random.default_rng(1).normal(size=(3001, 11)).astype(np.float16)
    embeddings = written("noise", noise, frames={"a": 1999, "b": 1002})
    space = Space.fit(embeddings)
    index = FrameIndex.build(embeddings, space, IndexConfig(kind="ivf", recall=1.0))
    recalls = list(index.facts.recall_by_breadth.values())
    assert list(index.facts.recall_by_breadth) == ["1", "2", "4", "8", "16", "32", "64"][: len(recalls)]
    assert (np.diff(recalls) >= 0).all() and recalls[0] < 0.6 and recalls[-1] == index.facts.recall == 1.0
    less = FrameIndex.build(embeddings, space, IndexConfig(kind="ivf", recall=0.8))
    assert 1 < less.facts.breadth < index.facts.breadth and 0.7 < less.facts.recall < 1
    # What was measured is what a search does: the true neighbours that it finds, but for those within 2 s.
    points = space.points(noise)
    chosen = np.random.default_rng(2).choice(3001, 300, replace=False)
    found, true = less.search(points[chosen], 60)[1], brute_force(points, points[chosen], 60)[1]
    shares = []
    for query, one, other in zip(chosen, found, true, strict=True):
        near = lambda f, q=query: abs(f - q) <= 20 and (f < 1999) == (q < 1999)  # noqa: E731
        shares.append(len({f for f in one if not near(f)} & set([f for f in other if not near(f)][:10])) / 10)
    assert abs(np.mean(shares) - less.facts.recall) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_read_back_finds_the_same(embeddings, tmp_path, kind):
    told = []
    config = IndexConfig(kind=kind, stride=3)
    index = build_index(embeddings, tmp_path / "i", config=config, progress=lambda *calls: told.append(calls))
    again = FrameIndex.open(tmp_path / "i", embeddings)
    assert again.facts == index.facts and sum(frames for _, frames, _ in told) == index.facts.frames == 547
    assert told[0] == ("training the index", 0, 0) and told[-1][::2] == ("indexing", 547)
    assert {file.name for file in (tmp_path / "i").iterdir()} == {
        "index.json", "index.faiss", "space.json", "space.safetensors"
    }  # fmt: skip
    points = index.space.gather(embeddings, np.array([0, 703, 1500]))
    for one, other in zip(index.search(points, 7), again.search(points, 7), strict=True):
        assert np.array_equal(one, other)
    other = FrameIndex.build(embeddings, Space.fit(embeddings, SpaceConfig(unit=True)), config)
    assert other.facts == index.facts and np.array_equal(other.search(points, 7)[1], index.search(points, 7)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_allowed_is_found_and_every_recording_has_its_stride(embeddings, array, kind):
    space = Space.fit(embeddings, SpaceConfig(unit=True))
    index = FrameIndex.build(embeddings, space, IndexConfig(kind=kind, stride=5))
    assert index.frames.tolist() == [*range(0, 701, 5), *range(701, 1090, 5), *range(1090, 1637, 5)]
    allowed = np.zeros(1637, dtype=bool)
    allowed[750:1200] = True
    points = space.points(array)
    distances, frames = index.search(points[[0, 1000]], 29, allowed, breadth=index.widest)
    candidates = np.array([frame for frame in index.frames if allowed[frame]])
    true = brute_force(points[candidates], points[[0, 1000]], 29)[0]
    assert_same_up_to_ties(distances, frames, true, points, points[[0, 1000]])
    assert set(frames.ravel()) <= set(candidates)


@pytest.mark.parametrize("kind", ["flat", "ivf", "ivfpq"])
def test_where_fewer_are_allowed_than_asked_for_the_rest_is_none(embeddings, array, kind):
    index = FrameIndex.build(embeddings, Space.fit(embeddings), IndexConfig(kind=kind))
    allowed = np.zeros(1637, dtype=bool)
    allowed[[3, 800]] = True
    distances, frames = index.search(index.space.points(array[:2]), 5, allowed, breadth=index.widest)
    assert set(frames[0, :2]) == {3, 800} and (frames[:, 2:] == -1).all() and np.isinf(distances[:, 2:]).all()
    distances, frames = index.search(index.space.points(array[:1]), 2000, breadth=index.widest)
    assert frames.shape == (1, 2000) and (frames[0, 1637:] == -1).all() and set(frames[0, :1637]) == set(range(1637))


def test_embeddings_are_read_in_blocks(embeddings, monkeypatch):
    monkeypatch.setattr("ssl_behavior.embedding_space.BLOCK_FRAMES", 101)
    space = Space.fit(embeddings, SpaceConfig(unit=True))
    config = IndexConfig(kind="ivf")
    blocks = []
    index = FrameIndex.build(embeddings, space, config, lambda *calls: blocks.append(calls[1]))
    assert max(blocks) == 101 and sum(blocks) == 1637
    monkeypatch.undo()
    whole = FrameIndex.build(embeddings, space, config)
    points = space.gather(embeddings, np.arange(0, 1637, 97))
    np.testing.assert_allclose(index.search(points, 9)[0], whole.search(points, 9)[0], atol=1e-3)
    assert index.facts.recall_by_breadth == whole.facts.recall_by_breadth


def test_an_index_of_other_embeddings_is_refused(embeddings, written, array, tmp_path):
    build_index(embeddings, tmp_path / "i")
    refused = {
        r"are of another checkpoint \(dddddddddddd, not cccccccccccc\); build the index": {"checkpoint": "d" * 64},
        r"are of another store \(tttttttttttt, not ssssssssssss\); build the index again": {"store": "t" * 64},
        r"have the columns \(one 6, two 7, not latent 13\)": {"groups": {"one": 6, "two": 7}},
        r"have other recordings \('b'\)": {"frames": {"a:1/x": 701, "b": 390, "c": 546}},
        r"have other recordings \(in another order\)": {"frames": {"a:1/x": 701, "c": 547, "b": 389}},
    }
    for words, facts in refused.items():
        with pytest.raises(InputError, match=words):
            FrameIndex.open(tmp_path / "i", written("other", array, **facts))
    assert FrameIndex.open(tmp_path / "i", written("same", array)).facts.frames == 1637


def test_a_damaged_index_is_told(embeddings, tmp_path):
    folder = tmp_path / "i"
    build_index(embeddings, folder)
    with pytest.raises(InputError, match="exists already"):
        build_index(embeddings, folder)
    contents = json.loads((folder / "index.json").read_text())
    damaged = {
        r"cannot be read \(12 frames, but its recordings have 1637 at stride 1\)": {**contents, "frames": 12},
        r"cannot be read \(1637 frames, but its recordings have 236 at stride 7\)": {**contents, "stride": 7},
        "cannot be read .*must not be zero": {**contents, "stride": 0},
        r"is damaged: the index cannot be read \(": {**contents, "stride": "1"},
        r"cannot be read \(kind 'lsh' of breadth 0\)": {**contents, "kind": "lsh"},
        r"cannot be read \(kind 'ivf' of breadth 0\)": {**contents, "kind": "ivf"},
        r"cannot be read \(kind 'flat' of breadth 4\)": {**contents, "breadth": 4, "recall_by_breadth": {"4": 1.0}},
        "is damaged: the index cannot be read": {**contents, "breath": 1},
        "is an index folder of format version 9": {**contents, "version": 9},
        "is not an index folder": {"format": "ssl-behavior store"},
    }
    for words, facts in damaged.items():
        (folder / "index.json").write_text(json.dumps(facts))
        with pytest.raises(InputError, match=words):
            FrameIndex.open(folder, embeddings)
    (folder / "index.json").write_text(json.dumps(contents))
    whole = (folder / "index.faiss").read_bytes()
    build_index(embeddings, tmp_path / "j", config=IndexConfig(stride=3))
    (folder / "index.faiss").write_bytes((tmp_path / "j" / "index.faiss").read_bytes())
    with pytest.raises(InputError, match=r"is damaged: its table gives 1637 frames x 13, index.faiss has 547 x 13"):
        FrameIndex.open(folder, embeddings)
    (folder / "index.faiss").write_bytes(whole)
    with (folder / "index.faiss").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(InputError, match="is damaged: the index cannot be read"):
        FrameIndex.open(folder, embeddings)
    with pytest.raises(InputError, match="is not an index folder: it has no index"):
        FrameIndex.open(tmp_path / "none", embeddings)


def test_numbers_that_are_not_finite_are_told_and_nothing_is_left(embeddings, array, tmp_path):
    array[701 + 17, 2] = np.inf
    np.save(embeddings.path / "embeddings.npy", array)
    for config in (IndexConfig(), IndexConfig(kind="ivf", stride=17)):
        with pytest.raises(InputError, match="recording 'b', frame 17, has numbers that are not finite"):
            build_index(embeddings, tmp_path / "i", config=config)
        assert [file.name for file in tmp_path.iterdir()] == ["e"]


def test_a_configuration_checks_itself():
    wrong = partial(pytest.raises, InputError)
    with wrong(match=r"`kind` must be auto or one of \['flat', 'ivf', 'ivfpq', 'hnsw'\], got 'lsh'"):
        IndexConfig(kind="lsh")
    with wrong(match="`memory_gb` must be more than 0, got 0"):
        IndexConfig(memory_gb=0.0)
    with wrong(match="`stride` must be 1 or more, got 0"):
        IndexConfig(stride=0)
    with wrong(match="`recall` must be more than 0 and at most 1, got 1.5"):
        IndexConfig(recall=1.5)


def test_few_frames_are_enough(written, array):
    for kind in ("flat", "ivf", "hnsw"):
        embeddings = written(kind, array[:3], frames={"a": 2, "b": 1})
        index = FrameIndex.build(embeddings, Space.fit(embeddings), IndexConfig(kind=kind))
        assert set(index.search(index.space.points(array[:1]), 3)[1][0]) == {0, 1, 2}
