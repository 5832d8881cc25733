import json
import shutil

import numpy as np
import pytest

from ssl_behavior.bouts import runs, without_short_runs
from ssl_behavior.clusters import (
    DensityConfig,
    KMeansConfig,
    SmoothingConfig,
    fit_clusters,
    load_clustering,
    save_clustering,
)
from ssl_behavior.embedding_space import SpaceConfig
from ssl_behavior.errors import InputError

FRAMES = (1511, 977, 0, 1, 2003)
K_MEANS = KMeansConfig(clusters=5, sample=2000)
DENSITY = DensityConfig(sample=1500, min_cluster_size=30, cluster_selection_method="eom")
METHODS = {
    "k-means": (KMeansConfig(clusters=7, sample=2000), SpaceConfig(), SmoothingConfig()),
    "few dimensions": (K_MEANS, SpaceConfig(most_dims=3), SmoothingConfig()),
    "spherical": (KMeansConfig(clusters=5, sample=2000), SpaceConfig(unit=True), SmoothingConfig()),
    "all bouts": (K_MEANS, SpaceConfig(), SmoothingConfig(minimum_bout_seconds=0.0)),
    "density": (DENSITY, SpaceConfig(most_dims=3), SmoothingConfig()),
}


@pytest.fixture(scope="module")
def array(states):
    _, points = states(sum(FRAMES), num_states=5, dim=9)
    return np.concatenate([points, np.linspace(0, 1, len(points))[:, None]], axis=1).astype(np.float16)


@pytest.fixture(scope="module")
def embeddings(embeddings_of, array, tmp_path_factory):
    return embeddings_of(tmp_path_factory.mktemp("clusters") / "e", array, FRAMES, {"latent": 9, "time": 1})


@pytest.fixture(scope="module")
def fitted(embeddings):
    made = {}

    def make(name):
        if name not in made:
            config, space, smoothing = METHODS[name]
            made[name] = fit_clusters(embeddings, config, space, smoothing, seed=3)
        return made[name]

    return make


@pytest.mark.parametrize("name", METHODS)
def test_assigning_fitted_recordings_gives_the_same_labels_also_from_disk(name, fitted, embeddings, tmp_path):
    clustering = fitted(name)
    assert clustering.frames.labels.dtype == np.int32 and len(set(clustering.frames.labels)) > 3
    save_clustering(clustering, tmp_path / "c")
    loaded = load_clustering(tmp_path / "c")
    for one in (loaded, clustering.assign(embeddings), loaded.assign(embeddings)):
        np.testing.assert_array_equal(one.frames.labels, clustering.frames.labels)
        np.testing.assert_array_equal(one.raw_labels, clustering.raw_labels)
        assert one.num_clusters == clustering.num_clusters and one.frames.rows == embeddings.rows
    for fact in ("config", "seed", "smoothing", "fitted", "store"):
        assert getattr(loaded, fact) == getattr(clustering, fact)
    np.testing.assert_array_equal(loaded.model.centers, np.load(tmp_path / "c" / "centroids.npy"))
    assert loaded.model.centers.shape == (loaded.num_clusters, loaded.space.dim)


@pytest.mark.parametrize("name", METHODS)
def test_a_recordings_labels_depend_on_it_alone(name, fitted, embeddings, embeddings_of, array, tmp_path):
    clustering, last = fitted(name), embeddings.rows[-1]
    alone = embeddings_of(tmp_path / "e", array[last.slice], (last.frames,), embeddings.groups)
    assigned = clustering.assign(alone)
    np.testing.assert_array_equal(assigned.frames.labels, clustering.frames.of(last))
    assert assigned.store == alone.store and assigned.fitted == clustering.fitted


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_and_0_is_the_most_frequent(name, fitted, embeddings):
    config, space, smoothing = METHODS[name]
    again = fit_clusters(embeddings, config, space, smoothing, seed=3)
    np.testing.assert_array_equal(again.frames.labels, fitted(name).frames.labels)
    own = again.model.clusters(again.raw_labels)
    assert (np.diff(np.bincount(own[own >= 0])) <= 0).all()


