"""Readers of BORIS: projects (`.boris`, JSON; versions 7 to 9) and exported tables of events (tabular or aggregated).

A state begins at an event and ends at the next one of the same subject, behavior and modifiers. Times are seconds and
become the nearest frame. A project's events may also state the frame, which is used where it agrees with the time.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import DEFAULT_STREAM, Annotation, AnnotationStream
from ssl_behavior.io.delimited import head_text, read_text
from ssl_behavior.io.delimited_labels import text_rows

__all__ = ["read_boris_project", "read_boris_table", "sniff_boris_project", "sniff_boris_table"]

_OBSERVERS = ("observer", "annotator", "rater", "coder", "scorer")
_NOBODY = ("", "no focal subject")
_UNKNOWN_FPS_TOLERANCE = 0.04
"""Overlap of two states in seconds that counts as a slip where the frame rate is not known."""
_FRAME_AGREES = 1.5


@dataclass
class _Observation:
    """Events of one observation, before they are intervals.

    `states` : (subject, behavior, modifiers) -> times of its events; `ends` : intervals with both ends stated.
    """

    name: str
    media: tuple[str, ...] = ()
    fps: float | None = None
    observer: str = ""
    vocabulary: Mapping[str, str] = field(default_factory=dict)
    states: dict[tuple[str, str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    points: list[tuple[float, str, str]] = field(default_factory=list)
    ends: list[tuple[float, float, str, str]] = field(default_factory=list)

    def annotation(self, path: Path, alone: bool) -> Annotation:
        """The observation's streams: one for each category of behaviors, in seconds.

        `alone` : the file has no other observation, so it may be named after the recording.
        """
        where = f"{path}: observation {self.name!r}"
        found, unclosed, notices = list(self.ends), [], []
        for (subject, behavior, modifiers), times in self.states.items():
            times = sorted(times)
            if len(times) % 2:
                unclosed.append(times.pop())
                notices.append(
                    f"{where}: {behavior!r} begins at {unclosed[-1]:g} s and does not end; what follows is not "
                    "annotated where no other behavior is"
                )
            if modifiers:
                notices.append(f"{where}: the modifiers of {behavior!r} are not read")
            found += [(a, b, behavior, subject) for a, b in zip(times[::2], times[1::2], strict=True)]
        if self.points:
            words = ", ".join(sorted({repr(behavior) for _, behavior, _ in self.points}))
            notices.append(f"{where}: point events ({words}) become bouts of one frame")
            found += [(time, time, behavior, subject) for time, behavior, subject in self.points]
        names = (self.name, *(_stem(media) for media in self.media))
        return Annotation(
            path=path, names=tuple(dict.fromkeys(filter(None, names))), notices=tuple(dict.fromkeys(notices)),
            streams=self._streams(found, min(unclosed, default=None)), own_name=alone,
        )  # fmt: skip

    def _streams(
        self, found: list[tuple[float, float, str, str]], unclosed: float | None
    ) -> dict[str, AnnotationStream]:
        streams = {}
        listed = dict(self.vocabulary) | {b: DEFAULT_STREAM for _, _, b, _ in found if b not in self.vocabulary}
        for stream in dict.fromkeys(listed.values()):
            own = sorted(interval for interval in found if listed[interval[2]] == stream)
            streams[stream] = AnnotationStream.of(
                [interval[:3] for interval in own],
                [behavior for behavior, category in listed.items() if category == stream],
                subject=tuple(interval[3] for interval in own), complete=True, seconds=True, fps=self.fps,
                not_annotated=() if unclosed is None else ((unclosed, math.inf),), annotator=self.observer,
                tolerance=1 / self.fps if self.fps else _UNKNOWN_FPS_TOLERANCE,
            )  # fmt: skip
        return streams


def _stem(media: str) -> str:
    return PureWindowsPath(media.strip()).stem


def sniff_boris_project(path: Path) -> bool:
    """Whether the file is JSON with the keys of a BORIS project."""
    head = head_text(path).lstrip()
    return head.startswith("{") and ('"behaviors_conf"' in head or '"project_format_version"' in head)


def read_boris_project(path: Path) -> list[Annotation]:
    """Every observation of a project that has events.

    Raises
    ------
    InputError
        If it is not JSON, or an observation or event is not as BORIS writes it.
    """
    try:
        project = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged BORIS project ({error}): save or copy it again") from None
    observations = project.get("observations") if isinstance(project, dict) else None
    if not isinstance(observations, dict):
        raise InputError(f"{path}: the BORIS project has no observations; expected a list of them by name")
    kinds, categories = _ethogram(project, path)
    made = [_observation(name, one, kinds, categories, path) for name, one in observations.items()]
    return [one.annotation(path, len(made) == 1) for one in made]


def _ethogram(project: Mapping[str, Any], path: Path) -> tuple[dict[str, bool], dict[str, str]]:
    """Behavior -> whether it is a point event, and behavior -> its stream (the category, if there are several)."""
    conf = project.get("behaviors_conf") or {}
    try:
        kinds = {str(one["code"]): "point" in str(one["type"]).lower() for one in conf.values()}
        category = {str(one["code"]): str(one.get("category") or "") for one in conf.values()}
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path}: the BORIS project's behaviors_conf must list behaviors by code and type") from None
    several = len(set(category.values()) - {""}) > 1
    return kinds, {code: _category(name) if several else DEFAULT_STREAM for code, name in category.items()}


def _category(name: str) -> str:
    return name or DEFAULT_STREAM


def _observation(
    name: str, values: Any, kinds: Mapping[str, bool], categories: Mapping[str, str], path: Path
) -> _Observation:
    where = f"{path}: observation {name!r}"
    if not isinstance(values, dict) or not isinstance(values.get("events"), list):
        raise InputError(f"{where}: expected a BORIS observation with a list of events")
    facts = values.get("independent_variables") or {}
    observer = next((str(value) for key, value in facts.items() if str(key).lower() in _OBSERVERS and value), "")
    made = _Observation(name, _media(values), _fps(values), observer, categories)
    for number, event in enumerate(values["events"], start=1):
        try:
            time, subject, code, modifiers = float(event[0]), str(event[1] or ""), str(event[2]), str(event[3] or "")
            frame = event[5] if len(event) > 5 else None
            if not math.isfinite(time) or time < 0:
                raise ValueError
        except (TypeError, ValueError, IndexError, KeyError):
            raise InputError(
                f"{where}: event {number} ({str(event)[:60]}): expected time, subject, behavior and modifiers"
            ) from None
        time = _exact(time, frame, made.fps)
        subject = "" if subject.lower() in _NOBODY else subject
        if kinds.get(code, False):
            made.points.append((time, code, subject))
        else:
            made.states[subject, code, modifiers].append(time)
    return made


def _exact(time: float, frame: Any, fps: float | None) -> float:
    """Time of an event's stated frame, if it agrees with its time; else its time."""
    if fps and isinstance(frame, int) and not isinstance(frame, bool) and abs(frame - time * fps) <= _FRAME_AGREES:
        return frame / fps
    return time


