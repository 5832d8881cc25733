"""Features of a scene: egocentric poses, relations and motion, each with a mask of observed values.

Every feature is computed from the point of view of an animal toward another one, so the output has a view axis
(`ssl_behavior.views`): of two animals, `features[..., i, :]` describes the scene as seen by animal i; of more, there is
a view for every ordered pair; a single animal has one, in which nothing of another animal is observed. Lengths are in
body lengths (one scale per model, fitted on the training recordings) and directions are unit vectors in the animal's
frame, so that moving or turning the scene changes nothing.

Blocks of features are computed along time, of agents and targets at once, with NaN for what is not observed. What
concerns the agent alone is computed once for all its targets.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.numerics import RunningCovariance, RunningMoments, principal_components
from ssl_behavior.pose_geometry import (
    Scene,
    SceneConfig,
    build_scene,
    lagged,
    length_of,
    lengths,
    or_nan,
    rotate_into,
    scale_of,
    transposed,
)
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.views import Pairs, Views, views_of
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["FEATURE_BLOCKS", "MABE2021_FEATURES", "Channels", "FeatureConfig", "Featurizer", "session_time", "spans"]

Channels = Float[Tensor, "batch time view channel"]
ChannelMask = Bool[Tensor, "batch time view channel"]
Planes = Float[Tensor, "batch _agent _target *_groups _channel time"]
"""Some channels, or the same channels of several groups (lags). The target axis has length 1 where the target does not
matter. NaN = not observed."""

_TINY = 1e-3
_MIN_VARIANCE = 1e-6
_CACHE_FRAMES = 16_384
"""Frames of scenes, and half the frames of views, that are computed at a time."""
_DISTANCES = ("distances", "all_distances")


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Choice of features and treatment of missing points. Lags and gaps are in frames.

    Parameters
    ----------
    blocks : names from `FEATURE_BLOCKS`. Walls are left out by default: the position in the arena
        identifies windows without regard to behavior, and lowers scores (benchmarks/results).
    lags_frames : displacements, turns and changes of distance are taken over each of these.
    speed_lags_frames : speeds of single keypoints are taken over each of these.
    distance_components : 0 keeps every log pairwise distance; above 0, this many principal components of them.
    clip : standardized values are clipped to ± this many standard deviations; 0 = not.
    scene : gaps, holds and outliers.
    """

    blocks: tuple[str, ...] = ("pose", "other_pose", "distances", "relation", "motion", "speeds", "visibility")
    lags_frames: tuple[int, ...] = (1, 2, 4, 8, 15, 30)
    speed_lags_frames: tuple[int, ...] = (1, 4, 15)
    distance_components: int = 0
    clip: float = 5.0
    scene: SceneConfig = field(default_factory=SceneConfig)

    def __post_init__(self) -> None:
        unknown = [name for name in self.blocks if name not in FEATURE_BLOCKS]
        if unknown or not self.blocks:
            raise InputError(f"features: unknown blocks {unknown}; known: {sorted(FEATURE_BLOCKS)}")
        if any(lag < 1 for lag in (*self.lags_frames, *self.speed_lags_frames)):
            raise InputError(f"features: lags must be at least 1 frame, got {self.lags_frames}")
        if self.distance_components < 0 or (self.distance_components and len(self.distance_blocks) != 1):
            raise InputError(
                f"features: distance_components must be 0 or, with one of the blocks {list(_DISTANCES)}, above 0, "
                f"got {self.distance_components} with {list(self.blocks)}"
            )
        for block, name in (("motion", "lags_frames"), ("speeds", "speed_lags_frames")):
            if block in self.blocks and not getattr(self, name):
                raise InputError(f"features: the block {block!r} needs at least one of {name}")
        if self.clip < 0:
            raise InputError(f"features: clip must be 0 or more, got {self.clip}")

    @property
    def distance_blocks(self) -> tuple[str, ...]:
        """Feature blocks that PCA compresses."""
        return tuple(name for name in self.blocks if name in _DISTANCES)


def squash(vectors: Float[Tensor, "*any"], dim: int = -1) -> Float[Tensor, "*any"]:
    """Vectors with logarithmic length and unchanged direction: fine resolution near, coarse far away.

    Parameters
    ----------
    dim : the axis of x and y.
    """
    length = length_of(*vectors.unbind(dim)).unsqueeze(dim)
    return vectors * (torch.log1p(length) / length.clamp_min(1e-6))


