"""`Scene`: points, centers and headings of all animals in body lengths, with masks of observed and filled values.

The time axis is the last one, so that every coordinate is a row in memory: with few keypoints, arithmetic is many times
faster along time.

`SceneConfig` configures the treatment of missing points. Every value has a mask (observed, filled, held, or unknown),
which the features pass on to the encoder, so no value is filled silently.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import Skeleton, body_axis
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = [
    "Scene",
    "SceneConfig",
    "build_scene",
    "by_frame",
    "lagged",
    "length_of",
    "lengths",
    "nearest_known",
    "or_nan",
    "rotate_into",
    "scale_of",
    "transposed",
]

Points = Float[Tensor, "batch *who keypoint space time"]
PointMask = Bool[Tensor, "batch *who keypoint time"]
Vectors = Float[Tensor, "batch *who space time"]
Mask = Bool[Tensor, "batch *who time"]

_JUMP_NEIGHBOUR_FRAMES = 15
_SHORTEST_AXIS = 0.2
_FRESH_FRAMES = 5
_TINY = 1e-6
_SHORTEST = 1e-12
"""Divisor of a vector without length."""


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
    """Lengths are in body lengths. Values are valid where `has_*` or `known` is True; elsewhere they are finite,
    or NaN after `with_nan`.

    `front` and `back` are the ends of the body axis: neck (or center, or head) and tail base. The axes `who` are the
    individual, or agent and target (see `own` and `others`).
    """

    points: Points
    observed: PointMask
    """The tracker saw this point, and it is no impossible jump."""
    known: PointMask
    """Observed, or inside a gap short enough to be filled."""
    center: Vectors
    has_center: Mask
    center_age: Float[Tensor, "batch *who time"]
    """Frames to where the center was known; 0 = known here."""
    heading: Vectors
    """Unit vector from tail to head."""
    has_heading: Mask
    heading_age: Float[Tensor, "batch *who time"]
    front: Vectors
    has_front: Mask
    back: Vectors
    has_back: Mask
    arena: Float[Tensor, "batch corner"]
    valid: Bool[Tensor, "batch time"]
    seconds: Float[Tensor, "batch time"]
    seconds_left: Float[Tensor, "batch time"]
    animals: tuple[int, ...] = ()
    """Agents of `own`, or targets of `others`, as places on the individual axis."""

    def with_nan(self) -> "Scene":
        """The same scene, with NaN in place of values that are not known."""
        return replace(
            self,
            points=or_nan(self.known.unsqueeze(-2), self.points),
            center=or_nan(self.has_center.unsqueeze(-2), self.center),
            heading=or_nan(self.has_heading.unsqueeze(-2), self.heading),
            front=or_nan(self.has_front.unsqueeze(-2), self.front),
            back=or_nan(self.has_back.unsqueeze(-2), self.back),
        )

    def own(self, animals: Sequence[int]) -> "Scene":
        """Some animals of the scene as agents, [batch agent 1 ...]: what is computed from one serves all its views."""
        return replace(self._each(lambda values: _picked(values, animals).unsqueeze(2)), animals=tuple(animals))

    def others(self, animals: Sequence[int], num_agents: int) -> "Scene":
        """Targets of the agents, [batch agent target ...]; `animals` are those of all views, agent by agent."""
        picked = self._each(lambda values: _picked(values, animals).unflatten(1, (num_agents, -1)))
        return replace(picked, animals=tuple(animals))

    def part(self, start: int, stop: int) -> "Scene":
        """Some windows of the batch."""
        return self._each(
            lambda values: values[start:stop], (*_PER_ANIMAL, "arena", "valid", "seconds", "seconds_left")
        )

    def _each(self, change: Callable[[Tensor], Tensor], names: Sequence[str] | None = None) -> "Scene":
        changed: dict[str, Any] = {name: change(getattr(self, name)) for name in names or _PER_ANIMAL}
        return replace(self, **changed)

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


def _picked(values: Tensor, animals: Sequence[int]) -> Tensor:
    """Some animals of [batch individual ...], in this order; each may occur several times."""
    places = list(animals)
    if places == list(range(places[0], places[0] + len(places))):
        return values[:, places[0] : places[-1] + 1]
    return values.index_select(1, torch.tensor(places, device=values.device))


def build_scene(batch: WindowBatch, skeleton: Skeleton, scale_px: Float[Tensor, ""], config: SceneConfig) -> Scene:
    """Build a scene in body lengths from windows in pixels.

    Raises
    ------
    InputError
        If the skeleton has no tail base, or none of neck, center, head and nose.
    """
    observed = transposed((batch.observed & batch.valid[..., None, None]).flatten(2))
    observed = observed.unflatten(1, batch.observed.shape[2:])
    points = transposed(batch.keypoints.flatten(2)).unflatten(1, batch.keypoints.shape[2:]) / scale_px
    if config.max_jump:
        observed = _without_jumps(points, observed, config.max_jump)
    known = observed
    if config.fill_gap_frames:
        points, known = _fill_gaps(points, observed, config.fill_gap_frames)
    front, back = body_axis(skeleton)
    heading, has_heading = _heading(points, known, skeleton)
    center, has_center = _center(points, known, heading, has_heading, skeleton)
    heading, heading_age, has_heading = nearest_known(heading, has_heading, config.hold_frames)
    center, center_age, has_center = nearest_known(center, has_center, config.hold_frames)
    # Nothing is held into padding: a lag that leaves the recording finds nothing there.
    inside = batch.valid.unsqueeze(1)
    fps = batch.fps.unsqueeze(-1)
    return Scene(
        points=points, observed=observed, known=known,
        center=center, has_center=has_center & inside, center_age=center_age,
        heading=heading, has_heading=has_heading & inside, heading_age=heading_age,
        front=points[..., front, :, :], has_front=known[..., front, :],
        back=points[..., back, :, :], has_back=known[..., back, :],
        arena=batch.arena / scale_px, valid=batch.valid,
        seconds=batch.frame / fps, seconds_left=(batch.length.unsqueeze(-1) - batch.frame) / fps,
    )  # fmt: skip


def transposed(values: Shaped[Tensor, "batch row column"]) -> Shaped[Tensor, "batch column row"]:
    """The last two axes exchanged, in memory too."""
    # `channel_shuffle` of one channels-last pixel is this transposition, and four times as fast as a copy.
    pixels = values.reshape(len(values), 1, 1, math.prod(values.shape[1:])).permute(0, 3, 1, 2)
    return F.channel_shuffle(pixels, values.shape[1]).permute(0, 2, 3, 1).reshape(len(values), *values.shape[:0:-1])


def by_frame(values: Shaped[Tensor, "batch *any time"]) -> Shaped[Tensor, "batch time *any"]:
    """A scene's values with the time axis after the batch, as in windows."""
    return values.movedim(-1, 1).contiguous()


