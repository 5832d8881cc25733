"""A probe in one call: the numbers of the command line, of encoders and embeddings, as a data frame."""

import json

import numpy as np
import pytest
import torch

import ssl_behavior
from probe.results import PLOTS
from ssl_behavior.cli import main
from ssl_behavior.embedding import Encoder
from ssl_behavior.errors import InputError
from ssl_behavior.methods import CPC
from ssl_behavior.skeleton import SKELETONS
from tests.probe.conftest import CLASSES, TINY_CPC

SPLIT = {"train": ["r0", "r1", "r2", "r3"], "test": ["r4", "r5", "r6"]}


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


def test_one_call_is_the_command(store, embeddings, tmp_path, capsys):
    settings = {"task": "behavior", "seeds": 2, "references": "none"}
    found = ssl_behavior.probe(embeddings, store, split=SPLIT, verbose=False, **settings)
    assert capsys.readouterr() == ("", "") and (found.folder / "probe.json").exists()
    (tmp_path / "split.json").write_text(json.dumps(SPLIT))
    words = [embeddings.path, store.path, "--task", "behavior", "--seeds", 2, "--references", "none", "--out"]
    assert main(["probe", *map(str, [*words, tmp_path / "out", "--split", tmp_path / "split.json"])]) == 0
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert json.loads(json.dumps(found.results))["rows"] == written["rows"]
    kept = ssl_behavior.probe([embeddings.path], store.path, split=SPLIT, out=tmp_path / "kept", **settings)
    assert kept.folder == tmp_path / "kept" and (tmp_path / "kept" / "probe.json").exists()


def test_scores_as_a_data_frame(store, embeddings):
    found = ssl_behavior.probe(embeddings, store, "behavior", seeds=1, references="raw", split=SPLIT, verbose=False)
    frame = found.to_frame()
    assert list(frame["class"]) == [*CLASSES] * 2
    assert set(frame["representation"]) == {"trained encoder", "raw keypoints"}
    attack = found.results["rows"][0]["classes"]["attack"]
    assert found.results["split"]["source"] == "the argument `split`"
    assert frame["ap"][0] == attack["ap"]["mean"] and frame["support"][0] == attack["support"]
    assert (frame["ap_std"] == 0).all()
    said = repr(found)
    assert said.startswith("Probe of 'behavior' (attack, mount, other), seeds: [0]")
    assert f"trained encoder, 100 %  macro AP {found.results['macro_ap']['mean']:.3f} ± 0.000" in said


def test_bout_scores_as_data_frames(store, embeddings, tmp_path):
    plot = {"split": SPLIT, "references": "raw", "verbose": False, "seeds": 2}
    found = ssl_behavior.probe(embeddings, store, "behavior", smooth=True, out=tmp_path / "out", **plot)
    frame = found.bouts_to_frame()
    # The background has no bouts; encoder and reference have a second row each, smoothed.
    assert list(frame["class"]) == ["attack", "mount"] * 4 and list(frame["smoothed"]) == ([False] * 2 + [True] * 2) * 2
    one = found.results["rows"][0]["bouts"]["mount"]["f1_25"]
    assert frame["f1_25"][1] == one["mean"] and frame["f1_25_low"][1] == one["interval"]["low"]
    assert (frame["f1_10"] >= frame["f1_75"]).all() and (frame["fragments"].dropna() >= 1).all()
    assert frame["f1_50"][2] > frame["f1_50"][0] and frame["fragments"][2] < frame["fragments"][0]
    each = found.bouts_to_frame(by_recording=True)
    assert list(each["recording"]) == SPLIT["test"] * 8 and (each["true_bouts"] > 0).all()
    assert frame["true_bouts"][0] == each["true_bouts"][:3].sum()
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["rows"][0]["bouts"]["mount"]["f1_25"] == one
    assert "## Bouts" in (tmp_path / "out" / "results.md").read_text()
    assert ",attack,bout_f1_50," in (tmp_path / "out" / "results.csv").read_text()
    del found.results["rows"][0]["recordings"]
    with pytest.raises(InputError, match="written before `probe` stored scores of bouts"):
        found.bouts_to_frame()


def test_an_encoder_in_memory_is_probed(store):
    torch.manual_seed(0)
    method = CPC(TINY_CPC, SKELETONS["calms21"], 30.0)
    method.featurizer.scale_px.fill_(60.0)
    found = ssl_behavior.probe(
        Encoder(method, "cpu"), store, "behavior", seeds=1, references=["untrained"], split=SPLIT, verbose=False
    )
    assert found.results["checkpoints"] == [method.fingerprint()]
    assert np.isfinite(found.to_frame()["ap"]).all() and len(found.results["rows"]) == 2


