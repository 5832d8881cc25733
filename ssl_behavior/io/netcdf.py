"""Reader of movement's netCDF: xarray data sets with `position` and `confidence`, netCDF 4 and 3.

`position` has the dimensions time, space, keypoint and individual, in any order and in both spellings (`keypoints`,
`individuals`); `time` is in seconds or frames, as the attribute `time_unit` says; `fps` is an attribute.
Needs xarray with h5netcdf.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.hdf5 import blocks, check_claim, is_hdf5, sniff_hdf5
from ssl_behavior.io.reader_helpers import (
    ReadOptions,
    check_file,
    empty_tracks,
    frame_numbers,
    frames_in_file,
    in_order,
    library,
    library_errors,
    measured_times,
    note_gaps,
    read_head,
    recording_id,
    same_clock,
    stated_fps,
    two_dimensions,
)
from ssl_behavior.labeled_arrays import POSE_DIMENSIONS, SPACE
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import choose_skeleton

__all__ = ["read_netcdf", "sniff_netcdf"]

_TITLE = "movement netCDF file"


def sniff_netcdf(path: Path) -> bool:
    """Whether the file is netCDF with positions."""
    if is_hdf5(path):
        return sniff_hdf5(path, "position", "space")
    head = read_head(path)
    return head.startswith(b"CDF") and b"position" in head and b"space" in head


def read_netcdf(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a movement data set.

    Raises
    ------
    InputError
        If xarray is not installed, the file is damaged, it holds no poses of two or three dimensions, its times are
        irregular or contradict its fps, or no frame rate is known.
    """
    check_file(path)
    xarray = library("xarray", "netcdf", path, f"a {_TITLE}")
    if is_hdf5(path):
        library("h5netcdf", "netcdf", path, f"a {_TITLE}")
    engine = "h5netcdf" if is_hdf5(path) else "scipy"
    with (
        library_errors(path, _TITLE),
        xarray.open_dataset(path, engine=engine, decode_times=False, cache=False) as data,
    ):
        recording = _recording(data, path, options)
    yield recording


def _recording(data: Any, path: Path, options: ReadOptions) -> Recording:
    notes: list[str] = []
    if "position" not in data:
        raise InputError(f"{path}: it lacks the variable 'position'; it has {sorted(map(str, data))}")
    dims = _dimensions(data["position"], path)
    bodyparts = _names(data, dims[2], path) or []
    if not bodyparts:
        raise InputError(f"{path}: its keypoints have no names (coordinate {dims[2]!r}); add them with assign_coords")
    individuals = _names(data, dims[1], path) or [f"animal{i}" for i in range(data.sizes[dims[1]])]
    order_space = _space(data, path)
    two_dimensions(data.sizes["space"], notes)
    frames, fps, times = _frames(data, path, options, notes)
    skeleton, order = choose_skeleton(bodyparts, options.skeleton, str(path))
    keypoints, confidence = empty_tracks(
        int(frames.max()) + 1, len(individuals), len(bodyparts), path, "save a shorter part, with times from 0"
    )
    notes += note_gaps(int(frames[0]), len(frames), len(keypoints))
    _fill(data["position"], dims, frames, keypoints, path, order_space)
    scored = "confidence" in data
    if scored:
        if set(data["confidence"].dims) != set(dims[:3]):
            raise InputError(f"{path}: confidence must have dimensions {dims[:3]}, got {data['confidence'].dims}")
        _fill(data["confidence"], dims[:3], frames, confidence, path)
    return Recording(
        id=recording_id(path, options),
        keypoints=in_order(keypoints, order),
        confidence=in_order(confidence, order) if scored and not np.isnan(confidence).all() else None,
        fps=fps,
        skeleton=skeleton,
        individuals=tuple(individuals),
        source=str(path),
        notes=tuple(notes),
        in_file=frames_in_file(frames, len(keypoints)),
        times=times,
    )


