"""Neighbors in embeddings of animals and pairs."""

import csv

import numpy as np
import pytest

from ssl_behavior.bouts import Span
from ssl_behavior.cli import main
from ssl_behavior.embedding_space import Space
from ssl_behavior.embeddings_folder import Embeddings, store_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.retrieval import FrameIndex, IndexConfig, Query, example_of, nearest_bouts
from ssl_behavior.retrieval.frame_index import RecallSample
from ssl_behavior.store import Store

PLANTED = [("cage1@m1,m2", 40, 60), ("cage1@m1,m2", 150, 165), ("cage3@m3,m1", 20, 41), ("cage2@m2,m1", 60, 73)]
FPS = 30


@pytest.fixture(scope="module")
def planted(group, tmp_path_factory):
    """Noise, bouts of one behavior, and the same bouts a little less well in the row of the other animal."""
    store, rng = Store(group / "store"), np.random.default_rng(0)
    values = {row.id: rng.normal(size=(row.frames, 11)) for row in Embeddings(group / "pair").rows}
    for number, (id, start, stop) in enumerate(PLANTED):
        recording, _, (agent, target) = id[:5], id[5], id[6:].split(",")
        for own, nearness in ((id, 0.1), (f"{recording}@{target},{agent}", 0.2)):
            values[own][start:stop] = 9 + nearness + 0.1 * number + 0.02 * rng.normal(size=(stop - start, 11))
    folder = tmp_path_factory.mktemp("planted") / "e"
    return store_embeddings(folder, store, store.rows, values.items(), "latent", lambda: "c" * 64, unit="pair")


def found(planted, k, *like, **more):
    index = FrameIndex.build(planted, Space.fit(planted), IndexConfig(kind="flat"))
    return nearest_bouts(index, Query(tuple(map(Span.parse, like))), k, **more)


def test_a_moment_is_found_once_in_the_row_that_is_nearest(planted):
    bouts = found(planted, 3, "cage1@m1,m2:42-55")
    assert [(bout.recording, bout.start, bout.stop) for bout in bouts] == PLANTED[1:]


def test_the_other_animals_view_of_an_example_is_not_found(planted):
    every = found(planted, 8, "cage1@m1,m2:42-55")
    near = [bout for bout in every if bout.recording.startswith("cage1@") and bout.start < 55 + 2 * FPS]
    assert not [bout for bout in near if bout.stop > 42 - 2 * FPS]
    with_it = found(planted, 4, "cage1@m1,m2:42-44", exclude_seconds=0.0)
    assert any(bout.recording.startswith("cage1@") and 44 <= bout.start < 60 for bout in with_it)


def test_moments_of_hits_do_not_meet(planted):
    bouts = found(planted, 12, "cage1@m1,m2:42-55")
    for place, one in enumerate(bouts):
        for other in bouts[:place]:
            same = one.recording[:5] == other.recording[:5]
            assert not same or one.start >= other.stop or one.stop <= other.start


def test_only_some_rows_can_be_searched(planted):
    rows = planted.select(["*@m2,*"])
    assert {row.agent for row in rows} == {"m2"}
    bouts = found(planted, 3, "cage1@m1,m2:42-55", rows=rows)
    assert {bout.recording for bout in bouts} <= {row.id for row in rows}
    assert bouts[0].recording in ("cage2@m2,m1", "cage1@m2,m1")


def test_k_counts_moments_and_not_rows(planted):
    with pytest.raises(InputError, match="have at most"):
        found(planted, 40, "cage1@m1,m2:42-55")


def test_recall_is_of_other_moments_in_any_row(planted):
    every = np.arange(len(planted.array))
    points = Space.fit(planted).points(planted.array[:])
    chosen = np.array([50, 300, 900])
    sample = RecallSample(planted.rows, every, chosen, points[chosen])
    place = {row.id: row for row in planted.rows}
    reverse = place["cage1@m2,m1"].offset + 50
    assert not sample._away(0, np.array([50, reverse, reverse + 60])).any()
    assert sample._away(0, np.array([reverse + 61, place["cage3@m1,m2"].offset + 50])).all()


@pytest.mark.parametrize(
    ("text", "agent", "target", "id"),
    [
        ("cage1@m2,m3:3", "", "", "cage1@m2,m3"),
        ("cage1@m2,m3:3", "m2", "", "cage1@m2,m3"),
        ("cage3:3-9", "m3", "m1", "cage3@m3,m1"),
        ("cage2:3-9", "m2", "", "cage2@m2,m1"),
    ],
)
def test_an_example_names_its_row_or_its_animals(planted, text, agent, target, id):
    span = Span.parse(text)
    assert example_of(span, planted, agent, target) == Span(id, span.start, span.stop)


@pytest.mark.parametrize(
    ("unit", "text", "agent", "target", "said"),
    [
        ("pair", "cage1:3", "", "", r"has the rows cage1@m1,m2 \(m1 → m2\), .*name one of them, or give `agent` and"),
        ("pair", "cage1:3", "m1", "", r"has the rows .*; name one of them, or give `agent` and `target`"),
        ("pair", "cage2:3", "m3", "", r"no row has `agent=m3`; recording 'cage2' has the rows cage2@m1,m2"),
        ("animal", "cage1:3", "", "", r"has the rows cage1@m1 \(m1\), .*name one of them, or give `agent`$"),
        ("scene", "cage1:3", "m1", "", r"`agent` names an animal, but rows of .*scene are scenes"),
        ("pair", "cage9:3", "m1", "m2", r"has no recording 'cage9'"),
    ],
)
def test_rows_that_an_example_could_mean_are_listed(group, unit, text, agent, target, said):
    with pytest.raises(InputError, match=said):
        example_of(Span.parse(text), Embeddings(group / unit), agent, target)


def test_the_table_names_agent_and_target(group, planted, tmp_path, capsys):
    file = tmp_path / "bouts.csv"
    words = ["--query", "cage1:42-55", "--agent", "m1", "--target", "m2", "-k", "3", "--no-unit"]
    words += ["--store", str(group / "store")]
    assert main(["neighbors", str(planted.path), *words, "--csv", str(file), "--index", str(tmp_path / "i")]) == 0
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [(row["recording"], row["agent"], row["target"]) for row in rows] == [
        ("cage1", "m1", "m2"), ("cage3", "m3", "m1"), ("cage2", "m2", "m1"),
    ]  # fmt: skip
    assert rows[0]["S1"] in ("rest", "fight")
    assert "agent" in capsys.readouterr().out


def test_the_command_says_what_to_give(planted, capsys):
    assert main(["neighbors", str(planted.path), "--query", "cage1:42-55"]) == 2
    said = capsys.readouterr().err
    assert "name one of them, or give --agent and --target" in " ".join(said.split())
