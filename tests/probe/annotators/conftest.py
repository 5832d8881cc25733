"""Recordings labeled by people who draw the line between behaviors at different places."""

import numpy as np
import pytest
import torch

from probe.annotators import annotated_frames, find_annotators, fit_annotators
from probe.annotators.annotator_probe import AnnotatorConfig
from probe.tasks import make_task
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store

CLASSES = ("attack", "mount", "other")
THRESHOLDS = {"1": -0.9, "2": 0.9, "3": 1.0, "10": 0.0}
"""Above which of the first dimension a frame is attack for whom: 2 and 3 are alike, 10 stands between."""
DIM = 31
FAST = AnnotatorConfig(hidden_dim=13, dropout=0.1, steps=150, batch_frames=256, learning_rate=0.03, weight_decay=0.1)


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


def labels_of(values, annotator):
    attack, mount = values[:, 0] > THRESHOLDS[annotator], values[:, 1] > 0.8
    frames = np.where(attack, 0, np.where(mount, 1, 2))
    frames[:5] = -1
    return Labels(vocabulary=CLASSES, frames=frames, annotator=annotator, background="other")


@pytest.fixture(scope="session")
def styles(tmp_path_factory):
    """(store, embedding, task): two recordings of each annotator to learn from, one to be scored on."""
    generator, parts, recordings = np.random.default_rng(0), [], []
    for annotator in THRESHOLDS:
        for number, subset in enumerate(("train", "train", "test")):
            values = generator.normal(size=(503 + 2 * number, DIM)).astype(np.float32)
            keypoints = generator.normal(300, 50, (len(values), 2, 7, 2)).astype(np.float32)
            recordings.append(
                Recording(
                    id=f"{annotator}/{subset}{number}", keypoints=keypoints, fps=30.0, skeleton=SKELETONS["calms21"],
                    labels={"behavior": labels_of(values, annotator)}, subset=subset,
                )
            )  # fmt: skip
            parts.append(values * 3 + 1)
    store = write_store(tmp_path_factory.mktemp("styles") / "store", recordings)
    return store, np.concatenate(parts), make_task(store, "behavior")


def rows_in(store, subset, annotators=tuple(THRESHOLDS)):
    return [row for row in store.rows if row.subset == subset and row.annotators["behavior"] in annotators]


@pytest.fixture(scope="session")
def frames(styles):
    store, array, task = styles
    return annotated_frames(store, task, array, rows_in(store, "train"), find_annotators(store, task), stride=1)


@pytest.fixture(scope="session")
def probe(frames):
    torch.set_default_dtype(torch.float32)
    return fit_annotators(frames, list(THRESHOLDS), CLASSES, FAST, 0)
