import math

import pytest
import torch

from ssl_behavior.objectives import gaussian_nll, kl_to_standard_normal

POINTS, CHANNEL, LATENT = 11, 5, 7


def test_the_likelihood_is_best_at_the_data_s_own_mean_and_variance():
    torch.manual_seed(0)
    target, known = torch.randn(POINTS, 1) * 3 + 2, torch.ones(POINTS, 1, dtype=torch.bool)
    mean = target.mean().expand(POINTS, 1).clone().requires_grad_()
    log_variance = target.var(correction=0).log().expand(POINTS, 1).clone().requires_grad_()
    gradients = torch.autograd.grad(gaussian_nll(mean, log_variance, target, known).total.sum(), (mean, log_variance))
    for gradient in gradients:
        torch.testing.assert_close(gradient.sum(), torch.tensor(0.0))


@pytest.mark.parametrize("garbage", [1e30, math.nan, math.inf])
def test_unknown_values_never_change_the_likelihood(garbage):
    torch.manual_seed(0)
    known, target = torch.rand(POINTS, CHANNEL) < 0.5, torch.randn(POINTS, CHANNEL)
    mean, log_variance = (torch.randn(POINTS, CHANNEL, requires_grad=True) for _ in range(2))
    results = []
    for fill in (0.0, garbage):
        total = gaussian_nll(mean, log_variance, torch.where(known, target, fill), known).total.sum()
        results.append((total, *torch.autograd.grad(total, (mean, log_variance))))
    torch.testing.assert_close(results[1], results[0], rtol=0.0, atol=0.0)
    assert not results[0][1][~known].any() and results[0][1][known].all()


def test_the_prior_itself_costs_the_free_bits_and_nothing_pulls_on_it():
    mean, log_variance = (torch.zeros(POINTS, LATENT, requires_grad=True) for _ in range(2))
    usable = torch.ones(POINTS, dtype=torch.bool)
    sums = kl_to_standard_normal(mean, log_variance, 1 / 32, usable)
    torch.testing.assert_close(sums.total, torch.tensor([POINTS * LATENT / 32.0]))
    assert not kl_to_standard_normal(mean, log_variance, 0.0, usable).total.any()
    small = mean + 0.1
    gradient, free = (
        torch.autograd.grad(kl_to_standard_normal(small, log_variance, bits, usable).total.sum(), mean)[0]
        for bits in (0.0, 1 / 32)
    )
    assert gradient.all() and not free.any()


def test_unusable_points_have_zero_kl():
    torch.manual_seed(0)
    mean, log_variance = (torch.randn(POINTS, LATENT, requires_grad=True) for _ in range(2))
    usable = torch.rand(POINTS) < 0.5
    sums = kl_to_standard_normal(mean, log_variance, 0.01, usable)
    alone = kl_to_standard_normal(mean[usable], log_variance[usable], 0.01, usable[usable])
    torch.testing.assert_close(vars(sums), vars(alone))
    gradient = torch.autograd.grad(sums.total.sum(), mean)[0]
    assert not gradient[~usable].any() and gradient[usable].any()


def test_no_known_value_has_zero_loss():
    values, none = torch.randn(POINTS, CHANNEL), torch.zeros(POINTS, CHANNEL, dtype=torch.bool)
    for sums in (
        gaussian_nll(values, values, values, none),
        kl_to_standard_normal(values, values, 0.1, none[:, 0]),
    ):
        assert sums.total == 0 and sums.count == 0


def test_half_precision_is_summed_in_single():
    torch.manual_seed(0)
    mean, log_variance, target = torch.randn(3, POINTS, CHANNEL).bfloat16()
    known = torch.ones(POINTS, CHANNEL, dtype=torch.bool)
    for sums in (
        gaussian_nll(mean, log_variance, target, known),
        kl_to_standard_normal(mean, log_variance, 0.1, known[:, 0]),
    ):
        assert sums.total.dtype == sums.count.dtype == torch.float32
