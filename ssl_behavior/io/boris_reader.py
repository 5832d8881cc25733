"""Readers of BORIS: projects (`.boris`, JSON; versions 7 to 9) and exported tables of events (tabular or aggregated).

A state begins at an event and ends at the next one of the same subject, behavior and modifiers. A modifier that is the
name of a subject ("Add subjects as modifiers" in BORIS' ethogram) is the target of the behavior. Times are seconds and
become the nearest frame. Events may also state the frame, which is used where it agrees with the time.

Times count from the beginning of the observation: BORIS has added the observation's time offset to them, and the videos
of one player follow each other. Players show the same moment from several sides.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import DEFAULT_STREAM, Annotation, AnnotationStream
from ssl_behavior.io.delimited import head_text, read_text
from ssl_behavior.io.label_tables import text_rows
from ssl_behavior.recording import is_plausible_rate

__all__ = ["read_boris_project", "read_boris_table", "sniff_boris_project", "sniff_boris_table"]

_OBSERVERS = ("observer", "annotator", "rater", "coder", "scorer")
_NOBODY = ("", "no focal subject")
_Bout = tuple[float, float, str, str, str]
"""Start and stop in s, behavior, subject, and modifiers or, later, the target."""
_MOST_DIGITS = 12
_UNKNOWN_FPS_TOLERANCE = 0.04
"""Overlap of two states in seconds that counts as a slip where the frame rate is not known."""
_FRAME_AGREES = 1.5


@dataclass(frozen=True)
class _Video:
    """A video of an observation, and when it plays, in s; `media` : its files, one for each player."""

    media: tuple[str, ...] = ()
    start: float = 0.0
    stop: float = math.inf

    def inside(self, intervals: Iterable[_Bout]) -> list[_Bout]:
        """Intervals and points (of no length) while it plays, in its own time."""
        found = []
        for begin, end, behavior, subject, other in intervals:
            start, stop = max(begin, self.start), min(end, self.stop)
            if start < stop or (begin == end == start < self.stop):
                found.append((start - self.start, stop - self.start, behavior, subject, other))
        return found


@dataclass
class _Observation:
    """Events of one observation, before they are intervals. Times are those of the videos, in s.

    `videos` : one after the other; `offset` : what BORIS has added to the times of events; `states` : (subject,
    behavior, modifiers) -> times of its events; `ends` : intervals with both ends stated; `notices` : about its videos.
    """

    name: str
    videos: tuple[_Video, ...] = (_Video(),)
    fps: float | None = None
    observer: str = ""
    vocabulary: Mapping[str, str] = field(default_factory=dict)
    states: dict[tuple[str, str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    points: list[tuple[float, str, str, str]] = field(default_factory=list)
    ends: list[_Bout] = field(default_factory=list)
    offset: float = 0.0
    notices: list[str] = field(default_factory=list)

    @property
    def subjects(self) -> set[str]:
        """Subjects of its events."""
        named = {subject for *_, subject, _ in self.ends} | {subject for subject, _, _ in self.states}
        return (named | {subject for *_, subject, _ in self.points}) - {""}

    def annotations(self, path: Path, alone: bool, animals: Collection[str] = ()) -> list[Annotation]:
        """Streams of each video: one for each category of behaviors, in seconds.

        Parameters
        ----------
        alone : the file has no other observation, so it may be named after the recording.
        animals : subjects of the file; a modifier with such a name is a target.
        """
        where = f"{path}: observation {self.name!r}"
        found, unclosed, notices = list(self.ends), [], [f"{where}: {notice}" for notice in self.notices]
        if self.offset:
            notices.append(f"{where}: its time offset of {self.offset:g} s is subtracted from the times of its events")
        for (subject, behavior, modifiers), times in self.states.items():
            times = sorted(times)
            if len(times) % 2:
                unclosed.append(times.pop())
                notices.append(
                    f"{where}: {behavior!r} begins at {unclosed[-1]:g} s and does not end; what follows is not "
                    "annotated where no other behavior is"
                )
            found += [(a, b, behavior, subject, modifiers) for a, b in zip(times[::2], times[1::2], strict=True)]
        if self.points:
            words = ", ".join(sorted({repr(behavior) for _, behavior, *_ in self.points}))
            notices.append(f"{where}: point events ({words}) become bouts of one frame")
            found += [(time, time, behavior, subject, other) for time, behavior, subject, other in self.points]
        found, not_read = _with_targets(found, animals)
        notices += [f"{where}: the modifiers of {behavior!r} are not read" for behavior in not_read]
        several, first = len(self.videos) > 1, min(unclosed, default=None)
        return [
            Annotation(
                path=path, notices=tuple(dict.fromkeys(notices)), own_name=alone and not several,
                # An observation of several videos is none of them.
                names=tuple(dict.fromkeys(filter(None, ("" if several else self.name, *map(_stem, video.media))))),
                streams=self._streams(
                    video.inside(found), None if first is None or first >= video.stop else max(0.0, first - video.start)
                ),
            )
            for video in self.videos
        ]  # fmt: skip

    def time(self, stated: float, frame: int | None) -> float:
        """Time in the videos of an event: without the offset, and exactly that of its frame where they agree."""
        for time in (stated - self.offset, stated):
            start = max((video.start for video in self.videos if video.start <= time), default=0.0)
            if self.fps and frame is not None and abs(frame - (time - start) * self.fps) <= _FRAME_AGREES:
                return start + frame / self.fps
        return stated - self.offset

    def _streams(self, found: list[_Bout], unclosed: float | None) -> dict[str, AnnotationStream]:
        streams = {}
        listed = dict(self.vocabulary) | {b: DEFAULT_STREAM for _, _, b, *_ in found if b not in self.vocabulary}
        for stream in dict.fromkeys(listed.values()):
            own = sorted(interval for interval in found if listed[interval[2]] == stream)
            streams[stream] = AnnotationStream.of(
                [interval[:3] for interval in own],
                [behavior for behavior, category in listed.items() if category == stream],
                subject=tuple(interval[3] for interval in own),
                target=tuple(interval[4] for interval in own) if any(interval[4] for interval in own) else (),
                directed=any(interval[4] for interval in own), complete=True, seconds=True, fps=self.fps,
                not_annotated=() if unclosed is None else ((unclosed, math.inf),), annotator=self.observer,
                tolerance=1 / self.fps if self.fps else _UNKNOWN_FPS_TOLERANCE,
            )  # fmt: skip
        return streams


_KEY = re.compile(r" \([^()]*\)$")


def _with_targets(bouts: Iterable[_Bout], animals: Collection[str]) -> tuple[list[_Bout], list[str]]:
    """Bouts with the target in place of the modifiers, one for each target; behaviors with other modifiers."""
    found: list[_Bout] = []
    not_read: dict[str, None] = {}
    known = {name.casefold(): name for name in animals}
    for start, stop, behavior, subject, modifiers in bouts:
        # Sets of modifiers are divided by "|", several choices of a set by ","; a key may follow in parentheses.
        words = [_KEY.sub("", word.strip()) for word in re.split(r"[|,]", modifiers)]
        targets = list(dict.fromkeys(known[word.casefold()] for word in words if word.casefold() in known))
        others = [word for word in words if word.casefold() not in known]
        if any(word.casefold() not in ("", "none") for word in others) or (modifiers and not targets):
            not_read[behavior] = None
        found += [(start, stop, behavior, subject, target) for target in targets or [""]]
    return found, list(not_read)


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
    animals = set().union(_subjects(project), *(one.subjects for one in made))
    return [part for one in made for part in one.annotations(path, len(made) == 1, animals)]


def _subjects(project: Mapping[str, Any]) -> set[str]:
    """Names of the subjects that a project defines."""
    listed = project.get("subjects_conf")
    if not isinstance(listed, dict):
        return set()
    return {str(one["name"]) for one in listed.values() if isinstance(one, dict) and one.get("name")}


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
    offset = _number(values.get("time offset") or 0.0)
    if offset is None:
        raise InputError(f"{where}: its time offset must be seconds, got {values['time offset']!r}")
    made = _Observation(name, (_Video(),), _fps(values), observer, categories, offset=offset)
    made.videos = _videos(values, made.notices, where)
    for number, event in enumerate(values["events"], start=1):
        try:
            time, subject, code, modifiers = float(event[0]), str(event[1] or ""), str(event[2]), str(event[3] or "")
            time = made.time(time, _frame(event[5] if len(event) > 5 else None))
            if not math.isfinite(time):
                raise ValueError
        except (TypeError, ValueError, IndexError, KeyError):
            raise InputError(
                f"{where}: event {number} ({str(event)[:60]}): expected time, subject, behavior and modifiers"
            ) from None
        time = _from_start(time, made, f"{where}: event {number} ({str(event)[:60]})")
        subject = "" if subject.lower() in _NOBODY else subject
        if kinds.get(code, False):
            made.points.append((time, code, subject, modifiers))
        else:
            made.states[subject, code, modifiers].append(time)
    return made


def _frame(value: Any) -> int | None:
    """A stated frame number; None for NA or nothing."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < _MOST_DIGITS:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _from_start(time: float, made: _Observation, where: str) -> float:
    """The time, or 0 where rounding makes it a little less."""
    if time < -(1 / made.fps if made.fps else _UNKNOWN_FPS_TOLERANCE):
        stated = f", less the time offset of {made.offset:g} s," if made.offset else ""
        raise InputError(
            f"{where}: its time{stated} is {time:g} s, before the video begins; correct it in BORIS and save again"
        )
    return max(0.0, time)


