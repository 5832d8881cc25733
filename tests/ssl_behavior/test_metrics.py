"""Pooled scores against scikit-learn, and the bootstrap against slow resampling."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, precision_score, recall_score

from ssl_behavior import metrics

FRAMES, RECORDINGS, RESAMPLES = 997, 7, 13


def scene(seed=0, ties=False):
    generator = np.random.default_rng(seed)
    recording = np.sort(generator.integers(0, RECORDINGS, FRAMES))
    positive = generator.random(FRAMES) < 0.05 + 0.1 * (recording % 3)
    score = generator.random(FRAMES) + 0.5 * positive
    return positive, np.round(score, 1) if ties else score, score > 0.9, recording


def test_scores_equal_scikit_learn():
    positive, score, predicted, _ = scene()
    scores = metrics.class_scores(positive, score, predicted)
    assert scores.f1 == pytest.approx(f1_score(positive, predicted))
    assert scores.ap == pytest.approx(average_precision_score(positive, score))
    assert scores.precision == pytest.approx(precision_score(positive, predicted))
    assert scores.recall == pytest.approx(recall_score(positive, predicted))
    assert scores.support == positive.sum()


def test_a_class_without_positives_is_undefined():
    none = np.zeros(FRAMES, dtype=bool)
    _, score, predicted, recording = scene()
    assert metrics.class_scores(none, score, predicted) == metrics.ClassScores(None, None, None, None, 0)
    counts = metrics.resample_counts(RECORDINGS, RESAMPLES, np.random.default_rng(0))
    assert np.isnan(metrics.bootstrap_ap(none, score, recording, counts)).all()
    assert np.isnan(metrics.bootstrap_f1(none, predicted, recording, counts)).all()
    assert metrics.interval(np.full(3, np.nan)) is None


def test_a_class_that_could_not_be_learned_is_undefined_but_counted():
    positive, _, predicted, _ = scene()
    scores = metrics.class_scores(positive, None, predicted)
    assert (scores.f1, scores.ap, scores.support) == (None, None, positive.sum())


def test_predicting_nothing_has_no_precision_and_f1_zero():
    positive, score, predicted, _ = scene()
    scores = metrics.class_scores(positive, score, np.zeros_like(predicted))
    assert (scores.f1, scores.precision, scores.recall) == (0, None, 0)


def test_std_is_the_populations():
    assert metrics.summarize([0.1, 0.2, 0.6]).std == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=0))
    assert metrics.summarize([None, None]) == metrics.Summary(None, None, 0)
    assert metrics.macro([None]) is None


@pytest.mark.parametrize("ties", [False, True])
def test_bootstrap_equals_resampling_the_frames(ties):
    positive, score, predicted, recording = scene(ties=ties)
    counts = metrics.resample_counts(RECORDINGS, RESAMPLES, np.random.default_rng(1))
    assert (counts.sum(axis=1) == RECORDINGS).all()
    ap = metrics.bootstrap_ap(positive, score, recording, counts)
    f1 = metrics.bootstrap_f1(positive, predicted, recording, counts)
    for resample in range(RESAMPLES):
        drawn = np.repeat(np.arange(FRAMES), counts[resample][recording])
        assert ap[resample] == pytest.approx(average_precision_score(positive[drawn], score[drawn]))
        assert f1[resample] == pytest.approx(f1_score(positive[drawn], predicted[drawn]))


def test_bootstrap_with_more_scores_than_bins_stays_close():
    generator = np.random.default_rng(2)
    positive = generator.random(40_009) < 0.2
    score = generator.normal(size=len(positive)) + positive
    once = np.ones((1, 1), dtype=int)
    ap = metrics.bootstrap_ap(positive, score, np.zeros(len(positive), dtype=int), once)[0]
    assert ap == pytest.approx(average_precision_score(positive, score), abs=1 / metrics.AP_BINS)


def test_interval_holds_its_level():
    values = np.append(np.arange(1001.0), np.nan)
    found = metrics.interval(values, level=0.9)
    assert (found.low, found.high) == (pytest.approx(50.0), pytest.approx(950.0))


def test_brier_score_equals_scikit_learn():
    positive, score, _, recording = scene()
    probability = score / score.max()
    pooled = metrics.brier_score(positive, probability, recording, RECORDINGS)
    assert pooled.value() == pytest.approx(brier_score_loss(positive, probability))
    for number, alone in enumerate(pooled.by_recording()):
        here = recording == number
        assert alone == pytest.approx(brier_score_loss(positive[here], probability[here]))


def test_pooled_medians_are_of_the_drawn_recordings():
    generator = np.random.default_rng(3)
    # Recording 2 has no value; values repeat.
    recording = generator.choice([0, 1, 3, 4], 60)
    values = generator.integers(-5, 6, 60) / 30
    pooled = metrics.PooledMedian(values, recording, 5)
    counts = metrics.resample_counts(5, 40, generator)
    counts[0] = [0, 0, 5, 0, 0]
    made = pooled.resampled(counts)
    assert pooled.value() == np.median(values) and np.isnan(made[0]) and np.isnan(pooled.by_recording()[2])
    for resample in range(1, 40):
        assert made[resample] == np.median(np.repeat(values, counts[resample][recording]))
    for number in (0, 1, 3, 4):
        assert pooled.by_recording()[number] == np.median(values[recording == number])


def test_pooled_ratios_and_counts():
    pooled = metrics.PooledRatio(np.array([1.0, 0.0, 3.0]), np.array([2.0, 0.0, 4.0]))
    assert pooled.value() == 4 / 6 and pooled.num_recordings == 3
    np.testing.assert_array_equal(pooled.by_recording(), [0.5, np.nan, 0.75])
    np.testing.assert_array_equal(pooled.resampled(np.array([[0, 3, 0], [2, 0, 1]])), [np.nan, 5 / 8])
    # Without support there is no score, though the quotient is defined.
    unsupported = metrics.PooledRatio(np.zeros(2), np.ones(2), np.array([0.0, 1.0]))
    np.testing.assert_array_equal(unsupported.by_recording(), [np.nan, 0.0])
    nothing = metrics.PooledMedian(np.zeros(0), np.zeros(0, int), 2)
    assert nothing.value() is None and np.isnan(nothing.resampled(np.ones((3, 2)))).all()
    count = metrics.PooledCount(np.array([2.0, 3.0]))
    assert (count.value(), count.by_recording().tolist()) == (5.0, [2.0, 3.0])
    assert count.resampled(np.array([[2, 0]])).tolist() == [4.0]


def test_means_leave_out_undefined_values():
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, 4.0]])
    np.testing.assert_array_equal(metrics.mean_defined(values), [1.0, np.nan, 3.0])
