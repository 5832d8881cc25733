"""A process of its own is killed or interrupted at moments nobody chose; the weights come out the same."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from pretrain.config_sources import config_as_yaml
from pretrain.loop import StopSignals
from pretrain.run import train
from ssl_behavior.checkpoint import find_checkpoint, load_checkpoint, read_checkpoint_config
from tests.conftest import fingerprint

pytestmark = pytest.mark.posix
STEPS = 90
PROGRAM = Path(__file__).with_name("killable.py")


@pytest.fixture(scope="module")
def config(tiny):
    return replace(tiny, steps=STEPS, loop=replace(tiny.loop, checkpoint_every_steps=7, validate_every=30))


@pytest.fixture(scope="module")
def config_file(config, tmp_path_factory):
    file = tmp_path_factory.mktemp("configs") / "tiny.yaml"
    file.write_text(config_as_yaml(config))
    return file


@pytest.fixture(scope="module")
def uninterrupted(config, store, tmp_path_factory):
    import torch

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    out = tmp_path_factory.mktemp("uninterrupted") / "run"
    train(config, [store], out, console=Console(quiet=True))
    return out


def start(store, out, config_file, *options):
    command = [sys.executable, str(PROGRAM), str(store), "--out", str(out), "--config", str(config_file), *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def lines(out):
    file = out / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def wait_for_steps(process, out, more):
    """Until the process has done that many steps more than it found; asleep for a random moment after."""
    before, deadline = lines(out), time.monotonic() + 120
    while lines(out) < before + more and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def kill_and_resume(times, store, out, config_file, seed):
    """How many of the processes were killed before they were done; the last one is not."""
    rng = random.Random(seed)
    killed = 0
    for _ in range(times):
        process = start(store, out, config_file, "--resume")
        wait_for_steps(process, out, rng.randrange(1, STEPS // (times + 1)))
        time.sleep(rng.random() * 0.02)
        killed += process.poll() is None
        process.kill()
        process.communicate()
    return killed


def test_kill_9_and_resume_gives_the_same_bits(store, config, config_file, uninterrupted, tmp_path):
    assert kill_and_resume(1, store, tmp_path / "run", config_file, seed=0) == 1
    train(config, [store], tmp_path / "run", resume=True, console=Console(quiet=True))
    assert fingerprint(tmp_path / "run") == fingerprint(uninterrupted)
    lines = [json.loads(line) for line in (uninterrupted / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["split"] == "validation"]
    assert losses[-1] < 0.95 * next(line["loss"] for line in lines), "the compared run learned something"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kill_9_five_times_in_one_run(seed, store, config_file, uninterrupted, tmp_path):
    assert kill_and_resume(5, store, tmp_path / "run", config_file, seed) >= 4
    last = start(store, tmp_path / "run", config_file, "--resume")
    output, _ = last.communicate(timeout=120)
    assert last.returncode == 0, output
    assert fingerprint(tmp_path / "run") == fingerprint(uninterrupted)
    assert fingerprint(tmp_path / "run", best=True) == fingerprint(uninterrupted, best=True)


def test_ctrl_c_and_sigterm_save_and_say_so(store, config_file, tmp_path):
    endings = {signal.SIGINT: 130, signal.SIGTERM: 143}
    processes = {number: start(store, tmp_path / number.name, config_file, "--steps", "99999") for number in endings}
    for number, process in processes.items():
        wait_for_steps(process, tmp_path / number.name, 3)
        process.send_signal(number)
    for number, process in processes.items():
        output, _ = process.communicate(timeout=60)
        assert process.returncode == endings[number], output
        assert "Traceback" not in output and "--resume" in output
        step = read_checkpoint_config(find_checkpoint(tmp_path / number.name))["extra"]["step"]
        assert step >= 3 and f"stopped after step {step:,}; saved" in output
        load_checkpoint(tmp_path / number.name)


@pytest.fixture
def heeded_ctrl_c():
    """A shell that runs tests in the background ignores Ctrl-C for them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_ctrl_c")
def test_a_second_ctrl_c_ends_at_once_and_a_second_sigterm_does_not():
    """torchrun and a scheduler each send SIGTERM; the second one must not come before the run is saved."""
    with StopSignals() as stop:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before and signal.getsignal(signal.SIGINT) is signal.default_int_handler
