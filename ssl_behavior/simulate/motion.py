"""Simulated motion: acts become movements of two bodies, and these become keypoints.

Every control (a target position, a direction, a body length) is constant during a move and passes through a chain of
low-pass filters, so motion is smooth and needs no loop over frames. The intruder moves first; the resident's targets
depend on the intruder's position. Places are complex numbers x + iy in pixels, y downwards.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from ssl_behavior.simulate.schedule import KEYPOINT_GEOMETRY, Act, IntruderAct, Schedule

__all__ = [
    "Body",
    "ContactPlan",
    "body_keypoints",
    "clip_place",
    "contact_goal",
    "draw_bodies",
    "draw_body",
    "draw_contact_plan",
    "draw_thrusts",
    "follow_direction",
    "smooth",
    "turning",
    "walking_directions",
    "wander",
    "wander_place",
]


_FPS = 30.0
_INTRUDER_STEP = np.array([150.0, 5.0, 4.0, 10.0, 230.0, 14.0])
"""Median length of a move in pixels, per intruder act."""
_RESIDENT_STEP = np.array([165.0, 5.0, 4.0] + [40.0] * 11)
_STRETCH = np.array([1.0, 0.85, 0.66, 0.98, 1.08, 1.08, 1.0, 1.04, 1.04, 0.9, 0.92, 0.9, 1.06, 0.82])
"""Trunk length over its usual one, per resident act: a grooming animal is hunched, a running one stretched."""
_INTRUDER_STRETCH = np.array([1.07, 0.98, 0.70, 0.54, 1.06, 0.86])


@dataclass(frozen=True, kw_only=True)
class Body:
    """One animal's pose, arrays of shape [time].

    Parameters
    ----------
    center : complex, pixels, the middle of the trunk.
    heading : radians, the trunk's direction, unwrapped.
    bend : radians, the head's direction relative to the trunk's.
    trunk : pixels, neck to tail base.
    head : pixels, neck to nose.
    """

    center: np.ndarray
    heading: np.ndarray
    bend: np.ndarray
    trunk: np.ndarray
    head: np.ndarray


def draw_bodies(
    generator: np.random.Generator, schedule: Schedule, arena: tuple[float, float, float, float]
) -> tuple[Body, Body]:
    """Resident and intruder; `arena` is x0, y0, x1, y1 in pixels and their centers stay inside."""
    sizes = np.exp(0.04 * generator.standard_normal(2))
    inset = (arena[0] + 62.0, arena[1] + 62.0, arena[2] - 62.0, arena[3] - 62.0)
    intruder = _intruder(generator, schedule, inset, sizes[1])
    return _resident(generator, schedule, inset, intruder, sizes[0]), intruder


def smooth(values: np.ndarray, frames: float, poles: int = 3) -> np.ndarray:
    """Causal low-pass: `poles` equal one-pole filters, each with a time constant of `frames`; starts at rest."""
    keep = np.exp(-1.0 / frames)
    denominator = np.poly(np.full(poles, keep))
    return lfilter([(1 - keep) ** poles], denominator, values - values[0], axis=0) + values[0]


def wander(generator: np.random.Generator, num_frames: int, frames: float) -> np.ndarray:
    """Smooth noise of about unit variance and a correlation time of about 2 * `frames`."""
    keep = np.exp(-1.0 / frames)
    gain = np.sqrt((1 - keep**2) ** 3 / (1 + keep**2))
    noise = generator.standard_normal(num_frames, dtype=np.float32)
    return lfilter([gain], [1.0, -2 * keep, keep**2], noise)


def wander_place(generator: np.random.Generator, num_frames: int, frames: float) -> np.ndarray:
    """Smooth noise of places: complex, about unit variance along each axis."""
    return wander(generator, num_frames, frames) + 1j * wander(generator, num_frames, frames)


def _fold(place: np.ndarray, inset: tuple[float, float, float, float]) -> np.ndarray:
    """Reflect positions at the walls, repeatedly if needed."""

    def reflect(x: np.ndarray, low: float, high: float) -> np.ndarray:
        width = high - low
        return low + width - np.abs(np.mod(x - low, 2 * width) - width)

    return reflect(place.real, inset[0], inset[2]) + 1j * reflect(place.imag, inset[1], inset[3])


def _walk(
    generator: np.random.Generator, act: np.ndarray, move: np.ndarray, steps: np.ndarray, inset: tuple
) -> tuple[np.ndarray, np.ndarray]:
    """Target positions and directions of an undisturbed animal, one per move, expanded to frames."""
    first = np.flatnonzero(np.diff(move, prepend=-1))
    step = steps[act[first]] * np.exp(0.7 * generator.standard_normal(len(first)))
    turn = np.cumsum(1.0 * generator.standard_normal(len(first)))
    start = generator.uniform(inset[0], inset[2]) + 1j * generator.uniform(inset[1], inset[3])
    place = _fold(start + np.cumsum(step * np.exp(1j * turn)), inset)
    return place[move], walking_directions(generator, place, turn[0])[move]


def walking_directions(generator: np.random.Generator, places: np.ndarray, first: float) -> np.ndarray:
    """Direction on the way to each of these places, radians; `first` is that of the first one.

    Who does not go anywhere keeps its direction, and looks round a little.
    """
    moved = np.diff(places, prepend=places[0])
    known = np.maximum.accumulate(np.where(np.abs(moved) > 25, np.arange(len(places)), 0))
    facing = np.angle(moved[known] + (known == 0) * np.exp(1j * first))
    return facing + np.where(np.abs(moved) > 25, 0.0, 0.45 * generator.standard_normal(len(places)))


def turning(direction: np.ndarray, frames: float) -> np.ndarray:
    """Turn smoothly toward `direction` (radians), always the shorter way."""
    return smooth(np.unwrap(direction), frames)


def clip_place(place: np.ndarray, inset: tuple[float, float, float, float]) -> np.ndarray:
    """The nearest places inside of `inset` (x0, y0, x1, y1)."""
    return np.clip(place.real, inset[0], inset[2]) + 1j * np.clip(place.imag, inset[1], inset[3])


def _speed(center: np.ndarray) -> np.ndarray:
    """Pixels per frame."""
    return np.abs(np.diff(center, prepend=center[0]))


def _intruder(generator: np.random.Generator, schedule: Schedule, inset: tuple, size: float) -> Body:
    act, num_frames = schedule.intruder_act, len(schedule.act)
    goal, facing = _walk(generator, act, schedule.intruder_move, _INTRUDER_STEP, inset)
    # A sniffed animal tends to stay: half the way it would have gone.
    busy = smooth((schedule.act >= Act.SNIFF_FACE).astype(float), 5.0, poles=1)
    held = smooth(goal, 25.0, poles=1)
    fleeing = smooth((act == IntruderAct.FLEE).astype(float), 2.0, poles=1)
    calm_goal = goal + (0.5 * busy * (1 - fleeing)) * (held - goal)
    center = (1 - fleeing) * smooth(calm_goal, 6.5) + fleeing * smooth(goal, 3.4)
    tussling = smooth((schedule.act == Act.TUSSLE).astype(float), 2.0, poles=1)
    shake = (1.0 + 13.0 * tussling) * wander_place(generator, num_frames, 1.5)
    center = clip_place(
        center + 1.5 * wander_place(generator, num_frames, 12.0) + shake * (0.3 + 0.7 * tussling), inset
    )
    spin = 0.16 * np.cumsum((schedule.act == Act.TUSSLE) * np.sign(wander(generator, num_frames, 40.0)))
    facing = facing + spin
    stretch = _INTRUDER_STRETCH[act]
    return draw_body(generator, 1, size, center, facing, stretch, act == IntruderAct.GROOM, tussling)


def _resident(generator: np.random.Generator, schedule: Schedule, inset: tuple, intruder: Body, size: float) -> Body:
    act, num_frames = schedule.act, len(schedule.act)
    own_goal, own_facing = _walk(generator, act, schedule.move, _RESIDENT_STEP, inset)
    center_to_nose = 0.5 * KEYPOINT_GEOMETRY["trunk"][0] + KEYPOINT_GEOMETRY["head"][0]
    contact, goal = _social_goal(generator, schedule, intruder, own_goal, center_to_nose * size)
    social = act >= Act.LINGER
    goal = np.where(social, goal, own_goal)
    quick = smooth((act >= Act.CHASE).astype(float), 2.5, poles=1)
    brisk = smooth(((act >= Act.APPROACH) & (act < Act.CHASE)).astype(float), 3.0, poles=1)
    # Who is close follows the other closely, and changes its place relative to it more slowly.
    follow = smooth(intruder.center, 1.6)
    paths = smooth(goal, 6.8), smooth(goal - intruder.center, 4.2) + follow, smooth(goal, 2.5)
    center = (1 - quick) * ((1 - brisk) * paths[0] + brisk * paths[1]) + quick * paths[2]
    thrusts = draw_thrusts(generator, act) * np.exp(1j * intruder.heading)
    center = center + thrusts + 1.5 * wander_place(generator, num_frames, 12.0)
    tussling = smooth((act == Act.TUSSLE).astype(float), 2.0, poles=1)
    center = clip_place(center + 13.0 * tussling * wander_place(generator, num_frames, 1.5), inset)
    looks = (act != Act.DISENGAGE) & social
    facing = np.where(looks, np.angle(contact - center), own_facing)
    facing = np.where(act == Act.DISENGAGE, np.angle(goal - center), facing)
    mounting = (act >= Act.MOUNT_ATTEMPT) & (act <= Act.INTROMISSION)
    off_axis = np.where(act == Act.MOUNT_ATTEMPT, 0.45, 0.12) * wander(generator, num_frames, 10.0)
    facing = np.where(mounting, intruder.heading + off_axis, facing)
    return draw_body(generator, 0, size, center, facing, _STRETCH[act], act == Act.GROOM, tussling)


@dataclass(frozen=True, kw_only=True)
class ContactPlan:
    """How an animal goes up to another, relative to that one's body; arrays of shape [time].

    Parameters
    ----------
    along, across : the point that it aims at, in lengths of the other's trunk, ahead of and beside its middle.
    jitter : pixels added ahead.
    side : 1.0 or -1.0, the side of the other on which it stays.
    direction : direction in which it comes, radians, relative to the other's heading.
    reach : pixels between its own middle and the point that it aims at.
    """

    along: np.ndarray
    across: np.ndarray
    jitter: np.ndarray
    side: np.ndarray
    direction: np.ndarray
    reach: np.ndarray

    def at(self, frames: np.ndarray) -> "ContactPlan":
        """The plan of some frames."""
        return ContactPlan(**{name: values[frames] for name, values in vars(self).items()})


def draw_contact_plan(
    generator: np.random.Generator, act: np.ndarray, move: np.ndarray, intensity: np.ndarray, center_to_nose: float
) -> ContactPlan:
    """Plan of an animal with these acts (of `Act`); `center_to_nose` is its own length, pixels."""
    per_move = generator.standard_normal((2, move[-1] + 1))[:, move]
    side = np.where(wander(generator, len(act), 150.0) > 0, 1.0, -1.0)
    # The direction from which it comes, relative to the other's heading: face on, from the side, from behind.
    from_side = np.array([0, 0, 0, 1.6, 1.2, 1.2, 2.6, 1.5, 0.35, 0.3, 0.0, 0.0, 0.0, 1.9])[act] * side
    gap = 60.0 * (1 - intensity) ** 2.5
    gap = np.where(act == Act.LINGER, 55.0 + 110.0 * (1 - intensity), gap)
    gap = np.where(act == Act.TUSSLE, -35.0 + 50 * intensity, gap)
    gap = np.where(act == Act.CHASE, 5.0 + 60.0 * intensity, gap)
    gap = np.where(
        act >= Act.MOUNT_ATTEMPT, np.where(act <= Act.INTROMISSION, _mount_gap(act, center_to_nose), gap), gap
    )
    return ContactPlan(
        along=np.array([0, 0, 0, 0, 0, 0, 0.95, -0.09, -0.5, -0.2, 0.1, 0.15, -0.1, 0.25])[act],
        across=np.array([0, 0, 0, 0, 0, 0, 0.0, 0.26, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1])[act],
        jitter=9 * per_move[0] * (act < Act.MOUNT_ATTEMPT),
        side=side,
        direction=smooth(from_side + 0.35 * per_move[1] * (act < Act.MOUNT_ATTEMPT), 4.0, poles=2),
        reach=center_to_nose + gap,
    )


def contact_goal(
    plan: ContactPlan, center: np.ndarray, heading: np.ndarray, trunk: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Target point on the other animal's body for the nose, and the center position that this requires."""
    ahead = np.exp(1j * heading)
    contact = center + ahead * (plan.along * trunk + plan.jitter - 1j * plan.side * (plan.across * trunk))
    return contact, contact - np.exp(1j * (heading + plan.direction)) * plan.reach


