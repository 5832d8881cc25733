"""`annotate` with a saved probe, on small stores."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from probe.annotate_command import main
from probe.annotators import AnnotatorConfig, annotated_frames, fit_annotators
from probe.experiment import Experiment
from probe.frozen_probes import run_experiment
from probe.label_predictors import LabelPredictor, decided_labels, write_labels
from probe.saved_probes import load_annotators, load_heads, save_annotators, save_heads
from probe.tasks import annotated_rows, make_task, parse_macro
from ssl_behavior.checkpoint import save_checkpoint
from ssl_behavior.embedding import embed_store
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import labels_from_annotation
from ssl_behavior.io.caltech import read_caltech
from ssl_behavior.label_changes import add_labels
from ssl_behavior.labeled_windows import LabelFacts, StreamFacts
from ssl_behavior.methods import CPC
from ssl_behavior.resampling import resample
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.splits import make_split
from ssl_behavior.store import Store, write_store
from ssl_behavior.windows import WindowReader

from .conftest import CLASSES, FRAMES, TINY_CPC, make_recording

FAST = AnnotatorConfig(hidden_dim=7, steps=20, batch_frames=128)


def styled(name, frames, annotator):
    recording = make_recording(name, frames)
    labels = {stream: replace(one, annotator=annotator) for stream, one in recording.labels.items()}
    return replace(recording, labels=labels)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store of two annotators, a checkpoint, its embeddings, and a probe of each kind."""
    torch.set_default_dtype(torch.float32)
    folder = tmp_path_factory.mktemp("place")
    store = write_store(folder / "store", [styled(f"a/r{i}", n, str(i % 2)) for i, n in enumerate(FRAMES)])
    torch.manual_seed(0)
    method = CPC(TINY_CPC, SKELETONS["calms21"], 30.0)
    method.fit_inputs(WindowReader([(store, row) for row in store.rows], 64))
    save_checkpoint(folder / "run", method)
    without = tuple(name for name in method.channel_groups if name == "time")
    embeddings = embed_store(method.eval(), store, folder / "embeddings", dtype="float32", without=without)
    for name, kind in (("binary", "binary"), ("linear", "multinomial")):
        task = make_task(store, "behavior", kind)
        experiment = Experiment(
            store, task, make_split(store, annotated=annotated_rows(store, task)), parse_macro(task)
        )
        (folder / name).mkdir()
        save_heads(
            folder / name, experiment, run_experiment(experiment, embeddings.array, 0), method.fingerprint(), without
        )
    frames = annotated_frames(store, task, embeddings.array, store.rows, ["0", "1"])
    probe = fit_annotators(frames, ["0", "1"], CLASSES, FAST, 0)
    save_annotators(folder / "annotators", probe, task, method.fingerprint(), without)
    return folder


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


def annotate(place, out, *more, run="run", store=None, probe="linear"):
    argv = [place / run, store or place / "store", "--probe", place / probe, "--out", out, "--device", "cpu", *more]
    return main([str(a) for a in argv])


def test_all_annotation_formats_hold_the_same_labels(place, tmp_path):
    out = tmp_path / "labels"
    assert annotate(place, out, "--format", "csv", "caltech", "npy", "--minimum-bout-frames", 3) == 0
    contents = json.loads((out / "labels.json").read_text())
    assert contents["streams"] == [
        {"name": "behavior", "classes": list(CLASSES), "background": "other", "caltech": "S1", "bento": "Ch1"}
    ]
    for entry in contents["recordings"]:
        assert entry["files"] == {
            "csv": f"{entry['id']}.csv",
            "caltech": f"{entry['id']}.txt",
            "npy": f"{entry['id']}.npy",
        }
        frames = np.load(out / entry["files"]["npy"], allow_pickle=False)
        assert frames.shape == (entry["frames"],) and frames.dtype == np.int16
        labels, _ = labels_from_annotation(read_caltech(out / entry["files"]["caltech"]), "S1", len(frames))
        assert np.array(labels.vocabulary)[labels.frames].tolist() == np.array(CLASSES)[frames].tolist()
        told = np.full(len(frames), "other", dtype=object)
        for bout in csv.DictReader((out / entry["files"]["csv"]).read_text().splitlines()):
            span = slice(int(bout["start_frame"]), int(bout["stop_frame"]))
            told[span] = bout["behavior"]
            assert span.stop - span.start >= 3 and 1 / 3 - 1e-3 < float(bout["probability"]) <= 1
        assert told.tolist() == np.array(CLASSES)[frames].tolist()


def test_a_run_and_its_embeddings_give_the_same_labels(place, tmp_path):
    for run in ("run", "embeddings"):
        annotate(place, tmp_path / run, "--format", "npy", "--recordings", "a/r[12]", "--balanced", run=run)
    files = sorted((tmp_path / "run").rglob("*.npy"))
    assert [file.name for file in files] == ["r1.npy", "r2.npy"]
    for file in files:
        other = tmp_path / "embeddings" / file.relative_to(tmp_path / "run")
        np.testing.assert_array_equal(np.load(file), np.load(other))


