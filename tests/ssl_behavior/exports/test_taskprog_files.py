"""Task-programming features: files that match the tracks of a simulated release, and exact round trips."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import torch

from ssl_behavior.checkpoint import save_checkpoint
from ssl_behavior.cli import main
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.exports import taskprog_files
from ssl_behavior.features import FeatureConfig
from ssl_behavior.importer import import_recordings
from ssl_behavior.methods import CPC, CPCConfig
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.simulate.write import simulate_calms21
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, write_store

DIM = 32
CPU = ["--device", "cpu"]
LATENT = ["--format", "taskprog", "--groups", "latent"]


@pytest.fixture(autouse=True)
def _single_precision(_double_precision):
    """The command runs in float32; the same numbers twice need the same precision twice."""
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A release, a store of it, a model, and the features of all recordings."""
    folder = tmp_path_factory.mktemp("taskprog")
    simulate_calms21(folder / "release", 1e-5, unlabeled_frames=500)
    import_recordings([folder / "release"], folder / "store")
    encoder = EncoderConfig(
        stride=3, latent_dim=DIM, embedder_dim=7, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1,)
    )
    config = CPCConfig(features=FeatureConfig(blocks=("pose",)), encoder=encoder, horizons_frames=(3,), key_dim=3)
    method = CPC(config, SKELETONS["calms21"], 30.0).float()
    method.featurizer.scale_px.fill_(60.0)
    save_checkpoint(folder / "model", method)
    run(folder / "model", folder / "store", "--out", folder / "features", *LATENT)
    return folder


def run(*arguments, code=0):
    assert main(["embed", *map(str, arguments), *CPU]) == code


def refused(capsys, *arguments):
    """Error message of a refused command: one sentence, exit code 2."""
    capsys.readouterr()
    run(*arguments, code=2)
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    return output


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def tracks_of(made):
    return sorted((made / "release").rglob("calms21_*.json"))


def test_files_have_the_groups_and_sequences_of_the_tracks(made):
    """Whoever pairs calms21_X.json with taskprog_features_X.json finds every sequence, with as many frames."""
    assert len(tracks_of(made)) == 10
    assert names(made / "features") == sorted(p.name.replace("calms21", "taskprog_features") for p in tracks_of(made))
    for path in tracks_of(made):
        tracks = json.loads(path.read_text())
        features = json.loads((made / "features" / path.name.replace("calms21", "taskprog_features")).read_text())
        assert {group: list(members) for group, members in features.items()} == {
            group: list(members) for group, members in tracks.items()
        }
        for group, members in tracks.items():
            for sequence, values in members.items():
                assert np.shape(features[group][sequence]["features"]) == (len(values["keypoints"]), DIM)


def test_reading_gives_back_the_embedding_exactly(made, tmp_path, capsys):
    run(made / "model", made / "store", "--out", tmp_path / "own", "--groups", "latent", "--dtype", "float32")
    run(made / "features", made / "store", "--out", tmp_path / "read", "--dtype", "float32")
    own, read = Embeddings(tmp_path / "own"), Embeddings(tmp_path / "read")
    assert own.groups == {"latent": DIM} and read.groups == {"taskprog": DIM}
    assert read.rows == own.rows and read.store == own.store and read.checkpoint.startswith("features:")
    np.testing.assert_array_equal(read.array, own.array)
    assert "10 files" in (output := capsys.readouterr().out) and "15,800 frames x 32 (taskprog 32) as float32" in output
    run(made / "features", made / "store", "--out", tmp_path / "half")
    np.testing.assert_array_equal(Embeddings(tmp_path / "half").array, own.array.astype(np.float16))


def test_json_path_writes_one_file_for_all_recordings(made, tmp_path):
    """Two files of the release may have the same groups: each is there once, whole."""
    run(made / "model", made / "store", "--out", tmp_path / "all.json", *LATENT)
    run(tmp_path / "all.json", made / "store", "--out", tmp_path / "one")
    run(made / "features", made / "store", "--out", tmp_path / "many")
    np.testing.assert_array_equal(Embeddings(tmp_path / "one").array, Embeddings(tmp_path / "many").array)


