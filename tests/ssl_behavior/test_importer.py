import gc
import gzip
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ssl_behavior.commands.import_ import main
from ssl_behavior.errors import InputError
from ssl_behavior.importer import ImportOptions, import_recordings, read
from ssl_behavior.io import write_npz
from ssl_behavior.io.calms21 import SIMULATED
from ssl_behavior.io.import_report import findings
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import SKELETONS, Skeleton
from ssl_behavior.store import Store

RATS = SKELETONS["rat_dyads"]
CLIPPED = {"08": 7, "13": 9, "14": 59, "25": 14, "31": 17, "38": 15}
HEADINGS = ("individuals", "bodyparts", "coords")
WITHOUT_S2 = {"04", "09", "15", "17", "19", "21", "32", "33"}
WITH_ZEROS = {"06", "07", "14", "24", "27", "28", "29", "33", "35", "37"}


def keypoints(frames=11, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((frames, 2, 5, 2)) * 100 + np.array([0, 300])[:, None, None] + 50


def write(path, values, fps=30.0, id=None, labels=None):
    write_npz(path, Recording(id=id or path.stem, keypoints=values, fps=fps, skeleton=RATS, labels=labels or {}))
    return path


def write_csv(path, values):
    columns = [(a, p, c) for a in ("i1", "i2") for p in RATS.keypoints for c in ("x", "y")]
    rows = [["scorer", *["net"] * len(columns)], ["individuals", *(c[0] for c in columns)]]
    rows += [["bodyparts", *(c[1] for c in columns)], ["coords", *(c[2] for c in columns)]]
    rows += [[str(t), *("" if np.isnan(v) else f"{v:.3f}" for v in row.ravel())] for t, row in enumerate(values)]
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    return path


def write_annotation(path, streams):
    lines = [
        "Caltech Behavior Annotator - Annotation File",
        "",
        "Configuration file:",
        "base\tz",
        "social\ts",
        "bite\tb",
    ]
    for stream, intervals in streams.items():
        lines += ["", f"{stream}:\tstart\tend\ttype", "-----"]
        lines += [f"\t{first}\t{last}\t{name}" for first, last, name in intervals]
    path.write_text("\r\n".join(lines) + "\r\n")
    return path


def test_tracks_and_annotations_of_a_folder(tmp_path):
    lab = tmp_path / "lab"
    lab.mkdir()
    values = keypoints(6)
    values[3, 1, 2] = 0
    write_csv(lab / "01_dlc_tracks.csv", values)
    write_csv(lab / "02_dlc_tracks.csv", keypoints(5, 1))
    write_annotation(lab / "01_annot.txt", {"S1": [(1, 4, "base"), (5, 8, "social")], "S2": [(1, 6, "base")], "S3": []})
    report = import_recordings([lab], tmp_path / "store")
    store = Store(tmp_path / "store")
    assert [(row.id, row.frames, row.fps) for row in store.rows] == [("01", 6, 30.0), ("02", 5, 30.0)]
    assert store.labels("S1")[:6].tolist() == [0, 0, 0, 0, 1, 1] and (store.labels("S1")[6:] == -1).all()
    assert store.streams["S1"].background == "" and store.streams["S2"].background == "base"
    assert "S3" not in store.streams and any("S3 is empty" in notice for notice in report.notices)
    assert np.isnan(store.keypoints[3, 1, 2]).all()
    first, second = report.recordings
    assert first.cleaned.zeros == 1 and first.labels["S1"].clipped == 2
    assert first.labels["S1"].counts == {"base": 4, "social": 2} and second.labels == {}
    assert json.loads((tmp_path / "store" / "import.json").read_text())["recordings"][0]["cleaned"]["zeros"] == 1
    text = "\n".join(findings(report))
    for words in ("exactly (0, 0) were set to missing", "01 (2)", "S2 is not annotated", "fps 30 assumed"):
        assert words in text, words


def test_keep_sentinels_background_and_confidence(tmp_path):
    values = keypoints(6)
    values[3, 1, 2] = 0
    track = write_csv(tmp_path / "01.csv", values)
    annotation = write_annotation(tmp_path / "01_annot.txt", {"S1": [(1, 2, "social"), (5, 6, "base")]})
    options = ImportOptions(keep_sentinels=True, annotations=(annotation,), backgrounds={"S1": "base"}, fps=25.0)
    report = import_recordings([track], tmp_path / "store", options)
    store = Store(tmp_path / "store")
    assert (store.keypoints[3, 1, 2] == 0).all() and report.recordings[0].quality.zeros == 1
    base, social = (store.streams["S1"].vocabulary.index(name) for name in ("base", "social"))
    assert store.labels("S1").tolist() == [social, social, base, base, base, base]
    assert store.rows[0].fps == 25.0 and store.streams["S1"].background == "base"
    with pytest.raises(InputError, match="no such stream or behavior"):
        import_recordings([track], tmp_path / "b", ImportOptions(backgrounds={"S9": "base"}))
    with pytest.raises(InputError, match="no confidence"):
        import_recordings([track], tmp_path / "b", ImportOptions(min_confidence=0.5))
    assert not (tmp_path / "b").exists()


def calms21(frames=11):
    rng = np.random.default_rng(0)
    return {
        "annotator-id_0": {
            "task1/train/m": {
                "keypoints": (rng.random((frames, 2, 2, 7)) * 500).round(2).tolist(),
                "scores": rng.random((frames, 2, 7)).round(2).tolist(),
                "annotations": rng.integers(0, 4, frames).tolist(),
                "metadata": {"annotator-id": 0, "vocab": {"attack": 0, "investigation": 1, "mount": 2, "other": 3}},
            }
        }
    }


def three_ways(folder: Path, contents: dict) -> list[Path]:
    text = json.dumps(contents)
    plain = folder / "calms21_task1_train.json"
    plain.write_text(text)
    with zipfile.ZipFile(folder / "task1_classic_classification.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("task1_classic_classification/calms21_task1_train.json", text)
    arrays = {
        group: {
            name: {k: v if k == "metadata" else np.array(v) for k, v in values.items()}
            for name, values in inner.items()
        }
        for group, inner in contents.items()
    }
    with (folder / "calms21_task1_train.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(np.array(arrays, dtype=object), file, protocol=3)
    return [plain, folder / "task1_classic_classification.zip", folder / "calms21_task1_train.npy"]


def assert_identical(paths, folder):
    stores = []
    for path in paths:
        out = folder / f"store_{path.suffix}"
        import_recordings([path], out)
        stores.append(Store(out))
    first = stores[0]
    for other in stores[1:]:
        for file in ("keypoints.npy", "confidence.npy", "labels/behavior.npy"):
            assert (first.path / file).read_bytes() == (other.path / file).read_bytes(), file
        assert first.fingerprint() == other.fingerprint() and first.streams == other.streams
        assert [r.annotators for r in first.rows] == [r.annotators for r in other.rows]
        assert [r.subset for r in first.rows] == [r.subset for r in other.rows]
    return first


def test_json_zip_and_npy_give_identical_stores(tmp_path):
    assert_identical(three_ways(tmp_path, calms21()), tmp_path)


@pytest.mark.data
def test_the_real_excerpt_three_ways(tmp_path, real_data):
    contents = json.loads((real_data / "calms21" / "calms21_task1_excerpt.json").read_text())
    store = assert_identical(three_ways(tmp_path, contents), tmp_path)
    assert store.num_frames == 2440 and store.rows[0].annotators == {"behavior": "0"}


@pytest.mark.data
@pytest.mark.parametrize(
    "ids",
    [("01", "04", "10", "14"), pytest.param(tuple(f"{n:02}" for n in range(1, 39)), marks=pytest.mark.slow)],
    ids=["four", "all"],
)
def test_the_rats(tmp_path, real_data, ids):
    sources = [path for path in sorted((real_data / "rat_dyads").iterdir()) if path.name[:2] in ids]
    report = import_recordings(sources, tmp_path / "rats")
    store = Store(tmp_path / "rats")
    assert tuple(row.id for row in store.rows) == ids
    assert set(store.streams) == {"S1", "S2"} and store.skeleton == RATS
    assert {row.fps for row in store.rows} == {30.0} and store.individuals == ("individual1", "individual2")
    rows = {r.id: r for r in report.recordings}
    for stream in ("S1", "S2"):
        clipped = {id: r.labels[stream].clipped for id, r in rows.items() if stream in r.labels}
        assert {id: count for id, count in clipped.items() if count} == {
            id: n for id, n in CLIPPED.items() if id in ids
        }
    assert {id for id, r in rows.items() if "S2" not in r.labels} == WITHOUT_S2.intersection(ids)
    assert {id for id, r in rows.items() if r.cleaned.zeros} == WITH_ZEROS.intersection(ids)
    assert all(r.quality.zeros == 0 and not r.quality.never_seen for r in rows.values())
    assert all(0.27 < r.quality.missing_share < 0.48 for r in rows.values())
    assert {id for id, r in rows.items() if r.quality.far_points} >= {"10", "19"}.intersection(ids)
    for id, coinciding in (("14", range(415, 537)), ("25", range(5151, 5325)), ("38", range(263, 428))):
        assert id not in ids or rows[id].quality.coinciding_frames >= 0.9 * len(coinciding)
    assert (store.labels("S2")[store.row("04").slice] == -1).all()
    # Annotation frame f is table frame f - 1: 01 has aggression in its frames 1529 to 1617.
    aggression = store.streams["S1"].vocabulary.index("aggression")
    start = store.row("01").offset
    assert np.flatnonzero(store.labels("S1")[start : start + 1700] == aggression).tolist() == list(range(1528, 1617))


@pytest.mark.data
def test_rats_tables_that_start_at_frame_1_stay_aligned(tmp_path, real_data):
    source = real_data / "rat_dyads"
    lines = gzip.decompress((source / "01_dlc_tracks.csv.gz").read_bytes()).splitlines(keepends=True)
    assert lines[4].startswith(b"0,,,")
    (tmp_path / "01_dlc_tracks.csv").write_bytes(b"".join(lines[:4] + lines[5:]))
    options = ImportOptions(annotations=(source / "01_annot.txt",))
    report = import_recordings([tmp_path / "01_dlc_tracks.csv"], tmp_path / "cut", options)
    import_recordings([source / "01_dlc_tracks.csv.gz"], tmp_path / "whole", options)
    assert Store(tmp_path / "cut").fingerprint() == Store(tmp_path / "whole").fingerprint()
    assert any("first frame number 1" in note for note in report.recordings[0].notes)


def test_two_recordings_of_one_id_and_copies(tmp_path):
    a = write(tmp_path / "a.npz", keypoints(), id="same")
    b = write(tmp_path / "b.npz", keypoints(seed=1), id="same")
    with pytest.raises(InputError, match=r"two recordings have the id 'same': .*a\.npz and .*b\.npz"):
        import_recordings([a, b], tmp_path / "store")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]
    c = write(tmp_path / "c.npz", keypoints())
    report = import_recordings([a, c], tmp_path / "store")
    assert any("same tracks as 'same'" in notice for notice in report.notices)


@pytest.mark.parametrize("frames", [1, 3])
def test_short_and_empty_recordings_are_imported_and_reported(tmp_path, frames):
    write(tmp_path / "short.npz", keypoints(frames))
    write(tmp_path / "blank.npz", np.full((40, 2, 5, 2), np.nan))
    report = import_recordings([tmp_path / "short.npz", tmp_path / "blank.npz"], tmp_path / "store")
    text = "\n".join(findings(report))
    assert "shorter than a second: short" in text and "blank: never seen at all: individual1/top" in text
    assert Store(tmp_path / "store").num_frames == frames + 40


def test_labels_of_two_vocabularies_meet_in_one_store(tmp_path):
    a = Labels(vocabulary=("x", "y"), frames=np.array([0, 1, 1]))
    b = Labels(vocabulary=("z", "y"), frames=np.array([0, 1, -1]))
    write(tmp_path / "a.npz", keypoints(3), labels={"S": a})
    write(tmp_path / "b.npz", keypoints(3, 1), labels={"S": b})
    import_recordings([tmp_path], tmp_path / "store")
    assert Store(tmp_path / "store").labels("S").tolist() == [0, 1, 1, 2, 1, -1]


def test_annotations_without_recording_raise(tmp_path):
    track = write(tmp_path / "a.npz", keypoints())
    annotation = write_annotation(tmp_path / "b_annot.txt", {"S1": [(1, 3, "base")]})
    with pytest.raises(InputError, match=r"annotations that fit no recording.*for example a_b_annot\.txt"):
        import_recordings([track], tmp_path / "store", ImportOptions(annotations=(annotation,)))
    other_case = annotation.rename(tmp_path / "A_annot.txt")
    with pytest.raises(InputError, match=r"fit no recording.*for example a_annot\.txt"):
        import_recordings([track], tmp_path / "store", ImportOptions(annotations=(other_case,)))


def test_only_stores_are_overwritten(tmp_path):
    track = write(tmp_path / "a.npz", keypoints())
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists already"):
        import_recordings([track], precious)
    with pytest.raises(InputError, match="is no store"):
        import_recordings([track], precious, ImportOptions(overwrite=True))
    assert (precious / "thesis.txt").read_text() == "years of work"
    import_recordings([track], tmp_path / "store")
    import_recordings([track], tmp_path / "store", ImportOptions(overwrite=True))
    inside = write(tmp_path / "store" / "b.npz", keypoints())
    with pytest.raises(InputError, match="lies in"):
        import_recordings([inside], tmp_path / "store", ImportOptions(overwrite=True))
    with pytest.raises(InputError, match="store is `out` itself, which would be replaced"):
        import_recordings([tmp_path / "store"], tmp_path / "store", ImportOptions(overwrite=True))


def test_a_failure_in_the_middle_leaves_nothing(tmp_path):
    write(tmp_path / "a.npz", keypoints())
    good = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(good[: len(good) - 30])
    (tmp_path / "c.csv").write_text("scorer,x\nbodyparts,a\ncoords,x\n0,1\n")
    with pytest.raises(InputError):
        import_recordings([tmp_path / "a.npz", tmp_path / "c.csv"], tmp_path / "store")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz", "c.csv"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0.0}, "`fps` must be a number from 0.01 to 100,000 frames per second, got 0"),
        ({"fps": float("nan")}, "`fps` must be a number from 0.01 to 100,000 frames per second, got nan"),
        ({"fps": 1e-320}, "`fps` must be a number from"),
        ({"fps": 1e308, "resample": 30.0}, "`fps` must be a number from .* got 1e"),
        ({"resample": 1e-310}, "`resample` must be a number from"),
        ({"resample": 1e-9}, "`resample` must be a number from"),
        ({"resample": 1e9}, "`resample` must be a number from 0.01 to 100,000 frames per second, got 1e"),
        ({"px_per_cm": -3.0}, "`px_per_cm` must be a number above 0, got -3"),
        ({"px_per_cm": float("inf")}, "`px_per_cm` must be a number above 0"),
        ({"min_confidence": 2.0}, "`min_confidence` must be in"),
        ({"format": "excel"}, "unknown `format`"),
    ],
)
def test_options_are_checked(tmp_path, options, message):
    track = write(tmp_path / "a.npz", keypoints())
    with pytest.raises(InputError, match=message):
        import_recordings([track], tmp_path / "store", ImportOptions(**options))


