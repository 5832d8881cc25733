"""Smoothing windows and decision weights: fast sweeps against slow loops, and what they leave alone."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from probe import postprocessing
from probe.experiment import BALANCED, DECISION, PLAIN, decide
from probe.postprocessing import LOG_WEIGHTS, Postprocessing, choose_postprocessing, choose_weights, reweigh
from probe.tasks import parse_macro


def made(num_frames=601, seed=0, sharpness=2.0, shares=(0.05, 0.25, 0.7)):
    """Frames of three classes and a softmax that knows something of them: probabilities, one-hot targets."""
    generator = np.random.default_rng(seed)
    shown = generator.choice(3, num_frames, p=shares)
    logits = generator.normal(0, 1, (num_frames, 3)) + sharpness * (shown[:, None] == np.arange(3)) + np.log(shares)
    odds = np.exp(logits)
    probability = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return probability, (shown[:, None] == np.arange(3)).astype(np.int8)


def macro_f1(probability, target, weights=(1.0, 1.0, 1.0), columns=(0, 1)):
    claimed = decide(reweigh(probability, list(weights), "multinomial"), "multinomial")
    return np.mean([f1_score(target[:, c], claimed[:, c]) for c in columns])


def test_f1_sweep_equals_a_loop_over_weights():
    probability, target = made(97)
    log_weights = np.array([0.3, -0.7, 0.0])
    scores = np.log(probability.astype(np.float64)) + log_weights
    for column in range(3):
        swept = postprocessing._sweep(scores, column, log_weights[column], target.argmax(axis=1))
        for index in range(0, len(LOG_WEIGHTS), 7):
            weights = log_weights.copy()
            weights[column] = LOG_WEIGHTS[index]
            claimed = (np.log(probability.astype(np.float64)) + weights).argmax(axis=1)
            slow = [f1_score(target[:, c], claimed == c) for c in range(3)]
            np.testing.assert_allclose(swept[index], slow, atol=1e-12)


def test_tuned_weights_improve_held_out_f1(problem):
    weights = choose_weights(problem, *made(4001, seed=1))
    probability, target = made(4001, seed=2)
    assert weights[0] > 1.5
    assert macro_f1(probability, target, weights) > macro_f1(probability, target) + 0.02


def test_chosen_weights_are_a_coordinate_optimum(problem):
    probability, target = made(997)
    weights = np.array(choose_weights(problem, probability, target))
    best = macro_f1(probability, target, weights)
    assert best > macro_f1(probability, target)
    for column in range(3):
        for log_weight in LOG_WEIGHTS[::5]:
            other = weights.copy()
            other[column] = np.exp(log_weight)
            assert macro_f1(probability, target, other) < best + 0.005


def test_binary_threshold_is_nearly_optimal(problem):
    binary = replace(problem, task=replace(problem.task, kind="binary"))
    probability, target = made(4001)
    weights = choose_weights(binary, probability, target)
    decided = decide(reweigh(probability, weights, "binary"), "binary")
    for column, weight in enumerate(weights):
        threshold = 1 / (1 + weight)
        np.testing.assert_array_equal(decided[:, column], probability[:, column] > threshold)
        every = [f1_score(target[:, column], probability[:, column] > t) for t in np.linspace(0.003, 0.997, 120)]
        assert f1_score(target[:, column], decided[:, column]) > max(every) - 0.01


def test_unannotated_frames_and_unlearned_classes_are_ignored(problem):
    probability, target = made(701)
    weights = choose_weights(problem, probability, target)
    longer, more = np.concatenate([probability, 1 - probability]), np.concatenate([target, np.full_like(target, -1)])
    assert choose_weights(problem, longer, more) == weights
    unknown = probability.copy()
    unknown[:, 1] = np.nan
    found = choose_weights(problem, unknown, target)
    assert np.isfinite(found).all()
    nothing = np.full_like(probability, np.nan)
    for kind in ("multinomial", "binary"):
        task = replace(problem.task, kind=kind)
        assert choose_weights(replace(problem, task=task), nothing, target) == (1.0,) * 3


def both(problem, seed=0):
    """Noisy probabilities of the store's first recordings."""
    rows = problem.store.rows[:4]
    target = problem.targets(rows)
    odds = np.exp(np.random.default_rng(seed).normal(0, 1.5, target.shape) + 1.5 * (target == 1))
    probability = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows, {PLAIN: probability, BALANCED: probability}


def test_tuning_keeps_rankings(problem):
    rows, probability = both(problem)
    smooth = choose_postprocessing(problem, rows, probability, smooth=True)
    tuned = choose_postprocessing(problem, rows, probability, smooth=True, thresholds=True)
    assert smooth.weights == () and len(tuned.weights) == 3
    first, second = (one.apply(probability, rows, "multinomial") for one in (smooth, tuned))
    for fit in (PLAIN, BALANCED):
        np.testing.assert_array_equal(first[fit], second[fit])
    assert not np.array_equal(first[DECISION], second[DECISION])
    assert len(set(tuned.windows[DECISION])) == 1 and max(tuned.windows[DECISION]) > 0


def test_thresholds_without_smoothing(problem):
    rows, probability = both(problem)
    postprocessing = choose_postprocessing(problem, rows, probability, thresholds=True)
    postprocessed = postprocessing.apply(probability, rows, "multinomial")
    assert postprocessing.windows == {}
    np.testing.assert_array_equal(postprocessed[PLAIN], probability[PLAIN])
    expected = reweigh(probability[PLAIN], postprocessing.weights, "multinomial")
    np.testing.assert_array_equal(postprocessed[DECISION], expected)


def test_binary_classes_have_their_own_windows_and_thresholds(problem):
    binary = replace(problem, task=replace(problem.task, kind="binary"))
    rows, probability = both(problem)
    together = choose_postprocessing(binary, rows, probability, smooth=True, thresholds=True)
    for column, name in enumerate(problem.task.classes):
        task = replace(problem.task, kind="binary", classes=(name,), background="")
        single = replace(binary, task=task, selection=parse_macro(task))
        own = {fit: values[:, [column]] for fit, values in probability.items()}
        alone = choose_postprocessing(single, rows, own, smooth=True, thresholds=True)
        assert together.weights[column] == alone.weights[0]
        assert all(together.windows[use][column] == alone.windows[use][0] for use in alone.windows)


def test_default_postprocessing_is_identity(problem):
    rows, probability = both(problem)
    assert Postprocessing().apply(probability, rows, "multinomial") == {}
    assert choose_postprocessing(problem, rows, probability) == Postprocessing()


@pytest.mark.parametrize(
    ("values", "middle"),
    [([0.1, 0.5, 0.1], 1), ([0.5, 0.5, 0.5], 1), ([0.1, 0.9, 0.9, 0.899], 2), ([0.7, 0.1, 0.7], 0)],
)
def test_middle_of_nearly_equal_weights(values, middle):
    assert postprocessing._middle_of_best_run(np.array(values)) == middle
