"""`gather_report`: a report from a store, its embeddings, and optional clusters, descriptions and scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ssl_behavior.bouts import Span
from ssl_behavior.clusters import FrameClusters
from ssl_behavior.clusters.cards import Card, Cards, count_cards
from ssl_behavior.clusters.enrichment import contingency
from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.clusters.frame_clusters import transitions
from ssl_behavior.embedding_space import Space, SpaceConfig, sample_frames
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, count_rows
from ssl_behavior.errors import InputError
from ssl_behavior.map_coordinates import check_map, map_coordinates
from ssl_behavior.reports.contents import MOST_POINTS, AnimalProfiles, Ethogram, ExampleBout, FrameMap, Report, Scores
from ssl_behavior.reports.examples import Source, choose_bouts, nearest_points
from ssl_behavior.reports.map_channels import program_channels, tracking_channels
from ssl_behavior.reports.table_rows import MOST_BOUTS
from ssl_behavior.row_labels import RowLabels, behavior_labels, stream_labels
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import Progress, no_progress

__all__ = ["DEFAULT_PROGRAMS", "Gathered", "ReportConfig", "gather_report"]

DEFAULT_PROGRAMS = (
    "speed", "body_gap", "nose_tail_distance", "facing_angle", "relative_orientation", "approach_velocity", "following",
    "turning",
)  # fmt: skip

_CLUSTERS = "clusters"


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Options of a report.

    Parameters
    ----------
    map : "pca", or where they are installed "tsne" or "umap".
    points : frames on the map, at most 100,000.
    bouts : number of example bouts with neighbors.
    neighbors : number of neighbors of each example bout.
    programs : names or globs of programs to color the map by; none = ().
    title : of the page.

    Raises
    ------
    InputError
        If a number is out of range, or the map cannot be drawn.
    """

    map: str = "pca"
    points: int = MOST_POINTS
    bouts: int = 300
    neighbors: int = 5
    programs: tuple[str, ...] = DEFAULT_PROGRAMS
    seed: int = 0
    title: str = "Behavior report"
    space: SpaceConfig = field(default_factory=SpaceConfig)

    def __post_init__(self) -> None:
        check_map(self.map)
        if not 1 <= self.points <= MOST_POINTS:
            raise InputError(f"`points` must be 1 to {MOST_POINTS:,}, got {self.points:,}")
        for name, value in (("bouts", self.bouts), ("neighbors", self.neighbors)):
            if value < 0:
                raise InputError(f"`{name}` must be 0 or more, got {value}")


@dataclass(frozen=True, eq=False)
class Gathered:
    """A report, and the points of its map's frames in the embedding space of the map, float32 [point, dim]."""

    report: Report
    points: np.ndarray


def gather_report(
    store: Store,
    embeddings: Embeddings,
    config: ReportConfig,
    rows: Sequence[StoreRow] | None = None,
    clusters: FrameClusters | None = None,
    description: Cards | None = None,
    profiles: Sequence[AnimalProfiles] = (),
    scores: Sequence[Scores] = (),
    progress: Progress = no_progress,
) -> Gathered:
    """Gather a page's contents in bounded memory: frames of the map, example bouts, counts over all frames.

    Parameters
    ----------
    rows : the recordings to show, with all their animals or pairs; all of the embeddings' by default.
    clusters : the cluster of each frame.
    description : of `clusters`, from `ssl-behavior describe`; without one, the report counts its own cards.

    Raises
    ------
    InputError
        If store, embeddings and clusters do not fit together.
    """
    source = Source.of(store, embeddings, rows)
    labels = _label_streams(source)
    clustered = None if clusters is None else _clustered(source, clusters)
    found = None if clustered is None else _cluster_stream(source, clustered.frames)
    progress("fitting the space", 0, 0)
    space = Space.fit(embeddings, config.space, config.seed)
    progress(f"drawing the map ({config.map})", 0, 0)
    frames, points = _map(source, space, config)
    progress("measuring programs", 0, 0)
    frames, notes = _colored(source, frames, config)
    progress("searching similar bouts", 0, 0)
    named = _named(source, description)
    examples, means = choose_bouts(source, space, config.bouts, config.neighbors, found, labels, named, config.seed)
    frames = replace(frames, nearest=nearest_points(points, means))
    report = Report(
        title=config.title,
        recordings=source.recordings,
        skeleton=store.skeleton,
        individuals=store.individuals,
        facts=_facts(source, space, frames, examples),
        clusters=found,
        labels=labels,
        map=frames,
        bouts=examples,
        cards=() if clustered is None else _cards(clustered, description),
        transitions=None if clustered is None else transitions(clustered.frames).counts,
        discovery=description.discovery if description else None,
        profiles=tuple(profiles),
        scores=tuple(scores),
        notes=(*notes, *_notes(source, description)),
    )
    return Gathered(report, points)


def _label_streams(source: Source) -> tuple[Ethogram, ...]:
    """Label streams with annotated frames in the report's recordings."""
    streams = []
    for labels in stream_labels(source.store, source.rows):
        own = [_annotated(labels, *rows) for rows in zip(source.rows, source.store_rows, strict=True)]
        if any(one is not None and (one >= 0).any() for one in own):
            streams.append(
                Ethogram(
                    name=labels.stream, words=labels.classes, frames=own, background=labels.background,
                    of_recording=labels.of_recording,
                )
            )  # fmt: skip
    return tuple(streams)


def _annotated(labels: RowLabels, row: EmbeddingRow, recording: StoreRow) -> np.ndarray | None:
    """Labels of a row; None where nobody annotated the stream."""
    if labels.of_recording:
        return labels.of(row) if labels.stream in recording.annotators else None
    own = labels.of(row)
    return own if (own >= 0).any() else None


