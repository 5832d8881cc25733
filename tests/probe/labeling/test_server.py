"""The web application over a session: who may use it, what it accepts, and what it answers."""

import errno
import json
import logging
import re
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from probe.labeling.access import Password, Tries
from probe.labeling.byte_ranges import chosen_range
from probe.labeling.project import Project, SpanDecision
from probe.labeling.server import application
from probe.labeling.state import NotReadyError
from ssl_behavior.errors import InputError

TOKEN, HOST, ORIGIN = "secret-token", "127.0.0.1:8000", "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"
ANSWER = {
    "key": "k1", "behavior": "following", "annotator": "Anna", "row": "r1@m1,m2", "start": 3, "stop": 9,
    "shown_start": 0, "shown_stop": 12, "decision": "yes", "source": "random", "ticket": "t", "seconds": 1.5,
}  # fmt: skip


class Session:
    """A session that notes its calls, and answers or raises what a test says."""

    def __init__(self):
        self.calls, self.answers, self.errors = [], {}, {}

    def __getattr__(self, method):
        def call(*arguments, **fields):
            self.calls.append((method, fields or arguments))
            if method in self.errors:
                raise self.errors[method]
            return self.answers.get(method, {})

        return call


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def app(session):
    return application(session, token=TOKEN, hosts=["127.0.0.1", "localhost", "::1"])


@pytest.fixture
def stranger(app):
    """A browser without a cookie."""
    return TestClient(app, base_url=ORIGIN, headers={"origin": ORIGIN})


@pytest.fixture
def client(stranger):
    """A browser that opened the address of the terminal."""
    assert stranger.get(f"/?token={TOKEN}").status_code == 200
    return stranger


def error_of(answer, status):
    assert answer.status_code == status, answer.text
    assert set(answer.json()) >= {"error"}
    return answer.json()["error"]


# Who may use it.


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(stranger):
    answer = stranger.get(f"/?token={TOKEN}", follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("ssl_behavior_label_8000=") and TOKEN not in cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "<title>" in stranger.get("/").text


def test_a_token_for_one_browser_opens_one(session):
    app = application(session, token=TOKEN, hosts=["127.0.0.1"], once="single")
    browsers = [TestClient(app, base_url=ORIGIN) for _ in range(3)]
    statuses = [
        browsers[n].get("/", params={"token": t}).status_code for n, t in ((0, "single"), (1, "single"), (2, TOKEN))
    ]
    assert statuses == [200, 401, 200] and browsers[0].get("/api/project").status_code == 200
    assert browsers[1].get("/", params={"token": ""}).status_code == 401


def test_a_link_of_another_site_still_opens_the_page(stranger):
    answer = stranger.get(f"/?token={TOKEN}", headers={"sec-fetch-site": "cross-site"}, follow_redirects=False)
    assert answer.status_code == 200 and "set-cookie" in answer.headers
    assert 'http-equiv="refresh" content="0; url=/"' in answer.text and TOKEN not in answer.text


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1], "é" * 12])
def test_another_token_opens_nothing(stranger, token):
    answer = stranger.get("/", params={"token": token})
    assert answer.status_code == 401 and "set-cookie" not in answer.headers
    assert "earlier start" in answer.text


@pytest.mark.parametrize(
    "path",
    ["/", "/assets/page.css", "/api/project", "/api/video?recording=a", "/api/tracks", "/api/nothing", "/nothing"],
)
def test_every_address_needs_the_cookie(session, stranger, path):
    assert stranger.get(path).status_code == 401
    stranger.cookies.set("ssl_behavior_label_8000", "guessed")
    assert stranger.get(path).status_code == 401
    assert not session.calls


def test_writing_needs_the_cookie(session, stranger):
    assert "terminal" in error_of(stranger.post("/api/answers", json=ANSWER), 401)
    assert not session.calls


