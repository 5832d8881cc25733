import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from probe.annotators import run_annotator_trials, style_transfer
from probe.annotators.saved import load_annotators
from probe.job import parse
from probe.session import run_probe
from probe.tasks import macro_of, task_parts
from probe.trial import Trial, split_parts
from ssl_behavior.errors import InputError

from .conftest import CLASSES, FAST, THRESHOLDS, rows_in


@pytest.fixture
def trials(styles):
    store, _, task = styles
    task = replace(task, annotators=tuple(THRESHOLDS))
    splits = split_parts(store, task)
    return {name: Trial(store, part, splits[name], macro_of(part)) for name, part in task_parts(task).items()}


def test_each_part_is_predicted_in_its_annotators_style(styles, trials):
    _, array, task = styles
    outcomes, probe = run_annotator_trials(trials, array, 0, config=replace(FAST, steps=20))
    assert probe.annotators == tuple(THRESHOLDS) and probe.classes == CLASSES == task.classes
    for name, trial in trials.items():
        outcome = outcomes[name]
        for fit, probability in outcome.probability.items():
            expected = probe.probabilities(array, trial.split.evaluate, trial.task.annotators[0], fit)
            np.testing.assert_array_equal(probability, expected)
        assert outcome.num_train_frames == pytest.approx(2 * 500 / trial.stride, abs=5) and not outcome.treated


def test_windows_are_chosen_by_a_head_that_did_not_learn_from_them(styles, trials):
    _, array, _ = styles
    smooth = {name: replace(trial, smooth=True) for name, trial in trials.items()}
    config = replace(FAST, steps=20)
    plain, treated = (run_annotator_trials(some, array, 0, config=config)[0] for some in (trials, smooth))
    for name in trials:
        np.testing.assert_array_equal(plain[name].probability["plain"], treated[name].probability["plain"])
        assert set(treated[name].treated) == {"plain", "balanced", "plain decision"}


def test_one_annotator_is_no_style(styles, trials):
    _, array, _ = styles
    with pytest.raises(InputError, match=r"several annotators of one label stream; .* \['annotator 1'\]"):
        run_annotator_trials(dict(list(trials.items())[:1]), array, 0)


def test_the_verb_scores_saves_and_describes_them(styles, tmp_path):
    store, array, task = styles
    folder = tmp_path / "embeddings"
    folder.mkdir()
    np.save(folder / "embeddings.npy", array)
    rows = [{"id": r.id, "offset": r.offset, "frames": r.frames, "fps": r.fps} for r in store.rows]
    contents = {
        "format": "ssl-behavior embeddings", "version": 1, "dim": array.shape[1], "dtype": str(array.dtype),
        "channel_groups": {"embedding": array.shape[1]}, "checkpoint": "c0ffee", "store": store.fingerprint(),
        "recordings": rows,
    }  # fmt: skip
    (folder / "embeddings.json").write_text(json.dumps(contents))
    out = tmp_path / "out"
    argv = [folder, store.path, "--task", "behavior", "--mode", "annotators", "--seeds", 1, "--references", "none"]
    results = run_probe(parse([str(a) for a in [*argv, "--out", out]]), Console(file=StringIO(), width=200))
    assert results["mode"] == "annotators" and results["task"]["annotators"] == list(THRESHOLDS)
    saved = load_annotators(out)
    score = style_transfer(saved.probe, array, store, task, rows_in(store, "test"))
    assert results["macro_f1"]["mean"] == pytest.approx(np.diag(score).mean())
    text = (out / "annotators.md").read_text()
    assert all(f"{value:.3f}" in text for value in score.ravel()) and "cosine" in text
