"""Shared parts of readers: options, file checks, ids, zip files, libraries; arrays, frame rates and times of tracks."""

import gzip
import importlib
import math
import re
import struct
import sys
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.dlc_filenames import parse_track_name
from ssl_behavior.recording import (
    CLOCK_DRIFT,
    FPS_RANGE,
    MAX_BYTES,
    ON_TIME_FRAMES,
    is_plausible_rate,
    times_of_all_frames,
    tracks_bytes,
)
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.terminal import listed

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
    "empty_tracks",
    "frame_numbers",
    "frames_in_file",
    "id_from_name",
    "in_order",
    "is_text",
    "json_members",
    "library",
    "library_errors",
    "measured_times",
    "member_head",
    "note_fragments",
    "note_gaps",
    "numbers_with",
    "open_zip",
    "read_head",
    "recording_id",
    "same_clock",
    "stated_fps",
    "stem",
    "to_float32",
    "two_dimensions",
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


_VIDEO = re.compile(r"\.(mp4|avi|mov|mkv|mpg|wmv|m4v)$", re.IGNORECASE)


def empty_tracks(
    num_frames: int, num_individuals: int, num_keypoints: int, path: Path, advice: str
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints float32 [time, individual, keypoint, 2] and confidence [time, individual, keypoint], all NaN.

    Parameters
    ----------
    advice : what to do if there are too many frames or individuals.

    Raises
    ------
    InputError
        If the file has no frames, individuals or keypoints, or the arrays would not fit into memory.
    """
    counts = {"frames": num_frames, "individuals": num_individuals, "keypoints": num_keypoints}
    empty = [name for name, count in counts.items() if count < 1]
    if empty:
        raise InputError(f"{path}: it has no {' and no '.join(empty)}; there is nothing to read")
    size = tracks_bytes(num_frames, num_individuals, num_keypoints)
    if size > MAX_BYTES:
        shown = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        raise InputError(f"{path}: {shown} would need {size / 2**30:,.0f} GB of memory; {advice}")
    shape = (num_frames, num_individuals, num_keypoints)
    return np.full((*shape, 2), np.nan, dtype=np.float32), np.full(shape, np.nan, dtype=np.float32)


def in_order(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Keypoints (the third axis) in this order; the array itself, not a copy, if they are so already."""
    return array if list(order) == list(range(array.shape[2])) else array[:, :, list(order)]


def same_clock(rate: float, fps: float) -> bool:
    """Whether a frame rate by the times of a file is the stated one, within the drift of a clock (1 %)."""
    return abs(rate - fps) <= CLOCK_DRIFT * fps


def stated_fps(options: ReadOptions, stated: float | None, path: Path, title: str, notes: list[str]) -> float:
    """The frame rate that was passed, or else the file's own; a note if they differ.

    Raises
    ------
    InputError
        If neither is known, or the file's is no rate that videos have.
    """
    usable = stated is not None and is_plausible_rate(stated)
    if options.fps is not None:
        if usable and not math.isclose(options.fps, float(stated or 0), rel_tol=1e-4):
            notes.append(f"fps {options.fps:.6g} as passed, but the file states {stated:.6g}")
        return options.fps
    if stated is None:
        raise InputError(f"{path}: this {title} does not contain the frame rate; pass it as `fps`, e.g. `fps=30`")
    if not usable:
        raise InputError(f"{path}: its frame rate is {stated}; expected {FPS_RANGE}; pass it as `fps`")
    return float(stated)


def recording_id(path: Path, options: ReadOptions, suffix: str = "") -> str:
    """Id from a file's name, without the extension, the tracker's suffix (a regular expression) and the video's."""
    name = stem(path)
    for pattern in (re.compile(f"({suffix})$"), _VIDEO):
        name = pattern.sub("", name) or name
    return id_from_name(path.with_name(name), options.prefix)


def note_fragments(names: Sequence[str], present: np.ndarray, at_once: int, advice: str) -> list[str]:
    """One note if there are more tracks than animals are seen at once, else none.

    Parameters
    ----------
    present : frames in which each track has a point, [individual].
    at_once : largest number of tracks in one frame.
    advice : how to join tracks in the tracker.
    """
    if len(names) <= max(at_once, 1):
        return []
    order = np.argsort(-present, kind="stable")
    total = max(int(present.sum()), 1)
    shares = listed([f"{names[i]} {present[i] / total:.0%}" for i in order], at_once + 3)
    return [
        f"{len(names)} tracks, but at most {at_once} at once in a frame: some tracks are fragments of one animal. "
        f"Share of the detections: {shares}. {advice}, or name the tracks to keep as `individuals` of the skeleton"
    ]


def note_gaps(first: int, num_rows: int, num_frames: int) -> list[str]:
    """One note if some frames of a recording are not in the file, else none."""
    if num_rows == num_frames:
        return []
    return [f"first frame number {first}; {num_frames - num_rows} of {num_frames} frames are not in the file: missing"]


def frames_in_file(numbers: np.ndarray, num_frames: int) -> np.ndarray:
    """Mask of the frames with these numbers, bool [time], see `Recording.in_file`."""
    mask = np.zeros(num_frames, dtype=bool)
    mask[numbers] = True
    return mask


def numbers_with(ndim: int) -> str:
    """Expected array of numbers, in words, for messages.

    >>> numbers_with(0), numbers_with(1), numbers_with(3)
    ('one number', 'numbers with 1 axis', 'numbers with 3 axes')
    """
    return f"numbers with {ndim} {'axis' if ndim == 1 else 'axes'}" if ndim else "one number"


def two_dimensions(num_space: int, notes: list[str]) -> None:
    """Note that of three coordinates two are read."""
    if num_space > 2:
        notes.append("3-D tracks: x and y are read, the third coordinate is left out")


def frame_numbers(
    times: np.ndarray, path: Path, any_steps: bool = False, fps: float | None = None
) -> tuple[np.ndarray, float | None]:
    """Frame number of each time in s, counted from 0 s, and the frame rate; None for a single time.

    Parameters
    ----------
    fps : known frame rate, which numbers a single time; without it, that is frame 0.
    any_steps : irregular times are numbered one after the other, for `measured_times` to keep; otherwise refused.

    Raises
    ------
    InputError
        If times are no numbers, are negative or do not increase, or are irregular.
    """
    steps = np.diff(times)
    if times.size == 0 or times.dtype.kind not in "fiu" or not np.isfinite(times).all():
        raise InputError(f"{path}: its times must be numbers, got {times.dtype} {times[:3].tolist()}")
    if times[0] < 0 or (steps <= 0).any():
        wrong = 0 if times[0] < 0 else int(np.flatnonzero(steps <= 0)[0]) + 1
        raise InputError(f"{path}: its times must increase from 0 on, but time {wrong} is {times[wrong]:g} s")
    if len(times) == 1:
        # No file has frames beyond the limit; a rate that is none is refused later.
        known = fps if fps is not None and math.isfinite(fps) else 0.0
        return np.array([round(min(max(float(times[0]) * known, 0), 1 << 40))]), None
    # The median is the step of a regular recording with gaps; the mean of such steps is free of rounding.
    step = float(np.median(steps))
    near = steps[np.abs(steps - step) < 0.2 * step]
    step = float(near.mean()) if len(near) else step
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.rint(times / step)
        irregular = not (np.diff(numbers) >= 1).all() or numbers[-1] > 1 << 40
    if irregular and any_steps:
        return np.arange(len(times)), 1 / float(np.median(steps))
    if irregular:
        raise InputError(
            f"{path}: its times are irregular, {steps.min():g} to {steps.max():g} s apart: pass a frame rate to "
            "resample it to, e.g. `resample=30`"
        )
    return numbers.astype(np.int64), 1 / step


def measured_times(
    times: np.ndarray, numbers: np.ndarray, rate: float | None, fps: float, path: Path, options: ReadOptions
) -> np.ndarray | None:
    """Time of every frame, float64 [time], s, of a recording that will be resampled.

    None if that is not asked for, or all frames are within a twentieth of a frame of i / fps. Frames that a file lacks:
    see `times_of_all_frames`. A frame rate that was passed and contradicts the times says that these are not
    in seconds: regular ones are then not kept.

    Parameters
    ----------
    times, numbers : time in s and frame number of each row, see `frame_numbers`.
    rate : frames per second by these times; None for a single one.
    fps : frame rate of the recording.

    Raises
    ------
    InputError
        If times are irregular, and the frame rate that was passed contradicts them.
    """
    if not options.keep_times:
        return None
    if options.fps is not None and rate is not None and not same_clock(rate, options.fps):
        frame_numbers(times, path)
        return None
    every = times_of_all_frames(numbers, times)
    return None if np.abs(every * fps - np.arange(len(every))).max() < ON_TIME_FRAMES else every
