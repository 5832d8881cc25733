import json
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.checkpoint import save_checkpoint
from ssl_behavior.cli import main
from ssl_behavior.commands import info
from ssl_behavior.embedding import embed_store
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig
from ssl_behavior.label_changes import rename_behavior, rename_stream
from ssl_behavior.methods import CPC, CPCConfig
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.recording import Labels
from ssl_behavior.retrieval import IndexConfig, build_index
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store


@pytest.fixture
def method():
    encoder = EncoderConfig(
        stride=1, latent_dim=5, embedder_dim=7, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1,)
    )
    config = CPCConfig(features=FeatureConfig(blocks=("pose",)), encoder=encoder, horizons_frames=(2,), key_dim=3)
    method = CPC(config, SKELETONS["calms21"], 30.0)
    method.featurizer.scale_px.fill_(60.0)
    return method


@pytest.fixture
def store(dyad, tmp_path):
    labels = {"S1": Labels(vocabulary=("[mount]", "[/attack]"), frames=np.zeros(31, int))}
    recordings = [replace(dyad("one", 31), labels=labels, subset="train"), dyad("two", 17)]
    return write_store(tmp_path / "sto[/re]", recordings)


def test_store_is_described(store, capsys):
    assert main(["info", str(store.path)]) == 0
    out = capsys.readouterr().out
    for words in ("48", "calms21", "[mount], [/attack]; in 1 recording ", store.fingerprint()[:16], "sto[/re]"):
        assert words in out


def test_changes_of_labels_are_listed_newest_last(store, capsys):
    rename_behavior(store.path, "S1", "[mount]", "climb")
    made = rename_stream(store.path, "S1", "aggression")
    assert main(["info", str(store.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    changes = [line.strip() for line in lines if line.strip().startswith("label change")]
    assert [line.split()[2] for line in changes] == ["1", "2"] and "climb" in changes[0]
    assert made.sentence in changes[1]
    path = store.path / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"label_changes": 7}))
    with pytest.raises(InputError, match="expected a list of changes"):
        info.main([str(store.path)])


def test_checkpoint_is_described(method, tmp_path, capsys):
    save_checkpoint(tmp_path / "model", method, {"step": 7})
    assert main(["info", str(tmp_path / "model")]) == 0
    out = capsys.readouterr().out
    assert "cpc" in out and f"{method.embedding_dim} columns" in out and "30 frames per second" in out


def test_embeddings_are_described(method, store, tmp_path, capsys):
    embed_store(method, store, tmp_path / "e")
    assert main(["info", str(tmp_path / "e")]) == 0
    out = capsys.readouterr().out
    assert "48" in out and "float16" in out and "latent 5" in out


def test_run_is_described(method, tmp_path, capsys):
    run = tmp_path / "run"
    save_checkpoint(run / "checkpoints" / "step-000000007", method, {"step": 7})
    contents = {"format": "ssl-behavior run", "config": {"steps": 7, "seed": 3}, "git_commit": "abc"}
    (run / "config.json").write_text(json.dumps(contents))
    assert main(["info", str(run)]) == 0
    out = capsys.readouterr().out
    assert "step-000000007" in out and "seed" in out and "cpc" in out


def test_results_are_described(tmp_path, capsys):
    (tmp_path / "results.json").write_text(json.dumps({"task": "[S1]", "macro_f1": 0.5, "classes": {}}))
    assert main(["info", str(tmp_path)]) == 0
    assert "[S1]" in capsys.readouterr().out


def test_index_is_described(embeddings_of, tmp_path, capsys):
    points = np.random.default_rng(0).normal(size=(307, 5)).astype(np.float32)
    embeddings = embeddings_of(tmp_path / "e", points, (211, 96))
    build_index(embeddings, tmp_path / "i", config=IndexConfig(stride=3))
    assert main(["info", str(tmp_path / "i")]) == 0
    out = capsys.readouterr().out
    assert "flat (Flat)" in out and "103, every 3" in out and "exact" in out and "latent 5" in out
    (tmp_path / "i" / "index.json").write_text('{"format": "ssl-behavior index", "version": 1, "recordings": [["a"]]}')
    with pytest.raises(InputError, match="is damaged: the index cannot be read"):
        info.main([str(tmp_path / "i")])


def test_description_is_described(tmp_path, capsys):
    card = {"cluster": 3, "share": 0.125, "sentence": "Both [fast] together"}
    contents = {"format": "ssl-behavior cards", "version": 1, "num_recordings": 2, "num_frames": 1234}
    (tmp_path / "cards.json").write_text(json.dumps(contents | {"clusters": [card]}))
    assert main(["info", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "2 recordings, 1,234 frames" in out and "cluster 3 (12.5%)" in out and "Both [fast] together" in out
    (tmp_path / "cards.json").write_text(json.dumps(contents))
    with pytest.raises(InputError, match=r"cards\.json is damaged"):
        info.main([str(tmp_path)])


def test_file_in_a_folder_means_the_folder(store, capsys):
    assert main(["info", str(store.path / "store.json")]) == 0
    assert store.fingerprint()[:16] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "content"),
    [("store.json", "{"), ("results.json", "[1]"), ("config.json", "{}"), ("embeddings.json", "{}"),
     ("config.json", '{"format": "ssl-behavior run"}'), ("config.json", "[]")],
)  # fmt: skip
def test_damaged_folder_raises(file, content, tmp_path):
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=tmp_path.name):
        info.main([str(tmp_path)])


def test_unknown_folder_raises(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="is no store, run, checkpoint, embeddings, index, clusters"):
            info.main([str(path)])
