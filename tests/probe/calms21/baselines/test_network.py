"""The parts that networks are made of."""

import pytest
import torch
from torch import nn

from probe.calms21.baselines.layers import batch_norm, dropout, glorot_


@pytest.mark.parametrize("probability", [0.5, 0.2])
def test_dropout_keeps_the_share_and_the_mean(probability):
    x = torch.full((101, 103, 7), 3.0)
    y = dropout(x, probability, torch.Generator().manual_seed(0))
    kept = y != 0
    assert kept.double().mean() == pytest.approx(1 - probability, abs=0.01)
    torch.testing.assert_close(y[kept], torch.full_like(y[kept], 3 / (1 - probability)))
    # No place is favored, and neighbors know nothing of each other.
    assert (kept.double().mean(dim=0) - (1 - probability)).abs().max() < 0.25
    assert torch.corrcoef(kept.view(-1, 7).T.double()).fill_diagonal_(0).abs().max() < 0.05


def test_dropout_uses_only_the_callers_generator():
    x = torch.ones(997)
    state = torch.get_rng_state()
    first, again, other = (dropout(x, 0.5, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert dropout(x, 0.0, None) is x


def test_batch_norm_and_initial_weights_are_keras_defaults():
    norm = batch_norm(3)
    assert (norm.momentum, norm.eps) == (0.01, 1e-3)
    conv, dense = nn.Conv2d(7, 53, (1, 5)), nn.Linear(101, 97)
    # Uniform within sqrt(6 / (fan in + fan out)), Glorot and Bengio (2010), eq. 16.
    for layer, limit in ((conv, (6 / (5 * (7 + 53))) ** 0.5), (dense, (6 / (101 + 97)) ** 0.5)):
        glorot_(layer, torch.Generator().manual_seed(0))
        assert 0.97 * limit < layer.weight.detach().abs().max() <= limit
        assert layer.weight.detach().std() == pytest.approx(limit / 3**0.5, rel=0.05)
        assert not layer.bias.any()
