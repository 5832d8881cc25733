"""Labels with agents and targets: MABe 2025's layout, BORIS and tables in, in a store, changed, and out again."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.errors import InputError
from ssl_behavior.importer import ImportOptions, import_recordings
from ssl_behavior.io import write_npz
from ssl_behavior.io.annotated_recording import annotated_recording
from ssl_behavior.io.annotation_writers import FRAME_FORMATS, PAIR_FORMATS
from ssl_behavior.io.import_report import findings
from ssl_behavior.io.mabe25_annotations import looked_for, video_bouts
from ssl_behavior.io.mabe25_submission import conflicting_frames, submission_rows
from ssl_behavior.label_changes import (
    add_labels,
    drop_streams,
    merge_behaviors,
    rename_behavior,
    rename_stream,
    undo_change,
)
from ssl_behavior.mabe25_score import mabe25_score
from ssl_behavior.recording import Labels, PairLabels, Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, write_store

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

PARTS = SKELETONS["calms21"].keypoints
FRAMES = 41


def triples(labels, individuals):
    """Names and frames of all bouts, as a set."""
    return {
        (individuals[a], individuals[t], labels.vocabulary[b], start, stop)
        for a, t, b, start, stop in labels.bouts.tolist()
    }


def asked(labels, individuals):
    """Names of all that was looked for."""
    found = labels.looked_for_of(len(individuals))
    return {(individuals[a], individuals[t], labels.vocabulary[b]) for a, t, b in np.argwhere(found).tolist()}


def write_parquet(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path)
    return path


def write_tracks(path, ids, parts=PARTS, frames=FRAMES, seed=0):
    rows = [(frame, mouse, part) for frame in range(frames) for mouse in ids for part in parts]
    xy = np.random.default_rng(seed).random((len(rows), 2)) * 100
    return write_parquet(
        path,
        {
            "video_frame": [row[0] for row in rows], "mouse_id": [row[1] for row in rows],
            "bodypart": [row[2] for row in rows], "x": xy[:, 0], "y": xy[:, 1],
        },
    )  # fmt: skip


def write_bouts(path, bouts):
    names = ("agent_id", "target_id", "action", "start_frame", "stop_frame")
    return write_parquet(path, dict(zip(names, map(list, zip(*bouts, strict=True)), strict=True)))


def write_videos(path, videos):
    """`train.csv` of the data set: video -> its list or None."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lab_id", "video_id", "frames_per_second", "pix_per_cm_approx", "behaviors_labeled"])
        for video, listed in videos.items():
            writer.writerow(["Lab", video, 30.0, 16.0, "" if listed is None else json.dumps(listed)])


@pytest.fixture
def mabe(tmp_path):
    """The competition's layout: a video of two mice and its list, and one without a list."""
    root = tmp_path / "mabe"
    write_tracks(root / "train_tracking" / "Lab" / "11.parquet", (1, 2))
    write_tracks(root / "train_tracking" / "Lab" / "12.parquet", (1, 2), seed=1)
    bouts = [(1, 2, "attack", 3, 7), (1, 2, "sniff", 5, 5), (2, 2, "rear", 0, 40), (2, 1, "sniff", 10, 20)]
    write_bouts(root / "train_annotation" / "Lab" / "11.parquet", bouts)
    write_bouts(root / "train_annotation" / "Lab" / "12.parquet", [(2, 1, "attack", 1, 3)])
    listed = ["mouse1,mouse2,attack", "mouse1,mouse2,sniff", "mouse2,self,rear", "'mouse2','mouse1',sniff"]
    write_videos(root / "train.csv", {"11": [*listed, "mouse1,self,rear"], "12": None})
    return root


MADE = {
    ("mouse1", "mouse2", "attack", 3, 8), ("mouse1", "mouse2", "sniff", 5, 6), ("mouse2", "mouse2", "rear", 0, 41),
    ("mouse2", "mouse1", "sniff", 10, 21),
}  # fmt: skip


