"""CalMS21's release JSON, plain or inside the release's zip files, one sequence at a time.

{group: {sequence: {"keypoints": [T][2][2][7], "scores": [T][2][7], "annotations": [T], "metadata": {...}}}}
"""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from ssl_behavior.errors import InputError
from ssl_behavior.io.calms21 import sequence_to_recording
from ssl_behavior.io.json_objects import iterate_file
from ssl_behavior.io.options import ReadOptions, UnknownFormatError
from ssl_behavior.io.sequence_json import decode_sequence, first_key
from ssl_behavior.io.source import check_file, read_head
from ssl_behavior.io.zips import ZIP_FAILURES, json_members, member_head, open_zip
from ssl_behavior.recording import Recording

__all__ = ["read_calms21_json", "read_calms21_zip", "sniff_json", "sniff_zip"]


def sniff_json(path: Path) -> bool:
    """Whether the file begins like CalMS21's JSON: three nested objects, and in the third one of its keys."""
    return first_key(read_head(path)) != ""


def sniff_zip(path: Path) -> bool:
    """Whether the file is a zip with a JSON member that begins like CalMS21's."""
    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return any(first_key(member_head(archive, member)) for member in json_members(archive))
    except ZIP_FAILURES:
        return False


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
    with open_zip(path) as archive:
        members = [m for m in json_members(archive) if first_key(member_head(archive, m))]
        for member in archive.infolist():
            if member not in members and not member.is_dir():
                options.notice(f"{path}: left out {member.filename}, which is no CalMS21 JSON")
        for member in members:
            with archive.open(member) as file:
                name = PurePosixPath(member.filename).name
                yield from _read_stream(file.read, f"{path}:{member.filename}", name, options)


def _read_stream(
    read: Callable[[int], bytes], source: str, file_name: str, options: ReadOptions
) -> Iterator[Recording]:
    found = False
    try:
        for group, sequence, content in iterate_file(read, source, lambda chunk: options.advance(len(chunk))):
            values = decode_sequence(content, f"{source}: sequence {sequence!r}")
            if "features" in values and "keypoints" not in values:
                options.notice(
                    f"{source}: left out, it holds task-programming features and no keypoints; ssl-behavior embed "
                    "makes embeddings of them"
                )
                return
            found = True
            yield sequence_to_recording(
                values, group=group, sequence=sequence, source=source, file_name=file_name, options=options
            )
    except InputError as error:
        raise error if source in str(error) else InputError(f"{source}: {error}") from None
    if not found:
        raise UnknownFormatError(f"{source}: JSON without a single sequence in it")
