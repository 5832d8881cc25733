"""The verb `export` from end to end."""

import csv
import json

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.store import Store

from ..exports.made import FRAMES, make_place


@pytest.fixture(scope="module")
def place(dyad, tmp_path_factory):
    return make_place(tmp_path_factory.mktemp("export"), dyad)


def run(*arguments):
    return main(["export", *map(str, arguments)])


def bouts_in(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_clusters_become_bouts_with_names(place, tmp_path, capsys):
    (tmp_path / "names.csv").write_text("cluster,name\n2,chase\n5,chase\n")
    out = tmp_path / "out"
    arguments = ("--format", "csv", "npy", "boris", "--names", tmp_path / "names.csv", "--recordings", "a/*", "r2")
    assert run(place / "clusters", "--out", out, *arguments) == 0
    listed, clusters = json.loads((out / "labels.json").read_text()), np.load(place / "clusters" / "labels.npy")
    assert [one["id"] for one in listed["recordings"]] == ["a/r1", "r2"]
    assert listed["clusters"][2] == listed["clusters"][5] == "chase" and listed["clusters"][3] == "cluster_3"
    words = np.array([*listed["streams"][0]["classes"], ""])
    names = np.array([*listed["clusters"], ""])
    np.testing.assert_array_equal(words[np.load(out / "a/r1.npy")], names[clusters[:211]])
    expected = np.full(211, "", dtype=object)
    for bout in bouts_in(out / "a" / "r1.csv"):
        expected[int(bout["start_frame"]) : int(bout["stop_frame"])] = bout["behavior"]
        assert bout["stream"] == "cluster" and bout["actor"] == bout["probability"] == ""
    assert expected.tolist() == names[clusters[:211]].tolist()
    count = sum(len(bouts_in(out / f"{name}.csv")) for name in ("a/r1", "r2"))
    assert f"{count} bouts in 2 recordings: {out}" in capsys.readouterr().out


def test_store_labels_become_bouts(place, tmp_path):
    out = tmp_path / "out"
    assert run(place / "store", "--out", out, "--streams", "S1", "--actor", "intruder", "--format", "csv", "bento") == 0
    found = [bout for name in FRAMES for bout in bouts_in(out / f"{name}.csv")]
    assert {bout["actor"] for bout in found} == {"resident", "intruder"} and {b["stream"] for b in found} == {"S1"}
    frames = sum(int(bout["stop_frame"]) - int(bout["start_frame"]) for bout in found)
    assert frames == np.isin(Store(place / "store").labels("S1"), (0, 2)).sum()


def test_embeddings_become_a_table(place, tmp_path, capsys):
    out = tmp_path / "x.h5ad"
    arguments = ("--labels", place / "store", "--clusters", place / "clusters", "--groups", "latent", "past")
    assert run(place / "embeddings", "--out", out, *arguments) == 0
    assert "365 frames x 8 (past 5, latent 3, S1, S2, cluster) of 3 recordings" in capsys.readouterr().out
    assert out.is_file()


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        ("clusters", ["--labels", "x"], "--labels is not for clusters"),
        ("clusters", ["--actor", "resident"], "--actor is not for clusters"),
        ("embeddings", ["--format", "csv"], "--format is not for embeddings"),
        ("embeddings", ["--streams", "S1"], "--streams goes with --labels"),
        ("embeddings", ["--names", "x.json"], "--names goes with --clusters"),
        ("embeddings", [], "end in .npy, .parquet, .h5ad"),
        ("store", ["--names", "x.json"], "--names is not for a store"),
        ("store", ["--actor", "cat"], "--actor cat: no animal has this name"),
        ("store", ["--streams", "S9"], "no label stream 'S9'"),
        ("store", ["--recordings", "z*"], "no recording matches 'z*'"),
        ("clusters", ["--recordings", "z*"], "no recording matches 'z*'; it has 'a/r1'"),
        ("clusters", ["--minimum-bout-seconds", "-1"], "must be 0 or more, got -1"),
        ("clusters", ["--minimum-bout-seconds", "nan"], "must be 0 or more"),
        ("clusters", ["--media", "x.mp4"], "all recordings would have this video"),
        ("clusters", ["--media", "{id}\n"], "cannot be the name of a file"),
        ("clusters", ["--names", "missing.json"], "missing.json: cannot be read as cluster names"),
        ("clusters", ["--format", "nwb"], "invalid choice"),
        (".", [], "holds no clusters, embeddings or store"),
    ],
)
def test_user_errors_exit_2_and_write_nothing(place, tmp_path, capsys, kind, arguments, words):
    assert run(place / kind, "--out", tmp_path / "out", *arguments) == 2
    output = capsys.readouterr().err
    assert words in output and "Traceback" not in output and not list(tmp_path.iterdir())


def test_existing_output_is_not_replaced(place, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(place / "clusters", "--out", out) == 0
    assert run(place / "clusters", "--out", out) == 2 and "exists already" in capsys.readouterr().err
    assert run(place / "clusters", "--out", out, "--overwrite", "--format", "npy") == 0
    assert not (out / "r2.csv").exists() and (out / "r2.npy").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    assert run(place / "clusters", "--out", tmp_path / "mine", "--overwrite") == 2
    assert "holds something else" in capsys.readouterr().err
