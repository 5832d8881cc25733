"""The tables of `ssl-behavior describe`."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssl_behavior.clusters.cards import Card, Cards
from ssl_behavior.clusters.profiles import MEASURES, Comparison, Profiles
from ssl_behavior.clusters.sentences import percent, seconds

__all__ = ["print_described"]

_SHOWN_NOT_FOUND = 3


def print_described(console: Console, cards: Cards, profiles: Profiles | None) -> None:
    """A row per cluster, the commonest first, and what differs between groups."""
    for note in cards.notes:
        console.print(note, markup=False, soft_wrap=True)
    table = _table(("cluster", "share", "bouts", "median"), "what sets it apart")
    for card in sorted(cards.cards, key=lambda one: -one.share):
        table.add_row(*(Text(cell) for cell in _cells(card)))
    console.print(table)
    if cards.anonymous:
        console.print(
            'The animals are anonymous: "one animal" in two phrases need not be the same one.', soft_wrap=True
        )
    if profiles is not None:
        _print_profiles(console, profiles)


def _table(numbers: Sequence[str], words: str) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(words, overflow="fold")
    return table


def _cells(card: Card) -> tuple[str, ...]:
    if card.bouts is None:
        return str(card.cluster), percent(card.share), "0", "-", card.sentence
    words = card.sentence.replace(f"; bouts of {seconds(card.bouts.median)}", "")
    return str(card.cluster), percent(card.share), f"{card.bouts.number:,}", seconds(card.bouts.median), words


def _print_profiles(console: Console, profiles: Profiles) -> None:
    """Every difference that was found, or the nearest to it."""
    groups = profiles.groups
    sizes = ", ".join(f"{name} {len(animals)}" for name, animals in groups.animals.items())
    how = "all" if profiles.exact else "drawn"
    console.print(
        f"\n{groups.factor}: {sizes} animals{', each in all' if groups.within else ''}; {profiles.arrangements:,} "
        f"permutations of animals ({how})", markup=False, soft_wrap=True,
    )  # fmt: skip
    found = [one for one in profiles.comparisons if one.found]
    shown = found or sorted((one for one in profiles.comparisons if one.p is not None), key=lambda one: one.p or 0.0)
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
    table = Table(show_edge=False, pad_edge=False)
    pair = groups.names if len(groups.names) == 2 else ("first", "second")
    for heading in ("cluster", *pair, "difference", "95 % interval", "Hedges' g", "p", "q"):
        table.add_column(heading, justify="right")
    table.add_column("measure, groups", overflow="fold")
    for one in shown if found else shown[:_SHOWN_NOT_FOUND]:
        table.add_row(*(Text(cell) for cell in _comparison(one)))
    console.print(table)
    if found:
        console.print(f"found at {level}", soft_wrap=True)


def _comparison(one: Comparison) -> tuple[str, ...]:
    share = one.measure == "share"

    def shown(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{100 * value:.1f} %" if share else f"{value:.2f}"

    return (
        str(one.cluster), shown(one.of_first.mean), shown(one.of_second.mean), shown(one.difference),
        f"{shown(one.low)} to {shown(one.high)}", "-" if one.hedges_g is None else f"{one.hedges_g:+.1f}",
        _probability(one.p), _probability(one.q), f"{MEASURES[one.measure]}, {one.first} and {one.second}",
    )  # fmt: skip


def _probability(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"
