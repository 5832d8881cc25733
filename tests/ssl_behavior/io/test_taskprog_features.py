"""Exact round trips of features from every container, and errors for features that do not fit."""

import hashlib
import io
import json
import tracemalloc

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import taskprog_features
from ssl_behavior.io.taskprog_features import (
    NO_GROUP,
    Place,
    TaskprogFeatures,
    is_taskprog,
    release_place,
    write_taskprog,
)

LENGTHS = {"task1/train/mouse001_task1_annotator1": 11, "task1/train/mouse002_task1_annotator1": 3}
FIRST, SECOND = LENGTHS
GROUP = "annotator-id_0"
DIM = 5


def features_of(sequence, dim=DIM, frames=None):
    generator = np.random.default_rng(list(sequence.encode()))
    return generator.normal(size=(frames or LENGTHS[sequence], dim)).astype(np.float32)


def contents_of(sequences=LENGTHS, dim=DIM):
    return {GROUP: {sequence: {"features": features_of(sequence, dim).tolist()} for sequence in sequences}}


def text_of(contents):
    return json.dumps(contents, separators=(",", ":"))


def written(sequences):
    file = io.BytesIO()
    write_taskprog(file.write, sequences)
    return file.getvalue()


def read(path, lengths=LENGTHS):
    return dict(TaskprogFeatures(path).read(lengths))


@pytest.fixture
def train(tmp_path):
    path = tmp_path / "taskprog_features_task1_train.json"
    path.write_text(text_of(contents_of()))
    return path


def test_written_layout_equals_the_release():
    items = [("a", "x", 7), ("a", "y", 2), ('"b"', "z/é", 1)]
    made = json.loads(written((g, s, [features_of(s, frames=n)]) for g, s, n in items))
    assert {group: list(members) for group, members in made.items()} == {"a": ["x", "y"], '"b"': ["z/é"]}
    for group, sequence, frames in items:
        assert list(made[group][sequence]) == ["features"]
        np.testing.assert_array_equal(
            np.array(made[group][sequence]["features"], dtype=np.float32), features_of(sequence, frames=frames)
        )


def any_float32(count, seed=0):
    """Of every size there is: random bits, and the extremes."""
    numbers = np.random.default_rng(seed).integers(0, 2**32, 3 * count, dtype=np.uint32).view(np.float32)
    info = np.finfo(np.float32)
    extremes = [0, -0.0, 1, -1, info.max, info.min, info.tiny, info.smallest_subnormal, 1e9, 123456789, 0.1]
    return np.concatenate([np.array(extremes, np.float32), numbers[np.isfinite(numbers)]])[:count]


@pytest.mark.parametrize("pieces", [(2, 5, 4), (11,)])
@pytest.mark.parametrize("block", [1, 40, 1 << 18])
def test_float32_round_trips_exactly_for_any_pieces(tmp_path, monkeypatch, pieces, block):
    monkeypatch.setattr(taskprog_features, "_BLOCK_NUMBERS", block)
    values = any_float32(11 * 13).reshape(11, 13)
    stops = np.cumsum(pieces)
    parts = [values[stop - piece : stop] for piece, stop in zip(pieces, stops, strict=True)]
    path = tmp_path / "x.json"
    path.write_bytes(written([("g", "s", parts)]))
    got = read(path, {"s": 11})["s"]
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, values)


def test_features_equal_json(train):
    got = read(train)
    assert list(got) == list(LENGTHS)
    for sequence, values in contents_of()[GROUP].items():
        np.testing.assert_array_equal(got[sequence], np.array(values["features"], np.float32))


