"""Problems of the small store, and a system one can see through."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from probe.calms21.systems import FittedSystem, Problem, System, with_balanced
from probe.experiment import expand_classes, learned_classes
from probe.representations import Representation
from probe.tasks import make_task, parse_macro
from ssl_behavior.splits import make_split
from ssl_behavior.store import write_store


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def problem(store):
    task = make_task(store, "behavior")
    return Problem(store, task, parse_macro(task))


@pytest.fixture
def split(store):
    return make_split(store, seed=0)


@pytest.fixture
def representation(array):
    return Representation("five numbers", (array,))


class Centroids(System):
    """Softmax of the distances to the classes' means; remembers what it was given to learn and to predict."""

    name, source = "centroids", "a test"

    def __init__(self, array):
        self.array, self.learned_from, self.predicted = array, [], []

    @property
    def settings(self):
        return {"system": "centroids"}

    def _fit(self, problem, rows, seed, advance):
        self.learned_from.append([row.id for row in rows])
        target = problem.targets(rows)
        values = np.concatenate([self.array[row.slice] for row in rows])
        learned = learned_classes(target, problem.task.kind)
        advance(len(target))
        return FittedCentroids(self, problem, rows, [values[target[:, c] == 1].mean(axis=0) for c in learned], learned)


class FittedCentroids(FittedSystem):
    def __init__(self, system, problem, rows, means, learned):
        self.system, self.problem, self.rows, self.means, self.learned = system, problem, rows, np.array(means), learned

    def predict(self, rows):
        self.system.predicted.append([row.id for row in rows])
        values = np.concatenate([self.system.array[row.slice] for row in rows])
        near = -((values[:, None] - self.means) ** 2).sum(axis=2) / 2
        if self.problem.task.kind == "multinomial":
            odds = np.exp(near - near.max(axis=1, keepdims=True))
            probability = odds / odds.sum(axis=1, keepdims=True)
        else:
            probability = 1 / (1 + np.exp(-3 - near))
        plain = expand_classes(probability, self.learned, self.problem.num_classes)
        return with_balanced(self.problem, self.rows, plain)


@pytest.fixture
def centroids(array):
    return Centroids(array)


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
