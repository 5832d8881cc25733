"""Who does what when: a semi-Markov process over behaviours, refined into acts and moves of both animals."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ssl_behavior.simulate.fitted import (
    BOUT_FRAMES,
    SCORES,
    TEMPERAMENT_OFFSETS,
    TEMPERAMENT_SHARES,
    TEMPERAMENTS,
    TRANSITIONS,
)

__all__ = ["ATTACK", "INVESTIGATION", "MOUNT", "OTHER", "Act", "IntruderAct", "Profile", "Schedule", "draw_schedule"]

ATTACK, INVESTIGATION, MOUNT, OTHER = range(4)
_RECORDING_VARIANCE = 0.12
"""Share of the variance of the bouts' normal scores that lies between recordings of one temperament."""


class Act:
    """What the resident does, finer than its behaviour."""

    ROAM, REST, GROOM, LINGER, APPROACH, DISENGAGE = range(6)
    SNIFF_FACE, SNIFF_FLANK, SNIFF_REAR = range(6, 9)
    MOUNT_ATTEMPT, MOUNT, INTROMISSION = range(9, 12)
    CHASE, TUSSLE = range(12, 14)
    COUNT = 14


class IntruderAct:
    """What the intruder does."""

    ROAM, REST, GROOM, REAR, FLEE, HOLD = range(6)
    COUNT = 6


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How often the refinements happen; Task 3's recordings were chosen for having them, so they differ.

    Parameters
    ----------
    temperament : a name of `TEMPERAMENTS`, or "" to draw one by its share of frames.
    groom, rest : share of the resident's free time.
    rear : share of the intruder's free time spent rearing.
    sniff_face : share of the investigation aimed at the face.
    disengaged, approach : probability that a long free bout begins or ends with it.
    bout_scores : added to the bouts' normal scores, per behaviour.
    """

    temperament: str = ""
    groom: float = 0.09
    rest: float = 0.28
    rear: float = 0.07
    sniff_face: float = 0.18
    disengaged: float = 0.30
    approach: float = 0.50
    bout_scores: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One value per frame, arrays of shape [time].

    Parameters
    ----------
    behavior : the true behaviour, 0..3.
    act, intruder_act : refinements.
    move, intruder_move : running number of the move a frame belongs to; a move has one target.
    intensity : in (0, 1), how pronounced the behaviour is during this move.
    """

    behavior: np.ndarray
    act: np.ndarray
    intruder_act: np.ndarray
    move: np.ndarray
    intruder_move: np.ndarray
    intensity: np.ndarray


def draw_schedule(generator: np.random.Generator, num_frames: int, profile: Profile) -> Schedule:
    """The course of one recording."""
    names, lengths = _draw_bouts(generator, num_frames, profile)
    bout = np.repeat(np.arange(len(names)), lengths)[:num_frames]
    behavior = names[bout]
    act = _refine(generator, bout, names, lengths, profile)
    intruder_act = _intruder_acts(generator, act, bout, profile)
    move = _moves(generator, act, _MOVES_PER_FRAME)
    drawn = generator.random(move[-1] + 1)
    return Schedule(
        behavior=behavior,
        act=act,
        intruder_act=intruder_act,
        move=move,
        intruder_move=_moves(generator, intruder_act, _INTRUDER_MOVES_PER_FRAME),
        intensity=drawn[move],
    )


def _draw_bouts(generator: np.random.Generator, num_frames: int, profile: Profile) -> tuple[np.ndarray, np.ndarray]:
    """Behaviours and lengths in frames of enough bouts to fill the recording; every recording begins with "other"."""
    drawn = int(np.searchsorted(np.cumsum(TEMPERAMENT_SHARES)[:-1], generator.random(), side="right"))
    temperament = TEMPERAMENTS.index(profile.temperament) if profile.temperament else drawn
    shift = TEMPERAMENT_OFFSETS[temperament] + np.sqrt(_RECORDING_VARIANCE) * generator.standard_normal(4)
    shift += [profile.bout_scores.get(behavior, 0.0) for behavior in range(4)]
    chances = np.cumsum(TRANSITIONS[temperament], axis=1)
    names, lengths, total, now = [], [], 0, OTHER
    while total < num_frames:
        score = shift[now] + np.sqrt(1 - _RECORDING_VARIANCE) * generator.standard_normal()
        length = max(1, round(float(np.exp(np.interp(score, SCORES, _LOG_BOUT_FRAMES[now])))))
        names.append(now)
        lengths.append(length)
        total += length
        now = min(int(np.searchsorted(chances[now], generator.random(), side="right")), OTHER)
    return np.array(names), np.array(lengths)


_LOG_BOUT_FRAMES = np.log(BOUT_FRAMES)