def _turned(vectors: Tensor, own: Scene) -> Tensor:
    """[... space time] in the agent's frame."""
    return rotate_into(vectors, own.heading, dim=-2)


def _points_in(own: Scene, points: Tensor) -> Float[Tensor, "batch agent target keypoint space time"]:
    """Points relative to the agent's center and heading."""
    offset = points - own.center.unsqueeze(-3)
    return rotate_into(offset, own.heading.unsqueeze(-3), dim=-2)


def pose(own: Scene, _: Scene, __: FeatureConfig) -> list[Planes]:
    """Own keypoints in the own frame, clipped at 4 body lengths from the center (MABe 2021 Task 1 winner)."""
    return [_points_in(own, own.points).clamp_(-4, 4).flatten(-3, -2)]


def other_pose(own: Scene, other: Scene, _: FeatureConfig) -> list[Planes]:
    """The other animal's keypoints in the own frame, logarithmic in distance."""
    return [squash(_points_in(own, other.points), dim=-2).flatten(-3, -2)]


def other_own_pose(own: Scene, other: Scene, config: FeatureConfig) -> list[Planes]:
    """The other animal's keypoints in its own frame (MABe 2021 Task 1 winner)."""
    return pose(other, own, config)


def distances(own: Scene, other: Scene, _: FeatureConfig) -> list[Planes]:
    """Log distances of every own keypoint to every keypoint of the other, and of all own pairs."""
    return [_between(own, other), _within(own)]


def all_distances(own: Scene, other: Scene, _: FeatureConfig) -> list[Planes]:
    """Log distances of all pairs of keypoints of both animals."""
    return [_between(own, other), _within(own), _within(other)]


def _between(own: Scene, other: Scene) -> Planes:
    """Log distances of own keypoints, one after the other, to all of the other's."""
    size = own.points.shape[-3]
    (batch, agents, targets), time = other.points.shape[:3], other.points.shape[-1]
    values = other.points.new_empty(batch, agents, targets, size, size, time)
    done: dict[tuple[int, int], Tensor] = {}
    for place, target in enumerate(other.animals):
        row, column = divmod(place, targets)
        agent, found = own.animals[row], values[:, row, column]
        if (target, agent) in done:
            # Seen by the other one, the distances are the same.
            found.copy_(done[target, agent].transpose(1, 2))
        else:
            x, y = (
                own.points[:, row, 0, :, axis].unsqueeze(2) - other.points[:, row, column, :, axis].unsqueeze(1)
                for axis in (0, 1)
            )
            found.copy_(_log_length(x, y, 0.1))
        done[agent, target] = found
    return values.flatten(-3, -2)


def _within(scene: Scene) -> Planes:
    """Log distances of every two keypoints of an animal."""
    num_keypoints = scene.points.shape[-3]
    ends = torch.tril_indices(num_keypoints, num_keypoints, offset=-1, device=scene.points.device)
    first, second = (scene.points.index_select(-3, end) for end in ends)
    x, y = (first.select(-2, axis) - second.select(-2, axis) for axis in (0, 1))
    return _log_length(x, y, 0.1)


def _log_length(x: Tensor, y: Tensor, floor: float) -> Tensor:
    """Computed in the memory of x."""
    return x.mul_(x).addcmul_(y, y).sqrt_().add_(floor).log_()


def relation(own: Scene, other: Scene, _: FeatureConfig) -> list[Planes]:
    """Position (log distance, offset, bearing) and heading of the other, in the own frame."""
    offset = _turned(other.center - own.center, own)
    length = lengths(offset)
    return [
        torch.log(length + 0.1), squash(offset, dim=-2), offset / length.clamp_min(_TINY), _turned(other.heading, own)
    ]  # fmt: skip


