"""Atomic writing of files and folders: they exist whole or not at all."""

import errno
import glob
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
import unicodedata
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ssl_behavior.errors import InputError

__all__ = [
    "atomic_file",
    "atomic_folder",
    "check_free",
    "check_names",
    "discard",
    "in_temporary_folder",
    "make_folder",
    "name_on_disk",
    "publish_folder",
    "read_contents",
    "read_json",
    "write_errors_explained",
    "write_json",
    "write_text",
]


def check_free(path: Path, overwrite: bool, marker: str = "", argument: str = "out") -> None:
    """Refuse to replace an existing `path` without `overwrite`; with it, replace only a folder of the same kind.

    First, the previous content after an interrupted overwrite is restored.

    Parameters
    ----------
    marker : file that every folder of this kind holds; a folder without it is not overwritten.
    argument : name of the caller's argument that sets `path`.

    Raises
    ------
    InputError
        If `path` exists and `overwrite` is False, it is no folder of this kind, or its parent is a file.
    """
    _bring_back(path)
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: choose another `{argument}`, or pass `overwrite` to replace it")
    if path.exists() and marker and not (path / marker).exists() and (path.is_file() or any(path.iterdir())):
        raise InputError(
            f"{path} holds something else (it has no {marker}), which `overwrite` does not replace: "
            f"choose another `{argument}`"
        )
    for parent in path.absolute().parents:
        if parent.exists():
            if not parent.is_dir():
                raise InputError(f"{path} cannot be made: {parent} is a file, not a folder")
            return


