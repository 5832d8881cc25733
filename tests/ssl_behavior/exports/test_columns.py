from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.clusters import FrameClusters, load_frames
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.exports import cluster_column, cluster_names, label_columns
from ssl_behavior.store import Store

from .made import FRAMES, NUM_CLUSTERS


def test_columns_match_labels_and_clusters_of_the_recording(place):
    rows = Embeddings(place / "embeddings").rows
    store, clusters = Store(place / "store"), load_frames(place / "clusters")
    s1, s2 = label_columns(store, rows)
    assert (s1.name, s1.words, s2.name, s2.words) == ("S1", ("chase", "rest", "resident bites"), "S2", ("rear",))
    for row in rows:
        np.testing.assert_array_equal(s1.codes(row), store.labels("S1")[store.row(row.id).slice])
    assert (s2.codes(rows[2]) == -1).all()
    assert [one.name for one in label_columns(store, rows, ["S2"])] == ["S2"]
    names = cluster_names(NUM_CLUSTERS, {1: "chase", 4: "chase"})
    column = cluster_column(clusters, rows, names, "clusters")
    words = np.array([*column.words, ""])
    for row in rows:
        assert words[column.codes(row)].tolist() == np.array([*names, ""])[clusters.of(row)].tolist()


def test_clusters_of_other_recordings_raise(place):
    rows = Embeddings(place / "embeddings").rows
    store, clusters, names = Store(place / "store"), load_frames(place / "clusters"), cluster_names(NUM_CLUSTERS)
    stranger, longer = replace(rows[0], id="r9", recording="r9"), replace(rows[0], frames=FRAMES["a/r1"] + 1)
    with pytest.raises(InputError, match="no recording 'r9'"):
        label_columns(store, [stranger])
    with pytest.raises(InputError, match=r"'a/r1' has 211 frames in .*store, but 212 were embedded"):
        label_columns(store, [longer])
    with pytest.raises(InputError, match="'S9'"):
        label_columns(store, rows, ["S9"])
    with pytest.raises(InputError, match="CLUSTERS has no clusters for recording 'r9': assign them first"):
        cluster_column(clusters, [stranger], names, "CLUSTERS")
    with pytest.raises(InputError, match="'a/r1' has 211 frames in CLUSTERS, but 212 were embedded"):
        cluster_column(clusters, [longer], names, "CLUSTERS")


def test_order_of_recordings_may_differ(place):
    rows = Embeddings(place / "embeddings").rows
    clusters = load_frames(place / "clusters")
    turned, offset, parts = [], 0, []
    for row in reversed(rows):
        turned.append(replace(row, offset=offset))
        parts.append(clusters.of(row))
        offset += row.frames
    other = FrameClusters(turned, np.concatenate(parts), NUM_CLUSTERS)
    column = cluster_column(other, rows, cluster_names(NUM_CLUSTERS), "clusters")
    for row in rows:
        np.testing.assert_array_equal(column.codes(row), clusters.of(row))
