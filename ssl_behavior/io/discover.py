"""From what a person names (files, folders) to files of tracks, annotation files, and which belongs to which."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.io.calms21 import SIMULATED
from ssl_behavior.io.caltech import Annotation, read_caltech, sniff_caltech
from ssl_behavior.io.formats import FORMATS, Format, detect_format
from ssl_behavior.io.options import UnknownFormatError
from ssl_behavior.io.source import stem

__all__ = ["AnnotationIndex", "TrackFile", "discover"]

_ANNOTATION_WORDS = re.compile(r"[_\-. ]*(annot(ation)?s?|labels?|behaviou?rs?)$", re.IGNORECASE)


@dataclass(frozen=True)
class TrackFile:
    """A file of tracks, its format, and what to put before ids taken from its name (its folder's path)."""

    path: Path
    format: Format
    prefix: str = ""


class AnnotationIndex:
    """Annotation files by name. One belongs to the recording whose file's name begins with its own.

    `07_annot.txt` belongs to `07_dlc_tracks.csv.gz` and to `07.csv`, not to `071.csv`.
    """

    def __init__(self) -> None:
        self._files: list[tuple[Path, Path | None]] = []
        self._taken: dict[Path, str] = {}

    def add(self, path: Path, folder: Path | None) -> None:
        """`folder`: the only folder whose recordings it may belong to, or None for all."""
        self._files.append((path, folder))

    def take(self, recording: str, tracks: Path) -> Annotation | None:
        """The annotation of a recording, or None.

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
    """Every file of tracks among `sources`, in the order given and sorted within folders, and the annotations.

    In a folder, files of no known format are left out with a notice (but for what says that a release is simulated); a
    file that is named must be of one.

    Raises
    ------
    InputError
        If something named does not exist, is empty, damaged or of no known format.
    """
    if format != "auto" and format not in FORMATS:
        raise InputError(f"unknown --format {format!r}; known: auto, {', '.join(FORMATS)}")
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
    """Files below a folder, sorted; hidden ones and stores are passed over."""
    for name, folders, files in os.walk(folder):
        here = Path(name)
        if "store.json" in files:
            notice(f"left out {here}: it is a store already")
            folders.clear()
            continue
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (here / file for file in sorted(files) if not file.startswith("."))
