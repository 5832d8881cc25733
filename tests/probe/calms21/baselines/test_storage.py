"""Trained baselines come back from disk bit by bit, or with a sentence that says why not."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import safetensors.torch
import torch

from probe.calms21.baselines import (
    AttentionConfig,
    BaselineConfig,
    Conv1dConfig,
    FullyConnectedConfig,
    LstmConfig,
    MsG3dConfig,
    Phase,
    Sgd,
    WindowSpan,
    assemble_inputs,
    fit_baseline,
    load_baseline,
    save_baseline,
)
from probe.tasks import make_task
from ssl_behavior.errors import InputError

SMALL = BaselineConfig(
    network=Conv1dConfig(channels=(7,), kernel_size=3, dropout=0.2),
    window=WindowSpan(past=5, future=3, gap=1),
    phases=(Phase(epochs=1, lr=3e-3),),
    train_stride=11,
)
NETWORKS = (
    SMALL.network,
    FullyConnectedConfig(widths=(7,)),
    LstmConfig(units=7, widths=(5,)),
    AttentionConfig(channels=(7,)),
    MsG3dConfig(channels=(6,), strides=(1,), scales=2, window_scales=2, windows=(3,)),
)


def fit(store, config, array=None):
    rows = store.rows[:3]
    inputs = assemble_inputs(store, rows, rows, config.window, array)
    return fit_baseline(store, make_task(store, "behavior"), rows, config, inputs, 0), inputs


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.kind)
def test_saved_baseline_round_trip(network, store, array, tmp_path):
    optimizer = Sgd() if isinstance(network, MsG3dConfig) else SMALL.optimizer
    config = replace(SMALL, network=network, optimizer=optimizer, class_weights={"attack": 2.0})
    trained, inputs = fit(store, config, None if isinstance(network, MsG3dConfig) else array)
    save_baseline(tmp_path / "kept", trained)
    again = load_baseline(tmp_path / "kept")
    assert np.array_equal(trained.predict(inputs, store.rows[:3]), again.predict(inputs, store.rows[:3]))
    for field in fields(trained):
        if field.name not in ("network", "optimizer", "scaling"):
            assert getattr(trained, field.name) == getattr(again, field.name), field.name
    for old, new in ((trained.network.state_dict(), again.network.state_dict()), (trained.optimizer, again.optimizer)):
        assert old.keys() == new.keys() and old
        assert all(torch.equal(old[name], new[name]) for name in old)
    assert not again.network.training


def test_existing_folders_are_not_replaced(store, tmp_path):
    trained, _ = fit(store, SMALL)
    save_baseline(tmp_path / "kept", trained)
    with pytest.raises(InputError, match="exists already"):
        save_baseline(tmp_path / "kept", trained)
    save_baseline(tmp_path / "kept", trained, overwrite=True)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        save_baseline(tmp_path / "own", trained, overwrite=True)


def test_damaged_baseline_is_an_input_error(store, tmp_path):
    trained, _ = fit(store, SMALL)
    folder = tmp_path / "kept"
    save_baseline(folder, trained)
    tensors, contents = folder / "baseline.safetensors", folder / "baseline.json"
    whole, text = tensors.read_bytes(), contents.read_text()
    found = safetensors.torch.load(whole)
    lacking = {name: tensor for name, tensor in found.items() if name != "network.dense.bias"}
    for bytes_ in (whole[:100], b"", safetensors.torch.save(lacking), safetensors.torch.save({})):
        tensors.write_bytes(bytes_)
        with pytest.raises(InputError, match="is damaged"):
            load_baseline(folder)
    tensors.unlink()
    with pytest.raises(InputError, match="is damaged"):
        load_baseline(folder)
    tensors.write_bytes(whole)
    values = json.loads(text)
    for changes, word in (
        ({"version": 2}, "format version 2"),
        ({"format": "ssl-behavior probe"}, "is not a baseline"),
        ({"learned": [0, 1]}, "is damaged"),
        ({"config": values["config"] | {"network": {"kind": "oracle"}}}, "expected one of"),
        ({"groups": None}, "is damaged"),
    ):
        contents.write_text(json.dumps(values | changes))
        with pytest.raises(InputError, match=word):
            load_baseline(folder)
    with pytest.raises(InputError, match="has no baseline"):
        load_baseline(tmp_path)