def _videos(values: Mapping[str, Any], notices: list[str], where: str) -> tuple[_Video, ...]:
    """Videos of an observation, one after the other, with those of other players that begin with them.

    Raises
    ------
    InputError
        If one player has several videos whose lengths the project does not state.
    """
    listed = values.get("file") or {}
    players = listed if isinstance(listed, dict) else {"1": listed}
    files = {
        str(player): [str(one) for one in (own if isinstance(own, list) else [own]) if one]
        for player, own in players.items()
    }
    files = {player: own for player, own in sorted(files.items()) if own}
    if not files:
        return (_Video(),)
    info = values.get("media_info")
    facts = info if isinstance(info, dict) else {}
    shifts = facts.get("offset")
    shifted = shifts if isinstance(shifts, dict) else {}
    main, *others = files
    beside = []
    for player in others:
        if len(files[player]) > 1 or len(files[main]) > 1 or _number(shifted.get(player) or 0.0) != 0:
            notices.append(
                f"events are read for the videos of player {main}, not for {', '.join(map(_stem, files[player]))} of "
                f"player {player}, which does not play in step with them"
            )
        else:
            beside += files[player]
    lengths = facts.get("length")
    known = [_positive(lengths.get(one)) if isinstance(lengths, dict) else None for one in files[main][:-1]]
    if None in known:
        raise InputError(
            f"{where}: its videos ({', '.join(map(_stem, files[main]))}) follow each other, and the project does not "
            "state their lengths; open and save it in BORIS where the videos are, or make one observation of each video"
        )
    starts = [0.0, *accumulate(length for length in known if length is not None)]
    stops = [*starts[1:], math.inf]
    return tuple(
        _Video((one, *beside), start, stop) for one, start, stop in zip(files[main], starts, stops, strict=True)
    )


