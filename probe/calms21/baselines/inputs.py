"""Inputs of baselines: keypoints, visibility and features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.calms21.baselines.layers import FEATURES, KEYPOINTS, OBSERVED, Layout, WindowSpan
from probe.representations import Frames, Matrix, all_frames, gather
from ssl_behavior.errors import InputError
from ssl_behavior.numerics import Standardizer
from ssl_behavior.recording import observed_points
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.windows import arena_of

__all__ = ["Inputs", "assemble_inputs"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """The channels of some recordings, concatenated with zeros between them for windows at their ends.

    Parameters
    ----------
    values : float32; the place of a frame is the place of its recording's first frame plus its frame number.
    starts : recording id -> place of its first frame, ascending.
    layout : layout of the channels.
    margin : number of zero places between recordings, before the first and after the last one.
    sizes_px : width and height of each recording's arena.
    scaling : standardization of the features; None without features.
    """

    values: Float[Tensor, "place channel"]
    starts: Mapping[str, int]
    layout: Layout
    margin: int
    sizes_px: Float[Tensor, "recording space"]
    scaling: Standardizer | None = None

    @property
    def num_channels(self) -> int:
        return int(self.values.shape[1])

    @property
    def groups(self) -> Mapping[str, int]:
        """Name -> number of channels."""
        return self.layout.groups

    def places(self, frames: Frames) -> Int[Tensor, " frames"]:
        """Places of the frames in `values`."""
        parts = [self.starts[row.id] + pick for row, pick in zip(frames.rows, frames.picks, strict=True)]
        return torch.from_numpy(np.concatenate(parts))

    def sizes_at(self, places: Int[Tensor, " frames"]) -> Float[Tensor, "frames space"]:
        """Width and height in pixels of the arena of each place."""
        return self.sizes_px[torch.searchsorted(self._firsts, places, right=True) - 1]

    @cached_property
    def _firsts(self) -> Int[Tensor, " recording"]:
        return torch.tensor(list(self.starts.values()), device=self.values.device)

    def to(self, device: torch.device) -> "Inputs":
        """A copy on another device."""
        return replace(self, values=self.values.to(device), sizes_px=self.sizes_px.to(device))

    def check(self, rows: Sequence[StoreRow], span: WindowSpan) -> None:
        """Refuse absent recordings, and windows that overlap the next recording.

        Raises
        ------
        InputError
            Naming the recording, or the margin.
        """
        absent = [row.id for row in rows if row.id not in self.starts]
        if absent:
            raise InputError(f"the inputs lack the recording {absent[0]!r}: assemble them of all recordings needed")
        if max(span.receptive_field) > self.margin:
            raise InputError(
                f"the inputs keep {self.margin} frames between recordings, the window "
                f"needs {max(span.receptive_field)}: assemble them with the widest window they are used with"
            )


def assemble_inputs(
    store: Store,
    rows: Sequence[StoreRow],
    train: Sequence[StoreRow],
    span: WindowSpan,
    features: Matrix | None = None,
    scaling: Standardizer | None = None,
    observed: bool | None = None,
) -> Inputs:
    """The inputs of `rows`, with margins that keep windows inside their recording.

    Keypoints are in units of the arena (`arena_of`): for CalMS21, whose videos have a known size, x / 1024 and y / 570,
    as in the paper. Missing points are 0. If the store has missing points, every point gets an "observed" channel (1 or
    0). Features are standardized on `train`. Outside of recordings all channels are 0, as in the paper. The inputs need
    4 bytes per channel and frame.

    Parameters
    ----------
    rows : training and predicted recordings, each once.
    train : the training recordings among `rows`.
    span : the window; the widest of several.
    features : additional columns of each frame of the store, such as an embedding.
    scaling : standardization of the features from an earlier training, instead of `train`.
    observed : whether there are "observed" channels, from an earlier training; None = if the store has missing points.

    Raises
    ------
    InputError
        If a feature is NaN or infinite, or `observed` is False and `rows` have missing points.
    """
    missing = _any_missing(store, store.rows if observed is None else rows) if not observed else True
    if missing and observed is False:
        raise InputError(f"{store.path}: points are missing, and the inputs have no 'observed' channels for them")
    layout = _layout(store, missing, features)
    margin, width = max(span.receptive_field), layout.part(FEATURES).start or layout.num_channels
    ends = np.cumsum([margin, *(row.frames + margin for row in rows)])
    values = torch.zeros(int(ends[-1]), layout.num_channels, dtype=torch.float32)
    starts = {row.id: int(end) for row, end in zip(rows, ends, strict=False)}
    if features is not None and scaling is None:
        scaling = Standardizer.fit(gather(features, all_frames(train)))
    sizes = torch.empty(len(rows), 2, dtype=torch.float32)
    for index, row in enumerate(rows):
        own = values[starts[row.id] : starts[row.id] + row.frames]
        corners = arena_of(store.keypoints[row.slice], row.resolution_px)
        sizes[index] = torch.from_numpy(corners[2:] - corners[:2])
        own[:, :width] = _keypoint_channels(store, row, corners)[:, :width]
        if features is not None and scaling is not None:
            own[:, width:] = scaling.transform_(gather(features, all_frames([row])))
    return Inputs(values, starts, layout, margin, sizes, None if features is None else scaling)


def _any_missing(store: Store, rows: Sequence[StoreRow]) -> bool:
    return any(not observed_points(store.keypoints[row.slice]).all() for row in rows)


def _layout(store: Store, missing: bool, features: Matrix | None) -> Layout:
    individuals, keypoints = store.keypoints.shape[1:3]
    groups = {
        KEYPOINTS: 2 * individuals * keypoints,
        OBSERVED: individuals * keypoints if missing else 0,
        FEATURES: 0 if features is None else int(features.shape[1]),
    }
    return Layout({name: count for name, count in groups.items() if count}, store.skeleton, individuals)


def _keypoint_channels(store: Store, row: StoreRow, corners: np.ndarray) -> Float[Tensor, "time channel"]:
    """Coordinates of all points, then their observed mask."""
    keypoints = store.keypoints[row.slice]
    observed = observed_points(keypoints)
    inside = np.where(observed[..., None], (keypoints - corners[:2]) / (corners[2:] - corners[:2]), 0.0)
    channels = [inside.reshape(row.frames, -1), observed.reshape(row.frames, -1)]
    return torch.from_numpy(np.concatenate(channels, axis=1).astype(np.float32))
