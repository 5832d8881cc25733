"""Resampled recordings in stores: imports, label files in the frames and seconds of the videos, irregular times."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.clusters import FrameClusters
from ssl_behavior.embeddings_folder import EmbeddingRow, unit_rows
from ssl_behavior.errors import InputError
from ssl_behavior.exports import clustered_recordings, stored_recordings
from ssl_behavior.exports.label_sources import chosen_streams
from ssl_behavior.importer import ImportOptions, import_recordings
from ssl_behavior.io import ReadOptions, read_recordings, write_npz
from ssl_behavior.io.annotation_writers import FRAME_FORMATS, write_annotations
from ssl_behavior.label_changes import add_labels, drop_streams
from ssl_behavior.recording import FrameTimes, Labels
from ssl_behavior.resampling import resample, resample_labels
from ssl_behavior.store import Store, common_fps, write_store

RATES = {"slow": 25.0, "ntsc": 30_000 / 1001, "mid": 30.0, "fast": 60.0}
IRREGULAR = np.cumsum(np.tile([0.02, 0.05, 0.005, 0.115, 0.04], 20)) - 0.02


@pytest.fixture
def recordings(dyad):
    """One recording of each rate, five seconds, with a stream of three behaviors that is partly not annotated."""

    def make(name, fps):
        num_frames = round(5 * fps)
        behaviors = np.random.default_rng(len(name)).choice([-1, 0, 1, 2], 40, p=[0.1, 0.3, 0.3, 0.3])
        frames = behaviors[np.arange(num_frames) * 8 // round(fps)]
        labels = Labels(vocabulary=("attack", "mount", "other"), frames=frames, background="other", annotator="ann")
        return dyad(name, num_frames, fps=fps, labels={"S1": labels}, missing=0.1)

    return {name: make(name, fps) for name, fps in RATES.items()}


def tracks(folder, recordings, **fields):
    folder.mkdir()
    for name, one in recordings.items():
        write_npz(folder / f"{name}.npz", replace(one, labels={}, **fields))
    return folder


def labels_of(store, name="S1"):
    return {row.id: store.labels(name)[row.slice].tolist() for row in store.rows}


def test_import_brings_all_to_one_rate(tmp_path, recordings, capsys):
    folder = tracks(tmp_path / "tracks", recordings)
    assert main(["import", str(folder), "--out", str(tmp_path / "store"), "--resample", "30"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "resampled from 60 to 30 frames per second (fast)" in output and "29.97" in output
    store = Store(tmp_path / "store")
    assert {row.fps for row in store.rows} == {30.0} and common_fps(store.rows, "") == 30.0
    for name, one in recordings.items():
        made, expected = store.recording(name), resample(one, 30.0)
        assert np.array_equal(made.keypoints, expected.keypoints, equal_nan=True)
        if name == "mid":
            assert made.resampled_from is None and store.row(name).source_fps is None
        else:
            assert (made.resampled_from.fps, made.resampled_from.num_frames) == (one.fps, one.num_frames)
    assert main(["info", str(tmp_path / "store")]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "resampled from 25, 29.97, 60 frames per second; 3 of 4 recordings" in output
    report = json.loads((tmp_path / "store" / "import.json").read_text())
    assert [row["fps"] for row in report["recordings"]] == [30.0] * 4


def test_mixed_rates_name_the_option(tmp_path, recordings, capsys):
    folder = tracks(tmp_path / "tracks", recordings)
    assert main(["import", str(folder), "--out", str(tmp_path / "store")]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "the recordings have 25 to 60 frames per second, and most jobs need one rate: --resample 25" in output
    store = Store(tmp_path / "store")
    assert {row.id: row.fps for row in store.rows} == RATES
    with pytest.raises(
        InputError, match=r"'slow' 25, 'fast' 60 per second; split them \(`ssl-behavior resample` gives"
    ):
        common_fps(store.rows, "split them")


def test_nothing_to_resample_is_said(tmp_path, recordings, capsys):
    folder = tracks(tmp_path / "tracks", {"mid": recordings["mid"]})
    assert main(["import", str(folder), "--out", str(tmp_path / "store"), "--resample", "30"]) == 0
    assert "all recordings have 30 frames per second already: --resample changes nothing" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize("value", ["0", "-30", "nan", "1e308", "1e-9"])
def test_bad_rates_leave_nothing(tmp_path, recordings, value, capsys):
    folder = tracks(tmp_path / "tracks", recordings)
    assert main(["import", str(folder), "--out", str(tmp_path / "store"), "--resample", value]) == 2
    assert "--resample must be a number from 0.01 to 100,000 frames per second, got" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tracks"]


def test_the_rate_of_the_source_is_needed(tmp_path, capsys):
    header = "scorer,n,n,n,n,n,n\nbodyparts,nose,nose,nose,tailbase,tailbase,tailbase\n"
    (tmp_path / "a.csv").write_text(header + "coords,x,y,likelihood,x,y,likelihood\n0,1,2,1,9,9,1\n1,2,3,1,9,9,1\n")
    assert main(["import", str(tmp_path / "a.csv"), "--out", str(tmp_path / "store"), "--resample", "30"]) == 2
    assert "do not contain the frame rate; pass it as --fps" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in ("caltech", "npy") else pytest.mark.slow) for name in FRAME_FORMATS],
)
def test_label_files_are_those_of_the_video(tmp_path, recordings, name):
    """Files of the videos' labels give the same in a resampled import and added later; what is exported fits, too."""
    whole = write_store(tmp_path / "whole", list(recordings.values())).path
    assert main(["export", str(whole), "--format", name, "--out", str(tmp_path / "files")]) == 0
    folder = tracks(tmp_path / "tracks", recordings)
    options = ImportOptions(resample=30.0)
    import_recordings([folder], tmp_path / "bare", options)
    import_recordings([folder], tmp_path / "labeled", replace(options, annotations=(tmp_path / "files",)))
    imported = Store(tmp_path / "labeled")
    expected = {id: resample(one, 30.0).labels["S1"].frames for id, one in recordings.items()}
    assert set(imported.streams) == {"S1"}
    assert labels_of(imported) == {id: frames.tolist() for id, frames in expected.items()}
    add_labels(tmp_path / "bare", [tmp_path / "files"])
    assert labels_of(Store(tmp_path / "bare")) == labels_of(imported)

    assert main(["export", str(tmp_path / "bare"), "--format", name, "--out", str(tmp_path / "again")]) == 0
    entries = json.loads((tmp_path / "again" / "labels.json").read_text())["recordings"]
    assert {one["id"]: (one["fps"], one["frames"]) for one in entries} == {
        id: (one.fps, one.num_frames) for id, one in recordings.items()
    }
    drop_streams(tmp_path / "bare", ["S1"])
    add_labels(tmp_path / "bare", [tmp_path / "again"])
    assert labels_of(Store(tmp_path / "bare")) == labels_of(imported)


