"""The application over a real session: a project from the first search to the files, through HTTP."""

import json
import sqlite3
import uuid
from contextlib import closing

import numpy as np
import pytest
from starlette.testclient import TestClient

from probe.labeling.server import application
from probe.labeling.session import LabelSession
from ssl_behavior.recording import Labels
from ssl_behavior.store import Store
from tests.probe.labeling.server_process import BEHAVIOR, answer_to, asked, make_data, proposals

ORIGIN = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("labeled"))


@pytest.fixture
def session(data, tmp_path):
    opened = LabelSession(*data, tmp_path / "project", annotator="Anna", wait=True)
    yield opened
    opened.close()


@pytest.fixture
def client(session):
    app = application(session, token="t", hosts=["127.0.0.1"])
    browser = TestClient(app, base_url=ORIGIN, headers={"origin": ORIGIN})
    browser.get("/?token=t")
    return browser


def error_of(answer, status=400):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def mounts(data, hit):
    """Whether the frames of a hit are mostly labeled as mounting in the store."""
    store = Store(data[0])
    row = store.row(hit["recording"])
    labels = store.labels("behavior")[row.slice][hit["start"] : hit["stop"]]
    return (labels == store.streams["behavior"].vocabulary.index("mount")).mean() > 0.5


def first_bout(data):
    """Recording and frames of a labeled mount."""
    store = Store(data[0])
    labels: Labels = store.recording("r0").labels["behavior"]
    frames = np.flatnonzero(labels.frames == labels.vocabulary.index("mount"))
    length = np.flatnonzero(np.diff(frames) > 1)[0] + 1
    return {"row": "r0", "start": int(frames[0]), "stop": int(frames[length - 1]) + 1}


def test_from_the_first_search_to_the_files(data, client, session):
    assert asked(client, "/api/project")["behaviors"] == []
    assert asked(client, "/api/behaviors", **BEHAVIOR)["name"] == "mounting"
    query = first_bout(data)
    hits = asked(client, "/api/search", behavior="mounting", k=12, **query)["hits"]
    assert len(hits) == 12 and sum(mounts(data, hit) for hit in hits[:4]) >= 1
    told = asked(client, "/api/sentence", behavior="mounting", text="speed.resident > 0 px/s", k=3)
    assert len(told["hits"]) == 3 and 0 < told["share"] <= 1 and "resident" in told["meaning"]
    wrong = {"behavior": "mounting", "text": "sped.resident > 3 px/s", "k": 3}
    assert "sped.resident" in error_of(client.post("/api/sentence", json=wrong))
    first = query | {"source": "search", "ticket": ""}
    reply = asked(client, "/api/answers", **answer_to(first, "Anna", "yes"))
    assert reply["counts"]["yes"] == 1 and reply["model"]["positives"] == 1
    for _ in range(5):
        for hit in proposals(client, "Anna"):
            reply = asked(client, "/api/answers", **answer_to(hit, "Anna", "yes" if mounts(data, hit) else "no"))
    assert reply["model"]["ready"] and reply["model"]["answers"] == 31
    line = asked(client, "/api/timeline?behavior=mounting&row=r1&bins=100")
    assert len(line["probability"]) == 100 and line["frames"] == 1501
    trust = asked(client, "/api/trust?behavior=mounting")
    assert {"enough", "message", "precision", "calibration"} <= set(trust)
    edit = {"behavior": "mounting", "row": "r1", "start": 5, "stop": 25, "decision": "yes"}
    body = {"key": str(uuid.uuid4()), "behavior": "mounting", "annotator": "Anna", "kind": "draw", "edits": [edit]}
    asked(client, "/api/edits", **body)
    line = asked(client, "/api/timeline?behavior=mounting&row=r1")
    assert any(bout["start"] <= 5 and bout["stop"] >= 25 and bout["decision"] == "yes" for bout in line["bouts"])
    assert asked(client, "/api/undo", behavior="mounting", annotator="Anna")["event"]
    assert asked(client, "/api/redo", behavior="mounting", annotator="Anna")["event"]
    poses = client.get("/api/tracks?recording=r0&start=3&stop=8").content
    store = Store(data[0])
    np.testing.assert_array_equal(np.frombuffer(poses, "<f4"), np.ravel(store.keypoints[3:8]))
    assert len(client.get("/api/frame-times?recording=r0").content) == 8 * 1500
    taken = asked(client, "/api/take", what="files", behaviors=["mounting"], format="csv", content="answers")
    assert str(session.log.folder) in taken["sentence"] and list((session.log.folder / "exports" / "csv").iterdir())
    asked(client, "/api/take", what="probe", behaviors=["mounting"])
    assert (session.log.folder / "probe").is_dir()


