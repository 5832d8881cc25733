import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.nn import ConvStack, ResidualBlock, TemporalConv, receptive_field

BATCH, TIME, IN, DIM = 2, 43, 5, 7


def seen_by(module, time, *masks):
    """The first and last frame on which the output at `time` depends, by gradients."""
    x = torch.randn(BATCH, TIME, module_in(module), requires_grad=True)
    (gradient,) = torch.autograd.grad(module(x, *masks)[:, time].square().sum(), x)
    frames = gradient.abs().sum((0, 2)).nonzero().flatten()
    return int(frames.min()), int(frames.max())


def module_in(module):
    return IN if isinstance(module, (TemporalConv, ConvStack)) else DIM


@pytest.mark.parametrize("direction", ["past", "future", "both"])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 4), (5, 2)])
def test_convolution_sees_only_its_direction_and_keeps_frames(direction, kernel, dilation):
    conv = TemporalConv(IN, DIM, kernel, dilation, direction)
    assert conv(torch.randn(BATCH, TIME, IN)).shape == (BATCH, TIME, DIM)
    before, after = conv.receptive_field
    assert seen_by(conv, 21) == (21 - before, 21 + after)
    span = (kernel - 1) * dilation
    assert (before, after) == {"past": (span, 0), "future": (0, span), "both": (span // 2, span // 2)}[direction]


@pytest.mark.parametrize("direction", ["past", "future", "both"])
def test_stack_gradients_match_its_receptive_field(direction):
    dilations = (1, 2, 4)
    stack = ConvStack(IN, DIM, 3, 1, dilations, direction)
    valid = torch.ones(BATCH, TIME, dtype=torch.bool)
    before, after = stack.receptive_field
    assert seen_by(stack, 21, valid) == (21 - before, 21 + after)
    assert before + after + 1 == receptive_field(3, dilations)
    assert direction == "both" or 0 in (before, after)


def test_block_gradients_match_its_receptive_field():
    block = ResidualBlock(DIM, 3, 5, 2, "past")
    assert block.receptive_field == (12, 0) and seen_by(block, 21, torch.ones(BATCH, TIME, dtype=torch.bool)) == (9, 21)


@pytest.mark.parametrize("direction", ["past", "future", "both"])
def test_padded_window_equals_the_short_recording(direction):
    stack = ConvStack(IN, DIM, 3, 3, (1, 2, 4), direction)
    valid = torch.zeros(BATCH, TIME, dtype=torch.bool)
    valid[:, 11:24] = True
    x = torch.randn(BATCH, TIME, IN)
    alone = stack(x[:, 11:24], torch.ones(BATCH, 13, dtype=torch.bool))
    torch.testing.assert_close(stack(x, valid)[:, 11:24], alone, rtol=0.0, atol=1e-12)


def test_a_centered_convolution_needs_an_odd_kernel():
    with pytest.raises(InputError, match="odd kernel size, got 4"):
        TemporalConv(IN, DIM, 4, 1, "both")
    assert TemporalConv(IN, DIM, 4, 1, "past").receptive_field == (3, 0)


@pytest.mark.parametrize("direction", ["past", "future", "both"])
def test_convolution_equals_torch(direction, kernel=3, dilation=2):
    conv = TemporalConv(IN, DIM, kernel, dilation, direction)
    x = torch.randn(BATCH, TIME, IN)
    weight = conv.linear.weight.unflatten(1, (kernel, IN)).permute(0, 2, 1)
    padded = torch.nn.functional.pad(x.transpose(1, 2), conv.receptive_field)
    expected = torch.nn.functional.conv1d(padded, weight, conv.linear.bias, dilation=dilation)
    torch.testing.assert_close(conv(x), expected.transpose(1, 2))