def _media(values: Mapping[str, Any]) -> tuple[str, ...]:
    players = values.get("file") or {}
    listed = players.values() if isinstance(players, dict) else [players]
    return tuple(str(one) for files in listed for one in (files if isinstance(files, list) else [files]) if one)


def _fps(values: Mapping[str, Any]) -> float | None:
    rates = (values.get("media_info") or {}).get("fps") or {}
    return next((rate for rate in map(_positive, rates.values()) if rate), None) if isinstance(rates, dict) else None


def _positive(value: Any) -> float | None:
    try:
        number = float(str(value).replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


_BEHAVIOR, _TIME, _START, _STOP = "behavior", "time", "start (s)", "stop (s)"
_KIND = ("status", "behavior type")


def _header(rows: list[list[str]]) -> int:
    """Row with the names of the columns, below the facts of older versions; -1 for none."""
    for number, row in enumerate(rows):
        words = {cell.strip().lower() for cell in row}
        if _BEHAVIOR in words and ((_TIME in words and words & set(_KIND)) or {_START, _STOP} <= words):
            return number
    return -1


def sniff_boris_table(path: Path) -> bool:
    """Whether a table has the columns of BORIS' events, maybe below facts about the observation."""
    try:
        return _header(text_rows(head_text(path), path)[:200]) >= 0
    except InputError:
        return False


def read_boris_table(path: Path) -> list[Annotation]:
    """Every observation of a table of events, tabular (START, STOP, POINT) or aggregated (start and stop).

    Raises
    ------
    InputError
        Naming the row, if a time is no number or a state stops before it starts.
    """
    rows = text_rows(read_text(path), path)
    begin = _header(rows)
    if begin < 0:
        raise InputError(f"{path}: expected BORIS' columns Behavior, and Time and Status, or Start (s) and Stop (s)")
    facts = {row[0].strip().lower(): row[1].strip() for row in rows[:begin] if len(row) > 1 and row[0].strip()}
    columns = {name.strip().lower(): number for number, name in reversed(list(enumerate(rows[begin])))}
    made: dict[str, _Observation] = {}
    for number, row in enumerate(rows[begin + 1 :], start=begin + 2):
        if any(cell.strip() for cell in row):
            _add_row(made, {name: row[i].strip() for name, i in columns.items() if i < len(row)}, facts,
                     f"{path}: row {number} ({','.join(row)[:60]!r})")  # fmt: skip
    if not made:
        made[""] = _Observation(facts.get("observation id", ""), _fact_media(facts))
    words = dict.fromkeys(one for obs in made.values() for one in _words(obs))
    for one in made.values():
        one.vocabulary = dict.fromkeys(words, DEFAULT_STREAM)
    return [one.annotation(path, len(made) == 1) for one in made.values()]


def _words(one: _Observation) -> Iterable[str]:
    yield from (behavior for _, _, behavior, _ in one.ends)
    yield from (behavior for _, behavior, _ in one.states)
    yield from (behavior for _, behavior, _ in one.points)


def _fact_media(facts: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(value for name, value in facts.items() if name.startswith("player #") and value)


def _add_row(made: dict[str, _Observation], row: Mapping[str, str], facts: Mapping[str, str], where: str) -> None:
    name = row.get("observation id") or facts.get("observation id", "")
    if name not in made:
        media = row.get("media file name") or row.get("media file path") or row.get("source", "")
        media = re.sub(r"^player #\d+:", "", media, flags=re.IGNORECASE).split(";")[0]
        files = tuple(dict.fromkeys(filter(None, (media, *_fact_media(facts)))))
        observer = next((row[key] for key in _OBSERVERS if row.get(key)), "")
        made[name] = _Observation(name, files, _positive(row.get("fps") or row.get("fps (frame/s)")), observer)
    behavior, subject = row.get(_BEHAVIOR, ""), row.get("subject", "")
    if not behavior:
        raise InputError(f"{where}: the event has no behavior")
    subject = "" if subject.lower() in _NOBODY else subject
    if _START in row:
        start, stop = (_seconds(row.get(column, ""), where) for column in (_START, _STOP))
        if stop < start:
            raise InputError(f"{where}: {behavior!r} stops at {stop:g} s, before it starts at {start:g} s")
        if stop == start:
            made[name].points.append((start, behavior, subject))
        else:
            made[name].ends.append((start, stop, behavior, subject))
        return
    kind, time = next((row[key].upper() for key in _KIND if row.get(key)), ""), _seconds(row.get(_TIME, ""), where)
    modifiers = "|".join(value for key, value in row.items() if key.startswith("modifier") and value)
    if kind == "POINT":
        made[name].points.append((time, behavior, subject))
        return
    events = made[name].states[subject, behavior, modifiers]
    if kind != ("STOP" if len(events) % 2 else "START"):
        expected = "START, STOP or POINT" if kind not in ("START", "STOP") else "START and STOP in turn"
        raise InputError(f"{where}: {behavior!r} is {kind or 'neither'} at {time:g} s; expected {expected}")
    if events and time < events[-1]:
        raise InputError(f"{where}: {behavior!r} has {kind} at {time:g} s, before its event at {events[-1]:g} s")
    events.append(time)


def _seconds(cell: str, where: str) -> float:
    try:
        time = float(cell.replace(",", "."))
    except ValueError:
        time = math.nan
    if not (np.isfinite(time) and time >= 0):
        raise InputError(f"{where}: expected a time in seconds, got {cell!r}")
    return time
