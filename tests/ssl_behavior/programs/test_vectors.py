import math

import pytest
import torch

from ssl_behavior.programs import angle_between, cross, dot, length, turn, unit
from ssl_behavior.programs.vectors import shifted_difference

BATCH, TIME = 3, 11


def pair(seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(BATCH, TIME, 2, generator=generator, **options) for _ in range(2)]


def test_every_function_equals_its_formula():
    one, two = pair()
    for b in range(BATCH):
        for t in range(TIME):
            (x, y), (u, v) = one[b, t].tolist(), two[b, t].tolist()
            assert float(dot(one, two)[b, t]) == pytest.approx(x * u + y * v)
            assert float(cross(one, two)[b, t]) == pytest.approx(x * v - y * u)
            assert float(length(one)[b, t]) == pytest.approx(math.hypot(x, y))
            assert unit(one)[b, t].tolist() == pytest.approx([x / math.hypot(x, y), y / math.hypot(x, y)])
            expected = math.remainder(math.atan2(v, u) - math.atan2(y, x), 2 * math.pi)
            assert float(turn(one, two)[b, t]) == pytest.approx(expected)
            assert float(angle_between(one, two)[b, t]) == pytest.approx(abs(expected))


@pytest.mark.parametrize("function", [dot, cross, angle_between, turn, length, unit])
def test_gradients_are_right_and_finite_at_zero(function):
    count = 1 if function in (length, unit) else 2
    vectors = [vector.requires_grad_() for vector in pair()[:count]]
    assert torch.autograd.gradcheck(function, vectors)
    for dtype in (torch.float32, torch.float64):
        for size in (0.0, 1e-30, 1e-12):
            zeros = [torch.full((BATCH, TIME, 2), size, dtype=dtype, requires_grad=True) for _ in range(count)]
            values = function(*zeros)
            assert values.isfinite().all()
            for gradient in torch.autograd.grad(values.sum(), zeros):
                assert gradient.isfinite().all()


@pytest.mark.parametrize("function", [dot, cross, angle_between, turn])
def test_a_missing_vector_is_nan_and_spoils_no_gradient(function):
    one, two = pair()
    one[1, 3], two[2, 5] = torch.nan, torch.nan
    one.requires_grad_(), two.requires_grad_()
    values = function(one, two)
    missing = torch.zeros(BATCH, TIME, dtype=torch.bool)
    missing[1, 3] = missing[2, 5] = True
    assert torch.equal(values.isnan(), missing)
    for gradient in torch.autograd.grad(values, (one, two), torch.where(missing, 0.0, 1.0)):
        assert gradient.isfinite().all() and not gradient[missing].any() and gradient[~missing].all()


@pytest.mark.parametrize(("before", "after"), [(2, 2), (0, 3), (5, 0), (6, 5), (20, 3)])
def test_a_difference_over_time_is_missing_where_an_end_is_outside(before, after):
    values = torch.randn(2, BATCH, TIME, generator=torch.Generator().manual_seed(0))
    found = shifted_difference(values, before, after)
    for t in range(TIME):
        if t - before >= 0 and t + after < TIME:
            assert torch.equal(found[..., t], values[..., t + after] - values[..., t - before])
        else:
            assert found[..., t].isnan().all()
