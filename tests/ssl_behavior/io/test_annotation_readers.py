"""Every format of labels that is written is read back; files of other tools; damaged files; joining to recordings."""

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.errors import InputError
from ssl_behavior.importer import ImportOptions, import_recordings
from ssl_behavior.io import write_npz
from ssl_behavior.io.annotated_recording import annotated_recording, streams_of
from ssl_behavior.io.annotation import labels_from_annotation
from ssl_behavior.io.annotation_index import AnnotationIndex
from ssl_behavior.io.annotation_readers import ANNOTATION_READERS, annotation_reader, read_annotations
from ssl_behavior.io.annotation_writers import FRAME_FORMATS, write_annotations
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, write_store

from .random_labels import for_any_labels

BORIS_EVENTS = (
    "Observation id,Observation date,Media duration (s),FPS,Subject,Behavior,Behavior type,Time,Media file name\n"
    "obs1,2024-01-01,30.0,30.0,m1,sniff,START,3.0,cage3.mp4\nobs1,2024-01-01,30.0,30.0,m1,sniff,STOP,5.5,cage3.mp4\n"
    "obs1,2024-01-01,30.0,30.0,m1,squeak,POINT,7.0,cage3.mp4\nobs1,2024-01-01,30.0,30.0,m1,attack,START,20.0,cage3.mp4\n"
)
BORIS_7 = (
    "Observation id,obs1\n\nMedia file(s)\nPlayer #1,cage3.mp4\n\nTime offset (s),0\n\n"
    "Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Comment,Status\n"
    "3.0,cage3.mp4,30.0,30.0,m1,sniff,,,START\n5.5,cage3.mp4,30.0,30.0,m1,sniff,,,STOP\n"
)
BORIS_AGGREGATED = (
    "Observation id;FPS (frame/s);Subject;Behavior;Behavior type;Start (s);Stop (s);Media file name\n"
    "obs1;30;m1;sniff;STATE;3,0;5,5;cage3.mp4\n"
)
BENTO = (
    "Bento annotation file\nMovie file(s): x\n\nStimulus name: \nAnnotation start frame: 1\n"
    "Annotation stop frame: 60\nAnnotation framerate: 30.0\n\nList of channels:\nCh1\n\nList of annotations:\nsniff\n\n"
    "Ch1----------\n>sniff\nStart\tStop\tDuration\n{}\n"
)


def words(labels):
    return np.array([*labels.vocabulary, ""])[labels.frames].tolist()


def recording(name="cage3", frames=900, fps=30.0):
    keypoints = np.random.default_rng(frames).random((frames, 2, 7, 2)) * 100
    return Recording(id=name, keypoints=keypoints, fps=fps, skeleton=SKELETONS["calms21"])


def labeled(*paths, name="cage3", frames=900, fps=30.0, others=(), backgrounds=None):
    """Labels that files give a recording, and the index' notices."""
    index = AnnotationIndex()
    for path in paths:
        index.add(path, None)
    tracks = Path(f"/nowhere/{name}.csv")
    index.know([tracks, *(Path(f"/nowhere/{other}.csv") for other in others)])
    found = index.label(recording(name, frames, fps), tracks, backgrounds or {})
    return found.labels, [*index.notices, *found.notices]


