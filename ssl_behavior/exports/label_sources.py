"""Sources of exported labels: the clusters of recordings, or the label streams of a store."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from ssl_behavior.bouts import runs, without_short_bouts
from ssl_behavior.clusters import FrameClusters
from ssl_behavior.clusters.cluster_names import STREAM, cluster_labels
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import (
    DEFAULT_MEDIA,
    AnnotatedRecording,
    PairStreamFacts,
    annotated_recording,
)
from ssl_behavior.recording import Labels, PairLabels, StreamFacts
from ssl_behavior.resampling import resample_labels, resample_pair_labels
from ssl_behavior.store import Store, StoreRow

__all__ = ["chosen_streams", "clustered_recordings", "fewest_frames", "labeled_rows", "stored_recordings"]


_ROUNDING_FRAMES = 1e-6


def clustered_recordings(
    clusters: FrameClusters,
    rows: Iterable[EmbeddingRow],
    names: Sequence[str],
    minimum_seconds: float = 0.0,
    media: str = DEFAULT_MEDIA,
) -> Iterator[AnnotatedRecording]:
    """Recordings with their clusters as labels, one after the other; frames of no cluster are not annotated.

    Those of resampled recordings are brought to the frames of the source, as in `stored_recordings`. Clusters of pairs
    are labels with agents and targets; those of animals have the animal itself as target.

    Parameters
    ----------
    rows : of the clustering; those of a recording follow each other.
    names : of each cluster, see `cluster_names`.
    minimum_seconds : shorter bouts become part of the longer one beside them, see `without_short_runs`.
    """
    for recording, grouped in groupby(rows, lambda row: row.recording):
        own = list(grouped)
        times, labels = own[0].file_times, [_cluster_labels(clusters, row, names, minimum_seconds) for row in own]
        if own[0].actors.unit == "scene":
            yield annotated_recording(recording, times.fps, {STREAM: labels[0]}, media=media)
            continue
        individuals = tuple(dict.fromkeys(name for row in own for name in (row.agent, row.target) if name))
        yield annotated_recording(
            recording, times.fps, {}, individuals=individuals, media=media, num_frames=times.num_frames,
            pair_labels={STREAM: _with_actors(own, labels, individuals)},
        )  # fmt: skip


def _cluster_labels(clusters: FrameClusters, row: EmbeddingRow, names: Sequence[str], minimum_seconds: float) -> Labels:
    """Clusters of a row, in the frames of the video."""
    labels = without_short_bouts(cluster_labels(clusters.of(row), names), fewest_frames(minimum_seconds, row.fps))
    return labels if row.source_frames is None else resample_labels(labels, row.frame_times, row.file_times)


def _with_actors(rows: Sequence[EmbeddingRow], labels: Sequence[Labels], individuals: Sequence[str]) -> PairLabels:
    """Labels of a recording's animals or pairs in one stream."""
    vocabulary = labels[0].vocabulary
    looked_for = np.zeros((len(individuals), len(individuals), len(vocabulary)), bool)
    bouts = [np.empty((0, 5), np.int64)]
    for row, own in zip(rows, labels, strict=True):
        agent, target = individuals.index(row.agent), individuals.index(row.target or row.agent)
        looked_for[agent, target] = True
        spans = [(agent, target, label, start, stop) for start, stop, label in runs(own.frames) if label >= 0]
        bouts.append(np.array(spans, np.int64).reshape(-1, 5))
    return PairLabels(vocabulary=vocabulary, bouts=np.concatenate(bouts), looked_for=looked_for)


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
    known = (*store.streams, *store.pair_streams)
    if not known:
        raise InputError(f"{store.path} has no labels")
    return tuple(_facts(store, name) for name in dict.fromkeys(names or known))


def _facts(store: Store, name: str) -> StreamFacts:
    if name in store.pair_streams:
        return PairStreamFacts(name=name, classes=store.pair_streams[name].vocabulary)
    one = store.stream(name)
    return StreamFacts(name=name, classes=one.vocabulary, background=one.background)


def labeled_rows(store: Store, rows: Iterable[StoreRow], streams: Sequence[StreamFacts]) -> list[StoreRow]:
    """Recordings of a store that have at least one of the streams.

    Raises
    ------
    InputError
        If none has.
    """
    names = [stream.name for stream in streams]
    paired = [store.pair_streams[name] for name in names if name in store.pair_streams]
    found = [
        row
        for row in rows
        if any(name in row.annotators for name in names) or any(row.id in one.recordings for one in paired)
    ]
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
            if not isinstance(stream, PairStreamFacts)
        }
        pairs = _pair_labels(store, row, streams, minimum_seconds)
        annotators = dict.fromkeys(row.annotators.get(stream.name, "") for stream in streams)
        annotators |= dict.fromkeys(one.annotator for one in pairs.values())
        times = store.file_times(row)
        if row.source_fps is not None:
            labels = {name: resample_labels(one, row.frame_times, times) for name, one in labels.items()}
            pairs = {name: resample_pair_labels(one, row.frame_times, times) for name, one in pairs.items()}
        yield annotated_recording(
            row.id, times.fps, labels, individuals=store.individuals, actor=actor,
            annotator=", ".join(name for name in annotators if name), media=media, pair_labels=pairs,
            num_frames=times.num_frames,
        )  # fmt: skip


def _pair_labels(
    store: Store, row: StoreRow, streams: Sequence[StreamFacts], minimum_seconds: float
) -> dict[str, PairLabels]:
    """Labels of a recording with agents and targets, without shorter bouts."""
    found = {}
    for stream in streams:
        if isinstance(stream, PairStreamFacts) and row.id in store.pair_streams[stream.name].recordings:
            labels = store.pair_labels(stream.name, row)
            long_enough = labels.bouts[:, 4] - labels.bouts[:, 3] >= fewest_frames(minimum_seconds, row.fps)
            found[stream.name] = replace(labels, bouts=labels.bouts[long_enough])
    return found
