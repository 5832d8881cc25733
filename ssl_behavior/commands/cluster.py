"""`ssl-behavior cluster`: clusters of frames, and the choice of their number."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_behavior.files import check_free
from ssl_behavior.plots.style import PALETTE, check_figure, save_figure, styled, tidy
from ssl_behavior.terminal import counted, echo, make_table, progress_bars

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from ssl_behavior.clusters import DensityConfig, KMeansConfig, SmoothingConfig
    from ssl_behavior.clusters.cluster_count import ChoiceConfig, NumberScores
    from ssl_behavior.clusters.clustering import Clustering
    from ssl_behavior.embedding_space import SpaceConfig
    from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings

__all__ = ["add_column_options", "main", "space_config"]

_OF_KMEANS = ("clusters", "choose", "spherical", "n_init", "resamples", "figure")
_OF_HDBSCAN = ("min_cluster_size", "min_samples", "cluster_selection_method")


def main(argv: Sequence[str]) -> int:
    """Find clusters in embeddings and write them, with a label for every frame, as a folder.

    Raises
    ------
    InputError
        For every mistake of the user.
    """
    options = _parser().parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.clusters import fit_clusters, save_clustering
    from ssl_behavior.clusters.folder import MARKER
    from ssl_behavior.embeddings_folder import Embeddings, count_rows
    from ssl_behavior.files import check_free
    from ssl_behavior.terminal import echo, make_console, progress_bars

    _check(options)
    check_free(options.out, options.overwrite, MARKER)
    embeddings, console = Embeddings(options.embeddings), make_console()
    rows = embeddings.select(options.recordings) if options.recordings else embeddings.rows
    config, space, smoothing = _config(options), space_config(options, _dims(options)), _smoothing(options)
    echo(console, f"{count_rows(rows)} of {options.embeddings}, columns {_listed(embeddings, space)}")
    extra: dict[str, object] = {}
    if options.choose:
        number, extra["choice.json"] = _choose(options, embeddings, config, space, smoothing, rows, console)
        config = _config(options, number)
    with progress_bars(console) as progress:
        clustering = fit_clusters(embeddings, config, space, smoothing, rows, options.seed, progress)
    save_clustering(clustering, options.out, options.overwrite, extra)
    print_clusters(console, clustering)
    echo(console, f"written to {options.out}")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    from ssl_behavior.errors import InputError

    other, names = ("hdbscan", _OF_HDBSCAN) if options.method == "kmeans" else ("kmeans", _OF_KMEANS)
    for name in names:
        if getattr(options, name) not in (None, False):
            option = name.replace("_", "-")
            raise InputError(f"--{option} is for --method {other}: leave it out")
    for name in ("figure", "resamples"):
        if getattr(options, name) is not None and not options.choose:
            raise InputError(f"--{name} is for --choose: add it, or leave --{name} out")
    if options.figure is not None:
        check_free(options.figure, True, argument="figure")
        check_figure(options.figure)


def _given(options: argparse.Namespace, *names: str) -> dict[str, object]:
    """Values of the options that were given, by name."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _config(options: argparse.Namespace, clusters: int | None = None) -> "KMeansConfig | DensityConfig":
    from ssl_behavior.clusters import DensityConfig, KMeansConfig
    from ssl_behavior.configs import config_from_dict

    if options.method == "hdbscan":
        return config_from_dict(DensityConfig, _given(options, *_OF_HDBSCAN, "sample"), "cluster")
    given = _given(options, "clusters", "n_init", "sample")
    if options.choose and options.clusters is None:
        # The number is not chosen yet: the sample must allow the greatest candidate.
        given["clusters"] = max(_choice(options).numbers)
    return KMeansConfig(**given | ({} if clusters is None else {"clusters": clusters}))  # type: ignore[arg-type]


def _smoothing(options: argparse.Namespace) -> "SmoothingConfig":
    from ssl_behavior.clusters import SmoothingConfig

    return SmoothingConfig(**_given(options, "minimum_bout_seconds"))  # type: ignore[arg-type]


def _dims(options: argparse.Namespace) -> int | None:
    from ssl_behavior.clusters.clustering import DENSITY_DIMS

    if options.dims is None and options.method == "hdbscan":
        return DENSITY_DIMS
    return int(options.dims) if options.dims is not None else None


