"""scikit-learn's promises, and a short training through the estimator."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import ssl_behavior
from pretrain.estimator import PoseEmbedder
from ssl_behavior.embedding import load
from ssl_behavior.errors import InputError

LENGTHS = (151, 211, 3)


@pytest.fixture(autouse=True)
def _single_precision():
    """Training is tested as it runs."""
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def recordings(dyad):
    return [dyad(f"r{n}", n, seed=n, missing=0.05) for n in LENGTHS]


@pytest.fixture(scope="module")
def fitted(recordings, tmp_path_factory):
    torch.set_default_dtype(torch.float32)
    out = tmp_path_factory.mktemp("estimator") / "run"
    overrides = {"device": "cpu", "precision": "float32"}
    return PoseEmbedder(recipe="cpc_tiny", steps=2, seed=5, out=out, overrides=overrides).fit(recordings)


def test_every_frame_of_every_recording_has_an_embedding(fitted, recordings):
    embedded = fitted.transform(recordings)
    assert [e.shape for e in embedded] == [(n, fitted.encoder_.dim) for n in LENGTHS]
    assert all(e.dtype == np.float32 and np.isfinite(e).all() for e in embedded)


def test_the_run_that_was_kept_is_the_encoder(fitted, recordings):
    loaded = ssl_behavior.load(fitted.out, device="cpu")
    np.testing.assert_array_equal(loaded.embed(recordings[0]), fitted.transform(recordings[:1])[0])
    assert loaded.groups == fitted.encoder_.groups and sum(loaded.groups.values()) == loaded.dim
    newest = load(fitted.out, device="cpu", best=False)
    assert newest.dim == loaded.dim


def test_a_store_is_embedded_through_the_encoder(fitted, recordings, tmp_path):
    store = ssl_behavior.write_store(tmp_path / "store", recordings)
    embeddings = fitted.encoder_.embed_store(store, tmp_path / "e", dtype="float32")
    np.testing.assert_allclose(
        embeddings.array[embeddings.row("r211").slice], fitted.transform(recordings)[1], rtol=0, atol=1e-5
    )


def test_columns_have_names(fitted):
    names = fitted.get_feature_names_out()
    assert len(names) == len(set(names)) == fitted.encoder_.dim and names[0].endswith("_0")


def test_an_unfitted_estimator_says_so(recordings):
    with pytest.raises(NotFittedError):
        PoseEmbedder().transform(recordings)
    with pytest.raises(NotFittedError):
        PoseEmbedder().get_feature_names_out()


def test_a_clone_has_the_settings_and_not_the_training(fitted):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params() and not hasattr(copy, "encoder_")
    assert copy.set_params(steps=7).steps == 7 and fitted.steps == 2


def test_mistakes_are_told(recordings, tmp_path):
    with pytest.raises(InputError, match=r"unknown recipe 'gpt'; known: \['cpc'"):
        PoseEmbedder(recipe="gpt").fit(recordings)
    with pytest.raises(InputError, match=r"overrides: unknown key 'learning_rate'; known: .*'steps'"):
        PoseEmbedder(recipe="cpc_tiny", overrides={"learning_rate": 1.0}).fit(recordings)
    with pytest.raises(InputError, match="no recordings"):
        PoseEmbedder(recipe="cpc_tiny").fit([])
    with pytest.raises(InputError, match="no such run or checkpoint"):
        load(tmp_path / "nowhere")
