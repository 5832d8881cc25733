"""What is printed for a person."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["counted", "make_console"]

_FILE_WIDTH = 110


def make_console(stderr: bool = False) -> "Console":
    """A console as wide as the terminal, or, into a file or pipe, wide enough for our tables."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_FILE_WIDTH)


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "recording"), counted(1200, "recording")
    ('1 recording', '1,200 recordings')
    """
    return f"{number:,} {what}{'s' * (number != 1)}"
