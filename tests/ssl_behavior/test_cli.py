"""Help, one-sentence errors and exit codes of the command line."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ssl_behavior import cli, map_coordinates
from ssl_behavior.commands import VERBS, Verb, as_options
from ssl_behavior.errors import InputError


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "ssl_behavior", *arguments], capture_output=True, text=True)


def test_help_names_every_verb(capsys):
    for arguments in (["--help"], ["-h"], ["help"]):
        assert cli.main(arguments) == 0
        out = capsys.readouterr().out
        assert all(f"  {name} " in out and verb.help in out for name, verb in VERBS.items())


def test_help_does_not_wait_for_torch():
    code = (
        "import sys; from ssl_behavior.cli import main; main(['--help'])\n"
        "verbs = 'annotate assign cluster describe embed export info neighbors pretrain probe quality report'\n"
        "for verb in verbs.split():\n"
        "    main([verb, '--help'])\n"
        "sys.exit(int('torch' in sys.modules or 'sklearn' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_verb_is_a_mistake(capsys):
    assert cli.main([]) == 2
    assert "usage: ssl-behavior VERB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "hint"), [("pretrian", "did you mean 'pretrain'?"), ("xyzzy", "known: demo, simulate"), ("", "known: ")]
)
def test_an_unknown_verb_gets_a_suggestion(verb, hint, capsys):
    assert cli.main([verb]) == 2
    streams = capsys.readouterr()
    assert f"there is no verb {verb!r}; {hint}" in streams.err and not streams.out


def test_the_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ssl-behavior ")


@pytest.mark.parametrize("verb", [name for name in VERBS if name != "demo"])
def test_every_verb_has_help(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert "usage: ssl-behavior" in out and verb in out


@pytest.mark.parametrize("verb", [name for name in VERBS if name != "demo"])
def test_an_unknown_option_is_a_mistake(verb, capsys):
    assert cli.main([verb, "--no-such-option"]) == 2
    assert "Traceback" not in capsys.readouterr().err


class _Verb:
    def __init__(self, error):
        self.error = error

    def main(self, argv):
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("rats.csv: expected 4 header rows, got 2"), 2, "ssl-behavior v: rats.csv: expected 4 header rows"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(143), 143, ""),
        (SystemExit(0), 0, ""),
        (SystemExit(None), 0, ""),
    ],
)
def test_exit_codes_of_verbs(error, code, words, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "a_verb", _Verb(error))
    monkeypatch.setitem(VERBS, "v", Verb("a_verb", ""))
    assert cli.main(["v"]) == code
    err = capsys.readouterr().err
    assert words in err and "Traceback" not in err


def test_internal_errors_keep_their_traceback(monkeypatch):
    monkeypatch.setitem(sys.modules, "a_verb", _Verb(RuntimeError("ours")))
    monkeypatch.setitem(VERBS, "v", Verb("a_verb", ""))
    with pytest.raises(RuntimeError, match="ours"):
        cli.main(["v"])


def test_user_error_is_one_sentence_and_exit_2(tmp_path):
    done = run("info", str(tmp_path))
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(f"ssl-behavior info: {tmp_path} is no store") and done.stderr.count("\n") == 1


def test_arguments_in_messages_become_options(tmp_path, capsys):
    (tmp_path / "s").mkdir()
    assert cli.main(["simulate", "--out", str(tmp_path / "s"), "--recordings", "1", "--frames", "9"]) == 2
    assert "choose another --out, or pass --overwrite" in capsys.readouterr().err
    assert (
        as_options("`only`: `method.programs.units=px`, not `Px`") == "--groups: --method.programs.units px, not `Px`"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("cluster E --out OUT --n-init 0", "--n-init must be 1 or more, got 0"),
        ("cluster E --out OUT --clusters 5 --sample 4", "--sample must be at least the number of clusters, 5, got 4"),
        ("cluster E --out OUT --clusters 91", "cannot fit 91 clusters to 90 frames: ask for fewer --clusters"),
        ("cluster E --out OUT --choose 1,5", "--choose must list numbers of clusters, each 2 or more, got [1, 5]"),
        (
            "cluster E --out OUT --method hdbscan --min-cluster-size 40",
            "set --min-cluster-size or --dims lower, or use --method kmeans",
        ),
        ("quality E --sample 10", "--sample must be greater than --neighbors, 10, got 10 frames"),
        ("describe C E S --out OUT --permutations 99", "--permutations must be 100 or more, got 99"),
        ("neighbors E --query r0:3 -k 0", "neighbors: -k must be a whole number of 1 or more, got 0"),
        ("neighbors E --query r0:3 -k 90", "neighbors: -k 90: the 26 searched frames have at most"),
        ("neighbors E --query r0:3 --unlike r0:3", "r0:3 is both in --query and in --unlike"),
        ("neighbors E --query r0:3 -k 1 --kind ivfpq", "needs 256 frames or more, got 90: use --kind flat"),
        (
            "neighbors E --query r0:3 -k 1 --memory-gb 1e-6",
            "--memory-gb 1e-06: index every second frame (--stride 2), fewer columns (--dims), or use another --kind",
        ),
        ("neighbors E --query r0:3 -k 1 --index E", "E exists already: choose another --index, or pass --overwrite"),
        ("report S E --out OUT --map umap", "--map umap needs umap: pip install"),
        ("report S E --out OUT --map umap", "'ssl-behavior[maps]'; --map pca needs no package"),
    ],
)
def test_messages_of_the_library_show_options(arguments, words, embeddings_of, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(map_coordinates, "find_spec", lambda name: None)
    embeddings_of(tmp_path / "E", np.random.default_rng(0).normal(size=(90, 5)), (90,))
    assert cli.main(arguments.split()) == 2
    said = capsys.readouterr().err
    assert words in said and "`" not in said and not (tmp_path / "OUT").exists()


def test_index_of_other_embeddings_names_the_option_for_another_one(embeddings_of, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).normal(size=(90, 5))
    for name, store in (("E", "a" * 64), ("F", "b" * 64)):
        embeddings_of(tmp_path / name, values, (90,), store=store)
    query = ["--query", "r0:3", "-k", "1", "--index", "I"]
    assert cli.main(["neighbors", "E", *query]) == 0
    assert cli.main(["neighbors", "F", *query]) == 2
    said = capsys.readouterr().err
    assert "was not built on F: the embeddings are of another store (bbbbbbbbbbbb, not aaaaaaaaaaaa)" in said
    assert "build the index again (--overwrite), or build one in another --index" in said


@pytest.mark.parametrize(("chosen", "expected"), [(None, "1"), ("0", "0")])
def test_commands_take_memory_in_large_pages_unless_the_user_says_otherwise(chosen, expected, monkeypatch, capsys):
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    if chosen is None:
        monkeypatch.delenv("THP_MEM_ALLOC_ENABLE")
    assert cli.main(["--version"]) == 0
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == expected