def test_features_are_read_from_a_zip_beside_the_tracks(made, tmp_path):
    task1 = shutil.copytree(made / "release" / "task1_classic_classification", tmp_path / "task1")
    import_recordings([task1], tmp_path / "store")
    run(made / "model", tmp_path / "store", "--out", task1, *LATENT)
    with zipfile.ZipFile(tmp_path / "task1.zip", "w") as archive:
        for path in sorted(task1.iterdir()):
            archive.write(path, f"task1/{path.name}")
    import_recordings([tmp_path / "task1.zip"], tmp_path / "zipped")
    run(tmp_path / "task1.zip", tmp_path / "zipped", "--out", tmp_path / "read", "--dtype", "float32")
    assert [row.id for row in Store(tmp_path / "zipped").rows] == [row.id for row in Embeddings(tmp_path / "read").rows]
    run(made / "model", tmp_path / "zipped", "--out", tmp_path / "again", *LATENT)
    for name in ("taskprog_features_task1_train.json", "taskprog_features_task1_test.json"):
        assert (tmp_path / "again" / name).read_bytes() == (task1 / name).read_bytes()


def test_probe_accepts_imported_features(made, tmp_path, capsys):
    run(made / "features", made / "store", "--out", tmp_path / "read")
    argv = [
        "probe",
        tmp_path / "read",
        made / "store",
        "--task",
        "calms21_task1",
        "--out",
        tmp_path / "results",
        "--seeds",
        1,
    ]
    assert main([*map(str, argv), "--references", "none"]) == 0
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert results["checkpoints"] == [Embeddings(tmp_path / "read").checkpoint]
    assert results["groups"] == {"taskprog": DIM}


def test_recordings_outside_calms21_share_a_group(dyad, made, tmp_path, capsys):
    write_store(tmp_path / "store", [dyad("one", 31), dyad("two/b", 17)])
    run(made / "model", tmp_path / "store", "--out", tmp_path / "out", "--format", "taskprog", "--groups", "*_context")
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == "taskprog_features_recordings.json"
    contents = json.loads(path.read_text())
    assert {group: list(members) for group, members in contents.items()} == {"recordings": ["one", "two/b"]}
    output = capsys.readouterr().out
    assert "2 recordings of no group of CalMS21: in the group 'recordings'" in output
    assert "have 32 columns" in output and "these have 22. --groups chooses columns" in " ".join(output.split())
    run(path, tmp_path / "store", "--out", tmp_path / "read")
    assert Embeddings(tmp_path / "read").dim == 22


def test_recordings_option_selects_recordings(made, tmp_path, capsys):
    run(made / "model", made / "store", "--recordings", "task1/*", "--out", tmp_path / "out", *LATENT)
    assert names(tmp_path / "out") == ["taskprog_features_task1_test.json", "taskprog_features_task1_train.json"]
    assert "have 32 columns" not in capsys.readouterr().out, "these are as wide as the release's"
    run(made / "features", made / "store", "--recordings", "task1/*", "--out", tmp_path / "read")
    assert len(Embeddings(tmp_path / "read").rows) == 4
    assert "passed over 51 sequences of other recordings" in capsys.readouterr().out


def test_groups_option_selects_columns(made, tmp_path, capsys):
    argv = [made / "model", made / "store", "--recordings", "task1/*", "--dtype", "float32"]
    run(*argv, "--out", tmp_path / "all")
    run(*argv, "--out", tmp_path / "some", "--groups", "latent", "--groups", "past_*")
    whole, some = Embeddings(tmp_path / "all"), Embeddings(tmp_path / "some")
    assert some.groups == {"past_context": 11, "latent": DIM}
    np.testing.assert_array_equal(some.array, np.concatenate([whole.array[:, :11], whole.array[:, 22:54]], axis=1))
    output = refused(capsys, *argv, "--out", tmp_path / "e", "--groups", "latent", "roof")
    assert "--groups: the embedding has no columns 'roof'; it has ['past_context'" in output
    run(*argv, "--out", tmp_path / "e", "--groups", "latent", "--without", "time", code=2)
    assert names(tmp_path) == ["all", "some"]


