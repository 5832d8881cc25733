"""What the encoder sees of a scene: egocentric poses, relations and motion, each with a mask of what was observed.

Everything is computed from every animal's own point of view at once, so the output has an individual axis:
`features[..., i, :]` describes the scene as animal i lives it. Lengths are in body lengths (one scale per model,
fitted on the training recordings) and directions are unit vectors in the animal's frame, so that moving or turning
the scene changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.scene import Scene, SceneConfig, build_scene, lagged, rotate_into, scale_of
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["FEATURE_BLOCKS", "MABE2021_FEATURES", "FeatureConfig", "Featurizer", "session_time"]

Channels = Float[Tensor, "batch time individual channel"]
ChannelMask = Bool[Tensor, "batch time individual channel"]
Block = tuple[Channels, ChannelMask]

_FIT_CHUNK_FRAMES = 8192
_FIT_FRAMES = 1_000_000
_TINY = 1e-3
_SMALLEST_STD = 1e-6


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Which features, and how missing points are treated. Lags and gaps are in frames.

    Parameters
    ----------
    blocks : names from `FEATURE_BLOCKS`.
    lags_frames : displacements, turns and changes of distance are taken over each of these.
    speed_lags_frames : speeds of single keypoints are taken over each of these.
    distance_components : 0 keeps every log pairwise distance; above 0, this many principal components of them.
    clip : standardised values are clipped to ± this many standard deviations.
    scene : gaps, holds and outliers.
    """

    blocks: tuple[str, ...] = ("pose", "other_pose", "distances", "relation", "motion", "speeds", "visibility", "walls")
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
        if self.distance_components < 0 or (self.distance_components and "distances" not in self.blocks):
            raise InputError(
                f"features: distance_components must be 0 or, with the block 'distances', above 0, "
                f"got {self.distance_components}"
            )
        if self.clip <= 0:
            raise InputError(f"features: clip must be above 0, got {self.clip}")


def squash(vectors: Float[Tensor, "*batch space"]) -> Float[Tensor, "*batch space"]:
    """Logarithmic in length, unchanged in direction: near things in detail, far things coarsely."""
    length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors * (torch.log1p(length) / length.clamp_min(1e-6))


def _pairs(values: Tensor) -> Tensor:
    """[..., keypoint, space] -> [..., channel]."""
    return values.flatten(-2)


def _twice(known: Bool[Tensor, "*batch keypoint"]) -> Tensor:
    """A point's mask for its x and its y."""
    return known.repeat_interleave(2, dim=-1)


def pose(scene: Scene, _: FeatureConfig) -> Block:
    """Own keypoints in the own frame, at most 4 body lengths from the centre (MABe 2021 Task 1 winner)."""
    own = rotate_into(scene.points - scene.center.unsqueeze(-2), scene.heading.unsqueeze(-2))
    known = scene.known & (scene.has_heading & scene.has_center).unsqueeze(-1)
    return _pairs(own.clamp(-4, 4)), _twice(known)


def other_pose(scene: Scene, _: FeatureConfig) -> Block:
    """The other animal's keypoints in the own frame, logarithmic in distance."""
    offset = scene.other(scene.points) - scene.center.unsqueeze(-2)
    known = scene.other(scene.known) & (scene.has_heading & scene.has_center).unsqueeze(-1)
    return _pairs(squash(rotate_into(offset, scene.heading.unsqueeze(-2)))), _twice(known)


def other_own_pose(scene: Scene, config: FeatureConfig) -> Block:
    """The other animal's keypoints in its own frame (MABe 2021 Task 1 winner)."""
    values, known = pose(scene, config)
    return scene.other(values), scene.other(known)


def distances(scene: Scene, _: FeatureConfig) -> Block:
    """Log distances: every own keypoint to every one of the other's, and all pairs of the own ones."""
    between = scene.points.unsqueeze(-2) - scene.other(scene.points).unsqueeze(-3)
    known = (scene.known.unsqueeze(-1) & scene.other(scene.known).unsqueeze(-2)).flatten(-2)
    i, j = torch.tril_indices(scene.points.shape[-2], scene.points.shape[-2], offset=-1, device=scene.points.device)
    within = scene.points[..., i, :] - scene.points[..., j, :]
    offsets = torch.cat([between.flatten(-3, -2), within], dim=-2)
    known = torch.cat([known, scene.known[..., i] & scene.known[..., j]], dim=-1)
    return _log_length(offsets, 0.1), known


