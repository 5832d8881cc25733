"""Parts by recording: all of the recordings once, every class in every part where possible."""

import numpy as np
import pytest

from probe.experiment import Problem
from probe.folds import positive_frames, stratified_folds


@pytest.mark.parametrize("num_folds", [1, 2, 3, 5, 7])
def test_folds_partition_the_recordings(problem, num_folds):
    rows = problem.store.rows
    folds = stratified_folds(problem, rows, num_folds, 0)
    assert len(folds) == num_folds and all(folds)
    assert sorted(row.id for fold in folds for row in fold) == sorted(row.id for row in rows)


@pytest.mark.parametrize("seed", range(5))
def test_rare_class_is_in_every_fold(problem, relabeled, seed):
    rare = {"r0", "r3", "r6"}
    store = relabeled(problem.store, lambda row, frames: frames if row.id in rare else np.where(frames == 0, 2, frames))
    sparse = Problem(store, problem.task, problem.selection)
    for fold in stratified_folds(sparse, store.rows, 3, seed):
        assert (positive_frames(sparse, fold).sum(axis=0) > 0).all()


def test_folds_have_similar_size_and_depend_on_the_seed(problem):
    rows = problem.store.rows
    made = [[tuple(row.id for row in fold) for fold in stratified_folds(problem, rows, 3, seed)] for seed in (0, 0, 1)]
    assert made[0] == made[1]
    frames = [sum(row.frames for row in fold) for fold in stratified_folds(problem, rows, 3, 0)]
    assert max(frames) < 1.6 * min(frames)


def test_positive_frames_per_recording(problem):
    labels = problem.store.labels("behavior")
    counts = positive_frames(problem, problem.store.rows)
    for row, found in zip(problem.store.rows, counts, strict=True):
        assert found.tolist() == [(labels[row.slice] == k).sum() for k in range(3)]
