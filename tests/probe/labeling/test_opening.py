"""A session that opens in the background: the answers of requests until it is there, and if it never is."""

import threading
import time

import pytest
from starlette.testclient import TestClient

from probe.labeling import opening as module
from probe.labeling.opening import NotReadyError, Opening
from probe.labeling.server import application
from ssl_behavior.errors import InputError
from tests.probe.labeling.fake_session import ANSWER


class Session:
    closed = False

    def project(self):
        return {"title": "there"}

    def close(self):
        self.closed = True


def browser_of(opening):
    client = TestClient(application(opening, token="t", hosts=["testserver"]))
    assert client.get("/?token=t").status_code == 200
    return client


def test_requests_have_to_wait_until_it_is_open():
    may_open, session, failures = threading.Event(), Session(), []

    def make():
        may_open.wait(10)
        return session

    opening = Opening(make)
    opening.start(lambda: failures.append(1))
    client = browser_of(opening)
    early = client.get("/api/project")
    assert early.status_code == 503 and early.json()["preparing"] == {"stage": "opening the project", "share": 0.0}
    may_open.set()
    opening._thread.join()
    assert client.get("/api/project").json() == {"title": "there"}
    opening.close()
    assert session.closed and not failures


def failing(error, failures):
    def make():
        time.sleep(0.05)
        raise error

    opening = Opening(make)
    opening.start(lambda: failures.append(time.monotonic()))
    return opening


def test_a_page_that_waits_learns_why_it_failed():
    failures = []
    opening = failing(InputError("`out` is in use"), failures)
    client = browser_of(opening)
    while "preparing" in (answer := client.get("/api/project")).json():
        time.sleep(0.01)
    assert answer.status_code == 503 and answer.json() == {"error": "“project folder” is in use"}
    opening.close()
    assert failures and isinstance(opening.failure, InputError)


def test_an_answer_to_a_project_that_did_not_open_is_sent_again():
    opening = failing(InputError("no"), [])
    client = browser_of(opening)
    opening._thread.join(0.2)
    answer = client.post("/api/answers", json=ANSWER, headers={"origin": "http://testserver"})
    assert answer.status_code == 503 and answer.json() == {"error": "no"}
    opening.close()


def test_without_a_page_it_fails_at_once(monkeypatch):
    monkeypatch.setattr(module, "_GRACE_SECONDS", 60.0)
    failures, start = [], time.monotonic()
    opening = failing(OSError("no disk"), failures)
    opening.close()
    assert failures[0] - start < 30 and isinstance(opening.failure, OSError)


def test_a_page_that_went_away_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.1)
    failures = []
    opening = failing(InputError("no"), failures)
    with pytest.raises(NotReadyError):
        opening.project()
    opening.close()
    assert failures


def test_closing_what_never_started():
    Opening(Session).close()
