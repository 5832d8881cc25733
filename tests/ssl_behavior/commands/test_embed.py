import numpy as np
import pytest

from ssl_behavior.checkpoint import save_checkpoint
from ssl_behavior.cli import main
from ssl_behavior.embedding import load
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.features import FeatureConfig
from ssl_behavior.methods import CPC, CPCConfig
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, write_store


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


def test_embed_writes_one_row_per_frame_of_a_store(folders, tmp_path, capsys):
    out = str(tmp_path / "e[/m]")
    assert main(["embed", *folders, "--out", out, "--device", "cpu", "--dtype", "float32"]) == 0
    output = capsys.readouterr().out
    assert "2 recordings" in output and "48 frames" in output and "e[/m]" in output
    assert Embeddings(out).array.shape[0] == 48 and Embeddings(out).array.dtype == np.float32


def test_recordings_option_selects_recordings(folders, tmp_path):
    assert main(["embed", *folders, "--out", str(tmp_path / "e"), "--device", "cpu", "--recordings", "t*"]) == 0
    assert [row.id for row in Embeddings(tmp_path / "e").rows] == ["two"]


def test_groups_of_columns_can_be_left_out(folders, tmp_path):
    argv = ["embed", *folders, "--device", "cpu", "--dtype", "float32"]
    assert main([*argv, "--out", str(tmp_path / "all")]) == 0
    assert main([*argv, "--out", str(tmp_path / "learned"), "--without", "features_*", "--without", "time"]) == 0
    whole, learned = Embeddings(tmp_path / "all"), Embeddings(tmp_path / "learned")
    assert list(learned.groups) == ["past_context", "future_context", "latent"] and learned.dim == 27
    np.testing.assert_array_equal(learned.array, whole.array[:, :27])
    encoder = load(folders[0], device="cpu", without=["features_*", "time"])
    assert encoder.groups == learned.groups and encoder.dim == 27
    row, recording = learned.row("one"), Store(folders[1]).recording("one")
    np.testing.assert_allclose(encoder.embed(recording), learned.array[row.slice], rtol=0, atol=1e-6)


def test_groups_option_adds_groups_that_are_off_by_default(folders, tmp_path):
    words = ["embed", *folders, "--out", str(tmp_path / "e"), "--device", "cpu", "--dtype", "float32"]
    assert main([*words, "--groups", "latent", "features_12_frames", "walls"]) == 0
    embeddings = Embeddings(tmp_path / "e")
    encoder = load(folders[0], device="cpu", only=["latent", "features_12_frames", "walls"])
    assert list(embeddings.groups) == ["latent", "features_12_frames", "walls"] and encoder.groups == embeddings.groups
    row, recording = embeddings.row("one"), Store(folders[1]).recording("one")
    np.testing.assert_allclose(encoder.embed(recording), embeddings.array[row.slice], rtol=0, atol=1e-6)


def test_user_errors_exit_2_and_write_nothing(folders, tmp_path, capsys):
    model, store = folders
    mistakes = {
        "no recording matches 'x*'": [model, store, "--recordings", "x*"],
        "is not a store": [model, model],
        "neither a checkpoint nor a run": [store, store],
        "invalid choice": [model, store, "--dtype", "int8"],
        "no columns 'walls'; it has ['past_context'": [model, store, "--without", "walls"],
        "and --groups adds any of ['features_N_frames', 'time', 'walls']": [model, store, "--groups", "summary"],
        "feature_window_frames must be at least 1": [model, store, "--groups", "features_0_frames"],
        "leaves nothing": [model, store, "--without", "*"],
    }
    for words, arguments in mistakes.items():
        assert main(["embed", *arguments, "--out", str(tmp_path / "e"), "--device", "cpu"]) == 2
        assert words in capsys.readouterr().err and not (tmp_path / "e").exists()