def space_config(options: argparse.Namespace, dims: int | None) -> "SpaceConfig":
    """Space settings from the options of `add_column_options`."""
    from ssl_behavior.embedding_space import SpaceConfig

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
    """Rate the candidate numbers; returns the number to use, and the contents of `choice.json`."""
    from ssl_behavior.clusters import KMeansConfig
    from ssl_behavior.clusters.cluster_count import score_numbers, suggested_number
    from ssl_behavior.embedding_space import Space
    from ssl_behavior.errors import InputError
    from ssl_behavior.terminal import echo

    assert isinstance(config, KMeansConfig)
    choice = _choice(options)
    if options.clusters is None and len(rows) < 2:
        raise InputError("--choose cannot suggest a number from one recording, because its stability is unknown: give "
                         "--clusters, too")  # fmt: skip
    fitted = Space.fit(embeddings, space, options.seed, rows)
    with progress_bars(console) as progress:
        scores = score_numbers(embeddings, fitted, config, choice, smoothing, rows, options.seed, progress)
    suggested = suggested_number(scores)
    print_choice(console, scores, suggested)
    if options.figure is not None:
        draw_choice(scores, suggested, options.figure)
        echo(console, f"figure written to {options.figure}")
    number = options.clusters or suggested
    assert number is not None
    return number, choice_contents(scores, suggested, choice)


def _choice(options: argparse.Namespace) -> "ChoiceConfig":
    from ssl_behavior.clusters.cluster_count import ChoiceConfig
    from ssl_behavior.errors import InputError

    try:
        numbers = sorted({int(part) for part in options.choose.split(",")})
    except ValueError:
        raise InputError(f"--choose {options.choose}: expected numbers with commas, such as 5,10,20") from None
    return ChoiceConfig(
        numbers=tuple(numbers), **({} if options.resamples is None else {"resamples": options.resamples})
    )