def test_times_in_milliseconds_are_noticed(tmp_path):
    def save(name, times):
        np.savez(tmp_path / name, keypoints=keypoints(20), keypoint_names=[*RATS.keypoints], times=times)
        return tmp_path / name

    slow = save("a.npz", np.arange(20) * 1000 / 30)
    notice = "fewer than 1 frame per second is assumed, 0.03 in a: if times of the file are milliseconds, pass"
    assert any(notice in one for one in import_recordings([slow], tmp_path / "store").notices)
    fast = import_recordings([slow], tmp_path / "again", ImportOptions(fps=30.0))
    assert not any("milliseconds" in one for one in fast.notices) and Store(tmp_path / "again").rows[0].fps == 30.0
    with pytest.raises(
        InputError, match=r"fps must be a number from 0.01 .*got 1e-05.*\(are its times milliseconds\?\)"
    ):
        import_recordings([save("b.npz", np.arange(20) * 1e5)], tmp_path / "other")
    times = np.append(np.arange(19) / 30, 1e300)
    with pytest.raises(InputError, match=r"it has 3e\+301 frames, which need 3.*e\+\d+ GB of memory; choose"):
        import_recordings([save("c.npz", times)], tmp_path / "other", ImportOptions(resample=30.0))


def test_one_scale_for_all_recordings_that_do_not_bring_their_own(tmp_path):
    write_csv(tmp_path / "01_dlc.csv", keypoints(5))
    track = Recording(id="own", keypoints=keypoints(7, 1), fps=30.0, skeleton=RATS, px_per_cm=12.5)
    write_npz(tmp_path / "own.npz", track)
    with pytest.raises(InputError, match=r"own.npz: recording 'own' has 12.5 px per cm, `px_per_cm` is 11.2;"):
        import_recordings([tmp_path], tmp_path / "store", ImportOptions(px_per_cm=11.2))
    assert not (tmp_path / "store").exists()
    assert main([str(tmp_path), "--out", str(tmp_path / "store"), "--px-per-cm", "12.5"]) == 0
    assert {row.id: row.px_per_cm for row in Store(tmp_path / "store").rows} == {"01": 12.5, "own": 12.5}
    import_recordings([tmp_path / "01_dlc.csv", tmp_path / "own.npz"], tmp_path / "unscaled")
    assert {row.id: row.px_per_cm for row in Store(tmp_path / "unscaled").rows} == {"01": None, "own": 12.5}