def test_columns_that_an_encoder_chooses_are_those_that_are_probed(store):
    torch.manual_seed(0)
    method = CPC(TINY_CPC, SKELETONS["calms21"], 30.0)
    method.featurizer.scale_px.fill_(60.0)
    encoder = Encoder(method, "cpu", without="time")
    found = ssl_behavior.probe(encoder, store, "behavior", seeds=1, references="none", split=SPLIT, verbose=False)
    assert found.results["groups"] == encoder.groups and found.results["rows"][0]["dim"] == encoder.dim


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "sleep"}, "`task=sleep`|`task` sleep"),
        ({"seeds": 0}, "`seeds` must be a whole number of 1 or more, got 0"),
        ({"references": "magic"}, r"`references`: unknown \['magic'\]; known: all, none, or some of"),
        ({"mode": "forest"}, r"`mode` must be one of \['linear', 'knn', 'annotators'\], got 'forest'"),
        ({"penalty": 3}, "`probe` has no argument 'penalty'; further options are mode"),
        ({"split": {"train": ["r9"], "test": ["r0"]}}, "r9"),
        ({"runs": []}, "`runs` is empty"),
    ],
)
def test_mistakes_name_the_argument(arguments, message, store, embeddings):
    given = {"runs": embeddings, "store": store, "task": "behavior", "references": "none", "verbose": False} | arguments
    with pytest.raises(InputError, match=message):
        ssl_behavior.probe(**given)


def test_results_hold_the_confusion_matrix_and_the_calibration(store, embeddings, tmp_path):
    plot = {"split": SPLIT, "references": "raw", "verbose": False, "seeds": 2}
    found = ssl_behavior.probe(embeddings, store, "behavior", fractions=(50.0, 100.0), out=tmp_path / "out", **plot)
    known = sum((store.labels("behavior")[store.row(id).slice] >= 0).sum() for id in SPLIT["test"])
    written = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    for row, again in zip(found.results["rows"], written, strict=True):
        counts = np.array(row["confusion"])
        assert again["confusion"] == counts.tolist()
        # Each held-out frame counts once a seed.
        assert counts.sum(axis=1).tolist() == [2 * row["classes"][name]["support"] for name in CLASSES]
        recall = np.diag(counts)[0] / counts[0].sum()
        assert recall == pytest.approx(row["classes"]["attack"]["recall"]["mean"])
        for name in CLASSES:
            bins = again["calibration"][name]
            assert sum(bins["frames"]) == 2 * known and sum(bins["positive"]) == 2 * row["classes"][name]["support"]
            pairs = zip(bins["probability"], np.arange(10) / 10, bins["frames"], strict=True)
            assert all((p is None) if not n else low <= p <= low + 0.1001 for p, low, n in pairs)


def test_classes_that_do_not_exclude_each_other_have_no_confusion_matrix(store, embeddings):
    found = ssl_behavior.probe(
        embeddings, store, "behavior", kind="binary", seeds=1, references="none", split=SPLIT, verbose=False
    )
    (row,) = found.results["rows"]
    assert row["confusion"] is None and list(row["calibration"]) == ["attack", "mount"]


def test_results_choose_their_plot(store, embeddings, monkeypatch):
    found = ssl_behavior.probe(embeddings, store, "behavior", seeds=1, references="none", split=SPLIT, verbose=False)
    drawn = []
    for name in PLOTS:
        monkeypatch.setitem(PLOTS, name, lambda results, name=name, **options: drawn.append((name, options)))
    found.plot(title="a")
    found.plot("calibration")
    found.results["task"] = found.results["task"] | {"kind": "binary"}
    found.plot()
    found.results["annotators"] = [{}]
    found.plot()
    found.results["rows"] = [found.results["rows"][0], found.results["rows"][0] | {"percent": 5.0}]
    found.plot()
    expected = ["confusion", "calibration", "calibration", "annotator_matrix", "few_label_curve"]
    assert drawn[0][1] == {"title": "a"} and [name for name, _ in drawn] == expected
    with pytest.raises(InputError, match="`kind` must be one of 'few_label_curve', 'confusion'"):
        found.plot("scores")


def test_plots_of_a_probe_are_drawn(store, embeddings):
    figure = pytest.importorskip("matplotlib.figure").Figure
    found = ssl_behavior.probe(
        embeddings, store, "behavior", seeds=2, references="raw", fractions=(50.0, 100.0), split=SPLIT, verbose=False
    )
    for kind in ("few_label_curve", "confusion", "calibration", "bouts"):
        ax = figure().subplots()
        assert found.plot(kind, ax=ax) is ax
        ax.figure.canvas.draw()
