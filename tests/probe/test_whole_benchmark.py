"""Every system on a simulated release of a fiftieth of the size: nothing is left out, and nothing is done twice."""

import json

import numpy as np
import pytest
import torch

from probe.benchmark.plan import SYSTEMS
from probe.benchmark.published import PUBLISHED, TABLES
from ssl_behavior.cli import main
from ssl_behavior.simulate import simulate_calms21

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _single_precision():
    """As people run it."""
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    torch.set_default_dtype(torch.float32)
    folder = tmp_path_factory.mktemp("whole")
    simulate_calms21(folder / "mice", 0.02)
    arguments = ["benchmark", "calms21", str(folder / "mice"), "--out", str(folder / "out"), "--effort", "minutes"]
    assert main(arguments) == 0
    return folder / "out", arguments


def results_of(out):
    return json.loads((out / "results.json").read_text())


def test_every_system_has_its_row_in_every_table_that_it_is_for(benchmark):
    out, _ = benchmark
    results = results_of(out)
    assert not [note for note in results["notes"] if "left out," in note]
    assert [table["title"] for table in results["tables"]] == [table.title for table in TABLES.values()]
    shown = {row["system"] for table in results["tables"] for row in table["rows"]}
    assert shown == set(SYSTEMS)
    for number, table in zip(TABLES, results["tables"], strict=True):
        published = {row["system"] for row in table["rows"] if row["published"] is not None}
        assert published == {system for where, system in PUBLISHED if where == number}


def test_scores_are_shares_where_there_are_any(benchmark):
    out, _ = benchmark
    for table in results_of(out)["tables"]:
        for row in table["rows"]:
            headline = row["macros"][0]
            for score in ("ap", "f1", "f1_balanced"):
                value = headline[score]["mean"]
                assert value is None or (0 <= value <= 1 and np.isfinite(value)), (table["title"], row["system"], score)


def test_a_second_run_finds_everything(benchmark, capsys):
    out, arguments = benchmark
    before = {path: path.stat().st_mtime_ns for path in (out / "predictions").rglob("*") if path.is_file()}
    written = results_of(out)["tables"]
    capsys.readouterr()
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (out / "predictions").rglob("*") if path.is_file()} == before
    assert results_of(out)["tables"] == written
    assert all("found" in line for line in told.splitlines() if ", seed " in line and "s]" in line)
