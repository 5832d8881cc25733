"""Table of track formats, and detection of a file's format from its content."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation_readers import annotation_reader
from ssl_behavior.io.calms21 import (
    read_calms21_json,
    read_calms21_npy,
    read_calms21_zip,
    sniff_json,
    sniff_npy,
    sniff_zip,
)
from ssl_behavior.io.dlc import read_dlc_csv, read_dlc_h5, sniff_dlc_csv, sniff_dlc_h5
from ssl_behavior.io.ethovision import read_ethovision, sniff_ethovision
from ssl_behavior.io.flat_table import read_boxes, read_simba, sniff_boxes, sniff_simba
from ssl_behavior.io.hdf5 import HDF5_FAILURES, is_hdf5
from ssl_behavior.io.idtracker import read_idtracker, sniff_idtracker
from ssl_behavior.io.jabs import read_jabs, sniff_jabs
from ssl_behavior.io.mabe import read_mabe22, read_mabe25, sniff_mabe22, sniff_mabe25
from ssl_behavior.io.netcdf import read_netcdf, sniff_netcdf
from ssl_behavior.io.npz import read_npz, sniff_npz
from ssl_behavior.io.nwb import read_nwb, sniff_nwb
from ssl_behavior.io.reader_helpers import (
    NPZ_PAGE,
    ReadOptions,
    UnknownFormatError,
    check_file,
    describe_start,
    read_head,
)
from ssl_behavior.io.sleap import read_sleap_h5, read_slp, sniff_sleap_h5, sniff_slp
from ssl_behavior.io.trex import read_trex, sniff_trex
from ssl_behavior.recording import Recording

__all__ = ["FORMATS", "Format", "detect_format", "format_titles", "name_unread_format", "read_recordings"]


_HDF5: tuple[tuple[str, Callable[[h5py.File], bool]], ...] = (
    ("netCDF without positions", lambda f: "_NCProperties" in f.attrs),
)
_TEXT: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("netCDF without positions", lambda head: head.startswith(b"CDF")),
    ("MAT-file", lambda head: head.startswith(b"MATLAB")),
)


def name_unread_format(path: Path) -> str:
    """Name of a known format without a reader, detected by content; "" if none matches."""
    if not is_hdf5(path):
        head = read_head(path, 512)
        return next((name for name, matches in _TEXT if matches(head)), "")
    try:
        with h5py.File(path, "r") as file:
            return next((name for name, matches in _HDF5 if matches(file)), "")
    except HDF5_FAILURES:
        return ""


@dataclass(frozen=True)
class Format:
    """A file format: `sniff` recognizes its content, `read` yields the recordings of a file one by one."""

    name: str
    title: str
    sniff: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], Iterator[Recording]]


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("calms21_json", "CalMS21 JSON", sniff_json, read_calms21_json),
        Format("calms21_zip", "CalMS21 JSON in a zip file", sniff_zip, read_calms21_zip),
        Format("mabe22", "MABe 2022 mouse triplets .npy", sniff_mabe22, read_mabe22),
        Format("idtracker", "idtracker.ai trajectories", sniff_idtracker, read_idtracker),
        Format("calms21_npy", "CalMS21 or AIcrowd .npy", sniff_npy, read_calms21_npy),
        Format("dlc_csv", "DeepLabCut CSV (also .gz)", sniff_dlc_csv, read_dlc_csv),
        Format("dlc_h5", "DeepLabCut H5", sniff_dlc_h5, read_dlc_h5),
        Format("slp", "SLEAP .slp", sniff_slp, read_slp),
        Format("sleap_h5", "SLEAP analysis .h5", sniff_sleap_h5, read_sleap_h5),
        Format("jabs", "JABS pose .h5", sniff_jabs, read_jabs),
        Format("nwb", "NWB with poses (ndx-pose)", sniff_nwb, read_nwb),
        Format("netcdf", "movement netCDF", sniff_netcdf, read_netcdf),
        Format("mabe25", "MABe 2025 parquet", sniff_mabe25, read_mabe25),
        Format("boxes_csv", "CSV of body-part boxes", sniff_boxes, read_boxes),
        Format("simba_csv", "SimBA or other flat CSV", sniff_simba, read_simba),
        Format("trex", "TRex .npz", sniff_trex, read_trex),
        Format("ethovision", "EthoVision text", sniff_ethovision, read_ethovision),
        Format("npz", "generic .npz", sniff_npz, read_npz),
    )
}


def format_titles() -> str:
    """List of the formats with readers, for messages."""
    return ", ".join(format.title for format in FORMATS.values())


def detect_format(path: Path) -> Format:
    """Format of a track file, detected from its content; the file name does not matter.

    Raises
    ------
    InputError
        If the path is missing, a folder, empty or cannot be read.
    UnknownFormatError
        If no reader fits the content. The message names a known format without a reader, or else shows how the file
        begins.
    """
    check_file(path)
    for format in FORMATS.values():
        if format.sniff(path):
            return format
    if annotation_reader(path, named=False):
        raise UnknownFormatError(f"{path}: annotations without tracks; give the tracks, and these as `annotations`")
    unread = name_unread_format(path)
    known = format_titles()
    if unread:
        raise UnknownFormatError(
            f"{path}: {unread} is not supported yet; known formats: {known}. Convert it to the generic .npz, "
            f"see {NPZ_PAGE}"
        )
    raise UnknownFormatError(
        f"{path}: not a known format ({known}); it begins with {describe_start(path)}. "
        f"Tracks of any origin can be saved as the generic .npz, see {NPZ_PAGE}"
    )


def read_recordings(path: str | Path, options: ReadOptions | None = None, format: str = "auto") -> Iterator[Recording]:
    """Recordings of one file without cleaning: exact zeros stay, and confidence masks no points.

    Parameters
    ----------
    format : a name of `FORMATS`, or "auto" to detect it from content.

    Raises
    ------
    InputError
        If the format is unknown or the file is damaged.
    """
    if format != "auto" and format not in FORMATS:
        raise InputError(f"unknown format {format!r}; known: auto, {', '.join(FORMATS)}")
    chosen = detect_format(Path(path)) if format == "auto" else FORMATS[format]
    return chosen.read(Path(path), options or ReadOptions())
