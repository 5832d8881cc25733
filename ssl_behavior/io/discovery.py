"""Discovery of track and annotation files in files and folders; the choice among several track files of one video."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation_index import AnnotationIndex
from ssl_behavior.io.annotation_readers import annotation_reader, annotation_titles
from ssl_behavior.io.calms21 import SIMULATED
from ssl_behavior.io.dlc_filenames import TrackName, parse_track_name
from ssl_behavior.io.exported_labels import is_contents
from ssl_behavior.io.mabe25_annotations import (
    annotations_of_tracks,
    sniff_looked_for,
    tracks_folder,
    video_tables,
)
from ssl_behavior.io.reader_helpers import stem
from ssl_behavior.io.skipped_files import foreign_notices, kind_of_unknown, lacks_tracks
from ssl_behavior.io.track_formats import FORMATS, Format, detect_format
from ssl_behavior.terminal import listed

__all__ = ["TrackFile", "choose_variants", "discover", "index_annotations"]

_WITH_VARIANTS = {"dlc_csv": "csv", "dlc_h5": "h5"}
"""Formats whose files may be twins, and the word for each."""
_LISTED = 3


@dataclass(frozen=True)
class TrackFile:
    """A track file, its format, and the prefix of ids taken from its name (its folder's path)."""

    path: Path
    format: Format
    prefix: str = ""

    @property
    def name(self) -> TrackName:
        """Parts of the file's name."""
        return parse_track_name(stem(self.path))


def discover(
    sources: Sequence[Path],
    annotations: Sequence[Path],
    format: str,
    notice: Callable[[str], None],
    variant: str = "",
) -> tuple[list[TrackFile], AnnotationIndex]:
    """Track files and annotations in `sources`, in the given order and sorted within folders.

    In a folder, files without tracks are left out with one notice (without one for the mark of simulated releases). A
    file that is named must have a known format. Of several track files of one video, one is taken: `choose_variants`.

    Raises
    ------
    InputError
        If a named file or folder does not exist, is empty, damaged or of unknown format; if a video has no `variant`.
    """
    if format != "auto" and format not in FORMATS:
        raise InputError(f"unknown `format` {format!r}; known: auto, {', '.join(FORMATS)}")
    index = AnnotationIndex()
    index_annotations(annotations, index, notice)
    tracks: list[TrackFile] = []
    left_out: list[tuple[Path, str]] = []
    for source in sources:
        if source.is_dir():
            tracks += _in_folder(source, format, index, left_out, notice)
        elif source.is_file() and source.stat().st_size and annotation_reader(source, named=False):
            index.add(source, None)
        else:
            tracks.append(TrackFile(source, detect_format(source) if format == "auto" else FORMATS[format]))
    for sentence in foreign_notices(left_out):
        notice(sentence)
    tracks = choose_variants(tracks, variant, notice)
    _add_mabe25(tracks, index)
    index.know(track.path for track in tracks)
    return tracks, index


def _add_mabe25(tracks: Sequence[TrackFile], index: AnnotationIndex) -> None:
    """Add the annotations of MABe 2025's track tables, and what was looked for, from where the data set has them."""
    tables = [track.path for track in tracks if track.format.name == "mabe25"]
    folders = {path.parent: path for path in tables}
    for path in dict.fromkeys(table for one in folders.values() for table in video_tables(one)):
        index.add_looked_for(path)
    for path in tables:
        if (found := annotations_of_tracks(path)) is not None:
            index.add(found, path.parent, named=False)


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
            elif reader := annotation_reader(file):
                index.add(file, None, named=file == path or reader.beside_tracks)
            elif file == path:
                raise InputError(f"{file}: not an annotation file; known: {annotation_titles()}")


def _in_folder(
    source: Path,
    format: str,
    index: AnnotationIndex,
    left_out: list[tuple[Path, str]],
    notice: Callable[[str], None],
) -> Iterator[TrackFile]:
    for file in _files(source, notice):
        if file.name == SIMULATED or is_contents(file):
            continue
        try:
            if sniff_looked_for(file):
                index.add_looked_for(file)
                continue
            if reader := annotation_reader(file, named=False):
                index.add(file, tracks_folder(file), named=reader.name == "caltech")
                continue
            found = detect_format(file)
            kind = lacks_tracks(file, found)
        except InputError:
            kind = kind_of_unknown(file)
        if kind:
            left_out.append((file, kind))
        elif format in ("auto", found.name):
            parent = file.parent.relative_to(source).as_posix()
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


def choose_variants(tracks: Sequence[TrackFile], variant: str, notice: Callable[[str], None]) -> list[TrackFile]:
    """One DeepLabCut file of each video, with a notice for each kind of choice; other files as they are.

    Filtered tracks go before raw ones, then the track method (ctd, el, bx, sk), the latest snapshot and shuffle, and H5
    before CSV.

    Parameters
    ----------
    variant : words that the chosen files must have, joined by "+" or ",": "raw", "filtered", "el", "bx", "sk", "ctd",
        "h5", "csv", or a part of the tracker's suffix such as "shuffle2"; "" for the order above.

    Raises
    ------
    InputError
        If none of a video's files has the words of `variant`.
    """
    groups: dict[object, list[TrackFile]] = defaultdict(list)
    for number, file in enumerate(tracks):
        twins = file.format.name in _WITH_VARIANTS
        groups[(file.path.parent.resolve(), file.name.recording) if twins else number].append(file)
    words = [word for word in re.split(r"[+,\s]+", variant) if word]
    chosen = []
    choices: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for files in groups.values():
        best = max(_having(words, files, variant), key=_preference)
        chosen.append(best)
        if len(files) > 1:
            labels = _labels(files)
            others = tuple(label for file, label in zip(files, labels, strict=True) if file is not best)
            choices[labels[files.index(best)], others].append(best.prefix + best.name.recording)
    for (taken, others), videos in choices.items():
        notice(
            f"several track files of one video ({listed(videos, _LISTED)}): took {taken}, left out "
            f"{'; '.join(others)}. `variant` chooses another, e.g. `variant=raw`"
        )
    return chosen


def _preference(file: TrackFile) -> tuple[tuple[bool, int, int, int], bool, str]:
    return file.name.preference, file.format.name == "dlc_h5", file.path.name


def _having(words: Sequence[str], files: Sequence[TrackFile], variant: str) -> Sequence[TrackFile]:
    """The files of a video that have all words; all files where names do not say the variant."""
    fitting = [f for f in files if all(_has(f, word) for word in words)]
    if fitting or (len(files) == 1 and not files[0].name.scorer):
        return fitting or files
    raise InputError(
        f"`variant` {variant}: no track file of {files[0].path.parent / files[0].name.recording} is of this variant; "
        f"there are: {'; '.join(_labels(files))}"
    )


def _has(file: TrackFile, word: str) -> bool:
    if file.format.name not in _WITH_VARIANTS:
        return True
    word_of_format = _WITH_VARIANTS[file.format.name]
    return word.lower() == word_of_format if word.lower() in _WITH_VARIANTS.values() else file.name.has(word)


def _labels(files: Sequence[TrackFile]) -> list[str]:
    """What tells the files of one video apart, in a few words each: scorer, track method, filter, format."""
    names = [file.name for file in files]
    columns = [
        [name.scorer or "no network's name" for name in names],
        [name.track_method or "no track method" for name in names],
        ["filtered" if name.is_filtered else "raw" for name in names],
        [_WITH_VARIANTS.get(f.format.name, "") + ".gz" * f.path.name.lower().endswith(".gz") for f in files],
    ]
    telling = [column for column in columns if len(set(column)) > 1] or [[file.path.name for file in files]]
    return [" ".join(words) for words in zip(*telling, strict=True)]