def motion(own: Scene, other: Scene, config: FeatureConfig) -> list[Planes]:
    """Own displacement and turn, the other's displacement, and the change of log distance, over each lag."""
    lags = config.lags_frames
    own_center, other_center = (or_nan(scene.fresh_center.unsqueeze(-2), scene.center) for scene in (own, other))
    heading = or_nan(own.fresh_heading.unsqueeze(-2), own.heading)
    distance = torch.log(lengths(other_center - own_center) + 0.1)
    own_step, other_step, change = (
        values.unsqueeze(-3) - lagged(values, lags) for values in (own_center, other_center, distance)
    )
    own_step, other_step = (
        squash(rotate_into(step, own.heading.unsqueeze(-3), dim=-2) * 4, dim=-2) for step in (own_step, other_step)
    )
    turn = rotate_into(heading.unsqueeze(-3), lagged(heading, lags), dim=-2)
    return [own_step, turn, other_step, change]


def speeds(own: Scene, _: Scene, config: FeatureConfig) -> list[Planes]:
    """Log displacement of every own keypoint over each speed lag."""
    x, y = (values.unsqueeze(-3) - lagged(values, config.speed_lags_frames) for values in own.points.unbind(-2))
    return [_log_length(x, y, 0.02)]


def visibility(own: Scene, other: Scene, _: FeatureConfig) -> list[Planes]:
    """Observed points of both animals, and age of held positions and headings (log frames)."""
    seen = [scene.observed.to(own.points.dtype) for scene in (own, other)]
    ages = [torch.log1p(age).unsqueeze(-2) for age in (own.center_age, other.center_age, own.heading_age)]
    return seen + ages


def walls(own: Scene, _: Scene, __: FeatureConfig) -> list[Planes]:
    """Distance to the nearer wall in each direction (smallest, largest) and the arena's center in the own frame."""
    low, high = own.arena[:, None, None, :2, None], own.arena[:, None, None, 2:, None]
    gap = torch.minimum(own.center - low, high - own.center)
    toward = squash(_turned((low + high) / 2 - own.center, own), dim=-2)
    return [gap.amin(-2, keepdim=True).clamp(-1, 4), gap.amax(-2, keepdim=True).clamp(-1, 4), toward]


def raw(own: Scene, other: Scene, _: FeatureConfig) -> list[Planes]:
    """Keypoints of both animals, own first, as positions in the arena from 0 to 1."""
    low, high = own.arena[:, None, None, None, :2, None], own.arena[:, None, None, None, 2:, None]
    return [((scene.points - low) / (high - low).clamp_min(_TINY)).flatten(-3, -2) for scene in (own, other)]


def session_time(
    seconds: Float[Tensor, "batch time"], seconds_left: Float[Tensor, "batch time"]
) -> Float[Tensor, "batch time channel"]:
    """tanh of the time since the start over 50 s and of that to the end over 77 s, as the MABe 2021 Task 1 winner."""
    return torch.stack([torch.tanh(seconds / 50.0), torch.tanh(seconds_left / (2300 / 30))], dim=-1)


def time(own: Scene, _: Scene, __: FeatureConfig) -> list[Planes]:
    """Position of the frame in the recording, see `session_time`."""
    return [session_time(own.seconds, own.seconds_left).movedim(-1, 1)[:, None, None]]


def mabe2021_social(own: Scene, other: Scene, _: FeatureConfig) -> list[Planes]:
    """Forward velocity, turn, and direction and distance from the own front to the other's front and back."""
    points = own.points.flatten(-3, -2)
    steps = (points - lagged(points, [1]).squeeze(-3)).unflatten(-2, (-1, 2))
    forward = (own.axis * steps.nanmean(dim=-3)).sum(dim=-2, keepdim=True)
    parts = [forward, rotate_into(own.heading, lagged(own.heading, [1]).squeeze(-3), dim=-2)]
    for target in (other.front, other.back):
        offset = _turned(target - own.front, own)
        length = lengths(offset)
        parts += [offset / length.clamp_min(_TINY), length]
    return parts


FEATURE_BLOCKS: dict[str, Callable[[Scene, Scene, FeatureConfig], list[Planes]]] = {
    block.__name__: block
    for block in (
        pose, other_pose, other_own_pose, distances, all_distances, relation, motion, speeds, visibility, walls, raw,
        time, mabe2021_social,
    )
}  # fmt: skip


