"""Self-supervised representations of social behavior from pose tracks.

    import ssl_behavior as sb

    store = sb.read("tracks", fps=30)                       # files of DeepLabCut, SLEAP and others -> Store
    encoder = sb.pretrain(store)                            # learn from tracks, without labels -> Encoder
    embeddings = encoder.embed_store(store, "embeddings")   # one row of numbers for every frame -> Embeddings

    clusters = sb.cluster(embeddings, 20)                   # -> Clustering
    sb.describe(clusters, embeddings, store)                # what sets each cluster apart -> Cards
    sb.compare(clusters, "groups.csv")                      # do groups of animals differ? -> Profiles
    sb.neighbors(embeddings, "mouse1:100-160")              # bouts like this one -> Neighbors
    sb.find_bouts(store, "following > .7 for 1 s")          # bouts that a sentence describes -> FoundBouts
    sb.report(store, embeddings, "report.html")             # map, skeletons and ethogram in a browser
    sb.render(store, "movies", videos="raw_videos")         # poses and labels drawn on the videos

    results = sb.probe(encoder, store, "behavior")          # scores of a linear classifier -> ProbeResults
    sb.annotate(encoder, store, results)                    # labels for recordings -> Annotations

    encoder.transform(store)                                # arrays [frames, columns], one for each recording
    encoder.save_pretrained("my_encoder")                   # weights, settings and a model card
    encoder = sb.Encoder.from_pretrained("my_encoder")      # the same as sb.load("my_encoder")

All objects print what they are. Tables: `.to_frame()` (pandas). Figures: `.plot()` and `sb.plots` (matplotlib).
Labeled arrays: `.to_xarray()`. `sb.PoseEmbedder` is an estimator for scikit-learn. `sb.simulate_tracks("tracks")`
makes recordings to try all this on. Mistakes raise `sb.InputError`. `help(sb.read)` lists arguments.
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
    from ssl_behavior.retrieval import FoundBouts, Neighbors, find_bouts, neighbors
    from ssl_behavior.simulate import simulate_tracks
    from ssl_behavior.skeleton import SKELETONS, Skeleton, load_skeleton
    from ssl_behavior.store import Store, write_store
    from ssl_behavior.videos import render

__all__ = [
    "SKELETONS",
    "Annotations",
    "Cards",
    "Clustering",
    "Embeddings",
    "Encoder",
    "FoundBouts",
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
    "find_bouts",
    "load",
    "load_skeleton",
    "neighbors",
    "plots",
    "pretrain",
    "probe",
    "read",
    "render",
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
    "FoundBouts": "retrieval",
    "find_bouts": "retrieval",
    "render": "videos",
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
