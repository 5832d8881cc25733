"""Table of track formats, and detection of a file's format from its content."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation_readers import annotation_reader
from ssl_behavior.io.calms21 import (
    read_calms21_json,
    read_calms21_npy,
    read_calms21_zip,
    sniff_json,
    sniff_npy,
    sniff_zip,
)
from ssl_behavior.io.dlc import HDF5_FAILURES, is_hdf5, read_dlc_csv, read_dlc_h5, sniff_dlc_csv, sniff_dlc_h5
from ssl_behavior.io.npz import read_npz, sniff_npz
from ssl_behavior.io.source import ReadOptions, UnknownFormatError, check_file, describe_start, read_head
from ssl_behavior.recording import Recording

__all__ = ["FORMATS", "Format", "detect_format", "format_titles", "name_unread_format", "read_recordings"]


_HDF5: tuple[tuple[str, Callable[[h5py.File], bool]], ...] = (
    ("SLEAP predictions (.slp)", lambda f: "pred_points" in f and "instances" in f),
    ("SLEAP analysis HDF5", lambda f: "tracks" in f and "node_names" in f),
    ("NWB", lambda f: "nwb_version" in f.attrs),
    ("JABS pose HDF5", lambda f: "poseest" in f),
    ("movement netCDF", lambda f: "_NCProperties" in f.attrs or ("position" in f and "keypoints" in f)),
)
_TEXT: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("CSV of body-part boxes", lambda head: b"left_x" in head[:400] and b"-width" in head[:400]),
    ("netCDF 3", lambda head: head.startswith(b"CDF")),
    ("MAT-file", lambda head: head.startswith(b"MATLAB")),
)


def name_unread_format(path: Path) -> str:
    """Name of a known format without a reader, detected by content; "" if none matches."""
    if not is_hdf5(path):
        head = read_head(path, 512)
        return next((name for name, matches in _TEXT if matches(head)), "")
    try:
        with h5py.File(path, "r") as file:
            return next((name for name, matches in _HDF5 if matches(file)), "")
    except HDF5_FAILURES:
        return ""


@dataclass(frozen=True)
class Format:
    """A file format: `sniff` recognizes its content, `read` yields the recordings of a file one by one."""

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
    """List of the formats with readers, for messages."""
    return ", ".join(format.title for format in FORMATS.values())


def detect_format(path: Path) -> Format:
    """Format of a track file, detected from its content; the file name does not matter.

    Raises
    ------
    InputError
        If the path is missing, a folder, empty or cannot be read.
    UnknownFormatError
        If no reader fits the content. The message names a known format without a reader, or else shows how the file
        begins.
    """
    check_file(path)
    for format in FORMATS.values():
        if format.sniff(path):
            return format
    if annotation_reader(path, named=False):
        raise UnknownFormatError(f"{path}: annotations without tracks; give the tracks, and these as `annotations`")
    unread = name_unread_format(path)
    known = format_titles()
    if unread:
        raise UnknownFormatError(
            f"{path}: {unread} is not supported yet; known formats: {known}. Convert it to the generic .npz"
        )
    raise UnknownFormatError(f"{path}: not a known format ({known}); it begins with {describe_start(path)}")


def read_recordings(path: str | Path, options: ReadOptions | None = None, format: str = "auto") -> Iterator[Recording]:
    """Recordings of one file without cleaning: exact zeros stay, and confidence masks no points.

    Parameters
    ----------
    format : a name of `FORMATS`, or "auto" to detect it from content.

    Raises
    ------
    InputError
        If the format is unknown or the file is damaged.
    """
    if format != "auto" and format not in FORMATS:
        raise InputError(f"unknown format {format!r}; known: auto, {', '.join(FORMATS)}")
    chosen = detect_format(Path(path)) if format == "auto" else FORMATS[format]
    return chosen.read(Path(path), options or ReadOptions())
