"""Self-attention against its formula, sample by sample."""

import pytest
import torch

from probe.calms21.baselines.layers import WindowSpan
from probe.calms21.baselines.networks import AttentionConfig
from ssl_behavior.errors import InputError


@pytest.fixture
def build(features):
    return lambda config, samples: config.build(features(11), samples, 3, torch.Generator().manual_seed(0))


def test_parameters_are_those_of_keras(features, num_numbers):
    layers = sum(2 * (a * b + b) + b * b + b + 4 * b for a, b in ((28, 128), (128, 64), (64, 32)))
    network = AttentionConfig().build(features(28), 101, 4, torch.Generator())
    assert num_numbers(network) == 4 * 28 + layers + 12 * 32 * 4 + 4 == 52_372


def normal(x, norm):
    return (x - norm.running_mean) / (norm.running_var + 1e-3).sqrt() * norm.weight + norm.bias


def slow_layer(layer, x):
    mixed = torch.empty(len(x), layer.value.out_features)
    for sample, row in enumerate(x):
        query = layer.query.weight @ row + layer.query.bias
        values = [layer.value.weight @ other + layer.value.bias for other in x]
        weights = torch.stack([torch.exp(query @ value) for value in values])
        mixed[sample] = sum(weight * value for weight, value in zip(weights / weights.sum(), values, strict=True))
    made = [normal(layer.mix.weight @ row + layer.mix.bias, layer.norm).relu() for row in mixed]
    return torch.stack([torch.maximum(made[2 * pair], made[2 * pair + 1]) for pair in range(len(x) // 2)])


def test_attention_layers_equal_the_formula(build, seasoned):
    network = seasoned(build(AttentionConfig(channels=(7, 5)), 13)).eval()
    windows = torch.randn(3, 13, 11)
    for window, logits in zip(windows, network(windows), strict=True):
        x = normal(window, network.norm)
        for layer in network.layers:
            x = slow_layer(layer, x)
        torch.testing.assert_close(logits, network.dense(x.flatten()))


def test_attention_is_invariant_to_order_within_pooled_pairs(build):
    network = build(AttentionConfig(channels=(7,)), 12).eval()
    windows = torch.randn(5, 12, 11)
    swapped = windows.unflatten(1, (6, 2)).flip(2).flatten(1, 2)
    torch.testing.assert_close(network(swapped), network(windows))
    assert not torch.allclose(network(windows.flip(1)), network(windows))


def test_gradients_reach_every_parameter_and_dropout_uses_the_generator(build):
    network = build(AttentionConfig(channels=(7, 5)), 13)
    windows = torch.randn(19, 13, 11)
    first, again, other = (network(windows, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    first.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_slide_equals_every_window(build):
    network, span = build(AttentionConfig(channels=(7, 5)), 13).eval(), WindowSpan(past=8, future=4, gap=3)
    values = torch.randn(347, 11)
    with torch.inference_mode():
        logits = network.slide(values, span)
        assert len(logits) == 347 - 36
        for frame in (0, 255, 256, 310):
            torch.testing.assert_close(logits[frame], network(values[frame : frame + 37 : 3][None])[0])


def test_short_window_or_invalid_layer_is_an_error(build):
    with pytest.raises(InputError, match="7 samples"):
        build(AttentionConfig(), 7)
    build(AttentionConfig(), 8)
    for wrong in ({"channels": ()}, {"channels": (8, 0)}, {"dropout": 1.0}):
        with pytest.raises(InputError, match="at least"):
            AttentionConfig(**wrong)
