"""MABe 2025's annotations: bouts with agent, target and action, and the table of what was looked for in each video.

Columns, as the competition documents them: agent_id, target_id (equal to agent_id, or "self", where an animal directs
the behavior at itself), action, start_frame and stop_frame, "the first/last frame of the action". `train.csv` has the
list behaviors_labeled of each video. Tables of a video lie in `<x>_annotation/<lab>/` beside `<x>_tracking/<lab>/`.
"""

import json
from pathlib import Path

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import DEFAULT_STREAM, Annotation, AnnotationStream, Triple
from ssl_behavior.io.label_tables import (
    LabelTable,
    has_columns,
    read_rows,
    row_interval,
    row_name,
    rows_by_recording,
)
from ssl_behavior.mabe25_score import VideoBout

__all__ = [
    "annotations_of_tracks",
    "looked_for",
    "mouse_name",
    "read_intervals_table",
    "sniff_intervals_table",
    "sniff_looked_for",
    "tracks_folder",
    "video_bouts",
    "video_tables",
]

_TRACKS, _ANNOTATIONS = "_tracking", "_annotation"
_SELF = "self"


def sniff_intervals_table(path: Path) -> bool:
    """Whether the columns are agent_id, target_id, action, start_frame and stop_frame."""
    return has_columns(path, ("agent_id",), ("target_id",), ("action",), ("start_frame",), ("stop_frame",))


def sniff_looked_for(path: Path) -> bool:
    """Whether the table lists, for each video, the behaviors that annotators looked for."""
    return has_columns(path, ("video_id",), ("behaviors_labeled",))


def mouse_name(id: str) -> str:
    """
    >>> mouse_name("2"), mouse_name("mouse2"), mouse_name("2.0")
    ('mouse2', 'mouse2', 'mouse2')
    """
    number = id.removesuffix(".0")
    return f"mouse{number}" if number.isdecimal() else id


def read_intervals_table(path: Path) -> list[Annotation]:
    """A stream with agents and targets for each video.

    Frames are counted from 0, and the stop frame is part of an interval. `video_id` separates recordings.

    Raises
    ------
    InputError
        Naming the row, if its frames are no numbers or run backwards, or it has no agent, target or action.
    """
    table = read_rows(path)
    columns = table.column("agent_id"), table.column("target_id"), table.column("action")
    ends = table.column("start_frame"), table.column("stop_frame")
    found = []
    for recording, rows in rows_by_recording(table).items():
        bouts, agents, targets = [], [], []
        for number in rows:
            agent, target, action = (row_name(table, number, column) for column in columns)
            bouts.append((*row_interval(table, number, ends, last=True), action))
            agents.append(mouse_name(agent))
            targets.append(agents[-1] if target == _SELF else mouse_name(target))
        stream = AnnotationStream.of(bouts, subject=tuple(agents), target=tuple(targets), directed=True)
        found.append(Annotation(path=path, streams={DEFAULT_STREAM: stream}, names=(recording,) if recording else ()))
    return found


def video_bouts(path: Path, video: str = "") -> list[VideoBout]:
    """Rows of an annotation or submission table for `ssl_behavior.mabe25_score`, with the table's own numbers.

    Parameters
    ----------
    video : of a table without `video_id`.

    Raises
    ------
    InputError
        As `read_intervals_table`, or if no video is named.
    """
    table = read_rows(path)
    columns = table.column("agent_id"), table.column("target_id"), table.column("action")
    ends, place = (table.column("start_frame"), table.column("stop_frame")), table.column("video_id")
    if min(*columns, *ends) < 0 or (place < 0 and not video):
        raise InputError(
            f"{path}: expected the columns agent_id, target_id, action, start_frame, stop_frame and, unless the video "
            f"is named, video_id, got {table.header}"
        )
    found = []
    for number, row in enumerate(table.rows):
        agent, target, action = (row_name(table, number, column) for column in columns)
        start, stop = row_interval(table, number, ends, last=True)
        own = row[place].strip() if place >= 0 else video
        found.append(VideoBout(own, mouse_name(agent), mouse_name(target), action, start, stop - 1))
    return found


def looked_for(path: Path) -> dict[str, tuple[Triple, ...]]:
    """Video -> all that was looked for in it.

    Raises
    ------
    InputError
        Naming the row whose list is not JSON of "agent,target,action".
    """
    table = read_rows(path)
    video, listed = table.column("video_id"), table.column("behaviors_labeled")
    return {
        row[video].strip(): _triples(table, number, row[listed])
        for number, row in enumerate(table.rows)
        if row[listed].strip()
    }


def _triples(table: LabelTable, number: int, cell: str) -> tuple[Triple, ...]:
    try:
        # Some action lists have quotes around the names of the animals.
        words = [[part.strip() for part in one.replace("'", "").split(",")] for one in json.loads(cell)]
    except (ValueError, AttributeError, TypeError):
        words = [[]]
    wrong = next((one for one in words if len(one) != 3 or not all(one)), None)
    if wrong is not None:
        got = f", got {','.join(wrong)!r} in it" if wrong else ""
        raise InputError(
            f'{table.where(number)}: expected behaviors_labeled as JSON, ["agent,target,action", ...]{got}'
        )
    found = [(mouse_name(agent), mouse_name(target), action) for agent, target, action in words]
    return tuple(dict.fromkeys((one, one if other == _SELF else other, action) for one, other, action in found))


def annotations_of_tracks(tracks: Path) -> Path | None:
    """The annotation table of a track table in the competition's layout, None if there is none."""
    lab, folder = tracks.parent, tracks.parent.parent
    if not folder.name.endswith(_TRACKS):
        return None
    path = folder.with_name(folder.name.removesuffix(_TRACKS) + _ANNOTATIONS) / lab.name / tracks.name
    return path if path.is_file() else None


def tracks_folder(annotations: Path) -> Path:
    """Folder of the tracks that an annotation table belongs to: its own, or that of the competition's layout."""
    lab, folder = annotations.parent, annotations.parent.parent
    if not folder.name.endswith(_ANNOTATIONS):
        return lab
    other = folder.with_name(folder.name.removesuffix(_ANNOTATIONS) + _TRACKS) / lab.name
    return other if other.is_dir() else lab


def video_tables(tracks: Path) -> list[Path]:
    """Tables of videos (`train.csv`) in the folders above a track table that say what was looked for."""
    names = ("train.csv", "test.csv")
    above = [folder / name for folder in list(tracks.resolve().parents)[:3] for name in names]
    return [path for path in above if path.is_file() and sniff_looked_for(path)]
