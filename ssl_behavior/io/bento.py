"""Writing Bento's `.annot`: bouts of behaviors in channels, as text that Bento (MATLAB and Python) and MARS read.

Numbers with a decimal point would be seconds. The writer uses whole numbers: frames counted from 1, both ends part of
the bout. The duration is stop - start, one less than the number of frames, as MARS expects. MATLAB turns channels and
behaviors into field names, with underscores for spaces, so some names are not allowed.
"""

import re
from collections.abc import Mapping, Sequence

from ssl_behavior.bouts import Bout
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotated import AnnotatedRecording, streams_of
from ssl_behavior.io.caltech import stream_numbers
from ssl_behavior.recording import StreamFacts

__all__ = ["bento_channels", "bento_text", "check_bento"]

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
