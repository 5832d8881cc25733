"""Built-in task programs: those of Sun et al. 2021 (Task Programming, CVPR), and approach, contact, posture, place.

Velocities are per second, not per four frames; the facing angle does not change when the scene is turned; a keypoint
that vanishes is no movement. Nose-tail distances are taken both ways, where the paper takes one.
"""

import torch

from ssl_behavior.programs.pose import Pose, along_time
from ssl_behavior.programs.program import Program, program
from ssl_behavior.programs.vectors import (
    Scalars,
    Vectors,
    angle_between,
    dot,
    dot_of,
    length,
    masked,
    nonzero,
    overlap,
    root,
    shifted_difference,
    turn,
)

__all__ = [
    "PAPER_THRESHOLDS",
    "PROGRAMS",
    "TASK_PROGRAMMING_2021",
    "acceleration",
    "approach_velocity",
    "body_gap",
    "body_overlap",
    "corner_distance",
    "distance_change",
    "elongation",
    "facing_angle",
    "following",
    "head_body_angle",
    "nose_movement",
    "nose_nose_distance",
    "nose_tail_distance",
    "relative_orientation",
    "speed",
    "time_since_contact",
    "turning",
    "wall_distance",
]

PAPER_THRESHOLDS: dict[str, tuple[float, ...]] = {
    "speed": (75.0, 150.0),
    "facing_angle": (0.5, 1.5),
    "nose_movement": (37.5, 60.0),
    "nose_nose_distance": (60.0, 200.0),
    "nose_tail_distance": (60.0, 200.0),
    "head_body_angle": (-0.5, 0.5),
}
"""The paper's classes, in px, px/s and rad; its 10 and 20 px in 4 frames at 30 per second are 75 and 150 px/s."""


@program(units="length/s", invariant="translation rotation reflection", each_animal=True)
def speed(pose: Pose) -> Scalars:
    """How fast the animal moves."""
    return pose.own.speed


@program(units="rad", invariant="translation rotation reflection scale", each_animal=True)
def facing_angle(pose: Pose) -> Scalars:
    """How far the animal would have to turn to face the other: 0 = looks at it, pi = away from it."""
    return angle_between(pose.own.axis, pose.offset)


@program(units="length/s", invariant="translation rotation reflection", each_animal=True)
def nose_movement(pose: Pose) -> Scalars:
    """How fast the nose moves relative to the body."""
    own = pose.own
    nose = along_time(own.nose, own.half_lag, own.half_lag) * own.rate
    return length(nose - own.velocity)


@program(units="length", invariant="translation rotation reflection swap", each_animal=False)
def nose_nose_distance(pose: Pose) -> Scalars:
    """The distance between the noses."""
    return length(pose.other.nose - pose.own.nose)


@program(units="length", invariant="translation rotation reflection", each_animal=True)
def nose_tail_distance(pose: Pose) -> Scalars:
    """The distance from the animal's nose to the base of the other's tail."""
    return length(pose.other.tail_base - pose.own.nose)


@program(units="rad", invariant="translation rotation scale", each_animal=True)
def head_body_angle(pose: Pose) -> Scalars:
    """How far the head is turned against the body: 0 = straight, positive clockwise on the screen."""
    neck = pose.own.part("neck", "center")
    return turn(neck - pose.own.tail_base, pose.own.nose - neck)


_PATH_SECONDS = 0.5
_SLOW_PATH = 0.25
_CONTACT_GAP = 0.3
_MEMORY_SECONDS = 5.0


@program(units="length/s", invariant="translation rotation reflection", each_animal=True)
def approach_velocity(pose: Pose) -> Scalars:
    """How fast the animal moves toward the other (positive) or away from where it is (negative)."""
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
    # Time runs from the first frame at which a contact could have been seen; before that, it is unknown.
    first = torch.where(gap.isnan(), frames, index).amin(-1, keepdim=True)
    since = index - torch.where(touched >= 0, touched, first)
    young = (touched < 0) & (since < longest)
    return (since.clamp_max(longest).to(gap.dtype) / pose.fps).masked_fill(young, torch.nan)


def _beyond_walls(pose: Pose) -> Vectors:
    """How far the own center is beyond the nearer wall, left or right, and above or below; negative inside."""
    low, high = pose.arena.unsqueeze(-2).split(2, dim=-1)
    return (pose.own.center - (low + high) / 2).abs() - (high - low) / 2


TASK_PROGRAMMING_2021: tuple[str, ...] = tuple(PAPER_THRESHOLDS)
"""The programs of Sun et al. 2021."""

PROGRAMS: dict[str, Program] = {
    entry.name: entry
    for entry in (
        speed,
        facing_angle,
        nose_movement,
        nose_nose_distance,
        nose_tail_distance,
        head_body_angle,
        approach_velocity,
        distance_change,
        following,
        relative_orientation,
        body_gap,
        body_overlap,
        elongation,
        turning,
        acceleration,
        wall_distance,
        corner_distance,
        time_since_contact,
    )
}
"""Built-in programs by name."""