@pytest.mark.parametrize("part", ["", "train_tracking", "train_tracking/Lab"])
def test_mabe_annotations_are_found_beside_the_tracks(mabe, tmp_path, part):
    report = import_recordings([mabe / part], tmp_path / "store")
    store = Store(tmp_path / "store")
    first, second = store
    assert first.individuals == ("mouse1", "mouse2") and first.fps == 30
    labels = first.pair_labels["behavior"]
    assert triples(labels, first.individuals) == MADE
    assert asked(labels, first.individuals) == {one[:3] for one in MADE} | {("mouse1", "mouse1", "rear")}
    assert labels.frames(0, 1, labels.vocabulary.index("attack"), FRAMES).sum() == 5
    other = second.pair_labels["behavior"]
    assert asked(other, second.individuals) == {("mouse2", "mouse1", "attack")}
    assert set(other.frames(0, 1, other.vocabulary.index("attack"), FRAMES)) == {-1}
    notices = " ".join(findings(report))
    assert "label stream behavior: 5 bouts with agent and target (attack, sniff, rear), in 2 recordings" in notices
    assert "it is not known what was looked for" in notices and "12.parquet" in notices and "11.parquet" not in notices


def test_a_submission_of_the_truth_scores_one(mabe, tmp_path):
    import_recordings([mabe], tmp_path / "store")
    assert main(["export", str(tmp_path / "store"), "--out", str(tmp_path / "out"), "--format", "mabe"]) == 0
    tables = (mabe / "train_annotation" / "Lab").glob("*.parquet")
    truth = [bout for table in tables for bout in video_bouts(table, table.stem)]
    made = video_bouts(tmp_path / "out" / "submission.csv")
    assert len(truth) == 5 and {bout[3:] for bout in truth} == {bout[3:] for bout in made}
    lists = {"12": [("mouse2", "mouse1", "attack")], **looked_for(mabe / "train.csv")}
    labs = {"11": "Lab", "12": "Other"}
    # By hand: sniff of frame 5 has no frames before its stop, so the other pair's sniff decides.
    assert mabe25_score(truth, made, lists, labs).score == 1.0
    without = [bout for bout in made if bout.action != "attack"]
    assert mabe25_score(truth, without, lists, labs).labs == {"Lab": pytest.approx(2 / 3), "Other": 0.0}
    with pytest.raises(InputError, match="unless the video is named, video_id"):
        video_bouts(mabe / "train_annotation" / "Lab" / "12.parquet")


def test_one_track_table_finds_its_annotations(mabe, tmp_path):
    import_recordings([mabe / "train_tracking" / "Lab" / "11.parquet"], tmp_path / "store")
    (recording,) = Store(tmp_path / "store")
    assert triples(recording.pair_labels["behavior"], recording.individuals) == MADE


@pytest.mark.parametrize("ids", [(1,), (1, 2, 3), (1, 2, 3, 4)])
def test_one_to_four_mice_with_missing_body_parts(tmp_path, ids):
    write_tracks(tmp_path / "train_tracking" / "Lab" / "5.parquet", ids, parts=("nose", "neck", "tail_base"))
    bouts = [(a, t, "rear" if a == t else "sniff", a, a + 10 * t) for a in ids for t in ids if a + 10 * t < FRAMES]
    write_bouts(tmp_path / "train_annotation" / "Lab" / "5.parquet", bouts)
    names = {f"mouse{a},{'self' if a == t else f'mouse{t}'},{action}" for a, t, action, *_ in bouts}
    write_videos(tmp_path / "train.csv", {"5": sorted(names)})
    import_recordings([tmp_path], tmp_path / "store")
    (recording,) = Store(tmp_path / "store")
    labels = recording.pair_labels["behavior"]
    expected = {(f"mouse{a}", f"mouse{t}", action, start, stop + 1) for a, t, action, start, stop in bouts}
    assert triples(labels, recording.individuals) == expected
    assert labels.looked_for_of(len(ids)).sum() == len(names)


