"""Recordings dealt out in parts that show every class, and what of the training frames settings are chosen on."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from probe.experiment import LabeledFrames, Problem, can_learn
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
    "num_folds",
    "positive_frames",
    "stratified_folds",
]

FEW_RECORDINGS = 8
"""Up to so many recordings each is left out in turn."""

SOME_RECORDINGS = 20
"""Up to so many recordings `HELD_OUT_PARTS` parts are left out in turn; of more, one of them once."""

HELD_OUT_PARTS = 5
"""Parts that more than a few recordings are dealt out in."""

BLOCKS = 5
"""Of a single recording so many stretches of time are left out in turn."""

GAP_SECONDS = 10.0
"""Frames this near to a stretch that is left out are not learned from: windows of embeddings overlap."""


def positive_frames(problem: Problem, rows: Sequence[StoreRow]) -> np.ndarray:
    """Frames of each recording that show each class, int64 [recording, class]."""
    counts = [(problem.targets([row]) == 1).sum(axis=0) for row in rows]
    return np.array(counts, dtype=np.int64).reshape(len(rows), problem.num_classes)


def stratified_folds(
    problem: Problem, rows: Sequence[StoreRow], num_folds: int, seed: int
) -> list[tuple[StoreRow, ...]]:
    """The recordings in `num_folds` parts, none of them empty, each in the order of `rows`; see `assign_folds`."""
    frames = np.array([row.frames for row in rows])
    part_of = assign_folds(positive_frames(problem, rows), frames, num_folds, seed)
    return [tuple(row for row, its in zip(rows, part_of, strict=True) if its == part) for part in range(num_folds)]


def assign_folds(positive: np.ndarray, frames: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
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
                fold[index] = _smallest_fold(fold, amount, frames, num_folds)
    return fold


def _rarest_first(positive: np.ndarray) -> np.ndarray:
    return np.argsort((positive > 0).sum(axis=0), kind="stable")


def _smallest_fold(fold: np.ndarray, amount: np.ndarray, frames: np.ndarray, num_folds: int) -> int:
    """The part with least of `amount`, then of frames; an empty one first where the rest is needed to fill them."""
    parts = [fold == part for part in range(num_folds)]
    empty = [part for part, members in enumerate(parts) if not members.any()]
    if empty and (fold < 0).sum() <= len(empty):
        return empty[0]
    return min(range(num_folds), key=lambda part: (amount[parts[part]].sum(), frames[parts[part]].sum(), part))


@dataclass(frozen=True)
class InnerFold:
    """Frames to learn from while settings are chosen, and those to choose by.

    Parameters
    ----------
    fit, held_out : both standardized by the frames of `fit`; their `scaling` is of the frames they were taken from.
    num_frames : frames to learn from before they were thinned.
    """

    fit: LabeledFrames
    held_out: LabeledFrames
    num_frames: int


def inner_folds(
    data: LabeledFrames, seed: int, most_frames: int, preferred: Collection[str] = (), most_folds: int | None = None
) -> list[InnerFold]:
    """Training frames split for choosing settings, see `held_out_masks`; splits that cannot be learned are left out.

    Parameters
    ----------
    most_frames : to learn from in each fold, evenly spread.
    preferred : ids of recordings, as of `held_out_masks`.
    most_folds : only the first ones; None = all.
    """
    folds = []
    for fit, held_out in islice(held_out_masks(data, seed, preferred), most_folds):
        num_frames = int(fit.sum())
        # Thinned before anything is copied: an embedding of all frames is large.
        kept = np.flatnonzero(fit)[:: max(1, num_frames // most_frames)]
        some = data.where(np.isin(np.arange(len(data)), kept))
        if not can_learn(some):
            continue
        again = Standardizer.fit(some.embedded)
        some, others = (replace(one, embedded=again.transform_(one.embedded)) for one in (some, data.where(held_out)))
        folds.append(InnerFold(some, others, num_frames))
    return folds


def describe_held_out(num_recordings: int) -> str:
    """What `inner_folds` holds out of so many recordings, in words."""
    if num_recordings == 1:
        return f"{BLOCKS} stretches of the only training recording, each left out in turn"
    if num_recordings <= FEW_RECORDINGS:
        return f"the {num_recordings} training recordings, each left out in turn"
    if num_recordings <= SOME_RECORDINGS:
        return f"{HELD_OUT_PARTS} parts of the {num_recordings} training recordings, each left out in turn"
    return "a share of the training recordings, left out once"


def num_folds(data: LabeledFrames) -> int:
    """How often `inner_folds` holds something out, at most."""
    num_recordings = len(np.unique(data.frames.recording))
    if num_recordings > FEW_RECORDINGS:
        return HELD_OUT_PARTS if num_recordings <= SOME_RECORDINGS else 1
    return num_recordings if num_recordings > 1 else BLOCKS


def held_out_masks(
    data: LabeledFrames, seed: int, preferred: Collection[str] = ()
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of bool masks [frames]: to learn from, and held out.

    Up to `FEW_RECORDINGS` recordings: each is held out in turn. Up to `SOME_RECORDINGS`: `HELD_OUT_PARTS` parts in
    turn, dealt so that each shows every class as far as possible. More: the recordings named by `preferred`, or the
    last of such parts, once. One recording: `BLOCKS` stretches of its time in turn, with a gap of `GAP_SECONDS` around
    them, shorter where the recording is.

    Parameters
    ----------
    preferred : ids of recordings.
    """
    recording = data.frames.recording
    shown = np.unique(recording)
    if len(shown) == 1:
        yield from _blocks(data.frames)
    elif len(shown) <= FEW_RECORDINGS:
        for one in shown:
            yield recording != one, recording == one
    else:
        parts = _assigned_parts(data, shown, seed)
        if len(shown) > SOME_RECORDINGS:
            named = np.array([one for one in shown if data.frames.rows[one].id in preferred], dtype=int)
            # The last part: a class that few recordings show is dealt to the first ones, and has to be learned.
            parts = [named if len(named) else parts[-1]]
        for part in parts:
            held_out = np.isin(recording, part)
            yield ~held_out, held_out


def _assigned_parts(data: LabeledFrames, shown: np.ndarray, seed: int) -> list[np.ndarray]:
    """Numbers of the recordings of each part."""
    inside = data.frames.recording == shown[:, None]
    positive = inside.astype(np.int64) @ (data.target.numpy() == 1).astype(np.int64)
    part_of = assign_folds(positive, inside.sum(axis=1), HELD_OUT_PARTS, seed)
    return [shown[part_of == part] for part in range(HELD_OUT_PARTS)]


def _blocks(frames: Frames) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stretches with as many annotated frames each, and what lies outside them and their gaps."""
    seconds = np.concatenate([pick / row.fps for row, pick in zip(frames.rows, frames.picks, strict=True)])
    if len(seconds) < BLOCKS:
        return
    gap = min(GAP_SECONDS, (seconds[-1] - seconds[0]) / (4 * BLOCKS))
    for block in np.array_split(np.arange(len(seconds)), BLOCKS):
        first, last = seconds[block[0]], seconds[block[-1]]
        held_out = np.zeros(len(seconds), dtype=bool)
        held_out[block] = True
        yield (seconds < first - gap) | (seconds > last + gap), held_out
