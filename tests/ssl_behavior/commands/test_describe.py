import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_behavior.cli import main
from ssl_behavior.clusters import FrameClusters
from ssl_behavior.clusters.enrichment import Enrichment
from ssl_behavior.clusters.group_comparison import compare_profiles
from ssl_behavior.clusters.groups import Groups
from ssl_behavior.commands import describe
from ssl_behavior.embeddings_folder import EmbeddingRow, store_embeddings
from ssl_behavior.recording import Labels
from ssl_behavior.store import write_store
from ssl_behavior.terminal import make_console

FRAMES, DIM, CLUSTERS = 307, 5, 4
HTML = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _single():
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def inputs(dyad, saved_clusters, tmp_path_factory):
    """Eight recordings, the last named like an attack; embeddings; clusters, of which 1 is used more by "drug"."""
    torch.set_default_dtype(torch.float32)
    folder, generator = tmp_path_factory.mktemp("describe"), np.random.default_rng(0)
    names = [*(f"m{n}" for n in range(7)), HTML]
    labels, recordings = [], []
    for number, name in enumerate(names):
        weights = np.array([3.0, 6.0 if number < 4 else 1.0, 3.0, 0.0])
        bouts = generator.choice(CLUSTERS, 80, p=weights / weights.sum())
        own = np.repeat(bouts, generator.geometric(0.1, 80))[:FRAMES].astype(np.int32)
        own = np.pad(own, (0, FRAMES - len(own)), constant_values=-1)
        behavior = Labels(vocabulary=("none", HTML), frames=(own == 1).astype(np.int16), background="none")
        recordings.append(replace(dyad(name, FRAMES, seed=number), labels={"behavior": behavior}))
        labels.append(own)
    store = write_store(folder / "store", recordings)
    labels = np.concatenate(labels)
    points = np.eye(DIM)[labels] + 0.1 * generator.normal(size=(len(labels), DIM))
    rows = [(row.id, points[row.slice]) for row in store.rows]
    embeddings = store_embeddings(folder / "embeddings", store, store.rows, rows, "latent", lambda: "c" * 64)
    saved_clusters(folder / "clusters", embeddings, labels, np.eye(DIM)[:CLUSTERS])
    lines = [f'"{name}",a{n},{"drug" if n < 4 else "saline"},{n % 3}' for n, name in enumerate(names)]
    (folder / "groups.csv").write_text("\n".join(["recording,animal,treatment,batch", *lines]))
    return folder


def run(inputs, out, *more):
    paths = (inputs / "clusters", inputs / "embeddings", inputs / "store")
    return main(["describe", *map(str, paths), "--out", str(out), *map(str, more)])


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def described(inputs):
    torch.set_default_dtype(torch.float32)
    out = inputs / "described"
    assert run(inputs, out, "--groups-csv", inputs / "groups.csv", "--factor", "treatment") == 0
    return out


def test_every_file_is_there_and_tells_of_every_cluster(described):
    names = {path.name for path in described.iterdir()}
    assert names == {
        "cards.json", "cards.md", "transitions.csv", "enrichment.csv", "discovery.csv", "profiles.csv",
        "profiles.json", "shares.png", "shares.svg", "effects.png", "effects.svg",
    }  # fmt: skip
    cards = json.loads((described / "cards.json").read_text())
    assert cards["format"] == "ssl-behavior cards" and [card["cluster"] for card in cards["clusters"]] == list(range(4))
    text = (described / "cards.md").read_text()
    for card in cards["clusters"]:
        assert f"## Cluster {card['cluster']}" in text
    assert "Not seen in these recordings." in text


def test_tables_agree_with_the_cards(described):
    cards = json.loads((described / "cards.json").read_text())
    transitions = rows_of(described / "transitions.csv")
    for card in cards["clusters"]:
        own = [row for row in transitions if row["cluster"] == str(card["cluster"])]
        assert [(row["next"], int(row["bouts"])) for row in own[:-2]] == [
            (str(one["cluster"]), one["count"]) for one in card["followers"]
        ]
        assert [(row["next"], row["bouts"]) for row in own[-2:]] == [
            ("none", str(card["to_none"])), ("end", str(card["to_end"]))
        ]  # fmt: skip
    enrichment = rows_of(described / "enrichment.csv")
    assert len(enrichment) == CLUSTERS * 2
    (own,) = [row for row in enrichment if row["cluster"] == "1" and row["behavior"] == HTML]
    assert own["both"] == own["of_cluster"] == own["of_behavior"] and float(own["log2_ratio"]) > 0.5
    discovery = rows_of(described / "discovery.csv")
    assert [row["rank"] for row in discovery if row["of"] == "cluster"] == ["1", "2", "3"]
    assert all(float(row["stop_s"]) > float(row["start_s"]) for row in discovery if row["of"] == "bout")


