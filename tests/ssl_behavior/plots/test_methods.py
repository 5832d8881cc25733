"""`.plot()` of objects draws their own numbers."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.clusters import cluster
from ssl_behavior.errors import InputError
from ssl_behavior.retrieval.find import neighbors
from tests.ssl_behavior.conftest import write_group

FRAMES = (101, 53, 211)


@pytest.fixture
def embeddings(embeddings_of, states, tmp_path):
    array = states(sum(FRAMES))[1]
    array = np.concatenate([array, np.linspace(0, 99, len(array), dtype=np.float32)[:, None]], axis=1)
    return embeddings_of(tmp_path / "embeddings", array, FRAMES, groups={"latent": 7, "time": 1})


@pytest.fixture
def clusters(embeddings):
    return cluster(embeddings, 3, verbose=False)


def test_clusters_of_a_recording(clusters, ax, pyplot):
    assert clusters.plot("r1", ax=ax) is ax and not pyplot.get_fignums()
    row = clusters.frames.rows[1]
    drawn = {
        one.get_label(): [path.vertices[:, 0][[0, 2]].tolist() for path in one.get_paths()] for one in ax.collections
    }
    for number in range(3):
        bouts = [(start / 30, stop / 30) for start, stop, own in clusters.frames.bouts(row) if own == number]
        np.testing.assert_allclose(drawn.get(str(number), np.empty((0, 2))), np.reshape(bouts, (-1, 2)))
    assert ax.get_title(loc="left") == "r1" and clusters.plot().get_title(loc="left") == "r0"
    with pytest.raises(InputError, match="the clustering has no recording 'r9'; it has 'r0', 'r1', 'r2'"):
        clusters.plot("r9")


def test_frames_of_no_cluster_are_gray(clusters, ax, legend):
    labels = clusters.frames.labels.copy()
    labels[:20] = -1
    replace(clusters, frames=replace(clusters.frames, labels=labels)).plot(rows="streams", ax=ax)
    assert legend(ax)[-1] == "none" and ax.collections[-1].get_label() == "none"


def test_pairs_of_a_group_are_beside_their_labels(tmp_path, ax):
    folder = tmp_path / "group"
    write_group(folder, units=("pair",), acts=True)
    found = cluster(folder / "pair", 4, verbose=False)
    found.plot("cage2", store=folder / "store", rows="streams", ax=ax)
    titles = [text.get_text() for text in ax.get_yticklabels()]
    assert titles[-2:] == ["clusters, m1 → m2", "clusters, m2 → m1"] and len(titles) > 2
    assert ax.get_title(loc="left") == "cage2"


def test_a_map_of_embeddings_leaves_out_the_time(embeddings, clusters, legend):
    ax = embeddings.plot(clusters, recordings="r2", most=50)
    assert len(ax.collections[0].get_offsets()) == 50 and set(legend(ax)) <= {"0", "1", "2"}
    alone = embeddings.plot(only="latent", values=np.arange(sum(FRAMES)))
    assert len(alone.collections[0].get_offsets()) == sum(FRAMES)
    same = embeddings.plot()
    assert same.get_xlabel() == alone.get_xlabel() != embeddings.plot(only=["latent", "time"]).get_xlabel()
    with pytest.raises(InputError, match="`labels` must be one for each of the 365 frames"):
        embeddings.plot([0, 1])


def test_neighbors(embeddings, tmp_path, ax):
    found = neighbors(embeddings, "r0:10-20", k=3, index=tmp_path / "index", verbose=False)
    found.plot(ax=ax)
    np.testing.assert_allclose(ax.collections[0].get_array(), [bout.distance for bout in found])
