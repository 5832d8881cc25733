"""Findings of an import: alike ones in one sentence, what endangers a result first."""

import re

import numpy as np
import pytest

from ssl_behavior.importer import ImportOptions, import_recordings
from ssl_behavior.io.import_report import (
    CONCERNS,
    ImportReport,
    RecordingReport,
    absent_animals,
    concern_of,
    findings,
)
from ssl_behavior.io.track_quality import Cleaned, inspect_quality
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import Skeleton

PARTS = tuple(f"part_with_a_long_name_{n}" for n in range(27))
MANY = Skeleton(name="many", keypoints=PARTS)


def walk(frames=301, animals=2, keypoints=27, seed=0):
    """Animals 130 px long that walk, [time, individual, keypoint, space]."""
    rng = np.random.default_rng(seed)
    center = np.array([[200.0, 200], [600, 500], [900, 200]])[:animals] + np.cumsum(
        rng.normal(0, 1, (frames, animals, 2)), axis=0
    )
    body = np.stack([np.linspace(0, 130, keypoints), np.zeros(keypoints)], axis=-1)
    return center[:, :, None] + body + rng.normal(0, 0.3, (frames, animals, keypoints, 2))


def report_of(*keypoints, names=("r0", "r1", "r2"), notes=None, notices=(), cleaned=None):
    rows = []
    for number, values in enumerate(keypoints):
        recording = Recording(
            id=names[number],
            keypoints=values,
            fps=30.0,
            skeleton=MANY,
            notes=tuple((notes or {}).get(number, ())),
            individuals=tuple(f"animal{n}" for n in range(values.shape[1])),
        )
        rows.append(RecordingReport.of(recording, inspect_quality(recording), cleaned or Cleaned(), {}))
    return ImportReport(recordings=rows, notices=list(notices))


def test_keypoints_that_are_missing_alike_are_one_line_with_full_names():
    keypoints = walk()
    keypoints[: round(0.6 * 301)] = np.nan
    lines = [line for line in findings(report_of(keypoints)) if "missing in" in line]
    assert lines == [f"27 of 27 keypoints are missing in 60% of a recording's points: {', '.join(PARTS)}"]
    keypoints[:, :, 3] = np.nan
    (line,) = [line for line in findings(report_of(keypoints)) if "missing in" in line]
    assert line.startswith(
        f"27 of 27 keypoints are missing in more than 20% of a recording's points: {PARTS[3]} in 100%;"
    )
    assert all(part in line for part in PARTS)
    assert not any("missing in" in line for line in findings(report_of(walk())))


def test_absent_animals_are_one_line_and_come_before_missing_points():
    keypoints = walk(animals=3)
    keypoints[:90, 0, 0] = np.nan
    lacking = [keypoints.copy() for _ in range(3)]
    lacking[1][:, 2] = lacking[2][:, 1:] = np.nan
    report = report_of(*lacking)
    names = ("animal0", "animal1", "animal2")
    report.notices += absent_animals(report.recordings, names)
    found = findings(report)
    (line,) = [line for line in found if "absent" in line]
    assert line == ("absent animals, of which these recordings have no point: animal2 in r1; animal1, animal2 in r2")
    assert concern_of(line) == "number of animals" and not any("never seen" in one for one in found)
    assert found.index(line) < min(n for n, other in enumerate(found) if "missing in" in other)
    (everywhere,) = absent_animals(report.recordings[2:], names)
    assert everywhere.endswith(
        "animal1, animal2 in all recordings; `individuals` with the names of the others (animal0) leaves out those "
        "that no recording has"
    )
    assert list(absent_animals(report.recordings[:1], names)) == []


def test_keypoints_of_an_animal_that_is_seen_are_listed():
    keypoints = walk(animals=2)
    keypoints[:] = np.nan
    keypoints[3, 0, 0] = 5
    text = "\n".join(findings(report_of(keypoints)))
    assert f"r0: never seen at all: animal0/{PARTS[1]}" in text and text.count(PARTS[7]) == 2
    # Of a recording without any animal, all are listed, their keypoints once.
    keypoints[3, 0, 0] = np.nan
    report = report_of(keypoints)
    text = "\n".join(findings(report))
    assert text.count(PARTS[7]) == 2 and "; animal1 (all 27 keypoints)" in text
    assert list(absent_animals(report.recordings, ("animal0", "animal1"))) == []


def test_keypoints_that_one_animal_never_has_are_not_said_to_be_missing_often():
    keypoints = walk(animals=2)
    keypoints[:, 0, 20:] = keypoints[:, 1, :20] = np.nan
    keypoints[:100, 0, 3] = np.nan
    (line,) = [line for line in findings(report_of(keypoints)) if "missing in" in line]
    assert line == f"1 of 27 keypoints are missing in 33% of a recording's points: {PARTS[3]}"


