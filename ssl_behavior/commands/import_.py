"""`ssl-behavior import`: recordings of any known format into a store."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ssl_behavior.commands import as_options
from ssl_behavior.errors import InputError
from ssl_behavior.importer import ANIMALS_FROM, ImportOptions, import_recordings
from ssl_behavior.io import FORMATS, format_titles
from ssl_behavior.io.annotation_readers import annotation_titles
from ssl_behavior.io.import_report import render
from ssl_behavior.skeleton import SKELETONS, load_skeleton
from ssl_behavior.terminal import make_console, progress_bars

__all__ = ["main", "parse_backgrounds"]


def parse_backgrounds(pairs: Sequence[str]) -> dict[str, str]:
    """Words STREAM=BEHAVIOR as a dictionary.

    Raises
    ------
    InputError
        If a word is not of this form.
    """
    backgrounds = {}
    for pair in pairs:
        stream, separator, name = pair.partition("=")
        if not (stream and separator and name):
            raise InputError(f"--background {pair}: expected STREAM=BEHAVIOR, e.g. S2=base")
        backgrounds[stream] = name
    return backgrounds


def _individuals(words: Sequence[str]) -> dict[str, str]:
    individuals: dict[str, str] = {}
    for word in words:
        new, separator, own = word.partition("=")
        if not new or (separator and not own):
            raise InputError(f"--individuals {word}: expected NAME or NEW=NAME, e.g. resident=m1")
        if new in individuals or (own or new) in individuals.values():
            raise InputError(f"--individuals names {word} twice")
        individuals[new] = own or new
    return individuals


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior import",
        description="Read tracks and annotations into one store. The content of a file decides its format: "
        + format_titles()
        + f"; annotations: {annotation_titles()}. Source files are never changed.",
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", type=Path, help="track files, or folders of them")
    parser.add_argument("--out", required=True, metavar="STORE", type=Path, help="store to write, a folder")
    parser.add_argument(
        "--format",
        default="auto",
        choices=["auto", *FORMATS],
        help="format of all files (default: detected from content)",
    )
    parser.add_argument(
        "--variant", default="", metavar="NAME",
        help="which of several DeepLabCut files of one video to take: raw, filtered, el, bx, sk, csv, h5, a part of "
        "the network's name such as shuffle2, or several joined by + (default: filtered before raw, H5 before CSV)",
    )  # fmt: skip
    parser.add_argument("--fps", type=float, metavar="F", help="frames per second, for files that do not hold it")
    parser.add_argument(
        "--px-per-cm", type=float, metavar="N",
        help="pixels per centimeter of all these recordings; task programs then measure in cm",
    )  # fmt: skip
    parser.add_argument(
        "--skeleton", metavar="NAME|FILE", help=f"skeleton: built in ({', '.join(SKELETONS)}) or a TOML file"
    )
    parser.add_argument(
        "--individuals", nargs="+", default=[], metavar="NAME|NEW=NAME",
        help="animals to import, by their names in the files, in the order of the store; NEW=NAME renames one, for "
        "example resident=m1 intruder=m2",
    )  # fmt: skip
    parser.add_argument(
        "--animals-from", choices=ANIMALS_FROM, default="columns",
        help="where animals are: columns of the tables (default), names of body parts (nose_1, nose_2), or files of "
        "one animal each (cage3_mouse1, cage3_mouse2)",
    )  # fmt: skip
    parser.add_argument(
        "--exchangeable", action=argparse.BooleanOptionalAction,
        help="whether the tracker may swap the animals (default: by their names; the report says it)",
    )  # fmt: skip
    parser.add_argument(
        "--annotations", nargs="+", default=[], metavar="PATH", type=Path, help="annotation files or folders of them"
    )
    parser.add_argument(
        "--background", nargs="+", default=[], metavar="STREAM=NAME", help="background behavior of a label stream"
    )
    _add_changes(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the store at --out")
    return parser


def _add_changes(parser: argparse.ArgumentParser) -> None:
    """Options that change points or frames."""
    parser.add_argument(
        "--keep-sentinels",
        "--keep-zeros",
        action="store_true",
        help="keep points at exactly (0, 0) or (-1, -1), which are otherwise set to missing",
    )
    parser.add_argument(
        "--min-confidence", type=float, metavar="P", help="set points with a confidence below P to missing"
    )
    parser.add_argument(
        "--resample", type=float, metavar="F",
        help="bring all recordings to F frames per second, also those whose frames have irregular times",
    )  # fmt: skip


def main(argv: list[str]) -> int:
    """Run the verb `import`; returns the exit code."""
    args = _parser().parse_args(argv)
    options = ImportOptions(
        format=args.format,
        variant=args.variant,
        fps=args.fps,
        px_per_cm=args.px_per_cm,
        skeleton=load_skeleton(args.skeleton) if args.skeleton else None,
        individuals=_individuals(args.individuals),
        exchangeable=args.exchangeable,
        animals_from=args.animals_from,
        annotations=tuple(args.annotations),
        backgrounds=parse_backgrounds(args.background),
        keep_sentinels=args.keep_sentinels,
        min_confidence=args.min_confidence,
        resample=args.resample,
        overwrite=args.overwrite,
    )
    console, stderr = make_console(), make_console(stderr=True)
    with progress_bars(stderr, transient=True) as progress:
        report = import_recordings(args.sources, args.out, options, progress)
    for part in render(report, args.out, as_options):
        console.print(part)
    return 0
