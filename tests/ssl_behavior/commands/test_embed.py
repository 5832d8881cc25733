import numpy as np
import pytest

from ssl_behavior.checkpoint import save_checkpoint
from ssl_behavior.cli import main
from ssl_behavior.embedding import Embeddings
from ssl_behavior.features import FeatureConfig
from ssl_behavior.methods import CPC, CPCConfig
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store


@pytest.fixture
def folders(dyad, tmp_path):
    encoder = EncoderConfig(
        stride=1, latent_dim=5, embedder_dim=7, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1,)
    )
    config = CPCConfig(features=FeatureConfig(blocks=("pose",)), encoder=encoder, horizons_frames=(2,), key_dim=3)
    method = CPC(config, SKELETONS["calms21"], 30.0).float()
    method.featurizer.scale_px.fill_(60.0)
    save_checkpoint(tmp_path / "model", method)
    write_store(tmp_path / "store", [dyad("one", 31), dyad("two", 17, fps=30.1)])
    return str(tmp_path / "model"), str(tmp_path / "store")


def test_a_store_becomes_embeddings(folders, tmp_path, capsys):
    out = str(tmp_path / "e[/m]")
    assert main(["embed", *folders, "--out", out, "--device", "cpu", "--dtype", "float32"]) == 0
    said = capsys.readouterr().out
    assert "2 recordings" in said and "48 frames" in said and "e[/m]" in said
    assert Embeddings(out).array.shape[0] == 48 and Embeddings(out).array.dtype == np.float32


def test_some_recordings_of_a_store(folders, tmp_path):
    assert main(["embed", *folders, "--out", str(tmp_path / "e"), "--device", "cpu", "--recordings", "t*"]) == 0
    assert [row.id for row in Embeddings(tmp_path / "e").rows] == ["two"]


def test_mistakes_are_told_and_nothing_is_made(folders, tmp_path, capsys):
    model, store = folders
    mistakes = {
        "no recording matches 'x*'": [model, store, "--recordings", "x*"],
        "is not a store": [model, model],
        "neither a checkpoint nor a run": [store, store],
        "invalid choice": [model, store, "--dtype", "int8"],
    }
    for words, arguments in mistakes.items():
        assert main(["embed", *arguments, "--out", str(tmp_path / "e"), "--device", "cpu"]) == 2
        assert words in capsys.readouterr().err and not (tmp_path / "e").exists()
