import numpy as np
import pytest

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.clusters.frame_clusters import transitions
from ssl_behavior.embeddings_folder import EmbeddingRow


def test_the_table_is_the_bouts_of_every_recording(clusters):
    table = clusters.table
    wanted = [(n, *bout) for n, row in enumerate(clusters.rows) for bout in clusters.bouts(row)]
    found = np.stack([table.recording, table.start, table.stop, table.label], axis=1)
    assert found.tolist() == [list(one) for one in wanted] and len(table) == len(wanted)
    np.testing.assert_allclose(table.seconds, (table.stop - table.start) / 30.0)
    for first, frames, cluster in zip(table.first, table.frames, table.label, strict=True):
        assert (clusters.labels[first : first + frames] == cluster).all()


def test_a_bout_never_goes_on_in_the_next_recording():
    rows = [EmbeddingRow(id="a", offset=0, frames=3, fps=30.0), EmbeddingRow(id="b", offset=3, frames=2, fps=10.0)]
    table = FrameClusters(rows, np.zeros(5, np.int32), 1).table
    assert table.frames.tolist() == [3, 2]
    np.testing.assert_allclose(table.seconds, [0.1, 0.2])


@pytest.mark.parametrize(("frames", "recordings"), [((0, 3, 2), [1, 2]), ((3, 0, 2), [0, 2]), ((3, 2, 0), [0, 1])])
def test_a_recording_without_frames_has_no_bout(frames, recordings):
    offsets = [0, frames[0], frames[0] + frames[1]]
    rows = [EmbeddingRow(id=f"r{n}", offset=offsets[n], frames=frames[n], fps=10.0) for n in range(3)]
    table = FrameClusters(rows, np.zeros(5, np.int32), 1).table
    assert table.recording.tolist() == recordings and table.frames.tolist() == [3, 2]


def reference_transitions(clusters):
    counts = np.zeros((clusters.num_clusters, clusters.num_clusters), int)
    to_none, to_end = (np.zeros(clusters.num_clusters, int) for _ in range(2))
    for row in clusters.rows:
        own = clusters.of(row)
        for _start, stop, cluster in clusters.bouts(row):
            if stop == row.frames:
                to_end[cluster] += 1
            elif own[stop] < 0:
                to_none[cluster] += 1
            else:
                counts[cluster, own[stop]] += 1
    return counts, to_none, to_end


def test_transitions_stay_within_recordings_and_frames_of_no_cluster_part_them(clusters):
    found = transitions(clusters)
    counts, to_none, to_end = reference_transitions(clusters)
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_array_equal(found.to_none, to_none)
    np.testing.assert_array_equal(found.to_end, to_end)
    assert to_none.sum() and to_end.sum() and not np.diagonal(counts).any()
    total = counts.sum() + to_none.sum() + to_end.sum()
    assert total == len(clusters.table)


def test_probabilities_sum_to_one_where_anything_follows(clusters):
    found = transitions(clusters)
    np.testing.assert_allclose(found.probability[:4].sum(axis=1), 1)
    np.testing.assert_allclose(found.expected[:4].sum(axis=1), 1)
    assert np.isnan(found.probability[4]).all()
    # Of cluster 0: how often each other one follows anything at all.
    came = found.counts.sum(axis=0)
    np.testing.assert_allclose(found.expected[0, 1:], came[1:] / came[1:].sum())


def test_no_bouts_at_all():
    nothing = FrameClusters([EmbeddingRow(id="a", offset=0, frames=7, fps=30.0)], np.full(7, -1, np.int32), 2)
    nobody = FrameClusters([], np.zeros(0, np.int32), 2)
    for none in (nothing, nobody):
        assert len(none.table) == 0 and not transitions(none).counts.any()


def test_bouts_and_shares_are_by_recording():
    rows = [EmbeddingRow(id="a", offset=0, frames=5, fps=30.0), EmbeddingRow(id="b", offset=5, frames=2, fps=30.0)]
    clusters = FrameClusters(rows, np.array([0, 0, 2, -1, 2, 2, 1], np.int32), 4)
    assert clusters.bouts(rows[0]) == [(0, 2, 0), (2, 3, 2), (4, 5, 2)]
    assert clusters.bouts(rows[1]) == [(0, 1, 2), (1, 2, 1)]
    np.testing.assert_allclose(clusters.shares(), [[0.4, 0, 0.4, 0], [0, 0.5, 0.5, 0]])


def test_a_recording_without_frames_has_no_share():
    rows = [EmbeddingRow(id="a", offset=0, frames=2, fps=30.0), EmbeddingRow(id="b", offset=2, frames=0, fps=30.0)]
    clusters = FrameClusters(rows, np.array([0, 1], np.int32), 2)
    assert clusters.shares().tolist() == [[0.5, 0.5], [0, 0]] and clusters.bouts(rows[1]) == []


def test_only_some_recordings_in_another_order(clusters):
    first, _, last = clusters.rows
    some = clusters.only([last.id, "elsewhere", first.id])
    assert [(row.id, row.offset) for row in some.rows] == [(last.id, 0), (first.id, last.frames)]
    np.testing.assert_array_equal(some.labels, np.concatenate([clusters.of(last), clusters.of(first)]))
    assert some.num_clusters == 5 and not len(clusters.only([]).labels)
