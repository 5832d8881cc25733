"""Simulated recordings on disk: as a store, as the files of the CalMS21 release, or as a folder of DeepLabCut files.

In the JSON text, every frame has the same layout of bytes, and numbers come from a lookup table. Numbers have a fixed
width with leading spaces; JSON allows these, but no leading zeros.
"""

import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from ssl_behavior.arguments import check_number, whole_number
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, check_names, write_json, write_text
from ssl_behavior.io.annotated_recording import annotated_recording
from ssl_behavior.io.annotation_writers import bouts_csv
from ssl_behavior.io.calms21 import SIMULATED
from ssl_behavior.io.dlc import write_dlc_csv
from ssl_behavior.recording import Recording
from ssl_behavior.simulate.group_plans import GroupPlan, group_plans
from ssl_behavior.simulate.recording_plans import DEFAULT_SUBSETS, Plan, calms21_files, equal_plans, simulate_plan
from ssl_behavior.store import Store, create_store

__all__ = [
    "CALMS21_MARKER",
    "OnWritten",
    "recording_json",
    "simulate_calms21",
    "simulate_store",
    "simulate_tracks",
    "write_dlc_folder",
    "write_plans",
]

_CHUNK_FRAMES = 16_384


@cache
def _table(template: str, largest: int) -> np.ndarray:
    """Bytes of `template` filled with each multiple 0..largest of its last decimal, and a comma."""
    decimals = int(template.partition(".")[2][0])
    return np.array([f"{number / 10**decimals:{template}}," for number in range(largest + 1)], dtype=np.bytes_)


def _rows(table: np.ndarray, values: np.ndarray) -> bytes:
    """Nested lists of numbers [row, ..., keypoint]; `values` are places in the table."""
    parts = [_some_rows(table, values[i : i + _CHUNK_FRAMES]) for i in range(0, len(values), _CHUNK_FRAMES)]
    return b"[" + b"".join(parts)[1:] + b"]"


def _some_rows(table: np.ndarray, values: np.ndarray) -> bytes:
    width = table.itemsize
    cell = "#" * (width - 1)
    layout = "," + json.dumps(np.full(values.shape[1:], cell).tolist(), separators=(",", ":")).replace('"', "")
    text = np.tile(np.frombuffer(layout.encode(), dtype=np.uint8), (len(values), 1))
    # The numbers of an innermost list lie together, commas included: all but the comma after the last one.
    cells = table[values].reshape(len(values), -1, values.shape[-1]).view(np.uint8)[:, :, :-1]
    for number, found in enumerate(re.finditer("[#,]*#", layout[1:])):
        text[:, found.start() + 1 : found.end() + 1] = cells[:, number]
    return text.tobytes()


def recording_json(recording: Recording, stream: str | None) -> bytes:
    """One sequence of the release: `{"keypoints": ..., "scores": ..., "annotations": ..., "metadata": ...}`.

    Parameters
    ----------
    recording : two animals of seven keypoints inside a frame of at most 1,024 px, none missing; with confidence.
    stream : the label stream to write, or None for a recording without annotations.

    Coordinates are rounded to 0.01 px, scores to 0.001.
    """
    assert recording.confidence is not None and np.isfinite(recording.keypoints).all()
    # The release has x and y before the keypoints.
    pixels = np.rint(np.swapaxes(recording.keypoints, 2, 3) * 100).astype(np.int32)
    scores = np.rint(recording.confidence * 1000).astype(np.int32)
    parts = [b'{"keypoints":', _rows(_table("7.2f", 102_400), pixels)]
    parts += [b',"scores":', _rows(_table("5.3f", 1000), scores)]
    metadata: dict[str, object] = {}
    if stream is not None:
        labels = recording.labels[stream]
        parts += [b',"annotations":', b"[" + _table("1.0f", 9)[labels.frames].tobytes()[:-1] + b"]"]
        vocabulary = {name: number for number, name in enumerate(labels.vocabulary)}
        metadata = {"annotator-id": int(labels.annotator), "vocab": vocabulary}
    return b"".join([*parts, b',"metadata":', json.dumps(metadata).encode(), b"}"])


