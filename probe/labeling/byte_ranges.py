"""Files over HTTP with byte ranges, as the video player of a browser asks for them."""

import re
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from pathlib import Path

from starlette.responses import Response, StreamingResponse

__all__ = ["chosen_range", "file_response"]

_CHUNK_BYTES = 1 << 18
_MEDIA_TYPES = {
    ".avi": "video/x-msvideo",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".ogv": "video/ogg",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
}


def chosen_range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the byte after the last one that a `Range` header asks for.

    Parameters
    ----------
    size : bytes of the file.

    Returns
    -------
    range : None where the header is to be ignored (RFC 9110): it is malformed, or asks for several ranges.

    Raises
    ------
    ValueError
        If no byte of the file is in the range.

    >>> chosen_range("bytes=0-499", 1000), chosen_range("bytes=990-", 1000), chosen_range("bytes=-10", 1000)
    ((0, 500), (990, 1000), (990, 1000))
    """
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.replace(" ", ""), re.IGNORECASE | re.ASCII)
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise ValueError(f"the file has {size} bytes")
    return start, stop


def file_response(path: Path, method: str, headers: Mapping[str, str]) -> Response:
    """Answer to a request for a file: 200, 206 for a range of its bytes, 304 or 416; read in pieces as it is sent.

    Parameters
    ----------
    method : "GET" or "HEAD", which gets no bytes.
    headers : the request's headers; their names in lower case, or a mapping that ignores case.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    facts = path.stat()
    tag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
    own = {
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-type": _MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream"),
        "etag": tag,
        "last-modified": formatdate(facts.st_mtime, usegmt=True),
    }
    if tag in [one.strip() for one in headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=own)
    # Another file than the one of which the browser has the first part: all of it.
    is_same = headers.get("if-range", tag) in (tag, own["last-modified"])
    try:
        part = chosen_range(headers["range"], facts.st_size) if "range" in headers and is_same else None
    except ValueError:
        own["content-range"] = f"bytes */{facts.st_size}"
        return Response(status_code=416, headers=own)
    start, stop = part or (0, facts.st_size)
    own["content-length"] = str(stop - start)
    if part:
        own["content-range"] = f"bytes {start}-{stop - 1}/{facts.st_size}"
    status = 206 if part else 200
    if method == "HEAD":
        return Response(status_code=status, headers=own)
    with path.open("rb"):  # a file that cannot be read is an error before the answer begins
        pass
    return StreamingResponse(_pieces(path, start, stop), status_code=status, headers=own)


def _pieces(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < stop and (piece := file.read(min(_CHUNK_BYTES, stop - start))):
            start += len(piece)
            yield piece
