"""What the web application accepts, and what it answers."""

import json

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from tests.probe.labeling.fake_session import ANSWER, error_of


def test_answers_reach_the_session_as_they_were_sent(session, client):
    session.answers["answer"] = {"event": 1}
    assert client.post("/api/answers", json=ANSWER).json() == {"event": 1}
    assert session.calls == [("answer", ANSWER)]


def test_numbers_of_an_address_become_numbers(session, client):
    client.get("/api/timeline?behavior=b&row=r@m1%2Cm2&bins=200&minimum_frames=3&minimum_probability=0.25")
    client.get("/api/timeline?behavior=b&row=r")
    asked = {"behavior": "b", "row": "r@m1,m2", "bins": 200, "minimum_frames": 3, "minimum_probability": 0.25}
    usual = {"behavior": "b", "row": "r", "bins": 1500, "minimum_frames": 1, "minimum_probability": 0.0}
    assert session.calls == [("timeline", asked), ("timeline", usual)]


def test_a_threshold_is_a_probability_or_the_best_one(session, client):
    body = {"key": "k", "behavior": "b", "annotator": "Ann"}
    assert client.post("/api/threshold", json=body | {"probability": 0.2}).status_code == 200
    assert client.post("/api/threshold", json=body).status_code == 200
    assert session.calls == [("set_threshold", body | {"probability": value}) for value in (0.2, None)]
    for wrong in (1.2, "high", None):
        assert "“probability” must be" in error_of(
            client.post("/api/threshold", json=body | {"probability": wrong}), 400
        )


MARKUP = '<img src=x onerror="alert(1)">\'; DROP TABLE events; --'


def test_names_are_text(session, client):
    session.answers["project"] = {"title": MARKUP}
    answer = client.get("/api/project")
    assert answer.json() == {"title": MARKUP} and answer.headers["content-type"] == "application/json"
    client.post("/api/behaviors", json={"name": MARKUP, "definition": "<b>", "annotator": MARKUP})
    assert session.calls[-1] == ("add_behavior", {"name": MARKUP, "definition": "<b>", "annotator": MARKUP})


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\boot.ini", "a/../../b", "%2e%2e/b"])
def test_recordings_are_names_and_not_paths(session, client, name):
    session.errors["video"] = session.errors["tracks"] = InputError(f"there is no recording {name!r}")
    assert "there is no recording" in error_of(client.get("/api/video", params={"recording": name}), 400)
    asked = {"recording": name, "start": 0, "stop": 9}
    assert "there is no recording" in error_of(client.get("/api/tracks", params=asked), 400)
    assert session.calls == [("video", (name,)), ("tracks", asked)]


WRONG = [
    ({"start": None}, "“start” must be a whole number, got null"),
    ({"start": "3"}, '“start” must be a whole number, got "3"'),
    ({"start": 3.5}, "“start” must be a whole number, got 3.5"),
    ({"start": True}, "“start” must be a whole number, got true"),
    ({"start": -1}, "“start” must be between 0 and"),
    ({"stop": 10**40}, "“stop” must be between 0 and"),
    ({"decision": "maybe"}, '“decision” must be one of no, unsure, yes, got "maybe"'),
    ({"annotator": 5}, "“your name” must be text, got 5"),
    ({"annotator": "a\x00b"}, "“your name” holds a character that cannot be stored"),
    ({"annotator": "x" * 10_001}, "“your name” is too long: 10,001 characters"),
    ({"seconds": "long"}, '“seconds” must be a number, got "long"'),
    ({"seconds": -0.1}, "“seconds” must be between 0 and"),
    ({"seconds": 10**400}, "“seconds” must be between 0 and 9.0072e+15, got 1000"),
    ({"seconds": -(10**400)}, "“seconds” must be between 0 and 9.0072e+15, got -1000"),
    ({"start": 10**400}, "“start” must be between 0 and 9,007,199,254,740,992, got 1000"),
    ({"start": 1e300}, "“start” must be between 0 and"),
    ({"path": "/etc"}, "the request has the unknown field 'path'"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_wrong_fields_are_named(session, client, change, message):
    assert error_of(client.post("/api/answers", json=ANSWER | change), 400).startswith(message)
    assert not session.calls


@pytest.mark.parametrize("value", ["1e400", "-1e400"])
def test_numbers_beyond_those_of_the_machine_are_refused(session, client, value):
    for field, kind in (("seconds", "a number"), ("start", "a whole number")):
        body = json.dumps(ANSWER | {field: "?"}).replace('"?"', value).encode()
        answer = client.post("/api/answers", content=body, headers={"content-type": "application/json"})
        assert error_of(answer, 400).startswith(f"“{field}” must be {kind}, got ")
    assert not session.calls


@pytest.mark.parametrize("field", ANSWER)
def test_missing_fields_are_named(session, client, field):
    error = error_of(client.post("/api/answers", json={k: v for k, v in ANSWER.items() if k != field}), 400)
    assert error.startswith("the request lacks the field “") and not session.calls


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the request is no valid JSON"),
        (b"{", "the request is no valid JSON"),
        (b"[" * 200_000, "the request is no valid JSON"),
        (b'{"seconds": NaN}', "the request is no valid JSON"),
        (b'{"seconds": -Infinity}', "the request is no valid JSON"),
        (b'{"start": ' + b"9" * 5000 + b"}", "the request is no valid JSON"),
        (b"\xff\xfe", "the request is no valid JSON"),
        (b"[]", "the request must be an object with fields"),
        (b'"text"', "the request must be an object with fields"),
        (b'{"key": "\\ud800"}', "the request lacks"),
    ],
)
def test_bodies_that_are_no_request(session, client, body, message):
    answer = client.post("/api/answers", content=body, headers={"content-type": "application/json"})
    assert error_of(answer, 400).startswith(message) and not session.calls


