"""Bento's `.annot`: bouts of behaviors in channels, as text that Bento (MATLAB and Python) and MARS read.

Numbers with a decimal point are seconds. The writer uses whole numbers: frames counted from 1, both ends part of
the bout. The duration is stop - start, one less than the number of frames, as MARS expects. MATLAB turns channels and
behaviors into field names, with underscores for spaces, so some names are not allowed.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssl_behavior.bouts import Bout
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated_recording import AnnotatedRecording, streams_of
from ssl_behavior.io.annotation import Annotation, AnnotationStream, Interval
from ssl_behavior.io.caltech import stream_numbers
from ssl_behavior.io.delimited import head_text, read_text
from ssl_behavior.recording import StreamFacts, is_plausible_rate

__all__ = ["bento_channels", "bento_text", "check_bento", "read_bento", "sniff_bento"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ ]{0,61}[A-Za-z0-9_]|[A-Za-z]")


def bento_channels(streams: Sequence[str]) -> dict[str, str]:
    """Channel names of label streams: Ch1, Ch2 ...; streams S1, S2 ... keep their numbers.

    >>> bento_channels(["S2"]), bento_channels(["behavior", "groom"])
    ({'S2': 'Ch2'}, {'behavior': 'Ch1', 'groom': 'Ch2'})
    """
    return {name: f"Ch{number}" for name, number in stream_numbers(streams).items()}


def check_bento(streams: Sequence[StreamFacts]) -> None:
    """Refuse behaviors whose names Bento cannot read.

    Raises
    ------
    InputError
        Naming the behavior.
    """
    seen: dict[str, str] = {}
    for name in dict.fromkeys(stream.classes[number] for stream in streams for number in stream.foreground):
        if not _NAME.fullmatch(name):
            raise InputError(
                f"behavior {name!r} is not allowed in a Bento file: use at most 63 letters, digits, spaces and '_', a "
                "letter first and no space last; rename it, or choose another `format`"
            )
        other = seen.setdefault(name.replace(" ", "_"), name)
        if other != name:
            raise InputError(
                f"behaviors {other!r} and {name!r} are the same to Bento; rename one, or choose another `format`"
            )


def bento_text(recording: AnnotatedRecording) -> str:
    """Text of one recording's file, without background and unannotated frames.

    Raises
    ------
    InputError
        See `check_bento`.
    """
    streams = streams_of([recording])
    check_bento(streams)
    channels = bento_channels([stream.name for stream in streams])
    names = dict.fromkeys(stream.classes[number] for stream in streams for number in stream.foreground)
    lines = ["Bento annotation file", f"Movie file(s): {recording.media}", ""]
    lines += ["Stimulus name: ", "Annotation start frame: 1", f"Annotation stop frame: {recording.num_frames}"]
    lines += [f"Annotation framerate: {recording.fps:f}", ""]
    lines += ["List of channels:", *channels.values(), "", "List of annotations:", *names, ""]
    for stream, bouts in _by_stream(recording).items():
        lines += [f"{channels[stream]}----------", *_channel(bouts), ""]
    return "\n".join([*lines, ""])


def _by_stream(recording: AnnotatedRecording) -> Mapping[str, list[Bout]]:
    """Bouts of each stream that has any; a channel without bouts is listed but has no section."""
    bouts = {stream: [bout for bout in recording.bouts if bout.stream == stream] for stream in recording.labels}
    return {stream: own for stream, own in bouts.items() if own}


def _channel(bouts: Sequence[Bout]) -> list[str]:
    """Section of a channel: one block per behavior that occurs."""
    lines: list[str] = []
    for name in dict.fromkeys(bout.behavior for bout in bouts):
        own = [bout for bout in bouts if bout.behavior == name]
        lines += [f">{name}", "Start\tStop\tDuration"]
        lines += [f"{bout.start + 1}\t{bout.stop}\t{bout.stop - bout.start - 1}" for bout in own]
        lines.append("")
    return lines


_TITLE = "Bento annotation file"
_CHANNEL = re.compile(r"(.*?[^-\s])\s*-{4,}")
_BOUT = re.compile(r"(\d{1,9}(?:\.\d*)?)\s+(\d{1,9}(?:\.\d*)?)\s+-?[\d.]+")
_LISTS = ("List of channels:", "List of annotations:")


def sniff_bento(path: Path) -> bool:
    """Whether the file's first line is Bento's."""
    return head_text(path, 256).startswith(_TITLE)


def read_bento(path: Path) -> Annotation:
    """Bouts of every channel; a channel is a stream. Frames without a bout are background.

    Two bouts may share one frame, as Bento's own files do; the later bout wins.

    Raises
    ------
    InputError
        Naming the line, if it is no bout or runs backwards, or the header lacks the first or last frame.
    """
    lines = [line.rstrip() for line in read_text(path).splitlines()]
    if not lines or not lines[0].startswith(_TITLE):
        raise InputError(f"{path}: expected a first line that begins with {_TITLE!r}")
    lists: dict[str, list[str]] = {title: [] for title in _LISTS}
    facts: dict[str, str] = {}
    bouts: dict[str, list[Interval]] = {}
    section, channel, behavior, seconds = "", "", "", False
    for number, line in enumerate(lines[1:], start=2):
        where = f"{path}: line {number} ({line[:60]!r})"
        if line in lists:
            section = line
        elif not line:
            section = ""
        elif section:
            lists[section].append(line.strip())
        elif found := _CHANNEL.fullmatch(line):
            channel, behavior = found.group(1), ""
            bouts.setdefault(channel, [])
        elif line.startswith(">") and channel:
            behavior = line[1:].strip()
        elif behavior and not line.lower().startswith("start"):
            seconds |= "." in line
            bouts[channel].append((*_ends(line, where), behavior))
        elif ":" in line and not channel:
            name, _, value = line.partition(":")
            facts[name.strip().lower()] = value.strip()
        elif not line.lower().startswith("start"):
            raise InputError(f"{where}: expected a channel, a behavior or a bout")
    return _annotation(path, facts, lists, bouts, seconds)


def _ends(line: str, where: str) -> tuple[float, float]:
    found = _BOUT.fullmatch(line.strip())
    start, stop = (float(found.group(one)) for one in (1, 2)) if found else (1.0, 0.0)
    if stop < start:
        raise InputError(f"{where}: expected start, stop and duration, with start <= stop")
    return start, stop


def _annotation(
    path: Path,
    facts: Mapping[str, str],
    lists: Mapping[str, list[str]],
    bouts: Mapping[str, list[Interval]],
    seconds: bool,
) -> Annotation:
    try:
        first, last = (int(facts[f"annotation {end} frame"]) for end in ("start", "stop"))
        fps = float(facts["annotation framerate"])
        if not (0 <= first <= last and is_plausible_rate(fps)):
            raise ValueError
    except (KeyError, ValueError):
        raise InputError(
            f"{path}: expected Bento's lines of start frame, stop frame and framerate at the top"
        ) from None
    channels = dict.fromkeys([*lists[_LISTS[0]], *bouts])
    if not channels:
        raise InputError(f"{path}: the Bento file has no channels; is it cut off?")
    # In files with decimals every number is seconds; otherwise frames, counted from 1, both ends part of the bout.
    shift, rate = (0.0, fps) if seconds else (1.0, 1.0)
    streams = {}
    for channel in channels:
        own = [(start - shift, stop, name) for start, stop, name in bouts.get(channel, [])]
        if any(start < 0 for start, _, _ in own):
            raise InputError(f"{path}: {channel} has a bout at frame 0; Bento's frames begin at 1")
        used = {name for _, _, name in own}
        streams[channel] = AnnotationStream.of(
            own, [name for name in lists[_LISTS[1]] if name in used], complete=True, seconds=seconds, fps=fps,
            not_annotated=((0.0, (first - 1) / rate), (last / rate, math.inf)), tolerance=1.0 / rate, num_frames=last,
        )  # fmt: skip
    return Annotation(path=path, streams=streams)
