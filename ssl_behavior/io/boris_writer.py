"""Writer of BORIS projects (`.boris`, JSON): labels of many recordings, to review and correct beside the video.

BORIS does not read tables of bouts as observations. It opens projects, and imports observations from one project into
another. The layout is project format 7.0, used since BORIS 7: an ethogram of state events, the animals as subjects, and
one observation per recording. An event is [time, subject, behavior, modifier, comment, frame]; a state's events
alternate between start and stop. Times have milliseconds.
"""

import json
import math
import string
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ssl_behavior.bouts import Bout, bouts_of_pairs
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import (
    AnnotatedRecording,
    PairStreamFacts,
    shortcut_keys,
    streams_of,
    unique_behavior_names,
)
from ssl_behavior.recording import StreamFacts

__all__ = ["boris_project", "boris_seconds", "boris_text", "check_boris"]

_FORMAT_VERSION = "7.0"
_PLAYERS = tuple(str(number) for number in range(1, 9))
_MOST_FPS = 1000
_ROUNDING_MS = 1e-6


def check_boris(streams: Sequence[StreamFacts]) -> None:
    """Refuse behaviors whose names a BORIS ethogram cannot hold.

    Raises
    ------
    InputError
        Naming the behavior.
    """
    for (_, behavior), name in unique_behavior_names(streams).items():
        _check_name(f"behavior {behavior!r}", name)


def _check_name(what: str, name: str) -> None:
    if not name.isprintable() or name != name.strip() or "|" in name or not name:
        raise InputError(
            f"{what} is not allowed in a BORIS project: it must be printable, without '|' and without spaces at its "
            "ends; rename it, or choose another `format`"
        )


def boris_text(recordings: Sequence[AnnotatedRecording], name: str, written: datetime) -> str:
    """The text of a project file, see `boris_project`."""
    return json.dumps(boris_project(recordings, name, written), indent=1, ensure_ascii=False) + "\n"


def boris_project(recordings: Sequence[AnnotatedRecording], name: str, written: datetime) -> dict[str, Any]:
    """Project with one observation per recording, as decoded JSON.

    A bout's probability is the comment of its first event. If several label streams have a behavior of the same
    name, its name includes the stream. If there are several streams, they are categories of behaviors. An agent is the
    subject of its events; without one they have no focal subject. A target is the modifier of its events; behaviors
    with targets have a set of modifiers with all animals, as BORIS makes from the subjects.

    Parameters
    ----------
    name : name of the project.
    written : date of the project, also used as the date of the recordings, which is unknown.

    Raises
    ------
    InputError
        If a name cannot stand in a project, or a recording has more than 1000 frames per second.
    """
    streams = streams_of(recordings)
    check_boris(streams)
    names = unique_behavior_names(streams)
    categories = [stream.name for stream in streams] if len(streams) > 1 else []
    date = written.isoformat(timespec="seconds")
    return {
        "time_format": "hh:mm:ss",
        "project_date": date,
        "project_name": name,
        "project_description": "Behaviors labeled by ssl-behavior.",
        "project_format_version": _FORMAT_VERSION,
        "subjects_conf": _subjects(recordings),
        "behaviors_conf": _ethogram(names, categories, _targets(recordings, streams)),
        "observations": {recording.id: _observation(recording, names, date) for recording in recordings},
        "behavioral_categories": categories,
        "behavioral_categories_config": {str(number): {"name": one} for number, one in enumerate(categories)},
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }


def _subjects(recordings: Sequence[AnnotatedRecording]) -> dict[str, Any]:
    animals = dict.fromkeys(animal for recording in recordings for animal in recording.individuals)
    actors = dict.fromkeys(bout.agent for recording in recordings for bout in recording.bouts if bout.agent)
    for name in animals | actors:
        _check_name(f"animal {name!r}", name)
    return {str(i): {"key": "", "name": name, "description": ""} for i, name in enumerate(animals | actors)}


