import json
from importlib.util import find_spec

import numpy as np
import pytest

from ssl_behavior.clusters import load_frames
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.exports import (
    cluster_column,
    cluster_names,
    export_embeddings,
    label_columns,
)
from ssl_behavior.exports import embeddings as embeddings_module
from ssl_behavior.store import Store

from .made import FRAMES, GROUPS, NUM_CLUSTERS

NAMES = cluster_names(NUM_CLUSTERS, {2: "chase", 5: "chase"})
WIDTH = GROUPS["past"] + GROUPS["time"]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """So that recordings have several."""
    monkeypatch.setattr(embeddings_module, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(embeddings_module, "_MIN_BLOCK_FRAMES", 47)


@pytest.fixture(scope="module")
def embeddings(place):
    return Embeddings(place / "embeddings")


@pytest.fixture(scope="module")
def columns(place, embeddings):
    clusters = load_frames(place / "clusters")
    labels = label_columns(Store(place / "store"), embeddings.rows)
    return [*labels, cluster_column(clusters, embeddings.rows, NAMES, "clusters")]


def expected(embeddings, columns, ids):
    """What has to be in a table: the numbers, whose they are, and the words ("" = none)."""
    rows = [embeddings.row(name) for name in ids]
    numbers = np.concatenate([embeddings.array[row.slice] for row in rows])[:, [0, 1, 2, 3, 4, 8, 9]]
    known = [(row.id, frame, frame / row.fps) for row in rows for frame in range(row.frames)]
    words = {
        one.name: np.array([*one.words, ""])[np.concatenate([one.codes(row) for row in rows])].tolist()
        for one in columns
    }
    return numbers, known, words


def export(embeddings, out, columns=(), ids=("a/r1", "r3"), **more):
    done = []
    rows = [embeddings.row(name) for name in ids]
    made = export_embeddings(
        embeddings,
        out,
        rows=rows,
        without=["latent"],
        columns=columns,
        progress=lambda *told: done.append(told[1]),
        **more,
    )
    assert sum(done) == made.num_frames == sum(FRAMES[name] for name in ids) and len(done) == 7
    return expected(embeddings, columns, ids)


def test_npy_holds_the_columns_and_json_describes_them(embeddings, tmp_path):
    numbers, _, _ = export(embeddings, tmp_path / "x.npy")
    found = np.load(tmp_path / "x.npy", allow_pickle=False)
    assert found.dtype == np.float16 == embeddings.array.dtype
    np.testing.assert_array_equal(found, numbers)
    facts = json.loads((tmp_path / "x.json").read_text())
    assert facts["channel_groups"] == {"past": 5, "time": 2} and facts["checkpoint"] == "made by a test"
    assert facts["dtype"] == "float16" and facts["recordings"] == [
        {"id": "a/r1", "offset": 0, "frames": 211, "fps": 25.0}, {"id": "r3", "offset": 211, "frames": 53, "fps": 25.0},
    ]  # fmt: skip


def test_parquet_holds_frames_labels_clusters_and_embedding(embeddings, columns, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    numbers, known, words = export(embeddings, tmp_path / "x.parquet", columns)
    table = parquet.read_table(tmp_path / "x.parquet")
    names = [f"past_{i}" for i in range(5)] + ["time_0", "time_1"]
    assert table.column_names == ["recording", "frame", "seconds", "S1", "S2", "cluster", *names]
    found = table.to_pydict()
    assert list(zip(found["recording"], found["frame"], found["seconds"], strict=True)) == known
    for name, said in words.items():
        assert [word or "" for word in found[name]] == said and None in found[name]
    np.testing.assert_array_equal(np.array([found[name] for name in names]).T, numbers)
    facts = json.loads(table.schema.metadata[b"ssl_behavior"])
    assert facts["channel_groups"] == {"past": 5, "time": 2} and facts["store"] == embeddings.store
    groups = parquet.ParquetFile(tmp_path / "x.parquet")
    owners = [set(groups.read_row_group(i, ["recording"])["recording"].to_pylist()) for i in range(7)]
    assert groups.num_row_groups == 7 and owners == [{"a/r1"}] * 5 + [{"r3"}] * 2


def read_h5ad(path):
    """AnnData's file by the words of its documentation: (X, obs, var, uns)."""
    import h5py

    def read(item):
        kind = item.attrs["encoding-type"]
        if kind == "dataframe":
            return {name: read(item[name]) for name in [item.attrs["_index"], *item.attrs["column-order"]]}
        if kind == "dict":
            return {name: read(child) for name, child in item.items()}
        if kind == "categorical":
            return np.array([*read(item["categories"]), ""])[item["codes"][:]].tolist()
        if kind == "string-array":
            return item.asstr()[:].tolist()
        return item.asstr()[()] if kind == "string" else item[:]

    with h5py.File(path) as file:
        assert file.attrs["encoding-type"] == "anndata"
        assert {"layers", "obsm", "obsp", "varm", "varp"} <= set(file)
        return read(file["X"]), read(file["obs"]), read(file["var"]), read(file["uns"])


def test_h5ad_holds_frames_labels_clusters_and_embedding(embeddings, columns, tmp_path):
    numbers, known, words = export(embeddings, tmp_path / "x.h5ad", columns)
    found, obs, var, uns = read_h5ad(tmp_path / "x.h5ad")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, numbers)
    assert list(zip(obs["recording"], obs["frame"].tolist(), obs["seconds"].tolist(), strict=True)) == known
    assert obs["_index"] == [f"{name}:{frame}" for name, frame, _ in known]
    assert {name: obs[name] for name in words} == words
    assert var["_index"] == [f"past_{i}" for i in range(5)] + ["time_0", "time_1"]
    assert var["group"] == ["past"] * 5 + ["time"] * 2
    assert uns == {"ssl_behavior": {"checkpoint": "made by a test", "store": embeddings.store}}


def test_anndata_reads_the_h5ad_file(embeddings, columns, tmp_path):
    anndata = pytest.importorskip("anndata", reason="anndata holds pandas back: it has an environment of its own")
    numbers, known, words = export(embeddings, tmp_path / "x.h5ad", columns)
    for backed in (None, "r"):
        data = anndata.read_h5ad(tmp_path / "x.h5ad", backed=backed)
        np.testing.assert_array_equal(data.X[:], numbers)
        assert data.obs["recording"].tolist() == [name for name, _, _ in known]
        assert data.obs["cluster"].astype(object).fillna("").tolist() == words["cluster"]
        assert data.obs_names[-1] == "r3:52" and data.var["group"].tolist() == ["past"] * 5 + ["time"] * 2


@pytest.mark.parametrize("ending", [".npy", ".parquet", ".h5ad"])
def test_failed_export_keeps_the_existing_file(embeddings, tmp_path, monkeypatch, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")

    def stop(*_):
        raise InputError("stopped")

    with pytest.raises(InputError, match="stopped"):
        export_embeddings(embeddings, tmp_path / f"x{ending}", progress=stop)
    assert not list(tmp_path.iterdir())
    out = tmp_path / f"x{ending}"
    out.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        export_embeddings(embeddings, out)
    assert out.read_text() == "mine"
    export_embeddings(embeddings, out, overwrite=True)
    assert out.stat().st_size > 4


def test_sidecar_of_another_file_is_not_replaced(embeddings, tmp_path):
    (tmp_path / "x.json").write_text("mine")
    with pytest.raises(InputError, match=r"x\.json exists already"):
        export_embeddings(embeddings, tmp_path / "x.npy")


def test_exported_embeddings_folder_is_never_replaced(embeddings):
    before = {path: path.read_bytes() for path in embeddings.path.iterdir()}
    for name in ("embeddings.npy", "x.h5ad", "../embeddings/embeddings.npy"):
        with pytest.raises(InputError, match=r"in the exported embeddings folder"):
            export_embeddings(embeddings, embeddings.path / name, overwrite=True)
    assert {path: path.read_bytes() for path in embeddings.path.iterdir()} == before


def test_impossible_exports_raise(embeddings, columns, tmp_path, monkeypatch):
    (tmp_path / "folder.h5ad").mkdir()
    mistakes = {
        r"end in \.npy, \.parquet, \.h5ad": {"out": "x.csv"},
        r"a \.npy file has only numbers, no S1, S2, cluster": {"out": "x.npy", "columns": columns},
        "is a folder": {"out": "folder.h5ad", "overwrite": True},
        "no columns 'walls'": {"out": "x.h5ad", "only": ["walls"]},
        "two columns would be called 'S1'": {"out": "x.h5ad", "columns": [columns[0]] * 2},
    }
    for words, arguments in mistakes.items():
        with pytest.raises(InputError, match=words):
            export_embeddings(embeddings, tmp_path / arguments.pop("out"), **arguments)
    monkeypatch.setattr(embeddings_module, "find_spec", lambda name: None if name == "pyarrow" else find_spec(name))
    with pytest.raises(InputError, match=r"\.parquet files need pyarrow: pip install 'ssl-behavior\[store\]'"):
        export_embeddings(embeddings, tmp_path / "x.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.h5ad"]
