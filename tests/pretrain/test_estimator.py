"""scikit-learn's promises, and a short training through the estimator."""

import pickle
import signal

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

import ssl_behavior
from pretrain.estimator import PoseEmbedder
from pretrain.loop import Trainer
from ssl_behavior.embedding import load
from ssl_behavior.errors import InputError
from ssl_behavior.store import write_store

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
    overrides = {"precision": "float32"}
    return PoseEmbedder(recipe="cpc_tiny", steps=2, seed=5, out=out, device="cpu", overrides=overrides).fit(recordings)


def test_every_frame_of_every_recording_has_an_embedding(fitted, recordings):
    embedded, apart = fitted.transform(recordings), fitted.encoder_.transform(recordings)
    assert [e.shape for e in apart] == [(n, fitted.encoder_.dim) for n in LENGTHS]
    np.testing.assert_array_equal(embedded, np.concatenate(apart))
    assert embedded.dtype == np.float32 and np.isfinite(embedded).all()
    assert fitted.transform([]).shape == (0, fitted.encoder_.dim)


def test_a_recording_is_mean_and_standard_deviation_of_its_frames(fitted, recordings):
    apart = fitted.encoder_.transform(recordings)
    whole = clone(fitted).set_params(rows="recordings")
    whole.encoder_ = fitted.encoder_
    wide = [one.astype(np.float64) for one in apart]
    expected = [np.concatenate([one.mean(0), one.std(0)]) for one in wide]
    np.testing.assert_allclose(whole.transform(recordings), expected, rtol=1e-6, atol=1e-12)
    frame = whole.set_output(transform="pandas").transform(recordings)
    assert list(frame.columns) == list(whole.get_feature_names_out()) and frame.columns[0].endswith("_0_mean")


@pytest.mark.filterwarnings("ignore:.*batch:UserWarning")
def test_a_pipeline_is_cross_validated_by_recording(dyad):
    recordings = [dyad(f"r{n}", 61 + n, seed=n) for n in range(6)]
    settings = {"recipe": "cpc_tiny", "steps": 1, "device": "cpu", "verbose": False}
    model = make_pipeline(PoseEmbedder(rows="recordings", **settings), LogisticRegression())
    labels, groups = [0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2]
    scores = cross_val_score(model, recordings, labels, groups=groups, cv=GroupKFold(3), error_score="raise")
    assert scores.shape == (3,) and np.isfinite(scores).all()
    frames = np.concatenate([np.arange(one.num_frames) % 2 for one in recordings])
    head = LogisticRegression(solver="liblinear", tol=1.0)
    by_frame = make_pipeline(PoseEmbedder(**settings), head).fit(recordings, frames)
    assert by_frame.predict(recordings[:1]).shape == (recordings[0].num_frames,)


def test_an_encoder_survives_a_pickle(fitted, recordings):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(recordings[:1]), fitted.transform(recordings[:1]))


def test_a_saved_encoder_gives_the_same_and_says_what_it_is(fitted, recordings, tmp_path):
    folder = fitted.encoder_.save_pretrained(tmp_path / "m", license="cc-by-4.0", description="Two mice in a cage.")
    again = ssl_behavior.Encoder.from_pretrained(folder, device="cpu")
    np.testing.assert_array_equal(again.embed(recordings[0]), fitted.encoder_.embed(recordings[0]))
    assert again.origin["extra"] == fitted.encoder_.origin["extra"]
    card = (folder / "README.md").read_text()
    fingerprint = again.origin["extra"]["data_fingerprint"]
    for words in ("license: cc-by-4.0", "Two mice in a cage.", "| Steps | 2 |", fingerprint, "told apart: resident"):
        assert words in card
    with pytest.raises(InputError, match="m exists already: choose another `path`, or pass `overwrite`"):
        fitted.encoder_.save_pretrained(folder)
    with pytest.raises(InputError, match="`license` must be an identifier such as cc"):
        fitted.encoder_.save_pretrained(tmp_path / "n", license="mine\nall: mine")
    assert not (tmp_path / "n").exists()
    fitted.encoder_.save_pretrained(folder, overwrite=True)
    assert "Not stated" in (folder / "README.md").read_text()