def test_seconds_are_those_of_each_video(tmp_path, recordings):
    store = write_store(tmp_path / "store", [resample(one, 30.0) for one in recordings.values()])
    made = {one.id: one for one in stored_recordings(store, store.rows, chosen_streams(store))}
    for id, one in recordings.items():
        assert (made[id].fps, made[id].num_frames) == (one.fps, one.num_frames)
        edges = np.flatnonzero(np.diff(one.labels["S1"].frames)) + 1
        found = np.flatnonzero(np.diff(made[id].labels["S1"].frames)) + 1
        np.testing.assert_allclose(found / one.fps, edges / one.fps, atol=1 / 25 + 1e-9)
    # 29.97 and 30 frames per second are three hundredths of a frame apart after a second: five frames in 5.6 minutes.
    slow = FrameTimes(fps=30_000 / 1001, num_frames=10_090)
    late = Labels(vocabulary=("x",), frames=np.where(np.arange(10_090) == 10_010, 0, -1))
    assert np.flatnonzero(resample_labels(late, slow, FrameTimes(fps=30.0, num_frames=10_100)).frames == 0)[0] == 10_020


def test_files_with_the_resampled_length_fit_as_they_are(tmp_path, recordings):
    one = resample(recordings["fast"], 30.0)
    store = write_store(tmp_path / "store", [replace(one, labels={})]).path
    np.save(tmp_path / "fast.npy", np.array(["x", "", "y"])[np.arange(one.num_frames) % 3])
    assert not add_labels(store, [tmp_path / "fast.npy"]).notices
    assert labels_of(Store(store), "behavior")["fast"] == np.array([0, -1, 1])[np.arange(one.num_frames) % 3].tolist()


