"""`ssl-behavior neighbors`: the bouts most like those that somebody points at."""

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_behavior.terminal import counted

if TYPE_CHECKING:
    from rich.console import Console

    from ssl_behavior.embedding import Embeddings
    from ssl_behavior.retrieval import FrameIndex, NearBout
    from ssl_behavior.store import Store

__all__ = ["main"]

_KINDS = ("auto", "flat", "ivf", "ivfpq", "hnsw")


def main(argv: Sequence[str]) -> int:
    """Print the nearest bouts of a query; the index is built where there is none.

    Raises
    ------
    InputError
        For every mistake a person can mend.
    """
    options = _parser().parse_args(argv)
    # Only now what takes seconds to import: --help is answered at once.
    from ssl_behavior.embedding import Embeddings
    from ssl_behavior.retrieval import Example, Query, nearest_bouts, select_rows
    from ssl_behavior.terminal import make_console

    console, embeddings = make_console(), Embeddings(options.embeddings)
    query = Query(
        tuple(Example.parse(text) for text in options.query),
        tuple(Example.parse(text, "--unlike") for text in options.unlike),
    )
    for example in (*query.like, *query.unlike):
        example.row(embeddings)
    rows = select_rows(embeddings, options.recordings) if options.recordings else None
    store = _store(options.store, embeddings)
    index = _index(options, embeddings, console)
    bouts = nearest_bouts(index, query, options.k, rows, options.exclude_seconds)
    table = [_line(rank, bout, embeddings, store) for rank, bout in enumerate(bouts, 1)]
    _print(table, console)
    if len(bouts) < options.k:
        console.print(f"There are no more than {counted(len(bouts), 'bout')} to be found.", markup=False)
    if options.csv:
        _write_csv(options.csv, table)
    return 0


def _store(path: Path | None, embeddings: "Embeddings") -> "Store | None":
    """The store whose labels are shown."""
    from ssl_behavior.errors import InputError
    from ssl_behavior.store import Store

    if path is None:
        return None
    store = Store(path)
    if store.fingerprint() != embeddings.store:
        raise InputError(f"--store {path}: {embeddings.path} was made from another store ({embeddings.store[:12]})")
    return store


def _index(options: argparse.Namespace, embeddings: "Embeddings", console: "Console") -> "FrameIndex":
    """The index of the folder, or a new one there."""
    from ssl_behavior.retrieval import FrameIndex, build_index

    folder = options.index or options.embeddings.with_name(f"{options.embeddings.resolve().name}.index")
    space, config = _asked(options)
    if (folder / "index.json").exists() and not options.overwrite:
        index = FrameIndex.open(folder, embeddings)
        _check_asked(folder, index, space | config)
    else:
        from ssl_behavior.retrieval import IndexConfig
        from ssl_behavior.space import SpaceConfig

        with _bar(console, embeddings, config.get("stride", 1)) as advance:
            index = build_index(
                embeddings, folder, SpaceConfig(**{"unit": True} | space), IndexConfig(**config),
                overwrite=options.overwrite, progress=advance,
            )  # fmt: skip
    console.print(_described(index, folder), soft_wrap=True, markup=False)
    return index


