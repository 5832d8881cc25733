"""What the tests of all networks need."""

import pytest
import torch

from probe.calms21.baselines.layers import Layout
from ssl_behavior.skeleton import SKELETONS


@pytest.fixture
def features():
    """A layout of so many channels without any points."""
    return lambda count: Layout({"features": count}, SKELETONS["calms21"], 2)


@pytest.fixture
def points():
    """A layout of two animals' points."""

    def make(skeleton="calms21", observed=False, features=0):
        count = 2 * SKELETONS[skeleton].num_keypoints
        groups = {"keypoints": 2 * count, "observed": count if observed else 0, "features": features}
        return Layout({name: size for name, size in groups.items() if size}, SKELETONS[skeleton], 2)

    return make


@pytest.fixture
def num_numbers():
    """Parameters and moving statistics of a network, as Keras counts them."""

    def count(network):
        statistics = [buffer for name, buffer in network.named_buffers() if "running" in name]
        return sum(tensor.numel() for tensor in [*network.parameters(), *statistics])

    return count


@pytest.fixture
def seasoned():
    """Give a network moving statistics and scales as training may leave them, some scales negative."""

    def season(network):
        generator = torch.Generator().manual_seed(1)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.running_mean.normal_(generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                for parameter in module.parameters():
                    torch.nn.init.normal_(parameter, generator=generator)
        return network

    return season
