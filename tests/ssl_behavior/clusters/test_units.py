"""Clusters of animals and pairs: labels, statistics over recordings, groups and descriptions."""

import csv
import json

import numpy as np
import pytest

from ssl_behavior.bouts import BoutTable
from ssl_behavior.cli import main
from ssl_behavior.clusters import FrameClusters, load_clustering, load_frames
from ssl_behavior.clusters.bout_distances import medoid_bouts
from ssl_behavior.clusters.cards import Cards, count_cards
from ssl_behavior.clusters.cluster_count import _halves
from ssl_behavior.clusters.embedding_quality import QualityConfig, compare_embeddings
from ssl_behavior.clusters.enrichment import contingency, enrichments
from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.clusters.group_comparison import compare_profiles
from ssl_behavior.clusters.groups import read_groups
from ssl_behavior.embeddings_folder import Embeddings, recording_numbers
from ssl_behavior.errors import InputError
from ssl_behavior.row_labels import behavior_labels, frame_labels
from ssl_behavior.store import Store

from ..conftest import GROUP_CLUSTERS, write_group

UNITS = ("scene", "animal", "pair")
NUM_ROWS = {"scene": 3, "animal": 8, "pair": 14}


@pytest.fixture(params=UNITS)
def clustered(group, request):
    return ClusteredStore.of(load_frames(group / f"{request.param}_clusters"), Store(group / "store"))


def test_labels_of_a_recording_count_in_each_of_its_rows(clustered):
    table = contingency(clustered, frame_labels(clustered.store, "S1"))
    assert table.frames.shape == (3, GROUP_CLUSTERS + 1, 3)
    wanted = np.zeros_like(table.frames)
    for row in clustered.frames.rows:
        place = ["cage1", "cage2", "cage3"].index(row.recording)
        labels = clustered.store.labels("S1")[clustered.store.row(row.recording).slice]
        for cluster, label in zip(clustered.frames.of(row), labels, strict=True):
            wanted[place, cluster, label] += 1
    np.testing.assert_array_equal(table.frames, wanted)


def test_cards_count_recordings_and_not_rows(clustered):
    cards = count_cards(clustered.frames, [contingency(clustered, frame_labels(clustered.store, "S1"))])
    assert all(card.recordings <= 3 and len(card.shares) == len(clustered.frames.rows) for card in cards)
    assert sum(card.share for card in cards) == pytest.approx(1.0)
    assert {one.recordings for card in cards for one in card.labels} <= {0, 1, 2, 3}


def test_intervals_are_over_recordings_whatever_the_number_of_rows(group):
    store = Store(group / "store")
    scenes = load_frames(group / "scene_clusters")
    pairs = load_frames(group / "pair_clusters")
    # Pairs that all have the clusters of their scene: the same frames, several times.
    alike = [scenes.of(next(one for one in scenes.rows if one.id == row.recording)) for row in pairs.rows]
    copied = ClusteredStore.of(FrameClusters(pairs.rows, np.concatenate(alike), GROUP_CLUSTERS), store)
    own = ClusteredStore.of(scenes, store)
    tables = [contingency(one, frame_labels(store, "S1")) for one in (own, copied)]
    weights = np.array([6, 2, 6])
    np.testing.assert_array_equal(tables[1].frames, tables[0].frames * weights[:, None, None])
    assert len(enrichments(tables[1])) == len(enrichments(tables[0]))


def test_halves_keep_the_rows_of_a_recording_together(group):
    for unit in UNITS:
        rows = Embeddings(group / unit).rows
        for split in range(5):
            one, other = _halves(rows, 0, split)
            assert not {row.recording for row in one} & {row.recording for row in other}
            assert len(one) + len(other) == len(rows) == NUM_ROWS[unit]


def test_typical_bouts_come_from_different_recordings(group):
    rows = Embeddings(group / "pair").rows
    numbers = recording_numbers(rows)
    assert numbers.tolist() == [0] * 6 + [1] * 2 + [2] * 6
    bouts = BoutTable.of([(row, 10, 20, 0) for row in (0, 1, 2, 7, 9)], rows)
    distance = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert medoid_bouts(bouts, distance, 0, 3).tolist() == [0, 1, 2]
    assert medoid_bouts(bouts, distance, 0, 3, numbers).tolist() == [0, 3, 4]


def test_agreement_of_neighbors_is_with_other_recordings(group):
    embeddings = Embeddings(group / "pair")
    config = QualityConfig(clusters=GROUP_CLUSTERS, sample=300, neighbors=5)
    agreement = compare_embeddings(embeddings, embeddings, None, config)
    assert agreement.overlap == 1.0
    frames = {"cage1": 6 * 211, "cage2": 2 * 101, "cage3": 6 * 157}
    shares = np.array(list(frames.values())) / sum(frames.values())
    assert agreement.overlap_by_chance == pytest.approx(5 / 300 * np.sum(shares / (1 - shares)), rel=0.1)


