"""Web application of `ssl-behavior label`: the routes over a `LabelSession`, and what goes wrong as sentences."""

import errno
import json
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from probe.labeling.access import Gate, Password, read_body
from probe.labeling.byte_ranges import file_response
from probe.labeling.page_files import PAGE, page_file
from probe.labeling.project import NotStoredError
from probe.labeling.request_fields import (
    Field,
    as_page_words,
    fields_from_json,
    fields_from_query,
    flag,
    items,
    number,
    text,
    whole,
)
from ssl_behavior.errors import InputError

if TYPE_CHECKING:
    # Not imported here: the page is there before the libraries of the session are.
    from probe.labeling.opening import Opening
    from probe.labeling.session import LabelSession

__all__ = ["application"]

logger = logging.getLogger("probe.labeling")
_MOST_BODY_BYTES = 4 << 20
_MOST_FRAMES = 200_000
"""Frames of poses in one answer."""
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_BUG = "Something went wrong that is a fault of the application. The terminal shows the details."
_FULL = "The disk is full: nothing was stored. Free some space, and do it again."
_NO_SUCH = "This application has no such address."
_DECISIONS = ("yes", "no", "unsure")

_Call = Callable[..., Any]


@dataclass(frozen=True)
class _Job:
    """A route whose answer is what a method of the session returns: JSON, or an array as bytes.

    Parameters
    ----------
    method : name of the session's method.
    fields : its keyword arguments.
    dtype : numbers of an answer that is an array; empty for JSON.
    """

    method: str
    fields: Mapping[str, Field]
    dtype: str = ""


_BEHAVIOR = {"behavior": text()}
_AUTHOR = {**_BEHAVIOR, "annotator": text()}
_SPAN = {"row": text(), "start": whole(), "stop": whole()}
_READS = {
    "/api/project": _Job("project", {}),
    "/api/timeline": _Job(
        "timeline",
        {
            **_BEHAVIOR,
            "row": text(),
            "bins": whole(1500, lowest=1, highest=20_000),
            "minimum_frames": whole(1, lowest=1),
            "minimum_probability": number(0.0, highest=1.0),
        },
    ),
    "/api/trust": _Job("trust", {**_BEHAVIOR, "target": number(0.9, highest=1.0)}),
    "/api/tracks": _Job("tracks", {"recording": text(), "start": whole(), "stop": whole()}, "<f4"),
    "/api/frame-times": _Job("frame_times", {"recording": text()}, "<f8"),
}  # fmt: skip
_EDIT = {**_BEHAVIOR, **_SPAN, "decision": text(choices=_DECISIONS)}
_WRITES = {
    "/api/behaviors": _Job("add_behavior", {"name": text(), "definition": text(), "annotator": text()}),
    # It writes random draws.
    "/api/proposals": _Job("proposals", {**_BEHAVIOR, "annotator": text(""), "k": whole(6, lowest=1, highest=100)}),
    "/api/search": _Job("search", {**_BEHAVIOR, **_SPAN, "k": whole(20, lowest=1, highest=1000)}),
    "/api/sentence": _Job("sentence", {**_BEHAVIOR, "text": text(), "k": whole(20, lowest=1, highest=1000)}),
    "/api/answers": _Job(
        "answer",
        {
            "key": text(),
            **_AUTHOR,
            **_SPAN,
            "shown_start": whole(),
            "shown_stop": whole(),
            "decision": text(choices=_DECISIONS),
            "source": text(),
            "ticket": text(),
            "seconds": number(),
        },
    ),
    "/api/threshold": _Job("set_threshold", {"key": text(), **_AUTHOR, "probability": number(None, highest=1.0)}),
    "/api/undo": _Job("undo", _AUTHOR),
    "/api/redo": _Job("redo", _AUTHOR),
    "/api/edits": _Job(
        "edit",
        {
            "key": text(),
            **_AUTHOR,
            "kind": text(choices=("move", "split", "merge", "relabel", "draw", "remove", "accept")),
            "edits": items(_EDIT),
        },
    ),
}
_TAKES = {
    "store": {"annotator": text(""), "overwrite": flag(False)},
    "files": {"format": text(), "content": text("answers", choices=("answers", "all"))},
    "probe": {},
}
"""What to take away -> fields of the request besides `what` and `behaviors`."""