def test_annotator_option_selects_the_style(place, tmp_path, capsys):
    for name in "01":
        annotate(place, tmp_path / name, "--format", "npy", "--annotator", name, probe="annotators")
        saved, store = load_annotators(place / "annotators"), Store(place / "store")
        array = np.load(place / "embeddings" / "embeddings.npy")
        for row in store.rows[:2]:
            expected = saved.probabilities(array, row, "plain", name).argmax(axis=1)
            np.testing.assert_array_equal(np.load(tmp_path / name / f"{row.id}.npy"), expected)
        assert f"as annotator {name} would label them" in capsys.readouterr().out
        told = json.loads((tmp_path / name / "labels.json").read_text())["recordings"]
        assert {one["annotator"] for one in told} == {name}


def test_default_style_is_the_recordings_own_annotator(place, tmp_path):
    annotate(place, tmp_path / "own", "--format", "npy", probe="annotators")
    annotate(place, tmp_path / "1", "--format", "npy", "--annotator", "1", probe="annotators")
    told = json.loads((tmp_path / "own" / "labels.json").read_text())
    assert {one["id"]: one["annotator"] for one in told["recordings"]} == {
        row.id: row.annotators["behavior"] for row in Store(place / "store").rows
    }
    assert told["notes"] == []
    np.testing.assert_array_equal(*(np.load(tmp_path / name / "a" / "r1.npy") for name in ("own", "1")))


def test_each_binary_class_is_a_stream(place, tmp_path):
    annotate(place, tmp_path / "labels", "--format", "npy", "csv", "caltech", probe="binary")
    contents = json.loads((tmp_path / "labels" / "labels.json").read_text())
    streams = [(one["name"], one["classes"], one["caltech"]) for one in contents["streams"]]
    assert streams == [("attack", ["other", "attack"], "S1"), ("mount", ["other", "mount"], "S2")]
    saved, array = load_heads(place / "binary"), np.load(place / "embeddings" / "embeddings.npy")
    for row in Store(place / "store").rows[:2]:
        expected = saved.probabilities(array, row, "plain") > 0.5
        np.testing.assert_array_equal(np.load(tmp_path / "labels" / f"{row.id}.npy"), expected)
        lines = csv.DictReader((tmp_path / "labels" / f"{row.id}.csv").read_text().splitlines())
        frames = {"attack": 0, "mount": 0}
        for bout in lines:
            assert bout["stream"] == bout["behavior"] and float(bout["probability"]) > 0.5
            frames[bout["stream"]] += int(bout["stop_frame"]) - int(bout["start_frame"])
        assert list(frames.values()) == expected.sum(axis=0).tolist()
    annotate(place, tmp_path / "mount", "--format", "npy", "--streams", "mount", probe="binary")
    np.testing.assert_array_equal(np.load(tmp_path / "mount" / f"{row.id}.npy"), expected[:, 1])


def test_stores_without_labels_are_annotated(place, tmp_path):
    bare = replace(make_recording("new", 353), labels={})
    write_store(tmp_path / "other", [bare])
    annotate(place, tmp_path / "labels", "--annotator", "1", store=tmp_path / "other", probe="annotators")
    assert (tmp_path / "labels" / "new.csv").exists()


def test_learn_option_adds_an_annotator_to_the_probe(place, tmp_path, capsys):
    write_store(tmp_path / "new", [styled("r8", 401, "7"), styled("r9", 307, "8")])
    assert annotate(place, tmp_path / "more", "--learn", "7", store=tmp_path / "new", probe="annotators") == 0
    assert "annotator 7 learned from 1 recording" in capsys.readouterr().out
    before, after = (load_annotators(folder) for folder in (place / "annotators", tmp_path / "more"))
    assert after.probe.annotators == ("0", "1", "7") and after.checkpoint == before.checkpoint
    array, row = np.load(place / "embeddings" / "embeddings.npy"), Store(place / "store").rows[0]
    for name in "01":
        np.testing.assert_array_equal(*(one.probabilities(array, row, "plain", name) for one in (before, after)))
    with pytest.raises(InputError, match=r"annotator .5. labeled .* \['7', '8'\]"):
        annotate(place, tmp_path / "x", "--learn", "5", store=tmp_path / "new", probe="annotators")


