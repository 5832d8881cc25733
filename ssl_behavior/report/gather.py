"""From a store and its embeddings, and whatever else there is, to a report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.embedding import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.report.bouts import Source, choose_bouts
from ssl_behavior.report.contents import MOST_POINTS, Ethogram, FrameMap, Report, Runs, Scores, ShownBout
from ssl_behavior.report.maps import check_map, draw_map, program_channels, tracking_channels
from ssl_behavior.report.summary import Description, completed, count_transitions, plain_cards
from ssl_behavior.space import Space, SpaceConfig, sample_frames
from ssl_behavior.store import Store, StoreRow

__all__ = ["DEFAULT_PROGRAMS", "Gathered", "ReportConfig", "gather_report"]

DEFAULT_PROGRAMS = (
    "speed", "body_gap", "nose_tail_distance", "facing_angle", "relative_orientation", "approach_velocity", "following",
    "turning",
)  # fmt: skip

_CLUSTERS = "clusters"


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What goes into a report.

    Parameters
    ----------
    map : "pca", or where they are installed "tsne" or "umap".
    points : frames on the map, at most 100,000.
    bouts : how many bouts are shown with their neighbours.
    neighbors : of each of them.
    programs : names or globs of programs to colour the map by; none = ().
    title : of the page.

    Raises
    ------
    InputError
        If a number makes no sense, or the map cannot be drawn.
    """

    map: str = "pca"
    points: int = MOST_POINTS
    bouts: int = 300
    neighbors: int = 5
    programs: tuple[str, ...] = DEFAULT_PROGRAMS
    seed: int = 0
    title: str = "Behaviour report"
    space: SpaceConfig = field(default_factory=SpaceConfig)

    def __post_init__(self) -> None:
        check_map(self.map)
        if not 1 <= self.points <= MOST_POINTS:
            raise InputError(f"--points must be 1 to {MOST_POINTS:,}, got {self.points:,}")
        for option, value in (("--bouts", self.bouts), ("--neighbors", self.neighbors)):
            if value < 0:
                raise InputError(f"{option} must be 0 or more, got {value}")


@dataclass(frozen=True, eq=False)
class Gathered:
    """A report, and the points of its map's frames in the space that the map was drawn from, float32 [point, dim]."""

    report: Report
    points: np.ndarray


