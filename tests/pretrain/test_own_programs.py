"""A person's own programs: from a file of ten lines to a trained run, and back from its checkpoint."""

import json
from dataclasses import replace

import pytest

from pretrain.recipes import RECIPES
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.cli import main
from ssl_behavior.store import write_store

MINE = '''
from ssl_behavior.programs import length, program

@program(units="length", invariant="translation rotation reflection swap", each_animal=False)
def tail_to_tail(pose):
    """Distance between the two tail bases."""
    return length(pose.own.tail_base - pose.other.tail_base)
'''
SMALL = [
    "--steps", "2", "--device", "cpu", "--precision", "float32", "--data.window_frames", "96", "--data.batch_size", "2",
    "--method.encoder.latent_dim", "8", "--loop.validate_every", "2",
]  # fmt: skip


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


@pytest.fixture
def trained(mine, dyad, tmp_path):
    store = write_store(tmp_path / "store", [dyad(f"r{i}", 211, seed=i) for i in range(3)])
    arguments = [str(store.path), "--out", str(tmp_path / "run"), "--recipe", "task_programming_conv", *SMALL]
    assert main(["pretrain", *arguments, "--programs", str(mine)]) == 0
    return tmp_path / "run", store.path


def test_they_are_learned_from_and_kept_with_the_run(trained, mine):
    run, _ = trained
    method = load_checkpoint(run)
    assert {"speed.resident", "body_gap", "tail_to_tail"} < set(method.programs.names)
    assert (run / "programs.py").read_text() == MINE
    assert json.loads((run / "config.json").read_text())["config"]["method"]["programs"]["file"] == str(mine)


def test_what_is_left_out_is_said(dyad, tmp_path, capsys):
    store = write_store(tmp_path / "store", [dyad("r", 211, skeleton="rat_dyads")])
    names = ["--method.programs.names", "speed,time_since_contact"]
    arguments = [str(store.path), "--out", str(tmp_path / "run"), "--recipe", "task_programming_conv", *SMALL, *names]
    assert main(["pretrain", *arguments]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "time_since_contact is left out: it is (nearly) always the same on the training recordings" in output


def test_an_encoder_needs_no_file_to_embed(trained, mine, tmp_path):
    run, store = trained
    mine.unlink()
    assert main(["embed", str(run), str(store), "--out", str(tmp_path / "e"), "--device", "cpu"]) == 0


def test_a_run_is_resumed_only_with_the_same_programs(trained, mine, capsys):
    run, _ = trained
    assert main(["pretrain", "--out", str(run), "--resume"]) == 0
    mine.write_text(MINE + "# changed\n")
    capsys.readouterr()
    assert main(["pretrain", "--out", str(run), "--resume", "--programs", str(mine)]) == 2
    assert "file_sha256 was" in capsys.readouterr().err
    assert main(["pretrain", "--out", str(run), "--resume", "--programs", str(run / "programs.py")]) == 0


def test_without_the_original_the_runs_own_copy_is_taken(mine, dyad, tmp_path):
    store = write_store(tmp_path / "store", [dyad(f"r{i}", 211, seed=i) for i in range(3)])
    run = tmp_path / "run"
    arguments = [str(store.path), "--out", str(run), "--recipe", "task_programming_conv", *SMALL]
    assert main(["pretrain", *arguments, "--programs", str(mine), "--steps", "1"]) == 0
    config = json.loads((run / "config.json").read_text())
    config["config"]["steps"] = 2
    (run / "config.json").write_text(json.dumps(config))
    mine.unlink()
    assert main(["pretrain", "--out", str(run), "--resume"]) == 0
    assert len(list((run / "checkpoints").glob("step-*2"))) == 1
    moved = replace(load_checkpoint(run).config.programs, file="elsewhere.py")
    method = load_checkpoint(run)
    before = method.fingerprint()
    method.config = replace(method.config, programs=moved)
    assert method.fingerprint() == before, "where the file lay changes nothing"


def test_a_runs_configuration_repeats_it(trained, mine, tmp_path):
    run, store = trained
    again = tmp_path / "again"
    assert main(["pretrain", str(store), "--out", str(again), "--config", str(run / "config.json")]) == 0
    assert load_checkpoint(again).fingerprint() == load_checkpoint(run).fingerprint()
    mine.write_text(MINE + "# changed\n")
    third = tmp_path / "third"
    assert main(["pretrain", str(store), "--out", str(third), "--config", str(run / "config.json")]) == 2
    assert not third.exists()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_printed_configuration_is_read_back(recipe, mine, tmp_path, capsys):
    own = ["--programs", str(mine)] if hasattr(RECIPES[recipe]().method, "programs") else []
    assert main(["pretrain", "--print-config", "--recipe", recipe, *own]) == 0
    printed = capsys.readouterr().out
    assert ("tail_to_tail" in printed) == bool(own)
    (tmp_path / "config.yaml").write_text(printed)
    assert main(["pretrain", "--print-config", "--config", str(tmp_path / "config.yaml")]) == 0
    assert capsys.readouterr().out == printed


def test_a_run_refused_at_its_first_step_leaves_nothing(dyad, tmp_path, capsys):
    store = write_store(tmp_path / "store", [dyad(f"r{i}", 211, seed=i) for i in range(3)])
    out = tmp_path / "run"
    arguments = [str(store.path), "--out", str(out), "--recipe", "task_programming_conv", *SMALL]
    assert main(["pretrain", *arguments, "--method.context_horizons_frames", "0,600"]) == 2
    assert "not longer than the context horizon 600" in capsys.readouterr().err and not out.exists()


def test_a_held_out_recording_without_scale_is_named_before_training(dyad, tmp_path, capsys):
    recordings = [dyad(f"r{i}", 211, seed=i, px_per_cm=None if i == 2 else 9.0) for i in range(3)]
    store, out = write_store(tmp_path / "store", recordings), tmp_path / "run"
    arguments = [str(store.path), "--out", str(out), "--recipe", "task_programming_conv", *SMALL]
    assert main(["pretrain", *arguments, "--validation", "r2"]) == 2
    assert "that of 'r2' is not" in capsys.readouterr().err and not out.exists()
    assert main(["pretrain", *arguments, "--validation", "r2", "--method.programs.units", "px"]) == 0


def test_a_broken_one_is_named_before_training_and_nothing_is_left(mine, dyad, tmp_path, capsys):
    mine.write_text(MINE.replace("rotation reflection", "rotation reflection scale"))
    store = write_store(tmp_path / "store", [dyad("r", 211)])
    out = tmp_path / "run"
    arguments = [str(store.path), "--out", str(out), "--recipe", "task_programming_conv", *SMALL]
    assert main(["pretrain", *arguments, "--programs", str(mine)]) == 2
    output = capsys.readouterr().err
    assert "tail_to_tail" in output and "scale" in output and not out.exists()


def test_a_recipe_without_programs_says_so(mine, tmp_path, capsys):
    assert main(["pretrain", "s", "--out", str(tmp_path / "run"), "--recipe", "cpc", "--programs", str(mine)]) == 2
    assert "learns from no programs" in capsys.readouterr().err
