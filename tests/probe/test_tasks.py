"""Tasks from label streams: which classes, which frames, which means."""

import numpy as np
import pytest

from probe.tasks import annotated_rows, make_task, parse_macro, targets, task_parts
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store

RATS = ("base", "social", "nonsocial", "aggression")


def recording(name, frames=13, **labels):
    keypoints = np.random.default_rng(frames).normal(size=(frames, 2, 7, 2)).astype(np.float32)
    return Recording(id=name, keypoints=keypoints, fps=30.0, skeleton=SKELETONS["calms21"], labels=labels)


def test_a_preset_and_a_stream_give_the_same_task(store):
    preset, stream = make_task(store, "calms21_task1"), make_task(store, "behavior")
    assert preset.classes == stream.classes == ("attack", "mount", "other")
    assert preset.background == stream.background == "other"
    assert parse_macro(preset).classes == ("attack", "mount")


def test_without_background_the_mean_is_over_all_classes(tmp_path):
    labels = Labels(vocabulary=RATS, frames=np.arange(13) % 4)
    made = write_store(tmp_path / "s", [recording("a", S1=labels)])
    task = make_task(made, "S1")
    assert parse_macro(task).classes == RATS
    assert parse_macro(task, "aggression,social").classes == ("aggression", "social")
    assert parse_macro(make_task(made, "S1", background="base")).classes == RATS[1:]


def test_targets_are_one_hot_and_unannotated_frames_are_marked(store):
    task = make_task(store, "behavior")
    rows = [store.row("r2"), store.row("r5")]
    found = targets(store, task, rows)
    labels = np.concatenate([store.labels("behavior")[row.slice] for row in rows])
    assert (labels == -1).any()
    assert (found[labels == -1] == -1).all()
    assert (found[labels >= 0].argmax(axis=1) == labels[labels >= 0]).all()
    assert (found[labels >= 0].sum(axis=1) == 1).all()


def test_binary_classes_are_each_against_the_rest_and_drop_the_background(store):
    task = make_task(store, "behavior", kind="binary")
    assert task.classes == ("attack", "mount") and task.background == ""
    labels = store.labels("behavior")
    found = targets(store, task, store.rows)
    assert ((found[:, 1] == 1) == (labels == 1)).all() and ((found[:, 0] == -1) == (labels == -1)).all()


def test_several_streams_are_one_binary_task(tmp_path):
    def stream(name, frames):
        return Labels(vocabulary=("other", name), frames=np.array(frames), background="other")

    first = recording("a", 5, groom=stream("groom", [0, 1, 1, 0, -1]))
    second = recording("b", 3, approach=stream("approach", [1, 0, 1]))
    task = make_task(write_store(tmp_path / "s", [first, second]), "calms21_task3")
    made = write_store(tmp_path / "t", [first, second])
    assert task.classes == ("approach", "groom") and task.kind == "binary"
    expected = [[-1, 0], [-1, 1], [-1, 1], [-1, 0], [-1, -1], [1, -1], [0, -1], [1, -1]]
    assert targets(made, task, made.rows).tolist() == expected


def test_unannotated_recordings_are_left_out(tmp_path):
    seen = Labels(vocabulary=RATS, frames=np.arange(13) % 4)
    unseen = Labels(vocabulary=RATS, frames=np.full(13, -1))
    made = write_store(tmp_path / "s", [recording("a", S1=seen), recording("b", S1=unseen), recording("c")])
    assert [row.id for row in annotated_rows(made, make_task(made, "S1"))] == ["a"]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s: make_task(s, "S9"), "no such label stream .*behavior"),
        (lambda s: make_task(s, "calms21_task3"), "none of its label streams"),
        (lambda s: make_task(s, "behavior", background="rest"), "`background=rest`"),
        (lambda s: parse_macro(make_task(s, "behavior"), "attack,rest"), "\\['rest'\\] are not classes"),
        (lambda s: parse_macro(make_task(s, "behavior"), "attack,attack"), "named twice"),
    ],
)
def test_unknown_task_names_are_errors(store, call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(store)


def labeled(name, annotator):
    return recording(name, behavior=Labels(vocabulary=("a", "b"), frames=np.arange(13) % 2, annotator=annotator))


def test_annotators_are_parts_of_task_2_only(tmp_path):
    made = write_store(tmp_path / "s", [labeled(f"r{n}", annotator) for n, annotator in enumerate("0130315")])
    task1, task2 = make_task(made, "calms21_task1"), make_task(made, "calms21_task2")
    assert [row.id for row in annotated_rows(made, task1)] == ["r0", "r3"]
    assert task_parts(task1) == {"calms21_task1": task1}
    assert [row.id for row in annotated_rows(made, task2)] == ["r1", "r2", "r4", "r5", "r6"]
    parts = {name: [row.id for row in annotated_rows(made, part)] for name, part in task_parts(task2).items()}
    assert parts == {"annotator 1": ["r1", "r5"], "annotator 3": ["r2", "r4"], "annotator 5": ["r6"]}
    assert len(annotated_rows(made, make_task(made, "behavior"))) == 7


def test_task_with_absent_annotators_is_an_error(tmp_path):
    made = write_store(tmp_path / "s", [labeled("r0", "0"), labeled("r1", "0")])
    with pytest.raises(InputError, match=r"calms21_task2.*\['0'\]"):
        make_task(made, "calms21_task2")


def test_behaviors_are_the_parts_of_a_task_of_several_streams(tmp_path):
    def stream(name, frames):
        return Labels(vocabulary=("other", name), frames=np.array(frames), background="other")

    first = recording("a", 5, groom=stream("groom", [0, 1, 1, 0, -1]))
    second = recording("b", 3, approach=stream("approach", [1, 0, 1]))
    made = write_store(tmp_path / "s", [first, second])
    parts = task_parts(make_task(made, "calms21_task3"))
    assert list(parts) == ["approach", "groom"]
    (row,) = annotated_rows(made, parts["groom"])
    assert row.id == "a" and targets(made, parts["groom"], [row])[:, 0].tolist() == [0, 1, 1, 0, -1]
