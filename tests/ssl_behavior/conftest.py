"""Fixtures: embeddings without an encoder."""

import numpy as np
import pytest
import torch

from ssl_behavior.clusters import (
    Clustering,
    FrameClusters,
    KMeansConfig,
    SmoothingConfig,
    fit_clusters,
    save_clustering,
)
from ssl_behavior.clusters.algorithms import KMeansModel
from ssl_behavior.clusters.clustering import FittedOn
from ssl_behavior.embedding_space import Space, SpaceConfig
from ssl_behavior.embeddings_folder import Embeddings, store_embeddings
from ssl_behavior.files import write_json
from ssl_behavior.recording import Labels, PairLabels, Recording
from ssl_behavior.skeleton import SKELETONS, with_individuals
from ssl_behavior.store import write_store
from ssl_behavior.units import actors_of


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


BODY = [(45, 2), (3, 0), (-40, -1), (-71, 3), (-103, -2)]
GROUP_FRAMES = {"cage1": 211, "cage2": 101, "cage3": 157}
GROUP_CLUSTERS = 4


def write_group(folder, units=("scene", "animal", "pair"), animals=3, acts=False):
    """A store of three mice (the third is absent from cage2), and embeddings and clusters of each unit.

    Embeddings of every row lie near one of four places for 9 to 40 frames at a time; clusters are these places.

    Parameters
    ----------
    acts : there is a stream with agents and targets, too: m1 chases m2 and sniffs itself in cage1.
    """
    names = tuple(f"m{n + 1}" for n in range(animals))
    skeleton = with_individuals(SKELETONS["rat_dyads"], names, exchangeable=True)
    generator = np.random.default_rng(animals)
    recordings = []
    for id, frames in GROUP_FRAMES.items():
        place = np.cumsum(generator.normal(0, 2, (frames, animals, 1, 2)), axis=0)
        place += 90 * np.arange(animals)[:, None, None]
        body = np.array(BODY, float) + generator.normal(0, 1.5, (frames, animals, len(BODY), 2))
        keypoints = (place + body).astype(np.float32)
        if id == "cage2" and animals > 2:
            keypoints[:, 2] = np.nan
        fights = (np.arange(frames) // 20 % 2).astype(np.int16)
        labels = {"S1": Labels(vocabulary=("rest", "fight"), frames=fights, background="rest")}
        recordings.append(
            Recording(
                id=id, keypoints=keypoints, skeleton=skeleton, individuals=names, fps=30.0, labels=labels,
                pair_labels={"acts": chases(animals)} if acts and id == "cage1" else {},
            )
        )  # fmt: skip
    store = write_store(folder / "store", recordings)
    centers = 3 * generator.normal(size=(GROUP_CLUSTERS, 7))
    for unit in units:
        states = {}
        for row in store.rows:
            for actors in actors_of(unit, [name for name in names if name not in row.absent]):
                lengths = generator.integers(9, 41, row.frames)
                runs = np.repeat(generator.integers(0, GROUP_CLUSTERS, row.frames), lengths)[: row.frames]
                states[actors.row_id(row.id)] = runs
        values = ((id, centers[own] + 0.3 * generator.normal(size=(len(own), 7))) for id, own in states.items())
        store_embeddings(folder / unit, store, store.rows, values, "latent", lambda: "c" * 64, "float32", unit=unit)
        embeddings = Embeddings(folder / unit)
        clustering = fit_clusters(embeddings, KMeansConfig(clusters=GROUP_CLUSTERS), SpaceConfig(most_dims=0))
        save_clustering(clustering, folder / f"{unit}_clusters")
    return folder


def chases(animals):
    """Chases of m1 and m2, looked for in all pairs but those with m3, and sniffs of m1 at itself."""
    looked_for = np.zeros((animals, animals, 2), bool)
    looked_for[:2, :2, 0] = ~np.eye(2, dtype=bool)
    looked_for[0, 0, 1] = True
    bouts = np.array([(0, 1, 0, 10, 60), (1, 0, 0, 55, 90), (0, 0, 1, 80, 120)])
    return PairLabels(vocabulary=("chase", "sniff"), bouts=bouts, looked_for=looked_for)


@pytest.fixture(scope="session")
def group(tmp_path_factory):
    """Folder with `store`, and embeddings and clusters of each unit: `pair`, `pair_clusters`, ..."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield write_group(tmp_path_factory.mktemp("group"))
    torch.set_default_dtype(before)
