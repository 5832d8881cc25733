import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, detect_format, read_recordings

VOCABULARY = ["attack", "investigation", "mount", "other"]


def read(path):
    return list(read_recordings(path, ReadOptions()))


def aicrowd(make, seed, labels=None, annotator=2):
    values = make.calms21_sequence(5, seed, scores=False)
    values["annotator_id"] = annotator
    if labels is not None:
        values["annotations"] = np.array(labels)
    return values


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_official_layout_equals_the_json(tmp_path, make, protocol):
    contents = {"annotator-id_0": {"task1/train/m": make.calms21_sequence(7, 1, [3, 0, 1, 2, 3, 3, 3])}}
    path = make.write_npy(tmp_path / "calms21_task1_train.npy", contents, protocol)
    assert detect_format(path).name == "calms21_npy"
    (a,) = read(path)
    (b,) = read(make.write_calms21_json(tmp_path / "calms21_task1_train.json", contents))
    assert a.content_hash() == b.content_hash() and a.id == b.id and a.subset == b.subset == "train"
    np.testing.assert_array_equal(a.confidence, b.confidence)
    np.testing.assert_array_equal(a.labels["behavior"].frames, b.labels["behavior"].frames)
    assert a.labels["behavior"].annotator == b.labels["behavior"].annotator == "0"


def test_aicrowd_tasks_1_and_2(tmp_path, make):
    contents = {
        "vocabulary": VOCABULARY,
        "sequences": {"ab12": aicrowd(make, 1, [0, 1, 2, 3, 3]), "cd34": aicrowd(make, 2, [3, 3, 3, 3, 3], 5)},
    }
    first, second = read(make.write_npy(tmp_path / "train.npy", contents))
    assert (first.id, first.subset, first.confidence) == ("ab12", "train", None)
    assert first.labels["behavior"].vocabulary == tuple(VOCABULARY)
    assert first.labels["behavior"].frames.tolist() == [0, 1, 2, 3, 3]
    assert [r.labels["behavior"].annotator for r in (first, second)] == ["2", "5"]


def test_aicrowd_test_has_no_labels(tmp_path, make):
    (recording,) = read(make.write_npy(tmp_path / "test.npy", {"sequences": {"ab12": aicrowd(make, 1)}}))
    assert recording.labels == {} and recording.subset == "test"


@pytest.mark.parametrize("nested", [False, True])
def test_aicrowd_task_3_both_nestings(tmp_path, make, nested):
    def group(values):
        return {"sequences": values, "vocabulary": ["x"]} if nested else values

    contents = {
        "vocabulary": ["behavior-0", "behavior-1"],
        "behavior-0": group({"ab": aicrowd(make, 1, [0, 1, 1, 0, 0])}),
        "behavior-1": group({"cd": aicrowd(make, 2, [1, 0, 0, 0, 0])}),
    }
    first, second = read(make.write_npy(tmp_path / "train.npy", contents))
    assert first.labels["behavior-0"].frames.tolist() == [0, 1, 1, 0, 0]
    assert second.labels["behavior-1"].vocabulary == ("other", "behavior-1")
    assert second.labels["behavior-1"].background == "other"


def test_features_instead_of_keypoints(tmp_path, make):
    contents = {"annotator-id_0": {"task1/train/m": {"features": np.zeros((5, 60))}}}
    with pytest.raises(InputError, match=r"task-programming features.*--parse_treba"):
        read(make.write_npy(tmp_path / "x_features.npy", contents))


@pytest.mark.parametrize(
    "contents", [{}, {"a": 3}, {"a": {}}, {"a": {"b": 3}}, [1, 2], "text", {"sequences": {"a": {"keypoints": 3}}}]
)
def test_other_contents(tmp_path, make, contents):
    with pytest.raises(InputError):
        read(make.write_npy(tmp_path / "x.npy", contents))


def test_plain_array(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    with pytest.raises(InputError, match=r"plain float64 array of shape \[3, 2\]"):
        read(tmp_path / "x.npy")
