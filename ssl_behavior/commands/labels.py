"""The verb `labels`: changes of a store's label streams without a new import."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl_behavior.label_changes import LabelChange

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the verb; 0 on success.

    Raises
    ------
    InputError
        For every user error.
    """
    options = _parser().parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.commands import as_options
    from ssl_behavior.terminal import echo, make_console

    console = make_console()
    change = _ACTIONS[options.action](options)
    for notice in change.notices:
        echo(console, f"  - {as_options(notice)}")
    echo(console, f"{change.sentence}: {options.store}")
    return 0


def _add(options: argparse.Namespace) -> "LabelChange":
    from ssl_behavior.commands.import_ import parse_backgrounds
    from ssl_behavior.label_changes import add_labels

    return add_labels(options.store, options.files, parse_backgrounds(options.background), options.overwrite)


def _rename(options: argparse.Namespace) -> "LabelChange":
    from ssl_behavior.errors import InputError
    from ssl_behavior.label_changes import rename_behavior, rename_stream

    stream, separator, behavior = options.old.partition(":")
    if not separator:
        return rename_stream(options.store, stream, options.new, options.recordings)
    if options.recordings:
        raise InputError("--recordings is for streams: a behavior has one name in all recordings; leave it out")
    return rename_behavior(options.store, stream, behavior, options.new)


def _merge(options: argparse.Namespace) -> "LabelChange":
    from ssl_behavior.label_changes import merge_behaviors

    return merge_behaviors(options.store, options.stream, options.behaviors, options.into)


def _drop(options: argparse.Namespace) -> "LabelChange":
    from ssl_behavior.label_changes import drop_streams

    return drop_streams(options.store, options.streams)


def _undo(options: argparse.Namespace) -> "LabelChange":
    from ssl_behavior.label_changes import undo_change

    return undo_change(options.store)


_ACTIONS: dict[str, Callable[[argparse.Namespace], "LabelChange"]] = {
    "add": _add,
    "rename": _rename,
    "merge": _merge,
    "drop": _drop,
    "undo": _undo,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior labels",
        description="Change the label streams of a store without a new import. A change is made whole or not at all, "
        "and `labels undo STORE` takes the newest one back.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    add = actions.add_parser("add", help="add labels from annotation files, matched by recording name")
    add.add_argument("store", metavar="STORE", type=Path)
    add.add_argument("files", metavar="FILE", nargs="+", type=Path, help="annotation files or folders of them")
    add.add_argument(
        "--background", nargs="+", default=[], metavar="STREAM=NAME", help="background behavior of a label stream"
    )
    add.add_argument("--overwrite", action="store_true", help="replace labels that a recording has already")

    rename = actions.add_parser("rename", help="rename a stream, or a behavior (STREAM:BEHAVIOR)")
    rename.add_argument("store", metavar="STORE", type=Path)
    rename.add_argument("old", metavar="STREAM[:BEHAVIOR]")
    rename.add_argument("new", metavar="NAME")
    rename.add_argument(
        "--recordings", nargs="+", default=(), metavar="ID", help="rename the stream of these only (ids or globs)"
    )

    merge = actions.add_parser("merge", help="make several behaviors of a stream one")
    merge.add_argument("store", metavar="STORE", type=Path)
    merge.add_argument("stream", metavar="STREAM")
    merge.add_argument("behaviors", metavar="BEHAVIOR", nargs="+")
    merge.add_argument("--into", required=True, metavar="NAME", help="name of the merged behavior")

    drop = actions.add_parser("drop", help="take streams out of the store")
    drop.add_argument("store", metavar="STORE", type=Path)
    drop.add_argument("streams", metavar="STREAM", nargs="+")

    undo = actions.add_parser("undo", help="take the newest change back")
    undo.add_argument("store", metavar="STORE", type=Path)
    return parser
