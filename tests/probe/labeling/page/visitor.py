"""A real server for the page, and visitors with a browser."""

import asyncio
import re
import threading
import time
from contextlib import contextmanager

import pytest

PATIENCE_MS = 15_000
DEFINITION = "One mouse walks behind the other."
EVIL = "<img src=x onerror=window.hacked=1>"
"""A name that would run where names are not escaped."""


class Hold:
    """Between browser and application: keeps requests that store something from it (`before`), or its answers."""

    def __init__(self, app):
        self.app, self.before, self.after = app, False, False

    async def __call__(self, scope, receive, send):
        held = scope["type"] == "http" and scope["path"] in ("/api/answers", "/api/edits")
        if held and self.before:
            while self.before:
                await asyncio.sleep(0.01)
            return

        async def late(message):
            while held and self.after:
                await asyncio.sleep(0.01)
            await send(message)

        await self.app(scope, receive, late)


@contextmanager
def served(session, port=0):
    """The application on the loopback address: (address with the token, hold)."""
    import uvicorn

    from probe.labeling.server import application

    hold = Hold(application(session, token="secret", hosts=["127.0.0.1"]))
    server = uvicorn.Server(uvicorn.Config(hold, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/?token=secret", hold
    hold.before = hold.after = False
    server.should_exit = server.force_exit = True
    thread.join(10)


@contextmanager
def opened(data, project, port=0):
    """The application over a project: (address with the token, hold, session)."""
    pytest.importorskip("uvicorn", reason="the extra `app` is not installed")
    from probe.labeling.session import LabelSession

    session = LabelSession(data["store"], data["embeddings"], project, videos=data["videos"])
    with served(session, port) as (address, hold):
        yield address, hold, session
    session.close()


class Visitor:
    """A browser profile with tabs; in the end nothing may have gone wrong, or been asked of another server."""

    def __init__(self, browser, address):
        self.context = browser.new_context(viewport={"width": 1440, "height": 900}, service_workers="block")
        self.context.set_default_timeout(PATIENCE_MS)
        self.address, self.origin = address, address.partition("/?")[0]
        self.complaints, self.expected = [], ["status of 503"]  # while the session opens

    def tab(self, view=""):
        page = self.context.new_page()
        page.on("request", lambda one: None if one.url.startswith((self.origin, "about:")) else self.note(one.url))
        page.on("console", lambda message: message.type in ("error", "warning") and self.note(message.text))
        page.on("pageerror", lambda error: self.note(str(error)))
        page.goto(self.address)
        if view:
            page.goto(f"{self.origin}/{view}")
        return ready(page)

    def note(self, text):
        self.complaints.append(text)

    def close(self):
        self.context.close()
        unexpected = [text for text in self.complaints if not any(re.search(one, text) for one in self.expected)]
        assert not unexpected, unexpected


def ready(page):
    page.wait_for_selector("html[data-ready]")
    return page