@cache
def _machine() -> str:
    """Mark of this machine; processes of other machines write to the same disks."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _hidden(path: Path, kind: str) -> Path:
    """Temporary name of this process, beside `path`."""
    return path.with_name(f".{path.name}.{kind}-{_machine()}-{os.getpid()}")


def _partial(path: Path) -> Path:
    return _hidden(path, "partial")


def _remove_left_over(path: Path) -> None:
    """Remove what killed processes of this machine began to write to `path`, or to delete."""
    for kind in ("partial", "trash"):
        for left in path.parent.glob(f".{glob.escape(path.name)}.{kind}-{_machine()}-*"):
            if not _is_alive(left.name.rpartition("-")[2]):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)


def _set_aside(path: Path) -> Path | None:
    """Previous content of `path`, left if a process died between the two renames of `publish_folder`."""
    if path.exists():
        return None
    aside = path.parent.glob(f".{glob.escape(path.name)}.old-*")
    return next((old for old in aside if not _is_alive(old.name.rpartition("-")[2])), None)


def _bring_back(path: Path) -> None:
    """Restore the previous content of `path` after an interrupted overwrite."""
    old = _set_aside(path)
    if old:
        with write_errors_explained(path), suppress(FileNotFoundError):
            old.rename(path)


def _is_alive(pid: str) -> bool:
    if not pid.isdecimal():
        return False
    return _is_alive_on_windows(int(pid)) if sys.platform == "win32" else _is_alive_on_posix(int(pid))


def _is_alive_on_posix(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # the process belongs to another user
    return True


_STILL_ACTIVE = 259
_QUERY_LIMITED_INFORMATION = 0x1000
_INVALID_PARAMETER = 87


def _is_alive_on_windows(pid: int) -> bool:
    """Whether a process runs. Not by `os.kill(pid, 0)`: on Windows signal 0 is Ctrl-C, which would interrupt it."""
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
    if not handle:
        # No such process; any other error means that the process belongs to another user.
        last: int = ctypes.get_last_error()  # type: ignore[attr-defined,unused-ignore]
        return last != _INVALID_PARAMETER
    try:
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(ctypes.c_void_p(handle), ctypes.byref(code))
        return code.value == _STILL_ACTIVE
    finally:
        kernel.CloseHandle(ctypes.c_void_p(handle))


_RESERVED = re.compile(r"(?i:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:[ .]|$)")
_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]')


def check_names(names: Iterable[str], what: str) -> None:
    """Refuse names of files that this system cannot hold beside each other.

    Windows reads "a:b" as a hidden stream of the file "a", "con.csv" as the console, and drops dots and spaces at the
    end of a name. Windows and macOS take "A" and "a" for one file.

    Parameters
    ----------
    names : paths with "/".
    what : what has these names, for the error, e.g. "label stream".

    Raises
    ------
    InputError
        If a name is not allowed, or two names are one file.
    """
    taken: dict[str, str] = {}
    for name in names:
        if sys.platform == "win32" and any(map(_refused_by_windows, name.split("/"))):
            raise InputError(f"{what} {name!r}: Windows allows no file of this name; use another name")
        other = taken.setdefault(name_on_disk(name), name)
        if other != name:
            raise InputError(f"{what} {name!r}: this system takes it and {other!r} for one file; rename one")


def _refused_by_windows(part: str) -> bool:
    return bool(_FORBIDDEN.search(part) or _RESERVED.match(part) or part.endswith((" ", ".")))


def name_on_disk(name: str) -> str:
    """Key of a path: two paths with equal keys are one file on this system.

    Windows and macOS ignore case by default, and macOS ignores how accents are encoded.
    """
    return unicodedata.normalize("NFC", name).casefold() if sys.platform in ("win32", "darwin") else name


_UNWRITABLE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP,
    errno.EBUSY, errno.EFBIG, errno.EIO,
)  # fmt: skip


def _leads_to(path: Path, name: object) -> bool:
    """Whether a file that could not be made is `path`, a folder above it, or a temporary file of it.

    Only then does "no such file" mean a place without new files, such as /proc, and not a file that is read. Libraries
    in C that write do not name the file.
    """
    if name is None:
        return True
    if not isinstance(name, str | os.PathLike):
        return False
    failed, path = Path(name).absolute(), path.absolute()
    if path.is_relative_to(failed) or failed.is_relative_to(path):
        return True
    beside = failed.relative_to(path.parent).parts if failed.is_relative_to(path.parent) else ()
    return bool(beside) and beside[0].startswith(f".{path.name}.")


@contextmanager
def write_errors_explained(path: Path, argument: str = "out") -> Iterator[None]:
    """Convert write errors of the operating system to InputError; `argument` names the one that sets `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"{path}: the disk is full, and nothing of this write was kept. Free some space, or choose another "
                f"`{argument}`"
            ) from error
        if error.errno in _UNWRITABLE or (error.errno == errno.ENOENT and _leads_to(path, error.filename)):
            reason = os.strerror(error.errno)
            raise InputError(f"{path}: cannot be written ({reason}); choose another `{argument}`") from error
        raise


def make_folder(path: Path, argument: str = "out") -> None:
    """Make a folder and those above it, unless it is there.

    Raises
    ------
    InputError
        If the place is not writable; `argument` is the name of the one that sets `path`.
    """
    with write_errors_explained(path, argument):
        path.mkdir(parents=True, exist_ok=True)


@contextmanager
def atomic_folder(path: Path, overwrite: bool = False, marker: str = "", argument: str = "out") -> Iterator[Path]:
    """Yield a new empty folder that becomes `path` when the block ends without an error, and vanishes otherwise.

    What a killed process left of the same `path` is removed first. `marker`, `argument`: see `check_free`.

    Raises
    ------
    InputError
        If `path` exists and `overwrite` is False, the disk is full, or the place is not writable.
    """
    path = Path(path)
    check_free(path, overwrite, marker, argument)
    partial = _partial(path)
    with write_errors_explained(path, argument):
        _remove_left_over(path)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            publish_folder(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def publish_folder(partial: Path, path: Path) -> None:
    """Rename a finished folder to `path`, replacing previous content; flushed to disk before it is visible.

    Raises
    ------
    InputError
        On Windows, if a program, or an object such as an open store, still uses a file of the previous content.
    """
    for file in partial.rglob("*"):
        if file.is_file():
            _sync(file)
    if not path.exists():
        _patiently(lambda: partial.rename(path))
        return
    # Between these two renames the old folder still exists whole under its second name.
    old = path.with_name(f".{path.name}.old-{os.getpid()}")
    with _use_explained(path):
        _patiently(lambda: path.rename(old))
    try:
        _patiently(lambda: partial.rename(path))
    except OSError:
        old.rename(path)
        raise
    # Under a third name while it goes: half deleted, it must not be taken for what was set aside.
    trash = _hidden(path, "trash")
    _patiently(lambda: old.rename(trash))
    if trash.is_dir():
        shutil.rmtree(trash, ignore_errors=True)
    else:
        discard(trash)


@contextmanager
def _use_explained(path: Path) -> Iterator[None]:
    """On Windows, a refused rename or replacement means that the file, or one in the folder, is open somewhere."""
    try:
        yield
    except PermissionError as error:
        if sys.platform != "win32":
            raise
        raise InputError(
            f"{path} cannot be replaced, because one of its files is in use: close the programs and delete the Python "
            "objects that read it, or choose another place"
        ) from error


_PATIENCE_SECONDS = 2.0


def _patiently(move: Callable[[], object]) -> None:
    """Rename or replace; on Windows try again for two seconds, because virus scanners open new files for a moment."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while sys.platform == "win32" and time.monotonic() < end:
        try:
            move()
        except PermissionError:
            time.sleep(0.05)
        else:
            return
    move()


def discard(file: Path) -> None:
    """Remove a file that nothing needs, if it is there; on Windows a file in use stays."""
    try:
        file.unlink(missing_ok=True)
    except PermissionError:
        if sys.platform != "win32":
            raise


def _sync(file: Path) -> None:
    # Windows flushes only files that are open for writing.
    descriptor = os.open(file, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(path: Path, argument: str = "out") -> Iterator[Path]:
    """Yield a temporary name that replaces `path` when the block ends without an error, and vanishes otherwise.

    Raises
    ------
    InputError
        If the disk is full or the place is not writable.
    """
    path = Path(path)
    partial = _partial(path)
    with write_errors_explained(path, argument):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            _sync(partial)
            with _use_explained(path) if path.is_file() else nullcontext():
                _patiently(lambda: partial.replace(path))
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. Raises ValueError for NaN, which JSON does not have."""
    with atomic_file(path) as partial:
        write_text(partial, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, with the same line ends on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file that this package wrote; `what` names its kind in errors ("a store", "a checkpoint").

    Raises
    ------
    InputError
        If the file is missing, cannot be read, or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        old = _set_aside(path.parent)
        hint = f"; an interrupted overwrite left the previous folder as {old}: rename it back" if old else ""
        raise InputError(f"{path.parent} is not {what}: it has no {path.name}{hint}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} is damaged: expected {what}'s JSON ({error})") from None


def read_contents(folder: Path, name: str, kind: str, version: int, again: str = "", what: str = "") -> dict[str, Any]:
    """Read a folder's table of contents and check its kind and format version.

    `again` adds advice besides updating, e.g. ", or import the recordings again"; `what` describes the folder if
    "a `kind`" does not.

    Raises
    ------
    InputError
        If the file is missing or damaged, is of another kind, or of another version.
    """
    what = what or f"a {kind}"
    contents = read_json(folder / name, what)
    if not isinstance(contents, dict) or contents.get("format") != f"ssl-behavior {kind}":
        raise InputError(f"{folder} is not {what}: its {name} does not say so")
    if contents.get("version") != version:
        raise InputError(
            f"{folder} is {what} of format version {contents.get('version')}; this program reads version {version}: "
            f"update ssl-behavior{again}"
        )
    return contents


Owner = TypeVar("Owner")


def in_temporary_folder(make: Callable[[Path], Owner]) -> Owner:
    """Result of `make(folder)`, with a temporary folder that is removed when the result is gone."""
    folder = tempfile.mkdtemp(prefix="ssl-behavior-")
    try:
        owner = make(Path(folder))
    except BaseException:
        _remove_own(folder, os.getpid())
        raise
    weakref.finalize(owner, _remove_own, folder, os.getpid())
    return owner


def _remove_own(folder: str, process: int) -> None:
    """Remove a temporary folder, in the process that made it: a forked child ends without harm to its parent."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
