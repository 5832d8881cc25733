"""MABe 2025's submission table, one row for each bout of an action of a pair.

Columns: row_id, video_id, agent_id, target_id ("self" where the agent directs the action at itself), action,
start_frame and stop_frame. As in the competition's annotations, the stop frame is the last of a bout.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import AnnotatedRecording
from ssl_behavior.mabe25_score import VideoBout
from ssl_behavior.recording import PairLabels, StreamFacts

__all__ = ["check_submission", "conflicting_frames", "submission_rows", "video_ids", "write_submission"]

_HEADER = ("row_id", "video_id", "agent_id", "target_id", "action", "start_frame", "stop_frame")
_SELF = "self"


def check_submission(streams: Sequence[StreamFacts]) -> None:
    """Refuse several streams, whose actions the table does not tell apart.

    Raises
    ------
    InputError
        Naming the streams.
    """
    if len(streams) > 1:
        names = ", ".join(stream.name for stream in streams)
        raise InputError(f"MABe 2025's submission table holds one label stream, not {names}; choose one of `streams`")


def video_ids(recordings: Sequence[str]) -> dict[str, str]:
    """Recording -> video id, the last part of its own.

    Raises
    ------
    InputError
        If two recordings would have one.
    """
    found: dict[str, str] = {}
    for recording in recordings:
        video = recording.rpartition("/")[2]
        if other := next((one for one, known in found.items() if known == video), ""):
            raise InputError(f"recordings {other!r} and {recording!r} would both be video {video}; export one of them")
        found[recording] = video
    return found


def submission_rows(video: str, labels: PairLabels, individuals: Sequence[str]) -> list[VideoBout]:
    """Rows of a recording without row_id, sorted by start; overlapping bouts of one action of a pair are one."""
    rows = [
        VideoBout(
            video, individuals[agent], _SELF if target == agent else individuals[target], labels.vocabulary[action],
            start, stop - 1,
        )
        for agent, target, action, start, stop in labels.merged().bouts.tolist()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row.start, row))


def conflicting_frames(labels: PairLabels) -> int:
    """Number of frames in which a pair has two actions, for which the competition refuses a submission."""
    by_pair: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for agent, target, _, start, stop in labels.merged().bouts.tolist():
        # The competition does not count the stop frame of a table.
        by_pair.setdefault((agent, target), []).append((start, stop - 1))
    shared = 0
    for spans in by_pair.values():
        end = 0
        for start, stop in sorted(spans):
            shared += max(0, min(end, stop) - start)
            end = max(end, stop)
    return shared


def write_submission(path: Path, recordings: Sequence[AnnotatedRecording]) -> None:
    """Write the table of all recordings.

    Raises
    ------
    InputError
        If two recordings would be one video.
    """
    videos = video_ids([recording.id for recording in recordings])
    rows = [
        row
        for recording in recordings
        for labels in recording.pair_labels.values()
        for row in submission_rows(videos[recording.id], labels, recording.individuals)
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows([number, *row] for number, row in enumerate(rows))
