import shutil

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.embeddings_folder import store_embeddings
from ssl_behavior.store import Store, write_store


@pytest.fixture
def folders(dyad, tmp_path):
    write_store(tmp_path / "store", [dyad("one", 97), dyad("two", 61)])
    store = Store(tmp_path / "store")
    generator = np.random.default_rng(0)
    sequences = [(row.id, generator.normal(size=(row.frames, 7))) for row in store.rows]
    store_embeddings(tmp_path / "e[/m]", store, store.rows, sequences, "latent", lambda: "c" * 64)
    return str(tmp_path / "store"), str(tmp_path / "e[/m]")


def test_page_and_projector_are_written(folders, tmp_path, capsys):
    out, projector = tmp_path / "r[/m].html", tmp_path / "projector"
    argv = [
        "report",
        *folders,
        "--out",
        str(out),
        "--projector",
        str(projector),
        "--programs",
        "speed",
        "--title",
        "My <mice>",
    ]
    assert main(argv) == 0
    output = capsys.readouterr().out
    assert "r[/m].html" in output and "MB, open it in a browser" in output and "158 points" in output
    page = out.read_text(encoding="utf-8")
    assert "<title>My &lt;mice&gt;</title>" in page and "speed, resident" in page
    assert (projector / "projector_config.pbtxt").exists()


def test_the_same_seed_gives_the_same_page(folders, tmp_path):
    pages = []
    for number, seed in enumerate((0, 0, 1)):
        out = tmp_path / f"{number}.html"
        argv = ["report", *folders, "--out", str(out), "--points", "53", "--programs", "none", "--seed", str(seed)]
        assert main(argv) == 0
        pages.append(out.read_text(encoding="utf-8"))
    assert pages[0] == pages[1] != pages[2]


def test_recordings_option_selects_recordings(folders, tmp_path):
    assert (
        main(["report", *folders, "--out", str(tmp_path / "r.html"), "--recordings", "t*", "--programs", "none"]) == 0
    )
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert '"id":"two"' in page and '"id":"one"' not in page


def test_embeddings_of_another_store_give_a_notice(folders, tmp_path, dyad, capsys):
    write_store(tmp_path / "alike", [dyad("one", 97, seed=5), dyad("two", 61, seed=5)])
    assert (
        main(["report", str(tmp_path / "alike"), folders[1], "--out", str(tmp_path / "r.html"), "--programs", "none"])
        == 0
    )
    assert "was not made from" in capsys.readouterr().out


def test_user_errors_exit_2_and_write_nothing(folders, tmp_path, capsys):
    store, embeddings = folders
    mistakes = {
        "no recording matches 'x*'": [store, embeddings, "--recordings", "x*"],
        "is not an embeddings folder": [store, store],
        "is not a store": [embeddings, embeddings],
        "is not a clusters folder": [store, embeddings, "--clusters", store],
        "give their folder with --clusters": [store, embeddings, "--description", store],
        "is not a results folder": [store, embeddings, "--probe", store],
        "--points must be 1 to 100,000, got 0": [store, embeddings, "--points", "0"],
        "--projector-points must be 1 to 100,000": [store, embeddings, "--projector-points", "100001"],
        "no program matches 'spede'": [store, embeddings, "--programs", "spede"],
        "invalid choice": [store, embeddings, "--map", "isomap"],
    }
    for words, arguments in mistakes.items():
        assert main(["report", *arguments, "--out", str(tmp_path / "r.html")]) == 2
        assert words in " ".join(capsys.readouterr().err.split()) and not (tmp_path / "r.html").exists()


def test_existing_output_is_not_replaced(folders, tmp_path, capsys):
    out = tmp_path / "r.html"
    out.write_text("mine")
    assert main(["report", *folders, "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err and out.read_text() == "mine"
    assert main(["report", *folders, "--out", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    projector = tmp_path / "projector"
    shutil.copytree(folders[0], projector)
    argv = ["report", *folders, "--out", str(out), "--overwrite", "--projector", str(projector)]
    assert main(argv) == 2
    assert "it has no projector_config.pbtxt" in capsys.readouterr().err and out.read_text() == "mine"
    assert main(["report", *folders, "--out", str(out), "--overwrite", "--programs", "none"]) == 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_nonfinite_embeddings_exit_2(folders, tmp_path, capsys):
    array = np.load(f"{folders[1]}/embeddings.npy")
    array[100, 3] = np.nan
    np.save(f"{folders[1]}/embeddings.npy", array)
    assert main(["report", *folders, "--out", str(tmp_path / "r.html")]) == 2
    assert "recording 'two', frame 3" in capsys.readouterr().err and not (tmp_path / "r.html").exists()
