"""`ssl-behavior pretrain`: command line and job. Heavy imports wait until the options are read."""

import argparse
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ssl_behavior.errors import InputError

__all__ = ["Options", "main", "parse_options"]

_DOTTED = re.compile(r"--((?:method|data|optim|loop)(?:\.\w+)+)(?:=(.*))?", re.DOTALL)
_EPILOG = """\
Every value of the configuration has an option: --method.KEY, --data.KEY, --optim.KEY, --loop.KEY, each followed by
its value; lists are written 4,8,16. --print-config shows all of them with their values, in the form --config reads.
Named options win over dotted ones, those over --config, that over the recipe. With --resume alone, the run's own
configuration is taken.
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line. `overrides`: dotted key of the configuration -> text, or a list of texts."""

    stores: list[Path]
    out: Path | None
    recipe: str | None
    config: Path | None
    programs: Path | None
    split: Path | None
    resume: bool
    print_config: bool
    overrides: dict[str, str | list[str]]


def parse_options(argv: Sequence[str]) -> Options:
    """Read the arguments of `ssl-behavior pretrain`.

    Raises
    ------
    InputError
        If an option has no value, or what every run needs is not there.
    """
    rest, dotted = _split(argv)
    values = vars(_parser().parse_args(rest))
    own = {field.name: values.pop(field.name) for field in fields(Options) if field.name != "overrides"}
    named = {key: value for key, value in values.items() if value is not None}
    options = Options(**own, overrides=dotted | named)
    if not options.print_config and options.out is None:
        raise InputError("--out RUN is missing: the folder to train into")
    if not options.print_config and not options.stores and not options.resume:
        raise InputError("name at least one store to train on (made by ssl-behavior import or simulate)")
    return options


def _split(argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Split dotted options (key -> value; one value each) from all other arguments."""
    rest: list[str] = []
    dotted: dict[str, str] = {}
    arguments = deque(argv)
    while arguments:
        argument = arguments.popleft()
        found = _DOTTED.fullmatch(argument)
        if found is None:
            rest.append(argument)
            continue
        value = found[2]
        if value is None:
            if not arguments:
                raise InputError(f"--{found[1]} needs a value")
            value = arguments.popleft()
        if _is_number(value) and arguments and _is_number(arguments[0]) and not Path(arguments[0]).exists():
            raise InputError(f"--{found[1]} takes one value; lists are written with commas: {value},{arguments[0]}")
        dotted[found[1]] = value
    return rest, dotted


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior pretrain",
        description="Train an encoder on pose tracks without labels.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument

    def add_names(option: str, key: str, metavar: str, text: str) -> None:
        add(option, dest=key, metavar=metavar, nargs="+", help=text)

    add("stores", metavar="STORE", nargs="*", type=Path, help="stores with the recordings; one skeleton for all")
    add("--out", metavar="RUN", type=Path, help="the run's folder: configuration, metrics and checkpoints")
    add("--recipe", metavar="NAME", help="where the configuration starts (default: summaries); a wrong name lists them")
    add("--config", metavar="FILE", type=Path, help="YAML or JSON with keys to change; a run's config.json repeats it")
    add("--resume", action="store_true", help="continue an interrupted run, bit for bit; begin it if there is none")
    add("--print-config", action="store_true", help="print the whole configuration and stop")
    units = "what the encoder learns to describe: scene (default), animal, pair; several by turns"
    add_names("--units", "method.units", "UNIT", units)
    add("--steps", metavar="N", help="number of training steps")
    add("--seed", metavar="N", help="seed of all random numbers")
    add("--device", metavar="NAME", help="auto, cpu, cuda or mps")
    add("--precision", metavar="NAME", help="auto (bfloat16 where the machine is fast at it), float32 or bfloat16")
    add_names("--recordings", "data.recordings", "ID", "train and validate on these ids or globs only")
    add_names("--subset", "data.subsets", "NAME", "only recordings of these subsets of the stores")
    programs = "your own programs (a Python file), for summaries and the recipes of task programming"
    add("--programs", metavar="FILE", type=Path, help=programs)
    add_names("--validation", "data.validation", "ID", "ids or globs of the recordings to hold out")
    add_names("--labeled", "data.labeled", "ID", "learn from the labels of these recordings (ids or globs; joint)")
    add("--split", metavar="FILE", type=Path, help="learn from the labels of the train part of a split (joint)")
    add_names("--streams", "data.streams", "NAME", "learn these label streams only (joint)")
    add("--init", metavar="RUN", help="start from the encoder of this run or checkpoint")
    share = "hold out this share of the recordings instead; 0: none"
    add("--validation-share", dest="data.validation_share", metavar="SHARE", help=share)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the job.

    Raises
    ------
    InputError
        For every mistake in options, configuration, stores or folders.
    SystemExit
        128 + the number of the signal that stopped it: 130 for Ctrl-C, 143 for SIGTERM.
    """
    options = parse_options(argv)
    # These imports take seconds: --help and mistakes in the arguments come before them.
    from pretrain.config_sources import config_as_yaml, resolve_config, resolve_stores
    from pretrain.run import train
    from ssl_behavior.commands import as_options
    from ssl_behavior.terminal import make_console

    console = make_console()
    config = resolve_config(options)
    if options.print_config:
        console.print(config_as_yaml(config), end="", markup=False, highlight=False, soft_wrap=True)
        return 0
    assert options.out is not None
    train(config, resolve_stores(options), options.out, options.resume, console, as_options)
    return 0
