"""Verbs of the command line: name, module and purpose of each. A module is imported when its verb runs."""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["VERBS", "Verb", "as_options", "run_verb"]


@dataclass(frozen=True)
class Verb:
    """A module with a function `main(argv) -> exit code`, and one line for --help.

    Parameters
    ----------
    shared : the processes of a torchrun share its work.
    """

    module: str
    help: str
    shared: bool = False


VERBS: dict[str, Verb] = {
    "demo": Verb("ssl_behavior.commands.demo", "simulate, pretrain, probe, benchmark, embed: a few minutes on a CPU"),
    "simulate": Verb(
        "ssl_behavior.commands.simulate",
        "simulate recordings of one to four mice, as a store or as the CalMS21 release",
    ),
    "import": Verb(
        "ssl_behavior.commands.import_", "read recordings of any known format into a store, and report on them"
    ),
    "labels": Verb("ssl_behavior.commands.labels", "add, rename, merge or drop label streams of a store; undo"),
    "resample": Verb("ssl_behavior.commands.resample", "bring the recordings of a store to one frame rate"),
    "programs": Verb(
        "ssl_behavior.commands.programs",
        "list task programs, check your own, measure and draw them, find bouts by a sentence",
    ),
    "pretrain": Verb("pretrain.command", "train an encoder on a store, without labels", shared=True),
    "probe": Verb("probe.command", "test a frozen encoder with linear heads or nearest neighbors"),
    "benchmark": Verb("probe.calms21.command", "run the CalMS21 paper's systems and ours, on the release or a store"),
    "annotate": Verb("probe.annotate_command", "label recordings with a run trained on labels, or with a saved probe"),
    "label": Verb("probe.labeling.command", "label a new behavior in the browser: search, answer, correct, take away"),
    "embed": Verb("ssl_behavior.commands.embed", "write one embedding per frame of a store", shared=True),
    "describe": Verb("ssl_behavior.commands.describe", "describe clusters in numbers and words, and compare groups"),
    "export": Verb("ssl_behavior.commands.export", "export clusters, labels or embeddings to other tools"),
    "cluster": Verb(
        "ssl_behavior.commands.cluster", "cluster the frames of embeddings, and suggest the number of clusters"
    ),
    "assign": Verb(
        "ssl_behavior.commands.assign", "assign the frames of other recordings to existing clusters", shared=True
    ),
    "quality": Verb(
        "ssl_behavior.commands.embedding_quality",
        "measure the quality of embeddings without labels, alone or against other seeds",
    ),
    "neighbors": Verb("ssl_behavior.commands.neighbors", "find bouts similar to example bouts in embeddings"),
    "report": Verb("ssl_behavior.commands.report", "write one HTML file that shows embeddings, clusters and labels"),
    "video": Verb("ssl_behavior.commands.video", "draw poses, labels and clusters on videos; grid movies of clusters"),
    "submission": Verb(
        "probe.calms21.submission", "write, check and score submissions to the AIcrowd challenge on CalMS21"
    ),
    "info": Verb("ssl_behavior.commands.info", "describe a store, run, embeddings, index, clusters or results folder"),
}


def run_verb(name: str, argv: Sequence[str]) -> int:
    """Run a verb with its own arguments; returns its exit code."""
    code: int = importlib.import_module(VERBS[name].module).main(list(argv))
    return code


_OPTIONS = {
    "KMeansConfig": "method kmeans",
    "backgrounds": "background",
    "data.labeled": "labeled",
    "data.streams": "streams",
    "macros": "macro",
    "most_dims": "dims",
    "new_tasks": "new_task",
    "numbers": "choose",
    "only": "groups",
    "own_seeds": "seeds",
    "sentence": "find",
    "subsets": "subset",
    "tasks": "task",
}
"""Arguments and classes of the library whose options have other names."""


def as_options(message: str) -> str:
    """A message with the options of the command line in place of the library's arguments in backticks.

    >>> as_options("choose another `out`, or pass `overwrite`; at last try `min_confidence=0.5`")
    'choose another --out, or pass --overwrite; at last try --min-confidence 0.5'

    Switches have a form for False, and keys of a configuration are options of their own name:

    >>> as_options("pass `exchangeable=False`")
    'pass --no-exchangeable'
    >>> as_options("choose `data.sampling.rare_share=0`")
    'choose --data.sampling.rare_share 0'
    """

    def option(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name not in _OPTIONS and not name.islower():
            return match[0]
        chosen = _OPTIONS.get(name, name)
        # Options of dotted keys keep underscores.
        chosen = chosen if "." in chosen else chosen.replace("_", "-")
        if value in ("True", "False"):
            return f"--{'' if value == 'True' else 'no-'}{chosen}"
        return ("-" if len(name) == 1 else "--") + chosen + (f" {value}" if value else "")

    return re.sub(r"`([A-Za-z][A-Za-z_.]*)(?:=([^`]*))?`", option, message)
