import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import (
    annotated_recording,
    check_actor,
    named_actor,
    shortcut_keys,
    streams_of,
    unique_behavior_names,
)
from ssl_behavior.recording import Labels, StreamFacts

MICE = ("resident", "mouse 2")


def labels_of(*vocabulary, background="", frames=(0, 0, 0)):
    return Labels(vocabulary=vocabulary, frames=np.array(frames), background=background)


@pytest.mark.parametrize(
    ("name", "actor"),
    [
        ("resident", "resident"),
        ("Resident_attack", "resident"),
        ("attack by mouse 2", "mouse 2"),
        ("residential", ""),
        ("attack", ""),
        ("resident chases mouse 2", ""),
        ("mouse 22", ""),
    ],
)
def test_actor_is_the_individual_named_as_a_word(name, actor):
    assert named_actor(name, MICE) == actor


def test_actor_in_behavior_precedes_stream_and_default():
    labels = {
        "mouse 2": labels_of("bite", "resident bite", frames=(0, 1, -1)),
        "S1": labels_of("rear", "rest", background="rest", frames=(1, 0, 0)),
    }
    bouts = annotated_recording("r", 30.0, labels, individuals=MICE, actor="someone").bouts
    assert [(bout.behavior, bout.agent) for bout in bouts] == [
        ("bite", "mouse 2"), ("rear", "someone"), ("resident bite", "resident"),
    ]  # fmt: skip
    assert {bout.agent for bout in annotated_recording("r", 30.0, labels).bouts} == {""}


def test_bouts_are_sorted_by_start_and_have_mean_probabilities():
    labels = {"b": labels_of("x", "y", frames=(0, 0, 1)), "a": labels_of("z", "w", frames=(-1, 0, 0))}
    probabilities = {"b": np.array([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]]), "a": np.full((3, 2), 0.5)}
    made = annotated_recording("r", 30.0, labels, probabilities=probabilities)
    assert [(bout.behavior, bout.start, bout.stop, bout.probability) for bout in made.bouts] == [
        ("x", 0, 2, 0.75), ("z", 1, 3, 0.5), ("y", 2, 3, 0.75),
    ]  # fmt: skip
    assert made.num_frames == 3


@pytest.mark.parametrize(
    ("media", "expected"), [("{id}.mp4", "a/r1.mp4"), ("videos/{name}.avi", "videos/r1.avi"), ("x.mp4", "x.mp4")]
)
def test_video_name_is_formatted_from_the_recording_id(media, expected):
    assert annotated_recording("a/r1", 30.0, {"S1": labels_of("x", "y")}, media=media).media == expected


def test_shared_behavior_names_get_a_stream_prefix():
    streams = (
        StreamFacts(name="S1", classes=("attack", "other"), background="other"),
        StreamFacts(name="S2", classes=("attack", "mount", "other"), background="other"),
    )
    assert unique_behavior_names(streams) == {
        ("S1", "attack"): "S1 attack", ("S2", "attack"): "S2 attack", ("S2", "mount"): "mount",
    }  # fmt: skip
    clash = StreamFacts(name="S3", classes=("S1 attack",))
    with pytest.raises(InputError, match="'attack' of S1 and 'S1 attack' of S3 would have the same name"):
        unique_behavior_names((*streams, clash))


def test_streams_are_the_union_over_recordings():
    one, two = labels_of("x", "y", background="y"), labels_of("z")
    made = [annotated_recording("r", 30.0, {"b": one}), annotated_recording("s", 30.0, {"a": two, "b": one})]
    assert streams_of(made) == (
        StreamFacts(name="b", classes=("x", "y"), background="y"), StreamFacts(name="a", classes=("z",)),
    )  # fmt: skip


def test_shortcut_keys_are_unique_while_keys_last():
    assert shortcut_keys(["ab", "ac", "Bd", "x"], "abc") == {"ab": "a", "ac": "b", "Bd": "c", "x": ""}


def test_unknown_actor_raises():
    check_actor("resident", MICE)
    check_actor("", ())
    with pytest.raises(InputError, match=r"`actor` cat: .*\['resident', 'mouse 2'\]"):
        check_actor("cat", MICE)
