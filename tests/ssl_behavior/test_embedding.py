"""Embeddings equal those of one pass, for any chunks, interruptions and entry points."""

import errno
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_behavior import embedding as embedding_module
from ssl_behavior.embedding import Encoder, checked_recordings, embed_recording, embed_store
from ssl_behavior.embeddings_folder import Embeddings, EmbeddingsWriter
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig
from ssl_behavior.methods import CPC, CPCConfig, group_slices
from ssl_behavior.methods.conv_base import EmbeddingConfig
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.pose_geometry import SceneConfig
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowReader

LENGTHS = (211, 2, 101, 1, 53)


FILLED, TIGHT = (
    SceneConfig(fill_gap_frames=2, hold_frames=3),
    SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0),
)


def method_of(stride=3, windows=(11,), seed=0, scene=FILLED):
    encoder = EncoderConfig(
        stride=stride, latent_dim=5, embedder_dim=7, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1, 2)
    )
    config = CPCConfig(
        features=FeatureConfig(blocks=("pose", "relation", "motion"), lags_frames=(1, 4), scene=scene),
        encoder=encoder,
        embedding=EmbeddingConfig(latent_window_frames=windows, feature_window_frames=(8, 31)),
        horizons_frames=(stride * 2,),
        key_dim=3,
    )
    torch.manual_seed(seed)
    method = CPC(config, SKELETONS["calms21"], 30.0)
    method.featurizer.scale_px.fill_(60.0)
    return method.eval()


@pytest.fixture(scope="module")
def store(dyad, tmp_path_factory):
    made = [dyad(f"r{n}", n, seed=n, missing=0.2) for n in LENGTHS]
    return write_store(tmp_path_factory.mktemp("embedding") / "store", made)


@pytest.fixture
def method():
    return method_of()


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("scene", [FILLED, TIGHT], ids=["filled", "tight"])
@pytest.mark.parametrize("stride", [1, 3, 4])
def test_chunks_give_the_numbers_of_one_pass(stride, scene, store):
    """In a tight scene every frame of the reach matters: one frame less would be another number."""
    method = method_of(stride, scene=scene)
    for recording in store:
        whole = embed_recording(method, recording, chunk_frames=10_000)
        assert whole.shape == (recording.num_frames, method.embedding_dim) and whole.dtype == np.float32
        # The longest recording has too many chunks of 5 frames.
        for chunk in (5, 30, 64) if recording.num_frames < max(LENGTHS) else (30, 64):
            parts = embed_recording(method, recording, chunk_frames=chunk)
            np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6, err_msg=f"{recording.id}, {chunk}")


def test_one_pass_is_the_methods_own_embedding(store, method):
    reader = WindowReader([(store, row) for row in store.rows], 1)
    expected = method.embed(reader.read([(0, 0, 211)]))[0].detach().numpy()
    np.testing.assert_allclose(embed_recording(method, store.recording("r211")), expected, rtol=0, atol=1e-6)


