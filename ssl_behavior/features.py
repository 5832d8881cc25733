"""Features of a scene: egocentric poses, relations and motion, each with a mask of observed values.

Every feature is computed from the point of view of an animal toward another one, so the output has a view axis
(`ssl_behavior.views`): of two animals, `features[..., i, :]` describes the scene as seen by animal i; of more, there is
a view for every ordered pair; a single animal has one, in which nothing of another animal is observed. Lengths are in
body lengths (one scale per model, fitted on the training recordings) and directions are unit vectors in the animal's
frame, so that moving or turning the scene changes nothing.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.numerics import RunningCovariance, RunningMoments, principal_components
from ssl_behavior.pose_geometry import Scene, SceneConfig, build_scene, lagged, rotate_into, scale_of
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.views import Pairs, Views, views_of
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["FEATURE_BLOCKS", "MABE2021_FEATURES", "Channels", "FeatureConfig", "Featurizer", "session_time", "spans"]

Channels = Float[Tensor, "batch time view channel"]
ChannelMask = Bool[Tensor, "batch time view channel"]
Block = tuple[Channels, ChannelMask]

_TINY = 1e-3
_MIN_VARIANCE = 1e-6
_CACHE_FRAMES = 8192
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
        if self.clip < 0:
            raise InputError(f"features: clip must be 0 or more, got {self.clip}")

    @property
    def distance_blocks(self) -> tuple[str, ...]:
        """Feature blocks that PCA compresses."""
        return tuple(name for name in self.blocks if name in _DISTANCES)


def squash(vectors: Float[Tensor, "*batch space"]) -> Float[Tensor, "*batch space"]:
    """Vectors with logarithmic length and unchanged direction: fine resolution near, coarse far away."""
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors * (torch.log1p(length) / length.clamp_min(1e-6))


def _pairs(values: Tensor) -> Tensor:
    """[..., keypoint, space] -> [..., channel]."""
    return values.flatten(-2)


def _twice(known: Bool[Tensor, "*batch keypoint"]) -> Tensor:
    """A point's mask for its x and its y."""
    return known.unsqueeze(-1).expand(*known.shape, 2).flatten(-2)


def pose(own: Scene, _: Scene, __: FeatureConfig) -> Block:
    """Own keypoints in the own frame, clipped at 4 body lengths from the center (MABe 2021 Task 1 winner)."""
    place = rotate_into(own.points - own.center.unsqueeze(-2), own.heading.unsqueeze(-2))
    known = own.known & (own.has_heading & own.has_center).unsqueeze(-1)
    return _pairs(place.clamp(-4, 4)), _twice(known)


def other_pose(own: Scene, other: Scene, _: FeatureConfig) -> Block:
    """The other animal's keypoints in the own frame, logarithmic in distance."""
    offset = other.points - own.center.unsqueeze(-2)
    known = other.known & (own.has_heading & own.has_center).unsqueeze(-1)
    return _pairs(squash(rotate_into(offset, own.heading.unsqueeze(-2)))), _twice(known)


def other_own_pose(own: Scene, other: Scene, config: FeatureConfig) -> Block:
    """The other animal's keypoints in its own frame (MABe 2021 Task 1 winner)."""
    return pose(other, own, config)


def distances(own: Scene, other: Scene, _: FeatureConfig) -> Block:
    """Log distances of every own keypoint to every keypoint of the other, and of all own pairs."""
    return _log_distances(own, other, both_within=False)


def all_distances(own: Scene, other: Scene, _: FeatureConfig) -> Block:
    """Log distances of all pairs of keypoints of both animals."""
    return _log_distances(own, other, both_within=True)


