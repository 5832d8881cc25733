"""Formats that are recognised, so that the refusal can name them and say what to do instead."""

from collections.abc import Callable
from pathlib import Path

import h5py

from ssl_behavior.io.dlc_h5 import HDF5_FAILURES, is_hdf5
from ssl_behavior.io.source import read_head

__all__ = ["name_unread_format"]

_HDF5: tuple[tuple[str, Callable[[h5py.File], bool]], ...] = (
    ("SLEAP predictions (.slp)", lambda f: "pred_points" in f and "instances" in f),
    ("SLEAP analysis HDF5", lambda f: "tracks" in f and "node_names" in f),
    ("NWB", lambda f: "nwb_version" in f.attrs),
    ("JABS pose HDF5", lambda f: "poseest" in f),
    ("movement netCDF", lambda f: "_NCProperties" in f.attrs or ("position" in f and "keypoints" in f)),
)
_TEXT: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("BORIS events CSV", lambda head: head.startswith((b"Observation id", b'"Observation id'))),
    ("CSV of body-part boxes", lambda head: b"left_x" in head[:400] and b"-width" in head[:400]),
    ("netCDF 3", lambda head: head.startswith(b"CDF")),
    ("MAT-file", lambda head: head.startswith(b"MATLAB")),
)


def name_unread_format(path: Path) -> str:
    """The name of a known format that is not read yet, by content; "" if the content is of none."""
    if not is_hdf5(path):
        head = read_head(path, 512)
        return next((name for name, matches in _TEXT if matches(head)), "")
    try:
        with h5py.File(path, "r") as file:
            return next((name for name, matches in _HDF5 if matches(file)), "")
    except HDF5_FAILURES:
        return ""
