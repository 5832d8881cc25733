"""`annotate` with a run that has label heads, without a probe."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from probe.annotate_command import main
from ssl_behavior.checkpoint import save_checkpoint
from ssl_behavior.embedding import embed_store
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig
from ssl_behavior.importer import import_recordings
from ssl_behavior.io.npz import write_npz
from ssl_behavior.joint_predictions import predict_row
from ssl_behavior.labeled_windows import LabeledReader, LabelFacts, Sampling, StreamFacts
from ssl_behavior.methods import CPC, CPCConfig, Joint
from ssl_behavior.methods.joint import JointConfig, LabelsConfig
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, write_store
from ssl_behavior.windows import WindowReader

from .conftest import make_recording

SOCIAL = ("attack", "mount", "other")
STREAMS = (
    StreamFacts(name="S1", classes=SOCIAL, background="other"),
    StreamFacts(name="S2", classes=("base", "groom")),
)
SHARES = {"S1": np.array([0.1, 0.2, 0.7]), "S2": np.array([0.9, 0.1])}
COMMON = {
    "features": FeatureConfig(blocks=("pose", "relation")),
    "encoder": EncoderConfig(
        stride=2, latent_dim=5, embedder_dim=7, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1,)
    ),
    "horizons_frames": (2,),
    "key_dim": 3,
}


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


def recording(name, frames, annotator):
    """One whose stream S1 was labeled by somebody."""
    made = make_recording(name, frames)
    return replace(made, labels={"S1": replace(made.labels["behavior"], annotator=annotator)})


def joint(store, annotators=("0", "1"), balanced=False):
    """A model with opinions and very different styles, drawn and not learned."""
    torch.manual_seed(0)
    labels = LabelsConfig(streams=STREAMS, annotators=annotators, hidden_dim=13, balanced=balanced)
    method = Joint(JointConfig(**COMMON, labels=labels), SKELETONS["calms21"], 30.0)
    facts = LabelFacts(streams=STREAMS, annotators=("0", "1"))
    labeled = {(str(store.path), row.id) for row in store.rows[:2]}
    method.fit_inputs(LabeledReader([(store, row) for row in store.rows], 64, labeled, facts, Sampling()))
    for number, stream in enumerate(STREAMS):
        method.label_counts.of(number).copy_(torch.from_numpy(1000 * SHARES[stream.name]))
    for parameter in method.label_heads.outputs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    with torch.no_grad():
        method.label_heads.annotator_matrix.mul_(20)
    return method.eval()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store of two annotators and a stranger, and runs that learned labels in several ways, or none."""
    torch.set_default_dtype(torch.float32)
    folder = tmp_path_factory.mktemp("place")
    who = ["1", "0", "7", "7"]
    made = [recording(f"a/r{i}", n, who[i]) for i, n in enumerate((211, 157, 193, 101))]
    store = write_store(folder / "store", made)
    for name, how in (("run", {}), ("nobody", {"annotators": ("",)}), ("balanced", {"balanced": True})):
        save_checkpoint(folder / name, joint(store, **how))
    cpc = CPC(CPCConfig(**COMMON), SKELETONS["calms21"], 30.0)
    cpc.fit_inputs(WindowReader([(store, row) for row in store.rows], 64))
    save_checkpoint(folder / "cpc", cpc)
    embed_store(cpc.eval(), store, folder / "embeddings")
    return folder


def annotate(place, out, *more, run="run", store=None):
    return main([str(a) for a in (place / run, store or place / "store", "--out", out, "--device", "cpu", *more)])


def read(out):
    return json.loads((out / "labels.json").read_text())


def words(out, entry, stream):
    """What each frame of a recording shows in a stream, by the `.npy`."""
    column, facts = next((n, one) for n, one in enumerate(read(out)["streams"]) if one["name"] == stream)
    frames = np.load(out / entry["files"]["npy"], allow_pickle=False)
    return np.array(facts["classes"])[frames[:, column] if frames.ndim == 2 else frames].tolist()


