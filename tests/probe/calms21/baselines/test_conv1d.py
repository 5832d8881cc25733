"""The convolutional baseline against the paper's numbers and against the layers one by one."""

import pytest
import torch
import torch.nn.functional as F

from probe.calms21.baselines.layers import FrameClassifier, WindowSpan
from probe.calms21.baselines.networks import Conv1dConfig
from ssl_behavior.errors import InputError


@pytest.fixture
def build(features):
    def make(config, channels, span, classes=3):
        return config.build(features(channels), span.num_samples, classes, torch.Generator().manual_seed(0))

    return make


@pytest.mark.parametrize("channels,samples,numbers", [(28, 201, 73_044), (28, 101, 71_508), (60, 201, 93_652)])
def test_parameter_count_equals_the_paper(channels, samples, numbers, features, num_numbers):
    assert num_numbers(Conv1dConfig().build(features(channels), samples, 4, torch.Generator())) == numbers


def paper_logits(network, windows):
    """Convolution, normalization, ReLU, maximum, one after the other, on [batch, channel, sample]."""

    def normal(x, norm):
        return F.batch_norm(
            x, norm.running_mean.clone(), norm.running_var.clone(), norm.weight, norm.bias, network.training, 0.01, 1e-3
        )

    x = normal(windows.transpose(1, 2), network.norm)
    for layer in network.layers:
        x = normal(F.conv1d(x, layer.conv.weight[:, :, 0], layer.conv.bias), layer.norm)
        x = F.max_pool1d(F.relu(x), 2)
    return network.dense(x.transpose(1, 2).flatten(1))


@pytest.mark.parametrize("training", [False, True])
def test_layers_equal_the_paper(training, build, seasoned):
    network = seasoned(build(Conv1dConfig(channels=(13, 7), kernel_size=5, dropout=0.0), 11, WindowSpan(past=15)))
    network.train(training)
    windows = torch.randn(17, 116, 11)
    wanted = paper_logits(network, windows)
    torch.testing.assert_close(network(windows), wanted)


def test_dropout_only_in_training_and_only_from_the_generator(build):
    network = build(Conv1dConfig(channels=(13, 7)), 11, WindowSpan())
    windows = torch.randn(5, 201, 11)
    first, again, other = (network(windows, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    network.eval()
    torch.testing.assert_close(network(windows), paper_logits(network, windows))


@pytest.mark.parametrize(
    "config,span",
    [
        (Conv1dConfig(channels=(13, 7, 5)), WindowSpan(past=31, future=17, gap=2)),
        (Conv1dConfig(channels=(13, 7), kernel_size=4), WindowSpan(past=10, future=11, gap=3)),
        (Conv1dConfig(channels=(13,), kernel_size=1), WindowSpan(past=0, future=1, gap=1)),
        (Conv1dConfig(channels=(13, 7)), WindowSpan(past=23, future=0, gap=1)),
    ],
)
def test_slide_equals_windows(config, span, build, seasoned):
    network = seasoned(build(config, 11, span)).eval()
    values = torch.randn(269, 11)
    with torch.inference_mode():
        logits, slow = network.slide(values, span), FrameClassifier.slide(network, values, span)
    assert len(slow) == 269 - sum(span.receptive_field)
    torch.testing.assert_close(logits, slow)


def test_short_window_or_invalid_layer_is_an_error(build):
    with pytest.raises(InputError, match="35 samples"):
        build(Conv1dConfig(), 11, WindowSpan(past=17, future=17))
    build(Conv1dConfig(), 11, WindowSpan(past=18, future=17))
    for wrong in ({"channels": ()}, {"channels": (8, 0)}, {"kernel_size": 0}, {"dropout": 1.0}):
        with pytest.raises(InputError, match="at least"):
            Conv1dConfig(**wrong)
