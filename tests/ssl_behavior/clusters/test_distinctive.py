import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.clusters.distinctive import compare_clusters, differences_of
from ssl_behavior.clusters.frame_measures import fit_measures


@pytest.fixture(autouse=True)
def _single():
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def measured(labeled):
    torch.set_default_dtype(torch.float32)
    found = fit_measures(labeled, labeled.rows)
    return found, np.concatenate([values for _, _, values in found.blocks()])


def test_means_errors_and_medians_are_those_of_a_slow_loop(clusters, measured):
    found, values = measured
    result = compare_clusters(clusters, found)
    scores = found.standardized(values)
    edges = np.flatnonzero(np.diff(clusters.labels, prepend=-9)).tolist()
    edges = sorted({*edges, *(row.offset for row in clusters.rows), len(values)})
    for cluster in range(4):
        own = clusters.labels == cluster
        for column in range(len(found.measures)):
            known = np.isfinite(values[:, column])
            here = own & known
            assert result.known[cluster, column] == here.sum()
            mean = scores[here, column].mean()
            assert result.difference[cluster, column] == pytest.approx(mean - scores[known, column].mean(), abs=1e-9)
            parts = [
                scores[start:stop, column][known[start:stop]]
                for start, stop in pairwise(edges)
                if clusters.labels[start] == cluster and known[start:stop].any()
            ]
            residuals = [part.sum() - mean * len(part) for part in parts]
            error = math.sqrt(np.sum(np.square(residuals)) * len(parts) / (len(parts) - 1)) / here.sum()
            assert result.bouts[cluster, column] == len(parts)
            assert result.error[cluster, column] == pytest.approx(error, rel=1e-6)
            # There are more bins than frames: the median, the lower of two, is exact.
            ordered = np.sort(values[known, column])
            median = np.sort(values[here, column])[(here.sum() - 1) // 2]
            assert result.median[cluster, column] == pytest.approx(median, rel=1e-6, abs=1e-9)
            below = (ordered < median).mean() + (ordered == median).mean() / 2
            assert result.below[cluster, column] == pytest.approx(below, abs=0.005)


def test_what_is_nowhere_is_not_known(clusters, measured):
    result = compare_clusters(clusters, measured[0])
    assert not result.known[4].any() and np.isnan(result.difference[4]).all() and np.isinf(result.error[4]).all()
    frames = np.bincount(clusters.labels[clusters.labels >= 0], minlength=5)
    listed = differences_of(result, measured[0].measures, frames)
    assert listed[4] == [] and all(abs(one.difference) >= abs(next_.difference) for one, next_ in pairwise(listed[0]))
    assert all(one.share_known == one.known / frames[0] <= 1 for one in listed[0])


def test_one_cluster_of_everything_differs_in_nothing(clusters, measured):
    whole = FrameClusters(clusters.rows, np.zeros_like(clusters.labels), 1)
    result = compare_clusters(whole, measured[0])
    np.testing.assert_allclose(result.difference, 0, atol=1e-12)
    several = np.array([len(np.unique(column[np.isfinite(column)])) > 200 for column in measured[1].T])
    np.testing.assert_allclose(result.below[0, several], 0.5, atol=0.01)
    np.testing.assert_allclose(result.median[0], result.overall_median)
    assert result.known[0].tolist() == result.overall_known.tolist()


def test_progress_is_every_frame_once(clusters, measured):
    done = []
    compare_clusters(clusters, measured[0], lambda *calls: done.append(calls[1]))
    assert sum(done) == len(clusters.labels)
