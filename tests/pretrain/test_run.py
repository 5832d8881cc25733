"""A run from stores to a folder: what it leaves, and that interrupting it anywhere changes nothing."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import pretrain.loop
from pretrain.run import train
from pretrain.run_folder import RunFolder, only_process
from ssl_behavior.checkpoint import find_checkpoint, list_checkpoints, load_checkpoint
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, write_store
from ssl_behavior.windows import WindowReader
from tests.conftest import fingerprint


def quiet():
    return Console(quiet=True)


def run(store, out, config, **options):
    return train(config, [store], out, console=quiet(), **options)


@pytest.fixture(scope="module")
def finished(store, tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    torch.set_default_dtype(torch.float32)
    run(store, out, tiny)
    return out


def lines_of(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def numbers_of(out):
    """Metrics without the clock's."""
    return [{k: v for k, v in line.items() if k not in ("frames_per_second", "seconds")} for line in lines_of(out)]


def interrupt_after(monkeypatch, step, error=KeyboardInterrupt):
    """The process dies in the step after `step`."""
    real = pretrain.loop.train_step

    def dying(losses, optimizer, batch, seed, number, *rest):
        if number == step:
            raise error
        return real(losses, optimizer, batch, seed, number, *rest)

    monkeypatch.setattr(pretrain.loop, "train_step", dying)


def test_a_run_leaves_what_is_promised(finished, tiny):
    names = {path.name for path in finished.iterdir()}
    assert names == {".lock", "config.json", "metrics.jsonl", "tensorboard", "checkpoints"}
    record = json.loads((finished / "config.json").read_text())
    assert record["config"]["optim"]["lr"] == tiny.optim.lr and record["seed"] == tiny.seed
    assert len(record["data_fingerprint"]) == 64 and "torch" in record["versions"] and "git_commit" in record
    assert list((finished / "tensorboard").glob("events.*"))
    steps = [line["step"] for line in lines_of(finished) if line["split"] == "train"]
    assert steps == list(range(1, tiny.steps + 1))
    assert [line["step"] for line in lines_of(finished) if line["split"] == "validation"] == [5, 10, 12]


def test_metrics_say_how_it_goes(finished, tiny):
    train, validation = lines_of(finished)[0], lines_of(finished)[-1]
    assert {"loss", "lr", "grad_norm", "frames_per_second", "seconds"} <= train.keys()
    for horizon in tiny.method.horizons_frames:
        assert {f"info_nce/past_{horizon}", f"accuracy/future_{horizon}"} <= validation.keys()
    assert validation["effective_rank"] > 1 and validation["uniformity"] < 0


def test_the_last_two_and_the_best_checkpoint_are_kept(finished):
    kept = [path.name for path in list_checkpoints(finished)]
    best = json.loads((finished / "checkpoints" / "best.json").read_text())
    assert kept[-1] == "step-000000012" and best["checkpoint"] in kept and len(kept) <= 3
    losses = {line["step"]: line["loss"] for line in lines_of(finished) if line["split"] == "validation"}
    assert best["validation_loss"] == min(losses.values())
    assert find_checkpoint(finished, best=True).name == best["checkpoint"]


def test_the_checkpoint_is_a_fitted_method_that_embeds(finished, store):
    method = load_checkpoint(finished)
    assert not method.training and bool(method.featurizer.fitted)
    opened = Store(store)
    batch = WindowReader([(opened, opened.rows[0])], 41).read([(0, 0, 41)])
    assert method.embed(batch).shape == (1, 41, method.embedding_dim)


def test_one_seed_gives_one_model_and_another_seed_another(finished, store, tiny, tmp_path):
    run(store, tmp_path / "again", tiny)
    run(store, tmp_path / "other", replace(tiny, seed=1))
    assert fingerprint(tmp_path / "again") == fingerprint(finished) != fingerprint(tmp_path / "other")
    assert numbers_of(tmp_path / "again") == numbers_of(finished)


