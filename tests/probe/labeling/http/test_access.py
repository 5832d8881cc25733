"""Who may use the web application: tokens, cookies, other sites, passwords."""

import re

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from probe.labeling.access import Password, Tries
from probe.labeling.server import application
from ssl_behavior.errors import InputError
from tests.probe.labeling.fake_session import ANSWER, ORIGIN, PASSWORD, TOKEN, error_of


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
