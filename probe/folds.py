"""Stratified folds of recordings, and inner folds of training frames that choose settings."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from probe.experiment import Problem
from probe.labeled_frames import LabeledFrames
from probe.representations import Frames
from ssl_behavior.numerics import Standardizer
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import StoreRow

__all__ = [
    "FEW_RECORDINGS",
    "SOME_RECORDINGS",
    "InnerFold",
    "assign_folds",
    "describe_held_out",
    "held_out_masks",
    "inner_folds",
    "num_inner_folds",
    "positive_frames",
    "stratified_folds",
]

FEW_RECORDINGS = 8
"""Up to this many recordings: leave-one-recording-out."""

SOME_RECORDINGS = 20
"""Up to this many recordings: `NUM_FOLDS`-fold cross-validation; beyond it a single held-out fold."""

NUM_FOLDS = 5
"""Number of folds of more than `FEW_RECORDINGS` recordings."""

BLOCKS = 5
"""Number of held-out stretches of time of a single recording."""

GAP_SECONDS = 10.0
"""Gap between training frames and a held-out stretch, because the windows of embeddings overlap."""


def positive_frames(problem: Problem, rows: Sequence[StoreRow]) -> np.ndarray:
    """Number of frames of each recording that show each class, int64 [recording, class]."""
    counts = [(problem.targets([row]) == 1).sum(axis=0) for row in rows]
    return np.array(counts, dtype=np.int64).reshape(len(rows), problem.num_classes)


def stratified_folds(
    problem: Problem, rows: Sequence[StoreRow], num_folds: int, seed: int
) -> list[tuple[StoreRow, ...]]:
    """The recordings in `num_folds` folds, none of them empty, each in the order of `rows`; see `assign_folds`."""
    frames = np.array([row.frames for row in rows])
    fold_of = assign_folds(positive_frames(problem, rows), frames, num_folds, seed)
    return [tuple(row for row, own in zip(rows, fold_of, strict=True) if own == fold) for fold in range(num_folds)]


def assign_folds(positive: np.ndarray, frames: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """The fold of each recording, int64 [recording] from 0 to `num_folds` - 1; no fold is empty.

    Iterative stratification (Sechidis et al. 2011) by recording: the class in the fewest recordings is assigned first.
    Its recordings go, those with most positive frames first, to the fold with the fewest positive frames of the class.
    Recordings without positive frames go to the fold with the fewest frames. `seed` breaks ties.

    Parameters
    ----------
    positive : number of frames that show each class, int64 [recording, class].
    frames : number of frames of each recording.
    """
    assert 1 <= num_folds <= len(frames)
    order = numpy_generator(seed, "folds").permutation(len(frames))
    fold = np.full(len(frames), -1)
    for amount in (*positive.T[_rarest_first(positive)], frames):
        for index in order[np.argsort(-amount[order], kind="stable")]:
            if fold[index] < 0 and amount[index]:
                fold[index] = _smallest_fold(fold, amount, frames, num_folds)
    return fold


def _rarest_first(positive: np.ndarray) -> np.ndarray:
    return np.argsort((positive > 0).sum(axis=0), kind="stable")


def _smallest_fold(fold: np.ndarray, amount: np.ndarray, frames: np.ndarray, num_folds: int) -> int:
    """The fold with the least of `amount`, then of frames; an empty fold if the remaining recordings must fill them."""
    members = [fold == number for number in range(num_folds)]
    empty = [number for number, inside in enumerate(members) if not inside.any()]
    if empty and (fold < 0).sum() <= len(empty):
        return empty[0]
    return min(
        range(num_folds), key=lambda number: (amount[members[number]].sum(), frames[members[number]].sum(), number)
    )


@dataclass(frozen=True)
class InnerFold:
    """Training and held-out frames for the choice of settings.

    Parameters
    ----------
    fit, held_out : both standardized by the frames of `fit`; `scaling` belongs to the frames that were split.
    num_frames : number of training frames before thinning.
    """

    fit: LabeledFrames
    held_out: LabeledFrames
    num_frames: int


def inner_folds(
    data: LabeledFrames, seed: int, max_frames: int, preferred: Collection[str] = (), max_folds: int | None = None
) -> list[InnerFold]:
    """Training frames split for the choice of settings, see `held_out_masks`; folds with too few classes are left out.

    Parameters
    ----------
    max_frames : maximum training frames of a fold, evenly spaced.
    preferred : ids of recordings, see `held_out_masks`.
    max_folds : maximum number of folds; None = all.
    """
    folds = []
    for fit, held_out in islice(held_out_masks(data, seed, preferred), max_folds):
        num_frames = int(fit.sum())
        # Thinning comes before copying: an embedding of all frames is large.
        kept = np.flatnonzero(fit)[:: max(1, num_frames // max_frames)]
        some = data.where(np.isin(np.arange(len(data)), kept))
        if not some.can_learn:
            continue
        scaling = Standardizer.fit(some.embedded)
        some, others = (replace(one, embedded=scaling.transform_(one.embedded)) for one in (some, data.where(held_out)))
        folds.append(InnerFold(some, others, num_frames))
    return folds


def describe_held_out(num_recordings: int) -> str:
    """The scheme of `inner_folds` for this number of recordings, in words."""
    if num_recordings == 1:
        return f"{BLOCKS} stretches of the only training recording, each left out in turn"
    if num_recordings <= FEW_RECORDINGS:
        return f"the {num_recordings} training recordings, each left out in turn"
    if num_recordings <= SOME_RECORDINGS:
        return f"{NUM_FOLDS} folds of the {num_recordings} training recordings, each left out in turn"
    return "a share of the training recordings, left out once"


def num_inner_folds(data: LabeledFrames) -> int:
    """Maximum number of folds of `inner_folds`."""
    num_recordings = len(np.unique(data.frames.recording))
    if num_recordings > FEW_RECORDINGS:
        return NUM_FOLDS if num_recordings <= SOME_RECORDINGS else 1
    return num_recordings if num_recordings > 1 else BLOCKS


def held_out_masks(
    data: LabeledFrames, seed: int, preferred: Collection[str] = ()
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of bool masks [frames]: training frames, and held-out frames.

    Up to `FEW_RECORDINGS` recordings: each is held out in turn. Up to `SOME_RECORDINGS`: `NUM_FOLDS` stratified
    folds, each held out in turn. More recordings: one fold, the recordings in `preferred` or the last stratified fold.
    One recording: `BLOCKS` stretches of time in turn, with a gap of `GAP_SECONDS` (less in a short recording).

    Parameters
    ----------
    preferred : ids of recordings.
    """
    recording = data.frames.recording
    recordings = np.unique(recording)
    if len(recordings) == 1:
        yield from _blocks(data.frames)
    elif len(recordings) <= FEW_RECORDINGS:
        for one in recordings:
            yield recording != one, recording == one
    else:
        parts = _assigned_folds(data, recordings, seed)
        if len(recordings) > SOME_RECORDINGS:
            named = np.array([one for one in recordings if data.frames.rows[one].id in preferred], dtype=int)
            # Rare classes are assigned to the first folds, so the last fold leaves them in the training frames.
            parts = [named if len(named) else parts[-1]]
        for part in parts:
            held_out = np.isin(recording, part)
            yield ~held_out, held_out


def _assigned_folds(data: LabeledFrames, recordings: np.ndarray, seed: int) -> list[np.ndarray]:
    """Numbers of the recordings of each fold."""
    inside = data.frames.recording == recordings[:, None]
    positive = inside.astype(np.int64) @ (data.target.numpy() == 1).astype(np.int64)
    fold_of = assign_folds(positive, inside.sum(axis=1), NUM_FOLDS, seed)
    return [recordings[fold_of == part] for part in range(NUM_FOLDS)]


def _blocks(frames: Frames) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Masks of equally many annotated frames each, and of the frames outside them and their gaps."""
    seconds = np.concatenate([pick / row.fps for row, pick in zip(frames.rows, frames.picks, strict=True)])
    if len(seconds) < BLOCKS:
        return
    # Pairs of animals have the same times, one pair after the other.
    order = np.argsort(seconds, kind="stable")
    gap = min(GAP_SECONDS, (seconds[order[-1]] - seconds[order[0]]) / (4 * BLOCKS))
    for block in np.array_split(order, BLOCKS):
        first, last = seconds[block[0]], seconds[block[-1]]
        held_out = np.zeros(len(seconds), dtype=bool)
        held_out[block] = True
        yield (seconds < first - gap) | (seconds > last + gap), held_out