def test_names_with_brackets_are_no_markup(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    write(tmp_path / "a.npz", keypoints(), id="a[/bold]b[red]c")
    write(tmp_path / "[b].npz", keypoints(), id="x")
    assert main([str(tmp_path), "--out", str(tmp_path / "store")]) == 0
    assert "a[/bold]b[red]c" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "rows"), [(40, 40), (41, 20)])
def test_report_of_many_recordings_is_shortened_and_saved_in_full(tmp_path, capsys, number, rows):
    lab = tmp_path / "lab"
    lab.mkdir()
    for one in range(number):
        labels = {} if one else {f"S{n}": Labels(vocabulary=("a", "b"), frames=np.zeros(7, int)) for n in range(5)}
        write(lab / f"r{one:02d}.npz", keypoints(7, one), labels=labels)
    assert main([str(lab), "--out", str(tmp_path / "store")]) == 0
    output, report = capsys.readouterr().out, tmp_path / "store" / "import.json"
    lines = [line.split() for line in output.splitlines()]
    first_cells = [line for line in lines if line and line[0] == f"r{rows - 1:02d}"]
    assert len(first_cells) == 2 and not [line for line in lines if line and line[0] == f"r{rows:02d}"]
    more = [line for line in output.split("\n") if line.startswith("and ")]
    assert all(line.split()[1] == str(number - rows) for line in more) and len(more) == 2 * (number > rows)
    assert "5 streams" in output, "many streams are told in one column"
    assert len(json.loads(report.read_text())["recordings"]) == number
    without = f"S3 is not annotated (which is not the same as background) in {number - 1} of {number} recordings: r01"
    assert (without in " ".join(output.split())) == (number > 40)


