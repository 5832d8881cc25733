import pytest
import torch

from pretrain.step import collapse_warning, effective_rank, uniformity


def test_equally_spread_directions_count_fully():
    points = torch.cat([torch.eye(7), -torch.eye(7)])
    assert effective_rank(points).item() == pytest.approx(7.0, rel=1e-5)


def test_a_line_has_rank_one_wherever_it_lies_and_a_point_none():
    line = torch.linspace(0, 1, 11)[:, None] * torch.tensor([1.0, 2.0, -3.0]) + 50
    assert effective_rank(line).item() == pytest.approx(1.0, abs=1e-2)
    assert effective_rank(torch.ones(5, 3)).item() == 0.0


def test_two_directions_of_unequal_strength_lie_between():
    points = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    shares = torch.tensor([2 / 3, 1 / 3])
    expected = torch.exp(-(shares * shares.log()).sum())
    torch.testing.assert_close(effective_rank(points), expected)


def test_uniformity_against_a_loop():
    points = torch.randn(11, 3, generator=torch.Generator().manual_seed(0))
    unit = [point / point.norm() for point in points]
    kernel = [torch.exp(-2 * (unit[i] - unit[j]).square().sum()) for i in range(11) for j in range(i + 1, 11)]
    torch.testing.assert_close(uniformity(points), torch.stack(kernel).mean().log())


def test_uniformity_of_coinciding_points_is_zero_whatever_their_length():
    assert uniformity(torch.tensor([[1.0, 1.0], [5.0, 5.0], [2.0, 2.0]])).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("num_columns", "limit"), [(8, 2.0), (32, 4.0), (128, 16.0), (512, 16.0)], ids=["8", "32", "128", "512"]
)
def test_the_warning_comes_below_an_eighth_of_the_columns_and_below_16_of_many(num_columns, limit):
    assert collapse_warning(limit, num_columns) is None
    warning = collapse_warning(limit - 0.1, num_columns)
    assert f"effective rank is {limit - 0.1:.1f} of {num_columns} columns, and below {limit:.3g} little" in warning
    assert collapse_warning(float("nan"), num_columns) is not None
