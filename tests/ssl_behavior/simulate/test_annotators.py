import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.simulate.annotators import (
    ANNOTATORS,
    REACTION_FRAMES,
    Annotator,
    _close_gaps,
    _drop_short,
    annotate,
    find_annotator,
)
from ssl_behavior.simulate.schedule import INVESTIGATION, OTHER, Profile, Schedule, draw_schedule

PLAIN = Annotator(jitter=0.0)


def _schedule(behavior):
    behavior = np.asarray(behavior)
    zeros = np.zeros_like(behavior)
    return Schedule(
        behavior=behavior,
        act=zeros,
        intruder_act=zeros,
        move=zeros,
        intruder_move=zeros,
        intensity=np.full(len(behavior), 0.5),
    )


def _bouts(*lengths):
    """Other, investigation, other, ... of these lengths."""
    return np.repeat([OTHER, INVESTIGATION] * len(lengths), [*lengths, *[0] * len(lengths)])


def test_an_exact_annotator_writes_the_truth_down_after_the_reaction():
    truth = _bouts(31, 17, 43)
    labels = annotate(numpy_generator(0, "a"), _schedule(truth), PLAIN)
    np.testing.assert_array_equal(labels[REACTION_FRAMES:], truth[:-REACTION_FRAMES])


def test_boundaries_move_by_the_style():
    truth = _bouts(31, 29, 43)
    labels = annotate(numpy_generator(0, "a"), _schedule(truth), Annotator(start=-4, stop=7, jitter=0.0))
    assert list(np.flatnonzero(np.diff(labels)) + 1) == [31 - 4 + REACTION_FRAMES, 60 + 7 + REACTION_FRAMES]


def test_boundaries_never_overtake_each_other():
    truth = _bouts(*[2, 1] * 29)
    labels = annotate(numpy_generator(0, "a"), _schedule(truth), Annotator(start=5, stop=-5, jitter=9.0))
    assert labels.shape == truth.shape
    assert set(labels) <= {INVESTIGATION, OTHER}


def test_gaps_close_and_short_bouts_go():
    labels = _bouts(10, 7, 3, 5, 11, 2, 13)
    np.testing.assert_array_equal(_close_gaps(labels, 4), _bouts(10, 15, 11, 2, 13))
    np.testing.assert_array_equal(_drop_short(labels, 3), _bouts(10, 7, 3, 5, 26))
    np.testing.assert_array_equal(_close_gaps(labels, 3), labels)


def test_weak_behavior_is_left_out_by_strict_annotators():
    truth = _bouts(31, 29, 43)
    strict = annotate(numpy_generator(0, "a"), _schedule(truth), Annotator(jitter=0.0, thresholds=(0.0, 0.6, 0.0)))
    assert (strict == OTHER).all()


def test_three_and_four_agree_most():
    drawn = [draw_schedule(numpy_generator(0, "s", i), 9000, Profile()) for i in range(11)]
    labels = [
        np.concatenate([annotate(numpy_generator(0, "a", i, a), s, ANNOTATORS[a]) for i, s in enumerate(drawn)])
        for a in range(1, 6)
    ]
    agreement = {(a, b): (labels[a] == labels[b]).mean() for a in range(5) for b in range(a)}
    assert max(agreement, key=agreement.get) == (3, 2)
    assert min(agreement.values()) < 0.85
    assert agreement[3, 2] > 0.95


def test_an_unknown_annotator_is_named():
    with pytest.raises(InputError, match="no annotator 6"):
        find_annotator(6)
    with pytest.raises(InputError, match="no annotator -1"):
        find_annotator(-1)
