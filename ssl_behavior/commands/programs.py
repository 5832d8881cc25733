"""The verb `programs`: list task programs, check your own, measure them on a store, and find bouts by them."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ssl_behavior.commands import as_options
from ssl_behavior.commands.programs_bouts import add_options, check_options, print_bouts
from ssl_behavior.commands.programs_figure import Measured, draw_attributes, plan_figure
from ssl_behavior.errors import InputError
from ssl_behavior.terminal import counted, make_table

if TYPE_CHECKING:
    from rich.console import Console

    from ssl_behavior.programs import Program, ProgramsConfig, ProgramSet
    from ssl_behavior.skeleton import Skeleton
    from ssl_behavior.store import Store
    from ssl_behavior.windows import WindowReader


__all__ = ["main"]


_SKELETON = "calms21"


def main(argv: Sequence[str]) -> int:
    """List programs, check the user's own, measure them on a store, draw them over time, find bouts by a sentence.

    Raises
    ------
    InputError
        For every user error; for a user's program that fails a check, the message names the program and the case.
    """
    options = _parser().parse_args(argv)
    _check(options)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.store import Store
    from ssl_behavior.terminal import make_console

    console = make_console()
    if options.store is None:
        list_programs(options.names or ["*"], options.programs, options.skeleton or _SKELETON, console)
        return 0
    store = Store(options.store)
    if options.find is not None:
        print_bouts(store, options, console)
        return 0
    names = options.names or ["*"]
    if not options.figure:
        measure_programs(store, names, options.programs, console, options.others or "nearest")
        return 0

    # Errors of the figure come before the long measurement.
    plan = plan_figure(store, options.recording, options.frames, options.stream, options.figure)
    measured = measure_programs(store, names, options.programs, console, options.others or "nearest")
    draw_attributes(measured, plan)
    console.print(f"{plan.recording.id}, drawn over time: {options.figure}", soft_wrap=True, markup=False)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse options that would be ignored."""
    check_options(options)
    if options.figure and options.store is None:
        raise InputError("--figure needs a STORE to draw from")
    for name in ("recording", "frames", "stream"):
        if getattr(options, name) is not None and not options.figure:
            raise InputError(f"--{name} says what to draw: add --figure FILE, or leave it out")
    if options.others is not None and options.store is None:
        raise InputError("--others says toward whom the animals of a STORE are measured: add a STORE, or leave it out")
    if options.skeleton is not None and options.store is not None:
        raise InputError("--skeleton is for a run without STORE: a store has its own skeleton; leave one of them out")
    if options.skeleton is not None and options.programs is None:
        raise InputError("--skeleton applies to the check of your own programs: add --programs FILE, or leave it out")


def _frames(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise argparse.ArgumentTypeError(f"expected FIRST:LAST, e.g. 0:3000, got {text!r}")
    return int(first), int(last)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior programs",
        description="List the task programs: functions of pose that can supervise an encoder. With a STORE, also print "
        "statistics of their values on its recordings, or find bouts that a sentence about them describes.",
    )
    add = parser.add_argument
    add("store", metavar="STORE", type=Path, nargs="?", help="store to measure; without it, only list the programs")
    add(
        "--names",
        nargs="+",
        metavar="NAME",
        help="programs to list or measure (names or globs; default: all)",
    )
    add("--programs", type=Path, metavar="FILE", help="Python file with your own programs; they are checked first")
    add(
        "--skeleton",
        metavar="NAME|FILE",
        help=f"without STORE: skeleton for the checks of your programs (default: {_SKELETON})",
    )
    add(
        "--others",
        choices=("nearest", "each"),
        help="of three animals or more, measure programs toward the nearest other animal, or toward each "
        "(default: nearest)",
    )
    add("--figure", type=Path, metavar="FILE", help="figure of the programs and labels over time (.png, .svg, .pdf)")
    add("--recording", metavar="ID", help="recording to draw (default: the first)")
    add("--frames", type=_frames, metavar="A:B", help="frames to draw (default: the first 3,000)")
    add("--stream", metavar="NAME", help="label stream to draw (default: the recording's first)")
    add_options(parser.add_argument_group("bouts"))
    return parser


_FPS = 30.0
_SHOWN_QUANTILES = (0.05, 0.5, 0.95)


