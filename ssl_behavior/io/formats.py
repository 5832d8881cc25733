"""The table of formats, and which of them a file is, told by its content."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.io.calms21_json import read_calms21_json, read_calms21_zip, sniff_json, sniff_zip
from ssl_behavior.io.calms21_npy import read_calms21_npy, sniff_npy
from ssl_behavior.io.caltech import sniff_caltech
from ssl_behavior.io.dlc_csv import read_dlc_csv, sniff_dlc_csv
from ssl_behavior.io.dlc_h5 import read_dlc_h5, sniff_dlc_h5
from ssl_behavior.io.npz import read_npz, sniff_npz
from ssl_behavior.io.options import ReadOptions, UnknownFormatError
from ssl_behavior.io.refused import name_unread_format
from ssl_behavior.io.source import check_file, describe_start
from ssl_behavior.recording import Recording

__all__ = ["FORMATS", "Format", "detect_format", "format_titles", "read_recordings"]


@dataclass(frozen=True)
class Format:
    """A file format: `sniff` tells by a file's content whether it is one; `read` yields its recordings one by one."""

    name: str
    title: str
    sniff: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], Iterator[Recording]]


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("calms21_json", "CalMS21 JSON", sniff_json, read_calms21_json),
        Format("calms21_zip", "CalMS21 JSON in a zip file", sniff_zip, read_calms21_zip),
        Format("calms21_npy", "CalMS21 or AIcrowd .npy", sniff_npy, read_calms21_npy),
        Format("dlc_csv", "DeepLabCut CSV (also .gz)", sniff_dlc_csv, read_dlc_csv),
        Format("dlc_h5", "DeepLabCut H5", sniff_dlc_h5, read_dlc_h5),
        Format("npz", "generic .npz", sniff_npz, read_npz),
    )
}


def format_titles() -> str:
    """The formats that are read, in words."""
    return ", ".join(format.title for format in FORMATS.values())


def detect_format(path: Path) -> Format:
    """The format of a file of tracks, by its content; its name plays no part.

    Raises
    ------
    InputError
        If the path is missing, a folder, empty or cannot be read.
    UnknownFormatError
        If the content is of no format here: names it if it is a known one that is not read, and says how it begins.
    """
    check_file(path)
    for format in FORMATS.values():
        if format.sniff(path):
            return format
    if sniff_caltech(path):
        raise UnknownFormatError(f"{path}: annotations without tracks; give the tracks, and these with --annotations")
    unread = name_unread_format(path)
    known = format_titles()
    if unread:
        raise UnknownFormatError(
            f"{path}: {unread} is not read yet; known formats: {known}. Convert it to the generic .npz"
        )
    raise UnknownFormatError(f"{path}: not a known format ({known}); it begins {describe_start(path)}")


def read_recordings(path: str | Path, options: ReadOptions | None = None, format: str = "auto") -> Iterator[Recording]:
    """The recordings of one file, as the file has them: exact zeros stay, confidence masks nothing.

    Parameters
    ----------
    format : a name of `FORMATS`, or "auto" to tell it by content.

    Raises
    ------
    InputError
        If the format is unknown or the file is damaged.
    """
    if format != "auto" and format not in FORMATS:
        raise InputError(f"unknown format {format!r}; known: auto, {', '.join(FORMATS)}")
    chosen = detect_format(Path(path)) if format == "auto" else FORMATS[format]
    return chosen.read(Path(path), options or ReadOptions())
