"""`ssl-behavior probe`: classification of labels from a frozen embedding, beside reference representations.

This module holds the command line only, so that `--help` and a mistyped option need no import of torch.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_behavior.errors import InputError

__all__ = ["MODES", "REFERENCE_NAMES", "ProbeConfig", "main", "parse"]

MODES = ("linear", "knn", "annotators")
REFERENCE_NAMES = ("raw", "hand", "pca", "input_means", "histograms", "untrained")


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """Options of `ssl-behavior probe`.

    Parameters
    ----------
    runs : run, checkpoint or embeddings folders; several are pretraining seeds of one encoder.
    seeds : number of probe seeds. A seed selects the sampled frames, the recordings of a label fraction, and one of
        several runs (run number seed modulo runs).
    fractions : percents of the training recordings.
    references : names of `REFERENCE_NAMES`: baselines for the encoder.
    macros : means over classes, "all" or names joined by commas; the first is the headline and selects settings.
    train_stride : every `train_stride`-th frame is a training frame.
    embeddings : cache folder for embeddings of the runs; `out`/embeddings if None.
    without : names or globs of column groups of the embedding to leave out. If "time" (distances of a frame from start
        and end of its recording) stays, the references get the same columns.
    """

    runs: tuple[Path, ...]
    store: Path
    task: str
    out: Path
    mode: str = "linear"
    split: Path | Mapping[str, Any] | None = None
    seeds: int = 5
    fractions: tuple[float, ...] = (100.0,)
    references: tuple[str, ...] = REFERENCE_NAMES
    smooth: bool = False
    macros: tuple[str, ...] = ("all",)
    kind: str | None = None
    background: str | None = None
    train_stride: int = 4
    embeddings: Path | None = None
    device: str = "auto"
    precision: str = "float32"
    without: tuple[str, ...] = ()
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"`mode` must be one of {list(MODES)}, got {self.mode!r}")
        if self.seeds < 1:
            raise InputError(f"`seeds` must be at least 1, got {self.seeds}")
        if self.train_stride < 1:
            raise InputError(f"`train_stride` must be at least 1, got {self.train_stride}")
        if not self.fractions or not all(0 < percent <= 100 for percent in self.fractions):
            raise InputError(f"`fractions` are percents above 0 and up to 100, got {list(self.fractions)}")
        if 100 not in self.fractions:
            raise InputError("`fractions` must hold 100: its probe is the one that is saved")
        unknown = [name for name in self.references if name not in REFERENCE_NAMES]
        if unknown:
            raise InputError(f"`references`: unknown {unknown}; known: all, none, or some of {list(REFERENCE_NAMES)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior probe",
        description="Fit simple heads on frozen embeddings, score them on held-out recordings, and set them beside "
        "raw keypoints, hand features, their PCA, window means of the encoder's inputs, the PCA of their windowed "
        "histograms (plain, and rotated to equal variances), and the untrained encoder.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", type=Path,
        help="run, checkpoint or embeddings folder; several are several pretraining seeds of one encoder",
    )  # fmt: skip
    parser.add_argument("store", metavar="STORE", type=Path, help="store with the labels")
    parser.add_argument(
        "--task", required=True, help="a label stream of the store, or calms21_task1, calms21_task2, calms21_task3"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for results and probe")
    parser.add_argument(
        "--mode", choices=MODES, default="linear",
        help="linear: logistic regression (default). knn: nearest neighbors. annotators: one head for all annotators "
        "of a label stream, with the annotator as an input",
    )  # fmt: skip
    parser.add_argument(
        "--split", type=Path, metavar="FILE", help='JSON {"train": [...], "validation": [...], "test": [...]}'
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default 5)")
    parser.add_argument("--fractions", default="100", help="percents of the training recordings, e.g. 1,5,25,100")
    parser.add_argument("--references", default="all", help=f"all, none, or some of {','.join(REFERENCE_NAMES)}")
    parser.add_argument("--smooth", action="store_true", help="also smooth probabilities over time, per class")
    parser.add_argument(
        "--macro", action="append", metavar="CLASSES",
        help="mean over these classes (names joined by commas, or all); repeat for more; the first selects settings",
    )  # fmt: skip
    parser.add_argument(
        "--kind", choices=("multinomial", "binary"), help="one class per frame, or each against the rest"
    )
    parser.add_argument("--background", help="the class left out of the mean over all; '' for none")
    parser.add_argument("--train-stride", type=int, default=4, metavar="N", help="train on every Nth frame (default 4)")
    parser.add_argument(
        "--embeddings", type=Path, metavar="DIR", help="keep the embeddings here, for the next probe (OUT/embeddings)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps, for the encoder")
    parser.add_argument("--precision", default="float32", help="float32, bfloat16 or auto, for the encoder")
    parser.add_argument(
        "--without", nargs="+", action="extend", default=[], metavar="GROUP",
        help="leave out these columns of the embedding (names or globs), e.g. time (the time in the recording) or "
        "'features_*' (means of the inputs, without learned weights)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    return parser


def parse(argv: Sequence[str]) -> ProbeConfig:
    """The command line as a configuration.

    Raises
    ------
    InputError
        If a value is out of range. (argparse itself exits with 2 on unknown options.)
    """
    values = vars(_parser().parse_args(argv))
    values["runs"] = tuple(values["runs"])
    values["macros"] = tuple(values.pop("macro") or ("all",))
    values["fractions"] = _percents(values["fractions"])
    values["without"] = tuple(values["without"])
    values["references"] = _names(values["references"])
    return ProbeConfig(**values)


def _percents(text: str) -> tuple[float, ...]:
    try:
        return tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        raise InputError(f"--fractions are numbers joined by commas, such as 1,5,25,100; got {text!r}") from None


def _names(text: str) -> tuple[str, ...]:
    if text in ("all", "none"):
        return REFERENCE_NAMES if text == "all" else ()
    return tuple(name.strip() for name in text.split(","))


def main(argv: Sequence[str]) -> int:
    """Run the verb; 0 on success, InputError for a user's mistake."""
    config = parse(argv)
    from probe.run import run_probe
    from ssl_behavior.commands import as_options
    from ssl_behavior.terminal import make_console

    run_probe(config, make_console(), as_options)
    return 0
