"""Schedules of behavior, drawn from a semi-Markov process fitted to CalMS21, and the acts of both animals in it.

The module holds fitted parameters only, no recordings. Behaviors are numbered as in CalMS21: attack 0, investigation 1,
mount 2, other 3. A recording has a temperament: calm (no attack, no mount), courting (mounts, no attack) or aggressive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

__all__ = [
    "ATTACK",
    "BEHAVIORS",
    "BOUT_FRAMES",
    "CLASS_SHARES",
    "CONFIDENCE",
    "INVESTIGATION",
    "KEYPOINT_GEOMETRY",
    "MOUNT",
    "OTHER",
    "RECORDING_FRAMES",
    "SCORES",
    "TASK3_BEHAVIORS",
    "TASK3_SHARES",
    "TEMPERAMENTS",
    "TEMPERAMENT_OFFSETS",
    "TEMPERAMENT_SHARES",
    "TRANSITIONS",
    "Act",
    "IntruderAct",
    "Profile",
    "Schedule",
    "draw_schedule",
]

BEHAVIORS = ("attack", "investigation", "mount", "other")
TASK3_BEHAVIORS = (
    "approach", "disengaged", "groom", "intromission", "mount_attempt", "sniff_face", "whiterearing",
)  # fmt: skip

CLASS_SHARES = np.array([0.0277, 0.2888, 0.0564, 0.6272])
"""Share of frames per behavior, all recordings pooled."""

TASK3_SHARES = np.array([0.0325, 0.0147, 0.1399, 0.1926, 0.0090, 0.0474, 0.0929])
"""Share of frames per Task 3 behavior in that behavior's own recordings."""

SCORES = np.array([-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
"""Normal scores at which `BOUT_FRAMES` and `CONFIDENCE` are tabulated."""

BOUT_FRAMES = np.array([
    [4.0, 5.4, 9.0, 15.0, 23.0, 46.0, 75.0, 134.8, 205.6, 272.1, 394.8],
    [3.0, 5.0, 8.0, 11.0, 19.0, 34.0, 64.0, 131.8, 282.1, 496.6, 834.4],
    [3.7, 9.8, 18.0, 28.0, 46.0, 61.0, 91.6, 154.4, 260.3, 482.5, 752.0],
    [1.0, 1.0, 10.0, 25.0, 48.0, 100.0, 191.0, 350.6, 558.8, 866.7, 1433.1],
])  # fmt: skip
"""Bout lengths [behavior, score] in frames at 30 fps (194, 1,811, 282 and 1,718 bouts)."""

TEMPERAMENTS = ("calm", "courting", "aggressive")
TEMPERAMENT_SHARES = np.array([0.287, 0.528, 0.185])
"""Share of frames that lie in recordings of a temperament."""

TEMPERAMENT_OFFSETS = np.array([[0.0, 0.31, 0.0, -0.04], [0.0, -0.05, 0.05, 0.18], [0.0, -0.28, -0.9, -0.27]])
"""Mean normal score of the bout lengths [temperament, behavior]."""

TRANSITIONS = np.array([
    [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]],
    [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.292, 0.708], [0.0, 0.531, 0.0, 0.469], [0.0, 0.985, 0.015, 0.0]],
    [[0.0, 0.289, 0.016, 0.695], [0.334, 0.0, 0.035, 0.631], [0.19, 0.667, 0.0, 0.143], [0.115, 0.878, 0.007, 0.0]],
])  # fmt: skip
"""Which behavior follows which [temperament, from, to]; the diagonal is 0."""

