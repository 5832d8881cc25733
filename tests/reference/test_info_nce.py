"""Dense InfoNCE against loops over anchors and candidates."""

import math

import pytest
import torch

from ssl_behavior.objectives import dense_info_nce

TIME, QUERY, KEY, LATENT, NEGATIVE = 7, 3, 5, 11, 13


def reference(query, key, usable_query, usable_key, temperature, first, negatives, usable_negatives):
    """Sums over anchors of -log(exp(positive) / sum over candidates of exp(score)), by the formula."""
    losses, correct = [], 0
    for t in range(len(query)):
        for i in range(query.shape[1]):
            if not (usable_query[t, i] and usable_key[t, first + i]):
                continue
            positive = float(query[t, i] @ key[t, first + i]) / temperature
            others = [float(query[t, i] @ key[t, j]) / temperature
                      for j in range(key.shape[1]) if j != first + i and usable_key[t, j]]  # fmt: skip
            if negatives is not None:
                others += [float(query[t, i] @ negatives[i, n]) / temperature
                           for n in range(negatives.shape[1]) if usable_negatives[t, i, n]]  # fmt: skip
            losses.append(math.log(sum(math.exp(score) for score in [positive, *others])) - positive)
            correct += all(positive > score for score in others)
    return sum(losses), len(losses), correct


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize("with_negatives", [False, True])
def test_dense_info_nce_equals_the_formula(first, with_negatives):
    torch.manual_seed(0)
    query, key = torch.randn(TIME, QUERY, LATENT), torch.randn(TIME, KEY, LATENT)
    usable_query, usable_key = torch.rand(TIME, QUERY) < 0.7, torch.rand(TIME, KEY) < 0.6
    negatives = torch.randn(QUERY, NEGATIVE, LATENT) if with_negatives else None
    usable = torch.rand(TIME, QUERY, NEGATIVE) < 0.5 if with_negatives else None
    got = dense_info_nce(query, key, usable_query, usable_key, 1.7, first, negatives, usable)
    loss, count, correct = reference(query, key, usable_query, usable_key, 1.7, first, negatives, usable)
    torch.testing.assert_close(got.loss, torch.tensor(loss))
    assert (int(got.count), int(got.correct)) == (count, correct) and 0 < count < TIME * QUERY
