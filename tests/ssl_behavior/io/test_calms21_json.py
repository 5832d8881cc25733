import json
import tracemalloc

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, UnknownFormatError, detect_format, read_recordings
from ssl_behavior.io.calms21 import decode_fast, nested

TIME = 11


def read(path, **options):
    return list(read_recordings(path, ReadOptions(**options)))


@pytest.fixture
def task1(make):
    labels = [3, 3, 1, 1, 2, 2, 0, 0, 3, 3, 3]
    return {
        "annotator-id_0": {
            "task1/train/mouse001_task1_annotator1": make.calms21_sequence(TIME, 1, labels),
            "task1/train/mouse002_task1_annotator1": make.calms21_sequence(7, 2, labels[:7]),
        }
    }


def test_axes_labels_and_facts_of_the_data_set(tmp_path, make, task1):
    path = make.write_calms21_json(tmp_path / "any name at all", task1)
    assert detect_format(path).name == "calms21_json"
    first, second = read(path)
    values = task1["annotator-id_0"]["task1/train/mouse001_task1_annotator1"]
    for t, mouse, xy, k in [(0, 0, 0, 0), (10, 1, 1, 6), (3, 0, 1, 5)]:
        assert first.keypoints[t, mouse, k, xy] == np.float32(values["keypoints"][t, mouse, xy, k])
        assert first.confidence[t, mouse, k] == np.float32(values["scores"][t, mouse, k])
    assert first.id == "task1/train/mouse001_task1_annotator1" and second.num_frames == 7
    assert (first.fps, first.resolution_px, first.subset) == (30.0, (1024.0, 570.0), "train")
    assert first.individuals == ("resident", "intruder") and first.skeleton.name == "calms21"
    labels = first.labels["behavior"]
    assert labels.vocabulary == ("attack", "investigation", "mount", "other")
    assert (labels.background, labels.annotator) == ("other", "0")
    assert labels.frames.tolist() == values["annotations"].tolist()


def test_vocabulary_follows_the_numbers_not_the_order(tmp_path, make):
    vocab = {"other": 1, "zzz": 0}
    contents = {"annotator-id_4": {"task2/annotator4/test/m": make.calms21_sequence(3, labels=[0, 1, 1], vocab=vocab)}}
    (recording,) = read(make.write_calms21_json(tmp_path / "x.json", contents))
    assert recording.labels["behavior"].vocabulary == ("zzz", "other") and recording.subset == "test"


def test_task3_gives_a_stream_named_after_its_behavior(tmp_path, make):
    contents = {
        "groom": {"task3/groom/train/m1_task3_groom": make.calms21_sequence(5, labels=[0, 1, 1, 0, 1])},
        "approach": {
            "task3/approach/test/m2_task3_approach": make.calms21_sequence(
                3, labels=[0, 1, 1], vocab={"approach": 0, "other": 1}
            )
        },
    }
    groom, approach = read(make.write_calms21_json(tmp_path / "x.json", contents))
    assert groom.labels["groom"].vocabulary == ("other", "groom")
    assert groom.labels["groom"].frames.tolist() == [0, 1, 1, 0, 1]
    assert approach.labels["approach"].vocabulary == ("other", "approach")
    assert approach.labels["approach"].frames.tolist() == [1, 0, 0]
    assert groom.labels["groom"].background == "other"


def test_unlabeled_part(tmp_path, make):
    contents = {"unlabeled_videos": {"unlabeled_videos/001": make.calms21_sequence(5)}}
    (recording,) = read(make.write_calms21_json(tmp_path / "calms21_unlabeled_videos_part1.json", contents))
    assert recording.labels == {} and recording.subset == "unlabeled"


def test_names_with_escapes_and_spread_out_text(tmp_path, make, task1):
    name = 'task1/train/a "quoted" \\ {braced} é'
    contents = {"annotator-id_0": {name: task1["annotator-id_0"]["task1/train/mouse001_task1_annotator1"]}}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(make.as_lists(contents), indent=1))
    (recording,) = read(path)
    assert recording.id == name and recording.num_frames == TIME


def test_null_and_nan_are_missing_points(tmp_path, make, task1):
    text = make.write_calms21_json(tmp_path / "x.json", task1).read_text()
    start = text.index('"keypoints":[[[[') + len('"keypoints":[[[[')
    for word in ("null", "NaN"):
        path = tmp_path / f"{word}.json"
        path.write_text(text[:start] + word + text[text.index(",", start) :])
        recording = read(path)[0]
        assert np.isnan(recording.keypoints[0, 0, 0, 0]) and np.isfinite(recording.keypoints).sum() == TIME * 28 - 1


@pytest.mark.data
def test_fast_decoding_equals_json(excerpt):
    content = excerpt.read_bytes()
    content = content[content.index(b'{"keypoints"') : -2]
    slow, fast = json.loads(content), decode_fast(content)
    for key in ("keypoints", "scores", "annotations"):
        np.testing.assert_array_equal(fast[key], np.array(slow[key]))
    assert fast["metadata"] == slow["metadata"]


@pytest.mark.data
def test_real_excerpt(excerpt):
    (recording,) = read(excerpt)
    assert recording.keypoints.shape == (2440, 2, 7, 2) and recording.subset == "test"
    assert set(recording.labels["behavior"].frames) == {1, 2, 3}
    assert recording.notes == ("fps 30 assumed: CalMS21's documented rate; `fps` changes it",)


