"""The benchmark: what is run, what is not run again, and what stands beside what."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from probe.calms21.command import BenchmarkConfig, parse
from probe.calms21.effort_presets import EFFORTS, get_effort
from probe.calms21.paper_tables import PUBLISHED, TABLES
from probe.calms21.representation_cache import RepresentationCache
from probe.calms21.run import _make_context, _opened, run_benchmark
from probe.calms21.system_registry import SYSTEMS, BenchmarkContext, SystemSpec
from probe.calms21.systems.base import FittedSystem, System, with_balanced
from probe.calms21.systems.frozen import matrix_digest
from probe.calms21.task_runs import make_benchmark_task
from ssl_behavior.checkpoint import save_checkpoint
from ssl_behavior.cli import main
from ssl_behavior.duplicates import find_overlaps
from ssl_behavior.embedding import embed_store
from ssl_behavior.embeddings_folder import Embeddings, store_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.methods import CPC
from ssl_behavior.recording import Labels
from ssl_behavior.simulate import simulate_calms21
from ssl_behavior.store import write_store
from ssl_behavior.terminal import make_console
from ssl_behavior.windows import WindowReader
from tests.probe.conftest import TINY_CPC, make_recording

LEARNED = []


class Shares(System):
    """Says of every frame what the training frames showed on average, a little noisily."""

    name, source = "shares", "a test"

    @property
    def settings(self):
        return {"system": "shares"}

    def _fit(self, problem, rows, seed, advance):
        LEARNED.append((problem.task.name, seed))
        share = (problem.targets(rows) == 1).mean(axis=0)
        return _SharesModel(problem, rows, share, seed)


class _SharesModel(FittedSystem):
    def __init__(self, problem, rows, share, seed):
        self.problem, self.rows, self.share, self.seed = problem, rows, share, seed

    def predict(self, rows):
        frames = sum(row.frames for row in rows)
        noise = np.random.default_rng(self.seed).uniform(0, 0.1, (frames, len(self.share)))
        return with_balanced(self.problem, self.rows, (self.share + noise).astype(np.float32))


class _TellingModel(_SharesModel):
    @property
    def facts(self):
        return {"notes": ["drawn by lot"]}


class Telling(Shares):
    """One that has something to say of its predictions."""

    def _fit(self, problem, rows, seed, advance):
        return _TellingModel(problem, rows, (problem.targets(rows) == 1).mean(axis=0), seed)


class Hopeless(Shares):
    name = "hopeless"

    def _fit(self, problem, rows, seed, advance):
        raise InputError("nothing can be learned from this")


@pytest.fixture
def cheap(monkeypatch):
    """Two systems in place of all."""
    LEARNED.clear()
    specs = {
        "conv1d": SystemSpec("conv1d", "shares", "baseline", lambda context, part: Shares()),
        "msg3d": SystemSpec("msg3d", "hopeless", "winner", lambda context, part: Hopeless()),
    }
    monkeypatch.setattr("probe.calms21.run.SYSTEMS", specs)


@pytest.fixture
def labeled(tmp_path):
    def recording(number, subset):
        frames = 101 + 7 * number
        few = Labels(vocabulary=("none", "chase", "bite"), frames=np.arange(frames) // 5 % 3, background="none")
        made = make_recording(f"r{number}", frames, subset=subset)
        return replace(made, labels={**made.labels, "few": few})

    subsets = ["train"] * 4 + ["test"] * 2
    return write_store(tmp_path / "labeled", [recording(n, subset) for n, subset in enumerate(subsets)])


def config_of(store, out, *words):
    return parse(["store", str(store.path), "--out", str(out), "--task", "behavior", *words])


def test_every_system_is_run_once_and_a_second_run_runs_none(cheap, labeled, tmp_path):
    config = config_of(labeled, tmp_path / "out", "--new-task", "few", "--seeds", "2")
    run_benchmark(config, make_console())
    assert [(task, seed) for task in ("behavior", "few") for seed in (0, 1)] == LEARNED
    first = (tmp_path / "out" / "results.json").read_text()
    run_benchmark(config, make_console())
    assert len(LEARNED) == 4 and (tmp_path / "out" / "results.json").read_text() == first
    run_benchmark(replace(config, seeds=3), make_console())
    assert LEARNED[4:] == [("behavior", 2), ("few", 2)], "only the new seed"


def test_lost_predictions_are_computed_again(cheap, labeled, tmp_path):
    config = config_of(labeled, tmp_path / "out", "--seeds", "2")
    run_benchmark(config, make_console())
    lost = sorted((tmp_path / "out" / "predictions").iterdir())[0]
    (lost / "predictions.json").unlink()
    for path in lost.iterdir():
        path.unlink()
    lost.rmdir()
    run_benchmark(config, make_console())
    assert len(LEARNED) == 3


def test_failing_system_is_noted_and_others_run(cheap, labeled, tmp_path, capsys):
    run_benchmark(config_of(labeled, tmp_path / "out", "--seeds", "2"), make_console())
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert any("hopeless: left out, nothing can be learned from this" in note for note in results["notes"])
    (table,) = results["tables"]
    assert [row["representation"] for row in table["rows"]] == ["shares"]
    assert "hopeless: left out" in capsys.readouterr().out


def test_ensemble_row(cheap, labeled, tmp_path):
    run_benchmark(config_of(labeled, tmp_path / "out", "--seeds", "2", "--ensembles"), make_console())
    (table,) = json.loads((tmp_path / "out" / "results.json").read_text())["tables"]
    assert [row["representation"] for row in table["rows"]] == ["shares", "shares, mean of 2 seeds"]
    assert len(LEARNED) == 2, "nothing is learned for it"


def test_requested_means_are_columns(cheap, labeled, tmp_path):
    arguments = ["store", str(labeled.path), "--out", str(tmp_path / "out"), "--task", "few", "--seeds", "1"]
    run_benchmark(parse([*arguments, "--macro", "few=all", "--macro", "few=bite"]), make_console())
    text = (tmp_path / "out" / "results.md").read_text()
    assert "| system | F1 | AP | F1 balanced | bite F1 | bite AP | bite F1 balanced | parameters |" in text


def test_notes_of_systems_are_printed_once(labeled, tmp_path, monkeypatch, capsys):
    spec = SystemSpec("conv1d", "telling", "baseline", lambda context, part: Telling())
    monkeypatch.setattr("probe.calms21.run.SYSTEMS", {"conv1d": spec})
    run_benchmark(config_of(labeled, tmp_path / "out", "--seeds", "2"), make_console())
    notes = json.loads((tmp_path / "out" / "results.json").read_text())["notes"]
    assert notes.count("telling, behavior: drawn by lot") == 1
    assert "telling, behavior: drawn by lot" in capsys.readouterr().out


def test_new_tasks_are_binary_with_requested_macros(labeled):
    benchmark_task = make_benchmark_task(labeled, "few", "task3", ("bite", "all"))
    (part,) = benchmark_task.parts.values()
    task = part.problem.task
    assert task.kind == "binary" and task.classes == ("chase", "bite")
    assert [macro.classes for macro in part.macros] == [("bite",), ("chase", "bite")]
    assert [row.subset for row in part.rows] == ["train"] * 4


def test_copies_across_the_split_are_noted_before_training(cheap, tmp_path, capsys):
    one = make_recording("one", 401, subset="train")
    other = make_recording("two", 311, subset="train")
    store = write_store(tmp_path / "s", [one, other, replace(one, id="again", subset="test")])
    run_benchmark(config_of(store, tmp_path / "out", "--seeds", "1"), make_console())
    told = capsys.readouterr().out
    assert told.index("Warning: 'again'") < told.index("shares: behavior, seed 0")
    assert "Warning: 'again'" in (tmp_path / "out" / "results.md").read_text()


def test_simulated_results_have_a_note_beside_published_scores(cheap, tmp_path, capsys):
    simulate_calms21(tmp_path / "mice", 0.004, unlabeled_frames=600)
    arguments = ["benchmark", "calms21", str(tmp_path / "mice"), "--out", str(tmp_path / "out"), "--seeds", "1"]
    assert main([*arguments, "--tables", "1,2"]) == 0
    text = (tmp_path / "out" / "results.md").read_text()
    assert "The animals are simulated" in text and "0.793 ± 0.011" in text and "0.856 ± 0.010" in text
    assert text.count("\n# ") == 0 and "## Table 1: architectures on Task 1, in full" in text and "### By class" in text
    assert "| system | parameters | macro AP" in text and "representation" not in text
    assert "## Table 1" in text and "## Table 2" in text and "## Table 3" not in text
    assert "The animals are simulated" in capsys.readouterr().out


def test_folder_without_release_is_an_input_error(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["benchmark", "calms21", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 2
    assert "task1_classic_classification" in capsys.readouterr().err


def test_curves_use_the_prediction_cache(cheap, labeled, tmp_path):
    config = config_of(labeled, tmp_path / "out", "--seeds", "2", "--curves", "conv1d,msg3d")
    run_benchmark(config, make_console())
    contents = json.loads((tmp_path / "out" / "curves" / "behavior.json").read_text())
    (curve,) = contents["curves"]
    assert curve["system"] == "shares" and [point["num_recordings"] for point in curve["points"]] == [1, 2, 4]
    assert (tmp_path / "out" / "curves" / "behavior.png").stat().st_size > 10_000
    assert len(LEARNED) == 6, "with all recordings it is what the table has"
    again = config_of(labeled, tmp_path / "out", "--seeds", "2", "--curves", "conv1d", "--curve-recordings", "2,90")
    run_benchmark(again, make_console())
    (curve,) = json.loads((tmp_path / "out" / "curves" / "behavior.json").read_text())["curves"]
    assert [point["num_recordings"] for point in curve["points"]] == [2, 4], "all there are in place of more"
    assert len(LEARNED) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--systems", "conv2d"], "there is no system 'conv2d'; did you mean conv1d"),
        (["--curves", "conv2d"], "--curves: there is no system 'conv2d'; did you mean conv1d"),
        (["--effort", "none"], "--effort none: known are"),
        (["--effort", "minute"], "--effort minute: did you mean minutes?"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--precision", "half"], "unknown precision 'half'"),
        (["--tables", "1"], "--tables is for the layout calms21; leave it out with store"),
        (["--hashes"], "--hashes is for the layout calms21"),
        (["--macro", "S9=all"], "--macro names S9"),
        (["--macro", "all"], "--macro is written STREAM=CLASSES, got 'all'"),
        (["--tables", "one"], "--tables are numbers joined by commas"),
        (["--curves", "conv1d", "--curve-recordings", "2,few"], "--curve-recordings are numbers joined by commas"),
        (["--curves", "conv1d", "--curve-recordings", "0,2"], "--curve-recordings are numbers of 1 or more, got 0"),
        (["--curve-recordings", "2"], "--curve-recordings is for the systems of --curves: name some"),
        (["--tables", "5"], "--tables: the paper has 1, 2, 3 and 4, got 5"),
        (["--seeds", "-1"], "--seeds must be 0 (as many as --effort says) or more, got -1"),
        (["--seeds", "2,conv1d=0"], "--seeds conv1d=...: a system needs 1 seed or more"),
        (["--seeds", "2,conv2d=1"], "--seeds: there is no system 'conv2d'; did you mean conv1d"),
        (
            ["--seeds", "2,3"],
            "--seeds is a number, and systems with numbers of their own, such as 5,msg3d=1;",
        ),
        (["--seeds", "conv1d=many"], "such as 5,msg3d=1; got 'conv1d=many'"),
        (["--seeds", "=2"], "such as 5,msg3d=1; got '=2'"),
    ],
)
def test_invalid_benchmark_options_are_input_errors(labeled, tmp_path, capsys, words, message):
    arguments = ["benchmark", "store", str(labeled.path), "--out", str(tmp_path / "out"), "--task", "behavior"]
    assert main([*arguments, *words]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "option"),
    [(["--task", "x"], "task"), (["--new-task", "x"], "new-task"), (["--macro", "x=all"], "macro"),
     (["--split", "x"], "split")],
)  # fmt: skip
def test_options_of_the_other_layout_are_errors(tmp_path, capsys, words, option):
    assert main(["benchmark", "calms21", str(tmp_path), "--out", str(tmp_path / "out"), *words]) == 2
    assert f"--{option} is for the layout store; leave it out with calms21" in capsys.readouterr().err


def test_default_number_of_seeds_is_the_efforts(cheap, labeled, tmp_path, capsys):
    for words, seeds in ((["--seeds", "0"], 1), ([], 1), (["--seeds", "2"], 2)):
        run_benchmark(config_of(labeled, tmp_path / "out", "--effort", "minutes", *words), make_console())
        assert json.loads((tmp_path / "out" / "results.json").read_text())["seeds"] == seeds
        notes = (tmp_path / "out" / "results.md").read_text()
        assert ("One seed;" in notes) == (seeds == 1) and ("over 2 seeds" in notes) == (seeds == 2)
    told = capsys.readouterr().out
    assert "shares: behavior, seed 0, found" in told and "shares: behavior, seed 1\n" in told


def test_systems_with_their_own_number_of_seeds(cheap, labeled, tmp_path):
    run_benchmark(config_of(labeled, tmp_path / "out", "--seeds", "3,conv1d=2"), make_console())
    notes = (tmp_path / "out" / "results.md").read_text()
    assert "over 3 seeds (conv1d 2);" in notes
    assert len(LEARNED) == 2


def test_system_without_table_is_noted(labeled, tmp_path, monkeypatch, capsys):
    few = SystemSpec("few", "few", "baseline", lambda context, part: Shares(), kinds=("task3",))
    every = SystemSpec("conv1d", "shares", "baseline", lambda context, part: Shares())
    monkeypatch.setattr("probe.calms21.run.SYSTEMS", {"few": few, "conv1d": every})
    run_benchmark(config_of(labeled, tmp_path / "out", "--seeds", "1", "--systems", "few,conv1d"), make_console())
    assert "few (few): left out, it fits none of these tables" in (tmp_path / "out" / "results.md").read_text()
    config = config_of(labeled, tmp_path / "other", "--new-task", "few", "--seeds", "1", "--systems", "few")
    run_benchmark(config, make_console())
    text = (tmp_path / "other" / "results.md").read_text()
    assert "behavior: left out, no requested system" in text and "## behavior" not in text and "## few" in text
    assert "few: few, seed 0" in capsys.readouterr().out


def test_device_and_precision_reach_all_systems(labeled, tmp_path, monkeypatch):
    """Encoders, their embeddings, window classifiers, and predictions of what the pretraining job has trained."""
    asked = []
    module = "probe.calms21.representation_cache"
    monkeypatch.setattr(f"{module}.trained_run", lambda *run: asked.append(run[-1]) or Path("run"))
    monkeypatch.setattr(f"{module}.load_checkpoint", lambda run: _Encoder())
    monkeypatch.setattr(f"{module}.embed_store", embed_nothing)
    words = ("--effort", "minutes", "--device", "cpu", "--precision", "bfloat16")
    session = _opened(config_of(labeled, tmp_path / "out", *words), EFFORTS["minutes"], print)
    context = _make_context(session, [])
    with pytest.raises(InputError, match="bfloat16"):
        context.representations.encoder("cpc")
    assert asked and all((one.device, one.precision) == ("cpu", "bfloat16") for one in asked)
    (part,) = session.benchmark_tasks["behavior"].parts.values()
    for name in ("scratch", "conv1d"):
        system = SYSTEMS[name].make(context, part)
        assert (system.device, system.precision) == (torch.device("cpu"), torch.bfloat16), name


class _Encoder:
    def to(self, device):
        self.device = device
        return self


def embed_nothing(method, store, out, rows, overwrite, precision):
    raise InputError(f"in {str(precision).removeprefix('torch.')} on {method.device}")


@pytest.mark.parametrize(("asked", "made_again"), [("auto", False), ("float32", False), ("bfloat16", True)])
def test_embeddings_of_another_precision_are_recomputed(labeled, tmp_path, asked, made_again):
    ones = [(row.id, np.ones((row.frames, 3))) for row in labeled.rows]
    store_embeddings(tmp_path / "e", labeled, labeled.rows, ones, "latent", lambda: "c0ffee")
    contents = json.loads((tmp_path / "e" / "embeddings.json").read_text())
    (tmp_path / "e" / "embeddings.json").write_text(json.dumps(contents | {"precision": "float32"}))
    representations = RepresentationCache(labeled, tmp_path, EFFORTS["minutes"], labeled.rows[:4], precision=asked)
    precision = torch.bfloat16 if asked == "bfloat16" else torch.float32
    assert representations._matches(Embeddings(tmp_path / "e"), "c0ffee", precision) is not made_again


def test_only_recordings_with_labels_are_embedded(labeled, tmp_path):
    torch.set_default_dtype(torch.float32)
    bare = [replace(make_recording(f"u{n}", 211 + n, subset="unlabeled"), labels={}) for n in range(2)]
    recordings = list(labeled)
    store = write_store(tmp_path / "both", [bare[0], *recordings[:3], bare[1], *recordings[3:]])
    method = CPC(TINY_CPC, store.skeleton, 30.0)
    method.fit_inputs(WindowReader([(store, row) for row in store.rows], 64))
    save_checkpoint(tmp_path / "run", method)
    representations = RepresentationCache(
        store, tmp_path, EFFORTS["minutes"], store.rows[1:3], device="cpu", precision="float32",
        given={"cpc": (tmp_path / "run",)},
    )  # fmt: skip
    (some,) = representations.encoder("cpc", without=["time"]).arrays
    whole = embed_store(method.eval(), store, tmp_path / "whole", without=["time"]).array
    assert some.shape == whole.shape
    for row in store.rows:
        here = slice(row.offset + 3, row.offset + row.frames)
        if row.annotators:
            np.testing.assert_array_equal(some[row.slice], whole[row.slice])
            np.testing.assert_array_equal(some[here], whole[here])
        else:
            with pytest.raises(AssertionError, match="outside"):
                some[here]
    held = Embeddings(tmp_path / "embeddings" / "cpc-0")
    assert [row.id for row in held.rows] == [row.id for row in labeled.rows]
    assert matrix_digest([some]) == matrix_digest(representations.encoder("cpc", without=["time"]).arrays)


def test_a_store_needs_a_task():
    with pytest.raises(InputError, match="label stream"):
        BenchmarkConfig(source=Path("store"), layout="store", out=Path("out"))


def test_every_published_row_has_a_system_and_every_system_a_table():
    assert {name for _, name in PUBLISHED} <= set(SYSTEMS)
    sections = {section for table in TABLES.values() for section in table.sections}
    assert {spec.section for spec in SYSTEMS.values()} == sections
    for (number, name), _ in PUBLISHED.items():
        kind = TABLES[number].task.removeprefix("calms21_")
        assert kind in SYSTEMS[name].kinds, (number, name)


def test_effort_minutes_reduces_the_full_settings(labeled, tmp_path):
    representations = RepresentationCache(labeled, tmp_path, EFFORTS["minutes"], labeled.rows[:4])
    benchmark_task = make_benchmark_task(labeled, "behavior", "task1")
    (part,) = benchmark_task.parts.values()
    full, minutes = (
        BenchmarkContext(tmp_path, get_effort(effort), representations, tuple(labeled.rows[:4]), parent=part)
        for effort in ("full", "minutes")
    )
    published = SYSTEMS["conv1d"].make(full, part)
    assert published.config.train_stride == 1 and published.config.epochs == 15
    short = SYSTEMS["conv1d"].make(minutes, part)
    assert short.config.epochs == 1 and short.config.network == published.config.network
    assert SYSTEMS["task2_as_run"].make(full, part).parent.rows == tuple(labeled.rows[:4])
    tuned = SYSTEMS["boosting_tuned"].postprocessing
    assert full.effort.limit_folds(tuned) == tuned and minutes.effort.limit_folds(tuned) == replace(tuned, folds=2)
    assert minutes.effort.limit_folds(SYSTEMS["boosting"].postprocessing) == SYSTEMS["boosting"].postprocessing


def test_unrelated_benchmark_folder_is_an_error(cheap, labeled, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    arguments = ["benchmark", "store", str(labeled.path), "--task", "behavior", "--out"]
    assert main([*arguments, str(tmp_path / "mine")]) == 2
    assert "exists and holds no benchmark" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert main([*arguments, str(tmp_path / "mine" / "thesis.txt")]) == 2
    assert "is a file, not a folder" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "out"), "--seeds", "1"]) == 0
    other = write_store(tmp_path / "other", list(labeled))
    assert main(["benchmark", "store", str(other.path), "--task", "behavior", "--out", str(tmp_path / "out")]) == 2
    assert "holds a benchmark of" in capsys.readouterr().err


def test_benchmark_without_finished_system_is_an_error(cheap, labeled, tmp_path, capsys):
    arguments = ["benchmark", "store", str(labeled.path), "--task", "behavior", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--systems", "msg3d", "--seeds", "1"]) == 2
    told = capsys.readouterr().err
    assert "no system could be run on these tasks; hopeless: left out, nothing can be learned" in told
    for given in ("cpc=missing", "nosuch=run"):
        assert main([*arguments, "--pretrained", given]) == 2
    assert "the encoders of this benchmark are" in capsys.readouterr().err


def test_copies_of_scored_recordings_are_excluded_from_training(cheap, tmp_path):
    train, test = (make_recording(name, 701, subset=subset) for name, subset in (("a", "train"), ("b", "test")))
    test = replace(test, keypoints=test.keypoints[::-1].copy())
    copy = replace(test, id="copy", subset="unlabeled", labels={})
    store = write_store(tmp_path / "s", [train, test, copy, replace(make_recording("d", 311), subset="unlabeled")])
    config = config_of(store, tmp_path / "out", "--seeds", "1")
    context = _make_context(_opened(config, EFFORTS["minutes"], print), find_overlaps(store))
    assert context.representations.tracks == ("a", "d")
