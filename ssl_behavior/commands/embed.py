"""The verb `embed`: one embedding per frame of a store."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_behavior.terminal import counted, echo, progress_bars

if TYPE_CHECKING:
    from rich.console import Console

    from ssl_behavior.embeddings_folder import Embeddings
    from ssl_behavior.io.taskprog_features import TaskprogFeatures
    from ssl_behavior.store import Store, StoreRow

__all__ = ["main"]

_FORMATS = ("npy", "taskprog")


def main(argv: Sequence[str]) -> int:
    """Embed a store; an interrupted export goes on when the same command is given again.

    The processes of a torchrun share the recordings.

    With `--format taskprog` the embedding is written as CalMS21's task-programming features, whole or not at all; and
    such features may be given instead of a run.

    Raises
    ------
    InputError
        For every user error.
    """
    options = _parser().parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.processes import joined
    from ssl_behavior.store import Store
    from ssl_behavior.terminal import make_console

    _check(options)
    console = make_console()
    with joined() as processes:
        features = _given_features(options.run)
        if processes.size > 1:
            _check_shared(options, features)
        store = Store(options.store)
        rows = store.select(options.recordings) if options.recordings else list(store.rows)
        if features is None:
            _embed(options, store, rows, console, processes.size)
        else:
            _read_features(options, features, store, rows, console)
    return 0


def _check_shared(options: argparse.Namespace, features: "TaskprogFeatures | None") -> None:
    from ssl_behavior.errors import InputError

    if options.format == "taskprog":
        raise InputError("--format taskprog is written by one process: start this command without torchrun")
    if features is not None:
        raise InputError(f"{options.run} holds features already, which one process reads: start without torchrun")


def _check(options: argparse.Namespace) -> None:
    from ssl_behavior.errors import InputError

    if options.format == "taskprog" and options.dtype is not None:
        raise InputError("--dtype is for --format npy: features are text that gives back float32; leave it out")
    options.dtype = options.dtype or "float16"
    if options.format == "taskprog" and options.unit != "scene":
        raise InputError(f"--unit {options.unit} is for --format npy: CalMS21's features describe scenes; leave it out")
    if options.with_self and options.unit != "pair":
        raise InputError("--with-self is for --unit pair; leave it out, or add --unit pair")


def _given_features(path: Path) -> "TaskprogFeatures | None":
    """Task-programming features at `path`, if it is neither a run nor a checkpoint."""
    from ssl_behavior.checkpoint import find_checkpoint
    from ssl_behavior.errors import InputError
    from ssl_behavior.io.taskprog_features import TaskprogFeatures

    if path.is_file():
        return TaskprogFeatures(path)
    try:
        find_checkpoint(path)
    except InputError as error:
        if not path.is_dir():
            raise
        features = TaskprogFeatures(path)
        if not features.files:
            raise InputError(f"{error}; nor are CalMS21's task-programming features in it") from None
        return features
    return None


def _embed(
    options: argparse.Namespace, store: "Store", rows: "list[StoreRow]", console: "Console", num_processes: int
) -> None:
    from ssl_behavior.checkpoint import load_checkpoint
    from ssl_behavior.device import choose_device, choose_precision, describe_device
    from ssl_behavior.embedding import embed_store, with_kept_groups

    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    method = load_checkpoint(options.run, best=not options.last).to(device)
    method, kept = with_kept_groups(method, options.without, options.groups)
    several = f" x {num_processes} processes" if num_processes > 1 else ""
    console.print(f"{counted(len(rows), 'recording')} on {describe_device(device, precision)}{several}")
    if options.format == "npy":
        with progress_bars(console) as progress:
            embeddings = embed_store(
                method, store, options.out, dtype=options.dtype, rows=rows, overwrite=options.overwrite,
                precision=precision, progress=progress, without=options.without, only=options.groups,
                unit=options.unit, with_self=options.with_self,
            )  # fmt: skip
        echo(console, _described(embeddings, options.out))
        return
    from ssl_behavior.exports.taskprog_files import plan_taskprog, write_taskprog_files

    plan = plan_taskprog(store, rows, options.out, options.overwrite)
    with progress_bars(console) as progress:
        write_taskprog_files(method, store, plan, kept, precision, progress)
    _tell_written(console, plan, kept)


def _read_features(
    options: argparse.Namespace,
    features: "TaskprogFeatures",
    store: "Store",
    rows: "list[StoreRow]",
    console: "Console",
) -> None:
    from ssl_behavior.embedding import kept_groups
    from ssl_behavior.errors import InputError
    from ssl_behavior.exports.taskprog_files import GROUP, import_taskprog

    options_given = {
        "--format taskprog": options.format == "taskprog",
        "--last": options.last,
        "--precision": options.precision != "float32",
        f"--unit {options.unit}": options.unit != "scene",
    }
    for option in (name for name, given in options_given.items() if given):
        raise InputError(f"{option} is for a run, and {options.run} holds features already: leave it out")
    kept_groups({GROUP: 1}, options.without, options.groups)
    found = features.files[0].name if len(features.files) == 1 else counted(len(features.files), "file")
    echo(console, f"task-programming features, {found}" + (f" in {options.run}" if len(features.files) > 1 else ""))
    with progress_bars(console) as progress:
        embeddings = import_taskprog(features, store, options.out, options.dtype, rows, options.overwrite, progress)
    if features.unused:
        echo(console, f"passed over {counted(features.unused, 'sequence')} of other recordings")
    echo(console, _described(embeddings, options.out))


def _described(embeddings: "Embeddings", out: Path) -> str:
    groups = _listed(embeddings.groups)
    frames = counted(len(embeddings.array), "row" if embeddings.unit != "scene" else "frame")
    return f"{frames} x {embeddings.dim} ({groups}) as {embeddings.array.dtype} in {out}"


def _listed(groups: "dict[str, int]") -> str:
    return ", ".join(f"{name} {width}" for name, width in groups.items())


def _tell_written(console: "Console", plan: "dict[Path, dict[str, list[StoreRow]]]", kept: "dict[str, int]") -> None:
    from ssl_behavior.io.taskprog_features import NO_GROUP, RELEASED_DIM

    dim = sum(kept.values())
    files = {path: [row for members in groups.values() for row in members] for path, groups in plan.items()}
    frames = sum(row.frames for rows in files.values() for row in rows)
    echo(console, f"{counted(frames, 'frame')} x {dim} ({_listed(kept)}) in")
    for path, rows in files.items():
        echo(console, f"  {path}: {counted(len(rows), 'recording')}")
    others = sum(len(groups.get(NO_GROUP, ())) for groups in plan.values())
    if others:
        echo(console, f"{counted(others, 'recording')} of no group of CalMS21: in the group {NO_GROUP!r}")
    if dim != RELEASED_DIM:
        echo(
            console,
            f"The release's features have {RELEASED_DIM} columns, and tools made for them may expect as many; these "
            f"have {dim}. --groups chooses columns",
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior embed",
        description="Write one embedding per frame of every recording of a store. In place of a run, RUN may be "
        "CalMS21's task-programming features (taskprog_features_X.json, a folder with such files, a zip of the "
        "release, or X_features.npy from the official converter with --parse_treba). They become an embeddings folder "
        "like any other, for example for ssl-behavior probe.",
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", type=Path, help="run or checkpoint folder, or features, see above")
    parser.add_argument("store", metavar="STORE", type=Path)
    parser.add_argument(
        "--out", type=Path, required=True,
        help="embeddings folder to write; with --format taskprog a .json file for all recordings, or a folder (it may "
        "hold the tracks already) with one file per file of CalMS21: taskprog_features_X.json for calms21_X.json",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=_FORMATS, default="npy",
        help="npy: an embeddings folder (default). taskprog: JSON like CalMS21's task-programming features, with the "
        "groups and sequences of its tracks; cannot be resumed",
    )  # fmt: skip
    parser.add_argument(
        "--dtype", choices=("float16", "float32"), help="number type on disk, for --format npy (default: float16)"
    )
    parser.add_argument(
        "--recordings", nargs="+", metavar="ID", help="recordings to embed (ids or globs; default: all)"
    )
    parser.add_argument(
        "--unit", choices=("scene", "animal", "pair"), default="scene",
        help="what a row describes: the scene of all animals (default), one animal among the others (a row for each "
        "animal of a frame), or an agent and a target (a row for each ordered pair of animals)",
    )  # fmt: skip
    parser.add_argument(
        "--with-self", action="store_true",
        help="with --unit pair, also each animal with itself, for what it directs at itself",
    )  # fmt: skip
    columns = parser.add_mutually_exclusive_group()
    columns.add_argument(
        "--without", nargs="+", action="extend", default=[], metavar="GROUP",
        help="column groups to leave out (names or globs; `ssl-behavior info RUN` lists them), e.g. 'features_*' time",
    )  # fmt: skip
    columns.add_argument(
        "--groups", nargs="+", action="extend", default=[], metavar="GROUP",
        help="column groups to write (names or globs), e.g. summary, or posterior after task programming; a "
        "convolutional encoder also has groups that are not learned: features_N_frames (means of its inputs over "
        "about N frames), time and walls",
    )  # fmt: skip
    parser.add_argument("--last", action="store_true", help="use the newest checkpoint, not the best on validation")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16", "auto"), default="float32",
        help="number type of the computation; bfloat16 is faster, with about two correct digits (default: float32)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    return parser
