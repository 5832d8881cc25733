"""Cluster labels and label streams of a store as recordings for annotation files."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.bouts import without_short_bouts
from ssl_behavior.clusters import FrameClusters
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import DEFAULT_MEDIA, AnnotatedRecording, annotated_recording
from ssl_behavior.recording import NOT_ANNOTATED, Labels, StreamFacts
from ssl_behavior.resampling import resample_labels
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "STREAM",
    "chosen_streams",
    "cluster_labels",
    "cluster_names",
    "clustered_recordings",
    "fewest_frames",
    "labeled_rows",
    "read_names",
    "stored_recordings",
]

STREAM = "cluster"
"""What the label stream of clusters is called."""

_MOST_CLUSTERS = 32_767
_LONGEST_NUMBER = 10
_ROUNDING_FRAMES = 1e-6


def read_names(path: Path, num_clusters: int) -> dict[int, str]:
    """Read cluster names from JSON such as {"3": "chase"}, or from CSV with the columns cluster and name.

    Raises
    ------
    InputError
        If the file cannot be read, or a line is not a cluster and its name.
    """
    names: dict[int, str] = {}
    for cluster, name in _pairs(path):
        if not (cluster.isdecimal() and len(cluster) < _LONGEST_NUMBER and int(cluster) < num_clusters):
            known = f"there are {num_clusters}, 0 to {num_clusters - 1}"
            raise InputError(f"{path}: {cluster[:60]!r} is not a cluster; {known}")
        if int(cluster) in names:
            raise InputError(f"{path}: cluster {cluster} has two names")
        if not name.strip():
            raise InputError(f"{path}: cluster {cluster} has an empty name; leave its line out to keep its number")
        names[int(cluster)] = name.strip()
    return names


def _pairs(path: Path) -> Iterable[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            return _csv_pairs(path, text)
        contents: Any = json.loads(text, object_pairs_hook=list)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as cluster names; expected JSON or .csv ({error})") from None
    if not text.lstrip().startswith("{") or not all(isinstance(name, str) for _, name in contents):
        raise InputError(f'{path}: expected JSON such as {{"3": "chase"}}, a name for each cluster')
    return contents


def _csv_pairs(path: Path, text: str) -> list[tuple[str, str]]:
    lines = [[cell.strip() for cell in line] for line in csv.reader(text.splitlines()) if any(line)]
    if lines and [cell.lower() for cell in lines[0]] == ["cluster", "name"]:
        lines = lines[1:]
    for number, line in enumerate(lines, start=1):
        if len(line) != 2:
            raise InputError(f"{path}: name {number} ({','.join(line)[:60]!r}): expected a cluster and its name")
    return [(cluster, name) for cluster, name in lines]


def cluster_names(num_clusters: int, names: Mapping[int, str] | None = None) -> tuple[str, ...]:
    """Name of each cluster: the given one, else cluster_N. Clusters with the same name are one behavior.

    >>> cluster_names(3, {1: "chase"})
    ('cluster_0', 'chase', 'cluster_2')

    Raises
    ------
    InputError
        If a given name is the default name of another cluster, or there are too many clusters for labels.
    """
    if num_clusters > _MOST_CLUSTERS:
        raise InputError(f"label files have at most {_MOST_CLUSTERS:,} behaviors, got {num_clusters:,} clusters")
    given = dict(names or {})
    for cluster, name in given.items():
        for other in range(num_clusters):
            if other not in given and name == f"cluster_{other}":
                raise InputError(
                    f"cluster {cluster} cannot have the name {name!r}: it is the default name of cluster {other}"
                )
    return tuple(given.get(cluster, f"cluster_{cluster}") for cluster in range(num_clusters))


def cluster_labels(clusters: np.ndarray, names: Sequence[str]) -> Labels:
    """Clusters int [time] as labels: a vocabulary of different names, in the order of the first cluster of each."""
    vocabulary = tuple(dict.fromkeys(names))
    numbers = np.array([*(vocabulary.index(name) for name in names), NOT_ANNOTATED], dtype=np.int16)
    return Labels(vocabulary=vocabulary, frames=numbers[clusters])


def clustered_recordings(
    clusters: FrameClusters,
    rows: Iterable[EmbeddingRow],
    names: Sequence[str],
    minimum_seconds: float = 0.0,
    media: str = DEFAULT_MEDIA,
) -> Iterator[AnnotatedRecording]:
    """Recordings with their clusters as labels, one after the other; frames of no cluster are not annotated.

    Those of resampled recordings are brought to the frames of the source, as in `stored_recordings`.

    Parameters
    ----------
    names : of each cluster, see `cluster_names`.
    minimum_seconds : shorter bouts become part of the longer one beside them, see `without_short_runs`.
    """
    for row in rows:
        labels = without_short_bouts(cluster_labels(clusters.of(row), names), fewest_frames(minimum_seconds, row.fps))
        times = row.file_times
        if row.source_frames is not None:
            labels = resample_labels(labels, row.frame_times, times)
        yield annotated_recording(row.id, times.fps, {STREAM: labels}, media=media)


def fewest_frames(seconds: float, fps: float) -> int:
    """Number of frames in a duration, at least one."""
    return max(1, math.ceil(seconds * fps - _ROUNDING_FRAMES))


def chosen_streams(store: Store, names: Sequence[str] = ()) -> tuple[StreamFacts, ...]:
    """Label streams of a store by name; all by default.

    Raises
    ------
    InputError
        If one is not there, or there are none.
    """
    if not store.streams:
        raise InputError(f"{store.path} has no labels")
    found = {name: store.stream(name) for name in dict.fromkeys(names or store.streams)}
    return tuple(StreamFacts(name=n, classes=one.vocabulary, background=one.background) for n, one in found.items())


def labeled_rows(rows: Iterable[StoreRow], streams: Sequence[StreamFacts]) -> list[StoreRow]:
    """Recordings that have at least one of the streams.

    Raises
    ------
    InputError
        If none has.
    """
    names = [stream.name for stream in streams]
    found = [row for row in rows if any(name in row.annotators for name in names)]
    if not found:
        raise InputError(f"none of the recordings has labels {' or '.join(map(repr, names))}")
    return found


def stored_recordings(
    store: Store,
    rows: Iterable[StoreRow],
    streams: Sequence[StreamFacts],
    minimum_seconds: float = 0.0,
    actor: str = "",
    media: str = DEFAULT_MEDIA,
) -> Iterator[AnnotatedRecording]:
    """Recordings with their labels, one after the other; a recording may lack some of the streams.

    Labels of a resampled recording are brought back to the frames of its source, so that frames and seconds are those
    of the video, see `Store.file_times`.

    Parameters
    ----------
    minimum_seconds : shorter bouts are left out, see `without_short_bouts`.
    actor, media : see `annotated_recording`.
    """
    for row in rows:
        labels = {
            stream.name: without_short_bouts(
                Labels(
                    vocabulary=stream.classes,
                    frames=np.asarray(store.labels(stream.name)[row.slice]),
                    annotator=row.annotators.get(stream.name, ""),
                    background=stream.background,
                ),
                fewest_frames(minimum_seconds, row.fps),
            )
            for stream in streams
        }
        annotators = dict.fromkeys(row.annotators.get(stream.name, "") for stream in streams)
        times = store.file_times(row)
        if row.source_fps is not None:
            labels = {name: resample_labels(one, row.frame_times, times) for name, one in labels.items()}
        yield annotated_recording(
            row.id, times.fps, labels, individuals=store.individuals, actor=actor,
            annotator=", ".join(name for name in annotators if name), media=media,
        )  # fmt: skip
