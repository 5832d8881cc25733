"""MS-G3D on the keypoints of all animals: the CalMS21 paper's best entry to Task 3.

Liu et al., "Disentangling and Unifying Graph Convolutions for Skeleton-Based Action Recognition", CVPR 2020,
arXiv:2003.14111. Scale k of a graph connects only nodes exactly k edges apart, and each node with itself (section 3).
The entry connected both animals at the neck (Sun et al. 2021, arXiv:2104.02710); its window, widths and training are
unpublished, so those here are our choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from probe.calms21.baselines.layers import FEATURES, OBSERVED, FrameClassifier, Layout, glorot_
from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import Skeleton

__all__ = ["MsG3d", "MsG3dConfig", "body_edges", "disentangled", "hop_distance", "joined_animals", "window_graph"]

BODY_LINE = ("nose", "head", "neck", "center", "tail_base", "tail_middle", "tail_tip")
"""Roles along the body; adjacent roles are connected in skeletons without edges."""

BESIDE = {
    "left_ear": ("nose", "head", "neck"),
    "right_ear": ("nose", "head", "neck"),
    "left_hip": ("neck", "center", "tail_base"),
    "right_hip": ("neck", "center", "tail_base"),
}
"""Lateral roles, and the roles that they are connected with."""

JOINTS = ("neck", "head", "center", "nose", "tail_base")
"""Animals are connected at the first of these roles that they have."""


def body_edges(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Pairs of keypoints of one animal: the skeleton's edges, else edges between its roles.

    Keypoints without a path to the joint (see `JOINTS`) are connected with it directly.
    """
    if skeleton.edges:
        edges = [(skeleton.index(a), skeleton.index(b)) for a, b in skeleton.edges]
    else:
        there = {role: skeleton.role(role) for role in skeleton.roles}
        line = [there[role] for role in BODY_LINE if role in there]
        beside = [(role, other) for role, others in BESIDE.items() for other in others]
        edges = [*pairwise(line), *((there[a], there[b]) for a, b in beside if a in there and b in there)]
    joint = _joint(skeleton)
    for node in range(skeleton.num_keypoints):
        if hop_distance(_adjacency(edges, skeleton.num_keypoints))[joint, node] < 0:
            edges.append((joint, node))
    return edges


def joined_animals(skeleton: Skeleton, num_individuals: int) -> Float[Tensor, "node node"]:
    """Adjacency, 1 or 0, of all animals' keypoints (individual, keypoint), with animals connected at their joints."""
    count, joint = skeleton.num_keypoints, _joint(skeleton)
    firsts, body = range(0, num_individuals * count, count), body_edges(skeleton)
    edges = [(first + a, first + b) for first in firsts for a, b in body]
    edges += [(a * count + joint, b * count + joint) for a, b in combinations(range(num_individuals), 2)]
    return _adjacency(edges, num_individuals * count)


def hop_distance(adjacency: Float[Tensor, "node node"]) -> Int[Tensor, "node node"]:
    """Number of edges on the shortest path between nodes, -1 without a path."""
    step = ((adjacency > 0) | torch.eye(len(adjacency), dtype=torch.bool)).double()
    reached = torch.eye(len(adjacency), dtype=torch.bool)
    distance = torch.where(reached, 0, -1)
    for hops in range(1, len(adjacency)):
        further = (reached.double() @ step > 0) & ~reached
        distance[further], reached = hops, reached | further
    return distance


def disentangled(adjacency: Float[Tensor, "node node"], num_scales: int) -> Float[Tensor, "scale node node"]:
    """k-adjacency for k = 0 ... num_scales - 1, normalized by the degrees (arXiv:2003.14111, eq. 3 and 4).

    Nodes i and j are connected if their distance is k or i = j. D^-1/2 A D^-1/2 gives every scale the same weight. A
    node without nodes at distance k is connected with itself only.
    """
    distance = hop_distance(adjacency)
    same = torch.eye(len(adjacency), dtype=torch.bool)
    joined = torch.stack([(distance == k) | same for k in range(num_scales)]).to(torch.get_default_dtype())
    scale = joined.sum(dim=2).rsqrt()
    return scale[:, :, None] * joined * scale[:, None, :]


def window_graph(adjacency: Float[Tensor, "node node"], frames: int) -> Float[Tensor, "place place"]:
    """Adjacency of the nodes of several frames (frame, node): each node with itself and its neighbors in all frames.

    The tiled graph of arXiv:2003.14111, section 3.3, without self-loops.
    """
    tiled = (adjacency + torch.eye(len(adjacency), dtype=adjacency.dtype)).repeat(frames, frames)
    return tiled.fill_diagonal_(0)


def _joint(skeleton: Skeleton) -> int:
    return skeleton.role(*JOINTS) if set(JOINTS) & set(skeleton.roles) else 0


def _adjacency(edges: Sequence[tuple[int, int]], num_nodes: int) -> Float[Tensor, "node node"]:
    adjacency = torch.zeros(num_nodes, num_nodes)
    for a, b in edges:
        adjacency[a, b] = adjacency[b, a] = 1.0
    return adjacency


