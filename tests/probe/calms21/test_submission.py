import json
import pickle

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score

from probe.calms21.submission import (
    BEHAVIORS,
    CLASSES,
    check_submission,
    main,
    read_predictions,
    read_submission,
    read_test_set,
    score_submission,
    write_submission,
)
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, write_store

LENGTHS = {"b": 53, "a": 101, "c": 31}


def recording(id, frames, labels=None, subset=""):
    keypoints = np.random.default_rng(frames).random((frames, 2, 7, 2)) * 100
    return Recording(
        id=id, keypoints=keypoints, fps=30.0, skeleton=SKELETONS["calms21"], labels=labels or {}, subset=subset
    )


def truth(frames, top, seed):
    values = np.random.default_rng([seed, frames]).integers(0, top + 1, frames)
    values[:3] = -1
    return values


@pytest.fixture(scope="module")
def release_store(tmp_path_factory):
    """A store with test recordings of all tasks, and others."""
    recordings = []
    for number, (name, frames) in enumerate(LENGTHS.items()):
        for annotator in ("0", "1", "4"):
            task = "task1" if annotator == "0" else "task2"
            # Another order of the vocabulary than the challenge's.
            labels = Labels(
                vocabulary=("other", "mount", "investigation", "attack"),
                frames=truth(frames, 3, int(annotator)), annotator=annotator, background="other",
            )  # fmt: skip
            id = f"{task}/{annotator}/{name}"
            recordings.append(recording(id, frames, {"behavior": labels}, "train" if number == 2 else "test"))
        for seed, behavior in enumerate(BEHAVIORS):
            labels = Labels(vocabulary=("other", behavior), frames=truth(frames, 1, seed), background="other")
            recordings.append(recording(f"task3/{behavior}/{name}", frames, {behavior: labels}, "test"))
    return write_store(tmp_path_factory.mktemp("store") / "store", recordings)


@pytest.fixture
def challenge_file(tmp_path):
    """The challenge's test file: one for all tasks, without labels."""
    sequences = {
        name: {"keypoints": np.random.default_rng(frames).random((frames, 2, 2, 7)), "annotator_id": 3}
        for name, frames in LENGTHS.items()
    }
    path = tmp_path / "test.npy"
    np.save(path, np.array({"sequences": sequences}, dtype=object))
    return path


def predictions(test, task, seed=0):
    rng = np.random.default_rng(seed)
    if task == 3:
        return {b: {id: rng.integers(0, 2, n) for id, n in test.frames.items()} for b in BEHAVIORS}
    return {id: rng.integers(0, 4, n) for id, n in test.frames.items()}


def plain(values):
    return {key: plain(item) if isinstance(item, dict) else item.tolist() for key, item in values.items()}


@pytest.mark.parametrize("task", [1, 2, 3])
def test_submission_has_the_challenges_format(challenge_file, tmp_path, task):
    test = read_test_set(challenge_file, task)
    assert test.frames == LENGTHS and not test.labels
    made = predictions(test, task)
    path = write_submission(tmp_path / "submission.npy", made, task, test)
    content = np.load(path, allow_pickle=True).item()
    wanted = plain(made)
    assert content == ({f"behavior-{k}": wanted[b] for k, b in enumerate(BEHAVIORS)} if task == 3 else wanted)
    sequences = content["behavior-4"] if task == 3 else content
    assert all(type(value) is int for values in sequences.values() for value in values)
    read = read_submission(path, task)
    assert plain_lists(read) == (wanted if task == 3 else {"": wanted})
    assert check_submission(read, test) == []


def plain_lists(labelings):
    return {group: {id: list(values) for id, values in values.items()} for group, values in labelings.items()}


