"""When a collapsing embedding is warned of."""

import pytest

from pretrain.loop import collapse_warning


@pytest.mark.parametrize(
    ("num_columns", "limit"), [(8, 2.0), (32, 4.0), (128, 16.0), (512, 16.0)], ids=["8", "32", "128", "512"]
)
def test_the_warning_comes_below_an_eighth_of_the_columns_and_below_16_of_many(num_columns, limit):
    assert collapse_warning(limit, num_columns) is None
    warning = collapse_warning(limit - 0.1, num_columns)
    assert f"effective rank is {limit - 0.1:.1f} of {num_columns} columns, and below {limit:.3g} little" in warning
    assert collapse_warning(float("nan"), num_columns) is not None
