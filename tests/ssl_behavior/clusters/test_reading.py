import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from ssl_behavior.clusters.clustered import ClusteredStore
from ssl_behavior.clusters.reading import check_embeddings, read_clusters
from ssl_behavior.embedding import store_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.space import Space, SpaceConfig

DIM = 5


@pytest.fixture(autouse=True)
def _single():
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def embedded(labeled, tmp_path):
    generator = np.random.default_rng(0)
    values = [(row.id, generator.normal(size=(row.frames, DIM))) for row in labeled.rows]
    return store_embeddings(tmp_path / "embeddings", labeled, labeled.rows, values, "latent", lambda: "c" * 64)


@pytest.fixture
def folder(clusters, embedded, tmp_path):
    """A clustering as it lies on disk."""
    folder = tmp_path / "clusters"
    folder.mkdir()
    Space.fit(embedded, SpaceConfig()).save(folder)
    np.save(folder / "labels.npy", clusters.labels)
    np.save(folder / "centroids.npy", np.zeros((5, DIM), np.float32))
    write(folder, num_clusters=5, recordings=[asdict(row) for row in clusters.rows])
    return folder


def write(folder, **contents):
    (folder / "clusters.json").write_text(json.dumps(contents))


def test_what_was_written_is_read(folder, clusters, embedded):
    saved = read_clusters(folder)
    assert saved.frames.rows == clusters.rows and saved.frames.num_clusters == 5
    np.testing.assert_array_equal(saved.frames.labels, clusters.labels)
    assert saved.centroids.shape == (5, saved.space.dim)
    check_embeddings(saved, embedded)


def damaged(folder, name, array):
    np.save(folder / name, array)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "clusters.json").unlink(), "is not a clustering: it has no clusters.json"),
        (lambda f: write(f, num_clusters=5), "clusters.json is damaged"),
        (lambda f: write(f, num_clusters=5, recordings=[{"id": "a"}]), "clusters.json is damaged"),
        (lambda f: write(f, num_clusters="many", recordings=[]), "clusters.json is damaged"),
        (lambda f: (f / "labels.npy").unlink(), "labels.npy cannot be read"),
        (lambda f: damaged(f, "labels.npy", np.zeros(7, np.int32)), r"labels.npy should have shape \[365\], got \[7\]"),
        (lambda f: damaged(f, "labels.npy", np.full(365, 5)), "labels.npy holds clusters that are not -1 to 4"),
        (lambda f: damaged(f, "centroids.npy", np.zeros((5, 3))), "centroids.npy should have shape"),
        (lambda f: (f / "space.json").unlink(), "space"),
    ],
)
def test_damage_is_told(folder, damage, told):
    damage(folder)
    with pytest.raises(InputError, match=told):
        read_clusters(folder)


def test_other_embeddings_are_refused(folder, labeled, tmp_path):
    saved = read_clusters(folder)

    def embed(name, rows, made_by="c" * 64, group="latent"):
        values = [(row.id, np.ones((row.frames, DIM))) for row in rows]
        return store_embeddings(tmp_path / name, labeled, rows, values, group, lambda: made_by)

    with pytest.raises(InputError, match="another checkpoint"):
        check_embeddings(saved, embed("encoder", labeled.rows, made_by="d" * 64))
    with pytest.raises(InputError, match="has the columns"):
        check_embeddings(saved, embed("columns", labeled.rows, group="scene"))
    with pytest.raises(InputError, match=r"different recordings .recording 'r2' differs"):
        check_embeddings(saved, embed("fewer", labeled.rows[:2]))
    with pytest.raises(InputError, match="their order differs"):
        check_embeddings(saved, embed("order", labeled.rows[::-1]))


def test_another_store_is_refused(clusters, dyad, tmp_path):
    from ssl_behavior.store import write_store

    def store(name, *recordings):
        return write_store(tmp_path / name, recordings)

    with pytest.raises(InputError, match="has no recording 'r0'"):
        ClusteredStore.of(clusters, store("others", dyad("x", 101)))
    with pytest.raises(InputError, match="'r0' has 97 frames at 30 per second, the clustered one 101 at 30"):
        ClusteredStore.of(clusters, store("shorter", dyad("r0", 97), dyad("r1", 53), dyad("r2", 211)))
    with pytest.raises(InputError, match="at 25 per second"):
        ClusteredStore.of(
            clusters, store("slower", *(dyad(f"r{n}", f, fps=25.0) for n, f in enumerate((101, 53, 211))))
        )
    # The order of the store's recordings does not matter.
    mixed = store("mixed", dyad("r2", 211), dyad("r0", 101), dyad("more", 7), dyad("r1", 53))
    assert [row.id for row in ClusteredStore.of(clusters, mixed).rows] == ["r0", "r1", "r2"]
