"""The graph of all animals' keypoints, and who is how many edges away from whom in it.

Liu et al. 2020, "Disentangling and Unifying Graph Convolutions for Skeleton-Based Action Recognition" (MS-G3D,
arXiv:2003.14111), section 3: scale k of a graph joins only nodes exactly k edges apart, and each node with itself.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ssl_behavior.skeleton import Skeleton

__all__ = ["body_edges", "disentangled", "hop_distance", "joined_animals", "window_graph"]

BODY_LINE = ("nose", "head", "neck", "center", "tail_base", "tail_middle", "tail_tip")
"""Roles along the body; neighbours are joined where a skeleton names no edges."""

BESIDE = {
    "left_ear": ("nose", "head", "neck"),
    "right_ear": ("nose", "head", "neck"),
    "left_hip": ("neck", "center", "tail_base"),
    "right_hip": ("neck", "center", "tail_base"),
}
"""Roles beside the body's line, and what they are joined with."""

JOINTS = ("neck", "head", "center", "nose", "tail_base")
"""Animals are joined at the first of these that they have."""


def body_edges(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Pairs of keypoints of one animal: the skeleton's edges, else those its roles suggest.

    What is then still apart from the joint (the neck, or what is nearest to one) is joined with it directly.
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
    """Adjacency, 1 or 0, of all animals' keypoints (individual, keypoint), every two animals joined at their necks."""
    count, joint = skeleton.num_keypoints, _joint(skeleton)
    firsts, body = range(0, num_individuals * count, count), body_edges(skeleton)
    edges = [(first + a, first + b) for first in firsts for a, b in body]
    edges += [(a * count + joint, b * count + joint) for a, b in combinations(range(num_individuals), 2)]
    return _adjacency(edges, num_individuals * count)


def hop_distance(adjacency: Float[Tensor, "node node"]) -> Int[Tensor, "node node"]:
    """Edges on the shortest way from node to node, -1 where there is none."""
    step = ((adjacency > 0) | torch.eye(len(adjacency), dtype=torch.bool)).double()
    reached = torch.eye(len(adjacency), dtype=torch.bool)
    distance = torch.where(reached, 0, -1)
    for hops in range(1, len(adjacency)):
        further = (reached.double() @ step > 0) & ~reached
        distance[further], reached = hops, reached | further
    return distance


def disentangled(adjacency: Float[Tensor, "node node"], num_scales: int) -> Float[Tensor, "scale node node"]:
    """k-adjacency for k = 0 ... num_scales - 1, normalised by the degrees (arXiv:2003.14111, eq. 3 and 4).

    Node i is joined with j if their distance is k or i is j; D^-1/2 A D^-1/2, so that every scale weighs alike however
    many neighbours it has. Where nobody is so far away, nodes are joined with themselves alone.
    """
    distance = hop_distance(adjacency)
    same = torch.eye(len(adjacency), dtype=torch.bool)
    joined = torch.stack([(distance == k) | same for k in range(num_scales)]).to(torch.get_default_dtype())
    scale = joined.sum(dim=2).rsqrt()
    return scale[:, :, None] * joined * scale[:, None, :]


def window_graph(adjacency: Float[Tensor, "node node"], frames: int) -> Float[Tensor, "place place"]:
    """Adjacency of the nodes of several frames (frame, node): each with itself and its neighbours, in all the frames.

    The tiled graph of arXiv:2003.14111, section 3.3, less the loops.
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
