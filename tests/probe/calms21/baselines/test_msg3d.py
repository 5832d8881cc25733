"""MS-G3D: its graph convolutions against sums over nodes, and what it must and must not see."""

import pytest
import torch

from probe.calms21.baselines.layers import WindowSpan
from probe.calms21.baselines.msg3d import MsG3dConfig, _GraphConv, _TimeConv, _WindowConv, disentangled, joined_animals
from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import RAT_DYADS

SMALL = MsG3dConfig(channels=(6, 12), strides=(1, 2), scales=3, window_scales=2, windows=(3, 5))


def build(layout, config=SMALL):
    return config.build(layout, 13, 3, torch.Generator().manual_seed(0))


@pytest.fixture
def adjacency():
    return disentangled(joined_animals(RAT_DYADS, 2), 3)


def test_a_graph_convolution_is_the_sum_over_scales_and_nodes(adjacency, seasoned):
    conv = seasoned(_GraphConv(adjacency, 5, 7, torch.Generator().manual_seed(0))).eval()
    with torch.no_grad():
        conv.learned.normal_(generator=torch.Generator().manual_seed(2))
    x = torch.randn(2, 3, 10, 5)
    weight = conv.mix.linear.weight.unflatten(1, (3, 5))
    wanted = torch.zeros(2, 3, 10, 7)
    for scale in range(3):
        for to in range(10):
            for node in range(10):
                joined = conv.adjacency[scale, to, node] + conv.learned[scale, to, node]
                wanted[:, :, to] += joined * (x[:, :, node] @ weight[:, scale].T)
    torch.testing.assert_close(conv(x), conv.mix.norm(wanted).relu())


def test_learned_adjacencies_start_near_zero(adjacency):
    conv = _GraphConv(adjacency, 5, 7, torch.Generator().manual_seed(0))
    assert 0.9e-6 < conv.learned.detach().abs().max() <= 1e-6


@pytest.mark.parametrize("stride", [1, 2])
def test_a_window_of_samples_is_one_graph(stride, seasoned):
    adjacency = torch.rand(2, 30, 30)
    conv = seasoned(_WindowConv(adjacency, (5, 7, 4), 3, stride, torch.Generator().manual_seed(0))).eval()
    x = torch.randn(2, 8, 10, 5)
    padded = torch.cat([torch.zeros(2, 1, 10, 5), x, torch.zeros(2, 1, 10, 5)], dim=1)
    made = conv(x)
    assert made.shape == (2, -(-8 // stride), 10, 4)
    for index, middle in enumerate(range(0, 8, stride)):
        window = padded[:, middle : middle + 3].reshape(2, 1, 30, 5)
        mixed = conv.graph(window).view(2, 3, 10, 7)
        rows = torch.cat([mixed[:, 0], mixed[:, 1], mixed[:, 2]], dim=-1)
        torch.testing.assert_close(made[:, index], conv.collapse(rows[:, None])[:, 0])


@pytest.mark.parametrize("stride,in_channels", [(1, 12), (2, 6)])
def test_temporal_branches_have_their_receptive_field(stride, in_channels):
    conv = _TimeConv(in_channels, 12, stride, torch.Generator().manual_seed(0)).eval()
    x = torch.randn(2, 17, 3, in_channels, requires_grad=True)
    made = conv(x)
    assert made.shape == (2, -(-17 // stride), 3, 12) and (made >= 0).all()
    middle = 8 // stride
    for branch, reach in enumerate((1, 2, 3, 4, 1, 0)):
        (gradient,) = torch.autograd.grad(
            conv.dilated[branch](conv.narrow(x)[..., 2 * branch : 2 * branch + 2])[:, middle].sum()
            if branch < 4
            else made[:, middle, :, 2 * branch :].sum(),
            x, retain_graph=True,
        )  # fmt: skip
        seen = gradient.abs().sum(dim=(0, 2, 3)).nonzero()[:, 0]
        assert int((seen - 8).abs().max()) <= reach


@pytest.mark.parametrize("skeleton", ["calms21", "rat_dyads", "mouse_boxes"])
@pytest.mark.parametrize("observed", [False, True])
def test_gradients_reach_every_parameter_of_msg3d(skeleton, observed, points):
    layout = points(skeleton, observed)
    network = build(layout)
    network(torch.rand(5, 13, layout.num_channels)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_center_moves_the_origin_and_missing_points(points):
    layout = points(observed=True)
    network = build(layout).eval()
    windows = torch.rand(5, 13, layout.num_channels)
    layout.observed(windows)[:] = torch.rand(5, 13, 2, 7) > 0.4
    seen = layout.seen(windows)
    nodes = network._nodes(windows).unflatten(2, (2, 7))
    torch.testing.assert_close(nodes[..., :2], (layout.points(windows) - 0.5) * seen[..., None])
    assert torch.equal(nodes[..., 2] == 1, seen)
    # What coordinates say where nothing was seen changes nothing.
    other = windows.clone()
    layout.points(other)[~seen] = 0.77
    torch.testing.assert_close(network(other), network(windows))
    plain = build(points(), MsG3dConfig(channels=(6,), strides=(1,), center=False))
    assert torch.equal(plain._nodes(windows[..., :28]).flatten(2), windows[..., :28])


def test_slide_equals_every_window(points, seasoned):
    network, span = seasoned(build(points())).eval(), WindowSpan(past=8, future=4, gap=3)
    values = torch.rand(47, 28)
    with torch.inference_mode():
        logits = network.slide(values, span)
        assert len(logits) == 47 - 36
        for frame in (0, 5, 10):
            torch.testing.assert_close(logits[frame], network(values[frame : frame + 37 : 3][None])[0])


def test_invalid_msg3d_settings_and_features_are_errors(points):
    for wrong in (
        {"channels": (8,)}, {"channels": (6,)}, {"strides": (1, 2)}, {"scales": 0}, {"windows": (4,)}, {"channels": ()},
    ):  # fmt: skip
        with pytest.raises(InputError):
            MsG3dConfig(**wrong)
    with pytest.raises(InputError, match="not features"):
        build(points(features=3))
