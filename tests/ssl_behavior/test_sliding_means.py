"""Sums and means over sliding windows."""

import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.window_statistics import WindowsConfig, sliding_means, sliding_sums

SPANS = [(0, 0), (-2, 2), (-7, -1), (1, 5), (-30, 30), (3, 4), (-9, -6)]


def by_hand(values, weight, first, last):
    """Mean over one window at every time, by loops; 0 and False where nothing has weight."""
    means, known = torch.zeros_like(values), torch.zeros_like(values, dtype=torch.bool)
    for b, t, c in torch.cartesian_prod(*(torch.arange(n) for n in values.shape)).tolist():
        times = [u for u in range(t + first, t + last + 1) if 0 <= u < values.shape[1]]
        total = sum(float(weight[b, u, c]) for u in times)
        if total > 0:
            means[b, t, c] = sum(float(values[b, u, c] * weight[b, u, c]) for u in times) / total
            known[b, t, c] = True
    return means, known


@pytest.mark.parametrize("frames", [1, 3, 13])
def test_means_equal_loops(frames):
    generator = torch.Generator().manual_seed(frames)
    values = torch.randn(2, frames, 3, generator=generator, dtype=torch.float64)
    weight = (torch.rand(2, frames, 3, generator=generator) < 0.6).double()
    for span, (means, known) in zip(SPANS, sliding_means(values, weight, SPANS), strict=True):
        expected, seen = by_hand(values, weight, *span)
        torch.testing.assert_close(means, expected)
        assert torch.equal(known, seen), span


def test_sums_depend_on_their_own_window_alone_to_the_bit():
    values = torch.randn(1, 50, 2)
    changed = values.clone()
    changed[:, 20] += 1e6
    for (first, last), one, two in zip(SPANS, sliding_sums(values, SPANS), sliding_sums(changed, SPANS), strict=True):
        touched = (one != two)[0].any(-1).nonzero().flatten().tolist()
        assert touched == [t for t in range(50) if t + first <= 20 <= t + last]


def test_gradients_reach_every_value_in_a_window():
    values = torch.randn(1, 9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: torch.cat(sliding_sums(x, [(-3, 1), (2, 5)])), values)


def test_spans_in_steps():
    windows = WindowsConfig(around_frames=(1, 30), past_frames=(30,), future_frames=(2,))
    assert windows.spans(6) == [(0, 0), (-2, 2), (-5, -1), (1, 1)]
    assert windows.receptive_field(6) == (5, 2)


@pytest.mark.parametrize("wrong", [{"around_frames": (0,)}, {"past_frames": (30, 30)},
                                   {"around_frames": (), "past_frames": (), "future_frames": ()}])  # fmt: skip
def test_invalid_windows_raise(wrong):
    with pytest.raises(InputError, match="windows: "):
        WindowsConfig(**wrong)
