"""Channels of every frame against a loop over frames; nothing passes from one recording to the next."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from probe.calms21.baselines.inputs import assemble_inputs
from probe.calms21.baselines.layers import WindowSpan
from probe.representations import Frames
from ssl_behavior.errors import InputError
from ssl_behavior.store import write_store
from ssl_behavior.windows import arena_of

SPAN = WindowSpan(past=7, future=11, gap=3)
SIZE = (1024.0, 570.0)


@pytest.fixture
def calms21(tmp_path, dyad):
    """Three recordings of videos of known size, nothing missing."""
    recordings = [dyad(f"r{n}", n, seed=n, resolution_px=SIZE) for n in (53, 37, 61)]
    return write_store(tmp_path / "calms21", recordings)


def window_of(inputs, row, frame):
    return SPAN.gather(inputs.values, inputs.places(Frames((row,), (np.array([frame]),))))[0]


def test_keypoints_are_in_units_of_the_video_and_the_outside_is_zero(calms21):
    rows = [calms21.rows[2], calms21.rows[0]]
    inputs = assemble_inputs(calms21, rows, rows, SPAN)
    assert inputs.groups == {"keypoints": 28} and inputs.values.dtype == torch.float32
    for row in rows:
        keypoints = calms21.keypoints[row.slice]
        for frame in (0, 5, 30, row.frames - 1):
            window = window_of(inputs, row, frame)
            for sample, step in enumerate(range(-7, 12)):
                at = frame + 3 * step
                wanted = np.zeros(28)
                if 0 <= at < row.frames:
                    wanted = (keypoints[at] / np.array(SIZE)).reshape(-1)
                np.testing.assert_allclose(window[sample].numpy(), wanted, atol=1e-6)


def test_missing_points_are_zero_with_observed_channels(store):
    # Some of the fixture's points are missing, and its videos' size is not known.
    inputs = assemble_inputs(store, store.rows[:3], store.rows[:1], SPAN)
    assert inputs.groups == {"keypoints": 28, "observed": 14}
    for row in store.rows[:3]:
        keypoints = store.keypoints[row.slice]
        x0, y0, x1, y1 = arena_of(keypoints, None)
        own = inputs.values[inputs.starts[row.id] :][: row.frames].numpy()
        for frame in (0, 101, row.frames - 1):
            for point, (x, y) in enumerate(keypoints[frame].reshape(-1, 2)):
                seen = bool(np.isfinite(x))
                wanted = [(x - x0) / (x1 - x0), (y - y0) / (y1 - y0)] if seen else [0, 0]
                np.testing.assert_allclose(own[frame, 2 * point : 2 * point + 2], wanted, atol=1e-5)
                assert own[frame, 28 + point] == seen
    assert np.isfinite(inputs.values.numpy()).all()


def test_features_are_standardized_on_training_recordings(store, array):
    train, other = store.rows[1], store.rows[3]
    inputs = assemble_inputs(store, [other, train], [train], SPAN, array)
    assert inputs.groups["features"] == 5 and inputs.num_channels == 28 + 14 + 5
    mean, std = array[train.slice].mean(axis=0), array[train.slice].std(axis=0)
    alone = assemble_inputs(store, [other, train], [train], SPAN)
    torch.testing.assert_close(inputs.values[:, :-5], alone.values)
    for row in (train, other):
        own = inputs.values[inputs.starts[row.id] :][: row.frames, -5:].numpy()
        np.testing.assert_allclose(own, (array[row.slice] - mean) / std, atol=1e-5)
    inside = sum(row.frames for row in (train, other))
    assert (inputs.values == 0).all(dim=1).sum() == len(inputs.values) - inside


def test_windows_do_not_overlap_other_recordings(store, array):
    first, middle, last = rows = store.rows[:3]
    changed = array.copy()
    changed[middle.slice] = 1e6
    twins = write_store(
        store.path.parent / "twins",
        [replace(r, keypoints=r.keypoints + 97.0) if r.id == middle.id else r for r in store],
    )
    before = assemble_inputs(store, rows, [first, last], SPAN, array)
    after = assemble_inputs(twins, rows, [first, last], SPAN, changed)
    assert not torch.equal(window_of(before, middle, 50), window_of(after, middle, 50))
    for row in (first, last):
        for frame in range(row.frames):
            assert torch.equal(window_of(before, row, frame), window_of(after, row, frame))


def test_scaling_and_observed_of_another_training_are_kept(store, calms21, array):
    train, other = store.rows[1], store.rows[3]
    first = assemble_inputs(store, [train, other], [train], SPAN, array)
    later = assemble_inputs(store, [other], [], SPAN, array, scaling=first.scaling)
    where, again = first.starts[other.id], later.starts[other.id]
    assert torch.equal(first.values[where : where + other.frames], later.values[again : again + other.frames])
    told = assemble_inputs(calms21, calms21.rows, calms21.rows, SPAN, observed=True)
    assert told.groups == {"keypoints": 28, "observed": 14}
    inside = told.values[told.starts["r53"] :][:53]
    assert (inside[:, 28:] == 1).all() and told.layout.skeleton == calms21.skeleton
    with pytest.raises(InputError, match="missing"):
        assemble_inputs(store, store.rows, store.rows, SPAN, observed=False)


def test_arena_size_of_each_place(dyad, tmp_path):
    sizes = ((1024.0, 570.0), (733.0, 411.0))
    recordings = [dyad(f"r{n}", n, seed=n, resolution_px=size) for n, size in zip((53, 37), sizes, strict=True)]
    store = write_store(tmp_path / "two", recordings)
    inputs = assemble_inputs(store, store.rows[::-1], store.rows, SPAN)
    for row in store.rows:
        places = inputs.starts[row.id] + torch.tensor([0, 17, row.frames - 1])
        assert inputs.sizes_at(places).tolist() == [list(row.resolution_px)] * 3


def test_absent_recordings_and_wide_windows_are_errors(calms21):
    inputs = assemble_inputs(calms21, calms21.rows[:2], calms21.rows[:2], SPAN)
    inputs.check(calms21.rows[:2], WindowSpan(past=1, future=33, gap=1))
    with pytest.raises(InputError, match="'r61'"):
        inputs.check(calms21.rows, SPAN)
    with pytest.raises(InputError, match=r"33 frames.* 34"):
        inputs.check(calms21.rows[:2], WindowSpan(past=34, future=0, gap=1))