def test_pretraining_is_a_function_of_stores(recordings, tmp_path, capsys):
    store = ssl_behavior.write_store(tmp_path / "store", recordings)
    settings = {"recipe": "cpc_tiny", "steps": 1, "device": "cpu", "overrides": {"precision": "float32"}}
    ssl_behavior.pretrain(store, **settings)
    said = capsys.readouterr().out
    assert "done: 1 steps" in said and "the model is in" not in said
    quiet = ssl_behavior.pretrain(store, verbose=False, **settings)
    assert capsys.readouterr().out == ""
    kept = ssl_behavior.pretrain([store.path], out=tmp_path / "run", **settings)
    assert "1 steps" in capsys.readouterr().out
    for one, other in zip(quiet.transform(store), kept.transform(list(store)), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(InputError, match="holds a run already: pass `resume`"):
        ssl_behavior.pretrain(store, out=tmp_path / "run", **settings)
    assert ssl_behavior.pretrain(store, out=tmp_path / "run", resume=True, **settings).dim == kept.dim


@pytest.mark.parametrize(
    ("kept", "words"),
    [(True, "saved. Continue with `resume` and `out="), (False, "; not saved: pass `out` to keep what is learned")],
)
def test_an_interrupted_run_says_whether_it_is_kept(kept, words, recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Trainer, "train", lambda *_: signal.SIGINT)
    store = ssl_behavior.write_store(tmp_path / "store", recordings)
    with pytest.raises(KeyboardInterrupt):
        ssl_behavior.pretrain(store, "cpc_tiny", 1, device="cpu", out=tmp_path / "run" if kept else None)
    assert words in capsys.readouterr().out.replace("\n", "")


def test_an_encoder_learns_further_from_other_recordings(fitted, recordings, tmp_path, capsys):
    fitted.encoder_.save_pretrained(tmp_path / "encoder")
    encoder = load(tmp_path / "encoder", "cpu", without=["time"])
    before, dim = encoder.method.fingerprint(), encoder.dim
    store = write_store(tmp_path / "store", recordings)
    with pytest.raises(InputError, match="`steps`"):
        encoder.fit(store, steps=0)
    assert encoder.method.fingerprint() == before
    settings = {"steps": 2, "device": "cpu", "overrides": {"precision": "float32", "optim.lr": 1e-9}, "verbose": False}
    assert encoder.fit(store, out=tmp_path / "run", **settings) is encoder and encoder.dim == dim
    assert encoder.method.config == fitted.encoder_.method.config and capsys.readouterr().out == ""
    # It starts from its weights: at this learning rate they stay what they were, but for the last bits.
    for own, old in zip(encoder.method.parameters(), fitted.encoder_.method.parameters(), strict=True):
        torch.testing.assert_close(own, old, atol=1e-5, rtol=1e-3)
    assert encoder.method.fingerprint() != before


@pytest.mark.parametrize(
    ("stores", "arguments", "message"),
    [
        ([], {}, "`stores` is empty; expected a store, its folder, or a list"),
        ("nowhere", {}, "nowhere is not a store"),
        ("nowhere", {"recipe": "gpt"}, "`recipe`: unknown recipe 'gpt'; known: "),
        ("nowhere", {"resume": True}, "`resume` needs `out`"),
        ("nowhere", {"steps": 0}, "`steps` must be a whole number of 1 or more, got 0"),
        ("nowhere", {"device": "gpu"}, "unknown device 'gpu'"),
        ("nowhere", {"overrides": {"steps": 3}}, "`overrides` has steps: pass it as an argument"),
        ("nowhere", {"overrides": {"optim.speed": 3}}, "overrides: optim: unknown key .*speed"),
    ],
)
def test_mistakes_name_the_argument(stores, arguments, message):
    with pytest.raises(InputError, match=message):
        ssl_behavior.pretrain(stores, **{"recipe": "cpc_tiny", "verbose": False} | arguments)


def test_the_run_that_was_kept_is_the_encoder(fitted, recordings):
    loaded = ssl_behavior.load(fitted.out, device="cpu")
    np.testing.assert_array_equal(loaded.embed(recordings[0]), fitted.transform(recordings[:1]))
    assert loaded.groups == fitted.encoder_.groups and sum(loaded.groups.values()) == loaded.dim
    newest = load(fitted.out, device="cpu", best=False)
    assert newest.dim == loaded.dim


def test_a_store_is_embedded_through_the_encoder(fitted, recordings, tmp_path):
    store = ssl_behavior.write_store(tmp_path / "store", recordings)
    embeddings = fitted.encoder_.embed_store(store, tmp_path / "e", dtype="float32")
    np.testing.assert_allclose(
        embeddings.array[embeddings.row("r211").slice], fitted.transform(recordings[1:2]), rtol=0, atol=1e-5
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


def test_mistakes_in_settings(recordings, tmp_path):
    with pytest.raises(InputError, match=r"unknown recipe 'gpt'; known: \['cpc'"):
        PoseEmbedder(recipe="gpt").fit(recordings)
    with pytest.raises(InputError, match=r"`rows` must be one of \['frames', 'recordings'\], got 'days'"):
        PoseEmbedder(rows="days").fit(recordings)
    with pytest.raises(InputError, match=r"overrides: unknown key 'learning_rate'; known: .*'steps'"):
        PoseEmbedder(recipe="cpc_tiny", overrides={"learning_rate": 1.0}).fit(recordings)
    with pytest.raises(InputError, match="no recordings"):
        PoseEmbedder(recipe="cpc_tiny").fit([])
    with pytest.raises(InputError, match="no such run or checkpoint"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_no_attributes_set_in_init",
        "check_get_params_invariance",
        "check_set_params",
        "check_valid_tag_types",
        "check_mixin_order",
        "check_do_not_raise_errors_in_init_or_set_param",
        "check_parameters_default_constructible",
    ],
)
def test_checks_of_scikit_learn_that_need_no_matrix(check):
    """The others call `fit` with a matrix; recordings are none."""
    found = getattr(estimator_checks, check, None)
    if found is None:
        pytest.skip(f"this scikit-learn has no {check}")
    found("PoseEmbedder", PoseEmbedder())