def _social_goal(
    generator: np.random.Generator, schedule: Schedule, intruder: Body, own_goal: np.ndarray, center_to_nose: float
) -> tuple[np.ndarray, np.ndarray]:
    """Target point on the intruder for the resident's nose, and the center position that this requires."""
    act = schedule.act
    plan = draw_contact_plan(generator, act, schedule.move, schedule.intensity, center_to_nose)
    contact, goal = contact_goal(plan, intruder.center, intruder.heading, intruder.trunk)
    away = own_goal - intruder.center
    away = intruder.center + 330.0 * away / np.maximum(np.abs(away), 1e-6)
    return contact, np.where(act == Act.DISENGAGE, away, goal)


def _mount_gap(act: np.ndarray, center_to_nose: float) -> np.ndarray:
    """Nose past the contact point, so that the chest lies on the intruder's hips; attempts stay further back."""
    return np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, -0.45, -0.55, 0, 0])[act] * center_to_nose


def draw_thrusts(generator: np.random.Generator, act: np.ndarray) -> np.ndarray:
    """Pelvic movements in pixels along the body [time]: quick and shallow, in intromission slower and deeper."""
    amplitude = smooth(np.array([0.0] * 9 + [4.0, 5.0, 8.0, 0.0, 0.0])[act], 3.0, poles=1)
    frequency = np.array([0.0] * 9 + [6.0, 5.0, 2.0, 0.0, 0.0])[act] * (1 + 0.1 * generator.standard_normal())
    thrusts: np.ndarray = amplitude * np.sin(2 * np.pi * np.cumsum(frequency) / _FPS)
    return thrusts