def test_of_many_keypoints_each_has_a_row_with_its_missing_share(tmp_path, capsys):
    """Side by side they would be cut to a letter each."""
    names = tuple(f"keypoint_{number}" for number in range(22))
    skeleton = Skeleton(name="many", keypoints=names, roles={"nose": names[0], "tail_base": names[21]})
    for seed, missing in enumerate((2, 6)):
        values = np.random.default_rng(seed).random((10, 2, 22, 2)) * 100 + 50
        values[:missing, :, 4] = np.nan
        write_npz(tmp_path / f"{seed}.npz", Recording(id=f"{seed}", keypoints=values, fps=30.0, skeleton=skeleton))
    assert main([str(tmp_path / "0.npz"), str(tmp_path / "1.npz"), "--out", str(tmp_path / "store")]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("keypoint_4 ")]
    assert line.split() == ["keypoint_4", "20.0", "40.0", "60.0"]


def test_simulated_release_marker_gives_no_notice(tmp_path):
    write(tmp_path / "r.npz", keypoints())
    (tmp_path / SIMULATED).write_text("{}")
    assert not any(SIMULATED in notice for notice in import_recordings([tmp_path], tmp_path / "store").notices)


def test_empty_folder(tmp_path):
    (tmp_path / "lab").mkdir()
    with pytest.raises(
        InputError, match=r"no recordings in .*lab\. There is no file in it\. Formats that are read: CalMS21 JSON"
    ):
        import_recordings([tmp_path / "lab"], tmp_path / "store")


