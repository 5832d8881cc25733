"""Table of track formats, format detection, and discovery of files in folders.

A format is detected from the file's content. Discovery pairs files of tracks with their annotation files. Errors
name recognized formats that have no reader.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from ssl_behavior.errors import InputError
from ssl_behavior.io.calms21 import (
    SIMULATED,
    read_calms21_json,
    read_calms21_npy,
    read_calms21_zip,
    sniff_json,
    sniff_npy,
    sniff_zip,
)
from ssl_behavior.io.caltech import Annotation, read_caltech, sniff_caltech
from ssl_behavior.io.dlc import HDF5_FAILURES, is_hdf5, read_dlc_csv, read_dlc_h5, sniff_dlc_csv, sniff_dlc_h5
from ssl_behavior.io.npz import read_npz, sniff_npz
from ssl_behavior.io.source import ReadOptions, UnknownFormatError, check_file, describe_start, read_head, stem
from ssl_behavior.recording import Recording

__all__ = [
    "FORMATS",
    "AnnotationIndex",
    "Format",
    "TrackFile",
    "detect_format",
    "discover",
    "format_titles",
    "name_unread_format",
    "read_recordings",
]

_HDF5: tuple[tuple[str, Callable[[h5py.File], bool]], ...] = (
    ("SLEAP predictions (.slp)", lambda f: "pred_points" in f and "instances" in f),
    ("SLEAP analysis HDF5", lambda f: "tracks" in f and "node_names" in f),
    ("NWB", lambda f: "nwb_version" in f.attrs),
    ("JABS pose HDF5", lambda f: "poseest" in f),
    ("movement netCDF", lambda f: "_NCProperties" in f.attrs or ("position" in f and "keypoints" in f)),
)
_TEXT: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("BORIS events CSV", lambda head: head.startswith((b"Observation id", b'"Observation id'))),
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
    if sniff_caltech(path):
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


_ANNOTATION_WORDS = re.compile(r"[_\-. ]*(annot(ation)?s?|labels?|behaviou?rs?)$", re.IGNORECASE)


@dataclass(frozen=True)
class TrackFile:
    """A track file, its format, and the prefix of ids taken from its name (its folder's path)."""

    path: Path
    format: Format
    prefix: str = ""


class AnnotationIndex:
    """Annotation files by name. A file belongs to the recording whose track file starts with the same name.

    `07_annot.txt` belongs to `07_dlc_tracks.csv.gz` and to `07.csv`, not to `071.csv`.
    """

    def __init__(self) -> None:
        self._files: list[tuple[Path, Path | None]] = []
        self._taken: dict[Path, str] = {}

    def add(self, path: Path, folder: Path | None) -> None:
        """Add a file; `folder` limits it to recordings of that folder, None to none."""
        self._files.append((path, folder))

    def take(self, recording: str, tracks: Path) -> Annotation | None:
        """Annotation of a recording, or None.

        Raises
        ------
        InputError
            If several fit equally well, or the one that fits belongs to another recording already.
        """
        names = {stem(tracks), recording.rpartition("/")[2]}
        fitting = [p for p, folder in self._files if folder in (None, tracks.parent) and _belongs(p, names)]
        if not fitting:
            return None
        longest = max(len(_key(path)) for path in fitting)
        best = [path for path in fitting if len(_key(path)) == longest]
        if len(best) > 1:
            raise InputError(f"recording {recording!r} has two annotation files, {best[0]} and {best[1]}; keep one")
        if best[0] in self._taken:
            raise InputError(
                f"{best[0]} fits two recordings, {self._taken[best[0]]!r} and {recording!r}; rename it after one"
            )
        self._taken[best[0]] = recording
        return read_caltech(best[0])

    def unused(self) -> list[Path]:
        """Annotation files that belonged to no recording."""
        return [path for path, _ in self._files if path not in self._taken]


def _key(path: Path) -> str:
    return _ANNOTATION_WORDS.sub("", stem(path)) or stem(path)


def _belongs(annotation: Path, names: Iterable[str]) -> bool:
    key = _key(annotation)
    return any(name == key or (name.startswith(key) and not name[len(key)].isalnum()) for name in names)


def discover(
    sources: Sequence[Path], annotations: Sequence[Path], format: str, notice: Callable[[str], None]
) -> tuple[list[TrackFile], AnnotationIndex]:
    """Track files and annotations in `sources`, in the given order and sorted within folders.

    In a folder, files of unknown format are left out with a notice (without one for the mark of simulated releases). A
    file that is named must have a known format.

    Raises
    ------
    InputError
        If a named file or folder does not exist, is empty, damaged or of unknown format.
    """
    if format != "auto" and format not in FORMATS:
        raise InputError(f"unknown `format` {format!r}; known: auto, {', '.join(FORMATS)}")
    index = AnnotationIndex()
    for path in annotations:
        for file in _files(path, notice) if path.is_dir() else [path]:
            if sniff_caltech(file):
                index.add(file, None)
            elif file == path:
                raise InputError(f"{file}: not an annotation file; known: Caltech Behavior Annotator .txt")
    tracks: list[TrackFile] = []
    for source in sources:
        if source.is_dir():
            tracks += _in_folder(source, format, index, notice)
        elif source.is_file() and source.stat().st_size and sniff_caltech(source):
            index.add(source, None)
        else:
            tracks.append(TrackFile(source, detect_format(source) if format == "auto" else FORMATS[format]))
    return tracks, index


def _in_folder(source: Path, format: str, index: AnnotationIndex, notice: Callable[[str], None]) -> Iterator[TrackFile]:
    for file in _files(source, notice):
        if file.name == SIMULATED:
            continue
        if sniff_caltech(file):
            index.add(file, file.parent)
            continue
        parent = file.parent.relative_to(source).as_posix()
        try:
            found = detect_format(file)
        except UnknownFormatError as error:
            notice(f"left out {error}")
            continue
        if format in ("auto", found.name):
            yield TrackFile(file, found, "" if parent == "." else f"{parent}/")


def _files(folder: Path, notice: Callable[[str], None]) -> Iterator[Path]:
    """Files below a folder, sorted, without hidden files and stores."""
    for name, folders, files in os.walk(folder):
        here = Path(name)
        if "store.json" in files:
            notice(f"left out {here}: it is a store already")
            folders.clear()
            continue
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (here / file for file in sorted(files) if not file.startswith("."))