def test_the_token_is_no_cookie_and_opens_nothing_but_the_page(session, stranger):
    stranger.cookies.set("ssl_behavior_label_8000", TOKEN)
    assert stranger.get("/").status_code == 401
    assert stranger.get("/api/project", params={"token": TOKEN}).status_code == 401
    assert not session.calls


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example:8000",
        "127.0.0.2:8000",
        "10.0.0.5",
        "",
        "[",
        "127.0.0.1:80/login",
    ],
)
def test_a_foreign_name_that_leads_here_is_refused(session, client, host):
    answer = client.get("/api/project", headers={"host": host})
    assert "not one of this application" in error_of(answer, 421)
    assert client.get(f"/?token={TOKEN}", headers={"host": host}).status_code == 421
    assert not session.calls


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "LOCALHOST:8000", "localhost:9999", "[::1]:8000"])
def test_names_of_this_machine_are_known_whatever_the_port(app, host):
    browser = TestClient(app, base_url=ORIGIN, headers={"host": host})
    assert browser.get(f"/?token={TOKEN}").status_code == 200
    assert browser.get("/api/project").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8000"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:8000.evil.example", "sec-fetch-site": "same-origin"},
    ],
)
def test_another_page_cannot_write(session, client, headers):
    assert "Another web page" in error_of(client.post("/api/answers", json=ANSWER, headers=headers), 403)
    assert not session.calls


@pytest.mark.parametrize(("fetched", "status"), [(None, 403), ("none", 403), ("cross-site", 403), ("same-origin", 200)])
def test_writing_without_an_origin_takes_the_browser_that_says_same_origin(client, fetched, status):
    del client.headers["origin"]
    headers = {"sec-fetch-site": fetched} if fetched else {}
    assert client.post("/api/answers", json=ANSWER, headers=headers).status_code == status


@pytest.mark.parametrize("fetched", ["cross-site", "same-site"])
def test_another_page_cannot_read(session, client, fetched):
    for path in ("/api/project", "/assets/page.css", "/api/video?recording=a"):
        assert client.get(path, headers={"sec-fetch-site": fetched}).status_code == 403
    assert client.get("/", headers={"sec-fetch-site": fetched}).status_code == 200
    assert not session.calls


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonp"]
)
def test_forms_of_other_pages_cannot_write(session, client, kind):
    answer = client.post("/api/answers", content=b"{}", headers={"content-type": kind})
    assert "JSON" in error_of(answer, 415)
    assert not session.calls


def test_no_other_site_is_told_that_it_may_ask(client):
    preflight = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answers = [
        client.options("/api/answers", headers=preflight),
        client.get("/api/project"),
        client.put("/api/answers"),
    ]
    assert [answer.status_code for answer in answers] == [405, 200, 405]
    assert not any(name.startswith("access-control") for answer in answers for name in answer.headers)


