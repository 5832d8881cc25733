"""The verb `report`: one HTML file that shows embeddings, clusters and labels."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_behavior.commands import as_options
from ssl_behavior.terminal import counted, echo, progress_bars

if TYPE_CHECKING:
    from rich.console import Console

    from ssl_behavior.reports import Gathered, ReportConfig

__all__ = ["main"]

_MAPS = ("pca", "tsne", "umap")
_MEGABYTE = 1e6


def main(argv: Sequence[str]) -> int:
    """Write the report of an embeddings folder, atomically.

    Raises
    ------
    InputError
        For every user error.
    """
    options = _parser().parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.files import check_free
    from ssl_behavior.reports import check_page, write_report
    from ssl_behavior.terminal import make_console

    config = _config(options)
    check_page(options.out, options.overwrite)
    if options.projector:
        check_free(options.projector, options.overwrite, "projector_config.pbtxt", "projector")
    console = make_console()
    gathered = _gathered(options, config, console)
    projected = 0
    with progress_bars(console) as progress:
        progress("writing the page", 0, 0)
        write_report(gathered.report, options.out)
        if options.projector:
            progress("writing the projector's files", 0, 0)
            projected = _write_projector(options, gathered)
    for note in gathered.report.notes:
        echo(console, as_options(note))
    size = options.out.stat().st_size / _MEGABYTE
    echo(console, f"{options.out}: {size:.1f} MB, open it in a browser; it needs no network and no other file")
    if options.projector:
        line = f"{counted(projected, 'point')} for TensorBoard's projector: tensorboard --logdir {options.projector}"
        echo(console, line)
    return 0


def _config(options: argparse.Namespace) -> "ReportConfig":
    from ssl_behavior.errors import InputError
    from ssl_behavior.reports import DEFAULT_PROGRAMS, MOST_POINTS, ReportConfig

    if not 1 <= options.projector_points <= MOST_POINTS:
        raise InputError(f"--projector-points must be 1 to {MOST_POINTS:,}, got {options.projector_points:,}")
    if options.description and not options.clusters:
        raise InputError("--description describes clusters: give their folder with --clusters, too")
    programs = DEFAULT_PROGRAMS if options.programs is None else tuple(options.programs)
    return ReportConfig(
        map=options.map,
        points=options.points,
        bouts=options.bouts,
        neighbors=options.neighbors,
        programs=() if programs == ("none",) else programs,
        seed=options.seed,
        title=options.title,
    )


def _gathered(options: argparse.Namespace, config: "ReportConfig", console: "Console") -> "Gathered":
    from ssl_behavior.clusters import load_frames
    from ssl_behavior.clusters.cards import Cards
    from ssl_behavior.embeddings_folder import Embeddings
    from ssl_behavior.reports import gather_report, read_profiles, read_scores
    from ssl_behavior.store import Store

    store, embeddings = Store(options.store), Embeddings(options.embeddings)
    clusters = load_frames(options.clusters) if options.clusters else None
    scores = [table for folder in options.probe for table in read_scores(folder)]
    rows = store.select(options.recordings) if options.recordings else None
    folder = options.description
    if embeddings.store != store.fingerprint():
        echo(console, f"{options.embeddings} was not made from {options.store}; recordings of equal names and lengths "
                       "are taken for the same")  # fmt: skip
    with progress_bars(console) as progress:
        return gather_report(
            store, embeddings, config, rows=rows, clusters=clusters, scores=scores, progress=progress,
            description=Cards.load(folder) if folder else None, profiles=read_profiles(folder) if folder else (),
        )  # fmt: skip


def _write_projector(options: argparse.Namespace, gathered: "Gathered") -> int:
    from ssl_behavior.reports import write_projector

    return write_projector(
        gathered.report, gathered.points, options.projector, options.projector_points, options.seed, options.overwrite
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior report",
        description="Write one HTML file about embeddings: a map, ethograms, animated bouts beside similar ones, "
        "clusters, transitions, profiles of groups, and results of probes. It opens in any browser, needs no "
        "network, and shows every input that is given.",
    )
    add = parser.add_argument
    add("store", metavar="STORE", type=Path, help="store of the recordings")
    add("embeddings", metavar="EMBEDDINGS", type=Path, help="embeddings folder of these recordings")
    add("--out", type=Path, required=True, metavar="FILE", help="page to write, such as report.html")
    add(
        "--clusters", type=Path, metavar="CLUSTERS", help="clusters folder, for colors, ethogram, cards and transitions"
    )
    add(
        "--description", type=Path, metavar="DIR",
        help="folder from ssl-behavior describe on these clusters, for sentences, discoveries and profiles of groups",
    )  # fmt: skip
    add(
        "--probe", type=Path, metavar="DIR", action="append", default=[],
        help="results folder of a probe or benchmark; can be repeated",
    )  # fmt: skip
    add("--recordings", nargs="+", metavar="ID", help="recordings to report on (ids or globs; default: all)")
    add(
        "--map",
        choices=_MAPS,
        default="pca",
        help="pca (default); tsne and umap need the extra 'maps' and take minutes",
    )
    add(
        "--points",
        type=int,
        default=100_000,
        metavar="N",
        help="number of frames on the map (default and maximum: 100,000)",
    )
    add("--bouts", type=int, default=300, metavar="N", help="number of example bouts to play (default: 300)")
    add("--neighbors", type=int, default=5, metavar="N", help="nearest neighbors of each example bout (default: 5)")
    add(
        "--programs", nargs="+", metavar="NAME",
        help="task programs that color the map (names or globs; none for none; default: eight programs)",
    )  # fmt: skip
    add("--title", default="Behavior report", help="title of the page")
    add("--projector", type=Path, metavar="DIR", help="folder to write for TensorBoard's projector, with thumbnails")
    add(
        "--projector-points",
        type=int,
        default=10_000,
        metavar="N",
        help="number of points for the projector, at most 100,000 (default: 10,000)",
    )
    add("--seed", type=int, default=0, help="random seed of all samples (default: 0)")
    add("--overwrite", action="store_true", help="replace --out (and --projector)")
    return parser
