"""Whole trials: what is chosen on which recordings, what is undefined, and that the best fit predicts."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from probe.learners import run_trial
from probe.tasks import macro_of, make_task
from probe.trial import BALANCED, DECISION, FITS, PLAIN, Trial, choose_settings, decide
from ssl_behavior.errors import InputError
from ssl_behavior.splits import make_split
from ssl_behavior.store import write_store
from tests.probe.conftest import FRAMES, make_recording


@pytest.fixture
def trial(store):
    task = make_task(store, "behavior")
    return Trial(store, task, make_split(store, seed=0), macro_of(task), stride=1, smooth=True)


def scored_labels(trial):
    labels = trial.store.labels("behavior")
    return np.concatenate([labels[row.slice] for row in trial.split.evaluate])


@pytest.mark.parametrize("mode", ["linear", "knn"])
@pytest.mark.parametrize("kind", ["multinomial", "binary"])
def test_predictions_know_the_classes(store, array, mode, kind):
    task = make_task(store, "behavior", kind=kind)
    trial = Trial(store, task, make_split(store), macro_of(task), mode=mode, stride=2, smooth=True)
    outcome = run_trial(trial, array, seed=0)
    labels = scored_labels(trial)
    for fit in FITS:
        for probability in (outcome.probability[fit], outcome.treated[fit]):
            predicted = decide(probability, kind)
            assert probability.shape == (len(labels), len(task.classes))
            assert np.mean(predicted[labels == 0, 0]) > 0.6 > 0.3 > np.mean(predicted[labels == 2, 0])
    assert bool(outcome.heads) == (mode == "linear")


def test_the_final_head_is_scikit_learns_on_all_training_recordings(trial, array):
    outcome = run_trial(trial, array, seed=0)
    fitted = outcome.heads[PLAIN]
    rows = trial.split.train
    labels = np.concatenate([trial.store.labels("behavior")[row.slice] for row in rows])
    values = np.concatenate([array[row.slice] for row in rows])[labels >= 0].astype(np.float64)
    mean, std = values.mean(0), values.std(0)
    c = 1 / (fitted.penalty[0] * outcome.num_train_frames)
    model = LogisticRegression(C=c, tol=1e-8, max_iter=5000).fit((values - mean) / std, labels[labels >= 0])
    scored = np.concatenate([array[row.slice] for row in trial.split.evaluate])
    (factor,) = set(fitted.shrinkage)
    share = np.bincount(labels[labels >= 0]) / (labels >= 0).sum()
    shrunk = model.predict_proba((scored - mean) / std) ** factor * share ** (1 - factor)
    expected = shrunk / shrunk.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outcome.probability[PLAIN], expected, atol=5e-3)
    assert outcome.num_train_frames == (labels >= 0).sum()


def test_labels_of_the_scored_recordings_change_nothing_that_is_fitted(trial, array, tmp_path):
    """Not the heads, not C, not the smoothing windows."""
    scored = {row.id for row in trial.split.evaluate}

    def spoiled(recording):
        labels = recording.labels["behavior"]
        frames = np.roll(labels.frames, 37) if recording.id in scored else labels.frames
        return replace(recording, labels={"behavior": replace(labels, frames=frames)})

    other = write_store(tmp_path / "spoiled", [spoiled(recording) for recording in trial.store])
    first, second = (run_trial(replace(trial, store=s), array, seed=0) for s in (trial.store, other))
    assert first.settings == second.settings and first.windows == second.windows
    for fit in FITS:
        np.testing.assert_array_equal(first.treated[fit], second.treated[fit])


def test_a_seed_gives_the_same_numbers_again_and_another_one_others(trial, array):
    sparse = replace(trial, stride=5)
    first, again, other = (run_trial(sparse, array, seed).probability[PLAIN] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_fewer_labels_are_fewer_frames(trial, array):
    few, all_of_them = run_trial(trial, array, 0, 30.0), run_trial(trial, array, 0, 100.0)
    assert 0 < few.num_train_frames < all_of_them.num_train_frames


def with_labels(store, path, change):
    """The same recordings with labels changed by `change(index, frames)`."""

    def changed(index, recording):
        labels = recording.labels["behavior"]
        return replace(recording, labels={"behavior": replace(labels, frames=change(index, labels.frames.copy()))})

    return write_store(path, [changed(i, recording) for i, recording in enumerate(store)])


@pytest.mark.parametrize("mode", ["linear", "knn"])
def test_a_class_never_seen_in_training_is_undefined(trial, array, tmp_path, mode):
    scored = {row.id for row in trial.split.evaluate}
    other = with_labels(
        trial.store, tmp_path / "s",
        lambda i, frames: frames if trial.store.rows[i].id in scored else np.where(frames == 1, 2, frames),
    )  # fmt: skip
    outcome = run_trial(replace(trial, store=other, mode=mode), array, seed=0)
    assert np.isnan(outcome.probability[PLAIN][:, 1]).all()
    assert np.isfinite(outcome.probability[BALANCED][:, [0, 2]]).all()
    assert not decide(outcome.probability[PLAIN], "multinomial")[:, 1].any()


def test_one_class_only_is_refused_at_100_percent_and_undefined_below(trial, array, tmp_path):
    one = with_labels(trial.store, tmp_path / "s", lambda i, frames: np.where(frames >= 0, 2, frames))
    with pytest.raises(InputError, match="show only 'other'"):
        run_trial(replace(trial, store=one), array, seed=0)
    outcome = run_trial(replace(trial, store=one), array, 0, 20.0)
    assert np.isnan(outcome.probability[PLAIN]).all()


def test_a_single_training_recording_is_enough_to_choose_a_penalty(array, tmp_path):
    recordings = [make_recording(f"r{i}", n) for i, n in enumerate(FRAMES)]
    recordings = [
        replace(r, labels={}) if i > 1 else replace(r, subset=("train", "test")[i]) for i, r in enumerate(recordings)
    ]
    made = write_store(tmp_path / "s", recordings)
    task = make_task(made, "behavior")
    trial = Trial(made, task, make_split(made), macro_of(task), smooth=True)
    outcome = run_trial(trial, array, seed=0)
    assert outcome.windows == {} and outcome.treated == {}, "smoothing needs another recording"
    labels = scored_labels(trial)
    for fit in FITS:
        assert np.isfinite(outcome.probability[fit]).all()
        np.testing.assert_allclose(outcome.probability[fit].sum(axis=1), 1, atol=1e-5)
        assert (
            np.mean(outcome.probability[fit][labels == 0, 0]) > np.mean(outcome.probability[fit][labels == 2, 0]) + 0.2
        )


def test_settings_are_chosen_by_the_steering_mean_or_class_by_class(trial):
    tried = {0.1: [0.9, 0.2, 0.9], 1.0: [0.6, 0.8, 0.1], 10.0: [0.6, None, None]}
    assert choose_settings(tried, 5.0, trial.problem.together) == (1.0, 1.0, 1.0)
    assert replace(trial, task=replace(trial.task, kind="binary")).problem.together is None
    assert choose_settings(tried, 5.0) == (0.1, 1.0, 0.1)
    near = {0.1: [None, 0.5, 0.5], 0.01: [None, 0.4991, 0.49]}
    assert choose_settings(near, 5.0) == (5.0, 0.01, 0.1)
    assert choose_settings(near, 5.0, losses={0.1: [1.0, 1.0, 9.0], 0.01: [1.0, 2.0, 1.0]}) == (5.0, 0.1, 0.1)


def test_noisy_probabilities_are_smoothed_over_bouts_and_better_for_it(trial, array):
    noise = np.random.default_rng(1).normal(0, 4, array.shape)
    outcome = run_trial(trial, (array + noise).astype(np.float32), seed=0)
    assert min(outcome.windows[PLAIN]) > 0 and len(set(outcome.windows[BALANCED])) == 1
    assert len(set(outcome.windows[DECISION])) == 1
    labels = scored_labels(trial)
    hits = [
        np.mean(decide(p, "multinomial").argmax(1) == labels)
        for p in (outcome.probability[PLAIN], outcome.treated[DECISION])
    ]
    assert hits[1] > hits[0] + 0.05
    ap = [average_precision_score(labels == 0, p[PLAIN][:, 0]) for p in (outcome.probability, outcome.treated)]
    assert ap[1] > ap[0] + 0.1


def test_frames_nobody_annotated_do_not_teach(trial, array, tmp_path):
    labels = trial.store.labels("behavior")
    spoiled = array.copy()
    spoiled[labels == -1] = 1e3
    scored = trial.split.evaluate
    for_scoring = np.concatenate([np.arange(row.offset, row.offset + row.frames) for row in scored])
    spoiled[for_scoring] = array[for_scoring]
    sharp = replace(trial, smooth=False)
    np.testing.assert_array_equal(
        run_trial(sharp, array, 0).probability[PLAIN], run_trial(sharp, spoiled, 0).probability[PLAIN]
    )