DILATIONS = (1, 2, 3, 4)
NUM_BRANCHES = len(DILATIONS) + 2
INIT_BOUND = 1e-6
"""Bound of the initial values of learned adjacencies."""

_Nodes = Float[Tensor, "batch sample node channel"]
_Made = Float[Tensor, "batch out_sample node out_channel"]


@dataclass(frozen=True, kw_only=True)
class MsG3dConfig:
    """Stages of multi-scale graph convolutions in space, and in space and time; the mean over all nodes; a dense layer.

    The default is small enough for a CPU. The paper's network has channels (96, 192, 384) and 8 or 13 scales, 8 or 6 of
    them in windows.

    Parameters
    ----------
    channels, strides : of each stage; strides are over samples.
    scales : number of hop distances of the graph convolutions in space, from 0 on.
    window_scales : number of hop distances of the graph convolutions in space and time.
    windows : odd numbers of samples of the graph convolutions in space and time.
    center : use the center of the arena as the origin, and as the place of missing points.

    Raises
    ------
    InputError
        If a number is too small, channels are not a multiple of the six branches of a temporal convolution, or a window
        is not odd.
    """

    kind: Literal["msg3d"] = "msg3d"
    channels: tuple[int, ...] = (18, 36, 72)
    strides: tuple[int, ...] = (1, 2, 2)
    scales: int = 6
    window_scales: int = 4
    windows: tuple[int, ...] = (3, 5)
    center: bool = True

    def __post_init__(self) -> None:
        if not self.channels or any(width < 1 or width % NUM_BRANCHES for width in self.channels):
            raise InputError(f"channels of every stage must be a multiple of {NUM_BRANCHES}, got {list(self.channels)}")
        if len(self.strides) != len(self.channels) or min(self.strides) < 1:
            raise InputError(
                f"{len(self.channels)} stages need as many strides of at least 1, got {list(self.strides)}"
            )
        if self.scales < 1 or self.window_scales < 1:
            raise InputError(f"scales must be at least 1, got {self.scales} and {self.window_scales}")
        if any(frames < 1 or frames % 2 == 0 for frames in self.windows):
            raise InputError(f"windows must be odd numbers of samples, got {list(self.windows)}")

    def build(self, layout: Layout, num_samples: int, num_classes: int, generator: torch.Generator) -> "MsG3d":
        """A network with random weights, for windows of any number of samples."""
        return MsG3d(self, layout, num_classes, generator)