def draw_body(
    generator: np.random.Generator,
    individual: int,
    size: float,
    center: np.ndarray,
    facing: np.ndarray,
    stretch: np.ndarray,
    grooming: np.ndarray,
    tussling: np.ndarray,
) -> Body:
    """Body of an animal that moves and looks like this; arrays [time].

    Parameters
    ----------
    individual : whose size it has, 0 = resident, 1 = intruder; `size` is relative to that.
    center : complex, pixels.
    facing : direction in which it wants to look, radians.
    stretch : trunk length over its usual one.
    grooming : True while it grooms itself.
    tussling : in [0, 1], how much it fights.
    """
    num_frames = len(center)
    # The head turns first and the trunk follows: the difference bends the body.
    quick, heading = follow_direction(facing)
    bend = quick - heading + (0.22 + 0.35 * tussling) * wander(generator, num_frames, 10.0)
    licks = smooth(grooming.astype(float), 6.0, poles=1) * np.sin(
        2 * np.pi * (4.5 + 0.5 * generator.standard_normal()) * np.arange(num_frames) / _FPS
    )
    bend = np.clip(bend + 0.22 * licks + 0.6 * grooming * wander(generator, num_frames, 30.0), -1.5, 1.5)
    long = smooth(stretch, 5.0, poles=2) * (1 + 0.07 * wander(generator, num_frames, 15.0))
    long = long * (0.93 + 0.011 * np.minimum(smooth(_speed(center), 4.0, poles=1), 12.0))
    short = np.clip(long, 0.35, 1.25)
    trunk = KEYPOINT_GEOMETRY["trunk"][individual] * size * short * (1 - 0.1 * tussling)
    head = KEYPOINT_GEOMETRY["head"][individual] * size * np.clip(0.35 + 0.68 * short, 0.4, 1.08)
    head = head * (1 + 0.05 * wander(generator, num_frames, 4.0) + 0.08 * licks)
    return Body(center=center, heading=heading, bend=bend, trunk=trunk, head=head)


