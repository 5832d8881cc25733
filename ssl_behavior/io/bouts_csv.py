"""Writing bouts, or the labels of every frame, as a table (CSV): for spreadsheets, R and pandas."""

import csv
import io
from collections.abc import Sequence

from ssl_behavior.bouts import Bout
from ssl_behavior.io.annotated import AnnotatedRecording

__all__ = ["bouts_csv", "frames_csv"]


def bouts_csv(bouts: Sequence[Bout], fps: float) -> str:
    """A line per bout. Frames are counted from 0; a bout ends before its stop frame.

    Actor and probability are empty where they are not known.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["stream", "behavior", "start_frame", "stop_frame", "start_s", "stop_s", "actor", "probability"])
    for bout in bouts:
        seconds = (f"{frame / fps:.3f}" for frame in (bout.start, bout.stop))
        probability = "" if bout.probability is None else f"{bout.probability:.4f}"
        writer.writerow([bout.stream, bout.behavior, bout.start, bout.stop, *seconds, bout.actor, probability])
    return text.getvalue()


def frames_csv(recording: AnnotatedRecording) -> str:
    """A line per frame: its number from 0, its time, and what every stream says of it; empty = not annotated."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["frame", "seconds", *recording.labels])
    words = [[*one.vocabulary, ""] for one in recording.labels.values()]
    numbers = [one.frames.tolist() for one in recording.labels.values()]
    for frame, labels in enumerate(zip(*numbers, strict=True)):
        said = (names[label] for names, label in zip(words, labels, strict=True))
        writer.writerow([frame, f"{frame / recording.fps:.3f}", *said])
    return text.getvalue()
