"""Numbers fitted once to the 70 annotated CalMS21 Task 1 training recordings and one tracked excerpt.

Only numbers are kept, none of the recordings. Behaviours are numbered as in CalMS21: attack 0, investigation 1,
mount 2, other 3. A recording has a temperament: calm (no attack, no mount), courting (mounts, no attack) or aggressive.
"""

import numpy as np

__all__ = [
    "BEHAVIORS", "BOUT_FRAMES", "CLASS_SHARES", "CONFIDENCE", "KEYPOINT_GEOMETRY", "RECORDING_FRAMES", "SCORES",
    "TASK3_BEHAVIORS", "TASK3_SHARES", "TEMPERAMENTS", "TEMPERAMENT_OFFSETS", "TEMPERAMENT_SHARES", "TRANSITIONS",
]  # fmt: skip

BEHAVIORS = ("attack", "investigation", "mount", "other")
TASK3_BEHAVIORS = (
    "approach", "disengaged", "groom", "intromission", "mount_attempt", "sniff_face", "whiterearing",
)  # fmt: skip

CLASS_SHARES = np.array([0.0277, 0.2888, 0.0564, 0.6272])
"""Share of frames per behaviour, all recordings pooled."""

TASK3_SHARES = np.array([0.0325, 0.0147, 0.1399, 0.1926, 0.0090, 0.0474, 0.0929])
"""Share of frames per Task 3 behaviour in that behaviour's own recordings."""

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
"""Which behaviour follows which [temperament, from, to]; the diagonal is 0."""

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
