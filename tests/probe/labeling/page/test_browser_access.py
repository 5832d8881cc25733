"""What a real browser does with tokens, cookies, forms and the requests of other pages."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from probe.labeling.access import Password
from probe.labeling.server import application
from tests.probe.labeling.fake_session import PASSWORD, TOKEN, Session


@pytest.fixture
def page(browser):
    context = browser.new_context()
    yield context.new_page()
    context.close()


@contextmanager
def served(**access):
    """The port of an application on all addresses of this machine."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        config = uvicorn.Config(application(Session(), **access), log_level="critical", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = server.force_exit = True
        thread.join()


STATUS = "path => fetch(path).then((answer) => answer.status)"
OF_OTHERS = """async (address) => {
  const told = [];
  for (const more of [{}, { method: "POST", mode: "no-cors", body: "{}" }, { mode: "no-cors" }])
    told.push(await fetch(address, { credentials: "include", ...more }).then((one) => one.status, () => "failed"));
  return told;
}"""


def test_a_browser_logs_in_with_a_password(page):
    # A name that browsers do not trust, as in a network: they then say less about where a form comes from.
    host = socket.gethostname()
    try:
        socket.gethostbyname(host)
    except OSError:
        pytest.skip(f"this machine does not know its own name, {host}")
    with served(token=TOKEN, hosts=[host.lower()], password=Password(PASSWORD)) as port:
        page.goto(f"http://{host}:{port}/")
        page.fill("input[type=password]", "wrong password")
        page.click("button")
        assert page.locator("p").first.inner_text() == "The password is wrong."
        assert page.evaluate(STATUS, "/api/project") == 401
        page.fill("input[type=password]", PASSWORD)
        page.click("button")
        page.wait_for_url(f"http://{host}:{port}/*")
        assert page.evaluate(STATUS, "/api/project") == 200
        assert page.evaluate("document.cookie") == ""


def test_a_link_of_another_page_opens_the_application_and_shows_nothing_else(page, tmp_path):
    with served(token=TOKEN, hosts=["127.0.0.1"]) as port, served(token=TOKEN, hosts=["127.0.0.1"]) as other:
        address = f"http://127.0.0.1:{port}"
        link = tmp_path / "link.html"
        link.write_text(f'<a href="{address}/?token={TOKEN}">open</a>', encoding="utf-8")
        page.goto(link.as_uri())
        page.click("a")
        page.wait_for_url(f"{address}/*")
        page.wait_for_function("document.title !== 'ssl-behavior label'")
        assert page.evaluate(STATUS, "/api/project") == 200 and TOKEN not in page.url
        # The page of another port, whose requests have the cookie: browsers count ports of a host as one site.
        stranger = page.context.new_page()
        stranger.goto(f"http://127.0.0.1:{other}/?token={TOKEN}")
        assert stranger.evaluate(OF_OTHERS, f"{address}/api/project") == ["failed"] * 3
