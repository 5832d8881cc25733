"""Embeddings, a store with labels, and clusters, all of the same recordings."""

import json

import numpy as np

from ssl_behavior.embeddings_folder import store_embeddings
from ssl_behavior.recording import Labels
from ssl_behavior.store import write_store

FRAMES = {"a/r1": 211, "r2": 101, "r3": 53}
GROUPS = {"past": 5, "latent": 3, "time": 2}
NUM_CLUSTERS = 7


def write_clusters(folder, rows, labels, num_clusters=NUM_CLUSTERS, **more):
    folder.mkdir()
    table = [{"id": row.id, "offset": row.offset, "frames": row.frames, "fps": row.fps} for row in rows]
    facts = {"format": "ssl-behavior clusters", "version": 2, "num_clusters": num_clusters, "recordings": table}
    (folder / "clusters.json").write_text(json.dumps(facts | more))
    np.save(folder / "labels.npy", labels)
    return folder


def _labels(name, frames):
    rng = np.random.default_rng(frames)
    runs = np.repeat(rng.integers(-1, 3, frames), 11)[:frames]
    own = {
        "S1": Labels(vocabulary=("chase", "rest", "resident bites"), frames=runs, background="rest", annotator="ann")
    }
    return own if name == "r3" else own | {"S2": Labels(vocabulary=("rear",), frames=np.minimum(runs, 0))}


def make_place(folder, dyad):
    """A folder with `store`, `embeddings` and `clusters` in it."""
    store = write_store(
        folder / "store",
        [dyad(name, frames, fps=25.0, labels=_labels(name, frames)) for name, frames in FRAMES.items()],
    )
    rng = np.random.default_rng(7)
    numbers = {name: rng.normal(size=(frames, sum(GROUPS.values()))) for name, frames in FRAMES.items()}
    embeddings = store_embeddings(
        folder / "embeddings", store, store.rows, iter(numbers.items()), "all", lambda: "made by a test"
    )
    contents = json.loads((folder / "embeddings" / "embeddings.json").read_text())
    (folder / "embeddings" / "embeddings.json").write_text(json.dumps(contents | {"channel_groups": GROUPS}))
    clusters = np.repeat(rng.integers(-1, NUM_CLUSTERS, 400), 7)[: store.num_frames].astype(np.int32)
    write_clusters(folder / "clusters", embeddings.rows, clusters)
    return folder
