import csv
import io

import numpy as np
import pytest

from probe.bouts import bouts_csv, bouts_of, decided_labels, without_short_bouts
from ssl_behavior.labeled import StreamFacts
from ssl_behavior.recording import Labels

CLASSES = ("attack", "mount", "other")


def labels_of(text, background="other"):
    """A letter per frame, the first of the class."""
    frames = [[name[0] for name in CLASSES].index(letter) for letter in text]
    return Labels(vocabulary=CLASSES, frames=np.array(frames), background=background)


def text_of(labels):
    return "".join(labels.vocabulary[label][0] for label in labels.frames)


def test_one_class_per_frame_is_the_likeliest_that_was_learned():
    probability = np.array([[0.5, np.nan, 0.5], [0.2, np.nan, 0.8], [0.9, np.nan, 0.1]])
    labels = decided_labels(probability, StreamFacts(name="behavior", classes=CLASSES, background="other"))
    assert text_of(labels) == "aoa" and labels.background == "other"


@pytest.mark.parametrize(
    ("before", "fewest", "background", "after"),
    [
        ("aaoammmoo", 1, "other", "aaoammmoo"),
        ("aaoammmoo", 2, "other", "aaoommmoo"),
        ("aaoammmoo", 3, "other", "oooommmoo"),
        ("amamamamo", 2, "other", "ooooooooo"),
        ("aaoammmoo", 2, "", "aaaammmoo"),
        ("aaaommmm", 2, "", "aaammmmm"),
        ("aaoammmoo", 99, "", "mmmmmmmmm"),
        ("m", 5, "", "m"),
    ],
)
def test_short_bouts_become_background_or_part_of_the_longer_neighbour(before, fewest, background, after):
    labels = labels_of(before, background)
    assert text_of(without_short_bouts(labels, fewest)) == after
    assert text_of(labels) == before


def test_whatever_is_left_is_long_enough():
    frames = np.random.default_rng(0).integers(0, 3, 503)
    for background in ("other", ""):
        labels = without_short_bouts(Labels(vocabulary=CLASSES, frames=frames, background=background), 4)
        bouts = bouts_of("x", labels, np.zeros((503, 3)))
        assert all(bout.stop - bout.start >= 4 for bout in bouts)


def test_bouts_are_runs_with_the_mean_probability_of_their_frames():
    probability = np.random.default_rng(0).random((9, 3))
    bouts = bouts_of("behavior", labels_of("aaoammmoo"), probability)
    assert [(b.behavior, b.start, b.stop) for b in bouts] == [("attack", 0, 2), ("attack", 3, 4), ("mount", 4, 7)]
    assert bouts[2].probability == pytest.approx(probability[4:7, 1].mean())
    without = bouts_of("behavior", labels_of("ao", ""), probability)
    assert [b.behavior for b in without] == ["attack", "other"]


def test_a_table_of_bouts_counts_frames_and_seconds():
    bouts = bouts_of("behavior", labels_of("oaammm"), np.full((6, 3), 0.25))
    rows = list(csv.DictReader(io.StringIO(bouts_csv(bouts, 30.0))))
    assert rows[0] == {
        "stream": "behavior", "behavior": "attack", "start_frame": "1", "stop_frame": "3", "start_s": "0.033",
        "stop_s": "0.100", "probability": "0.2500",
    }  # fmt: skip
    assert [row["behavior"] for row in rows] == ["attack", "mount"]
