"""Clusterings of a few short recordings."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.recording import Labels
from ssl_behavior.simulate import Plan, simulate_plan
from ssl_behavior.store import Store, write_store

FRAMES = (101, 53, 211)


def rows_of(frames=FRAMES, fps=30.0):
    offsets = np.cumsum([0, *frames])
    return [
        EmbeddingRow(id=f"r{n}", offset=int(offset), frames=many, fps=fps)
        for n, (offset, many) in enumerate(zip(offsets, frames, strict=False))
    ]


def bouts_at_random(frames, num_clusters, seed=0, mean=7, none=0.1):
    """Labels in bouts, some of them of no cluster."""
    generator = np.random.default_rng(seed)
    lengths = generator.geometric(1 / mean, frames)
    labels = generator.integers(0, num_clusters, frames)
    labels[generator.random(frames) < none] = -1
    return np.repeat(labels, lengths)[:frames].astype(np.int32)


@pytest.fixture
def clusters():
    """Five clusters of three recordings; number 4 is never seen."""
    return FrameClusters(rows_of(), bouts_at_random(sum(FRAMES), 4), 5)


@pytest.fixture(scope="session")
def labeled(dyad, tmp_path_factory):
    """A store of those recordings: stream "behavior" in all of them with gaps, "second" in the last alone."""
    recordings = []
    for n, frames in enumerate(FRAMES):
        first = bouts_at_random(frames, 3, seed=n + 10, mean=11)
        labels = {"behavior": Labels(vocabulary=("other", "mount", "chase"), frames=first, background="other")}
        if n == 2:
            labels["second"] = Labels(vocabulary=("still", "moving"), frames=bouts_at_random(frames, 2, seed=5, none=0))
        recordings.append(replace(dyad(f"r{n}", frames, seed=n, missing=0.1), labels=labels))
    return write_store(tmp_path_factory.mktemp("labeled") / "store", recordings)


@pytest.fixture(scope="session")
def mice(tmp_path_factory) -> Store:
    """Simulated resident and intruder, told apart, with their true behaviours."""
    plans = [Plan(id=f"m{n}", num_frames=2503) for n in range(4)]
    return write_store(tmp_path_factory.mktemp("mice") / "store", [simulate_plan(plan, 0) for plan in plans])


def by_behavior(store, stream="behavior"):
    """Each behaviour a cluster."""
    rows = [EmbeddingRow(id=row.id, offset=row.offset, frames=row.frames, fps=row.fps) for row in store.rows]
    labels = np.asarray(store.labels(stream)).astype(np.int32)
    return FrameClusters(rows, labels, len(store.streams[stream].vocabulary))
