"""Splits by recording: parts are disjoint, and nothing is chosen on scored recordings."""

import json
from dataclasses import replace

import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.splits import fraction_of, make_split
from ssl_behavior.store import write_store
from tests.probe.conftest import FRAMES, make_recording


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "store", [make_recording(f"r{i}", n) for i, n in enumerate(FRAMES)])


@pytest.fixture
def split_file(tmp_path):
    def write(contents):
        path = tmp_path / "split.json"
        path.write_text(contents if isinstance(contents, str) else json.dumps(contents))
        return path

    return write


def ids(rows):
    return [row.id for row in rows]


def test_three_parts_are_used_as_they_are(store, split_file):
    split = make_split(store, split_file({"train": ["r[0-3]"], "validation": ["r4"], "test": ["r5", "r6"]}))
    assert (ids(split.fit), ids(split.tune), ids(split.evaluate)) == (["r0", "r1", "r2", "r3"], ["r4"], ["r5", "r6"])
    assert split.evaluated_on == "test" and not split.tune_from_train
    assert ids(split.train) == ids(split.fit)


def test_without_test_validation_is_scored_and_nothing_is_chosen_on_it(store, split_file):
    split = make_split(store, split_file({"train": ["r[0-4]"], "validation": ["r5", "r6"]}))
    assert split.evaluated_on == "validation" and ids(split.evaluate) == ["r5", "r6"]
    assert split.tune_from_train and len(split.tune) == 1
    assert not set(ids(split.tune)) & set(ids(split.fit))
    assert ids(split.train) == ["r0", "r1", "r2", "r3", "r4"]


def test_the_stores_own_subsets_come_before_a_drawn_split(tmp_path):
    subsets = ["train", "test", "unlabeled", "train", "val"]
    made = write_store(tmp_path / "s", [make_recording(f"r{i}", 50 + i, subset=s) for i, s in enumerate(subsets)])
    split = make_split(made)
    assert (ids(split.fit), ids(split.tune), ids(split.evaluate)) == (["r0", "r3"], ["r4"], ["r1"])


def test_a_drawn_split_is_seeded_and_disjoint(store):
    first, again, other = make_split(store, seed=3), make_split(store, seed=3), make_split(store, seed=4)
    assert first == again and first.evaluate != other.evaluate
    used = ids(first.fit) + ids(first.tune) + ids(first.evaluate)
    assert sorted(used) == sorted(ids(store.rows))


def test_recordings_without_labels_of_the_task_are_left_out(store, split_file):
    file = split_file({"train": ["r[0-3]"], "test": ["r4", "r5"]})
    split = make_split(store, file, annotated=[store.row(name) for name in ("r0", "r2", "r5")])
    assert ids(split.train) == ["r0", "r2"] and ids(split.evaluate) == ["r5"]
    with pytest.raises(InputError, match="none of the 2 test recordings has labels"):
        make_split(store, file, annotated=[store.row("r0")])


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        ({"train": ["r0", "r1"], "test": ["r[1-2]"]}, "'r1' is in both 'train' and 'test'"),
        ({"train": ["r0"], "test": ["x*"]}, "no recording matches 'x\\*'"),
        ({"train": ["r0"], "test": []}, "part 'test' is empty"),
        ({"train": ["r0"]}, "neither a part 'test' nor 'validation'"),
        ({"test": ["r0"]}, "no part 'train'"),
        ({"train": ["r0"], "tets": ["r1"]}, "unknown parts \\['tets'\\]"),
        ({"train": "r0", "test": ["r1"]}, "must be a list"),
        ([], "JSON object"),
        ("{", "damaged"),
    ],
)
def test_a_wrong_split_file_is_refused_in_one_sentence(store, split_file, contents, sentence):
    with pytest.raises(InputError, match=sentence):
        make_split(store, split_file(contents))


def test_a_missing_split_file_and_a_single_recording_are_refused(store, tmp_path):
    with pytest.raises(InputError, match="is a folder, not a JSON file"):
        make_split(store, tmp_path)
    with pytest.raises(InputError, match="no such file"):
        make_split(store, tmp_path / "none.json")
    single = write_store(tmp_path / "one", [make_recording("only", 50)])
    with pytest.raises(InputError, match="at least 2"):
        make_split(single)


def test_fractions_are_nested_seeded_and_never_empty(store):
    rows = store.rows
    assert fraction_of(rows, 100.0, seed=0) == rows
    small, large = fraction_of(rows, 1.0, seed=5), fraction_of(rows, 60.0, seed=5)
    assert len(small) == 1 and len(large) == 4 and set(ids(small)) <= set(ids(large))
    assert len({tuple(ids(fraction_of(rows, 30.0, seed))) for seed in range(9)}) > 1


def test_copies_across_the_parts_are_named(tmp_path):
    one, two, three = (make_recording(f"r{i}", 50 + i) for i in range(3))
    copy = replace(one, id="copy")
    made = write_store(tmp_path / "s", [one, two, three, copy])
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"train": ["r0", "r1"], "test": ["r2", "copy"]}))
    split = make_split(made, file)
    assert split.copies == [("copy", "r0")] and split.to_dict()["copies"] == [["copy", "r0"]]
    file.write_text(json.dumps({"train": ["r0", "copy", "r1"], "test": ["r2"]}))
    assert make_split(made, file).copies == []
