"""Folds, ensembles, treatments: who learned from what, and that nothing is ever tuned on the evaluated recordings."""

from dataclasses import replace

import numpy as np
import pytest

from probe.calms21.systems import PostprocessingConfig, mean_of, run_system
from probe.experiment import BALANCED, DECISION, FITS, PLAIN
from probe.folds import stratified_folds
from ssl_behavior.errors import InputError

ALL = PostprocessingConfig(folds=3, smooth=True, thresholds=True)


def ids(rows):
    return [row.id for row in rows]


def test_without_folds_one_model_trains_on_all_recordings(centroids, problem, split):
    predictions = run_system(centroids, problem, split, 0)
    assert centroids.learned_from == [ids(split.train)] and centroids.predicted == [ids(split.evaluate)]
    assert predictions.postprocessed == {} and predictions.windows == {} and predictions.weights == ()
    known = (problem.targets(split.train) >= 0).any(axis=1).sum()
    assert predictions.num_train_frames == known == predictions.facts["models"][0]["num_train_frames"]


def test_folds_average_their_models(centroids, problem, split):
    predictions = run_system(centroids, problem, split, 0, PostprocessingConfig(folds=3))
    folds = stratified_folds(problem, split.train, 3, 0)
    rests = [[row for row in split.train if row not in fold] for fold in folds]
    assert centroids.learned_from == [ids(rest) for rest in rests]
    single = [centroids.fit(problem, rest, 0).predict(split.evaluate) for rest in rests]
    for fit in FITS:
        expected = np.mean([one[fit].astype(np.float64) for one in single], axis=0)
        np.testing.assert_allclose(predictions.probability[fit], expected, atol=1e-6)


def test_refit_predicts_with_one_model_of_all_recordings(centroids, problem, split):
    predictions = run_system(centroids, problem, split, 0, replace(ALL, refit=True))
    assert centroids.learned_from[-1] == ids(split.train) and len(centroids.learned_from) == 4
    assert [rows for rows in centroids.predicted if set(rows) & set(ids(split.evaluate))] == [ids(split.evaluate)]
    alone = centroids.fit(problem, split.train, 0).predict(split.evaluate)
    np.testing.assert_array_equal(predictions.probability[PLAIN], alone[PLAIN])
    assert set(predictions.postprocessed) == {*FITS, DECISION} and len(predictions.weights) == 3


@pytest.mark.parametrize("postprocessing", [PostprocessingConfig(), ALL, replace(ALL, refit=True)])
@pytest.mark.parametrize("kind", ["multinomial", "binary"])
def test_labels_of_evaluated_recordings_do_not_change_predictions(
    centroids, problem, split, relabeled, postprocessing, kind
):
    scored = set(ids(split.evaluate))
    other = relabeled(problem.store, lambda row, frames: np.roll(frames, 37) if row.id in scored else frames)
    task = replace(problem.task, kind=kind)
    seed_predictions = [
        run_system(centroids, replace(problem, store=store, task=task), split, 0, postprocessing)
        for store in (problem.store, other)
    ]
    first, second = seed_predictions
    assert (first.windows, first.weights) == (second.windows, second.weights)
    assert set(first.postprocessed) == ({*FITS, DECISION} if postprocessing.smooth else set())
    for group in ("probability", "postprocessed"):
        for key, values in getattr(first, group).items():
            np.testing.assert_array_equal(values, getattr(second, group)[key])


def test_labels_of_training_recordings_change_postprocessing(centroids, problem, split, relabeled):
    other = relabeled(problem.store, lambda row, frames: np.roll(frames, 37))
    first, second = (
        run_system(centroids, replace(problem, store=store), split, 0, ALL) for store in (problem.store, other)
    )
    assert (first.windows, first.weights) != (second.windows, second.weights)