def written(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("format", FRAME_FORMATS)
def test_exported_labels_are_read_back_frame_for_frame(format):
    @for_any_labels
    def check(made):
        with TemporaryDirectory() as folder:
            out = Path(folder) / "labels"
            write_annotations(out, [made], [made.id], streams_of([made]), [format])
            (path,) = [path for path in out.rglob("*") if path.is_file() and path.name != "labels.json"]
            (annotation,) = read_annotations(path)
        for name, one in made.labels.items():
            if (one.frames < 0).all():
                assert name not in annotation.streams
                continue
            found, _ = labels_from_annotation(annotation, name, made.num_frames, fps=made.fps)
            assert words(found) == words(one), name
            assert (found.background, found.vocabulary[: len(one.vocabulary)]) == (one.background, one.vocabulary)

    check()


@pytest.mark.data
@pytest.mark.slow
def test_ten_real_recordings_round_trip_through_every_format(real_data, tmp_path):
    folder, ids = real_data / "rat_dyads", ["01", "04", "08", "12", "13", "14", "18", "24", "25", "38"]
    annotations = tuple(folder / f"{id}_annot.txt" for id in ids)
    stored = {}
    for path in annotations:
        (annotation,) = read_annotations(path)
        stored[path.name[:2]] = {
            name: labels_from_annotation(annotation, name, 15_000, "base" if name == "S2" else "")[0]
            for name in annotation.streams
        }
    for name in ("S1", "S2"):  # as in a store: one vocabulary, and -1 where a recording lacks the stream
        every = tuple(dict.fromkeys(word for own in stored.values() if name in own for word in own[name].vocabulary))
        for own in stored.values():
            said = words(own[name]) if name in own else [""] * 15_000
            numbers = np.array([every.index(word) if word else -1 for word in said])
            own[name] = Labels(vocabulary=every, frames=numbers, background="base" if name == "S2" else "")
    made = [annotated_recording(id, 30.0, labels) for id, labels in stored.items()]
    everything = list(FRAME_FORMATS)
    write_annotations(tmp_path / "out", made, ids, streams_of(made), everything)
    compared = 0
    for path in [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name != "labels.json"]:
        for annotation in read_annotations(path):
            labels = stored[annotation.recording]
            assert set(annotation.streams) == {name for name in labels if (labels[name].frames >= 0).any()}
            for name in annotation.streams:
                found, _ = labels_from_annotation(annotation, name, 15_000)
                assert words(found) == words(labels[name]), (path, name)
                compared += 1
    assert compared == len(everything) * sum(
        (one.frames >= 0).any() for labels in stored.values() for one in labels.values()
    )


def test_an_exported_folder_is_imported_again(tmp_path, dyad):
    tracks = []
    for number, name in enumerate(("a", "b")):
        frames = np.repeat(np.arange(-1, 2), 40)[: 101 + number]
        tracks.append(dyad(name, 101 + number, labels={
            "S1": Labels(vocabulary=("x", "y"), frames=frames, annotator="ann"),
            "S2": Labels(vocabulary=("rest", "z"), frames=(frames + 1) // 2, background="rest"),
        }))  # fmt: skip
        write_npz(tmp_path / f"{name}.npz", dyad(name, 101 + number))
    store = write_store(tmp_path / "store", tracks)
    assert main(["export", str(store.path), "--out", str(tmp_path / "out"), "--format", *FRAME_FORMATS]) == 0
    sources = [str(tmp_path / f"{name}.npz") for name in ("a", "b")]
    for given in ("out", "out/project.boris"):
        again = ["--annotations", str(tmp_path / given), "--out", str(tmp_path / "again"), "--overwrite"]
        assert main(["import", *sources, *again]) == 0
        other = Store(tmp_path / "again")
        assert other.streams == store.streams
        assert [row.annotators for row in other.rows] == [row.annotators for row in store.rows]
        for name in store.streams:
            np.testing.assert_array_equal(other.labels(name), store.labels(name))
    corrected = tmp_path / "out" / "a.csv"
    corrected.write_text(corrected.read_text().replace("S1,x,40,80", "S1,x,41,80"))
    with pytest.raises(InputError, match=r"two annotation files.*which differ in the stream 'S1'"):
        import_recordings(sources, tmp_path / "x", ImportOptions(annotations=(tmp_path / "out",)))


@pytest.mark.parametrize("text", [BORIS_EVENTS, BORIS_7, BORIS_AGGREGATED])
def test_boris_event_tables(tmp_path, text):
    path = written(tmp_path / "what.csv", text)
    assert annotation_reader(path).name == "boris_table"
    labels, notices = labeled(path)
    (one,) = labels.values()
    said = words(one)
    assert said[89:91] == ["other", "sniff"] and said[164:166] == ["sniff", "other"] and one.background == "other"
    if text == BORIS_EVENTS:
        assert said[209:212] == ["other", "squeak", "other"] and said[599:601] == ["other", ""] and said[-1] == ""
        assert "'attack' begins at 20 s and does not end" in " ".join(notices)
        assert "point events ('squeak') become bouts of one frame" in " ".join(notices)


def project(**observations):
    conf = {str(n): {"type": f"{kind} event", "code": code, "category": ""}
            for n, (code, kind) in enumerate({"sniff": "State", "rear": "State", "beep": "Point"}.items())}  # fmt: skip
    made = {
        name: {"events": events, "file": {"1": [media]}, "media_info": {"fps": {media: 30.0}},
               "independent_variables": {"observer": who} if who else {}}
        for name, (media, who, events) in observations.items()
    }  # fmt: skip
    return json.dumps({"project_format_version": "7.0", "observations": made, "behaviors_conf": conf})


def test_boris_project_with_several_observations_and_overlaps(tmp_path):
    text = project(
        first=("cage3.mp4", "", [
            [1.0, "", "sniff", "", ""], [3.0, "", "sniff", "", "", 90], [2, "", "rear", "", "", "NA"],
            [2.5, "", "rear", "", ""], [2.2, "", "beep", "", ""],
        ]),
        second=("videos/cage4.avi", "", [[1.0, "", "sniff", "", ""], [2.0, "", "sniff", "", ""]]),
    )  # fmt: skip
    path = written(tmp_path / "p.boris", text)
    labels, notices = labeled(path, others=("cage4",))
    assert set(labels) == {"sniff", "rear", "beep"}
    assert np.flatnonzero(np.array(words(labels["rear"])) == "rear").tolist() == list(range(60, 75))
    assert np.flatnonzero(np.array(words(labels["beep"])) == "beep").tolist() == [66]
    assert any("overlap" in notice and "one stream for each" in notice for notice in notices)
    labels, _ = labeled(path, name="cage4", others=("cage3",))
    assert words(labels["sniff"]).count("sniff") == 30 and set(words(labels["rear"])) == {"other"}


def test_subjects_have_a_stream_each(tmp_path):
    events = [[1.0, "m1", "sniff", "", ""], [3.0, "m1", "sniff", "", ""], [2, "m2", "sniff", "", ""]]
    path = written(tmp_path / "p.boris", project(a=("cage3.mp4", "", [*events, [4, "m2", "sniff", "", ""]])))
    labels, notices = labeled(path)
    assert {name: words(one).count("sniff") for name, one in labels.items()} == {"behavior.m1": 60, "behavior.m2": 60}
    assert "behavior has behaviors of m1, m2: one stream for each" in " ".join(notices)


def test_bento_of_other_tools(tmp_path):
    path = written(tmp_path / "cage3.annot", BENTO.format("31\t40\t9\n40\t45\t5"))
    said = words(labeled(path)[0]["Ch1"])
    assert said[29:46] == ["other", *["sniff"] * 15, "other"] and said[60] == ""
    path = written(tmp_path / "cage3.annot", BENTO.format("1.0\t1.5\t0.5"))
    assert np.flatnonzero(np.array(words(labeled(path)[0]["Ch1"])) == "sniff").tolist() == list(range(30, 45))


TABLES = {
    "bouts.csv": "stream,behavior,start_frame,stop_frame\nS1,x,3,7\n",
    "frames.csv": "frame,seconds,S1\n0,0.0,x\n1,0.03,\n",
    "columns.csv": ",background,x\n0,1,0\n1,0,1\n",
    "boris.csv": BORIS_EVENTS,
    "boris7.csv": BORIS_7,
    "aggregated.csv": BORIS_AGGREGATED,
    "x.annot": BENTO.format("31\t40\t9"),
    "p.boris": project(a=("cage3.mp4", "", [[1.0, "", "sniff", "", ""], [3.0, "", "sniff", "", ""]])),
}


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("bouts.csv", "3,7", "7,3", r"row 1 .*expected 0 <= start < stop"),
        ("bouts.csv", "3,7", "3,y", "expected a frame number as stop_frame, got 'y'"),
        ("bouts.csv", "S1,x,3,7", "S1,x", "row 2 has 2 cells, the header 4"),
        ("bouts.csv", "S1,x,3,7", "S1,,3,7", "the behavior has no name"),
        ("frames.csv", "1,0.03,", "2,0.03,", "expected frame 1"),
        ("frames.csv", "\n0,0.0,x\n1,0.03,\n", "\n", "a row per frame"),
        ("columns.csv", "1,0,1\n", "7,0,1\n", "expected the number of the next frame"),
        ("boris.csv", "STOP", "START", "expected START and STOP in turn"),
        ("boris.csv", "STOP,5.5", "STOP,1.5", "before its event at 3 s"),
        ("boris7.csv", "5.5,cage3", "soon,cage3", "expected a time in seconds, got 'soon'"),
        ("aggregated.csv", "5,5", "2,5", "stops at 2.5 s, before it starts at 3 s"),
        ("x.annot", "31\t40\t9", "41\t40\t9", "line 18 .*with start <= stop"),
        ("x.annot", "31\t40\t9", "31\t4", "line 18 .*expected start, stop and duration"),
        ("x.annot", "framerate: 30.0", "framerate: fast", "framerate at the top"),
        ("p.boris", "[1.0,", '["now",', "event 1 .*expected time, subject, behavior and modifiers"),
        ("p.boris", '"events": [', '"events": 7, "e": [', "with a list of events"),
        ("p.boris", "}}", "}", "damaged BORIS project"),
    ],
)
def test_damaged_files_raise_one_sentence(tmp_path, name, old, new, message):
    assert old in TABLES[name]
    path = written(tmp_path / name, TABLES[name].replace(old, new))
    with pytest.raises(InputError, match=message) as raised:
        read_annotations(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("name", TABLES)
def test_intervals_after_the_end_and_unknown_recordings(tmp_path, name):
    path = written(tmp_path / name, TABLES[name])
    index = AnnotationIndex()
    index.add(path, None)
    index.know([Path("/nowhere/elsewhere.csv")])
    assert index.label(recording("elsewhere", 5), Path("/nowhere/elsewhere.csv"), {}).labels == {}
    assert index.unused() == [path]
    for annotation in read_annotations(path):
        for stream in annotation.streams:
            labels, _ = labels_from_annotation(annotation, stream, 5, fps=30.0)
            assert len(labels.frames) == 5


def observed(path):
    (stream,) = labeled(path)[0].values()
    return words(stream)


SNIFFS = [[1.0, "", "sniff", "", ""], [3.0, "", "sniff", "", ""]]


def changed(text, **facts):
    contents = json.loads(text)
    for one in contents["observations"].values():
        one.update(facts)
    return json.dumps(contents)


@pytest.mark.parametrize("offset", [5.0, -0.5, "2,5"])
@pytest.mark.parametrize("framed", [False, True])
def test_boris_adds_the_time_offset_to_events(tmp_path, offset, framed):
    shift = float(str(offset).replace(",", "."))
    events = [[e[0] + shift, *e[1:], *([round(e[0] * 30)] if framed else [])] for e in SNIFFS]
    plain = project(cage3=("cage3.mp4", "", SNIFFS))
    expected = observed(written(tmp_path / "plain.boris", plain))
    assert expected[29:31] == ["other", "sniff"] and expected[89:91] == ["sniff", "other"]
    text = changed(project(cage3=("cage3.mp4", "", events)), **{"time offset": offset})
    path = written(tmp_path / "p.boris", text)
    assert observed(path) == expected
    assert f"time offset of {shift:g} s is subtracted" in " ".join(read_annotations(path)[0].notices)
    header, first, second, *_ = BORIS_EVENTS.replace("Media duration (s)", "Time offset (s)").split("\n")
    rows = [
        row.replace("30.0", str(shift), 1).replace(f",{time},", f",{time + shift},")
        for row, time in ((first, 3.0), (second, 5.5))
    ]
    assert observed(written(tmp_path / "x.csv", "\n".join([header, *rows]))) == observed(
        written(tmp_path / "y.csv", "\n".join(BORIS_EVENTS.split("\n")[:3]))
    )


def test_an_event_before_its_video_is_refused(tmp_path):
    text = changed(project(cage3=("cage3.mp4", "", SNIFFS)), **{"time offset": 2.0})
    with pytest.raises(InputError, match=r"event 1 .*less the time offset of 2 s, is -1 s, before the video begins"):
        read_annotations(written(tmp_path / "p.boris", text))
    with pytest.raises(InputError, match="time offset must be seconds, got 'soon'"):
        read_annotations(written(tmp_path / "p.boris", changed(text, **{"time offset": "soon"})))


def test_videos_that_follow_each_other_in_boris_get_their_own_events(tmp_path):
    events = [[9.0, "", "sniff", "", ""], [11.0, "", "sniff", "", ""], [12.0, "", "beep", "", ""],
              [15.0, "", "rear", "", ""], [20.5, "", "rear", "", ""], [21.0, "", "sniff", "", ""]]  # fmt: skip
    info = {"fps": {"a.mp4": 30.0}, "length": {"v/a.mp4": 10.0, "b.mp4": 10.0}}
    text = changed(
        project(seen=("a.mp4", "", events)), file={"1": ["v/a.mp4", "b.mp4", "c.mp4"], "2": []}, media_info=info
    )
    path = written(tmp_path / "p.boris", text)
    a, b, c = read_annotations(path)
    assert [one.names for one in (a, b, c)] == [("a",), ("b",), ("c",)]
    first, second, third = ({i[2]: i[:2] for i in one.streams["behavior"].intervals()} for one in (a, b, c))
    assert first == {"sniff": (9.0, 10.0)} and third == {"rear": (0.0, 0.5)}
    assert second == {"sniff": (0.0, 1.0), "beep": (2.0, 2.0), "rear": (5.0, 10.0)}
    assert [one.streams["behavior"].not_annotated for one in (a, b, c)] == [(), (), ((1.0, np.inf),)]
    with pytest.raises(InputError, match=r"its videos \(a, b, c\) follow each other, .* does not state their lengths"):
        read_annotations(written(tmp_path / "q.boris", changed(text, media_info={})))


def test_players_of_boris_show_one_moment(tmp_path):
    text = changed(project(seen=("a.mp4", "", SNIFFS)), file={"1": ["top.mp4"], "2": ["side.mp4"], "3": ["late.mp4"]},
                   media_info={"fps": {}, "offset": {"1": 0.0, "3": 1.5}})  # fmt: skip
    (one,) = read_annotations(written(tmp_path / "p.boris", text))
    assert one.names == ("seen", "top", "side") and "late of player 3" in one.notices[0]


def test_tables_of_several_videos_ask_for_the_project(tmp_path):
    text = BORIS_EVENTS.replace("STOP,5.5,cage3.mp4", "STOP,5.5,cage4.mp4")
    with pytest.raises(InputError, match=r"events in cage3\.mp4 and in cage4\.mp4, .* give the BORIS project"):
        read_annotations(written(tmp_path / "x.csv", text))
    text = BORIS_7.replace("Player #1,cage3.mp4\n", "Player #1,cage3.mp4\nPlayer #1,cage4.mp4\n")
    with pytest.raises(InputError, match=r"one after the other \(cage3, cage4\); give the BORIS project"):
        read_annotations(written(tmp_path / "y.csv", text))


def test_empty_files_raise(tmp_path):
    (tmp_path / "x.csv").touch()
    with pytest.raises(InputError, match="is empty"):
        read_annotations(tmp_path / "x.csv")
    with pytest.raises(InputError, match=r"not an annotation file; known: Caltech.*BORIS project"):
        read_annotations(written(tmp_path / "x.csv", "a,b\nhello,you\n"))


def test_each_reader_has_a_name_and_a_title():
    assert all(name == reader.name and reader.title for name, reader in ANNOTATION_READERS.items())


def test_gzip_and_spreadsheet_tables(tmp_path):
    path = tmp_path / "cage3.csv.gz"
    path.write_bytes(gzip.compress(TABLES["bouts.csv"].replace(",", ";").encode("utf-16")))
    labels, _ = labeled(path, frames=9)
    assert words(labels["S1"]) == ["other"] * 3 + ["x"] * 4 + ["other"] * 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("name", TABLES)
def test_label_files_in_any_encoding_are_read(tmp_path, name, encoding):
    text = TABLES[name].replace("sniff", "schnüffeln").replace("mount", "aufreiten ü")
    plain = read_annotations(written(tmp_path / name, text))
    other = tmp_path / "other" / name
    other.parent.mkdir()
    other.write_bytes(text.encode(encoding))
    found = read_annotations(other)
    assert [one.names for one in found] == [one.names for one in plain]
    for one, same in zip(found, plain, strict=True):
        assert list(one.streams) == list(same.streams)
        for stream in one.streams:
            assert one.streams[stream].intervals() == same.streams[stream].intervals()


@pytest.mark.parametrize("reader", ["caltech", "bento", "boris", "boris_table", "csv", "frames", "columns"])
def test_bytes_that_are_no_text_are_refused_in_one_way(tmp_path, reader):
    path = tmp_path / "x.txt"
    path.write_bytes(b"Bento annotation file\n\x00\x81\x00\xff\n")
    with pytest.raises(InputError, match=r"x\.txt: not a text file; expected UTF-8, UTF-16 or Windows-1252"):
        ANNOTATION_READERS[reader].read(path)
