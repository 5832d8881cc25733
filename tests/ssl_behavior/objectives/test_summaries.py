"""Squared error of predicted summaries against loops."""

import torch

from ssl_behavior.objectives import summary_error


def test_summary_error_equals_loops():
    generator = torch.Generator().manual_seed(0)
    predicted, target = (torch.randn(3, 5, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    usable = torch.rand(3, 5, generator=generator) < 0.7
    total, count = 0.0, 0
    for b, s in torch.cartesian_prod(torch.arange(3), torch.arange(5)).tolist():
        if usable[b, s]:
            count += 1
            total += sum(float(predicted[b, s, c] - target[b, s, c]) ** 2 for c in range(4)) / 4
    sums = summary_error(predicted, target, usable)
    torch.testing.assert_close(sums.total, torch.tensor([total], dtype=torch.float64))
    assert sums.count.tolist() == [count]


def test_unusable_points_have_no_gradient():
    predicted = torch.tensor([[1.0, 2.0], [torch.inf, torch.nan]], requires_grad=True)
    sums = summary_error(predicted, torch.zeros(2, 2), torch.tensor([True, False]))
    sums.total.sum().backward()
    assert sums.total.item() == 2.5
    torch.testing.assert_close(predicted.grad, torch.tensor([[1.0, 2.0], [0.0, 0.0]]))
