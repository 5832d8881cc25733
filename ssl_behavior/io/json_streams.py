"""Streaming reader of the objects at depth three of a large JSON file."""

import json
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ssl_behavior.errors import InputError

__all__ = ["MAX_OBJECT_BYTES", "iterate_file", "iterate_objects"]


MAX_OBJECT_BYTES = 1 << 30
_MAX_OUTER_BYTES = 1 << 24
_CHUNK_BYTES = 1 << 18
_DEPTH = 3
_QUOTE, _BACKSLASH, _OPEN, _CLOSE = b'"\\{}'
_IS_MARK = np.zeros(256, dtype=bool)
_IS_MARK[[_QUOTE, _BACKSLASH, _OPEN, _CLOSE]] = True


def _marks(chunk: bytes) -> list[int]:
    """Positions of quotes, backslashes and braces. Most chunks are numbers only and cost four searches."""
    if not any(mark in chunk for mark in (_QUOTE, _BACKSLASH, _OPEN, _CLOSE)):
        return []
    return np.flatnonzero(_IS_MARK[np.frombuffer(chunk, dtype=np.uint8)]).tolist()


class _Scan:
    """Scanner state: depth of braces, inside a string or not, and the last key at each depth."""

    def __init__(self) -> None:
        self.depth = 0
        self.in_string = False
        self.escaped_at = -1
        self.inner: list[bytes] = []
        self.inner_bytes = 0
        self.outer = bytearray()
        self.string_start = 0
        self.keys = ["", "", ""]

    def keep(self, piece: bytes) -> None:
        """Append text to the current object, or to the text around the objects."""
        if self.depth >= _DEPTH:
            self.inner.append(piece)
            self.inner_bytes += len(piece)
        else:
            self.outer += piece
        if self.inner_bytes > MAX_OBJECT_BYTES or len(self.outer) > _MAX_OUTER_BYTES:
            raise InputError("its objects are not nested as {group: {sequence: {...}}}")

    def end_string(self) -> None:
        self.in_string = False
        if self.depth < _DEPTH:
            try:
                self.keys[self.depth] = json.loads(bytes(self.outer[self.string_start :]))
            except (json.JSONDecodeError, UnicodeDecodeError):
                raise InputError("a name in it is not JSON text") from None

    def take(self) -> tuple[str, str, bytes]:
        content = b"".join(self.inner)
        self.inner, self.inner_bytes = [], 0
        self.outer += b"0"
        return self.keys[1], self.keys[2], content


def iterate_file(
    read: Callable[[int], bytes], source: str, seen: Callable[[bytes], object]
) -> Iterator[tuple[str, str, bytes]]:
    """`iterate_objects` from a file's `read`; `source` names the file in errors.

    `seen` is called with every piece that was read: for progress, or to hash the file on the way.
    """

    def chunks() -> Iterator[bytes]:
        while chunk := read(_CHUNK_BYTES):
            seen(chunk)
            yield chunk

    try:
        yield from iterate_objects(chunks())
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def iterate_objects(chunks: Iterable[bytes]) -> Iterator[tuple[str, str, bytes]]:
    """(group, name, bytes of the object) for every object at depth three; memory is one object's.

    Raises
    ------
    InputError
        After the last object, if the text around the objects is not JSON nested as {group: {name: object}},
        for example because it is cut off; the message does not name the file.
    """
    scan = _Scan()
    for chunk in chunks:
        yield from _scan_chunk(scan, chunk)
    _check_outer(scan)


def _scan_chunk(scan: _Scan, chunk: bytes) -> Iterator[tuple[str, str, bytes]]:
    kept = 0
    for at in _marks(chunk):
        mark = chunk[at]
        if scan.in_string:
            if at == scan.escaped_at:
                continue
            if mark == _BACKSLASH:
                scan.escaped_at = at + 1
            elif mark == _QUOTE:
                scan.keep(chunk[kept : at + 1])
                kept = at + 1
                scan.end_string()
        elif mark == _QUOTE:
            scan.keep(chunk[kept:at])
            kept, scan.in_string, scan.string_start = at, True, len(scan.outer)
        elif mark == _OPEN:
            scan.keep(chunk[kept:at])
            kept = at
            scan.depth += 1
        elif mark == _CLOSE:
            scan.keep(chunk[kept : at + 1])
            kept = at + 1
            scan.depth -= 1
            if scan.depth == _DEPTH - 1:
                yield scan.take()
    scan.keep(chunk[kept:])
    scan.escaped_at = 0 if scan.escaped_at == len(chunk) else -1


def _check_outer(scan: _Scan) -> None:
    if scan.depth > 0 or scan.in_string:
        raise InputError("it ends in the middle: copy or download it again")
    try:
        outer = json.loads(bytes(scan.outer))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"it is not well-formed JSON ({error})") from None
    nested = isinstance(outer, dict) and all(
        isinstance(group, dict) and all(value == 0 for value in group.values()) for group in outer.values()
    )
    if not nested:
        raise InputError("its objects are not nested as {group: {sequence: {...}}}")
