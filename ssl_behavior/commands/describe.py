"""`ssl-behavior describe`: clusters in numbers and words, and compared between groups of animals."""

import argparse
import csv
import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_behavior.commands import as_options
from ssl_behavior.files import write_json, write_text
from ssl_behavior.plots.style import has_matplotlib
from ssl_behavior.terminal import counted, make_table

if TYPE_CHECKING:
    from rich.console import Console

    from ssl_behavior.clusters import Clustering
    from ssl_behavior.clusters.cards import Card, Cards
    from ssl_behavior.clusters.enrichment import Enrichment
    from ssl_behavior.clusters.folder import ClusteredStore
    from ssl_behavior.clusters.group_comparison import Comparison, Profiles, ProfilesConfig
    from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings
    from ssl_behavior.programs import ProgramsConfig
    from ssl_behavior.terminal import Progress

__all__ = ["main"]

_FIGURES = (".png", ".svg")


def main(argv: Sequence[str]) -> int:
    """Write a card for each cluster, rank the clusters that labels explain least, and compare given groups.

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
    from ssl_behavior.clusters.group_comparison import compare_profiles
    from ssl_behavior.clusters.groups import read_groups
    from ssl_behavior.embeddings_folder import Embeddings
    from ssl_behavior.files import check_free
    from ssl_behavior.programs import ProgramsConfig, with_programs_of
    from ssl_behavior.store import Store
    from ssl_behavior.terminal import echo, make_console, progress_bars

    config = _checked(options)
    check_free(options.out, options.overwrite, CARDS)
    saved, embeddings = load_clustering(options.clusters), Embeddings(options.embeddings)
    saved.check_labeled(embeddings)
    clustered = ClusteredStore.of(saved.frames, Store(options.store))
    groups = None
    if options.groups_csv is not None:
        groups = read_groups(options.groups_csv, clustered.frames.rows, options.factor)
    programs = with_programs_of(ProgramsConfig(), options.programs) if options.programs else ProgramsConfig()
    console = make_console()
    if embeddings.store != clustered.store.fingerprint():
        echo(console, f"{options.store} is not the store that was embedded; recordings are matched by name and length")
    # The comparison comes before the long part: its notes say whether groups are large enough to differ.
    profiles = None if groups is None else compare_profiles(saved.frames, groups, config)
    for note in profiles.notes if profiles else ():
        echo(console, as_options(note))
    with progress_bars(console) as progress:
        cards = _cards(options, saved, embeddings, clustered, programs, progress)
    rows = {row.id: row for row in clustered.frames.rows}
    _write_folder(options.out, options.overwrite, cards, profiles, rows, console)
    print_described(console, cards, profiles)
    echo(console, f"written to {options.out}: begin with cards.md")
    return 0


def _checked(options: argparse.Namespace) -> "ProfilesConfig":
    """Check the options; options without effect are errors."""
    from ssl_behavior.clusters.group_comparison import ProfilesConfig
    from ssl_behavior.errors import InputError

    if options.groups_csv is None and options.factor is not None:
        raise InputError("--factor names a column of --groups-csv FILE: give that file, or leave --factor out")
    if options.examples < 0:
        raise InputError(f"--examples must be 0 or more, got {options.examples}")
    return ProfilesConfig(level=options.level, permutations=options.permutations, seed=options.seed)


def _cards(
    options: argparse.Namespace,
    saved: "Clustering",
    embeddings: "Embeddings",
    clustered: "ClusteredStore",
    programs: "ProgramsConfig",
    progress: "Progress",
) -> "Cards":
    from ssl_behavior.clusters.cards import make_cards

    return make_cards(
        clustered, saved.space.blocks(embeddings), saved.model.centers, unit=saved.space.config.unit, programs=programs,
        medoids=options.examples, seed=options.seed, progress=progress,
    )  # fmt: skip


def _write_folder(
    out: Path,
    overwrite: bool,
    cards: "Cards",
    profiles: "Profiles | None",
    rows: "Mapping[str, EmbeddingRow]",
    console: "Console",
) -> None:
    """Write the folder, whole or not at all."""
    from ssl_behavior.clusters.cards import CARDS
    from ssl_behavior.files import atomic_folder
    from ssl_behavior.terminal import echo

    with atomic_folder(out, overwrite, CARDS) as folder:
        write_cards(cards, folder, rows)
        if profiles is None:
            return
        write_profiles(profiles, folder)
        if not has_matplotlib():
            echo(console, "no figures: they need matplotlib (pip install 'ssl-behavior[plots]')")
            return
        from ssl_behavior.clusters.group_comparison import draw_effects, draw_shares

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
        help="compare groups: CSV with the columns recording, animal, and a factor (treatment ...); a column agent "
        "gives animals of one recording different groups",
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


FORMAT_VERSION = 1
_MOST_LABELS, _MOST_FOLLOWERS, _MOST_DIFFERENCES = 4, 3, 8
_ENRICHED = 1.0
_FEWEST_FRAMES = 30
_HOW_TO_READ = (
    "A cluster's words are the measures in which its mean is furthest from that of all frames: by half a standard "
    'deviation at least, and three standard errors over its bouts. Numbers are medians of the cluster; "lowest 6 %" '
    "says that 6 % of all frames have a smaller value, where half of the equal ones (5 s or longer) count as smaller. "
    '"Closer", "further" and the like compare with all frames.'
)
_ANONYMOUS = (
    'The animals are anonymous: "one animal" in one phrase need not be the one of the next, and the greater (lesser) '
    "of two values is compared with the greater (lesser) ones of all frames."
)
_SPECIAL = re.compile(r"([\\`*_{}\[\]#|])")


def write_cards(cards: "Cards", folder: Path, rows: "Mapping[str, EmbeddingRow]") -> None:
    """Write `cards.json`, `cards.md`, `transitions.csv`, `enrichment.csv` and `discovery.csv`.

    Parameters
    ----------
    rows : id -> row of the clustering.
    """
    cards.save(folder)
    write_text(folder / "cards.md", _readable(cards, rows))
    write_text(folder / "transitions.csv", _csv(_transition_rows(cards)))
    write_text(folder / "enrichment.csv", _csv(asdict(one) for card in cards.clusters for one in card.labels))
    write_text(folder / "discovery.csv", _csv(_discovery_rows(cards, rows)))


def write_profiles(profiles: "Profiles", folder: Path) -> None:
    """Write `profiles.json` and `profiles.csv`."""
    contents = {"format": "ssl-behavior profiles", "version": FORMAT_VERSION} | profiles.to_dict()
    write_json(folder / "profiles.json", contents)
    write_text(folder / "profiles.csv", _csv(one.to_row() for one in profiles.comparisons))


def _csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV of rows with equal keys; None becomes an empty cell."""
    rows, text = list(rows), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
    return text.getvalue()


