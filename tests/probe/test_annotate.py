"""Labels from Python in one call: the labels of the command, as objects and tables."""

import math

import numpy as np
import pytest
import torch

import ssl_behavior as sb
from ssl_behavior.cli import main
from ssl_behavior.methods import CPC
from ssl_behavior.skeleton import SKELETONS
from tests.probe.conftest import CLASSES, TINY_CPC

SPLIT = {"train": ["r0", "r1", "r2", "r3"], "test": ["r4", "r5", "r6"]}


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    method = CPC(TINY_CPC, SKELETONS["calms21"], 30.0)
    method.featurizer.scale_px.fill_(60.0)
    return sb.Encoder(method, "cpu")


def test_one_call_gives_the_labels_of_the_command(encoder, store, tmp_path, capsys):
    run = encoder.save_pretrained(tmp_path / "run")
    results = sb.probe(run, store, "behavior", seeds=1, references="none", split=SPLIT, verbose=False)
    labels = sb.annotate(encoder, store, results, recordings="r[45]", minimum_bout_frames=3, verbose=False)
    assert capsys.readouterr() == ("", "") and len(labels) == 2 and labels.folder is None
    argv = ["annotate", run, store.path, "--probe", results.folder, "--out", tmp_path / "labels", "--format", "npy"]
    assert main([str(one) for one in [*argv, "--recordings", "r4", "r5", "--minimum-bout-frames", 3]]) == 0
    for name in ("r4", "r5"):
        np.testing.assert_array_equal(
            labels[name].labels["behavior"].frames, np.load(tmp_path / "labels" / f"{name}.npy")
        )
    assert repr(labels).startswith("Labels of 2 recordings: ") and "behavior    attack, mount, other" in repr(labels)


def test_bouts_as_a_table_and_as_files(encoder, store, tmp_path):
    results = sb.probe(encoder, store, "behavior", seeds=1, references="none", split=SPLIT, verbose=False)
    labels = sb.annotate(encoder, store, results, out=tmp_path / "labels", format=["csv", "boris"], verbose=False)
    frame = labels.to_frame()
    assert list(frame) == [
        "recording", "stream", "behavior", "start_frame", "stop_frame", "start_s", "stop_s", "probability",
    ]  # fmt: skip
    assert set(frame["behavior"]) <= set(CLASSES) and len(frame) == sum(len(one.bouts) for one in labels.recordings)
    assert np.allclose(frame["start_s"] * 30, frame["start_frame"]) and not frame["probability"].map(math.isnan).any()
    assert labels.folder == tmp_path / "labels" and (tmp_path / "labels" / "project.boris").exists()


def test_mistakes_name_the_argument(encoder, store, tmp_path):
    results = sb.probe(encoder, store, "behavior", seeds=1, references="none", split=SPLIT, verbose=False)
    with pytest.raises(sb.InputError, match="`format`: unknown format 'xlsx'; known: csv, frames"):
        sb.annotate(encoder, store, results, format="xlsx", out=tmp_path / "none")
    with pytest.raises(sb.InputError, match="`format` needs `out`"):
        sb.annotate(encoder, store, results, format="boris")
    with pytest.raises(sb.InputError, match="`streams=sniff`"):
        sb.annotate(encoder, store, results, streams="sniff", verbose=False)
    with pytest.raises(sb.InputError, match="was not trained with labels and predicts none"):
        sb.annotate(encoder, store, verbose=False)
    with pytest.raises(sb.InputError, match="no labels of a recording 'r9'"):
        sb.annotate(encoder, store, results, recordings="r4", verbose=False)["r9"]
    (tmp_path / "labels").mkdir()
    with pytest.raises(sb.InputError, match="`out`"):
        sb.annotate(encoder, store, results, out=tmp_path / "labels", verbose=False)
