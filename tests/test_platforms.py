"""Other systems, as far as Linux can stand in for them: Windows, macOS, and consoles and locales without UTF-8."""

import ast
import io
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from ssl_behavior import cli, embeddings_folder, files, terminal
from ssl_behavior.errors import InputError
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.io.annotation_writers import annotation_files
from ssl_behavior.label_changes import rename_stream
from ssl_behavior.simulate import simulate_store
from ssl_behavior.store import Store

ROOT = Path(__file__).parents[1]
SOURCES = [path for folder in ("ssl_behavior", "pretrain", "probe") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.fixture
def windows(monkeypatch):
    """`sys.platform` of Windows, which takes every process for a living one and gives up renames at once."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(files, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(files, "_is_alive_on_windows", lambda pid: True)


def text_accesses(path):
    """(line, writes, keywords) of calls such as `path.open("w")` and `path.read_text()`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name, keywords = node.func.attr, {keyword.arg for keyword in node.keywords}
        mode = node.args[0].value if name == "open" and node.args and isinstance(node.args[0], ast.Constant) else "b"
        if name in ("read_text", "write_text") or "b" not in mode:
            yield node.lineno, name == "write_text" or mode[0] in "wax", keywords


def test_calls_that_access_text_are_found(tmp_path):
    file = tmp_path / "a.py"
    code = ["a.open('w')", "a.open('rb')", "a.read_text(encoding='x')", "a.write_text('')", "b.open(place, c)", "d()"]
    file.write_text("\n".join(code), encoding="utf-8")
    assert [(1, True, set()), (3, False, {"encoding"}), (4, True, set())] == list(text_accesses(file))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_text_files_name_their_encoding_and_line_ends(path):
    for line, writes, keywords in text_accesses(path):
        assert "encoding" in keywords, f"{path}:{line} opens text without an encoding"
        assert not writes or "newline" in keywords, f"{path}:{line} writes text with the line ends of the system"


MISSING = {"fork", "getuid", "sched_getaffinity", "sysconf", "uname", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_name_is_used_that_windows_lacks(path):
    used = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute)]
    assert not [node.lineno for node in used if ast.unparse(node.value) in ("os", "signal") and node.attr in MISSING]


def write_folder(path, text):
    with files.atomic_folder(path, overwrite=True) as folder:
        files.write_text(folder / "a", text)


def refuse(monkeypatch, method, when):
    """Let a method of `Path` raise what Windows raises for files in use, for some arguments."""
    real = getattr(Path, method)

    def guarded(self, *args, **options):
        if when(self, *args):
            raise PermissionError(13, "The process cannot access the file", str(self))
        return real(self, *args, **options)

    monkeypatch.setattr(Path, method, guarded)


def test_a_folder_in_use_is_kept_and_the_error_says_so(tmp_path, monkeypatch, windows):
    out = tmp_path / "out"
    write_folder(out, "old")
    refuse(monkeypatch, "rename", lambda source, target: source == out)
    with pytest.raises(InputError, match="one of its files is in use"):
        write_folder(out, "new")
    assert (out / "a").read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [out]


