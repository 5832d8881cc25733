"""The programs of Sun et al. 2021 (Task Programming, CVPR) for pairs of mice, their faults mended.

Velocities are per second, not per four frames; the facing angle does not change when the scene is turned; a keypoint
that vanishes is no movement. Nose-tail distances are taken both ways, where the paper takes one.
"""

from ssl_behavior.programs.pose import Pose, along_time
from ssl_behavior.programs.table import program
from ssl_behavior.programs.vectors import Scalars, angle_between, length, turn

__all__ = [
    "PAPER_THRESHOLDS",
    "facing_angle",
    "head_body_angle",
    "nose_movement",
    "nose_nose_distance",
    "nose_tail_distance",
    "speed",
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
