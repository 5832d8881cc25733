"""A folder of label files: a file per recording and format, and `labels.json`, which says what they hold."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, write_json
from ssl_behavior.io.annotated import AnnotatedRecording
from ssl_behavior.io.annotation_formats import ANNOTATION_FORMATS, annotation_files
from ssl_behavior.io.bento import bento_channels
from ssl_behavior.io.caltech_text import caltech_names
from ssl_behavior.recording import StreamFacts

__all__ = ["FORMAT_VERSION", "LABELS_FILE", "write_annotations"]

FORMAT_VERSION = 1
LABELS_FILE = "labels.json"


def write_annotations(
    out: Path,
    recordings: Iterable[AnnotatedRecording],
    ids: Sequence[str],
    streams: Sequence[StreamFacts],
    formats: Sequence[str] = ("csv",),
    facts: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> None:
    """Write recordings one after the other; the folder exists whole or not at all.

    A recording `a/b` becomes `a/b.csv`, `a/b.txt` and so on, see `ANNOTATION_FORMATS`. Names are checked before the
    first recording is asked for.

    Parameters
    ----------
    ids : the recordings that will come, in their order.
    streams : the label streams that any of them has.
    facts : what else to say in `labels.json`.

    Raises
    ------
    InputError
        If `out` exists, the disk is full, or an id or a behaviour's name cannot stand in a format.
    """
    files, shared = annotation_files(ids, formats), _shared(formats)
    for name in formats:
        ANNOTATION_FORMATS[name].check(streams)
    with atomic_folder(out, overwrite, LABELS_FILE) as folder:
        kept, table = [], []
        for recording in recordings:
            for name, file in files[recording.id].items():
                _write(name, folder, file, [recording])
            table.append(_entry(recording, files[recording.id]))
            if shared:
                kept.append(recording)
        for name, file in shared.items():
            _write(name, folder, file, kept)
        contents = {"format": "ssl-behavior labels", "version": FORMAT_VERSION, "streams": _streams(streams)}
        whole = {"files": shared} if shared else {}
        write_json(folder / LABELS_FILE, contents | dict(facts or {}) | whole | {"recordings": table})


def _shared(formats: Sequence[str]) -> dict[str, str]:
    return {name: ANNOTATION_FORMATS[name].file for name in formats if ANNOTATION_FORMATS[name].shared}


def _write(name: str, folder: Path, file: str, recordings: Sequence[AnnotatedRecording]) -> None:
    path = folder / file
    if path.exists():
        # On Windows and macOS A.csv is a.csv, and the labels of one would be lost.
        raise InputError(f"two recordings would be written to {file} on this disk; import one under another id")
    path.parent.mkdir(parents=True, exist_ok=True)
    ANNOTATION_FORMATS[name].write(path, recordings)


def _streams(streams: Sequence[StreamFacts]) -> list[dict[str, object]]:
    names = [stream.name for stream in streams]
    caltech, bento = caltech_names(names), bento_channels(names)
    return [
        {
            "name": stream.name,
            "classes": list(stream.classes),
            "background": stream.background,
            "caltech": caltech[stream.name],
            "bento": bento[stream.name],
        }
        for stream in streams
    ]


def _entry(recording: AnnotatedRecording, files: Mapping[str, str]) -> dict[str, object]:
    return {
        "id": recording.id,
        "frames": recording.num_frames,
        "fps": recording.fps,
        "annotator": recording.annotator,
        "files": dict(files),
    }
