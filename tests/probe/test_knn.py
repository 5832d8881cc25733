"""Neighbours and votes against loops."""

import numpy as np
import torch

from probe.frozen_probes import QUERY_FRAMES, TEMPERATURE, NeighborIndex, vote

TRAIN, QUERIES, DIM, CLASSES, K = 97, 13, 5, 3, 7


def scene():
    generator = np.random.default_rng(0)
    target = np.eye(CLASSES, dtype=np.int8)[generator.integers(0, CLASSES, TRAIN)]
    target[5:19, 1] = -1
    return (
        torch.from_numpy(generator.normal(size=(TRAIN, DIM))),
        torch.from_numpy(generator.normal(size=(QUERIES, DIM))),
        target,
    )


def test_votes_equal_a_loop_over_all_pairs():
    train, queries, target = scene()
    (neighbors,) = NeighborIndex(train).search(queries, K)
    found = vote(neighbors, target, K)
    for q in range(QUERIES):
        cosine = torch.nn.functional.cosine_similarity(queries[q : q + 1], train).numpy()
        nearest = np.argsort(-cosine)[:K]
        for column in range(CLASSES):
            votes = {
                side: sum(np.exp(cosine[i] / TEMPERATURE) for i in nearest if target[i, column] == side)
                for side in (0, 1)
            }
            expected = votes[1] / max(votes[0] + votes[1], 1e-12)
            np.testing.assert_allclose(found[q, column], expected, rtol=1e-4, atol=1e-6)


def test_prior_favors_rare_classes():
    train, queries, target = scene()
    (neighbors,) = NeighborIndex(train).search(queries, K)
    plain, corrected = vote(neighbors, target, K), vote(neighbors, target, K, np.array([0.05, 0.5, 0.95]))
    mixed = (plain > 0) & (plain < 1)
    assert mixed.any()
    assert (corrected[mixed[:, 0], 0] > plain[mixed[:, 0], 0]).all()
    assert (corrected[mixed[:, 2], 2] < plain[mixed[:, 2], 2]).all()


def test_neighbors_are_limited_by_frames_and_queried_in_blocks():
    train, _, target = scene()
    queries = torch.ones(QUERY_FRAMES + 3, DIM)
    pieces = list(NeighborIndex(train).search(queries, TRAIN + 50))
    assert [piece.index.shape for piece in pieces] == [(QUERY_FRAMES, TRAIN), (3, TRAIN)]
    assert np.isfinite(vote(pieces[1], target, TRAIN + 50)).all()
