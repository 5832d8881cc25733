"""MABe 2025's score against plain sets of frames, and an example computed by hand."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_behavior.errors import InputError
from ssl_behavior.mabe25_score import VideoBout, mabe25_score

LABS = {"v1": "A", "v2": "A", "v3": "B"}
PAIRS = [("m1", "m2"), ("m2", "m1"), ("m1", "self"), ("m3", "m2")]
ACTIONS = ["sniff", "attack", "rear_up", "flee"]


def reference(truth, predictions, looked_for, labs, beta):
    """The rules, one frame at a time."""
    videos = {row.video for row in truth}
    true, claimed, busy = defaultdict(set), defaultdict(set), defaultdict(dict)
    for row in truth:
        true[row[:4]] |= set(range(row.start, row.stop))
    for row in predictions:
        if row.video not in videos or row[1:4] not in looked_for[row.video]:
            continue
        claimed[row[:4]] |= set()
        for frame in range(row.start, row.stop):
            if busy[row[:3]].setdefault(frame, row.action) != row.action:
                return None
            claimed[row[:4]].add(frame)
    scores = []
    for lab in {labs[video] for video in videos}:
        own = {key for key in {*true, *claimed} if labs[key[0]] == lab}
        found = []
        for action in {key[3] for key in own}:
            keys = [key for key in own if key[3] == action]
            hits = sum(len(true[key] & claimed[key]) for key in keys)
            misses = sum(len(true[key] - claimed[key]) for key in keys)
            false = sum(len(claimed[key] - true[key]) for key in keys)
            precision = hits / (hits + false) if hits else 0.0
            recall = hits / (hits + misses) if hits else 0.0
            found.append((1 + beta**2) * precision * recall / (beta**2 * precision + recall) if hits else 0.0)
        scores.append(sum(found) / len(found))
    return sum(scores) / len(scores)


_ROWS = st.builds(
    lambda video, pair, action, start, length: VideoBout(video, *pair, action, start, start + length),
    st.sampled_from(list(LABS)), st.sampled_from(PAIRS), st.sampled_from(ACTIONS), st.integers(0, 23),
    st.integers(0, 7),
)  # fmt: skip
_LISTS = st.fixed_dictionaries(
    {video: st.sets(st.tuples(st.sampled_from(PAIRS), st.sampled_from(ACTIONS)), min_size=2) for video in LABS}
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_ROWS, min_size=1, max_size=13), st.lists(_ROWS, max_size=11), _LISTS, st.sampled_from([1.0, 0.5, 2.0]))
def test_the_score_is_that_of_plain_sets(truth, predictions, lists, beta):
    looked_for = {video: {(*pair, action) for pair, action in own} for video, own in lists.items()}
    expected = reference(truth, predictions, looked_for, LABS, beta)
    if expected is None:
        with pytest.raises(InputError, match="refuses two predictions of one pair in one frame"):
            mabe25_score(truth, predictions, looked_for, LABS, beta)
    else:
        made = mabe25_score(truth, predictions, looked_for, LABS, beta)
        assert made.score == pytest.approx(expected, abs=1e-12)
        assert made.score == pytest.approx(sum(made.labs.values()) / len(made.labs))


def test_an_example_by_hand():
    looked_for = {
        "v1": [("m1", "m2", "sniff"), ("m2", "m1", "sniff"), ("m1", "m2", "attack"), ("m1", "m2", "flee")],
        "v2": [("m1", "m2", "sniff")],
        "v3": [("m1", "self", "rear")],
        "v4": [("m1", "m2", "sniff")],
    }
    truth = [
        VideoBout("v1", "m1", "m2", "sniff", 0, 10),
        VideoBout("v1", "m1", "m2", "sniff", 5, 10),  # in the one above
        VideoBout("v2", "m1", "m2", "sniff", 0, 10),
        VideoBout("v1", "m1", "m2", "attack", 20, 30),
        VideoBout("v3", "m1", "self", "rear", 0, 4),
        VideoBout("v3", "m1", "m2", "chase", 0, 4),  # not looked for: missed whatever is predicted
    ]
    predictions = [
        VideoBout("v1", "m1", "m2", "sniff", 2, 12),  # 8 hits, 2 misses, 2 false
        VideoBout("v1", "m1", "m2", "sniff", 3, 6),  # nothing new
        VideoBout("v1", "m2", "m1", "sniff", 0, 3),  # 3 false
        VideoBout("v1", "m2", "m1", "attack", 20, 30),  # not looked for in this pair
        VideoBout("v1", "m1", "m2", "flee", 50, 51),  # looked for, and nobody shows it
        VideoBout("v3", "m1", "m1", "rear", 1, 4),  # 3 hits, 1 miss: "self" is the agent
        VideoBout("v3", "m1", "m2", "chase", 0, 4),
        VideoBout("v4", "m1", "m2", "sniff", 0, 9),  # a video without true bouts
    ]
    made = mabe25_score(truth, predictions, looked_for, {"v1": "A", "v2": "A", "v3": "B", "v4": "C"})
    # sniff of lab A: 8 hits, 2 + 10 misses, 2 + 3 false.
    assert made.actions["A"] == {"sniff": pytest.approx(16 / (16 + 12 + 5)), "attack": 0.0, "flee": 0.0}
    assert made.actions["B"] == {"rear": pytest.approx(6 / 7), "chase": 0.0}
    assert set(made.labs) == {"A", "B"}
    assert made.score == pytest.approx((16 / 33 / 3 + 6 / 7 / 2) / 2)


def test_perfect_and_no_predictions():
    truth = [VideoBout("v1", "m1", "m2", "sniff", 0, 10), VideoBout("v3", "m2", "m1", "attack", 3, 4)]
    lists = {row.video: [row[1:4]] for row in truth}
    assert mabe25_score(truth, truth, lists, LABS).score == 1.0
    assert mabe25_score(truth, [], lists, LABS).score == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": []}, "there are no true bouts"),
        ({"labs": {}}, "video 'v1' has true bouts and no lab"),
        ({"looked_for": {}}, "video 'v1' has true bouts and no list of what was looked for"),
        ({"predictions": [VideoBout("v1", "m1", "m2", "sniff", 9, 3)]}, "frames 9 to 3; it runs backwards"),
        (
            {"predictions": [VideoBout("v1", "m1", "m2", "sniff", 0, 9), VideoBout("v1", "m1", "m2", "attack", 8, 9)]},
            "'v1': m1 → m2 has the actions 'sniff' and 'attack' in frame 8",
        ),
    ],
)
def test_bad_tables(change, message):
    looked_for = {"v1": [("m1", "m2", "sniff"), ("m1", "m2", "attack")]}
    good = {
        "truth": [VideoBout("v1", "m1", "m2", "sniff", 0, 10)], "predictions": [], "looked_for": looked_for,
        "labs": LABS,
    }  # fmt: skip
    assert mabe25_score(**good).score == 0.0
    with pytest.raises(InputError, match=message):
        mabe25_score(**good | change)
