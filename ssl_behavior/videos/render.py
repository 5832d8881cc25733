"""Movies of a store from Python in one call: overlays of recordings, and grids of typical bouts of clusters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.arguments import opened, several, whole_number
from ssl_behavior.clusters import Clustering, load_clustering
from ssl_behavior.clusters.cluster_names import read_names
from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.configs import config_from_dict
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, open_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import check_free, check_names
from ssl_behavior.recording import check_rate
from ssl_behavior.store import Store, StoreRow, open_store
from ssl_behavior.terminal import Progress, counted, echo, listed, make_console, no_progress, progress_if
from ssl_behavior.videos.av_library import load_av
from ssl_behavior.videos.find import VideoFile, find_videos
from ssl_behavior.videos.grid import Cell, GridTitle, grid_pictures, loop_frames
from ssl_behavior.videos.lanes import check_streams, cluster_colors, lanes_of, picked_lanes
from ssl_behavior.videos.overlay import overlay_pictures
from ssl_behavior.videos.typical import TypicalBouts
from ssl_behavior.videos.writer import MOVIE_FORMATS, movie_writer

__all__ = ["MovieConfig", "MovieSources", "Movies", "render"]

_SMALLEST, _LARGEST = 160, 7680
_MOST_CELLS = 64


@dataclass(frozen=True, kw_only=True)
class MovieConfig:
    """Settings of movies.

    Parameters
    ----------
    size : (width, height) of the movie, pixels; odd numbers are rounded down.
    speed : 1 = as fast as it happened, 0.5 = half as fast.
    format : "mp4" or "mkv", both H.264.
    strip_seconds : longest time that the ethogram below the picture shows at once.
    cells : largest number of bouts in a grid movie.
    cell_seconds : longest part of a bout that a grid movie shows.

    Raises
    ------
    InputError
        If a number is out of range, or the format is unknown.
    """

    size: tuple[int, int] = (1280, 720)
    speed: float = 1.0
    format: str = "mp4"
    strip_seconds: float = 30.0
    cells: int = 16
    cell_seconds: float = 4.0

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(_SMALLEST <= side <= _LARGEST for side in self.size):
            shown = "x".join(map(str, self.size))
            raise InputError(f"`size` must be width and height from {_SMALLEST} to {_LARGEST} pixels, got {shown}")
        object.__setattr__(self, "size", tuple(int(side) // 2 * 2 for side in self.size))
        for name in ("speed", "strip_seconds", "cell_seconds"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"`{name}` must be a number above 0, got {value!r}")
        if self.format not in MOVIE_FORMATS:
            raise InputError(f"`format` must be one of {list(MOVIE_FORMATS)}, got {self.format!r}")
        if not 1 <= self.cells <= _MOST_CELLS:
            raise InputError(f"`cells` must be 1 to {_MOST_CELLS}, got {self.cells}")

    def fps_of(self, fps: float) -> float:
        """Pictures per second of a movie of recordings with this rate."""
        check_rate(fps * self.speed, "speed")
        return fps * self.speed


@dataclass(frozen=True, kw_only=True, eq=False)
class MovieSources:
    """What movies show.

    Parameters
    ----------
    store : of the recordings.
    rows : recordings to show.
    videos : recording -> its video; the others are shown in an empty arena.
    streams : label streams to show.
    clustering : clusters to show; None = none.
    names : cluster -> its name, for some clusters.
    frames : first frame, and the one after the last (None = the end), of overlays.
    """

    store: Store
    rows: Sequence[StoreRow]
    videos: Mapping[str, VideoFile]
    streams: Sequence[str] = ()
    clustering: Clustering | None = None
    names: Mapping[int, str] | None = None
    frames: tuple[int, int | None] = (0, None)


@dataclass(frozen=True, kw_only=True)
class _Movie:
    """A movie to write: its file, rate, number of pictures, and what makes them."""

    path: Path
    stage: str
    fps: float
    count: int
    pictures: Callable[[], Iterator[np.ndarray]]


class Movies:
    """Movies that can be written: all is checked before the first one is.

    Parameters
    ----------
    out : a file that ends in the format's name, for a single movie; else a folder.
    overwrite : replace files that are there already.

    Raises
    ------
    InputError
        If PyAV is missing, `out` is a file and there are several movies, a file exists, or nothing can be shown.
    """

    def __init__(self, sources: MovieSources, config: MovieConfig, out: Path, overwrite: bool = False) -> None:
        load_av()
        self.sources, self.config, self.out, self.overwrite = sources, config, out, overwrite
        self.notices: list[str] = []

    def overlays(self) -> list[_Movie]:
        """A movie of each recording."""
        rows = self.sources.rows
        paths = self._paths([row.id for row in rows], "recordings")
        return [self._overlay(row, path) for row, path in zip(rows, paths, strict=True)]

    def grids(self, embeddings: Embeddings | None, which: Sequence[int] = ()) -> list[_Movie]:
        """A movie of each cluster that has bouts in the recordings.

        Parameters
        ----------
        embeddings : that were clustered, to find typical bouts; None = bouts of usual length.
        which : clusters to show; empty = all.
        """
        clustering, store = self.sources.clustering, self.sources.store
        if clustering is None:
            raise InputError("`grid` shows typical bouts of clusters: give their folder as `clusters`")
        ClusteredStore.of(clustering.frames, store)
        for cluster in which:
            if not 0 <= cluster < clustering.num_clusters:
                raise InputError(f"`which` {cluster}: the clusters are 0 to {clustering.num_clusters - 1}")
        if embeddings is None:
            self.notices.append(
                "without `embeddings`, a cluster's typical bouts are those of the most usual length; with them, those "
                "nearest to its middle"
            )
        typical = TypicalBouts(clustering, embeddings, {row.id for row in self.sources.rows})
        wanted = which or range(clustering.num_clusters)
        chosen = [cluster for cluster in wanted if typical.number_of(cluster)]
        if empty := [str(cluster) for cluster in wanted if cluster not in chosen]:
            self.notices.append(f"no movie of clusters without bouts in these recordings: {listed(empty)}")
        if not chosen:
            raise InputError("none of the clusters has a bout in these recordings; choose other `recordings`")
        paths = self._paths([f"cluster_{cluster}" for cluster in chosen], "which")
        return [self._grid(clustering, typical, *one) for one in zip(chosen, paths, strict=True)]

    def write(self, movies: Sequence[_Movie], progress: Progress = no_progress) -> list[Path]:
        """Write the movies one after the other; each file is there whole or not at all."""
        for movie in movies:
            with movie_writer(movie.path, self.config.size, movie.fps, self.config.format) as writer:
                for picture in movie.pictures():
                    writer.add(picture)
                    progress(movie.stage, 1, movie.count)
        return [movie.path for movie in movies]

    def _paths(self, names: Sequence[str], argument: str) -> list[Path]:
        """File of each movie, checked."""
        ending = f".{self.config.format}"
        if self.out.suffix.lower() in {f".{format}" for format in MOVIE_FORMATS} and not self.out.is_dir():
            if self.out.suffix.lower() != ending:
                raise InputError(f"`out` {self.out} ends in {self.out.suffix}, `format` is {self.config.format}")
            if len(names) > 1:
                raise InputError(
                    f"`out` {self.out} is one file, but there are {len(names)} movies: name a folder, or choose one "
                    f"with `{argument}`"
                )
            paths = [self.out]
        else:
            check_names([f"{name}{ending}" for name in names], "movie")
            # No suffix is replaced: an id may hold dots.
            paths = [self.out / f"{name}{ending}" for name in names]
        for path in paths:
            check_free(path, self.overwrite)
            if path.is_dir():
                raise InputError(f"{path} is a folder; a movie of this name cannot be written: choose another `out`")
        return paths

    def _overlay(self, row: StoreRow, path: Path) -> _Movie:
        sources, config = self.sources, self.config
        first, last = _span(row, sources.frames)
        clusters = self._clusters_of(row)
        names = _cluster_words(sources.clustering, sources.names)
        lanes, left_out = picked_lanes(lanes_of(sources.store, row, sources.streams, clusters, names), first, last)
        if left_out:
            self.notices.append(
                f"recording {row.id!r}: {counted(left_out, 'row')} with the least behavior left out of the ethogram, "
                "which has room for eight; choose streams with `labels`"
            )

        def pictures() -> Iterator[np.ndarray]:
            video = sources.videos.get(row.id)
            return overlay_pictures(
                sources.store, row, video, lanes, (first, last), config.size, float(config.strip_seconds)
            )

        return _Movie(path=path, stage=row.id, fps=config.fps_of(row.fps), count=last - first, pictures=pictures)

    def _clusters_of(self, row: StoreRow) -> Any:
        """The clusters of a recording; None where it has none."""
        clustering = self.sources.clustering
        if clustering is None:
            return None
        ids = [one.id for one in clustering.frames.rows if one.recording == row.id]
        if not ids:
            self.notices.append(f"recording {row.id!r} is not among the clustered ones: its movie shows no clusters")
            return None
        own = clustering.frames.only(ids)
        return ClusteredStore.of(own, self.sources.store).frames

    def _grid(self, clustering: Clustering, typical: TypicalBouts, cluster: int, path: Path) -> _Movie:
        sources, config = self.sources, self.config
        store, rows = sources.store, {row.id: row for row in clustering.frames.rows}
        spans = typical.of(cluster, config.cells)
        cells = [
            self._cell(rows[span.recording], span.start, span.stop) for span in spans
        ]  # fmt: skip
        number = typical.number_of(cluster)
        names = _cluster_words(clustering, sources.names) or [f"cluster {n}" for n in range(clustering.num_clusters)]
        recordings = len({cell.row.id for cell in cells})
        kind = "typical " if number > len(cells) else ""
        text = f"{len(cells)} {kind}of {counted(number, 'bout')}, from {counted(recordings, 'recording')}"
        title = GridTitle(name=names[cluster], text=text, color=cluster_colors(clustering.num_clusters)[cluster])
        rate = max(cell.row.fps for cell in cells)
        return _Movie(
            path=path, stage=f"cluster {cluster}", fps=config.fps_of(rate), count=loop_frames(cells, rate),
            pictures=lambda: grid_pictures(store, cells, title, config.size, rate),
        )  # fmt: skip

    def _cell(self, row: EmbeddingRow, start: int, stop: int) -> Cell:
        store = self.sources.store
        actors = tuple(
            store.individuals.index(name) for name in dict.fromkeys((row.agent, row.target)) if name
        )  # fmt: skip
        return Cell(
            row=store.row(row.recording), start=start, stop=stop, actors=actors, who=str(row.actors),
            video=self.sources.videos.get(row.recording),
            seconds=float(min((stop - start) / row.fps, self.config.cell_seconds)),
        )  # fmt: skip


def _span(row: StoreRow, frames: tuple[int, int | None]) -> tuple[int, int]:
    first, last = frames
    last = row.frames if last is None else min(last, row.frames)
    if not 0 <= first < last:
        end = "" if frames[1] is None else frames[1]
        raise InputError(
            f"`frames` {first}:{end}: recording {row.id!r} has the frames 0 to {row.frames - 1}; expected two of them, "
            "the first before the last"
        )
    return first, last


def _cluster_words(clustering: Clustering | None, names: Mapping[int, str] | None) -> list[str]:
    """Words for clusters: their names, and numbers of those without; empty where no cluster has a name."""
    if clustering is None or not names:
        return []
    return [names.get(number, f"cluster {number}") for number in range(clustering.num_clusters)]


def movie_sources(
    store: Store,
    videos: Path | None = None,
    recordings: Sequence[str] = (),
    labels: Sequence[str] | None = None,
    clusters: Clustering | None = None,
    names: Path | None = None,
    frames: tuple[int, int | None] = (0, None),
) -> tuple[MovieSources, list[str]]:
    """What movies show, found and checked; and sentences about it.

    Parameters
    ----------
    labels : label streams to show; None = all.
    names : table of names of clusters, see `read_names`.

    Raises
    ------
    InputError
        If there is no such recording, stream or folder, several videos fit a recording, or one has another length.
    """
    rows = store.select(recordings) if recordings else store.rows
    every = (*store.streams, *store.pair_streams)
    streams = check_streams(store, every if labels is None else labels)
    found = {} if videos is None else find_videos(store, videos, rows)
    notices = [video.notice for video in found.values() if video.notice]
    missing = [row.id for row in rows if row.id not in found]
    if videos is not None and missing:
        notices.append(f"{videos} has no video of {listed(missing, 5)}: drawn in an empty arena")
    if clusters is not None and clusters.store != store.fingerprint():
        notices.append(
            f"the clusters were not made from {store.path}; recordings of equal names and lengths are taken as equal"
        )
    if names is not None and clusters is None:
        raise InputError("`names` are those of clusters: give their folder as `clusters`, too")
    words = read_names(names, clusters.num_clusters) if names is not None and clusters is not None else None
    sources = MovieSources(
        store=store, rows=rows, videos=found, streams=streams, clustering=clusters, names=words, frames=frames
    )
    return sources, notices


def render(
    store: Store | str | Path,
    out: str | Path,
    *,
    videos: str | Path | None = None,
    recordings: str | Sequence[str] = (),
    frames: tuple[int, int | None] = (0, None),
    labels: str | Sequence[str] | None = None,
    clusters: Clustering | str | Path | None = None,
    names: str | Path | None = None,
    grid: bool = False,
    which: int | Sequence[int] = (),
    embeddings: Embeddings | str | Path | None = None,
    overwrite: bool = False,
    verbose: bool = True,
    **options: Any,
) -> list[Path]:
    """Write movies of recordings with poses, labels and clusters, or grid movies of typical bouts of clusters.

    Poses are drawn on the recording's video, or in an empty arena. Below it are the words and colors of the frame, and
    an ethogram with a moving cursor.

    Parameters
    ----------
    store : of the recordings, or its folder.
    out : a file such as "movie.mp4", for a single movie; else a folder, which gets a file for each.
    videos : folder of the recordings' videos, see `find_videos`; None = empty arenas.
    recordings : to show (ids or globs); empty = all.
    frames : first frame, and the one after the last (None = the end).
    labels : label streams to show; None = all, empty = none.
    clusters : of `cluster`, or their folder.
    names : JSON or CSV file with names of clusters.
    grid : write grid movies, one for each cluster, in place of movies of recordings.
    which : clusters to show in grid movies; empty = all.
    embeddings : that were clustered, or their folder: typical bouts are those nearest to a cluster's middle.
    overwrite : replace files that are there already.
    verbose : print progress and notices.
    options : further fields of `MovieConfig`: size, speed, format, strip_seconds, cells, cell_seconds.

    Returns
    -------
    list of Path
        The movies.

    Raises
    ------
    InputError
        If PyAV is not installed, an argument is unknown or names what is not there, a video is damaged or has another
        length than its recording, or a file exists.
    """
    config = config_from_dict(MovieConfig, options, "render")
    found = None if clusters is None else opened(clusters, Clustering, "clusters", load_clustering)
    sources, notices = movie_sources(
        open_store(store), None if videos is None else Path(videos), several(recordings, "recordings"),
        None if labels is None else several(labels, "labels"), found, None if names is None else Path(names), frames,
    )  # fmt: skip
    movies = Movies(sources, config, Path(out), overwrite)
    planned = plan_movies(movies, grid, embeddings, _cluster_numbers(which))
    return _written(movies, planned, (*notices, *movies.notices), verbose)


def _cluster_numbers(which: int | Sequence[int]) -> list[int]:
    return [whole_number(number, "which") for number in ([which] if isinstance(which, int) else which)]


def _written(movies: Movies, planned: Sequence[_Movie], notices: Sequence[str], verbose: bool) -> list[Path]:
    """Files of the movies; with `verbose`, notices come first."""
    console = make_console(stderr=True)
    for notice in notices if verbose else ():
        echo(console, notice)
    with progress_if(verbose) as progress:
        return movies.write(planned, progress)


def plan_movies(
    movies: Movies, grid: bool, embeddings: Embeddings | str | Path | None, which: Sequence[int]
) -> list[_Movie]:
    """Movies of recordings or, with `grid`, of clusters.

    Raises
    ------
    InputError
        If an argument has no effect, or as `Movies`.
    """
    if grid:
        if movies.sources.frames != (0, None):
            raise InputError("`frames` are of movies of recordings: leave them out with `grid`")
        return movies.grids(None if embeddings is None else open_embeddings(embeddings), which)
    for name, value in (("which", which), ("embeddings", embeddings)):
        if value:
            raise InputError(f"`{name}` is for grid movies: pass `grid`, too")
    return movies.overlays()
