"""Whole trials: what is chosen on which recordings, what is undefined, and that the best fit predicts."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from probe.experiment import BALANCED, DECISION, FITS, PLAIN, Experiment, choose_settings, decide
from probe.frozen_probes import run_experiment
from probe.tasks import make_task, parse_macro
from ssl_behavior.errors import InputError
from ssl_behavior.splits import make_split
from ssl_behavior.store import write_store
from tests.probe.conftest import FRAMES, make_recording


@pytest.fixture
def experiment(store):
    task = make_task(store, "behavior")
    return Experiment(store, task, make_split(store, seed=0), parse_macro(task), stride=1, smooth=True)


def scored_labels(experiment):
    labels = experiment.store.labels("behavior")
    return np.concatenate([labels[row.slice] for row in experiment.split.evaluate])


@pytest.mark.parametrize("mode", ["linear", "knn"])
@pytest.mark.parametrize("kind", ["multinomial", "binary"])
def test_predictions_beat_chance(store, array, mode, kind):
    task = make_task(store, "behavior", kind=kind)
    experiment = Experiment(store, task, make_split(store), parse_macro(task), mode=mode, stride=2, smooth=True)
    predictions = run_experiment(experiment, array, seed=0)
    labels = scored_labels(experiment)
    for fit in FITS:
        for probability in (predictions.probability[fit], predictions.postprocessed[fit]):
            predicted = decide(probability, kind)
            assert probability.shape == (len(labels), len(task.classes))
            assert np.mean(predicted[labels == 0, 0]) > 0.6 > 0.3 > np.mean(predicted[labels == 2, 0])
    assert bool(predictions.heads) == (mode == "linear")


def test_final_head_equals_scikit_learn(experiment, array):
    predictions = run_experiment(experiment, array, seed=0)
    fitted = predictions.heads[PLAIN]
    rows = experiment.split.train
    labels = np.concatenate([experiment.store.labels("behavior")[row.slice] for row in rows])
    values = np.concatenate([array[row.slice] for row in rows])[labels >= 0].astype(np.float64)
    mean, std = values.mean(0), values.std(0)
    c = 1 / (fitted.penalty[0] * predictions.num_train_frames)
    model = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit((values - mean) / std, labels[labels >= 0])
    scored = np.concatenate([array[row.slice] for row in experiment.split.evaluate])
    (factor,) = set(fitted.shrinkage)
    share = np.bincount(labels[labels >= 0]) / (labels >= 0).sum()
    shrunk = model.predict_proba((scored - mean) / std) ** factor * share ** (1 - factor)
    expected = shrunk / shrunk.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predictions.probability[PLAIN], expected, atol=5e-3)
    assert predictions.num_train_frames == (labels >= 0).sum()


def test_scored_labels_do_not_change_the_fit(experiment, array, tmp_path):
    """Not the heads, not C, not the smoothing windows."""
    scored = {row.id for row in experiment.split.evaluate}

    def spoiled(recording):
        labels = recording.labels["behavior"]
        frames = np.roll(labels.frames, 37) if recording.id in scored else labels.frames
        return replace(recording, labels={"behavior": replace(labels, frames=frames)})

    other = write_store(tmp_path / "spoiled", [spoiled(recording) for recording in experiment.store])
    first, second = (run_experiment(replace(experiment, store=s), array, seed=0) for s in (experiment.store, other))
    assert first.settings == second.settings and first.windows == second.windows
    for fit in FITS:
        np.testing.assert_array_equal(first.postprocessed[fit], second.postprocessed[fit])


def test_experiments_are_deterministic_per_seed(experiment, array):
    sparse = replace(experiment, stride=5)
    first, again, other = (run_experiment(sparse, array, seed).probability[PLAIN] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_label_fraction_reduces_training_frames(experiment, array):
    few, all_of_them = run_experiment(experiment, array, 0, 30.0), run_experiment(experiment, array, 0, 100.0)
    assert 0 < few.num_train_frames < all_of_them.num_train_frames


def with_labels(store, path, change):
    """The same recordings with labels changed by `change(index, frames)`."""

    def changed(index, recording):
        labels = recording.labels["behavior"]
        return replace(recording, labels={"behavior": replace(labels, frames=change(index, labels.frames.copy()))})

    return write_store(path, [changed(i, recording) for i, recording in enumerate(store)])


@pytest.mark.parametrize("mode", ["linear", "knn"])
def test_class_absent_from_training_is_undefined(experiment, array, tmp_path, mode):
    scored = {row.id for row in experiment.split.evaluate}
    other = with_labels(
        experiment.store, tmp_path / "s",
        lambda i, frames: frames if experiment.store.rows[i].id in scored else np.where(frames == 1, 2, frames),
    )  # fmt: skip
    predictions = run_experiment(replace(experiment, store=other, mode=mode), array, seed=0)
    assert np.isnan(predictions.probability[PLAIN][:, 1]).all()
    assert np.isfinite(predictions.probability[BALANCED][:, [0, 2]]).all()
    assert not decide(predictions.probability[PLAIN], "multinomial")[:, 1].any()


def test_single_class_is_an_error_at_100_percent_and_undefined_below(experiment, array, tmp_path):
    one = with_labels(experiment.store, tmp_path / "s", lambda i, frames: np.where(frames >= 0, 2, frames))
    with pytest.raises(InputError, match="only 'other'"):
        run_experiment(replace(experiment, store=one), array, seed=0)
    predictions = run_experiment(replace(experiment, store=one), array, 0, 20.0)
    assert np.isnan(predictions.probability[PLAIN]).all()


def test_penalty_choice_on_a_single_recording(array, tmp_path):
    recordings = [make_recording(f"r{i}", n) for i, n in enumerate(FRAMES)]
    recordings = [
        replace(r, labels={}) if i > 1 else replace(r, subset=("train", "test")[i]) for i, r in enumerate(recordings)
    ]
    made = write_store(tmp_path / "s", recordings)
    task = make_task(made, "behavior")
    experiment = Experiment(made, task, make_split(made), parse_macro(task), smooth=True)
    predictions = run_experiment(experiment, array, seed=0)
    assert predictions.windows == {} and predictions.postprocessed == {}, "smoothing needs another recording"
    labels = scored_labels(experiment)
    for fit in FITS:
        assert np.isfinite(predictions.probability[fit]).all()
        np.testing.assert_allclose(predictions.probability[fit].sum(axis=1), 1, atol=1e-5)
        assert (
            np.mean(predictions.probability[fit][labels == 0, 0])
            > np.mean(predictions.probability[fit][labels == 2, 0]) + 0.2
        )


def test_settings_are_chosen_by_selection_score_or_per_class(experiment):
    tried = {0.1: [0.9, 0.2, 0.9], 1.0: [0.6, 0.8, 0.1], 10.0: [0.6, None, None]}
    assert choose_settings(tried, 5.0, experiment.problem) == (1.0, 1.0, 1.0)
    binary = replace(experiment, task=replace(experiment.task, kind="binary")).problem
    assert choose_settings(tried, 5.0) == choose_settings(tried, 5.0, binary) == (0.1, 1.0, 0.1)
    near = {0.1: [None, 0.5, 0.5], 0.01: [None, 0.4991, 0.49]}
    assert choose_settings(near, 5.0) == (5.0, 0.01, 0.1)
    assert choose_settings(near, 5.0, losses={0.1: [1.0, 1.0, 9.0], 0.01: [1.0, 2.0, 1.0]}) == (5.0, 0.1, 0.1)


def test_smoothing_improves_noisy_probabilities(experiment, array):
    noise = np.random.default_rng(1).normal(0, 4, array.shape)
    predictions = run_experiment(experiment, (array + noise).astype(np.float32), seed=0)
    assert min(predictions.windows[PLAIN]) > 0 and len(set(predictions.windows[BALANCED])) == 1
    assert len(set(predictions.windows[DECISION])) == 1
    labels = scored_labels(experiment)
    hits = [
        np.mean(decide(p, "multinomial").argmax(1) == labels)
        for p in (predictions.probability[PLAIN], predictions.postprocessed[DECISION])
    ]
    assert hits[1] > hits[0] + 0.05
    ap = [
        average_precision_score(labels == 0, p[PLAIN][:, 0])
        for p in (predictions.probability, predictions.postprocessed)
    ]
    assert ap[1] > ap[0] + 0.1


def test_unannotated_frames_do_not_change_the_fit(experiment, array, tmp_path):
    labels = experiment.store.labels("behavior")
    spoiled = array.copy()
    spoiled[labels == -1] = 1e3
    scored = experiment.split.evaluate
    for_scoring = np.concatenate([np.arange(row.offset, row.offset + row.frames) for row in scored])
    spoiled[for_scoring] = array[for_scoring]
    sharp = replace(experiment, smooth=False)
    np.testing.assert_array_equal(
        run_experiment(sharp, array, 0).probability[PLAIN], run_experiment(sharp, spoiled, 0).probability[PLAIN]
    )
