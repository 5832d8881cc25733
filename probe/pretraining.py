"""The pretraining job, called by its verb, for systems and references that need a run of their own."""

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

from ssl_behavior.store import Store
from ssl_behavior.verbs import run_verb

__all__ = ["settings_digest", "trained_run"]


@cache
def settings_digest(recipe: str, words: tuple[str, ...]) -> str:
    """SHA-256 of all that a recipe and these words of the command line say: a recipe that has changed is another one.

    Raises
    ------
    InputError
        If the recipe or a word is not known.
    """
    with redirect_stdout(io.StringIO()) as printed:
        run_verb("pretrain", ["--recipe", recipe, *words, "--print-config"])
    return hashlib.sha256(printed.getvalue().encode()).hexdigest()


def trained_run(folder: Path, store: Store, recipe: str, words: Sequence[str], known: Any = None) -> Path:
    """The run of a recipe with these words of the command line, trained or continued where it is not done yet.

    What the job prints goes into a log beside the run; so does an empty file that says that it is done.

    Parameters
    ----------
    folder : of the runs; each has a name made of all it depends on, so that another store, other recordings or other
        settings never find it.
    known : what else it depends on, JSON-ready, such as a digest of labels.

    Raises
    ------
    InputError
        As the job does.
    SystemExit
        If a signal stopped it; it has saved, and is continued the next time.
    """
    settings = settings_digest(recipe, tuple(words))
    everything = json.dumps([store.fingerprint(), recipe, list(words), settings, known], sort_keys=True)
    run = folder / f"{recipe}-{hashlib.sha256(everything.encode()).hexdigest()[:16]}"
    done = run.with_suffix(".done")
    if done.exists() and run.exists():
        return run
    folder.mkdir(parents=True, exist_ok=True)
    with run.with_suffix(".log").open("a", encoding="utf-8") as log, redirect_stdout(log):
        code = run_verb("pretrain", [str(store.path), "--out", str(run), "--resume", "--recipe", recipe, *words])
    if code:
        raise SystemExit(code)
    done.touch()
    return run
