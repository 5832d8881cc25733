"""Reader of NWB with ndx-pose: one `PoseEstimationSeries` for each body part, in `PoseEstimation` containers.

A container is an individual, unless its series say more: "ind1_snout" is the node "snout" of "ind1", and DeepLabCut's
export describes a series as "Keypoint snout from individual ind1". Times come from a series' rate or its timestamps;
frame 0 is the first time of all series. Needs pynwb and ndx-pose.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.hdf5 import HDF5_FAILURES, check_claim, is_hdf5
from ssl_behavior.io.reader_helpers import (
    ReadOptions,
    check_file,
    empty_tracks,
    frame_numbers,
    in_order,
    library,
    library_errors,
    measured_times,
    note_gaps,
    recording_id,
    stated_fps,
    two_dimensions,
)
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import choose_skeleton

__all__ = ["read_nwb", "sniff_nwb"]

_TITLE = "NWB file"
_DESCRIPTION = re.compile(r"Keypoint (.+) from individual (.+?)\.?")
_WORD = re.compile(r"pose[_ ]?estimation([_ ]?series)?", re.IGNORECASE)


def sniff_nwb(path: Path) -> bool:
    """Whether the file is HDF5 of the NWB kind."""
    if not is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            return "nwb_version" in file.attrs
    except HDF5_FAILURES:
        return False


@dataclass(frozen=True)
class _Series:
    """One body part of one individual: data [time, space], confidence [time] or None, frame numbers [time]."""

    individual: str
    bodypart: str
    data: Any
    confidence: Any
    times: np.ndarray


def read_nwb(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of an NWB file.

    Raises
    ------
    InputError
        If pynwb or ndx-pose is not installed, the file is damaged, holds no poses or irregular times, a body part
        occurs twice, or no frame rate is known.
    """
    check_file(path)
    pynwb = library("pynwb", "nwb", path, "an NWB file with poses")
    library("ndx_pose", "nwb", path, "an NWB file with poses")
    with library_errors(path, _TITLE), pynwb.NWBHDF5IO(str(path), "r") as io:
        recording = _recording(io.read(), path, options)
    yield recording


