"""Clusters in one call: the same as the long way, saved where asked, as a data frame."""

import numpy as np
import pytest

import ssl_behavior
from ssl_behavior.clusters import DensityConfig, KMeansConfig, fit_clusters, load_clustering
from ssl_behavior.clusters.group_comparison import compare_profiles
from ssl_behavior.clusters.groups import groups_of
from ssl_behavior.errors import InputError


@pytest.fixture
def embeddings(embeddings_of, tmp_path):
    rng = np.random.default_rng(0)
    centers = np.repeat(rng.normal(0, 5, (12, 4)), 40, axis=0)
    return embeddings_of(tmp_path / "E", (centers + rng.normal(0, 0.1, centers.shape)).astype(np.float32), (200, 280))


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ({"clusters": 5}, KMeansConfig(clusters=5)),
        ({"clusters": 5, "n_init": 2}, KMeansConfig(clusters=5, n_init=2)),
        ({"method": "hdbscan", "min_cluster_size": 11}, DensityConfig(min_cluster_size=11)),
    ],
)
def test_one_call_is_the_long_way(arguments, config, embeddings, tmp_path, capsys):
    found = ssl_behavior.cluster(embeddings.path, out=tmp_path / "C", seed=3, verbose=False, **arguments)
    np.testing.assert_array_equal(found.frames.labels, fit_clusters(embeddings, config, seed=3).frames.labels)
    np.testing.assert_array_equal(load_clustering(tmp_path / "C").frames.labels, found.frames.labels)
    assert capsys.readouterr() == ("", "")
    said = repr(found)
    assert said.startswith(f"Clustering: {found.num_clusters} clusters of 480 frames, {len(found.to_frame())} bouts")
    assert "columns   latent (4)" in said


def test_one_name_is_no_list_of_letters(embeddings):
    whole = ssl_behavior.cluster(embeddings, 4, recordings=["r1"], only=["latent"], verbose=False)
    named = ssl_behavior.cluster(embeddings, 4, recordings="r1", only="latent", verbose=False)
    np.testing.assert_array_equal(named.frames.labels, whole.frames.labels)


def test_bouts_as_a_data_frame(embeddings):
    found = ssl_behavior.cluster(embeddings, 4, verbose=False)
    frame = found.to_frame()
    names = ["recording", "start_frame", "stop_frame", "start_s", "stop_s", "cluster"]
    assert list(frame.columns) == names and set(frame["recording"]) == {"r0", "r1"}
    rebuilt = np.full(480, -1)
    for bout in frame.itertuples():
        first = 200 * (bout.recording == "r1")
        rebuilt[first + bout.start_frame : first + bout.stop_frame] = bout.cluster
    np.testing.assert_array_equal(rebuilt, found.frames.labels)
    np.testing.assert_allclose(frame["stop_s"], frame["stop_frame"] / 30)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "gmm"}, r"`method` must be one of \['kmeans', 'hdbscan'\], got 'gmm'"),
        ({"method": "hdbscan", "clusters": 4}, "`clusters` is for method='kmeans': leave it out"),
        ({"method": "hdbscan", "spherical": True}, "`spherical` is for method='kmeans'"),
        ({"min_cluster_size": 4}, "unknown key 'min_cluster_size'.*known: .*n_init"),
        ({"clusters": 0}, "`clusters` must be a whole number of 1 or more, got 0"),
        ({"only": ["nothing"]}, "`only`: the embedding has no columns 'nothing'"),
        ({"out": "E"}, "E exists already: choose another `out`"),
    ],
)
def test_mistakes_name_the_argument(arguments, message, embeddings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        ssl_behavior.cluster(embeddings, verbose=False, **arguments)


def test_groups_are_compared_as_the_command_compares_them(embeddings_of, tmp_path):
    """Two animals more often in one cluster than two others; the numbers are those of the long way."""
    rng = np.random.default_rng(1)
    centers = np.array([[0.0, 0, 0, 0], [9.0, 0, 0, 0]])
    share = np.repeat([0.2, 0.3, 0.7, 0.8], 100)
    rows = centers[(rng.random(400) < share).astype(int)] + rng.normal(0, 0.1, (400, 4))
    embeddings = embeddings_of(tmp_path / "G", rows.astype(np.float32), (100,) * 4)
    found = ssl_behavior.cluster(embeddings, 2, minimum_bout_seconds=0.0, verbose=False)
    table = {"recording": ["r0", "r1", "r2", "r3"], "treatment": ["control", "control", "drug", "drug"]}
    profiles = ssl_behavior.compare(found, table)
    expected = compare_profiles(found.frames, groups_of(table, found.frames.rows))
    assert profiles.to_dict() == expected.to_dict()
    frame = profiles.to_frame()
    assert list(frame.columns[:4]) == ["cluster", "measure", "first", "second"] and len(frame) == 2 * 3
    own = frame[frame["measure"] == "share"].sort_values("difference")
    assert own["difference"].iloc[1] == pytest.approx(-own["difference"].iloc[0]) and own["difference"].iloc[1] > 0.3
    assert repr(profiles).startswith("Comparison by 'treatment': 0 differences found in 6 tests, 2 clusters")
    axes = profiles.plot()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["control", "drug"]
    drawn = np.concatenate([one.get_offsets()[:, 0] for one in axes.collections if len(one.get_offsets()) == 4])
    np.testing.assert_allclose(np.sort(drawn), np.sort(100 * profiles.values["share"].ravel()))
    with pytest.raises(InputError, match="`level`"):
        ssl_behavior.compare(found, table, level=2.0)
