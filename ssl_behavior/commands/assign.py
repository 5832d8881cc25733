"""`ssl-behavior assign`: the clusters that were found, in other recordings, or another number of them."""

import argparse
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Label embeddings with the clusters of a folder, and write a folder of the same kind.

    Raises
    ------
    InputError
        For every mistake a person can mend.
    """
    options = _parser().parse_args(argv)
    # Only now what takes seconds to import: --help is answered at once.
    from ssl_behavior.clusters import load_clustering, save_clustering
    from ssl_behavior.clusters.folder import MARKER
    from ssl_behavior.commands.cluster_output import print_clusters, stages
    from ssl_behavior.embedding import Embeddings
    from ssl_behavior.files import check_free
    from ssl_behavior.terminal import echo, make_console

    check_free(options.out, options.overwrite, MARKER)
    clustering, embeddings = load_clustering(options.clusters_folder), Embeddings(options.embeddings)
    console = make_console()
    with stages(console) as progress:
        assigned = clustering.assign(embeddings, options.clusters, progress)
    save_clustering(assigned, options.out, options.overwrite)
    print_clusters(console, assigned)
    echo(console, f"written to {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior assign",
        description="Give the frames of other recordings, embedded by the same checkpoint, the labels of clusters that "
        "were found before; recordings that were there then get the same labels again. OUT is a clusters folder, "
        "too, and can be used like the first.",
    )  # fmt: skip
    parser.add_argument("clusters_folder", metavar="CLUSTERS", type=Path, help="a folder of ssl-behavior cluster")
    parser.add_argument("embeddings", metavar="EMBEDDINGS", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")
    parser.add_argument(
        "--clusters", type=int, metavar="K",
        help="another number of clusters, at most as many as k-means found: its centroids joined by their hierarchy",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    return parser