def test_half_characters_are_refused(session, client):
    body = b'{"name": "\\ud800", "definition": "", "annotator": ""}'
    answer = client.post("/api/behaviors", content=body, headers={"content-type": "application/json"})
    assert "a character that cannot be stored" in error_of(answer, 400) and not session.calls


@pytest.mark.parametrize("how", ["with its length", "in pieces"])
def test_long_bodies_are_refused(session, client, how):
    size = (4 << 20) + 1
    body = b" " * size if how == "with its length" else iter([b" " * 65536] * 65)
    answer = client.post("/api/answers", content=body, headers={"content-type": "application/json"})
    assert "too long: at most 4 MB" in error_of(answer, 400) and not session.calls


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "the address lacks the field “behavior”"),
        ("behavior=b", "the address lacks the field “row”"),
        ("behavior=b&row=r&bins=0", "“bins” must be between 1 and 20,000, got 0"),
        ("behavior=b&row=r&bins=many", '“bins” must be a whole number, got "many"'),
        ("behavior=b&row=r&bins=2.5", "“bins” must be a whole number, got 2.5"),
        ("behavior=b&row=r&minimum_probability=nan", "“minimum probability” must be a number"),
        ("behavior=b&row=r&minimum_probability=inf", "“minimum probability” must be a number"),
        (f"behavior=b&row=r&minimum_probability={10**400}", "“minimum probability” must be a number"),
        (f"behavior=b&row=r&bins={10**400}", "“bins” must be a whole number"),
        ("behavior=b&row=r&bins=nan", "“bins” must be a whole number"),
        ("behavior=b&row=r&minimum_probability=2", "“minimum probability” must be between 0 and 1, got 2"),
        ("behavior=b&row=r&row=s", "the address gives row twice"),
        ("behavior=b&row=r&x=1", "the address has the unknown field 'x'"),
    ],
)
def test_wrong_addresses_are_explained(session, client, query, message):
    assert error_of(client.get(f"/api/timeline?{query}"), 400).startswith(message) and not session.calls


def test_edits_are_checked_one_by_one(session, client):
    edit = {"behavior": "b", "row": "r", "start": 0, "stop": 5, "decision": "yes"}
    body = {"key": "k", "behavior": "b", "annotator": "A", "kind": "merge", "edits": [edit]}
    assert client.post("/api/edits", json=body).status_code == 200
    assert session.calls == [("edit", body)]
    for wrong, message in (
        ([edit | {"stop": "x"}], '“stop” must be a whole number, got "x"'),
        ([{}], "an entry of “edits” lacks the field “behavior”"),
        (["x"], "an entry of “edits” must be an object with fields"),
        ({}, "“edits” must be a list, got {}"),
        ([edit] * 10_001, "“edits” has 10,001 entries"),
    ):
        assert error_of(client.post("/api/edits", json=body | {"edits": wrong}), 400).startswith(message)
    assert len(session.calls) == 1


def test_what_is_taken_away_decides_the_fields(session, client):
    base = {"behaviors": ["a", "b"]}
    requests = [
        {"what": "store", "annotator": "A", "overwrite": True},
        {"what": "files", "format": "boris", "content": "all"},
        {"what": "probe"},
    ]
    for one in requests:
        assert client.post("/api/take", json=base | one).status_code == 200
    assert session.calls == [("take", base | one) for one in requests]
    assert client.post("/api/take", json=base | {"what": "store", "annotator": ""}).status_code == 200
    assert client.post("/api/take", json=base | {"what": "store"}).status_code == 200
    assert [fields["annotator"] for _, fields in session.calls[-2:]] == ["", ""]
    assert "one of files, probe, store" in error_of(client.post("/api/take", json=base | {"what": "disk"}), 400)
    assert "“format”" in error_of(client.post("/api/take", json=base | {"what": "files"}), 400)
    more = base | {"what": "probe", "path": "/tmp"}
    assert "unknown field 'path'" in error_of(client.post("/api/take", json=more), 400)


def test_arrays_are_little_endian_bytes(session, client):
    poses = np.arange(24, dtype=np.float64).reshape(2, 2, 3, 2)
    poses[0, 0, 0] = np.nan
    session.answers |= {"tracks": poses, "frame_times": np.array([0.0, 1 / 3])}
    answer = client.get("/api/tracks?recording=r&start=0&stop=2")
    assert answer.headers["content-type"] == "application/octet-stream"
    np.testing.assert_array_equal(np.frombuffer(answer.content, "<f4").reshape(poses.shape), poses.astype(np.float32))
    np.testing.assert_array_equal(np.frombuffer(client.get("/api/frame-times?recording=r").content, "<f8"), [0, 1 / 3])


def test_very_many_frames_at_once_are_refused(session, client):
    assert "at most 200,000" in error_of(client.get("/api/tracks?recording=r&start=0&stop=200001"), 400)
    assert not session.calls
