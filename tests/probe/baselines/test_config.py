"""The table of baselines, and settings that make no sense."""

from dataclasses import asdict, replace

import pytest
import torch

from probe.baselines.config import BASELINES, BaselineConfig
from ssl_behavior.configs import config_from_dict
from ssl_behavior.errors import InputError


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_tells_a_batch_apart_learns_all_it_has_and_comes_back_from_json(name):
    config = BASELINES[name]
    network = config.network.build(7, config.window.num_samples, 3, torch.Generator().manual_seed(0))
    logits = network(torch.randn(5, config.window.num_samples, 7), torch.Generator().manual_seed(0))
    assert logits.shape == (5, 3)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert config_from_dict(BaselineConfig, asdict(config), "here") == config


def test_the_convolutional_baseline_has_the_papers_settings():
    config = BASELINES["conv1d"]
    assert (config.lr, config.epochs, config.batch_size, config.train_stride) == (1e-3, 15, 128, 1)
    assert (config.network.channels, config.network.kernel_size, config.network.dropout) == ((128, 64, 32), 5, 0.5)


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"epochs": 0}, {"batch_size": 0}, {"train_stride": 0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        replace(BASELINES["conv1d"], **wrong)
