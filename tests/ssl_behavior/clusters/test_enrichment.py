import math

import numpy as np
import pytest

from ssl_behavior.bouts import runs
from ssl_behavior.clusters.enrichment import Contingency, contingency, enrichments
from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.errors import InputError
from ssl_behavior.row_labels import RowLabels, frame_labels


@pytest.fixture
def clustered(clusters, labeled):
    return ClusteredStore.of(clusters, labeled)


def test_counts_are_those_of_a_slow_loop(clustered):
    table = contingency(clustered, frame_labels(clustered.store, "behavior"))
    clusters, labels = clustered.frames.labels, np.asarray(clustered.store.labels("behavior"))
    for pick, row in enumerate(clustered.rows):
        for cluster in range(-1, 5):
            for label in range(-1, 3):
                wanted = ((clusters[row.slice] == cluster) & (labels[row.slice] == label)).sum()
                assert table.frames[pick, cluster, label] == wanted
    assert table.frames.sum() == len(clusters)


def test_bouts_are_counted_once_however_often_they_meet(clustered):
    table = contingency(clustered, frame_labels(clustered.store, "behavior"))
    clusters, labels = clustered.frames.labels, np.asarray(clustered.store.labels("behavior"))
    of_cluster, of_behavior = np.zeros((5, 3), int), np.zeros((5, 3), int)
    for row in clustered.rows:
        own, label = clusters[row.slice], labels[row.slice]
        for start, stop, cluster in runs(own):
            for behavior in set(label[start:stop].tolist()) - {-1}:
                of_cluster[cluster, behavior] += cluster >= 0
        for start, stop, behavior in runs(label):
            for cluster in set(own[start:stop].tolist()) - {-1}:
                of_behavior[cluster, behavior] += behavior >= 0
    np.testing.assert_array_equal(table.cluster_bouts, of_cluster)
    np.testing.assert_array_equal(table.behavior_bouts, of_behavior)


def test_ratios_are_of_annotated_frames_alone(clustered):
    found = enrichments(contingency(clustered, frame_labels(clustered.store, "behavior")))
    clusters, labels = clustered.frames.labels, np.asarray(clustered.store.labels("behavior"))
    known = labels >= 0
    assert [(one.cluster, one.behavior) for one in found[:4]] == [
        (0, "other"),
        (0, "mount"),
        (0, "chase"),
        (1, "other"),
    ]
    for one in found[:12]:
        behavior = ("other", "mount", "chase").index(one.behavior)
        both = ((clusters == one.cluster) & (labels == behavior)).sum()
        of_cluster, of_behavior = (known & (clusters == one.cluster)).sum(), (labels == behavior).sum()
        expected = of_cluster * of_behavior / known.sum()
        assert (one.both, one.of_cluster, one.of_behavior) == (both, of_cluster, of_behavior)
        assert one.annotated == known.sum() < len(labels)
        assert one.expected == pytest.approx(expected)
        assert one.log2_ratio == (pytest.approx(math.log2(both / expected)) if both else None)
        assert not both or (one.high >= one.log2_ratio and (one.low is None or one.low <= one.log2_ratio))
        assert one.background == (one.behavior == "other")
    never = found[-1]
    assert never.cluster == 4 and never.log2_ratio is None and never.low is None and never.recordings == 0


def test_a_stream_of_one_recording_has_frames_there_alone(clustered):
    found = enrichments(contingency(clustered, frame_labels(clustered.store, "second")))
    assert {one.annotated for one in found} == {211} and max(one.recordings for one in found) == 1


def many_recordings(spread, number=29, seed=0):
    """Cluster 0 holds twice as much of behaviour 1 as chance would, in recordings that differ by `spread`."""
    generator = np.random.default_rng(seed)
    frames = np.zeros((number, 3, 3), int)
    for one in frames:
        chance = 0.5 * np.exp(spread * generator.normal())
        one[0, :2] = generator.multinomial(1000, [1 - min(chance, 1), min(chance, 1)])
        one[1, :2] = [3000, 250]
    nothing = np.zeros((2, 2), int)
    labels = RowLabels("s", ("other", "mount"), "other", lambda row: np.full(row.frames, -1))
    return Contingency(labels, frames, nothing, nothing)


def test_intervals_are_over_recordings():
    alike, different = (enrichments(many_recordings(spread))[1] for spread in (0.0, 0.6))
    assert (alike.cluster, alike.behavior) == (0, "mount")
    assert alike.low < alike.log2_ratio < alike.high and alike.high - alike.low < 0.1
    assert different.high - different.low > 4 * (alike.high - alike.low)


def test_equal_seeds_give_equal_intervals():
    table = many_recordings(0.6)
    assert enrichments(table, 3) == enrichments(table, 3) != enrichments(table, 4)


def test_an_unknown_stream_is_refused(clustered):
    with pytest.raises(InputError, match="no label stream 'third'"):
        contingency(clustered, frame_labels(clustered.store, "third"))