OnWritten = Callable[[Plan | GroupPlan, Recording], None]
"""Callback after each written recording."""

CALMS21_MARKER = "task1_classic_classification"
"""A folder that every release has."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def _in_order(function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int) -> Iterator[_Result]:
    """Results in the order of the items, computed by threads; never more than 2 * workers are held in memory.

    Threads suffice: numpy lets go of the interpreter while it works on long arrays.
    """
    waiting: deque = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _workers(workers: int | None) -> int:
    if workers is None:
        return min(4, os.cpu_count() or 1)
    if workers < 1:
        raise InputError(f"the number of workers must be at least 1, got {workers}")
    return workers


def _ignore(plan: Plan | GroupPlan, recording: Recording) -> None:
    """The callback that does nothing."""


def write_plans(
    out: str | Path,
    plans: Sequence[Plan | GroupPlan],
    seed: int,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    on_written: OnWritten = _ignore,
) -> Store:
    """Simulate `plans`, of the same animals, and write a store; the result does not depend on `workers`.

    Raises
    ------
    InputError
        If `out` exists and `overwrite` is False, two plans share an id, or the disk is full.
    """
    _check_any(out, plans)
    with create_store(out, plans[0].skeleton, overwrite=overwrite) as writer:
        for plan, recording in _simulated(plans, seed, workers):
            writer.append(recording)
            on_written(plan, recording)
    return Store(out)


def _check_any(out: str | Path, plans: Sequence[Plan | GroupPlan]) -> None:
    if not plans:
        raise InputError(f"{out}: no recordings to write")


def _simulated(
    plans: Sequence[Plan | GroupPlan], seed: int, workers: int | None
) -> Iterator[tuple[Plan | GroupPlan, Recording]]:
    """Each plan and its recording, in order."""
    yield from zip(plans, _in_order(partial(simulate_plan, seed=seed), plans, _workers(workers)), strict=True)


def simulate_store(
    out: str | Path,
    num_recordings: int,
    frames: int,
    seed: int = 0,
    *,
    subsets: Mapping[str, float] = DEFAULT_SUBSETS,
    tasks: Sequence[str] = ("behavior",),
    annotators: Sequence[int] = (0,),
    missing: float = 0.0,
    overwrite: bool = False,
    workers: int | None = None,
    on_written: OnWritten = _ignore,
) -> Store:
    """A store of `num_recordings` recordings of `frames` frames; see `equal_plans` for the other arguments.

    Raises
    ------
    InputError
        As `equal_plans` and `write_plans`.
    """
    plans = equal_plans(num_recordings, frames, subsets, tasks, annotators, missing)
    return write_plans(out, plans, seed, overwrite=overwrite, workers=workers, on_written=on_written)


_SCORER = "DLC_resnet50_simulatedshuffle1_200000"


def write_dlc_folder(
    out: str | Path,
    plans: Sequence[Plan | GroupPlan],
    seed: int,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    on_written: OnWritten = _ignore,
) -> Path:
    """Simulate `plans` and write what DeepLabCut and an annotator leave: tracks and a table of bouts for each video.

    Raises
    ------
    InputError
        If `out` exists and `overwrite` is False, two plans have one name, or the disk is full.
    """
    _check_any(out, plans)
    names = [plan.id.rpartition("/")[2] for plan in plans]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{out}: two recordings would have the file {twice[0]!r}; give them different last parts")
    check_names(names, "recording")
    with atomic_folder(Path(out), overwrite, SIMULATED) as folder:
        for name, (plan, recording) in zip(names, _simulated(plans, seed, workers), strict=True):
            write_dlc_csv(folder / f"{name}{_SCORER}.csv", recording, _SCORER)
            _write_bouts(folder / f"{name}.csv", recording)
            on_written(plan, recording)
        write_json(folder / SIMULATED, {"seed": seed})
    return Path(out)


def _write_bouts(path: Path, recording: Recording) -> None:
    own = annotated_recording(
        recording.id, recording.fps, recording.labels, individuals=recording.individuals,
        pair_labels=recording.pair_labels, num_frames=recording.num_frames,
    )  # fmt: skip
    if own.bouts:
        write_text(path, bouts_csv(own.bouts, own.fps, bool(own.pair_labels)))


def simulate_tracks(
    out: str | Path,
    recordings: int = 6,
    frames: int = 1800,
    *,
    animals: int = 2,
    missing: float = 0.05,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Write a folder of simulated mice as DeepLabCut leaves it, with a table of labels beside each video, at 30 fps.

    A video in which nothing happens has no table, as annotators leave none, and comes out without labels.

    Two mice are `resident` and `intruder`, labeled attack, investigation and mount; other numbers are anonymous, with
    labels of agents and targets. To try the package, and for tests; findings need real recordings.

    Parameters
    ----------
    out : folder to write.
    recordings : number of videos.
    frames : length of each video.
    animals : mice in each video, 1 to 4.
    missing : share of the points that the tracker lost.
    seed : seed of all random numbers.
    overwrite : replace a folder of this kind.

    Returns
    -------
    The folder, for `ssl_behavior.read`.

    Raises
    ------
    InputError
        If a number is out of range, `out` exists, or the disk is full.
    """
    recordings, frames = whole_number(recordings, "recordings", 1), whole_number(frames, "frames", 1)
    check_number(missing, "missing")
    if not 0 <= missing < 1:
        raise InputError(f"`missing` must be at least 0 and below 1, got {missing:g}")
    seed, whole = whole_number(seed, "seed"), {"video": 1.0}
    if whole_number(animals, "animals", 1) == 2:
        plans: Sequence[Plan | GroupPlan] = equal_plans(recordings, frames, whole, missing=float(missing))
    else:
        plans = group_plans(recordings, frames, (animals,), whole, missing=float(missing))
    return write_dlc_folder(out, plans, seed, overwrite=overwrite)


