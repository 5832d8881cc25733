"""`Scene`: points, centers and headings of all animals in body lengths, with masks of observed and filled values.

`SceneConfig` configures the treatment of missing points. Every value has a mask (observed, filled, held, or unknown),
which the features pass on to the encoder, so no value is filled silently.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import Skeleton, body_axis
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["Scene", "SceneConfig", "build_scene", "lagged", "nearest_known", "rotate_into", "scale_of"]

Points = Float[Tensor, "batch time individual keypoint space"]
PointMask = Bool[Tensor, "batch time individual keypoint"]
Vectors = Float[Tensor, "batch time individual space"]
Mask = Bool[Tensor, "batch time individual"]

_JUMP_NEIGHBOUR_FRAMES = 15
_SHORTEST_AXIS = 0.2
_FRESH_FRAMES = 5
_TINY = 1e-6


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """Treatment of missing and implausible points, in frames and body lengths. 0 turns a step off.

    Parameters
    ----------
    fill_gap_frames : a point missing for at most this many frames is interpolated linearly between its neighbors.
    hold_frames : a center or heading not known at a frame is taken from the nearest known one, at most this far away.
    max_jump : a point this many body lengths away from both its neighbors in time counts as not observed.
    """

    fill_gap_frames: int = 10
    hold_frames: int = 30
    max_jump: float = 1.5

    def __post_init__(self) -> None:
        if min(self.fill_gap_frames, self.hold_frames, self.max_jump) < 0:
            raise InputError(f"scene: gaps, holds and jumps must be 0 or more, got {self}")

    @property
    def receptive_field(self) -> tuple[int, int]:
        """(before, after): frames around the current one that a scene depends on."""
        jump = _JUMP_NEIGHBOUR_FRAMES if self.max_jump else 0
        one_way = jump + self.fill_gap_frames + self.hold_frames
        return one_way, one_way


@dataclass(frozen=True)
class Scene:
    """Lengths are in body lengths. Values are valid where `has_*` or `known` is True, and finite elsewhere.

    `front` and `back` are the ends of the body axis: neck (or center, or head) and tail base.
    """

    points: Points
    observed: PointMask
    """The tracker saw this point, and it is no impossible jump."""
    known: PointMask
    """Observed, or inside a gap short enough to be filled."""
    center: Vectors
    has_center: Mask
    center_age: Float[Tensor, "batch time individual"]
    """Frames to where the center was known; 0 = known here."""
    heading: Vectors
    """Unit vector from tail to head."""
    has_heading: Mask
    heading_age: Float[Tensor, "batch time individual"]
    front: Vectors
    has_front: Mask
    back: Vectors
    has_back: Mask
    arena: Float[Tensor, "batch corner"]
    valid: Bool[Tensor, "batch time"]
    seconds: Float[Tensor, "batch time"]
    seconds_left: Float[Tensor, "batch time"]

    def others(self) -> "Scene":
        """The scene with the animals in reverse order: index i holds the other animal of i."""
        return self._each(lambda values: values.flip(2))

    def take(self, animals: Sequence[int]) -> "Scene":
        """The scene of some animals, in this order; each may occur several times."""
        places = list(animals)
        if places == list(range(self.center.shape[2])):
            return self
        if places == list(range(places[0], places[0] + len(places))):
            return self._each(lambda values: values[:, :, places[0] : places[-1] + 1])
        index = torch.tensor(places, device=self.center.device)
        return self._each(lambda values: values.index_select(2, index))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Scene":
        return replace(self, **{name: change(getattr(self, name)) for name in _PER_ANIMAL})

    @property
    def axis(self) -> Vectors:
        """Vector from back to front, not normalized."""
        return self.front - self.back

    @property
    def fresh_center(self) -> Mask:
        """Whether the center was known within the last few frames, recent enough for a displacement."""
        return self.has_center & (self.center_age < _FRESH_FRAMES)

    @property
    def fresh_heading(self) -> Mask:
        return self.has_heading & (self.heading_age < _FRESH_FRAMES)


_PER_ANIMAL = (
    "points", "observed", "known", "center", "has_center", "center_age", "heading", "has_heading", "heading_age",
    "front", "has_front", "back", "has_back",
)  # fmt: skip


def build_scene(batch: WindowBatch, skeleton: Skeleton, scale_px: Float[Tensor, ""], config: SceneConfig) -> Scene:
    """Build a scene in body lengths from windows in pixels.

    Raises
    ------
    InputError
        If the skeleton has no tail base, or none of neck, center, head and nose.
    """
    points, observed = batch.keypoints / scale_px, batch.observed & batch.valid[..., None, None]
    if config.max_jump:
        observed = observed & ~_jumps(points, observed, config.max_jump)
    known = observed
    if config.fill_gap_frames:
        points, known = _fill_gaps(points, observed, config.fill_gap_frames)
    front, back = body_axis(skeleton)
    heading, has_heading = _heading(points, known, skeleton)
    center, has_center = _center(points, known, heading, has_heading, skeleton)
    heading, heading_age, has_heading = nearest_known(heading, has_heading, config.hold_frames)
    center, center_age, has_center = nearest_known(center, has_center, config.hold_frames)
    # Nothing is held into padding: a lag that leaves the recording finds nothing there.
    inside = batch.valid.unsqueeze(-1)
    fps = batch.fps.unsqueeze(-1)
    return Scene(
        points=points, observed=observed, known=known,
        center=center, has_center=has_center & inside, center_age=center_age,
        heading=heading, has_heading=has_heading & inside, heading_age=heading_age,
        front=points[..., front, :], has_front=known[..., front],
        back=points[..., back, :], has_back=known[..., back],
        arena=batch.arena / scale_px, valid=batch.valid,
        seconds=batch.frame / fps, seconds_left=(batch.length.unsqueeze(-1) - batch.frame) / fps,
    )  # fmt: skip


def rotate_into(vectors: Float[Tensor, "*any space"], heading: Float[Tensor, "*any2 space"]) -> Tensor:
    """Components of `vectors` along `heading` and to its left (counter-clockwise where y points up)."""
    x, y = vectors[..., 0], vectors[..., 1]
    cos, sin = heading[..., 0], heading[..., 1]
    return torch.stack([x * cos + y * sin, y * cos - x * sin], dim=-1)


def lagged(values: Tensor, lag: int) -> Tensor:
    """values[t - lag] along the time axis (the second); before the start False, or the first value."""
    lag = min(lag, values.shape[1])
    first = torch.zeros_like(values[:, :1]) if values.dtype == torch.bool else values[:, :1]
    return torch.cat([first.expand(-1, lag, *values.shape[2:]), values[:, : values.shape[1] - lag]], dim=1)


def _before_and_after(known: Bool[Tensor, "batch time *rest"]) -> tuple[Tensor, Tensor]:
    """For each frame the nearest known frame at or before it (-1: none) and at or after it (time: none)."""
    time = known.shape[1]
    index = torch.arange(time, device=known.device).view(1, time, *[1] * (known.ndim - 2))
    before = torch.where(known, index, -1).cummax(dim=1).values
    after = torch.where(known, index, time).flip(1).cummin(dim=1).values.flip(1)
    return before, after


def _at(values: Tensor, index: Tensor) -> Tensor:
    """values at other frames: `index` has the shape of `values` less its last axis."""
    index = index.clamp(0, values.shape[1] - 1)
    return values.gather(1, index.unsqueeze(-1).expand(*index.shape, values.shape[-1]))


def nearest_known(
    values: Float[Tensor, "batch time *rest space"], known: Bool[Tensor, "batch time *rest"], hold_frames: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Value of the nearest known frame for each frame, its distance in frames, and whether that is near enough."""
    if not hold_frames or bool(known.all()):
        age = torch.where(known, 0, hold_frames + 1).to(values.dtype)
        return values, age, known
    before, after = _before_and_after(known)
    index = torch.arange(known.shape[1], device=known.device).view(1, -1, *[1] * (known.ndim - 2))
    back = torch.where(before >= 0, index - before, hold_frames + 1)
    ahead = torch.where(after < known.shape[1], after - index, hold_frames + 1)
    age = torch.minimum(back, ahead).clamp(max=hold_frames + 1)
    near = age <= hold_frames
    held = _at(values, torch.where(back <= ahead, before, after))
    return torch.where(near.unsqueeze(-1), held, values), age.to(values.dtype), near


