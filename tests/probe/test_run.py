"""The verb from end to end, on small stores."""

import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from probe.command import main, parse
from probe.run import run_probe
from probe.saved_probes import load_heads
from ssl_behavior.checkpoint import save_checkpoint
from ssl_behavior.errors import InputError
from ssl_behavior.methods import CPC
from ssl_behavior.recording import Labels
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowReader

from .conftest import TINY_CPC


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


def run(*argv):
    screen = StringIO()
    results = run_probe(parse([str(a) for a in argv]), Console(file=screen, width=300))
    return results, screen.getvalue()


def test_embeddings_and_references_share_one_table(store, embeddings, tmp_path):
    out = tmp_path / "out"
    results, screen = run(
        embeddings.path, store.path, "--task", "behavior", "--out", out, "--seeds", 1, "--smooth",
        "--macro", "all", "--macro", "attack", "--fractions", "40,100", "--references", "raw",
    )  # fmt: skip
    assert json.loads(json.dumps(results)) == json.loads((out / "results.json").read_text())
    names = [(row["representation"], row["percent"], row["smoothed"]) for row in results["rows"]]
    assert len(names) == 2 * 2 * 2 and names[0] == ("trained encoder", 100.0, False)
    assert results["macro_ap"]["mean"] > 0.6 and results["classes"]["attack"]["support"] > 0
    assert results["store"] == store.fingerprint() and results["checkpoints"] == ["c0ffee"]
    assert results["split"]["evaluated_on"] == "test" and results["seeds"] == [0]
    assert "raw keypoints, 40 % of the labels" in screen and "smoothed" in screen
    assert {p.name for p in out.iterdir()} == {
        "results.json", "results.md", "results.csv", "probe.json", "probe.safetensors",
    }  # fmt: skip


def test_saved_heads_give_the_same_predictions(store, embeddings, tmp_path, array):
    out = tmp_path / "out"
    results, _ = run(
        embeddings.path, store.path, "--task", "behavior", "--out", out, "--seeds", 1, "--references", "none"
    )
    saved = load_heads(out)
    assert (saved.classes, saved.background, saved.checkpoint) == (("attack", "mount", "other"), "other", "c0ffee")
    predicted, labels = [], []
    for name in results["split"]["evaluated"]:
        row = store.row(name)
        predicted.append(saved.probabilities(array, row).argmax(axis=1))
        labels.append(store.labels("behavior")[row.slice])
    predicted, labels = np.concatenate(predicted), np.concatenate(labels)
    hits = ((predicted == 0) & (labels == 0)).sum()
    expected = 2 * hits / ((predicted[labels >= 0] == 0).sum() + (labels == 0).sum())
    assert results["classes"]["attack"]["f1"]["mean"] == pytest.approx(expected)


def test_run_embeddings_are_cached_and_compared_with_untrained_encoder(store, tmp_path, monkeypatch):
    for seed in (0, 1):
        torch.manual_seed(seed)
        method = CPC(TINY_CPC, store.skeleton, 30.0)
        method.fit_inputs(WindowReader([(store, row) for row in store.rows], 16))
        save_checkpoint(tmp_path / f"run{seed}", method)
    argv = [tmp_path / "run0", tmp_path / "run1", store.path, "--task", "behavior", "--out", tmp_path / "out"]
    argv += ["--seeds", 2, "--references", "untrained", "--device", "cpu"]
    results, _ = run(*argv)
    assert [row["representation"] for row in results["rows"]] == ["trained encoder (2 runs)", "untrained encoder"]
    assert len(set(results["checkpoints"])) == 2 and results["seeds"] == [0, 1]
    made = tmp_path / "out" / "embeddings"
    assert {p.name for p in made.iterdir()} == {"run-0", "run-1", "untrained-0", "untrained-1"}
    with pytest.raises(InputError, match="exists already"):
        run(*argv)
    monkeypatch.setattr("probe.run.embed_store", None)
    again, _ = run(*argv, "--overwrite")
    assert again == results


def test_windowed_input_references_have_table_rows(store, array, make_embeddings, tmp_path):
    embeddings = make_embeddings(tmp_path / "embeddings", array, channel_groups={"latent": 3, "time": 2})
    argv = [embeddings.path, store.path, "--task", "behavior", "--seeds", 1, "--references", "input_means,histograms"]
    results, _ = run(*argv, "--out", tmp_path / "out")
    names = {row["representation"]: row["dim"] for row in results["rows"]}
    histograms = ["PCA-3 of windowed histograms", "PCA-3 of windowed histograms, equal variances"]
    assert list(names) == ["trained encoder", "window means of the inputs", *histograms]
    assert [names[name] for name in histograms] == [5, 5], "as many columns as the embedding, time apart"
    assert names["window means of the inputs"] % 6 == 2


