"""`ssl-behavior benchmark`: every system on every task, beside the published scores.

This module holds the command line only, so that `--help` and a mistyped option need no import of torch.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_behavior.errors import InputError

__all__ = ["BenchmarkConfig", "main", "parse"]


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Options of `ssl-behavior benchmark`.

    Parameters
    ----------
    source : folder of the CalMS21 release ("calms21"), or a store.
    tables : tables of the paper (calms21); () = all four.
    tasks, new_tasks : label streams of the kind of Task 1, and of Task 3 (store).
    macros : task -> means over classes, the first is the headline (store).
    split : split file of the store; None = the store's subsets.
    systems : names of systems; () = all systems that fit the tasks.
    curves : names of systems with results over the number of labeled recordings.
    curve_recordings : numbers of labeled recordings; () = 1, 2, 4, 8 ... and all.
    seeds : number of seeds; 0 = the effort's.
    own_seeds : system -> its own number of seeds.
    pretrained : recipe -> existing runs instead of new ones.
    transductive : encoders may see the tracks, never the labels, of scored recordings.
    ensembles : also score the mean of all seeds of every system.
    hashes : compute the MD5 sums of the release's zip files.
    device, precision : of all trainings, of embeddings, and of predictions by end-to-end systems.

    Raises
    ------
    InputError
        If a number is out of range, a store is given no task, or an option is for the other layout.
    """

    source: Path
    layout: str
    out: Path
    tables: tuple[int, ...] = ()
    tasks: tuple[str, ...] = ()
    new_tasks: tuple[str, ...] = ()
    macros: tuple[tuple[str, tuple[str, ...]], ...] = ()
    split: Path | None = None
    systems: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    curve_recordings: tuple[int, ...] = ()
    seeds: int = 0
    own_seeds: tuple[tuple[str, int], ...] = ()
    effort: str = "full"
    pretrained: tuple[tuple[str, tuple[Path, ...]], ...] = ()
    transductive: bool = False
    ensembles: bool = False
    hashes: bool = False
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        if self.seeds < 0:
            raise InputError(f"--seeds must be 0 (as many as --effort says) or more, got {self.seeds}")
        if few := [name for name, count in self.own_seeds if count < 1]:
            raise InputError(f"--seeds {few[0]}=...: a system needs 1 seed or more; leave it out with --systems")
        if self.curve_recordings and not self.curves:
            raise InputError("--curve-recordings is for the systems of --curves: name some")
        if self.curve_recordings and min(self.curve_recordings) < 1:
            raise InputError(f"--curve-recordings are numbers of 1 or more, got {min(self.curve_recordings)}")
        if unknown := sorted(set(self.tables) - {1, 2, 3, 4}):
            raise InputError(f"--tables: the paper has 1, 2, 3 and 4, got {unknown[0]}")
        for option, value in _options_of_others(self).items():
            if value:
                other = "store" if self.layout == "calms21" else "calms21"
                raise InputError(f"--{option} is for the layout {other}; leave it out with {self.layout}")
        if self.layout == "store" and not (self.tasks or self.new_tasks):
            raise InputError("name at least one label stream of the store: --task S1, or --new-task S2")


