from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import labels_from_annotation
from ssl_behavior.io.annotation_writers import ANNOTATION_FORMATS, annotation_files, annotation_format_titles
from ssl_behavior.io.caltech import caltech_names, read_caltech

from .random_labels import for_any_labels


@for_any_labels
def test_written_caltech_files_are_read_back(recording):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.txt"
        ANNOTATION_FORMATS["caltech"].write(path, [recording])
        annotation, names = read_caltech(path), caltech_names(list(recording.labels))
    for stream, one in recording.labels.items():
        if not (one.frames >= 0).any():
            assert names[stream] not in annotation.streams
            continue
        found, _ = labels_from_annotation(annotation, names[stream], recording.num_frames)
        words, expected = np.array([*found.vocabulary, ""]), np.array([*one.vocabulary, ""])
        assert words[found.frames].tolist() == expected[one.frames].tolist()


@for_any_labels
def test_npy_labels_round_trip(recording):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        ANNOTATION_FORMATS["npy"].write(path, [recording])
        frames = np.load(path, allow_pickle=False)
    assert frames.dtype == np.int16
    found = frames[:, None] if len(recording.labels) == 1 else frames
    for column, one in zip(found.T, recording.labels.values(), strict=True):
        np.testing.assert_array_equal(column, one.frames)


def test_every_format_has_a_title():
    titles = annotation_format_titles()
    assert all(f"{name}: {format.title}" in titles for name, format in ANNOTATION_FORMATS.items())


def test_each_recording_has_one_file_per_unshared_format():
    files = annotation_files(["a/r1", "r2"], ["csv", "frames", "boris", "simba", "csv"])
    assert files == {
        "a/r1": {"csv": "a/r1.csv", "frames": "a/r1.frames.csv", "simba": "simba/a/r1.csv"},
        "r2": {"csv": "r2.csv", "frames": "r2.frames.csv", "simba": "simba/r2.csv"},
    }


@pytest.mark.parametrize(
    ("ids", "formats", "words"),
    [
        (["a/../b"], ["csv"], "cannot be a file's name"),
        (["/a"], ["boris", "csv"], "cannot be a file's name"),
        (["a\\b"], ["npy"], "cannot be a file's name"),
        (["r1"], ["csv", "nwb"], "`format` nwb is unknown; known: csv, frames, caltech"),
        (["r1", "simba/r1"], ["csv", "simba"], "'r1' and 'simba/r1' would both be written to simba/r1.csv"),
        (["r1", "r1.frames"], ["csv", "frames"], r"would both be written to r1\.frames\.csv"),
    ],
)  # fmt: skip
def test_invalid_file_names_raise(ids, formats, words):
    with pytest.raises(InputError, match=words):
        annotation_files(ids, formats)
