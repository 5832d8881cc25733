import os

import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import FORMATS, ReadOptions, UnknownFormatError, detect_format, read_recordings


def test_content_decides_not_the_name(tmp_path, make):
    values = make.tracks(5)
    contents = {"g": {"s": make.calms21_sequence(5)}}
    plain = make.write_calms21_json(tmp_path / "plain", contents)
    files = {
        "calms21_json": plain,
        "calms21_zip": make.write_zip(tmp_path / "a.csv", {"x.json": plain.read_bytes()}),
        "calms21_npy": make.write_npy(tmp_path / "b.json", contents),
        "dlc_csv": make.write_dlc_csv(tmp_path / "c.h5", values),
        "dlc_h5": make.write_dlc_h5_fixed(tmp_path / "d.zip", values),
    }
    for name, path in files.items():
        assert detect_format(path).name == name
        # Every other format refuses it with a sentence when told to read it.
        for other in FORMATS.keys() - {name}:
            with pytest.raises(InputError):
                list(read_recordings(path, ReadOptions(fps=30.0), format=other))


@pytest.mark.posix
def test_missing_folder_empty_and_special_files_raise(tmp_path):
    (tmp_path / "empty.csv").touch()
    os.mkfifo(tmp_path / "pipe")
    for name, message in [
        ("nowhere", "no such file"),
        ("", "is a folder"),
        ("empty.csv", "is empty"),
        ("pipe", "not a plain file"),
        ("empty.csv/x", "no such file|cannot be read"),
        ("x" * 300, "no such file|cannot be read"),
    ]:
        with pytest.raises(InputError, match=message):
            detect_format(tmp_path / name)


def test_unknown_content_shows_how_it_begins(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("time,mouse,speed\n0,1,2\n")
    with pytest.raises(UnknownFormatError, match=r"DeepLabCut H5.*it begins with 'time,mouse,speed"):
        detect_format(path)
    path.write_bytes(bytes(range(256)))
    with pytest.raises(UnknownFormatError, match="it begins with b'"):
        detect_format(path)
    with pytest.raises(InputError, match="unknown format 'excel'; known: auto, calms21_json"):
        list(read_recordings(path, format="excel"))


def test_annotations_alone(tmp_path, make):
    (tmp_path / "x.txt").write_text(make.caltech_text({"S1": [(1, 3, "base")]}))
    with pytest.raises(UnknownFormatError, match="`annotations`"):
        detect_format(tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("head", "title"), [(b"MATLAB 5.0 MAT-file, Platform", "MAT-file"), (b"CDF\x01", "netCDF without positions")]
)
def test_known_formats_that_are_not_read_are_named(tmp_path, head, title):
    (tmp_path / "x").write_bytes(head + bytes(200))
    with pytest.raises(UnknownFormatError, match=f"{title}.* is not supported yet"):
        detect_format(tmp_path / "x")
