"""Self-supervised representations of social behavior from pose tracks.

>>> import ssl_behavior
>>> encoder = ssl_behavior.load("runs/rats")  # doctest: +SKIP
>>> encoder.embed(ssl_behavior.Store("rats").recording("01_dlc_tracks")).shape  # doctest: +SKIP
(14734, 128)
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl_behavior.plots as plots
    from pretrain.estimator import PoseEmbedder, pretrain
    from probe.annotate import Annotations, annotate
    from probe.results import ProbeResults, probe
    from ssl_behavior.clusters import Clustering, cluster, compare, describe
    from ssl_behavior.clusters.cards import Cards
    from ssl_behavior.clusters.group_comparison import Profiles
    from ssl_behavior.embedding import Encoder, load
    from ssl_behavior.embeddings_folder import Embeddings
    from ssl_behavior.errors import InputError
    from ssl_behavior.importer import read
    from ssl_behavior.recording import Labels, Recording
    from ssl_behavior.reports import report
    from ssl_behavior.retrieval import Neighbors, neighbors
    from ssl_behavior.simulate import simulate_tracks
    from ssl_behavior.skeleton import SKELETONS, Skeleton, load_skeleton
    from ssl_behavior.store import Store, write_store

__all__ = [
    "SKELETONS",
    "Annotations",
    "Cards",
    "Clustering",
    "Embeddings",
    "Encoder",
    "InputError",
    "Labels",
    "Neighbors",
    "PoseEmbedder",
    "ProbeResults",
    "Profiles",
    "Recording",
    "Skeleton",
    "Store",
    "annotate",
    "cluster",
    "compare",
    "describe",
    "load",
    "load_skeleton",
    "neighbors",
    "plots",
    "pretrain",
    "probe",
    "read",
    "report",
    "simulate_tracks",
    "write_store",
]

_HOME = {
    "Cards": "clusters.cards",
    "Clustering": "clusters",
    "cluster": "clusters",
    "compare": "clusters",
    "Profiles": "clusters.group_comparison",
    "describe": "clusters",
    "report": "reports",
    "Neighbors": "retrieval",
    "neighbors": "retrieval",
    "Embeddings": "embedding",
    "InputError": "errors",
    "Encoder": "embedding",
    "load": "embedding",
    "read": "importer",
    "Labels": "recording",
    "Recording": "recording",
    "SKELETONS": "skeleton",
    "Skeleton": "skeleton",
    "load_skeleton": "skeleton",
    "Store": "store",
    "simulate_tracks": "simulate",
    "write_store": "store",
}


def __getattr__(name: str) -> Any:
    # Names are imported on first access, so that `ssl-behavior --help` does not wait for torch.
    if name == "__version__":
        return version("ssl-behavior")
    if name in ("PoseEmbedder", "pretrain"):
        from pretrain import estimator

        return getattr(estimator, name)
    if name in ("ProbeResults", "probe"):
        from probe import results

        return getattr(results, name)
    if name in ("Annotations", "annotate"):
        from probe import annotate

        return getattr(annotate, name)
    if name == "plots":
        return importlib.import_module(f"{__name__}.plots")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
