"""Changes of label streams: what they do, that they are whole or absent, and that undo brings the store back."""

import json
import shutil

import numpy as np
import pytest

from ssl_behavior import label_changes as module
from ssl_behavior.cli import main
from ssl_behavior.errors import InputError
from ssl_behavior.importer import ImportOptions, import_recordings
from ssl_behavior.io import write_npz
from ssl_behavior.io.import_report import findings
from ssl_behavior.label_changes import (
    add_labels,
    drop_streams,
    label_changes,
    merge_behaviors,
    rename_behavior,
    rename_stream,
    undo_change,
)
from ssl_behavior.recording import Labels
from ssl_behavior.store import Store, write_store

GAPS = (
    "Caltech Behavior Annotator - Annotation File\n\nConfiguration file:\nx\ta\nother\tb\n\n"
    "S1:\tstart\tend\ttype\n-----\n\t1\t20\tx\n\t24\t41\tother\n"
)


@pytest.fixture
def store(tmp_path, dyad):
    made = []
    for number, name in enumerate(("a", "day/b")):
        frames = np.repeat(np.arange(-1, 3), 11)[: 41 + number]
        labels = {"S1": Labels(vocabulary=("x", "y", "z"), frames=frames, annotator="ann", background="z")}
        made.append(dyad(name, 41 + number, labels=labels if number else {**labels, "T.anna": labels["S1"]}))
    return write_store(tmp_path / "store", made).path


def words(path, stream):
    store = Store(path)
    return np.array([*store.streams[stream].vocabulary, ""])[store.labels(stream)].tolist()


def bouts(path, text="stream,behavior,start_frame,stop_frame\nS2,dig,3,7\n"):
    path.write_text(text)
    return path


def state(path):
    store = Store(path)
    labels = {name: (one.vocabulary, one.background, words(path, name)) for name, one in store.streams.items()}
    return labels, [row.annotators for row in store.rows]


CHANGES = {
    "rename stream": lambda path, folder: rename_stream(path, "S1", "social"),
    "rename in one": lambda path, folder: rename_stream(path, "S1", "S3", ["a"]),
    "rename behavior": lambda path, folder: rename_behavior(path, "S1", "z", "rest"),
    "merge": lambda path, folder: merge_behaviors(path, "S1", ["x", "y"], "xy"),
    "drop": lambda path, folder: drop_streams(path, ["S1"]),
    "add": lambda path, folder: add_labels(path, [bouts(folder / "a.csv")]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_undo_brings_back_what_was(store, tmp_path, change):
    before, files = state(store), sorted(store.rglob("*.npy"))
    made = CHANGES[change](store, tmp_path)
    assert state(store) != before and label_changes(store) == [made.sentence]
    merge_or_drop = drop_streams(store, ["T.anna"])
    assert label_changes(store)[1] == merge_or_drop.sentence
    assert undo_change(store).sentence == "undone: dropped T.anna"
    undo_change(store)
    assert state(store) == before and sorted(store.rglob("*.npy")) == files and label_changes(store) == []
    with pytest.raises(InputError, match="nothing to undo"):
        undo_change(store)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", ["atomic_file", "write_json"])
def test_a_killed_change_leaves_the_store_as_it_was(store, tmp_path, monkeypatch, change, step):
    before = state(store)

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, step, kill)
        try:
            CHANGES[change](store, tmp_path)
        except Killed:
            assert state(store) == before and label_changes(store) == []
        else:
            assert step == "atomic_file", "changes without arrays write only store.json"
            undo_change(store)
    CHANGES[change](store, tmp_path)
    named = json.loads((store / "store.json").read_text())
    used = {one.get("file", f"labels/{name}.npy") for name, one in named["streams"].items()}
    used |= {one.get("file", f"labels/{n}.npy") for n, one in named["label_changes"][0]["before"]["streams"].items()}
    assert {path.relative_to(store).as_posix() for path in (store / "labels").iterdir()} == used


def test_rename_merge_and_drop(store):
    before = words(store, "S1")
    rename_behavior(store, "S1", "z", "rest")
    merge_behaviors(store, "S1", ["x", "y"], "y")
    assert words(store, "S1") == [{"x": "y", "z": "rest"}.get(word, word) for word in before]
    assert Store(store).streams["S1"].background == "rest" and Store(store).streams["S1"].vocabulary == ("y", "rest")
    rename_stream(store, "S1", "social")
    drop_streams(store, ["T.anna"])
    assert set(Store(store).streams) == {"social"}
    assert [dict(row.annotators) for row in Store(store).rows] == [{"social": "ann"}] * 2
    assert Store(store).recording("day/b").labels["social"].annotator == "ann"
    merge_behaviors(store, "social", ["rest", "y"], "all")
    assert Store(store).streams["social"].vocabulary == ("all",) and Store(store).streams["social"].background == "all"


def test_raters_become_one_stream(store):
    rename_stream(store, "S1", "T", ["day/*"])
    rename_stream(store, "T.anna", "T")
    assert [dict(row.annotators) for row in Store(store).rows] == [{"S1": "ann", "T": "ann"}, {"T": "ann"}]
    assert words(store, "T")[:41] == words(store, "S1")[:41] and "T.anna" not in Store(store).streams
    assert set(words(store, "S1")[41:]) == {""}


def test_add_to_a_store(store, tmp_path):
    add_labels(store, [bouts(tmp_path / "b.csv")])
    assert words(store, "S2") == [""] * 41 + ["other"] * 3 + ["dig"] * 4 + ["other"] * 35
    with pytest.raises(InputError, match=r"recording 'day/b' has labels 'S2' already; pass `overwrite`"):
        add_labels(store, [tmp_path / "b.csv"])
    again = bouts(tmp_path / "b.csv", "stream,behavior,start_frame,stop_frame\nS2,run,0,2\n")
    add_labels(store, [again], overwrite=True)
    assert words(store, "S2")[41:44] == ["run", "run", "other"]
    with pytest.raises(InputError, match=r"c\.csv: no recording of .* has this name"):
        add_labels(store, [bouts(tmp_path / "c.csv")])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: rename_stream(path, "S9", "x"), "no label stream 'S9'"),
        (lambda path: rename_stream(path, "S1", "a/b"), "use letters, digits"),
        (lambda path: rename_stream(path, "S1", "T.anna"), "recording 'a' has labels 'T.anna' already"),
        (lambda path: rename_stream(path, "T.anna", "U", ["day/b"]), "nothing to rename"),
        (lambda path: rename_behavior(path, "S1", "q", "r"), r"S1 has no behavior 'q'; it has \['x', 'y', 'z'\]"),
        (lambda path: rename_behavior(path, "S1", "x", "y"), "has a behavior 'y' already; merge the two instead"),
        (lambda path: rename_behavior(path, "S1", "x", "x"), "nothing to rename; 'x' of S1 has this name already"),
        (lambda path: rename_behavior(path, "S1", "x", " "), "the new name of 'x' of S1 is empty"),
        (lambda path: merge_behaviors(path, "S1", ["x", "y"], ""), "the merged behavior of S1 is empty; pass it as"),
        (lambda path: merge_behaviors(path, "S1", ["x"], "q"), "name at least two behaviors"),
        (lambda path: drop_streams(path, ["S1", "S9"]), "no label stream 'S9'"),
        (lambda path: add_labels(path, [path / "store.json"]), "not an annotation file"),
    ],
)
def test_mistakes_change_nothing(store, call, message):
    before = state(store)
    with pytest.raises(InputError, match=message):
        call(store)
    assert state(store) == before and label_changes(store) == []