@pytest.mark.parametrize("path", ["/", "/api/project", "/api/nothing", "/assets/nothing", "/api/tracks?recording=a"])
def test_security_headers_are_on_every_answer(client, path):
    own = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in own["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'" and policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in own["content-security-policy"]
    assert own["x-content-type-options"] == "nosniff" and own["cache-control"] == "no-store"
    assert own["referrer-policy"] == "same-origin" and own["x-frame-options"] == "DENY"
    assert own["cross-origin-resource-policy"] == "same-origin"


def test_the_page_has_no_script_of_its_own_text(client):
    page = client.get("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)", page) and not re.search(r"\son\w+=|\sstyle=", page)
    assert not re.search(r"(?:src|href)=\"(?!/assets/|#)", page)


def test_assets_are_those_of_a_list(client):
    for name in re.findall(r"/assets/([\w.-]+)", client.get("/").text):
        assert client.get(f"/assets/{name}").status_code == 200
    for name in ("..%2fserver.py", "%2e%2e/server.py", "../page.html", "page.html", "", "/etc/passwd", "C:%5Cboot.ini"):
        answer = client.get(f"/assets/{name}")
        assert answer.status_code == 404 and "import" not in answer.text, name


def test_web_sockets_are_refused(client):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/project"):
        pass


# The password, for other machines.


@pytest.fixture
def far(session):
    """A browser of another machine."""
    app = application(session, token=TOKEN, hosts=["lab-pc"], password=Password(PASSWORD))
    return TestClient(app, base_url="http://lab-pc:8000", headers={"origin": "http://lab-pc:8000"})


def log_in(browser, password, **more):
    return browser.post("/login", data={"password": password}, follow_redirects=False, **more)


def test_a_password_takes_the_place_of_the_token(session, far):
    asked = far.get("/", params={"token": TOKEN})
    assert asked.status_code == 401 and 'type="password"' in asked.text
    assert far.get("/api/project").status_code == 401 and not session.calls
    wrong = log_in(far, "wrong")
    assert wrong.status_code == 401 and "set-cookie" not in wrong.headers and "wrong" in wrong.text
    right = log_in(far, PASSWORD)
    assert right.status_code == 303 and right.headers["location"] == "/" and PASSWORD not in str(right.headers)
    assert far.get("/api/project").status_code == 200


def test_the_password_is_asked_of_numbers_too_but_not_of_foreign_names(far):
    assert far.get("/", headers={"host": "192.168.0.7:8000"}).status_code == 401
    assert far.get("/", headers={"host": "evil.example:8000"}).status_code == 421


def test_the_form_of_another_page_cannot_try_passwords(far):
    assert log_in(far, PASSWORD, headers={"origin": "http://evil.example"}).status_code == 403
    assert far.post("/login", json={"password": PASSWORD}).status_code == 415
    assert far.get("/login").status_code == 401


def test_tries_are_counted(far):
    assert [log_in(far, f"wrong {n}").status_code for n in range(7)] == [401] * 5 + [429] * 2
    late = log_in(far, PASSWORD)
    assert late.status_code == 429 and "wait a minute" in late.text


def test_long_forms_are_not_read(far):
    assert log_in(far, "x" * 100_000).status_code == 401


def test_tries_come_back_after_their_time():
    now = [0.0]
    tries = Tries(most=2, most_of_all=3, seconds=60.0, clock=lambda: now[0])
    assert [tries.take("a"), tries.take("a"), tries.take("a"), tries.take("b"), tries.take("c")] == [
        True, True, False, True, False,
    ]  # fmt: skip
    tries.forgive("a")
    assert tries.take("a") and tries.take("c") is True and not tries.take("a")
    now[0] = 61.0
    assert tries.take("a") and tries.take("c")


def test_passwords_are_long_and_kept_as_a_hash():
    with pytest.raises(InputError, match="11 characters, and needs at least 12"):
        Password("x" * 11)
    password = Password("Größe der Maus 7")
    assert password.matches("Größe der Maus 7") and not password.matches("Größe der Maus 8")
    assert "Maus" not in repr(vars(password))


# What it accepts.


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


# What goes wrong.


def test_messages_speak_of_the_page(session, client):
    session.errors["take"] = InputError("the stream exists already: pass `overwrite`, or name another `annotator`")
    answer = client.post("/api/take", json={"what": "store", "behaviors": [], "annotator": ""})
    assert error_of(answer, 400) == "the stream exists already: pass “replace”, or name another “your name”"


def test_a_session_that_prepares_says_how_far_it_is(session, client):
    session.errors["proposals"] = NotReadyError({"stage": "segments", "share": 0.25})
    answer = client.post("/api/proposals", json={"behavior": "b"})
    assert "still being prepared" in error_of(answer, 503)
    assert answer.json()["preparing"] == {"stage": "segments", "share": 0.25}


@pytest.mark.parametrize(
    "error", [KeyError("secret detail"), OSError(errno.EIO, "secret detail"), ValueError("secret")]
)
def test_faults_are_a_sentence_in_the_page_and_a_traceback_in_the_terminal(session, client, caplog, error):
    session.errors["trust"] = error
    with caplog.at_level(logging.ERROR):
        answer = client.get("/api/trust?behavior=private")
    assert "fault of the application" in error_of(answer, 500) and "secret" not in answer.text
    (record,) = caplog.records
    assert record.exc_info[1] is error and "private" not in record.getMessage()


def test_answers_that_are_no_json_are_faults(session, client, caplog):
    session.answers["trust"] = {"value": float("nan")}
    assert "fault" in error_of(client.get("/api/trust?behavior=b"), 500)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said(session, client, number):
    session.errors["take"] = OSError(number, "No space left")
    answer = client.post("/api/take", json={"what": "probe", "behaviors": []})
    assert "The disk is full: nothing was stored" in error_of(answer, 507)


@pytest.fixture
def project(session, tmp_path):
    """A real file, into which the session writes answers."""
    opened = Project(tmp_path / "project", {"store": "s"})
    opened.add_behavior("following", "One walks behind the other.", "Anna")

    def answer(*, key, row, start, stop, decision, **_):
        span = SpanDecision(behavior="following", row=row, start=start, stop=stop, decision=decision)
        return {"event": opened.write(key, "answer", "Anna", [span])}

    session.answer = answer
    yield opened
    opened.close()


def kept_by_the_page(answer, status):
    """The sentence of an answer after which the page sends the request again."""
    # A session that prepares has status 503, too.
    assert "preparing" not in answer.json()
    return error_of(answer, status)


def test_an_answer_to_a_locked_project_is_sent_again(client, project):
    project._connection.execute("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(project.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "is locked: another program" in kept_by_the_page(client.post("/api/answers", json=ANSWER), 503)
        other.execute("ROLLBACK")
    assert client.post("/api/answers", json=ANSWER).json() == {"event": 1}


def test_an_answer_to_a_full_disk_is_sent_again(client, project):
    pages = project._connection.execute("PRAGMA page_count").fetchone()[0]
    project._connection.execute(f"PRAGMA max_page_count = {pages}")
    long = ANSWER | {"row": "r" * 9000}
    assert "the disk is full" in kept_by_the_page(client.post("/api/answers", json=long), 507)
    project._connection.execute(f"PRAGMA max_page_count = {1000 * pages}")
    assert client.post("/api/answers", json=long).json() == {"event": 1}


def test_an_answer_to_a_failing_disk_is_sent_again(session, client, project):
    def fail(**_):
        with project._write():
            raise sqlite3.OperationalError("disk I/O error")

    session.answer = fail
    assert "the disk fails" in kept_by_the_page(client.post("/api/answers", json=ANSWER), 503)


def test_other_troubles_of_the_file_are_refusals(session, client, project):
    def fail(**_):
        with project._write():
            raise sqlite3.DatabaseError("database disk image is malformed")

    session.answer = fail
    assert "is damaged" in error_of(client.post("/api/answers", json=ANSWER), 400)


def test_unknown_addresses_and_methods(client):
    assert "no such address" in error_of(client.get("/api/nothing"), 404)
    assert "no such address" in error_of(client.post("/api/nothing", json={}), 404)
    assert "does not answer such" in error_of(client.post("/api/project", json={}), 405)
    assert "does not answer such" in error_of(client.get("/api/answers"), 405)


def test_proposals_write_draws_and_are_not_read(session, client):
    for ask in (client.get, client.head):
        assert ask("/api/proposals?behavior=b").status_code == 405
    assert not session.calls
    assert client.post("/api/proposals", json={"behavior": "b", "k": 3}).status_code == 200
    assert session.calls == [("proposals", {"behavior": "b", "annotator": "", "k": 3})]


def test_two_browsers_are_served(session, app):
    browsers = [TestClient(app, base_url=ORIGIN, headers={"origin": ORIGIN}) for _ in range(2)]
    for number, browser in enumerate(browsers):
        browser.get(f"/?token={TOKEN}")
        assert browser.post("/api/answers", json=ANSWER | {"key": f"k{number}"}).status_code == 200
    assert [fields["key"] for _, fields in session.calls] == ["k0", "k1"]


# Videos.

BYTES = np.random.default_rng(0).bytes(1_000_003)


@pytest.fixture
def video(tmp_path, session):
    file = tmp_path / "film.mp4"
    file.write_bytes(BYTES)
    session.answers["video"] = file
    return file


URL = "/api/video?recording=r1"


def test_a_video_comes_whole(client, video):
    answer = client.get(URL)
    assert (answer.status_code, answer.content) == (200, BYTES)
    assert answer.headers["content-type"] == "video/mp4" and answer.headers["accept-ranges"] == "bytes"
    assert (
        answer.headers["content-length"] == str(len(BYTES)) and answer.headers["cache-control"] == "private, no-cache"
    )
    assert "film" not in str(answer.headers)


LAST = len(BYTES) - 1


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-", 0, None),
        ("bytes=0-0", 0, 1),
        ("bytes=100-299", 100, 300),
        ("bytes=262140-600000", 262140, 600001),
        ("bytes=1000000-", 1_000_000, None),
        (f"bytes={LAST}-{LAST}", LAST, None),
        ("bytes=500-99999999999", 500, None),
        ("bytes=-7", len(BYTES) - 7, None),
        ("bytes=-99999999999", 0, None),
        ("Bytes = 5 - 9", 5, 10),
    ],
)
def test_ranges_of_a_video(client, video, asked, start, stop):
    answer = client.get(URL, headers={"range": asked})
    stop = len(BYTES) if stop is None else stop
    assert (answer.status_code, answer.content) == (206, BYTES[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(BYTES)}"
    assert answer.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize("asked", [f"bytes={len(BYTES)}-", f"bytes={10**17}-", "bytes=-0", "bytes=2000000-3000000"])
def test_ranges_beyond_the_end(client, video, asked):
    answer = client.get(URL, headers={"range": asked})
    assert answer.status_code == 416 and answer.headers["content-range"] == f"bytes */{len(BYTES)}"


@pytest.mark.parametrize(
    "asked", ["bytes=-", "bytes=5-2", "frames=0-9", "bytes=0-4,8-9", "bytes=a-b", "0-5", "bytes=٣-"]
)
def test_ranges_that_are_none_give_the_whole(client, video, asked):
    answer = client.get(URL, headers={"range": asked.encode()})
    assert (answer.status_code, answer.content) == (200, BYTES)


def test_the_end_of_a_range_may_be_left_out():
    assert chosen_range("bytes=3-", 10) == (3, 10) and chosen_range("bytes=0-99", 10) == (0, 10)
    with pytest.raises(ValueError, match="0 bytes"):
        chosen_range("bytes=0-", 0)


def test_heads_have_no_body(client, video):
    whole, part = client.head(URL), client.head(URL, headers={"range": "bytes=5-9"})
    assert (whole.status_code, whole.content, whole.headers["content-length"]) == (200, b"", str(len(BYTES)))
    assert (part.status_code, part.content, part.headers["content-length"]) == (206, b"", "5")


def test_a_browser_that_has_the_file_gets_it_again_only_if_it_changed(client, video):
    headers = client.head(URL).headers
    tag, date = headers["etag"], headers["last-modified"]
    assert client.get(URL, headers={"if-none-match": tag}).status_code == 304
    part = {"range": "bytes=0-4"}
    assert [client.get(URL, headers=part | {"if-range": one}).status_code for one in (tag, date)] == [206, 206]
    video.write_bytes(b"another film")
    for old in (tag, '"other"'):
        answer = client.get(URL, headers=part | {"if-range": old})
        assert (answer.status_code, answer.content) == (200, b"another film")
    assert client.get(URL, headers={"if-none-match": tag}).status_code == 200


def test_an_empty_video(client, video):
    video.write_bytes(b"")
    assert client.get(URL).content == b"" and client.get(URL, headers={"range": "bytes=0-"}).status_code == 416


def test_a_recording_without_a_video(session, client, video):
    video.unlink()
    assert "cannot be read" in error_of(client.get(URL), 404)
    session.answers["video"] = None
    assert "no video of this recording" in error_of(client.get(URL), 404)
    assert "“recording”" in error_of(client.get("/api/video"), 400)