def test_nested_writes_brackets():
    assert nested((2, 3)) == b"[[,,],[,,]]"


@pytest.mark.parametrize("permutation", [(0, 1, 3, 2), (0, 3, 1, 2)])
def test_swapped_axes_are_refused_not_reshaped(tmp_path, make, permutation):
    sequence = make.calms21_sequence(TIME)
    sequence["keypoints"] = sequence["keypoints"].transpose(permutation)
    path = make.write_calms21_json(tmp_path / "x.json", {"g": {"s": sequence}})
    with pytest.raises(InputError, match=r"keypoints must be numbers of shape \[time, 2, 2, 7\]"):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["keypoints"][2][0][0].pop(), "uneven nesting"),
        (lambda s: s["keypoints"][2][0][0].__setitem__(1, "12"), "no number|got <U"),
        (lambda s: s["annotations"].pop(), "10 values for 11 frames"),
        (lambda s: s["annotations"].append(3), "12 values for 11 frames"),
        (lambda s: s["annotations"].__setitem__(4, 9), "frame 4 has the label 9, outside the vocabulary"),
        (lambda s: s["annotations"].__setitem__(4, 1.5), "whole numbers"),
        (lambda s: s["annotations"].__setitem__(4, True), "whole numbers .* got true or false among them"),
        (lambda s: s["keypoints"][4][1][0].__setitem__(3, False), "keypoints must be numbers .* got true or false"),
        (lambda s: s["scores"].pop(), "11 frames of keypoints but 10 of scores"),
        (lambda s: s["metadata"]["vocab"].__setitem__("mount", 7), "must number its names"),
        (lambda s: s["keypoints"][2][0][0].__setitem__(1, float("inf")), "infinite"),
        (lambda s: s.pop("keypoints"), 'has no "keypoints"'),
    ],
)
def test_damaged_sequences_are_named(tmp_path, make, task1, change, message):
    contents = make.as_lists(task1)
    change(contents["annotator-id_0"]["task1/train/mouse001_task1_annotator1"])
    path = make.write_calms21_json(tmp_path / "x.json", contents)
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert "mouse001" in str(error.value) and "x.json" in str(error.value)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_truncated_file_raises(tmp_path, make, task1, share):
    content = make.write_calms21_json(tmp_path / "x.json", task1).read_bytes()
    path = tmp_path / "cut.json"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="ends in the middle"):
        read(path)


def test_other_json_is_unknown(tmp_path):
    path = tmp_path / "other.json"
    path.write_text('{"images": [{"id": 3}], "annotations": []}')
    with pytest.raises(UnknownFormatError, match="it begins"):
        read(path)


def test_zip_members_are_streamed_and_the_rest_is_named(tmp_path, make, task1):
    plain = make.write_calms21_json(tmp_path / "x.json", task1)
    features = json.dumps({"annotator-id_0": {"task1/train/m": {"features": [[0.5] * 32] * 3}}})
    folder = "task1_classic_classification"
    path = make.write_zip(
        tmp_path / "task1.zip",
        {
            f"{folder}/calms21_task1_train.json": plain.read_bytes(),
            f"{folder}/taskprog_features_task1_train.json": features,
            f"{folder}/readme.md": "hello",
        },
    )
    assert detect_format(path).name == "calms21_zip"
    notices = []
    zipped = read(path, notice=notices.append)
    for a, b in zip(zipped, read(plain), strict=True):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
    assert any("readme.md" in n for n in notices) and any("task-programming features" in n for n in notices)


@pytest.mark.parametrize("name", ["../x.json", "a/../../x.json", "/etc/x.json", "a\\..\\x.json", "C:/x.json"])
def test_zip_with_names_that_escape_is_refused(tmp_path, make, task1, name):
    plain = make.write_calms21_json(tmp_path / "x.json", task1)
    path = make.write_zip(tmp_path / "bad.zip", {"good.json": plain.read_bytes(), name: plain.read_bytes()})
    with pytest.raises(InputError, match="points outside the archive"):
        read(path)


def test_truncated_and_encrypted_zips(tmp_path, make, task1):
    plain = make.write_calms21_json(tmp_path / "x.json", task1)
    path = make.write_zip(tmp_path / "a.zip", {"calms21.json": plain.read_bytes()})
    content = path.read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError):
        read(cut)
    # Bit 0 of the general purpose flags says "encrypted", in the local and in the central header.
    central = content.rindex(b"PK\x01\x02")
    locked = bytearray(content)
    locked[6] |= 1
    locked[central + 8] |= 1
    cut.write_bytes(locked)
    with pytest.raises(InputError):
        list(read_recordings(cut, format="calms21_zip"))


def test_memory_is_one_sequence_not_the_file(tmp_path, make):
    sequences = {f"s{i}": make.calms21_sequence(1500, i) for i in range(12)}
    path = make.write_calms21_json(tmp_path / "x.json", {"unlabeled_videos": sequences})
    size = path.stat().st_size
    tracemalloc.start()
    count = sum(r.num_frames for r in read_recordings(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 12 * 1500 and peak < size / 2
