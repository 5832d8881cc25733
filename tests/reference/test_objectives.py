"""The objectives of task programming against loops over points, attributes and candidates."""

import math

import pytest
import torch
import torch.nn.functional as F

from ssl_behavior.objectives import (
    attribute_classification,
    attribute_regression,
    gaussian_nll,
    kl_to_standard_normal,
    supervised_contrastive,
)

BATCH, TIME, ATTRIBUTE, CLASS = 2, 5, 7, 3
PROGRAM, QUERY, KEY, LATENT = 3, 11, 17, 5


def huber(x):
    return 0.5 * x * x if abs(x) <= 1 else abs(x) - 0.5


def points():
    return [(b, t) for b in range(BATCH) for t in range(TIME)]


def test_regression_is_the_formula():
    torch.manual_seed(0)
    predicted, target = torch.randn(2, BATCH, TIME, ATTRIBUTE) * 2
    known = torch.rand(BATCH, TIME, ATTRIBUTE) < 0.6
    got = attribute_regression(predicted, target, known)
    for a in range(ATTRIBUTE):
        terms = [huber(float(predicted[b, t, a] - target[b, t, a])) for b, t in points() if known[b, t, a]]
        assert math.isclose(got.total[a], math.fsum(terms)) and got.count[a] == len(terms)


def test_classification_is_the_formula():
    torch.manual_seed(0)
    logits = torch.randn(BATCH, TIME, ATTRIBUTE, CLASS) * 2
    classes = torch.randint(CLASS, (BATCH, TIME, ATTRIBUTE))
    known = torch.rand(BATCH, TIME, ATTRIBUTE) < 0.6
    got = attribute_classification(logits, classes, known)
    for a in range(ATTRIBUTE):
        terms = []
        for b, t in points():
            if known[b, t, a]:
                scores = [math.exp(float(score)) for score in logits[b, t, a]]
                terms.append(-math.log(scores[classes[b, t, a]] / sum(scores)))
        assert math.isclose(got.total[a], math.fsum(terms)) and got.count[a] == len(terms)


def contrastive_reference(query, key, query_class, key_class, own, temperature):
    """Sum over anchors of the mean over positives of -log(exp(positive) / sum over candidates), for one program."""
    losses = []
    for i in range(len(query)):
        if query_class[i] < 0:
            continue
        candidates = [k for k in range(len(key)) if k != own[i] and key_class[k] >= 0]
        positives = [k for k in candidates if key_class[k] == query_class[i]]
        if not positives:
            continue
        score = {k: float(query[i] @ key[k]) / temperature for k in candidates}
        everyone = sum(math.exp(value) for value in score.values())
        losses.append(sum(-math.log(math.exp(score[p]) / everyone) for p in positives) / len(positives))
    return math.fsum(losses), len(losses)


@pytest.mark.parametrize("temperature", [0.07, 1.3])
def test_the_contrastive_loss_is_the_formula(temperature):
    torch.manual_seed(0)
    query = F.normalize(torch.randn(PROGRAM, QUERY, LATENT), dim=-1)
    key = F.normalize(torch.randn(PROGRAM, KEY, LATENT), dim=-1)
    # One anchor of class 6 has no positive; -1 is unknown on both sides.
    query_class, key_class = torch.randint(-1, 3, (PROGRAM, QUERY)), torch.randint(-1, 3, (PROGRAM, KEY))
    query_class[:, 3] = 6
    own = torch.randperm(KEY)[:QUERY]
    got = supervised_contrastive(query, key, query_class, key_class, own, temperature)
    for p in range(PROGRAM):
        total, count = contrastive_reference(query[p], key[p], query_class[p], key_class[p], own, temperature)
        torch.testing.assert_close((float(got.total[p]), float(got.count[p])), (total, float(count)))
        assert 0 < count < QUERY - 1


def test_the_likelihood_is_the_normal_distribution():
    torch.manual_seed(0)
    mean, log_variance, target = torch.randn(3, BATCH, TIME, ATTRIBUTE)
    known = torch.rand(BATCH, TIME, ATTRIBUTE) < 0.6
    got = gaussian_nll(mean, log_variance, target, known)
    normal = torch.distributions.Normal(mean, log_variance.exp().sqrt())
    torch.testing.assert_close(got.total, -normal.log_prob(target)[known].sum().view(1))
    assert got.count == known.sum()


def test_the_divergence_is_that_of_two_normals_and_has_a_floor():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(2, BATCH, TIME, LATENT) * 0.5
    usable = torch.rand(BATCH, TIME) < 0.7
    got = kl_to_standard_normal(mean, log_variance, 1 / 32, usable)
    prior = torch.distributions.Normal(torch.zeros(LATENT), torch.ones(LATENT))
    posterior = torch.distributions.Normal(mean, log_variance.exp().sqrt())
    divergence = torch.distributions.kl_divergence(posterior, prior)
    expected = math.fsum(
        max(float(divergence[b, t, d]), 1 / 32) for b, t in points() if usable[b, t] for d in range(LATENT)
    )
    assert (divergence[usable] < 1 / 32).any(), "some latents are at the floor"
    torch.testing.assert_close(float(got.total), expected)
    assert got.count == usable.sum()
