"""Help, one-sentence errors and exit codes of the command line."""

import subprocess
import sys

import pytest

from ssl_behavior import cli
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
