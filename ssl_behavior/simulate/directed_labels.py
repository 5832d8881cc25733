"""Labels with agents and targets, from the schedules of dyads and of groups."""

from collections.abc import Iterable, Sequence

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.recording import PairLabels
from ssl_behavior.simulate.annotators import REACTION_FRAMES
from ssl_behavior.simulate.bout_statistics import SELF_BEHAVIORS, SOCIAL_BEHAVIORS
from ssl_behavior.simulate.group_schedule import GroupAct, GroupSchedule
from ssl_behavior.simulate.schedule import ATTACK, MOUNT, Act, IntruderAct, Schedule

__all__ = [
    "DYAD_BEHAVIORS",
    "GROUP_BEHAVIORS",
    "INTERACTIONS",
    "SWAPS",
    "check_not_looked_for",
    "dyad_labels",
    "group_labels",
    "swap_labels",
]

INTERACTIONS = "interactions"
"""Label stream of who does what to whom."""
SWAPS = "identity_swaps"
"""Label stream of the frames in which the tracks of two animals are exchanged."""

GROUP_BEHAVIORS = (*SOCIAL_BEHAVIORS, *SELF_BEHAVIORS)
DYAD_BEHAVIORS = (
    "approach", "attack", "chase", "disengage", "escape", "mount", "sniff", "sniffface", "sniffgenital", "rear",
    "selfgroom",
)  # fmt: skip
"""An attack includes its chases, as in CalMS21."""

_GROUP_ACTS = {
    Act.APPROACH: "approach", Act.TUSSLE: "attack", GroupAct.LEAVE: "avoid", Act.CHASE: "chase",
    GroupAct.FLEE: "escape", Act.MOUNT: "mount", Act.SNIFF_FLANK: "sniff", Act.SNIFF_FACE: "sniffface",
    Act.SNIFF_REAR: "sniffgenital", GroupAct.REAR: "rear", Act.REST: "rest", GroupAct.RUN: "run",
    Act.GROOM: "selfgroom",
}  # fmt: skip
_RESIDENT_ACTS = {
    "approach": Act.APPROACH, "chase": Act.CHASE, "disengage": Act.DISENGAGE, "sniff": Act.SNIFF_FLANK,
    "sniffface": Act.SNIFF_FACE, "sniffgenital": Act.SNIFF_REAR,
}  # fmt: skip
_RESIDENT, _INTRUDER = 0, 1


def check_not_looked_for(names: Sequence[str], known: Sequence[str], recording: str) -> None:
    """Refuse behaviors that the simulation does not have.

    Raises
    ------
    InputError
        Naming the recording, the behaviors and the known ones.
    """
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise InputError(f"recording {recording!r}: unknown behaviors {unknown}; known: {list(known)}")


def group_labels(schedule: GroupSchedule, num_individuals: int, not_looked_for: Sequence[str] = ()) -> PairLabels:
    """Bouts of a group; those of a mouse toward itself have it as their target.

    Parameters
    ----------
    num_individuals : animals of the store; those after the schedule's mice are absent, and nobody looked for them.
    not_looked_for : behaviors that the annotator left out.
    """
    bouts = []
    for agent, mouse in enumerate(schedule.mice):
        for start, stop, act, other in mouse.segments.tolist():
            if act in _GROUP_ACTS:
                behavior = GROUP_BEHAVIORS.index(_GROUP_ACTS[act])
                bouts.append((agent, agent if other < 0 else other, behavior, start, stop))
    present = np.arange(num_individuals) < len(schedule.mice)
    alone = np.isin(GROUP_BEHAVIORS, SELF_BEHAVIORS)
    itself = np.eye(num_individuals, dtype=bool)
    looked_for = (itself[:, :, None] == alone) & present[:, None, None] & present[:, None]
    return _pair_labels(GROUP_BEHAVIORS, bouts, looked_for, not_looked_for, schedule.num_frames)


def dyad_labels(schedule: Schedule, not_looked_for: Sequence[str] = ()) -> PairLabels:
    """Bouts of resident and intruder."""
    shown = {
        ("attack", _RESIDENT, _INTRUDER): schedule.behavior == ATTACK,
        ("mount", _RESIDENT, _INTRUDER): schedule.behavior == MOUNT,
        ("selfgroom", _RESIDENT, _RESIDENT): schedule.act == Act.GROOM,
        ("escape", _INTRUDER, _RESIDENT): schedule.intruder_act == IntruderAct.FLEE,
        ("rear", _INTRUDER, _INTRUDER): schedule.intruder_act == IntruderAct.REAR,
        ("selfgroom", _INTRUDER, _INTRUDER): schedule.intruder_act == IntruderAct.GROOM,
    }
    shown |= {(name, _RESIDENT, _INTRUDER): schedule.act == act for name, act in _RESIDENT_ACTS.items()}
    bouts = []
    looked_for = np.zeros((2, 2, len(DYAD_BEHAVIORS)), dtype=bool)
    for (name, agent, target), frames in shown.items():
        behavior = DYAD_BEHAVIORS.index(name)
        looked_for[agent, target, behavior] = True
        edges = np.flatnonzero(np.diff(frames.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
        bouts += [(agent, target, behavior, start, stop) for start, stop in edges.tolist()]
    return _pair_labels(DYAD_BEHAVIORS, bouts, looked_for, not_looked_for, len(schedule.act))


def _pair_labels(
    vocabulary: tuple[str, ...],
    bouts: Iterable[tuple[int, int, int, int, int]],
    looked_for: np.ndarray,
    not_looked_for: Sequence[str],
    num_frames: int,
) -> PairLabels:
    """Labels by an annotator, who sees motion: it starts and stops later than intentions."""
    left_out = [vocabulary.index(name) for name in not_looked_for]
    looked_for[:, :, left_out] = False
    rows = np.array(_joined(bouts), dtype=np.int64).reshape(-1, 5)
    rows[:, 3:] = np.minimum(rows[:, 3:] + REACTION_FRAMES, num_frames)
    rows = rows[(rows[:, 3] < rows[:, 4]) & ~np.isin(rows[:, 2], left_out)]
    return PairLabels(vocabulary=vocabulary, bouts=rows, looked_for=looked_for, annotator="0")


def _joined(bouts: Iterable[tuple[int, int, int, int, int]]) -> list[list[int]]:
    """Bouts of one agent, target and behavior that touch become one."""
    joined: list[list[int]] = []
    for bout in sorted(bouts):
        if joined and joined[-1][:3] == list(bout[:3]) and joined[-1][4] == bout[3]:
            joined[-1][4] = bout[4]
        else:
            joined.append(list(bout))
    return joined


def swap_labels(swaps: np.ndarray, num_present: int, num_individuals: int) -> PairLabels:
    """Swaps [swap, (animal, other animal, start, stop)] as bouts of the behavior "swapped", one per swap.

    The agent is the animal of the lower number; the other direction says nothing.
    """
    looked_for = np.zeros((num_individuals, num_individuals, 1), dtype=bool)
    looked_for[:num_present, :num_present] = np.triu(np.ones((num_present, num_present), dtype=bool), 1)[..., None]
    return PairLabels(vocabulary=("swapped",), bouts=np.insert(swaps, 2, 0, axis=1), looked_for=looked_for)
