"""The verb `export`: clusters, labels and embeddings as files for other tools."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ssl_behavior.embeddings_folder import EmbeddingRow
    from ssl_behavior.exports import FrameColumn
    from ssl_behavior.io.annotated_recording import AnnotatedRecording
    from ssl_behavior.terminal import Progress

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the verb; 0 on success.

    Raises
    ------
    InputError
        For every user error.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.errors import InputError
    from ssl_behavior.terminal import make_console

    marker = next((name for name in _KINDS if (options.path / name).is_file()), None)
    if marker is None:
        raise InputError(f"{options.path} holds no clusters, embeddings or store (it has none of {', '.join(_KINDS)})")
    what, run, own = _KINDS[marker]
    _refuse_others(options, parser, what, own)
    run(options, make_console())
    return 0


def _refuse_others(options: argparse.Namespace, parser: argparse.ArgumentParser, what: str, own: Sequence[str]) -> None:
    """Refuse options that do not apply to the exported folder."""
    from ssl_behavior.errors import InputError

    for name in _CHOICES:
        if name not in own and getattr(options, name) != parser.get_default(name):
            raise InputError(f"--{name.replace('_', '-')} is not for {what}, which {options.path} holds: leave it out")


def _export_clusters(options: argparse.Namespace, console: "Console") -> None:
    from ssl_behavior.clusters import load_frames
    from ssl_behavior.clusters.cluster_names import STREAM
    from ssl_behavior.exports import cluster_names, clustered_recordings
    from ssl_behavior.io.annotated_recording import PairStreamFacts
    from ssl_behavior.recording import StreamFacts

    clusters = load_frames(options.path)
    names = cluster_names(clusters.num_clusters, _given_names(options.names, clusters.num_clusters))
    rows = _chosen(clusters.rows, options)
    made = clustered_recordings(clusters, rows, names, _minimum_seconds(options), options.media)
    facts = PairStreamFacts if any(row.agent for row in rows) else StreamFacts
    stream = facts(name=STREAM, classes=tuple(dict.fromkeys(names)))
    recordings = {row.recording: row for row in rows}
    frames = sum(row.file_times.num_frames for row in recordings.values())
    _write(options, console, made, list(recordings), (stream,), {"clusters": list(names)}, frames)
    irregular = [id for id, row in recordings.items() if row.source_fps is not None and row.source_frames is None]
    _note_irregular(irregular, console)


def _export_store(options: argparse.Namespace, console: "Console") -> None:
    from ssl_behavior.exports import stored_recordings
    from ssl_behavior.exports.label_sources import chosen_streams, labeled_rows
    from ssl_behavior.io.annotated_recording import check_actor
    from ssl_behavior.store import Store

    store = Store(options.path)
    check_actor(options.actor, store.individuals)
    streams = chosen_streams(store, options.streams)
    rows = labeled_rows(store, store.select(options.recordings) if options.recordings else store.rows, streams)
    made = stored_recordings(store, rows, streams, _minimum_seconds(options), options.actor, options.media)
    frames = sum(store.file_times(row).num_frames for row in rows)
    _write(options, console, made, [row.id for row in rows], streams, {"store": store.fingerprint()}, frames)
    _note_irregular([row.id for row in rows if row.source_times is not None], console)


def _note_irregular(ids: Sequence[str], console: "Console") -> None:
    from ssl_behavior.resampling import own_frames_notice
    from ssl_behavior.terminal import echo

    if ids:
        echo(console, f"  - {own_frames_notice(ids)}")


def _write(
    options: argparse.Namespace,
    console: "Console",
    recordings: "Iterator[AnnotatedRecording]",
    ids: Sequence[str],
    streams: Sequence,
    facts: Mapping[str, object],
    frames: int,
) -> None:
    from ssl_behavior.io.annotated_recording import check_media
    from ssl_behavior.io.annotation_writers import write_annotations
    from ssl_behavior.io.mabe25_submission import conflicting_frames
    from ssl_behavior.terminal import counted, echo, progress_bars

    check_media(options.media, ids)
    facts = {**facts, "minimum_bout_seconds": _minimum_seconds(options)}
    formats = options.format or ["csv"]
    bouts = conflicts = 0

    def with_progress(progress: "Progress") -> "Iterator[AnnotatedRecording]":
        nonlocal bouts, conflicts
        for recording in recordings:
            yield recording
            bouts += len(recording.bouts)
            conflicts += sum(map(conflicting_frames, recording.pair_labels.values())) if "mabe" in formats else 0
            progress("writing", recording.num_frames, frames)

    with progress_bars(console, transient=True) as progress:
        write_annotations(options.out, with_progress(progress), ids, streams, formats, facts, options.overwrite)
    if conflicts:
        echo(
            console,
            f"  - {counted(conflicts, 'frame')} with two actions of one pair: MABe 2025 refuses a submission with them",
        )
    echo(console, f"{counted(bouts, 'bout')} in {counted(len(ids), 'recording')}: {options.out}")


def _export_embeddings(options: argparse.Namespace, console: "Console") -> None:
    from ssl_behavior.embeddings_folder import Embeddings, count_rows
    from ssl_behavior.exports import export_embeddings
    from ssl_behavior.terminal import counted, echo, progress_bars

    embeddings = Embeddings(options.path)
    rows = _chosen(embeddings.rows, options)
    columns = _columns(options, rows)
    with progress_bars(console, transient=True) as progress:
        made = export_embeddings(
            embeddings, options.out, rows=rows, only=options.groups, without=options.without, columns=columns,
            overwrite=options.overwrite, progress=progress,
        )  # fmt: skip
    groups = ", ".join(f"{name} {width}" for name, width in made.groups.items())
    words = "".join(f", {column.name}" for column in columns)
    held = f"{counted(made.num_frames, 'frame')} x {made.dim} ({groups}{words})"
    echo(console, f"{held} of {count_rows(rows)}: {options.out}")


def _columns(options: argparse.Namespace, rows: "Sequence[EmbeddingRow]") -> "list[FrameColumn]":
    from ssl_behavior.clusters import load_frames
    from ssl_behavior.errors import InputError
    from ssl_behavior.exports import cluster_column, cluster_names, label_columns
    from ssl_behavior.store import Store

    for option, needs in (("streams", "labels"), ("names", "clusters")):
        if getattr(options, option) and not getattr(options, needs):
            raise InputError(f"--{option} goes with --{needs}: give that, too, or leave it out")
    columns = [] if options.labels is None else label_columns(Store(options.labels), rows, options.streams)
    if options.clusters is not None:
        clusters = load_frames(options.clusters)
        names = cluster_names(clusters.num_clusters, _given_names(options.names, clusters.num_clusters))
        columns.append(cluster_column(clusters, rows, names, str(options.clusters)))
    return columns


def _given_names(path: Path | None, num_clusters: int) -> dict[int, str]:
    from ssl_behavior.exports import read_names

    return {} if path is None else read_names(path, num_clusters)


def _chosen(rows: "Sequence[EmbeddingRow]", options: argparse.Namespace) -> "list[EmbeddingRow]":
    """Recordings chosen by id or glob; all by default."""
    from ssl_behavior.embeddings_folder import select_rows

    return select_rows(rows, options.recordings or ["*"], str(options.path))


def _minimum_seconds(options: argparse.Namespace) -> float:
    from math import isfinite

    from ssl_behavior.errors import InputError

    seconds: float = options.minimum_bout_seconds
    if not (isfinite(seconds) and seconds >= 0):
        raise InputError(f"--minimum-bout-seconds must be 0 or more, got {seconds}")
    return seconds


_KINDS: dict[str, tuple[str, Callable[[argparse.Namespace, "Console"], None], tuple[str, ...]]] = {
    "clusters.json": ("clusters", _export_clusters, ("format", "names", "minimum_bout_seconds", "media")),
    "embeddings.json": (
        "embeddings", _export_embeddings, ("groups", "without", "labels", "streams", "clusters", "names"),
    ),
    "store.json": (
        "a store", _export_store, ("format", "streams", "minimum_bout_seconds", "actor", "media"),
    ),
}  # fmt: skip
"""Marker file of a folder -> its kind, its export function, and its options."""

_CHOICES = (
    "format", "names", "minimum_bout_seconds", "media", "actor", "streams", "groups", "without", "labels", "clusters",
)  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    from ssl_behavior.io.annotated_recording import DEFAULT_MEDIA
    from ssl_behavior.io.annotation_writers import ANNOTATION_FORMATS, annotation_format_titles

    parser = argparse.ArgumentParser(
        prog="ssl-behavior export",
        description="Export a folder to other tools. Clusters, or the labels of a store: a folder with bouts or frames "
        "in the formats of annotation tools. Embeddings: a file with one row per frame, .npy (with a .json that "
        "describes its rows and columns), .parquet (for pandas, R, polars; needs [store]) or .h5ad (AnnData).",
    )
    parser.add_argument("path", metavar="PATH", type=Path, help="clusters folder, embeddings folder or store")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; for embeddings, file to write")
    parser.add_argument("--recordings", nargs="+", default=(), metavar="ID", help="recordings to export (ids or globs)")
    parser.add_argument("--overwrite", action="store_true", help="replace --out")

    bouts = parser.add_argument_group("clusters and labels")
    bouts.add_argument(
        "--format",
        nargs="+",
        choices=ANNOTATION_FORMATS,
        metavar="FORMAT",
        help=f"{annotation_format_titles()} (default: csv)",
    )
    bouts.add_argument(
        "--minimum-bout-seconds", type=float, default=0.0, metavar="S",
        help="shorter bouts become background or, without one, part of the longer neighboring bout (default: 0)",
    )  # fmt: skip
    bouts.add_argument(
        "--media", default=DEFAULT_MEDIA, metavar="FILE",
        help="video names, for formats that hold them; {id} is a recording's id, {name} its last part "
        f"(default: {DEFAULT_MEDIA})",
    )  # fmt: skip
    bouts.add_argument(
        "--actor", default="", metavar="ANIMAL", help="acting animal of behaviors whose names have none (of a store)"
    )
    bouts.add_argument("--streams", nargs="+", default=(), metavar="NAME", help="label streams to export (of a store)")
    bouts.add_argument(
        "--names", type=Path, metavar="FILE",
        help='cluster names: JSON such as {"3": "chase"}, or .csv with the columns cluster and name; clusters with '
        "the same name are one behavior (default: cluster_0, cluster_1 ...)",
    )  # fmt: skip

    tables = parser.add_argument_group("embeddings")
    tables.add_argument(
        "--groups", nargs="+", default=(), metavar="GROUP", help="column groups to write (names or globs)"
    )
    tables.add_argument(
        "--without", nargs="+", default=(), metavar="GROUP", help="column groups to leave out (names or globs)"
    )
    tables.add_argument(
        "--labels", type=Path, metavar="STORE", help="store whose labels are added, one column per stream"
    )
    tables.add_argument(
        "--clusters", type=Path, metavar="CLUSTERS", help="clusters folder whose clusters are added as a column"
    )
    return parser
