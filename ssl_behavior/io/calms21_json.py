"""CalMS21's release JSON, plain or inside the release's zip files, one sequence at a time.

{group: {sequence: {"keypoints": [T][2][2][7], "scores": [T][2][7], "annotations": [T], "metadata": {...}}}}
"""

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import simdjson

from ssl_behavior.errors import InputError
from ssl_behavior.io.calms21 import sequence_to_recording
from ssl_behavior.io.json_objects import iterate_objects
from ssl_behavior.io.options import ReadOptions, UnknownFormatError
from ssl_behavior.io.source import HEAD_BYTES, check_file, read_head
from ssl_behavior.recording import Recording

__all__ = ["read_calms21_json", "read_calms21_zip", "sniff_json", "sniff_zip"]

_CHUNK = 1 << 18
_KEYS = ("keypoints", "scores", "annotations", "metadata", "features")
_NAME = rb'"(?:[^"\\]|\\.)*"'
_OBJECT = rb"\s*\{\s*"
_START = re.compile(_OBJECT + (_NAME + rb"\s*:" + _OBJECT) * 2 + rb'"(' + "|".join(_KEYS).encode() + rb')"', re.DOTALL)
_NO_DIGITS = b"0123456789.eE+- \n\r\t"
_ZIP_FAILURES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, NotImplementedError)
"""RuntimeError: encrypted; NotImplementedError: a compression Python does not have."""


def sniff_json(path: Path) -> bool:
    """Whether the file begins like CalMS21's JSON: three nested objects, and in the third one of its keys."""
    return _START.match(read_head(path)) is not None


def sniff_zip(path: Path) -> bool:
    """Whether the file is a zip with a JSON member that begins like CalMS21's."""
    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return any(_begins_like_calms21(archive, member) for member in _json_members(archive))
    except _ZIP_FAILURES:
        return False


def _json_members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    # "__MACOSX/._x.json" is what a Mac adds to a zip: no data.
    members = [m for m in archive.infolist() if m.filename.lower().endswith(".json")]
    return [m for m in members if not PurePosixPath(m.filename).name.startswith("._")]


def _begins_like_calms21(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    with archive.open(member) as file:
        return _START.match(file.read(HEAD_BYTES)) is not None


def read_calms21_json(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """Every sequence of a CalMS21 JSON file, in the file's order; memory is one sequence's.

    A file of task-programming features is left out with a notice.

    Raises
    ------
    InputError
        If the file is cut off, not JSON, of another schema, or a sequence is damaged.
    """
    check_file(path)
    with path.open("rb") as file:
        yield from _read_stream(file.read, str(path), path.name, options)


def read_calms21_zip(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """Every sequence of every CalMS21 JSON in a zip, streamed: nothing is written to disk.

    Raises
    ------
    InputError
        If the zip is damaged, encrypted, or has members with absolute or `../` names; and as for the JSON.
    """
    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_escapes(archive, path)
            members = [m for m in _json_members(archive) if _begins_like_calms21(archive, m)]
            for member in archive.infolist():
                if member not in members and not member.is_dir():
                    options.notice(f"{path}: left out {member.filename}, which is no CalMS21 JSON")
            for member in members:
                with archive.open(member) as file:
                    name = PurePosixPath(member.filename).name
                    yield from _read_stream(file.read, f"{path}:{member.filename}", name, options)
    except InputError:
        raise
    except _ZIP_FAILURES as error:
        raise InputError(f"{path}: damaged or unreadable zip ({error}): copy or download it again") from None


def _refuse_escapes(archive: zipfile.ZipFile, path: Path) -> None:
    for name in archive.namelist():
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
            raise InputError(
                f"{path}: the member {name!r} points outside the archive; such a zip is refused as a whole. "
                "Make it again from the original files"
            )


def _chunks(read: Callable[[int], bytes], options: ReadOptions) -> Iterator[bytes]:
    while chunk := read(_CHUNK):
        options.advance(len(chunk))
        yield chunk


def _read_stream(
    read: Callable[[int], bytes], source: str, file_name: str, options: ReadOptions
) -> Iterator[Recording]:
    found = False
    try:
        for group, sequence, content in iterate_objects(_chunks(read, options)):
            values = _decode(content, f"{source}: sequence {sequence!r}")
            if "features" in values and "keypoints" not in values:
                options.notice(f"{source}: left out, it holds task-programming features and no keypoints")
                return
            found = True
            yield sequence_to_recording(
                values, group=group, sequence=sequence, source=source, file_name=file_name, options=options
            )
    except InputError as error:
        raise error if source in str(error) else InputError(f"{source}: {error}") from None
    if not found:
        raise UnknownFormatError(f"{source}: JSON without a single sequence in it")


def _decode(content: bytes, where: str) -> dict[str, Any]:
    """One sequence object. The fast way takes only what is exactly regular; all else goes through `json`."""
    try:
        return _decode_fast(content)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError):
        pass
    try:
        values = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{where} is not well-formed JSON ({error}): copy or download the file again") from None
    assert isinstance(values, dict)
    return values


def _decode_fast(content: bytes) -> dict[str, Any]:
    document: Any = simdjson.Parser().parse(content)
    structure = content.translate(None, _NO_DIGITS)
    values: dict[str, Any] = {}
    for key in document:
        value: Any = document[key]
        if key in ("keypoints", "scores"):
            values[key] = _decode_array(value, structure, (2, 2, 7) if key == "keypoints" else (2, 7))
        elif key == "annotations":
            values[key] = np.frombuffer(value.as_buffer(of_type="i"), dtype=np.int64)
            if _nested((len(values[key]),)) not in structure:
                raise ValueError("nested annotations")
        else:
            values[key] = _plain(value)
    return values


def _decode_array(value: Any, structure: bytes, tail: tuple[int, ...]) -> np.ndarray:
    shape = (len(value), *tail)
    # as_buffer flattens any nesting; that the nesting is the expected one is read off the brackets.
    if _nested(shape) not in structure:
        raise ValueError("uneven nesting")
    return np.frombuffer(value.as_buffer(of_type="d"), dtype=np.float64).reshape(shape)


def _nested(shape: tuple[int, ...]) -> bytes:
    """The brackets and commas of an array of this shape: (2, 3) -> [[,,],[,,]]."""
    inner = _nested(shape[1:]) if len(shape) > 1 else b""
    return b"[" + b",".join([inner] * shape[0]) + b"]"


def _plain(value: Any) -> Any:
    if isinstance(value, simdjson.Object):
        return value.as_dict()
    return value.as_list() if isinstance(value, simdjson.Array) else value
