"""Labels of other tools: ethome, two_mice_22, DeepEthogram, SimBA, `.npy`, MABe 2025; several raters of one video."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation_index import AnnotationIndex
from ssl_behavior.io.annotation_readers import annotation_reader, read_annotations

from .test_annotation_readers import labeled, project, recording, words, written


def spans_of(labels, behavior):
    mask = np.concatenate([[0], np.array(words(labels)) == behavior, [0]]).astype(int)
    edges = np.flatnonzero(np.diff(mask))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@pytest.mark.data
def test_boris_events_of_ethome(real_data):
    path = real_data / "ethome" / "boris_events.csv"
    name = "e3v813a-20210610T122332-122642"
    labels, notices = labeled(path, name=name, frames=5700)
    rows = [line.split(",") for line in path.read_text().splitlines()[16:]]
    times = [float(row[0]) for row in rows]
    expected = [(round(a * 30), round(b * 30)) for a, b in zip(times[::2], times[1::2], strict=True)]
    assert spans_of(labels["behavior"], "interact") == expected and len(expected) > 5
    assert labels["behavior"].background == "other" and not notices


@pytest.mark.data
def test_overlapping_columns_of_two_mice_have_a_stream_each(real_data):
    path = real_data / "two_mice_22" / "test1_labels.csv"
    assert annotation_reader(path).name == "columns" and annotation_reader(path, named=False) is None
    labels, notices = labeled(path, name="test1", frames=2632)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    seen = 0
    for column in list(rows[0])[1:]:
        expected = np.array([float(row[column]) for row in rows]) == 1
        holding = [one for one in labels.values() if column in one.vocabulary]
        assert len(holding) == 1
        np.testing.assert_array_equal(np.array(words(holding[0])) == column, expected)
        seen += expected.any()
    assert seen == 8 and "overlap" in " ".join(notices) and "contacts_generaux_R_V_active" in labels


def test_columns_of_deepethogram_and_simba(tmp_path):
    table = ",background,attack,sniff\n" + "".join(
        f"{i},{row}\n" for i, row in enumerate(("1,0,0", "0,1,0", "0,0,1", "0,0,0", "-1,-1,-1"))
    )
    labels, _ = labeled(written(tmp_path / "cage3.csv", table), frames=7)
    assert words(labels["behavior"]) == ["background", "attack", "sniff", "", "", "", ""]
    assert labels["behavior"].background == "background"
    features = ",nose_x,nose_y,attack\n0,1.5,1,0\n1,1.5,1,1\n"
    labels, _ = labeled(written(tmp_path / "cage3.csv", features), frames=2)
    assert words(labels["behavior"]) == ["other", "attack"]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([0, 2, -1]), ["0", "2", ""]),
        (np.array(["x", "", "y"]), ["x", "", "y"]),
        (np.array([[1, 0], [0, 1], [0, 0]]), ["class_0", "class_1", "other"]),
        (np.array([True, False, True]), ["1", "0", "1"]),
    ],
)
def test_arrays_of_labels(tmp_path, array, expected):
    np.save(tmp_path / "cage3.npy", array)
    (labels,) = labeled(tmp_path / "cage3.npy", frames=3)[0].values()
    assert words(labels) == expected


@pytest.mark.parametrize(
    ("array", "message"),
    [(np.arange(3.0), "not an annotation file"), (np.array([5000]), "labels must be in -1 to 999, got 5000 to 5000")],
)
def test_other_arrays_raise(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(InputError, match=message):
        read_annotations(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.arange(70))
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content[:200])
    with pytest.raises(InputError, match="not an annotation file"):
        read_annotations(tmp_path / "x.npy")


MABE = "agent_id,target_id,action,start_frame,stop_frame\n1,2,sniff,10,20\n1,2,attack,15,30\n2,2,rear,0,5\n"
LISTED = json.dumps(["mouse1,mouse2,sniff", "mouse1,mouse2,attack", "mouse2,mouse1,sniff"])


def mabe_index(tmp_path, kind):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = list(csv.reader(MABE.splitlines()))
    if kind == "parquet":
        path = tmp_path / "44566106.parquet"
        columns = [list(map(int, c)) if c[0].isdigit() else list(c) for c in zip(*rows[1:], strict=True)]
        pq.write_table(pa.Table.from_arrays(list(map(pa.array, columns)), names=rows[0]), path)
    else:
        path = written(tmp_path / "all.csv", "\n".join(",".join([v, *r]) for v, r in zip(
            ["video_id", "44566106", "44566106", "44566106"], rows, strict=True)))  # fmt: skip
    index = AnnotationIndex()
    index.add(path, None)
    return index


def mice(name="44566106", frames=40):
    return replace(recording(name, frames), individuals=("mouse1", "mouse2"))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_mabe_intervals_and_what_was_not_looked_for(tmp_path, kind):
    tracks = tmp_path / "44566106.csv"
    found = mabe_index(tmp_path, kind).label(mice(), tracks, {})
    assert not found.labels and "only behaviors of pairs that occur" in " ".join(found.notices)
    without = found.pair_labels["behavior"]
    assert without.vocabulary == ("sniff", "attack", "rear")
    assert without.bouts.tolist() == [[0, 1, 0, 10, 21], [0, 1, 1, 15, 31], [1, 1, 2, 0, 6]]
    assert without.looked_for.sum() == 3
    table = written(
        tmp_path / "train.csv", 'video_id,behaviors_labeled\n44566106,"' + LISTED.replace('"', '""') + '"\n'
    )
    index = mabe_index(tmp_path, kind)
    index.add_looked_for(table)
    found = index.label(mice(), tracks, {})
    labels = found.pair_labels["behavior"]
    assert labels.bouts.tolist() == [[0, 1, 0, 10, 21], [0, 1, 1, 15, 31]]
    assert np.argwhere(labels.looked_for).tolist() == [[0, 1, 0], [0, 1, 1], [1, 0, 0]]
    assert "1 bout left out, of behaviors that were not looked for in these pairs: rear (1)" in " ".join(found.notices)


def rater_file(path, make, end):
    return written(path, make.caltech_text({"S1": [(1, end, "other"), (end + 1, 400, "social"), (401, 600, "other")]}))


@pytest.mark.parametrize("name", ["cage3_{}_annot.txt", "cage3_annot_{}.txt", "cage3_{}.txt", "cage3-{}-labels.txt"])
def test_raters_of_one_video_have_a_stream_each(tmp_path, make, name):
    paths = [rater_file(tmp_path / name.format(who), make, end) for who, end in (("anna", 200), ("ben", 230))]
    labels, notices = labeled(*paths, frames=600)
    assert list(labels) == ["S1.anna", "S1.ben"] and labels["S1.ben"].annotator == "ben"
    assert [words(one).count("social") for one in labels.values()] == [200, 170]
    (notice,) = [notice for notice in notices if "raters" in notice]
    assert "`ssl-behavior labels rename STORE S1.anna S1`, with `recordings`" in notice


def test_a_recording_of_one_rater_has_the_stream_of_that_rater(tmp_path, make):
    names = ("cage3_anna", "cage3_ben", "cage4_anna", "cage3_2")
    paths = [rater_file(tmp_path / f"{name}.txt", make, 200) for name in names]
    others = ("cage3", "cage4", "cage3_2")
    assert set(labeled(*paths, frames=600, others=others)[0]) == {"S1.anna", "S1.ben"}
    assert set(labeled(*paths, name="cage4", frames=600, others=others)[0]) == {"S1.anna"}
    assert set(labeled(*paths, name="cage3_2", frames=600, others=others)[0]) == {"S1"}


def test_observers_of_a_boris_project_are_raters(tmp_path):
    events = [[1.0, "", "sniff", "", ""], [3.0, "", "sniff", "", ""]]
    late = [[1.5, "", "sniff", "", ""], [3.0, "", "sniff", "", ""]]
    path = written(tmp_path / "p.boris", project(one=("cage3.mp4", "anna", events), two=("cage3.mp4", "ben", late)))
    labels, _ = labeled(path)
    assert {name: words(one).count("sniff") for name, one in labels.items()} == {
        "behavior.anna": 60,
        "behavior.ben": 45,
    }
    path = written(tmp_path / "p.boris", project(cage3_anna=("x.mp4", "", events), cage3_ben=("x.mp4", "", late)))
    assert set(labeled(path)[0]) == {"behavior.anna", "behavior.ben"}


def test_one_observer_is_the_annotator(tmp_path):
    events = [[1.0, "", "sniff", "", ""], [3.0, "", "sniff", "", ""]]
    path = written(tmp_path / "p.boris", project(one=("cage3.mp4", "anna", events)))
    labels, _ = labeled(path)
    assert {name: one.annotator for name, one in labels.items()} == {"behavior": "anna"}