def test_the_verb(store, tmp_path, capsys):
    path = str(store)
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    assert main(["labels", "add", path, str(bouts(tmp_path / "a.csv"))]) == 0
    assert main(["labels", "rename", path, "S1:x", "run"]) == 0
    assert main(["labels", "rename", path, "S1", "moves"]) == 0
    assert main(["labels", "merge", path, "moves", "run", "y", "--into", "go"]) == 0
    assert main(["labels", "drop", path, "S2"]) == 0
    assert "added S2 (1 recording)" in capsys.readouterr().out
    assert main(["labels", "rename", path, "moves:go", "x", "--recordings", "a"]) == 2
    for _ in range(5):
        assert main(["labels", "undo", path]) == 0
    assert state(store) == state(copy)
    assert main(["labels", "undo", path]) == 2


@pytest.mark.parametrize(
    ("name", "write", "sentence"),
    [
        ("a.npy", lambda path: np.save(path, np.zeros(50, int)),
         "behavior: annotated frames lie after the end of the tracks and were dropped: a (9)"),
        ("a.npy", lambda path: np.save(path, np.zeros(30, int)),
         "behavior: frames after the last annotation are taken as not annotated: a (11)"),
        ("a.csv", lambda path: bouts(path, "stream,behavior,start_frame,stop_frame\nS2,dig,50,57\n"),
         "S2: annotated frames lie after the end of the tracks and were dropped: a (16)"),
        ("a.txt", lambda path: path.write_text(GAPS),
         "S1: frames between annotations are taken as other: a (3)"),
    ],
)  # fmt: skip
def test_labels_that_do_not_cover_the_tracks_are_reported_as_in_an_import(store, tmp_path, dyad, name, write, sentence):
    drop_streams(store, ["S1"])
    write(tmp_path / name)
    notices = add_labels(store, [tmp_path / name]).notices
    assert sentence in notices
    write_npz(tmp_path / "a.npz", dyad("a", 41))
    options = ImportOptions(annotations=(tmp_path / name,))
    assert sentence in findings(import_recordings([tmp_path / "a.npz"], tmp_path / "new", options))


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("a.csv", "frame,seconds,S2", lambda frame, fps: f"{frame},{frame / fps:.3f},dig"),
        ("a.csv", "stream,behavior,start_frame,stop_frame,start_s,stop_s",
         lambda frame, fps: f"S2,dig,{frame},{frame + 1},{frame / fps:.3f},{(frame + 1) / fps:.3f}"),
    ],
)  # fmt: skip
def test_tables_with_the_seconds_of_another_rate_are_reported(store, tmp_path, name, header, row):
    def notices(fps, count=36):
        lines = [header, *(row(frame, fps) for frame in range(count))]
        return " ".join(add_labels(store, [bouts(tmp_path / name, "\n".join(lines))], overwrite=True).notices)

    for fps, shown in ((12, "12"), (12.5, "12.5"), (20.0001, "20")):
        assert (
            f"a.csv: the annotated video has {shown} frames per second, the tracks of 'a' have 30; its frame numbers "
            "are read as frames of the tracks"
        ) in notices(fps)
    assert "a.csv" not in notices(30) and "29.97 frames" in notices(30_000 / 1001, 60)
    assert "a.csv" not in notices(24, 1), "seconds of a fiftieth of a second tell no rate"
