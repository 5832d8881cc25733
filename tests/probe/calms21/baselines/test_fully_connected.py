"""The dense baselines against their layers one by one, and their counts against closed forms."""

import pytest
import torch
import torch.nn.functional as F

from probe.calms21.baselines.layers import FrameClassifier, WindowSpan
from probe.calms21.baselines.networks import FullyConnectedConfig
from ssl_behavior.errors import InputError


def counted(widths, channels, samples, classes):
    """Four numbers per normalized channel, weights and biases."""
    layers = [samples * channels, *widths]
    dense = sum(a * b + b + 4 * b for a, b in zip(layers, widths, strict=False))
    return 4 * channels + dense + widths[-1] * classes + classes


@pytest.mark.parametrize(
    "widths,samples,numbers", [((512, 256, 128), 201, 3_050_484), ((512, 256, 128, 64), 1, 191_540)]
)
def test_parameters_are_those_of_keras(widths, samples, numbers, features, num_numbers):
    network = FullyConnectedConfig(widths=widths).build(features(28), samples, 4, torch.Generator())
    assert num_numbers(network) == counted(widths, 28, samples, 4) == numbers


def paper_logits(network, windows):
    def normal(x, norm):
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.01, 1e-3)

    x = normal(windows.transpose(1, 2), network.norm).transpose(1, 2).flatten(1)
    for block in network.blocks:
        x = F.relu(normal(x @ block.linear.weight.T + block.linear.bias, block.norm))
    return x @ network.dense.weight.T + network.dense.bias


@pytest.mark.parametrize(
    "span", [WindowSpan(past=7, future=4, gap=3), WindowSpan(past=0, future=0, gap=1), WindowSpan(past=5, future=0)]
)
def test_layers_equal_the_paper_and_slide_equals_windows(span, features, seasoned):
    config = FullyConnectedConfig(widths=(13, 7), dropout=0.3)
    network = seasoned(config.build(features(11), span.num_samples, 3, torch.Generator().manual_seed(0))).eval()
    values = torch.randn(283, 11)
    with torch.inference_mode():
        slow = FrameClassifier.slide(network, values, span)
        torch.testing.assert_close(network.slide(values, span), slow)
        places = torch.arange(span.receptive_field[0], 283 - span.receptive_field[1])
        torch.testing.assert_close(slow, paper_logits(network, span.gather(values, places)))


def test_dropout_only_in_training_and_only_from_the_generator(features):
    network = FullyConnectedConfig(widths=(13, 7)).build(features(11), 5, 3, torch.Generator().manual_seed(0))
    windows = torch.randn(17, 5, 11)
    first, again, other = (network(windows, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(network.eval()(windows), network(windows))


def test_invalid_layer_sizes_are_errors():
    for wrong in ({"widths": ()}, {"widths": (8, 0)}, {"dropout": 1.0}):
        with pytest.raises(InputError, match="at least"):
            FullyConnectedConfig(**wrong)
