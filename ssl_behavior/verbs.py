"""Table of verbs: name, module and purpose of each. A module is imported when its verb runs."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["VERBS", "Verb", "run_verb"]


@dataclass(frozen=True)
class Verb:
    """A module with a function `main(argv) -> exit code`, and one line for --help."""

    module: str
    help: str


VERBS: dict[str, Verb] = {
    "demo": Verb("ssl_behavior.commands.demo", "simulate, pretrain, probe, benchmark, embed: a few minutes on a CPU"),
    "simulate": Verb("ssl_behavior.simulate.command", "write simulated dyads, as a store or as the CalMS21 release"),
    "import": Verb("ssl_behavior.importer", "read recordings of any known format into a store, and report on them"),
    "programs": Verb("ssl_behavior.commands.programs", "list task programs, check one's own, measure and draw them"),
    "pretrain": Verb("pretrain.job", "learn an encoder from a store, without labels"),
    "probe": Verb("probe.job", "test a frozen encoder with linear heads or nearest neighbors"),
    "benchmark": Verb("probe.calms21.job", "every system of the CalMS21 paper and ours, on the release or a store"),
    "annotate": Verb("probe.annotate", "label recordings with a run that learned labels, or with a saved probe"),
    "embed": Verb("ssl_behavior.commands.embed", "write one embedding per frame of a store"),
    "describe": Verb("ssl_behavior.commands.describe", "clusters in numbers and words; compared between groups"),
    "export": Verb("ssl_behavior.commands.export", "write clusters, labels or embeddings for other tools"),
    "cluster": Verb(
        "ssl_behavior.commands.cluster", "find clusters of frames in embeddings, and help with their number"
    ),
    "assign": Verb("ssl_behavior.commands.assign", "label other recordings with clusters that were found before"),
    "quality": Verb("ssl_behavior.commands.quality", "judge embeddings without labels, alone or beside other seeds'"),
    "neighbors": Verb("ssl_behavior.commands.neighbors", "find the bouts nearest to one's examples in embeddings"),
    "report": Verb(
        "ssl_behavior.commands.report", "write one HTML file to look at embeddings, clusters and labels with"
    ),
    "submission": Verb(
        "probe.calms21.submission", "write, check and score submissions to the AIcrowd challenge on CalMS21"
    ),
    "info": Verb(
        "ssl_behavior.commands.info", "say what a store, run, embeddings, index, clusters or results folder holds"
    ),
}


def run_verb(name: str, argv: Sequence[str]) -> int:
    """Run a verb with its own arguments; returns its exit code."""
    code: int = importlib.import_module(VERBS[name].module).main(list(argv))
    return code
