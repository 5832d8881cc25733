import numpy as np
import pytest

from ssl_behavior.bouts import Span, bouts_of, runs, without_short_bouts, without_short_runs
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Labels

CLASSES = ("attack", "mount", "other")


def labels_of(text, background="other"):
    """A letter per frame, the first of the class."""
    frames = [[name[0] for name in CLASSES].index(letter) for letter in text]
    return Labels(vocabulary=CLASSES, frames=np.array(frames), background=background)


def text_of(labels):
    return "".join(labels.vocabulary[label][0] for label in labels.frames)


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
def test_short_bouts_become_background_or_part_of_the_longer_neighbor(before, fewest, background, after):
    labels = labels_of(before, background)
    assert text_of(without_short_bouts(labels, fewest)) == after
    assert text_of(labels) == before


def test_remaining_runs_are_long_enough():
    frames = np.random.default_rng(0).integers(0, 3, 503)
    for background in ("other", ""):
        labels = without_short_bouts(Labels(vocabulary=CLASSES, frames=frames, background=background), 4)
        bouts = bouts_of("x", labels, np.zeros((503, 3)))
        assert all(bout.stop - bout.start >= 4 for bout in bouts)


def slow_without_short_runs(frames, fewest):
    """The same, by looking at everything again after every change."""
    frames = frames.copy()
    while True:
        parts = runs(frames)
        short = []
        for index, (start, stop, label) in enumerate(parts):
            beside = [one for one in parts[max(0, index - 1) : index] + parts[index + 1 : index + 2] if one[2] >= 0]
            if label >= 0 and stop - start < fewest and beside:
                short.append((stop - start, start, stop, max(beside, key=lambda part: part[1] - part[0])[2]))
        if not short:
            return frames
        _, start, stop, label = min(short)
        frames[start:stop] = label


@pytest.mark.parametrize("seed", range(20))
def test_merging_equals_a_slow_repeated_search(seed):
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(-1, 3, 60), rng.integers(1, 7, 60))
    made = without_short_runs(frames, 5)
    assert np.array_equal(made, slow_without_short_runs(frames, 5)) and not np.array_equal(made, frames)
    assert np.array_equal(made < 0, frames < 0)


def test_a_stretch_without_annotation_is_no_bout_and_takes_none_in():
    frames = np.array([-1, -1, 0, -1, 2, 1, 1, 1])
    labels = Labels(vocabulary=CLASSES, frames=frames, background="other")
    assert [(b.behavior, b.start, b.stop) for b in bouts_of("x", labels, np.zeros((8, 3)))] == [
        ("attack", 2, 3), ("mount", 5, 8),
    ]  # fmt: skip
    assert without_short_bouts(labels, 2).frames.tolist() == [-1, -1, 2, -1, 2, 1, 1, 1]
    assert without_short_bouts(Labels(vocabulary=CLASSES, frames=frames), 2).frames.tolist() == [
        -1, -1, 0, -1, 1, 1, 1, 1,
    ]  # fmt: skip


def test_bouts_are_runs_with_the_mean_probability_of_their_frames():
    probability = np.random.default_rng(0).random((9, 3))
    bouts = bouts_of("behavior", labels_of("aaoammmoo"), probability)
    assert [(b.behavior, b.start, b.stop) for b in bouts] == [("attack", 0, 2), ("attack", 3, 4), ("mount", 4, 7)]
    assert bouts[2].probability == pytest.approx(probability[4:7, 1].mean())
    assert bouts_of("behavior", labels_of("ao"))[0].probability is None
    without = bouts_of("behavior", labels_of("ao", ""), probability)
    assert [b.behavior for b in without] == ["attack", "other"]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("07:1250", Span("07", 1250, 1251)),
        ("07:1250-1310", Span("07", 1250, 1310)),
        ("a:1/x:0-2", Span("a:1/x", 0, 2)),
        ("2026-01-05 12:30:5", Span("2026-01-05 12:30", 5, 6)),
        ("a:3-7:9", Span("a:3-7", 9, 10)),
    ],
)
def test_a_recording_may_hold_colons_slashes_and_numbers(text, span):
    assert Span.parse(text) == span and str(span) == text


@pytest.mark.parametrize(
    "text", ["07", "07:", ":12", "07:1.5", "07:-3", "07:12-", "07:12-x", "", "07:1-2-3 ", "07:²", "07:" + "9" * 5000]
)
def test_invalid_spans_raise(text):
    with pytest.raises(InputError, match=r"`unlike` .*RECORDING:FRAME or RECORDING:START-STOP"):
        Span.parse(text, "unlike")


def test_empty_span_raises():
    with pytest.raises(InputError, match="'b:12-12': stop must be after start"):
        Span.parse("b:12-12")
    for start, stop in ((4, 4), (-1, 2)):
        with pytest.raises(InputError, match=f"recording 'b': .* got {start}:{stop}"):
            Span("b", start, stop)