RECORDING_FRAMES = (
    96, 974, 1036, 1062, 1213, 1283, 1440, 1607, 1838, 1987, 2263, 2497, 2643, 2713, 2751, 2796, 2885, 3029, 3041,
    3188, 3351, 3394, 3632, 3692, 3714, 3770, 3996, 4260, 4461, 4755, 4879, 5065, 5096, 5133, 5495, 5641, 5763, 6127,
    6200, 7024, 7150, 7190, 7406, 7410, 7433, 7754, 8103, 8332, 8666, 8899, 8994, 9792, 9838, 10025, 11322, 11407,
    11431, 12537, 13170, 13222, 16420, 17319, 17326, 17472, 17637, 17946, 18423, 18617, 19343, 21364,
)  # fmt: skip
"""Lengths of the 70 training recordings, sorted; 507,738 frames."""

CONFIDENCE = np.array([
    [0.121, 0.216, 0.378, 0.558, 0.644, 0.686, 0.711, 0.730, 0.748, 0.765, 0.780],
    [0.191, 0.325, 0.406, 0.504, 0.608, 0.675, 0.718, 0.750, 0.780, 0.812, 0.839],
    [0.160, 0.334, 0.439, 0.534, 0.616, 0.691, 0.731, 0.760, 0.783, 0.804, 0.823],
    [0.434, 0.631, 0.738, 0.789, 0.816, 0.838, 0.854, 0.868, 0.878, 0.888, 0.897],
    [0.212, 0.448, 0.582, 0.649, 0.686, 0.716, 0.752, 0.790, 0.826, 0.849, 0.868],
    [0.295, 0.438, 0.576, 0.635, 0.677, 0.708, 0.742, 0.782, 0.818, 0.847, 0.867],
    [0.307, 0.533, 0.737, 0.852, 0.891, 0.907, 0.918, 0.927, 0.935, 0.943, 0.951],
])  # fmt: skip
"""The tracker's confidence [keypoint, score]."""

KEYPOINT_GEOMETRY = {"trunk": (154.0, 139.0), "head": (75.0, 69.0), "ears": (34.0, 28.5), "hips": (42.5, 36.5)}
"""Pixels for (resident, intruder): neck to tail base, neck to nose, half the width at the ears and at the hips."""


ATTACK, INVESTIGATION, MOUNT, OTHER = range(4)
_RECORDING_VARIANCE = 0.12
"""Share of the variance of the bouts' normal scores that lies between recordings of one temperament."""


class Act:
    """Acts of the resident, finer than its behavior."""

    ROAM, REST, GROOM, LINGER, APPROACH, DISENGAGE = range(6)
    SNIFF_FACE, SNIFF_FLANK, SNIFF_REAR = range(6, 9)
    MOUNT_ATTEMPT, MOUNT, INTROMISSION = range(9, 12)
    CHASE, TUSSLE = range(12, 14)
    COUNT = 14


class IntruderAct:
    """Acts of the intruder."""

    ROAM, REST, GROOM, REAR, FLEE, HOLD = range(6)
    COUNT = 6


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Frequencies of the refinements; they differ for Task 3, whose recordings were selected for them.

    Parameters
    ----------
    temperament : a name of `TEMPERAMENTS`, or "" to draw one by its share of frames.
    groom, rest : share of the resident's free time.
    rear : share of the intruder's free time spent rearing.
    sniff_face : share of the investigation aimed at the face.
    disengaged, approach : probability that a long free bout begins or ends with it.
    bout_scores : added to the bouts' normal scores, per behavior.
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
    behavior : the true behavior, 0..3.
    act, intruder_act : refinements.
    move, intruder_move : running number of the move a frame belongs to; a move has one target.
    intensity : in (0, 1), how pronounced the behavior is during this move.
    """

    behavior: np.ndarray
    act: np.ndarray
    intruder_act: np.ndarray
    move: np.ndarray
    intruder_move: np.ndarray
    intensity: np.ndarray


def draw_schedule(generator: np.random.Generator, num_frames: int, profile: Profile) -> Schedule:
    """Draw the schedule of one recording."""
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
    """Behaviors and lengths in frames of enough bouts to fill the recording; every recording begins with "other"."""
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
    """Approaches and retreats of the resident at the edges of its free bouts."""
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
