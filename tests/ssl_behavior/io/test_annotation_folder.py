import json

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import annotated_recording, streams_of
from ssl_behavior.io.annotation_writers import FRAME_FORMATS, write_annotations
from ssl_behavior.recording import Labels, StreamFacts


def recording(name, frames=53):
    numbers = np.random.default_rng(frames).integers(-1, 3, frames)
    labels = {"S2": Labels(vocabulary=("chase", "bite", "rest"), frames=numbers, background="rest")}
    return annotated_recording(name, 30.0, labels, annotator="ann")


def test_every_format_of_every_recording_is_written_and_listed(tmp_path):
    made = [recording("a/r1"), recording("r2", 59)]
    out = tmp_path / "labels"
    write_annotations(out, iter(made), ["a/r1", "r2"], streams_of(made), list(FRAME_FORMATS), {"notes": ["a note"]})
    contents = json.loads((out / "labels.json").read_text())
    assert contents["format"] == "ssl-behavior labels" and contents["notes"] == ["a note"]
    assert contents["streams"] == [
        {"name": "S2", "classes": ["chase", "bite", "rest"], "background": "rest", "caltech": "S2", "bento": "Ch2"}
    ]
    assert [(one["id"], one["frames"], one["fps"], one["annotator"]) for one in contents["recordings"]] == [
        ("a/r1", 53, 30.0, "ann"), ("r2", 59, 30.0, "ann"),
    ]  # fmt: skip
    named = {file for one in contents["recordings"] for file in one["files"].values()} | set(contents["files"].values())
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == named | {"labels.json"} and len(named) == 2 * (len(FRAME_FORMATS) - 1) + 1
    project = json.loads((out / contents["files"]["boris"]).read_text())
    assert set(project["observations"]) == {"a/r1", "r2"}


def test_names_are_checked_before_anything_is_labeled(tmp_path):
    def never():
        raise AssertionError("a recording was asked for")
        yield

    bad = (StreamFacts(name="S1", classes=("a|b",)),)
    with pytest.raises(InputError, match="not allowed in a BORIS project"):
        write_annotations(tmp_path / "x", never(), ["r1"], bad, ["csv", "boris"])
    with pytest.raises(InputError, match="cannot be a file's name"):
        write_annotations(tmp_path / "x", never(), [".."], bad, ["csv"])
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="exists already"):
        write_annotations(tmp_path / "mine", never(), ["r1"], bad, ["csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_colliding_file_names_raise(tmp_path):
    twice = [recording("r1"), recording("r1")]
    with pytest.raises(InputError, match=r"two recordings would be written to r1\.csv on this disk"):
        write_annotations(tmp_path / "x", twice, ["r1"], streams_of(twice), ["csv"])
    assert not list(tmp_path.iterdir())


def test_failed_write_leaves_no_folder(tmp_path):
    def two():
        yield recording("r1")
        raise InputError("no more")

    with pytest.raises(InputError, match="no more"):
        write_annotations(tmp_path / "x", two(), ["r1", "r2"], streams_of([recording("r1")]), ["csv"])
    assert not list(tmp_path.iterdir())
