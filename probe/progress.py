"""Progress of a probing job on the screen."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Working", "progress_lines"]


def progress_lines(console: Console) -> Progress:
    """A display of what is being done, how far it is and how long the rest will take; it leaves nothing behind."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console, transient=True,
    )  # fmt: skip


class Working:
    """A line of the progress display for as long as the block lasts."""

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        self.progress, self.what, self.total = progress, what, total

    def __enter__(self) -> Any:
        self.line = self.progress.add_task(self.what, total=self.total)
        return lambda count: self.progress.advance(self.line, count)

    def __exit__(self, *_: object) -> None:
        self.progress.remove_task(self.line)
