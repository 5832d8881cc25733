"""A simple system for the small store."""

import numpy as np
import pytest
import torch

from probe.calms21.systems import FittedSystem, System, with_balanced
from probe.experiment import expand_classes
from probe.labeled_frames import learned_classes
from probe.representations import Representation


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def representation(array):
    return Representation("five numbers", (array,))


class Centroids(System):
    """Softmax of the distances to class means, with a record of fitted and predicted recordings."""

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
