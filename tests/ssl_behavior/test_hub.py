"""Encoders on a model hub, with a stand-in for its client: what is uploaded, what is loaded, and refusals."""

import shutil
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from ssl_behavior.embedding import Encoder, load
from ssl_behavior.errors import InputError
from ssl_behavior.methods import CPC
from ssl_behavior.skeleton import SKELETONS
from tests.probe.conftest import TINY_CPC


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub in a folder, with the three functions of huggingface_hub that are used."""
    client = ModuleType("huggingface_hub")
    client.created = []

    def create_repo(name, *, private, token, exist_ok):
        if name.startswith("other/"):
            raise OSError("403 Forbidden: you have no write access\nrequest 17")
        client.created.append((name, private, token, exist_ok))

    def upload_folder(*, repo_id, folder_path, token, commit_message):
        shutil.copytree(folder_path, tmp_path / "hub" / repo_id)
        return SimpleNamespace(repo_url=f"https://hub.example/{repo_id}")

    def snapshot_download(name, allow_patterns):
        if not (tmp_path / "hub" / name).exists():
            raise OSError(f"404: no repository {name}")
        return str(tmp_path / "hub" / name)

    client.create_repo, client.upload_folder, client.snapshot_download = create_repo, upload_folder, snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    return client


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder(CPC(TINY_CPC, SKELETONS["calms21"], 30.0), "cpu")


def test_an_encoder_comes_back_with_its_card(hub, encoder, tmp_path):
    address = encoder.push_to_hub("lab/rats", license="mit", description="Two rats in an open field.", token="secret")
    assert address == "https://hub.example/lab/rats" and hub.created == [("lab/rats", True, "secret", True)]
    card = (tmp_path / "hub" / "lab" / "rats" / "README.md").read_text(encoding="utf-8")
    assert "license: mit" in card and "Two rats in an open field." in card
    assert not any(
        "secret" in path.read_text(errors="ignore") for path in (tmp_path / "hub").rglob("*") if path.is_file()
    )
    again = Encoder.from_pretrained("hf://lab/rats", device="cpu")
    assert again.method.fingerprint() == load("hf://lab/rats", "cpu").method.fingerprint()
    assert again.method.fingerprint() == encoder.method.fingerprint()


@pytest.mark.parametrize("name", ["rats", "lab/rats/more", "lab/ra ts", ""])
def test_names_that_are_none_are_refused(hub, encoder, name):
    with pytest.raises(InputError, match="`repo_id` must be a name on the hub"):
        encoder.push_to_hub(name)
    assert hub.created == []


def test_refusals_of_the_hub_are_one_sentence(hub, encoder):
    with pytest.raises(
        InputError,
        match=r"^'other/rats': the hub .* refuses: 403 Forbidden: you have no write access$",
    ):
        encoder.push_to_hub("other/rats")
    with pytest.raises(InputError, match="'lab/none': the hub cannot be reached, or refuses: 404"):
        Encoder.from_pretrained("hf://lab/none")


def test_without_the_client_the_extra_is_named(monkeypatch, encoder):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'ssl-behavior\[hub\]'"):
        encoder.push_to_hub("lab/rats")
    with pytest.raises(InputError, match=r"pip install 'ssl-behavior\[hub\]'"):
        Encoder.from_pretrained("hf://lab/rats")