def test_profiles_find_what_was_planted(described):
    (planted,) = [
        row for row in rows_of(described / "profiles.csv") if (row["cluster"], row["measure"]) == ("1", "share")
    ]
    assert (planted["first"], planted["second"], planted["animals_first"]) == ("drug", "saline", "4")
    assert float(planted["difference"]) < -0.1 and float(planted["p"]) == pytest.approx(2 / 70, rel=1e-4)
    assert planted["found"] == "False"  # 2 / 70 in three tested clusters
    profiles = json.loads((described / "profiles.json").read_text())
    assert profiles["exact"] and profiles["arrangements"] == 70
    assert "with 4 and 4 animals no p value can be below 0.029" in profiles["notes"][0]


def test_names_are_shown_and_nothing_of_them_is_markup(described):
    text = (described / "cards.md").read_text()
    assert "<script" not in text and "&lt;script&gt;alert(1)" in text and "half of the equal ones" in text
    assert HTML in (described / "enrichment.csv").read_text()
    assert "<script" not in (described / "shares.svg").read_text()


def test_dollars_in_names_are_no_formula(inputs, tmp_path):
    text = (inputs / "groups.csv").read_text().replace("drug", "$a^{x").replace("saline", "b$")
    (tmp_path / "groups.csv").write_text(text)
    assert run(inputs, tmp_path / "out", "--groups-csv", tmp_path / "groups.csv", "--factor", "treatment") == 0
    for name in ("shares", "effects"):
        assert "$a^{x" in (tmp_path / "out" / f"{name}.svg").read_text(encoding="utf-8")


def enriched(log2_ratio, low, both=500):
    return Enrichment(
        stream="s", behavior="mount", background=False, cluster=0, both=both, of_behavior=700, of_cluster=900,
        annotated=9000, expected=70.0, log2_ratio=log2_ratio, low=low, high=None, cluster_bouts=3, behavior_bouts=5,
        recordings=1,
    )  # fmt: skip


def test_what_is_enriched_is_told_as_surely_as_it_is():
    rich = "s mount 4.0 times as often as by chance (500 of its 700 frames, 5 bouts in 1 recording)"
    unsure = "none of them twice as often as by chance in frames and recordings enough to be sure"
    told = describe._labels
    assert told([enriched(2.0, 0.3)], 7) == rich
    assert told([enriched(2.0, None)], 7) == told([enriched(2.0, -0.1)], 7) == unsure
    assert told([enriched(2.0, 0.3, both=29)], 7) == told([enriched(2.0, None, both=29)], 1) == unsure
    assert told([enriched(0.9, 0.3), enriched(None, None)], 7) == "none of them twice as often as by chance"
    assert told([enriched(2.0, None)], 1) == f"{rich} (one recording: the uncertainty is unknown)"


def test_the_terminal_is_told_the_same(inputs, tmp_path, capsys):
    assert run(inputs, tmp_path / "out", "--groups-csv", inputs / "groups.csv", "--factor", "treatment") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "what sets it apart" in told and "treatment: drug 4, saline 4 animals; 70 permutations" in told
    assert "No difference is found at a false discovery rate of 0.05; the nearest:" in told
    assert "cluster drug saline difference" in told and "begin with cards.md" in told


