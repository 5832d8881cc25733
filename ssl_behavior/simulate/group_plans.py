"""Plans of simulated recordings of one to four mice, and recordings from plans."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.recording import Recording
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.simulate.directed_labels import (
    GROUP_BEHAVIORS,
    INTERACTIONS,
    SWAPS,
    check_not_looked_for,
    group_labels,
    swap_labels,
)
from ssl_behavior.simulate.group_motion import draw_group_bodies
from ssl_behavior.simulate.group_schedule import GROUP_FPS, GroupSchedule, draw_group_schedule
from ssl_behavior.simulate.motion import body_keypoints
from ssl_behavior.simulate.subset_shares import DEFAULT_SUBSETS, check_shares, shared_out
from ssl_behavior.simulate.tracking import exchange_identities, track
from ssl_behavior.skeleton import SKELETONS, Skeleton, with_individuals

__all__ = [
    "GROUP_FRAME_PX",
    "MOST_MICE",
    "GroupPlan",
    "check_share",
    "draw_group",
    "group_names",
    "group_plans",
    "left_out",
    "simulate_group",
]

MOST_MICE = 4
GROUP_FRAME_PX = (1024.0, 1024.0)
"""An open field; each of four mice has the space that one of two has in the cage of the dyads."""
_FIELD_PX = (32.0, 32.0, 992.0, 992.0)
_INSET_PX = 62.0


def check_share(share: float, what: str, recording: str, most: float = 1.0) -> None:
    """Refuse a number that is no share.

    Raises
    ------
    InputError
        Naming the recording, the share and its limits.
    """
    if not 0 <= share <= most:
        raise InputError(f"recording {recording!r}: {what} must be in [0, {most:g}], got {share}")


def group_names(num_mice: int) -> tuple[str, ...]:
    """
    >>> group_names(3)
    ('mouse1', 'mouse2', 'mouse3')
    """
    return tuple(f"mouse{number + 1}" for number in range(num_mice))


@dataclass(frozen=True, kw_only=True)
class GroupPlan:
    """Parameters of a simulated recording of a group; together with the seed they determine it.

    Parameters
    ----------
    id : the recording's name; the random numbers depend on it (and on the seed), not on its place in a list.
    num_frames : length.
    num_mice : mice that the recording has, 1 to 4.
    num_individuals : animals of the store, `num_mice` or more; the last ones are absent. 0 = `num_mice`.
    subset : "train", "test", "unlabeled" or any other name.
    labeled : whether it has the label stream "interactions".
    not_looked_for : behaviors that its annotator left out.
    missing : share of the points lost as NaN, more of those that another mouse covers.
    swaps : share of the touches of two mice after which their tracks are exchanged for a while.
    exchangeable : whether the mice are anonymous.
    """

    id: str
    num_frames: int
    num_mice: int = 3
    num_individuals: int = 0
    subset: str = ""
    labeled: bool = True
    not_looked_for: tuple[str, ...] = ()
    missing: float = 0.0
    swaps: float = 0.0
    exchangeable: bool = True

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise InputError(f"recording {self.id!r}: a recording needs at least 1 frame, got {self.num_frames}")
        if not 1 <= self.num_mice <= MOST_MICE:
            raise InputError(f"recording {self.id!r}: a group has 1 to {MOST_MICE} animals, got {self.num_mice}")
        if self.num_individuals and self.num_individuals < self.num_mice:
            raise InputError(
                f"recording {self.id!r}: {self.num_mice} mice do not fit a store of {self.num_individuals} animals"
            )
        if not 0 <= self.missing < 1:
            raise InputError(f"recording {self.id!r}: the missing share must be in [0, 1), got {self.missing}")
        check_share(self.swaps, "the share of touches with a swap", self.id)
        check_not_looked_for(self.not_looked_for, GROUP_BEHAVIORS, self.id)

    @property
    def individuals(self) -> tuple[str, ...]:
        return group_names(self.num_individuals or self.num_mice)

    @property
    def skeleton(self) -> Skeleton:
        return with_individuals(SKELETONS["calms21"], self.individuals, self.exchangeable)


def simulate_group(plan: GroupPlan, seed: int) -> Recording:
    """Simulate the recording of a plan; equal plans and seeds give equal recordings."""
    schedule, points = draw_group(plan, seed)
    tracker = numpy_generator(seed, "simulate", plan.id, "tracker")
    tracks = track(tracker, points, GROUP_FRAME_PX, plan.missing, more_if_hidden=True)
    swapper = numpy_generator(seed, "simulate", plan.id, "swaps")
    keypoints, confidence, swaps = exchange_identities(swapper, points, tracks, plan.swaps)
    labels = {INTERACTIONS: group_labels(schedule, len(plan.individuals), plan.not_looked_for)} if plan.labeled else {}
    if plan.swaps:
        labels[SWAPS] = swap_labels(swaps, plan.num_mice, len(plan.individuals))
    absent = len(plan.individuals) - plan.num_mice
    return Recording(
        id=plan.id,
        keypoints=np.pad(keypoints, ((0, 0), (0, absent), (0, 0), (0, 0)), constant_values=np.nan),
        confidence=np.pad(confidence, ((0, 0), (0, absent), (0, 0)), constant_values=np.nan),
        fps=GROUP_FPS,
        skeleton=plan.skeleton,
        individuals=plan.individuals,
        pair_labels=labels,
        subset=plan.subset,
        source=f"simulated, seed {seed}",
        resolution_px=GROUP_FRAME_PX,
    )


def draw_group(plan: GroupPlan, seed: int) -> tuple[GroupSchedule, np.ndarray]:
    """What the mice do, and their true points: complex [time, individual, 7], pixels."""
    generator = numpy_generator(seed, "simulate", plan.id, "schedule")
    shift = np.tile(np.clip(7.0 * generator.standard_normal(2), -14, 14), 2)
    x0, y0, x1, y1 = (float(edge) for edge in np.array(_FIELD_PX) + shift)
    inset = (x0 + _INSET_PX, y0 + _INSET_PX, x1 - _INSET_PX, y1 - _INSET_PX)
    schedule = draw_group_schedule(generator, plan.num_mice, plan.num_frames, inset)
    bodies = draw_group_bodies(numpy_generator(seed, "simulate", plan.id, "motion"), schedule, inset)
    points = np.stack([body_keypoints(body, 0) for body in bodies], axis=1)
    return schedule, np.clip(points.real, x0, x1) + 1j * np.clip(points.imag, y0, y1)


def group_plans(
    num_recordings: int,
    frames: int,
    animals: Sequence[int] = (3,),
    subsets: Mapping[str, float] = DEFAULT_SUBSETS,
    *,
    missing: float = 0.0,
    swaps: float = 0.0,
    not_looked_for: float = 0.0,
    exchangeable: bool = True,
) -> list[GroupPlan]:
    """Plans of `frames` frames each, distributed over subsets; a plan does not depend on how many follow.

    Parameters
    ----------
    animals : numbers of mice, 1 to 4; the recordings of a subset take turns.
    subsets : name -> share; recordings of "unlabeled" get no labels.
    not_looked_for : share of the recordings whose annotator left out one behavior, another one each time.
    missing, swaps, exchangeable : see `GroupPlan`.

    Raises
    ------
    InputError
        If a number is below 1, a share is negative or all are 0, or a number of mice is not 1 to 4.
    """
    check_shares(num_recordings, subsets)
    if not animals or min(animals) < 1 or max(animals) > MOST_MICE:
        raise InputError(f"`animals` must be numbers from 1 to {MOST_MICE}, got {list(animals)}")
    if not 0 <= not_looked_for <= 1:
        raise InputError(f"`not_looked_for` must be a share of the recordings in [0, 1], got {not_looked_for}")
    return [
        GroupPlan(
            id=f"{subset}/group{index + 1:03d}",
            num_frames=frames,
            num_mice=animals[made % len(animals)],
            num_individuals=max(animals),
            subset=subset,
            labeled=subset != "unlabeled",
            not_looked_for=left_out(index, not_looked_for, GROUP_BEHAVIORS),
            missing=missing,
            swaps=swaps,
            exchangeable=exchangeable,
        )
        for index, (subset, made) in enumerate(shared_out(num_recordings, subsets))
    ]


def left_out(index: int, share: float, behaviors: Sequence[str]) -> tuple[str, ...]:
    """Behaviors that the annotator of the index-th recording does not look for: one, in `share` of the recordings.

    >>> [left_out(index, 0.5, ["chase", "mount"]) for index in range(4)]
    [(), ('chase',), (), ('mount',)]
    """
    before = math.floor(index * share)
    return (behaviors[before % len(behaviors)],) if math.floor((index + 1) * share) > before else ()
