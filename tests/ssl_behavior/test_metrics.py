"""Pooled scores against scikit-learn, and the bootstrap against slow resampling."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

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