def test_groups_that_differ_together_but_in_no_pair_are_told(capsys):
    labels = np.concatenate([np.repeat([0, 1, 2, 0], [40 + 9 * (n // 3) + n, 30 - n, 20, 40]) for n in range(9)])
    frames = np.array([130 + 9 * (n // 3) for n in range(9)])
    rows = [
        EmbeddingRow(id=f"r{n}", offset=int(frames[:n].sum()), frames=int(frames[n]), fps=30.0) for n in range(9)
    ]  # fmt: skip
    group = {row.id: "xyz"[n // 3] for n, row in enumerate(rows)}
    groups = Groups(factor="dose", names=("x", "y", "z"), group=group, animal={id: id for id in group}, within=False)
    profiles = compare_profiles(FrameClusters(rows, labels.astype(np.int32), 3), groups)
    assert any(one.found for one in profiles.overall) and not any(one.found for one in profiles.comparisons)
    describe._print_profiles(make_console(), profiles)
    told = " ".join(capsys.readouterr().out.split())
    assert "All groups together differ in the share of frames of clusters 0, 1, 2, at a false discovery rate" in told
    assert "No difference between two groups is found at a false discovery rate of 0.05; the nearest:" in told


def test_without_groups_nothing_is_compared(inputs, tmp_path):
    assert run(inputs, tmp_path / "out", "--examples", 2) == 0
    assert not list((tmp_path / "out").glob("profiles*"))
    cards = json.loads((tmp_path / "out" / "cards.json").read_text())
    assert [len(card["medoids"]) for card in cards["clusters"]] == [2, 2, 2, 0]


def test_without_matplotlib_everything_but_figures(inputs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ssl_behavior.plots.style.find_spec", lambda name: None)
    assert run(inputs, tmp_path / "out", "--groups-csv", inputs / "groups.csv", "--factor", "treatment") == 0
    assert "pip install 'ssl-behavior[plots]'" in capsys.readouterr().out
    assert (tmp_path / "out" / "profiles.csv").exists() and not list((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--factor", "treatment"], "--factor names a column of --groups-csv FILE"),
        (["--groups-csv", "GROUPS"], "--factor must name the column to compare by"),
        (["--groups-csv", "GROUPS", "--factor", "dose"], "no column 'dose'"),
        (["--groups-csv", "nowhere.csv"], "nowhere.csv: the file of groups cannot be read"),
        (["--examples", "-1"], "--examples must be 0 or more"),
        (["--level", "2"], "--level must be between 0 and 1"),
        (["--programs", "nowhere.py"], "nowhere.py"),
    ],
)
def test_mistakes_are_a_sentence_and_leave_nothing(inputs, tmp_path, capsys, more, told):
    more = [str(inputs / "groups.csv") if one == "GROUPS" else one for one in more]
    assert run(inputs, tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error and not list(tmp_path.iterdir())


def test_one_animal_in_a_group_is_a_mistake(inputs, tmp_path, capsys):
    file = tmp_path / "groups.csv"
    file.write_text("recording,animal,treatment\nm0,a,drug\nm1,b,saline\nm2,c,saline\n")
    assert run(inputs, tmp_path / "out", "--groups-csv", file) == 2
    assert "group 'drug' of treatment has 1 animal ('a')" in capsys.readouterr().err


def test_another_store_and_other_embeddings_are_refused(inputs, dyad, tmp_path, capsys):
    other = write_store(tmp_path / "other", [dyad("m0", 97)])
    paths = [str(inputs / "clusters"), str(inputs / "embeddings"), str(other.path), "--out", str(tmp_path / "out")]
    assert main(["describe", *paths]) == 2
    assert "give the store that was embedded" in capsys.readouterr().err
    made = [("m0", np.ones((97, DIM)))]
    store_embeddings(tmp_path / "e", other, other.rows, made, "latent", lambda: "d" * 64)
    paths[1] = str(tmp_path / "e")
    assert main(["describe", *paths]) == 2
    assert "another checkpoint" in capsys.readouterr().err


def test_a_folder_is_replaced_only_when_asked_and_only_one_of_its_kind(inputs, described, tmp_path, capsys):
    assert run(inputs, described) == 2
    assert "--overwrite" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    assert run(inputs, tmp_path / "mine", "--overwrite") == 2
    assert "cards.json" in capsys.readouterr().err and (tmp_path / "mine" / "thesis.txt").exists()


def test_a_failure_leaves_no_folder(inputs, tmp_path, monkeypatch):
    from ssl_behavior.clusters import group_comparison

    def fail(profiles, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(group_comparison, "draw_effects", fail)
    assert run(inputs, tmp_path / "out", "--groups-csv", inputs / "groups.csv", "--factor", "treatment") == 130
    assert not list(tmp_path.iterdir())


def test_embeddings_of_a_larger_store_are_told_of(inputs, tmp_path, dyad, capsys):
    from ssl_behavior.store import Store

    recordings = [*Store(inputs / "store"), dyad("more", 7)]
    larger = write_store(tmp_path / "larger", recordings)
    paths = [str(inputs / "clusters"), str(inputs / "embeddings"), str(larger.path), "--out", str(tmp_path / "out")]
    assert main(["describe", *paths]) == 0
    assert "is not the store that was embedded" in " ".join(capsys.readouterr().out.split())
    assert json.loads((tmp_path / "out" / "cards.json").read_text())["num_recordings"] == 8
