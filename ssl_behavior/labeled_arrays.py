"""xarray objects with the names of movement: dimensions time, space, keypoints and individuals; times in seconds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError

__all__ = ["POSE_DIMENSIONS", "SPACE", "data_array", "pose_dataset"]

POSE_DIMENSIONS = ("time", "space", "keypoints", "individuals")
"""Dimensions of movement's `position`, in its order; `confidence` lacks space."""
SPACE = ("x", "y", "z")
"""Names along the dimension space."""


def _xarray() -> Any:
    try:
        import xarray
    except ModuleNotFoundError:
        raise InputError("labeled arrays need xarray: pip install 'ssl-behavior[netcdf]'") from None
    return xarray


def pose_dataset(
    keypoints: np.ndarray,
    confidence: np.ndarray | None,
    seconds: np.ndarray,
    names: Sequence[str],
    individuals: Sequence[str],
    attributes: Mapping[str, Any],
) -> Any:
    """Tracks as an xarray.Dataset with the variables and dimensions of movement's pose data sets.

    Parameters
    ----------
    keypoints : float [time, individual, keypoint, space].
    confidence : float [time, individual, keypoint]; None = unknown, NaN in the data set.
    seconds : time of each frame, float64 [time].
    names : names of the keypoints.

    Raises
    ------
    InputError
        If xarray is not installed.
    """
    xarray = _xarray()
    known = np.full(keypoints.shape[:3], np.nan, np.float32) if confidence is None else confidence
    return xarray.Dataset(
        {
            "position": (POSE_DIMENSIONS, keypoints.transpose(0, 3, 2, 1)),
            "confidence": (tuple(name for name in POSE_DIMENSIONS if name != "space"), known.transpose(0, 2, 1)),
        },
        coords={
            "time": seconds,
            "space": list(SPACE[: keypoints.shape[3]]),
            "keypoints": list(names),
            "individuals": list(individuals),
        },
        attrs={"ds_type": "poses", "time_unit": "seconds", "source_software": "ssl-behavior", **attributes},
    )


def data_array(
    values: np.ndarray,
    dimensions: Sequence[str],
    coordinates: Mapping[str, Any],
    name: str,
    attributes: Mapping[str, Any],
) -> Any:
    """An xarray.DataArray.

    Parameters
    ----------
    coordinates : name -> values along the dimension of that name, a single value, or (dimension, values).

    Raises
    ------
    InputError
        If xarray is not installed.
    """
    return _xarray().DataArray(
        values, dims=tuple(dimensions), coords=dict(coordinates), name=name, attrs=dict(attributes)
    )
