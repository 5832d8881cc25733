"""Bouts of the verb `programs`: those that a sentence about task programs describes, as a table."""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_behavior.commands.neighbors import check_csv
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file
from ssl_behavior.terminal import clock_text, counted, echo, make_table, progress_bars
from ssl_behavior.units import UNITS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ssl_behavior.retrieval import FoundBouts
    from ssl_behavior.store import Store

__all__ = ["add_options", "check_options", "print_bouts"]

_BOUTS = 10


def add_options(group: "argparse._ArgumentGroup") -> None:
    """Options of the search for bouts."""
    add = group.add_argument
    add(
        "--find", metavar="SENTENCE",
        help='find bouts, such as "following > .7 and speed.resident > 20 cm/s for .5 s": attributes, numbers with '
        "units, >, <, >=, <=, between A and B, joined by and, or, not and parentheses",
    )  # fmt: skip
    add("--unit", choices=UNITS, help="find bouts of scenes, of animals, or of ordered pairs (default: scene)")
    add("-k", type=_number, metavar="N", help=f"number of bouts, spread over recordings, or: all ({_BOUTS})")
    add("--recordings", nargs="+", metavar="ID", help="search these recordings alone (ids or globs)")
    add("--csv", type=Path, metavar="FILE", help="also write the bouts to this file")


def _number(text: str) -> int:
    """Number of bouts; 0 = all."""
    if text == "all":
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of 1 or more, or all, got {text!r}")
    return int(text)


def check_options(options: argparse.Namespace) -> None:
    """Refuse options that would be ignored.

    Raises
    ------
    InputError
        Naming the option.
    """
    if options.find is None:
        for name in ("unit", "k", "recordings", "csv"):
            if getattr(options, name) is not None:
                raise InputError(f"{'-' * (1 + (len(name) > 1))}{name} is for a search: add --find, or leave it out")
        return
    if options.store is None:
        raise InputError("--find needs a STORE to search")
    for name in ("names", "figure"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} and --find are different jobs: leave one of them out")


def print_bouts(store: "Store", options: argparse.Namespace, console: "Console") -> None:
    """Search a store for a sentence, and print the bouts.

    Raises
    ------
    InputError
        If the sentence cannot be read, or the file cannot be written.
    """
    from ssl_behavior.embeddings_folder import unit_rows
    from ssl_behavior.retrieval import SentenceSearch

    check_csv(options.csv)
    recordings = store.select(options.recordings) if options.recordings else store.rows
    rows = unit_rows(recordings, options.unit or "scene", store.individuals)
    search = SentenceSearch(store, rows, programs=options.programs, others=options.others or "nearest")
    k = _BOUTS if options.k is None else options.k or None
    # A sentence that cannot be read is refused before anything is drawn.
    echo(console, search.read(options.find).meaning)
    with progress_bars(console, transient=True) as progress:
        found = search.find(options.find, k, progress=progress)
    console.print(_table(found))
    seen = f"{found.recordings:,} of {counted(found.all_recordings, 'recording')}"
    echo(console, f"The search looked at {seen}; {found.share:.2%} of their frames are in such bouts.")
    if options.csv:
        _write(options.csv, found)


def _actors(found: "FoundBouts") -> list[str]:
    """Columns of animals."""
    return [name for name in ("agent", "target") if any(getattr(row, name) for row in found.rows)]


def _table(found: "FoundBouts") -> "Table":
    """A row per bout."""
    actors, rows = _actors(found), []
    for rank, (bout, row) in enumerate(zip(found.bouts, found.rows, strict=True), 1):
        cells = [str(rank), row.recording, *(getattr(row, name) for name in actors), f"{bout.start}-{bout.stop}"]
        cells += [
            clock_text(bout.start / row.fps, 1),
            f"{(bout.stop - bout.start) / row.fps:.1f} s",
            f"{bout.margin:.3f}",
        ]
        rows.append(cells)
    columns = ["", "recording", *actors, "frames", "from", "lasts", "margin"]
    return make_table(columns, rows, text=["recording", *actors])


def _write(path: Path, found: "FoundBouts") -> None:
    """Write a line per bout; whole or not at all."""
    actors = _actors(found)
    with atomic_file(path, "csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["rank", "recording", *actors, "start_frame", "stop_frame", "start_s", "stop_s", "margin"])
        for rank, (bout, row) in enumerate(zip(found.bouts, found.rows, strict=True), 1):
            seconds: Sequence[str] = [f"{frame / row.fps:.3f}" for frame in (bout.start, bout.stop)]
            animals = [getattr(row, name) for name in actors]
            writer.writerow([rank, row.recording, *animals, bout.start, bout.stop, *seconds, f"{bout.margin:.5f}"])
