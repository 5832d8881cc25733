"""Window classifiers as systems: what they are trained on, what they start from, and which shares they believe in."""

from dataclasses import replace

import numpy as np
import pytest

from probe.calms21.baselines import BaselineConfig, Conv1dConfig, Transfer, WindowSpan, assemble_inputs, fit_baseline
from probe.calms21.baselines.configs import Phase
from probe.calms21.systems import ParentNetwork, PostprocessingConfig, WindowClassifier, run_system
from probe.calms21.systems.window_classifiers import _weighted_shares
from probe.experiment import BALANCED, FITS, PLAIN
from probe.representations import Representation
from ssl_behavior.errors import InputError
from ssl_behavior.splits import make_split
from ssl_behavior.store import write_store
from tests.probe.conftest import make_recording

SMALL = BaselineConfig(
    network=Conv1dConfig(channels=(7, 5), kernel_size=3),
    window=WindowSpan(past=5, future=7, gap=2),
    phases=(Phase(epochs=1, lr=1e-3),),
    batch_size=61,
    train_stride=3,
)


@pytest.fixture
def store(tmp_path):
    return write_store(
        tmp_path / "small", [make_recording(f"r{i}", n) for i, n in enumerate((131, 109, 127, 113, 103))]
    )


def system(config=SMALL, **options):
    return WindowClassifier("small conv", "a test", config, **options)


@pytest.mark.parametrize("with_features", [False, True])
def test_window_classifier_equals_the_baseline(problem, split, array, with_features):
    features = Representation("five", (array,)) if with_features else None
    train, evaluate = split.train, split.evaluate
    fitted = system(features=features).fit(problem, train, seed=3)
    inputs = assemble_inputs(
        problem.store, [*train, *evaluate], train, SMALL.window, features.arrays[0] if features else None
    )
    trained = fit_baseline(problem.store, problem.task, train, SMALL, inputs, 3)
    made = fitted.predict(evaluate)
    np.testing.assert_allclose(made[PLAIN], trained.predict(inputs, evaluate), atol=1e-5)
    np.testing.assert_allclose(made[BALANCED], trained.balanced(made[PLAIN]), atol=1e-5)
    assert fitted.facts["num_parameters"] == sum(p.numel() for p in trained.network.parameters())
    assert fitted.facts["samples_seen"] == trained.samples_seen


@pytest.mark.parametrize("kind", ["multinomial", "binary"])
def test_labels_of_other_recordings_do_not_matter(problem, split, relabeled, kind):
    task = replace(problem.task, kind=kind)
    kept = {row.id for row in split.train}
    other = relabeled(problem.store, lambda row, frames: frames if row.id in kept else np.roll(frames, 29))
    first, second = (
        run_system(system(), replace(problem, store=one, task=task), split, 0) for one in (problem.store, other)
    )
    for fit in FITS:
        np.testing.assert_array_equal(first.probability[fit], second.probability[fit])
        assert np.isfinite(first.probability[fit]).all()


def parent_of(problem, rows, folder=None):
    return ParentNetwork(system(folder=folder), problem, tuple(rows))


CHILD = replace(SMALL, phases=(Phase(epochs=1, lr=1e-9),), transfer=Transfer(head="kept"))


def test_parent_network_is_trained_once_per_seed(problem, store, tmp_path, monkeypatch):
    parent_rows, rows, evaluate = store.rows[:2], store.rows[2:4], store.rows[4:]
    trained = []
    train = WindowClassifier._train
    monkeypatch.setattr(WindowClassifier, "_train", lambda self, *a: trained.append(self.parent) or train(self, *a))
    child = system(CHILD, parent=parent_of(problem, parent_rows, tmp_path / "parents"))
    first = child.fit(problem, rows, 0).predict(evaluate)
    again = child.fit(problem, rows, 0).predict(evaluate)
    alone = system().fit(problem, parent_rows, 0).predict(evaluate)
    np.testing.assert_array_equal(first[PLAIN], again[PLAIN])
    # Hardly trained further, it says what its parent says, but for the moving statistics of its normalization.
    assert np.corrcoef(first[PLAIN].ravel(), alone[PLAIN].ravel())[0, 1] > 0.9
    assert [parent is None for parent in trained] == [False, True, False, True]
    found = system(CHILD, parent=parent_of(problem, parent_rows, tmp_path / "parents"))
    np.testing.assert_array_equal(found.fit(problem, rows, 0).predict(evaluate)[PLAIN], first[PLAIN])
    assert len(list((tmp_path / "parents").iterdir())) == 1 and len(trained) == 5
    other = system(CHILD, parent=parent_of(problem, store.rows[:1], tmp_path / "parents"))
    assert other.settings != child.settings
    other.fit(problem, rows, 0)
    assert len(list((tmp_path / "parents").iterdir())) == 2


def test_training_recordings_of_the_parent_cannot_be_scored(problem, split):
    child = system(CHILD, parent=parent_of(problem, split.evaluate))
    with pytest.raises(InputError, match="scored recording"):
        run_system(child, problem, split, 0)


def test_class_weights_are_not_counted_twice(problem, split):
    weighed = replace(SMALL, class_weights="balanced")
    for kind in ("multinomial", "binary"):
        own = replace(problem, task=replace(problem.task, kind=kind))
        made = system(weighed).fit(own, split.train, 0).predict(split.evaluate)
        np.testing.assert_allclose(made[BALANCED], made[PLAIN], atol=1e-5)


def test_shares_use_class_weights(problem, store):
    task = replace(problem.task, kind="binary", classes=("mount",), background="")
    own = replace(problem, task=task)
    config = replace(SMALL, class_weights={"mount": 5.0})
    model = system(config)._fit(own, store.rows, 0, lambda count: None)
    target = own.targets(store.rows)
    yes, no = (target == 1).sum(), (target == 0).sum()
    assert model.share == pytest.approx([5 * yes / (5 * yes + no)])
    assert _weighted_shares(model.trained, None) == pytest.approx([yes / (yes + no)])


def test_window_classifier_supports_folds_and_postprocessing(problem, store):
    split = make_split(store)
    after = PostprocessingConfig(folds=2, smooth=True, thresholds=True)
    predictions = run_system(system(), problem, split, 0, after)
    assert len(predictions.facts["models"]) == 2 and len(predictions.weights) == 3


def test_settings_depend_on_network_training_and_features(array):
    made = [
        system(), system(replace(SMALL, batch_size=67)), system(replace(SMALL, network=Conv1dConfig(channels=(7, 3)))),
        system(features=Representation("five", (array,))),
    ]  # fmt: skip
    assert len({str(one.settings) for one in made}) == len(made)
