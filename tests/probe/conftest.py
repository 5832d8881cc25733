"""Small labeled stores, their problem and split, and embeddings that separate the classes."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from probe.experiment import Problem
from probe.tasks import make_task, parse_macro
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.features import FeatureConfig
from ssl_behavior.methods import CPCConfig
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.splits import make_split
from ssl_behavior.store import write_store

FRAMES = (503, 401, 307, 353, 251, 449, 211)
CLASSES = ("attack", "mount", "other")
TINY_CPC = CPCConfig(
    features=FeatureConfig(blocks=("pose", "relation")),
    encoder=EncoderConfig(
        stride=1, latent_dim=5, embedder_dim=7, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1,)
    ),
    horizons_frames=(2,),
    key_dim=3,
)


def bouts(num_frames, generator):
    """Labels that last for some frames, every class among them, and a few unannotated frames."""
    lengths = generator.integers(11, 41, num_frames)
    frames = np.repeat(np.arange(num_frames) % len(CLASSES), lengths)[:num_frames]
    frames[: generator.integers(3, 7)] = -1
    return frames


def make_recording(name, num_frames, skeleton="calms21", subset=""):
    generator = np.random.default_rng(num_frames)
    skeleton = SKELETONS[skeleton]
    walk = np.cumsum(generator.normal(0, 1.5, (num_frames, 2, 1, 2)), axis=0)
    walk += np.array([[[300.0, 200.0]], [[420.0, 260.0]]])
    body = generator.normal(0, 25, (1, 2, skeleton.num_keypoints, 2))
    keypoints = (walk + body + generator.normal(0, 0.5, (num_frames, 2, skeleton.num_keypoints, 2))).astype(np.float32)
    keypoints[generator.random(keypoints.shape[:3]) < 0.1] = np.nan
    labels = {"behavior": Labels(vocabulary=CLASSES, frames=bouts(num_frames, generator), background="other")}
    return Recording(id=name, keypoints=keypoints, fps=30.0, skeleton=skeleton, labels=labels, subset=subset)


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "store", [make_recording(f"r{i}", n) for i, n in enumerate(FRAMES)])


@pytest.fixture
def array(store):
    """A five-dimensional embedding with overlapping classes."""
    generator = np.random.default_rng(0)
    centers = np.array([[2.0, 0, 0, 1, 0], [0, 1.5, 0, 0, 1], [-1, 0, 0.5, 0, 0]])
    return (centers[store.labels("behavior")] + generator.normal(0, 1.3, (store.num_frames, 5))).astype(np.float32)


@pytest.fixture
def write_embeddings():
    """Write an array as an embeddings folder of a store."""

    def write(store, path, array, /, **changes):
        path.mkdir()
        np.save(path / "embeddings.npy", array)
        rows = [{"id": r.id, "offset": r.offset, "frames": r.frames, "fps": r.fps} for r in store.rows]
        contents = {
            "format": "ssl-behavior embeddings", "version": 1, "dim": array.shape[1], "dtype": str(array.dtype),
            "channel_groups": {"embedding": array.shape[1]}, "checkpoint": "c0ffee", "store": store.fingerprint(),
            "recordings": rows,
        }  # fmt: skip
        (path / "embeddings.json").write_text(json.dumps(contents | changes))
        return Embeddings(path)

    return write


@pytest.fixture
def make_embeddings(store, write_embeddings):
    """Write an array as an embeddings folder of the fixture `store`."""
    return partial(write_embeddings, store)


@pytest.fixture
def embeddings(array, make_embeddings, tmp_path):
    return make_embeddings(tmp_path / "embeddings", array)


@pytest.fixture
def problem(store):
    task = make_task(store, "behavior")
    return Problem(store, task, parse_macro(task))


@pytest.fixture
def split(store):
    return make_split(store, seed=0)


@pytest.fixture
def relabeled(tmp_path):
    """The same recordings with labels changed by `change(row, frames)`."""

    def make(store, change, name="relabeled"):
        def changed(recording):
            labels = recording.labels["behavior"]
            frames = change(store.row(recording.id), labels.frames.copy())
            return replace(recording, labels={"behavior": replace(labels, frames=frames)})

        return write_store(tmp_path / name, [changed(recording) for recording in store])

    return make
