"""Who may use the labeling application: token or password, names of this machine, requests of the page alone.

The application listens on one machine, but every web page that a browser shows can send requests to that machine.
A request therefore needs a cookie that other pages do not have, the machine's own name as host (a foreign name that
leads here is a rebinding attack), and, where it writes, the application's own page as its origin.
"""

import hashlib
import hmac
import ipaddress
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ssl_behavior.errors import InputError

__all__ = ["MIN_PASSWORD", "Gate", "Password", "Tries", "answers_for_people", "message_page", "read_body"]

MIN_PASSWORD = 12
"""Characters of the shortest password."""
_MOST_LOGIN_BYTES = 4096
_HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # With no-referrer, browsers would send forms without their origin, which the gate checks.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_DOCUMENT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>ssl-behavior label</title>{head}</head>
<body><h1>ssl-behavior label</h1><p>{message}</p>{form}</body>
</html>
"""
_FORM = """<form method="post" action="/login"><label>Password <input type="password" name="password" required autofocus
autocomplete="current-password"></label> <button>Open</button></form>"""
_ADDRESS_NEEDED = "Open the address that the terminal shows: it holds a key that this browser does not have yet."


class Password:
    """Password as a hash (scrypt) with a salt; the text is not kept.

    Raises
    ------
    InputError
        If the password is shorter than 12 characters.
    """

    def __init__(self, text: str) -> None:
        if len(text) < MIN_PASSWORD:
            raise InputError(f"the password has {len(text)} characters, and needs at least {MIN_PASSWORD}")
        self._salt = secrets.token_bytes(16)
        self._hash = self._hashed(text)
        self._lock = threading.Lock()

    def matches(self, text: str) -> bool:
        """True for the password; one check at a time, which takes about 50 ms and 16 MB."""
        with self._lock:
            return hmac.compare_digest(self._hashed(text), self._hash)

    def _hashed(self, text: str) -> bytes:
        return hashlib.scrypt(text.encode("utf-8", "surrogatepass"), salt=self._salt, n=2**14, r=8, p=1)


class Tries:
    """Failed tries of each client in the last seconds; further ones wait.

    Parameters
    ----------
    most : failed tries of a client within `seconds`.
    most_of_all : failed tries of all clients together.
    clock : seconds, always rising.
    """

    def __init__(
        self, most: int = 5, most_of_all: int = 50, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._most_of_all, self._seconds, self._clock = most, most_of_all, seconds, clock
        self._failed: list[tuple[float, str]] = []
        self._lock = threading.Lock()

    def take(self, client: str) -> bool:
        """Take a try, which counts as failed until `forgive`; False = the client has none left for now."""
        with self._lock:
            since = self._clock() - self._seconds
            self._failed = [one for one in self._failed if one[0] > since]
            own = sum(name == client for _, name in self._failed)
            if own >= self._most or len(self._failed) >= self._most_of_all:
                return False
            self._failed.append((self._clock(), client))
            return True

    def forgive(self, client: str) -> None:
        """Forget the tries of a client that gave the password."""
        with self._lock:
            self._failed = [one for one in self._failed if one[1] != client]


class Gate:
    """ASGI application in front of another one: lets only permitted requests through, and adds security headers.

    Parameters
    ----------
    token : text of the address that the terminal shows.
    once : text of an address that opens one browser only; "" = none. Other people on this machine can read the commands
        that run, and with them the address that a browser is started with.
    hosts : names and numbers of this machine that requests may be sent to, without port.
    password : asks for this password instead of the token, and permits every numeric address of the machine.
    """

    def __init__(
        self, app: ASGIApp, *, token: str, hosts: Collection[str], password: Password | None = None, once: str = ""
    ) -> None:
        self._app, self._token, self._once, self._password = app, token, once, password
        self._hosts = frozenset(host.lower() for host in hosts)
        self._pass, self._tries = secrets.token_urlsafe(32), Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        answer = await self._answer(request)
        await (answer or self._app)(scope, receive, _with_headers(send))

    async def _answer(self, request: Request) -> Response | None:
        """Answer of the gate itself; None = the request may pass."""
        path, method = request.scope["path"], request.method
        if not self._is_own_host(_host(request)):
            return _refused(request, 421, "This address is not one of this application: open the one of the terminal.")
        if method not in ("GET", "HEAD", "POST"):
            return _refused(request, 405, "This application answers GET, HEAD and POST only.")
        if not _is_own_page(request):
            return _refused(request, 403, "Another web page sent this request, and only this application's page may.")
        if self._password and path == "/login" and method == "POST":
            return await self._log_in(request, self._password)
        if not self._password and path == "/" and "token" in request.query_params:
            return self._exchange_token(request)
        if not _same(request.cookies.get(_cookie(request), ""), self._pass):
            return self._not_yet(request)
        if method == "POST" and _media_type(request) != "application/json":
            return _refused(request, 415, "Requests that change something must be JSON (application/json).")
        return None

    def _is_own_host(self, host: str) -> bool:
        # Names can be made to lead here (rebinding), numbers cannot.
        return host in self._hosts or bool(self._password and _is_numeric(host))

    def _exchange_token(self, request: Request) -> Response:
        given = request.query_params["token"]
        if self._once and _same(given, self._once):
            self._once = ""
        elif not _same(given, self._token):
            return _refused(request, 401, "This address is of an earlier start: open the one of the terminal.")
        return self._let_in(request)

    def _let_in(self, request: Request) -> Response:
        """Give the browser its cookie, and go to the page at an address without the token."""
        answer: Response = RedirectResponse("/", status_code=303)
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # A link on another page led here. After a redirect, browsers would hold back a strict cookie.
            answer = HTMLResponse(message_page("Opening ...", head='<meta http-equiv="refresh" content="0; url=/">'))
        answer.set_cookie(_cookie(request), self._pass, httponly=True, samesite="strict", path="/")
        return answer

    def _not_yet(self, request: Request) -> Response:
        if not self._password:
            return _refused(request, 401, _ADDRESS_NEEDED)
        if answers_for_people(request):
            return HTMLResponse(message_page("This application asks for a password.", form=_FORM), status_code=401)
        return _refused(request, 401, "Give the password first: reload the page.")

    async def _log_in(self, request: Request, password: Password) -> Response:
        if _media_type(request) != "application/x-www-form-urlencoded":
            return _refused(request, 415, "Send the form of the page.")
        client = request.client.host if request.client else ""
        if not self._tries.take(client):
            return HTMLResponse(message_page("Too many wrong passwords: wait a minute.", form=_FORM), status_code=429)
        body = await read_body(request, _MOST_LOGIN_BYTES)
        fields = parse_qs((body or b"").decode("utf-8", "replace"))
        if await run_in_threadpool(password.matches, fields.get("password", [""])[0]):
            self._tries.forgive(client)
            return self._let_in(request)
        return HTMLResponse(message_page("The password is wrong.", form=_FORM), status_code=401)


async def read_body(request: Request, most_bytes: int) -> bytes | None:
    """Body of a request; None if it is longer than `most_bytes`, of which no more is kept in memory."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most_bytes:
        return None
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most_bytes:
            return None
    return bytes(body)