def test_chosen_renamed_and_reordered_animals_keep_their_bouts(mabe, tmp_path):
    chosen = ImportOptions(individuals={"intruder": "mouse2", "resident": "mouse1"})
    import_recordings([mabe], tmp_path / "store", chosen)
    first, _ = Store(tmp_path / "store")
    assert first.individuals == ("intruder", "resident")
    new = {"mouse1": "resident", "mouse2": "intruder"}
    assert triples(first.pair_labels["behavior"], first.individuals) == {(new[a], new[t], *one) for a, t, *one in MADE}
    report = import_recordings([mabe], tmp_path / "alone", ImportOptions(individuals={"m": "mouse2"}))
    first, second = Store(tmp_path / "alone")
    assert triples(first.pair_labels["behavior"], ("m",)) == {("m", "m", "rear", 0, 41)}
    assert second.pair_labels["behavior"].bouts.shape == (0, 5)
    assert any("3 bouts of animals that are left out" in one for one in findings(report))


def test_bouts_that_were_not_looked_for_are_counted_and_left_out(mabe, tmp_path):
    write_videos(mabe / "train.csv", {"11": ["mouse1,mouse2,attack", "mouse1,mouse3,attack"], "12": []})
    report = import_recordings([mabe], tmp_path / "store")
    first, second = Store(tmp_path / "store")
    assert triples(first.pair_labels["behavior"], first.individuals) == {("mouse1", "mouse2", "attack", 3, 8)}
    assert not len(second.pair_labels["behavior"].bouts)
    said = " ".join(findings(report))
    assert "3 bouts left out, of behaviors that were not looked for in these pairs: sniff (2), rear (1)" in said
    assert "animals without tracks, which are left out: mouse3" in said


def test_bouts_after_the_end_are_cut_and_counted(mabe, tmp_path):
    bouts = [(1, 2, "attack", 38, 60), (2, 1, "attack", 41, 50)]
    write_bouts(mabe / "train_annotation" / "Lab" / "12.parquet", bouts)
    report = import_recordings([mabe / "train_tracking" / "Lab" / "12.parquet"], tmp_path / "store")
    (recording,) = Store(tmp_path / "store")
    labels = recording.pair_labels["behavior"]
    assert triples(labels, recording.individuals) == {("mouse1", "mouse2", "attack", 38, 41)}
    assert "2 bouts annotated after the end of the tracks (41 frames), 1 dropped, 1 cut off there" in " ".join(
        findings(report)
    )


def three(tmp_path, names=("m1", "m2", "m3"), absent=()):
    """Folder with the tracks of one video of three animals."""
    keypoints = np.random.default_rng(3).random((FRAMES, len(names), 7, 2)) * 100
    keypoints[:, [names.index(name) for name in absent]] = np.nan
    skeleton = replace(SKELETONS["calms21"], individuals=names, exchangeable=True)
    folder = tmp_path / "tracks"
    folder.mkdir()
    write_npz(folder / "cage1.npz", Recording(id="cage1", keypoints=keypoints, fps=30.0, skeleton=skeleton))
    return folder


def imported(folder, text, name="cage1.csv", **options):
    (folder / name).write_text(text)
    report = import_recordings([folder], folder.parent / "store", ImportOptions(overwrite=True, **options))
    (recording,) = Store(folder.parent / "store")
    return recording, report


TABLE = "agent,target,behavior,start,stop\nm1,m2,sniff,3,9\nm1,m3,sniff,5,12\nm3,self,rear,0,4\nm2,,rear,7,9\n"


