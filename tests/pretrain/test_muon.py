"""Muon, beside the formulas written out."""

import pytest
import torch

from pretrain.optim import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_orthogonalized_has_the_same_singular_vectors_and_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    aligned = u.T @ orthogonalized(matrix) @ v.T
    values = aligned.diagonal()
    torch.testing.assert_close(aligned, values.diag(), atol=1e-9, rtol=0)
    assert (values > 0.5).all() and (values < 1.3).all()


def test_a_zero_gradient_moves_nothing():
    assert not orthogonalized(torch.zeros(3, 5)).any()


def test_matrices_follow_the_formula_and_the_rest_follows_adamw():
    torch.manual_seed(0)
    start, bias = torch.randn(4, 2, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    matrix, vector, twin = (torch.nn.Parameter(x.clone()) for x in (start, bias, bias))
    groups = [
        {"params": [matrix], "orthogonal": True, "lr": 0.1, "weight_decay": 0.5},
        {"params": [vector], "lr": 0.01},
    ]
    optimizer = Muon(groups, weight_decay=0.0)
    other = torch.optim.AdamW([twin], lr=0.01, weight_decay=0.0)
    x, mean = start.clone(), torch.zeros_like(start)
    for _ in range(3):
        gradient, slope = torch.randn_like(start), torch.randn_like(bias)
        matrix.grad, vector.grad, twin.grad = gradient.clone(), slope.clone(), slope.clone()
        optimizer.step()
        other.step()
        mean = 0.95 * mean + 0.05 * gradient
        change = orthogonalized(0.05 * gradient + 0.95 * mean)
        x = (1 - 0.1 * 0.5) * x - 0.1 * 2**0.5 * change
    torch.testing.assert_close(matrix.data, x)
    torch.testing.assert_close(vector.data, twin.data)


def test_its_state_is_saved_and_taken_up_bit_for_bit():
    def run(optimizer, parameter, steps):
        for step in steps:
            parameter.grad = torch.randn(3, 5, generator=torch.Generator().manual_seed(step))
            optimizer.step()

    whole, part = (torch.nn.Parameter(torch.ones(3, 5)) for _ in range(2))
    group = {"orthogonal": True, "lr": 0.1}
    run(Muon([{"params": [whole], **group}]), whole, range(4))
    first = Muon([{"params": [part], **group}])
    run(first, part, range(2))
    second = Muon([{"params": [part], **group}])
    second.load_state_dict(first.state_dict())
    run(second, part, range(2, 4))
    assert torch.equal(whole, part)