def _transition_rows(cards: "Cards") -> Iterable[dict[str, Any]]:
    """Rows of `transitions.csv`; "none" and "end" are not clusters and have no probability."""
    for card in cards.clusters:
        for one in card.followers:
            yield {"cluster": card.cluster, "next": one.cluster, "bouts": one.count, "probability": one.probability,
                   "expected": one.expected}  # fmt: skip
        for name, number in (("none", card.to_none), ("end", card.to_end)):
            yield {"cluster": card.cluster, "next": name, "bouts": number, "probability": None, "expected": None}


def _discovery_rows(cards: "Cards", rows: "Mapping[str, EmbeddingRow]") -> Iterable[dict[str, Any]]:
    """Rows of `discovery.csv`: clusters, then bouts, by rank; columns that do not apply are empty."""
    actors = [name for name in ("agent", "target") if any(getattr(row, name) for row in rows.values())]
    columns = (
        "rank", "of", "cluster", "score", "explained", "stream", "annotated", "behavior", "behavior_share",
        "separation", "seen", "frames", "bouts", "recordings", "recording", *actors, "start_frame", "stop_frame",
        "start_s", "stop_s", "surprise_bits",
    )  # fmt: skip
    empty: dict[str, Any] = dict.fromkeys(columns)
    for rank, cluster in enumerate(cards.discovery.clusters, 1):
        yield empty | {"rank": rank, "of": "cluster"} | asdict(cluster)
    for rank, bout in enumerate(cards.discovery.bouts, 1):
        row = rows[bout.recording]
        labels = " ".join(f"{stream}={name or '-'}" for stream, name in bout.behaviors.items())
        yield empty | {
            "rank": rank, "of": "bout", "cluster": bout.cluster, "behavior": labels, "recording": row.recording,
            "start_frame": bout.start, "stop_frame": bout.stop, "start_s": round(bout.start / row.fps, 3),
            "stop_s": round(bout.stop / row.fps, 3), "surprise_bits": bout.surprise,
        } | {name: getattr(row, name) for name in actors}  # fmt: skip


def _plain(text: str) -> str:
    """Text escaped for Markdown: no tags, no emphasis."""
    return _SPECIAL.sub(r"\\\1", html.escape(text, quote=False))


def _readable(cards: "Cards", rows: "Mapping[str, EmbeddingRow]") -> str:
    """Contents of `cards.md`, the most common cluster first."""
    lines = ["# Clusters", "", *_introduction(cards, rows)]
    for card in sorted(cards.clusters, key=lambda one: -one.share):
        lines += ["", *_card_lines(card, cards.num_recordings, rows)]
    lines += ["", "## What known labels explain least", "", *_discovery_lines(cards, rows)]
    return "\n".join(lines) + "\n"