def _log_length(vectors: Float[Tensor, "*batch space"], floor: float) -> Float[Tensor, "*batch"]:
    # One fused pass instead of vector_norm: distances are most of the work.
    return torch.log((vectors[..., 0].square() + vectors[..., 1].square()).sqrt() + floor)


def relation(scene: Scene, _: FeatureConfig) -> Block:
    """Where the other is (log distance, offset, bearing) and how it is turned, in the own frame."""
    offset = rotate_into(scene.other(scene.center) - scene.center, scene.heading)
    length = torch.linalg.vector_norm(offset, dim=-1, keepdim=True)
    facing = rotate_into(scene.other(scene.heading), scene.heading)
    near = scene.has_center & scene.other(scene.has_center) & scene.has_heading
    turned = scene.has_heading & scene.other(scene.has_heading)
    values = torch.cat([torch.log(length + 0.1), squash(offset), offset / length.clamp_min(1e-3), facing], dim=-1)
    return values, torch.stack([near] * 5 + [turned] * 2, dim=-1)


def motion(scene: Scene, config: FeatureConfig) -> Block:
    """Own displacement and turn, the other's displacement, and the change of log distance, over each lag."""
    distance = torch.log(torch.linalg.vector_norm(scene.other(scene.center) - scene.center, dim=-1) + 0.1)
    values, known = [], []
    moving, turning = scene.fresh_center, scene.fresh_heading
    for lag in config.lags_frames:
        step = scene.center - lagged(scene.center, lag)
        own = moving & lagged(moving, lag)
        turned = turning & lagged(turning, lag)
        both = own & scene.other(own)
        values += [
            squash(rotate_into(step, scene.heading) * 4),
            rotate_into(scene.heading, lagged(scene.heading, lag)),
            squash(rotate_into(scene.other(step), scene.heading) * 4),
            (distance - lagged(distance, lag)).unsqueeze(-1),
        ]
        seen = own & scene.has_heading
        other = scene.other(own) & scene.has_heading
        known += [seen, seen, turned, turned, other, other, both]
    return torch.cat(values, dim=-1), torch.stack(known, dim=-1)


def speeds(scene: Scene, config: FeatureConfig) -> Block:
    """Log displacement of every own keypoint over each speed lag."""
    values, known = [], []
    for lag in config.speed_lags_frames:
        values.append(_log_length(scene.points - lagged(scene.points, lag), 0.02))
        known.append(scene.known & lagged(scene.known, lag))
    return torch.cat(values, dim=-1), torch.cat(known, dim=-1)


def visibility(scene: Scene, _: FeatureConfig) -> Block:
    """Which points of both animals were observed, and how old the held positions and headings are (log frames)."""
    ages = torch.stack([scene.center_age, scene.other(scene.center_age), scene.heading_age], dim=-1)
    seen = torch.cat([scene.observed, scene.other(scene.observed)], dim=-1).to(ages.dtype)
    values = torch.cat([seen, torch.log1p(ages)], dim=-1)
    return values, scene.valid[..., None, None].expand(values.shape)


def walls(scene: Scene, _: FeatureConfig) -> Block:
    """Distance to the nearer wall in each direction (smallest, largest) and the arena's centre in the own frame."""
    low, high = scene.arena[:, None, None, :2], scene.arena[:, None, None, 2:]
    gap = torch.minimum(scene.center - low, high - scene.center)
    toward = squash(rotate_into((low + high) / 2 - scene.center, scene.heading))
    values = torch.cat([gap.amin(-1, keepdim=True), gap.amax(-1, keepdim=True)], dim=-1).clamp(-1, 4)
    known = torch.stack([scene.has_center] * 2 + [scene.has_center & scene.has_heading] * 2, dim=-1)
    return torch.cat([values, toward], dim=-1), known


