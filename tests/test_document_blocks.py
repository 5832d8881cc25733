"""Documents run: every command and every block of Python, page by page, in a folder with simulated recordings."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import ssl_behavior as sb
from pretrain import estimator
from pretrain.run import train
from ssl_behavior import cli
from ssl_behavior.recording import Labels
from ssl_behavior.simulate import equal_plans, simulate_plan
from ssl_behavior.store import write_store
from tests.test_documents import PAGES, ROOT, name_of

pytestmark = pytest.mark.docs

BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>shell|python|yaml)\n(?P<code>.*?)^```$", re.M | re.S
)
ELSEWHERE = (
    "pip",
    "make",
    "tensorboard",
    "docker",
    "sbatch",
    "git",
    "python",
    "python3",
    "source",
    "export",
    "cd",
    "ls",
)
"""First words of commands that are not ours."""
OWN_TESTS = ("docs/python.md", "CONTRIBUTING.md")
"""Pages that another test runs."""
NAMES = ("01", "02", "03", "04", "07", "08", "09", "12", "train/mouse001", "train/mouse002")
TRAIN = (*NAMES[:6], *NAMES[8:])
CLASSES = ("base", "social", "nonsocial", "aggression")
PLACEHOLDERS = {"FOLDER": "release", "STORE": "store", "RUN": "run", "FILE": "split.json"}
WRITTEN = re.compile(r"(?:out=|embed_store\(\w+, |save_pretrained\(|write_store\()\"([\w.]+)\"")
"""Folders that Python code writes."""
SMALL = ["--data.window_frames", "256", "--data.batch_size", "2", "--data.validation_batches", "1"]


def blocks_of(page):
    """(language, code) of the blocks that run, in order."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [(one["language"], one["code"]) for one in found if not one["reason"]]


def pages():
    return [page for page in PAGES if blocks_of(page) and name_of(page) not in OWN_TESTS]


def recordings(names=NAMES, annotators=("2", "3")):
    """Simulated dyads named like those of the pages, with labels behavior, S1 and S2 of two annotators."""
    for place, name in enumerate(names):
        (plan,) = equal_plans(1, 1400 if name == "07" else 900, {"train": 1.0}, missing=0.05)
        made = simulate_plan(plan, seed=place)
        own = made.labels["behavior"]
        annotator = annotators[place % len(annotators)]
        one, two = (own.frames + 1) % 4, own.frames.clip(0, 2)
        labels = {
            "behavior": replace(own, annotator=annotator),
            "S1": Labels(vocabulary=CLASSES, frames=one, background="base", annotator=annotator),
            "S2": Labels(vocabulary=("chase", "bite", "other"), frames=two, background="other", annotator=annotator),
        }
        yield replace(made, id=name, labels=labels, subset="train" if name in TRAIN else "test")


def write_tables():
    lines = [f"{name},rat{place},{'drug' if place % 2 else 'saline'}" for place, name in enumerate(NAMES)]
    split = {"train": ["0[1-4]", "07"], "validation": ["08"], "test": ["09", "12"]}
    for file, text in {
        "groups.csv": "\n".join(["recording,animal,treatment", *lines]),
        "names.csv": "cluster,name\n0,rest\n1,chase\n",
        "split.json": json.dumps(split),
        "changes.yaml": "optim: {lr: 1e-3}\n",
    }.items():
        Path(file).write_text(text, encoding="utf-8")


