"""Shared parts of readers: options, file checks, first bytes, recording ids, optional libraries, zip files."""

import gzip
import importlib
import re
import struct
import sys
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.dlc_names import parse_track_name
from ssl_behavior.skeleton import Skeleton

__all__ = [
    "HEAD_BYTES",
    "NPY_FAILURES",
    "NPZ_PAGE",
    "ZIP_FAILURES",
    "ReadOptions",
    "UnknownFormatError",
    "check_file",
    "decoded",
    "describe_start",
    "id_from_name",
    "is_text",
    "json_members",
    "library",
    "library_errors",
    "member_head",
    "open_zip",
    "read_head",
    "stem",
    "to_float32",
]

HEAD_BYTES = 1 << 16
NPZ_PAGE = "docs/formats.md#npz"
"""Where the generic `.npz` is described, for messages."""
_GZIP = b"\x1f\x8b"
_EXTENSIONS = re.compile(r"\.(gz|csv|h5|hdf5|json|nc|npy|npz|nwb|parquet|slp|txt|zip)$", re.IGNORECASE)


def check_file(path: Path) -> None:
    """Refuse a path that is missing, a folder, not a plain file, or empty.

    Raises
    ------
    InputError
        With the path and its kind.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected a file")
        if not path.is_file():
            raise InputError(f"{path}: no such file" if not path.exists() else f"{path} is not a plain file")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes): copy or export it again")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_head(path: Path, size: int = HEAD_BYTES) -> bytes:
    """The first `size` bytes, decompressed if the file is gzip.

    Raises
    ------
    InputError
        If the file cannot be read, is empty, or is damaged gzip.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(size)
        if not head.startswith(_GZIP):
            return head
        with gzip.open(path) as file:
            return file.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged gzip file ({error}): copy or export it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def decoded(path: Path) -> bytes:
    """The whole content, decompressed if the file is gzip; errors as in `read_head`."""
    check_file(path)
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged gzip file ({error}): copy or export it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def describe_start(path: Path, num_bytes: int = 60) -> str:
    """First bytes of a file as text, for error messages."""
    head = read_head(path, num_bytes)
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                return f"a zip file with {len(archive.namelist())} members, first {archive.namelist()[:3]}"
        except ZIP_FAILURES:
            return "a damaged zip file"
    text = head.decode("utf-8", errors="replace")
    return repr(text) if sum(c.isprintable() or c.isspace() for c in text) > 0.8 * len(text) else repr(head[:16])


def stem(path: Path) -> str:
    """File name without its known extensions: 01_dlc_tracks.csv.gz -> 01_dlc_tracks."""
    name = path.name
    while (shorter := _EXTENSIONS.sub("", name)) not in ("", name):
        name = shorter
    return name


def id_from_name(path: Path, prefix: str = "") -> str:
    """Recording name from a file name: the part before the tracker's suffix, the last one if there are several.

    >>> id_from_name(Path("rats/01_dlc_tracks.csv.gz"))
    '01'
    >>> id_from_name(Path("mouse7DLC_resnet50_openfieldOct30shuffle1_5000.h5"), prefix="week2/")
    'week2/mouse7'
    >>> id_from_name(Path("dlc_single_mouse.csv"))
    'dlc_single_mouse'
    """
    return prefix + parse_track_name(stem(path)).video


def to_float32(values: np.ndarray) -> np.ndarray:
    """float32 copy; numbers too large for it become infinite, which a Recording refuses."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(values, dtype=np.float32)


def is_text(array: np.ndarray) -> bool:
    """Whether an array is of text that Python can hold; damaged files have characters that do not exist."""
    if array.dtype.kind != "U":
        return False
    letters = np.frombuffer(array.tobytes(), dtype=np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    return not letters.size or int(letters.max()) <= sys.maxunicode


class UnknownFormatError(InputError):
    """Raised for a file in no known format; in a folder, such a file is skipped with a notice."""


def _ignore(_: str | int) -> None:
    """No-op progress callback."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Options of readers: facts that files may lack.

    Parameters
    ----------
    fps : frames per second, or None for the file's or its data set's documented rate.
    skeleton : the skeleton to read the file's keypoints as, or None to recognize it by the keypoints' names.
    individuals : names of the animals to import, empty for all; a reader needs them where it would leave one out.
    prefix : put before ids that come from file names, e.g. "session1/".
    notice : callback with a sentence for each omitted part of a file.
    advance : callback with the number of (unpacked) bytes just read, used by readers of large files.
    keep_times : keep measured times of frames, also irregular ones, for recordings that will be resampled.
    """

    fps: float | None = None
    skeleton: Skeleton | None = None
    individuals: tuple[str, ...] = ()
    prefix: str = ""
    notice: Callable[[str], None] = _ignore
    advance: Callable[[int], None] = _ignore
    keep_times: bool = False


def library(module: str, extra: str, path: Path, title: str) -> ModuleType:
    """An optional library.

    Raises
    ------
    InputError
        If it is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"{path}: {title} needs {module} ({error}): pip install 'ssl-behavior[{extra}]'") from None


@contextmanager
def library_errors(path: Path, title: str) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into an InputError, and silence its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - readers of open formats raise anything on damaged files
        # The last argument is the reason; hdmf puts the whole tree of the file before it.
        reason = f"{type(error).__name__}: {str(error.args[-1] if error.args else error)[:300]}"
        raise InputError(f"{path}: damaged {title} ({reason}): copy or export it again") from None


NPY_FAILURES = (ValueError, EOFError, TypeError, KeyError, IndexError, SyntaxError, MemoryError, RecursionError,
                OverflowError, struct.error, tokenize.TokenError)  # fmt: skip
"""What numpy raises on damaged headers of `.npy`, which it evaluates as Python."""

ZIP_FAILURES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, NotImplementedError)
"""RuntimeError: encrypted; NotImplementedError: a compression Python does not have."""


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file for reading; members are never extracted to disk.

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
    """Members that end in .json, in archive order."""
    # macOS adds "__MACOSX/._x.json" to zips; these hold no data.
    members = [m for m in archive.infolist() if m.filename.lower().endswith(".json")]
    return [m for m in members if not PurePosixPath(m.filename).name.startswith("._")]


def member_head(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int = HEAD_BYTES) -> bytes:
    """The first `size` bytes of a member, unpacked."""
    with archive.open(member) as file:
        return file.read(size)