def _options_of_others(config: BenchmarkConfig) -> dict[str, object]:
    """Options of the other layout, and their values, which must be empty."""
    if config.layout == "calms21":
        return {
            "task": config.tasks, "new-task": config.new_tasks, "macro": config.macros, "split": config.split,
        }  # fmt: skip
    return {"tables": config.tables, "hashes": config.hashes}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior benchmark",
        description="Run every system of the CalMS21 paper and every one of ours on the release, or on a labeled "
        "store, beside the published scores. Finished systems are not run again.",
    )
    add = parser.add_argument
    add("layout", choices=("calms21", "store"), help="kind of SOURCE")
    add("source", metavar="SOURCE", type=Path, help="folder with the release's zips (or unpacked), or a store")
    add("--out", required=True, type=Path, metavar="DIR", help="folder for runs, predictions and results")
    add("--tables", default="", metavar="NUMBERS", help="calms21: tables of the paper (1,2,3,4)")
    add("--task", action="append", default=[], metavar="STREAM", help="store: exclusive classes, like Task 1; repeat")
    add(
        "--new-task", action="append", default=[], metavar="STREAM",
        help="store: rare behaviors, each against the rest, like Task 3; repeat",
    )  # fmt: skip
    add(
        "--macro", action="append", default=[], metavar="STREAM=CLASSES",
        help="store: mean over these classes of a stream (names joined by commas, or all); the first is the headline",
    )  # fmt: skip
    add("--split", type=Path, metavar="FILE", help="store: a split file, as for probe")
    add("--systems", default="all", help="names joined by commas; a wrong one lists them")
    add(
        "--curves", default="", metavar="SYSTEMS",
        help="also results over the number of labeled recordings, of these systems (names joined by commas)",
    )  # fmt: skip
    add(
        "--curve-recordings", default="", metavar="NUMBERS",
        help="numbers of labeled recordings for --curves, such as 1,4,16; default: 1, 2, 4, 8 ... and all",
    )  # fmt: skip
    add(
        "--seeds", default="0", metavar="N[,SYSTEM=N]",
        help="number of seeds; 0 (default): as --effort says; fewer seeds for slow systems: 5,msg3d=1",
    )  # fmt: skip
    add(
        "--effort", default="full", metavar="NAME",
        help="full (default): the papers' settings, 5 seeds; laptop: two cores and a night, 3; minutes: a trial, 1",
    )  # fmt: skip
    add(
        "--pretrained", action="append", default=[], metavar="RECIPE=RUN[,RUN]",
        help="use these runs, one per pretraining seed, instead of pretraining",
    )  # fmt: skip
    add("--transductive", action="store_true", help="encoders may see the tracks of the recordings that are scored")
    add("--ensembles", action="store_true", help="another row for every system: the mean of all its seeds")
    add("--hashes", action="store_true", help="calms21: compute the MD5 sums of the zips, too")
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    add("--precision", default="auto", help="auto (bfloat16 on machines with fast bfloat16), float32 or bfloat16")
    return parser


def parse(argv: Sequence[str]) -> BenchmarkConfig:
    """The command line as a configuration.

    Raises
    ------
    InputError
        If a value is out of range. (argparse itself exits with 2 on unknown options.)
    """
    values = vars(_parser().parse_args(argv))
    values["seeds"], values["own_seeds"] = _seeds(values["seeds"])
    for option in ("tables", "curve_recordings"):
        values[option] = _numbers(option, values[option]) if values[option] else ()
    values["tasks"], values["new_tasks"] = tuple(values.pop("task")), tuple(values.pop("new_task"))
    values["macros"] = _pairs("--macro", values.pop("macro"), "STREAM=CLASSES")
    values["systems"] = () if values["systems"] == "all" else tuple(values["systems"].split(","))
    values["curves"] = tuple(values["curves"].split(",")) if values["curves"] else ()
    runs = _pairs("--pretrained", values["pretrained"], "RECIPE=RUN[,RUN]")
    values["pretrained"] = tuple(
        (name, tuple(Path(run) for text in texts for run in text.split(","))) for name, texts in runs
    )
    return BenchmarkConfig(**values)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        name = option.replace("_", "-")
        raise InputError(f"--{name} are numbers joined by commas, such as 1,4; got {text!r}") from None


def _seeds(text: str) -> tuple[int, tuple[tuple[str, int], ...]]:
    """The number of seeds, and systems with their own numbers, from "5,msg3d=1"."""
    pieces = [piece.rpartition("=") for piece in text.split(",")]
    try:
        numbers = [(name, int(count)) for name, equals, count in pieces if name or not equals]
    except ValueError:
        numbers = []
    common = [count for name, count in numbers if not name]
    own = dict(pair for pair in numbers if pair[0])
    if len(numbers) != len(pieces) or len(common) > 1 or len(common) + len(own) != len(numbers):
        raise InputError(f"--seeds is a number, and systems with numbers of their own, such as 5,msg3d=1; got {text!r}")
    return (common or [0])[0], tuple(own.items())


def _pairs(option: str, texts: Sequence[str], form: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Repeated NAME=VALUE, as NAME -> values in order."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InputError(f"{option} is written {form}, got {text!r}")
        found.setdefault(name, []).append(value)
    return tuple((name, tuple(values)) for name, values in found.items())


def main(argv: Sequence[str]) -> int:
    """Run the verb; 0 on success, InputError for a user's mistake."""
    config = parse(argv)
    from probe.calms21.run import run_benchmark
    from ssl_behavior.commands import as_options
    from ssl_behavior.terminal import make_console

    run_benchmark(config, make_console(), as_options)
    return 0