def follow_direction(facing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions of the head and of the trunk of an animal that turns toward `facing`; radians, unwrapped."""
    head = turning(facing, 2.6)
    return head, smooth(head, 2.6, poles=2)


def body_keypoints(body: Body, individual: int) -> np.ndarray:
    """Complex [time, 7] pixels: nose, left ear, right ear, neck, left hip, right hip, tail base."""
    front = np.exp(1j * (body.heading + 0.25 * body.bend))
    back = np.exp(1j * (body.heading - 0.25 * body.bend))
    gaze = np.exp(1j * (body.heading + body.bend))
    # A hunched animal is broader.
    relative = body.trunk / KEYPOINT_GEOMETRY["trunk"][individual]
    ears = KEYPOINT_GEOMETRY["ears"][individual] * (0.5 + 0.5 * body.head / KEYPOINT_GEOMETRY["head"][individual])
    hips = KEYPOINT_GEOMETRY["hips"][individual] * (1.25 - 0.25 * relative)
    points = np.empty((len(body.center), 7), dtype=np.complex128)
    neck = points[:, 3] = body.center + 0.5 * body.trunk * front
    points[:, 0] = neck + body.head * gaze
    points[:, 1] = neck + (15 + 1j * ears) * gaze
    points[:, 2] = neck + (15 - 1j * ears) * gaze
    tail = points[:, 6] = body.center - 0.5 * body.trunk * back
    points[:, 4] = tail + (0.41 * body.trunk + 1j * hips) * back
    points[:, 5] = tail + (0.41 * body.trunk - 1j * hips) * back
    return points