def _fill_gaps(points: Points, observed: PointMask, longest: int) -> tuple[Points, PointMask]:
    if bool(observed.all()):
        return points, observed
    before, after = _before_and_after(observed)
    index = torch.arange(observed.shape[1], device=observed.device).view(1, -1, 1, 1)
    inside = (before >= 0) & (after < observed.shape[1]) & (after - before - 1 <= longest)
    weight = ((index - before) / (after - before).clamp_min(1)).unsqueeze(-1).to(points.dtype)
    filled = torch.lerp(_at(points, before), _at(points, after), weight)
    return torch.where((inside & ~observed).unsqueeze(-1), filled, points), observed | inside


def _jumps(points: Points, observed: PointMask, longest: float) -> PointMask:
    """Mask of points farther than `longest` from both the previous and the next observed position."""
    before, after = _before_and_after(observed)
    start, end = torch.full_like(before[:, :1], -1), torch.full_like(after[:, :1], observed.shape[1])
    before, after = torch.cat([start, before[:, :-1]], dim=1), torch.cat([after[:, 1:], end], dim=1)
    index = torch.arange(observed.shape[1], device=observed.device).view(1, -1, 1, 1)
    near = (before >= 0) & (index - before <= _JUMP_NEIGHBOUR_FRAMES)
    near = near & (after < observed.shape[1]) & (after - index <= _JUMP_NEIGHBOUR_FRAMES)
    far = [torch.linalg.vector_norm(points - _at(points, i), dim=-1) > longest for i in (before, after)]
    return observed & near & far[0] & far[1]