def length_of(x: Float[Tensor, "*any"], y: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """sqrt(x² + y²), correctly rounded as in `torch.linalg.vector_norm`; on CPUs `torch.sqrt` is not."""
    squared = torch.addcmul(x * x, y, y)
    if squared.dtype == torch.float32 and squared.device.type == "cpu":
        return squared.double().sqrt_().float()
    return squared.sqrt()


def rotate_into(vectors: Float[Tensor, "*any"], heading: Float[Tensor, "*any2"], dim: int = -1) -> Tensor:
    """Components of `vectors` along `heading` and to its left (counter-clockwise where y points up).

    Parameters
    ----------
    dim : the axis of x and y.
    """
    x, y = vectors.unbind(dim)
    cos, sin = heading.unbind(dim)
    return torch.stack([x * cos + y * sin, y * cos - x * sin], dim=dim)


def lagged(values: Float[Tensor, "*any row time"], lags: Sequence[int]) -> Float[Tensor, "*any lag row time"]:
    """values[t - lag] for every lag; NaN before the start."""
    longest = max(lags)
    longer = F.pad(values, (longest, 0), value=torch.nan)
    return torch.stack([longer.narrow(-1, longest - lag, values.shape[-1]) for lag in lags], dim=-3)


def or_nan(known: Bool[Tensor, "*#any"], values: Float[Tensor, "*#any"]) -> Tensor:
    """Values where they are known, else NaN."""
    ones = known.to(values.dtype)
    # 0 / 0 is NaN: many times faster than a choice.
    return values * ones.div_(ones)


@dataclass(frozen=True)
class _Holes:
    """Unknown frames of rows of frames, in order, and for each the known frames next to it.

    The cost grows with the number of unknown frames.
    """

    place: Int[Tensor, " hole"]
    """In the rows one after the other."""
    row: Int[Tensor, " hole"]
    frame: Int[Tensor, " hole"]
    before: Int[Tensor, " hole"]
    """Nearest known frame before; -1 = none."""
    after: Int[Tensor, " hole"]
    """Nearest known frame after; the number of frames = none."""


def _holes(known: Bool[Tensor, "*any time"]) -> _Holes:
    time = known.shape[-1]
    place = (~known).flatten().nonzero().squeeze(1)
    row, frame = place.div(time, rounding_mode="floor"), place % time
    starts = torch.ones_like(place, dtype=torch.bool)
    starts[1:] = (place[1:] != place[:-1] + 1) | (frame[1:] == 0)
    ends = torch.ones_like(starts)
    ends[:-1] = starts[1:]
    gap = starts.cumsum(0) - 1
    return _Holes(place, row, frame, frame[starts][gap] - 1, frame[ends][gap] + 1)


def _at(values: Float[Tensor, "*any space time"], row: Tensor, frame: Tensor) -> Float[Tensor, "pick space"]:
    """Vectors at some rows and frames; frames beyond the ends are the first and the last."""
    return values.flatten(0, -3)[row, :, frame.clamp(0, values.shape[-1] - 1)]


def nearest_known(
    values: Float[Tensor, "*any space time"], known: Bool[Tensor, "*any time"], hold_frames: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Value of the nearest known frame for each frame, its distance in frames, and whether that is near enough."""
    beyond = hold_frames + 1
    if not hold_frames or bool(known.all()):
        return values, torch.where(known, 0, beyond).to(values.dtype), known
    holes, time = _holes(known), known.shape[-1]
    back = torch.where(holes.before >= 0, holes.frame - holes.before, beyond)
    ahead = torch.where(holes.after < time, holes.after - holes.frame, beyond)
    distance = torch.minimum(back, ahead).clamp(max=beyond)
    near = distance <= hold_frames
    held = _at(values, holes.row, torch.where(back <= ahead, holes.before, holes.after))
    age = torch.zeros(known.shape, dtype=values.dtype, device=values.device)
    age.view(-1)[holes.place] = distance.to(values.dtype)
    values, found = (
        values.clone(memory_format=torch.contiguous_format),
        known.clone(memory_format=torch.contiguous_format),
    )
    values.flatten(0, -3)[holes.row[near], :, holes.frame[near]] = held[near]
    found.view(-1)[holes.place] = near
    return values, age, found


def _fill_gaps(points: Points, observed: PointMask, longest: int) -> tuple[Points, PointMask]:
    if bool(observed.all()):
        return points, observed
    holes = _holes(observed)
    gap = holes.after - holes.before
    inside = (holes.before >= 0) & (holes.after < observed.shape[-1]) & (gap - 1 <= longest)
    place, row, frame, before, after = (
        part[inside] for part in (holes.place, holes.row, holes.frame, holes.before, holes.after)
    )
    weight = ((frame - before) / (after - before)).unsqueeze(-1).to(points.dtype)
    points, known = points.clone(), observed.clone()
    points.flatten(0, -3)[row, :, frame] = torch.lerp(_at(points, row, before), _at(points, row, after), weight)
    known.view(-1)[place] = True
    return points, known


def _without_jumps(points: Points, observed: PointMask, longest: float) -> PointMask:
    """Observed points but those farther than `longest` from both the previous and the next observed position."""
    x, y = (points[..., 1:] - points[..., :-1]).unbind(-2)
    # Steps that are clearly short are not looked at again.
    short = torch.addcmul(x * x, y, y) < (longest * (1 - 1e-3)) ** 2
    short = short & observed[..., 1:] & observed[..., :-1]
    suspect = observed[..., 1:-1] & ~(short[..., 1:] | short[..., :-1])
    if not bool(suspect.any()):
        return observed
    index, frame = suspect.flatten(0, -2).nonzero().unbind(1)
    frame = frame + 1
    holes, time = _holes(observed), observed.shape[-1]
    far = torch.ones_like(frame, dtype=torch.bool)
    here = _at(points, index, frame)
    for next_frame, found in ((frame - 1, holes.before), (frame + 1, holes.after)):
        # The neighbor was observed, or the known frame on the other side of its gap is the neighbor.
        place = index * time + next_frame
        hole = torch.searchsorted(holes.place, place).clamp_max(max(0, len(holes.place) - 1))
        neighbor = next_frame
        if len(holes.place):
            neighbor = torch.where(holes.place[hole] == place, found[hole], next_frame)
        near = (neighbor >= 0) & (neighbor < time) & ((neighbor - frame).abs() <= _JUMP_NEIGHBOUR_FRAMES)
        moved = here - _at(points, index, neighbor)
        far &= near & (torch.linalg.vector_norm(moved, dim=-1) > longest)
    observed = observed.clone()
    observed.flatten(0, -2)[index[far], frame[far]] = False
    return observed


def _heading(points: Points, known: PointMask, skeleton: Skeleton) -> tuple[Vectors, Mask]:
    """Unit vector tail to head: the sum over the axes (front-back, head-back, head-front) that are known."""
    front, back = body_axis(skeleton)
    pairs = [(front, back)]
    if "neck" not in skeleton.roles and {"head", "nose"} & skeleton.roles.keys():
        head = skeleton.role("head", "nose")
        pairs += [(head, back), (head, front)] if head != front else []
    total = torch.zeros_like(points[..., 0, :, :])
    for ahead, behind in pairs:
        seen = (known[..., ahead, :] & known[..., behind, :]).unsqueeze(-2)
        axis = points[..., ahead, :, :] - points[..., behind, :, :]
        total = total + torch.where(seen, axis / lengths(axis).clamp_min(_SHORTEST), 0.0)
    length = lengths(total)
    return total / length.clamp_min(_TINY), (length > _SHORTEST_AXIS).squeeze(-2)


def lengths(vectors: Float[Tensor, "*any space time"]) -> Float[Tensor, "*any 1 time"]:
    """Lengths of vectors; their axis stays, with length 1."""
    return length_of(*vectors.unbind(-2)).unsqueeze(-2)


def _center(
    points: Points, known: PointMask, heading: Vectors, has_heading: Mask, skeleton: Skeleton
) -> tuple[Vectors, Mask]:
    """The center keypoint, or the middle of neck and tail base; else from one end of the body along the heading."""
    back = skeleton.role("tail_base")
    if "neck" in skeleton.roles and "center" not in skeleton.roles:
        front = skeleton.role("neck")
        return (points[..., front, :, :] + points[..., back, :, :]) / 2, known[..., front, :] & known[..., back, :]
    middle = skeleton.role("center", "head", "nose")
    center, has_center = points[..., middle, :, :], known[..., middle, :]
    # Body length 1 is the distance from the tail base to this point.
    guess = points[..., back, :, :] + heading * has_heading.unsqueeze(-2)
    from_back = ~has_center & known[..., back, :]
    return torch.where(from_back.unsqueeze(-2), guess, center), has_center | from_back


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
