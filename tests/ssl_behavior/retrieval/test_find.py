"""Neighbors in one call: the same as the long way; the index is built once, beside the embeddings."""

import numpy as np
import pytest

import ssl_behavior
from ssl_behavior.bouts import Span
from ssl_behavior.embedding_space import SpaceConfig
from ssl_behavior.errors import InputError
from ssl_behavior.retrieval import Query, build_index, nearest_bouts


@pytest.fixture
def embeddings(embeddings_of, tmp_path):
    rng = np.random.default_rng(0)
    return embeddings_of(tmp_path / "E", rng.normal(size=(700, 5)).astype(np.float32), (300, 400))


def test_one_call_is_the_long_way(embeddings, tmp_path, capsys):
    found = ssl_behavior.neighbors(embeddings, "r0:20-30", 4, unlike="r1:50", verbose=False)
    index = build_index(embeddings, tmp_path / "I", SpaceConfig(unit=True))
    expected = nearest_bouts(index, Query((Span("r0", 20, 30),), (Span("r1", 50, 51),)), 4)
    assert list(found) == expected and found[0] == expected[0] and len(found) == 4
    assert capsys.readouterr() == ("", "")
    made = (tmp_path / "E.index" / "index.json").stat().st_mtime_ns
    again = ssl_behavior.neighbors(embeddings.path, ["r0:20-30"], 4, unlike=["r1:50"])
    assert list(again) == expected and (tmp_path / "E.index" / "index.json").stat().st_mtime_ns == made
    assert repr(found).startswith("Neighbors: 4 bouts, the nearest first\n")


def test_bouts_as_a_data_frame(embeddings):
    found = ssl_behavior.neighbors(embeddings, "r1:20-30", 3, recordings=["r0"], verbose=False)
    frame = found.to_frame()
    assert set(frame["recording"]) == {"r0"} and frame["distance"].is_monotonic_increasing
    assert list(frame["start_frame"]) == [bout.start for bout in found]
    np.testing.assert_allclose(frame["stop_s"], frame["stop_frame"] / 30)


@pytest.mark.parametrize(
    ("query", "arguments", "message"),
    [
        ("r0", {}, "`query` 'r0': expected RECORDING:FRAME or RECORDING:START-STOP"),
        ("r9:3", {}, "has no recording 'r9'"),
        ("r0:20", {"k": 0}, "`k`"),
        ("r0:20", {"unlike": "x"}, "`unlike` 'x': expected RECORDING:FRAME"),
        ("r0:20", {"agent": "m1"}, "`agent` names an animal, but rows"),
    ],
)
def test_mistakes_name_the_argument_before_an_index_is_built(query, arguments, message, embeddings, tmp_path):
    with pytest.raises(InputError, match=message):
        ssl_behavior.neighbors(embeddings, query, verbose=False, **arguments)
    assert not (tmp_path / "E.index").exists()
