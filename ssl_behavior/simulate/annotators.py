"""Simulated annotators: each turns the true behavior into labels in a style of its own."""

from dataclasses import dataclass

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.simulate.schedule import INVESTIGATION, OTHER, Act, Schedule

__all__ = ["ANNOTATORS", "REACTION_FRAMES", "Annotator", "annotate", "find_annotator"]

REACTION_FRAMES = 6
"""Delay of a body's motion behind its intention, in frames; annotators see only the motion."""


@dataclass(frozen=True, kw_only=True)
class Annotator:
    """Style of an annotator.

    Parameters
    ----------
    start, stop : frames by which bouts begin and end later (negative: earlier) than the truth.
    jitter : standard deviation of every boundary, frames.
    thresholds : (attack, investigation, mount), how pronounced a behavior must be; 0 takes everything.
        With a threshold below 0, a resident that lingers close by counts as investigation.
    gap : bouts of one behavior with fewer frames of "other" between them become one.
    shortest : bouts of fewer frames are left out.
    """

    start: int = 0
    stop: int = 0
    jitter: float = 1.0
    thresholds: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gap: int = 0
    shortest: int = 1


ANNOTATORS = (
    Annotator(),
    Annotator(start=-4, stop=5, jitter=3.0, gap=12, shortest=5),
    Annotator(start=2, stop=-2, jitter=2.0, thresholds=(0.0, -0.15, 0.25), gap=2, shortest=3),
    Annotator(start=5, stop=-5, jitter=2.0, thresholds=(0.05, 0.42, 0.0), gap=4, shortest=8),
    Annotator(start=5, stop=-4, jitter=2.0, thresholds=(0.05, 0.45, 0.0), gap=5, shortest=8),
    Annotator(start=-2, stop=10, jitter=5.0, thresholds=(0.30, -0.3, 0.40), gap=25, shortest=15),
)
"""By number: 0 annotates Task 1; 1 to 5 annotate Task 2, 3 and 4 in much the same way."""


def find_annotator(number: int) -> Annotator:
    """The style of an annotator.

    Raises
    ------
    InputError
        If there is no such annotator.
    """
    if not 0 <= number < len(ANNOTATORS):
        raise InputError(f"there is no annotator {number}; known: 0 to {len(ANNOTATORS) - 1}")
    return ANNOTATORS[number]


def annotate(generator: np.random.Generator, schedule: Schedule, style: Annotator) -> np.ndarray:
    """Labels of one annotator, int16 [time], 0..3."""
    seen = _noticed(schedule, style)
    names, edges = _runs(seen)
    edges = _moved(generator, names, edges, style, len(seen))
    labels = np.repeat(names, np.diff(edges))
    labels = _close_gaps(labels, style.gap)
    return _drop_short(labels, style.shortest).astype(np.int16)


def _noticed(schedule: Schedule, style: Annotator) -> np.ndarray:
    """Behavior per frame where it is pronounced enough; a bout is split where it is weak for a while."""
    strength = _mean_around(schedule.intensity, 9)
    need = np.array([*style.thresholds, -1.0])[schedule.behavior]
    seen = np.where(strength >= need, schedule.behavior, OTHER)
    nearby = (schedule.act == Act.LINGER) & (strength > 1 + style.thresholds[INVESTIGATION] - 0.1)
    seen = np.where(nearby & (style.thresholds[INVESTIGATION] < 0), INVESTIGATION, seen)
    late = np.concatenate([np.full(REACTION_FRAMES, seen[0]), seen])
    return late[: len(seen)]


def _mean_around(values: np.ndarray, width: int) -> np.ndarray:
    """Centered moving average; the ends are repeated."""
    padded = np.pad(values, (width // 2 + 1, width // 2), mode="edge")
    total = np.cumsum(padded)
    return (total[width:] - total[:-width]) / width


def _runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names of the runs of equal labels, and their edges: one more than runs, from 0 to len(labels)."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])
    return labels[edges[:-1]], edges


def _moved(
    generator: np.random.Generator, names: np.ndarray, edges: np.ndarray, style: Annotator, num_frames: int
) -> np.ndarray:
    """Boundaries shifted as by this annotator; a run may vanish, and their order stays."""
    before, after = names[:-1], names[1:]
    shift = np.where(after == OTHER, style.stop, np.where(before == OTHER, style.start, 0.0))
    shift = shift + style.jitter * generator.standard_normal(len(shift))
    inner = np.clip(np.round(edges[1:-1] + shift).astype(int), 0, num_frames)
    return np.concatenate([[0], np.maximum.accumulate(inner), [num_frames]])


def _close_gaps(labels: np.ndarray, gap: int) -> np.ndarray:
    """Fill spells of "other" shorter than `gap` frames between two bouts of one behavior."""
    names, edges = _runs(labels)
    if len(names) < 3:
        return labels
    short = (np.diff(edges)[1:-1] < gap) & (names[1:-1] == OTHER) & (names[:-2] == names[2:])
    names = names.copy()
    names[1:-1][short] = names[:-2][short]
    return np.repeat(names, np.diff(edges))


def _drop_short(labels: np.ndarray, shortest: int) -> np.ndarray:
    names, edges = _runs(labels)
    return np.repeat(np.where(np.diff(edges) < shortest, OTHER, names), np.diff(edges))
