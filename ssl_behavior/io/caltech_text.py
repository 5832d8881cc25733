"""Writing Caltech Behavior Annotator `.txt`, as `ssl_behavior.io.caltech` reads it: for correction by a person."""

import string
from collections.abc import Iterable, Mapping, Sequence

from ssl_behavior.errors import InputError

__all__ = ["caltech_text"]

_TITLE = "Caltech Behavior Annotator - Annotation File"
_KEYS = string.ascii_lowercase + string.ascii_uppercase + string.digits + string.punctuation.replace("-", "")


def caltech_text(behaviors: Sequence[str], streams: Sequence[Iterable[tuple[int, int, str]]]) -> str:
    """The text of an annotation file, lines ended as the annotator's own.

    Parameters
    ----------
    behaviors : the configuration's; each gets a key, its first letter where that is free.
    streams : of S1, S2 ... the intervals (first frame, frame after the last, behaviour), counted from 0. (In the file
        frames are counted from 1 and both ends belong to an interval.)

    Raises
    ------
    InputError
        If a name cannot stand in such a file, or there are more behaviours than keys.
    """
    for name in behaviors:
        if not name.isprintable() or name != name.strip() or not name:
            raise InputError(f"behaviour {name!r} cannot stand in an annotation file; rename it, or choose csv or npy")
    lines = [_TITLE, "", "Configuration file:"]
    lines += [f"{name}\t{key}" for name, key in _keys(behaviors).items()]
    for number, intervals in enumerate(streams, start=1):
        lines += ["", f"S{number}:\tstart\tend\ttype", "-" * 29]
        lines += [f"   \t{start + 1}\t{stop}\t{name}" for start, stop, name in intervals]
    return "\r\n".join([*lines, ""])


def _keys(behaviors: Sequence[str]) -> Mapping[str, str]:
    """A key for each behaviour, all different."""
    if len(behaviors) > len(_KEYS):
        raise InputError(f"an annotation file has keys for {len(_KEYS)} behaviours, not for {len(behaviors)}")
    keys: dict[str, str] = {}
    for name in behaviors:
        free = [key for key in _KEYS if key not in keys.values()]
        own = name[0].lower()
        keys[name] = own if own in free else free[0]
    return keys
