"""Table of formats of annotation files that are read, and detection of a file's format from its content."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import Annotation
from ssl_behavior.io.bento import read_bento, sniff_bento
from ssl_behavior.io.boris_reader import read_boris_project, read_boris_table, sniff_boris_project, sniff_boris_table
from ssl_behavior.io.caltech import read_caltech, sniff_caltech
from ssl_behavior.io.exported_labels import exported_file, restore_annotation
from ssl_behavior.io.label_tables import (
    read_bouts_table,
    read_columns_table,
    read_frames_table,
    sniff_bouts_table,
    sniff_columns_table,
    sniff_frames_table,
)
from ssl_behavior.io.mabe25_annotations import read_intervals_table, sniff_intervals_table
from ssl_behavior.io.npy_labels import read_label_array, sniff_label_array
from ssl_behavior.io.reader_helpers import describe_start

__all__ = ["ANNOTATION_READERS", "AnnotationReader", "annotation_reader", "annotation_titles", "read_annotations"]


@dataclass(frozen=True)
class AnnotationReader:
    """A format of annotation files: `sniff` recognizes its content, `read` gives its recordings.

    `beside_tracks` : files in a folder of tracks are taken without being named; other files could be something else.
    """

    name: str
    title: str
    sniff: Callable[[Path], bool]
    read: Callable[[Path], list[Annotation]]
    beside_tracks: bool = True


def _one(read: Callable[[Path], Annotation]) -> Callable[[Path], list[Annotation]]:
    return lambda path: [read(path)]


ANNOTATION_READERS: dict[str, AnnotationReader] = {
    reader.name: reader
    for reader in (
        AnnotationReader("caltech", "Caltech Behavior Annotator .txt", sniff_caltech, _one(read_caltech)),
        AnnotationReader("bento", "Bento .annot", sniff_bento, _one(read_bento)),
        AnnotationReader("boris", "BORIS project", sniff_boris_project, read_boris_project),
        AnnotationReader("boris_table", "BORIS event table", sniff_boris_table, read_boris_table),
        AnnotationReader("mabe", "MABe 2025 intervals", sniff_intervals_table, read_intervals_table),
        AnnotationReader("csv", "table of bouts", sniff_bouts_table, read_bouts_table),
        AnnotationReader("frames", "table of frames", sniff_frames_table, read_frames_table),
        AnnotationReader(
            "columns", "0/1 columns (SimBA, DeepEthogram)", sniff_columns_table, read_columns_table,
            beside_tracks=False,
        ),
        AnnotationReader("npy", ".npy labels", sniff_label_array, _one(read_label_array), beside_tracks=False),
    )
}  # fmt: skip


def annotation_titles() -> str:
    """List of the formats, for messages."""
    return ", ".join(reader.title for reader in ANNOTATION_READERS.values())


def annotation_reader(path: Path, named: bool = True) -> AnnotationReader | None:
    """Format of an annotation file, detected from its content; None if none fits.

    Parameters
    ----------
    named : the user named the file as annotation. Otherwise only formats that are nothing else are recognized.
    """
    readers = (one for one in ANNOTATION_READERS.values() if named or one.beside_tracks)
    return next((one for one in readers if one.sniff(path)), None)


def read_annotations(path: Path) -> list[Annotation]:
    """Annotations of all recordings in a file, in its own names, with what a `labels.json` beside it adds.

    Raises
    ------
    InputError
        If no format fits, or the file is damaged.
    """
    reader = annotation_reader(path)
    if reader is None:
        raise InputError(
            f"{path}: not an annotation file; known: {annotation_titles()}. It begins with {describe_start(path)}"
        )
    exported = exported_file(path)
    if exported is not None and exported.format == "npy":
        found = [read_label_array(path, columns_are_streams=True)]
    else:
        found = reader.read(path)
    if exported is not None:
        found = [restore_annotation(one, exported) for one in found]
    return found