def _segments(generator: np.random.Generator, bout: np.ndarray, mean_frames: float) -> np.ndarray:
    """Cut every bout at random into segments of about `mean_frames`; their running number per frame."""
    cut = generator.random(len(bout)) < 1 / mean_frames
    cut[1:] |= bout[1:] != bout[:-1]
    cut[0] = False
    return np.cumsum(cut)


def _choose(generator: np.random.Generator, segment: np.ndarray, chances: tuple[float, ...]) -> np.ndarray:
    """One of len(chances) + 1 choices per segment, spread over its frames; the last takes what is left."""
    drawn = np.searchsorted(np.cumsum(chances), generator.random(segment[-1] + 1), side="right")
    return drawn[segment]


def _refine(
    generator: np.random.Generator, bout: np.ndarray, names: np.ndarray, lengths: np.ndarray, profile: Profile
) -> np.ndarray:
    behavior, length = names[bout], lengths[bout]
    starts = np.cumsum(lengths) - lengths
    since = np.arange(len(bout)) - starts[bout]
    left = length - since
    segment = _segments(generator, bout, 130.0)
    free = np.array([Act.REST, Act.GROOM, Act.ROAM])[_choose(generator, segment, (profile.rest, profile.groom))]
    sniff = np.array([Act.SNIFF_FACE, Act.SNIFF_FLANK, Act.SNIFF_REAR])[
        _choose(generator, segment, (profile.sniff_face, 0.55 * (1 - profile.sniff_face)))
    ]
    fight = np.array([Act.CHASE, Act.TUSSLE])[_choose(generator, _segments(generator, bout, 30.0), (0.45,))]
    act = np.choose(behavior, [fight, sniff, _mounting(generator, bout, since, length, len(names)), free])
    return _transitions(generator, act, behavior, bout, since, left, length, len(names), profile)


def _mounting(
    generator: np.random.Generator, bout: np.ndarray, since: np.ndarray, length: np.ndarray, num_bouts: int
) -> np.ndarray:
    """Short bouts are attempts, long ones become intromission."""
    begins = 40 + generator.exponential(30, num_bouts)
    act = np.where((length > 75) & (since > begins[bout]), Act.INTROMISSION, Act.MOUNT)
    return np.where(length < 36 + 12 * generator.random(num_bouts)[bout], Act.MOUNT_ATTEMPT, act)


def _transitions(
    generator: np.random.Generator,
    act: np.ndarray,
    behavior: np.ndarray,
    bout: np.ndarray,
    since: np.ndarray,
    left: np.ndarray,
    length: np.ndarray,
    num_bouts: int,
    profile: Profile,
) -> np.ndarray:
    """How the resident comes and goes at the edges of its free bouts."""
    other = behavior == OTHER
    chance = generator.random((3, num_bouts))[:, bout]
    near = other & (length < 45) & (chance[0] < 0.8)
    after = other & (bout > 0) & (since < 25) & (chance[0] < 0.6)
    act = np.where(near | after, Act.LINGER, act)
    leaving = other & (bout > 0) & (length > 45) & (since < 22) & (chance[1] < profile.disengaged)
    act = np.where(leaving, Act.DISENGAGE, act)
    lead = np.minimum(12 + generator.exponential(14, num_bouts)[bout], length / 2)
    coming = other & (length > 30) & (left <= lead) & (chance[2] < profile.approach)
    return np.where(coming, Act.APPROACH, act)


def _intruder_acts(generator: np.random.Generator, act: np.ndarray, bout: np.ndarray, profile: Profile) -> np.ndarray:
    own = _segments(generator, np.zeros_like(bout), 75.0)
    drawn = _choose(generator, own, (0.20, 0.06, profile.rear))
    free = np.array([IntruderAct.REST, IntruderAct.GROOM, IntruderAct.REAR, IntruderAct.ROAM])[drawn]
    # Under a mount the intruder mostly holds still; an attacked one flees.
    free = np.where((act >= Act.MOUNT_ATTEMPT) & (act <= Act.INTROMISSION), IntruderAct.HOLD, free)
    return np.where(act >= Act.CHASE, IntruderAct.FLEE, free)


_MOVES_PER_FRAME = np.array([1 / 28, 1 / 90, 1 / 60, 1 / 25, 1 / 30, 1 / 30, 1 / 26, 1 / 26, 1 / 26,
                             1 / 14, 1 / 60, 1 / 80, 1 / 14, 1 / 7])  # fmt: skip
_INTRUDER_MOVES_PER_FRAME = np.array([1 / 24, 1 / 80, 1 / 60, 1 / 30, 1 / 11, 1 / 60])


def _moves(generator: np.random.Generator, act: np.ndarray, rates: np.ndarray) -> np.ndarray:
    cut = generator.random(len(act)) < rates[act]
    cut[1:] |= act[1:] != act[:-1]
    cut[0] = False
    return np.cumsum(cut)
