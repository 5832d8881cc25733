"""`ssl-behavior cluster`: clusters of frames, and how many of them."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ssl_behavior.clusters import DensityConfig, KMeansConfig, SmoothingConfig
    from ssl_behavior.clusters.quality import ChoiceConfig
    from ssl_behavior.embedding import EmbeddingRow, Embeddings
    from ssl_behavior.space import SpaceConfig

__all__ = ["add_column_options", "main", "space_config"]

_OF_KMEANS = ("clusters", "choose", "fine", "spherical", "seeds", "smooth", "resamples", "figure")
_OF_HDBSCAN = ("smallest", "neighbors", "selection")


def main(argv: Sequence[str]) -> int:
    """Find clusters in embeddings and write them, with a label for every frame, as a folder.

    Raises
    ------
    InputError
        For every mistake a person can mend.
    """
    options = _parser().parse_args(argv)
    # Only now what takes seconds to import: --help is answered at once.
    from ssl_behavior.clusters import fit_clusters, save_clustering
    from ssl_behavior.clusters.folder import MARKER
    from ssl_behavior.commands.cluster_output import print_clusters, stages
    from ssl_behavior.embedding import Embeddings
    from ssl_behavior.files import check_free
    from ssl_behavior.terminal import counted, echo, make_console

    _check(options)
    check_free(options.out, options.overwrite, MARKER)
    embeddings, console = Embeddings(options.embeddings), make_console()
    rows = embeddings.select(options.recordings) if options.recordings else embeddings.rows
    config, space, smoothing = _config(options), space_config(options, _dims(options)), _smoothing(options)
    echo(console, f"{counted(len(rows), 'recording')} of {options.embeddings}, columns {_listed(embeddings, space)}")
    extra: dict[str, object] = {}
    if options.choose:
        number, extra["choice.json"] = _choose(options, embeddings, config, space, smoothing, rows, console)
        config = _config(options, number)
    with stages(console) as progress:
        clustering = fit_clusters(embeddings, config, space, smoothing, rows, options.seed, progress)
    save_clustering(clustering, options.out, options.overwrite, extra)
    print_clusters(console, clustering)
    echo(console, f"written to {options.out}")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what would be ignored."""
    from ssl_behavior.errors import InputError

    other, names = ("hdbscan", _OF_HDBSCAN) if options.method == "kmeans" else ("kmeans", _OF_KMEANS)
    for name in names:
        if getattr(options, name) not in (None, False):
            raise InputError(f"--{name} is for --method {other}: leave it out")
    for name in ("figure", "resamples"):
        if getattr(options, name) is not None and not options.choose:
            raise InputError(f"--{name} is for --choose: add it, or leave --{name} out")
    if options.figure is not None:
        from ssl_behavior.commands.cluster_output import check_figure

        check_figure(options.figure)


def _given(options: argparse.Namespace, **names: str) -> dict[str, object]:
    """Field of a configuration -> what was asked for, where something was."""
    asked = {field: getattr(options, name) for field, name in names.items()}
    return {field: value for field, value in asked.items() if value is not None}


def _config(options: argparse.Namespace, clusters: int | None = None) -> "KMeansConfig | DensityConfig":
    from ssl_behavior.clusters import DensityConfig, KMeansConfig
    from ssl_behavior.configs import config_from_dict

    if options.method == "hdbscan":
        asked = _given(options, smallest="smallest", neighbors="neighbors", selection="selection", sample="sample")
        return config_from_dict(DensityConfig, asked, "cluster")
    asked = _given(options, clusters="clusters", fine="fine", seeds="seeds", sample="sample")
    if options.choose and options.clusters is None:
        # Not yet chosen: whatever is, the rest must allow the greatest of the numbers.
        asked["clusters"] = max(_choice(options).numbers)
    return KMeansConfig(**asked | ({} if clusters is None else {"clusters": clusters}))  # type: ignore[arg-type]


def _smoothing(options: argparse.Namespace) -> "SmoothingConfig":
    from ssl_behavior.clusters import SmoothingConfig

    asked = _given(options, penalty="smooth", minimum_bout_seconds="minimum_bout_seconds")
    return SmoothingConfig(**asked)  # type: ignore[arg-type]


def _dims(options: argparse.Namespace) -> int | None:
    from ssl_behavior.clusters.clustering import DENSITY_DIMS

    if options.dims is None and options.method == "hdbscan":
        return DENSITY_DIMS
    return int(options.dims) if options.dims is not None else None


def space_config(options: argparse.Namespace, dims: int | None) -> "SpaceConfig":
    """The space that `add_column_options` asks for."""
    from ssl_behavior.space import SpaceConfig

    most = {} if dims is None else {"most_dims": dims}
    return SpaceConfig(
        only=tuple(options.groups), without=tuple(options.without), unit=bool(getattr(options, "spherical", False)),
        **most,
    )  # fmt: skip


def _listed(embeddings: "Embeddings", space: "SpaceConfig") -> str:
    return ", ".join(f"{name} {width}" for name, width in space.kept(embeddings.groups).items())


