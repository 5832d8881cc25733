"""Paths and bodies of mice in a group, from their schedule.

As in `motion`, every control is constant during a move and passes through low-pass filters. Where a mouse goes on
another's body depends on that one's path, which may depend on a third: paths are computed in sweeps over the mice, each
from the others' latest paths, until none changes. Filters forget within a second, so a few sweeps suffice.
"""

from dataclasses import dataclass

import numpy as np

from ssl_behavior.simulate.group_schedule import GroupAct, GroupSchedule, MouseSchedule, is_relational
from ssl_behavior.simulate.motion import (
    Body,
    ContactPlan,
    clip_place,
    contact_goal,
    draw_body,
    draw_contact_plan,
    draw_thrusts,
    follow_direction,
    smooth,
    walking_directions,
    wander,
    wander_place,
)
from ssl_behavior.simulate.schedule import KEYPOINT_GEOMETRY, Act

__all__ = ["draw_group_bodies"]

_SAME_PATH_PX = 0.5
_MOST_SWEEPS = 12
_STRETCH = np.array([
    1.0, 0.85, 0.66, 0.98, 1.08, 1.08, 1.0, 1.04, 1.04, 0.9, 0.92, 0.9, 1.06, 0.82,
    0.54, 1.10, 0.95, 0.86, 1.06, 0.80, 1.06,
])  # fmt: skip
"""Trunk length over its usual one, per act: a rearing mouse is short from above, a running one stretched."""
_QUICK_ACTS = (Act.TUSSLE, GroupAct.FLEE, GroupAct.DEFEND, GroupAct.RUN)
_MOVES_PER_FRAME = np.array([0, 0, 0, 1 / 25, 1 / 30, 0, 1 / 26, 1 / 26, 1 / 26, 1 / 14, 1 / 60, 1 / 80, 1 / 14, 1 / 7])
"""Acts toward another mouse only, as in dyads."""
_SHAKE_PX = 13.0
_TRAIL_FRAMES = 7
"""How far behind the other one a chasing mouse runs, on its trail."""
_GLIDE_FRAMES = 8
"""Delay of a body behind its goal."""


@dataclass(kw_only=True, eq=False)
class _Mover:
    """One mouse: what is drawn once (arrays [time]), and its path, which the sweeps improve.

    Parameters
    ----------
    near : frames in which it has a goal on another mouse's body.
    whom : the other mouse in these frames.
    goal, facing : places and directions of its own, complex and radians.
    plan : contacts in the frames `near`.
    arrived : in [0, 1], how much of its way to the other one is done, in the frames `near`.
    brisk, quick : in [0, 1], how closely it follows its goal.
    following : other mouse -> in [0, 1], how closely it moves with that one.
    sway : complex, small movements and the shaking of a fight.
    thrusts : pixels along the body.
    off_axis : radians, deviation from the direction of a mounted mouse, in the frames `near`.
    """

    act: np.ndarray
    near: np.ndarray
    whom: np.ndarray
    goal: np.ndarray
    facing: np.ndarray
    plan: ContactPlan
    arrived: np.ndarray
    brisk: np.ndarray
    quick: np.ndarray
    following: dict[int, np.ndarray]
    sway: np.ndarray
    thrusts: np.ndarray
    off_axis: np.ndarray
    tussling: np.ndarray
    trunk: np.ndarray
    size: float
    center: np.ndarray
    heading: np.ndarray
    turned: np.ndarray


def draw_group_bodies(
    generator: np.random.Generator, schedule: GroupSchedule, inset: tuple[float, float, float, float]
) -> list[Body]:
    """Bodies of all mice; `inset` is x0, y0, x1, y1 in pixels and their centers stay inside."""
    movers = [_draw_mover(generator, mouse, schedule.num_frames, inset) for mouse in schedule.mice]
    for _ in range(_MOST_SWEEPS):
        if not _sweep(movers, inset):
            break
    return [
        draw_body(
            generator, 0, mover.size, mover.center, mover.turned, _STRETCH[mover.act], mover.act == Act.GROOM,
            mover.tussling,
        )
        for mover in movers
    ]  # fmt: skip