def _dimensions(position: Any, path: Path) -> tuple[str, str, str, str]:
    """Names of the dimensions (time, individual, keypoint, space)."""
    time, space, keypoints, individuals = POSE_DIMENSIONS
    for dims in ((time, individuals, keypoints, space), (time, individuals[:-1], keypoints[:-1], space)):
        if set(position.dims) == set(dims):
            return dims
    raise InputError(
        f"{path}: position must have the dimensions time, individual(s), keypoint(s) and space, got "
        f"{list(position.dims)}; only poses are read"
    )


def _names(data: Any, dimension: str, path: Path) -> list[str] | None:
    """Names along a dimension; None if the file has none."""
    if dimension not in data.coords:
        return None
    values = np.asarray(data.coords[dimension].values)
    if values.ndim != 1:
        raise InputError(f"{path}: names of {dimension} must be a list, got shape {list(values.shape)}")
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]


def _space(data: Any, path: Path) -> list[int]:
    """Positions of x and y on the axis of space."""
    names = _names(data, "space", path) or list(SPACE[: data.sizes["space"]])
    if "x" not in names or "y" not in names:
        raise InputError(f"{path}: space must have x and y, got {names}; polar coordinates are not read")
    return [names.index("x"), names.index("y")]


def _frames(
    data: Any, path: Path, options: ReadOptions, notes: list[str]
) -> tuple[np.ndarray, float, np.ndarray | None]:
    """Frame number of each row, the frame rate, and measured times of all frames, see `measured_times`."""
    stated = data.attrs.get("fps")
    fps = None if stated is None else float(np.asarray(stated, dtype=float).reshape(-1)[0])
    fps = fps if fps is not None and math.isfinite(fps) else None
    num_rows = data.sizes["time"]
    times = np.asarray(data.coords["time"].values) if "time" in data.coords else np.arange(num_rows)
    unit = str(data.attrs.get("time_unit", "frames" if times.dtype.kind in "iu" else "seconds"))
    if times.dtype.kind not in "fiu":
        raise InputError(f"{path}: time must be numbers, got {times.dtype}")
    if unit.startswith("frame"):
        wrong = times.size and (times[0] < 0 or (np.diff(times) < 1).any() or times[-1] > 1 << 40)
        if wrong or (times != np.rint(times)).any():
            raise InputError(f"{path}: times in frames must be whole numbers that increase, got {times[:5].tolist()}")
        return times.astype(np.int64), stated_fps(options, fps, path, _TITLE, notes), None
    if not unit.startswith("second"):
        raise InputError(f"{path}: its time unit is {unit!r}; expected seconds or frames")
    numbers, measured = frame_numbers(times, path, options.keep_times, options.fps or fps)
    if options.fps is None and fps is not None and measured is not None and not same_clock(measured, fps):
        raise InputError(
            f"{path}: its attribute fps is {fps:g}, but its times are {1 / measured:g} s apart, which is {measured:g} "
            "frames per second; pass the right one as `fps`"
        )
    rate = stated_fps(options, fps or measured, path, _TITLE, notes)
    return numbers, rate, measured_times(times, numbers, measured, rate, path, options)


def _fill(
    variable: Any,
    dims: tuple[str, ...],
    frames: np.ndarray,
    out: np.ndarray,
    path: Path,
    last: list[int] | None = None,
) -> None:
    """Read a variable into `out`, with axes `dims`, at these frames, a block at a time; `last` picks of the last axis.

    xarray transposes each number by itself while it is not in memory, which is a hundred times as slow.
    """
    if variable.dtype.kind not in "fiu":
        raise InputError(f"{path}: {variable.name} must be numbers, got {variable.dtype}")
    check_claim(str(variable.name), variable.shape, variable.dtype.itemsize, path)
    axes = [variable.dims.index(name) for name in dims]
    for block in blocks(len(frames)):
        values = variable.isel(time=block).values.transpose(axes)
        with np.errstate(over="ignore", invalid="ignore"):
            out[frames[block]] = values if last is None else values[..., last]
