import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from ssl_behavior.checkpoint import (
    best_streams,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    load_training_state,
    save_checkpoint,
)
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig
from ssl_behavior.methods import CPC, CPCConfig
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.skeleton import SKELETONS
from tests.conftest import fingerprint

CONFIG = CPCConfig(
    features=FeatureConfig(blocks=("pose",)),
    encoder=EncoderConfig(
        stride=1, latent_dim=5, embedder_dim=7, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1,)
    ),
    horizons_frames=(2,),
    key_dim=3,
)


@pytest.fixture(scope="module")
def method():
    torch.manual_seed(0)
    method = CPC(CONFIG, SKELETONS["calms21"], 30.0)
    method.featurizer.mean.normal_()
    method.featurizer.fitted.fill_(True)
    return method


@pytest.fixture
def saved(method, tmp_path):
    save_checkpoint(tmp_path / "model", method, {"step": 7}, {"step": 7, "moments": [torch.ones(2)]})
    return tmp_path / "model"


def test_what_is_loaded_is_what_was_saved_with_its_buffers(method, saved):
    loaded = load_checkpoint(saved)
    assert type(loaded) is CPC and not loaded.training
    assert (loaded.config, loaded.skeleton, loaded.fps) == (method.config, method.skeleton, method.fps)
    assert loaded.state_dict().keys() == method.state_dict().keys()
    for name, tensor in method.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_loading_leaves_the_callers_random_numbers_alone(saved):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_checkpoint(saved)
    assert torch.equal(torch.rand(3), expected)


def test_the_config_says_what_it_is(saved):
    contents = json.loads((saved / "config.json").read_text())
    assert (contents["format"], contents["version"], contents["method"]) == ("ssl-behavior checkpoint", 1, "cpc")
    assert contents["extra"] == {"step": 7} and contents["versions"].keys() >= {"torch", "ssl-behavior"}


def test_the_fingerprint_is_of_the_weights(method, saved, tmp_path):
    save_checkpoint(tmp_path / "same", method, {"step": 8})
    assert fingerprint(saved) == fingerprint(tmp_path / "same")
    changed = method.fresh(1)
    save_checkpoint(tmp_path / "other", changed)
    assert fingerprint(saved) != fingerprint(tmp_path / "other")


def test_training_state_comes_back(saved):
    state = load_training_state(saved)
    assert state["step"] == 7 and torch.equal(state["moments"][0], torch.ones(2))


def edit(folder, **changes):
    contents = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(contents | changes))


def edit_tensors(folder, change):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    change(tensors)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")


