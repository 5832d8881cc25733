import csv
import io

import numpy as np

from ssl_behavior.bouts import Bout
from ssl_behavior.io.annotation_writers import bouts_csv, frames_csv

from .random_labels import assert_same, for_any_labels


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_table_of_bouts_counts_frames_and_seconds():
    bouts = [
        Bout(stream="behavior", behavior="attack", start=1, stop=3, probability=0.25, agent="resident"),
        Bout(stream="behavior", behavior="mount, twice", start=3, stop=6),
    ]
    rows = read(bouts_csv(bouts, 30.0))
    assert rows[0] == {
        "stream": "behavior", "behavior": "attack", "start_frame": "1", "stop_frame": "3", "start_s": "0.033",
        "stop_s": "0.100", "actor": "resident", "probability": "0.2500",
    }  # fmt: skip
    assert rows[1]["behavior"] == "mount, twice" and rows[1]["actor"] == rows[1]["probability"] == ""


@for_any_labels
def test_bouts_give_the_labels_back_by_frames_and_by_seconds(recording):
    rows, fps = read(bouts_csv(recording.bouts, recording.fps)), recording.fps
    assert_same(recording, [(r["stream"], r["behavior"], int(r["start_frame"]), int(r["stop_frame"])) for r in rows])
    times = [(float(r["start_s"]), float(r["stop_s"])) for r in rows]
    frames = [(round(start * fps), round(stop * fps)) for start, stop in times]
    assert frames == [(int(r["start_frame"]), int(r["stop_frame"])) for r in rows]


@for_any_labels
def test_frames_give_the_labels_back(recording):
    rows = read(frames_csv(recording))
    assert [int(row["frame"]) for row in rows] == list(range(recording.num_frames))
    assert [round(float(row["seconds"]) * recording.fps) for row in rows] == list(range(recording.num_frames))
    for stream, one in recording.labels.items():
        words = np.array([*one.vocabulary, ""])
        assert [row[stream] for row in rows] == words[one.frames].tolist()
