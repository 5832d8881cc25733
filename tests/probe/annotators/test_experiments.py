import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from probe.annotators import run_annotator_experiments, style_transfer
from probe.command import parse
from probe.experiment import Experiment, split_parts
from probe.results import ProbeResults
from probe.run import run_probe
from probe.saved_probes import load_annotators
from probe.tasks import parse_macro, task_parts
from ssl_behavior.errors import InputError

from .conftest import CLASSES, FAST, THRESHOLDS, rows_in


@pytest.fixture
def experiments(styles):
    store, _, task = styles
    task = replace(task, annotators=tuple(THRESHOLDS))
    splits = split_parts(store, task)
    return {name: Experiment(store, part, splits[name], parse_macro(part)) for name, part in task_parts(task).items()}


def test_each_part_is_predicted_in_its_annotators_style(styles, experiments):
    _, array, task = styles
    seed_predictions, probe = run_annotator_experiments(experiments, array, 0, config=replace(FAST, steps=20))
    assert probe.annotators == tuple(THRESHOLDS) and probe.classes == CLASSES == task.classes
    for name, experiment in experiments.items():
        predictions = seed_predictions[name]
        for fit, probability in predictions.probability.items():
            expected = probe.probabilities(array, experiment.split.evaluate, experiment.task.annotators[0], fit)
            np.testing.assert_array_equal(probability, expected)
        assert (
            predictions.num_train_frames == pytest.approx(2 * 500 / experiment.stride, abs=5)
            and not predictions.postprocessed
        )


def test_windows_are_chosen_on_held_out_recordings(styles, experiments):
    _, array, _ = styles
    smooth = {name: replace(experiment, smooth=True) for name, experiment in experiments.items()}
    config = replace(FAST, steps=20)
    plain, postprocessed = (
        run_annotator_experiments(some, array, 0, config=config)[0] for some in (experiments, smooth)
    )
    for name in experiments:
        np.testing.assert_array_equal(plain[name].probability["plain"], postprocessed[name].probability["plain"])
        assert set(postprocessed[name].postprocessed) == {"plain", "balanced", "plain decision"}


def test_single_annotator_is_an_error(styles, experiments):
    _, array, _ = styles
    with pytest.raises(InputError, match="several annotators"):
        run_annotator_experiments(dict(list(experiments.items())[:1]), array, 0)


def test_annotators_mode_writes_scores_probe_and_matrices(styles, write_embeddings, tmp_path):
    store, array, task = styles
    folder = write_embeddings(store, tmp_path / "embeddings", array).path
    out = tmp_path / "out"
    argv = [folder, store.path, "--task", "behavior", "--mode", "annotators", "--seeds", 1, "--references", "none"]
    results = run_probe(parse([str(a) for a in [*argv, "--out", out]]), Console(file=StringIO(), width=200))
    assert results["mode"] == "annotators" and results["task"]["annotators"] == list(THRESHOLDS)
    saved = load_annotators(out)
    score = style_transfer(saved.probe, array, store, task, rows_in(store, "test"))
    assert results["macro_f1"]["mean"] == pytest.approx(np.diag(score).mean())
    text = (out / "annotators.md").read_text()
    assert all(f"{value:.3f}" in text for value in score.ravel()) and "cosine" in text
    stored = {
        matrix["name"]: matrix["values"] for matrix in json.loads((out / "results.json").read_text())["annotators"]
    }
    assert list(stored) == ["rows", "styles", "agreement", "transfer"]
    np.testing.assert_allclose(np.array(stored["transfer"], float), score)
    ax = pytest.importorskip("matplotlib.figure").Figure().subplots()
    image = ProbeResults(results, out).plot(ax=ax).images[0].get_array()
    assert image[0, 1] == stored["agreement"][0][1]
    (row,) = results["rows"]
    parts = [part["confusion"] for part in row["parts"].values()]
    assert np.array_equal(row["confusion"], np.sum(parts, axis=0)) and len(parts) == len(THRESHOLDS)
    frames = [part["calibration"]["attack"]["frames"] for part in row["parts"].values()]
    assert np.array_equal(row["calibration"]["attack"]["frames"], np.sum(frames, axis=0))
