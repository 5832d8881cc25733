"""The labels alone, from a clusters folder."""

import json

import numpy as np
import pytest

from ssl_behavior.clusters import load_frames
from ssl_behavior.errors import InputError

FRAMES, DIM, NUMBER = (101, 0, 53), 3, 5


@pytest.fixture
def folder(embeddings_of, saved_clusters, tmp_path):
    generator = np.random.default_rng(0)
    embeddings = embeddings_of(tmp_path / "e", generator.normal(size=(sum(FRAMES), DIM)).astype(np.float32), FRAMES)
    labels = generator.integers(-1, NUMBER, sum(FRAMES)).astype(np.int32)
    return saved_clusters(tmp_path / "c", embeddings, labels, generator.normal(size=(NUMBER, DIM)))


def changed(folder, **change):
    contents = json.loads((folder / "clusters.json").read_text())
    (folder / "clusters.json").write_text(json.dumps(contents | change))


def test_labels_are_mapped_from_disk(folder):
    frames = load_frames(folder)
    assert isinstance(frames.labels, np.memmap) and frames.num_clusters == NUMBER
    assert [(row.id, row.frames) for row in frames.rows] == [("r0", 101), ("r1", 0), ("r2", 53)]
    np.testing.assert_array_equal(frames.labels, np.load(folder / "labels.npy"))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "clusters.json").unlink(), r"is not a clusters folder: it has no clusters\.json"),
        (lambda f: changed(f, format="anything"), "clusters"),
        (lambda f: changed(f, recordings=[{"id": "a"}]), r"is damaged: clusters\.json has missing or wrong fields"),
        (lambda f: changed(f, num_clusters="many"), r"is damaged: clusters\.json has missing or wrong fields"),
        (lambda f: (f / "labels.npy").unlink(), r"labels\.npy cannot be read"),
        (lambda f: np.save(f / "labels.npy", np.zeros(7, np.int32)), r"should be int32 \[154\], got int32 \[7\]"),
        (lambda f: np.save(f / "labels.npy", np.zeros(154)), "got float64"),
        (lambda f: np.save(f / "labels.npy", np.full(154, 5, np.int32)), "has clusters outside -1 to 4"),
        (lambda f: np.save(f / "labels.npy", np.full(154, -2, np.int32)), "has clusters outside -1 to 4"),
    ],
)
def test_damage_is_told(folder, damage, told):
    damage(folder)
    with pytest.raises(InputError, match=told):
        load_frames(folder)