@pytest.mark.parametrize("task", [1, 3])
def test_equal_predictions_give_equal_files(challenge_file, tmp_path, task):
    made = predictions(read_test_set(challenge_file, task), task)
    one = write_submission(tmp_path / "one.npy", made, task)

    def again(values):
        # Equal names that are other objects, the other way round, and narrower integers.
        return {
            "".join(list(key)): again(item) if isinstance(item, dict) else item.astype(np.int8)
            for key, item in reversed(values.items())
        }

    two = write_submission(tmp_path / "two.npy", again(made), task)
    assert one.read_bytes() == two.read_bytes()


def spoilt(test, task, **changes):
    group = "sniff_face" if task == 3 else ""
    made = predictions(test, task)
    groups = plain(made) if task == 3 else {"": plain(made)}
    for name, values in changes.items():
        if values is None:
            del groups[group][name]
        else:
            groups[group][name] = values
    return groups


@pytest.mark.parametrize("task", [1, 3])
@pytest.mark.parametrize(
    "changes, told",
    [
        ({"a": None, "b": None}, "2 sequences of {test} missing: label all of them (the first is 'b'{of})"),
        ({"z": [0]}, "1 sequence not in {test}: leave out all but test sequences (the first is 'z'{of})"),
        ({"c": [0] * 30}, "1 sequence of a wrong length: every frame has one label (the first is 'c'{of} with 30 labels"
                          " for 31 frames)"),
        ({"c": [0] * 7 + [1.0] + [0] * 23}, "that are not integers: convert them to int (the first is 'c'{of},"
                                            " frame 7 is 1.0)"),
        ({"c": [True] * 31}, "frame 0 is True"),
        ({"c": ["0"] * 31}, "frame 0 is '0'"),
        ({"c": np.zeros(31)}, "'c'{of}, float64 of shape [31])"),
        ({"c": np.zeros((31, 1), int)}, "int64 of shape [31, 1])"),
        ({"c": 5}, "a int instead of a list"),
        ({"c": [0] * 30 + [7]}, "frame 30 is 7)"),
        ({"c": [0] * 30 + [-1]}, "frame 30 is -1)"),
    ],
)  # fmt: skip
def test_each_kind_of_fault_is_one_sentence(challenge_file, task, changes, told):
    test = read_test_set(challenge_file, task)
    faults = check_submission(spoilt(test, task, **changes), test)
    assert len(faults) == 1
    assert told.format(test=challenge_file, of=" of sniff_face" if task == 3 else "") in faults[0]
    assert check_submission(spoilt(test, task), test) == []


def test_faults_name_the_vocabulary(challenge_file):
    for task, words in ((2, "use 0 attack, 1 investigation, 2 mount, 3 other"), (3, "use 0 (it does not show) or 1")):
        test = read_test_set(challenge_file, task)
        (fault,) = check_submission(spoilt(test, task, c=[9] * 31), test)
        assert words in fault


def test_task_3_needs_all_behaviors(challenge_file):
    test = read_test_set(challenge_file, 3)
    groups = spoilt(test, 3)
    groups["behavior-9"] = groups.pop("groom")
    one, two = check_submission(groups, test)[-2:]
    assert one == "no predictions of behavior-2 (groom): a submission to Task 3 has all 7"
    assert two.startswith("behavior-9: not a behavior of Task 3")


def saved(tmp_path, content):
    path = tmp_path / "submission.npy"
    np.save(path, np.array(content, dtype=object))
    return path


def test_wrong_layouts_and_files_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="'behavior-0' is a dictionary"):
        read_submission(saved(tmp_path, {"behavior-0": {"a": [0]}}), 1)
    with pytest.raises(InputError, match="'a' is not a dictionary"):
        read_submission(saved(tmp_path, {"a": [0]}), 3)
    with pytest.raises(InputError, match="Task 2"):
        read_submission(saved(tmp_path, "text"), 2)
    np.save(tmp_path / "plain.npy", np.zeros(5))
    with pytest.raises(InputError, match="float64"):
        read_submission(tmp_path / "plain.npy", 1)
    with pytest.raises(InputError, match="no such file"):
        read_submission(tmp_path / "none.npy", 1)
    with pytest.raises(InputError, match="got 4"):
        read_submission(tmp_path / "plain.npy", 4)


