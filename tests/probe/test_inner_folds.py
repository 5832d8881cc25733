"""What settings are chosen on: whole recordings, or stretches of time of one, never both sides of a moment."""

import numpy as np
import pytest
import torch

from probe.folds import (
    BLOCKS,
    FEW_RECORDINGS,
    GAP_SECONDS,
    NUM_FOLDS,
    SOME_RECORDINGS,
    held_out_masks,
    inner_folds,
    num_inner_folds,
)
from probe.labeled_frames import LabeledFrames
from probe.representations import Frames
from ssl_behavior.numerics import Standardizer
from ssl_behavior.store import StoreRow


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


def training_data(num_recordings, seed=0, frames=(90, 250), fps=1.0, classes=3):
    """Frames of bouts, every second one annotated in some recordings; values that say little of them."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(*frames, num_recordings)
    rows = tuple(
        StoreRow(id=f"r{i}", offset=0, frames=int(n), fps=fps, subset="", source="", annotators={}, resolution_px=None,
                 px_per_cm=None, content_hash=str(i))
        for i, n in enumerate(lengths)
    )  # fmt: skip
    picks = tuple(np.arange(i % 2, n, 1 + i % 2) for i, n in enumerate(lengths))
    label = np.concatenate([(pick // 11 + i) % classes for i, pick in enumerate(picks)])
    target = torch.from_numpy((label[:, None] == np.arange(classes)).astype(np.int8))
    embedded = torch.from_numpy(generator.normal(size=(len(label), 4)).astype(np.float32)) + target[:, :1]
    scaling = Standardizer.fit(embedded)
    return LabeledFrames(scaling.transform_(embedded), target, scaling, "multinomial", Frames(rows, picks))


@pytest.mark.parametrize("num_recordings", range(2, FEW_RECORDINGS + 1))
def test_leave_one_out_on_few_recordings(num_recordings):
    data = training_data(num_recordings, seed=num_recordings)
    recording, times = data.frames.recording, np.zeros(len(data), dtype=int)
    masks = list(held_out_masks(data, seed=0))
    assert len(masks) == num_inner_folds(data) == num_recordings
    for fit, held_out in masks:
        assert not set(recording[fit]) & set(recording[held_out]) and len(set(recording[held_out])) == 1
        assert (fit | held_out).all()
        times += held_out
    assert (times == 1).all()


@pytest.mark.parametrize("num_recordings", [FEW_RECORDINGS + 1, 13, SOME_RECORDINGS])
def test_stratified_folds_on_some_recordings(num_recordings):
    data = training_data(num_recordings)
    recording, times = data.frames.recording, np.zeros(len(data), dtype=int)
    masks = list(held_out_masks(data, seed=0, preferred=["r3"]))
    assert len(masks) == num_inner_folds(data) == NUM_FOLDS
    for fit, held_out in masks:
        assert (fit ^ held_out).all() and not set(recording[fit]) & set(recording[held_out])
        assert (data.target.numpy()[fit].sum(axis=0) > 0).all() and (data.target.numpy()[held_out].sum(0) > 0).all()
        times += held_out
    assert (times == 1).all()


@pytest.mark.parametrize("seed", range(4))
def test_single_held_out_fold_on_many_recordings(seed):
    data = training_data(SOME_RECORDINGS + 3, seed)
    ((fit, held_out),) = held_out_masks(data, seed)
    recording = data.frames.recording
    assert num_inner_folds(data) == 1 and (fit ^ held_out).all()
    assert not set(recording[fit]) & set(recording[held_out]) and 3 <= len(set(recording[held_out])) <= 7
    assert (data.target.numpy()[fit].sum(axis=0) > 0).all()
    again = next(held_out_masks(data, seed))[1]
    np.testing.assert_array_equal(held_out, again)
    ((_, named),) = held_out_masks(data, seed, ["r3", "r7", "not there"])
    assert set(recording[named]) == {3, 7}


@pytest.mark.parametrize(("fps", "frames", "gap"), [(1.0, (300, 400), GAP_SECONDS), (25.0, (300, 400), 0.0)])
def test_held_out_stretches_of_one_recording_have_gaps(fps, frames, gap):
    data = training_data(1, frames=frames, fps=fps)
    seconds, times = data.frames.picks[0] / fps, np.zeros(len(data), dtype=int)
    masks = list(held_out_masks(data, seed=0))
    assert len(masks) == num_inner_folds(data) == BLOCKS
    gap = gap or seconds[-1] / (4 * BLOCKS)
    for fit, held_out in masks:
        inside = np.flatnonzero(held_out)
        assert (np.diff(inside) == 1).all() and fit.sum() > held_out.sum()
        assert np.abs(seconds[fit][:, None] - seconds[held_out]).min() > gap
        times += held_out
    assert (times == 1).all()


def test_short_recording_has_no_folds():
    assert list(held_out_masks(training_data(1, frames=(3, 4)), seed=0)) == []


def test_inner_fold_is_thinned_and_standardized_on_training_frames():
    data = training_data(3)
    before = data.embedded.clone()
    folds = inner_folds(data, 0, max_frames=60)
    assert torch.equal(data.embedded, before), "the frames themselves stay as they were"
    for fold in folds:
        assert len(fold.fit) < 130 < fold.num_frames and fold.num_frames + len(fold.held_out) == len(data)
        torch.testing.assert_close(fold.fit.embedded.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
        torch.testing.assert_close(fold.fit.embedded.std(0, correction=0), torch.ones(4), atol=1e-5, rtol=0)


def test_folds_with_a_single_class_are_left_out():
    data = training_data(2)
    target = data.target.clone()
    target[data.frames.recording == 0] = torch.tensor([1, 0, 0], dtype=torch.int8)
    folds = inner_folds(LabeledFrames(data.embedded, target, data.scaling, data.kind, data.frames), 0, 1000)
    assert len(folds) == 1 and len(folds[0].held_out) == (data.frames.recording == 0).sum()
