import pytest
import torch

from ssl_behavior.programs.program_set import quantile_thresholds, robust_spread


def shares(values, num_classes, spread):
    thresholds = quantile_thresholds(values.sort().values, num_classes, spread)
    assert (thresholds.diff() > 0).all()
    classes = torch.bucketize(values, thresholds, right=True)
    return (torch.bincount(classes, minlength=len(thresholds) + 1) / len(values)).tolist()


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_classes_of_values_that_all_differ_are_equal(num_classes):
    values = torch.randn(20_011, generator=torch.Generator().manual_seed(0))
    assert shares(values, num_classes, 1.0) == pytest.approx([1 / num_classes] * num_classes, abs=0.01)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((0.0, 1.0), [0.8, 0.1, 0.1]),  # mostly the least value (a gap of 0)
        ((-1.0, 0.0), [0.2, 0.8]),  # mostly the greatest (5 s without contact)
        ((-1.0, 1.0), [0.1, 0.8, 0.1]),  # mostly in between (a cosine of 0)
    ],
)
def test_many_equal_values_are_a_class_and_the_others_share_the_rest(ends, expected):
    generator = torch.Generator().manual_seed(0)
    values = torch.zeros(10_007)
    rest = torch.rand(2001, generator=generator) * (ends[1] - ends[0]) + ends[0]
    values[:2001] = rest
    # A value that differs by rounding is no other value.
    values[3000:6000] += torch.randn(3000, generator=generator) * 1e-13
    assert shares(values, 3, 0.2) == pytest.approx(expected, abs=0.02)


def test_values_that_are_all_the_same_have_no_thresholds():
    assert len(quantile_thresholds(torch.full((101,), 3.0), 3, 1.0)) == 0
    assert len(quantile_thresholds(torch.tensor([3.0]), 3, 1.0)) == 0


def test_the_spread_is_the_standard_deviation_of_normal_values():
    values = torch.randn(100_003, generator=torch.Generator().manual_seed(0)) * 7 + 100
    assert robust_spread(values.sort().values) == pytest.approx(7.0, rel=0.02)


def test_outliers_do_not_widen_the_spread():
    values = torch.randn(100_003, generator=torch.Generator().manual_seed(0))
    values[::200] = 1e6
    assert robust_spread(values.sort().values) == pytest.approx(1.0, rel=0.05)


def test_rare_values_keep_a_spread_and_constants_have_none():
    values = torch.zeros(10_007)
    assert robust_spread(values) == 0.0 == robust_spread(torch.tensor([5.0]))
    values[:1000] = 0.8
    assert robust_spread(values.sort().values) == pytest.approx(0.2)
    rare = torch.zeros(10_007)
    rare[:50] = 0.6
    assert robust_spread(rare.sort().values) == pytest.approx(0.1)
