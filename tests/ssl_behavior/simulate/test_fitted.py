import csv
from collections import defaultdict

import numpy as np
import pytest

from ssl_behavior.simulate import schedule


def test_tables_are_whole():
    assert sum(schedule.RECORDING_FRAMES) == 507_738
    assert len(schedule.RECORDING_FRAMES) == 70
    np.testing.assert_allclose(schedule.TRANSITIONS.sum(axis=2), 1)
    assert (np.diagonal(schedule.TRANSITIONS, axis1=1, axis2=2) == 0).all()
    np.testing.assert_allclose(schedule.TEMPERAMENT_SHARES.sum(), 1)
    assert (np.diff(schedule.BOUT_FRAMES, axis=1) >= 0).all()
    assert (np.diff(schedule.CONFIDENCE, axis=1) > 0).all()
    assert schedule.CONFIDENCE.shape == (7, len(schedule.SCORES))


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
            if category in schedule.BEHAVIORS:
                labels[start : stop + 1] = schedule.BEHAVIORS.index(category)
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
    assert sorted(map(len, recordings)) == sorted(schedule.RECORDING_FRAMES)
    shares = np.bincount(np.concatenate(recordings), minlength=4) / 507_738
    np.testing.assert_allclose(shares, schedule.CLASS_SHARES, atol=2e-4)
    for behavior in range(4):
        lengths = _bout_lengths(recordings, behavior)
        quantiles = np.percentile(lengths, [15.87, 50, 84.13])
        np.testing.assert_allclose(quantiles, schedule.BOUT_FRAMES[behavior, [3, 5, 7]], rtol=0.05)
    aggressive = np.array([(labels == 0).any() for labels in recordings])
    frames = np.array([len(labels) for labels in recordings])
    np.testing.assert_allclose(frames[aggressive].sum() / frames.sum(), schedule.TEMPERAMENT_SHARES[2], atol=2e-3)