def simulate_calms21(
    out: str | Path,
    scale: float,
    seed: int = 0,
    *,
    unlabeled_frames: int | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    on_written: OnWritten = _ignore,
) -> Path:
    """A folder with the files, groups and names of the CalMS21 release, `scale` times its size.

    Parameters
    ----------
    unlabeled_frames : frames of the unlabeled pool, 6 million times `scale` by default; 0 leaves the pool out.

    Raises
    ------
    InputError
        If `out` exists and `overwrite` is False, the scale is not above 0, or the disk is full.
    """
    files = calms21_files(scale, unlabeled_frames)
    with atomic_folder(Path(out), overwrite, CALMS21_MARKER) as folder:
        for name, groups in files.items():
            path = folder / f"{name}.json"
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                _write_groups(file, groups, seed, _workers(workers), on_written)
        # The files are laid out like the real ones to the byte: something has to say that they are not.
        write_json(folder / SIMULATED, {"scale": scale, "seed": seed})
    return Path(out)


def _write_groups(
    file: IO[bytes], groups: Mapping[str, Sequence[Plan]], seed: int, workers: int, on_written: OnWritten
) -> None:
    plans = [plan for group in groups.values() for plan in group]
    texts = _in_order(partial(_simulated_text, seed=seed), plans, workers)
    for number, (group, members) in enumerate(groups.items()):
        file.write(b"{" if number == 0 else b"},")
        file.write(json.dumps(group).encode() + b":{")
        for position, plan in enumerate(members):
            recording, text = next(texts)
            file.write(b"," if position else b"")
            file.write(json.dumps(plan.id).encode() + b":" + text)
            on_written(plan, recording)
    file.write(b"}}")


def _simulated_text(plan: Plan, seed: int) -> tuple[Recording, bytes]:
    recording = simulate_plan(plan, seed)
    streams = list(recording.labels)
    return recording, recording_json(recording, streams[0] if streams else None)