def test_a_folder_that_cannot_take_its_place_gives_the_old_one_back(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_folder(out, "old")
    refuse(monkeypatch, "rename", lambda source, target: ".partial-" in source.name)
    with pytest.raises(InputError, match="cannot be written"):
        write_folder(out, "new")
    assert (out / "a").read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("method", ["rename", "replace"])
def test_a_file_that_a_scanner_opens_for_a_moment_is_waited_for(tmp_path, monkeypatch, windows, method):
    refusals = iter([True, True])
    refuse(monkeypatch, method, lambda *_: next(refusals, False))
    if method == "rename":
        write_folder(tmp_path / "out", "new")
    else:
        files.write_json(tmp_path / "out", {"a": 1})
    assert next(refusals, None) is None and (tmp_path / "out").exists()


def test_a_file_in_use_is_left_where_nothing_needs_it_to_go(tmp_path, monkeypatch, windows):
    file = tmp_path / "a"
    file.touch()
    refuse(monkeypatch, "unlink", lambda *_: True)
    files.discard(file)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(PermissionError):
        files.discard(file)


def test_files_are_flushed_through_a_writable_descriptor(tmp_path, monkeypatch, windows):
    flags, real = [], os.open
    monkeypatch.setattr(os, "open", lambda path, flag, *rest: flags.append(flag) or real(path, flag, *rest))
    files.write_json(tmp_path / "a.json", {})
    assert flags[-1] & os.O_RDWR


def test_asking_for_a_process_sends_no_signal(monkeypatch, windows):
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal was sent"))
    assert files._is_alive(str(os.getpid())) and not files._is_alive("no-number")


@pytest.mark.parametrize("id", ["cage 1:30", "a?", "night/con", "aux.day1", "what*", "night./a", 'a"b', "a|b", "a\t"])
def test_ids_that_windows_cannot_hold_are_refused_there(id, monkeypatch):
    assert annotation_files([id], ["csv"])
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(InputError, match="Windows allows no file of this name"):
        annotation_files([id], ["csv"])


@pytest.mark.parametrize("name", ["night1/mouse", "con1", "console", "a.b-c_d", "night.", "Käfig"])
def test_usual_names_are_allowed_everywhere(name, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    annotation_files([name], ["csv"])


@pytest.mark.parametrize("ids", [("Day1", "day1"), ("K\u00e4fig", "Ka\u0308fig")], ids=["case", "accents"])
@pytest.mark.parametrize(("platform", "refused"), [("linux", False), ("darwin", True), ("win32", True)])
def test_ids_that_are_one_file_are_refused_where_they_are(ids, platform, refused, monkeypatch):
    assert ids[0] != ids[1]
    monkeypatch.setattr(sys, "platform", platform)
    if refused:
        with pytest.raises(InputError, match="would both be written"):
            annotation_files(ids, ["csv"])
    else:
        assert len(annotation_files(ids, ["csv"])) == 2


def test_label_streams_that_are_one_file_are_refused(tmp_path, monkeypatch):
    store = simulate_store(tmp_path / "store", num_recordings=2, frames=60, tasks=("behavior", "approach"))
    rename_stream(store.path, "behavior", "Mount")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(InputError, match="for one file"):
        rename_stream(store.path, "approach", "mount")
    assert set(Store(tmp_path / "store").streams) == set(store.streams) - {"behavior"} | {"Mount"}


def test_no_array_is_mapped_when_its_folder_is_renamed(tmp_path, monkeypatch):
    store = simulate_store(tmp_path / "store", num_recordings=2, frames=60)
    made, real = [], embeddings_folder._new_array

    def remember(*args):
        array = real(*args)
        made.append(weakref.ref(array))
        return array

    publish = files.publish_folder

    def check(partial, path):
        assert made and all(one() is None for one in made)
        publish(partial, path)

    monkeypatch.setattr(embeddings_folder, "_new_array", remember)
    monkeypatch.setattr(files, "publish_folder", check)
    sequences = [(row.id, np.zeros((row.frames, 2), np.float32)) for row in store.rows]
    embeddings_folder.store_embeddings(tmp_path / "out", store, store.rows, sequences, "g", lambda: "made")


def test_text_is_printed_where_the_encoding_lacks_characters(monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", shown)
    terminal.allow_all_characters()
    print("m1 → m2, 0.5 ± 0.1, マウス")
    shown.flush()
    assert shown.buffer.getvalue().decode("cp1252").strip() == "m1 -> m2, 0.5 ± 0.1, \\u30de\\u30a6\\u30b9"


@pytest.mark.parametrize(("error", "number"), [(OSError(22, "Invalid argument"), 141), (BrokenPipeError(), 141)])
def test_a_reader_that_goes_away_is_no_error(error, number, monkeypatch, windows):
    def fail(*_):
        raise error

    monkeypatch.setattr(cli, "run_verb", fail)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert cli.main(["info", "x"]) == number


@pytest.mark.parametrize(
    "settings", [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_verbs_print_and_read_without_utf8(settings, tmp_path):
    program = """
import sys; from ssl_behavior.cli import main; from ssl_behavior.commands import VERBS
out = sys.argv[1]
words = ["simulate", "--out", out, "--animals", "3", "--pair-labels", "--recordings", "2", "--frames", "90"]
assert main(words) == 0 and main(["info", out]) == 0 and all(main([verb, "--help"]) == 0 for verb in VERBS)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "Käfig"], cwd=ROOT, env=os.environ | settings, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert b"mouse1 -> mouse2" in done.stdout


@pytest.mark.parametrize(
    ("missing", "words"), [("faiss", "pip install faiss-cpu"), ("packaging", "cannot be imported here")]
)
def test_faiss_that_cannot_be_imported_says_why(missing, words, monkeypatch):
    def refuse(name, *rest, real=__import__):
        if name == "faiss":
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return real(name, *rest)

    monkeypatch.setattr("builtins.__import__", refuse)
    with pytest.raises(InputError, match=words):
        load_faiss("k-means")