def _heading(points: Points, known: PointMask, skeleton: Skeleton) -> tuple[Vectors, Mask]:
    """Unit vector tail to head: the sum over the axes (front-back, head-back, head-front) that are known."""
    front, back = body_axis(skeleton)
    pairs = [(front, back)]
    if "neck" not in skeleton.roles and {"head", "nose"} & skeleton.roles.keys():
        head = skeleton.role("head", "nose")
        pairs += [(head, back), (head, front)] if head != front else []
    total = torch.zeros_like(points[..., 0, :])
    for ahead, behind in pairs:
        seen = (known[..., ahead] & known[..., behind]).unsqueeze(-1)
        total = total + torch.where(seen, F.normalize(points[..., ahead, :] - points[..., behind, :], dim=-1), 0.0)
    length = torch.linalg.vector_norm(total, dim=-1, keepdim=True)
    return total / length.clamp_min(_TINY), (length > _SHORTEST_AXIS).squeeze(-1)


def _center(
    points: Points, known: PointMask, heading: Vectors, has_heading: Mask, skeleton: Skeleton
) -> tuple[Vectors, Mask]:
    """The center keypoint, or the middle of neck and tail base; else from one end of the body along the heading."""
    back = skeleton.role("tail_base")
    if "neck" in skeleton.roles and "center" not in skeleton.roles:
        front = skeleton.role("neck")
        return (points[..., front, :] + points[..., back, :]) / 2, known[..., front] & known[..., back]
    middle = skeleton.role("center", "head", "nose")
    center, has_center = points[..., middle, :], known[..., middle]
    # Body length 1 is the distance from the tail base to this point.
    guess = points[..., back, :] + heading * has_heading.unsqueeze(-1)
    from_back = ~has_center & known[..., back]
    return torch.where(from_back.unsqueeze(-1), guess, center), has_center | from_back


def scale_of(reader: WindowReader, skeleton: Skeleton) -> float:
    """Body length in pixels: the median distance from the tail base to the front (neck, center, head or nose).

    Raises
    ------
    InputError
        If the two points are never seen together.
    """
    front, back = body_axis(skeleton)
    lengths = []
    for batch in reader.pieces(1 << 20, 4096):
        both = batch.observed[..., front] & batch.observed[..., back]
        lengths.append((batch.keypoints[..., front, :] - batch.keypoints[..., back, :])[both].norm(dim=-1))
    together = torch.cat(lengths)
    if not len(together) or together.median() <= 0:
        names = skeleton.keypoints[front], skeleton.keypoints[back]
        raise InputError(
            f"the body length cannot be measured: {names[0]!r} and {names[1]!r} are never seen together in any "
            f"of the recordings ({len(reader.sources)}); look at the missing points in the import's report"
        )
    return float(together.median())
