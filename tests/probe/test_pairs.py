"""Probes of ordered pairs: labels with agents and targets are learned, scored and written for every pair."""

import csv
import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from probe.annotate_command import main as annotate
from probe.command import parse
from probe.pair_scores import decided_bouts
from probe.pair_store import PairStore
from probe.representations import Frames, all_frames
from probe.run import run_probe
from probe.tasks import make_task, targets
from ssl_behavior.checkpoint import save_checkpoint
from ssl_behavior.embedding import embed_store
from ssl_behavior.errors import InputError
from ssl_behavior.methods import CPC
from ssl_behavior.recording import PairLabels, Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.splits import fraction_of, make_split
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowReader

from .conftest import TINY_CPC

FRAMES = (191, 173, 151, 139, 127, 113)
NAMES = ("m1", "m2", "m3")
SKELETON = replace(SKELETONS["calms21"], individuals=NAMES, exchangeable=True)


def spans(shown):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], shown.astype(int), [0]])))
    return edges.reshape(-1, 2)


def recording(name, frames, animals=3):
    """Mice that walk: `ahead` is of a pair, `right` of an animal with itself."""
    rng = np.random.default_rng(frames)
    center = (
        80 * np.sin(np.arange(frames)[:, None, None] / rng.uniform(8, 20, (3, 2)) + rng.uniform(0, 6, (3, 2))) + 400
    )
    body = np.array([[40, 0], [30, 10], [30, -10], [20, 0], [-20, 10], [-20, -10], [-30, 0]], float)
    keypoints = (center[:, :, None] + body + rng.normal(0, 1, (frames, 3, 7, 2))).astype(np.float32)
    bouts = []
    for agent in range(animals):
        for target in range(animals):
            ahead = center[:, target, 0] - center[:, agent, 0]
            shown = (ahead > 0) if agent != target else np.gradient(center[:, agent, 0]) > 0
            bouts += [(agent, target, int(agent == target), start, stop) for start, stop in spans(shown)]
    keypoints[:, animals:] = np.nan
    looked_for = np.ones((3, 3, 2), bool)
    looked_for[0, 1] = name != "r1"
    bouts = [bout for bout in bouts if looked_for[bout[0], bout[1], bout[2]]]
    labels = PairLabels(vocabulary=("ahead", "right"), bouts=np.array(bouts), looked_for=looked_for, annotator="ann")
    return Recording(
        id=name, keypoints=keypoints, fps=30.0, skeleton=SKELETON, individuals=NAMES, pair_labels={"acts": labels}
    )


@pytest.fixture
def store(tmp_path):
    made = [recording(f"r{number}", frames, 2 if number == 2 else 3) for number, frames in enumerate(FRAMES)]
    return write_store(tmp_path / "store", made)


@pytest.fixture
def pretrained(store, tmp_path):
    torch.manual_seed(0)
    method = CPC(TINY_CPC, store.skeleton, 30.0)
    method.fit_inputs(WindowReader([(store, row) for row in store.rows], 16))
    save_checkpoint(tmp_path / "run", method)
    return tmp_path / "run"


def run(*argv):
    screen = StringIO()
    return run_probe(parse([str(a) for a in argv]), Console(file=screen, width=300)), screen.getvalue()


def test_rows_are_those_of_an_embedding_of_pairs_with_oneself(store, pretrained, tmp_path):
    from ssl_behavior.checkpoint import load_checkpoint

    pairs = PairStore(store, "acts")
    embeddings = embed_store(load_checkpoint(pretrained), store, tmp_path / "e", unit="pair", with_self=True)
    assert pairs.with_self and embeddings.unit == "pair"
    assert [(row.id, row.offset, row.frames, row.agent, row.target) for row in pairs.rows] == [
        (row.id, row.offset, row.frames, row.agent, row.target) for row in embeddings.rows
    ]
    assert [row.id for row in pairs.rows if row.recording == "r2"] == ["r2@m1,m1", "r2@m1,m2", "r2@m2,m1", "r2@m2,m2"]
    assert pairs.fingerprint() == store.fingerprint()


def test_what_was_not_looked_for_is_neither_positive_nor_negative(store):
    pairs = PairStore(store, "acts")
    task = make_task(pairs, "acts")
    assert task.kind == "binary" and task.classes == ("ahead", "right")
    by_id = {row.id: targets(pairs, task, [row]) for row in pairs.rows}
    assert (by_id["r1@m1,m2"] == -1).all() and set(by_id["r0@m1,m2"][:, 0].tolist()) == {0, 1}
    # Nobody is ahead of himself, and nobody moves right toward another: these are no negatives.
    assert (by_id["r0@m1,m1"][:, 0] == -1).all() and (by_id["r0@m1,m2"][:, 1] == -1).all()
    labels = store.recording("r0").pair_labels["acts"]
    np.testing.assert_array_equal(by_id["r0@m3,m2"][:, 0], labels.frames(2, 1, 0, FRAMES[0]))