class Trap:
    def __reduce__(self):
        return (print, ("it ran",))


def test_submission_pickle_runs_no_code(tmp_path, capsys):
    path = tmp_path / "trap.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump({"a": Trap()}, file)
    with pytest.raises(InputError, match="asks to run"):
        read_submission(path, 1)
    assert "it ran" not in capsys.readouterr().out


@pytest.mark.parametrize("task", [1, 2, 3])
def test_submission_scores_equal_scikit_learn(release_store, task):
    test = read_test_set(release_store.path, task)
    made = predictions(test, task)
    score = score_submission(made if task == 3 else {"": made}, test)
    parts = {1: ["0"], 2: ["1", "4"], 3: BEHAVIORS}[task]
    f1, precision = [], []
    for part in parts:
        stream = part if task == 3 else "behavior"
        rows = [
            row for row in release_store.rows
            if row.subset == "test" and stream in row.annotators and (task == 3 or row.annotators[stream] == part)
        ]  # fmt: skip
        names = release_store.stream(stream).vocabulary
        known = [release_store.labels(stream)[row.slice] for row in rows]
        words = [CLASSES.index(names[n]) if task != 3 else int(names[n] == part) for n in np.concatenate(known)]
        predicted = np.concatenate([(made[part] if task == 3 else made)[row.id] for row in rows])
        keep = np.concatenate(known) >= 0
        arguments = {"labels": [1] if task == 3 else [0, 1, 2], "average": "macro", "zero_division": 0}
        f1.append(f1_score(np.array(words)[keep], predicted[keep], **arguments))
        precision.append(precision_score(np.array(words)[keep], predicted[keep], **arguments))
    assert score.f1 == pytest.approx(np.mean(f1), abs=1e-12)
    assert score.precision == pytest.approx(np.mean(precision), abs=1e-12)
    assert len(score.parts) == len(parts) and score.undefined == ()
    json.dumps(score.to_dict(), allow_nan=False)


def test_only_test_recordings_of_the_task_are_scored(release_store):
    test = read_test_set(release_store.path, 2)
    assert set(test.labels) == {"annotator 1", "annotator 4"} and set(test.labels["annotator 1"]) == {
        "task2/1/a", "task2/1/b",
    }  # fmt: skip
    assert test.required("") == [id for id in test.frames if id.startswith("task2/")]
    # Predictions of sequences that have no part in it change nothing.
    made = predictions(test, 2)
    few = {id: made[id] for id in test.required("")}
    assert score_submission({"": few}, test) == score_submission({"": {**made, "decoy": np.zeros(7)}}, test)
    with pytest.raises(InputError, match=r"1 sequence of .* missing"):
        score_submission({"": {id: few[id] for id in list(few)[1:]}}, test)


def test_perfect_and_unpredicted_and_undefined_classes(tmp_path):
    frames = np.array([0, 0, 2, 2, 3, 3, -1])
    store = write_store(
        tmp_path / "store", [recording("x", 7, {"behavior": Labels(vocabulary=CLASSES, frames=frames, annotator="0")})]
    )
    test = read_test_set(store.path, 1)
    score = score_submission({"": {"x": [0, 0, 2, 2, 3, 3, 1]}}, test)
    assert (score.f1, score.precision, score.undefined) == (1.0, 1.0, ("annotator 0: investigation",))
    score = score_submission({"": {"x": [3] * 7}}, test)
    assert (score.f1, score.precision) == (0.0, 0.0)