def _draw_mover(
    generator: np.random.Generator, mouse: MouseSchedule, num_frames: int, inset: tuple[float, float, float, float]
) -> _Mover:
    size = 0.95 * float(np.exp(0.04 * generator.standard_normal()))
    act, other = mouse.expanded(2), mouse.expanded(3)
    near = np.flatnonzero(is_relational(act))
    counts = np.diff(mouse.frames, append=num_frames)
    directions = walking_directions(generator, mouse.places, 2 * np.pi * generator.random())
    goal, facing = np.repeat(mouse.places, counts), np.repeat(directions, counts)
    tussling = _share(np.isin(act, (Act.TUSSLE, GroupAct.DEFEND)), 2.0)
    spin = (act == GroupAct.DEFEND) * np.sign(wander(generator, num_frames, 40.0))
    social = np.where(is_relational(act), act, Act.ROAM)
    shake = (0.3 + _SHAKE_PX * tussling) * wander_place(generator, num_frames, 1.5)
    return _Mover(
        act=act,
        near=near,
        whom=other[near],
        goal=goal,
        facing=facing + 0.16 * np.cumsum(spin),
        plan=_draw_plan(generator, social, size).at(near),
        arrived=_arrived(mouse.segments)[near],
        brisk=_share(social != Act.ROAM, 3.0),
        quick=_share(np.isin(act, _QUICK_ACTS), 2.5),
        following={int(one): _share((other == one) & (social != Act.ROAM), 3.0) for one in np.unique(other[near])},
        sway=1.5 * wander_place(generator, num_frames, 12.0) + shake,
        thrusts=draw_thrusts(generator, social),
        off_axis=(0.12 * wander(generator, num_frames, 10.0))[near],
        tussling=tussling,
        trunk=KEYPOINT_GEOMETRY["trunk"][0] * size * smooth(_STRETCH[act], 5.0, poles=2),
        size=size,
        center=clip_place(smooth(goal, 6.8), inset),
        heading=facing,
        turned=facing,
    )


def _share(happens: np.ndarray, frames: float) -> np.ndarray:
    """1 while something happens and 0 otherwise, with smooth edges."""
    return smooth(happens.astype(float), frames, poles=1)


def _arrived(segments: np.ndarray) -> np.ndarray:
    """How much of an approach is done [time], in [0, 1]; 1 outside of approaches."""
    done = np.ones(segments[-1, 1])
    for start, stop in segments[segments[:, 2] == Act.APPROACH, :2].tolist():
        done[start:stop] = np.minimum(1, np.arange(1, stop - start + 1) / max(1, stop - start - _GLIDE_FRAMES))
    return done


def _draw_plan(generator: np.random.Generator, act: np.ndarray, size: float) -> ContactPlan:
    cut = generator.random(len(act)) < _MOVES_PER_FRAME[act]
    cut[1:] |= act[1:] != act[:-1]
    cut[0] = False
    move = np.cumsum(cut)
    center_to_nose = (0.5 * KEYPOINT_GEOMETRY["trunk"][0] + KEYPOINT_GEOMETRY["head"][0]) * size
    return draw_contact_plan(generator, act, move, generator.random(move[-1] + 1)[move], center_to_nose)


def _sweep(movers: list[_Mover], inset: tuple[float, float, float, float]) -> bool:
    """Improve the paths of all mice in turn; whether another sweep is needed."""
    changed = False
    for mover in movers:
        before = mover.center
        _improve(mover, movers, inset)
        changed |= len(movers) > 1 and float(np.abs(mover.center - before).max()) > _SAME_PATH_PX
    return changed


def _improve(mover: _Mover, movers: list[_Mover], inset: tuple[float, float, float, float]) -> None:
    """Compute the path of one mouse from the others' paths."""
    near, goal, facing = mover.near, mover.goal, mover.facing
    contact = heading = np.empty(0)
    if len(near):
        center, heading, trunk = (
            _gather(mover, [getattr(one, name) for one in movers]) for name in ("center", "heading", "trunk")
        )
        contact, wanted = contact_goal(mover.plan, center, heading, trunk)
        chasing = mover.act[near] == Act.CHASE
        wanted = np.where(chasing, _gather(mover, [one.center for one in movers], _TRAIL_FRAMES), wanted)
        goal = goal.copy()
        goal[near] += mover.arrived * (wanted - goal[near])
    path = _path(mover, goal)
    for number, share in mover.following.items():
        path = path + share * _lag(movers[number].center)
    path = path + mover.thrusts * np.exp(1j * mover.heading) + mover.sway
    mover.center = clip_place(path, inset)
    if len(near):
        facing = facing.copy()
        facing[near] = np.angle(contact - mover.center[near])
        mounting = mover.act[near] == Act.MOUNT
        facing[near[mounting]] = (heading + mover.off_axis)[mounting]
    mover.turned = facing
    mover.heading = follow_direction(facing)[1]


def _gather(mover: _Mover, values: list[np.ndarray], ago: int = 0) -> np.ndarray:
    """Values, `ago` frames before, of the mouse that this one is near to, in the frames in which it is."""
    gathered = np.empty(len(mover.near), dtype=values[0].dtype)
    for number in mover.following:
        at = mover.whom == number
        gathered[at] = values[number][np.maximum(mover.near[at] - ago, 0)]
    return gathered


def _path(mover: _Mover, goal: np.ndarray) -> np.ndarray:
    """The goal as a body can follow it: calmly, briskly or quickly."""
    path = smooth(goal, 6.8)
    if mover.brisk.any():
        path = path + mover.brisk * (smooth(goal, 4.2) - path)
    if mover.quick.any():
        path = path + mover.quick * (smooth(goal, 3.0) - path)
    return path


def _lag(center: np.ndarray) -> np.ndarray:
    """What a mouse adds that moves with another one, and changes only its place on the other's body slowly."""
    return smooth(center, 1.6) - smooth(center, 4.2)
