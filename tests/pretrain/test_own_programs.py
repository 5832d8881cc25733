"""A person's own programs: from a file of ten lines to a trained run, and back from its checkpoint."""

import json

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
    "--method.programs.names", "speed,tail_to_tail", "--method.encoder.latent_dim", "8", "--loop.validate_every", "2",
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
    assert method.programs.names == ("speed.resident", "speed.intruder", "tail_to_tail")
    assert (run / "programs.py").read_text() == MINE
    assert json.loads((run / "config.json").read_text())["config"]["method"]["programs"]["file"] == str(mine)


def test_what_is_left_out_is_said(dyad, tmp_path, capsys):
    store = write_store(tmp_path / "store", [dyad("r", 211, skeleton="rat_dyads")])
    names = ["--method.programs.names", "speed,time_since_contact"]
    arguments = [str(store.path), "--out", str(tmp_path / "run"), "--recipe", "task_programming_conv", *SMALL, *names]
    assert main(["pretrain", *arguments]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "time_since_contact is left out: it is (nearly) always the same on the training recordings" in told


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


def test_a_broken_one_is_named_before_training_and_nothing_is_left(mine, dyad, tmp_path, capsys):
    mine.write_text(MINE.replace("rotation reflection", "rotation reflection scale"))
    store = write_store(tmp_path / "store", [dyad("r", 211)])
    out = tmp_path / "run"
    arguments = [str(store.path), "--out", str(out), "--recipe", "task_programming_conv", *SMALL]
    assert main(["pretrain", *arguments, "--programs", str(mine)]) == 2
    told = capsys.readouterr().err
    assert "tail_to_tail" in told and "scale" in told and not out.exists()


def test_a_recipe_without_programs_says_so(mine, tmp_path, capsys):
    assert main(["pretrain", "s", "--out", str(tmp_path / "run"), "--recipe", "cpc", "--programs", str(mine)]) == 2
    assert "learns from no programs" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_can_be_printed(recipe, capsys):
    assert main(["pretrain", "--print-config", "--recipe", recipe]) == 0
    assert "algorithm" in capsys.readouterr().out
