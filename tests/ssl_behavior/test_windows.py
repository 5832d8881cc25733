from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, create_store, write_store
from ssl_behavior.windows import WindowReader, arena_of, recording_window

LENGTHS = (43, 5, 101, 1, 23)
WINDOW = 17


def numbered(path, lengths):
    """Every coordinate of recording i is 1000 (i + 1) + frame, so that a frame says where it is from."""
    made = []
    for i, length in enumerate(lengths):
        keypoints = np.broadcast_to(1000 * (i + 1) + np.arange(length)[:, None, None, None], (length, 2, 7, 2))
        made.append(Recording(id=f"r{i}", keypoints=keypoints.astype("f4"), fps=30.0, skeleton=SKELETONS["calms21"]))
    return write_store(path, made)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return numbered(tmp_path_factory.mktemp("windows") / "store", LENGTHS)


@pytest.fixture
def reader(store):
    return WindowReader([(store, row) for row in store.rows], WINDOW)


def sources_of(batch):
    return [
        set((window[valid] // 1000).flatten().tolist())
        for window, valid in zip(batch.keypoints, batch.valid, strict=True)
    ]


def test_a_window_is_of_one_recording_and_padded_beyond_it(reader):
    batch = reader.sample(211, np.random.default_rng(0))
    assert batch.keypoints.shape == (211, WINDOW, 2, 7, 2) and len(batch) == 211
    for i, found in enumerate(sources_of(batch)):
        assert len(found) == 1
        number = int(found.pop()) - 1
        assert batch.length[i] == LENGTHS[number]
        assert batch.valid[i].sum() == min(WINDOW, LENGTHS[number])
    expected = batch.keypoints[..., 0, 0, 0] % 1000
    assert (expected[batch.valid] == batch.frame[batch.valid]).all()
    assert not batch.keypoints[~batch.valid].any() and not batch.observed[~batch.valid].any()
    assert batch.observed[batch.valid].all()


def test_recordings_are_drawn_in_proportion_to_their_length(reader):
    batch = reader.sample(20_000, np.random.default_rng(1))
    number = (batch.keypoints[:, 0, 0, 0, 0] // 1000 - 1).long()
    shares = torch.bincount(number, minlength=5) / len(batch)
    expected = torch.tensor(LENGTHS) / sum(LENGTHS)
    torch.testing.assert_close(shares, expected, rtol=0.0, atol=0.012)


def test_every_start_is_equally_likely(store):
    reader = WindowReader([(store, store.rows[0])], WINDOW)
    starts = reader.sample(20_000, np.random.default_rng(2)).frame[:, 0]
    counts = torch.bincount(starts, minlength=43 - WINDOW + 1)
    assert len(counts) == 43 - WINDOW + 1 and (counts / 20_000 * len(counts) - 1).abs().max() < 0.2


def test_a_batch_can_be_of_few_recordings(store):
    reader = WindowReader([(store, row) for row in store.rows], WINDOW, recordings_per_batch=2)
    generator = np.random.default_rng(0)
    assert all(len(set.union(*sources_of(reader.sample(11, generator)))) <= 2 for _ in range(20))


def test_the_same_generator_gives_the_same_windows(reader):
    one, two = (reader.sample(13, np.random.default_rng(7)) for _ in range(2))
    for field in fields(one):
        assert torch.equal(getattr(one, field.name), getattr(two, field.name)), field.name


@pytest.mark.parametrize("start", [-40, -3, 0, 40, 60])
def test_windows_may_begin_anywhere(reader, start):
    batch = reader.read([(0, start, WINDOW)])
    frame = torch.arange(start, start + WINDOW)
    inside = (frame >= 0) & (frame < LENGTHS[0])
    assert torch.equal(batch.frame[0], frame) and torch.equal(batch.valid[0], inside)
    expected = torch.where(inside, 1000.0 + frame, 0.0).float()
    assert (batch.keypoints[0] == expected.view(-1, 1, 1, 1)).all()


def test_pieces_are_some_of_the_chunks_in_order(reader):
    every = [chunk.keypoints[0, 0, 0, 0, 0].item() for chunk in reader.chunks(13)]
    assert [piece.keypoints[0, 0, 0, 0, 0].item() for piece in reader.pieces(10**6, 13)] == every
    thinned, again = (
        [piece.keypoints[0, 0, 0, 0, 0].item() for piece in reader.pieces(reader.num_frames // 3, 13)] for _ in range(2)
    )
    assert thinned == again == [one for one in every if one in thinned]
    assert len(thinned) == -(-len(every) // 3)


def test_pieces_of_equal_recordings_are_not_their_beginnings_alone(tmp_path):
    store = numbered(tmp_path / "equal", [52] * 24)
    reader = WindowReader([(store, row) for row in store.rows], WINDOW)
    starts = {piece.frame[0, 0].item() for piece in reader.pieces(reader.num_frames // 4, 13)}
    assert starts == {0, 13, 26, 39}


def test_chunks_are_every_frame_once(reader):
    chunks = list(reader.chunks(13))
    frames = torch.cat([chunk.keypoints[0, :, 0, 0, 0] for chunk in chunks])
    expected = torch.cat([1000.0 * (i + 1) + torch.arange(n) for i, n in enumerate(LENGTHS)])
    assert torch.equal(frames.double(), expected) and all(chunk.valid.all() for chunk in chunks)
    assert reader.num_frames == sum(LENGTHS)


def test_windows_have_no_nan(dyad, tmp_path):
    recording = dyad(frames=53, missing=0.3)
    keypoints = recording.keypoints.copy()
    keypoints[7, 1, 3] = [np.nan, 5.0]
    half = Recording(id="half", keypoints=keypoints, fps=30.0, skeleton=recording.skeleton)
    store = write_store(tmp_path / "store", [half])
    for batch in (recording_window(half, -3, 59), WindowReader([(store, store.rows[0])], 59).read([(0, -3, 59)])):
        assert all(torch.isfinite(getattr(batch, field.name)).all() for field in fields(batch))
        assert not batch.observed[0, 10, 1, 3] and not batch.keypoints[~batch.observed].any()
        inside = batch.observed[0, 3:56].numpy()
        np.testing.assert_array_equal(inside, np.isfinite(keypoints).all(-1))
        np.testing.assert_array_equal(batch.keypoints[0, 3:56].numpy()[inside], keypoints[inside])


def test_a_recording_and_its_store_give_the_same_windows(dyad, tmp_path):
    recording = dyad(frames=53, missing=0.1)
    store = write_store(tmp_path / "store", [dyad("first", 11), recording])
    one = recording_window(recording, 5, 23)
    two = WindowReader([(store, row) for row in store.rows], 1).read([(1, 5, 23)])
    for field in fields(one):
        assert torch.equal(getattr(one, field.name), getattr(two, field.name)), field.name


def test_the_arena_is_where_the_animals_go():
    keypoints = np.random.default_rng(0).uniform([50, 20], [350, 170], (1009, 2, 7, 2)).astype(np.float32)
    keypoints[3, 0, 0] = [9000.0, -9000.0]
    keypoints[5:100] = np.nan
    np.testing.assert_allclose(arena_of(keypoints, None), [50, 20, 350, 170], atol=4)
    assert arena_of(keypoints, (640.0, 480.0)).tolist() == [0, 0, 640, 480]
    assert arena_of(np.full_like(keypoints, np.nan), None).tolist() == [0, 0, 1, 1]
    one = arena_of(np.full((3, 2, 7, 2), 11, np.float32), None)
    assert (one[2:] > one[:2]).all()


@pytest.mark.parametrize("frames", [1, 2, 3, 201, 20_001])
def test_the_arena_has_numpys_percentiles(frames):
    keypoints = np.random.default_rng(frames).normal(300, 90, (frames, 1, 3, 2)).astype(np.float32)
    keypoints[::7, :, 0] = np.nan
    expected = np.nanpercentile(keypoints.reshape(-1, 2), (0.5, 99.5), axis=0).astype(np.float32).ravel()
    expected[2:] = np.maximum(expected[2:], expected[:2] + 1)
    np.testing.assert_array_equal(arena_of(keypoints, None), expected)


def test_part_and_swapped_select_and_reverse(reader):
    batch = reader.sample(7, np.random.default_rng(0))
    assert torch.equal(batch.part(2, 5).keypoints, batch.keypoints[2:5]) and len(batch.part(2, 5)) == 3
    assert torch.equal(batch.swapped().keypoints[:, :, 0], batch.keypoints[:, :, 1])
    assert torch.equal(batch.swapped().swapped().observed, batch.observed)
    moved = batch.to("cpu", torch.float64)
    assert moved.keypoints.dtype == torch.float64 and moved.frame.dtype == batch.frame.dtype


def test_wrong_sources_are_refused(store, tmp_path, dyad):
    with pytest.raises(InputError, match="no recordings"):
        WindowReader([], WINDOW)
    with pytest.raises(InputError, match="window_frames must be at least 1, got 0"):
        WindowReader([(store, store.rows[0])], 0)
    rats = write_store(tmp_path / "rats", [dyad("rat", 7, "rat_dyads")])
    with pytest.raises(InputError, match="cannot be read together"):
        WindowReader([(store, store.rows[0]), (rats, rats.rows[0])], WINDOW)


def group(path, names, lengths, keypoints=7, exchangeable=True, absent=()):
    """Every coordinate is 1000 times the number in the animal's name plus the frame."""
    skeleton = replace(SKELETONS["calms21"], individuals=tuple(names), exchangeable=exchangeable)
    number = np.array([np.nan if name in absent else int(name[1:]) for name in names])
    made = []
    for i, length in enumerate(lengths):
        values = 1000 * number[None, :, None, None] + np.arange(length)[:, None, None, None]
        values = np.broadcast_to(values, (length, len(names), keypoints, 2)).astype("f4")
        made.append(Recording(id=f"{path.name}{i}", keypoints=values, fps=30.0, skeleton=skeleton))
    with create_store(path, skeleton) as writer:
        for recording in made:
            writer.append(recording)
    return Store(path)


def sources(*stores):
    return [(store, row) for store in stores for row in store.rows]


def test_windows_of_groups_of_other_sizes_share_a_batch(tmp_path):
    two, three = group(tmp_path / "two", ["m1", "m2"], [31]), group(tmp_path / "three", ["m5", "m6", "m7"], [29])
    one = group(tmp_path / "one", ["m9"], [5])
    reader = WindowReader(sources(two, three, one), WINDOW)
    assert reader.num_individuals == 3
    batch = reader.read([(0, 3, WINDOW), (1, 5, WINDOW), (2, 0, WINDOW)])
    assert batch.keypoints.shape == (3, WINDOW, 3, 7, 2)
    assert batch.present.tolist() == [[True, True, False], [True] * 3, [True, False, False]]
    assert not batch.observed[0, :, 2].any() and not batch.keypoints[0, :, 2].any()
    # Each window is that of its store alone, and a batch of dyads has two animals.
    for pick, (store, width) in enumerate([(two, 2), (three, 3), (one, 1)]):
        own = WindowReader(sources(store), WINDOW).read([(0, int(batch.frame[pick, 0]), WINDOW)])
        for field in fields(own):
            whole = getattr(batch, field.name)[pick]
            axis = {"keypoints": 1, "observed": 1, "present": 0}.get(field.name)
            part = whole if axis is None else whole.narrow(axis, 0, width)
            assert torch.equal(part, getattr(own, field.name)[0]), field.name
    assert reader.read([(0, 3, WINDOW)]).keypoints.shape[2] == 2
    sampled = reader.sample(50, np.random.default_rng(0))
    assert set(sampled.present.sum(dim=1).tolist()) <= {1, 2, 3} and sampled.present.shape == (50, 3)


def test_animals_that_are_told_apart_are_read_by_name(tmp_path):
    both = group(tmp_path / "both", ["m1", "m2"], [31], exchangeable=False)
    other = group(tmp_path / "other", ["m2", "m1"], [31], exchangeable=False)
    alone = group(tmp_path / "alone", ["m2"], [31], exchangeable=False)
    reader = WindowReader(sources(both, other, alone), WINDOW)
    batch = reader.read([(pick, 2, WINDOW) for pick in range(3)])
    for field in ("keypoints", "observed", "present"):
        assert torch.equal(getattr(batch, field)[0], getattr(batch, field)[1])
    assert torch.equal(batch.keypoints[2, :, 1], batch.keypoints[0, :, 1])
    assert batch.present[2].tolist() == [False, True] and not batch.observed[2, :, 0].any()
    turned = WindowReader(sources(both, alone), WINDOW, individuals=("m2", "m3", "m1"))
    assert turned.skeleton.individuals == ("m2", "m3", "m1") and turned.num_individuals == 3
    batch = turned.read([(0, 2, WINDOW), (1, 2, WINDOW)])
    assert batch.present.tolist() == [[True, False, True], [True, False, False]]
    assert batch.keypoints[0, 0, :, 0, 0].tolist() == [2002.0, 0.0, 1002.0]
    with pytest.raises(InputError, match=r"both has the animals m1, m2, but .*alone tells m2 apart and does not know"):
        WindowReader(sources(alone, both), WINDOW)
    with pytest.raises(InputError, match=r"the encoder tells m1, m3 apart and does not know m2. Import"):
        WindowReader(sources(both), WINDOW, individuals=("m1", "m3"))


def test_absent_animals_are_not_present(tmp_path):
    store = group(tmp_path / "store", ["m1", "m2", "m3"], [31, 7], absent=["m2"])
    batch = WindowReader(sources(store), WINDOW).read([(0, 0, WINDOW), (1, 0, WINDOW)])
    assert batch.present.tolist() == [[True, False, True]] * 2 and not batch.observed[:, :, 1].any()
    told_apart = WindowReader(sources(store), WINDOW, individuals=("m3", "m2", "m1")).read([(0, 0, WINDOW)])
    assert told_apart.present.tolist() == [[True, False, True]]
    assert torch.equal(told_apart.keypoints.flip(2), batch.keypoints[:1])