def _targets(recordings: Sequence[AnnotatedRecording], streams: Sequence[StreamFacts]) -> dict[str, list[str]]:
    """Stream with targets -> animals that may be one."""
    animals = list(dict.fromkeys(animal for recording in recordings for animal in recording.individuals))
    return {stream.name: animals for stream in streams if isinstance(stream, PairStreamFacts)}


def _modifiers(animals: Sequence[str]) -> dict[str, Any]:
    """Sets of modifiers of a behavior: its targets, one of which is chosen."""
    if not animals:
        return {}
    return {"0": {"name": "target", "description": "", "type": 0, "values": list(animals)}}


def _ethogram(
    names: Mapping[tuple[str, str], str], categories: Sequence[str], targets: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Ethogram of state events, each with a key while letters and digits last."""
    keys = shortcut_keys(list(names.values()), string.ascii_lowercase + string.digits)
    return {
        str(number): {
            "type": "State event",
            "key": keys[name],
            "code": name,
            "description": "",
            "color": "",
            "category": stream if categories else "",
            "modifiers": _modifiers(targets.get(stream, ())),
            "excluded": "",
            "coding map": "",
        }
        for number, ((stream, _), name) in enumerate(names.items())
    }


def _observation(recording: AnnotatedRecording, names: Mapping[tuple[str, str], str], date: str) -> dict[str, Any]:
    if recording.fps > _MOST_FPS:
        raise InputError(
            f"recording {recording.id!r} has {recording.fps:g} frames per second, and BORIS keeps milliseconds: frames "
            "would coincide; choose another `format`"
        )
    media = recording.media or recording.id
    labeled = f"Labeled in the style of {recording.annotator}." if recording.annotator else ""
    return {
        "type": "MEDIA",
        "date": date,
        "description": labeled,
        "time offset": 0.0,
        "observation time interval": [0, 0],
        "file": {player: [media] if player == "1" else [] for player in _PLAYERS},
        "media_info": {
            "length": {media: boris_seconds(recording.num_frames, recording.fps)},
            "fps": {media: recording.fps},
            "hasVideo": {media: True},
            "hasAudio": {media: False},
            "offset": {"1": 0.0},
            "display": {media: "Nothing"},
        },
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_creation_date_as_offset": False,
        "media_scan_sampling_duration": 0,
        "image_display_duration": 1,
        "close_behaviors_between_videos": False,
        "events": _events(recording, names),
    }


def _events(recording: AnnotatedRecording, names: Mapping[tuple[str, str], str]) -> list[list[Any]]:
    events = []
    for bout in _without_overlap(recording):
        sure = "" if bout.probability is None else f"probability {bout.probability:.2f}"
        for frame, comment in ((bout.start, sure), (bout.stop, "")):
            seconds = boris_seconds(frame, recording.fps)
            events.append([seconds, bout.agent, names[bout.stream, bout.behavior], bout.target, comment, frame])
    return sorted(events, key=lambda event: event[:4])


def _without_overlap(recording: AnnotatedRecording) -> list[Bout]:
    """Bouts; those of one behavior of one pair that overlap are one, since a state cannot begin twice."""
    merged = [
        bout
        for stream, labels in recording.pair_labels.items()
        for bout in bouts_of_pairs(stream, labels.merged(), recording.individuals)
    ]
    return [bout for bout in recording.bouts if bout.stream not in recording.pair_labels] + merged


def boris_seconds(frame: int, fps: float) -> float:
    """First whole millisecond within a frame, in seconds.

    Rounded down, the time would lie in the frame before, and BORIS would jump there. To recover the frame, round
    `seconds * fps` to the nearest integer or read it from the event: truncation makes 1.16 * 25 into 28.

    >>> boris_seconds(1, 30.0), boris_seconds(29, 25.0)
    (0.034, 1.16)
    """
    return math.ceil(frame * 1000 / fps - _ROUNDING_MS) / 1000
