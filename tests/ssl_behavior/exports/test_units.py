"""Exports of embeddings of animals and pairs."""

import json

import h5py
import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.store import Store

ACTORS = {"scene": [], "animal": ["agent"], "pair": ["agent", "target"]}


@pytest.fixture(params=list(ACTORS))
def unit(request):
    return request.param


def export(group, unit, out, *words):
    assert main(["export", str(group / unit), "--out", str(out), *words]) == 0
    return Embeddings(group / unit)


def test_the_table_beside_an_array_names_the_animals(group, unit, tmp_path):
    embeddings = export(group, unit, tmp_path / "e.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "e.npy"), embeddings.array)
    table = json.loads((tmp_path / "e.json").read_text())["recordings"]
    wanted = {"id", "offset", "frames", "fps", *ACTORS[unit], *(["recording"] if unit != "scene" else [])}
    assert all(set(row) == wanted for row in table)
    for row, own in zip(embeddings.rows, table, strict=True):
        assert all(own.get(name, getattr(row, name)) == getattr(row, name) for name in ("id", "recording", "agent"))


def labels_and_clusters(group, unit):
    return ["--labels", str(group / "store"), "--clusters", str(group / f"{unit}_clusters")]


def test_tables_have_columns_of_recording_agent_and_target(group, unit, tmp_path, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    embeddings = export(group, unit, tmp_path / "e.parquet", *labels_and_clusters(group, unit))
    table = parquet.read_table(tmp_path / "e.parquet")
    assert table.column_names[: 3 + len(ACTORS[unit])] == ["recording", *ACTORS[unit], "frame", "seconds"]
    for name in ["recording", *ACTORS[unit]]:
        wanted = [getattr(row, name) for row in embeddings.rows for _ in range(row.frames)]
        assert table.column(name).to_pylist() == wanted
    assert table.column("S1").to_pylist() == words_of(group, embeddings)
    sizes = {"scene": "3 recordings:", "animal": "3 recordings, 8 animals:", "pair": "3 recordings, 14 pairs:"}
    assert f"of {sizes[unit]}" in capsys.readouterr().out


def words_of(group, embeddings):
    store = Store(group / "store")
    labels = [store.labels("S1")[store.row(row.recording).slice] for row in embeddings.rows]
    return [("rest", "fight")[label] for label in np.concatenate(labels)]


def test_anndata_has_the_animals_of_every_frame(group, unit, tmp_path):
    embeddings = export(group, unit, tmp_path / "e.h5ad", *labels_and_clusters(group, unit))
    with h5py.File(tmp_path / "e.h5ad") as file:
        obs = file["obs"]
        assert obs.attrs["column-order"][: 1 + len(ACTORS[unit])].tolist() == ["recording", *ACTORS[unit]]
        for name in ["recording", *ACTORS[unit], "S1"]:
            words = obs[name]["categories"].asstr()[:]
            assert len(set(words)) == len(words)
            wanted = (
                words_of(group, embeddings)
                if name == "S1"
                else [getattr(row, name) for row in embeddings.rows for _ in range(row.frames)]
            )
            assert [words[code] for code in obs[name]["codes"][:]] == wanted
        index = obs["_index"].asstr()[:]
        assert len(set(index)) == len(index) and index[0] == f"{embeddings.rows[0].id}:0"
