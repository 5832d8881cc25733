"""What every reader is told, and how it tells what it left out."""

from collections.abc import Callable
from dataclasses import dataclass

from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import Skeleton

__all__ = ["ReadOptions", "UnknownFormatError"]


class UnknownFormatError(InputError):
    """The content of a file is of no format that is read; in a folder such a file is left out with a notice."""


def _ignore(_: str | int) -> None:
    """The default for a caller who does not listen."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What a person may say about files that do not say it themselves.

    Parameters
    ----------
    fps : frames per second, or None to use what the file says or what is documented for its data set.
    skeleton : the skeleton to read the file's keypoints as, or None to recognise it by the keypoints' names.
    prefix : put before ids that come from file names, e.g. "session1/".
    notice : called with a sentence for everything that is left out of a file.
    advance : called with the number of (unpacked) bytes just read, by the readers of huge files.
    """

    fps: float | None = None
    skeleton: Skeleton | None = None
    prefix: str = ""
    notice: Callable[[str], None] = _ignore
    advance: Callable[[int], None] = _ignore