def test_files_of_another_length_are_refused(tmp_path, recordings):
    store = write_store(tmp_path / "store", [replace(resample(recordings["fast"], 30.0), labels={})]).path
    before = (store / "store.json").read_bytes()
    np.save(tmp_path / "fast.npy", np.zeros(151, int))
    message = "fast.npy: it labels 151 frames, but recording 'fast' has 150, resampled from 300 frames of its source"
    with pytest.raises(InputError, match=message):
        add_labels(store, [tmp_path / "fast.npy"])
    assert (store / "store.json").read_bytes() == before


def test_frames_without_a_rate_are_those_of_the_source_and_that_is_said(tmp_path, recordings):
    store = write_store(tmp_path / "store", [replace(resample(recordings["fast"], 30.0), labels={})]).path
    (tmp_path / "fast.csv").write_text("stream,behavior,start_frame,stop_frame\nS2,dig,100,141\n")
    change = add_labels(store, [tmp_path / "fast.csv"])
    assert change.notices == [f"{tmp_path / 'fast.csv'}: read as frames of the source, 60 per second"]
    assert np.flatnonzero(np.array(labels_of(Store(store), "S2")["fast"]) == 0).tolist() == list(range(50, 71))


def test_rows_know_the_frames_of_their_source(tmp_path, recordings):
    store = write_store(tmp_path / "store", [resample(recordings["ntsc"], 30.0), recordings["mid"]])
    contents = json.loads((store.path / "store.json").read_text())["recordings"]
    assert contents[0]["source_fps"] == 30_000 / 1001 and contents[0]["source_frames"] == 150
    assert not any(name.startswith("source_") for name in contents[1])
    assert not (store.path / "times.npy").exists()


def irregular(one):
    """The recording with irregular frame times, about 4.7 s."""
    return replace(one, keypoints=one.keypoints[:100], labels={}, times=IRREGULAR, fps=25.0)


def test_irregular_times_need_a_rate(tmp_path, recordings, capsys):
    write_npz(tmp_path / "a.npz", irregular(recordings["mid"]))
    command = ["import", str(tmp_path / "a.npz"), "--out", str(tmp_path / "store")]
    assert main(command) == 2
    expected = (
        "its times are irregular, 0.005 to 0.115 s apart: pass a frame rate to resample it to, e.g. --resample 30"
    )
    assert f"a.npz: {expected}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    assert main([*command, "--resample", "20"]) == 0
    assert "resampled from measured frame times, usually 25 to 20" in " ".join(capsys.readouterr().out.split())
    store = Store(tmp_path / "store")
    made, expected = store.recording("mid"), resample(irregular(recordings["mid"]), 20.0)
    assert np.array_equal(made.keypoints, expected.keypoints, equal_nan=True)
    assert np.array_equal(made.resampled_from.measured, IRREGULAR)
    assert main(["info", str(store.path)]) == 0
    assert "resampled from 25 (measured times) frames per second" in " ".join(capsys.readouterr().out.split())


def test_label_files_of_irregular_videos(tmp_path, recordings, capsys):
    """Seconds are the video's; frames of the source are found by their times."""
    videos = tracks(tmp_path / "tracks", {"mid": irregular(recordings["mid"])})
    rows = "stream,behavior,start_frame,stop_frame,start_s,stop_s\nS2,dig,10,31,{:.3f},{:.3f}\n"
    (tmp_path / "mid_annot.csv").write_text(rows.format(*IRREGULAR[[10, 31]]))
    import_recordings([videos], tmp_path / "bare", ImportOptions(resample=20.0))
    options = ImportOptions(resample=20.0, annotations=(tmp_path / "mid_annot.csv",))
    import_recordings([videos], tmp_path / "labeled", options)
    add_labels(tmp_path / "bare", [tmp_path / "mid_annot.csv"])
    found = np.flatnonzero(np.array(labels_of(Store(tmp_path / "bare"), "S2")["mid"]) == 0)
    assert labels_of(Store(tmp_path / "bare"), "S2") == labels_of(Store(tmp_path / "labeled"), "S2")
    assert found[0] / 20 == pytest.approx(IRREGULAR[10], abs=0.026)
    assert (found[-1] + 1) / 20 == pytest.approx(IRREGULAR[31], abs=0.026)

    capsys.readouterr()
    assert main(["export", str(tmp_path / "bare"), "--format", "csv", "boris", "--out", str(tmp_path / "out")]) == 0
    assert "frame numbers count resampled frames" in capsys.readouterr().out
    row = (tmp_path / "out" / "mid.csv").read_text().splitlines()[1].split(",")
    assert row[:4] == ["S2", "dig", str(found[0]), str(found[-1] + 1)]
    assert [float(second) for second in row[4:6]] == [found[0] / 20, (found[-1] + 1) / 20]
    for file in ("mid.csv", "project.boris"):
        shutil.copytree(tmp_path / "out", tmp_path / file)
        for other in {"mid.csv", "project.boris"} - {file}:
            (tmp_path / file / other).unlink()
        drop_streams(tmp_path / "bare", ["S2"])
        add_labels(tmp_path / "bare", [tmp_path / file])
        assert (
            np.flatnonzero(np.array(labels_of(Store(tmp_path / "bare"), "S2")["mid"]) == 0).tolist() == found.tolist()
        )


