"""Discovery of track and annotation files in files and folders."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation_index import AnnotationIndex
from ssl_behavior.io.annotation_readers import annotation_reader, annotation_titles
from ssl_behavior.io.calms21 import SIMULATED
from ssl_behavior.io.delimited_labels import sniff_looked_for
from ssl_behavior.io.exported_labels import is_contents
from ssl_behavior.io.formats import FORMATS, Format, detect_format
from ssl_behavior.io.source import UnknownFormatError

__all__ = ["TrackFile", "discover", "index_annotations"]


@dataclass(frozen=True)
class TrackFile:
    """A track file, its format, and the prefix of ids taken from its name (its folder's path)."""

    path: Path
    format: Format
    prefix: str = ""


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
    index_annotations(annotations, index, notice)
    tracks: list[TrackFile] = []
    for source in sources:
        if source.is_dir():
            tracks += _in_folder(source, format, index, notice)
        elif source.is_file() and source.stat().st_size and annotation_reader(source, named=False):
            index.add(source, None)
        else:
            tracks.append(TrackFile(source, detect_format(source) if format == "auto" else FORMATS[format]))
    index.know(track.path for track in tracks)
    return tracks, index


def index_annotations(annotations: Sequence[Path], index: AnnotationIndex, notice: Callable[[str], None]) -> None:
    """Add annotation files, and those in folders, to an index.

    Raises
    ------
    InputError
        If a named file does not exist, is empty or of unknown format.
    """
    for path in annotations:
        for file in _files(path, notice) if path.is_dir() else [path]:
            if is_contents(file):
                continue
            if sniff_looked_for(file):
                index.add_looked_for(file)
            elif annotation_reader(file):
                index.add(file, None)
            elif file == path:
                raise InputError(f"{file}: not an annotation file; known: {annotation_titles()}")


def _in_folder(source: Path, format: str, index: AnnotationIndex, notice: Callable[[str], None]) -> Iterator[TrackFile]:
    for file in _files(source, notice):
        if file.name == SIMULATED or is_contents(file):
            continue
        if reader := annotation_reader(file, named=False):
            index.add(file, file.parent, named=reader.name == "caltech")
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
