"""Every system on a simulated release of a fiftieth of the size: nothing is left out, and nothing is done twice.

As people run it, in a process of its own: in single precision, on all cores, and without the checks of shapes that
tests have, which take a third of the time.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from probe.calms21.paper_tables import PUBLISHED, TABLES
from probe.calms21.system_registry import SYSTEMS
from ssl_behavior.simulate import simulate_calms21

pytestmark = pytest.mark.slow


def run_benchmark(arguments):
    """What it prints."""
    command = [sys.executable, "-m", "ssl_behavior", "benchmark", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    simulate_calms21(folder / "mice", 0.02)
    arguments = ["calms21", str(folder / "mice"), "--out", str(folder / "out"), "--effort", "minutes"]
    run_benchmark(arguments)
    return folder / "out", arguments


def results_of(out):
    return json.loads((out / "results.json").read_text())


def test_every_system_fills_its_tables(benchmark):
    out, _ = benchmark
    results = results_of(out)
    assert not [note for note in results["notes"] if "left out," in note]
    assert [table["title"] for table in results["tables"]] == [table.title for table in TABLES.values()]
    shown = {row["system"] for table in results["tables"] for row in table["rows"]}
    assert shown == set(SYSTEMS)
    for number, table in zip(TABLES, results["tables"], strict=True):
        published = {row["system"] for row in table["rows"] if row["published"] is not None}
        assert published == {system for where, system in PUBLISHED if where == number}


def test_defined_scores_lie_between_0_and_1(benchmark):
    out, _ = benchmark
    for table in results_of(out)["tables"]:
        for row in table["rows"]:
            headline = row["macros"][0]
            for score in ("ap", "f1", "f1_balanced"):
                value = headline[score]["mean"]
                assert value is None or (0 <= value <= 1 and np.isfinite(value)), (table["title"], row["system"], score)


def test_second_run_uses_cached_predictions_only(benchmark):
    out, arguments = benchmark
    kept = [path for path in (out / "predictions").rglob("*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in kept}
    written = results_of(out)["tables"]
    told = run_benchmark(arguments)
    assert {path: path.stat().st_mtime_ns for path in (out / "predictions").rglob("*") if path.is_file()} == before
    assert results_of(out)["tables"] == written
    done = [line for line in told.splitlines() if ", seed " in line and "pretraining" not in line]
    assert len(done) > len(SYSTEMS) and all("found" in line for line in done)
