import math

import pytest
import torch
from torch import nn

from pretrain.config import OptimConfig
from pretrain.optim import Madgrad, WeightAverage, learning_rate, make_optimizer, set_learning_rate


def test_the_rate_warms_up_and_follows_half_a_cosine():
    config = OptimConfig(lr=2.0, warmup_steps=4, final_lr_share=0.1)
    rates = [learning_rate(config, 24, step) for step in range(25)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert rates[4] == 2.0
    for step in range(4, 25):
        expected = 0.2 + 1.8 * (1 + math.cos(math.pi * (step - 4) / 20)) / 2
        assert rates[step] == pytest.approx(expected)
    assert rates[14] == pytest.approx(1.1) and rates[24] == pytest.approx(0.2)


def test_constant_stays_and_a_warm_up_longer_than_the_run_is_no_error():
    config = OptimConfig(lr=2.0, warmup_steps=2, schedule="constant")
    assert [learning_rate(config, 5, step) for step in range(5)] == [1.0, 2.0, 2.0, 2.0, 2.0]
    assert learning_rate(OptimConfig(warmup_steps=10), 5, 4) == pytest.approx(5e-4)


@pytest.mark.parametrize("name", ["adamw", "madgrad"])
def test_decay_spares_biases_and_norms(name):
    module = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5))
    optimizer = make_optimizer(OptimConfig(optimizer=name, weight_decay=0.3), module)
    assert isinstance(optimizer, Madgrad if name == "madgrad" else torch.optim.AdamW)
    decayed, spared = optimizer.param_groups
    assert [p.ndim for p in decayed["params"]] == [2] and decayed["weight_decay"] == 0.3
    assert [p.ndim for p in spared["params"]] == [1, 1, 1] and spared["weight_decay"] == 0.0
    set_learning_rate(optimizer, 0.7)
    assert {group["lr"] for group in optimizer.param_groups} == {0.7}


def test_heads_have_a_rate_of_their_own_and_nothing_is_left_out():
    module = nn.ModuleDict({"body": nn.Linear(3, 5), "label_heads": nn.Linear(5, 2)})
    optimizer = make_optimizer(OptimConfig(heads_lr=10.0), module)
    set_learning_rate(optimizer, 0.7)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {rates[id(p)] for p in module["label_heads"].parameters()} == {7.0}
    assert {rates[id(p)] for p in module["body"].parameters()} == {0.7}
    assert len(make_optimizer(OptimConfig(), module).param_groups) == 2


def test_the_average_is_the_formula_and_the_weights_come_back():
    module = nn.Linear(3, 2)
    average = WeightAverage(module, 0.75)
    first = module.weight.detach().clone()
    with torch.no_grad():
        module.weight.add_(1.0)
    average.update(1_000)
    raw = module.weight.detach().clone()
    with average.in_place():
        torch.testing.assert_close(module.weight.detach(), 0.75 * first + 0.25 * raw)
    assert torch.equal(module.weight.detach(), raw)


def test_a_short_run_forgets_its_first_weights():
    module = torch.nn.Linear(2, 3)
    average = WeightAverage(module, 0.999)
    with torch.no_grad():
        module.weight.fill_(5.0)
    for step in range(40):
        average.update(step)
    with average.in_place():
        torch.testing.assert_close(module.weight.detach(), torch.full((3, 2), 5.0), atol=1e-3, rtol=0)


def test_without_decay_the_average_is_the_weights():
    module = nn.Linear(3, 2)
    average = WeightAverage(module, 0.0)
    before = module.weight.detach().clone()
    average.update(1_000)
    with average.in_place():
        assert torch.equal(module.weight.detach(), before)
    assert average.raw_weights() == {}


def test_raw_weights_are_copies_that_restore():
    module = nn.Linear(3, 2)
    average = WeightAverage(module, 0.5)
    with torch.no_grad():
        module.weight.mul_(3)
    average.update(1_000)
    raw = average.raw_weights()
    kept = module.weight.detach().clone()
    with average.in_place():
        averaged = {name: p.detach().clone() for name, p in module.named_parameters()}
    other = nn.Linear(3, 2)
    other.load_state_dict(averaged)
    restored = WeightAverage(other, 0.5)
    restored.restore(raw)
    assert torch.equal(other.weight.detach(), kept)
    with restored.in_place():
        assert torch.equal(other.weight.detach(), averaged["weight"])
