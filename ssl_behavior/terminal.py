"""Terminal output: consoles, lines, tables, and the progress of long jobs."""

import codecs
import io
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = [
    "Progress",
    "allow_all_characters",
    "clock_text",
    "counted",
    "echo",
    "listed",
    "make_console",
    "make_table",
    "no_progress",
    "progress_bars",
    "progress_if",
    "quoted",
]

_FILE_WIDTH = 110
_ASCII = {"→": "->", "±": "+/-", "×": "x", "–": "-", "†": "+", "°": " deg", "²": "^2"}
_UNENCODABLE = "ssl_behavior.unencodable"


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    """Error handler of an encoding: a spelling in ASCII, or the character's number (names in other alphabets)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_ASCII.get(one) or one.encode("ascii", "backslashreplace").decode() for one in lost), error.end


codecs.register_error(_UNENCODABLE, _in_ascii)


def allow_all_characters() -> None:
    """Let standard output and standard error print text that their encoding lacks, as on Windows into a file."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and "utf" not in stream.encoding.lower():
            stream.reconfigure(errors=_UNENCODABLE)


def make_console(stderr: bool = False) -> "Console":
    """Console as wide as the terminal or, for files and pipes, wide enough for the tables."""
    from rich.console import Console

    allow_all_characters()
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_FILE_WIDTH)


def quoted(names: Iterable[str], most: int = 5) -> str:
    """`listed` with each name in quotes.

    >>> quoted(["one night", "b"])
    "'one night', 'b'"
    """
    return listed([repr(name) for name in names], most)


def listed(words: Sequence[str], most: int = 12, separator: str = ", ") -> str:
    """The first words of a list, and the number of the others.

    >>> listed(["track1", "track2", "track3", "track4"], 2)
    'track1, track2 and 2 more'
    """
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return separator.join(words[:most]) + more


def counted(number: int, what: str) -> str:
    """Count with its noun.

    >>> counted(1, "recording"), counted(1200, "recording")
    ('1 recording', '1,200 recordings')
    """
    return f"{number:,} {what}{'s' * (number != 1)}"


def clock_text(seconds: int | float, digits: int = 0) -> str:
    """Time in minutes and seconds, with hours where there are some.

    Parameters
    ----------
    digits : after the point of the seconds.

    >>> clock_text(75.25, 2), clock_text(3661)
    ('1:15.25', '1:01:01')
    """
    parts = 10**digits
    whole = round(seconds * parts)
    minutes, rest = divmod(whole, 60 * parts)
    hours, minutes = divmod(minutes, 60)
    second = f"{rest // parts:02d}" + (f".{rest % parts:0{digits}d}" if digits else "")
    return f"{hours}:{minutes:02d}:{second}" if hours else f"{minutes}:{second}"


def echo(console: "Console", text: str) -> None:
    """Print a line that may hold paths: no wrapping, no markup."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def make_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str = "",
    text: Collection[str] | None = None,
    caption: str = "",
) -> "Table":
    """Table for the terminal: text at the left edge of its column, numbers at the right edge.

    Parameters
    ----------
    columns : headings; all of them empty = no row of headings.
    text : columns of text; None = the first column.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    # Text, not str: rich would read names in brackets as markup.
    heading, below = Text(title) if title else None, Text(caption) if caption else None
    table = Table(
        title=heading, title_justify="left", caption=below, caption_justify="left", box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0), show_header=any(columns),
    )  # fmt: skip
    for number, column in enumerate(columns):
        is_text = number == 0 if text is None else column in text
        table.add_column(Text(column), justify="left" if is_text else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


Progress = Callable[[str, int, int], None]
"""Callback of a long job: the stage, the units just done, and the units of the whole stage (0: unknown)."""


def no_progress(stage: str, done: int, total: int) -> None:
    """The callback that shows nothing."""


@contextmanager
def progress_bars(console: "Console", transient: bool = False) -> Iterator[Progress]:
    """A bar for each stage of a job, with the time it still takes or took; yields the callback that moves the bars.

    Parameters
    ----------
    transient : the bar of a stage disappears at the end of the stage.
    """
    from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    left = TimeRemainingColumn(elapsed_when_finished=True)
    # Without a terminal, rich prints each bar once, at the end; bars that disappear would leave an empty line.
    hidden = transient and not console.is_terminal
    with Bars(*columns, left, console=console, transient=transient, disable=hidden) as bars:
        stages: dict[str, TaskID] = {}

        def end_unknown() -> None:
            for task in bars.tasks:
                if task.total is None:
                    bars.update(task.id, total=1, completed=1)

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                # A stage of unknown length lasts until the next one begins.
                end_unknown()
                stages[stage] = bars.add_task(stage, total=total or None)
            bars.advance(stages[stage], done)
            if transient and bars.tasks[bars.task_ids.index(stages[stage])].finished:
                bars.remove_task(stages.pop(stage))

        yield advance
        end_unknown()


def progress_if(verbose: bool) -> AbstractContextManager[Progress]:
    """Bars of a call from Python, which disappear in the end; without `verbose`, the callback that shows nothing."""
    return progress_bars(make_console(stderr=True), transient=True) if verbose else nullcontext(no_progress)
