"""Graphs of animals against walks along their edges."""

from collections import deque

import pytest
import torch

from probe.calms21.baselines.msg3d import body_edges, disentangled, hop_distance, joined_animals, window_graph
from ssl_behavior.skeleton import CALMS21, MOUSE_BOXES, RAT_DYADS, SKELETONS, Skeleton


def walked(adjacency):
    """Distances by breadth-first search from every node, -1 where there is no way."""
    count = len(adjacency)
    distance = torch.full((count, count), -1)
    for start in range(count):
        distance[start, start] = 0
        waiting = deque([start])
        while waiting:
            node = waiting.popleft()
            for other in range(count):
                if adjacency[node, other] and distance[start, other] < 0:
                    distance[start, other] = distance[start, node] + 1
                    waiting.append(other)
    return distance


def slow_scales(adjacency, num_scales):
    """Equations 3 and 4, entry by entry."""
    distance, count = walked(adjacency), len(adjacency)
    scales = torch.zeros(num_scales, count, count)
    for k in range(num_scales):
        joined = [[float(distance[i, j] == k or i == j) for j in range(count)] for i in range(count)]
        degree = [sum(row) for row in joined]
        for i in range(count):
            for j in range(count):
                scales[k, i, j] = joined[i][j] / (degree[i] * degree[j]) ** 0.5
    return scales


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("animals", [1, 2, 3])
def test_scales_follow_hop_distance(name, animals):
    adjacency = joined_animals(SKELETONS[name], animals)
    assert torch.equal(hop_distance(adjacency), walked(adjacency))
    torch.testing.assert_close(disentangled(adjacency, 7), slow_scales(adjacency, 7))


@pytest.mark.parametrize("frames", [1, 3])
def test_scales_of_window_graphs(frames):
    adjacency = joined_animals(RAT_DYADS, 2)
    tiled = window_graph(adjacency, frames)
    assert len(tiled) == frames * 10
    for first in range(frames):
        for second in range(frames):
            block = tiled[10 * first : 10 * first + 10, 10 * second : 10 * second + 10]
            wanted = adjacency if first == second else adjacency + torch.eye(10)
            assert torch.equal(block, wanted)
    torch.testing.assert_close(disentangled(tiled, 5), slow_scales(tiled, 5))


def test_disconnected_nodes_have_no_hop_distance():
    adjacency = torch.zeros(5, 5)
    adjacency[0, 1] = adjacency[1, 0] = 1
    assert torch.equal(hop_distance(adjacency), walked(adjacency))
    assert hop_distance(adjacency)[0, 3] == -1
    assert torch.equal(disentangled(adjacency, 4)[3], torch.eye(5))


def test_two_mice_are_connected_at_their_necks():
    adjacency = joined_animals(CALMS21, 2)
    assert adjacency.shape == (14, 14) and torch.equal(adjacency, adjacency.T)
    assert adjacency[:7, 7:].nonzero().tolist() == [[3, 3]]
    assert int(adjacency[:7, :7].sum()) == 2 * len(CALMS21.edges)
    assert int(hop_distance(adjacency).max()) == 5
    assert joined_animals(RAT_DYADS, 2)[:5, 5:].nonzero().tolist() == [[0, 0]]
    assert joined_animals(MOUSE_BOXES, 2)[:4, 4:].nonzero().tolist() == [[2, 2]]


def test_skeleton_without_edges_uses_roles():
    mouse = Skeleton(name="mouse", keypoints=CALMS21.keypoints, roles=CALMS21.roles)
    names = {frozenset((mouse.keypoints[a], mouse.keypoints[b])) for a, b in body_edges(mouse)}
    assert {frozenset(pair) for pair in CALMS21.edges} <= names
    rat = Skeleton(name="rat", keypoints=RAT_DYADS.keypoints, roles=RAT_DYADS.roles)
    assert body_edges(rat) == body_edges(RAT_DYADS)
    nameless = Skeleton(name="dots", keypoints=("a", "b", "c", "d"))
    partly = Skeleton(name="part", keypoints=("a", "b", "c", "d"), edges=(("c", "d"),), roles={"neck": "b"})
    assert body_edges(nameless) == [(0, 1), (0, 2), (0, 3)]
    assert body_edges(partly) == [(2, 3), (1, 0), (1, 2)]
    for skeleton in (mouse, rat, nameless, partly):
        assert (hop_distance(joined_animals(skeleton, 2)) >= 0).all()
