from itertools import pairwise

import numpy as np
import pytest

from ssl_behavior.bouts import Span
from ssl_behavior.embedding_space import Space, SpaceConfig
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.retrieval import FrameIndex, IndexConfig, Query, nearest_bouts
from ssl_behavior.retrieval.search import _run_around

FRAMES = {"a:1/x": 701, "b": 389, "c": 547}
OFFSETS = {"a:1/x": 0, "b": 701, "c": 1090}
PLANTED = [("a:1/x", 50, 67), ("a:1/x", 400, 420), ("b", 100, 111), ("c", 9, 40), ("c", 530, 547)]
FPS = 10


@pytest.fixture
def planted(written):
    """Noise, and five bouts of one behaviour, each a little further from the first."""
    rng = np.random.default_rng(0)
    array = rng.normal(size=(1637, 13))
    for number, (recording, start, stop) in enumerate(PLANTED):
        part = slice(OFFSETS[recording] + start, OFFSETS[recording] + stop)
        array[part] = 5 + 0.1 * number + 0.05 * rng.normal(size=(stop - start, 13))
    return written("planted", array.astype(np.float32))


@pytest.fixture
def index(planted):
    return FrameIndex.build(planted, Space.fit(planted))


def spans(bouts):
    return [(bout.recording, bout.start, bout.stop) for bout in bouts]


def query(*like, unlike=()):
    return Query(tuple(map(Span.parse, like)), tuple(map(Span.parse, unlike)))


def test_planted_bouts_are_found_whole_and_once(index):
    bouts = nearest_bouts(index, query("a:1/x:52-60"), 4)
    assert spans(bouts) == PLANTED[1:]
    assert all(bout.start <= bout.frame < bout.stop for bout in bouts)
    distances = [bout.distance for bout in bouts]
    assert distances == sorted(distances)
    points = index.space.points(index.embeddings.array[:])
    for bout in bouts:
        own = np.linalg.norm(points[OFFSETS[bout.recording] :][bout.start : bout.stop] - points[52:60].mean(0), axis=1)
        np.testing.assert_allclose(bout.distance, own.min(), rtol=1e-5)
        assert bout.frame == bout.start + own.argmin()


@pytest.mark.parametrize("config", [IndexConfig(kind="ivf"), IndexConfig(kind="hnsw"), IndexConfig(stride=4)])
def test_every_index_finds_them(planted, config):
    index = FrameIndex.build(planted, Space.fit(planted), config)
    assert spans(nearest_bouts(index, query("a:1/x:52-60"), 4)) == PLANTED[1:]


def test_bouts_are_found_as_surely_as_the_index_says_of_frames(written):
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(2, 30_030, 13))
    slow = np.stack([np.convolve(column, np.ones(9) / 3, "same") for column in noise[0].T], axis=1)
    embeddings = written("long", (slow + noise[1]).astype(np.float32), frames={"a": 15_013, "b": 15_017})
    space = Space.fit(embeddings)
    exact, fast = (FrameIndex.build(embeddings, space, IndexConfig(kind=kind)) for kind in ("flat", "ivf"))
    shares = []
    for start in range(0, 6000, 300):
        asked = query(f"a:{start}-{start + 9}")
        true, found = (set(spans(nearest_bouts(index, asked, 10))) for index in (exact, fast))
        shares.append(len(true & found) / 10)
    assert 4 * fast.facts.breadth < fast.widest and np.mean(shares) >= fast.facts.recall >= 0.95


def test_nothing_is_found_close_to_an_example(index):
    (near, *_) = nearest_bouts(index, query("a:1/x:52"), 1, exclude_seconds=0.0)
    assert (near.recording, near.start, near.stop) in [("a:1/x", 50, 52), ("a:1/x", 53, 67)], "beside the example"
    for seconds, first in ((0.5, 58), (1.0, 63), (1.4, 67)):
        found = nearest_bouts(index, query("a:1/x:52"), 1, exclude_seconds=seconds)[0]
        assert (found.recording, found.start) == (("a:1/x", first) if first < 67 else ("a:1/x", 400))
    far = nearest_bouts(index, query("a:1/x:52", "c:20"), 10, exclude_seconds=2.0)
    for bout in far:
        for recording, frame in (("a:1/x", 52), ("c", 20)):
            assert bout.recording != recording or bout.stop <= frame - 20 or bout.start > frame + 20
    unlike = nearest_bouts(index, query("a:1/x:52", unlike=["b:105"]), 30, exclude_seconds=2.0)
    assert not [bout for bout in unlike if bout.recording == "b" and bout.stop > 85 and bout.start <= 125]


def test_only_the_recordings_asked_for_are_searched(index):
    rows = index.embeddings.select(["b", "c*"])
    bouts = nearest_bouts(index, query("a:1/x:52-60"), 9, rows)
    assert spans(bouts)[:3] == PLANTED[2:] and {bout.recording for bout in bouts} == {"b", "c"}


def test_more_bouts_do_not_change_the_first(index):
    long = nearest_bouts(index, query("a:1/x:52-60"), 40)
    for k in (1, 3, 17):
        assert nearest_bouts(index, query("a:1/x:52-60"), k) == long[:k]


