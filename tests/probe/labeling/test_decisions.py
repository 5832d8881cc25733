"""State of frames from a log: the latest decision counts, and undo brings back what was before."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.labeling.decisions import NO, OPEN, UNSURE, YES, Counts, Decisions, spans_of
from probe.labeling.project import Event

STATE = {"yes": YES, "no": NO, "unsure": UNSURE}


def event(number, start, stop, decision="yes", action="", kind="answer", **fields):
    values = {"behavior": "chase", "row": "r0", "annotator": "Ann", "time": "", "action": action or f"k{number}"}
    return Event(id=number, start=start, stop=stop, decision=decision, kind=kind, **(values | fields))


def test_the_latest_decision_counts():
    decisions = Decisions({"r0": 8})
    decisions.follow([event(1, 0, 6), event(2, 4, 8, "no"), event(3, 5, 6, "unsure")])
    assert decisions.states("chase", "r0").tolist() == [YES] * 4 + [NO, UNSURE, NO, NO]
    assert decisions.states("groom", "r0").tolist() == [OPEN] * 8
    assert decisions.last == decisions.version("chase") == 3 and decisions.version("groom") == 0


def test_undo_brings_back_what_was_before_and_redo_what_was_undone():
    decisions = Decisions({"r0": 4})
    decisions.follow([event(1, 0, 4, "no"), event(2, 1, 3, "yes")])
    assert [one.id for one in decisions.to_undo("Ann", "chase")] == [2]
    decisions.follow([event(3, 1, 3, "yes", action="k2", kind="undo")])
    assert decisions.states("chase", "r0").tolist() == [NO] * 4
    assert decisions.counts("chase") == Counts(no=1)
    assert [one.id for one in decisions.to_redo("Ann", "chase")] == [2]
    assert [one.id for one in decisions.to_undo("Ann", "chase")] == [1]
    decisions.follow([event(4, 1, 3, "yes", action="k2", kind="redo")])
    assert decisions.states("chase", "r0").tolist() == [NO, YES, YES, NO]
    # A new action ends what could be brought back.
    decisions.follow([event(5, 1, 3, action="k2", kind="undo"), event(6, 0, 1, "yes")])
    assert decisions.to_redo("Ann", "chase") == []


def test_annotators_undo_their_own():
    decisions = Decisions({"r0": 4})
    decisions.follow([event(1, 0, 2), event(2, 2, 4, annotator="Ben")])
    assert [one.id for one in decisions.to_undo("Ann", "chase")] == [1]
    assert decisions.to_undo("Cleo", "chase") == []
    assert decisions.annotators("chase", "r0") == ["Ann", "Ben"]


def test_a_trimmed_answer_is_one_answer_and_draws_count_once_decided():
    decisions = Decisions({"r0": 40})
    decisions.follow(
        [
            event(1, 0, 20, "", kind="draw", annotator="", weight=2.0),
            event(2, 20, 40, "", kind="draw", annotator="", weight=1.0),
            event(3, 5, 12, "yes", action="a"),
            event(4, 0, 5, "no", action="a"),
            event(5, 12, 20, "no", action="a"),
        ]
    )
    assert decisions.counts("chase") == Counts(yes=1, random=1)
    assert [decisions.is_decided(one) for one in decisions.draws("chase")] == [True, False]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 19), st.integers(1, 10), st.sampled_from(["yes", "no", "unsure", "undo", "redo"])),
        max_size=25,
    )
)
def test_states_are_those_of_the_actions_that_stand(steps):
    """Against a plain replay of the stack of actions."""
    decisions, done, undone = Decisions({"r0": 20}), [], []
    for number, (start, length, what) in enumerate(steps, start=1):
        if what in ("undo", "redo"):
            source, target = (done, undone) if what == "undo" else (undone, done)
            if source:
                target.append(source.pop())
                first = target[-1]
                decisions.follow([event(number, *first[1:], action=first[0], kind=what)])
        else:
            undone.clear()
            done.append((f"k{number}", start, min(20, start + length), what))
            decisions.follow([event(number, *done[-1][1:])])
    expected = np.full(20, OPEN)
    # Undone actions leave their place: those that stand are painted in the order in which they were made.
    for _, start, stop, what in sorted(done, key=lambda one: int(one[0][1:])):
        expected[start:stop] = STATE[what]
    assert decisions.states("chase", "r0").tolist() == expected.tolist()


def test_spans_of_states():
    states = np.array([YES, YES, OPEN, NO, NO, YES], np.int8)
    assert spans_of(states, (YES,)) == [(0, 2, YES), (5, 6, YES)]
    assert spans_of(states, (YES, NO)) == [(0, 2, YES), (3, 5, NO), (5, 6, YES)]
