import csv
from collections import defaultdict

import numpy as np
import pytest

from ssl_behavior.simulate import fitted


def test_tables_are_whole():
    assert sum(fitted.RECORDING_FRAMES) == 507_738
    assert len(fitted.RECORDING_FRAMES) == 70
    np.testing.assert_allclose(fitted.TRANSITIONS.sum(axis=2), 1)
    assert (np.diagonal(fitted.TRANSITIONS, axis1=1, axis2=2) == 0).all()
    np.testing.assert_allclose(fitted.TEMPERAMENT_SHARES.sum(), 1)
    assert (np.diff(fitted.BOUT_FRAMES, axis=1) >= 0).all()
    assert (np.diff(fitted.CONFIDENCE, axis=1) > 0).all()
    assert fitted.CONFIDENCE.shape == (7, len(fitted.SCORES))


def _real_labels(path):
    """Labels of every annotated recording, from the intervals of the resident."""
    intervals = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["actor"] == "resident":
                intervals[int(row["group"])].append((int(row["start"]), int(row["stop"]), row["category"]))
    recordings = []
    for bouts in intervals.values():
        labels = np.full(max(stop for _, stop, _ in bouts) + 1, 3)
        for start, stop, category in bouts:
            if category in fitted.BEHAVIORS:
                labels[start : stop + 1] = fitted.BEHAVIORS.index(category)
        recordings.append(labels)
    return recordings


def _bout_lengths(recordings, behavior):
    lengths = []
    for labels in recordings:
        edges = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])
        lengths += list(np.diff(edges)[labels[edges[:-1]] == behavior])
    return np.array(lengths)


@pytest.mark.data
def test_tables_agree_with_the_real_annotations(real_data):
    recordings = _real_labels(real_data / "calms21" / "task1_train_annotations.csv")
    assert sorted(map(len, recordings)) == sorted(fitted.RECORDING_FRAMES)
    shares = np.bincount(np.concatenate(recordings), minlength=4) / 507_738
    np.testing.assert_allclose(shares, fitted.CLASS_SHARES, atol=2e-4)
    for behavior in range(4):
        lengths = _bout_lengths(recordings, behavior)
        quantiles = np.percentile(lengths, [15.87, 50, 84.13])
        np.testing.assert_allclose(quantiles, fitted.BOUT_FRAMES[behavior, [3, 5, 7]], rtol=0.05)
    aggressive = np.array([(labels == 0).any() for labels in recordings])
    frames = np.array([len(labels) for labels in recordings])
    np.testing.assert_allclose(frames[aggressive].sum() / frames.sum(), fitted.TEMPERAMENT_SHARES[2], atol=2e-3)
