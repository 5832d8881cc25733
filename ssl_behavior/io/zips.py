"""Zip files: opened with care, and their JSON members."""

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ssl_behavior.errors import InputError
from ssl_behavior.io.source import HEAD_BYTES, check_file

__all__ = ["ZIP_FAILURES", "json_members", "member_head", "open_zip"]

ZIP_FAILURES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, NotImplementedError)
"""RuntimeError: encrypted; NotImplementedError: a compression Python does not have."""


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip file to read from; nothing of it is written to disk.

    Raises
    ------
    InputError
        If the zip is damaged (also when that shows only later, in the block), encrypted, or has members with absolute
        or `../` names.
    """
    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_escapes(archive, path)
            yield archive
    except InputError:
        raise
    except ZIP_FAILURES as error:
        raise InputError(f"{path}: damaged or unreadable zip ({error}): copy or download it again") from None


def _refuse_escapes(archive: zipfile.ZipFile, path: Path) -> None:
    for name in archive.namelist():
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
            raise InputError(
                f"{path}: the member {name!r} points outside the archive; such a zip is refused as a whole. "
                "Make it again from the original files"
            )


def json_members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members called .json, in the archive's order."""
    # "__MACOSX/._x.json" is what a Mac adds to a zip: no data.
    members = [m for m in archive.infolist() if m.filename.lower().endswith(".json")]
    return [m for m in members if not PurePosixPath(m.filename).name.startswith("._")]


def member_head(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int = HEAD_BYTES) -> bytes:
    """The first `size` bytes of a member, unpacked."""
    with archive.open(member) as file:
        return file.read(size)
