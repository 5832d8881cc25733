"""Inputs of baselines (keypoints, visibility, features) and their augmentation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.calms21.baselines.network import FEATURES, KEYPOINTS, OBSERVED, Layout, WindowSpan
from probe.representations import Frames, Matrix, all_frames, gather
from ssl_behavior.errors import InputError
from ssl_behavior.numerics import Standardizer
from ssl_behavior.recording import observed_points
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.windows import arena_of

__all__ = ["Augmentation", "Inputs", "assemble_inputs", "augment", "rotate_points"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """The channels of some recordings one after the other, with zeros between them for the windows at their ends.

    Parameters
    ----------
    values : float32; a frame's place is that of its recording's first frame and its number.
    starts : recording id -> place of its first frame, rising.
    layout : what the channels are.
    margin : places between recordings, and before the first and behind the last one.
    sizes_px : width and height of each recording's arena.
    scaling : how features were standardised; None without features.
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
        """What the channels are: name -> number of channels."""
        return self.layout.groups

    def places(self, frames: Frames) -> Int[Tensor, " frames"]:
        """Where the chosen frames stand in `values`."""
        parts = [self.starts[row.id] + pick for row, pick in zip(frames.rows, frames.picks, strict=True)]
        return torch.from_numpy(np.concatenate(parts))

    def sizes_at(self, places: Int[Tensor, " frames"]) -> Float[Tensor, "frames space"]:
        """Width and height in pixels of the arena that each place belongs to."""
        return self.sizes_px[torch.searchsorted(self._firsts, places, right=True) - 1]

    @cached_property
    def _firsts(self) -> Int[Tensor, " recording"]:
        return torch.tensor(list(self.starts.values()), device=self.values.device)

    def to(self, device: torch.device) -> "Inputs":
        """The same on another device."""
        return replace(self, values=self.values.to(device), sizes_px=self.sizes_px.to(device))

    def check(self, rows: Sequence[StoreRow], span: WindowSpan) -> None:
        """Refuse recordings that are not here, and windows that would reach into the recording beside their own.

        Raises
        ------
        InputError
            Saying which.
        """
        absent = [row.id for row in rows if row.id not in self.starts]
        if absent:
            raise InputError(f"the inputs lack the recording {absent[0]!r}: assemble them of all recordings needed")
        if max(span.receptive_field) > self.margin:
            raise InputError(
                f"the inputs keep {self.margin} frames between recordings, the window reaches "
                f"{max(span.receptive_field)} frames far: assemble them with the widest window they are used with"
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
    span : the window, or of several the one that reaches furthest.
    features : further numbers of each frame of the store, such as an embedding.
    scaling : how features are standardised, where another training has told (a parent's, or the one that is to
        predict); `train` is not looked at then.
    observed : whether there are channels for what was observed, where another training has told; by the store if None.

    Raises
    ------
    InputError
        If a feature is NaN or infinite, or `observed` is False and `rows` have missing points.
    """
    missing = _any_missing(store, store.rows if observed is None else rows) if not observed else True
    if missing and observed is False:
        raise InputError(f"{store.path}: points are missing, and the inputs have no channels to tell which")
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
    """Coordinates of all points, then what was observed."""
    keypoints = store.keypoints[row.slice]
    observed = observed_points(keypoints)
    inside = np.where(observed[..., None], (keypoints - corners[:2]) / (corners[2:] - corners[:2]), 0.0)
    channels = [inside.reshape(row.frames, -1), observed.reshape(row.frames, -1)]
    return torch.from_numpy(np.concatenate(channels, axis=1).astype(np.float32))


Points = Float[Tensor, "batch sample individual keypoint space"]
Seen = Bool[Tensor, "batch sample individual keypoint"]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How windows of training are changed, each by its own draw; features are left alone.

    The defaults are what the published CalMS21 baselines did: turned in units of the arena, in which x and y differ in
    scale, about the corner where the units start; then shifted. `about="middle"` turns by true angles instead: in
    pixels, about the middle of the arena.

    Parameters
    ----------
    rotate : largest angle in radians; a window's own is uniform between its negative and this.
    shift : largest shift, in units of the arena; a window's own is uniform and has one value per axis.
    about : "corner" or "middle".
    move_outside : also move what lies outside of the recording, as published, where nothing tells it from a point at 0.
        Points that channels tell to be missing always stay 0.
    reflect : probability that a window is mirrored in x, left and right keypoints exchanged.
    swap : probability that the animals' order is reversed, for animals that nobody tells apart.

    Raises
    ------
    InputError
        If a number is negative, or a probability above 1.
    """

    rotate: float = math.pi
    shift: float = 0.25
    about: Literal["corner", "middle"] = "corner"
    move_outside: bool = True
    reflect: float = 0.0
    swap: float = 0.0

    def __post_init__(self) -> None:
        if self.rotate < 0 or self.shift < 0:
            raise InputError(f"augment: rotate and shift must be at least 0, got {self.rotate} and {self.shift}")
        for name in ("reflect", "swap"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augment: {name} must be between 0 and 1, got {getattr(self, name)}")


def augment(
    windows: Float[Tensor, "batch sample channel"],
    layout: Layout,
    config: Augmentation,
    sizes_px: Float[Tensor, "batch space"],
    generator: torch.Generator,
) -> Float[Tensor, "batch sample channel"]:
    """Windows as `config` changes them, as a new tensor: mirrored and exchanged, then turned, then shifted.

    Parameters
    ----------
    sizes_px : width and height of each window's arena.
    generator : on the device of the windows.
    """
    points, seen = layout.points(windows), layout.seen(windows)

    def uniform(*shape: int) -> Tensor:
        """From -1 to 1, a row for each window."""
        drawn = torch.rand((len(windows), *shape), generator=generator, device=windows.device, dtype=windows.dtype)
        return 2 * drawn - 1

    if config.reflect:
        points, seen = _chosen(uniform() < 2 * config.reflect - 1, _mirrored(points, seen, layout), (points, seen))
    if config.swap:
        points, seen = _chosen(uniform() < 2 * config.swap - 1, (points.flip(2), seen.flip(2)), (points, seen))
    if config.rotate:
        points = rotate_points(points, config.rotate * uniform(), config.about, sizes_px)
    points = points + config.shift * uniform(2)[:, None, None, None]
    told = OBSERVED in layout.groups
    if told or not config.move_outside:
        points = points.masked_fill(~seen[..., None], 0.0)
    changed = torch.cat([points.flatten(2), windows[..., layout.part(KEYPOINTS).stop :]], dim=2)
    if told:
        changed[..., layout.part(OBSERVED)] = seen.flatten(2).to(changed.dtype)
    return changed


def rotate_points(
    points: Points, radians: Float[Tensor, " batch"], about: str, sizes_px: Float[Tensor, "batch space"]
) -> Points:
    """Points turned from x towards y, all of a window by one angle; see `Augmentation.about`."""
    middle = 0.5 if about == "middle" else 0.0
    scale = sizes_px[:, None, None, None] if about == "middle" else 1.0
    x, y = ((points - middle) * scale).unbind(-1)
    cos, sin = (values[:, None, None, None] for values in (radians.cos(), radians.sin()))
    return torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1) / scale + middle


def _mirrored(points: Points, seen: Seen, layout: Layout) -> tuple[Points, Seen]:
    """x counted from the other side, left and right keypoints exchanged."""
    order = layout.skeleton.mirror_order()
    x, y = points[..., order, :].unbind(-1)
    return torch.stack([1 - x, y], dim=-1), seen[..., order]


def _chosen(
    which: Bool[Tensor, " batch"], changed: tuple[Points, Seen], kept: tuple[Points, Seen]
) -> tuple[Points, Seen]:
    pick = which[:, None, None, None]
    return torch.where(pick[..., None], changed[0], kept[0]), torch.where(pick, changed[1], kept[1])
