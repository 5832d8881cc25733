import math

import pytest
import torch

from pretrain.optim import Madgrad


def reference(start, gradients, rates, momentum, weight_decay, eps):
    """Algorithm 1 of arXiv:2101.11075 for one number, written as in the paper."""
    x, s, v = start, 0.0, 0.0
    for k, (gradient, rate) in enumerate(zip(gradients, rates, strict=True)):
        g = gradient + weight_decay * x
        scale = rate * math.sqrt(k + 1)
        s += scale * g
        v += scale * g * g
        z = start - s / (math.copysign(abs(v) ** (1 / 3), v) + eps)
        x = momentum * x + (1 - momentum) * z
    return x


@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 0.0), (0.0, 0.0), (0.5, 0.03)])
def test_it_is_the_papers_algorithm(momentum, weight_decay):
    torch.manual_seed(0)
    start, gradients = torch.randn(3, 5, dtype=torch.float64), torch.randn(7, 3, 5, dtype=torch.float64)
    rates = [0.1, 0.2, 0.3, 0.3, 0.2, 0.1, 0.05]
    parameter = torch.nn.Parameter(start.clone())
    optimizer = Madgrad([parameter], momentum=momentum, weight_decay=weight_decay, eps=1e-6)
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = gradient.clone()
        optimizer.step()
    expected = torch.tensor(
        [
            [
                reference(x.item(), gradients[:, i, j].tolist(), rates, momentum, weight_decay, 1e-6)
                for j, x in enumerate(row)
            ]
            for i, row in enumerate(start)
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(parameter.detach(), expected, rtol=1e-12, atol=1e-12)


def test_it_finds_the_minimum():
    parameter = torch.nn.Parameter(torch.tensor([3.0, -2.0], dtype=torch.float64))
    optimizer = Madgrad([parameter], lr=0.1)
    for _ in range(500):
        optimizer.zero_grad()
        parameter.square().sum().backward()
        optimizer.step()
    assert parameter.abs().max() < 1e-2


def test_a_parameter_without_gradient_stays():
    parameter = torch.nn.Parameter(torch.ones(2))
    Madgrad([parameter]).step()
    assert torch.equal(parameter.detach(), torch.ones(2))


def test_a_rate_of_zero_moves_nothing():
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.ones(2)
    Madgrad([parameter], lr=0.0).step()
    assert torch.equal(parameter.detach(), torch.ones(2))