def _clustered(source: Source, clusters: FrameClusters) -> ClusteredStore:
    """Clusters of the report's recordings."""
    own = clusters.only([row.id for row in source.rows])
    frames = {row.id: row.frames for row in source.rows}
    for row in own.rows:
        if row.frames != frames[row.id]:
            raise InputError(
                f"recording {row.recording!r} has {row.frames} frames in the clusters and {frames[row.id]} in "
                f"{source.embeddings.path}: cluster these embeddings"
            )
    if not own.rows:
        raise InputError(f"none of the recordings of {source.embeddings.path} has clusters: cluster them")
    return ClusteredStore(own, source.store, [source.store.row(row.recording) for row in own.rows])


def _cluster_stream(source: Source, clusters: FrameClusters) -> Ethogram:
    known = {row.id: clusters.of(row) for row in clusters.rows}
    taken = {name for name in source.store.streams if name == _CLUSTERS}
    name = "clusters of frames" if taken else _CLUSTERS
    words = tuple(map(str, range(clusters.num_clusters)))
    return Ethogram(name=name, words=words, frames=[known.get(row.id) for row in source.rows])


def _cards(clustered: ClusteredStore, description: Cards | None) -> tuple[Card, ...]:
    if description is not None:
        described, there = len(description.clusters), clustered.num_clusters
        if described != there:
            raise InputError(
                f"the description has {described} clusters, but there are {there}: describe these clusters"
            )
        labels = clustered.frames.labels
        frames = np.bincount(labels[labels >= 0], minlength=there).tolist()
        # Of some of the described recordings, frames cannot be compared.
        if len(labels) == description.num_frames and [card.frames for card in description.clusters] != frames:
            raise InputError("the description is of other clusters of these frames: describe these clusters")
        return description.clusters
    tables = [contingency(clustered, one) for one in behavior_labels(clustered.store, clustered.frames.rows)]
    return tuple(count_cards(clustered.frames, tables))


def _named(source: Source, description: Cards | None) -> list[tuple[Span, int]]:
    """(bout, cluster) of every bout that the description refers to in the report's recordings."""
    if description is None:
        return []
    reported = {row.id for row in source.rows}
    named: list[tuple[Span, int]] = [(bout, card.cluster) for card in description.clusters for bout in card.medoids]
    bouts = [bout for bout in description.discovery.bouts if bout.recording in reported]
    return [one for one in named if one[0].recording in reported] + [
        (bout, bout.cluster) for bout in bouts[:MOST_BOUTS]
    ]


def _notes(source: Source, description: Cards | None) -> tuple[str, ...]:
    if description is None:
        return ()
    described, here = description.num_recordings, len({row.recording for row in source.rows})
    if described == here:
        return description.notes
    of = f"the {described} recordings that were described, not of the {here} in this report"
    return (*description.notes, f"Sentences and numbers of clusters are of {of}.")


def _map(source: Source, space: Space, config: ReportConfig) -> tuple[FrameMap, np.ndarray]:
    """The map without channels, and the points of its frames in the space."""
    sample = sample_frames(source.rows, config.points, config.seed)
    points = space.gather(source.embeddings, sample)
    mapped = map_coordinates(points, config.map, config.seed)
    order = np.argsort(source.offsets, kind="stable")
    recording = order[np.searchsorted(source.offsets[order], sample, side="right") - 1]
    frame = sample - source.offsets[recording]
    sorting = np.lexsort((frame, recording))
    recording, frame = recording[sorting], frame[sorting]
    return FrameMap(method=mapped.about, xy=mapped.xy[sorting], recording=recording, frame=frame), points[sorting]


def _colored(source: Source, frames: FrameMap, config: ReportConfig) -> tuple[FrameMap, tuple[str, ...]]:
    inside = source.store_offsets[frames.recording] + frames.frame
    order = np.argsort(inside, kind="stable")
    back = np.argsort(order, kind="stable")
    tracking = [replace(one, values=one.values[back]) for one in tracking_channels(source.store, inside[order])]
    actors = [row.actors for row in source.rows]
    programs, notes = program_channels(
        source.store, source.store_rows, config.programs, frames.recording, frames.frame, actors
    )
    poses = np.asarray(source.store.keypoints[inside[order]])[back]
    return replace(frames, channels=(*programs, *tracking), poses=poses), notes


def _unit(source: Source) -> tuple[tuple[str, str], ...]:
    unit, frames = source.rows[0].actors.unit, sum(row.frames for row in source.rows)
    if unit == "scene":
        return ()
    return (("Unit", f"{unit}: {count_rows(source.rows)}, {frames:,} frames of a{'n' * (unit == 'animal')} {unit}"),)


def _facts(
    source: Source, space: Space, frames: FrameMap, examples: Sequence[ExampleBout]
) -> tuple[tuple[str, str], ...]:
    recordings = list({row.id: row for row in source.store_rows}.values())
    total = sum(row.frames for row in recordings)
    seconds = sum(row.frames / row.fps for row in recordings)
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    wide = sum(bool(bout.neighbors) and not bout.among_examples for bout in examples)
    return (
        ("Recordings", f"{len(recordings)}, {total:,} frames, {hours} h {minutes} min"),
        ("Animals", ", ".join(source.store.individuals)),
        *_unit(source),
        ("Store", f"{source.store.path.name}, {source.store.fingerprint()[:12]}"),
        ("Embeddings", f"{source.embeddings.path.name}, encoder {source.embeddings.checkpoint[:12]}"),
        ("Space", f"{', '.join(space.config.kept(space.groups))}; {space.dim} dimensions"),
        ("Map", f"{len(frames.xy):,} frames, {frames.method}"),
        ("Bouts to play", f"{len(examples):,}, {wide:,} of them with their nearest neighbors among all bouts"),
    )
