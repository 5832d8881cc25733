"""Lazy import of PyAV, which reads and writes videos, and its errors in plain words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ssl_behavior.errors import InputError

__all__ = ["load_av", "reading_errors"]


def load_av() -> ModuleType:
    """PyAV.

    Raises
    ------
    InputError
        If it is not installed, with the command that installs it.
    """
    try:
        import av
    except ImportError as error:
        raise InputError(f"videos need PyAV ({error}): pip install 'ssl-behavior[video]'") from None
    # Its log stays off, as it is: a decoder's thread that logs waits for Python, which may be waiting for the decoder.
    module: ModuleType = av
    return module


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn errors of PyAV about a file that is read into an InputError that names it."""
    av = load_av()
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: this video cannot be read ({reason}): copy or export it again") from None