@pytest.mark.parametrize("step", [0, 3, 4, 7, 11])
def test_resuming_after_death_at_any_step_gives_the_same_bits(step, finished, store, tiny, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt_after(patch, step)
        with pytest.raises(KeyboardInterrupt):
            run(store, out, tiny)
    run(store, out, tiny, resume=True)
    assert fingerprint(out) == fingerprint(finished)
    assert fingerprint(out, best=True) == fingerprint(finished, best=True)
    assert numbers_of(out) == numbers_of(finished)


def test_death_between_the_best_checkpoint_and_its_naming(finished, store, tiny, tmp_path, monkeypatch):
    best = json.loads((finished / "checkpoints" / "best.json").read_text())
    real = RunFolder.point_to_best

    def dying(folder, named):
        if named == best:
            raise KeyboardInterrupt
        real(folder, named)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "point_to_best", dying)
        with pytest.raises(KeyboardInterrupt):
            run(store, tmp_path / "run", tiny)
    run(store, tmp_path / "run", tiny, resume=True)
    assert json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text()) == best
    assert fingerprint(tmp_path / "run", best=True) == fingerprint(finished, best=True)


@pytest.mark.parametrize(
    "changes", [{"optimizer": "madgrad", "lr": 1e-3}, {"ema_decay": 0.7}, {"schedule": "constant"}]
)
def test_every_optimizer_and_average_resumes_exactly(changes, store, tiny, tmp_path, monkeypatch):
    config = replace(tiny, optim=replace(tiny.optim, **changes), steps=9)
    run(store, tmp_path / "whole", config)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            run(store, tmp_path / "cut", config)
    run(store, tmp_path / "cut", config, resume=True)
    assert fingerprint(tmp_path / "cut") == fingerprint(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(number, finished, store, tiny, tmp_path, monkeypatch):
    out, real = tmp_path / "run", pretrain.loop.train_step

    def signalled(losses, optimizer, batch, seed, step, *rest):
        if step == 5:
            signal.raise_signal(number)
        return real(losses, optimizer, batch, seed, step, *rest)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(pretrain.loop, "train_step", signalled)
        with pytest.raises(SystemExit) as stopped:
            run(store, out, tiny)
        assert stopped.value.code == 128 + number
    assert signal.getsignal(number) == before
    assert list_checkpoints(out)[-1].name == "step-000000006"
    run(store, out, tiny, resume=True)
    assert fingerprint(out) == fingerprint(finished)


def test_a_second_run_into_the_folder_is_refused_with_both_choices(finished, store, tiny):
    with pytest.raises(InputError, match=r"pass `resume` to continue it, or choose another `out`"):
        run(store, finished, tiny)


def test_resuming_a_finished_run_changes_nothing(finished, store, tiny):
    before = fingerprint(finished)
    run(store, finished, tiny, resume=True)
    assert fingerprint(finished) == before


def test_resume_begins_where_nothing_is_yet(store, tiny, tmp_path):
    run(store, tmp_path / "new", replace(tiny, steps=1), resume=True)


def test_resuming_with_other_settings_names_them(finished, store, tiny):
    changed = replace(tiny, optim=replace(tiny.optim, lr=0.5), seed=3)
    with pytest.raises(InputError, match=r"optim\.lr was 0\.003, is now 0\.5; seed was 0, is now 3"):
        run(store, finished, changed, resume=True)
    free = replace(tiny, loop=replace(tiny.loop, log_every=3), device="auto")
    run(store, finished, free, resume=True)


def test_resuming_with_other_data_is_refused(finished, tiny, make_recording, tmp_path):
    write_store(tmp_path / "other", [make_recording("x", 200), make_recording("y", 200)])
    with pytest.raises(InputError, match="data_fingerprint was"):
        run(tmp_path / "other", finished, tiny, resume=True)


def test_what_a_killed_process_left_half_written_is_ignored_and_removed(finished, store, tiny, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt_after(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            run(store, out, tiny)
    partial = out / "checkpoints" / ".step-000000008.partial-1"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "split": "tr')
    run(store, out, tiny, resume=True)
    assert not partial.exists()
    assert numbers_of(out) == numbers_of(finished)


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(finished, store, tiny, tmp_path, monkeypatch):
    out, real = tmp_path / "run", Path.write_bytes

    def full(path, data):
        if "step-000000008" in str(path):
            real(path, bytes(data)[:10])
            raise OSError(28, "No space left on device")
        return real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError, match="the disk is full"):
            run(store, out, tiny)
    assert list_checkpoints(out)[-1].name == "step-000000005"
    assert all(path.name.startswith(("step-", "best")) for path in (out / "checkpoints").iterdir())
    run(store, out, tiny, resume=True)
    assert fingerprint(out) == fingerprint(finished)


def test_numbers_that_are_not_finite_stop_the_run_by_name(store, tiny, tmp_path, monkeypatch):
    real = pretrain.loop.train_step

    def poisoned(losses, optimizer, batch, seed, step, *rest):
        if step == 6:
            next(losses.parameters()).data.fill_(float("nan"))
        return real(losses, optimizer, batch, seed, step, *rest)

    monkeypatch.setattr(pretrain.loop, "train_step", poisoned)
    with pytest.raises(
        InputError, match=r"stopped in step 7: the loss is nan \(recordings of this batch: rec\d.*step 5"
    ):
        run(store, tmp_path / "run", tiny)
    load_checkpoint(tmp_path / "run")


def test_two_processes_cannot_train_one_run(store, tiny, tmp_path):
    with only_process(tmp_path / "run"), pytest.raises(InputError, match="another process is training this run"):
        run(store, tmp_path / "run", tiny)


def test_a_folder_of_something_else_is_not_touched(store, tiny, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists and is not a run"):
        run(store, tmp_path, tiny)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_bfloat16_trains_and_the_weights_stay_float32(store, tiny, tmp_path):
    run(store, tmp_path / "run", replace(tiny, precision="bfloat16", steps=2))
    assert {p.dtype for p in load_checkpoint(tmp_path / "run").parameters()} == {torch.float32}


def test_without_validation_the_newest_is_the_best(store, tiny, tmp_path):
    config = replace(tiny, data=replace(tiny.data, validation_share=0.0), steps=2)
    run(store, tmp_path / "run", config)
    assert {line["split"] for line in lines_of(tmp_path / "run")} == {"train"}
    assert find_checkpoint(tmp_path / "run", best=True) == find_checkpoint(tmp_path / "run")


def test_a_run_refused_before_its_first_step_leaves_nothing(tiny, tmp_path):
    recording = Recording(
        id="blind", keypoints=np.full((400, 2, 7, 2), np.nan, dtype=np.float32), fps=30.0, skeleton=SKELETONS["calms21"]
    )
    store = write_store(tmp_path / "store", [recording])
    with pytest.raises(InputError, match="never seen together"):
        run(store.path, tmp_path / "run", replace(tiny, steps=2))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("held_out", "warned"), [(0.1, [2]), (0.0, [2, 5, 6])], ids=["held out", "none held out"])
def test_a_collapse_is_told_early_and_also_where_no_recording_is_held_out(
    held_out, warned, store, tiny, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(pretrain.loop, "batch_rank", lambda *_: 1.3)
    monkeypatch.setattr(pretrain.loop, "_FIRST_LOOK_STEPS", 2)
    monkeypatch.setattr(pretrain.loop, "validate", lambda *_: {"loss": 1.0, "effective_rank": 9.0, "uniformity": -1.0})
    config = replace(tiny, data=replace(tiny.data, validation_share=held_out), steps=6)
    train(config, [store], tmp_path / "run", console=Console(width=400))
    warnings_printed = [line for line in capsys.readouterr().out.splitlines() if "collapsing" in line]
    assert [line.split(": ")[1] for line in warnings_printed] == [f"step {step}" for step in warned]
    assert all("effective rank is 1.3 of 27 columns" in line for line in warnings_printed)


def test_looking_at_the_embeddings_early_changes_no_weight(store, tiny, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain.loop, "_FIRST_LOOK_STEPS", 3)
    run(store, tmp_path / "run", tiny)
    assert fingerprint(tmp_path / "run") == fingerprint(finished)