@pytest.mark.parametrize(
    ("more", "where", "words"),
    [
        (["--annotator", "1"], {}, "no annotator styles"),
        (["--learn", "1"], {}, "no annotator styles: make a probe"),
        (["--annotator", "9"], {"probe": "annotators"}, r"annotator '9' was not learned; .* knows \['0', '1'\]"),
        (["--streams", "S1"], {}, r"`streams=S1`: .*linear gives no such labels; it gives \['behavior'\]"),
        (["--annotator", "1", "--learn", "1"], {"probe": "annotators"}, "give one of them"),
        (["--recordings", "z*"], {}, "no recording matches 'z"),
        (["--minimum-bout-frames", "0"], {}, "at least 1"),
        ([], {"probe": "run"}, "is not a probe"),
    ],
)
def test_invalid_options_write_no_files(place, tmp_path, more, where, words):
    with pytest.raises(InputError, match=words):
        annotate(place, tmp_path / "labels", *more, **where)
    assert not list(tmp_path.iterdir())


def test_probe_must_match_encoder_and_columns(place, tmp_path):
    torch.manual_seed(1)
    method = CPC(TINY_CPC, SKELETONS["calms21"], 30.0)
    store = Store(place / "store")
    method.fit_inputs(WindowReader([(store, row) for row in store.rows], 64))
    save_checkpoint(tmp_path / "other", method)
    with pytest.raises(InputError, match="another encoder"):
        annotate(place, tmp_path / "labels", run=tmp_path / "other")
    contents = json.loads((place / "linear" / "probe.json").read_text())
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide" / "probe.safetensors").write_bytes((place / "linear" / "probe.safetensors").read_bytes())
    (tmp_path / "wide" / "probe.json").write_text(json.dumps(contents | {"without": []}))
    with pytest.raises(InputError, match="columns"):
        annotate(place, tmp_path / "labels", probe=tmp_path / "wide")
    assert not (tmp_path / "labels").exists()


@pytest.mark.parametrize("name", ["a/../b", "/a", "a//b"])
def test_recording_ids_cannot_leave_the_output_folder(place, tmp_path, name):
    write_store(tmp_path / "other", [replace(make_recording("new", 211), id=name)])
    with pytest.raises(InputError, match="cannot be a file's name"):
        annotate(place, tmp_path / "labels", store=tmp_path / "other")
    assert not (tmp_path / "labels").exists()


def test_decided_labels_are_the_most_probable_learned_class():
    probability = np.array([[0.5, np.nan, 0.5], [0.2, np.nan, 0.8], [0.9, np.nan, 0.1]])
    labels = decided_labels(
        probability, StreamFacts(name="behavior", classes=("attack", "mount", "other"), background="other")
    )
    assert [labels.vocabulary[label] for label in labels.frames] == ["attack", "other", "attack"]
    assert labels.background == "other"


class Alternating(LabelPredictor):
    """Class 1 in every other second, with a probability that falls from frame to frame."""

    def __init__(self, store):
        self.store, self.source, self.method, self.checkpoint = store, store.path, None, "c"
        stream = StreamFacts(name="S1", classes=("other", "dig"), background="other")
        self.facts = LabelFacts(streams=(stream,), annotators=("",))

    def probabilities(self, row, annotator="", balanced=False):
        frames = np.arange(row.frames)
        sure = np.where(frames // 30 % 2, 0.9 - 1e-3 * frames, 0.2)
        return {"S1": np.stack([1 - sure, sure], axis=1).astype(np.float32)}


def test_labels_of_resampled_recordings_are_those_of_the_video(tmp_path):
    """Frames, seconds and the bouts' probabilities are the source's; `labels add` brings them back."""
    recording = replace(make_recording("fast", 360), fps=60.0, labels={})
    store = write_store(tmp_path / "store", [resample(recording, 30.0)])
    summary = write_labels(Alternating(store), store.rows, tmp_path / "out")
    assert summary.total_seconds == 6 and summary.seconds["S1", "dig"] == 3 and not summary.notes
    rows = list(csv.DictReader((tmp_path / "out" / "fast.csv").read_text().splitlines()))
    starts = [(int(row["start_frame"]), float(row["start_s"]), float(row["stop_s"])) for row in rows]
    assert starts == [(60, 1.0, 2.0), (180, 3.0, 4.0), (300, 5.0, 6.0)]
    sure = [float(row["probability"]) for row in rows]
    assert sure == pytest.approx([0.9 - 1e-3 * middle for middle in (44.5, 104.5, 164.5)], abs=1e-4)
    add_labels(store.path, [tmp_path / "out"])
    found = Store(store.path).labels("S1")
    assert found.tolist() == (np.arange(180) // 30 % 2).tolist()


def test_a_threshold_decides_in_place_of_one_half():
    stream = StreamFacts(name="mount", classes=("other", "mount"), background="other")
    probability = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [np.nan, np.nan]])
    for threshold, expected in ((None, [0, 0, 1, 0]), (0.3, [0, 1, 1, 0]), (0.9, [0, 0, 0, 0])):
        assert decided_labels(probability, stream, threshold).frames.tolist() == expected