def test_labels_are_the_most_probable_classes(place, tmp_path):
    assert annotate(place, tmp_path / "out", "--format", "npy", "csv") == 0
    store = Store(place / "store")
    method, seen = joint(store), set()
    for row, entry in zip(store.rows, read(tmp_path / "out")["recordings"], strict=True):
        style = {"1": "1", "0": "0", "7": "0"}[row.annotators["S1"]]
        said = predict_row(method, store, row, style)
        assert entry["id"] == row.id and entry["annotator"] == style
        lines = list(csv.DictReader((tmp_path / "out" / entry["files"]["csv"]).read_text().splitlines()))
        for stream in STREAMS:
            shown = said[stream.name].argmax(axis=1)
            assert words(tmp_path / "out", entry, stream.name) == np.array(stream.classes)[shown].tolist()
            told = np.full(row.frames, stream.background, dtype=object)
            for bout in (line for line in lines if line["stream"] == stream.name):
                span = slice(int(bout["start_frame"]), int(bout["stop_frame"]))
                number = stream.classes.index(bout["behavior"])
                assert float(bout["probability"]) == pytest.approx(said[stream.name][span, number].mean(), abs=1e-4)
                told[span] = bout["behavior"]
            assert told.tolist() == np.array(stream.classes)[shown].tolist()
        assert lines == sorted(lines, key=lambda line: (int(line["start_frame"]), line["stream"]))
        seen |= set(words(tmp_path / "out", entry, "S1"))
    assert seen == set(SOCIAL), "heads with one opinion would prove nothing"


@pytest.mark.parametrize("streams", [("S1", "S2"), ("S2",)])
def test_written_annotations_are_imported_unchanged(place, tmp_path, streams):
    out, lab = tmp_path / "out", tmp_path / "lab"
    annotate(place, out, "--format", "caltech", "npy", "--streams", *reversed(streams))
    assert [one["name"] for one in read(out)["streams"]] == list(streams), "in the order they were learned"
    assert [one["caltech"] for one in read(out)["streams"]] == list(streams), "S2 alone is no S1"
    shutil.copytree(out / "a", lab, ignore=shutil.ignore_patterns("*.npy"))
    for number, one in enumerate(Store(place / "store")):
        write_npz(lab / f"r{number}.npz", replace(one, labels={}))
    import_recordings([lab], tmp_path / "again")
    again = Store(tmp_path / "again")
    assert set(again.streams) == set(streams)
    for entry in read(out)["recordings"]:
        labels = again.recording(entry["id"]).labels
        for stream in streams:
            shown = np.array(labels[stream].vocabulary)[labels[stream].frames].tolist()
            assert shown == words(out, entry, stream)


def test_absent_behavior_is_in_the_summary(place, tmp_path, capsys):
    annotate(place, tmp_path / "out", "--minimum-bout-frames", 10_000, "--streams", "S1")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line[:1] == ["S1"]] == [
        ["S1", "attack", "0", "0.0", "0.0"], ["S1", "mount", "0", "0.0", "0.0"]
    ]  # fmt: skip


def test_annotator_changes_the_style_only(place, tmp_path, capsys):
    store = Store(place / "store")
    method, row = joint(store), Store(place / "store").rows[2]
    said = {}
    for name in "01":
        annotate(place, tmp_path / name, "--format", "npy", "--annotator", name, "--recordings", row.id)
        said[name] = np.load(tmp_path / name / "a" / "r2.npy")
        expected = predict_row(method, store, row, name)
        np.testing.assert_array_equal(said[name], np.stack([v.argmax(axis=1) for v in expected.values()], axis=1))
        contents = read(tmp_path / name)
        assert contents["notes"] == [] and contents["recordings"][0]["annotator"] == name
        assert f"as annotator {name} would label them" in capsys.readouterr().out
    assert (said["0"] != said["1"]).any()
    first, second = (read(tmp_path / name) | {"recordings": None} for name in "01")
    assert first == second


