"""`ssl-behavior simulate`: recordings of one to four mice, as a store, DeepLabCut files, or CalMS21's release."""

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.table import Table

from ssl_behavior.errors import InputError
from ssl_behavior.files import check_free
from ssl_behavior.io.calms21 import SIMULATED
from ssl_behavior.recording import Recording
from ssl_behavior.simulate.directed_labels import DYAD_BEHAVIORS, INTERACTIONS, SWAPS
from ssl_behavior.simulate.group_plans import MOST_MICE, GroupPlan, group_plans, left_out
from ssl_behavior.simulate.recording_plans import Plan, calms21_files, equal_plans
from ssl_behavior.simulate.schedule import BEHAVIORS, TASK3_BEHAVIORS
from ssl_behavior.simulate.write import CALMS21_MARKER, OnWritten, simulate_calms21, write_dlc_folder, write_plans
from ssl_behavior.terminal import make_console, make_table, progress_bars

__all__ = ["main"]

_MARKERS = {"store": "store.json", "calms21": CALMS21_MARKER, "dlc": SIMULATED}
_RECORDINGS, _FRAMES, _CALMS21_SCALE = 20, 9_000, 0.05


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior simulate",
        description="Simulate recordings of two mice like CalMS21's, with labels in the styles of several annotators, "
        "or of one to four mice, with labels of who does what to whom.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--layout", choices=tuple(_MARKERS), default="store",
        help="a store (default), the release's JSON files, or a folder of DeepLabCut CSV with a table of bouts beside "
        "each",
    )  # fmt: skip
    _add_animals(parser)
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