def test_progress_reaches_the_whole(tmp_path):
    paths = three_ways(tmp_path, calms21())
    seen = []
    with pytest.raises(InputError, match="two recordings have the id"):
        import_recordings(paths, tmp_path / "store", None, lambda *told: seen.append(told))
    seen.clear()
    import_recordings(paths[:1], tmp_path / "store", None, lambda *told: seen.append(told))
    stages, done, totals = map(set, zip(*seen, strict=True))
    assert stages == {"importing"} and totals == {paths[0].stat().st_size} and min(done) >= 0
    assert sum(count for _, count, _ in seen) == paths[0].stat().st_size


def test_the_command_prints_tables_and_what_to_look_at(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    values = keypoints(40)
    values[0, 0, 0] = 0
    write_csv(tmp_path / "01_dlc.csv", values)
    write_annotation(tmp_path / "01_annot.txt", {"S1": [(1, 50, "social")]})
    assert main([str(tmp_path), "--out", str(tmp_path / "store"), "--background", "S1=social"]) == 0
    out = capsys.readouterr().out
    for words in (
        "Recordings",
        "tail-m",
        "social (background)",
        "What to look at",
        "(0, 0)",
        "1 recording, 40 frames",
        "--fps changes it",
    ):
        assert words in out, words
    with pytest.raises(InputError, match="expected STREAM=BEHAVIOR"):
        main([str(tmp_path), "--out", str(tmp_path / "x"), "--background", "S1"])
    with pytest.raises(InputError, match="neither built in"):
        main([str(tmp_path), "--out", str(tmp_path / "x"), "--skeleton", "cat"])


def test_an_animal_of_other_points_than_the_first_is_said_to_have_no_heading(tmp_path):
    parts = {"mouse": ("nose", "neck", "tail_base"), "single": ("front", "rear")}
    columns = [(animal, part, c) for animal, own in parts.items() for part in own for c in ("x", "y")]
    rows = [["scorer", *["net"] * 10], *([name, *(c[i] for c in columns)] for i, name in enumerate(HEADINGS))]
    rows += [[str(t), *(f"{v:.2f}" for v in row)] for t, row in enumerate(keypoints(40)[..., 0].reshape(40, -1))]
    path = tmp_path / "prey.csv"
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    chosen = {"mouse": "mouse", "single": "single"}
    report = import_recordings([path], tmp_path / "st", ImportOptions(fps=30.0, individuals=chosen))
    sentence = next(one for one in findings(report) if "no heading" in one)
    assert "for single (neck, tail_base never seen)" in sentence


def test_reading_from_python(tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a", "b"):
        write_csv(source / f"{name}.csv", keypoints())
    store = read(source, fps=30.0, individuals={"left": "i1", "right": "i2"})
    said = capsys.readouterr().out
    assert "What to look at" in said and f"{store.path}: 2 recordings, 22 frames" in said
    assert [*store.individuals] == ["left", "right"] and [row.id for row in store.rows] == ["a", "b"]
    np.testing.assert_allclose(store["a"].keypoints, keypoints(), atol=1e-3)
    folder = store.path
    del store
    gc.collect()
    assert not folder.exists()
    kept = read([source / "a.csv"], tmp_path / "store", fps=25.0, individuals=["i2", "i1"], verbose=False)
    assert capsys.readouterr() == ("", "") and Store(tmp_path / "store").rows == kept.rows
    np.testing.assert_allclose(kept["a"].keypoints, keypoints()[:, ::-1], atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames_per_second": 30}, "`read` has no argument 'frames_per_second'; it has format, fps"),
        ({"fps": -1.0}, "`fps` must be a number from 0.01"),
        ({"skeleton": "unicorn"}, "unicorn"),
        ({"individuals": ["i9"]}, "i9"),
    ],
)
def test_mistakes_of_reading_name_the_argument_and_leave_nothing(arguments, message, tmp_path):
    source = write_csv(tmp_path / "a.csv", keypoints())
    with pytest.raises(InputError, match=message):
        read(source, tmp_path / "store", verbose=False, **arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv"]


def test_a_child_process_leaves_the_temporary_store_alone(tmp_path):
    store = read(write_csv(tmp_path / "a.csv", keypoints()), verbose=False)
    child = f"from ssl_behavior.files import _remove_own; _remove_own({str(store.path)!r}, {os.getpid()})"
    subprocess.run([sys.executable, "-c", child], check=True)
    assert store.path.exists()
    with pytest.raises(InputError, match="`paths` is empty"):
        read([], verbose=False)