def test_zip_folder_and_file_give_equal_features(tmp_path, make, train):
    archive = make.write_zip(
        tmp_path / "task1.zip",
        {
            "task1/calms21_task1_train.json": text_of(make.as_lists({GROUP: {FIRST: make.calms21_sequence(11)}})),
            "task1/taskprog_features_task1_train.json": train.read_text(),
            "__MACOSX/task1/._taskprog_features_task1_train.json": "\0",
            "task1/readme.md": "hello",
        },
    )
    folder = tmp_path / "folder" / "deeper"
    folder.mkdir(parents=True)
    (folder / train.name).write_text(train.read_text())
    (folder / "calms21_task1_train.json").write_text("{}")
    (folder / "empty.json").touch()
    (tmp_path / "folder" / ".hidden.json").write_text(train.read_text())
    digest = hashlib.sha256(train.read_bytes()).hexdigest()
    for path in (train, archive, tmp_path / "folder"):
        features = TaskprogFeatures(path)
        got = dict(features.read(LENGTHS))
        assert len(features.files) == 1 and features.fingerprint() == f"features:{digest}"
        for sequence in LENGTHS:
            np.testing.assert_array_equal(got[sequence], features_of(sequence))


def test_unrelated_files_in_a_folder_are_ignored(tmp_path):
    for number, sequence in enumerate([SECOND, FIRST, "other"]):
        contents = {GROUP: {sequence: {"features": features_of(sequence, frames=LENGTHS.get(sequence, 2)).tolist()}}}
        (tmp_path / f"taskprog_features_{number}.json").write_text(text_of(contents))
    features = TaskprogFeatures(tmp_path)
    assert {sequence: len(values) for sequence, values in features.read(LENGTHS)} == LENGTHS
    assert features.unused == 1 and len(features.files) == 3
    hashes = sorted(hashlib.sha256((tmp_path / f"taskprog_features_{n}.json").read_bytes()).hexdigest() for n in (0, 1))
    expected = hashlib.sha256("".join(f"{h}\n" for h in hashes).encode()).hexdigest()
    assert features.fingerprint() == f"features:{expected}", "the file of no recording plays no part"


def converted(make, sequences=LENGTHS, dim=32):
    """As the official converter writes it with --parse_treba: keypoints [time, mouse, xy, keypoint] in front."""
    out = {}
    for sequence in sequences:
        tracks = make.calms21_sequence(LENGTHS[sequence], labels=[3] * LENGTHS[sequence])
        front = tracks.pop("keypoints").reshape(LENGTHS[sequence], -1)
        out[sequence] = {**tracks, "features": np.concatenate([front, features_of(sequence, dim)], axis=1)}
    return {GROUP: out}


@pytest.mark.parametrize("protocol", [2, 4])
def test_the_official_converters_npy(tmp_path, make, protocol):
    path = make.write_npy(tmp_path / "calms21_task1_train_features.npy", converted(make), protocol)
    for given in (path, tmp_path):
        features = TaskprogFeatures(given)
        for sequence, values in features.read(LENGTHS):
            np.testing.assert_array_equal(values, features_of(sequence, 32))
        assert features.fingerprint() == f"features:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_an_npy_of_other_columns_is_refused(tmp_path, make):
    path = make.write_npy(tmp_path / "x_features.npy", converted(make, dim=31))
    with pytest.raises(InputError, match=r"features must be numbers of shape \[time, 60\], got float64 \[11, 59\]"):
        read(path)


def test_a_pickle_that_runs_something_is_refused(tmp_path, make):
    class Evil:
        def __reduce__(self):
            return print, ("never",)

    path = make.write_npy(tmp_path / "x_features.npy", {GROUP: {FIRST: {"features": Evil()}}})
    with pytest.raises(InputError, match=r"it asks to run 'builtins.print'"):
        read(path)


def damaged(change, sequence=SECOND):
    contents = contents_of()
    change(contents[GROUP][sequence]["features"])
    return text_of(contents)