def gather_report(
    store: Store,
    embeddings: Embeddings,
    config: ReportConfig,
    rows: Sequence[StoreRow] | None = None,
    clusters: FrameClusters | None = None,
    describe: Callable[[Sequence[str]], Description] | None = None,
    scores: Sequence[Scores] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Gathered:
    """Everything for a page, in bounded memory: a map's frames, the bouts to be shown, counts over all frames.

    Parameters
    ----------
    rows : the recordings to show, all of the embeddings' by default.
    clusters : the cluster of each frame.
    describe : called with the ids of the recordings; gives cards, discoveries and profiles of `clusters`.
    progress : told what is being done.

    Raises
    ------
    InputError
        If store, embeddings and clusters do not fit together.
    """
    source = Source.of(store, embeddings, rows)
    labels = _label_streams(source)
    found = None if clusters is None else _cluster_stream(source, clusters)
    told = describe([row.id for row in source.rows]) if describe else Description()
    progress("fitting the space")
    space = Space.fit(embeddings, config.space, config.seed)
    progress(f"drawing the map ({config.map})")
    frames, points = _map(source, space, config)
    progress("measuring programs")
    frames, notes = _coloured(source, frames, config)
    progress("looking for bouts that are alike")
    shown = choose_bouts(
        source, space, config.bouts, config.neighbors, points, found, labels, told.bouts(), config.seed
    )
    frames = replace(frames, nearest=shown.nearest)
    cards = plain_cards(found, labels, source.recordings, frames, shown.medoids) if found else ()
    report = Report(
        title=config.title,
        recordings=source.recordings,
        skeleton=store.skeleton,
        individuals=store.individuals,
        facts=_facts(source, space, frames, shown.bouts),
        clusters=found,
        labels=labels,
        map=frames,
        bouts=shown.bouts,
        cards=completed(told.cards, cards),
        transitions=count_transitions(found) if found else None,
        discoveries=told.discoveries,
        profiles=told.profiles,
        scores=tuple(scores),
        notes=(*notes, *told.notes),
    )
    return Gathered(report, points)


def _label_streams(source: Source) -> tuple[Ethogram, ...]:
    """The streams that somebody annotated in these recordings."""
    streams = []
    for name, stream in source.store.streams.items():
        frames = source.store.labels(name)
        runs = [Runs.of(frames[row.slice]) if name in row.annotators else None for row in source.store_rows]
        if any(own is not None and (own.values >= 0).any() for own in runs):
            streams.append(Ethogram(name=name, words=stream.vocabulary, runs=runs, background=stream.background))
    return tuple(streams)


def _cluster_stream(source: Source, clusters: FrameClusters) -> Ethogram:
    known = {row.id: row for row in clusters.rows}
    runs = []
    for row in source.rows:
        own = known.get(row.id)
        if own is not None and own.frames != row.frames:
            raise InputError(
                f"recording {row.id!r} has {own.frames} frames in the clusters and {row.frames} in "
                f"{source.embeddings.path}: cluster these embeddings"
            )
        runs.append(None if own is None else Runs.of(clusters.of(own)))
    if not any(own is not None for own in runs):
        raise InputError(f"the clusters are of none of the recordings of {source.embeddings.path}: cluster them")
    taken = {name for name in source.store.streams if name == _CLUSTERS}
    name = "clusters of frames" if taken else _CLUSTERS
    return Ethogram(name=name, words=tuple(map(str, range(clusters.num_clusters))), runs=runs)


def _map(source: Source, space: Space, config: ReportConfig) -> tuple[FrameMap, np.ndarray]:
    """(the map without colours, the points of its frames in the space)."""
    sample = sample_frames(source.rows, config.points, config.seed)
    points = space.gather(source.embeddings, sample)
    xy, method = draw_map(points, config.map, config.seed)
    order = np.argsort(source.offsets, kind="stable")
    recording = order[np.searchsorted(source.offsets[order], sample, side="right") - 1]
    frame = sample - source.offsets[recording]
    sorting = np.lexsort((frame, recording))
    recording, frame = recording[sorting], frame[sorting]
    return FrameMap(method=method, xy=xy[sorting], recording=recording, frame=frame), points[sorting]


def _coloured(source: Source, frames: FrameMap, config: ReportConfig) -> tuple[FrameMap, tuple[str, ...]]:
    inside = source.store_offsets[frames.recording] + frames.frame
    order = np.argsort(inside, kind="stable")
    back = np.argsort(order, kind="stable")
    tracking = [replace(one, values=one.values[back]) for one in tracking_channels(source.store, inside[order])]
    programs, notes = program_channels(source.store, source.store_rows, config.programs, frames.recording, frames.frame)
    poses = np.asarray(source.store.keypoints[inside[order]])[back]
    return replace(frames, channels=(*programs, *tracking), poses=poses), notes


def _facts(source: Source, space: Space, frames: FrameMap, shown: Sequence[ShownBout]) -> tuple[tuple[str, str], ...]:
    total = sum(row.frames for row in source.rows)
    seconds = sum(row.frames / row.fps for row in source.rows)
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    wide = sum(bool(bout.neighbors) and not bout.among_shown for bout in shown)
    return (
        ("Recordings", f"{len(source.rows)}, {total:,} frames, {hours} h {minutes} min"),
        ("Animals", ", ".join(source.store.individuals)),
        ("Store", f"{source.store.path.name}, {source.store.fingerprint()[:12]}"),
        ("Embeddings", f"{source.embeddings.path.name}, encoder {source.embeddings.checkpoint[:12]}"),
        ("Space", f"{', '.join(space.config.kept(space.groups))}; {space.dim} dimensions"),
        ("Map", f"{len(frames.xy):,} frames, {frames.method}"),
        ("Bouts to play", f"{len(shown):,}, {wide:,} of them with their nearest neighbours among all bouts"),
    )
