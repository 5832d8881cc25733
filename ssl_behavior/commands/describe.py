"""`ssl-behavior describe`: clusters in numbers and words, and compared between groups of animals."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ssl_behavior.clusters import Clustering
    from ssl_behavior.clusters.cards import Cards
    from ssl_behavior.clusters.folder import ClusteredStore
    from ssl_behavior.clusters.profiles import Groups, Profiles, ProfilesConfig
    from ssl_behavior.embedding import Embeddings
    from ssl_behavior.programs import ProgramsConfig

__all__ = ["main"]

_FIGURES = (".png", ".svg")


def main(argv: Sequence[str]) -> int:
    """Write a card for each cluster, a ranking of what labels explain least, and a comparison of given groups.

    Raises
    ------
    InputError
        For every mistake of the user.
    """
    options = _parser().parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.clusters import load_clustering
    from ssl_behavior.clusters.cards import CARDS
    from ssl_behavior.clusters.folder import ClusteredStore
    from ssl_behavior.clusters.profiles import compare_profiles
    from ssl_behavior.commands.cluster_output import stages
    from ssl_behavior.commands.describe_output import print_described
    from ssl_behavior.embedding import Embeddings
    from ssl_behavior.files import check_free
    from ssl_behavior.programs import ProgramsConfig, with_programs_of
    from ssl_behavior.store import Store
    from ssl_behavior.terminal import echo, make_console

    config = _checked(options)
    check_free(options.out, options.overwrite, CARDS)
    saved, embeddings = load_clustering(options.clusters), Embeddings(options.embeddings)
    saved.check_labeled(embeddings)
    clustered = ClusteredStore.of(saved.frames, Store(options.store))
    groups = _groups(options, [row.id for row in clustered.rows])
    programs = with_programs_of(ProgramsConfig(), options.programs) if options.programs else ProgramsConfig()
    console = make_console()
    if embeddings.store != clustered.store.fingerprint():
        echo(console, f"{options.store} is not the store that was embedded; recordings are matched by name and length")
    # The comparison comes before the long part: its notes say whether groups are large enough to differ.
    profiles = None if groups is None else compare_profiles(saved.frames, groups, config)
    for note in profiles.notes if profiles else ():
        echo(console, note)
    with stages(console) as progress:
        frames = len(saved.frames.labels)
        cards = _cards(
            options, saved, embeddings, clustered, programs, lambda stage, done: progress(stage, done, frames)
        )
    _write(options.out, options.overwrite, cards, profiles, {row.id: row.fps for row in clustered.rows}, console)
    print_described(console, cards, profiles)
    echo(console, f"written to {options.out}: begin with cards.md")
    return 0


def _checked(options: argparse.Namespace) -> "ProfilesConfig":
    """Check the options; options without effect are errors."""
    from ssl_behavior.clusters.profiles import ProfilesConfig
    from ssl_behavior.errors import InputError

    if options.groups_csv is None and options.factor is not None:
        raise InputError("--factor names a column of --groups-csv FILE: give that file, or leave --factor out")
    if options.examples < 0:
        raise InputError(f"--examples must be 0 or more, got {options.examples}")
    return ProfilesConfig(level=options.level, permutations=options.permutations, seed=options.seed)


def _groups(options: argparse.Namespace, recordings: Sequence[str]) -> "Groups | None":
    from ssl_behavior.clusters.profiles import read_groups

    return None if options.groups_csv is None else read_groups(options.groups_csv, recordings, options.factor)


def _cards(
    options: argparse.Namespace,
    saved: "Clustering",
    embeddings: "Embeddings",
    clustered: "ClusteredStore",
    programs: "ProgramsConfig",
    advance: Callable[[str, int], None],
) -> "Cards":
    from ssl_behavior.clusters.cards import make_cards

    return make_cards(
        clustered, saved.space.blocks(embeddings), saved.model.centers, unit=saved.space.config.unit, programs=programs,
        medoids=options.examples, seed=options.seed, progress=advance,
    )  # fmt: skip


def _write(
    out: Path,
    overwrite: bool,
    cards: "Cards",
    profiles: "Profiles | None",
    fps: Mapping[str, float],
    console: "Console",
) -> None:
    """Write the folder, whole or not at all."""
    from ssl_behavior.clusters.cards import CARDS
    from ssl_behavior.commands.cluster_output import echo
    from ssl_behavior.commands.describe_output import write_cards, write_profiles
    from ssl_behavior.files import atomic_folder

    with atomic_folder(out, overwrite, CARDS) as folder:
        write_cards(cards, folder, fps)
        if profiles is None:
            return
        write_profiles(profiles, folder)
        if find_spec("matplotlib") is None:
            echo(console, "no figures: they need matplotlib (pip install 'ssl-behavior[plots]')")
            return
        from ssl_behavior.clusters.profiles import draw_effects, draw_shares

        for ending in _FIGURES:
            draw_shares(profiles, folder / f"shares{ending}")
            draw_effects(profiles, folder / f"effects{ending}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior describe",
        description="Describe every cluster: its share, bouts, following clusters, typical bouts, known labels, and a "
        "sentence about what sets it apart. Rank the clusters and bouts that known labels explain least. Compare the "
        "use of clusters between groups of animals.",
    )
    add = parser.add_argument
    add("clusters", metavar="CLUSTERS", type=Path, help="a folder of ssl-behavior cluster")
    add("embeddings", metavar="EMBEDDINGS", type=Path, help="the embeddings that were clustered")
    add("store", metavar="STORE", type=Path, help="the store of their recordings")
    add("--out", type=Path, required=True, help="the folder to make")
    add(
        "--groups-csv", metavar="FILE", type=Path,
        help="compare groups: CSV with the columns recording, animal, and a factor (treatment ...)",
    )  # fmt: skip
    add("--factor", metavar="NAME", help="the column to compare by (default: the only one)")
    add("--level", type=float, default=0.05, help="false discovery rate of reported differences (0.05)")
    add(
        "--permutations",
        type=int,
        default=10_000,
        metavar="N",
        help="maximum number; above it, a random sample (10,000)",
    )
    add("--programs", type=Path, metavar="FILE", help="also measure the programs of this Python file")
    add("--examples", type=int, default=5, metavar="N", help="typical bouts listed for each cluster (5)")
    add("--seed", type=int, default=0)
    add("--overwrite", action="store_true", help="replace --out")
    return parser
