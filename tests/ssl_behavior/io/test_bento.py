"""Bento's text, read back by the rules of its readers: whole numbers are frames from 1, both ends included."""

from collections import defaultdict

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import annotated_recording
from ssl_behavior.io.bento import bento_channels, bento_text, check_bento
from ssl_behavior.recording import Labels, StreamFacts

from .random_labels import assert_same, behavior_masks, for_any_labels

EXPECTED = """Bento annotation file
Movie file(s): a/r1.mp4

Stimulus name: 
Annotation start frame: 1
Annotation stop frame: 7
Annotation framerate: 29.970000

List of channels:
Ch1
Ch2

List of annotations:
chase
bite
groom

Ch1----------
>chase
Start\tStop\tDuration
2\t3\t1
7\t7\t0

>bite
Start\tStop\tDuration
4\t4\t0


"""  # noqa: W291


def read_annot(text):
    """(header, channels, behaviors, {channel: [(behavior, start, stop)]}), frames counted from 0, stop excluded."""
    sections = iter(text.split("\n\n"))
    assert next(sections).startswith("Bento annotation file\nMovie file(s): ")
    header = dict(line.split(":", 1) for line in next(sections).split("\n"))
    channels, behaviors = (next(sections).split("\n") for _ in range(2))
    assert channels.pop(0) == "List of channels:" and behaviors.pop(0) == "List of annotations:"
    bouts, channel = defaultdict(list), None
    for block in sections:
        lines = block.strip("\n").split("\n")
        if lines[0].endswith("-" * 10):
            channel = lines.pop(0)[:-10]
        if lines == [""]:
            continue
        behavior, columns = lines.pop(0), lines.pop(0)
        assert behavior[0] == ">" and columns.split() == ["Start", "Stop", "Duration"] and lines
        for line in lines:
            start, stop, duration = map(int, line.split("\t"))
            assert duration == stop - start
            bouts[channel].append((behavior[1:], start - 1, stop))
    return header, channels, behaviors, bouts


def test_text_has_the_layout_of_bento():
    labels = {
        "behavior": Labels(
            vocabulary=("rest", "chase", "bite"), frames=np.array([0, 1, 1, 2, 0, -1, 1]), background="rest"
        ),
        "groom": Labels(vocabulary=("groom",), frames=np.full(7, -1)),
    }
    assert bento_text(annotated_recording("a/r1", 29.97, labels)) == EXPECTED


@for_any_labels
def test_labels_round_trip(recording):
    header, channels, behaviors, bouts = read_annot(bento_text(recording))
    assert int(header["Annotation start frame"]) == 1
    assert int(header["Annotation stop frame"]) == recording.num_frames
    assert float(header["Annotation framerate"]) == recording.fps
    names = bento_channels(list(recording.labels))
    assert channels == list(names.values()) and set(behaviors) == {
        behavior for _, behavior in behavior_masks(recording)
    }
    streams = {channel: stream for stream, channel in names.items()}
    assert_same(recording, [(streams[channel], *bout) for channel, own in bouts.items() for bout in own])


@pytest.mark.parametrize("name", ["2nd", "sniff-face", "a ", "naïve", "x" * 64, "a\tb"])
def test_invalid_matlab_field_names_raise(name):
    with pytest.raises(InputError, match="not allowed in a Bento file"):
        check_bento([StreamFacts(name="S1", classes=("x", name))])


def test_colliding_matlab_field_names_raise():
    streams = [StreamFacts(name="S1", classes=("a b",)), StreamFacts(name="S2", classes=("a b", "a_b"))]
    check_bento(streams[:1] * 2)
    with pytest.raises(InputError, match="'a b' and 'a_b' are the same to Bento"):
        check_bento(streams)
