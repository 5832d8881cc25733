import csv
import json

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.embeddings_folder import store_embeddings
from ssl_behavior.recording import Labels
from ssl_behavior.store import write_store

FRAMES = {"day:1/a": 211, "b[/i]": 307}
STARTS = {"day:1/a": (50, 170), "b[/i]": (20, 100, 250)}
LASTS = 13


@pytest.fixture(scope="module")
def folders(dyad, tmp_path_factory):
    """A store whose fights are labeled in one stream and far away in the embeddings, and these."""
    folder = tmp_path_factory.mktemp("explored")
    rng = np.random.default_rng(0)
    recordings, arrays = [], {}
    for id, frames in FRAMES.items():
        shown = np.zeros(frames, int)
        for start in STARTS[id]:
            shown[start : start + LASTS] = 1
        labels = {"S.1": Labels(vocabulary=("rest", "fight"), frames=shown)}
        if id == "b[/i]":
            labels["late"] = Labels(vocabulary=("x", "y"), frames=np.where(np.arange(frames) < 90, -1, 1))
        recordings.append(dyad(id, frames, labels=labels))
        arrays[id] = rng.normal(size=(frames, 7)) + 9 * shown[:, None]
    store = write_store(folder / "store", recordings)
    store_embeddings(folder / "e", store, store.rows, arrays.items(), "latent", lambda: "c" * 64)
    return folder


def neighbors(folders, *words):
    return main(["neighbors", str(folders / "e"), *words])


def test_bouts_like_an_example_are_listed_with_their_labels(folders, tmp_path, capsys):
    file, index = tmp_path / "bouts.csv", tmp_path / "index"
    words = ["--query", "day:1/a:52-60", "-k", "4", "--index", str(index), "--store", str(folders / "store")]
    assert neighbors(folders, *words, "--csv", str(file)) == 0
    said = capsys.readouterr().out
    assert "flat index of 518 frames x 7 (latent) by cosine in" in said and "exact" in said
    for cell in ("day:1/a", "b[/i]", "170-183", "20-33", "0:05.7", "0.4 s", "fight 100%", "not annotated", "y 100%"):
        assert cell in said
    rows = list(csv.DictReader(file.read_text().splitlines()))
    spans = {(row["recording"], row["start_frame"], row["stop_frame"]) for row in rows}
    assert spans == {("day:1/a", "170", "183"), *(("b[/i]", str(n), str(n + 13)) for n in STARTS["b[/i]"])}
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    first = next(row for row in rows if row["start_frame"] == "100")
    assert (first["start_s"], first["stop_s"]) == ("3.333", "3.767")
    assert {row["S.1"] for row in rows} == {"fight"} and {row["S.1_share"] for row in rows} == {"1.0000"}
    assert {row["start_frame"]: row["late"] for row in rows} == {"170": "", "20": "", "100": "y", "250": "y"}
    distances = [float(row["distance"]) for row in rows]
    assert distances == sorted(distances) and 0 < distances[0] < 1
    assert 170 <= int(next(row for row in rows if row["start_frame"] == "170")["nearest_frame"]) < 183


