"""`ssl-behavior programs`: which task programs there are, and what they say of one's own recordings."""

import argparse
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """List programs, check one's own, measure them on a store, draw them over time.

    Raises
    ------
    InputError
        For every mistake a person can mend; a program of one's own that breaks its contract is named with the case.
    """
    options = _parser().parse_args(argv)
    # Only now what takes seconds to import: --help is answered at once.
    from ssl_behavior.commands.programs_table import list_programs, measure_programs
    from ssl_behavior.errors import InputError
    from ssl_behavior.terminal import make_console

    console = make_console()
    if options.store is None:
        if options.figure:
            raise InputError("--figure needs a STORE to draw from")
        list_programs(options.programs, options.skeleton, console)
        return 0
    measured = measure_programs(options.store, options.names, options.programs, console)
    if options.figure:
        from ssl_behavior.commands.programs_figure import draw_attributes

        recording = options.recording or measured.store.rows[0].id
        draw_attributes(measured, recording, options.frames, options.stream, options.figure)
        console.print(f"{recording}, drawn over time: {options.figure}", soft_wrap=True, markup=False)
    return 0


def _frames(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise argparse.ArgumentTypeError(f"expected FIRST:LAST, e.g. 0:3000, got {text!r}")
    return int(first), int(last)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior programs",
        description="List the task programs: small functions of pose that can teach an encoder. With a STORE, say what "
        "they measure on its recordings.",
    )
    add = parser.add_argument
    add("store", metavar="STORE", type=Path, nargs="?", help="recordings to measure; none: only list the programs")
    add("--names", nargs="+", default=["*"], metavar="NAME", help="only these programs (names or globs)")
    add("--programs", type=Path, metavar="FILE", help="a Python file with one's own programs, which are checked")
    add("--skeleton", default="calms21", metavar="NAME", help="without STORE: what one's own are checked on (calms21)")
    add("--figure", type=Path, metavar="FILE", help="draw the programs over time beside the labels (.png, .svg, .pdf)")
    add("--recording", metavar="ID", help="what to draw (default: the first)")
    add("--frames", type=_frames, metavar="A:B", help="draw these frames (default: at most the first 3,000)")
    add("--stream", metavar="NAME", help="the label stream to draw (default: the first the recording has)")
    return parser
