"""`ssl-behavior assign`: label other recordings with known clusters, or join these to fewer."""

import argparse
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Label embeddings with the clusters of a folder, and write a folder of the same kind.

    The processes of a torchrun share the recordings.

    Raises
    ------
    InputError
        For every mistake of the user.
    """
    options = _parser().parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.clusters import load_clustering, save_clustering
    from ssl_behavior.clusters.folder import MARKER
    from ssl_behavior.commands.cluster import print_clusters
    from ssl_behavior.embeddings_folder import Embeddings
    from ssl_behavior.files import check_free
    from ssl_behavior.processes import joined
    from ssl_behavior.terminal import echo, make_console, progress_bars

    with joined() as processes:
        processes.from_main(lambda: check_free(options.out, options.overwrite, MARKER))
        clustering, embeddings = load_clustering(options.clusters_folder), Embeddings(options.embeddings)
        processes.check_same({"embeddings": [embeddings.checkpoint, embeddings.store], "options": options.clusters})
        console = make_console()
        with progress_bars(console) as progress:
            assigned = clustering.assign(embeddings, options.clusters, progress)
        processes.from_main(lambda: save_clustering(assigned, options.out, options.overwrite))
        print_clusters(console, assigned)
        echo(console, f"written to {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior assign",
        description="Label the frames of other recordings, embedded by the same checkpoint, with the clusters of a "
        "clusters folder. Recordings that were clustered before get the same labels again. OUT is a clusters folder, "
        "too.",
    )  # fmt: skip
    parser.add_argument("clusters_folder", metavar="CLUSTERS", type=Path, help="a folder of ssl-behavior cluster")
    parser.add_argument("embeddings", metavar="EMBEDDINGS", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")
    parser.add_argument(
        "--clusters", type=int, metavar="K",
        help="join the clusters of k-means to this smaller number, by the hierarchy of their centroids",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    return parser
