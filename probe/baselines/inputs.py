"""What a baseline reads of every frame: keypoints in the arena, what was observed, and features if there are any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.baselines.span import WindowSpan
from probe.representations import Frames, Matrix, Scaling, all_frames, gather
from ssl_behavior.recording import observed_points
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.windows import arena_of

__all__ = ["Inputs", "assemble_inputs"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """The channels of some recordings one after the other, with zeros between them for the windows at their ends.

    Parameters
    ----------
    values : float32; a frame's place is that of its recording's first frame and its number.
    starts : recording id -> place of its first frame.
    groups : what the channels are: name -> number of channels.
    """

    values: Float[Tensor, "place channel"]
    starts: Mapping[str, int]
    groups: Mapping[str, int]

    @property
    def num_channels(self) -> int:
        return int(self.values.shape[1])

    def places(self, frames: Frames) -> Int[Tensor, " frames"]:
        """Where the chosen frames stand in `values`."""
        parts = [self.starts[row.id] + pick for row, pick in zip(frames.rows, frames.picks, strict=True)]
        return torch.from_numpy(np.concatenate(parts))

    def to(self, device: torch.device) -> "Inputs":
        """The same on another device."""
        return replace(self, values=self.values.to(device))


def assemble_inputs(
    store: Store,
    rows: Sequence[StoreRow],
    train: Sequence[StoreRow],
    span: WindowSpan,
    features: Matrix | None = None,
) -> Inputs:
    """The inputs of `rows`, so far apart that no window of a recording sees another one.

    Keypoints are in units of the arena (`arena_of`): of CalMS21, whose videos have a known size, x / 1024 and y / 570,
    as in the paper. A missing point is 0, and only if the store has missing points at all, every point gets a channel
    more that is 1 where it was observed. Features are standardised on `train`. What lies outside a recording is 0 in
    all channels, as in the paper: also in "observed", which there is the same as a frame where nothing was seen.
    It takes 4 bytes per channel and frame.

    Parameters
    ----------
    rows : recordings to learn from and to predict, each once.
    train : those of them that are learned from.
    features : further numbers of each frame of the store, such as an embedding.

    Raises
    ------
    InputError
        If a feature is NaN or infinite.
    """
    num_points, margin = int(np.prod(store.keypoints.shape[1:3])), max(span.reach)
    missing = any(not observed_points(store.keypoints[row.slice]).all() for row in store.rows)
    groups = {"keypoints": 2 * num_points, "observed": num_points if missing else 0}
    groups["features"] = 0 if features is None else int(features.shape[1])
    ends = np.cumsum([margin, *(row.frames + margin for row in rows)])
    values = torch.zeros(int(ends[-1]), sum(groups.values()), dtype=torch.float32)
    starts = {row.id: int(end) for row, end in zip(rows, ends, strict=False)}
    width = groups["keypoints"] + groups["observed"]
    scaling = None if features is None else Scaling.of(gather(features, all_frames(train)))
    for row in rows:
        own = values[starts[row.id] : starts[row.id] + row.frames]
        own[:, :width] = _keypoint_channels(store, row)[:, :width]
        if features is not None and scaling is not None:
            own[:, width:] = scaling.apply_(gather(features, all_frames([row])))
    return Inputs(values, starts, {name: count for name, count in groups.items() if count})


def _keypoint_channels(store: Store, row: StoreRow) -> Float[Tensor, "time channel"]:
    """Coordinates of all points, then what was observed."""
    keypoints = store.keypoints[row.slice]
    observed = observed_points(keypoints)
    corners = arena_of(keypoints, row.resolution_px)
    inside = np.where(observed[..., None], (keypoints - corners[:2]) / (corners[2:] - corners[:2]), 0.0)
    channels = [inside.reshape(row.frames, -1), observed.reshape(row.frames, -1)]
    return torch.from_numpy(np.concatenate(channels, axis=1).astype(np.float32))
