"""Frames are chosen, gathered and standardized as they should be, and foreign embeddings are refused."""

import numpy as np
import pytest
import torch

from probe.representations import (
    Columns,
    Frames,
    all_frames,
    check_alignment,
    gather,
    sampled_frames,
    standardized_blocks,
)
from ssl_behavior.errors import InputError
from ssl_behavior.numerics import Standardizer
from ssl_behavior.store import write_store
from tests.probe.conftest import make_recording


def test_sampling_takes_every_nth_frame_from_a_seeded_start(store):
    rows = store.rows
    frames = sampled_frames(rows, 7, seed=0)
    assert all((np.diff(pick) == 7).all() and pick[0] < 7 for pick in frames.picks)
    assert len({pick[0] for pick in frames.picks}) > 1
    assert any((a[0] != b[0]) for a, b in zip(frames.picks, sampled_frames(rows, 7, seed=1).picks, strict=True))
    assert len(sampled_frames(rows, 100_000, seed=0)) == len(rows)


def test_gather_equals_indexing(store, array):
    rows = (store.row("r1"), store.row("r4"))
    frames = Frames(rows, (np.array([0, 5, 400]), np.array([3])))
    expected = array[[rows[0].offset, rows[0].offset + 5, rows[0].offset + 400, rows[1].offset + 3]]
    np.testing.assert_array_equal(gather(array, frames).numpy(), expected)
    np.testing.assert_array_equal(frames.recording, [0, 0, 0, 1])
    kept = frames.where(np.array([False, True, True, False]))
    assert [pick.tolist() for pick in kept.picks] == [[5, 400], []]
    whole = np.arange(rows[0].frames + rows[1].frames)
    np.testing.assert_array_equal(frames.take(whole), [0, 5, 400, rows[0].frames + 3])


def test_nan_error_names_the_recording(store, array):
    row = store.row("r3")
    array[row.offset + 11, 2] = np.nan
    with pytest.raises(InputError, match="recording 'r3'"):
        gather(array, all_frames(store.rows))
    gather(array, all_frames(store.rows[:3]))


def test_standardized_blocks_equal_the_whole(store, array, monkeypatch):
    monkeypatch.setattr("probe.representations.BLOCK_FRAMES", 100)
    frames = all_frames(store.rows)
    scaling = Standardizer.fit(gather(array, frames))
    together = torch.empty(len(frames), 5, dtype=torch.float32)
    for part, block in standardized_blocks(array, frames, scaling):
        assert len(block) <= 100
        together[part] = block
    torch.testing.assert_close(together, scaling.transform_(gather(array, frames)))


def test_embeddings_of_another_store_are_an_error(store, array, make_embeddings, tmp_path):
    check_alignment(make_embeddings(tmp_path / "e", array), store)
    other = write_store(tmp_path / "other", [make_recording("r0", 53)])
    with pytest.raises(InputError, match="another store"):
        check_alignment(make_embeddings(tmp_path / "f", array), other)


def test_embeddings_must_cover_all_recordings(store, array, make_embeddings, tmp_path):
    some = [{"id": r.id, "offset": r.offset, "frames": r.frames, "fps": r.fps} for r in store.rows[:2]]
    embeddings = make_embeddings(tmp_path / "e", array[: store.rows[2].offset], recordings=some)
    with pytest.raises(InputError, match="'r2'"):
        check_alignment(embeddings, store)


def test_columns_side_by_side_are_read_like_one_matrix(store, array):
    other = np.arange(store.num_frames * 2, dtype=np.float32).reshape(-1, 2)
    columns = Columns((array, slice(0, 3)), (array, slice(4, None)), (other, slice(None)))
    whole = np.concatenate([array[:, [0, 1, 2, 4]], other], axis=1)
    assert columns.shape == whole.shape and len(columns) == len(whole)
    frames = sampled_frames(store.rows, 7, seed=0)
    torch.testing.assert_close(gather(columns, frames), gather(whole, frames))
