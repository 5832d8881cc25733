"""Tables 1 to 4 of the CalMS21 paper: the systems of each, and their published scores.

Published scores are those of Sun et al. 2021 (arXiv:2104.02710): macro F1 and macro AP without background, mean over 5
seeds ± population standard deviation if published.
"""

from dataclasses import dataclass

__all__ = ["PUBLISHED", "SEEDS", "TABLES", "PaperTable", "PublishedScores"]


SEEDS = 5
"""Number of seeds of the published means."""


@dataclass(frozen=True)
class PublishedScores:
    """Published mean and standard deviation of F1 and of AP; None = not published."""

    f1: float
    ap: float
    f1_std: float | None = None
    ap_std: float | None = None


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper: title, task, and sections of systems (`SystemSpec.section`)."""

    title: str
    task: str
    sections: tuple[str, ...]


TABLES: dict[int, PaperTable] = {
    1: PaperTable("Table 1: architectures on Task 1", "calms21_task1", ("architectures",)),
    2: PaperTable(
        "Table 2: classical classification (Task 1)", "calms21_task1", ("baseline", "features", "winner", "ours")
    ),
    3: PaperTable("Table 3: annotation styles (Task 2)", "calms21_task2", ("baseline", "features", "winner", "ours")),
    4: PaperTable("Table 4: new behaviors (Task 3)", "calms21_task3", ("baseline", "features", "winner", "ours")),
}

PUBLISHED: dict[tuple[int, str], PublishedScores] = {
    (1, "fully_connected"): PublishedScores(0.659, 0.726, 0.005, 0.005),
    (1, "lstm"): PublishedScores(0.675, 0.712, 0.011, 0.013),
    (1, "self_attention"): PublishedScores(0.610, 0.644, 0.028, 0.018),
    (1, "conv1d"): PublishedScores(0.793, 0.856, 0.011, 0.010),
    (1, "conv1d_causal"): PublishedScores(0.713, 0.753, 0.006, 0.005),
    (1, "single_frame"): PublishedScores(0.614, 0.663, 0.012, 0.005),
    (1, "conv1d_augmented"): PublishedScores(0.786, 0.861, 0.018, 0.005),
    (2, "conv1d"): PublishedScores(0.793, 0.856, 0.011, 0.010),
    (2, "conv1d_features"): PublishedScores(0.829, 0.889),
    (2, "joint_mabe2021"): PublishedScores(0.864, 0.914),
    (3, "task2_as_run"): PublishedScores(0.754, 0.813, 0.005, 0.003),
    (3, "task2_features"): PublishedScores(0.774, 0.835),
    (3, "joint_mabe2021"): PublishedScores(0.809, 0.857),
    (4, "task3_as_run"): PublishedScores(0.338, 0.317, 0.004, 0.005),
    (4, "task3_features"): PublishedScores(0.328, 0.320),
    (4, "msg3d"): PublishedScores(0.319, 0.352, 0.025, 0.023),
    (4, "msg3d_tuned"): PublishedScores(0.363, 0.352, 0.020, 0.023),
}
"""(table, system) -> published scores."""