def written(path, text):
    path.write_text(text)
    return path


RECORDINGS = "recording,strain\ncage1,x\ncage2,x\ncage3,y\n"
AGENTS = "recording,agent,animal,drug\n" + "".join(
    f"{cage},{agent},{cage}{agent},{'saline' if agent == 'm1' else 'drug'}\n"
    for cage, agents in {"cage1": ("m1", "m2", "m3"), "cage2": ("m1", "m2"), "cage3": ("m1", "m2", "m3")}.items()
    for agent in agents
)


@pytest.mark.parametrize("unit", ["animal", "pair"])
def test_animals_of_one_recording_can_be_in_different_groups(group, tmp_path, unit):
    frames = load_frames(group / f"{unit}_clusters")
    groups = read_groups(written(tmp_path / "g.csv", AGENTS), frames.rows)
    assert groups.factor == "drug" and groups.notes == ()
    for row in frames.rows:
        assert groups.group[row.id] == ("saline" if row.agent == "m1" else "drug")
        assert groups.animal[row.id] == f"{row.recording}{row.agent}"
    profiles = compare_profiles(frames, groups)
    assert len(profiles.cells) == 8
    np.testing.assert_allclose(profiles.values["share"].sum(axis=1), 1.0)
    own = np.concatenate([frames.of(row) for row in frames.rows if (row.recording, row.agent) == ("cage1", "m2")])
    wanted = np.bincount(own, minlength=GROUP_CLUSTERS) / len(own)
    np.testing.assert_allclose(profiles.values["share"][profiles.cells.index(("drug", "cage1m2"))], wanted)