def _log_distances(own: Scene, other: Scene, both_within: bool) -> Block:
    """Between the animals, within the own one, and (`both_within`) within the other."""
    first, second = _pairs_of_keypoints(own.points.shape[-2], both_within).to(own.points.device)
    x, y = (torch.cat([own.points[..., axis], other.points[..., axis]], dim=-1) for axis in (0, 1))
    seen = torch.cat([own.known, other.known], dim=-1)
    # All differences x_i - x_j as one product with a matrix of 1, -1 and 0: the same numbers as picking columns,
    # in a third of the time.
    plus, minus = (F.one_hot(end, seen.shape[-1]).to(x.dtype).T for end in (first, second))
    values = _log_length(x @ (plus - minus), y @ (plus - minus), 0.1)
    if bool(seen.all()):
        # As in CalMS21: as many Trues as there are pairs need not be written out.
        return values, seen.new_ones(()).expand(values.shape)
    return values, seen.to(x.dtype) @ (plus + minus) > 1


def _pairs_of_keypoints(num_keypoints: int, both_within: bool) -> Int[Tensor, "end pair"]:
    """Indices of the two keypoints of every pair; the other animal's indices follow the own ones."""
    own = torch.arange(num_keypoints)
    between = torch.cartesian_prod(own, own + num_keypoints).T
    within = torch.tril_indices(num_keypoints, num_keypoints, offset=-1)
    return torch.cat([between, within, *([within + num_keypoints] if both_within else [])], dim=1)


def _joined(blocks: Sequence[tuple[Tensor, Tensor]]) -> Block:
    return torch.cat([values for values, _ in blocks], dim=-1), torch.cat([known for _, known in blocks], dim=-1)


def _log_length(x: Tensor, y: Tensor, floor: float) -> Tensor:
    return torch.log(torch.sqrt(torch.addcmul(x * x, y, y)) + floor)


def relation(own: Scene, other: Scene, _: FeatureConfig) -> Block:
    """Position (log distance, offset, bearing) and heading of the other, in the own frame."""
    offset = rotate_into(other.center - own.center, own.heading)
    length = torch.linalg.vector_norm(offset, dim=-1, keepdim=True)
    facing = rotate_into(other.heading, own.heading)
    near = own.has_center & other.has_center & own.has_heading
    turned = own.has_heading & other.has_heading
    values = torch.cat([torch.log(length + 0.1), squash(offset), offset / length.clamp_min(_TINY), facing], dim=-1)
    return values, torch.stack([near] * 5 + [turned] * 2, dim=-1)


def motion(own: Scene, other: Scene, config: FeatureConfig) -> Block:
    """Own displacement and turn, the other's displacement, and the change of log distance, over each lag."""
    distance = torch.log(torch.linalg.vector_norm(other.center - own.center, dim=-1, keepdim=True) + 0.1)
    values, known = [], []
    for lag in config.lags_frames:
        steps = [scene.center - lagged(scene.center, lag) for scene in (own, other)]
        moving = [scene.fresh_center & lagged(scene.fresh_center, lag) for scene in (own, other)]
        turned = own.fresh_heading & lagged(own.fresh_heading, lag)
        values += [
            squash(rotate_into(steps[0], own.heading) * 4),
            rotate_into(own.heading, lagged(own.heading, lag)),
            squash(rotate_into(steps[1], own.heading) * 4),
            distance - lagged(distance, lag),
        ]
        seen = [moved & own.has_heading for moved in moving]
        known += [seen[0], seen[0], turned, turned, seen[1], seen[1], moving[0] & moving[1]]
    return torch.cat(values, dim=-1), torch.stack(known, dim=-1)


def speeds(own: Scene, _: Scene, config: FeatureConfig) -> Block:
    """Log displacement of every own keypoint over each speed lag."""
    blocks = []
    for lag in config.speed_lags_frames:
        x, y = (own.points - lagged(own.points, lag)).unbind(-1)
        blocks.append((_log_length(x, y, 0.02), own.known & lagged(own.known, lag)))
    return _joined(blocks)


def visibility(own: Scene, other: Scene, _: FeatureConfig) -> Block:
    """Observed points of both animals, and age of held positions and headings (log frames)."""
    ages = torch.stack([own.center_age, other.center_age, own.heading_age], dim=-1)
    seen = torch.cat([own.observed, other.observed], dim=-1).to(ages.dtype)
    values = torch.cat([seen, torch.log1p(ages)], dim=-1)
    return values, own.valid[..., None, None].expand(values.shape)


