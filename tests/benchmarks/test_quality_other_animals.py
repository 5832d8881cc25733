import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark() -> ModuleType:
    return import_module("quality_other_animals")


def test_folds_test_every_frame_once_and_keep_their_distance(benchmark):
    frame = np.arange(1, 3000, 3)
    folds = benchmark.quarters(frame)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(frame)))
    for train, test in folds:
        distance = np.abs(frame[train][:, None] - frame[test]).min()
        assert 60 < distance < 64


def test_linking_undoes_exchanged_boxes(benchmark, dyad):
    keypoints = dyad(frames=200, missing=0.1).keypoints + np.array([[[0.0]], [[400.0]]], np.float32)
    exchanged = np.random.default_rng(0).random(200) < 0.2
    exchanged[0] = False
    mixed = np.where(exchanged[:, None, None, None], keypoints[:, ::-1], keypoints)
    np.testing.assert_array_equal(benchmark.linked(mixed), keypoints)


def test_interpolation_keeps_the_known_frames_and_is_linear_between(benchmark):
    known = np.random.default_rng(0).normal(size=(13, 2, 7, 2)).astype(np.float32)
    between = benchmark.interpolated(known, 5)
    assert len(between) == 61
    np.testing.assert_allclose(between[::5], known, atol=1e-6)
    np.testing.assert_allclose(between[2], 0.6 * known[0] + 0.4 * known[1], atol=1e-6)


def test_window_means_stop_at_the_ends(benchmark):
    values = np.arange(10.0)[:, None]
    means = benchmark.window_means(values, np.array([0, 5, 9]), before=2, after=1)
    np.testing.assert_allclose(means[:, 0], [0.5, 4.5, 8.0])


def test_a_label_that_training_does_not_show_scores_nothing_and_the_others_are_learned(benchmark):
    torch.set_default_dtype(torch.float32)
    values = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    labels = np.stack([values[:, 0].numpy() > 0.5, np.arange(400) >= 390], axis=1)
    fold = np.arange(300), np.arange(300, 400)
    found = benchmark.predictions(values, torch.from_numpy(labels), fold)
    assert (found[:, :, 1] == 0).all()
    assert benchmark.precisions(labels[300:], found[-1])[0] > 0.95


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("name", ["two_mice_22", "mouse_boxes", "calms21"])
def test_every_row_of_a_data_set_is_finite(real_data, tmp_path, name):
    script = ROOT / "benchmarks" / "quality_other_animals.py"
    options = ["--recipe", "cpc_tiny", "--steps", "2", "--seeds", "1", "--simulated", "2"]
    done = subprocess.run(
        [sys.executable, script, "--data", real_data, "--out", tmp_path, "--only", name, *options],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(done.stdout.splitlines()[-1])[name]["rows"]
    assert len(rows) == 7
    assert [row["representation"] for row in rows[-2:]] == ["untrained encoder", "trained encoder"]
    chance = rows[0]["AP"]["mean"][0]
    assert all(0 < value <= 1 for row in rows for value, _ in row["AP"].values())
    assert max(row["AP"]["mean"][0] for row in rows) > 1.5 * chance
