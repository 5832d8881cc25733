"""Fixtures: embeddings without an encoder."""

import numpy as np
import pytest

from ssl_behavior.clusters import Clustering, FrameClusters, KMeansConfig, SmoothingConfig, save_clustering
from ssl_behavior.clusters.algorithms import KMeansModel
from ssl_behavior.clusters.clustering import FittedOn
from ssl_behavior.embedding_space import Space
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.files import write_json


@pytest.fixture(scope="session")
def embeddings_of():
    """Write an array [frames, dim] as an embeddings folder of recordings r0, r1, ..."""

    def make(folder, array, frames, groups=None, checkpoint="c" * 64, store="s" * 64, fps=30.0) -> Embeddings:
        folder.mkdir(parents=True)
        np.save(folder / "embeddings.npy", array)
        offsets = np.cumsum([0, *frames])
        rows = [
            {"id": f"r{n}", "offset": int(offset), "frames": many, "fps": fps}
            for n, (offset, many) in enumerate(zip(offsets, frames, strict=False))
        ]
        contents = {
            "format": "ssl-behavior embeddings", "version": 1, "channel_groups": groups or {"latent": array.shape[1]},
            "checkpoint": checkpoint, "store": store, "recordings": rows,
        }  # fmt: skip
        write_json(folder / "embeddings.json", contents)
        return Embeddings(folder)

    return make


@pytest.fixture(scope="session")
def states():
    """Points that stay near one of a few places for a while, then jump to another: (place, points) of each frame."""

    def make(frames, num_states=5, dim=7, seed=0, noise=0.4, stay=0.96):
        places = np.random.default_rng(99).normal(size=(num_states, dim)) * 3
        generator = np.random.default_rng(seed)
        jumps = generator.random(frames) > stay
        since = np.maximum.accumulate(np.where(jumps, np.arange(frames), 0))
        state = generator.integers(0, num_states, frames)[since]
        return state, (places[state] + noise * generator.normal(size=(frames, dim))).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def saved_clusters():
    """Write a clusters folder of labels int32 [frames] that nobody fitted.

    Parameters
    ----------
    middles : of the clusters, float32 [cluster, embedding dim].
    """

    def make(folder, embeddings, labels, middles):
        number, space = len(middles), Space.fit(embeddings)
        model = KMeansModel.of(space.points(middles.astype(np.float32)), np.arange(number, 0, -1), number)
        clustering = Clustering(
            model=model, config=KMeansConfig(clusters=number), seed=0, space=space, smoothing=SmoothingConfig(),
            fitted=FittedOn.of(embeddings, embeddings.rows), store=embeddings.store,
            frames=FrameClusters(embeddings.rows, labels, number), raw_labels=labels,
        )  # fmt: skip
        save_clustering(clustering, folder)
        return folder

    return make