def list_programs(names: Sequence[str], file: Path | None, skeleton: str, console: "Console") -> None:
    """Print one line for each program that `names` choose; programs of `file` are checked first.

    Raises
    ------
    InputError
        If a name matches nothing, or the file or one of its programs is not acceptable.
    """

    from ssl_behavior.programs import PROGRAMS, load_programs
    from ssl_behavior.skeleton import load_skeleton

    config = _config(names, file)
    own = load_programs(file)[0] if file else {}
    chosen = {name: (PROGRAMS | own)[name] for name in config.names}
    checked, unable = _checked([entry for name, entry in chosen.items() if name in own], load_skeleton(skeleton))
    columns = ("program", "of", "units", "unchanged by", "what it measures")
    console.print(make_table(columns, map(_described, chosen.values()), text=columns))
    for name, reason in unable.items():
        console.print(f"{name} cannot run on {skeleton}, and was not checked: {reason}", markup=False, soft_wrap=True)
    if own:
        summary = f"{file}: {counted(len(checked), 'program')} of your own passed all checks"
        summary += f"; {len(unable)} cannot run on {skeleton} (--skeleton names another)" if unable else ""
        others = len(own) - len(checked) - len(unable)
        summary += f"; {others} not chosen by --names" if others else ""
        console.print(summary, markup=False, soft_wrap=True)


def _checked(entries: "Sequence[Program]", skeleton: "Skeleton") -> tuple[list[str], dict[str, str]]:
    """Programs that passed all checks; for those that need a role or an animal that the skeleton lacks, what it is."""
    from ssl_behavior.programs import MissingOther, MissingRole, check_program

    checked: list[str] = []
    unable: dict[str, str] = {}
    for entry in entries:
        try:
            check_program(entry, skeleton, _FPS)
        except MissingRole as error:
            unable[entry.name] = str(error)
        except MissingOther:
            unable[entry.name] = "it needs another animal, and the skeleton names one"
        else:
            checked.append(entry.name)
    return checked, unable


def _described(entry: "Program") -> tuple[str, ...]:
    facts = entry.facts
    of = "the pair" if not facts.each_animal else "each animal to another" if entry.needs_other else "each animal"
    return facts.name, of, facts.units, ", ".join(facts.invariant) or "nothing", facts.description


def measure_programs(
    store: "Store",
    names: Sequence[str],
    file: Path | None,
    console: "Console",
    others: Literal["nearest", "each"] = "nearest",
) -> Measured:
    """Fit the programs to all recordings of a store, and print a table of their values.

    Parameters
    ----------
    others : of three animals or more, toward which other one, see `ProgramsConfig`.

    Raises
    ------
    InputError
        If the store is damaged, its recordings differ in frame rate, a name matches nothing, or a user's program
        is not acceptable.
    """

    from ssl_behavior.programs import ProgramSet
    from ssl_behavior.store import common_fps
    from ssl_behavior.windows import WindowReader

    reader = WindowReader([(store, row) for row in store.rows], 1)
    fps = common_fps(store.rows, "import those of each rate into a store of its own")
    programs = ProgramSet(replace(_config(names, file), others=others), store.skeleton, fps)
    programs.fit(reader)
    for notice in programs.notices:
        console.print(as_options(notice), markup=False, soft_wrap=True)
    columns = ("attribute", "known", "5 %", "median", "95 %", "classes split at", "units")
    console.print(make_table(columns, _measured_rows(programs, reader), counted(len(store), "recording")))
    return Measured(store, programs)


def _config(names: Sequence[str], file: Path | None) -> "ProgramsConfig":
    from ssl_behavior.programs import ProgramsConfig, with_programs_of

    known = with_programs_of(ProgramsConfig(), file) if file else ProgramsConfig()
    return replace(known, names=tuple(names))


def _measured_rows(programs: "ProgramSet", reader: "WindowReader") -> list[tuple[str, ...]]:
    """One row per attribute: share of frames known, quantiles over at most some 400,000 frames, thresholds, units."""
    import torch

    values = torch.cat([programs.measure(batch)[0] for batch in reader.pieces()])
    rows = []
    for column, (name, units) in enumerate(zip(programs.names, programs.units, strict=True)):
        known = values[:, column][values[:, column].isfinite()]
        # Of an attribute that is known nowhere there are no quantiles.
        levels = ["-"] * len(_SHOWN_QUANTILES)
        if len(known):
            some = known[:: max(1, len(known) // 100_000)]
            levels = [f"{level:.3g}" for level in some.quantile(known.new_tensor(_SHOWN_QUANTILES)).tolist()]
        splits = [edge for edge in programs.thresholds[column].tolist() if edge < torch.finfo(torch.float32).max]
        if not programs.informative[column]:
            splits = []
        shares = f"{len(known) / len(values):.0%}"
        rows.append((name, shares, *levels, ", ".join(f"{edge:.3g}" for edge in splits), units))
    return rows
