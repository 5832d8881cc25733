"""The command `ssl-behavior VERB ...`. User errors print one sentence and exit with code 2."""

import difflib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path

from ssl_behavior.commands import VERBS, as_options, run_verb
from ssl_behavior.errors import InputError
from ssl_behavior.terminal import allow_all_characters

__all__ = ["main", "use_large_pages"]

_BROKEN_PIPE = 128 + 13  # 128 + SIGPIPE, which Windows does not have


def usage() -> str:
    """The text of `ssl-behavior --help`."""
    width = max(len(name) for name in VERBS)
    verbs = "\n".join(f"  {name:<{width}}  {verb.help}" for name, verb in VERBS.items())
    return (
        "usage: ssl-behavior VERB ...\n\n"
        "Self-supervised representations of social behavior from pose tracks.\n\n"
        f"verbs:\n{verbs}\n\n"
        "`ssl-behavior VERB --help` lists the arguments of a verb. `ssl-behavior demo` is a good start.\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code: 0, 2 after a user error, 130 or 143 after an interruption."""
    use_large_pages()
    allow_all_characters()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="", file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"ssl-behavior {version('ssl-behavior')}")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        close = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(VERBS)}"
        return _refused("", f"there is no verb {verb!r}; {hint}")
    return _guarded(verb, arguments[1:])


def use_large_pages() -> None:
    """Let torch take memory in pages of 2 MB instead of 4 KB on Linux, unless the environment says otherwise.

    Features are new arrays of many MB, and new pages are a quarter of their time. torch looks at its first allocation.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def _ended(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _guarded(verb: str, arguments: Sequence[str]) -> int:
    # Ending politely lets every verb take its unfinished folders away; `pretrain` saves first.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _ended)
    try:
        with _shared(verb):
            return run_verb(verb, arguments)
    except InputError as error:
        return _refused(verb, as_options(str(error)))
    except KeyboardInterrupt:
        print(f"\nssl-behavior {verb}: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing is left to say, not even at exit.
        sys.stdout = None
        return _BROKEN_PIPE
    except OSError as error:
        # Windows reports a closed pipe in this way.
        if sys.platform == "win32" and error.errno == errno.EINVAL and error.filename is None:
            sys.stdout = None
            return _BROKEN_PIPE
        raise
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 2 * (exit.code is not None)


@contextmanager
def _shared(verb: str) -> Iterator[None]:
    """Under torchrun, an error or a signal in one process ends all, and only the main process prints."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    from ssl_behavior.processes import joined

    with joined() as processes, ExitStack() as held:
        if not processes.is_main:
            silence = held.enter_context(Path(os.devnull).open("w", encoding="utf-8", newline=""))
            held.enter_context(redirect_stdout(silence))
            held.enter_context(redirect_stderr(silence))
        if not VERBS[verb].shared and "TORCHELASTIC_RUN_ID" in os.environ:
            known = ", ".join(name for name, other in VERBS.items() if other.shared)
            raise InputError(f"this verb runs in one process: start it without torchrun, which is for {known}")
        yield


def _refused(verb: str, message: str) -> int:
    name = f"ssl-behavior {verb}".strip()
    print(f"{name}: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