DAMAGES = {
    "newer": (lambda f: edit(f, version=2), "format version 2; this program reads version 1: update"),
    "not ours": (lambda f: edit(f, format="?"), "is not a checkpoint"),
    "no config": (lambda f: (f / "config.json").unlink(), "is not a checkpoint: it has no config.json"),
    "config not JSON": (lambda f: (f / "config.json").write_text("{"), "config.json is damaged"),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), "is not a checkpoint"),
    "unknown method": (lambda f: edit(f, method="gpt"), r"unknown method 'gpt'; this program knows \['cpc'"),
    "unknown key": (lambda f: edit(f, config={"depth": 3}), "unknown key 'depth'"),
    "bad skeleton": (lambda f: edit(f, skeleton={}), "config.json"),
    "bad fps": (lambda f: edit(f, fps="fast"), "config.json"),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-9]),
        "model.safetensors is missing or damaged",
    ),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "model.safetensors is missing or damaged"),
    "tensor missing": (
        lambda f: edit_tensors(f, lambda t: t.pop("prediction.key.weight")),
        "lacks the tensor 'prediction.key.weight'",
    ),
    "tensor left over": (
        lambda f: edit_tensors(f, lambda t: t.update(extra=torch.ones(1))),
        "has the unknown tensor 'extra'",
    ),
    "tensor of another shape": (
        lambda f: edit_tensors(f, lambda t: t.update({"prediction.key.weight": torch.ones(2, 2)})),
        r"'prediction.key.weight' has shape \[2, 2\], its config.json asks for \[3, 5\]",
    ),
    "not finite": (
        lambda f: edit_tensors(f, lambda t: t["prediction.key.weight"].fill_(float("nan"))),
        "'prediction.key.weight' has values that are not finite",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told_in_one_sentence(saved, damage):
    change, message = DAMAGES[damage]
    change(saved)
    with pytest.raises(InputError, match=message) as caught:
        load_checkpoint(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a zip", None])
def test_a_damaged_training_state_is_told(saved, content):
    whole = (saved / "training.pt").read_bytes()
    (saved / "training.pt").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(InputError, match=r"training\.pt is damaged"):
        load_training_state(saved)


def test_a_training_state_that_could_run_code_is_refused(saved, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (tmp_path.joinpath("pwned").touch, ())

    torch.save({"step": Hostile()}, saved / "training.pt")
    with pytest.raises(InputError, match=r"training\.pt is damaged"):
        load_training_state(saved)
    assert not (tmp_path / "pwned").exists()


def test_a_checkpoint_without_training_state_cannot_be_resumed(method, tmp_path):
    save_checkpoint(tmp_path / "model", method)
    with pytest.raises(InputError, match=r"cannot be resumed: it has no training\.pt"):
        load_training_state(tmp_path / "model")


@pytest.fixture
def run_folder(method, tmp_path):
    for step in (2, 10, 9):
        save_checkpoint(tmp_path / "run" / "checkpoints" / f"step-{step:09d}", method)
    (tmp_path / "run" / "checkpoints" / ".step-000000011.partial-3").mkdir()
    (tmp_path / "run" / "checkpoints" / "best.json").write_text('{"checkpoint": "step-000000009"}')
    return tmp_path / "run"


def test_a_run_means_its_newest_or_its_best(run_folder):
    assert [path.name[-2:] for path in list_checkpoints(run_folder)] == ["02", "09", "10"]
    assert find_checkpoint(run_folder).name == "step-000000010"
    assert find_checkpoint(run_folder, best=True).name == "step-000000009"
    one = run_folder / "checkpoints" / "step-000000002"
    assert find_checkpoint(one, best=True) == one
    (run_folder / "checkpoints" / "best.json").unlink()
    assert find_checkpoint(run_folder, best=True).name == "step-000000010"


def test_a_stream_named_is_found_or_refused(run_folder):
    pointer = run_folder / "checkpoints" / "best.json"
    with pytest.raises(InputError, match=r"no best weights for labels 'S1': it was validated on no labels"):
        find_checkpoint(run_folder, best="S1")
    pointer.write_text('{"streams": {"S1": {"checkpoint": "step-000000002", "ap": 0.5}}}')
    assert best_streams(run_folder) == {"S1": "step-000000002"}
    assert find_checkpoint(run_folder, best="S1").name == "step-000000002"
    assert find_checkpoint(run_folder, best=True).name == "step-000000010", "no validation loss, no best"
    with pytest.raises(InputError, match=r"no best weights for labels 'S2': it has those for \['S1'\]"):
        find_checkpoint(run_folder, best="S2")
    pointer.unlink()
    assert best_streams(run_folder) == {}


def test_nothing_there_is_told(tmp_path):
    with pytest.raises(InputError, match="there is no such run or checkpoint"):
        find_checkpoint(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither a checkpoint nor a run"):
        find_checkpoint(tmp_path)


def test_a_full_disk_leaves_nothing(method, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="the disk is full"):
        save_checkpoint(tmp_path / "model", method)
    assert not list(tmp_path.iterdir())


def test_an_existing_checkpoint_is_not_replaced(method, saved):
    before = fingerprint(saved)
    with pytest.raises(InputError, match="exists already"):
        save_checkpoint(saved, method.fresh(3))
    assert fingerprint(saved) == before


def test_another_config_makes_other_shapes(saved):
    other = replace(CONFIG, key_dim=4)
    edit(saved, config=asdict(other))
    with pytest.raises(InputError, match="has shape"):
        load_checkpoint(saved)
