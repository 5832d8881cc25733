from dataclasses import replace

import numpy as np
import pytest
import torch

from probe.annotators import annotated_frames, find_annotators
from ssl_behavior.errors import InputError

from .conftest import CLASSES, DIM, THRESHOLDS, rows_in


def test_annotators_sort_by_number(styles):
    store, _, task = styles
    assert find_annotators(store, task) == ("1", "2", "3", "10") == tuple(THRESHOLDS)
    assert find_annotators(store, replace(task, annotators=("3", "1", "7"))) == ("1", "3")
    assert find_annotators(store, task, rows_in(store, "test", ("2",))) == ("2",)


def test_every_frame_has_its_label_its_annotator_and_its_embedding(styles):
    store, array, task = styles
    rows = rows_in(store, "train", ("2", "10"))
    frames = annotated_frames(store, task, array, rows, ["10", "2"], stride=1)
    expected, target, who = [], [], []
    for row in rows:
        for t in range(row.frames):
            label = store.labels("behavior")[row.offset + t]
            if label >= 0:
                expected.append(array[row.offset + t])
                target.append(label)
                who.append(["10", "2"].index(row.annotators["behavior"]))
    expected = np.array(expected)
    np.testing.assert_allclose(frames.embedded, (expected - expected.mean(0)) / expected.std(0), atol=1e-5)
    assert frames.target.tolist() == target and frames.annotator.tolist() == who
    counts = frames.counts(2, len(CLASSES))
    for i, c in np.ndindex(2, len(CLASSES)):
        assert counts[i, c] == sum(a == i and t == c for a, t in zip(who, target, strict=True))


def test_annotated_frames_use_stride_and_given_scaling(styles, frames):
    store, array, task = styles
    rows = rows_in(store, "test", ("3",))
    some = annotated_frames(store, task, array, rows, ["3"], 5, 0, frames.scaling)
    assert len(some) == pytest.approx(sum(row.frames for row in rows) / 5, abs=2) and some.scaling is frames.scaling
    assert some.embedded.shape[1] == DIM and (some.annotator == 0).all()
    again = annotated_frames(store, task, array, rows, ["3"], 5, 0, frames.scaling)
    assert torch.equal(some.embedded, again.embedded)


def test_tasks_without_annotator_styles_are_errors(styles):
    store, array, task = styles
    with pytest.raises(InputError, match="annotator '2'"):
        annotated_frames(store, task, array, rows_in(store, "train"), ["1", "3"])
    with pytest.raises(InputError, match="binary"):
        find_annotators(store, replace(task, kind="binary"))
    with pytest.raises(InputError, match="names no annotators"):
        find_annotators(store, replace(task, annotators=("7",)))
