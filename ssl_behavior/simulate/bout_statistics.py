"""Lengths, pauses and rates of bouts with an agent and a target, measured on real annotations.

Source: the training annotations of the MABe 2025 challenge (Kaggle, "MABe Challenge - Social Action Recognition in
Mice"), 83,549 bouts of 19 labs with the frame rates of their videos. Labs that have 30 bouts of a behavior or more
count equally, whatever their number of bouts. The module holds numbers only, no annotations.
"""

import numpy as np

__all__ = [
    "BOUTS_PER_MINUTE",
    "BOUT_SCORES",
    "BOUT_SECONDS",
    "PAUSE_SECONDS",
    "SELF_BEHAVIORS",
    "SNIFF_GAP_SECONDS",
    "SOCIAL_BEHAVIORS",
]

SELF_BEHAVIORS = ("rear", "rest", "run", "selfgroom")
"""Behaviors that an animal directs at itself."""
SOCIAL_BEHAVIORS = (
    "approach", "attack", "avoid", "chase", "escape", "mount", "sniff", "sniffface", "sniffgenital",
)  # fmt: skip
"""Behaviors of an agent toward a target; "sniff" is at other places than face and genitals."""

BOUT_SCORES = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
"""Normal scores at which lengths and pauses are tabulated: quantiles .023, .159, .5, .841 and .977."""

BOUT_SECONDS = {
    "approach": np.array([0.17, 0.37, 0.77, 1.48, 2.97]),
    "attack": np.array([0.13, 0.32, 1.27, 4.30, 10.90]),
    "avoid": np.array([0.51, 0.97, 1.53, 2.47, 3.51]),
    "chase": np.array([0.20, 0.20, 0.90, 2.20, 4.16]),
    "escape": np.array([0.17, 0.20, 0.70, 1.87, 15.83]),
    "mount": np.array([0.27, 0.93, 2.20, 5.13, 17.27]),
    "sniff": np.array([0.12, 0.33, 0.97, 3.00, 10.07]),
    "sniffface": np.array([0.10, 0.23, 0.47, 1.40, 4.77]),
    "sniffgenital": np.array([0.10, 0.30, 0.90, 3.00, 8.37]),
    "rear": np.array([0.27, 0.52, 1.17, 2.60, 7.65]),
    "rest": np.array([1.25, 2.65, 7.50, 19.86, 70.84]),
    "run": np.array([0.38, 0.53, 0.70, 1.01, 1.33]),
    "selfgroom": np.array([0.22, 0.43, 1.03, 3.40, 11.15]),
}
"""Behavior -> bout lengths in seconds [score]; 3,264, 7,462, 530, 817, 2,071, 2,736, 37,802, 2,811, 7,852, 4,408, 233,
76 and 1,326 bouts of 7, 14, 1, 4, 7, 7, 14, 3, 8, 6, 1, 1 and 4 labs, in this order."""

BOUTS_PER_MINUTE = {
    "approach": 2.04, "attack": 1.08, "avoid": 0.11, "chase": 0.18, "escape": 0.62, "mount": 0.67, "sniff": 3.85,
    "sniffface": 3.11, "sniffgenital": 1.11, "rear": 1.79, "rest": 0.79, "run": 0.33, "selfgroom": 1.08,
}  # fmt: skip
"""Behavior -> bouts per minute of an agent and a target for which it was looked for, the median of the labs."""

PAUSE_SECONDS = np.array([1.13, 1.83, 5.28, 22.72, 60.94])
"""Pauses [score] between the interactions of two animals, whoever starts; bouts less than 1 s apart are one
interaction. Median over 17 labs of each lab's quantile."""

SNIFF_GAP_SECONDS = np.array([0.33, 1.32, 6.60, 26.97, 96.12])
"""Pauses [score] between the sniffs of one agent at one target, 14 labs."""
