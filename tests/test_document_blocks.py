"""Documents run: every command and every block of Python, page by page, in a folder with simulated recordings."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from ssl_behavior import cli
from ssl_behavior.recording import Labels
from ssl_behavior.simulate import equal_plans, simulate_plan
from ssl_behavior.simulate.group_plans import GroupPlan
from ssl_behavior.store import write_store
from tests.test_documents import PAGES, ROOT, name_of

pytestmark = pytest.mark.slow

BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>shell|python)\n(?P<code>.*?)^```$", re.M | re.S
)
ELSEWHERE = ("pip", "make", "tensorboard", "docker", "sbatch", "git", "python", "export", "cd")
"""First words of commands that are not ours."""
RUNS_IN = "test_python_page.py"
NAMES = ("01", "02", "03", "04", "07", "08", "09", "12")
FRAMES = 900
CLASSES = ("base", "social", "nonsocial", "aggression")
SMALL = ["--data.window_frames", "256", "--data.batch_size", "2", "--data.validation_batches", "1"]


def blocks_of(page):
    """(language, code) of the blocks that run, in order."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [(one["language"], one["code"]) for one in found if not one["reason"]]


def pages():
    return [page for page in PAGES if blocks_of(page) and name_of(page) not in ("docs/python.md", "CONTRIBUTING.md")]


def recordings():
    """Simulated dyads named like those of the pages, with labels S1 (four classes), S2 and behavior."""
    plans = equal_plans(len(NAMES), FRAMES, {"train": 0.75, "test": 0.25}, missing=0.05, pair_labels=True)
    for name, plan in zip(NAMES, plans, strict=True):
        made = simulate_plan(plan, seed=1)
        own = made.labels["behavior"]
        coarse = Labels(
            vocabulary=CLASSES, frames=(own.frames + 1) % 4, background="base", annotator=str(int(name) % 2)
        )
        fine = Labels(vocabulary=("chase", "bite", "other"), frames=own.frames.clip(0, 2), background="other")
        labels = {"behavior": replace(own, annotator=str(int(name) % 2 + 1)), "S1": coarse, "S2": fine}
        yield replace(made, id=name, labels=labels)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with what pages take as given."""
    folder = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        torch.set_default_dtype(torch.float32)
        write_store("store", recordings())
        for command in (
            "simulate --layout dlc --recordings 4 --frames 600 --out tracks",
            "pretrain store --out run --recipe summaries_tiny --steps 4 --seed 1",
            "embed run store --out embeddings",
            "cluster embeddings --out clusters --clusters 6",
            "describe clusters embeddings store --out described",
            "probe run store --task S1 --out results --seeds 1 --references untrained",
        ):
            assert cli.main(shlex.split(command)) == 0, command
        groups = ["recording,animal,treatment"]
        groups += [f"{name},rat{int(name)},{'drug' if place % 2 else 'saline'}" for place, name in enumerate(NAMES)]
        (folder / "groups.csv").write_text("\n".join(groups), encoding="utf-8")
        (folder / "names.csv").write_text("cluster,name\n0,rest\n1,chase\n", encoding="utf-8")
        split = {"train": ["0[1-4]", "07"], "validation": ["08"], "test": ["09", "12"]}
        (folder / "split.json").write_text(json.dumps(split), encoding="utf-8")
    return folder


def small(words):
    """The command with fewer steps, seeds and frames."""
    verb = words[0]
    if verb == "pretrain" and "--help" not in words and "--print-config" not in words:
        words = [*without_option(words, "--steps"), "--steps", "2"]
        words += [] if "--data.window_frames" in words or "--config" in words or "2021" in " ".join(words) else SMALL
    if verb == "probe":
        words = [*without_option(words, "--seeds"), "--seeds", "1"]
    if verb == "simulate" and "--scale" not in words and "--layout calms21" not in " ".join(words):
        words = [*without_option(words, "--frames"), "--frames", "300"]
    return words


def without_option(words, option):
    place = words.index(option) if option in words else len(words)
    return words[:place] + words[place + 2 :]


def run_shell(code):
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words or words[0] in ELSEWHERE:
            continue
        if words[0] == "torchrun":
            run_processes(words[1:])
        else:
            assert words[0] == "ssl-behavior", f"a command that nothing runs: {line}"
            assert cli.main(small(words[1:])) == 0, line


def run_processes(words):
    """A torchrun of two processes."""
    words = [
        re.sub(r"^\d+$", "2", word) if before.startswith("--nproc") else word
        for before, word in zip(["", *words], words, strict=False)
    ]
    place = words.index("ssl_behavior") + 1
    command = [sys.executable, "-m", "torch.distributed.run", *words[:place], *small(words[place:])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_block_runs(page, workspace, tmp_path, monkeypatch):
    torch.set_default_dtype(torch.float32)
    shutil.copytree(workspace, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    names = {"__name__": "__main__"}
    for language, code in blocks_of(page):
        if language == "shell":
            run_shell(code)
        else:
            exec(compile(re.sub(r"steps=\d+", "steps=2", code), name_of(page), "exec"), names)


def test_blocks_that_do_not_run_have_a_reason():
    for page in PAGES:
        for one in re.findall(r"<!-- not run(.*?)-->", page.read_text(encoding="utf-8")):
            assert re.fullmatch(r": .{10,} ", one), f"{name_of(page)}: <!-- not run{one}-->"
    assert (ROOT / "tests" / RUNS_IN).exists() and GroupPlan
