"""`ssl-behavior neighbors`: the bouts most similar to examples."""

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_behavior.files import atomic_file
from ssl_behavior.terminal import clock_text, counted, make_table, progress_bars

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings
    from ssl_behavior.retrieval import FrameIndex, NearBout
    from ssl_behavior.row_labels import RowLabels
    from ssl_behavior.store import Store

__all__ = ["check_csv", "main"]

_KINDS = ("auto", "flat", "ivf", "ivfpq", "hnsw")


def main(argv: Sequence[str]) -> int:
    """Print the nearest bouts of a query; build the index where there is none.

    Raises
    ------
    InputError
        For every mistake of the user.
    """
    options = _parser().parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.bouts import Span
    from ssl_behavior.embeddings_folder import Embeddings
    from ssl_behavior.retrieval import Query, example_of, nearest_bouts, searchable
    from ssl_behavior.row_labels import stream_labels
    from ssl_behavior.terminal import make_console

    console, embeddings = make_console(), Embeddings(options.embeddings)

    def example(text: str, argument: str) -> Span:
        return example_of(Span.parse(text, argument), embeddings, options.agent, options.target)

    query = Query(
        tuple(example(text, "query") for text in options.query),
        tuple(example(text, "unlike") for text in options.unlike),
    )
    rows = embeddings.select(options.recordings) if options.recordings else embeddings.rows
    # Checks come before an index is built.
    searchable(embeddings, query, options.k, rows, options.exclude_seconds)
    check_csv(options.csv)
    store = _store(options.store, embeddings)
    index = _index(options, embeddings, console)
    bouts = nearest_bouts(index, query, options.k, rows, options.exclude_seconds)
    labels = [] if store is None else stream_labels(store, [embeddings.row(bout.recording) for bout in bouts])
    lines = [line_of(rank, bout, embeddings, labels) for rank, bout in enumerate(bouts, 1)]
    console.print(bouts_table(lines))
    if len(bouts) < options.k:
        console.print(f"The search finds {counted(len(bouts), 'bout')} only.", markup=False)
    if options.csv:
        write_bouts(options.csv, lines)
    return 0


def check_csv(path: Path | None) -> None:
    """Check that the file can be written."""
    from ssl_behavior.errors import InputError
    from ssl_behavior.files import check_free

    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{path} is a folder: choose another --csv")
    check_free(path, overwrite=True, argument="csv")


def _store(path: Path | None, embeddings: "Embeddings") -> "Store | None":
    """The store with the labels of the hits."""
    from ssl_behavior.errors import InputError
    from ssl_behavior.store import Store

    if path is None:
        return None
    store = Store(path)
    if store.fingerprint() != embeddings.store:
        raise InputError(f"--store {path}: {embeddings.path} was embedded from another store ({embeddings.store[:12]})")
    return store


def _index(options: argparse.Namespace, embeddings: "Embeddings", console: "Console") -> "FrameIndex":
    """Open the index, or build it."""
    from ssl_behavior.retrieval import FrameIndex, build_index, index_beside

    folder = options.index or index_beside(options.embeddings)
    space, config = _settings(options)
    if (folder / "index.json").exists() and not options.overwrite:
        index = FrameIndex.open(folder, embeddings)
        _check_settings(folder, index, space | config)
    else:
        from ssl_behavior.embedding_space import SpaceConfig
        from ssl_behavior.retrieval import IndexConfig

        with progress_bars(console) as progress:
            index = build_index(
                embeddings, folder, SpaceConfig(**{"unit": True} | space), IndexConfig(**config),
                overwrite=options.overwrite, progress=progress,
            )  # fmt: skip
    console.print(_described(index, folder), soft_wrap=True, markup=False)
    return index


