"""Saved and cached predictions."""

import json
from dataclasses import replace

import numpy as np
import pytest

from probe.calms21.prediction_cache import cached_predictions, identity_of, load_predictions, save_predictions
from probe.calms21.systems import FrozenProbe, PostprocessingConfig, run_system
from probe.representations import Representation
from probe.tasks import parse_macro
from ssl_behavior.errors import InputError

AFTER = PostprocessingConfig(folds=2, smooth=True, thresholds=True)


@pytest.fixture
def system(array):
    return FrozenProbe(Representation("five", (array,)), stride=5)


@pytest.fixture
def predictions(system, problem, split):
    return run_system(system, problem, split, 0, AFTER)


def same(first, second, **tolerance):
    for group in ("probability", "postprocessed"):
        assert list(getattr(first, group)) == list(getattr(second, group))
        for key, values in getattr(first, group).items():
            np.testing.assert_allclose(getattr(second, group)[key], values, **(tolerance or {"rtol": 0}))
    assert (first.windows, first.weights, first.num_train_frames) == (
        second.windows, second.weights, second.num_train_frames,
    )  # fmt: skip
    assert json.loads(json.dumps(dict(first.facts))) == second.facts


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 0), ("float16", 5e-4)])
def test_saved_predictions_round_trip(tmp_path, system, problem, split, predictions, dtype, tolerance):
    identity = identity_of(system, problem, split, 0, AFTER)
    save_predictions(tmp_path / "p", predictions, identity, split.evaluate, dtype)
    same(predictions, load_predictions(tmp_path / "p", identity), atol=tolerance, rtol=0)
    contents = json.loads((tmp_path / "p" / "predictions.json").read_text())
    assert [one["id"] for one in contents["recordings"]] == [row.id for row in split.evaluate]
    plain = np.load(tmp_path / "p" / "probability-plain.npy")
    assert plain.dtype == dtype and plain.shape == predictions.probability["plain"].shape


def test_cached_predictions_are_reused(tmp_path, system, problem, split, monkeypatch):
    made = []
    _fit = FrozenProbe._fit
    monkeypatch.setattr(FrozenProbe, "_fit", lambda self, *a: made.append(1) or _fit(self, *a))
    found = []
    first = cached_predictions(tmp_path, system, problem, split, 0, AFTER, on_lookup=found.append)
    assert len(made) == 2
    same(first, cached_predictions(tmp_path, system, problem, split, 0, AFTER, on_lookup=found.append))
    assert len(made) == 2
    cached_predictions(tmp_path, system, problem, split, 1, AFTER, on_lookup=found.append)
    assert found == [False, True, False]
    cached_predictions(tmp_path, system, problem, split, 0)
    cached_predictions(tmp_path, FrozenProbe(system.representation, stride=7), problem, split, 0)
    assert len(made) == 2 + 2 + 1 + 1 and len(list(tmp_path.glob("*/predictions.json"))) == 4


def test_identity_depends_on_training_labels_only(system, problem, split, relabeled):
    def roll(name, ids):
        store = relabeled(problem.store, lambda row, frames: np.roll(frames, 31) if row.id in ids else frames, name)
        return replace(problem, store=store)

    def digest(of):
        return identity_of(system, of, split, 0, AFTER).digest

    scored, learned = [row.id for row in split.evaluate], [split.train[0].id]
    assert digest(roll("scored", scored)) == digest(problem) != digest(roll("learned", learned))
    assert digest(replace(problem, selection=parse_macro(problem.task, "attack"))) != digest(problem)


def test_interrupted_write_leaves_no_folder(tmp_path, system, problem, split, predictions, monkeypatch):
    identity = identity_of(system, problem, split, 0, AFTER)

    def fails(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("probe.calms21.prediction_cache.write_json", fails)
    with pytest.raises(KeyboardInterrupt):
        save_predictions(tmp_path / "p", predictions, identity, split.evaluate)
    assert not list(tmp_path.glob("*p*"))


def test_other_or_damaged_predictions_are_errors(tmp_path, system, problem, split, predictions):
    identity = identity_of(system, problem, split, 0, AFTER)
    save_predictions(tmp_path / "p", predictions, identity, split.evaluate)
    with pytest.raises(InputError, match="different seed"):
        load_predictions(tmp_path / "p", replace(identity, seed=1))
    with pytest.raises(InputError, match="exists already"):
        save_predictions(tmp_path / "p", predictions, identity, split.evaluate)
    with pytest.raises(InputError, match="float16"):
        save_predictions(tmp_path / "q", predictions, identity, split.evaluate, "int8")
    np.save(tmp_path / "p" / "probability-plain.npy", np.zeros((3, 2)))
    with pytest.raises(InputError, match=r"probability-plain.npy"):
        load_predictions(tmp_path / "p")
    (tmp_path / "p" / "probability-plain.npy").unlink()
    with pytest.raises(InputError, match="is damaged"):
        load_predictions(tmp_path / "p", identity)
    with pytest.raises(InputError, match="is not predictions"):
        load_predictions(tmp_path)