def test_places_are_found_by_both_methods(fitted, states):
    state, _ = states(sum(FRAMES), num_states=5, dim=9)
    for name in ("few dimensions", "spherical", "density"):
        labels = fitted(name).model.clusters(fitted(name).raw_labels)
        known = labels >= 0
        pairs = set(zip(labels[known], state[known], strict=True))
        assert len(pairs) == 5 and known.mean() > 0.8, name


def test_bouts_are_of_the_minimum_length(fitted, embeddings):
    for name in ("k-means", "density"):
        clustering = fitted(name)
        for row in embeddings.rows:
            own = clustering.model.clusters(clustering.raw_labels[row.slice])
            np.testing.assert_array_equal(clustering.frames.of(row), without_short_runs(own + 1, 8) - 1)
        lengths = [stop - start for start, stop, _ in runs(clustering.frames.of(embeddings.rows[0]))]
        assert min(lengths) >= 8


def test_the_hierarchy_joins_clusters_to_every_smaller_number(fitted, embeddings):
    clustering = fitted("k-means")
    for k in (1, 3, 5, 7):
        cut = clustering.cut(k)
        assert cut.num_clusters == k == cut.frames.num_clusters
        np.testing.assert_array_equal(cut.frames.labels, clustering.assign(embeddings, k).frames.labels)
        sizes = np.bincount(cut.model.clusters(cut.raw_labels))
        assert (np.diff(sizes) <= 0).all() and len(sizes) == k
        # Clusters of a cut are unions of the clusters before.
        assert len(set(zip(cut.model.clusters(cut.raw_labels), clustering.raw_labels, strict=True))) == 7
    with pytest.raises(InputError, match="a hierarchy of 7 centroids cannot be cut into 8"):
        clustering.cut(8)
    with pytest.raises(InputError, match="clusters of HDBSCAN cannot be joined"):
        fitted("density").cut(2)


def test_a_cut_is_saved_and_can_be_cut_again(fitted, tmp_path):
    clustering = fitted("k-means")
    save_clustering(clustering.cut(3), tmp_path / "c")
    loaded = load_clustering(tmp_path / "c")
    assert loaded.num_clusters == 3
    np.testing.assert_array_equal(loaded.cut(5).frames.labels, clustering.cut(5).frames.labels)


def test_clusters_are_learned_from_the_recordings_asked_for(embeddings, embeddings_of, array, tmp_path):
    rows = [embeddings.rows[0], embeddings.rows[3]]
    clustering = fit_clusters(embeddings, K_MEANS, rows=rows, seed=1)
    assert clustering.fitted.recordings == ("r0", "r3") and clustering.fitted.frames == 1512
    assert clustering.model.sizes.sum() == 1512 and len(clustering.frames.labels) == sum(FRAMES)
    changed = array.copy()
    changed[embeddings.rows[1].slice] *= 2
    other = fit_clusters(embeddings_of(tmp_path / "e", changed, FRAMES, embeddings.groups), K_MEANS, rows=rows, seed=1)
    np.testing.assert_array_equal(other.model.centroids, clustering.model.centroids)


def test_progress_adds_up(embeddings):
    calls = {}

    def progress(stage, done, total):
        calls.setdefault(stage, []).append((done, total))

    fit_clusters(embeddings, K_MEANS, progress=progress)
    assert set(calls) == {"k-means", "labels"}
    for steps in calls.values():
        assert sum(done for done, _ in steps) == steps[0][1]


