import json

import numpy as np
import pytest

from ssl_behavior.bouts import runs
from ssl_behavior.clusters import load_frames
from ssl_behavior.clusters.cluster_names import cluster_labels, cluster_names, read_names
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.exports.label_sources import clustered_recordings, fewest_frames

from .made import NUM_CLUSTERS

ROW = EmbeddingRow(id="r", offset=0, frames=5, fps=25.0)


def test_cluster_labels_keep_the_stored_clusters(place):
    clusters = load_frames(place / "clusters")
    assert clusters.num_clusters == NUM_CLUSTERS and [row.id for row in clusters.rows] == ["a/r1", "r2", "r3"]
    np.testing.assert_array_equal(clusters.labels, np.load(place / "clusters" / "labels.npy"))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("n.json", json.dumps({"3": " chase ", "0": "rear, up"})),
        ("n.csv", 'cluster,name\n3,chase\n\n0,"rear, up"\n'),
        ("n.CSV", '\ufeff3, chase\r\n0,"rear, up"\r\n'),
    ],
)
def test_names_are_read_from_json_and_tables(tmp_path, file, text):
    (tmp_path / file).write_text(text, encoding="utf-8", newline="")
    assert read_names(tmp_path / file, 5) == {3: "chase", 0: "rear, up"}


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("n.json", "{", "cannot be read as cluster names"),
        ("n.json", "[1]", "a name for each cluster"),
        ("n.json", '{"1": 2}', "a name for each cluster"),
        ("n.json", '{"5": "x"}', "'5' is not a cluster; there are 5, 0 to 4"),
        ("n.json", '{"-1": "x"}', "'-1' is not a cluster"),
        ("n.json", '{"2": " "}', "cluster 2 has an empty name"),
        ("n.json", '{"1": "a", "1": "b"}', "cluster 1 has two names"),
        ("n.json", '{"1": {"2": "x"}}', "a name for each cluster"),
        ("n.json", '["1", "a"]', "a name for each cluster"),
        ("n.json", '[["1", "a"]]', "a name for each cluster"),
        ("n.json", "[" * 100_000, "cannot be read as cluster names"),
        ("n.json", '{"' + "9" * 5000 + '": "x"}', "'999.*9' is not a cluster"),
        ("n.csv", '1,"' + "a" * 200_000, "cannot be read as cluster names"),
        ("n.csv", "1,a\n1,b\n", "cluster 1 has two names"),
        ("n.csv", "1,a\n2,b,c\n", r"name 2 \('2,b,c'\): expected a cluster and its name"),
        ("n.csv", "number,name\n1,a\n", "'number' is not a cluster"),
    ],
)
def test_invalid_names_files_raise(tmp_path, file, text, words):
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=words):
        read_names(tmp_path / file, 5)
    with pytest.raises(InputError, match="cannot be read as cluster names"):
        read_names(tmp_path / "missing.json", 5)


def test_clusters_with_equal_names_are_one_behavior():
    names = cluster_names(4, {1: "chase", 3: "chase"})
    assert names == ("cluster_0", "chase", "cluster_2", "chase")
    labels = cluster_labels(np.array([3, 1, -1, 0, 2]), names)
    assert labels.vocabulary == ("cluster_0", "chase", "cluster_2") and labels.frames.tolist() == [1, 1, -1, 0, 2]


def test_default_name_of_another_cluster_raises():
    assert cluster_names(2, {0: "cluster_1", 1: "cluster_0"}) == ("cluster_1", "cluster_0")
    with pytest.raises(InputError, match="cluster 0 cannot have the name 'cluster_1'"):
        cluster_names(2, {0: "cluster_1"})
    with pytest.raises(InputError, match="32,768 clusters"):
        cluster_names(32_768)


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"), [(0.0, 25.0, 1), (0.04, 25.0, 1), (0.041, 25.0, 2), (0.1, 30.0, 3)]
)
def test_minimum_duration_is_rounded_up_to_frames(seconds, fps, frames):
    assert fewest_frames(seconds, fps) == frames


def test_recordings_have_the_bouts_of_their_clusters(place):
    clusters = load_frames(place / "clusters")
    names = cluster_names(NUM_CLUSTERS)
    made = list(clustered_recordings(clusters, clusters.rows, names, media="{name}.avi"))
    for row, recording in zip(clusters.rows, made, strict=True):
        bouts = [(bout.start, bout.stop, names.index(bout.behavior)) for bout in recording.bouts]
        assert bouts == clusters.bouts(row) and {bout.probability for bout in recording.bouts} == {None}
    assert [one.media for one in made] == ["r1.avi", "r2.avi", "r3.avi"]
    for recording in clustered_recordings(clusters, clusters.rows, names, minimum_seconds=0.6):
        parts = runs(recording.labels["cluster"].frames)
        beside = zip([None, *parts], parts, [*parts[1:], None], strict=False)
        lonely = [one for before, one, after in beside if all(not part or part[2] < 0 for part in (before, after))]
        assert all(stop - start >= 15 for start, stop, label in set(parts) - set(lonely) if label >= 0)
