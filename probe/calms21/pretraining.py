"""Pretraining runs of systems and references: each is trained once, kept under a name made of all it depends on."""

import hashlib
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from pretrain.config import RunConfig, run_config_to_dict
from pretrain.run import train
from ssl_behavior.store import Store

__all__ = ["config_digest", "trained_run"]

_LOG_WIDTH = 120


def config_digest(config: RunConfig) -> str:
    """SHA-256 of a run's configuration."""
    return hashlib.sha256(json.dumps(run_config_to_dict(config), sort_keys=True).encode()).hexdigest()


def trained_run(folder: Path, store: Store, name: str, config: RunConfig, known: Any = None) -> Path:
    """Train a run, or continue an interrupted one; a finished one is found again.

    What the job prints goes to a log beside the run. An empty file beside it marks that it is done.

    Parameters
    ----------
    folder : of the runs. The name of a run contains a digest of store, configuration and `known`, so that another
        store or other settings never find it.
    name : first part of the run's name.
    known : what else it depends on, JSON-ready, such as a digest of labels.

    Raises
    ------
    InputError, SystemExit
        As `pretrain.run.train` raises them.
    """
    everything = json.dumps([store.fingerprint(), config_digest(config), known], sort_keys=True)
    run = folder / f"{name}-{hashlib.sha256(everything.encode()).hexdigest()[:16]}"
    done = run.with_suffix(".done")
    if done.exists() and run.exists():
        return run
    folder.mkdir(parents=True, exist_ok=True)
    with run.with_suffix(".log").open("a", encoding="utf-8") as log:
        train(config, [store.path], run, resume=True, console=Console(file=log, width=_LOG_WIDTH))
    done.touch()
    return run