def test_without_agents_all_rows_of_a_recording_have_its_group(group, tmp_path):
    rows = load_frames(group / "pair_clusters").rows
    text = "recording,animal,day\ncage1,a,1\ncage2,b,1\ncage3,c,2\n"
    with pytest.raises(InputError, match="group '2' of day has 1 animal"):
        read_groups(written(tmp_path / "g.csv", text), rows)
    four = text.replace("cage2,b,1", "cage2,b,2")
    with pytest.raises(InputError, match="group '1' of day has 1 animal"):
        read_groups(written(tmp_path / "g.csv", four), rows)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (AGENTS.replace("cage1,m1", "cage1,m9"), "animal 'cage1, m9' was not clustered; did you mean 'cage1, m"),
        (AGENTS.replace("cage1,m2,", "cage1,m1,"), "animal 'cage1, m1' is listed twice; an animal of a recording has"),
        (AGENTS.replace("cage2,m1,cage2m1", "cage2,m1,"), "animal 'cage2, m1' has no animal; give its name"),
    ],
)
def test_mistakes_in_groups_of_animals_are_named(group, tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_groups(written(tmp_path / "g.csv", text), load_frames(group / "pair_clusters").rows)


def test_of_scenes_a_column_agent_is_a_factor(group, tmp_path):
    text = "recording,animal,agent\ncage1,a,saline\ncage2,b,drug\ncage3,c,drug\n"
    with pytest.raises(InputError, match="group 'saline' of agent has 1 animal"):
        read_groups(written(tmp_path / "g.csv", text), load_frames(group / "scene_clusters").rows)


def test_missing_animals_are_noted(group, tmp_path):
    rows = load_frames(group / "animal_clusters").rows
    text = "".join(line for line in AGENTS.splitlines(keepends=True) if not line.startswith("cage3,m3"))
    text = text.replace(",animal,", ",").replace("cage1m1,", "").replace("cage1m2,", "").replace("cage1m3,", "")
    for name in ("cage2m1", "cage2m2", "cage3m1", "cage3m2"):
        text = text.replace(f"{name},", "")
    groups = read_groups(written(tmp_path / "g.csv", text), rows)
    assert groups.notes == (
        "1 animal not in g.csv: left out ('cage3, m3')",
        "g.csv has no column 'animal': every animal of every recording counts as a separate animal",
    )


@pytest.mark.parametrize("unit", UNITS)
def test_description_names_the_animals(group, tmp_path, unit):
    out = tmp_path / "d"
    words = [str(group / f"{unit}_clusters"), str(group / unit), str(group / "store"), "--out", str(out)]
    more = [] if unit == "scene" else ["--groups-csv", str(written(tmp_path / "g.csv", AGENTS))]
    assert main(["describe", *words, *more]) == 0
    cards, text = Cards.load(out), (out / "cards.md").read_text()
    assert cards.num_recordings == 3 and len(cards.clusters) == GROUP_CLUSTERS
    size = {"scene": "3 recordings.", "animal": "3 recordings, 8 animals.", "pair": "3 recordings, 14 pairs."}
    assert f"of {size[unit]}" in text and "in 3 of 3 recordings" in text
    title = {"scene": "cage1 at", "animal": "cage1, m", "pair": "cage1, m1 → m"}
    assert title[unit] in text
    rows = list(csv.DictReader((out / "discovery.csv").read_text().splitlines()))
    bouts = [row for row in rows if row["of"] == "bout"]
    assert bouts and {row["recording"] for row in bouts} <= {"cage1", "cage2", "cage3"}
    assert ("agent" in rows[0], "target" in rows[0]) == (unit != "scene", unit == "pair")
    if unit == "pair":
        assert all(row["agent"] != row["target"] and row["agent"] in ("m1", "m2", "m3") for row in bouts)
    if more:
        assert json.loads((out / "profiles.json").read_text())["factor"] == "drug"


@pytest.mark.parametrize("animals", [1, 4])
def test_every_number_of_animals_is_clustered_described_and_assigned(tmp_path, animals, capsys):
    folder = write_group(tmp_path / "few", animals=animals)
    for unit in UNITS:
        clusters, embeddings = folder / f"{unit}_clusters", folder / unit
        out = ["--out", str(tmp_path / f"d{unit}")]
        assert main(["describe", str(clusters), str(embeddings), str(folder / "store"), *out]) == 0
        again = tmp_path / f"a{unit}"
        assert main(["assign", str(clusters), str(embeddings), "--out", str(again)]) == 0
        one, other = load_clustering(clusters), load_clustering(again)
        np.testing.assert_array_equal(one.frames.labels, other.frames.labels)
        assert [row.actors for row in other.frames.rows] == [row.actors for row in Embeddings(embeddings).rows]
    capsys.readouterr()


def test_commands_count_animals_and_pairs(group, tmp_path, capsys):
    words = ["cluster", str(group / "pair"), "--out", str(tmp_path / "c"), "--clusters", "3", "--recordings", "cage1"]
    assert main([*words, "cage2@*"]) == 0
    assert "2 recordings, 8 pairs of" in capsys.readouterr().out
    assert main(["info", str(group / "pair")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "recordings 3" in said and "pair: 14 pairs (m1 → m2, m1 → m3, m2 → m1," in said
    assert main(["info", str(tmp_path / "c")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "fitted on 8 pairs" in said and "labels 3 recordings, 14 pairs" in said
    assert main(["quality", str(group / "pair"), str(group / "pair"), "--clusters", "3", "--sample", "400"]) == 0


@pytest.fixture(scope="module")
def acting(tmp_path_factory):
    """The group with a stream of chases and sniffs."""
    return write_group(tmp_path_factory.mktemp("acting"), acts=True)


@pytest.mark.parametrize(("unit", "chase", "annotated"), [("scene", 80, 211), ("animal", 85, 422), ("pair", 85, 422)])
def test_bouts_with_an_agent_and_a_target_enrich_their_rows(acting, unit, chase, annotated):
    clustered = ClusteredStore.of(load_frames(acting / f"{unit}_clusters"), Store(acting / "store"))
    found = behavior_labels(clustered.store, clustered.frames.rows)
    assert [(one.stream, one.classes[0]) for one in found] == [("S1", "rest"), ("acts", "chase"), ("acts", "sniff")]
    rows = enrichments(contingency(clustered, found[1]))
    assert {one.behavior for one in rows} == {"chase"} and {one.annotated for one in rows} == {annotated}
    assert sum(one.both for one in rows) == chase == rows[0].of_behavior


def test_description_lists_directed_behaviors(acting, tmp_path):
    out = tmp_path / "d"
    words = [str(acting / "pair_clusters"), str(acting / "pair"), str(acting / "store"), "--out", str(out)]
    assert main(["describe", *words]) == 0
    rows = list(csv.DictReader((out / "enrichment.csv").read_text().splitlines()))
    assert {(row["stream"], row["behavior"]) for row in rows} == {("S1", "rest"), ("S1", "fight"), ("acts", "chase")}
    bouts = [row for row in csv.DictReader((out / "discovery.csv").read_text().splitlines()) if row["of"] == "bout"]
    acts = {(row["recording"], row["agent"], row["target"]): row["behavior"] for row in bouts}
    assert all(("acts=-" in words) == (who[0] != "cage1" or "m3" in who) for who, words in acts.items())


def test_clusters_of_pairs_are_exported_with_agents_and_targets(acting, tmp_path):
    for unit in ("animal", "pair"):
        out = tmp_path / unit
        assert main(["export", str(acting / f"{unit}_clusters"), "--out", str(out), "--format", "csv"]) == 0
        clusters = load_frames(acting / f"{unit}_clusters")
        (file,) = [path for path in out.rglob("*.csv") if path.stem.startswith("cage2")]
        lines = list(csv.DictReader(file.read_text().splitlines()))
        wanted = {
            (row.agent, row.target or row.agent, f"cluster_{cluster}", start)
            for row in clusters.rows if row.recording == "cage2"
            for start, _, cluster in clusters.bouts(row)
        }  # fmt: skip
        assert {(one["agent"], one["target"], one["behavior"], int(one["start_frame"])) for one in lines} == wanted