def add_column_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that select columns of an embedding."""
    columns = parser.add_mutually_exclusive_group()
    columns.add_argument(
        "--without", nargs="+", action="extend", default=[], metavar="GROUP",
        help="leave out these columns (names or globs; `ssl-behavior info EMBEDDINGS` lists them); default: time",
    )  # fmt: skip
    columns.add_argument(
        "--groups",
        nargs="+",
        action="extend",
        default=[],
        metavar="GROUP",
        help="use only these columns (names or globs)",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior cluster",
        description="Find clusters of frames in embeddings. CLUSTERS holds a label for every frame of every recording, "
        "as bouts, and all that `ssl-behavior assign` needs to label other recordings in the same way.",
    )  # fmt: skip
    parser.add_argument("embeddings", metavar="EMBEDDINGS", type=Path)
    parser.add_argument("--out", metavar="CLUSTERS", type=Path, required=True, help="the folder to make")
    parser.add_argument("--method", choices=("kmeans", "hdbscan"), default="kmeans")
    parser.add_argument(
        "--recordings", nargs="+", metavar="ID", help="fit on these recordings alone (ids or globs); all get labels"
    )
    add_column_options(parser)
    parser.add_argument("--dims", type=int, metavar="N", help="principal components; 0 = all columns (128; hdbscan 5)")
    parser.add_argument("--sample", type=int, metavar="N", help="frames to fit clusters on (100000; hdbscan 20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    _add_kmeans_options(parser.add_argument_group("k-means"))
    _add_hdbscan_options(parser.add_argument_group("hdbscan"))
    bouts = parser.add_argument_group("from frames to bouts")
    bouts.add_argument(
        "--minimum-bout-seconds", type=float, metavar="S",
        help="shorter bouts become part of the longer bout beside them; 0 = keep all bouts (0.25)",
    )  # fmt: skip
    return parser


def _add_kmeans_options(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--clusters", type=int, metavar="K", help="number of clusters (20, or the number that --choose suggests)"
    )
    group.add_argument(
        "--choose", metavar="K,K,...",
        help="rate these numbers of clusters (stability, silhouette, explained variance, bouts) and use the suggested "
        "one, unless --clusters is given",
    )  # fmt: skip
    group.add_argument(
        "--resamples", type=int, metavar="N", help="for --choose: splits of the recordings into halves (5)"
    )
    group.add_argument("--figure", type=Path, metavar="FILE", help="for --choose: draw it (.png, .svg, .pdf)")
    group.add_argument("--spherical", action="store_true", help="cosine similarity in place of the distance")
    group.add_argument("--n-init", type=int, metavar="N", help="starts; the best one is kept (3)")


def _add_hdbscan_options(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--min-cluster-size", type=int, metavar="N", help="sampled frames that make a cluster (50)")
    group.add_argument(
        "--min-samples", type=int, metavar="N", help="neighbors used to estimate the density around a frame (5)"
    )
    group.add_argument(
        "--cluster-selection-method", choices=("leaf", "eom"),
        help="leaf (default): many small clusters; eom: the most persistent clusters",
    )  # fmt: skip


_MOST_ROWS = 30


def print_clusters(console: "Console", clustering: "Clustering") -> None:
    """Print a row per cluster (share of frames, bouts, recordings), then a line that sums them up."""
    import numpy as np

    frames, sizes = clustering.frames, clustering.sizes
    seconds = frames.table.seconds
    seen = (frames.shares() > 0).sum(axis=0)
    rows = []
    for cluster in range(min(len(sizes), _MOST_ROWS)):
        own = seconds[frames.table.label == cluster]
        share, in_recordings = f"{sizes[cluster] / len(frames.labels):.1%}", f"{seen[cluster]} of {len(frames.rows)}"
        rows.append([str(cluster), share, f"{len(own):,}", _median(own), in_recordings])
    console.print(make_table(["cluster", "share", "bouts", "median bout", "recordings"], rows, text=()))
    if len(sizes) > _MOST_ROWS:
        echo(console, f"and {len(sizes) - _MOST_ROWS} smaller clusters")
    nowhere = int(np.count_nonzero(frames.labels < 0))
    outside = f", {nowhere / len(frames.labels):.1%} of the frames in none" if nowhere else ""
    bouts = f"{counted(len(seconds), 'bout')}, median {_median(seconds)}"
    echo(console, f"{counted(len(sizes), 'cluster')} in {counted(len(frames.labels), 'frame')}, {bouts}{outside}")


def _median(seconds: "np.ndarray") -> str:
    import numpy as np

    return f"{np.median(seconds):.2f} s" if len(seconds) else "-"


def print_choice(console: "Console", scores: "Sequence[NumberScores]", suggested: int | None) -> None:
    """Print the scores of each number of clusters."""

    from ssl_behavior.clusters.cluster_count import RULE

    rows = []
    for one in scores:
        stability = "-" if one.stability is None else f"{one.stability:.3f} ± {one.stability_std:.3f}"
        rows.append([
            str(one.clusters), stability, _number(one.agreement), _number(one.silhouette), f"{one.explained:.1%}",
            f"{one.bout_seconds:.2f} s", "suggested" if one.clusters == suggested else "",
        ])  # fmt: skip
    columns = ["clusters", "stability (ARI)", "agreement (NMI)", "silhouette", "explained", "median bout", ""]
    console.print(make_table(columns, rows, text=()))
    if suggested is not None:
        echo(console, f"suggested: {suggested}, {RULE}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def choice_contents(scores: "Sequence[NumberScores]", suggested: int | None, choice: "ChoiceConfig") -> dict[str, Any]:
    """Contents of `choice.json`."""
    from ssl_behavior.clusters.cluster_count import RULE

    return {"rule": RULE, "suggested": suggested, "config": asdict(choice), "numbers": [asdict(one) for one in scores]}


_LINE, _MARK = PALETTE[0], PALETTE[1]
_PANELS = {
    "stability": "stability: adjusted Rand index\nof two halves of the recordings",
    "silhouette": "silhouette: how far clusters\nare from each other",
    "explained": "explained variance",
    "bout_seconds": "median bout [s]",
}


@styled
def draw_choice(scores: "Sequence[NumberScores]", suggested: int | None, path: Path) -> None:
    """Draw every measure against the number of clusters.

    Raises
    ------
    InputError
        If matplotlib is not installed, or the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    for axis, (name, title) in zip(figure.subplots(2, 2, sharex=True).flat, _PANELS.items(), strict=True):
        _draw(axis, scores, name, suggested)
        axis.set_title(title, fontsize=10)
    figure.supxlabel("number of clusters", fontsize=10)
    if suggested is not None:
        figure.suptitle(f"suggested: {suggested} clusters", fontsize=11)
    save_figure(figure, path)


def _draw(axis: Any, scores: "Sequence[NumberScores]", name: str, suggested: int | None) -> None:
    known = [(one.clusters, getattr(one, name), one) for one in scores if getattr(one, name) is not None]
    numbers, values = [number for number, _, _ in known], [value for _, value, _ in known]
    spread = [one.stability_std for _, _, one in known] if name == "stability" else None
    axis.errorbar(numbers, values, yerr=spread, color=_LINE, marker="o", markersize=4, linewidth=1.4, capsize=3)
    if not known:
        axis.text(0.5, 0.5, "unknown: one recording", transform=axis.transAxes, ha="center", va="center")
    if suggested is not None:
        axis.axvline(suggested, color=_MARK, linewidth=1.2, linestyle="--")
    if name != "silhouette":
        axis.set_ylim(bottom=0)
    tidy(axis, "both")