def _introduction(cards: "Cards", rows: "Mapping[str, EmbeddingRow]") -> list[str]:
    from ssl_behavior.clusters.sentences import percent, values_with_units
    from ssl_behavior.embeddings_folder import count_rows

    none = f"; {percent(cards.of_no_cluster / cards.num_frames)} of them in no cluster" if cards.of_no_cluster else ""
    size = f"{counted(cards.num_frames, 'frame')} of {count_rows(list(rows.values()))}{none}."
    paragraphs = [f"{size} {_HOW_TO_READ}"]
    if cards.anonymous:
        paragraphs.append(_ANONYMOUS)
    if cards.body_length is not None:
        length = values_with_units([cards.body_length], cards.unit)
        paragraphs.append(f"A body is {length} long, from the tail base to the neck or center.")
    paragraphs += [f"{note[0].upper()}{note[1:]}." for note in map(_plain, cards.notes)]
    return [line for paragraph in paragraphs for line in (paragraph, "")][:-1]


def _card_lines(card: "Card", recordings: int, rows: "Mapping[str, EmbeddingRow]") -> list[str]:
    from ssl_behavior.clusters.sentences import percent, seconds

    lines = [f"## Cluster {card.cluster}", "", f"{_plain(card.sentence)}.", ""]
    if card.bouts is None:
        return lines[:-1]
    bouts = card.bouts
    lines.append(
        f"- {percent(card.share)} of all frames, in {card.recordings} of {recordings} recordings; "
        f"{counted(bouts.number, 'bout')}, {bouts.per_minute:.2g} a minute, {seconds(bouts.median)} long "
        f"(middle half {seconds(bouts.lower)} to {seconds(bouts.upper)})"
    )
    if followers := [f"{one.cluster} ({percent(one.probability)})" for one in card.followers[:_MOST_FOLLOWERS]]:
        lines.append(f"- followed by {', '.join(followers)}{_not_followed(card)}")
    if card.labels:
        lines.append(f"- labels: {_labels(card.labels, recordings)}")
    if differences := _differences(card):
        lines.append(f"- differs most in {differences}")
    if card.medoids:
        lines.append(f"- typical: {', '.join(_place(rows[m.recording], m.start, m.stop) for m in card.medoids)}")
    return lines


def _not_followed(card: "Card") -> str:
    parts = [
        f"{number:,} {what}" for number, what in ((card.to_none, "by none"), (card.to_end, "cut by an end")) if number
    ]
    return f"; {', '.join(parts)}" if parts else ""


def _labels(labels: "Sequence[Enrichment]", recordings: int) -> str:
    """The behaviors at least twice as frequent in a cluster as by chance, with a bound above chance, and their counts.

    With one recording there is no bound: behaviors are listed with a remark.
    """
    double = [one for one in labels if one.log2_ratio is not None and one.log2_ratio >= _ENRICHED]
    if not double:
        return "none of them twice as often as by chance"
    sure = [one for one in double if recordings == 1 or (one.low is not None and one.low > 0)]
    rich = [one for one in sure if one.both >= _FEWEST_FRAMES]
    if not rich:
        return "none of them twice as often as by chance in frames and recordings enough to be sure"
    rich.sort(key=lambda one: -(one.log2_ratio or 0.0))
    how_sure = " (one recording: the uncertainty is unknown)" if recordings == 1 else ""
    return (
        "; ".join(
            f"{_plain(one.stream)} {_plain(one.behavior)} {2 ** (one.log2_ratio or 0):.1f} times as often as by chance "
            f"({one.both:,} of its {one.of_behavior:,} frames, {counted(one.behavior_bouts, 'bout')} in "
            f"{counted(one.recordings, 'recording')})"
            for one in rich[:_MOST_LABELS]
        )
        + how_sure
    )


def _differences(card: "Card") -> str:
    """The greatest differences, of measures known in enough frames."""
    from ssl_behavior.clusters.frame_measures import SEEN
    from ssl_behavior.clusters.sentences import SentenceRules, percent

    rules = SentenceRules()
    known = [one for one in card.differences if rules.enough(one)]
    return ", ".join(
        f"{_plain(one.name)} {one.difference:+.1f}"
        + (f" (known at {percent(one.share_known)})" if one.share_known < 1 and one.program != SEEN else "")
        for one in known[:_MOST_DIFFERENCES]
    )


def _place(row: "EmbeddingRow", start: int, stop: int) -> str:
    return f"{_plain(row.title)} at {start / row.fps:.1f} to {stop / row.fps:.1f} s"