def test_embedding_leaves_the_method_as_it_was(store, method):
    before = method.train().fingerprint()
    embed_recording(method, store.recording("r53"))
    assert method.training and method.fingerprint() == before


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_store_is_embedded_in_its_order(dtype, store, method, tmp_path):
    done = []
    embeddings = embed_store(
        method,
        store,
        tmp_path / "e",
        dtype=dtype,
        chunk_frames=60,
        progress=lambda *told: done.append(told[1]),
    )
    assert embeddings.array.dtype == np.dtype(dtype) and isinstance(embeddings.array, np.memmap)
    assert embeddings.array.shape == (sum(LENGTHS), method.embedding_dim) and sum(done) == sum(LENGTHS)
    for recording in store:
        expected = embed_recording(method, recording).astype(dtype)
        got = embeddings.array[embeddings.row(recording.id).slice]
        np.testing.assert_allclose(got, expected, rtol=1e-3 if dtype == "float16" else 1e-6, atol=1e-6)
    assert embeddings.groups == method.channel_groups and embeddings.dim == method.embedding_dim
    assert (embeddings.checkpoint, embeddings.store) == (method.fingerprint(), store.fingerprint())
    assert left_in(tmp_path) == ["e"] and left_in(tmp_path / "e") == ["embeddings.json", "embeddings.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "e" / "embeddings.npy", mmap_mode="r"), embeddings.array)


def test_some_rows_of_a_store(store, method, tmp_path):
    embeddings = embed_store(method, store, tmp_path / "e", dtype="float32", rows=store.select(["r1*"]))
    assert [(row.id, row.offset, row.frames) for row in embeddings.rows] == [("r101", 0, 101), ("r1", 101, 1)]
    with pytest.raises(InputError, match="no recording 'r211'"):
        embeddings.row("r211")


def interrupt_after(monkeypatch, count):
    """Let `count` chunks be written, then fail as if the process had been stopped."""
    write, calls = EmbeddingsWriter.write, []

    def failing(self, pick, span, values):
        calls.append(pick)
        if len(calls) > count:
            raise KeyboardInterrupt
        write(self, pick, span, values)

    monkeypatch.setattr(EmbeddingsWriter, "write", failing)
    return calls


@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_an_interrupted_export_goes_on_and_ends_as_if_it_had_not_been(count, store, method, tmp_path, monkeypatch):
    options = {"dtype": "float32", "chunk_frames": 60}
    expected = embed_store(method, store, tmp_path / "whole", **options).array
    with monkeypatch.context() as patch:
        interrupt_after(patch, count)
        with pytest.raises(KeyboardInterrupt):
            embed_store(method, store, tmp_path / "e", **options)
    assert not (tmp_path / "e").exists()
    with monkeypatch.context() as patch:
        calls = interrupt_after(patch, 10_000)
        done = []
        resumed = embed_store(method, store, tmp_path / "e", **options, progress=lambda *told: done.append(told[1]))
    first_pick = {0: 0, 1: 0, 5: 2, 6: 2}[count]
    assert calls[0] == first_pick, "recordings already done are not embedded again"
    assert sum(done) == sum(LENGTHS), "what was done before counts as progress"
    np.testing.assert_array_equal(resumed.array, expected)
    assert left_in(tmp_path) == ["e", "whole"]


def test_another_export_does_not_go_on_from_an_interrupted_one(store, method, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            embed_store(method, store, tmp_path / "e", chunk_frames=60)
    other = method_of(seed=1)
    embeddings = embed_store(other, store, tmp_path / "e", dtype="float32", chunk_frames=60)
    np.testing.assert_allclose(embeddings.array[:211], embed_recording(other, store.recording("r211")), atol=1e-6)
    assert embeddings.checkpoint == other.fingerprint()


def test_nothing_is_replaced_unless_asked(store, method, tmp_path):
    embed_store(method, store, tmp_path / "e")
    with pytest.raises(InputError, match="exists already"):
        embed_store(method, store, tmp_path / "e")
    assert embed_store(method, store, tmp_path / "e", dtype="float32", overwrite=True).array.dtype == np.float32


def test_recordings_that_do_not_fit_are_refused(dyad, store, method, tmp_path):
    for recording, message in (
        (dyad("slow", 11, fps=25.0), "has 25 frames per second, the encoder was made for 30"),
        (dyad("rat", 11, "rat_dyads"), "keypoints .* the encoder was made for .*left_hip"),
    ):
        with pytest.raises(InputError, match=message):
            embed_recording(method, recording)
        other = write_store(tmp_path / recording.id, [recording])
        with pytest.raises(InputError, match=message):
            embed_store(method, other, tmp_path / "e")
        assert not (tmp_path / "e").exists() and left_in(tmp_path)[0] != ".e.unfinished"
    assert len(embed_recording(method, dyad("ntsc", 11, fps=29.97))) == 11


def test_an_encoder_and_embeddings_say_what_they_are(store, method, tmp_path):
    encoder = Encoder(method, "cpu", without=["time"])
    said = repr(encoder)
    assert said.startswith(f"Encoder (cpc): {encoder.dim} columns at 30 frames per second")
    assert "time" not in said and "resident, intruder" in said and "device     cpu" in said
    said = repr(encoder.embed_store(store, tmp_path / "e"))
    assert f"{sum(LENGTHS)} x {encoder.dim} float16, a row for each scene of every frame" in said
    for wrong, message in ((store[store.rows[0].id], "is one recording"), (3, "got int"), (["a"], "got str")):
        with pytest.raises(InputError, match=f"`recordings` .*{message}"):
            checked_recordings(wrong)
    np.testing.assert_array_equal(encoder.transform(store.path)[2], encoder.embed(store[store.rows[2].id]))


def test_a_saved_encoder_keeps_its_columns(store, method, tmp_path):
    encoder = Encoder(method, "cpu", only="latent*")
    folder = encoder.save_pretrained(tmp_path / "m")
    again = Encoder.from_pretrained(folder, "cpu")
    assert again.groups == encoder.groups and set(again.groups) < set(method.channel_groups)
    np.testing.assert_array_equal(again.embed(next(iter(store))), encoder.embed(next(iter(store))))
    assert Encoder.from_pretrained(folder, "cpu", without="time").dim > again.dim
    card = (folder / "README.md").read_text()
    assert "time" not in card.partition("| Columns |")[2].partition("|")[0] and f"one row of {again.dim} numb" in card


def test_a_score_that_was_not_finite_is_undefined_on_the_card(method, tmp_path):
    encoder = Encoder(
        method, "cpu", origin={"extra": {"validation": {"loss": None, "rank": 2.5}}, "versions": {"x": "1"}}
    )
    card = (encoder.save_pretrained(tmp_path / "m") / "README.md").read_text()
    assert "| Validation: loss | undefined |" in card and "| Validation: rank | 2.5 |" in card
    assert Encoder.from_pretrained(tmp_path / "m", "cpu").origin["versions"] == {"x": "1"}


def test_float16_overflow_raises(store, method, tmp_path):
    with torch.no_grad():
        method.embedder.exit.weight.mul_(1e6)
    with pytest.raises(InputError, match="too large for float16; use `dtype=float32`"):
        embed_store(method, store, tmp_path / "e")
    assert not (tmp_path / "e").exists()
    assert np.isfinite(embed_store(method, store, tmp_path / "e", dtype="float32").array).all()


def test_nonfinite_values_raise(store, method, tmp_path):
    with torch.no_grad():
        method.embedder.exit.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        embed_store(method, store, tmp_path / "e", dtype="float32")


def test_unknown_dtype_raises(store, method, tmp_path):
    with pytest.raises(InputError, match="float16 or float32, not 'int8'"):
        embed_store(method, store, tmp_path / "e", dtype="int8")


def test_full_disk_raises_before_the_work_and_leaves_nothing(store, method, tmp_path, monkeypatch):
    def full(descriptor, start, length):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    calls = interrupt_after(monkeypatch, 0)
    with pytest.raises(InputError, match="the disk is full"):
        embed_store(method, store, tmp_path / "e")
    assert not calls and not left_in(tmp_path)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve space")
def test_the_space_is_reserved_while_the_work_goes_on(store, method, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        embed_store(method, store, tmp_path / "e", dtype="float32")
    status = (tmp_path / ".e.unfinished" / "embeddings.npy").stat()
    assert status.st_blocks * 512 >= sum(LENGTHS) * method.embedding_dim * 4


def edit(folder, **changes):
    contents = json.loads((folder / "embeddings.json").read_text())
    (folder / "embeddings.json").write_text(json.dumps(contents | changes))


def edit_row(folder, **changes):
    contents = json.loads((folder / "embeddings.json").read_text())
    contents["recordings"][0] |= changes
    (folder / "embeddings.json").write_text(json.dumps(contents))


DAMAGES = {
    "no table": (lambda f: (f / "embeddings.json").unlink(), "is not an embeddings folder"),
    "another format": (
        lambda f: edit(f, format="?"),
        "is not an embeddings folder: its embeddings.json does not say so",
    ),
    "newer": (
        lambda f: edit(f, version=2),
        "format version 2; this program reads version 1: update ssl-behavior, or embed again",
    ),
    "rows": (lambda f: edit(f, recordings=[{"id": "a"}]), "damaged"),
    "no array": (lambda f: (f / "embeddings.npy").unlink(), "cannot be read"),
    "cut": (lambda f: (f / "embeddings.npy").write_bytes((f / "embeddings.npy").read_bytes()[:-7]), "cannot be read"),
    "shorter": (lambda f: np.save(f / "embeddings.npy", np.zeros((3, 5), "f2")), r"has shape \[3, 5\]"),
    "a number": (lambda f: np.save(f / "embeddings.npy", np.float16(3)), "damaged"),
    "fps infinite": (
        lambda f: edit_row(f, fps=float("inf")),
        r"embeddings\.json is damaged: recording .* has fps inf;",
    ),
    "half a frame": (lambda f: edit_row(f, source_frames=1.5), r"has source_frames 1\.5; expected a whole number"),
    "one axis": (lambda f: np.save(f / "embeddings.npy", np.zeros(sum(LENGTHS), "f2")), "damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folder_raises(damage, store, method, tmp_path):
    embed_store(method, store, tmp_path / "e")
    change, message = DAMAGES[damage]
    change(tmp_path / "e")
    with pytest.raises(InputError, match=message) as caught:
        Embeddings(tmp_path / "e")
    assert "\n" not in str(caught.value)


def test_renamed_rows_keep_their_frames(store, method, tmp_path):
    """Two stores that differ in ids alone have equal embeddings in the same order."""
    renamed = write_store(tmp_path / "store", [replace(recording, id=f"x{recording.id}") for recording in store])
    one, two = (embed_store(method, s, tmp_path / name).array for s, name in ((store, "a"), (renamed, "b")))
    np.testing.assert_array_equal(one, two)


def test_the_progress_of_another_export_is_not_taken_for_this_one(method, store, tmp_path, monkeypatch):
    out = tmp_path / "embeddings"

    def stop_after(recordings):
        rows = iter(range(recordings + 1))
        original = embedding_module.embed_actors

        def chunks(*arguments):
            if next(rows) == recordings:
                raise RuntimeError("stopped")
            yield from original(*arguments)

        return chunks

    for dtype, recordings in (("float32", 1), ("float16", 0)):
        with monkeypatch.context() as patch, pytest.raises(RuntimeError):
            patch.setattr(embedding_module, "embed_actors", stop_after(recordings))
            embed_store(method, store, out, dtype=dtype)
    again = embed_store(method, store, out, dtype="float32")
    clean = embed_store(method, store, tmp_path / "clean", dtype="float32")
    np.testing.assert_array_equal(again.array, clean.array)


def test_groups_that_are_off_by_default_are_those_of_a_method_that_has_them(store, method):
    """Asked for when embedding: nothing is trained again, no column that was there changes, and nothing is learned."""
    plain = EmbeddingConfig(feature_window_frames=(), extras=())
    compact = CPC(replace(method.config, embedding=plain), method.skeleton, method.fps).eval()
    compact.load_state_dict(method.state_dict())
    wider = replace(method.config.embedding, latent_window_frames=(), extras=("time", "walls"))
    whole = CPC(replace(method.config, embedding=wider), method.skeleton, method.fps).eval()
    whole.load_state_dict(method.state_dict())
    names = list(whole.channel_groups)
    recording = store.recording("r101")
    expected = embed_recording(whole, recording)
    np.testing.assert_array_equal(embed_recording(compact, recording, only=names, chunk_frames=30), expected)
    assert "time" not in compact.channel_groups and compact.embedding_dim == compact.learned_dim
    assert compact.with_groups(names).learned_groups == compact.learned_groups
    assert compact.with_groups(names).fingerprint() == compact.fingerprint()
    columns = group_slices(whole.channel_groups)
    few = embed_recording(compact, recording, only=["time", "features_8_frames"])
    np.testing.assert_array_equal(few, expected[:, [*range(*columns["features_8_frames"].indices(999)),
                                                    *range(*columns["time"].indices(999))]])  # fmt: skip


@pytest.mark.parametrize("name", ["tiem", "features_*_frame", "feature_30_frames", "latent_5_frames"])
def test_unknown_groups_are_refused_with_those_that_could_be_added(name, store, method):
    known = r"it has \['past_context', .*\], and `only` adds any of \['features_N_frames', 'time', 'walls'\]"
    with pytest.raises(InputError, match=known):
        embed_recording(method, store.recording("r53"), only=[name])