def _recording(nwb: Any, path: Path, options: ReadOptions) -> Recording:
    notes: list[str] = []
    containers = [item for item in nwb.objects.values() if item.neurodata_type == "PoseEstimation"]
    containers.sort(key=lambda item: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", item.name)])
    series = [one for container in containers for one in _series(container, len(containers), path, notes)]
    if not series:
        raise InputError(f"{path}: it has no poses (no PoseEstimation with a PoseEstimationSeries)")
    individuals = list(dict.fromkeys(one.individual for one in series))
    bodyparts = _in_node_order(list(dict.fromkeys(one.bodypart for one in series)), containers)
    pairs = [(one.individual, one.bodypart) for one in series]
    if len(set(pairs)) < len(pairs):
        twice = next(pair for pair in pairs if pairs.count(pair) > 1)
        raise InputError(f"{path}: the body part {twice[1]!r} of {twice[0]!r} occurs twice: perhaps in two cameras")
    start = min(float(one.times[0]) for one in series)
    together = options.keep_times and all(np.array_equal(one.times, series[0].times) for one in series)
    numbered = [frame_numbers(one.times - start, path, together) for one in series]
    rates = [rate for _, rate in numbered if rate is not None]
    if rates and max(rates) > 1.01 * min(rates):
        raise InputError(f"{path}: its series have {min(rates):g} to {max(rates):g} frames per second; expected one")
    skeleton, order = choose_skeleton(bodyparts, options.skeleton, str(path))
    num_frames = 1 + max(int(frames[-1]) for frames, _ in numbered)
    keypoints, confidence = empty_tracks(num_frames, len(individuals), len(bodyparts), path, "save a shorter part")
    for one, (frames, _) in zip(series, numbered, strict=True):
        place = individuals.index(one.individual), bodyparts.index(one.bodypart)
        with np.errstate(over="ignore", invalid="ignore"):
            keypoints[frames, place[0], place[1]] = one.data[:, :2]
            if one.confidence is not None:
                confidence[frames, place[0], place[1]] = one.confidence[:]
    notes += note_gaps(0, max(len(frames) for frames, _ in numbered), num_frames)
    fps = _fps(options, rates, series, path, notes)
    return Recording(
        id=recording_id(path, options),
        keypoints=in_order(keypoints, order),
        confidence=in_order(confidence, order) if any(one.confidence is not None for one in series) else None,
        fps=fps,
        skeleton=skeleton,
        individuals=tuple(individuals),
        source=str(path),
        resolution_px=_resolution(containers),
        notes=tuple(notes),
        times=measured_times(series[0].times - start, *numbered[0], fps, path, options) if together else None,
    )


def _fps(options: ReadOptions, rates: list[float], series: list[_Series], path: Path, notes: list[str]) -> float:
    whole = all((one.times == np.rint(one.times)).all() for one in series)
    if whole and rates and rates[0] == 1:
        if options.fps is None:
            raise InputError(
                f"{path}: its timestamps are whole numbers {series[0].times[:3].tolist()}, frames and not seconds; "
                "pass the frame rate as `fps`, e.g. `fps=30`"
            )
        return options.fps
    return stated_fps(options, rates[0] if rates else None, path, _TITLE, notes)


def _nodes(container: Any) -> list[str]:
    """Names of a container's nodes, in order; ndx-pose before 0.2 kept them in the container itself."""
    try:
        nodes = container.nodes if container.skeleton is None else container.skeleton.nodes
    except ValueError:
        # ndx-pose says so of a container without nodes.
        nodes = None
    return [] if nodes is None else [str(node) for node in nodes[:]]


def _series(container: Any, num_containers: int, path: Path, notes: list[str]) -> Iterator[_Series]:
    nodes = sorted(_nodes(container), key=len, reverse=True)
    own = _WORD.sub("", container.name).strip("_-. ") or ("animal0" if num_containers == 1 else container.name)
    for name, one in container.pose_estimation_series.items():
        node, prefix = _node_and_prefix(name, str(one.description), nodes)
        individual = own if not prefix else prefix if num_containers == 1 else f"{own}_{prefix}"
        data, confidence = one.data, one.confidence
        if data.ndim != 2 or data.shape[1] not in (2, 3) or data.dtype.kind not in "fiu":
            raise InputError(
                f"{path}: {name} must be numbers of shape [time, 2 or 3], got {data.dtype} {list(data.shape)}"
            )
        if confidence is not None and confidence.shape != data.shape[:1]:
            raise InputError(f"{path}: {name} has {len(data)} points, but confidence {list(confidence.shape)}")
        check_claim(name, data.shape, data.dtype.itemsize, path)
        _note_units(one, data.shape[1], notes)
        yield _Series(individual, node, data, confidence, _times(one, name, path))


def _node_and_prefix(name: str, description: str, nodes: list[str]) -> tuple[str, str]:
    """Body part of a series and the individual that its name or description states, "" if none.

    >>> _node_and_prefix("ind1_snout", "", ["snout", "tail"])
    ('snout', 'ind1')
    >>> _node_and_prefix("PoseEstimationSeriesLeftEar", "", ["left_ear", "LeftEar"])
    ('LeftEar', '')
    """
    described = _DESCRIPTION.fullmatch(description.strip())
    if described:
        return described[1], described[2]
    plain = _WORD.sub("", name).strip("_-. ") or name
    node = next((node for node in nodes if _ends_with(plain, node)), plain)
    return node, plain[: len(plain) - len(node)].strip("_-. ") if node != plain else ""


def _ends_with(name: str, node: str) -> bool:
    plain = node.replace(" ", "").lower()
    return bool(plain) and name.replace(" ", "").lower().endswith(plain)


def _note_units(series: Any, num_space: int, notes: list[str]) -> None:
    found: list[str] = []
    two_dimensions(num_space, found)
    if not str(series.unit).lower().startswith(("pixel", "px")):
        found.append(f"coordinates are in {series.unit!r}, not in pixels")
    if series.conversion not in (None, 1.0):
        found.append(f"the conversion {series.conversion:g} of coordinates to {series.unit!r} is not applied")
    notes += [note for note in found if note not in notes]


def _times(series: Any, name: str, path: Path) -> np.ndarray:
    """Time of each point, in s."""
    if len(series.data) == 0:
        raise InputError(f"{path}: {name} has no frames")
    if series.timestamps is not None:
        times = np.asarray(series.timestamps[:])
        if times.shape != (len(series.data),) or times.dtype.kind not in "fiu" or not np.isfinite(times).all():
            raise InputError(f"{path}: {name} needs one timestamp for each of its {len(series.data)} points")
        return times
    rate = float(series.rate or 0)
    if not 0 < rate < 1e9:
        raise InputError(f"{path}: {name} has the rate {series.rate}; expected a number above 0")
    return float(series.starting_time or 0) + np.arange(len(series.data)) / rate


def _in_node_order(bodyparts: list[str], containers: list[Any]) -> list[str]:
    """Body parts in the order of the skeletons' nodes; HDF5 lists them by the alphabet."""
    nodes = list(dict.fromkeys(node for container in containers for node in _nodes(container)))
    place = {
        name: next((i for i, node in enumerate(nodes) if _ends_with(node, name)), len(nodes)) for name in bodyparts
    }
    return sorted(bodyparts, key=lambda name: place[name])


def _resolution(containers: list[Any]) -> tuple[float, float] | None:
    """Width and height of the videos, if all containers state the same ones."""
    found = set()
    for container in containers:
        dimensions = getattr(container, "dimensions", None)
        size = np.zeros(0) if dimensions is None else np.asarray(dimensions[:])
        found.add(tuple(size.reshape(-1)[:2].tolist()) if size.size == 2 else ())
    stated = found.pop() if len(found) == 1 else ()
    return (float(stated[0]), float(stated[1])) if stated and min(stated) > 0 else None
