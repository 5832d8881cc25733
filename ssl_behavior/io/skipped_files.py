"""Files of a folder that hold no tracks: what kind each is, and one notice about all of them.

A folder of tracks also holds videos, pickles, labeled training frames, features, notes. None of them stops the import
of the folder. A file that is named by itself goes to its reader, which refuses it with its own message.
"""

import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py

from ssl_behavior.errors import InputError
from ssl_behavior.io.dlc import csv_without_tracks, h5_without_tracks
from ssl_behavior.io.hdf5 import HDF5_FAILURES, is_hdf5
from ssl_behavior.io.reader_helpers import NPZ_PAGE, check_file, read_head
from ssl_behavior.io.track_formats import Format, name_unread_format
from ssl_behavior.terminal import counted

__all__ = ["foreign_notices", "kind_of_unknown", "lacks_tracks"]

_UNREAD = "not read yet"
"""Mark in the kind of a file whose format is known and has no reader."""
_LISTED = 3
_KINDS_BY_ENDING = {
    "video": (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".wmv", ".mpg", ".mpeg", ".webm", ".mts", ".ts", ".seq", ".h264"),
    "image": (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".svg", ".gif", ".bmp", ".eps", ".pdf"),
    "pickle": (".pickle", ".pkl", ".pck"),
    "network file": (".pt", ".pth", ".onnx", ".ckpt", ".pb"),
    "NumPy array": (".npy",),
    "NumPy archive": (".npz",),
    "HDF5 file": (".h5", ".hdf5", ".hdf"),
    "JSON file": (".json",),
    "settings file": (".yaml", ".yml", ".toml", ".ini", ".cfg"),
    "table": (".csv", ".tsv", ".xlsx", ".xls", ".ods", ".parquet"),
    "text file": (".txt", ".md", ".log", ".docx", ".doc", ".rtf", ".html"),
}
_ENDINGS = {ending: kind for kind, endings in _KINDS_BY_ENDING.items() for ending in endings}
_TRACK_WORDS = (b"keypoints", b"features", b"annotations", b"sequences")
"""Keys of the dictionaries in CalMS21's and AIcrowd's `.npy` files."""


def lacks_tracks(path: Path, format: Format) -> str:
    """Kind of a file that looks like `format` but holds no tracks, or "" if it may hold them.

    Reads the beginning of the file, or its table of contents.
    """
    if format.name == "dlc_csv":
        return csv_without_tracks(path)
    if format.name == "dlc_h5":
        return h5_without_tracks(path)
    if format.name == "calms21_npy":
        head = read_head(path)
        return "" if b"|O" in head[:256] and any(word in head for word in _TRACK_WORDS) else "NumPy array"
    if format.name == "npz":
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
        return "" if names & {"keypoints", "keypoint_names"} else "NumPy archive"
    return ""


def kind_of_unknown(path: Path) -> str:
    """Kind of a file that no format recognizes, from its content and the ending of its name."""
    try:
        if path.is_file() and path.stat().st_size == 0:
            return "empty file"
        check_file(path)
        unread = name_unread_format(path)
    except InputError as error:
        return "damaged gzip file" if "damaged gzip" in str(error) else "unreadable file"
    if unread:
        return f"{unread} ({_UNREAD})"
    if is_hdf5(path) and not _opens(path):
        return "damaged HDF5 file"
    name = path.name.lower().removesuffix(".gz")
    return next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), "other file")


def _opens(path: Path) -> bool:
    try:
        with h5py.File(path, "r"):
            return True
    except HDF5_FAILURES:
        return False


def foreign_notices(left_out: Sequence[tuple[Path, str]]) -> Iterator[str]:
    """One notice about the files without tracks, and one about those in formats that are known but not read.

    Parameters
    ----------
    left_out : file and kind.
    """
    for is_unread in (False, True):
        kinds: dict[str, list[str]] = defaultdict(list)
        for path, kind in left_out:
            if kind.endswith(f"({_UNREAD})") == is_unread:
                kinds[kind.removesuffix(f" ({_UNREAD})")].append(path.name)
        if kinds:
            total = counted(sum(len(names) for names in kinds.values()), "file")
            if is_unread:
                yield (
                    f"left out {total} in formats that are not read: {_listed(kinds)}; convert to the generic .npz, "
                    f"see {NPZ_PAGE}"
                )
            else:
                yield f"left out {total} without tracks: {_listed(kinds)}"


def _listed(kinds: dict[str, list[str]]) -> str:
    """Kinds with counts and the first names: "2 videos (a.mp4, b.mp4), 1 empty file (c.csv)"."""
    parts = []
    for kind, names in sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0])):
        shown = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
        parts.append(f"{counted(len(names), kind)} ({shown})")
    return ", ".join(parts)
