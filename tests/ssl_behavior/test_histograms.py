"""Windowed histograms against loops over frames; nothing is ever NaN that was known."""

import numpy as np
import pytest
import torch

from ssl_behavior.histograms import QUANTILES, bin_edges, shares_above, usable_bins, windowed_mean

WINDOWS = [(-30, -1), (1, 30), (-2, 2), (0, 0), (-500, 500), (40, 60), (-7, -7)]


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


def made(batch=2, time=53, channel=3, known=0.7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(batch, time, channel, generator=generator)
    return values, torch.rand(batch, time, channel, generator=generator) < known


def slow_mean(values, weight, first, last):
    """Weighted mean and whether any weight was there, by a loop over frames and their windows."""
    mean, seen = torch.zeros(values.shape, dtype=torch.float64), torch.zeros(values.shape, dtype=torch.bool)
    batch, time, channel = values.shape
    for b in range(batch):
        for c in range(channel):
            for t in range(time):
                total = weights = 0.0
                for s in range(max(0, t + first), min(time, t + last + 1)):
                    if weight[b, s, c] > 0:
                        total += float(values[b, s, c]) * float(weight[b, s, c])
                        weights += float(weight[b, s, c])
                if weights > 0:
                    mean[b, t, c], seen[b, t, c] = total / weights, True
    return mean, seen


@pytest.mark.parametrize(("first", "last"), WINDOWS)
def test_windowed_mean_equals_a_loop(first, last):
    values, known = made()
    weight = known * (0.1 + torch.rand(known.shape, generator=torch.Generator().manual_seed(1)))
    values = values.masked_fill(~known, torch.nan)
    mean, seen = windowed_mean(values, weight, first, last)
    slow, slow_seen = slow_mean(values, weight, first, last)
    assert mean.dtype == torch.float32 and torch.equal(seen, slow_seen)
    torch.testing.assert_close(mean, slow.float(), atol=1e-6, rtol=1e-5)


def test_a_stride_keeps_every_nth_mean():
    values, known = made()
    mean, seen = windowed_mean(values, known.float(), -3, 4)
    some, some_seen = windowed_mean(values, known.float(), -3, 4, stride=6)
    assert torch.equal(some, mean[:, ::6]) and torch.equal(some_seen, seen[:, ::6])


def test_one_weight_serves_a_whole_batch():
    values, known = made(batch=6)
    weight = known[:1].float()
    one, every = windowed_mean(values, weight, -3, 1), windowed_mean(values, weight.expand(6, -1, -1), -3, 1)
    assert torch.equal(one[0], every[0]) and torch.equal(one[1], every[1]) and one[1].shape == values.shape


def test_a_long_series_loses_no_precision():
    values = torch.ones(1, 200_000, 1)
    values[0, 100_000:] = 0.5
    mean, _ = windowed_mean(values + 1e4, torch.ones_like(values), -2, 2)
    torch.testing.assert_close(mean[0, [50_000, 150_000], 0], torch.tensor([10_001.0, 10_000.5]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("time", [1, 2, 7])
def test_recordings_shorter_than_the_window_and_everything_missing(time):
    values, _ = made(time=time)
    known = torch.zeros_like(values)
    for first, last in WINDOWS:
        mean, seen = windowed_mean(values.fill_(torch.nan), known, first, last)
        assert not mean.any() and not seen.any()
        whole, seen = windowed_mean(torch.ones_like(values), torch.ones_like(values), first, last)
        assert torch.equal(whole, seen.float())


def test_bin_edges_are_numpys_quantiles_of_what_is_known():
    values, known = (part.flatten(0, 1) for part in made(channel=5))
    known[:, 3] = False
    values[:, 4] = 2.5
    edges = bin_edges(values.masked_fill(~known, torch.nan), known)
    for channel in (0, 1, 2, 4):
        expected = np.quantile(values[known[:, channel], channel].numpy(), QUANTILES)
        np.testing.assert_allclose(edges[:, channel], expected, atol=1e-6)
    assert edges[:, 3].isnan().all() and usable_bins(edges).sum(0).tolist() == [6, 6, 6, 0, 1]
    assert bin_edges(values[:0], known[:0]).isnan().all() and bin_edges(values[:1], known[:1]).shape == (6, 5)


def test_more_values_than_torch_takes_quantiles_of():
    values = torch.arange(17_000_000, dtype=torch.float32)[:, None]
    edges = bin_edges(values, torch.ones_like(values, dtype=torch.bool), (0.0, 0.5, 1.0))
    torch.testing.assert_close(edges[:, 0], torch.tensor([0.0, 8_499_999.5, 16_999_999.0]), rtol=1e-6, atol=1.0)


def test_shares_are_a_thermometer_and_never_nan():
    values, known = made()
    edges = bin_edges(values.flatten(0, 1), known.flatten(0, 1))
    above = shares_above(values, edges)
    assert above.shape == (2, 53, 6, 3) and set(above.unique().tolist()) == {0.0, 1.0}
    assert (above.diff(dim=-2) <= 0).all()
    slow = [[[[float(v > e) for v, e in zip(x, row, strict=True)] for row in edges] for x in one] for one in values]
    assert torch.equal(above, torch.tensor(slow))
    spoiled = edges.clone()
    spoiled[:, 1] = torch.nan
    assert not shares_above(values, spoiled)[..., 1].any()
    assert not shares_above(values.fill_(torch.nan), edges).any()


def test_a_rare_value_of_a_nearly_constant_channel_is_kept():
    values = torch.zeros(100, 1)
    values[7] = 1.0
    edges = bin_edges(values, torch.ones_like(values, dtype=torch.bool))
    assert usable_bins(edges)[:, 0].tolist() == [True] + [False] * 5
    assert shares_above(values, edges)[:, 0, 0].nonzero().tolist() == [[7]]