def test_unknown_labels_are_an_error(tmp_path, challenge_file):
    labels = Labels(vocabulary=("sleep",), frames=np.zeros(7, int), annotator="0")
    store = write_store(tmp_path / "store", [recording("x", 7, {"behavior": labels})])
    with pytest.raises(InputError, match="'sleep'"):
        read_test_set(store.path, 1)
    test = read_test_set(challenge_file, 1)
    with pytest.raises(InputError, match="no labels of Task 1"):
        score_submission({"": predictions(test, 1)}, test)


def test_numbered_behaviors_of_the_challenge_are_read(tmp_path):
    sequences = {
        id: {"keypoints": np.random.default_rng(0).random((n, 2, 2, 7)), "annotations": np.arange(n) % 2}
        for id, n in LENGTHS.items()
    }
    np.save(tmp_path / "task3.npy", np.array({"behavior-3": sequences, "vocabulary": ["x"]}, dtype=object))
    test = read_test_set(tmp_path / "task3.npy", 3)
    assert set(test.labels) == {"intromission"} and test.labels["intromission"]["c"].tolist() == [
        n % 2 for n in range(31)
    ]


def test_submission_command(release_store, challenge_file, tmp_path, capsys):
    test = read_test_set(challenge_file, 3)
    made = predictions(test, 3)
    np.savez(tmp_path / "made.npz", **{f"{b}/{id}": values for b, of in made.items() for id, values in of.items()})
    out = tmp_path / "submission.npy"
    write = ["write", str(tmp_path / "made.npz"), "--task", "3", "--test", str(challenge_file), "--out", str(out)]
    assert main(write) == 0 and "3 test sequences of Task 3, no faults" in capsys.readouterr().out
    assert plain_lists(read_submission(out, 3)) == plain(made)
    with pytest.raises(InputError, match="exists already"):
        main(write)
    assert main([*write, "--overwrite"]) == 0
    assert main(["check", str(out), "--task", "3", "--test", str(challenge_file)]) == 0
    with pytest.raises(InputError, match=r"submission.npy: 16 sequences of .* missing.*; 21 sequences not in"):
        main(["check", str(out), "--task", "3", "--test", str(short_store(release_store, tmp_path))])
    test = read_test_set(release_store.path, 1)
    write_submission(tmp_path / "one.npy", predictions(test, 1), 1, test)
    capsys.readouterr()
    labels = ["--labels", str(release_store.path)]
    assert main(["score", str(tmp_path / "one.npy"), "--task", "1", *labels, "--out", str(tmp_path / "s.json")]) == 0
    score = json.loads((tmp_path / "s.json").read_text())
    assert f"{score['f1']:.4f}" in capsys.readouterr().out


def short_store(store, tmp_path):
    """Test recordings of all behaviors: two for each, a third for the first two."""
    wanted = [row for row in store.rows if row.id.startswith("task3/") and not row.id.endswith("/c")]
    extra = [row for row in store.rows if row.id in ("task3/approach/c", "task3/groom/c")]
    return write_store(tmp_path / "short", [Store(store.path).recording(row.id) for row in wanted + extra]).path


def test_wrong_prediction_files_are_input_errors(tmp_path):
    with pytest.raises(InputError, match=r"ends in \.npy"):
        write_submission(tmp_path / "x.pkl", {"a": np.zeros(3, int)}, 1)
    with pytest.raises(InputError, match="not integers"):
        write_submission(tmp_path / "x.npy", {"a": np.zeros(3)}, 1)
    assert not list(tmp_path.iterdir())
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InputError, match="integer array"):
        read_predictions(tmp_path / "one.npy", 1)
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(InputError, match=r"\.npz"):
        read_predictions(tmp_path / "text.npz", 1)
    np.savez(tmp_path / "a.npz", a=np.zeros(3, int))
    with pytest.raises(InputError, match="behavior/recording"):
        read_predictions(tmp_path / "a.npz", 3)
    np.savez(tmp_path / "b.npz", a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="Object arrays cannot be loaded"):
        read_predictions(tmp_path / "b.npz", 1)