def answers_for_people(request: Request) -> bool:
    """True if the answer is read by a person in a browser, False if a script of the page reads it."""
    return request.scope["path"] in ("/", "/login")


def message_page(message: str, head: str = "", form: str = "") -> str:
    """HTML page with one sentence.

    Parameters
    ----------
    message, head, form : constant texts of this package, never of a request: they are not escaped.
    """
    return _DOCUMENT.format(message=message, head=head, form=form)


def _refused(request: Request, status: int, message: str) -> Response:
    if answers_for_people(request):
        return HTMLResponse(message_page(message), status_code=status)
    return JSONResponse({"error": message}, status_code=status)


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return guarded


def _is_own_page(request: Request) -> bool:
    """Whether a page of this application sent the request, or a person who opened the address."""
    fetched = request.headers.get("sec-fetch-site", "")
    origin = request.headers.get("origin")
    if request.method == "POST":
        if origin is not None:
            return origin.lower() == f"{request.scope['scheme']}://{request.headers.get('host', '').lower()}"
        return fetched == "same-origin"
    # Anybody may lead a browser to the page itself; what it shows needs the cookie.
    return request.scope["path"] == "/" or fetched in ("", "none", "same-origin")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _cookie(request: Request) -> str:
    """Name of the cookie: with the port, because browsers send the cookies of one host to all its ports."""
    return f"ssl_behavior_label_{_host_and_port(request)[1]}"


def _host(request: Request) -> str:
    return _host_and_port(request)[0]


def _host_and_port(request: Request) -> tuple[str, str]:
    """Name or number of the host that a request was sent to, and the port; empty where the header is no host."""
    found = re.fullmatch(r"(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?", request.headers.get("host", "").lower())
    return ((found[1] or found[2]), found[3] or "80") if found else ("", "")


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8"))
