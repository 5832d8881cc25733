"""Output of a run: `metrics.jsonl`, TensorBoard events, and a live progress line."""

import errno
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from ssl_behavior.errors import InputError

__all__ = ["RunLog", "finite_or_none"]

_SECONDS_BETWEEN_LINES = 10.0


class RunLog:
    """Writes and shows a run's numbers; use as a context.

    Parameters
    ----------
    folder : of the run.
    steps : of the whole run, and `steps_done` of them before this process.
    frames_per_step : over all processes, for the speed.
    """

    def __init__(self, folder: Path, console: Console, steps: int, steps_done: int, frames_per_step: int) -> None:
        self.console, self.steps, self.steps_done, self.frames_per_step = console, steps, steps_done, frames_per_step
        self.path = folder / "metrics.jsonl"
        # purge_step: TensorBoard drops a killed process's events of steps that are now repeated.
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=steps_done + 1)
        self.started = self.last_time = time.monotonic()
        self.last_step, self.last_line = steps_done, 0.0
        self.progress = _progress(console) if console.is_terminal else None

    def __enter__(self) -> "RunLog":
        if self.progress:
            self.task = self.progress.add_task("", total=self.steps, completed=self.steps_done, loss="", speed="")
            self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.progress:
            self.progress.stop()
        try:
            self.board.close()
        except OSError as failure:
            if kind is None:
                raise self._refused(failure) from failure

    def training(self, step: int, values: Mapping[str, float]) -> None:
        """Log one training step."""
        now = time.monotonic()
        speed = (step - self.last_step) * self.frames_per_step / max(now - self.last_time, 1e-9)
        self.last_step, self.last_time = step, now
        self._write(step, "train", {**values, "frames_per_second": speed, "seconds": now - self.started})
        self._show(step, f"loss {values['loss']:.4f}", f"{speed:,.0f} frames/s")

    def validation(self, step: int, values: Mapping[str, float]) -> None:
        """Log the validation after a step."""
        self._write(step, "validation", values)
        labels = "".join(f", AP {name[3:]} {value:.3f}" for name, value in values.items() if name.startswith("ap/"))
        self.say(
            f"step {step:,}: validation loss {values['loss']:.4f}, effective rank {values['effective_rank']:.1f}, "
            f"uniformity {values['uniformity']:.2f}{labels}"
        )

    def say(self, text: str) -> None:
        """Print a line above the progress line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        try:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps({"step": step, "split": split, **finite_or_none(values)}) + "\n")
            for name, value in values.items():
                self.board.add_scalar(f"{split}/{name}", value, step)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> InputError:
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
        return InputError(f"{self.path}: {reason}. The last checkpoint is kept: make room, then continue with `resume`")

    def _show(self, step: int, loss: str, speed: str) -> None:
        if self.progress:
            self.progress.update(self.task, completed=step, loss=loss, speed=speed)
            return
        now = time.monotonic()
        if now - self.last_line < _SECONDS_BETWEEN_LINES and step < self.steps:
            return
        self.last_line = now
        left = (now - self.started) / max(1, step - self.steps_done) * (self.steps - step)
        self.say(f"step {step:,}/{self.steps:,}  {loss}  {speed}  ETA {_clock(left)}")


def finite_or_none(values: Mapping[str, float]) -> dict[str, float | None]:
    """Values with None for NaN and infinity, which JSON does not have.

    >>> finite_or_none({"loss": float("nan"), "lr": 0.1})
    {'loss': None, 'lr': 0.1}
    """
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _progress(console: Console) -> Progress:
    return Progress(
        MofNCompleteColumn(),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[speed]}"),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
    )


def _clock(seconds: float) -> str:
    """
    >>> _clock(3725.0)
    '1:02:05'
    """
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