def raw(scene: Scene, _: FeatureConfig) -> Block:
    """Keypoints of both animals, own first, as positions in the arena from 0 to 1."""
    low, size = scene.arena[:, None, None, None, :2], scene.arena[:, None, None, None, 2:]
    place = (scene.points - low) / (size - low).clamp_min(_TINY)
    values = torch.cat([_pairs(place), _pairs(scene.other(place))], dim=-1)
    return values, torch.cat([_twice(scene.known), _twice(scene.other(scene.known))], dim=-1)


def session_time(
    seconds: Float[Tensor, "batch time"], seconds_left: Float[Tensor, "batch time"]
) -> Float[Tensor, "batch time channel"]:
    """tanh of the time since the start over 50 s and of that to the end over 77 s, as the MABe 2021 Task 1 winner."""
    return torch.stack([torch.tanh(seconds / 50.0), torch.tanh(seconds_left / (2300 / 30))], dim=-1)


def time(scene: Scene, _: FeatureConfig) -> Block:
    """Where in the recording the frame is, see `session_time`."""
    values = session_time(scene.seconds, scene.seconds_left).unsqueeze(2).expand(*scene.center.shape[:3], 2)
    return values, scene.valid[..., None, None].expand(values.shape)


def mabe2021_social(scene: Scene, _: FeatureConfig) -> Block:
    """Forward velocity, turn, and direction and distance from the own front to the other's front and back."""
    moved = (scene.points - lagged(scene.points, 1)).mean(dim=-2)
    forward = (scene.axis * moved).sum(dim=-1, keepdim=True)
    turn = rotate_into(scene.heading, lagged(scene.heading, 1))
    values, known = [forward, turn], [scene.has_heading & lagged(scene.has_heading, 1)] * 3
    for target in (scene.front, scene.back):
        offset = rotate_into(scene.other(target) - scene.front, scene.heading)
        length = torch.linalg.vector_norm(offset, dim=-1, keepdim=True)
        values += [offset / length.clamp_min(_TINY), length]
        known += [scene.has_heading & scene.other(scene.has_heading)] * 3
    return torch.cat(values, dim=-1), torch.stack(known, dim=-1)


FEATURE_BLOCKS: dict[str, Callable[[Scene, FeatureConfig], Block]] = {
    block.__name__: block
    for block in (
        pose, other_pose, other_own_pose, distances, relation, motion, speeds, visibility, walls, raw, time,
        mabe2021_social,
    )
}  # fmt: skip


MABE2021_FEATURES = FeatureConfig(
    blocks=("pose", "other_own_pose", "mabe2021_social", "distances"),
    distance_components=16,
    clip=1e6,
    scene=SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0),
)
"""The 37 features and the PCA of log distances of the MABe 2021 Task 1 winner (B. Wild), in body lengths."""