def walls(own: Scene, _: Scene, __: FeatureConfig) -> Block:
    """Distance to the nearer wall in each direction (smallest, largest) and the arena's center in the own frame."""
    low, high = own.arena[:, None, None, :2], own.arena[:, None, None, 2:]
    gap = torch.minimum(own.center - low, high - own.center)
    toward = squash(rotate_into((low + high) / 2 - own.center, own.heading))
    values = torch.cat([gap.amin(-1, keepdim=True), gap.amax(-1, keepdim=True)], dim=-1).clamp(-1, 4)
    known = torch.stack([own.has_center] * 2 + [own.has_center & own.has_heading] * 2, dim=-1)
    return torch.cat([values, toward], dim=-1), known


def raw(own: Scene, other: Scene, _: FeatureConfig) -> Block:
    """Keypoints of both animals, own first, as positions in the arena from 0 to 1."""
    low, high = own.arena[:, None, None, None, :2], own.arena[:, None, None, None, 2:]
    places = [(scene.points - low) / (high - low).clamp_min(_TINY) for scene in (own, other)]
    return _joined([(_pairs(place), _twice(scene.known)) for place, scene in zip(places, (own, other), strict=True)])


def session_time(
    seconds: Float[Tensor, "batch time"], seconds_left: Float[Tensor, "batch time"]
) -> Float[Tensor, "batch time channel"]:
    """tanh of the time since the start over 50 s and of that to the end over 77 s, as the MABe 2021 Task 1 winner."""
    return torch.stack([torch.tanh(seconds / 50.0), torch.tanh(seconds_left / (2300 / 30))], dim=-1)


def time(own: Scene, _: Scene, __: FeatureConfig) -> Block:
    """Position of the frame in the recording, see `session_time`."""
    values = session_time(own.seconds, own.seconds_left).unsqueeze(2).expand(*own.center.shape[:3], 2)
    return values, own.valid[..., None, None].expand(values.shape)


def mabe2021_social(own: Scene, other: Scene, _: FeatureConfig) -> Block:
    """Forward velocity, turn, and direction and distance from the own front to the other's front and back."""
    seen = own.known & lagged(own.known, 1)
    steps = (own.points - lagged(own.points, 1)).masked_fill(~seen.unsqueeze(-1), 0.0)
    moved = steps.sum(dim=-2) / seen.sum(dim=-1, keepdim=True).clamp_min(1)
    forward = (own.axis * moved).sum(dim=-1, keepdim=True)
    values = [forward, rotate_into(own.heading, lagged(own.heading, 1))]
    known = [own.has_front & own.has_back & seen.any(dim=-1), *[own.has_heading & lagged(own.has_heading, 1)] * 2]
    for target, there in ((other.front, other.has_front), (other.back, other.has_back)):
        offset = rotate_into(target - own.front, own.heading)
        length = torch.linalg.vector_norm(offset, dim=-1, keepdim=True)
        values += [offset / length.clamp_min(_TINY), length]
        known += [own.has_front & own.has_heading & there] * 3
    return torch.cat(values, dim=-1), torch.stack(known, dim=-1)


FEATURE_BLOCKS: dict[str, Callable[[Scene, Scene, FeatureConfig], Block]] = {
    block.__name__: block
    for block in (
        pose, other_pose, other_own_pose, distances, all_distances, relation, motion, speeds, visibility, walls, raw,
        time, mabe2021_social,
    )
}  # fmt: skip