GIVEN = (
    "simulate --layout dlc --recordings 4 --frames 600 --out tracks",
    "pretrain store --out run --recipe summaries_tiny --steps 4 --seed 1",
    "pretrain store --out cpc_run --recipe cpc_tiny --steps 2",
    "embed run store --out embeddings",
    "cluster embeddings --out clusters --clusters 6",
    "describe clusters embeddings store --out described",
    "probe run store --task S1 --out results --seeds 1 --references untrained",
    "embed run store --out other_embeddings --recordings 09 12",
    "embed run store --out embeddings_of_another_seed",
    "export store --out corrected --format boris --streams S1",
)
COPIES = {"encoder": "run", "run0": "run", "run1": "run", "run2": "run", "my_encoder": "run"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with what pages take as given."""
    folder = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        torch.set_default_dtype(torch.float32)
        write_store("store", recordings())
        write_store("day1", recordings(NAMES[:2]))
        write_store("day2", recordings(NAMES[2:4]))
        write_store("anna_store", recordings(("20", "21"), ("Anna",)))
        write_tables()
        for command in GIVEN:
            assert cli.main(shlex.split(command)) == 0, command
        for name, source in COPIES.items():
            shutil.copytree(source, name)
    return folder


def small(words):
    """The command with fewer steps, seeds and frames, and files in place of placeholders."""
    words, verb = [PLACEHOLDERS.get(word, word) for word in words], words[0]
    if verb == "pretrain" and not {"--help", "--print-config", "--resume"} & set(words):
        words = [*without_option(words, "--steps"), "--steps", "2"]
        words += [] if "--data.window_frames" in words or "2021" in " ".join(words) else SMALL
    if verb == "probe":
        words = [*without_option(words, "--seeds"), "--seeds", "1"]
        words += [] if "--references" in words or "annotators" in words else ["--references", "untrained"]
    if verb == "simulate" and "--scale" not in words and "calms21" not in words:
        words = [*without_option(words, "--frames"), "--frames", "300"]
    return words


def without_option(words, option):
    place = words.index(option) if option in words else len(words)
    return words[:place] + words[place + 2 :]


def make_room(words):
    """Remove what the command will write; where it also reads it, or makes another store, write beside it."""
    if "--out" not in words or {"--resume", "--overwrite"} & set(words):
        return words
    place = words.index("--out") + 1
    out = Path(words[place])
    if not out.exists():
        return words
    if words.count(words[place]) > 1 or out.name == "store":
        return [*words[:place], f"{out}-{len(list(Path().glob(f'{out}*')))}", *words[place + 1 :]]
    shutil.rmtree(out) if out.is_dir() else out.unlink()
    return words


def run_shell(code):
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words or words[0] in ELSEWHERE:
            continue
        if words[0] == "torchrun":
            run_processes(words[1:])
        else:
            assert words[0] == "ssl-behavior", f"a command that nothing runs: {line}"
            assert cli.main(make_room(small(words[1:]))) == 0, line


def run_processes(words):
    """A torchrun of two processes on this machine."""
    place = words.index("ssl_behavior") + 1
    own = make_room(small(words[place:]))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "ssl_behavior", *own]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=path)
    assert done.returncode == 0, done.stderr[-2000:]


def short_training(config, *arguments, **options):
    """Training from Python, of two steps."""
    data = replace(config.data, window_frames=256, batch_size=2, validation_batches=1)
    return train(replace(config, steps=2, data=data), *arguments, **options)


def run_python(code, names, page):
    if file := re.match(r"# (\w+\.py)\n", code):
        Path(file[1]).write_text(code, encoding="utf-8")
        return
    for out in WRITTEN.findall(code):
        if Path(out).is_dir():
            shutil.rmtree(out)
    exec(compile(code, page, "exec"), names)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_block_runs(page, workspace, tmp_path, monkeypatch):
    torch.set_default_dtype(torch.float32)
    shutil.copytree(workspace, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(estimator, "train", short_training)
    names = {"__name__": "__main__"}
    for language, code in blocks_of(page):
        if language == "shell":
            run_shell(code)
        elif language == "python":
            run_python(code, names, name_of(page))
        else:
            Path("changes.yaml").write_text(code, encoding="utf-8")


def test_blocks_that_do_not_run_have_a_reason():
    for page in (page for page in PAGES if name_of(page) != "CONTRIBUTING.md"):
        for one in re.findall(r"<!-- not run(.*?)-->", page.read_text(encoding="utf-8")):
            assert re.fullmatch(r": .{10,} ", one), f"{name_of(page)}: <!-- not run{one}-->"


def test_our_side_of_the_table_of_other_packages_runs(workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimator, "train", short_training)
    torch.set_default_dtype(torch.float32)
    shutil.copy(next((workspace / "tracks").glob("mouse001DLC*.csv")), "a.csv")
    store = write_store("store", recordings(("a", "b", "c", "d")))
    encoder = sb.load(workspace / "run", "cpu")
    embeddings = encoder.embed_store(store, "embeddings")
    names = {"sb": sb, "store": store, "encoder": encoder, "embeddings": embeddings}
    names["clusters"] = sb.cluster(embeddings, 4, verbose=False)
    page = (ROOT / "docs" / "reference" / "other-packages.md").read_text(encoding="utf-8")
    calls = [line.split(" | ")[-1].strip(" |`") for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(calls) == 12
    for call in calls:
        if "push_to_hub" not in call:
            assert eval(call, names) is not None, call