def _asked(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was said about the space, and about the index."""
    space = {"only": tuple(options.groups), "without": tuple(options.without)}
    given = {name: value for name, value in space.items() if value}
    given |= {"unit": options.unit, "most_dims": options.dims}
    config = {name: getattr(options, name) for name in ("kind", "memory_gb", "stride", "recall", "seed")}
    return tuple({name: one for name, one in part.items() if one is not None} for part in (given, config))


_OPTIONS = {"only": "--groups", "without": "--without", "unit": "--unit", "most_dims": "--dims"}


def _check_asked(folder: Path, index: "FrameIndex", asked: dict[str, Any]) -> None:
    """Refuse an index that was built otherwise than it is asked for now."""
    from ssl_behavior.errors import InputError

    facts, space = index.facts, index.space.config
    has = {"only": space.only, "without": space.without, "unit": space.unit, "most_dims": space.most_dims}
    has |= {"stride": facts.stride, "kind": facts.kind, "recall": facts.recall_wanted, "seed": facts.seed}
    for name, value in asked.items():
        if name == "memory_gb" or value == "auto" or (name == "recall" and facts.kind == "flat"):
            continue
        if value != has[name]:
            option = _OPTIONS.get(name, f"--{name}")
            raise InputError(
                f"the index {folder} was built with another {option} ({_said(has[name])}, asked for {_said(value)}): "
                "build it again (--overwrite), or another (--index)"
            )


def _said(value: object) -> str:
    return (" ".join(value) or "none") if isinstance(value, tuple) else str(value).lower()


def _described(index: "FrameIndex", folder: Path) -> str:
    facts, kept = index.facts, index.space.config.kept(index.space.groups)
    metric = "cosine" if index.space.config.unit else "Euclidean distance"
    strided = f", every {facts.stride} frames" if facts.stride > 1 else ""
    text = (
        f"{facts.kind} index of {facts.frames:,} frames{strided} x {index.space.dim} ({', '.join(kept)}) by {metric} in "
        f"{folder}"
    )
    if not facts.recall_queries:
        return f"{text}: exact"
    text += f": finds {facts.recall:.1%} of the ten nearest frames of other moments"
    if facts.recall_by_breadth[str(facts.breadth)] < facts.recall_wanted:
        text += f", less than the {facts.recall_wanted:.0%} wanted; --kind flat finds all"
    return text


@contextmanager
def _bar(console: "Console", embeddings: "Embeddings", stride: int) -> Iterator[Callable[[int], None]]:
    """A progress bar over frames."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bar:
        total = sum(-(-row.frames // max(stride, 1)) for row in embeddings.rows)
        task = bar.add_task("learning how to index", total=total)
        yield lambda frames: bar.update(task, advance=frames, description="indexing")


def _line(rank: int, bout: "NearBout", embeddings: "Embeddings", store: "Store | None") -> dict[str, Any]:
    """A row of the table, its numbers not yet text."""
    fps = embeddings.row(bout.recording).fps
    line: dict[str, Any] = {
        "rank": rank, "recording": bout.recording, "start_frame": bout.start, "stop_frame": bout.stop,
        "start_s": bout.start / fps, "stop_s": bout.stop / fps, "nearest_frame": bout.frame, "distance": bout.distance,
    }  # fmt: skip
    return line if store is None else line | _labels(bout, store)


def _labels(bout: "NearBout", store: "Store") -> dict[str, tuple[str, float]]:
    """Label stream -> what most of the bout's frames show, and in which share of them; "" where nobody looked."""
    import numpy as np

    row, shown = store.row(bout.recording), {}
    for name, stream in store.streams.items():
        own = store.labels(name)[row.offset + bout.start : row.offset + bout.stop]
        values, counts = np.unique(own, return_counts=True)
        most = int(values[np.argmax(counts)])
        shown[name] = ("" if most < 0 else stream.vocabulary[most], float(counts.max() / len(own)))
    return shown


def _print(table: list[dict[str, Any]], console: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    printed = Table()
    for name in ("", "recording", "frames", "time", "lasts", "nearest", "distance"):
        printed.add_column(name, justify="left" if name == "recording" else "right")
    streams = [name for name, value in table[0].items() if isinstance(value, tuple)] if table else []
    for name in streams:
        printed.add_column(Text(name))
    for line in table:
        frames = f"{line['start_frame']}-{line['stop_frame']}"
        seconds = f"{line['stop_s'] - line['start_s']:.1f} s"
        cells = [str(line["rank"]), line["recording"], frames, _clock(line["start_s"]), seconds]
        cells += [str(line["nearest_frame"]), f"{line['distance']:.3f}", *(_shown(*line[name]) for name in streams)]
        # Text, not str: names in brackets are names, no markup.
        printed.add_row(*map(Text, cells))
    console.print(printed)


def _shown(behavior: str, share: float) -> str:
    return f"{behavior} {share:.0%}" if behavior else "not annotated"


def _clock(seconds: float) -> str:
    """Minutes and seconds of a recording.

    >>> _clock(3725.26)
    '62:05.3'
    """
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def _write_csv(path: Path, table: list[dict[str, Any]]) -> None:
    """A line per bout; two columns for each label stream."""
    from ssl_behavior.files import atomic_file

    with atomic_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        for line in table:
            flat: dict[str, object] = {}
            for name, value in line.items():
                flat |= (
                    {name: value[0], f"{name}_share": f"{value[1]:.4f}"} if isinstance(value, tuple) else {name: value}
                )
            for name, digits in (("start_s", 3), ("stop_s", 3), ("distance", 5)):
                flat[name] = f"{line[name]:.{digits}f}"
            if line["rank"] == 1:
                writer.writerow(flat)
            writer.writerow(flat.values())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior neighbors",
        description="Find the bouts whose embeddings are nearest to those of one's examples. An index of the embeddings "
        "is built where there is none, and kept; options on how then have to agree with it.",
    )  # fmt: skip
    add = parser.add_argument
    add("embeddings", metavar="EMBEDDINGS", type=Path, help="a folder that `ssl-behavior embed` made")
    add(
        "--query", nargs="+", action="extend", required=True, metavar="RECORDING:FRAMES",
        help="examples: RECORDING:FRAME, or a bout RECORDING:START-STOP, frames from 0, STOP no part of it",
    )  # fmt: skip
    add(
        "--unlike", nargs="+", action="extend", default=[], metavar="RECORDING:FRAMES",
        help="examples of what is not meant, such as wrong hits of a search before",
    )  # fmt: skip
    add("-k", type=int, default=10, help="how many bouts (10)")
    add("--recordings", nargs="+", metavar="ID", help="look only in these (ids or globs)")
    add(
        "--exclude-seconds", type=float, default=2.0, metavar="S",
        help="find nothing so near to an example in its own recording (2)",
    )  # fmt: skip
    add("--store", type=Path, help="the store that was embedded: shows which labels the bouts have")
    add("--csv", type=Path, metavar="FILE", help="also write the bouts there")
    _add_index(parser.add_argument_group("the index"))
    return parser


def _add_index(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--index", type=Path, metavar="DIR", help="its folder (EMBEDDINGS.index)")
    add("--overwrite", action="store_true", help="build it again")
    add(
        "--kind", choices=_KINDS,
        help="flat: exact. ivf: inverted lists. ivfpq: the same, compressed. hnsw: a graph. auto (default): flat up to "
        "500,000 frames, then ivf, or ivfpq where memory is short",
    )  # fmt: skip
    add("--memory-gb", type=float, metavar="GB", help="most that it may take (4)")
    add("--stride", type=int, metavar="N", help="index every Nth frame (1)")
    add("--recall", type=float, metavar="R", help="share of the ten nearest frames to be found (.95)")
    add("--seed", type=int, help="of what is drawn to build it (0)")
    columns = group.add_mutually_exclusive_group()
    columns.add_argument(
        "--without", nargs="+", action="extend", default=[], metavar="GROUP",
        help="leave out these columns (names or globs); without this and --groups, time is left out",
    )  # fmt: skip
    columns.add_argument(
        "--groups", nargs="+", action="extend", default=[], metavar="GROUP",
        help="compare these columns only (names or globs)",
    )  # fmt: skip
    add("--dims", type=int, metavar="N", help="project more columns on N principal components; 0 = never (128)")
    add(
        "--unit", action=argparse.BooleanOptionalAction,
        help="compare directions (cosine; default), or with --no-unit Euclidean distances",
    )  # fmt: skip