def test_two_browsers_share_a_project(data, client, session):
    asked(client, "/api/behaviors", **BEHAVIOR)
    other = TestClient(client.app, base_url=ORIGIN, headers={"origin": ORIGIN})
    other.get("/?token=t")
    body = answer_to(first_bout(data) | {"source": "search", "ticket": ""}, "Anna", "yes")
    one = asked(client, "/api/answers", **body)
    # The page of the second browser sends it again, because it did not hear that it was stored.
    again = asked(other, "/api/answers", **body)
    assert one["event"] == again["event"] and again["counts"]["yes"] == 1
    assert asked(other, "/api/answers", **(body | {"key": "2", "annotator": "Bert"}))["event"] > one["event"]
    assert asked(client, "/api/project")["annotators"] == ["Anna", "Bert"]
    with closing(sqlite3.connect(session.log.path)) as file:
        assert file.execute("SELECT annotator FROM events WHERE kind = 'answer' ORDER BY id").fetchall() == [
            ("Anna",), ("Bert",),
        ]  # fmt: skip


BROKEN_TICKETS = [
    '{"model": Infinity}',
    '{"model": NaN}',
    json.dumps({"model": 2**63}),
    json.dumps({"model": -(2**70)}),
    json.dumps({"model": 1, "probability": 10**400}),
    '{"model": 1, "probability": NaN}',
    '{"model": 1, "probability": 1e400}',
    "[" * 9000,
]


def test_mistakes_are_sentences(client):
    assert "no behavior 'mounting'" in error_of(client.get("/api/trust?behavior=mounting"))
    asked(client, "/api/behaviors", **BEHAVIOR)
    other = BEHAVIOR | {"definition": "Something else."}
    assert "another definition" in error_of(client.post("/api/behaviors", json=other))
    stream = BEHAVIOR | {"name": "behavior"}
    assert "has a label stream 'behavior'" in error_of(client.post("/api/behaviors", json=stream))
    span = {"row": "r0", "start": 1400, "stop": 1600, "source": "search", "ticket": ""}
    assert "has 1,500 frames" in error_of(client.post("/api/answers", json=answer_to(span, "Anna", "yes")))
    span |= {"stop": 1450}
    assert error_of(client.post("/api/answers", json=answer_to(span, " ", "yes"))).startswith("“your name” is empty")
    wrong = answer_to(span | {"ticket": "x"}, "Anna", "yes")
    assert "“ticket” is not one that this application gave out" in error_of(client.post("/api/answers", json=wrong))
    for ticket in BROKEN_TICKETS:
        wrong = answer_to(span | {"ticket": ticket}, "Anna", "yes")
        assert "“ticket” is not one" in error_of(client.post("/api/answers", json=wrong)), ticket
    assert "r9" in error_of(client.get("/api/tracks?recording=r9&start=0&stop=5"))
    assert "r9" in error_of(client.get("/api/timeline?behavior=mounting&row=r9"))
    assert "no video of this recording" in error_of(client.get("/api/video?recording=r0"), 404)
    taken = {"what": "files", "behaviors": ["mounting"], "format": "../../etc"}
    assert "../../etc" in error_of(client.post("/api/take", json=taken))
    assert "mounting" in error_of(client.post("/api/take", json={"what": "probe", "behaviors": ["mounting"]}))
    assert "no positive yet" in asked(client, "/api/proposals", behavior="mounting")["model"]["message"]


def test_a_project_of_another_store_is_refused(data, tmp_path, capsys):
    from ssl_behavior.cli import main

    (tmp_path / "other").mkdir()
    other = make_data(tmp_path / "other", recordings=1, frames=200)
    words = ["label", "--out", str(tmp_path / "project"), "--no-browser"]
    assert main([*words, str(other[0]), str(data[1])]) == 2
    assert "made from another store" in capsys.readouterr().err
    LabelSession(*data, tmp_path / "project", wait=True).close()
    assert main([*words, *map(str, other)]) == 2
    told = capsys.readouterr().err
    assert "another store" in told and "choose another --out" in told and "`" not in told
    (tmp_path / "project" / "labels.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    assert main([*words, *map(str, data)]) == 2
    assert "damaged" in capsys.readouterr().err
