"""Recordings dealt out so that every part shows every class, where there are enough of them."""

from collections.abc import Sequence

import numpy as np

from probe.trial import Problem
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import StoreRow

__all__ = ["dealt", "positive_frames", "stratified_folds"]


def positive_frames(problem: Problem, rows: Sequence[StoreRow]) -> np.ndarray:
    """Frames of each recording that show each class, int64 [recording, class]."""
    counts = [(problem.targets([row]) == 1).sum(axis=0) for row in rows]
    return np.array(counts, dtype=np.int64).reshape(len(rows), problem.num_classes)


def stratified_folds(
    problem: Problem, rows: Sequence[StoreRow], num_folds: int, seed: int
) -> list[tuple[StoreRow, ...]]:
    """The recordings in `num_folds` parts, none of them empty, each in the order of `rows`; see `dealt`."""
    frames = np.array([row.frames for row in rows])
    part_of = dealt(positive_frames(problem, rows), frames, num_folds, seed)
    return [tuple(row for row, its in zip(rows, part_of, strict=True) if its == part) for part in range(num_folds)]


def dealt(positive: np.ndarray, frames: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """The part of each recording, int64 [recording] from 0 to `num_folds` - 1; no part is empty.

    Iterative stratification (Sechidis et al. 2011) by recording: the class that fewest recordings show is dealt out
    first, its richest recordings first, each to the part that has least of it. What shows nothing goes where least is.
    Draws, among equals, come from `seed`.

    Parameters
    ----------
    positive : frames that show each class, int64 [recording, class].
    frames : of each recording.
    """
    assert 1 <= num_folds <= len(frames)
    order = numpy_generator(seed, "folds").permutation(len(frames))
    fold = np.full(len(frames), -1)
    for amount in (*positive.T[_rarest_first(positive)], frames):
        for index in order[np.argsort(-amount[order], kind="stable")]:
            if fold[index] < 0 and amount[index]:
                fold[index] = _neediest(fold, amount, frames, num_folds)
    return fold


def _rarest_first(positive: np.ndarray) -> np.ndarray:
    return np.argsort((positive > 0).sum(axis=0), kind="stable")


def _neediest(fold: np.ndarray, amount: np.ndarray, frames: np.ndarray, num_folds: int) -> int:
    """The part with least of `amount`, then of frames; an empty one first where the rest is needed to fill them."""
    parts = [fold == part for part in range(num_folds)]
    empty = [part for part, members in enumerate(parts) if not members.any()]
    if empty and (fold < 0).sum() <= len(empty):
        return empty[0]
    return min(range(num_folds), key=lambda part: (amount[parts[part]].sum(), frames[parts[part]].sum(), part))
