"""Summaries of windows of time against loops. They are never NaN, and unknown values do not count."""

import itertools

import numpy as np
import pytest
import torch

from ssl_behavior import window_statistics as module
from ssl_behavior.errors import InputError
from ssl_behavior.window_statistics import (
    NEVER_KNOWN,
    QuantileCodes,
    Summaries,
    SummariesConfig,
    WindowsConfig,
    scene_moments,
    step_moments,
)

WINDOWS = WindowsConfig(around_frames=(2, 9), past_frames=(5,), future_frames=(4,))
STRIDE = 2
CONFIG, QUANTILES = SummariesConfig(windows=WINDOWS, components=7), (0.2, 0.5, 0.9)


def made(steps, channels=3, seed=0, known=0.8, batch=1):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(batch, steps, channels, generator=generator).cumsum(dim=1) * 0.3
    return values, torch.rand(batch, steps, channels, generator=generator) < known


class Fitted(torch.nn.Module):
    """Codes and their summaries as one function of values."""

    def __init__(self, pieces, config, codes):
        super().__init__()
        self.coding = QuantileCodes(QUANTILES, codes, pieces[0][0].shape[-1]).fit(pieces)
        coded = [self.coding(*piece) for piece in pieces]
        self.summaries = Summaries(config, self.coding.num_codes, STRIDE).fit(coded)
        self.spans, self.receptive_field = self.summaries.spans, self.summaries.receptive_field

    edges, mean, axes = (
        property(lambda self, name=name: getattr(self.coding, name)) for name in ("edges", "mean", "axes")
    )
    mixing = property(lambda self: self.summaries.mixing)

    def forward(self, values, known, inside, every=slice(None)):
        return self.summaries(self.coding(values, known), inside, every)


def fitted(pieces, config=CONFIG, codes=5):
    return Fitted(pieces, config, codes)


def all_inside(values):
    return torch.ones(values.shape[:2], dtype=torch.bool)