DAMAGES = {
    "cut in a number": (text_of(contents_of())[:300], "it ends in the middle: copy or download it again"),
    "cut after a sequence": (text_of(contents_of())[:-2], "it ends in the middle"),
    "shorter": (
        damaged(lambda rows: rows.pop()),
        "features of 2 frames, but its recording has 3; they belong to other",
    ),
    "longer": (damaged(lambda rows: rows.append(rows[0])), "features of 4 frames, but its recording has 3"),
    "ragged": (damaged(lambda rows: rows[1].pop()), "features must be numbers .* uneven nesting"),
    "deeper": (
        damaged(lambda rows: rows.__setitem__(slice(None), [[row] for row in rows])),
        r"got float64 \[3, 1, 5\]",
    ),
    "flat": (damaged(lambda rows: rows.__setitem__(slice(None), rows[0][:3])), r"got float64 \[3\]"),
    "text": (damaged(lambda rows: rows[1].__setitem__(0, "0.5")), "features must be numbers"),
    "null": (damaged(lambda rows: rows[1].__setitem__(0, None)), "the features of frame 1 are not all finite"),
    "true": (damaged(lambda rows: rows[1].__setitem__(0, True)), "features must be numbers .* got true or false"),
    "nan": (damaged(lambda rows: rows[2].__setitem__(0, float("nan"))), "the features of frame 2 are not all finite"),
    "infinite": (damaged(lambda rows: rows[0].__setitem__(4, 1e39)), "the features of frame 0 are not all finite"),
    "wider": (
        damaged(lambda rows: [row.append(0.5) for row in rows]),
        f"has 6 features a frame, but '{FIRST}' has 5; expected the same number",
    ),
    "no columns": (damaged(lambda rows: [row.clear() for row in rows]), "has 0 features a frame"),
    "no rows": (damaged(lambda rows: rows.clear()), "features must be numbers"),
    "other key": (text_of(contents_of()).replace("features", "feature", 2).replace("feature", "features", 1), "has no"),
    "absent": (text_of(contents_of([FIRST])), f"no features of '{SECOND}' in .*train.json; give a folder"),
    "twice": (text_of(contents_of())[:-1] + ',"g":' + text_of(contents_of()[GROUP]) + "}", "are twice in .*train.json"),
    "not nested": ('{"a": {"b": {"features": [[1]]}, "c": 3}}', "not nested"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_raises_with_its_name(tmp_path, make, damage):
    text, message = DAMAGES[damage]
    path = tmp_path / "taskprog_features_task1_train.json"
    path.write_text(text)
    archive = make.write_zip(tmp_path / "task1.zip", {path.name: text})
    for given in (path, archive):
        with pytest.raises(InputError, match=message) as caught:
            read(given)
        assert "\n" not in str(caught.value) and path.name in str(caught.value)


@pytest.mark.parametrize("container", ["json", "zip", "npy"])
def test_random_damage_raises_or_keeps_shapes(tmp_path, make, container):
    if container == "npy":
        path = make.write_npy(tmp_path / "x_features.npy", converted(make))
    else:
        path = tmp_path / "x.json"
        path.write_text(text_of(contents_of()))
    if container == "zip":
        path = make.write_zip(tmp_path / "x.zip", {"x.json": path.read_bytes()})
    whole, generator = path.read_bytes(), np.random.default_rng(0)
    for trial in range(150):
        content = bytearray(whole[: generator.integers(1, len(whole))] if trial % 2 else whole)
        for at in generator.integers(0, len(content), trial % 4):
            content[at] = generator.integers(0, 256)
        path.write_bytes(content)
        try:
            assert {sequence: len(values) for sequence, values in read(path).items()} == LENGTHS
        except InputError as error:
            assert "\n" not in str(error) and str(tmp_path) in str(error)


def test_many_recordings_without_features_are_counted(train):
    with pytest.raises(InputError, match="no features of 3 recordings, the first 'a', in "):
        read(train, {"a": 1, FIRST: 11, "b": 1, "c": 2})


def test_a_sequence_in_two_files(tmp_path, train):
    (tmp_path / "again.json").write_text(text_of(contents_of([SECOND])))
    with pytest.raises(InputError, match=rf"'{SECOND}' are in two files, .*again.json and .*train.json; keep only one"):
        read(tmp_path)


def test_tracks_instead_of_features(tmp_path, make):
    tracks = make.as_lists({GROUP: {"unknown": make.calms21_sequence(3), FIRST: make.calms21_sequence(11)}})
    path = make.write_calms21_json(tmp_path / "calms21_task1_train.json", tracks)
    with pytest.raises(
        InputError, match=r"contains tracks, not task-programming features .* are in taskprog_features_X"
    ):
        TaskprogFeatures(path)
    path.write_text(text_of({GROUP: {"z": {"features": [[1.0]]}} | tracks[GROUP]}))
    with pytest.raises(InputError, match=rf"sequence '{FIRST}' has tracks \(keypoints\), not task-programming"):
        read(path)
    with pytest.raises(InputError, match=r"'x' has tracks \(keypoints\), not task-programming features"):
        read(make.write_npy(tmp_path / "x.npy", {GROUP: {"x": make.calms21_sequence(3)}}))
    assert TaskprogFeatures(tmp_path / "x.npy").files and not is_taskprog(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 and then nothing", "damaged or unreadable zip"),
        (
            b"name,value\n",
            "neither a run or checkpoint folder nor task-programming features .* begins with 'name,value",
        ),
        (b'{"a": 1}', "neither a run or checkpoint folder nor"),
    ],
)
def test_other_files_raise(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        TaskprogFeatures(path)


def test_zip_without_features_raises(tmp_path, make):
    with pytest.raises(InputError, match="a zip file with 1 members"):
        TaskprogFeatures(make.write_zip(tmp_path / "x.zip", {"a.json": "{}"}))
    assert TaskprogFeatures(tmp_path).files == [], "in a folder it is passed over"


def test_memory_is_that_of_one_sequence(tmp_path):
    names = [f"s{number}" for number in range(40)]
    piece = np.random.default_rng(0).normal(size=(500, 32)).astype(np.float32)
    path = tmp_path / "x.json"
    with path.open("wb") as file:
        tracemalloc.start()
        write_taskprog(file.write, (("g", name, [piece]) for name in names))
        writing = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    tracemalloc.start()
    for _, values in TaskprogFeatures(path).read(dict.fromkeys(names, 500)):
        assert len(values) == 500
    reading = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 7e6 and writing < 3e6 and reading < 3e6


PLACES = [
    ("task1/train/mouse001_task1_annotator1", "/d/calms21_task1_train.json", "train", {"behavior": "0"},
     Place("taskprog_features_task1_train.json", "annotator-id_0")),
    ("task2/annotator3/test/m_task2_annotator3", "a.zip:task2/calms21_task2_test.json", "test", {"behavior": "3"},
     Place("taskprog_features_task2_test.json", "annotator-id_3")),
    ("task3/groom/train/m_task3_groom", "a.zip:calms21_task3_train.json", "train", {"groom": "0"},
     Place("taskprog_features_task3_train.json", "groom")),
    ("task3/groom/train/m_task3_groom", r"C:\d\calms21_task3_train.npy", "train", {"S1": "", "groom": "0"},
     Place("taskprog_features_task3_train.json", "groom")),
    ("unlabeled_videos/mouse001", "calms21_unlabeled_videos_part1.json", "unlabeled", {},
     Place("taskprog_features_unlabeled_videos_part1.json", "unlabeled_videos")),
    ("task1/test/mouse071_task1_annotator1", "calms21_task1_test.json", "test", {},
     Place("taskprog_features_task1_test.json", "annotator-id_0")),
    ("task2/annotator5/test/mouse071_task2_annotator5", "calms21_task2_test.json", "test", {"S1": ""},
     Place("taskprog_features_task2_test.json", "annotator-id_5")),
    ("task3/sniff_face/test/m", "calms21_task3_test.json", "test", {},
     Place("taskprog_features_task3_test.json", "sniff_face")),
    ("07", "/d/07_tracks.csv.gz", "", {"S1": "", "S2": ""}, Place("taskprog_features_recordings.json", NO_GROUP)),
    ("train/mouse001", "simulated, seed 0", "train", {"groom": "", "approach": ""},
     Place("taskprog_features_recordings.json", NO_GROUP)),
]  # fmt: skip


@pytest.mark.parametrize(("recording", "source", "subset", "annotators", "place"), PLACES)
def test_release_places_of_recordings(recording, source, subset, annotators, place):
    assert release_place(recording, source, subset, annotators, {"groom", "approach"}) == place
