"""The verb `programs`: list task programs, check your own, and measure them on a store."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ssl_behavior.errors import InputError

__all__ = ["main"]

_SKELETON = "calms21"


def main(argv: Sequence[str]) -> int:
    """List programs, check the user's own, measure them on a store, draw them over time.

    Raises
    ------
    InputError
        For every user error; for a user's program that fails a check, the message names the program and the case.
    """
    options = _parser().parse_args(argv)
    _check(options)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.commands.programs_output import list_programs, measure_programs
    from ssl_behavior.store import Store
    from ssl_behavior.terminal import make_console

    console = make_console()
    if options.store is None:
        list_programs(options.names, options.programs, options.skeleton or _SKELETON, console)
        return 0
    store = Store(options.store)
    if not options.figure:
        measure_programs(store, options.names, options.programs, console)
        return 0
    from ssl_behavior.commands.programs_output import draw_attributes, plan_figure

    # Errors of the figure come before the long measurement.
    plan = plan_figure(store, options.recording, options.frames, options.stream, options.figure)
    draw_attributes(measure_programs(store, options.names, options.programs, console), plan)
    console.print(f"{plan.recording.id}, drawn over time: {options.figure}", soft_wrap=True, markup=False)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse options that would be ignored."""
    if options.figure and options.store is None:
        raise InputError("--figure needs a STORE to draw from")
    for name in ("recording", "frames", "stream"):
        if getattr(options, name) is not None and not options.figure:
            raise InputError(f"--{name} says what to draw: add --figure FILE, or leave it out")
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
        "statistics of their values on its recordings.",
    )
    add = parser.add_argument
    add("store", metavar="STORE", type=Path, nargs="?", help="store to measure; without it, only list the programs")
    add(
        "--names",
        nargs="+",
        default=["*"],
        metavar="NAME",
        help="programs to list or measure (names or globs; default: all)",
    )
    add("--programs", type=Path, metavar="FILE", help="Python file with your own programs; they are checked first")
    add(
        "--skeleton",
        metavar="NAME|FILE",
        help=f"without STORE: skeleton for the checks of your programs (default: {_SKELETON})",
    )
    add("--figure", type=Path, metavar="FILE", help="figure of the programs and labels over time (.png, .svg, .pdf)")
    add("--recording", metavar="ID", help="recording to draw (default: the first)")
    add("--frames", type=_frames, metavar="A:B", help="frames to draw (default: the first 3,000)")
    add("--stream", metavar="NAME", help="label stream to draw (default: the recording's first)")
    return parser
