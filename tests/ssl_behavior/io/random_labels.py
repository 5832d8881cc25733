"""Random labels, and their values frame by frame, for round trips of every format."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssl_behavior.io.annotated_recording import annotated_recording
from ssl_behavior.recording import Labels

RATES = (7.0, 25.0, 29.97, 30.0, 59.94, 119.88, 499.0)
NAMES = ("attack", "sniff face", "mount_2", "Other", "chase")
STREAMS = (("behavior",), ("S1", "S2"), ("S2",), ("groom", "behavior", "where"))


@st.composite
def _streams(draw):
    """(frames per second, frames, stream -> its vocabulary, background and runs of labels)."""
    drawn = {}
    for stream in draw(st.sampled_from(STREAMS)):
        vocabulary = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=len(NAMES), unique=True))
        label = st.integers(-1, len(vocabulary) - 1)
        runs = draw(st.lists(st.tuples(label, st.integers(1, 19)), min_size=1, max_size=13))
        drawn[stream] = vocabulary, draw(st.sampled_from(("", *vocabulary))), runs
    return draw(st.sampled_from(RATES)), draw(st.integers(1, 211)), drawn


def _recording(drawn):
    """Not in the strategy: the checks of types that run in tests draw random numbers of their own."""
    fps, frames, streams = drawn
    labels, probabilities = {}, {}
    for stream, (vocabulary, background, runs) in streams.items():
        numbers = np.resize(np.concatenate([np.full(length, label) for label, length in runs]), frames)
        labels[stream] = Labels(vocabulary=tuple(vocabulary), frames=numbers, background=background)
        odds = np.random.default_rng(frames).random((frames, len(vocabulary)))
        probabilities[stream] = odds / odds.sum(axis=1, keepdims=True)
    return annotated_recording("a/r1", fps, labels, probabilities=probabilities)


def for_any_labels(test):
    """Run a test on many recordings: it is called with one of them."""

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(_streams())
    def of_one(drawn):
        test(_recording(drawn))

    of_one.__name__, of_one.__doc__ = test.__name__, test.__doc__
    return of_one


def behavior_masks(recording):
    """(stream, behavior) -> bool [time], for all that is not background."""
    return {
        (stream, behavior): one.frames == number
        for stream, one in recording.labels.items()
        for number, behavior in enumerate(one.vocabulary)
        if behavior != one.background
    }


def painted(recording, intervals):
    """Masks as from `behavior_masks`, painted from (stream, behavior, start, stop); unknown names are an error."""
    out = {one: np.zeros(recording.num_frames, bool) for one in behavior_masks(recording)}
    for stream, behavior, start, stop in intervals:
        span = out[stream, behavior][start:stop]
        assert 0 <= start < stop <= recording.num_frames and not span.any()
        span[:] = True
    return out


def assert_same(recording, intervals):
    expected, found = behavior_masks(recording), painted(recording, intervals)
    for one, frames in expected.items():
        np.testing.assert_array_equal(found[one], frames, err_msg=str(one))
