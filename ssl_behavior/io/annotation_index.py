"""Annotation files of an import, and the recording each belongs to, by name."""

import re
from collections.abc import Iterable
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.io.caltech import Annotation, read_caltech
from ssl_behavior.io.source import stem

__all__ = ["AnnotationIndex"]


_ANNOTATION_WORDS = re.compile(r"[_\-. ]*(annot(ation)?s?|labels?|behaviou?rs?)$", re.IGNORECASE)


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