def test_findings_of_groups_name_the_animals():
    keypoints = [walk(animals=3, seed=n) for n in range(2)]
    keypoints[0][50, 1, 5] += 500
    keypoints[1][60, 2, 5] += 500
    keypoints[1][90, 2, 5] += 500
    keypoints[1][120:130] = keypoints[1][120:130][:, [1, 0, 2]]
    found = findings(report_of(*keypoints))
    (line,) = [line for line in found if "swapped" in line]
    assert line == "frames look as if two animals were swapped there: r1 (2); of animal0 and animal1 (2)"
    (line,) = [line for line in found if "points jump" in line]
    assert line.endswith("114 in all: r0 (2), r1 (112); of animal1 (56), animal0 (54), animal2 (4)")


def test_order_follows_the_table():
    keypoints = walk()
    keypoints[100, 0] = keypoints[100, 1]  # two animals on one point
    keypoints[200, 0, 0] += 400  # a jump
    notices = [
        "left out 3 files without tracks: 2 videos (a.mp4, b.mp4), 1 labeled-frames table (c.csv)",
        "'r1' has the same tracks as 'r0': keep them on one side of a split",
        "the animals a, b are taken as exchangeable: the embedding does not depend on their order",
        "fps 30 assumed: the documented rate",
    ]
    found = findings(report_of(keypoints, notices=notices, cleaned=Cleaned(zeros=2)))
    concerns = [name for name, _ in CONCERNS]
    places = [
        next(n for n, line in enumerate(found) if words in line)
        for words in ("two animals on", "same tracks", "(0, 0) were set", "points jump", "fps 30", "left out 3")
    ]
    assert places == sorted(places) and places[0] <= 1
    assert found[0:2][1 - places[0]].startswith("the animals a, b")
    assert [concern_of(n) for n in notices] == ["files", "copies", "identity", "assumptions"]
    assert concerns.index("identity") < concerns.index("number of animals") < concerns.index("copies")


def test_alike_notices_and_notes_are_one_line_each():
    notes = {0: ["first frame number 1; 1 of 301 frames have no row and are missing", "text read as cp1252"]}
    notes |= {1: ["first frame number 7; 7 of 301 frames have no row and are missing", "text read as cp1252"]}
    notices = [f"'copy{n}' has the same tracks as 'first{n}': keep them on one side of a split" for n in range(3)]
    notices += [f"/data/m{n}.csv: left out the body parts that belong to no animal ('single')" for n in range(12)]
    found = findings(report_of(walk(), walk(seed=1), walk(seed=2), notes=notes, notices=notices))
    (same,) = [line for line in found if "same tracks" in line]
    assert same.startswith(notices[0]) and same.endswith("and alike: copy1 / first1, copy2 / first2")
    (left,) = [line for line in found if "left out" in line]
    assert left.startswith(notices[3]) and "/data/m1.csv, /data/m2.csv" in left and left.endswith("and 3 more")
    (rows,) = [line for line in found if "have no row" in line]
    assert rows == f"{notes[0][0]} (r0); and alike, with other numbers: r1"
    assert "text read as cp1252 (r0, r1)" in found


def test_counts_are_given_per_recording_and_in_all():
    keypoints = [walk(seed=n) for n in range(3)]
    for n, values in enumerate(keypoints):
        values[50 : 52 + n, 0, 0] = np.nan
        values[100, 0, 5] += 500
    (line,) = [line for line in findings(report_of(*keypoints)) if "jump" in line]
    assert re.search(r"next, 6 in all: r0 \(2\), r1 \(2\), r2 \(2\)$", line)
    (line,) = [line for line in findings(report_of(keypoints[0])) if "jump" in line]
    assert line.endswith("to the next: r0 (2)")


@pytest.mark.parametrize("keep", [False, True])
def test_padding_of_absent_animals_is_reported_on_import(tmp_path, make, keep):
    values = make.tracks(90, 3)
    values[:, 2] = -1  # SuperAnimal's padding: coordinates and likelihood
    values[20:85, 0, 1, :2] = values[20, 0, 1, :2]
    path = make.write_dlc_csv(tmp_path / "x.csv", values, individuals=("a", "b", "c"))
    report = import_recordings([path], tmp_path / "store", ImportOptions(keep_sentinels=keep))
    text = "\n".join(findings(report))
    assert ("points at exactly (-1, -1) were set to missing" in text) == (not keep)
    assert ("points at exactly (-1, -1) were kept: x (450)" in text) == keep
    assert ("have no point: c in all recordings; `individuals`" in text) == (not keep)
    assert f"more than 2 s while others move: x ({65 + 450 * keep}); of " in text


def test_files_of_one_video_are_said_before_doubtful_points():
    sentence = "a_m1 and a_m2 look like animals of one video, a: `animals_from=files` joins such files"
    assert concern_of(sentence) == "number of animals"