class MsG3d(FrameClassifier):
    """See `MsG3dConfig`. Coordinates and the observed mask pass a batch normalization per node first.

    Channels come last inside: graph convolutions are matrix products without copies, and temporal convolutions read the
    same memory as an image with channels last.

    Raises
    ------
    InputError
        If the inputs have features, which have no node in the graph.
    """

    def __init__(self, config: MsG3dConfig, layout: Layout, num_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        if FEATURES in layout.groups:
            raise InputError("msg3d reads keypoints, not features: leave the features out, or use another baseline")
        self.layout, self.center = layout, config.center
        adjacency = joined_animals(layout.skeleton, layout.num_individuals)
        widths = (2 + (OBSERVED in layout.groups), *config.channels)
        self.norm = nn.BatchNorm1d(len(adjacency) * widths[0])
        self.stages = nn.ModuleList(
            _Stage(config, adjacency, *pair, stride, generator)
            for pair, stride in zip(pairwise(widths), config.strides, strict=True)
        )
        self.dense = nn.Linear(widths[-1], num_classes)
        glorot_(self.dense, generator)

    def forward(
        self, windows: Float[Tensor, "batch sample channel"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch class"]:
        nodes = self._nodes(windows)
        x = self.norm(nodes.flatten(0, 1).flatten(1)).view_as(nodes)
        for stage in self.stages:
            x = stage(x)
        return self.dense(x.mean(dim=(1, 2)))

    def _nodes(self, windows: Float[Tensor, "batch sample channel"]) -> Float[Tensor, "batch sample node number"]:
        points = self.layout.points(windows)
        if self.center:
            points = (points - 0.5).masked_fill(~self.layout.seen(windows)[..., None], 0.0)
        if OBSERVED in self.layout.groups:
            points = torch.cat([points, self.layout.observed(windows)[..., None]], dim=-1)
        return points.flatten(2, 3)


class _Stage(nn.Module):
    """(Graph convolution, two temporal convolutions) + space-time graph convolutions; ReLU; a temporal convolution."""

    def __init__(
        self,
        config: MsG3dConfig,
        adjacency: Float[Tensor, "node node"],
        in_channels: int,
        channels: int,
        stride: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        # A stage widens at its stride, except the first stage, which has few input channels.
        inner = in_channels if in_channels % NUM_BRANCHES == 0 else channels
        self.space = _GraphConv(disentangled(adjacency, config.scales), in_channels, inner, generator)
        self.times = nn.ModuleList(
            [_TimeConv(inner, channels, stride, generator), _TimeConv(channels, channels, 1, generator, active=False)]
        )
        self.windows = nn.ModuleList(
            _WindowConv(
                disentangled(window_graph(adjacency, frames), config.window_scales),
                (in_channels, inner, channels), frames, stride, generator,
            )
            for frames in config.windows
        )  # fmt: skip
        self.last = _TimeConv(channels, channels, 1, generator)

    def forward(self, x: _Nodes) -> _Made:
        y = self.space(x)
        for time in self.times:
            y = time(y)
        for window in self.windows:
            y = y + window(x)
        return self.last(F.relu(y))


class _GraphConv(nn.Module):
    """Sum over scales of (adjacency + learned adjacency) · nodes · weights; batch normalization; ReLU. Equation 4."""

    adjacency: Tensor

    def __init__(
        self, adjacency: Float[Tensor, "scale node node"], in_channels: int, channels: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.register_buffer("adjacency", adjacency, persistent=False)
        self.learned = nn.Parameter(torch.empty_like(adjacency).uniform_(-INIT_BOUND, INIT_BOUND, generator=generator))
        self.mix = _Mix(len(adjacency) * in_channels, channels, generator)

    def forward(self, x: _Nodes) -> _Made:
        graph = rearrange(self.adjacency + self.learned, "scale to node -> (to scale) node")
        around = rearrange(graph @ x, "batch sample (to scale) c -> batch sample to (scale c)", to=x.shape[2])
        return F.relu(self.mix(around))


class _WindowConv(nn.Module):
    """A graph convolution over all nodes of a few samples, then a weighted sum over the samples."""

    def __init__(
        self,
        adjacency: Float[Tensor, "scale place place"],
        widths: tuple[int, int, int],
        frames: int,
        stride: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        in_channels, inner, channels = widths
        self.frames, self.stride = frames, stride
        self.graph = _GraphConv(adjacency, in_channels, inner, generator)
        self.collapse = _Mix(frames * inner, channels, generator)

    def forward(self, x: _Nodes) -> _Made:
        x = F.pad(x, (0, 0, 0, 0, self.frames // 2, self.frames // 2)).unfold(1, self.frames, self.stride)
        x = self.graph(rearrange(x, "batch sample node c frame -> batch sample (frame node) c"))
        return self.collapse(rearrange(x, "batch sample (frame n) c -> batch sample n (frame c)", frame=self.frames))


class _TimeConv(nn.Module):
    """Parallel branches (dilated temporal convolutions, a maximum, a dense layer) and a skip connection."""

    def __init__(
        self, in_channels: int, channels: int, stride: int, generator: torch.Generator, active: bool = True
    ) -> None:
        super().__init__()
        width, self.active, self.stride = channels // NUM_BRANCHES, active, stride
        self.narrow = _Mix(in_channels, width * (NUM_BRANCHES - 1), generator)
        self.dilated = nn.ModuleList(_Dilated(width, stride, dilation, generator) for dilation in DILATIONS)
        self.pooled = _Norm(width)
        self.plain = _Mix(in_channels, width, generator)
        same = in_channels == channels and stride == 1
        self.skip = nn.Identity() if same else _Mix(in_channels, channels, generator)

    def forward(self, x: _Nodes) -> _Made:
        *parts, most = F.relu(self.narrow(x)).chunk(NUM_BRANCHES - 1, dim=-1)
        made = [conv(part) for conv, part in zip(self.dilated, parts, strict=True)]
        most = F.max_pool2d(_image(most), (3, 1), (self.stride, 1), (1, 0))
        x = x[:, :: self.stride]
        y = torch.cat([*made, self.pooled(_nodes(most)), self.plain(x)], dim=-1) + self.skip(x)
        return F.relu(y) if self.active else y


class _Dilated(nn.Module):
    """A convolution over three samples, and batch normalization."""

    def __init__(self, width: int, stride: int, dilation: int, generator: torch.Generator) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, (3, 1), (stride, 1), (dilation, 0), (dilation, 1), bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", generator=generator)
        self.norm = _Norm(width)

    def forward(self, x: _Nodes) -> _Made:
        return self.norm(_nodes(self.conv(_image(x))))


class _Mix(nn.Module):
    """A dense layer over each node's channels without bias, and batch normalization."""

    def __init__(self, in_channels: int, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, channels, bias=False)
        nn.init.kaiming_normal_(self.linear.weight, mode="fan_out", generator=generator)
        self.norm = _Norm(channels)

    def forward(self, x: _Nodes) -> _Made:
        return self.norm(self.linear(x))


class _Norm(nn.BatchNorm1d):
    """Batch normalization over all nodes and samples."""

    def forward(self, x: _Nodes) -> _Nodes:
        return super().forward(x.flatten(0, 2)).view_as(x)


def _image(x: _Nodes) -> Float[Tensor, "batch channel sample node"]:
    return x.permute(0, 3, 1, 2)


def _nodes(x: Float[Tensor, "batch channel sample node"]) -> _Nodes:
    return x.permute(0, 2, 3, 1)
