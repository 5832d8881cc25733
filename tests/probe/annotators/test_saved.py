import json

import numpy as np
import pytest
import safetensors.torch
import torch

from probe.annotators.annotator_probe import add_annotator
from probe.postprocessing import smooth
from probe.saved_probes import load_annotators, load_heads, save_annotators
from ssl_behavior.errors import InputError

from .conftest import DIM, FAST
from .test_annotator_probe import own_frames


@pytest.fixture
def saved(probe, styles, tmp_path):
    save_annotators(tmp_path / "probe", probe, styles[2], "c0ffee", ["time"])
    return tmp_path / "probe"


def test_saved_annotator_probe_round_trip(saved, probe, styles):
    store, array, task = styles
    before = torch.get_rng_state()
    loaded = load_annotators(saved)
    assert torch.equal(torch.get_rng_state(), before)
    assert (loaded.classes, loaded.background, loaded.streams, loaded.kind) == (
        task.classes, "other", ("behavior",), "multinomial",
    )  # fmt: skip
    assert (loaded.checkpoint, loaded.without, loaded.dim) == ("c0ffee", ("time",), DIM)
    for annotator in probe.annotators:
        for fit in probe.heads:
            np.testing.assert_array_equal(
                loaded.probabilities(array, store.rows[3], fit, annotator),
                probe.probabilities(array, [store.rows[3]], annotator, fit),
            )


def test_saved_probe_with_added_annotator_round_trip(probe, styles, frames, tmp_path):
    store, array, task = styles
    more = add_annotator(probe, "new one", own_frames(styles, frames, "10"), FAST, 0)
    save_annotators(tmp_path, more, task, "c0ffee")
    loaded = load_annotators(tmp_path)
    assert loaded.task.annotators == loaded.probe.annotators == (*probe.annotators, "new one")
    row = store.rows[-1]
    np.testing.assert_array_equal(
        loaded.probabilities(array, row, annotator="new one"), more.probabilities(array, [row], "new one")
    )


def test_saved_windows_smooth_their_fit(probe, styles, tmp_path):
    store, array, task = styles
    windows = {"plain decision": (0.5, 0.0, 1.0)}
    save_annotators(tmp_path, probe, task, "c0ffee", windows=windows)
    loaded, row = load_annotators(tmp_path), store.rows[2]
    plain = probe.probabilities(array, [row], "1")
    np.testing.assert_array_equal(loaded.probabilities(array, row, "plain", "1"), plain)
    np.testing.assert_array_equal(
        loaded.probabilities(array, row, "plain decision", "1"),
        smooth(plain, [slice(0, row.frames)], [row.fps], windows["plain decision"]),
    )


@pytest.mark.parametrize("harm", ["fewer tensors", "fewer annotators", "other shape", "no task", "not a file"])
def test_damaged_probe_is_an_input_error(saved, harm):
    contents, tensors = json.loads((saved / "probe.json").read_text()), saved / "probe.safetensors"
    loaded = safetensors.torch.load_file(tensors)
    if harm == "fewer tensors":
        del loaded["plain.layers.3.weight"]
    elif harm == "fewer annotators":
        contents["task"]["annotators"] = ["1"]
    elif harm == "other shape":
        loaded["plain.annotator_matrix"] = torch.eye(2)
    elif harm == "no task":
        del contents["task"]
    safetensors.torch.save_file(loaded, tensors)
    if harm == "not a file":
        tensors.write_bytes(b"nothing")
    (saved / "probe.json").write_text(json.dumps(contents))
    with pytest.raises(InputError, match="is damaged: "):
        load_annotators(saved)


def test_loaders_check_the_kind_of_probe(saved, tmp_path):
    with pytest.raises(InputError, match="expected 'linear'"):
        load_heads(saved)
    with pytest.raises(InputError, match="is not a probe"):
        load_annotators(tmp_path)
