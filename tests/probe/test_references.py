"""Reference features: windowed moments against loops, and no difference between anonymous animals."""

from functools import partial

import numpy as np
import pytest
import torch

from probe.references import (
    add_session_time,
    cached_hand_features,
    hand_features,
    pca_reference,
    raw_keypoints,
    window_moments,
)
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import write_store
from tests.probe.conftest import make_recording


def test_window_moments_equal_a_loop_over_known_values():
    generator = torch.Generator().manual_seed(0)
    values, known = torch.randn(23, 3, generator=generator), torch.rand(23, 3, generator=generator) > 0.3
    known[:9, 1] = False
    mean, std = window_moments(values, known, 5)
    for t in range(23):
        for channel in range(3):
            window = slice(max(0, t - 2), t + 3)
            seen = values[window, channel][known[window, channel]]
            expected = (seen.mean(), seen.std(correction=0)) if len(seen) else (torch.tensor(0.0), torch.tensor(0.0))
            torch.testing.assert_close((mean[t, channel], std[t, channel]), expected, atol=1e-7, rtol=1e-6)


def test_unknown_values_do_not_change_window_moments():
    values, known = torch.randn(23, 3), torch.ones(23, 3, dtype=torch.bool)
    known[7] = False
    changed = values.clone()
    changed[7] = 1e6
    torch.testing.assert_close(window_moments(values, known, 5), window_moments(changed, known, 5))


def rats(tmp_path, name, swap):
    recordings = []
    for i, frames in enumerate((211, 157)):
        made = make_recording(f"r{i}", frames, skeleton="rat_dyads")
        keypoints = made.keypoints[:, ::-1] if swap else made.keypoints
        recordings.append(Recording(id=made.id, keypoints=keypoints, fps=30.0, skeleton=made.skeleton))
    return write_store(tmp_path / name, recordings)


def test_hand_features_are_invariant_to_order_of_exchangeable_animals(tmp_path):
    arrays = []
    for name, swap in (("as-they-are", False), ("swapped", True)):
        made = rats(tmp_path, name, swap)
        arrays.append(hand_features(made, made.rows[:1], tmp_path / f"{name}-features").arrays[0])
    assert np.isfinite(arrays[0]).all() and arrays[0].dtype == np.float16
    np.testing.assert_allclose(arrays[0].astype(np.float32), arrays[1].astype(np.float32), atol=0.01)


def test_hand_features_do_not_depend_on_evaluated_recordings(tmp_path):
    made = rats(tmp_path, "store", swap=False)
    alone = write_store(tmp_path / "alone", [next(iter(made))])
    both = hand_features(made, made.rows[:1], tmp_path / "a").arrays[0]
    one = hand_features(alone, alone.rows, tmp_path / "b").arrays[0]
    np.testing.assert_array_equal(both[: len(one)], one)


def test_hand_features_are_cached_per_store_and_recordings(store, tmp_path):
    computed = []

    def kept(train, rows=store.rows):
        said = partial(computed.append, len(train))
        return cached_hand_features(store, train, rows, tmp_path / "kept", said).arrays[0]

    first = np.array(kept(store.rows[:4]))
    np.testing.assert_array_equal(first, kept(store.rows[:4]))
    np.testing.assert_array_equal(first, hand_features(store, store.rows[:4], tmp_path / "fresh").arrays[0])
    assert computed == [4]
    assert not np.array_equal(first, kept(store.rows[:2])) and computed == [4, 2], "scaled on other recordings"
    (tmp_path / "kept" / "hand.npy").unlink()
    whole = np.array(kept(store.rows[:2]))
    assert computed == [4, 2, 2]
    some = [store.rows[3], store.rows[1]]
    np.testing.assert_array_equal(kept(store.rows[:2], some), np.concatenate([whole[row.slice] for row in some]))
    assert computed == [4, 2, 2, 2], "of some recordings"


def test_pca_is_fitted_on_training_recordings(store, tmp_path):
    hand = hand_features(store, store.rows[:4], tmp_path)
    reference = pca_reference(hand, store.rows[:4], tmp_path)
    projected = reference.arrays[0][: store.rows[4].offset]
    assert reference.dim == 64
    spread = projected.std(axis=0)
    assert (np.diff(spread) <= 1e-3).all()
    covariance = np.cov(projected.T)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=0.02 * covariance[0, 0])


def test_raw_keypoints_are_finite_with_observed_mask(store, tmp_path):
    raw = raw_keypoints(store, store.rows, tmp_path).arrays[0]
    missing = np.isnan(store.keypoints).any(axis=-1).reshape(len(raw), -1)
    assert raw.shape == (store.num_frames, 3 * 14) and np.isfinite(raw).all()
    np.testing.assert_array_equal(raw[:, 28:] == 0, missing)
    row = store.rows[2]
    moved = store.keypoints[row.slice].reshape(row.frames, 14, 2)
    offset = moved - raw[row.slice, :28].reshape(row.frames, 14, 2)
    assert np.nanmax(np.nanstd(offset.reshape(-1, 2).astype(np.float64), axis=0)) < 1e-3


def test_skeleton_without_roles_is_an_error(tmp_path):
    skeleton = Skeleton(name="two points", keypoints=("a", "b"))
    keypoints = np.zeros((29, 2, 2, 2), dtype=np.float32)
    made = write_store(tmp_path / "s", [Recording(id="x", keypoints=keypoints, fps=30.0, skeleton=skeleton)])
    with pytest.raises(InputError, match="role"):
        hand_features(made, made.rows, tmp_path)


def test_time_columns_start_at_zero_and_end_at_zero(store, tmp_path):
    timed = add_session_time(raw_keypoints(store, store.rows, tmp_path), store.rows)
    assert timed.dim == 3 * 14 + 2
    for row in store.rows:
        columns = timed.arrays[0][row.slice][:, -2:]
        assert columns[0, 0] == 0 and 0 < columns[-1, 1] < 0.001
        assert (np.diff(columns[:, 0]) > 0).all() and (np.diff(columns[:, 1]) < 0).all()
