"""Simulated mice: dyads as in CalMS21, the default data of tests and demo, and groups of one to four.

A semi-Markov process over attack, investigation, mount and other, fitted to the real Task 1 annotations, moves two
bodies of seven keypoints each. A simulated tracker adds jitter, confidence and misplaced points. Six annotators with
different styles label the behavior (0 for Task 1, 1 to 5 for Task 2; Task 3's behaviors are refinements).

Mice of groups act on each other in ordered pairs, see `group_schedule`; lengths of bouts follow the annotations of MABe
2025.

Difficulty of dyads, on 24 held-out recordings after training on 48 (6,000 frames each), macro F1 | AP over the three
behaviors: one frame (egocentric points and nine distances) .49 | .53 for a linear model and .60 | .65 for a network
of two layers; a linear model that sees two seconds (means and deviations of distances and speeds) .82 | .89. The real
Task 1 gave .61 | .66 to the published single-frame network and .79 | .86 to its convolutions over 13 seconds.
"""

from ssl_behavior.simulate.annotators import ANNOTATORS, Annotator
from ssl_behavior.simulate.group_plans import GroupPlan, group_plans
from ssl_behavior.simulate.recording_plans import Plan, calms21_files, equal_plans, simulate_plan, simulate_recording
from ssl_behavior.simulate.schedule import Profile
from ssl_behavior.simulate.write import (
    simulate_calms21,
    simulate_store,
    simulate_tracks,
    write_dlc_folder,
    write_plans,
)

__all__ = [
    "ANNOTATORS", "Annotator", "GroupPlan", "Plan", "Profile", "calms21_files", "equal_plans", "group_plans",
    "simulate_calms21", "simulate_plan", "simulate_recording", "simulate_store", "simulate_tracks", "write_dlc_folder",
    "write_plans",
]  # fmt: skip