def _fps(values: Mapping[str, Any]) -> float | None:
    info = values.get("media_info")
    rates = info.get("fps") if isinstance(info, dict) else None
    return next((rate for rate in map(_rate, rates.values()) if rate), None) if isinstance(rates, dict) else None


def _number(value: Any) -> float | None:
    try:
        number = float(str(value).replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _rate(value: Any) -> float | None:
    """Frame rate; None for a number that is none."""
    number = _number(value)
    return number if number is not None and is_plausible_rate(number) else None


def _positive(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


_BEHAVIOR, _TIME, _START, _STOP, _OFFSET = "behavior", "time", "start (s)", "stop (s)", "time offset (s)"
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
    listed = [(row[0].strip().lower(), row[1].strip()) for row in rows[:begin] if len(row) > 1 and row[0].strip()]
    facts = dict(listed)
    videos = [value for name, value in listed if name.startswith("player #") and value]
    if len(videos) > len(_fact_media(facts)):
        raise InputError(
            f"{path}: its observation plays several videos one after the other ({', '.join(map(_stem, videos))}); give "
            "the BORIS project (.boris), which states the lengths of the videos"
        )
    columns = {name.strip().lower(): number for number, name in reversed(list(enumerate(rows[begin])))}
    made: dict[str, _Observation] = {}
    for number, row in enumerate(rows[begin + 1 :], start=begin + 2):
        if any(cell.strip() for cell in row):
            _add_row(made, {name: row[i].strip() for name, i in columns.items() if i < len(row)}, facts,
                     f"{path}: row {number} ({','.join(row)[:60]!r})")  # fmt: skip
    if not made:
        made[""] = _Observation(facts.get("observation id", ""), (_Video(_fact_media(facts)),))
    words = dict.fromkeys(one for obs in made.values() for one in _words(obs))
    for one in made.values():
        one.vocabulary = dict.fromkeys(words, DEFAULT_STREAM)
    animals = set().union(*(one.subjects for one in made.values()))
    return [part for one in made.values() for part in one.annotations(path, len(made) == 1, animals)]


def _words(one: _Observation) -> Iterable[str]:
    yield from (behavior for _, _, behavior, *_ in one.ends)
    yield from (behavior for _, behavior, _ in one.states)
    yield from (behavior for _, behavior, *_ in one.points)


def _fact_media(facts: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(value for name, value in facts.items() if name.startswith("player #") and value)


def _add_row(made: dict[str, _Observation], row: Mapping[str, str], facts: Mapping[str, str], where: str) -> None:
    name = row.get("observation id") or facts.get("observation id", "")
    if name not in made:
        made[name] = _row_observation(name, row, facts, where)
    own = made[name]
    media = _row_media(row)
    if media and own.videos[0].media and media not in own.videos[0].media:
        raise InputError(
            f"{where}: observation {name!r} has events in {own.videos[0].media[0]} and in {media}, whose times follow "
            "each other; give the BORIS project (.boris), which states the lengths of the videos"
        )
    behavior, subject = row.get(_BEHAVIOR, ""), row.get("subject", "")
    if not behavior:
        raise InputError(f"{where}: the event has no behavior")
    subject = "" if subject.lower() in _NOBODY else subject
    if _START in row:
        frames = _frame(row.get("image index start")), _frame(row.get("image index stop"))
        start, stop = (
            _from_start(own.time(_seconds(row.get(column, ""), where), frame), own, where)
            for column, frame in zip((_START, _STOP), frames, strict=True)
        )
        if stop < start:
            raise InputError(f"{where}: {behavior!r} stops at {stop:g} s, before it starts at {start:g} s")
        if stop == start:
            own.points.append((start, behavior, subject, _modifiers(row)))
        else:
            own.ends.append((start, stop, behavior, subject, _modifiers(row)))
        return
    kind = next((row[key].upper() for key in _KIND if row.get(key)), "")
    time = own.time(_seconds(row.get(_TIME, ""), where), _frame(row.get("image index")))
    _add_event(own, row, (behavior, subject, kind), _from_start(time, own, where), where)


def _row_media(row: Mapping[str, str]) -> str:
    media = row.get("media file name") or row.get("media file path") or row.get("source", "")
    return re.sub(r"^player #\d+:", "", media, flags=re.IGNORECASE).split(";")[0]


def _row_observation(name: str, row: Mapping[str, str], facts: Mapping[str, str], where: str) -> _Observation:
    files = tuple(dict.fromkeys(filter(None, (_row_media(row), *_fact_media(facts)))))
    observer = next((row[key] for key in _OBSERVERS if row.get(key)), "")
    stated = row.get(_OFFSET) or facts.get(_OFFSET) or "0"
    offset = _number(stated)
    if offset is None:
        raise InputError(f"{where}: its time offset must be seconds, got {stated!r}")
    fps = _rate(row.get("fps") or row.get("fps (frame/s)"))
    return _Observation(name, (_Video(files),), fps, observer, offset=offset)


def _add_event(own: _Observation, row: Mapping[str, str], event: tuple[str, str, str], time: float, where: str) -> None:
    """Add an event (behavior, subject, kind) of a table that states beginnings and ends in rows of their own."""
    behavior, subject, kind = event
    modifiers = _modifiers(row)
    if kind == "POINT":
        own.points.append((time, behavior, subject, modifiers))
        return
    events = own.states[subject, behavior, modifiers]
    if kind != ("STOP" if len(events) % 2 else "START"):
        expected = "START, STOP or POINT" if kind not in ("START", "STOP") else "START and STOP in turn"
        raise InputError(f"{where}: {behavior!r} is {kind or 'neither'} at {time:g} s; expected {expected}")
    if events and time < events[-1]:
        raise InputError(f"{where}: {behavior!r} has {kind} at {time:g} s, before its event at {events[-1]:g} s")
    events.append(time)


def _modifiers(row: Mapping[str, str]) -> str:
    return "|".join(value for key, value in row.items() if key.startswith("modifier") and value)


def _seconds(cell: str, where: str) -> float:
    try:
        time = float(cell.replace(",", "."))
    except ValueError:
        time = math.nan
    if not np.isfinite(time):
        raise InputError(f"{where}: expected a time in seconds, got {cell!r}")
    return time
