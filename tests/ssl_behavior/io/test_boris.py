"""BORIS projects, read back by the rules of the format and, if a Python with BORIS is configured, by BORIS.

`pip install boris-behav-obs` into an environment of its own (it pins what it needs), and name that environment's python
in SSL_BEHAVIOR_BORIS_PYTHON.
"""

import json
import os
import subprocess
from collections import defaultdict
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import annotated_recording, streams_of, unique_behavior_names
from ssl_behavior.io.boris_writer import boris_project, boris_seconds, boris_text, check_boris
from ssl_behavior.recording import Labels, StreamFacts

from .random_labels import RATES, assert_same, for_any_labels

WRITTEN = datetime(2024, 3, 5, 7, 11, 13)
ASK_BORIS = """
import json, sys
path = sys.argv.pop()
sys.argv.append("--ipc")  # else it asks for its video player
from boris import config, project_functions
name, changed, project, message = project_functions.open_project_json(path)
trouble = project_functions.check_project_integrity(project, config.S, path)
_, table = project_functions.project2dataframe(project)
print(json.dumps([changed, message, trouble, table.astype(str).values.tolist(), list(table)]))
"""


def labels_of(frames, *vocabulary, background=""):
    return Labels(vocabulary=vocabulary, frames=np.array(frames), background=background)


def intervals_of(project, recording):
    """(code, start, stop) of an observation's states: a subject's first event of a code starts it, the next ends it."""
    observation = project["observations"][recording.id]
    fps = observation["media_info"]["fps"][recording.media]
    begun, found = {}, []
    for seconds, subject, code, modifier, _, frame in observation["events"]:
        assert (round(seconds * fps), int(seconds * fps + 1e-6), modifier) == (frame, frame, "")
        if (subject, code) in begun:
            found.append((code, begun.pop((subject, code)), frame))
        else:
            begun[subject, code] = frame
    assert not begun
    return found


@for_any_labels
def test_labels_round_trip(recording):
    project = json.loads(boris_text([recording], "mine", WRITTEN))
    names = {code: one for one, code in unique_behavior_names(streams_of([recording])).items()}
    assert_same(recording, [(*names[code], start, stop) for code, start, stop in intervals_of(project, recording)])
    ethogram = project["behaviors_conf"].values()
    assert [one["code"] for one in ethogram] == list(names)
    assert {one["type"] for one in ethogram} <= {"State event"}
    keys = [one["key"] for one in ethogram]
    assert len(set(keys)) == len(keys)
    events = project["observations"][recording.id]["events"]
    assert events == sorted(events, key=lambda event: event[:3])


@given(st.integers(0, 10_000_000), st.sampled_from(RATES))
def test_event_time_is_the_first_millisecond_of_its_frame(frame, fps):
    seconds = boris_seconds(frame, fps)
    assert seconds == round(seconds, 3)
    assert frame - 1e-6 <= seconds * fps < frame + fps / 1000


def test_actor_is_the_subject_and_probability_a_comment():
    labels = {"S1": labels_of([0, 0, 1], "resident bites", "rest")}
    recording = annotated_recording(
        "a/r1", 25.0, labels, probabilities={"S1": np.full((3, 2), 0.625)}, individuals=("resident", "intruder"),
        annotator="ann", media="videos/{name}.avi",
    )  # fmt: skip
    project = boris_project([recording], "mine", WRITTEN)
    assert [one["name"] for one in project["subjects_conf"].values()] == ["resident", "intruder"]
    observation = project["observations"]["a/r1"]
    assert observation["events"] == [
        [0.0, "resident", "resident bites", "", "probability 0.62", 0],
        [0.08, "", "rest", "", "probability 0.62", 2],
        [0.08, "resident", "resident bites", "", "", 2],
        [0.12, "", "rest", "", "", 3],
    ]
    assert observation["file"]["1"] == ["videos/r1.avi"] and observation["description"].endswith("style of ann.")
    assert observation["media_info"]["length"] == {"videos/r1.avi": 0.12}
    assert project["project_name"] == "mine" and project["project_date"] == "2024-03-05T07:11:13"


def test_streams_are_categories_if_there_are_several():
    one, two = labels_of([0], "x", "y"), labels_of([0], "y", "z")
    alone = boris_project([annotated_recording("r", 25.0, {"S1": one})], "mine", WRITTEN)
    assert {behavior["category"] for behavior in alone["behaviors_conf"].values()} == {""}
    both = boris_project(
        [annotated_recording("r", 25.0, {"S1": one}), annotated_recording("s", 25.0, {"S2": two})], "mine", WRITTEN
    )
    found = {behavior["code"]: behavior["category"] for behavior in both["behaviors_conf"].values()}
    assert found == {"x": "S1", "S1 y": "S1", "S2 y": "S2", "z": "S2"}
    assert both["behavioral_categories"] == ["S1", "S2"] and set(both["observations"]) == {"r", "s"}


@pytest.mark.parametrize("name", ["a|b", " a", "a\n"])
def test_invalid_ethogram_names_raise(name):
    with pytest.raises(InputError, match="not allowed in a BORIS project"):
        check_boris([StreamFacts(name="S1", classes=("x", name))])
    recording = annotated_recording("r", 25.0, {"S1": labels_of([0], "x")}, individuals=(name,))
    with pytest.raises(InputError, match=r"animal .* not allowed in a BORIS project"):
        boris_project([recording], "mine", WRITTEN)


def test_more_than_1000_frames_per_second_raise():
    recording = annotated_recording("r", 1009.0, {"S1": labels_of([0], "x")})
    with pytest.raises(InputError, match="recording 'r' has 1009 frames per second, and BORIS keeps milliseconds"):
        boris_project([recording], "mine", WRITTEN)


@pytest.fixture(scope="module")
def boris():
    python = os.environ.get("SSL_BEHAVIOR_BORIS_PYTHON")
    if not python:
        pytest.skip("no BORIS: name a python that has boris-behav-obs in SSL_BEHAVIOR_BORIS_PYTHON")

    def ask(path):
        environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run([python, "-c", ASK_BORIS, path], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return ask


def test_boris_opens_the_project_with_the_same_bouts(boris, tmp_path):
    rng = np.random.default_rng(0)
    made = []
    for name, frames, fps in (("a/r1", 997, 29.97), ("r2", 503, 25.0)):
        labels = {
            stream: Labels(
                vocabulary=words, frames=np.repeat(rng.integers(-1, 3, frames), 7)[:frames], background="rest"
            )
            for stream, words in (("S1", ("chase", "bite", "rest")), ("S2", ("rest", "chase", "resident rears")))
        }
        made.append(annotated_recording(name, fps, labels, individuals=("resident", "intruder")))
        (tmp_path / made[-1].media).parent.mkdir(exist_ok=True)
        (tmp_path / made[-1].media).touch()
    (tmp_path / "project.boris").write_text(boris_text(made, "mine", WRITTEN), encoding="utf-8")
    changed, message, trouble, table, columns = boris(tmp_path / "project.boris")
    assert (changed, message, trouble) == (False, "", "")
    found = defaultdict(list)
    for row in table:
        one = dict(zip(columns, row, strict=True))
        found[one["Observation id"]].append((one["Behavior"], float(one["Start (s)"]), float(one["Stop (s)"])))
    names = unique_behavior_names(streams_of(made))
    for recording in made:
        expected = [
            (
                names[bout.stream, bout.behavior],
                *(boris_seconds(frame, recording.fps) for frame in (bout.start, bout.stop)),
            )
            for bout in recording.bouts
        ]
        assert sorted(found[recording.id]) == sorted(expected) and expected