def _settings(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of the space and of the index that were given."""
    columns = {"only": tuple(options.groups) or None, "without": tuple(options.without) or None}
    space = _given(columns | {"unit": options.unit, "most_dims": options.dims})
    return space, _given({name: getattr(options, name) for name in ("kind", "memory_gb", "stride", "recall", "seed")})


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


_OPTIONS = {"only": "--groups", "without": "--without", "unit": "--unit", "most_dims": "--dims"}


def _check_settings(folder: Path, index: "FrameIndex", given: dict[str, Any]) -> None:
    """Check that an index was built with the given settings."""
    from ssl_behavior.errors import InputError

    facts, space = index.facts, index.space.config
    has = {"only": space.only, "without": space.without, "unit": space.unit, "most_dims": space.most_dims}
    has |= {"stride": facts.stride, "kind": facts.kind, "recall": facts.recall_wanted, "seed": facts.seed}
    for name, value in given.items():
        if name == "memory_gb" or value == "auto" or (name == "recall" and facts.kind == "flat"):
            continue
        if value != has[name]:
            option = _OPTIONS.get(name, f"--{name}")
            raise InputError(
                f"the index {folder} was built with another {option} ({_in_words(has[name])}, got {_in_words(value)}): "
                "build it again (--overwrite), or another (--index)"
            )


def _in_words(value: object) -> str:
    return (" ".join(value) or "none") if isinstance(value, tuple) else str(value).lower()


def _described(index: "FrameIndex", folder: Path) -> str:
    facts, kept = index.facts, index.space.config.kept(index.space.groups)
    metric = "cosine" if index.space.config.unit else "Euclidean distance"
    strided = f", every {facts.stride} frames" if facts.stride > 1 else ""
    shape = f"{facts.frames:,} frames{strided} x {index.space.dim}"
    text = f"{facts.kind} index of {shape} ({', '.join(kept)}) by {metric} in {folder}"
    if not facts.recall_queries:
        return f"{text}: exact"
    text += f": finds {facts.recall:.1%} of the ten nearest frames of other moments"
    if facts.recall_by_breadth[str(facts.breadth)] < facts.recall_wanted:
        text += f", less than --recall {facts.recall_wanted:.0%}; --kind flat finds all"
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior neighbors",
        description="Find the bouts with embeddings nearest to those of examples. The first search builds an index of "
        "the embeddings and keeps it; later searches must agree with its settings.",
    )  # fmt: skip
    add = parser.add_argument
    add("embeddings", metavar="EMBEDDINGS", type=Path, help="a folder of `ssl-behavior embed`")
    add(
        "--query", nargs="+", action="extend", required=True, metavar="RECORDING:FRAMES",
        help="examples: RECORDING:FRAME, or a bout RECORDING:START-STOP; frames count from 0, STOP is excluded. "
        "RECORDING@ANIMAL or RECORDING@AGENT,TARGET is the row of an animal or pair",
    )  # fmt: skip
    add(
        "--unlike", nargs="+", action="extend", default=[], metavar="RECORDING:FRAMES",
        help="examples to avoid, such as wrong hits of an earlier search",
    )  # fmt: skip
    add(
        "--agent", default="", metavar="ANIMAL", help="acting animal of the examples, in embeddings of animals or pairs"
    )
    add("--target", default="", metavar="ANIMAL", help="animal that it acts on, in embeddings of pairs")
    add("-k", type=int, default=10, help="number of bouts (10)")
    add("--recordings", nargs="+", metavar="ID", help="search these recordings alone (ids or globs)")
    add(
        "--exclude-seconds", type=float, default=2.0, metavar="S",
        help="minimum time between hits and examples in one recording, whichever animals (2)",
    )  # fmt: skip
    add("--store", type=Path, help="the embedded store: adds the labels of the bouts")
    add("--csv", type=Path, metavar="FILE", help="also write the bouts to this file")
    _add_index(parser.add_argument_group("the index"))
    return parser


def _add_index(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--index", type=Path, metavar="DIR", help="folder of the index (EMBEDDINGS.index)")
    add("--overwrite", action="store_true", help="build it again")
    add(
        "--kind", choices=_KINDS,
        help="flat: exact. ivf: inverted lists. ivfpq: compressed inverted lists. hnsw: a graph. auto (default): flat "
        "up to 500,000 frames, then ivf, or ivfpq where memory is short",
    )  # fmt: skip
    add("--memory-gb", type=float, metavar="GB", help="maximum memory of the index (4)")
    add("--stride", type=int, metavar="N", help="index every Nth frame (1)")
    add("--recall", type=float, metavar="R", help="share of the ten nearest frames to be found (.95)")
    add("--seed", type=int, help="random seed of the index (0)")
    columns = group.add_mutually_exclusive_group()
    columns.add_argument(
        "--without", nargs="+", action="extend", default=[], metavar="GROUP",
        help="leave out these columns (names or globs); default: time",
    )  # fmt: skip
    columns.add_argument(
        "--groups", nargs="+", action="extend", default=[], metavar="GROUP",
        help="use only these columns (names or globs)",
    )  # fmt: skip
    add("--dims", type=int, metavar="N", help="principal components; 0 = all columns (128)")
    add(
        "--unit", action=argparse.BooleanOptionalAction,
        help="cosine similarity (default): distances of points scaled to length 1, from 0 to 2. --no-unit: Euclidean "
        "distances",
    )  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A row of the table: a bout and its labels.

    Parameters
    ----------
    row : its recording, and the animals of an animal or a pair.
    labels : label stream -> (most common label of the bout's frames, share of the frames); "" = not annotated.
    """

    rank: int
    bout: "NearBout"
    row: "EmbeddingRow"
    labels: Mapping[str, tuple[str, float]]

    @property
    def start_s(self) -> float:
        return self.bout.start / self.row.fps

    @property
    def stop_s(self) -> float:
        return self.bout.stop / self.row.fps

    @property
    def actors(self) -> dict[str, str]:
        """Column -> animal; empty for scenes."""
        actors = {"agent": self.row.agent, "target": self.row.target}
        return {name: animal for name, animal in actors.items() if animal}


def line_of(rank: int, bout: "NearBout", embeddings: "Embeddings", labels: "Sequence[RowLabels]" = ()) -> Line:
    """A row for a bout, with its labels."""
    row = embeddings.row(bout.recording)
    return Line(rank, bout, row, {one.stream: _common(one, row, bout) for one in labels})


def _common(labels: "RowLabels", row: "EmbeddingRow", bout: "NearBout") -> tuple[str, float]:
    import numpy as np

    own = labels.of(row)[bout.start : bout.stop]
    values, counts = np.unique(own, return_counts=True)
    most = int(values[np.argmax(counts)])
    return "" if most < 0 else labels.classes[most], float(counts.max() / len(own))


def bouts_table(lines: Sequence[Line]) -> "Table":
    """A row per bout."""
    streams, actors = (list(lines[0].labels), list(lines[0].actors)) if lines else ([], [])
    rows = []
    for line in lines:
        bout = line.bout
        cells = [str(line.rank), line.row.recording, *line.actors.values(), f"{bout.start}-{bout.stop}"]
        cells += [clock_text(line.start_s, 1)]
        cells += [f"{line.stop_s - line.start_s:.1f} s", str(bout.frame), f"{bout.distance:.3f}"]
        cells += [f"{name} {share:.0%}" if name else "not annotated" for name, share in line.labels.values()]
        rows.append(cells)
    columns = ["", "recording", *actors, "frames", "from", "lasts", "nearest", "distance", *streams]
    return make_table(columns, rows, text=["recording", *actors, *streams])


def write_bouts(path: Path, lines: Sequence[Line]) -> None:
    """Write a line per bout, with two columns for each label stream; whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    streams, actors = (list(lines[0].labels), list(lines[0].actors)) if lines else ([], [])
    names = ["rank", "recording", *actors, "start_frame", "stop_frame", "start_s", "stop_s", "nearest_frame"]
    names += ["distance"]
    with atomic_file(path, "csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, *(column for name in streams for column in (name, f"{name}_share"))])
        for line in lines:
            bout, seconds = line.bout, (f"{line.start_s:.3f}", f"{line.stop_s:.3f}")
            labels = [cell for name, share in line.labels.values() for cell in (name, f"{share:.4f}")]
            own = [line.rank, line.row.recording, *line.actors.values(), bout.start, bout.stop, *seconds, bout.frame]
            writer.writerow([*own, f"{bout.distance:.5f}", *labels])