def _choose(
    options: argparse.Namespace,
    embeddings: "Embeddings",
    config: "KMeansConfig | DensityConfig",
    space: "SpaceConfig",
    smoothing: "SmoothingConfig",
    rows: "Sequence[EmbeddingRow]",
    console: "Console",
) -> tuple[int, dict[str, object]]:
    """Judge the numbers asked for; the number to take, and what is kept of it."""
    from ssl_behavior.clusters import KMeansConfig
    from ssl_behavior.clusters.quality import score_numbers, suggested_number
    from ssl_behavior.commands.cluster_output import choice_contents, draw_choice, print_choice, stages
    from ssl_behavior.errors import InputError
    from ssl_behavior.space import Space
    from ssl_behavior.terminal import echo

    assert isinstance(config, KMeansConfig)
    choice = _choice(options)
    if options.clusters is None and len(rows) < 2:
        raise InputError("--choose cannot suggest a number from one recording, for which stability is unknown: "
                         "give --clusters, too")  # fmt: skip
    fitted = Space.fit(embeddings, space, options.seed, rows)
    with stages(console) as progress:
        scores = score_numbers(embeddings, fitted, config, choice, smoothing, rows, options.seed, progress)
    suggested = suggested_number(scores)
    print_choice(console, scores, suggested)
    if options.figure is not None:
        draw_choice(scores, suggested, options.figure)
        echo(console, f"drawn: {options.figure}")
    number = options.clusters or suggested
    assert number is not None
    return number, choice_contents(scores, suggested, choice)


def _choice(options: argparse.Namespace) -> "ChoiceConfig":
    from ssl_behavior.clusters.quality import ChoiceConfig
    from ssl_behavior.errors import InputError

    try:
        numbers = sorted({int(part) for part in options.choose.split(",")})
    except ValueError:
        raise InputError(f"--choose {options.choose}: expected numbers with commas, such as 5,10,20") from None
    return ChoiceConfig(
        numbers=tuple(numbers), **({} if options.resamples is None else {"resamples": options.resamples})
    )


def add_column_options(parser: argparse.ArgumentParser) -> None:
    """Options that say which columns of an embedding count."""
    columns = parser.add_mutually_exclusive_group()
    columns.add_argument(
        "--without", nargs="+", action="extend", default=[], metavar="GROUP",
        help="leave out these columns (names or globs; `ssl-behavior info EMBEDDINGS` lists them); by default time",
    )  # fmt: skip
    columns.add_argument(
        "--groups", nargs="+", action="extend", default=[], metavar="GROUP", help="only these columns (names or globs)"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior cluster",
        description="Find clusters of frames in embeddings. CLUSTERS gets a label for every frame of every recording, "
        "as bouts, and all that `ssl-behavior assign` needs to label other recordings in the same way.",
    )  # fmt: skip
    parser.add_argument("embeddings", metavar="EMBEDDINGS", type=Path)
    parser.add_argument("--out", metavar="CLUSTERS", type=Path, required=True, help="the folder to make")
    parser.add_argument("--method", choices=("kmeans", "hdbscan"), default="kmeans")
    parser.add_argument(
        "--recordings", nargs="+", metavar="ID", help="learn from these alone (ids or globs); all get labels"
    )
    add_column_options(parser)
    parser.add_argument("--dims", type=int, metavar="N", help="principal components; 0 = all columns (128; hdbscan 5)")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="frames that clusters are learned from (100000; hdbscan 20000)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    _add_kmeans_options(parser.add_argument_group("k-means"))
    _add_hdbscan_options(parser.add_argument_group("hdbscan"))
    bouts = parser.add_argument_group("from frames to bouts")
    bouts.add_argument(
        "--minimum-bout-seconds", type=float, metavar="S",
        help="shorter bouts become part of the longer one beside them; 0 = as short as they come (0.25)",
    )  # fmt: skip
    bouts.add_argument(
        "--smooth", type=float, metavar="PRICE",
        help="price of a change of cluster, in median squared distances of a frame to its centroid: labels with the "
        "smallest sum of distances and prices (0 = none); for k-means",
    )  # fmt: skip
    return parser


def _add_kmeans_options(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--clusters", type=int, metavar="K", help="how many (20, or what --choose suggests)")
    group.add_argument(
        "--choose", metavar="K,K,...",
        help="judge these numbers of clusters (stability, silhouette, explained variance, bouts) and take the one that "
        "is suggested, unless --clusters says otherwise",
    )  # fmt: skip
    group.add_argument(
        "--resamples", type=int, metavar="N", help="for --choose: splits of the recordings into halves (5)"
    )
    group.add_argument("--figure", type=Path, metavar="FILE", help="for --choose: draw it (.png, .svg, .pdf)")
    group.add_argument(
        "--fine", type=int, metavar="N",
        help="find N clusters and join them by Ward's hierarchy to --clusters; one such run can be cut into any number "
        "later (`ssl-behavior assign --clusters`)",
    )  # fmt: skip
    group.add_argument("--spherical", action="store_true", help="nearness is the cosine, not the distance")
    group.add_argument("--seeds", type=int, metavar="N", help="starts, of which the best is kept (3)")


def _add_hdbscan_options(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--smallest", type=int, metavar="N", help="sampled frames that make a cluster (50)")
    group.add_argument("--neighbors", type=int, metavar="N", help="by whose distance density is told (5)")
    group.add_argument(
        "--selection", choices=("leaf", "eom"), help="many small clusters (leaf, the default) or the most persistent"
    )
