"""Claim of the demo: a linear head scores better on learned columns than on averages of the inputs.

As people run it, in processes of their own: in single precision and without the checks of shapes that tests have.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from ssl_behavior.commands.demo import demo_acts

pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """Row of the demo's table -> macro average precision for each seed, of mice, encoder and all else."""
    found = {}
    for seed in SEEDS:
        out = tmp_path_factory.mktemp(f"demo-{seed}")
        for _, verb, arguments in demo_acts(out, seed=seed):
            command = [sys.executable, "-m", "ssl_behavior", verb, *arguments]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-4000:]
            if verb == "probe":
                break
        for row in json.loads((out / "task1" / "results.json").read_text())["rows"]:
            found.setdefault(row["representation"], []).append(row["macros"][0]["ap"]["mean"])
    return found


def test_the_trained_encoder_is_ahead_of_untrained_means_and_histograms(scores):
    trained = scores.pop("trained encoder")
    assert len(scores) == 4 and all(len(values) == len(SEEDS) for values in scores.values())
    for name, values in scores.items():
        assert np.mean(trained) > np.mean(values), (name, trained, values)