def _add_animals(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--animals",
        type=int,
        nargs="+",
        default=[2],
        metavar="N",
        help=f"mice of each recording, 1 to {MOST_MICE} (default 2); with several numbers, recordings take turns",
    )
    parser.add_argument(
        "--swaps",
        type=float,
        default=0.0,
        help="share of the touches of two mice after which their tracks are exchanged for a while, listed in the "
        f"label stream {SWAPS} (store only; default: 0)",
    )
    parser.add_argument(
        "--pair-labels",
        action="store_true",
        help=f"two mice: also write the label stream {INTERACTIONS}, with agents and targets; groups always have it",
    )
    parser.add_argument(
        "--not-looked-for",
        type=float,
        default=0.0,
        help=f"share of the recordings in which one behavior of {INTERACTIONS} was not looked for (default: 0)",
    )
    parser.add_argument(
        "--exchangeable",
        action=argparse.BooleanOptionalAction,
        help="whether the mice are anonymous (default: two alone are resident and intruder, all others are anonymous)",
    )


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

        def count(plan: Plan | GroupPlan, recording: Recording) -> None:
            tally.add(plan, recording)
            progress("simulating", plan.num_frames, frames)

        _write(arguments, plans, count)
    console.print(tally.table())
    console.print(f"{arguments.layout} at {arguments.out}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.scale is not None and (arguments.frames is not None or arguments.recordings is not None):
        raise InputError("--scale sets the number and length of recordings: give it, or --recordings and --frames")
    if not all(1 <= number <= MOST_MICE for number in arguments.animals):
        raise InputError(f"--animals must be numbers from 1 to {MOST_MICE}, got {_listed(arguments.animals)}")
    if arguments.scale is not None and _is_group(arguments):
        raise InputError(
            "--scale has the release's recordings of two mice: leave --animals out, or give --recordings and --frames"
        )
    if arguments.layout == "calms21":
        _check_release(arguments)
    if arguments.not_looked_for and not (arguments.pair_labels or _is_group(arguments)):
        raise InputError("--not-looked-for is about labels with agents and targets: give --pair-labels, too")


def _check_release(arguments: argparse.Namespace) -> None:
    if arguments.frames is not None or arguments.recordings is not None:
        raise InputError("--layout calms21 has the release's recordings: give --scale, not --recordings or --frames")
    if _is_group(arguments):
        raise InputError("--layout calms21 has two mice, as in the release: use --layout store with --animals")
    if arguments.missing:
        raise InputError("--layout calms21 has no missing points, as in the release: use --layout store with --missing")
    given = {
        "--swaps": arguments.swaps,
        "--pair-labels": arguments.pair_labels,
        "--not-looked-for": arguments.not_looked_for,
        "--exchangeable": arguments.exchangeable,
    }
    for option, value in given.items():
        if value:
            raise InputError(f"--layout calms21 is written as the release is: use --layout store with {option}")
    if arguments.scale is None:
        arguments.scale = _CALMS21_SCALE


def _is_group(arguments: argparse.Namespace) -> bool:
    return set(arguments.animals) != {2}


def _listed(numbers: list[int]) -> str:
    return " ".join(str(number) for number in numbers)


def _plans(arguments: argparse.Namespace) -> list[Plan] | list[GroupPlan]:
    recordings = _RECORDINGS if arguments.recordings is None else arguments.recordings
    frames = _FRAMES if arguments.frames is None else arguments.frames
    faults = {"missing": arguments.missing, "swaps": arguments.swaps}
    if _is_group(arguments):
        anonymous = True if arguments.exchangeable is None else arguments.exchangeable
        return group_plans(
            recordings,
            frames,
            arguments.animals,
            not_looked_for=arguments.not_looked_for,
            exchangeable=anonymous,
            **faults,
        )
    facts = faults | {"exchangeable": bool(arguments.exchangeable)}
    if arguments.scale is None:
        return equal_plans(
            recordings,
            frames,
            tasks=("behavior", *TASK3_BEHAVIORS),
            pair_labels=arguments.pair_labels,
            not_looked_for=arguments.not_looked_for,
            **facts,
        )
    plans = [plan for groups in calms21_files(arguments.scale).values() for group in groups.values() for plan in group]
    return [
        replace(
            plan,
            pair_labels=arguments.pair_labels and plan.subset != "unlabeled",
            not_looked_for=left_out(index, arguments.not_looked_for, DYAD_BEHAVIORS),
            **facts,
        )
        for index, plan in enumerate(plans)
    ]


def _write(arguments: argparse.Namespace, plans: list[Plan] | list[GroupPlan], on_written: OnWritten) -> None:
    options = {"overwrite": arguments.overwrite, "workers": arguments.workers}
    if arguments.layout == "calms21":
        simulate_calms21(arguments.out, arguments.scale, arguments.seed, on_written=on_written, **options)
    else:
        write = write_plans if arguments.layout == "store" else write_dlc_folder
        write(arguments.out, plans, arguments.seed, on_written=on_written, **options)


class _Tally:
    """Frames per task, subset and behavior, and bouts with agents and targets."""

    def __init__(self) -> None:
        self.recordings: dict[str, int] = defaultdict(int)
        self.frames: dict[str, int] = defaultdict(int)
        self.behaviors: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(BEHAVIORS), dtype=int))
        self.bouts: dict[str, dict[str, int]] = {}
        """Label stream -> set -> number of bouts."""
        self.groups = False

    def add(self, plan: Plan | GroupPlan, recording: Recording) -> None:
        task = plan.id.split("/")[0]
        name = plan.subset if task == plan.subset or not task.startswith("task") else f"{task} {plan.subset}"
        self.recordings[name] += 1
        self.frames[name] += recording.num_frames
        self.groups |= isinstance(plan, GroupPlan)
        if "behavior" in recording.labels:
            self.behaviors[name] += np.bincount(recording.labels["behavior"].frames, minlength=len(BEHAVIORS))
        for stream, labels in recording.pair_labels.items():
            self.bouts.setdefault(stream, defaultdict(int))[name] += len(labels.bouts)

    def table(self) -> Table:
        rows = []
        for name, frames in self.frames.items():
            bouts = [f"{counts[name]:,}" for counts in self.bouts.values()]
            counts = self.behaviors[name]
            shares = [f"{100 * count / frames:.1f}" for count in counts] if counts.any() else []
            rows.append([name, f"{self.recordings[name]}", f"{frames:,}", *bouts, *shares])
        columns = ("set", "recordings", "frames", *(f"bouts of {stream}" for stream in self.bouts))
        if self.groups:
            return make_table(columns, rows)
        return make_table((*columns, *BEHAVIORS), rows, caption="behaviors in % of the frames")
