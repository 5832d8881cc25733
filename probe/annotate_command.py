"""`ssl-behavior annotate`: label recordings with a run's label heads or a saved probe."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from probe.label_predictors import Predictor
    from ssl_behavior.store import StoreRow

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the verb; 0 on success.

    Raises
    ------
    InputError
        For every mistake of the user.
    """
    options = _parser().parse_args(argv)
    # These imports take seconds, and --help needs none of them.
    from probe.annotate import open_predictor
    from ssl_behavior.device import choose_device, choose_precision
    from ssl_behavior.errors import InputError
    from ssl_behavior.files import check_free
    from ssl_behavior.terminal import make_console

    if options.minimum_bout_frames < 1:
        raise InputError(f"--minimum-bout-frames must be at least 1, got {options.minimum_bout_frames}")
    _check_learn(options)
    check_free(options.out, options.overwrite, "probe.json" if options.learn is not None else "labels.json")
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    predictor = open_predictor(options.run, options.store, options.probe, device, precision, options.last)
    if options.learn is None:
        _label(options, predictor, make_console())
    else:
        _learn(options, predictor, make_console())
    return 0


def _check_learn(options: argparse.Namespace) -> None:
    from ssl_behavior.errors import InputError

    if options.learn is not None and options.annotator:
        raise InputError("--learn makes a probe and --annotator labels with one: give one of them")
    if options.learn is not None and options.probe is None:
        raise InputError(
            "--learn adds an annotator to a probe, not to the label heads of a run: make a "
            "probe of the run with ssl-behavior probe --mode annotators, and give it with --probe DIR"
        )


def _rows(options: argparse.Namespace, predictor: "Predictor") -> "list[StoreRow]":
    return predictor.store.select(options.recordings) if options.recordings else list(predictor.store.rows)


def _label(options: argparse.Namespace, predictor: "Predictor", console: "Console") -> None:
    from rich.text import Text

    from probe.label_predictors import LabelOptions, write_labels
    from probe.pair_predictor import PairPredictor
    from ssl_behavior.commands import as_options
    from ssl_behavior.terminal import counted, progress_bars

    rows = _rows(options, predictor)
    asked = LabelOptions(
        streams=options.streams, annotator=options.annotator, balanced=options.balanced,
        min_bout_frames=options.minimum_bout_frames, actor=options.actor, media=options.media,
    )  # fmt: skip
    with progress_bars(console, transient=True) as progress:
        summary = write_labels(
            predictor, rows, options.out, asked, formats=options.format, overwrite=options.overwrite, progress=progress
        )
    console.print(summary.table())
    for note in summary.notes:
        console.print(Text(as_options(note), style="dim"), soft_wrap=True)
    style = f", as annotator {options.annotator} would label them," if options.annotator else ""
    kind = ", with agents and targets," if isinstance(predictor, PairPredictor) else ""
    labeled = f"labels of {counted(len(rows), 'recording')}{style}{kind} in {options.out}"
    console.print(labeled, soft_wrap=True, markup=False)


def _learn(options: argparse.Namespace, predictor: "Predictor", console: "Console") -> None:
    from probe.label_predictors import ProbePredictor, add_annotator_from_store
    from ssl_behavior.errors import InputError
    from ssl_behavior.terminal import counted

    if not isinstance(predictor, ProbePredictor):
        raise InputError("--learn is for labels of scenes, and this probe gives agents and targets: leave it out")
    own = add_annotator_from_store(predictor, _rows(options, predictor), options.learn, options.out, options.overwrite)
    learned = f"annotator {options.learn} learned from {counted(len(own), 'recording')}"
    console.print(f"{learned}: {options.out}", soft_wrap=True, markup=False)


def _parser() -> argparse.ArgumentParser:
    from ssl_behavior.io.annotated_recording import DEFAULT_MEDIA
    from ssl_behavior.io.annotation_writers import ANNOTATION_FORMATS, annotation_format_titles

    parser = argparse.ArgumentParser(
        prog="ssl-behavior annotate",
        description="Label recordings, with the heads of a run that learned labels (recipes joint, finetune) or with a "
        "probe of `ssl-behavior probe`. The recordings need no labels and may be in another store than the training "
        "recordings.",
    )
    parser.add_argument(
        "run", metavar="RUN", type=Path,
        help="a run or checkpoint folder; with --probe the probed run, or its embeddings of STORE",
    )  # fmt: skip
    parser.add_argument("store", metavar="STORE", type=Path)
    parser.add_argument(
        "--probe", type=Path, metavar="DIR", help="a folder with probe.json; without it, RUN needs label heads"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="new folder")
    parser.add_argument("--streams", nargs="+", default=(), metavar="NAME", help="only these labels (default: all)")
    parser.add_argument(
        "--annotator", default="", metavar="NAME",
        help="label in the style of this annotator (default: the recording's annotator, else the first learned one)",
    )  # fmt: skip
    parser.add_argument(
        "--learn", metavar="NAME",
        help="instead of labeling: write the probe to --out with this annotator too, learned from the recordings "
        "of STORE that NAME labeled (or, of those, --recordings); encoder and shared head stay unchanged",
    )  # fmt: skip
    parser.add_argument(
        "--format", nargs="+", choices=ANNOTATION_FORMATS, default=["csv"], metavar="FORMAT",
        help=f"{annotation_format_titles()} (default: csv)",
    )  # fmt: skip
    parser.add_argument(
        "--actor", default="", metavar="ANIMAL",
        help="the animal that shows behaviors without an animal in their name (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--media", default=DEFAULT_MEDIA, metavar="FILE",
        help="the videos, for formats that name them; {id} is a recording's id, {name} the last part of that "
        f"(default {DEFAULT_MEDIA})",
    )  # fmt: skip
    parser.add_argument("--recordings", nargs="+", metavar="ID", help="only these (ids or globs)")
    parser.add_argument(
        "--minimum-bout-frames", type=int, default=1, metavar="N", help="leave out bouts of fewer frames (default 1)"
    )
    parser.add_argument(
        "--balanced", action="store_true", help="assume equally frequent classes in decisions: finds more rare bouts"
    )
    parser.add_argument(
        "--last", action="store_true", help="load the newest checkpoint instead of the best on validation"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16", "auto"), default="float32", help="of the encoder (float32)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    return parser
