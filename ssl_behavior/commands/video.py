"""The verb `video`: movies of recordings with poses, labels and clusters, and of typical bouts of clusters."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from ssl_behavior.commands import as_options
from ssl_behavior.errors import InputError
from ssl_behavior.terminal import counted, echo, progress_bars

__all__ = ["main"]

_FORMATS = ("mp4", "mkv")


def main(argv: Sequence[str]) -> int:
    """Write movies, each of them atomically.

    Raises
    ------
    InputError
        For every user error.
    """
    options = _parser().parse_args(argv)
    # Slow imports come after parsing, so that --help answers at once.
    from ssl_behavior.clusters import load_clustering
    from ssl_behavior.store import Store
    from ssl_behavior.terminal import make_console
    from ssl_behavior.videos.av_library import load_av
    from ssl_behavior.videos.render import MovieConfig, Movies, movie_sources, plan_movies

    config = MovieConfig(
        size=_size(options.size), speed=options.speed, format=_format(options), strip_seconds=options.strip_seconds,
        cells=options.cells, cell_seconds=options.cell_seconds,
    )  # fmt: skip
    frames, console = _frames(options.frames), make_console()
    load_av()
    sources, notices = movie_sources(
        Store(options.store), options.videos, options.recordings or (), _labels(options.labels),
        load_clustering(options.clusters) if options.clusters else None, options.names, frames,
    )  # fmt: skip
    movies = Movies(sources, config, options.out, options.overwrite)
    planned = plan_movies(movies, options.grid, options.embeddings, options.which or ())
    for notice in (*notices, *movies.notices):
        echo(console, as_options(notice))
    with progress_bars(console) as progress:
        written = movies.write(planned, progress)
    size = sum(path.stat().st_size for path in written) / 1e6
    echo(console, f"{options.out}: {counted(len(written), 'movie')}, {size:.1f} MB")
    return 0


def _labels(names: Sequence[str] | None) -> Sequence[str] | None:
    return () if names == ["none"] else names


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text.strip())
    if not found:
        raise InputError(f"--size {text!r}: expected width and height such as 1280x720")
    return int(found[1]), int(found[2])


def _frames(text: str | None) -> tuple[int, int | None]:
    """First frame, and the one after the last, from A:B, A: or :B."""
    found = re.fullmatch(r"(\d{0,12}):(\d{0,12})", text) if text is not None else None
    if text is not None and (not found or text == ":"):
        raise InputError(f"--frames {text!r}: expected A:B, frames from A up to, not including, B, such as 300:900")
    if not found:
        return 0, None
    return int(found[1] or 0), int(found[2]) if found[2] else None


def _format(options: argparse.Namespace) -> str:
    """The format that was asked for, else that of the file's ending."""
    ending = options.out.suffix.lower().lstrip(".")
    return options.format or (ending if ending in _FORMATS else _FORMATS[0])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior video",
        description="Write a movie of each recording: poses and names on its video, or in an empty arena; below it, "
        "label streams and clusters of the frame, and an ethogram with a moving cursor. With --grid, write a movie of "
        "each cluster: its typical bouts beside each other. Needs the extra 'video'.",
    )
    add = parser.add_argument
    add("store", metavar="STORE", type=Path, help="store of the recordings")
    add(
        "--out", type=Path, required=True, metavar="FILE_OR_FOLDER",
        help="a file such as movie.mp4, for one movie; else a folder, which gets a file for each recording or cluster",
    )  # fmt: skip
    add(
        "--videos", type=Path, metavar="FOLDER",
        help="folder of the recordings' videos, found by name, also in folders below it",
    )  # fmt: skip
    add("--recordings", nargs="+", metavar="ID", help="recordings to show (ids or globs; default: all)")
    add("--frames", metavar="A:B", help="frames from A up to, not including, B (default: all)")
    add("--labels", nargs="+", metavar="STREAM", help="label streams to show (none for none; default: all)")
    add("--clusters", type=Path, metavar="CLUSTERS", help="clusters folder to show")
    add("--names", type=Path, metavar="FILE", help="names of clusters: JSON, or CSV with the columns cluster and name")
    add("--grid", action="store_true", help="a movie of the typical bouts of each cluster, in a grid")
    add("--which", nargs="+", type=int, metavar="N", help="clusters to make grid movies of (default: all)")
    add(
        "--embeddings", type=Path, metavar="EMBEDDINGS",
        help="the embeddings that were clustered: typical bouts are then those nearest to a cluster's middle",
    )  # fmt: skip
    add("--cells", type=int, default=16, metavar="N", help="largest number of bouts in a grid movie (default: 16)")
    add("--cell-seconds", type=float, default=4.0, metavar="S", help="longest part of a bout in a grid (default: 4)")
    add("--size", default="1280x720", metavar="WxH", help="size of the movie in pixels (default: 1280x720)")
    add(
        "--speed", type=float, default=1.0, metavar="X", help="1 = as fast as it happened (default), 0.5 = half as fast"
    )
    add(
        "--strip-seconds", type=float, default=30.0, metavar="S",
        help="longest time that the ethogram shows at once (default: 30)",
    )  # fmt: skip
    add("--format", choices=_FORMATS, help="mp4 or mkv, both H.264 (default: by the ending of --out, else mp4)")
    add("--overwrite", action="store_true", help="replace movies that are there already")
    return parser