def test_recordings_are_held_out_as_a_whole(store):
    pairs = PairStore(store, "acts")
    split = make_split(pairs, None, 0, pairs.rows)
    parts = [{row.recording for row in part} for part in (split.fit, split.tune, split.evaluate)]
    assert set.union(*parts) == {row.id for row in store.rows}
    assert sum(map(len, parts)) == 6
    some = fraction_of(split.fit, 50.0, 0)
    assert {row.recording for row in some} < {row.recording for row in split.fit}
    assert len(some) == sum(row.recording in {one.recording for one in some} for row in split.fit)
    frames = all_frames([row for row in pairs.rows if row.recording in ("r3", "r4")])
    assert isinstance(frames, Frames) and np.unique(frames.recording).tolist() == [0, 9]


def test_a_probe_of_pairs_is_scored_saved_and_labels_recordings(store, pretrained, tmp_path, capsys):
    out = tmp_path / "probe"
    argv = [pretrained, store.path, "--task", "acts", "--out", out, "--seeds", 1, "--device", "cpu"]
    results, screen = run(*argv, "--references", "input_means,hand", "--train-stride", 3)
    assert "no references hand: they describe scenes" in screen and len(results["rows"]) == 2
    assert results["mabe25"]["f"].keys() == {"ahead", "right"} and results["mabe25"]["f"]["ahead"] > 0.7
    assert results["rows"][1]["classes"]["ahead"]["ap"]["mean"] > 0.8 and "MABe 2025's score" in screen
    assert results["classes"]["ahead"]["ap"]["mean"] > 0.8
    saved = json.loads((out / "probe.json").read_text())
    assert (saved["unit"], saved["toward_self"], saved["toward_others"]) == ("pair", ["right"], ["ahead"])
    annotate([str(a) for a in (pretrained, store.path, "--probe", out, "--out", tmp_path / "labels", "--device", "cpu",
                               "--format", "csv", "mabe", "boris")])  # fmt: skip
    said = capsys.readouterr().out
    assert "ahead" in said and "with agents and targets" in said
    rows = list(csv.DictReader(StringIO((tmp_path / "labels" / "submission.csv").read_text())))
    assert {row["action"] for row in rows} <= {"ahead", "right"} and {row["video_id"] for row in rows} <= {
        f"r{number}" for number in range(6)
    }
    assert all((row["target_id"] == "self") == (row["action"] == "right") for row in rows)
    truth = store.recording("r0").pair_labels["acts"]
    hits = shown = 0
    for row in rows:
        if row["video_id"] == "r0" and row["action"] == "ahead":
            start, stop = int(row["start_frame"]), int(row["stop_frame"]) + 1
            own = truth.frames(NAMES.index(row["agent_id"]), NAMES.index(row["target_id"]), 0, FRAMES[0])
            hits, shown = hits + int(own[start:stop].sum()), shown + stop - start
    assert shown and hits / shown > 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kind", "multinomial"], "may overlap, so each is learned against the rest"),
        (["--mode", "annotators"], "labels of scenes"),
        (["--task", "act"], r"no such label stream \(it has \['acts'\]\)"),
    ],
)
def test_options_of_scenes_are_refused(store, pretrained, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        run(pretrained, store.path, "--task", "acts", "--out", tmp_path / "o", *options)


def test_embeddings_of_scenes_are_refused(store, pretrained, tmp_path):
    from ssl_behavior.checkpoint import load_checkpoint

    scenes = embed_store(load_checkpoint(pretrained), store, tmp_path / "e")
    with pytest.raises(InputError, match="has no embedding of all frames of the recording 'r0@m1,m1'"):
        run(scenes.path, store.path, "--task", "acts", "--out", tmp_path / "o")


def test_thresholds_of_pairs_decide_in_place_of_one_half():
    probability = np.array([[0.2, 0.6], [0.4, 0.6], [0.4, 0.8], [np.nan, np.nan]])
    assert decided_bouts(probability, [True, True], False) == [(1, 0, 3)]
    assert decided_bouts(probability, [True, True], False, thresholds=(0.4, 0.7)) == [(0, 1, 3), (1, 2, 3)]
    # The most probable behavior may be below its own threshold.
    assert decided_bouts(probability[:2], [True, True], True, thresholds=(0.15, 0.7)) == [(0, 0, 2)]
    assert decided_bouts(probability[:3], [True, True], True, thresholds=(0.15, 0.7)) == [(0, 0, 2), (1, 2, 3)]