class Featurizer(nn.Module):
    """Windows -> standardised features. Scale, PCA, mean and std are fitted once and travel with the weights.

    Raises
    ------
    InputError
        If there are not two animals, or the skeleton lacks a needed role.
    """

    scale_px: Tensor
    mean: Tensor
    std: Tensor
    components: Tensor
    explained_variance: Tensor
    fitted: Tensor

    def __init__(self, config: FeatureConfig, skeleton: Skeleton) -> None:
        super().__init__()
        if skeleton.num_individuals != 2:
            raise InputError(
                f"the features describe two animals; skeleton {skeleton.name!r} has {list(skeleton.individuals)}"
            )
        self.config, self.skeleton = config, skeleton
        self.register_buffer("scale_px", torch.ones(()))
        self._spans = _spans(config.blocks, self._blocks(_empty_batch(skeleton)))
        num_raw = max(span.stop for span in self._spans.values())
        num_distances = _width(self._spans["distances"]) if "distances" in config.blocks else 0
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
    def reach(self) -> tuple[int, int]:
        """Frames before and after the own one on which the features depend."""
        before, after = self.config.scene.reach
        lags = {"motion": self.config.lags_frames, "speeds": self.config.speed_lags_frames, "mabe2021_social": (1,)}
        return before + max((lag for block in self.config.blocks for lag in lags.get(block, ())), default=0), after

    def _blocks(self, batch: WindowBatch) -> list[Block]:
        scene = build_scene(batch, self.skeleton, self.scale_px, self.config.scene)
        return [FEATURE_BLOCKS[name](scene, self.config) for name in self.config.blocks]

    def raw_channels(self, batch: WindowBatch) -> Block:
        """Features before standardisation and PCA, and which of them were observed."""
        blocks = self._blocks(batch)
        known = torch.cat([known for _, known in blocks], dim=-1)
        return torch.cat([values for values, _ in blocks], dim=-1), known & batch.valid[..., None, None]

    def forward(self, batch: WindowBatch) -> Channels:
        """Standardised and clipped; 0 (the mean) where not observed."""
        values = self._standardised(batch)
        if not self.config.distance_components:
            return values
        span = self._spans["distances"]
        projected = values[..., span] @ self.components
        return torch.cat([values[..., : span.start], projected, values[..., span.stop :]], dim=-1)

    def _standardised(self, batch: WindowBatch) -> Channels:
        values, known = self.raw_channels(batch)
        values = ((values - self.mean) / self.std).clamp(-self.config.clip, self.config.clip)
        return values.masked_fill(~known, 0.0)

    @torch.no_grad()
    def fit(self, reader: WindowReader) -> "Featurizer":
        """Fit the scale, then mean and std of what was observed, then the PCA, on the recordings of `reader`.

        Above a million frames, evenly spaced pieces of them.

        Raises
        ------
        InputError
            If no frame shows the points that give the body length.
        """
        self.scale_px.fill_(scale_of(reader, self.skeleton))
        count, total, square = (torch.zeros_like(self.mean, dtype=torch.float64) for _ in range(3))
        for batch in self._pieces(reader):
            values, known = self.raw_channels(batch)
            values = values.masked_fill(~known, 0.0).double().flatten(0, 2)
            count += known.flatten(0, 2).sum(0)
            total += values.sum(0)
            square += values.square().sum(0)
        mean = total / count.clamp_min(1)
        std = (square / count.clamp_min(1) - mean.square()).clamp_min(0).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > _SMALLEST_STD, std, 1.0))
        if self.config.distance_components:
            self._fit_components(reader)
        self.fitted.fill_(True)
        return self

    def _pieces(self, reader: WindowReader) -> Iterator[WindowBatch]:
        every = max(1, reader.num_frames // _FIT_FRAMES)
        return (
            batch.to(self.mean.device, self.mean.dtype)
            for batch in islice(reader.chunks(_FIT_CHUNK_FRAMES), 0, None, every)
        )

    def _fit_components(self, reader: WindowReader) -> None:
        """PCA of the standardised log distances (missing ones at their mean), whitened to unit variance."""
        span = self._spans["distances"]
        size = _width(span)
        covariance = torch.zeros(size, size, dtype=torch.float64, device=self.mean.device)
        count = 0
        for batch in self._pieces(reader):
            values = self._standardised(batch)[..., span].double().flatten(0, 2)
            covariance += values.T @ values
            count += len(values)
        variances, vectors = torch.linalg.eigh(covariance / count)
        keep = variances.argsort(descending=True)[: self.config.distance_components]
        self.components.copy_(vectors[:, keep] / variances[keep].clamp_min(_SMALLEST_STD).sqrt())
        self.explained_variance.copy_(variances[keep].sum() / variances.sum().clamp_min(_SMALLEST_STD))


def _width(span: slice) -> int:
    return int(span.stop - span.start)


def _spans(names: Sequence[str], blocks: Sequence[Block]) -> dict[str, slice]:
    spans, start = {}, 0
    for name, (values, _) in zip(names, blocks, strict=True):
        spans[name] = slice(start, start + values.shape[-1])
        start += values.shape[-1]
    return spans


def _empty_batch(skeleton: Skeleton) -> WindowBatch:
    """One unseen frame: enough to learn the widths of the blocks."""
    shape = (1, 1, skeleton.num_individuals, skeleton.num_keypoints)
    return WindowBatch(
        keypoints=torch.zeros(*shape, 2),
        observed=torch.zeros(shape, dtype=torch.bool),
        valid=torch.ones(1, 1, dtype=torch.bool),
        arena=torch.tensor([[0.0, 0.0, 1.0, 1.0]]),
        frame=torch.zeros(1, 1, dtype=torch.int64),
        length=torch.ones(1, dtype=torch.int64),
        fps=torch.ones(1),
    )
