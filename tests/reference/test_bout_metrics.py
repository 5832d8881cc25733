"""Scores of bouts against plain sets of frames, and BANOS' measures against its own package where that is installed."""

from statistics import mean, median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_behavior.bout_metrics import BOUT_SCORES, IOU_THRESHOLDS, bout_scores

FPS = 25.0


def runs_of(shown, known, recordings):
    """Sets of consecutive annotated frames that show the behavior, each within a recording."""
    found, now = [], set()
    for frame in range(len(shown) + 1):
        inside = frame < len(shown) and shown[frame] and known[frame]
        if now and (not inside or recordings[frame] != recordings[frame - 1]):
            found.append(now)
            now = set()
        if inside:
            now.add(frame)
    return found


def best_first(true, claimed):
    pairs = [(len(t & c) / len(t | c), i, j) for i, t in enumerate(true) for j, c in enumerate(claimed) if t & c]
    matched = []
    while pairs:
        best = max(pairs, key=lambda pair: (pair[0], -pair[1], -pair[2]))
        matched.append(best)
        pairs = [pair for pair in pairs if pair[1] != best[1] and pair[2] != best[2]]
    return matched


def most_matches(true, claimed, free):
    """Try all one-to-one matchings."""
    if not true:
        return 0
    options = [most_matches(true[1:], claimed, free)]
    for j in free:
        if true[0] & claimed[j]:
            options.append(1 + most_matches(true[1:], claimed, free - {j}))
    return max(options)


def ratio(above, below):
    return above / below if below else None


def accuracy(hits, true, claimed, name):
    return {
        name.format("precision"): ratio(hits, len(claimed)),
        name.format("recall"): ratio(hits, len(true)),
        name.format("f1"): 2 * hits / (len(true) + len(claimed)) if true else None,
    }


def errors(true, claimed, matched, edge, known, recordings):
    """Errors of the first (min) or last (max) frames, where the frames beyond them are annotated."""
    beyond = -1 if edge is min else 1

    def seen(frame):
        there = frame + beyond
        return 0 <= there < len(known) and known[there] and recordings[there] == recordings[frame]

    pairs = [(edge(true[i]), edge(claimed[j])) for _, i, j in matched]
    return [(theirs - ours) / FPS for ours, theirs in pairs if seen(ours) and seen(theirs)]


def reference(target, predicted, lengths):
    recordings = [number for number, length in enumerate(lengths) for _ in range(length)]
    known = [one >= 0 for one in target]
    true = runs_of([one == 1 for one in target], known, recordings)
    claimed = runs_of(predicted, known, recordings)
    matched = best_first(true, claimed)
    found = accuracy(most_matches(true, claimed, frozenset(range(len(claimed)))), true, claimed, "detection_{}")
    for least in IOU_THRESHOLDS:
        hits = sum(iou >= least for iou, *_ in matched)
        found |= accuracy(hits, true, claimed, f"{{}}_{round(100 * least)}")
    for name, edge in (("onset", min), ("offset", max)):
        values = errors(true, claimed, matched, edge, known, recordings)
        found[name] = median(values) if values else None
        found[f"{name}_absolute"] = median(map(abs, values)) if values else None
    pairs = [(t, c) for t in true for c in claimed if t & c]
    for name, ours, theirs in (("fragments", true, claimed), ("merged", claimed, true)):
        counts = [sum(bool(one & other) for other in theirs) for one in ours]
        found[name] = mean([count for count in counts if count]) if any(counts) else None
    for name, bouts in (("true", true), ("predicted", claimed)):
        found[f"{name}_bouts"] = len(bouts)
        found[f"{name}_duration"] = median(len(one) / FPS for one in bouts) if bouts else None
    found["segment_overlap"] = mean(len(t & c) / len(t | c) for t, c in pairs) if pairs else None
    found["temporal_precision"] = (
        mean(1 / (1 + abs(min(c) - min(t)) + abs(max(c) - max(t))) for t, c in pairs) if pairs else None
    )
    steady = [
        1 - sum(predicted[f] != predicted[f + 1] for f in range(min(t), max(t))) / (len(t) - 1)
        for t in true
        if len(t) > 1
    ]
    found["continuity"] = mean(steady) if steady else None
    return found


def states(choices):
    """Frames in runs, which random frames would hardly have."""
    run = st.tuples(st.sampled_from(choices), st.integers(1, 9))
    return st.lists(run, min_size=1, max_size=11).map(lambda runs: [one for one, length in runs for _ in range(length)])


@settings(max_examples=200, deadline=None)
@given(states([0, 1, 1, -1]), states([0, 1]), st.integers(0, 40))
def test_scores_are_those_of_plain_sets(target, predicted, cut):
    size = min(len(target), len(predicted))
    target, predicted, cut = target[:size], [bool(one) for one in predicted[:size]], min(cut, size)
    lengths = [cut, size - cut]
    made = bout_scores(np.array(target), np.array(predicted), FPS, lengths)
    expected = reference(target, predicted, lengths)
    assert set(expected) == set(made) == set(BOUT_SCORES)
    for name, value in made.items():
        assert value == pytest.approx(expected[name], abs=1e-12), name


NAMES = {
    "precision": "detection_precision", "recall": "detection_recall", "f1_score": "detection_f1",
    "so": "segment_overlap", "tp": "temporal_precision", "ic": "continuity",
}  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(states([0, 1]), states([0, 1]), st.sampled_from(["greedy", "optimal"]))
def test_banos_gives_the_same(target, predicted, matching):
    banos, pandas = pytest.importorskip("banos"), pytest.importorskip("pandas")
    size = min(len(target), len(predicted))
    target, predicted = np.array(target[:size]), np.array(predicted[:size])
    found = bout_scores(target, predicted > 0, FPS)
    theirs = banos.score(*(pandas.DataFrame({"a": one}) for one in (predicted, target)), matching=matching)["a"]
    if not target.any():
        # The behavior is absent: BANOS has fixed scores, and we have none.
        assert set(theirs.values()) == {0.0 if predicted.any() else 1.0} and found["detection_f1"] is None
        return
    if not found["detection_recall"]:
        assert np.isnan(theirs.pop("f1_score")) and found["detection_f1"] == 0.0
    for name, value in theirs.items():
        assert found[NAMES[name]] == (None if np.isnan(value) else pytest.approx(value)), name


def test_banos_measures_by_hand():
    """Frames 2-7 are found as 1-3 and 6-9, frames 12-13 not at all, and frames 16-17 exactly."""
    target, predicted = np.zeros(20, int), np.zeros(20, bool)
    for start, stop in ((2, 8), (12, 14), (16, 18)):
        target[start:stop] = 1
    for start, stop in ((1, 4), (6, 10), (16, 18)):
        predicted[start:stop] = True
    found = bout_scores(target, predicted, 10.0)
    assert (found["detection_precision"], found["detection_recall"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert found["segment_overlap"] == pytest.approx((2 / 7 + 2 / 8 + 1) / 3)
    assert found["temporal_precision"] == pytest.approx((1 / (1 + 1 + 4) + 1 / (1 + 4 + 2) + 1) / 3)
    # Two switches among five steps, none, none.
    assert found["continuity"] == pytest.approx((1 - 2 / 5 + 1 + 1) / 3)