_OWN_BLOCKS = ("pose", "speeds", "walls", "time")
"""Blocks that do not depend on another animal: computed once for each."""

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
        widths = [values.shape[-1] for values, _ in self._blocks(batch, self.views(batch))]
        self._spans = spans(config.blocks, widths)
        num_raw = max(span.stop for span in self._spans.values())
        num_distances = _width(self._distances)
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

    def _blocks(self, batch: WindowBatch, views: Views) -> list[Block]:
        animals = views.animals
        scene = build_scene(_with_animals(batch, animals), self.skeleton, self.scale_px, self.config.scene)
        if len(animals) <= 2 and not self.first_only:
            # Of one animal, the second one is empty.
            scene, other = scene.take(range(views.number)), scene.others().take(range(views.number))
            return [FEATURE_BLOCKS[name](scene, other, self.config) for name in self.config.blocks]
        own = [animals.index(agent) for agent in views.view_agents]
        seen = [animals.index(target) if target >= 0 else 1 for target in views.targets]
        agents, targets = scene.take(own), scene.take(seen)
        once = scene if len(own) > len(animals) else None
        return [self._block(name, agents, targets, once, own) for name in self.config.blocks]

    def _block(self, name: str, agents: Scene, targets: Scene, once: Scene | None, own: Sequence[int]) -> Block:
        """A block of all views; `once` = the scene of which blocks of one animal are computed, and then repeated."""
        block = FEATURE_BLOCKS[name]
        if once is None or name not in _OWN_BLOCKS:
            return block(agents, targets, self.config)
        values, known = block(once, once, self.config)
        return values[:, :, own], known[:, :, own]

    @property
    def _distances(self) -> slice:
        """Columns of the log distances among the channels before PCA."""
        return self._spans[self.config.distance_blocks[0]] if self.config.distance_blocks else slice(0, 0)

    def raw_channels(self, batch: WindowBatch, views: Views | None = None) -> Block:
        """Features before standardization and PCA, and the mask of observed ones.

        Parameters
        ----------
        views : those of `views`, if some of them do not count: these are not observed.
        """
        views = self.views(batch) if views is None else views
        values, known = _joined(self._blocks(batch, views))
        known = known if bool(batch.valid.all()) else known & batch.valid[..., None, None]
        return values, known if views.used is None else known & views.used[:, None, :, None]

    def forward(self, batch: WindowBatch, views: Views | None = None) -> Channels:
        """Standardized and clipped features; 0 (the mean) where not observed. At least the windows' precision.

        `views` as in `raw_channels`.
        """
        parts = [values for values, _ in self._parts(batch, views)]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def with_known(self, batch: WindowBatch, views: Views | None = None) -> Block:
        """Output of `forward`, and the mask of observed features."""
        parts = self._parts(batch, views)
        return torch.cat([values for values, _ in parts]), torch.cat([known for _, known in parts])

    def _parts(self, batch: WindowBatch, views: Views | None) -> list[Block]:
        """Features and masks, a few windows at a time.

        A few windows stay in the processor's cache: half the time of all at once.
        """
        views = self.views(batch) if views is None else views
        together = max(1, 2 * _CACHE_FRAMES // (max(2, views.number) * batch.valid.shape[1]))
        with torch.autocast(batch.keypoints.device.type, enabled=False):
            return [
                self._features(batch.part(i, i + together), views.part(i, i + together))
                for i in range(0, len(batch), together)
            ]

    def _features(self, batch: WindowBatch, views: Views) -> Block:
        values, known = self._standardized(batch, views)
        if not self.config.distance_components:
            return values, known
        span = self._distances
        projected = values[..., span] @ self.components
        seen = known[..., span].any(dim=-1, keepdim=True).expand(projected.shape)
        return (
            torch.cat([values[..., : span.start], projected, values[..., span.stop :]], dim=-1),
            torch.cat([known[..., : span.start], seen, known[..., span.stop :]], dim=-1),
        )

    def _standardized(self, batch: WindowBatch, views: Views | None = None) -> Block:
        values, known = self.raw_channels(batch, views)
        values = torch.addcmul(-self.mean / self.std, values, 1 / self.std)
        if self.config.clip:
            values = values.clamp(-self.config.clip, self.config.clip)
        return values.masked_fill_(~known, 0.0), known

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
        moments = RunningCovariance(_width(span), self.mean.device)
        for batch in self._pieces(reader):
            moments.add(self._standardized(batch)[0][..., span].flatten(0, 2))
        covariance = moments.second_moment
        axes, variances = principal_components(covariance, self.config.distance_components)
        self.components.copy_(axes / variances.clamp_min(_MIN_VARIANCE).sqrt())
        self.explained_variance.copy_(variances.sum() / covariance.trace().clamp_min(_MIN_VARIANCE))


def _width(span: slice) -> int:
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