def application(
    session: "LabelSession | Opening",
    *,
    token: str,
    hosts: Collection[str],
    password: Password | None = None,
    once: str = "",
) -> Starlette:
    """Web application over a session.

    Parameters
    ----------
    session : its `InputError`s are sentences for the page, with status 400. One with an attribute `preparing` says that
        it is too early: status 503, with `preparing`. After a `NotStoredError`, of status 503 or 507, the page tries
        again.
    token : text that the address must hold, `http://HOST:PORT/?token=...`; not used with a password.
    hosts : names and numbers of this machine that requests may be sent to, without port.
    password : asks for it in place of the token.
    once : a token that opens one browser only, see `Gate`.
    """
    routes = [
        Route("/", _answering(_page)),
        Route("/assets/{name}", _answering(_asset)),
        Route("/api/video", _answering(_video(session))),
        Route("/api/take", _answering(_take(session)), methods=["POST"]),
        *(Route(path, _answering(_read(session, job))) for path, job in _READS.items()),
        *(Route(path, _answering(_write(session, job)), methods=["POST"]) for path, job in _WRITES.items()),
    ]
    gate = Middleware(Gate, token=token, hosts=hosts, password=password, once=once)
    return Starlette(routes=routes, middleware=[gate], exception_handlers={HTTPException: _unknown})


async def _page(request: Request) -> Response:
    return HTMLResponse(PAGE.read_bytes())


async def _asset(request: Request) -> Response:
    file = page_file(request.path_params["name"])
    if file is None:
        return _sentence(404, _NO_SUCH)
    media_type = _MEDIA_TYPES.get(file.suffix, "application/octet-stream")
    return Response(file.read_bytes(), media_type=media_type)


def _read(session: "LabelSession | Opening", job: _Job) -> _Call:
    async def answer(request: Request) -> Response:
        fields = fields_from_query(request.query_params.multi_items(), job.fields)
        if job.method == "tracks" and fields["stop"] - fields["start"] > _MOST_FRAMES:
            raise InputError(f"`stop` is too far from `start`: at most {_MOST_FRAMES:,} frames at once")
        return await run_in_threadpool(_call, session, job, fields)

    return answer


def _write(session: "LabelSession | Opening", job: _Job) -> _Call:
    async def answer(request: Request) -> Response:
        fields = fields_from_json(await _contents(request), job.fields)
        return await run_in_threadpool(_call, session, job, fields)

    return answer


def _take(session: "LabelSession | Opening") -> _Call:
    async def answer(request: Request) -> Response:
        contents = await _contents(request)
        what = contents.get("what") if isinstance(contents, dict) else None
        more = _TAKES.get(what, {}) if isinstance(what, str) else {}
        fields = {"what": text(choices=tuple(_TAKES)), "behaviors": items(text()), **more}
        return await run_in_threadpool(_call, session, _Job("take", fields), fields_from_json(contents, fields))

    return answer


def _video(session: "LabelSession | Opening") -> _Call:
    async def answer(request: Request) -> Response:
        fields = fields_from_query(request.query_params.multi_items(), {"recording": text()})
        path = await run_in_threadpool(session.video, fields["recording"])
        if path is None:
            return _sentence(404, "There is no video of this recording.")
        try:
            return await run_in_threadpool(file_response, path, request.method, request.headers)
        except OSError as error:
            return _sentence(404, f"The video cannot be read: {error.strerror}.")

    return answer


def _call(session: "LabelSession | Opening", job: _Job, fields: dict[str, Any]) -> Response:
    answer = getattr(session, job.method)(**fields)
    if job.dtype:
        return Response(answer.astype(job.dtype).tobytes(), media_type="application/octet-stream")
    return JSONResponse(answer)


def _answering(job: _Call) -> _Call:
    """The endpoint whose errors are sentences for the page."""

    async def endpoint(request: Request) -> Response:
        try:
            return await job(request)
        except InputError as error:
            return _refusal(error)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                return _sentence(507, _FULL)
            logger.exception("%s %s failed", request.method, request.scope["path"])
            return _sentence(500, _BUG)

    return endpoint


def _refusal(error: InputError) -> Response:
    message = as_page_words(str(error))
    if isinstance(error, NotStoredError):
        # The page keeps the answer and sends it again; after a 400 it would forget the answer.
        return _sentence(507 if error.is_full else 503, message)
    preparing = getattr(error, "preparing", None)
    if preparing is not None:
        return JSONResponse({"error": message, "preparing": preparing}, status_code=503)
    return _sentence(400, message)


def _sentence(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)


async def _contents(request: Request) -> Any:
    """JSON of a request.

    Raises
    ------
    InputError
        If it is no JSON, or longer than 4 MB.
    """
    body = await read_body(request, _MOST_BODY_BYTES)
    if body is None:
        raise InputError(f"the request is too long: at most {_MOST_BODY_BYTES >> 20} MB are allowed")
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InputError("the request is no valid JSON") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


async def _unknown(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    messages = {404: _NO_SUCH, 405: "This address does not answer such requests."}
    return _sentence(status, messages.get(status, "This request cannot be answered."))
