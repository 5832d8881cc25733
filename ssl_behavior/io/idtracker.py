"""Reader of idtracker.ai: `trajectories.npy`, a pickled dictionary, and `trajectories.h5` with the same contents.

`trajectories` [time, individual, (x, y)] in px is the centroid of each animal; `id_probabilities` [time, individual]
is the probability of the identity. `frames_per_second` and `identities_labels` are beside them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.hdf5 import check_claim, is_hdf5, open_hdf5, sniff_hdf5
from ssl_behavior.io.pickled_npy import load_pickled_npy, pickle_start
from ssl_behavior.io.reader_helpers import ReadOptions, recording_id, stated_fps, to_float32
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import choose_skeleton

__all__ = ["read_idtracker", "sniff_idtracker"]

_KEYS = ("trajectories", "id_probabilities", "frames_per_second", "identities_labels", "width", "height")
_LAYOUT = "expected idtracker.ai's dictionary with `trajectories` [time, individual, 2]"
_GENERIC = ("trajectories", "with_gaps", "without_gaps", "trajectories_wo_gaps")
"""File names that idtracker.ai gives in every session."""


def sniff_idtracker(path: Path) -> bool:
    """Whether the file is a pickled dictionary, or HDF5, with idtracker.ai's trajectories."""
    if is_hdf5(path):
        return sniff_hdf5(path, "trajectories") and not sniff_hdf5(path, "position")
    start = pickle_start(path)
    return "trajectories" in start and "sequences" not in start


def read_idtracker(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """The one recording of a session.

    Raises
    ------
    InputError
        If the file is damaged, its pickle holds anything but plain data, the trajectories have another shape, or no
        frame rate is known.
    """
    contents = _from_hdf5(path) if is_hdf5(path) else load_pickled_npy(path, _LAYOUT)
    if not isinstance(contents, Mapping) or "trajectories" not in contents:
        raise InputError(f"{path}: it has no trajectories; {_LAYOUT}")
    tracks = np.asarray(contents["trajectories"])
    if tracks.dtype.kind not in "fiu" or tracks.ndim != 3 or tracks.shape[2] != 2 or 0 in tracks.shape:
        raise InputError(
            f"{path}: trajectories must be numbers of shape [time, individual, 2], got {tracks.dtype} "
            f"{list(tracks.shape)}"
        )
    notes: list[str] = []
    skeleton, order = choose_skeleton(["centroid"], options.skeleton, str(path))
    yield Recording(
        id=_id(path, options),
        keypoints=to_float32(tracks)[:, :, None][:, :, order],
        confidence=_confidence(contents.get("id_probabilities"), tracks.shape[:2], path),
        fps=stated_fps(options, _number(contents.get("frames_per_second")), path, "idtracker.ai file", notes),
        skeleton=skeleton,
        individuals=_individuals(contents.get("identities_labels"), tracks.shape[1], notes),
        source=str(path),
        resolution_px=_resolution(contents),
        notes=tuple(notes),
    )


def _from_hdf5(path: Path) -> dict[str, Any]:
    contents: dict[str, Any] = {}
    with open_hdf5(path) as file:
        for name in _KEYS:
            value = file[name] if name in file else file.attrs.get(name)
            if isinstance(value, h5py.Dataset):
                check_claim(name, value.shape or (), value.dtype.itemsize, path)
                value = value[()]
            if value is not None:
                contents[name] = value
    return contents


def _number(value: Any) -> float | None:
    array = np.asarray(value)
    return float(array.reshape(())) if array.size == 1 and array.dtype.kind in "fiu" else None


def _confidence(probabilities: Any, shape: tuple[int, ...], path: Path) -> np.ndarray | None:
    if probabilities is None:
        return None
    array = np.asarray(probabilities)
    if array.dtype.kind not in "fiu" or array.shape not in (shape, (*shape, 1)):
        raise InputError(f"{path}: id_probabilities must have shape {list(shape)}, got {list(array.shape)}")
    return to_float32(array).reshape(*shape, 1)


def _individuals(labels: Any, many: int, notes: list[str]) -> tuple[str, ...]:
    values = np.asarray([] if labels is None else labels).reshape(-1).tolist()
    names = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]
    if len(names) == many and len(set(names)) == many and all(names):
        return tuple(names)
    if names:
        notes.append(f"{len(names)} labels of identities for {many} animals are not usable; the animals are numbered")
    return tuple(str(number) for number in range(1, many + 1))


def _resolution(contents: Mapping[str, Any]) -> tuple[float, float] | None:
    width, height = _number(contents.get("width")), _number(contents.get("height"))
    return (width, height) if width and height and width > 0 and height > 0 else None


def _id(path: Path, options: ReadOptions) -> str:
    """The session's name, from its folder, where the file has the name that all sessions give it."""
    own = recording_id(path, options)
    session = next((folder.name for folder in path.resolve().parents if folder.name.startswith("session_")), "")
    return f"{options.prefix}{session[8:]}" if session[8:] and path.stem in _GENERIC else own