def test_overwrite_replaces_features_but_never_tracks(made, tmp_path, capsys):
    task1 = shutil.copytree(made / "release" / "task1_classic_classification", tmp_path / "task1")
    argv = [made / "model", made / "store", "--recordings", "task1/*", *LATENT, "--out"]
    run(*argv, task1)
    before = {path.name: path.read_bytes() for path in task1.iterdir()}
    assert "task1_test.json exists already" in refused(capsys, *argv, task1)
    assert "holds something else than" in refused(capsys, *argv, task1 / "calms21_task1_test.json", "--overwrite")
    assert "is a file, not a folder" in refused(capsys, *argv, task1 / "calms21_task1_test.json" / "deeper")
    assert {path.name: path.read_bytes() for path in task1.iterdir()} == before
    run(*argv, task1, "--overwrite")
    assert {path.name: path.read_bytes() for path in task1.iterdir()} == before


@pytest.mark.parametrize("out", ["new/folder", "new.json", "there"])
def test_failed_write_leaves_no_file(made, tmp_path, monkeypatch, out, capsys):
    """As a disk that fills up in the third recording."""
    (tmp_path / "there").mkdir()
    original, done = taskprog_files.embed_row, []

    def full(method, store, row, *arguments, **options):
        done.append(row.id)
        for chunk in original(method, store, row, *arguments, **options):
            yield chunk
            if len(done) == 3:
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(taskprog_files, "embed_row", full)
    argv = [made / "model", made / "store", "--recordings", "task1/*", *LATENT, "--out", tmp_path / out]
    assert "the disk is full" in refused(capsys, *argv)
    assert not any(path.is_file() for path in tmp_path.rglob("*")) and not (tmp_path / out / "x").exists()
    assert (tmp_path / out).exists() == (out == "there")


def edited(source, out, change):
    contents = json.loads(source.read_text())
    change(contents["annotator-id_0"])
    out.write_text(json.dumps(contents))
    return out


def test_mismatched_features_exit_2_and_write_nothing(made, tmp_path, capsys):
    train = made / "features" / "taskprog_features_task1_train.json"
    first, last = json.loads(train.read_text())["annotator-id_0"]
    argv = [made / "store", "--recordings", "task1/train/*", "--out", tmp_path / "e"]
    path = tmp_path / "x.json"
    changes = {
        f"no features of '{last}' in {path}": lambda group: group.pop(last),
        "its recording has": lambda group: group[last]["features"].pop(),
        "uneven nesting": lambda group: group[last]["features"][7].pop(),
        f"'{first}' has 32": lambda group: [row.pop() for row in group[last]["features"]],
        "not all finite numbers": lambda group: group[first]["features"][2].__setitem__(3, float("nan")),
    }
    for message, change in changes.items():
        assert message in refused(capsys, edited(train, path, change), *argv)
        assert names(tmp_path) == ["x.json"]
    big = edited(train, path, lambda group: group[last]["features"][0].__setitem__(0, 1e5))
    assert "too large for float16; use --dtype float32" in refused(capsys, big, *argv)
    path.write_bytes(train.read_bytes()[:-100])
    assert "it ends in the middle" in refused(capsys, path, *argv)
    assert names(tmp_path) == ["x.json"]
    run(train, *argv, "--dtype", "float32")


def test_contradictory_options_exit_2(made, tmp_path, capsys):
    store, out = made / "store", ["--out", tmp_path / "e"]
    model, features = made / "model", made / "features"
    tracks = made / "release" / "task2_annotation_styles"
    mistakes = {
        "--dtype is for --format npy": [model, store, "--format", "taskprog", "--dtype", "float32"],
        "--format taskprog is for a run, and": [features, store, "--format", "taskprog"],
        "--last is for a run": [features, store, "--last"],
        "--precision is for a run": [features, store, "--precision", "auto"],
        "--groups: the embedding has no columns 'latent'; it has ['taskprog']": [features, store, "--groups", "latent"],
        "leaves nothing": [features, store, "--without", "taskprog"],
        "contains tracks, not task-programming features": [tracks / "calms21_task2_test.json", store],
        "with checkpoints; train one with ssl-behavior pretrain; nor are CalMS21's": [tracks, store],
        "there is no such run or checkpoint folder": [tmp_path / "nowhere", store],
    }
    for message, arguments in mistakes.items():
        assert message in refused(capsys, *arguments, *out)
        assert names(tmp_path) == []


def test_existing_embeddings_are_not_replaced(made, tmp_path, capsys):
    argv = [made / "features", made / "store", "--out", tmp_path / "e"]
    run(*argv)
    assert "exists already" in refused(capsys, *argv)
    run(*argv, "--overwrite", "--dtype", "float32")
    assert Embeddings(tmp_path / "e").array.dtype == np.float32
