"""What a child takes over from its parent, what trains, and where it goes on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from probe.calms21.baselines import (
    BaselineConfig,
    Conv1dConfig,
    Phase,
    Sgd,
    Transfer,
    WindowSpan,
    assemble_inputs,
    fit_baseline,
    load_baseline,
    save_baseline,
)
from probe.tasks import make_task
from ssl_behavior.errors import InputError
from ssl_behavior.store import write_store

PARENT = BaselineConfig(
    network=Conv1dConfig(channels=(7, 5), kernel_size=3, dropout=0.2),
    window=WindowSpan(past=6, future=5, gap=1),
    phases=(Phase(epochs=1, lr=3e-3),),
    train_stride=3,
)
KEPT = replace(PARENT, transfer=Transfer(head="kept"))
NEW = replace(PARENT, transfer=Transfer(head="new"))
HEAD = ("dense.weight", "dense.bias")


@pytest.fixture
def fit(store, array):
    rows = store.rows[:3]
    inputs = assemble_inputs(store, store.rows, rows, PARENT.window, array)

    def run(config, parent=None, kind=None, chosen=rows):
        return fit_baseline(store, make_task(store, "behavior", kind), chosen, config, inputs, 0, parent=parent)

    return run


def moved(child, parent):
    """Names of parameters and moving statistics that differ."""
    old, new = parent.network.state_dict(), child.network.state_dict()
    return {name for name in new if new[name].shape != old[name].shape or not torch.equal(new[name], old[name])}


def names(trained, *suffixes):
    return {name for name in trained.network.state_dict() if name.endswith(suffixes)}


HARDLY = (Phase(epochs=1, lr=1e-30),)


def test_kept_head_starts_from_the_parents_predictions(fit):
    parent = fit(PARENT)
    child = fit(replace(KEPT, phases=HARDLY), parent)
    # Steps too small to change a weight; only the moving statistics went on.
    assert moved(child, parent) == names(child, "running_mean", "running_var", "num_batches_tracked")
    assert child.learned == parent.learned


def test_new_head_is_random_and_other_layers_are_copied(fit):
    parent = fit(PARENT)
    child = fit(replace(NEW, phases=HARDLY), parent, kind="binary")
    statistics = names(child, "running_mean", "running_var", "num_batches_tracked")
    assert moved(child, parent) == statistics | set(HEAD)
    assert child.network.dense.out_features == 2 and parent.network.dense.out_features == 3
    assert 0 < child.network.dense.weight.abs().max() <= (6 / (child.network.dense.in_features + 2)) ** 0.5


def test_frozen_layers_do_not_change(fit):
    parent = fit(PARENT)
    frozen = fit(replace(KEPT, phases=(Phase(epochs=2, lr=1e-2, trains="head"),)), parent)
    assert moved(frozen, parent) == set(HEAD)
    assert {name.rpartition(".")[0] for name in frozen.optimizer} == set(HEAD)
    assert all(parameter.requires_grad for parameter in frozen.network.parameters())
    free = fit(replace(KEPT, phases=(Phase(epochs=1, lr=1e-2, trains="head"), Phase(epochs=1, lr=1e-2))), parent)
    assert moved(free, parent) == set(free.network.state_dict())
    assert parent.network.dense.weight.requires_grad and not parent.network.training


def test_transfer_is_deterministic_and_keeps_the_parent(fit, tmp_path):
    parent = fit(PARENT)
    save_baseline(tmp_path / "parent", parent)
    for transfer in (Transfer(head="kept", optimizer=True), Transfer(head="new")):
        config = replace(PARENT, transfer=transfer)
        first, again = fit(config, parent), fit(config, load_baseline(tmp_path / "parent"))
        assert first.losses == again.losses and not moved(first, again)
    assert not moved(parent, load_baseline(tmp_path / "parent"))
    kept = load_baseline(tmp_path / "parent").optimizer
    assert all(torch.equal(parent.optimizer[name], kept[name]) for name in kept)


@pytest.mark.parametrize("optimizer", [PARENT.optimizer, Sgd()], ids=["adam", "sgd"])
def test_transferred_optimizer_keeps_its_moments(fit, optimizer):
    parent = fit(replace(PARENT, optimizer=optimizer))
    fresh, on = (
        fit(replace(PARENT, optimizer=optimizer, transfer=Transfer(head="kept", optimizer=kept)), parent)
        for kept in (False, True)
    )
    assert moved(fresh, on)
    if optimizer == PARENT.optimizer:
        steps = [float(one.optimizer["dense.bias.step"]) for one in (parent, fresh, on)]
        assert steps[2] == steps[0] + steps[1]


def test_transfer_with_optimizer_equals_longer_training(fit):
    """A child with its parent's last layer and moments does what a further epoch would, but for what it draws."""
    network = replace(PARENT.network, dropout=0.0)
    config = replace(PARENT, train_stride=1, batch_size=10**6, network=network, optimizer=Sgd())
    whole = fit(config.with_epochs(2))
    half = fit(config)
    child = fit(replace(config, transfer=Transfer(head="kept", optimizer=True)), half)
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(child.network.state_dict()[name], value, atol=1e-6, rtol=1e-5)


def test_kept_head_with_unknown_classes_is_an_error(store, array, fit, tmp_path):
    parent = fit(PARENT)
    with pytest.raises(InputError, match="last layer"):
        fit(KEPT, parent, kind="binary")
    recordings = [
        replace(r, labels={"behavior": replace(r.labels["behavior"], frames=np.where(
            r.labels["behavior"].frames == 1, 2, r.labels["behavior"].frames))})
        for r in store
    ]  # fmt: skip
    poorer = write_store(tmp_path / "poorer", recordings)
    inputs = assemble_inputs(poorer, poorer.rows, poorer.rows[:3], PARENT.window, array)
    task = make_task(poorer, "behavior")
    other = fit_baseline(poorer, task, poorer.rows[:3], PARENT, inputs, 0)
    with pytest.raises(InputError, match="last layer"):
        fit(KEPT, other)
    # The other way about nothing is lost: classes that the child does not see keep their column.
    child = fit_baseline(poorer, task, poorer.rows[:3], KEPT, inputs, 0, parent=parent)
    assert child.learned == parent.learned == (0, 1, 2)
    assert np.isfinite(child.predict(inputs, poorer.rows[:1])).all()


def test_mismatched_parent_is_an_error(fit):
    parent = fit(PARENT)
    for config, given, word in (
        (PARENT, parent, "a parent was given"),
        (KEPT, None, "none was given"),
        (replace(KEPT, window=WindowSpan(past=5, future=5, gap=1)), parent, "the parent's window is"),
        (replace(KEPT, network=Conv1dConfig(channels=(7,))), parent, "the parent's network is"),
        (replace(KEPT, paired_logits=True), parent, "the parent's paired_logits is False, not True"),
        (replace(KEPT, optimizer=Sgd(), transfer=Transfer(head="kept", optimizer=True)), parent, "parent's optimizer"),
    ):
        with pytest.raises(InputError, match=word):
            fit(config, given, kind="binary")
