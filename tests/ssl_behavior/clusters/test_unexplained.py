from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.clusters.bout_distances import Geometry
from ssl_behavior.clusters.enrichment import contingency
from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.clusters.unexplained import discover, explained_share
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.recording import Labels
from ssl_behavior.row_labels import frame_labels
from ssl_behavior.store import write_store


def entropy(labels):
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return -(shares * np.log2(shares)).sum()


def test_explained_is_the_uncertainty_that_labels_take_away():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 997)
    clusters = np.where(generator.random(997) < 0.6, labels, generator.integers(0, 4, 997))
    counts = np.zeros((5, 3), int)
    np.add.at(counts, (clusters, labels), 1)
    found = explained_share(counts)
    for cluster in range(4):
        inside = clusters == cluster
        given = sum((labels == label).mean() * entropy(inside[labels == label]) for label in range(3))
        assert found[cluster] == pytest.approx(1 - given / entropy(inside))


def test_what_is_a_behaviour_is_explained_wholly_and_what_has_nothing_to_do_with_it_not_at_all():
    assert explained_share(np.array([[30, 0], [0, 70], [0, 0]])).tolist() == [1, 1]
    np.testing.assert_allclose(explained_share(np.array([[10, 30], [20, 60], [0, 0]])), 0, atol=1e-12)
    # A quarter of a rare behaviour is explained much better than as many frames of the background.
    parts = explained_share(np.array([[5, 0], [0, 5], [15, 975], [0, 0]]))
    assert parts[0] > 0.5 > 0.01 > parts[1]
    assert explained_share(np.zeros((3, 2), int)).tolist() == [0, 0]
    assert explained_share(np.array([[7, 9], [0, 0]])).tolist() == [0]


FRAMES = 600


@pytest.fixture
def scene(dyad, tmp_path):
    """Three bouts of 100 frames of each of two clusters: 0 is always mount, 1 in the background, but for two bouts."""

    made = []

    def make(frames=None, streams=("behavior",)):
        made.append(None)
        clusters = np.repeat(np.tile([0, 1], 3), 100).astype(np.int32)
        labels = np.where(clusters == 0, 1, 0) if frames is None else frames
        if frames is None:
            labels[300:400] = labels[500:] = 1
        given = {name: Labels(vocabulary=("other", "mount"), frames=labels, background="other") for name in streams}
        store = write_store(tmp_path / f"store{len(made)}", [replace(dyad("a", FRAMES), labels=given)])
        rows = [EmbeddingRow(id="a", offset=0, frames=FRAMES, fps=30.0)]
        return ClusteredStore.of(FrameClusters(rows, clusters, 2), store)

    return make


def discovered(clustered, separation=(0.2, 0.2), seen=(1.0, 1.0), distance=(6, 5, 4, 3, 2, 1), **more):
    geometry = Geometry(np.array(distance, float), np.array(separation))
    tables = [contingency(clustered, frame_labels(clustered.store, stream)) for stream in clustered.store.streams]
    return discover(clustered, tables, geometry, np.array(seen), **more)


def test_bouts_are_ranked_by_how_much_their_labels_speak_against_them(scene):
    clustered = scene()
    found = discovered(clustered)
    # 300 of 500 frames of mount are in cluster 0, 200 in cluster 1; half of all frames are in cluster 1.
    assert [(one.cluster, one.start, one.stop) for one in found.bouts] == [(1, 500, 600), (1, 300, 400)]
    assert [one.surprise for one in found.bouts] == pytest.approx([np.log2(0.5 / 0.4)] * 2)
    assert found.bouts[0].behaviors == {"behavior": "mount"} and not found.note
    # Among equals the one nearer to the centre comes first.
    assert [one.start for one in discovered(clustered, distance=range(6)).bouts] == [300, 500]
    assert [one.start for one in discovered(clustered, most_of_cluster=1).bouts] == [500]
    assert [one.start for one in discovered(clustered, most_bouts=1).bouts] == [500]
    assert not discovered(clustered, seen=(1.0, 0.4)).bouts


def test_clusters_are_ranked_by_what_is_left_unexplained_apart_and_seen(scene):
    clustered = scene()
    first, second = discovered(clustered, separation=(0.3, 0.2)).clusters
    assert first.explained == pytest.approx(second.explained) and 0 < first.explained < 1
    assert (first.cluster, second.cluster) == (0, 1)
    assert second.behavior == "mount" and second.behavior_share == pytest.approx(2 / 3)
    assert first.score == pytest.approx((1 - first.explained) * 0.3)
    assert (first.behavior, first.behavior_share, first.annotated, first.stream) == ("mount", 1.0, 1.0, "behavior")
    assert (first.frames, first.bouts, first.recordings) == (300, 3, 1)
    lost = discovered(clustered, separation=(0.3, 0.2), seen=(0.4, 1.3))
    assert [one.cluster for one in lost.clusters] == [1, 0] and lost.clusters[0].seen == 1


def test_frames_without_annotation_explain_nothing(scene):
    labels = np.repeat([1, 0, -1], 200)
    clustered = scene(labels)
    found = {one.cluster: one for one in discovered(clustered).clusters}
    assert found[0].annotated == pytest.approx(200 / 300)
    counts = np.array([[100, 100], [100, 100], [0, 0]])
    assert found[0].explained == pytest.approx(explained_share(counts)[0] * 2 / 3, abs=1e-12)
    assert discovered(clustered).bouts[-1].surprise == pytest.approx(0)


def test_of_several_streams_the_best_explains_a_cluster(dyad, tmp_path):
    clusters = np.repeat(np.tile([0, 1], 3), 100).astype(np.int32)
    streams = {
        "exact": Labels(vocabulary=("a", "b"), frames=clusters),
        "useless": Labels(vocabulary=("a", "b"), frames=np.tile([0, 1], 300)),
    }
    store = write_store(tmp_path / "s", [replace(dyad("a", FRAMES), labels=streams)])
    rows = [EmbeddingRow(id="a", offset=0, frames=FRAMES, fps=30.0)]
    found = discovered(ClusteredStore.of(FrameClusters(rows, clusters, 2), store))
    assert {one.stream for one in found.clusters} == {"exact"}
    assert [one.explained for one in found.clusters] == pytest.approx([1, 1])
    assert [one.score for one in found.clusters] == pytest.approx([0, 0])


def test_where_nothing_is_labeled_it_is_said(scene):
    found = discovered(scene(streams=()), separation=(0.1, 0.2))
    assert "have no labels" in found.note and not found.bouts
    assert [(one.cluster, one.explained, one.stream) for one in found.clusters] == [(1, 0, ""), (0, 0, "")]
    assert discovered(scene(np.full(FRAMES, -1)), separation=(0.1, 0.2)) == found


def test_a_single_cluster_has_no_separation_and_a_score(scene):
    found = discovered(scene(streams=()), separation=(np.nan, np.nan))
    assert all(one.separation is None and one.score == 1 for one in found.clusters)