@pytest.mark.parametrize(("name", "fps"), [("bento", 20.0), *((name, 25.0) for name in FRAME_FORMATS)])
def test_exports_of_irregular_videos_come_back_or_are_refused(tmp_path, recordings, name, fps):
    """Without labels.json, a file may not tell whose frames it counts: those of the source or those of the store."""
    frames = np.random.default_rng(3).integers(0, 3, 10).repeat(10)
    labels = Labels(vocabulary=("attack", "mount", "other"), frames=frames, background="other")
    one = replace(irregular(recordings["mid"]), labels={"S1": labels})
    store = write_store(tmp_path / "store", [resample(one, fps)])
    made = stored_recordings(store, store.rows, chosen_streams(store))
    write_annotations(tmp_path / "out", made, ["mid"], chosen_streams(store), [name])
    drop_streams(store.path, ["S1"])
    for bare in (False, True):
        if bare:
            (tmp_path / "out" / "labels.json").unlink()
        try:
            add_labels(store.path, [tmp_path / "out"], {"S1": "other", "behavior": "other"}, overwrite=True)
        except InputError as error:
            assert bare and name in ("caltech", "bento") and "mid" in str(error)
            assert "its frames may be those of recording 'mid', " in str(error)
            continue
        changed = Store(store.path)
        (stream,) = changed.streams
        words = changed.streams[stream].vocabulary
        if words != ("0", "1", "2"):
            words = np.array([("attack", "mount", "other").index(word) for word in words])
            expected = np.asarray(store.labels("S1"))
            assert np.array_equal(words[changed.labels(stream)], expected)
        else:
            assert np.array_equal(changed.labels(stream), store.labels("S1"))
        drop_streams(store.path, [stream])


@pytest.mark.parametrize(("name", "contents"), [("npy", True), ("csv", False), ("frames", False)])
def test_exports_of_irregular_videos_can_be_imported_with_the_tracks(tmp_path, recordings, name, contents):
    one = irregular(recordings["mid"])
    frames = np.repeat([0, 1, 2, 1, 0], 20)
    labels = Labels(vocabulary=("attack", "mount", "other"), frames=frames, background="other")
    store = write_store(tmp_path / "store", [resample(replace(one, labels={"S1": labels}), 40.0)])
    made = stored_recordings(store, store.rows, chosen_streams(store))
    write_annotations(tmp_path / "out", made, ["mid"], chosen_streams(store), [name])
    if not contents:
        (tmp_path / "out" / "labels.json").unlink()
    videos = tracks(tmp_path / "tracks", {"mid": one})
    options = ImportOptions(resample=40.0, annotations=(tmp_path / "out",), backgrounds={"S1": "other"})
    import_recordings([videos], tmp_path / "new", options)
    new = Store(tmp_path / "new")
    numbers = np.array([("attack", "mount", "other").index(word) for word in new.streams["S1"].vocabulary])
    # Every end of a bout may move to the nearest frame of the source.
    found, expected = (np.flatnonzero(np.diff(one)) for one in (numbers[new.labels("S1")], store.labels("S1")))
    assert np.abs(found - expected).max() <= 2


def test_frames_of_an_irregular_video_are_asked_for(tmp_path, recordings):
    store = write_store(tmp_path / "store", [resample(irregular(recordings["mid"]), 20.0)])
    (tmp_path / "mid.csv").write_text("stream,behavior,start_frame,stop_frame\nS2,dig,10,31\n")
    message = (
        r"mid\.csv: its frames may be those of recording 'mid', 92 at 20 per second, or those of its source, 100 at "
        r"irregular times\. Add the columns start_s and stop_s"
    )
    with pytest.raises(InputError, match=message):
        add_labels(store.path, [tmp_path / "mid.csv"])
    videos = tracks(tmp_path / "tracks", {"mid": irregular(recordings["mid"])})
    options = ImportOptions(resample=20.0, annotations=(tmp_path / "mid.csv",))
    notice = "mid.csv: read as frames of the source, whose times are irregular, usually 25 per second"
    assert any(notice in one for one in import_recordings([videos], tmp_path / "new", options).notices)


