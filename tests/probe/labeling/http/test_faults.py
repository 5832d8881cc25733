"""What goes wrong in the web application, as sentences for the page."""

import errno
import logging
import sqlite3
from contextlib import closing

import pytest
from starlette.testclient import TestClient

from probe.labeling.opening import NotReadyError
from probe.labeling.project import Project, SpanDecision
from ssl_behavior.errors import InputError
from tests.probe.labeling.fake_session import ANSWER, ORIGIN, TOKEN, error_of


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


@pytest.fixture
def fail(session, project):
    """Let each answer meet an error of the database."""

    def fail(error):
        def answer(**_):
            with project._write():
                raise error

        session.answer = answer

    return fail


def test_an_answer_to_a_failing_disk_is_sent_again(client, fail):
    fail(sqlite3.OperationalError("disk I/O error"))
    assert "the disk fails" in kept_by_the_page(client.post("/api/answers", json=ANSWER), 503)


def test_other_troubles_of_the_file_are_refusals(client, fail):
    fail(sqlite3.DatabaseError("database disk image is malformed"))
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