@pytest.mark.parametrize("seconds", [False, True])
def test_a_plain_table_has_agents_and_targets(tmp_path, seconds):
    text = TABLE
    if seconds:
        rows = [line.split(",") for line in TABLE.splitlines()[1:]]
        lines = [",".join([*row[:3], *(f"{int(frame) / 30:.4f}" for frame in row[3:])]) for row in rows]
        text = "\n".join(["agent,target,behavior,start_s,stop_s", *lines])
    recording, _ = imported(three(tmp_path), text)
    labels = recording.pair_labels["behavior"]
    assert triples(labels, recording.individuals) == {
        ("m1", "m2", "sniff", 3, 9), ("m1", "m3", "sniff", 5, 12), ("m3", "m3", "rear", 0, 4),
        ("m2", "m2", "rear", 7, 9),
    }  # fmt: skip
    # A table is complete: behaviors toward others were looked for in all pairs, those toward oneself in all animals.
    names = recording.individuals
    pairs = {(a, t, "sniff") for a in names for t in names if a != t} | {(a, a, "rear") for a in names}
    assert asked(labels, names) == pairs


def test_raters_have_a_stream_each_and_other_files_may_not_differ(tmp_path):
    folder = three(tmp_path)
    (folder / "cage1_ben.csv").write_text(TABLE.replace("3,9", "4,9"))
    recording, _ = imported(folder, TABLE, "cage1_anna.csv")
    anna, ben = (recording.pair_labels[f"behavior.{rater}"] for rater in ("anna", "ben"))
    assert (anna.annotator, ben.annotator) == ("anna", "ben")
    one, other = (triples(labels, recording.individuals) for labels in (anna, ben))
    assert one - other == {("m1", "m2", "sniff", 3, 9)} and other - one == {("m1", "m2", "sniff", 4, 9)}
    for path in folder.glob("*.csv"):
        path.unlink()
    (folder / "cage1_labels.csv").write_text(TABLE.replace("3,9", "4,9"))
    with pytest.raises(InputError, match=r"two annotation files.*differ in the stream 'behavior'"):
        imported(folder, TABLE)


def boris_project(events, subjects=("m1", "m2", "m3")):
    listed = {str(i): {"name": name, "key": str(i), "description": ""} for i, name in enumerate(subjects)}
    rows = [
        [time, who, what, modifiers, ""]
        for who, what, modifiers, start, stop in events
        for time in (start / 30, stop / 30)
    ]
    observation = {"file": {"1": ["cage1.mp4"]}, "media_info": {"fps": {"cage1.mp4": 30.0}}, "events": rows}
    return json.dumps(
        {
            "project_format_version": "7.0", "observations": {"cage1": observation}, "subjects_conf": listed,
            "behaviors_conf": {
                str(i): {"code": code, "type": "State event", "category": ""}
                for i, code in enumerate(("sniff", "rear"))
            },
        }
    )  # fmt: skip


def test_modifiers_of_boris_that_are_subjects_are_targets(tmp_path):
    events = [
        ("m1", "sniff", "m2", 3, 9), ("m1", "sniff", "m3 (2)", 5, 12), ("m2", "sniff", "fast|m1,m3", 15, 20),
        ("m3", "rear", "", 0, 4), ("m3", "sniff", "None", 30, 35),
    ]  # fmt: skip
    recording, report = imported(three(tmp_path), boris_project(events), "project.boris")
    assert not recording.labels
    assert triples(recording.pair_labels["behavior"], recording.individuals) == {
        ("m1", "m2", "sniff", 3, 9), ("m1", "m3", "sniff", 5, 12), ("m2", "m1", "sniff", 15, 20),
        ("m2", "m3", "sniff", 15, 20), ("m3", "m3", "rear", 0, 4),
    }  # fmt: skip
    said = " ".join(findings(report))
    assert "1 bout without an agent or target left out: sniff (1)" in said
    assert "the modifiers of 'sniff' are not read" in said