def test_seconds_of_irregular_videos_are_read_by_their_times(tmp_path, recordings):
    one = irregular(recordings["mid"])
    videos = tracks(tmp_path / "tracks", {"mid": one})
    events = "Observation id,Media file name,Subject,Behavior,Behavior type,Start (s),Stop (s),FPS\n"
    (tmp_path / "events.csv").write_text(events + "mid,mid.mp4,,dig,STATE,1.0,2.5,30\n")
    options = ImportOptions(resample=20.0, annotations=(tmp_path / "events.csv",))
    import_recordings([videos], tmp_path / "store", options)
    store = Store(tmp_path / "store")
    (stream,) = store.streams
    found = np.flatnonzero(np.array(labels_of(store, stream)["mid"]) == store.streams[stream].vocabulary.index("dig"))
    assert found[0] / 20 == pytest.approx(1.0, abs=0.08) and (found[-1] + 1) / 20 == pytest.approx(2.5, abs=0.08)


def test_a_store_has_frames_of_one_rate(tmp_path, recordings):
    with pytest.raises(InputError, match="has measured frame times, and a store holds frames of one rate"):
        write_store(tmp_path / "store", [irregular(recordings["mid"])])
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("damage", ["missing", "short", "falling"])
def test_damaged_times_are_named(tmp_path, recordings, damage):
    store = write_store(tmp_path / "store", [resample(irregular(recordings["mid"]), 20.0)])
    times = np.load(store.path / "times.npy")
    (store.path / "times.npy").unlink()
    if damage != "missing":
        np.save(store.path / "times.npy", times[:-1] if damage == "short" else times[::-1])
    with pytest.raises(InputError, match=r"is damaged: .*times\.npy"):
        Store(store.path).recording("mid")


def test_npz_times(tmp_path, recordings):
    def read(one, keep_times, **options):
        write_npz(tmp_path / "x.npz", one)
        (found,) = read_recordings(tmp_path / "x.npz", ReadOptions(keep_times=keep_times, **options))
        return found

    mid = replace(recordings["mid"], labels={})
    assert np.array_equal(read(irregular(mid), True).times, IRREGULAR)
    jitter = np.arange(150) / 30 + np.tile([0, 0.002], 75)
    assert np.array_equal(read(replace(mid, times=jitter), True).times, jitter)
    assert read(replace(mid, times=jitter), False).times is None
    assert read(replace(mid, times=np.round(np.arange(150) / 30, 3)), True).times is None
    hole = np.where(np.arange(150) < 70, 0, 0.1) + np.arange(150) / 30
    with pytest.raises(
        InputError, match=r"x\.npz: its times have a hole before frame 70, at 2\.43333 s: pass a frame rate"
    ):
        read(replace(mid, times=hole), False)
    with pytest.raises(InputError, match=r"its fps is 30, but its times are usually 0\.04 s apart, which is 25 frames"):
        read(replace(irregular(mid), fps=30.0), True)
    with pytest.raises(InputError, match=r"x\.npz: its times are irregular"):
        read(irregular(mid), True, fps=30.0)
    assert read(replace(mid, times=np.arange(150) * 1.0, fps=1.0), True, fps=30.0).times is None


def test_clusters_are_written_in_the_frames_of_the_video(tmp_path, recordings):
    made = [resample(recordings["fast"], 30.0), resample(irregular(recordings["mid"]), 20.0), recordings["slow"]]
    store = write_store(tmp_path / "store", made)
    rows = [EmbeddingRow(**row) for row in json.loads(json.dumps([row.facts() for row in unit_rows(store.rows)]))]
    assert [(row.source_fps, row.source_frames) for row in rows] == [(60.0, 300), (25.0, None), (None, None)]
    clusters = FrameClusters(rows, np.arange(store.num_frames, dtype=np.int32) // 7 % 3, 3)
    fast, mid, slow = clustered_recordings(clusters, rows, ("a", "b", "c"))
    assert (fast.fps, fast.num_frames, mid.fps, slow.fps) == (60.0, 300, 20.0, 25.0)
    assert fast.labels["cluster"].frames.tolist() == np.repeat(clusters.of(rows[0]), 2).tolist()
    assert mid.labels["cluster"].frames.tolist() == clusters.of(rows[1]).tolist()
