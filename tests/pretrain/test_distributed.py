"""Two gloo processes on one global batch give one process's losses and weights.

One pair of processes trains all methods, one after the other: their start takes longer than the training.
"""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from pretrain.config_sources import config_as_yaml
from pretrain.run import train
from ssl_behavior.checkpoint import load_checkpoint
from tests.golden.regenerate import CONFIGS

PROGRAM = Path(__file__).with_name("killable.py")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def train_apart(world, store, folder, runs):
    """Start what torchrun would start, without its seconds of own start-up; runs: name -> configuration."""
    command = [sys.executable, str(PROGRAM), "--float64"]
    for name, config in runs.items():
        file = folder / f"{name}.yaml"
        file.write_text(config_as_yaml(config))
        command += [str(store), "--out", str(folder / name), "--config", str(file), "--then", str(free_port())]
    shared = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = [
        subprocess.Popen(
            command[:-2],
            env=shared | {"WORLD_SIZE": str(world), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(world)
    ]
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    return [process.returncode for process in processes], outputs


def losses(out):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    skipped = ("step", "split", "seconds", "frames_per_second")
    return [(line["step"], line["split"], {k: v for k, v in line.items() if k not in skipped}) for line in lines]


def assert_equal_runs(one, two):
    assert [entry[:2] for entry in losses(one)] == [entry[:2] for entry in losses(two)]
    for (_, _, left), (_, _, right) in zip(losses(one), losses(two), strict=True):
        assert right == pytest.approx(left, rel=1e-7, abs=1e-9)
    torch.set_default_dtype(torch.float64)
    weights = load_checkpoint(one).state_dict()
    for name, tensor in load_checkpoint(two).state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-6, atol=1e-8)


METHODS = ("summaries", "task_programming", "task_programming_conv", "cpc_programs")


def test_two_processes_train_like_one(store, tiny, tmp_path):
    configs = {"tiny": tiny} | {name: replace(tiny, method=CONFIGS[name], steps=3) for name in METHODS}
    codes, outputs = train_apart(2, store, tmp_path, configs)
    assert codes == [0, 0], outputs
    assert outputs[0].count("2 processes") == len(configs) and outputs[1] == ""
    torch.set_default_dtype(torch.float64)
    for name, config in configs.items():
        train(config, [store], tmp_path / f"one-{name}", console=Console(quiet=True))
        assert_equal_runs(tmp_path / f"one-{name}", tmp_path / name)


@pytest.fixture
def one_process(store, tiny, tmp_path):
    torch.set_default_dtype(torch.float64)
    train(tiny, [store], tmp_path / "one", console=Console(quiet=True))
    return tmp_path / "one"


@pytest.mark.slow
def test_torchrun_starts_the_same_job_and_resumes_it(store, tiny, one_process, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(config_as_yaml(tiny))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port()),
        str(PROGRAM), str(store), "--out", str(tmp_path / "run"), "--config", str(file), "--float64", "--resume",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "resumed after step 12 of 12" in done.stdout
    assert_equal_runs(one_process, tmp_path / "run")
