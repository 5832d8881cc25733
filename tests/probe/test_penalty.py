"""The chosen penalty against brute force with scikit-learn, and the shrinkage of heads from few labels."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, log_loss

from probe.experiment import BALANCED, FITS, PLAIN, Experiment
from probe.folds import inner_folds
from probe.frozen_probes import run_experiment
from probe.labeled_frames import sample_frames
from probe.penalty import SHRINKAGES, UNSURE, ChosenPenalty, choose_penalty, fit_probe_head
from probe.tasks import make_task, parse_macro
from ssl_behavior.logistic import PENALTIES
from ssl_behavior.splits import Split, make_split
from ssl_behavior.store import write_store
from tests.probe.conftest import make_recording


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def experiment(store):
    task = make_task(store, "behavior")
    return Experiment(store, task, make_split(store, seed=0), parse_macro(task), stride=2)


def learning_from(experiment, *ids):
    """The trial with these training recordings alone."""
    rows = tuple(experiment.store.row(name) for name in ids)
    return replace(experiment, split=Split(rows, (), experiment.split.evaluate, "test", True, "by hand"))


def brute_force(data, fit):
    """(penalty, factor) by scikit-learn: every recording left out in turn, every penalty, every factor."""
    values, label, recording = data.embedded.numpy().astype(float), data.target.numpy().argmax(1), data.frames.recording
    scores, losses, kept = {}, {}, {}
    for penalty in PENALTIES:
        said, prior = np.empty((len(label), 3)), np.empty((len(label), 3))
        for one in np.unique(recording):
            inside = recording != one
            mean, std = values[inside].mean(0), values[inside].std(0)
            model = LogisticRegression(
                C=1 / (penalty * inside.sum()),
                class_weight="balanced" if fit == BALANCED else None,
                tol=1e-9,
                max_iter=9999,
            ).fit((values[inside] - mean) / std, label[inside])
            said[~inside] = model.predict_proba((values[~inside] - mean) / std)
            share = np.bincount(label[inside]) / inside.sum()
            prior[~inside] = share if fit == PLAIN else 1 / 3
        weight = (len(label) / (3 * np.bincount(label)))[label] if fit == BALANCED else None
        kept[penalty] = {}
        for factor in SHRINKAGES:
            shrunk = said**factor * prior ** (1 - factor)
            kept[penalty][factor] = log_loss(label, shrunk / shrunk.sum(1, keepdims=True), sample_weight=weight)
        losses[penalty] = kept[penalty][1.0]
        if fit == PLAIN:
            scores[penalty] = np.mean([average_precision_score(label == c, said[:, c]) for c in (0, 1)])
        else:
            scores[penalty] = np.mean(f1_score(label, said.argmax(1), average=None)[:2])
    near = [penalty for penalty in PENALTIES if scores[penalty] >= max(scores.values()) - UNSURE / 4]
    best = min(near, key=losses.get)
    return best, min(kept[best], key=kept[best].get)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("seed", [0, 1])
def test_chosen_penalty_equals_brute_force_search(experiment, array, fit, seed):
    noise = np.random.default_rng(seed).normal(0, 3, array.shape)
    some = learning_from(experiment, "r1", "r2", "r4", "r6")
    data = sample_frames(some, (array + noise).astype(np.float32), some.split.train, 0)
    chosen = choose_penalty(experiment.problem, fit, inner_folds(data, 0, len(data)))
    penalty, factor = brute_force(data, fit)
    assert set(chosen.penalty) == {penalty}
    assert len(set(chosen.shrinkage)) == 1 and chosen.shrinkage[0] == pytest.approx(factor, abs=0.051)
    assert chosen.num_frames == pytest.approx(3 / 4 * len(data))


def test_penalty_per_frame_falls_with_the_number_of_frames():
    chosen = ChosenPenalty((0.1, 0.3), (1.0, 1.0), 500.0)
    assert chosen.rescaled(500) == (0.1, 0.3) and chosen.rescaled(1000) == pytest.approx((0.05, 0.15))
    assert ChosenPenalty((0.1,), (1.0,)).rescaled(1000) == (0.1,)


@pytest.mark.parametrize("kind", ["multinomial", "binary"])
@pytest.mark.parametrize("num_recordings", [1, 2, 4])
def test_uninformative_embedding_predicts_class_shares(experiment, kind, num_recordings):
    """Few labels and many columns: a head with a weak penalty would be sure of what it cannot know."""
    task = make_task(experiment.store, "behavior", kind=kind)
    experiment = replace(experiment, task=task, selection=parse_macro(task))
    noise = np.random.default_rng(3).normal(size=(experiment.store.num_frames, 80)).astype(np.float32)
    some = learning_from(experiment, *["r1", "r2", "r4", "r6"][:num_recordings])
    probability = run_experiment(some, noise, 0).probability[PLAIN]
    labels = np.concatenate([experiment.store.labels("behavior")[row.slice] for row in some.split.evaluate])
    shown = np.concatenate([experiment.store.labels("behavior")[row.slice] for row in some.split.train])
    share = np.bincount(shown[shown >= 0], minlength=3) / (shown >= 0).sum()
    for column in range(probability.shape[1]):
        known = labels >= 0
        loss = log_loss(labels[known] == column, probability[known, column].astype(float))
        assert loss < log_loss(labels[known] == column, np.full(known.sum(), share[column])) + 0.03


@pytest.mark.parametrize("kind", ["multinomial", "binary"])
def test_class_absent_from_a_fold_is_scored_on_other_folds(experiment, array, relabeled, kind):
    only = "r1"
    store = relabeled(
        experiment.store, lambda row, frames: frames if row.id == only else np.where(frames == 1, 2, frames)
    )
    task = make_task(store, "behavior", kind=kind)
    experiment = replace(experiment, store=store, task=task, selection=parse_macro(task))
    some = learning_from(experiment, "r1", "r2", "r4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictions = run_experiment(some, array, 0)
    for fit in FITS:
        assert np.isfinite(predictions.probability[fit]).all()
        assert all(0 < penalty < np.inf for penalty in predictions.settings[fit])


def test_many_recordings_have_no_shrinkage(tmp_path):
    made = [replace(make_recording(f"r{i}", 97 + i), subset="train" if i else "test") for i in range(22)]
    store = write_store(tmp_path / "many", made)
    task = make_task(store, "behavior")
    noise = np.random.default_rng(0).normal(size=(store.num_frames, 30)).astype(np.float32)
    predictions = run_experiment(Experiment(store, task, make_split(store), parse_macro(task), stride=2), noise, 0)
    assert all(set(factors) == {1.0} for factors in predictions.facts["shrinkage"].values())


def test_penalty_choice_is_deterministic(experiment, array):
    some = learning_from(experiment, "r2")
    first, again = (run_experiment(some, array, 0) for _ in range(2))
    assert first.settings == again.settings and first.facts == again.facts
    for fit in FITS:
        np.testing.assert_array_equal(first.probability[fit], again.probability[fit])


@pytest.mark.parametrize("fit", FITS)
def test_without_folds_penalty_is_default_without_shrinkage(experiment, array, fit):
    data = sample_frames(experiment, array, experiment.split.train, 0)
    chosen = choose_penalty(experiment.problem, fit, [])
    head = fit_probe_head(fit, data, chosen)
    assert set(head.penalty) == {0.01} and set(head.shrinkage) == {1.0}


def test_label_fractions_choose_settings_within_the_fraction(experiment, array):
    """The labels of recordings that a fraction leaves out change nothing."""
    few = run_experiment(experiment, array, 0, 20.0)
    assert few.num_train_frames < 300
    spoiled = array.copy()
    labels = experiment.store.labels("behavior")
    for row in experiment.split.tune:
        spoiled[row.slice] = np.random.default_rng(0).normal(size=(row.frames, 5))
    again = run_experiment(experiment, spoiled, 0, 20.0)
    assert labels is not None and few.settings == again.settings
