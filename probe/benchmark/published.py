"""The numbers of the CalMS21 paper's Tables 1 to 4 (Sun et al. 2021, arXiv:2104.02710), to stand beside ours.

Macro F1 and macro AP without background, mean over 5 seeds ± population standard deviation where it is known.
"""

from dataclasses import dataclass

__all__ = ["PUBLISHED", "SEEDS", "TABLES", "Published", "Table"]

SEEDS = 5
"""Over which the paper's numbers are means."""


@dataclass(frozen=True)
class Published:
    """A row of the paper: mean and standard deviation of F1 and of AP; None where not given."""

    f1: float
    ap: float
    f1_std: float | None = None
    ap_std: float | None = None


@dataclass(frozen=True)
class Table:
    """A table of the paper: its title, the task it is of, and the sections of the plan that fill it."""

    title: str
    task: str
    sections: tuple[str, ...]


TABLES: dict[int, Table] = {
    1: Table("Table 1: architectures on Task 1", "calms21_task1", ("architectures",)),
    2: Table("Table 2: classical classification (Task 1)", "calms21_task1", ("baseline", "features", "winner", "ours")),
    3: Table("Table 3: annotation styles (Task 2)", "calms21_task2", ("baseline", "features", "winner", "ours")),
    4: Table("Table 4: new behaviours (Task 3)", "calms21_task3", ("baseline", "features", "winner", "ours")),
}

PUBLISHED: dict[tuple[int, str], Published] = {
    (1, "fully_connected"): Published(0.659, 0.726, 0.005, 0.005),
    (1, "lstm"): Published(0.675, 0.712, 0.011, 0.013),
    (1, "self_attention"): Published(0.610, 0.644, 0.028, 0.018),
    (1, "conv1d"): Published(0.793, 0.856, 0.011, 0.010),
    (1, "conv1d_causal"): Published(0.713, 0.753, 0.006, 0.005),
    (1, "single_frame"): Published(0.614, 0.663, 0.012, 0.005),
    (1, "conv1d_augmented"): Published(0.786, 0.861, 0.018, 0.005),
    (2, "conv1d"): Published(0.793, 0.856, 0.011, 0.010),
    (2, "conv1d_features"): Published(0.829, 0.889),
    (2, "joint_mabe2021"): Published(0.864, 0.914),
    (3, "task2_as_run"): Published(0.754, 0.813, 0.005, 0.003),
    (3, "task2_features"): Published(0.774, 0.835),
    (3, "joint_mabe2021"): Published(0.809, 0.857),
    (4, "task3_as_run"): Published(0.338, 0.317, 0.004, 0.005),
    (4, "task3_features"): Published(0.328, 0.320),
    (4, "msg3d"): Published(0.319, 0.352, 0.025, 0.023),
    (4, "msg3d_tuned"): Published(0.363, 0.352, 0.020, 0.023),
}
"""(table, system) -> the published row."""
