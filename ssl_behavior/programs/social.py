"""Programs beyond the paper's: approach, following, contact, posture, and where in the arena the animals are."""

import torch

from ssl_behavior.programs.bodies import overlap
from ssl_behavior.programs.pose import Pose
from ssl_behavior.programs.table import program
from ssl_behavior.programs.vectors import (
    Scalars,
    Vectors,
    angle_between,
    dot,
    dot_of,
    length,
    masked,
    nonzero,
    root,
    shifted_difference,
)

__all__ = [
    "acceleration",
    "approach_velocity",
    "body_gap",
    "body_overlap",
    "corner_distance",
    "distance_change",
    "elongation",
    "following",
    "relative_orientation",
    "time_since_contact",
    "turning",
    "wall_distance",
]

_PATH_SECONDS = 0.5
_SLOW_PATH = 0.25
_CONTACT_GAP = 0.3
_MEMORY_SECONDS = 5.0


@program(units="length/s", invariant="translation rotation reflection", each_animal=True)
def approach_velocity(pose: Pose) -> Scalars:
    """How fast the animal moves towards the other (positive) or away from where it is (negative)."""
    return dot(pose.own.velocity, pose.toward)


@program(units="length/s", invariant="translation rotation reflection swap", each_animal=False)
def distance_change(pose: Pose) -> Scalars:
    """How fast the distance between the animals grows (positive) or shrinks (negative)."""
    return dot(pose.other.velocity - pose.own.velocity, pose.toward)


@program(units="1", invariant="translation rotation reflection", each_animal=True)
def following(pose: Pose) -> Scalars:
    """1 = heads along the path the other has just taken, behind it; -1 = the same, ahead of it; 0 = no such path."""
    path = pose.other.displacement(max(1, round(_PATH_SECONDS * pose.fps)), 0)
    slow = _SLOW_PATH * pose.body_length

    @masked
    def along(axis: Vectors, offset: Vectors, path: Vectors) -> Scalars:
        """cos(heading, path) where positive, times cos(offset, path), times s² / (s² + slow²); s the path's length."""
        sizes = nonzero(root(dot_of(axis, axis) * dot_of(offset, offset)))
        both = dot_of(axis, path).clamp_min(0.0) * dot_of(offset, path)
        return both / (sizes * (dot_of(path, path) + slow**2))

    return along(pose.own.axis, pose.offset, path)


@program(units="rad", invariant="translation rotation reflection scale swap", each_animal=False)
def relative_orientation(pose: Pose) -> Scalars:
    """The angle between the animals' headings: 0 = parallel, pi = opposite."""
    return angle_between(pose.own.axis, pose.other.axis)


@program(units="length", invariant="translation rotation reflection swap", each_animal=False)
def body_gap(pose: Pose) -> Scalars:
    """The shortest distance between the lines from tail base to nose; 0 where they cross."""
    return pose.gap


@program(units="1", invariant="translation rotation reflection scale swap", each_animal=False)
def body_overlap(pose: Pose) -> Scalars:
    """How much of the bodies lies on each other: 0 = apart, 1 = one exactly on the other."""
    own, other = pose.own, pose.other
    return overlap(own.tail_base, own.nose, other.tail_base, other.nose)


@program(units="length", invariant="translation rotation reflection", each_animal=True)
def elongation(pose: Pose) -> Scalars:
    """How long the animal makes itself: the distance from tail base to nose."""
    return length(pose.own.body)


@program(units="rad/s", invariant="translation rotation scale", each_animal=True)
def turning(pose: Pose) -> Scalars:
    """How fast the body turns, positive clockwise as seen on the screen."""
    return pose.own.turned * pose.own.rate


@program(units="length/s^2", invariant="translation rotation reflection", each_animal=True)
def acceleration(pose: Pose) -> Scalars:
    """How fast the animal's speed grows (positive) or falls (negative)."""
    own = pose.own
    return shifted_difference(own.speed, own.half_lag, own.half_lag) * own.rate


@program(units="length", invariant="reflection", each_animal=True)
def wall_distance(pose: Pose) -> Scalars:
    """The distance from the nearest wall of the arena, negative outside.

    The arena is what the recording gives; where that is the whole picture (CalMS21: 1024 x 570 px), the nearest wall is
    the nearest border of the picture.
    """
    return -torch.maximum(*_beyond_walls(pose).unbind(-1))


@program(units="length", invariant="reflection", each_animal=True)
def corner_distance(pose: Pose) -> Scalars:
    """The distance from the nearest corner of the arena.

    Where the arena is the whole picture (see `wall_distance`), the nearest corner of the picture.
    """
    return length(_beyond_walls(pose))


@program(units="s", invariant="translation rotation reflection swap", each_animal=False)
def time_since_contact(pose: Pose) -> Scalars:
    """How long ago the bodies last touched, at most 5 s."""
    gap = pose.gap.detach()
    frames, longest = gap.shape[-1], round(_MEMORY_SECONDS * pose.fps)
    index = torch.arange(frames, dtype=torch.int32, device=gap.device).expand(gap.shape)
    touched = torch.where(gap < _CONTACT_GAP * pose.body_length, index, -1).cummax(-1).values
    # Time runs from the first frame at which a contact could have been seen: before that, nobody can tell.
    first = torch.where(gap.isnan(), frames, index).amin(-1, keepdim=True)
    since = index - torch.where(touched >= 0, touched, first)
    young = (touched < 0) & (since < longest)
    return (since.clamp_max(longest).to(gap.dtype) / pose.fps).masked_fill(young, torch.nan)


def _beyond_walls(pose: Pose) -> Vectors:
    """How far the own centre is beyond the nearer wall, left or right, and above or below; negative inside."""
    low, high = pose.arena.unsqueeze(-2).split(2, dim=-1)
    return (pose.own.center - (low + high) / 2).abs() - (high - low) / 2