def test_postprocessing_uses_out_of_fold_probabilities(centroids, problem, split, monkeypatch):
    from probe.calms21.systems import system_runs

    seen = {}

    def spy(problem, rows, probability, smooth, thresholds):
        seen["rows"], seen["probability"] = rows, probability
        return original(problem, rows, probability, smooth, thresholds)

    original = system_runs.choose_postprocessing
    monkeypatch.setattr(system_runs, "choose_postprocessing", spy)
    run_system(centroids, problem, split, 0, ALL)
    assert ids(seen["rows"]) == ids(split.train)
    start = 0
    folds = stratified_folds(problem, split.train, 3, 0)
    for row in split.train:
        (own,) = [fold for fold in folds if row in fold]
        rest = [other for other in split.train if other not in own]
        expected = centroids.fit(problem, rest, 0).predict([row])
        for fit in FITS:
            np.testing.assert_array_equal(seen["probability"][fit][start : start + row.frames], expected[fit])
        start += row.frames


def test_number_of_folds_is_at_most_the_number_of_recordings(centroids, problem, split):
    two = replace(split, fit=split.train[:2], tune=())
    predictions = run_system(centroids, problem, two, 0, replace(ALL, folds=7))
    assert (
        sorted(centroids.learned_from) == sorted([[split.train[0].id], [split.train[1].id]])
        and predictions.postprocessed
    )
    one = replace(split, fit=split.train[:1], tune=())
    assert run_system(centroids, problem, one, 0, ALL).postprocessed == {}


def test_class_of_one_recording_is_averaged_over_models_that_learned_it(centroids, problem, split, relabeled):
    only = split.train[1].id
    store = relabeled(problem.store, lambda row, frames: frames if row.id == only else np.where(frames == 1, 2, frames))
    predictions = run_system(centroids, replace(problem, store=store), split, 0, ALL)
    assert np.isfinite(predictions.probability[PLAIN]).all()
    np.testing.assert_allclose(predictions.probability[PLAIN].sum(axis=1), 1, atol=1e-5)
    assert np.isfinite(predictions.postprocessed[DECISION]).all()


def test_too_few_training_classes_give_undefined_predictions(centroids, problem, split, relabeled):
    store = relabeled(problem.store, lambda row, frames: np.where(frames >= 0, 2, frames))
    predictions = run_system(centroids, replace(problem, store=store), split, 0, ALL)
    assert all(np.isnan(values).all() for values in predictions.probability.values()) and not centroids.learned_from
    with pytest.raises(InputError, match="only 'other'"):
        centroids.fit(replace(problem, store=store), split.train, 0)


def test_ensemble_is_the_mean_of_its_predictions(centroids, problem, split):
    seed_predictions = [run_system(centroids, problem, split, seed, ALL) for seed in range(3)]
    together = mean_of(seed_predictions, "multinomial")
    for group in ("probability", "postprocessed"):
        for key in getattr(together, group):
            expected = np.mean([getattr(one, group)[key].astype(np.float64) for one in seed_predictions], axis=0)
            np.testing.assert_allclose(getattr(together, group)[key], expected, atol=1e-6)
    with pytest.raises(InputError, match="ensemble"):
        mean_of([seed_predictions[0], run_system(centroids, problem, split, 0)], "multinomial")
    with pytest.raises(InputError, match="ensemble"):
        mean_of([], "multinomial")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"folds": -1}, "folds must be at least 0"),
        ({"smooth": True}, "smooth need out-of-fold"),
        ({"folds": 1, "refit": True, "thresholds": True}, "refit and thresholds need"),
    ],
)
def test_postprocessing_without_folds_is_an_error(options, sentence):
    with pytest.raises(InputError, match=sentence):
        PostprocessingConfig(**options)


def test_evaluated_training_recording_is_an_error(centroids, problem, split):
    with pytest.raises(InputError, match="scored recording"):
        run_system(centroids, problem, replace(split, evaluate=split.train[:1]), 0)


def test_postprocessing_helps_on_noisy_frames(centroids, problem, split):
    centroids.array = centroids.array + np.random.default_rng(0).normal(0, 3, centroids.array.shape)
    predictions = run_system(centroids, problem, split, 0, ALL)
    target = problem.targets(split.evaluate)
    known = target[:, 0] >= 0
    shown = target[known].argmax(axis=1)
    right = [
        (values[known].argmax(axis=1) == shown).mean()
        for values in (
            predictions.probability[PLAIN],
            predictions.postprocessed[DECISION],
            predictions.postprocessed[BALANCED],
        )
    ]
    assert min(right[1:]) > right[0] + 0.05
