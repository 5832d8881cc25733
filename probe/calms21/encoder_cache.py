"""Cached pretraining runs of the benchmark, below both its systems and its representations."""

import hashlib
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from pretrain.config import RunConfig, run_config_to_dict
from pretrain.run import train
from ssl_behavior.files import make_folder
from ssl_behavior.store import Store

__all__ = ["config_digest", "trained_run"]

_LOG_WIDTH = 120


def config_digest(config: RunConfig) -> str:
    """SHA-256 of a run's configuration."""
    return hashlib.sha256(json.dumps(run_config_to_dict(config), sort_keys=True).encode()).hexdigest()


def trained_run(folder: Path, store: Store, name: str, config: RunConfig, inputs: Any = None) -> Path:
    """Train a run, continue an interrupted run, or return the cached one.

    The job prints to a log beside the run. An empty `.done` file marks a finished run.

    Parameters
    ----------
    folder : folder of the runs. The name of a run has a digest of store, configuration and `inputs`.
    name : first part of the run's name.
    inputs : other inputs of the run, JSON-ready, such as a digest of labels.

    Raises
    ------
    InputError, SystemExit
        As `pretrain.run.train` raises them.
    """
    everything = json.dumps([store.fingerprint(), config_digest(config), inputs], sort_keys=True)
    run = folder / f"{name}-{hashlib.sha256(everything.encode()).hexdigest()[:16]}"
    done = run.with_suffix(".done")
    if done.exists() and run.exists():
        return run
    make_folder(folder)
    with run.with_suffix(".log").open("a", encoding="utf-8", newline="\n") as log:
        train(config, [store.path], run, resume=True, console=Console(file=log, width=_LOG_WIDTH))
    done.touch()
    return run