def test_default_references_are_all():
    assert parse(["run", "store", "--task", "x", "--out", "o"]).references == (
        "raw", "hand", "pca", "input_means", "histograms", "untrained",
    )  # fmt: skip


def test_references_share_time_columns_unless_left_out(store, array, make_embeddings, tmp_path):
    embeddings = make_embeddings(tmp_path / "embeddings", array, channel_groups={"latent": 3, "time": 2})
    argv = [embeddings.path, store.path, "--task", "behavior", "--seeds", 1, "--references", "raw"]
    results, screen = run(*argv, "--out", tmp_path / "with")
    assert [row["dim"] for row in results["rows"]] == [5, 44] and "columns for the time" in screen
    assert load_heads(tmp_path / "with").without == ()
    results, screen = run(*argv, "--out", tmp_path / "without", "--without", "ti*")
    assert [row["dim"] for row in results["rows"]] == [3, 42] and "columns for the time" not in screen
    saved = load_heads(tmp_path / "without")
    assert saved.without == ("time",) and saved.heads["plain"].head.weights.shape == (3, 3)


def annotated_by(store, path, annotators, subsets):
    """The store's recordings as those of several annotators."""
    recordings = []
    for recording, annotator, subset in zip(store, annotators, subsets, strict=True):
        labels = recording.labels["behavior"]
        labels = Labels(vocabulary=labels.vocabulary, frames=labels.frames, background="other", annotator=annotator)
        recordings.append(replace(recording, labels={"behavior": labels}, subset=subset))
    return write_store(path, recordings)


SUBSETS = ("train", "test", "train", "train", "test", "train", "train")


def test_task_2_score_is_the_mean_over_annotators(store, array, make_embeddings, tmp_path):
    styles = annotated_by(store, tmp_path / "styles", "1112222", SUBSETS)
    embeddings = make_embeddings(tmp_path / "embeddings", array, store=styles.fingerprint())
    argv = [embeddings.path, styles.path, "--seeds", 2, "--references", "none"]
    results, screen = run(*argv, "--task", "calms21_task2", "--out", tmp_path / "both")
    (row,) = results["rows"]
    assert list(row["parts"]) == ["annotator 1", "annotator 2"] and "in 2 parts" in screen
    for macro in ("ap", "f1", "f1_balanced"):
        per_part = [row["parts"][name]["macros"][0]["by_seed"][macro] for name in row["parts"]]
        expected = np.mean(per_part, axis=0)
        assert results[f"macro_{macro}"]["mean"] == pytest.approx(expected.mean())
        assert results[f"macro_{macro}"]["std"] == pytest.approx(expected.std())
    splits = results["split"]["parts"]
    assert [splits[name]["train"] for name in splits] == [["r0", "r2"], ["r3", "r5", "r6"]]
    assert [splits[name]["evaluated"] for name in splits] == [["r1"], ["r4"]]
    assert results["split"]["train"] == ["r0", "r2", "r3", "r5", "r6"]
    heads = [load_heads(tmp_path / "both" / "parts" / name) for name in ("annotator-1", "annotator-2")]
    assert not torch.equal(heads[0].heads["plain"].head.weights, heads[1].heads["plain"].head.weights)
    # An annotator's part is what the probe gives on that annotator's recordings alone.
    only = tmp_path / "only.json"
    only.write_text(json.dumps({"train": ["r3", "r5", "r6"], "test": ["r4"]}))
    alone, _ = run(*argv, "--task", "behavior", "--split", only, "--out", tmp_path / "alone")
    assert row["parts"]["annotator 2"]["classes"] == alone["rows"][0]["classes"]


def task3(store, path, unknown=""):
    """Behaviours as streams of their own on the same recordings, one of them annotated in some only."""
    recordings = []
    for number, recording in enumerate(store):
        frames = recording.labels["behavior"].frames
        streams = {}
        for label, name in enumerate(("approach", "groom", "sniff_face")):
            shows = np.where(frames >= 0, frames == label, -1)
            shows = np.minimum(shows, 0) if name == unknown else shows
            if name != "sniff_face" or number != 2:
                streams[name] = Labels(vocabulary=("other", name), frames=shows, background="other")
        recordings.append(replace(recording, labels=streams))
    return write_store(path, recordings)