def test_embeddings_of_another_encoder_or_other_recordings_are_refused(fitted, embeddings_of, array, tmp_path):
    clustering, groups = fitted("few dimensions"), {"latent": 9, "time": 1}
    other = embeddings_of(tmp_path / "o", array, FRAMES, groups, checkpoint="d" * 64)
    with pytest.raises(InputError, match="was made by another checkpoint"):
        clustering.assign(other)
    fewer = embeddings_of(tmp_path / "f", array[:, :9], FRAMES, {"latent": 9})
    with pytest.raises(InputError, match=r"has the columns \{'latent': 9\}"):
        clustering.assign(fewer)
    some = embeddings_of(tmp_path / "s", array[:1511], (1511,), groups)
    with pytest.raises(InputError, match=r"are not those that the clustering labels \(recording 'r1' differs\)"):
        clustering.check_labeled(some)


def test_embeddings_that_cannot_be_clustered_are_refused(embeddings_of, array, tmp_path):
    constant = embeddings_of(tmp_path / "c", np.ones_like(array), FRAMES)
    with pytest.raises(InputError, match="all numbers are the same in every frame"):
        fit_clusters(constant, K_MEANS)
    few = embeddings_of(tmp_path / "f", array[:19], (19,))
    with pytest.raises(InputError, match="cannot fit 20 clusters to 19 frames: ask for fewer `clusters`"):
        fit_clusters(few, KMeansConfig())
    alike = embeddings_of(tmp_path / "a", np.repeat(array[:7], 11, axis=0), (77,))
    with pytest.raises(InputError, match="only 7 frames of the sample are distinct"):
        fit_clusters(alike, KMeansConfig(clusters=11))
    broken = array.copy()
    broken[1511 + 13, 2] = np.inf
    with pytest.raises(InputError, match="recording 'r1', frame 13, has numbers that are not finite"):
        fit_clusters(embeddings_of(tmp_path / "b", broken, FRAMES), K_MEANS)
    with pytest.raises(InputError, match="no columns 'later'"):
        fit_clusters(few, K_MEANS, SpaceConfig(only=("later",)))


def saved(clustering, folder):
    save_clustering(clustering, folder)
    return folder


def test_a_folder_is_not_replaced_unless_asked(fitted, tmp_path):
    folder = saved(fitted("few dimensions"), tmp_path / "c")
    with pytest.raises(InputError, match="exists already"):
        save_clustering(fitted("density"), folder)
    save_clustering(fitted("density"), folder, overwrite=True)
    assert not (folder / "hierarchy.npy").exists() and load_clustering(folder).config == DENSITY


@pytest.mark.parametrize("name", ["few dimensions", "density"])
def test_damage_gives_a_message_and_never_a_traceback(name, fitted, tmp_path):
    whole = saved(fitted(name), tmp_path / "whole")
    files = sorted(path.name for path in whole.iterdir())
    for file in files:
        for damage in ("missing", "cut", "other"):
            folder = tmp_path / f"{file}-{damage}"
            shutil.copytree(whole, folder)
            content = (folder / file).read_bytes()
            if damage == "missing":
                (folder / file).unlink()
            elif damage == "cut":
                (folder / file).write_bytes(content[: len(content) // 2])
            elif file.endswith(".npy"):
                np.save(folder / file, np.load(folder / file)[1:])
            else:
                continue
            if (file, damage) != ("centroids.npy", damage):
                with pytest.raises(InputError, match=f"{folder.name}"):
                    load_clustering(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 1}, "format version 1; this program reads version 2: .* cluster again"),
        ({"version": 3}, "format version 3"),
        ({"format": "ssl-behavior embeddings"}, "does not say so"),
        ({"num_clusters": 6}, "is damaged"),
        ({"method": "voodoo"}, "is damaged"),
        ({"settings": {"clusters": "many"}}, "settings.clusters: expected int"),
        ({"sizes": [1, 2]}, "labels.npy does not match clusters.json"),
        ({"recordings": 7}, "is damaged"),
    ],
)
def test_a_changed_table_of_contents_is_refused(change, words, fitted, tmp_path):
    folder = saved(fitted("few dimensions"), tmp_path / "c")
    contents = json.loads((folder / "clusters.json").read_text())
    (folder / "clusters.json").write_text(json.dumps(contents | change))
    with pytest.raises(InputError, match=words):
        load_clustering(folder)
