import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import labels_from_annotation
from ssl_behavior.io.caltech import caltech_text, read_caltech

BEHAVIORS = ("attack", "approach", "sniff face", "s", "other")
FIRST = [(0, 3, "attack"), (3, 4, "other"), (4, 11, "sniff face")]
SECOND = [(0, 11, "s")]


def test_written_file_is_read_back(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(caltech_text(BEHAVIORS, {"S1": FIRST, "S3": SECOND}), newline="")
    annotation = read_caltech(path)
    assert list(annotation.streams) == ["S1", "S3"]
    assert annotation.streams["S1"].vocabulary == ("attack", "sniff face", "other")
    for stream, intervals in (("S1", FIRST), ("S3", SECOND)):
        labels, span = labels_from_annotation(annotation, stream, 11)
        names = np.array(labels.vocabulary)[labels.frames].tolist()
        assert names == [name for start, stop, name in intervals for _ in range(start, stop)]
        assert (span.clipped, span.uncovered, span.after_end) == (0, 0, 0)


def test_every_behavior_has_a_key_of_its_own():
    names = [f"attack {i}" for i in range(90)]
    lines = caltech_text(names, {}).split("\r\n")
    keys = [line.split("\t")[1] for line in lines if "\t" in line]
    assert len(keys) == 90 == len(set(keys)) and keys[0] == "a" and all(len(key) == 1 for key in keys)


def test_lines_end_as_the_annotators_own():
    text = caltech_text(BEHAVIORS, {"S1": FIRST})
    assert text.endswith("\r\n") and text.count("\n") == text.count("\r\n")


@pytest.mark.parametrize("name", ["", " attack", "att\nack"])
def test_invalid_names_raise(name):
    with pytest.raises(InputError, match="not allowed in an annotation file"):
        caltech_text([name], {})


def test_more_behaviors_than_keys_are_refused():
    with pytest.raises(InputError, match="has keys for at most 93 behaviors, got 94"):
        caltech_text([f"b{i}" for i in range(94)], {})