def slow_moments(features, known, valid, stride, pooled):
    """Moments of every step and view by loops, then mean and maximum over the views that know."""
    frames, views, channels = features.shape
    values, seen = (np.zeros((frames // stride, views, 2 * channels)) for _ in range(2))
    for step, view, channel in itertools.product(range(frames // stride), range(views), range(channels)):
        inside = range(step * stride, (step + 1) * stride)
        observed = [float(features[t, view, channel]) for t in inside if known[t, view, channel] and valid[t]]
        if observed:
            values[step, view, [channel, channels + channel]] = np.mean(observed), np.std(observed)
            seen[step, view, [channel, channels + channel]] = True
    if not pooled:
        return values.reshape(len(values), -1), seen.reshape(len(seen), -1) > 0
    joined = np.zeros((len(values), 4 * channels))
    for step, moment in itertools.product(range(len(values)), range(2 * channels)):
        observed = values[step, seen[step, :, moment] > 0, moment]
        if len(observed):
            joined[step, [moment, 2 * channels + moment]] = observed.mean(), observed.max()
    return joined, np.tile(seen.any(axis=1), 2)


@pytest.mark.parametrize("pooled", [True, False])
def test_moments_of_a_scene_equal_loops(pooled):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 12, 2, 3, generator=generator)
    known = torch.rand(2, 12, 2, 3, generator=generator) < 0.5
    valid = torch.ones(2, 12, dtype=torch.bool)
    valid[1, 7:] = False
    values, seen = scene_moments(features, known, valid, 3, pooled)
    for b in range(2):
        slow, slow_seen = slow_moments(features[b], known[b], valid[b], 3, pooled)
        np.testing.assert_allclose(values[b].numpy(), slow, atol=1e-12)
        np.testing.assert_array_equal(seen[b].numpy(), slow_seen)
    hidden = torch.where(known & valid[..., None, None], features, 1e6)
    assert torch.equal(scene_moments(hidden, known, valid, 3, pooled)[0], values)


def slow_summaries(model, values, known, inside):
    """Thermometer codes less their mean where known, means over windows, both projections: by loops."""
    steps, channels = values.shape
    quantiles = len(QUANTILES)
    codes = np.zeros((steps, quantiles * channels))
    for step, q, channel in itertools.product(range(steps), range(quantiles), range(channels)):
        if known[step, channel]:
            above = float(values[step, channel] > model.edges[q, channel])
            codes[step, q * channels + channel] = above - float(model.mean[q * channels + channel])
    compressed = codes @ model.axes.numpy()
    summed = np.zeros((steps, len(model.spans), compressed.shape[1]))
    for step, (window, (first, last)) in itertools.product(range(steps), enumerate(model.spans)):
        times = [t for t in range(step + first, step + last + 1) if 0 <= t < steps and inside[t]]
        if times:
            summed[step, window] = np.mean([compressed[t] for t in times], axis=0)
    return summed.reshape(steps, -1) @ model.mixing.numpy()


def test_summaries_equal_loops():
    model = fitted([made(23), made(6, seed=1)])
    values, known = made(17, seed=2, batch=2)
    inside = all_inside(values)
    inside[0, :3] = inside[1, 11:] = False
    found = model(values, known & inside[..., None], inside)
    for b in range(2):
        slow = slow_summaries(model, values[b], known[b] & inside[b, :, None], inside[b])
        np.testing.assert_allclose(found[b].numpy(), slow, atol=1e-12)
    some = slice(2, None, 4)
    torch.testing.assert_close(model(values, known & inside[..., None], inside, some), found[:, some])


def test_edges_are_quantiles_of_what_is_known_and_means_the_shares_above_them():
    pieces = [made(23), made(6, seed=1), made(1, seed=2)]
    model = fitted(pieces)
    values, known = (torch.cat(parts, dim=1)[0].numpy() for parts in zip(*pieces, strict=True))
    for channel in range(3):
        observed = values[known[:, channel], channel]
        np.testing.assert_allclose(model.edges[:, channel], np.quantile(observed, QUANTILES), atol=1.1e-5)
        shares = (observed[:, None] > model.edges[:, channel].numpy()).mean(axis=0)
        np.testing.assert_allclose(model.mean.view(3, 3)[:, channel], shares, atol=1e-12)


def test_distances_are_those_between_the_histograms_where_nothing_is_left_out():
    windows = WindowsConfig(around_frames=(9,), past_frames=(), future_frames=())
    config = SummariesConfig(windows=windows, components=99)
    (values, known), channels = made(60, known=1.1), 3
    model = fitted([(values, known)], config, codes=99)
    above = (values[0, :, None] > model.edges).double().flatten(1).numpy()
    half = 9 // STRIDE // 2
    histograms = torch.from_numpy(np.stack([above[max(0, t - half) : t + half + 1].mean(axis=0) for t in range(60)]))
    found = model(values, known, all_inside(values))[0]
    assert found.shape[1] == channels * len(QUANTILES)
    ratio = torch.cdist(found, found).flatten()[1:60] / torch.cdist(histograms, histograms).flatten()[1:60]
    torch.testing.assert_close(ratio, ratio[:1].expand(59))


def test_components_have_a_mean_square_of_about_one_and_the_strongest_come_first():
    piece = made(4000, channels=8)
    found = fitted([piece])(*piece, all_inside(piece[0]))[0]
    variances = found.var(dim=0)
    assert float(found.square().mean()) == pytest.approx(1, abs=0.1) and (variances.diff() < 1e-6).all()


def test_steps_depend_only_on_their_receptive_field():
    model = fitted([made(40)])
    values, known = made(40, seed=3)
    before, after = model.receptive_field
    assert (before, after) == WINDOWS.receptive_field(STRIDE) == (2, 2)
    found = model(values, known, all_inside(values))
    part = slice(20 - before, 21 + after)
    alone = model(values[:, part], known[:, part], all_inside(values[:, part]))
    torch.testing.assert_close(alone[:, before], found[:, 20], atol=1e-12, rtol=0)


@pytest.mark.parametrize("steps", [(1,), (2, 1), (7,), (1, 1, 1, 1, 40)])
@pytest.mark.parametrize("known", [0.0, 0.5, 1.1])
def test_recordings_shorter_than_the_windows_are_never_nan(steps, known):
    pieces = [made(length, seed=length, known=known) for length in steps]
    if not known:
        with pytest.raises(InputError, match="nothing was observed"):
            fitted(pieces)
        return
    if not any(piece_known.any() for _, piece_known in pieces):
        return
    model = fitted(pieces)
    for values, _ in pieces:
        found = model(values, torch.ones_like(values, dtype=torch.bool), all_inside(values))
        assert torch.isfinite(found).all() and found.shape == (1, values.shape[1], 7)


def test_a_window_that_holds_the_whole_recording_at_every_step_has_no_weight():
    values, known = made(40, channels=2)
    windows = WindowsConfig(around_frames=(4, 200), past_frames=(), future_frames=())
    model = fitted([(values, known)], SummariesConfig(windows=windows, components=6), codes=3)
    short, long = model.mixing.unflatten(0, (2, 3))
    assert not long.any() and short.abs().sum() > 0
    found = model(values, known, all_inside(values))
    # The mean of a window that never changes is not zero where values are missing; it must not be blown up.
    assert found.abs().max() < 20 and found.std() > 0.5


def test_constant_and_unobserved_channels_have_zero_codes():
    values, known = made(50, channels=5)
    values[..., 1], values[..., 4] = 2.5, torch.nan
    known[..., 1], known[..., 4] = True, False
    model = fitted([(values, known)])
    assert (model.edges[:, 4] == NEVER_KNOWN).all() and (model.edges[:, :4] < 10).all()
    assert model.axes.view(3, 5, -1)[:, [1, 4]].abs().max() < 1e-12 and torch.isfinite(model.mixing).all()
    # Rounding does not lift a constant above its quantiles.
    noisy = values.clone()
    noisy[..., 1] += torch.linspace(-1e-6, 1e-6, 50)
    torch.testing.assert_close(model(noisy, known, all_inside(values)), model(values, known, all_inside(values)))
    # In a new recording it may be observed.
    assert torch.isfinite(model(values.nan_to_num(3.0), known | True, all_inside(values))).all()


def test_values_that_are_not_known_do_not_count():
    (values, known), (changed, _) = made(50), made(50, seed=9)
    changed = torch.where(known, values, changed * 100)
    changed[~known & (changed > 0)] = torch.nan
    one, two = fitted([(values, known)]), fitted([(changed, known)])
    for (name, fit), (_, other) in zip(one.named_buffers(), two.named_buffers(), strict=True):
        assert torch.equal(fit, other), name
    assert torch.equal(one(changed, known, all_inside(values)), one(values, known, all_inside(values)))


def test_where_nothing_is_known_the_summary_is_zero():
    model = fitted([made(50)])
    values, known = made(9, seed=4)
    values.fill_(torch.nan)
    assert not model(values, torch.zeros_like(known), all_inside(values)).any()


def test_a_rare_value_of_a_nearly_constant_channel_is_kept():
    values = torch.zeros(1, 100, 1)
    values[0, 7] = 1.0
    model = fitted([(values, torch.ones_like(values, dtype=torch.bool))])
    found = model(values, torch.ones_like(values, dtype=torch.bool), all_inside(values))[0]
    assert (found[7] - found[50]).norm() > 1 and torch.equal(found[30], found[50])


def test_quantiles_and_axes_are_of_few_steps_however_many_recordings_there_are(monkeypatch):
    sizes = {"quantile": [], "axes": []}
    quantile, axes = torch.nanquantile, module.principal_axes
    monkeypatch.setattr(
        torch, "nanquantile", lambda x, *a, **k: sizes["quantile"].append(x.shape) or quantile(x, *a, **k)
    )
    monkeypatch.setattr(module, "principal_axes", lambda x, *a: sizes["axes"].append(x.shape) or axes(x, *a))
    # torch refuses to take quantiles of more.
    assert module._EDGE_VALUES <= 16_000_000
    monkeypatch.setattr(module, "_EDGE_VALUES", 100)
    monkeypatch.setattr(module, "_FITTING_STEPS", 40)
    pieces = [made(1 + n % 3, seed=n) for n in range(300)]
    model = fitted(pieces)
    assert sizes == {"quantile": [(32, 3)], "axes": [(40, 9), (40, 20)]}
    monkeypatch.setattr(module, "_FITTING_SHARES", 9 * 11)
    fitted(pieces)
    assert sizes["axes"][2:] == [(11, 9), (40, 20)] and torch.isfinite(model.mixing).all()


def test_codes_follow_changes_of_what_they_are_made_of():
    generator = torch.Generator().manual_seed(0)
    values, known = torch.randn(1, 400, 5, generator=generator), torch.rand(1, 400, 5, generator=generator) < 0.9
    codes = QuantileCodes(QUANTILES, 4, 5).fit([(values, known)])
    first = codes(values, known)
    assert torch.equal(codes(values, known), first)
    codes.axes.mul_(2)
    torch.testing.assert_close(codes(values, known), 2 * first)
    other = QuantileCodes(QUANTILES, 4, 5)
    other(values, known)
    other.load_state_dict(codes.state_dict())
    torch.testing.assert_close(other(values, known), 2 * first)
    with torch.inference_mode():
        torch.testing.assert_close(codes.double()(values.double(), known), 2 * first.double(), atol=1e-5, rtol=1e-5)


def test_zeros_and_frames_outside_are_unknown_to_step_moments():
    features = torch.randn(2, 24, 2, 3, generator=torch.Generator().manual_seed(0))
    features[0, 3, 1, 2] = 0.0
    valid = torch.arange(24).expand(2, 24) < torch.tensor([[24], [13]])
    found = step_moments(features, None, valid, 6)
    torch.testing.assert_close(found, step_moments(features, features != 0, valid, 6), rtol=0.0, atol=0.0)
    assert not found[1][1, 3].any() and found[1][1, 2].all()