def test_unknown_annotator_is_noted_once(place, tmp_path, capsys):
    annotate(place, tmp_path / "out")
    note = "annotator '7' was not learned, so frames are labeled as annotator '0', the first of ['0', '1'], would"
    assert capsys.readouterr().out.count(note) == 1
    assert read(tmp_path / "out")["notes"] == [f"labels S1, S2: {note}"]
    annotate(place, tmp_path / "nobody", run="nobody")
    assert read(tmp_path / "nobody")["notes"] == [], "where no styles were learned there is none to choose"


def test_balanced_labels_follow_from_the_shares_of_the_classes(place, tmp_path, capsys):
    store = Store(place / "store")
    method, row = joint(store), store.rows[0]
    annotate(place, tmp_path / "out", "--format", "npy", "--balanced", "--annotator", "0")
    said, plain = np.load(tmp_path / "out" / "a" / "r0.npy"), predict_row(method, store, row, "0")
    for column, stream in enumerate(STREAMS):
        np.testing.assert_array_equal(said[:, column], (plain[stream.name] / SHARES[stream.name]).argmax(axis=1))
    assert (said != np.stack([values.argmax(axis=1) for values in plain.values()], axis=1)).any()
    assert read(tmp_path / "out")["balanced"] and "weighed the same" not in capsys.readouterr().out


def test_balanced_model_is_not_balanced_twice(place, tmp_path, capsys):
    for name, more in (("plain", ()), ("balanced", ("--balanced",))):
        annotate(place, tmp_path / name, "--format", "npy", *more, run="balanced")
        assert ("its labels are balanced, with --balanced or without" in capsys.readouterr().out) == bool(more)
        assert read(tmp_path / name)["balanced"]
    np.testing.assert_array_equal(*(np.load(tmp_path / name / "a" / "r0.npy") for name in ("plain", "balanced")))


def test_short_recordings_and_missing_tracks_are_labeled(place, tmp_path):
    lost = make_recording("lost", 97)
    lost = replace(lost, labels={}, keypoints=np.full_like(lost.keypoints, np.nan))
    write_store(tmp_path / "new", [lost, replace(make_recording("short", 1), labels={})])
    annotate(place, tmp_path / "out", "--format", "npy", store=tmp_path / "new")
    shapes = {name: np.load(tmp_path / "out" / f"{name}.npy").shape for name in ("lost", "short")}
    assert shapes == {"lost": (97, 2), "short": (1, 2)}
    assert "no annotator is named" in read(tmp_path / "out")["notes"][0]


@pytest.mark.parametrize(
    ("more", "where", "message"),
    [
        ([], {"run": "cpc"}, r"cpc was not trained with labels .*`probe`.* recipe joint or finetune"),
        ([], {"run": "embeddings"}, r"embeddings holds embeddings and no labels: give a probe of them \(`probe`\)"),
        ([], {"run": "missing"}, "there is no such run or checkpoint folder"),
        (["--annotator", "9"], {}, r"annotator '9' was not learned; the model knows \['0', '1'\]"),
        (["--annotator", "9"], {"run": "nobody"}, "`annotator=9`: .*nobody has no annotator styles"),
        (["--streams", "S1", "S3"], {}, r"`streams=S3`: .*run gives no such labels; it gives \['S1', 'S2'\]"),
        (["--learn", "9"], {}, "not to the label heads of a run.* --mode annotators, .* --probe DIR"),
        (["--recordings", "z*"], {}, "no recording matches 'z"),
    ],
)
def test_invalid_options_are_one_sentence_and_write_no_files(place, tmp_path, more, where, message):
    with pytest.raises(InputError, match=message):
        annotate(place, tmp_path / "labels", *more, **where)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (replace(make_recording("new", 97), fps=50.0), "has 50 frames per second, the encoder was made for 30"),
        (make_recording("new", 97, skeleton="rat_dyads"), "has the keypoints .*; the encoder was made for"),
    ],
)
def test_recordings_that_do_not_fit_the_encoder_are_errors(place, tmp_path, made, message):
    write_store(tmp_path / "new", [made])
    with pytest.raises(InputError, match=message):
        annotate(place, tmp_path / "labels", store=tmp_path / "new")
    assert not (tmp_path / "labels").exists()