def test_boris_tables_have_targets_too(tmp_path):
    text = (
        "Observation id,Media file name,FPS,Subject,Behavior,Modifier #1,Behavior type,Time\n"
        "o,cage1.mp4,30,m1,sniff,m2,START,0.1\no,cage1.mp4,30,m2,sniff,m1,START,0.2\n"
        "o,cage1.mp4,30,m1,sniff,m2,STOP,0.5\no,cage1.mp4,30,m2,sniff,m1,STOP,1.0\n"
    )
    recording, _ = imported(three(tmp_path), text)
    found = triples(recording.pair_labels["behavior"], recording.individuals)
    assert found == {("m1", "m2", "sniff", 3, 15), ("m2", "m1", "sniff", 6, 30)}


def test_boris_without_targets_has_a_stream_for_each_subject(tmp_path):
    events = [("m1", "sniff", "", 3, 9), ("m2", "sniff", "", 5, 12)]
    recording, _ = imported(three(tmp_path), boris_project(events), "project.boris")
    assert not recording.pair_labels and set(recording.labels) == {"behavior.m1", "behavior.m2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agent,target,behavior,start,stop\nm1,m7,sniff,3,9\n", r"cage1.csv: .* the target 'm7', the tracks have 3"),
        ("agent,target,behavior,start,stop\nx,m2,sniff,3,9\n", "has the agent 'x', the tracks have 3 animals"),
        (
            "agent,target,behavior,start,stop\nm1,m2,sniff,3,9\nm3,m4,sniff,3,9\n",
            r"is about 4 animals \(m1, m3, m2, m4\), the tracks have 3 animals \(m1, m2, m3\)",
        ),
        ("agent,target,behavior,start,stop\n,m2,sniff,3,9\n", "row 1 .* has the target 'm2' and no agent"),
        ("agent,target,behavior,start,stop\nm1,m2,sniff,3.5,9\n", "expected a frame number as start.* start_s and"),
        ("agent,target,behavior,start_s,stop_s\nm1,m2,sniff,2,1\n", "expected 0 <= start_s <= stop_s"),
        ("agent,target,behavior,start,stop\nm1,m2,sniff,9,3\n", "expected 0 <= start < stop"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_read(tmp_path, text, message):
    path = tmp_path / "cage1.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        import_recordings([three(tmp_path)], tmp_path / "store", ImportOptions(annotations=(path,)))
    assert not (tmp_path / "store").exists()


def test_absent_animals(tmp_path):
    folder = three(tmp_path, absent=("m3",))
    with pytest.raises(InputError, match="1 bout, such as 'sniff' from frame 5 on, have the target 'm3', of whom no"):
        imported(folder, TABLE.replace("m3,self,rear,0,4\n", ""))
    recording, report = imported(folder, "agent,target,behavior,start,stop\nm1,m2,sniff,3,9\n")
    assert asked(recording.pair_labels["behavior"], recording.individuals) == {
        ("m1", "m2", "sniff"), ("m2", "m1", "sniff"),
    }  # fmt: skip
    assert any("labels of pairs with m3, of whom no point is observed" in one for one in findings(report))
    with pytest.raises(InputError, match="have the agent 'm3', of whom no point is observed"):
        (tmp_path / "cage1_more.csv").write_text("stream,agent,target,behavior,start,stop\nnew,m3,m1,chase,1,2\n")
        add_labels(tmp_path / "store", [tmp_path / "cage1_more.csv"])


def test_a_state_that_does_not_end_is_refused(tmp_path):
    text = json.loads(boris_project([("m1", "sniff", "m2", 3, 9)]))
    text["observations"]["cage1"]["events"].append([1.0, "m2", "sniff", "m1", ""])
    with pytest.raises(InputError, match="it is not annotated from 1 s on, where a bout does not end"):
        imported(three(tmp_path), json.dumps(text), "project.boris")


@pytest.mark.parametrize(
    ("cell", "got"),
    [
        ('["mouse1,mouse2"]', "mouse1,mouse2"),
        ('["mouse1,,rear"]', "mouse1,,rear"),
        ('["mouse1,self, "]', "mouse1,self"),
    ],
)
def test_lists_of_what_was_looked_for_that_are_none(tmp_path, cell, got):
    path = tmp_path / "train.csv"
    path.write_text("video_id,behaviors_labeled\n7," + '"' + cell.replace('"', '""') + '"\n')
    with pytest.raises(InputError, match=rf"row 1 .*expected behaviors_labeled as JSON.*got '{got}"):
        looked_for(path)


@pytest.fixture
def store(tmp_path, dyad):
    """Two recordings with overlapping bouts, one of which has also labels of frames, and one without labels."""
    words = ("sniff", "attack", "rear")
    bouts = [[0, 1, 0, 3, 9], [0, 1, 1, 5, 9], [1, 1, 2, 0, 20], [1, 0, 0, 30, 31], [0, 1, 0, 9, 12]]
    looked_for = np.ones((2, 2, 3), dtype=bool)
    looked_for[0, 0], looked_for[1, 0, 1] = False, False
    first = PairLabels(vocabulary=words, bouts=np.array(bouts), looked_for=looked_for, annotator="ann")
    second = PairLabels(vocabulary=("groom",), bouts=np.array([[0, 0, 0, 2, 4]]))
    frames = Labels(vocabulary=("other", "dig"), frames=np.arange(42) // 21, background="other")
    recordings = [
        dyad("a", 41, pair_labels={"social": first}),
        dyad("day/b", 42, pair_labels={"social": second}, labels={"S1": frames}),
        dyad("bare", 43),
    ]
    return write_store(tmp_path / "store", recordings)


def state(path):
    store = Store(path)
    return [
        {name: (triples(one, store.individuals), asked(one, store.individuals), one.annotator)
         for name, one in recording.pair_labels.items()}
        for recording in store
    ]  # fmt: skip


@pytest.mark.parametrize("name", PAIR_FORMATS)
def test_exported_labels_come_back_with_animals_and_what_was_looked_for(store, tmp_path, name):
    before = state(store.path)
    command = ["export", str(store.path), "--out", str(tmp_path / "out"), "--format", name, "--streams", "social"]
    assert main(command) == 0
    drop_streams(store.path, ["social"])
    assert state(store.path) == [{}, {}, {}]
    add_labels(store.path, [tmp_path / "out"])
    assert state(store.path) == before


def test_files_of_agents_and_targets(store, tmp_path):
    out = tmp_path / "out"
    assert main(["export", str(store.path), "--out", str(out), "--format", *PAIR_FORMATS, "--streams", "social"]) == 0
    names = store.individuals
    with (out / "a.csv").open(newline="") as file:
        rows = [tuple(row[key] for key in ("agent", "target", "behavior", "start_frame", "stop_frame")) for row in
                csv.DictReader(file)]  # fmt: skip
    expected = triples(store.recording("a").pair_labels["social"], names)
    assert {(*row[:3], int(row[3]), int(row[4])) for row in rows} == expected
    project = json.loads((out / "project.boris").read_text())
    events = project["observations"]["a"]["events"]
    assert {(one[1], one[3], one[2]) for one in events} == {one[:3] for one in expected}
    assert project["behaviors_conf"]["0"]["modifiers"]["0"]["values"] == list(names)
    with (out / "submission.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["row_id", "video_id", "agent_id", "target_id", "action", "start_frame", "stop_frame"]
    assert [int(row["row_id"]) for row in table] == list(range(6))
    assert [row["target_id"] for row in table if row["action"] in ("rear", "groom")] == ["self", "self"]
    assert [row["video_id"] for row in table] == ["a"] * 5 + ["b"]
    (rear,) = (row for row in table if row["action"] == "rear")
    assert (rear["start_frame"], rear["stop_frame"]) == ("0", "19")


@pytest.mark.parametrize("name", sorted(set(FRAME_FORMATS) - set(PAIR_FORMATS)))
def test_other_formats_cannot_hold_agents(store, tmp_path, name, capsys):
    assert main(["export", str(store.path), "--out", str(tmp_path / "out"), "--format", name]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"'social' has agents and targets, which the --format {name} cannot hold; choose one of csv, boris" in said


def test_the_submission_holds_nothing_else(store, tmp_path, capsys):
    command = ["export", str(store.path), "--out", str(tmp_path / "out"), "--format", "mabe"]
    assert main(command) == 2 and "'S1' has no agents and targets" in " ".join(capsys.readouterr().err.split())
    rename_stream(store.path, "social", "other", ["a"])
    assert main([*command, "--streams", "other", "social"]) == 2
    assert "holds one label stream, not other, social" in " ".join(capsys.readouterr().err.split())


def test_overlapping_bouts_of_one_action_are_one_row_and_two_actions_are_counted():
    labels = PairLabels(
        vocabulary=("sniff", "rear"),
        bouts=np.array([[0, 1, 0, 2, 6], [0, 1, 0, 4, 9], [0, 1, 0, 9, 11], [0, 1, 1, 7, 10], [1, 1, 1, 0, 5]]),
    )
    rows = submission_rows("7", labels, ("m1", "m2"))
    assert [tuple(row)[1:] for row in rows] == [
        ("m2", "self", "rear", 0, 4), ("m1", "m2", "sniff", 2, 8), ("m1", "m2", "rear", 7, 9),
        ("m1", "m2", "sniff", 9, 10),
    ]  # fmt: skip
    # The competition does not count stop frames: sniff has 2 to 7, rear 7 to 8, sniff 9.
    assert conflicting_frames(labels) == 1


def test_a_submission_that_would_be_refused_is_said(store, tmp_path, capsys):
    command = ["export", str(store.path), "--out", str(tmp_path / "out"), "--format", "mabe", "--streams", "social"]
    assert main(command) == 0
    # sniff has the frames 3 to 7 and 9 to 10, attack 5 to 7; what a table states as stop is not counted.
    said = " ".join(capsys.readouterr().out.split())
    assert "3 frames with two actions of one pair: MABe 2025 refuses a submission with them" in said


def test_bouts_shorter_than_asked_are_left_out(store, tmp_path):
    command = ["export", str(store.path), "--out", str(tmp_path / "out"), "--streams", "social"]
    assert main([*command, "--minimum-bout-seconds", "0.15"]) == 0
    with (tmp_path / "out" / "a.csv").open(newline="") as file:
        assert [(row["behavior"], row["start_frame"]) for row in csv.DictReader(file)] == [
            ("rear", "0"),
            ("sniff", "3"),
        ]


CHANGES = {
    "rename": lambda path: rename_stream(path, "social", "pairs"),
    "rename one": lambda path: rename_stream(path, "social", "pairs", ["a"]),
    "rename behavior": lambda path: rename_behavior(path, "social", "sniff", "investigate"),
    "merge": lambda path: merge_behaviors(path, "social", ["sniff", "attack"], "contact"),
    "drop": lambda path: drop_streams(path, ["social", "S1"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_undone(store, change):
    before, files = state(store.path), {path.name for path in (store.path / "pair_labels").rglob("*.npy")}
    CHANGES[change](store.path)
    after = state(store.path)
    assert after != before
    if change == "merge":
        found, looked = after[0]["social"][:2]
        assert ("resident", "intruder", "contact", 5, 9) in found and ("intruder", "resident", "contact") in looked
    if change == "rename one":
        assert [sorted(one) for one in after] == [["pairs"], ["social"], []]
    undo_change(store.path)
    assert state(store.path) == before
    assert {path.name for path in (store.path / "pair_labels").rglob("*.npy")} == files


def test_undo_of_the_first_pair_labels(tmp_path, dyad):
    path = write_store(tmp_path / "store", [dyad("a", 41)]).path
    before = (path / "store.json").read_bytes()
    (tmp_path / "a.csv").write_text("agent,target,behavior,start,stop\nresident,intruder,chase,1,5\n")
    assert "added behavior (1 recording)" in add_labels(path, [tmp_path / "a.csv"]).sentence
    assert state(path)[0]["behavior"][0] == {("resident", "intruder", "chase", 1, 5)}
    with pytest.raises(InputError, match="has labels 'behavior' already"):
        add_labels(path, [tmp_path / "a.csv"])
    undo_change(path)
    assert json.loads((path / "store.json").read_text()) == json.loads(before) | {"label_changes": []}


def test_one_name_is_not_both(store, tmp_path, dyad):
    (tmp_path / "bare.csv").write_text("stream,behavior,start_frame,stop_frame\nsocial,dig,1,5\n")
    with pytest.raises(
        InputError, match="'social' would have agents and targets in some recordings and none in others"
    ):
        add_labels(store.path, [tmp_path / "bare.csv"])
    pairs = PairLabels(vocabulary=("x",), bouts=np.empty((0, 5), np.int64))
    labels = Labels(vocabulary=("x",), frames=np.zeros(13, np.int64))
    with pytest.raises(
        InputError, match="'s' has agents and targets in some recordings and none in others, such as 'b'"
    ):
        write_store(tmp_path / "both", [dyad("a", 13, pair_labels={"s": pairs}), dyad("b", 13, labels={"s": labels})])


def test_resampled_stores_write_and_read_frames_of_the_source(tmp_path, dyad):
    bouts = np.array([[0, 1, 0, 6, 18], [1, 1, 1, 0, 30], [1, 0, 0, 33, 34]])
    made = dyad("a", 60, pair_labels={"s": PairLabels(vocabulary=("sniff", "rear"), bouts=bouts)})
    write_store(tmp_path / "fast", [made])
    assert main(["resample", str(tmp_path / "fast"), "--fps", "10", "--out", str(tmp_path / "slow")]) == 0
    slow = Store(tmp_path / "slow")
    (recording,) = slow
    assert triples(recording.pair_labels["s"], "ab") == {("a", "b", "sniff", 2, 6), ("b", "b", "rear", 0, 10)}
    assert main(["export", str(slow.path), "--out", str(tmp_path / "out")]) == 0
    table = (tmp_path / "out" / "a.csv").read_text()
    assert "s,sniff,6,18,0.200,0.600,resident,intruder," in table
    drop_streams(slow.path, ["s"])
    add_labels(slow.path, [tmp_path / "out"])
    assert state(slow.path)[0]["s"][0] == {
        ("resident", "intruder", "sniff", 2, 6), ("intruder", "intruder", "rear", 0, 10),
    }  # fmt: skip


def test_npz_does_not_drop_agents_and_targets(store, tmp_path):
    with pytest.raises(InputError, match=r"recording 'a' has labels with agents and targets \(social\), which `.npz`"):
        write_npz(tmp_path / "a.npz", store.recording("a"))


def test_info_lists_streams_with_agents_and_targets(store, capsys):
    assert main(["info", str(store.path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "sniff, attack, rear, groom; 6 bouts with agent and target in 2 recordings" in said
    assert "resident → intruder" in said and "intruder → intruder" in said


def test_bouts_of_an_annotated_recording_have_agents_and_targets():
    labels = PairLabels(vocabulary=("sniff",), bouts=np.array([[1, 0, 0, 2, 6]]))
    made = annotated_recording("r", 30.0, {}, individuals=("a", "b"), pair_labels={"s": labels}, num_frames=9)
    assert [(one.agent, one.target, one.start) for one in made.bouts] == [("b", "a", 2)] and made.num_frames == 9
