"""The paper's systems have the paper's settings, and every recipe trains."""

import math

import pytest
import torch

from probe.calms21.baselines import AUGMENTED, BASELINES, TASK3_WEIGHTS, TRANSFERS, task3_baseline
from ssl_behavior.errors import InputError

# window (past, future, gap), learning rate, epochs, augmented: the paper's table of baselines.
PUBLISHED = {
    "fully_connected": ((100, 100, 2), 3e-4, 15, False),
    "lstm": ((50, 50, 1), 1e-3, 20, False),
    "self_attention": ((50, 50, 1), 1e-3, 20, False),
    "conv1d": ((100, 100, 2), 1e-3, 15, False),
    "conv1d_causal": ((100, 0, 2), 1e-3, 15, False),
    "single_frame": ((0, 0, 1), 5e-3, 15, False),
    "conv1d_augmented": ((50, 50, 1), 1e-3, 50, True),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_baseline_settings_equal_the_paper(name):
    window, lr, epochs, augmented = PUBLISHED[name]
    config = BASELINES[name]
    assert (config.window.past, config.window.future, config.window.gap) == window
    assert [(phase.lr, phase.epochs, phase.trains) for phase in config.phases] == [(lr, epochs, "all")]
    assert (config.batch_size, config.train_stride, config.predict_stride) == (128, 1, 1)
    assert config.augment == (AUGMENTED if augmented else None)
    assert config.class_weights is None and config.transfer is None
    assert config.network.dropout == (0.2 if name == "single_frame" else 0.5)


def test_the_papers_augmentation():
    assert (AUGMENTED.rotate, AUGMENTED.shift, AUGMENTED.about) == (math.pi, 0.25, "corner")
    assert AUGMENTED.move_outside and not AUGMENTED.reflect and not AUGMENTED.swap


def phases(name):
    return [(phase.epochs, phase.lr, phase.trains) for phase in TRANSFERS[name].phases]


def test_transfers_as_described_and_as_run():
    assert phases("task2_as_described") == [(5, 1e-4, "head"), (10, 1e-4, "all")]
    assert phases("task2_as_run") == [(5, 1e-3, "all"), (10, 1e-3, "all")]
    assert phases("task3_as_described") == [(30, 1e-3, "head"), (20, 5e-5, "all")]
    assert phases("task3_as_run") == [(30, 1e-3, "all"), (20, 5e-5, "all")]
    assert [config.transfer.head for config in TRANSFERS.values()] == ["kept", "kept", "new", "new"]
    assert [config.transfer.optimizer for config in TRANSFERS.values()] == [False, True, False, False]
    parent = BASELINES["conv1d_augmented"]
    for config in TRANSFERS.values():
        assert (config.network, config.window, config.augment) == (parent.network, parent.window, parent.augment)


def test_task2_with_features_has_fewer_epochs():
    assert [phase.epochs for phase in TRANSFERS["task2_as_run"].with_epochs(9).phases] == [3, 6]


def test_published_class_weights():
    assert list(TASK3_WEIGHTS.values()) == [20, 50, 5, 3, 100, 20, 10]
    config = task3_baseline("groom", "task3_as_described")
    assert config.class_weights == {"groom": 5.0} and config.phases == TRANSFERS["task3_as_described"].phases
    with pytest.raises(InputError, match="class weight"):
        task3_baseline("sleep")


@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"msg3d_wide"}))
def test_every_baseline_overfits_a_batch(name, points):
    config, layout = BASELINES[name], points()
    network = config.network.build(layout, config.window.num_samples, 3, torch.Generator().manual_seed(0))
    logits = network(torch.randn(2, config.window.num_samples, 28), torch.Generator().manual_seed(0))
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
