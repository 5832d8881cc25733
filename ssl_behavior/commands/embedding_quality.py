"""`ssl-behavior quality`: measures of embeddings that need no labels."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ssl_behavior.clusters.embedding_quality import Agreement, EmbeddingQuality

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Measure embeddings, and their agreement with embeddings of other seeds or methods.

    Raises
    ------
    InputError
        For every mistake of the user.
    """
    options = _parser().parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.clusters.embedding_quality import QualityConfig, compare_embeddings, judge_embeddings
    from ssl_behavior.commands.cluster import space_config
    from ssl_behavior.embeddings_folder import Embeddings
    from ssl_behavior.errors import InputError
    from ssl_behavior.files import check_free, write_json
    from ssl_behavior.terminal import echo, make_console, progress_bars

    if options.out is not None:
        check_free(options.out, options.overwrite)
        if options.out.is_dir():
            raise InputError(f"--out {options.out} is a folder: name a file to write the numbers to")
    config = QualityConfig(clusters=options.clusters, neighbors=options.neighbors, sample=options.sample)
    every, console = [Embeddings(path) for path in (options.embeddings, *options.others)], make_console()
    whole, few = space_config(options, 0), space_config(options, None)
    own, agreements = [], []
    with progress_bars(console) as progress:
        for one in every:
            own.append(judge_embeddings(one, whole, config, options.seed))
            progress("each by itself", 1, len(every))
        for one in every[1:]:
            agreements.append(compare_embeddings(every[0], one, few, config, options.seed))
            progress("comparison with the first", 1, len(every) - 1)
    names = [str(one.path) for one in every]
    _print(console, names, own, agreements)
    if options.out is not None:
        write_json(options.out, {
            "config": asdict(config), "seed": options.seed,
            "embeddings": {name: asdict(one) for name, one in zip(names, own, strict=True)},
            "compared_with_first": {name: asdict(one) for name, one in zip(names[1:], agreements, strict=True)},
        })  # fmt: skip
        echo(console, f"written to {options.out}")
    return 0


def _print(
    console: "Console", names: Sequence[str], own: "Sequence[EmbeddingQuality]", agreements: "Sequence[Agreement]"
) -> None:
    from ssl_behavior.terminal import echo, make_table

    lags = [f"near {lag:g} s" for lag, _ in own[0].coherence]
    rows = []
    for name, one in zip(names, own, strict=True):
        near = ["-" if value is None else f"{value:.2f}" for _, value in one.coherence]
        numbers = [str(one.dim), f"{one.effective_rank:.0f}", f"{one.participation_ratio:.1f}", f"{one.uniformity:.2f}"]
        rows.append([name, *numbers, *near])
    columns = ["embedding", "dim", "rank", "participation", "uniformity", *lags]
    console.print(make_table(columns, rows, "each embedding by itself"))
    echo(
        console,
        "rank: effective number of dimensions (RankMe); participation: number of wide dimensions; uniformity: 0 = all "
        "frames at one point; near: 1 = no change in that time, 0 = as far as a random frame",
    )
    if not agreements:
        return
    rows = [
        [
            name,
            f"{pair.mutual_information:.3f}",
            f"{pair.rand:.3f}",
            f"{pair.overlap:.1%}",
            f"{pair.overlap_by_chance:.1%}",
        ]
        for name, pair in zip(names[1:], agreements, strict=True)
    ]
    columns = ["embedding", "clusters (NMI)", "clusters (ARI)", "neighbors shared", "by chance"]
    console.print(make_table(columns, rows, f"compared with {names[0]}"))


def _parser() -> argparse.ArgumentParser:
    from ssl_behavior.commands.cluster import add_column_options

    parser = argparse.ArgumentParser(
        prog="ssl-behavior quality",
        description="Measure embeddings without labels: how many dimensions they use, how evenly, and how slowly they "
        "change. With further embeddings of the same recordings (other seeds, other methods), also whether clusters "
        "and neighbors come back.",
    )  # fmt: skip
    parser.add_argument("embeddings", metavar="EMBEDDINGS", type=Path)
    parser.add_argument("others", metavar="OTHER", type=Path, nargs="*", help="embeddings of the same recordings")
    add_column_options(parser)
    parser.add_argument(
        "--clusters", type=int, default=20, metavar="K", help="number of clusters of the compared clusterings (20)"
    )
    parser.add_argument("--neighbors", type=int, default=10, metavar="K", help="number of nearest frames compared (10)")
    parser.add_argument("--sample", type=int, default=10_000, metavar="N", help="frames to measure on (10000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the numbers as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    return parser
