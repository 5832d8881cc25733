"""Sources of exported labels: the clusters of recordings, or the label streams of a store."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ssl_behavior.bouts import without_short_bouts
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


def chosen_streams(store: Store, names: Sequence[str] = (), with_pairs: bool = True) -> tuple[StreamFacts, ...]:
    """Label streams of a store by name; all by default.

    Parameters
    ----------
    with_pairs : streams with agents and targets may be among them.

    Raises
    ------
    InputError
        If one is not there or may not be among them, or there are none.
    """
    known = (*store.streams, *(store.pair_streams if with_pairs else ()))
    if not known:
        directed = f", only some with agents and targets: {', '.join(store.pair_streams)}" if store.pair_streams else ""
        raise InputError(f"{store.path} has no labels{directed}")
    if directed_name := next((name for name in names if name in store.pair_streams and not with_pairs), ""):
        raise InputError(
            f"label stream {directed_name!r} of {store.path} has agents and targets, and no single behavior of each "
            f"frame; choose among {', '.join(known)}"
        )
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
