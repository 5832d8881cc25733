import errno
import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.files import (
    atomic_file,
    atomic_folder,
    check_free,
    make_folder,
    read_json,
    write_errors_explained,
    write_json,
)


def left_in(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_folder_appears_when_it_is_whole(tmp_path):
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    assert left_in(tmp_path) == ["a", "out"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_folder_that_fails_leaves_nothing(tmp_path, error):
    with pytest.raises(error), atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
        raise error
    assert left_in(tmp_path) == []


def test_a_failed_replacement_leaves_the_old_folder(tmp_path):
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "out", overwrite=True) as folder:
        (folder / "a").write_text("new")
        raise RuntimeError
    assert (tmp_path / "out" / "a").read_text() == "old" and left_in(tmp_path) == ["a", "out"]


@pytest.mark.parametrize("old", ["file", "folder"])
def test_existing_folder_is_replaced_only_with_overwrite(tmp_path, old):
    path = tmp_path / "out"
    if old == "file":
        path.write_text("old")
    else:
        path.mkdir()
    with pytest.raises(InputError, match="exists already"), atomic_folder(path):
        pass
    with atomic_folder(path, overwrite=True) as folder:
        (folder / "new").write_text("1")
    assert left_in(tmp_path) == ["new", "out"]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the disk is full"), (errno.EROFS, "cannot be written")],
)
def test_write_error_raises_input_error_and_leaves_nothing(tmp_path, number, words):
    with pytest.raises(InputError, match=words), atomic_folder(tmp_path / "out"):
        raise OSError(number, os.strerror(number))
    with pytest.raises(InputError, match=words), atomic_file(tmp_path / "file") as partial:
        partial.write_text("half")
        raise OSError(number, os.strerror(number))
    assert left_in(tmp_path) == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system without new files")
def test_a_place_without_new_files_is_refused():
    message = r"^/proc/out.*: cannot be written \(No such file or directory\); choose another `plot`$"
    for path in (Path("/proc/out"), Path("/proc/out/deep")):
        with pytest.raises(InputError, match=message), atomic_folder(path, argument="plot"):
            pass
        with pytest.raises(InputError, match=message), atomic_file(path, "plot") as partial:
            partial.write_text("x")
        with pytest.raises(InputError, match=message):
            make_folder(path, "plot")
        # HDF5 does not name the file that it cannot make.
        with pytest.raises(InputError, match=message), write_errors_explained(path, "plot"):
            h5py.File(path, "w")


def test_a_file_that_is_read_is_not_taken_for_one_that_is_written(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "out"):
        (tmp_path / "source.csv").read_text()
    assert left_in(tmp_path) == []


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, not a folder"):
        check_free(tmp_path / "file" / "deep" / "out", overwrite=False)
    with pytest.raises(InputError, match="file"):
        write_json(tmp_path / "file" / "out.json", 1)


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="cannot be written"), atomic_file(tmp_path / "mine") as partial:
        partial.write_text("x")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "a.json", {"x": [1, 2.5, "é"]})
    assert read_json(tmp_path / "a.json", "a test") == {"x": [1, 2.5, "é"]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json", "a test") == {"x": [1, 2.5, "é"]} and left_in(tmp_path) == ["a.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1,]"])
def test_damaged_json_raises(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json is damaged: expected a store's JSON"):
        read_json(tmp_path / "a.json", "a store")


def test_missing_json_raises(tmp_path):
    with pytest.raises(InputError, match=r"is not a store: it has no a\.json"):
        read_json(tmp_path / "a.json", "a store")
    (tmp_path / "a.json").mkdir()
    with pytest.raises(InputError, match=r"a\.json"):
        read_json(tmp_path / "a.json", "a store")


def test_overwriting_is_for_folders_of_the_same_kind(tmp_path):
    own = tmp_path / "thesis"
    own.mkdir()
    (own / "chapter1.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds something else"), atomic_folder(own, overwrite=True, marker="a.json"):
        pass
    assert (own / "chapter1.txt").read_text() == "years of work"
    (own / "a.json").write_text("{}")
    with atomic_folder(own, overwrite=True, marker="a.json") as folder:
        (folder / "a.json").write_text("[]")
    assert [file.name for file in own.iterdir()] == ["a.json"]


def die_between_the_renames(path):
    """A child process that is killed when the old folder has been set aside and the new one is not yet there."""
    code = f"""
import os, pathlib
from ssl_behavior import files
rename = pathlib.Path.rename
def first_only(self, target):
    rename(self, target)
    os._exit(9)
pathlib.Path.rename = first_only
with files.atomic_folder(pathlib.Path({str(path)!r}), overwrite=True) as folder:
    (folder / "a.json").write_text("2")
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9


def test_an_overwrite_killed_between_its_renames_loses_nothing(tmp_path):
    path = tmp_path / "store"
    with atomic_folder(path) as folder:
        (folder / "a.json").write_text("1")
    die_between_the_renames(path)
    assert not path.exists()
    with pytest.raises(InputError, match=r"it has no a\.json; an interrupted overwrite left .*old-"):
        read_json(path / "a.json", "a store")
    with pytest.raises(InputError, match="exists already"), atomic_folder(path):
        pass
    assert (path / "a.json").read_text() == "1"


LEAVE = """
import os, pathlib, signal, sys
from ssl_behavior.files import atomic_folder

with atomic_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / "keypoints.npy").write_bytes(b"x" * 100)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.posix
def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path):
    path = tmp_path / "store [1]"
    assert subprocess.run([sys.executable, "-c", LEAVE, str(path)], check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".store [1].partial-") and not path.exists()
    machine = left.name.split("-")[1]
    running = tmp_path / f".store [1].partial-{machine}-{os.getppid()}"
    elsewhere = tmp_path / f".store [1].partial-00000000-{left.name.rpartition('-')[2]}"
    other = tmp_path / f".store.partial-{machine}-{left.name.rpartition('-')[2]}"
    for kept in (running, elsewhere, other):
        kept.mkdir()
    with atomic_folder(path) as folder:
        (folder / "a").write_text("1")
    assert sorted(tmp_path.iterdir()) == sorted([path, running, elsewhere, other])