def _discovery_lines(cards: "Cards", rows: "Mapping[str, EmbeddingRow]") -> list[str]:
    from ssl_behavior.clusters.sentences import percent

    discovery = cards.discovery
    lines = [f"{discovery.note[0].upper()}{discovery.note[1:]}.", ""] if discovery.note else []
    sentences = {card.cluster: card.sentence for card in cards.clusters}
    for one in discovery.clusters[:10]:
        explanation = ""
        if one.stream:
            explanation = (
                f"{_plain(one.stream)} explains {percent(one.explained)} (mostly {_plain(one.behavior) or '-'}, "
                f"{percent(one.behavior_share)}), "
            )
        lines.append(
            f"- **Cluster {one.cluster}** (score {one.score:.3f}; {explanation}{one.frames:,} frames, {one.bouts:,} "
            f"bouts in {counted(one.recordings, 'recording')}): {_plain(sentences[one.cluster])}"
        )
    if discovery.bouts:
        lines += ["", "Bouts that labels make least likely, to look at:", ""]
    for bout in discovery.bouts[:20]:
        labels = ", ".join(f"{_plain(stream)} {_plain(name) or '-'}" for stream, name in bout.behaviors.items())
        lines.append(
            f"- {_place(rows[bout.recording], bout.start, bout.stop)}: cluster {bout.cluster}, labeled {labels} "
            f"({bout.surprise:.1f} bits)"
        )
    return lines


_MOST_NOT_FOUND = 3


def print_described(console: "Console", cards: "Cards", profiles: "Profiles | None") -> None:
    """Print a row per cluster, the most common first, and the differences between groups."""

    for note in cards.notes:
        console.print(as_options(note), markup=False, soft_wrap=True)
    rows = [_cells(card) for card in sorted(cards.clusters, key=lambda one: -one.share)]
    columns = ["cluster", "share", "bouts", "median", "what sets it apart"]
    console.print(make_table(columns, rows, text=columns[-1:]))
    if cards.anonymous:
        console.print(
            'The animals are anonymous: "one animal" in two phrases need not be the same one.', soft_wrap=True
        )
    if profiles is not None:
        _print_profiles(console, profiles)


def _cells(card: "Card") -> tuple[str, ...]:
    from ssl_behavior.clusters.sentences import percent, seconds

    if card.bouts is None:
        return str(card.cluster), percent(card.share), "0", "-", card.sentence
    words = card.sentence.replace(f"; bouts of {seconds(card.bouts.median)}", "")
    return str(card.cluster), percent(card.share), f"{card.bouts.number:,}", seconds(card.bouts.median), words


def _print_profiles(console: "Console", profiles: "Profiles") -> None:
    """Print all differences found, or else those of the lowest p values."""

    from ssl_behavior.clusters.group_comparison import MEASURES

    groups = profiles.groups
    sizes = ", ".join(f"{name} {len(animals)}" for name, animals in groups.animals.items())
    how = "all" if profiles.exact else "drawn"
    console.print(
        f"\n{groups.factor}: {sizes} animals{', each in all' if groups.within else ''}; {profiles.arrangements:,} "
        f"permutations of animals ({how})", markup=False, soft_wrap=True,
    )  # fmt: skip
    found = [one for one in profiles.comparisons if one.found]
    listed = found or sorted((one for one in profiles.comparisons if one.p is not None), key=lambda one: one.p or 0.0)
    level = f"a false discovery rate of {profiles.config.level:g}"
    for measure, words in MEASURES.items():
        if differ := [str(one.cluster) for one in profiles.overall if one.found and one.measure == measure]:
            console.print(
                f"All groups together differ in the {words} of clusters {', '.join(differ)}, at {level}.",
                soft_wrap=True, highlight=False,
            )  # fmt: skip
    if not found:
        between = "between two groups " if profiles.overall else ""
        console.print(f"No difference {between}is found at {level}; the nearest:", soft_wrap=True)
    pair = groups.names if len(groups.names) == 2 else ("first", "second")
    columns = ["cluster", *pair, "difference", "95 % interval", "Hedges' g", "p", "q", "measure, groups"]
    rows = [_comparison(one) for one in (listed if found else listed[:_MOST_NOT_FOUND])]
    console.print(make_table(columns, rows, text=columns[-1:]))
    if found:
        console.print(f"found at {level}", soft_wrap=True)


def _comparison(one: "Comparison") -> tuple[str, ...]:
    from ssl_behavior.clusters.group_comparison import MEASURES

    share = one.measure == "share"

    def formatted(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{100 * value:.1f} %" if share else f"{value:.2f}"

    return (
        str(one.cluster), formatted(one.of_first.mean), formatted(one.of_second.mean), formatted(one.difference),
        f"{formatted(one.low)} to {formatted(one.high)}", "-" if one.hedges_g is None else f"{one.hedges_g:+.1f}",
        _probability(one.p), _probability(one.q), f"{MEASURES[one.measure]}, {one.first} and {one.second}",
    )  # fmt: skip


def _probability(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"
