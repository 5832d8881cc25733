"""`timeline`: the ethogram of a behavior along a row."""

from typing import Any

import numpy as np

from probe.labeling.decisions import NO, OPEN, UNSURE, YES, spans_of
from probe.labeling.state import STALE_EVENTS, LabelState

__all__ = ["timeline"]

_NAMES = {YES: "yes", NO: "no", UNSURE: "unsure"}


def timeline(
    state: LabelState, *, behavior: str, row: str, bins: int, minimum_frames: int, minimum_probability: float
) -> dict[str, Any]:
    """Probability, bouts and answers along a row.

    Bouts are those that were answered, and elsewhere the runs of frames whose probability reaches the threshold (see
    `Trust`).

    Parameters
    ----------
    bins : most values of the probability.
    minimum_frames, minimum_probability : of predicted bouts; the others are hidden.
    """
    own = state.row(row)
    with state.lock:
        learner = state.learner(behavior)
        states = state.decisions.states(behavior, row).copy()
        if learner.head is not None:
            state.estimates.of(learner, stale=STALE_EVENTS)
        threshold = state.estimates.threshold(behavior)
        probability = state.probability(learner, row)
    bouts: list[dict[str, Any]] = [
        {"start": start, "stop": stop, "probability": None, "decision": "yes", "hidden": False}
        for start, stop, _ in spans_of(states, (YES,))
    ]
    if probability is not None:
        predicted = np.where(states == OPEN, probability >= threshold, False).astype(np.int8)
        for start, stop, _ in spans_of(predicted, (1,)):
            mean = float(probability[start:stop].mean())
            hidden = stop - start < minimum_frames or mean < minimum_probability
            bouts.append({"start": start, "stop": stop, "probability": mean, "decision": None, "hidden": hidden})
    return {
        "frames": own.frames, "fps": own.fps, "threshold": threshold,
        "probability": None if probability is None else _most(probability, bins),
        "bouts": sorted(bouts, key=lambda bout: bout["start"]),
        "answers": [
            {"start": start, "stop": stop, "decision": _NAMES[state]}
            for start, stop, state in spans_of(states, tuple(_NAMES))
        ],
    }  # fmt: skip


def _most(values: np.ndarray, bins: int) -> list[float]:
    """Largest value of each of at most `bins` equal stretches."""
    edges = np.unique(np.linspace(0, len(values), min(bins, len(values)) + 1).astype(int)[:-1])
    return [round(float(one), 4) for one in np.maximum.reduceat(values, edges)]
