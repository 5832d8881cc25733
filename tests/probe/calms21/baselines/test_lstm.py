"""The recurrent baseline against a loop over samples."""

import pytest
import torch

from probe.calms21.baselines.layers import WindowSpan
from probe.calms21.baselines.networks import LstmConfig
from ssl_behavior.errors import InputError

SMALL = LstmConfig(units=13, widths=(7, 5), dropout=0.3)


@pytest.fixture
def network(features, seasoned):
    return seasoned(SMALL.build(features(11), 17, 3, torch.Generator().manual_seed(0)))


def test_parameters_are_those_of_keras(features, num_numbers):
    lstm = 4 * (28 * 256 + 256 * 256 + 256)
    dense = 256 * 256 + 256 + 4 * 256 + 256 * 128 + 128 + 4 * 128 + 128 * 4 + 4
    network = LstmConfig().build(features(28), 101, 4, torch.Generator())
    assert num_numbers(network) == 4 * 28 + lstm + dense == 392_692


def test_lstm_state_equals_a_loop(network):
    """Hochreiter and Schmidhuber (1997) with a forget gate: input, forget, cell, output."""
    x = torch.randn(5, 17, 11)
    state = cell = torch.zeros(5, 13)
    for sample in x.unbind(1):
        gates = sample @ network.input_weight.T + state @ network.state_weight.T + network.bias
        enter, forget, new, out = gates.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        state = out.sigmoid() * cell.tanh()
    torch.testing.assert_close(network._last_state(x), state)


def test_bfloat16_training_on_any_cpu(network):
    with torch.autocast("cpu", torch.bfloat16):
        scores = network(torch.randn(5, 17, 11), torch.Generator().manual_seed(0))
    scores.float().square().sum().backward()
    assert torch.isfinite(network.state_weight.grad).all() and network.state_weight.grad.any()


def test_first_weights_are_keras_defaults(features):
    network = LstmConfig(units=29).build(features(11), 17, 3, torch.Generator().manual_seed(0))
    torch.testing.assert_close(network.state_weight.T @ network.state_weight, torch.eye(29))
    limit = (6 / (11 + 4 * 29)) ** 0.5
    assert 0.97 * limit < network.input_weight.detach().abs().max() <= limit
    assert network.bias.detach().tolist() == [0.0] * 29 + [1.0] * 29 + [0.0] * 58


def test_lstm_depends_on_window_samples_and_their_order(network):
    network.eval()
    values, span = torch.randn(71, 11, requires_grad=True), WindowSpan(past=9, future=7, gap=2)
    logits = network.slide(values, span)
    assert len(logits) == 71 - 32
    (gradient,) = torch.autograd.grad(logits[3].sum(), values)
    assert gradient.abs().sum(dim=1).nonzero()[:, 0].tolist() == list(range(3, 3 + 34, 2))
    with torch.no_grad():
        window = span.gather(values, torch.tensor([21]))
        torch.testing.assert_close(network(window), logits[3:4])
        assert not torch.allclose(network(window.flip(1)), logits[3:4])


def test_gradients_reach_every_parameter_and_dropout_uses_the_generator(network):
    windows = torch.randn(19, 17, 11)
    first, again, other = (network(windows, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    first.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_invalid_layer_sizes_are_errors():
    for wrong in ({"units": 0}, {"widths": ()}, {"widths": (8, 0)}, {"dropout": 1.0}):
        with pytest.raises(InputError, match="at least"):
            LstmConfig(**wrong)
