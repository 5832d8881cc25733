"""A store's own labels on their way to annotation files."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ssl_behavior.bouts import without_short_bouts
from ssl_behavior.errors import InputError
from ssl_behavior.exports.clustered import fewest_frames
from ssl_behavior.io.annotated import DEFAULT_MEDIA, AnnotatedRecording, annotated_recording
from ssl_behavior.recording import Labels, StreamFacts
from ssl_behavior.store import Store, StoreRow

__all__ = ["chosen_streams", "labeled_rows", "stored_recordings"]


def chosen_streams(store: Store, names: Sequence[str] = ()) -> tuple[StreamFacts, ...]:
    """A store's label streams of these names; all of them by default.

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
    """Those of the recordings that have one of the streams.

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
    """Recordings with their labels, one after the other; a stream that one does not have says nothing of it.

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
                    background=stream.background,
                ),
                fewest_frames(minimum_seconds, row.fps),
            )
            for stream in streams
        }
        annotators = dict.fromkeys(row.annotators.get(stream.name, "") for stream in streams)
        yield annotated_recording(
            row.id, row.fps, labels, individuals=store.individuals, actor=actor,
            annotator=", ".join(name for name in annotators if name), media=media,
        )  # fmt: skip
