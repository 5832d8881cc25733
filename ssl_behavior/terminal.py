"""What is printed for a person."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["make_console"]

_FILE_WIDTH = 110


def make_console(stderr: bool = False) -> "Console":
    """A console as wide as the terminal, or, into a file or pipe, wide enough for our tables."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_FILE_WIDTH)