def test_an_index_is_kept_beside_the_embeddings_and_has_to_agree(folders, capsys):
    assert neighbors(folders, "--query", "b[/i]:25", "--kind", "ivf", "--stride", "3", "--no-unit") == 0
    assert "ivf index of 174 frames, every 3 frames x 7 (latent) by Euclidean distance" in capsys.readouterr().out
    made = json.loads((folders / "e.index" / "index.json").read_text())
    assert (made["kind"], made["stride"], made["frames"]) == ("ivf", 3, 174)
    before = (folders / "e.index" / "index.faiss").stat().st_mtime_ns
    assert neighbors(folders, "--query", "b[/i]:25", "--unlike", "b[/i]:200", "--kind", "auto", "--stride", "3") == 0
    assert (folders / "e.index" / "index.faiss").stat().st_mtime_ns == before
    capsys.readouterr()
    others = {
        "was built with another --unit (false, got true)": ["--unit"],
        "was built with another --stride (3, got 1)": ["--stride", "1"],
        "was built with another --kind (ivf, got flat)": ["--kind", "flat"],
        "was built with another --groups (none, got latent)": ["--groups", "latent"],
        "was built with another --dims (128, got 5)": ["--dims", "5"],
        "was built with another --recall (0.95, got 0.5)": ["--recall", "0.5"],
    }
    for words, arguments in others.items():
        assert neighbors(folders, "--query", "b[/i]:25", *arguments) == 2
        assert words in " ".join(capsys.readouterr().err.split())
    assert neighbors(folders, "--query", "b[/i]:25", "--kind", "hnsw", "--overwrite") == 0
    assert json.loads((folders / "e.index" / "index.json").read_text())["kind"] == "hnsw"


def test_fewer_bouts_than_asked_for_are_said_to_be_all(folders, tmp_path, capsys):
    words = ["--query", "day:1/a:52-60", "--index", str(tmp_path / "i"), "--recordings", "b*", "-k"]
    assert neighbors(folders, *words, "20") == 0
    said = capsys.readouterr().out
    assert "The search finds" in said and "day:1/a" not in said.split("in " + str(tmp_path))[1]


def test_mistakes_are_told_before_an_index_is_built(folders, tmp_path, capsys):
    index, store, query = str(tmp_path / "i"), str(folders / "store"), ["--query", "b[/i]:25"]
    other = write_store(tmp_path / "other", [recording_of(folders)])
    mistakes = {
        "expected RECORDING:FRAME or RECORDING:START-STOP": ["--query", "b[/i]"],
        "--unlike 'x': expected RECORDING:FRAME": [*query, "--unlike", "x"],
        "has no recording 'c'": ["--query", "c:3"],
        "b[/i]:307: recording 'b[/i]' has 307 frames": ["--query", "b[/i]:307"],
        "is both in --query and in --unlike": [*query, "--unlike", "b[/i]:25"],
        "the 432 searched frames have at most 28 bouts": [*query, "-k", "29"],
        "-k must be a whole number of 1 or more, got 0": [*query, "-k", "0"],
        "--exclude-seconds must be 0 or more": [*query, "--exclude-seconds", "-1"],
        "no recording matches 'z*'": [*query, "--recordings", "z*"],
        "is not a store": [*query, "--store", str(folders / "e")],
        "was embedded from another store": [*query, "--store", str(other.path)],
        "is a folder: choose another --csv": [*query, "--csv", str(tmp_path)],
        "cannot be made": [*query, "--csv", str(folders / "e" / "embeddings.json" / "x.csv")],
        "the embedding has no columns 'time'": [*query, "--without", "time"],
        "--dims must be 0 (all columns) or more": [*query, "--dims", "-1"],
        "--memory-gb must be more than 0": [*query, "--memory-gb", "0"],
        "takes 1.5e-05 GB, more than --memory-gb 1e-06": [*query, "--memory-gb", "1e-6", "--kind", "flat"],
        "--stride must be 1 or more": [*query, "--stride", "0"],
    }
    for words, arguments in mistakes.items():
        assert neighbors(folders, *arguments, "--index", index) == 2, words
        assert words in " ".join(capsys.readouterr().err.split()), words
        assert not (tmp_path / "i").exists()
    assert neighbors(folders, *query, "--index", store) == 2
    assert "exists already: choose another --index" in " ".join(capsys.readouterr().err.split())
    assert neighbors(folders, *query, "--index", store, "--overwrite") == 2
    assert "holds something else (it has no index.json)" in " ".join(capsys.readouterr().err.split())
    assert main(["neighbors", str(folders / "store"), *query]) == 2
    assert "is not an embeddings folder" in capsys.readouterr().err


def recording_of(folders):
    from ssl_behavior.store import Store

    return Store(folders / "store").recording("b[/i]")
