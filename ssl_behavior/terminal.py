"""Terminal output: consoles, counts, lines and progress bars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["counted", "echo", "frames_bar", "make_console"]

_FILE_WIDTH = 110


def make_console(stderr: bool = False) -> "Console":
    """Console as wide as the terminal or, for files and pipes, wide enough for the tables."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_FILE_WIDTH)


def counted(number: int, what: str) -> str:
    """Count with its noun.

    >>> counted(1, "recording"), counted(1200, "recording")
    ('1 recording', '1,200 recordings')
    """
    return f"{number:,} {what}{'s' * (number != 1)}"


def echo(console: "Console", text: str) -> None:
    """Print a line that may hold paths: no wrapping, no markup."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


@contextmanager
def frames_bar(console: "Console", what: str, frames: int, transient: bool = False) -> Iterator[Callable[[int], None]]:
    """Progress bar over frames with the remaining time; yields a function to call with the number of frames just done.

    Parameters
    ----------
    transient : the bar goes when all is done.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=transient) as bar:
        task = bar.add_task(what, total=frames)
        yield lambda done: bar.advance(task, done)
