"""The table of built-in programs."""

from ssl_behavior.programs import paper, social
from ssl_behavior.programs.table import Program

__all__ = ["PROGRAMS", "TASK_PROGRAMMING_2021"]

TASK_PROGRAMMING_2021: tuple[str, ...] = tuple(paper.PAPER_THRESHOLDS)
"""The programs of Sun et al. 2021."""

PROGRAMS: dict[str, Program] = {
    entry.name: entry
    for entry in (
        paper.speed,
        paper.facing_angle,
        paper.nose_movement,
        paper.nose_nose_distance,
        paper.nose_tail_distance,
        paper.head_body_angle,
        social.approach_velocity,
        social.distance_change,
        social.following,
        social.relative_orientation,
        social.body_gap,
        social.body_overlap,
        social.elongation,
        social.turning,
        social.acceleration,
        social.wall_distance,
        social.corner_distance,
        social.time_since_contact,
    )
}
"""Built-in programs by name."""