def test_task_3_score_is_the_mean_over_behaviors_with_absent_one_undefined(store, array, make_embeddings, tmp_path):
    behaviors = task3(store, tmp_path / "behaviors", unknown="groom")
    embeddings = make_embeddings(tmp_path / "embeddings", array, store=behaviors.fingerprint())
    argv = [embeddings.path, behaviors.path, "--task", "calms21_task3", "--seeds", 1, "--references", "raw", "--smooth"]
    results, screen = run(*argv, "--out", tmp_path / "out", "--macro", "all", "--macro", "groom,approach")
    row = results["rows"][0]
    assert list(row["parts"]) == list(row["classes"]) == ["approach", "groom", "sniff_face"]
    assert row["undefined"] == ("groom",) and "undefined for groom" in screen
    both = [row["classes"][name]["ap"]["mean"] for name in ("approach", "sniff_face")]
    assert (
        row["macros"][0]["ap"]["mean"] == pytest.approx(np.mean(both)) and row["classes"]["groom"]["ap"]["mean"] is None
    )
    assert row["macros"][1]["name"] == "groom+approach" and row["macros"][1]["ap"]["mean"] == pytest.approx(both[0])
    parts = results["split"]["parts"]
    learned, scored = ({name for part in parts.values() for name in part[use]} for use in ("train", "evaluated"))
    assert not learned & scored and "r2" not in parts["sniff_face"]["train"]
    assert {path.name for path in (tmp_path / "out" / "parts").iterdir()} == {"approach", "sniff_face"}


def test_task_without_learnable_behavior_is_an_error(store, array, make_embeddings, tmp_path):
    nothing = [
        replace(
            recording,
            labels={"groom": Labels(vocabulary=("other", "groom"), frames=np.zeros(recording.num_frames, int))},
        )
        for recording in store
    ]
    behaviors = write_store(tmp_path / "behaviors", nothing)
    embeddings = make_embeddings(tmp_path / "embeddings", array, store=behaviors.fingerprint())
    with pytest.raises(InputError, match="two kinds"):
        run(
            embeddings.path,
            behaviors.path,
            "--task",
            "calms21_task3",
            "--out",
            tmp_path / "out",
            "--references",
            "none",
        )


def test_error_names_annotator_without_scored_recordings(store, array, make_embeddings, tmp_path):
    styles = annotated_by(store, tmp_path / "styles", "1122222", ("train", "test", *["train"] * 5))
    embeddings = make_embeddings(tmp_path / "embeddings", array, store=styles.fingerprint())
    with pytest.raises(InputError, match="annotator 2: "):
        run(embeddings.path, styles.path, "--task", "calms21_task2", "--out", tmp_path / "out")


def test_neighbor_probe_saves_no_head(store, embeddings, tmp_path):
    out = tmp_path / "out"
    argv = [embeddings.path, store.path, "--task", "behavior", "--out", out, "--mode", "knn"]
    results, screen = run(*argv, "--seeds", 1, "--references", "untrained")
    assert results["macro_ap"]["mean"] > 0.6 and not (out / "probe.json").exists()
    assert "no untrained encoder" in screen


def test_validation_scores_have_a_note(store, embeddings, tmp_path):
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["r[0-4]"], "validation": ["r5", "r6"]}))
    argv = [embeddings.path, store.path, "--task", "behavior", "--out", tmp_path / "out", "--split", split]
    results, screen = run(*argv, "--seeds", 1, "--references", "none")
    assert results["split"]["evaluated_on"] == "validation" and "results on the validation recordings" in screen
    assert set(results["split"]["chosen_on"]) < {"r0", "r1", "r2", "r3", "r4"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--seeds", "0"], "`seeds` must be at least 1"),
        (["--fractions", "1,x"], "--fractions are numbers"),
        (["--fractions", "5,50"], "must hold 100"),
        (["--fractions", "0,100"], "above 0"),
        (["--references", "raw,magic"], "unknown \\['magic'\\]"),
        (["--train-stride", "0"], "`train_stride` must be at least 1"),
    ],
)
def test_invalid_options_fail_before_reading_files(options, sentence):
    with pytest.raises(InputError, match=sentence):
        main(["run", "store", "--task", "x", "--out", "nowhere", *options])


def test_unrelated_output_folder_is_unchanged(store, embeddings, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists already"):
        run(embeddings.path, store.path, "--task", "behavior", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"