def test_bouts_are_apart(index):
    bouts = nearest_bouts(index, query("b:300", "c:200"), 60)
    assert len(bouts) == 60
    for recording in FRAMES:
        own = sorted((bout.start, bout.stop) for bout in bouts if bout.recording == recording)
        for (_, stop), (start, _) in pairwise(own):
            assert start - stop >= 0.5 * FPS


def test_all_bouts_there_are_and_no_more(index):
    rows = index.embeddings.select(["b"])
    bouts = nearest_bouts(index, query("a:1/x:52-60"), 65, rows)
    assert 10 < len(bouts) < 65, "one in six frames at most"
    covered = np.zeros(389, dtype=bool)
    for bout in bouts:
        covered[max(0, bout.start - 5) : bout.stop + 5] = True
    # What is not beside a bout is part of one that was too near to another.
    assert covered.mean() > 0.5
    with pytest.raises(InputError, match=r"`k=66`: the 389 searched frames have at most 65 bouts"):
        nearest_bouts(index, query("a:1/x:52-60"), 66, rows)
    with pytest.raises(InputError, match="`k` must be a whole number of 1 or more, got 0"):
        nearest_bouts(index, query("a:1/x:52-60"), 0)
    for seconds in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"`exclude_seconds` must be 0 or more, got {seconds:g}"):
            nearest_bouts(index, query("a:1/x:52-60"), 1, exclude_seconds=seconds)


def test_what_lies_on_both_sides_of_an_example_is_as_many_bouts(index):
    rows = index.embeddings.select(["b"])
    bouts = nearest_bouts(index, query("b:1-388"), 2, rows, exclude_seconds=0.0)
    assert sorted(spans(bouts)) == [("b", 0, 1), ("b", 388, 389)]
    with pytest.raises(InputError, match=r"`k=3`: the 2 searched frames have at most 2 bouts"):
        nearest_bouts(index, query("b:1-388"), 3, rows, exclude_seconds=0.0)


def test_what_is_unlike_comes_later(index):
    alone = spans(nearest_bouts(index, query("a:1/x:400-420"), 30))
    pushed = spans(nearest_bouts(index, query("a:1/x:400-420", unlike=["c:530-547"]), 30))
    assert PLANTED[4] in alone and PLANTED[4] not in pushed and PLANTED[2] in pushed[:3]


def test_a_bout_ends_after_five_seconds_each_way_and_bridges_short_gaps(planted, written):
    array = planted.array[:].copy()
    array[200:380], array[290] = 5.25, 5.2
    array[[262, 263, 264, 300, 301]] = -5
    long = written("long", array)
    index = FrameIndex.build(long, Space.fit(long))
    (bout,) = nearest_bouts(index, query("b:105"), 1, planted.select(["a:1/x"]))
    assert (bout.start, bout.stop, bout.frame) == (265, 341, 290), "three frames are a gap, two are not"


class RoundedSpace(Space):
    """Rounds as matrix products do, otherwise in stretches of other lengths: here frame 30 loses, or 35."""

    def gather(self, embeddings, frames):
        points = super().gather(embeddings, frames)
        if {OFFSETS["b"] + 30, OFFSETS["b"] + 35} <= set(frames.tolist()):
            loser = OFFSETS["b"] + (30 if len(frames) == 81 else 35)
            points[frames == loser] *= 1 - 1e-5
        return points


def test_rounding_does_not_send_a_search_to_and_fro(planted):
    array = planted.array[:].copy()
    array[701 + 28 : 701 + 38], array[1090 + 200] = 8.9, 9.1
    array[[701 + 30, 701 + 35]] = 9.0
    np.save(planted.path / "embeddings.npy", array)
    embeddings = Embeddings(planted.path)
    index = FrameIndex.build(embeddings, RoundedSpace.fit(embeddings))
    (bout,) = nearest_bouts(index, query("c:200"), 1, embeddings.select(["b"]))
    assert (bout.start, bout.stop) == (28, 38) and bout.frame in (30, 35)


def test_the_run_around_a_frame():
    rng = np.random.default_rng(0)
    for _ in range(50):
        near = rng.random(31) < 0.6
        near[17] = True
        start, stop = _run_around(near, 17, 2)
        # Step by step, as long as one of the next three frames is near.
        slow = 17
        while near[slow + 1 : slow + 4].any():
            slow += 1 + int(np.argmax(near[slow + 1 : slow + 4]))
        assert stop == slow + 1
        slow = 17
        while near[max(0, slow - 3) : slow].any():
            slow -= 1 + int(np.argmax(near[max(0, slow - 3) : slow][::-1]))
        assert start == slow


def test_frames_that_are_all_alike_are_found(written):
    array = np.zeros((1637, 3), np.float32)
    array[::2, 1] = 1
    index = FrameIndex.build(*(lambda e: (e, Space.fit(e, SpaceConfig(unit=True))))(written("alike", array)))
    bouts = nearest_bouts(index, query("b:100"), 3)
    assert [bout.distance for bout in bouts] == pytest.approx([0, 0, 0], abs=1e-6)
