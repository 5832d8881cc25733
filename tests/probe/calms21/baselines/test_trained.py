"""What trained baselines say: strides, channels that do not fit, classes made equally frequent."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from probe.calms21.baselines import BaselineConfig, Conv1dConfig, Phase, WindowSpan, assemble_inputs, fit_baseline
from probe.calms21.baselines.trained_baseline import _interpolated, _strided_frames
from probe.experiment import balance_probabilities
from probe.tasks import make_task
from ssl_behavior.errors import InputError

SMALL = BaselineConfig(
    network=Conv1dConfig(channels=(7,), kernel_size=3, dropout=0.2),
    window=WindowSpan(past=5, future=3, gap=1),
    phases=(Phase(epochs=1, lr=3e-3),),
    train_stride=5,
)


@pytest.fixture
def trained(store, array):
    rows = store.rows[:3]
    inputs = assemble_inputs(store, rows, rows, SMALL.window, array)
    return fit_baseline(store, make_task(store, "behavior"), rows, SMALL, inputs, 0)


def test_balanced_probabilities_assume_equal_class_shares():
    generator = np.random.default_rng(0)
    likelihood = generator.random((23, 3))
    share = np.array([0.07, 0.3, 0.63])
    posterior = likelihood * share / (likelihood * share).sum(axis=1, keepdims=True)
    wanted = likelihood / likelihood.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(balance_probabilities(posterior, share, "multinomial"), wanted)
    hidden = np.insert(posterior, 1, np.nan, axis=1)
    held = balance_probabilities(hidden, np.insert(share, 1, 0.0), "multinomial")
    assert np.isnan(held[:, 1]).all()
    np.testing.assert_allclose(held[:, [0, 2, 3]], wanted)
    yes, no = generator.random((2, 23, 2))
    share = np.array([0.1, 0.8])
    posterior = yes * share / (yes * share + no * (1 - share))
    np.testing.assert_allclose(balance_probabilities(posterior, share, "binary"), yes / (yes + no))


def test_predictions_do_not_depend_on_other_inputs(store, array, trained):
    rows = [store.rows[4], store.rows[1]]
    inputs = assemble_inputs(store, rows, [], SMALL.window, array, scaling=trained.scaling)
    whole = trained.predict(inputs, rows)
    assert whole.dtype == np.float32 and whole.shape == (sum(row.frames for row in rows), 3)
    wide = assemble_inputs(store, store.rows, [], WindowSpan(), array, scaling=trained.scaling)
    parts = [trained.predict(wide, [row]) for row in rows]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    assert trained.predict(inputs, []).shape == (0, 3)


def test_predict_stride_interpolates_between_frames(store, array, trained, monkeypatch):
    from probe.calms21.baselines import trained_baseline as module

    rows = store.rows[4:6]
    inputs = assemble_inputs(store, rows, [], SMALL.window, array, scaling=trained.scaling)
    strided = replace(trained, config=replace(SMALL, predict_stride=7))
    every, some = (np.log(one.predict(inputs, rows).astype(float)) for one in (trained, strided))
    first = rows[0].frames
    np.testing.assert_allclose(some[:first:7], every[:first:7], atol=1e-5)
    np.testing.assert_allclose(some[first - 1 :: 7], np.concatenate([every[first - 1 :][:1], some[first + 6 :: 7]]))
    np.testing.assert_allclose(some[first::7], every[first::7], atol=1e-5)
    # Differences of log probabilities are differences of logits, and those are linear in between.
    middle = (some[3, 0] - some[3, 1]) - (4 * (some[0, 0] - some[0, 1]) + 3 * (some[7, 0] - some[7, 1])) / 7
    assert abs(middle) < 1e-5
    monkeypatch.setattr(module, "PREDICTED_FRAMES", 70)
    assert np.isfinite(strided.predict(inputs, rows)).all()


@pytest.mark.parametrize("count,every", [(1, 3), (2, 3), (7, 3), (8, 3), (9, 3), (5, 1), (3, 9)])
def test_interpolation_of_logits_is_linear(count, every):
    known = _strided_frames(count, every)
    assert known[0] == 0 and known[-1] == count - 1 and (known.diff() > 0).all()
    logits = torch.randn(len(known), 2)
    made = _interpolated(logits, known, count)
    for column in range(2):
        wanted = np.interp(np.arange(count), known.numpy(), logits[:, column].numpy())
        np.testing.assert_allclose(made[:, column].numpy(), wanted, atol=1e-12)


def test_inputs_must_match_the_training(store, array, trained):
    rows = store.rows[:2]
    for other, word in (
        (assemble_inputs(store, rows, rows, SMALL.window), "the inputs hold"),
        (assemble_inputs(store, rows, rows, SMALL.window, array), "standardized differently"),
        (assemble_inputs(store, rows, [], WindowSpan(past=1, future=1), array, trained.scaling), "needs 5"),
    ):
        with pytest.raises(InputError, match=word):
            trained.predict(other, rows)
    inputs = assemble_inputs(store, rows, [], SMALL.window, array, trained.scaling)
    with pytest.raises(InputError, match="lack the recording"):
        trained.predict(inputs, store.rows[:3])
