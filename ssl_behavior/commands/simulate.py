"""`ssl-behavior simulate`: recordings of two mice, as a store or as the CalMS21 release."""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from rich.table import Table

from ssl_behavior.errors import InputError
from ssl_behavior.files import check_free
from ssl_behavior.recording import Recording
from ssl_behavior.simulate.recording_plans import Plan, calms21_files, equal_plans
from ssl_behavior.simulate.schedule import BEHAVIORS, TASK3_BEHAVIORS
from ssl_behavior.simulate.write import CALMS21_MARKER, OnWritten, simulate_calms21, write_plans
from ssl_behavior.terminal import make_console, make_table, progress_bars

__all__ = ["main"]

_MARKERS = {"store": "store.json", "calms21": CALMS21_MARKER}
_RECORDINGS, _FRAMES, _CALMS21_SCALE = 20, 9_000, 0.05


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior simulate",
        description="Simulate recordings of two mice like CalMS21's, with labels in the styles of several annotators.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--layout", choices=("store", "calms21"), default="store", help="a store (default), or the release's JSON files"
    )
    parser.add_argument("--recordings", type=int, help=f"number of recordings (default {_RECORDINGS})")
    parser.add_argument("--frames", type=int, help=f"frames of each recording at 30 fps (default {_FRAMES})")
    parser.add_argument(
        "--scale",
        type=float,
        help="instead of --recordings and --frames: all of CalMS21 (Tasks 1 to 3 and the unlabeled pool) at this scale",
    )
    parser.add_argument(
        "--missing", type=float, default=0.0, help="share of points set to NaN (store only; default: 0)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, help="number of threads; the result does not depend on it")
    parser.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    return parser


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit code.

    Raises
    ------
    InputError
        If options contradict each other or `--out` exists.
    """
    arguments = _parser().parse_args(argv)
    _check(arguments)
    check_free(arguments.out, arguments.overwrite, _MARKERS[arguments.layout])
    plans = _plans(arguments)
    tally = _Tally()
    console, frames = make_console(), sum(plan.num_frames for plan in plans)
    with progress_bars(console) as progress:

        def count(plan: Plan, recording: Recording) -> None:
            tally.add(plan, recording)
            progress("simulating", plan.num_frames, frames)

        _write(arguments, plans, count)
    console.print(tally.table())
    console.print(f"{arguments.layout} at {arguments.out}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.scale is not None and (arguments.frames is not None or arguments.recordings is not None):
        raise InputError("--scale sets the number and length of recordings: give it, or --recordings and --frames")
    if arguments.layout == "calms21" and (arguments.frames is not None or arguments.recordings is not None):
        raise InputError("--layout calms21 has the release's recordings: give --scale, not --recordings or --frames")
    if arguments.layout == "calms21" and arguments.missing:
        raise InputError("--layout calms21 has no missing points, as in the release: use --layout store with --missing")
    if arguments.layout == "calms21" and arguments.scale is None:
        arguments.scale = _CALMS21_SCALE


def _plans(arguments: argparse.Namespace) -> list[Plan]:
    if arguments.scale is not None:
        files = calms21_files(arguments.scale).values()
        return [
            Plan(**{**vars(plan), "missing": arguments.missing})
            for groups in files
            for group in groups.values()
            for plan in group
        ]
    recordings = _RECORDINGS if arguments.recordings is None else arguments.recordings
    frames = _FRAMES if arguments.frames is None else arguments.frames
    return equal_plans(recordings, frames, tasks=("behavior", *TASK3_BEHAVIORS), missing=arguments.missing)


def _write(arguments: argparse.Namespace, plans: list[Plan], on_written: OnWritten) -> None:
    options = {"overwrite": arguments.overwrite, "workers": arguments.workers}
    if arguments.layout == "store":
        write_plans(arguments.out, plans, arguments.seed, on_written=on_written, **options)
    else:
        simulate_calms21(arguments.out, arguments.scale, arguments.seed, on_written=on_written, **options)


class _Tally:
    """Frames per task, subset and behavior."""

    def __init__(self) -> None:
        self.recordings: dict[str, int] = defaultdict(int)
        self.frames: dict[str, int] = defaultdict(int)
        self.behaviors: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(BEHAVIORS), dtype=int))

    def add(self, plan: Plan, recording: Recording) -> None:
        task = plan.id.split("/")[0]
        name = plan.subset if task == plan.subset or not task.startswith("task") else f"{task} {plan.subset}"
        self.recordings[name] += 1
        self.frames[name] += recording.num_frames
        if "behavior" in recording.labels:
            self.behaviors[name] += np.bincount(recording.labels["behavior"].frames, minlength=len(BEHAVIORS))

    def table(self) -> Table:
        rows = []
        for name, frames in self.frames.items():
            counts = self.behaviors[name]
            shares = [f"{100 * count / frames:.1f}" for count in counts] if counts.any() else []
            rows.append([name, f"{self.recordings[name]}", f"{frames:,}", *shares])
        columns = ("set", "recordings", "frames", *BEHAVIORS)
        return make_table(columns, rows, caption="behaviors in % of the frames")