MABE2021_FEATURES = FeatureConfig(
    blocks=("pose", "other_own_pose", "mabe2021_social", "all_distances"),
    distance_components=16,
    clip=0.0,
    scene=SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0),
)
"""The 37 features and the PCA of log distances of the MABe 2021 Task 1 winner (B. Wild), in body lengths."""


class Featurizer(nn.Module):
    """Windows -> standardized features. Scale, PCA, mean and std are fitted once and travel with the weights.

    Parameters
    ----------
    first_only : only the views of the first animal.

    Raises
    ------
    InputError
        If the skeleton lacks a needed role.
    """

    notices: tuple[str, ...] = ()
    scale_px: Tensor
    mean: Tensor
    std: Tensor
    components: Tensor
    explained_variance: Tensor
    fitted: Tensor

    def __init__(self, config: FeatureConfig, skeleton: Skeleton, first_only: bool = False) -> None:
        super().__init__()
        self.config, self.skeleton, self.first_only = config, skeleton, first_only
        self.register_buffer("scale_px", torch.ones(()))
        batch = _empty_batch(skeleton)
        own, other = self._sides(self._scene(batch, self.views(batch)), self.views(batch))
        widths = [sum(map(_num_channels, FEATURE_BLOCKS[name](own, other, config))) for name in config.blocks]
        self._spans = spans(config.blocks, widths)
        num_raw = max(span.stop for span in self._spans.values())
        num_distances = _span_width(self._distances)
        if config.distance_components > num_distances:
            raise InputError(
                f"features: distance_components is {config.distance_components}, but this skeleton has only "
                f"{num_distances} distances"
            )
        self.num_channels = num_raw - (num_distances - config.distance_components if config.distance_components else 0)
        self.register_buffer("mean", torch.zeros(num_raw))
        self.register_buffer("std", torch.ones(num_raw))
        self.register_buffer("components", torch.zeros(num_distances, config.distance_components))
        self.register_buffer("explained_variance", torch.zeros(()))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    @property
    def receptive_field(self) -> tuple[int, int]:
        """(before, after): frames around the current one that the features depend on."""
        before, after = self.config.scene.receptive_field
        lags = {"motion": self.config.lags_frames, "speeds": self.config.speed_lags_frames, "mabe2021_social": (1,)}
        return before + max((lag for block in self.config.blocks for lag in lags.get(block, ())), default=0), after

    def views(self, batch: WindowBatch, pairs: Pairs | None = None) -> Views:
        """Views on the view axis of the features of a batch; `pairs` = those that count, None = all."""
        return views_of(batch.present, pairs, self.first_only)

    def _scene(self, batch: WindowBatch, views: Views) -> Scene:
        batch = _with_animals(batch, views.animals)
        return build_scene(batch, self.skeleton, self.scale_px, self.config.scene).with_nan()

    @staticmethod
    def _sides(scene: Scene, views: Views) -> tuple[Scene, Scene]:
        """The agents and the targets of the views."""
        place = {animal: place for place, animal in enumerate(views.animals)}
        # Of one animal, the second one is empty.
        targets = [place.get(target, 1) for target in views.targets]
        return scene.own([place[agent] for agent in views.agents]), scene.others(targets, len(views.agents))

    @property
    def _distances(self) -> slice:
        """Columns of the log distances among the channels before PCA."""
        return self._spans[self.config.distance_blocks[0]] if self.config.distance_blocks else slice(0, 0)

    def raw_channels(self, batch: WindowBatch, views: Views | None = None) -> tuple[Channels, ChannelMask]:
        """Features before standardization and PCA, 0 where not observed, and the mask of observed ones.

        Parameters
        ----------
        views : those of `views`, if some of them do not count: these are not observed.
        """
        views = self.views(batch) if views is None else views
        values = self._rows(self._scene(batch, views), views).transpose(1, 2).flatten(2, 3)
        known = ~values.isnan()
        return values.nan_to_num_(0.0), known

    def _rows(self, scene: Scene, views: Views) -> Float[Tensor, "batch agent time target channel"]:
        """Raw features, NaN where not observed."""
        own, other = self._sides(scene, views)
        frames, num_channels = scene.points.shape[-1], len(self.mean)
        planes = scene.points.new_empty(len(scene.points), len(views.agents), views.num_targets, num_channels, frames)
        for name, span in self._spans.items():
            _put(planes[..., span, :], FEATURE_BLOCKS[name](own, other, self.config))
        counts = scene.valid[:, None, None, None]
        if views.used is not None:
            counts = counts & views.used.view(*planes.shape[:3], 1, 1)
        if not bool(counts.all()):
            planes = or_nan(counts, planes)
        rows = transposed(planes.view(-1, views.num_targets * num_channels, frames))
        return rows.view(len(planes), len(views.agents), frames, views.num_targets, num_channels)

    def forward(self, batch: WindowBatch, views: Views | None = None) -> Channels:
        """Standardized and clipped features; 0 (the mean) where not observed. At least the windows' precision.

        `views` as in `raw_channels`. Gradients do not pass.
        """
        return self._features(batch, views, None)

    def with_known(self, batch: WindowBatch, views: Views | None = None) -> tuple[Channels, ChannelMask]:
        """Output of `forward`, and the mask of observed features."""
        known: list[Tensor] = []
        values = self._features(batch, views, known)
        return values, torch.cat(known)

    @torch.no_grad()
    def _features(self, batch: WindowBatch, views: Views | None, known: list[Tensor] | None) -> Channels:
        """Features; the masks of observed ones are added to `known`."""
        views = self.views(batch) if views is None else views
        dtype = torch.promote_types(batch.keypoints.dtype, self.mean.dtype)
        size = len(batch), batch.valid.shape[1], views.number, self.num_channels
        values = self.mean.new_empty(size, dtype=dtype)
        compressed = bool(self.config.distance_components)
        with torch.autocast(batch.keypoints.device.type, enabled=False):
            for windows, rows in self._parts(batch, views):
                into = values[windows]
                whole = self._standardize(rows, None if compressed else into)
                seen = ~whole.isnan() if compressed or known is not None else None
                whole.nan_to_num_(0.0)
                if compressed and seen is not None:
                    seen = self._compress(whole, seen, into)
                if known is not None and seen is not None:
                    known.append(seen)
        return values

    def _parts(self, batch: WindowBatch, views: Views) -> Iterator[tuple[slice, Tensor]]:
        """Raw features of a few windows at a time, see `_rows`.

        A few windows stay in the processor's cache: half the time of all at once.
        """
        frames = batch.valid.shape[1]
        for some in _slices(len(batch), _CACHE_FRAMES // frames):
            scene = self._scene(batch.part(some.start, some.stop), views.part(some.start, some.stop))
            for few in _slices(len(scene.points), 2 * _CACHE_FRAMES // (frames * max(2, views.number))):
                windows = slice(some.start + few.start, some.start + few.stop)
                yield windows, self._rows(scene.part(few.start, few.stop), views.part(windows.start, windows.stop))

    def _standardize(self, rows: Tensor, into: Tensor | None = None) -> Channels:
        """Standardized and clipped features of raw ones [batch agent time target channel]; NaN stays.

        Parameters
        ----------
        into : memory that they are written to; None = new memory.
        """
        batch, agents, frames, targets, channels = rows.shape
        if into is None:
            dtype = torch.promote_types(rows.dtype, self.mean.dtype)
            into = rows.new_empty(batch, frames, agents * targets, channels, dtype=dtype)
        by_agent = into.unflatten(2, (agents, targets)).transpose(1, 2)
        torch.addcmul(-self.mean / self.std, rows, 1 / self.std, out=by_agent)
        if self.config.clip:
            into.clamp_(-self.config.clip, self.config.clip)
        return into

    def _compress(self, values: Channels, known: ChannelMask, into: Tensor) -> Tensor:
        """Write features with the components of the distances, and return the mask."""
        span = self._distances
        projected = values[..., span] @ self.components.to(values.dtype)
        seen = known[..., span].any(dim=-1, keepdim=True).expand(projected.shape)
        into.copy_(torch.cat([values[..., : span.start], projected, values[..., span.stop :]], dim=-1))
        return torch.cat([known[..., : span.start], seen, known[..., span.stop :]], dim=-1)

    @torch.no_grad()
    def fit(self, reader: WindowReader) -> "Featurizer":
        """Fit the scale, then mean and std of observed values, then the PCA, on the recordings of `reader`.

        Of more than 400,000 frames, evenly spaced pieces.

        Raises
        ------
        InputError
            If no frame shows the points that give the body length.
        """
        self.scale_px.fill_(scale_of(reader, self.skeleton))
        moments = RunningMoments(len(self.mean), self.mean.device)
        for batch in self._pieces(reader):
            values, known = self.raw_channels(batch)
            moments.add(values.flatten(0, 2), known.flatten(0, 2))
        scaling = moments.standardizer(rtol=0.0, constant_std=1.0)
        self.mean.copy_(scaling.mean)
        self.std.copy_(scaling.std)
        if self.config.distance_components:
            self._fit_components(reader)
        self.fitted.fill_(True)
        return self

    def _pieces(self, reader: WindowReader) -> Iterator[WindowBatch]:
        return (batch.to(self.mean.device, self.mean.dtype) for batch in reader.pieces())

    def _fit_components(self, reader: WindowReader) -> None:
        """PCA of the standardized log distances (missing ones at their mean), whitened to unit variance."""
        span = self._distances
        moments = RunningCovariance(_span_width(span), self.mean.device)
        for batch in self._pieces(reader):
            for _, rows in self._parts(batch, self.views(batch)):
                moments.add(self._standardize(rows)[..., span].nan_to_num(0.0).flatten(0, 2))
        covariance = moments.second_moment
        axes, variances = principal_components(covariance, self.config.distance_components)
        self.components.copy_(axes / variances.clamp_min(_MIN_VARIANCE).sqrt())
        self.explained_variance.copy_(variances.sum() / covariance.trace().clamp_min(_MIN_VARIANCE))


def _slices(number: int, together: int) -> Iterator[slice]:
    """Slices of a few each, at least one."""
    together = max(1, together)
    return (slice(start, min(start + together, number)) for start in range(0, number, together))


def _num_channels(planes: Planes) -> int:
    """Number of channels."""
    return math.prod(planes.shape[3:-1])


def _put(into: Planes, parts: Sequence[Planes]) -> None:
    """Write the parts of a block: side by side, or for each group (such as a lag) side by side."""
    first = parts[0]
    into = into.unflatten(-2, (first.shape[3] if first.ndim == 6 else 1, -1))
    stop = 0
    for part in parts:
        start, stop = stop, stop + part.shape[-2]
        into[..., start:stop, :] = part if part.ndim == 6 else part.unsqueeze(3)


def _span_width(span: slice) -> int:
    return int(span.stop - span.start)


def spans(names: Collection[str], widths: Collection[int]) -> dict[str, slice]:
    """Column slices of adjacent blocks with the given names and widths."""
    stops = list(accumulate(widths))
    return {name: slice(stop - width, stop) for name, width, stop in zip(names, widths, stops, strict=True)}


def _with_animals(batch: WindowBatch, animals: Sequence[int]) -> WindowBatch:
    """The batch with some of its animals; beside a single one, an animal of which nothing is observed."""
    keypoints, observed, present = batch.keypoints, batch.observed, batch.present
    if len(animals) < present.shape[1]:
        places = list(animals)
        keypoints, observed, present = keypoints[:, :, places], observed[:, :, places], present[:, places]
    if len(animals) == 1:
        keypoints, observed = F.pad(keypoints, (0, 0, 0, 0, 0, 1)), F.pad(observed, (0, 0, 0, 1))
        present = F.pad(present, (0, 1))
    return replace(batch, keypoints=keypoints, observed=observed, present=present)


def _empty_batch(skeleton: Skeleton) -> WindowBatch:
    """Batch of one unobserved frame, which gives the widths of the blocks."""
    shape = (1, 1, skeleton.num_individuals, skeleton.num_keypoints)
    return WindowBatch(
        keypoints=torch.zeros(*shape, 2),
        observed=torch.zeros(shape, dtype=torch.bool),
        valid=torch.ones(1, 1, dtype=torch.bool),
        arena=torch.tensor([[0.0, 0.0, 1.0, 1.0]]),
        frame=torch.zeros(1, 1, dtype=torch.int64),
        length=torch.ones(1, dtype=torch.int64),
        fps=torch.ones(1),
        px_per_cm=torch.ones(1),
        present=torch.ones(1, skeleton.num_individuals, dtype=torch.bool),
    )
