"""The contract of every system, and what each of them is made of."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from probe.calms21.systems import BoostedTrees, BoostingConfig, FrozenProbe
from probe.calms21.systems.frozen import matrix_digest
from probe.experiment import BALANCED, FITS, PLAIN, Experiment, decide
from probe.folds import stratified_folds
from probe.frozen_probes import run_experiment
from probe.representations import Representation
from ssl_behavior.errors import InputError
from ssl_behavior.seeds import derive_seed

SMALL = BoostingConfig(iterations=7, leaves=5, stride=1)
SYSTEMS = {
    "linear": lambda representation: FrozenProbe(representation, "linear", stride=3),
    "knn": lambda representation: FrozenProbe(representation, "knn", stride=3),
    "trees": lambda representation: BoostedTrees(representation, SMALL),
    "trees, Bayes": lambda representation: BoostedTrees(representation, replace(SMALL, separate_balanced=False)),
}


@pytest.fixture(params=SYSTEMS)
def system(request, representation):
    return SYSTEMS[request.param](representation)


@pytest.fixture(params=["multinomial", "binary"])
def either(request, problem):
    return replace(problem, task=replace(problem.task, kind=request.param))


def test_predictions_cover_all_frames_and_beat_chance(system, either, split):
    told = []
    fitted = system.fit(either, split.train, 0, told.append)
    made = fitted.predict(split.evaluate)
    target = either.targets(split.evaluate)
    assert set(made) == set(FITS) and sum(told) > 0
    for probability in made.values():
        assert probability.shape == target.shape and ((probability >= 0) & (probability <= 1)).all()
        claimed = decide(probability, either.task.kind)
        assert claimed[target[:, 0] == 1, 0].mean() > 0.6 > 0.3 > claimed[target[:, 2] == 1, 0].mean()
    if either.task.kind == "multinomial":
        np.testing.assert_allclose(made[PLAIN].sum(axis=1), 1, atol=1e-5)
    assert fitted.facts["num_train_frames"] == (either.targets(split.train)[:, 0] >= 0).sum()
    assert fitted.facts["predicted_frames_per_second"] > 0 and fitted.facts["seconds"] >= 0


def test_systems_train_on_given_recordings_only_and_are_deterministic(system, problem, split, relabeled):
    train = split.train[:3]
    kept = {row.id for row in train}
    other = relabeled(problem.store, lambda row, frames: frames if row.id in kept else np.roll(frames, 53))
    first, again, spoiled = (
        system.fit(replace(problem, store=store), train, seed=1).predict(split.evaluate)
        for store in (problem.store, problem.store, other)
    )
    for fit in FITS:
        np.testing.assert_array_equal(first[fit], again[fit])
        np.testing.assert_array_equal(first[fit], spoiled[fit])


def test_class_without_training_frames_is_nan(system, either, split, relabeled):
    store = relabeled(either.store, lambda row, frames: np.where(frames == 1, 2, frames))
    made = system.fit(replace(either, store=store), split.train, 0).predict(split.evaluate[:1])
    for probability in made.values():
        assert np.isnan(probability[:, 1]).all() and np.isfinite(probability[:, [0, 2]]).all()


def test_predictions_do_not_depend_on_grouping_of_recordings(system, problem, split):
    fitted = system.fit(problem, split.train, 0)
    together = fitted.predict(problem.store.rows[:3])
    alone = [fitted.predict([row]) for row in problem.store.rows[:3]]
    for fit in FITS:
        np.testing.assert_allclose(together[fit], np.concatenate([one[fit] for one in alone]), atol=1e-5)


def test_settings_differ_between_systems(representation):
    settings = [str(make(representation).settings) for make in SYSTEMS.values()]
    assert len(set(settings)) == len(settings)
    other = Representation(representation.name, (representation.arrays[0] + 1,))
    assert matrix_digest(other.arrays) != matrix_digest(representation.arrays)
    assert FrozenProbe(other).settings != FrozenProbe(representation).settings


def test_frozen_probe_system_equals_the_probe_command(problem, split, representation):
    """With the recordings that settings are chosen by the same, so is every probability."""
    tune = stratified_folds(problem, split.train, 5, 0)[-1]
    same = replace(split, fit=tuple(row for row in split.train if row not in tune), tune=tune)
    experiment = Experiment(problem.store, problem.task, same, problem.selection, "linear", 3)
    expected = run_experiment(experiment, representation.array(0), 0)
    found = FrozenProbe(representation, "linear", 3).fit(problem, split.train, 0)
    for fit, probability in found.predict(split.evaluate).items():
        np.testing.assert_array_equal(probability, expected.probability[fit])
    assert found.facts["chosen"] == {fit: list(values) for fit, values in expected.settings.items()}
    assert found.facts["num_parameters"] == 5 * 3 + 3


def test_probe_seed_selects_the_pretraining_seed(problem, split, array):
    several = Representation("two runs", (array, np.zeros_like(array) + np.arange(5, dtype=np.float32)))
    good, bad, again = (
        FrozenProbe(several, stride=2).fit(problem, split.train, seed).predict(split.evaluate)[PLAIN]
        for seed in (0, 1, 2)
    )
    assert good.std() > 0.1 > bad.std(axis=0).max() and again.std() > 0.1


def test_trees_equal_scikit_learn(problem, split, array):
    made = BoostedTrees(Representation("five", (array,)), SMALL).fit(problem, split.train, 3).predict(split.evaluate)
    labels = np.concatenate([problem.store.labels("behavior")[row.slice] for row in split.train])
    values = np.concatenate([array[row.slice] for row in split.train])
    scored = np.concatenate([array[row.slice] for row in split.evaluate])
    for fit, weights in ((PLAIN, None), (BALANCED, "balanced")):
        trees = HistGradientBoostingClassifier(
            max_iter=7, max_leaf_nodes=5, min_samples_leaf=50, l2_regularization=1.0, max_bins=127,
            early_stopping=False, class_weight=weights, random_state=derive_seed(3, "trees") % 2**32,
        ).fit(values[labels >= 0], labels[labels >= 0])  # fmt: skip
        np.testing.assert_allclose(made[fit], trees.predict_proba(scored), atol=1e-6)


def test_trees_use_a_random_subset_of_columns(problem, split, array):
    several = Representation("five", (array,))
    three = replace(SMALL, most_columns=3)
    few = BoostedTrees(several, three).fit(problem, split.train, 0)
    drawn = few.model.columns
    assert len(drawn) == 3 and (np.diff(drawn) > 0).all()
    spoiled = array.copy()
    spoiled[:, np.setdiff1d(np.arange(array.shape[1]), drawn)] = 99.0
    alike = BoostedTrees(Representation("five", (spoiled,)), three).fit(problem, split.train, 0)
    every = BoostedTrees(several, SMALL).fit(problem, split.train, 0).predict(split.evaluate)
    for fit, expected in few.predict(split.evaluate).items():
        np.testing.assert_array_equal(alike.predict(split.evaluate)[fit], expected)
        assert not np.array_equal(every[fit], expected)
    enough = BoostedTrees(several, replace(SMALL, most_columns=5)).fit(problem, split.train, 0)
    np.testing.assert_array_equal(enough.predict(split.evaluate)[PLAIN], every[PLAIN])


@pytest.mark.parametrize(
    "change", [{"iterations": 0}, {"leaves": 1}, {"stride": 0}, {"lr": 0.0}, {"l2": -1.0}, {"bins": 256}]
)
def test_invalid_tree_settings_are_errors(change):
    with pytest.raises(InputError, match=next(iter(change))):
        BoostingConfig(**change)


def test_unknown_mode_or_stride_is_an_error(representation):
    with pytest.raises(InputError, match="`mode=quadratic`"):
        FrozenProbe(representation, "quadratic")
    with pytest.raises(InputError, match="stride"):
        FrozenProbe(representation, stride=0)
