"""Decisions about pairs as bouts, and their MABe 2025 score."""

from collections.abc import Sequence

import numpy as np

from probe.experiment import DECISION, PLAIN, Experiment, Predictions
from probe.pair_store import PairRow, PairStore
from probe.representations import all_frames
from ssl_behavior.bouts import runs
from ssl_behavior.mabe25_score import Mabe25Score, VideoBout, mabe25_score
from ssl_behavior.recording import NOT_ANNOTATED

__all__ = ["decided_bouts", "score_pairs"]


def decided_bouts(
    probability: np.ndarray,
    possible: Sequence[bool],
    exclusive: bool,
    min_bout_frames: int = 1,
    thresholds: Sequence[float] = (),
) -> list[tuple[int, int, int]]:
    """Bouts (behavior, start, stop) of one pair: a behavior is shown where its probability is above one half.

    Parameters
    ----------
    probability : float [time, behavior]; NaN for behaviors that were not learned, which are not shown.
    possible : behaviors that the pair may show, [behavior].
    exclusive : at most one behavior in a frame: the most probable of those that are shown.
    min_bout_frames : shorter bouts are left out.
    thresholds : probability from which each behavior is shown, in place of one half.
    """
    probability = np.nan_to_num(probability) * np.asarray(possible)
    shown = probability >= np.array(thresholds) if len(thresholds) else probability > 0.5
    if exclusive:
        shown &= np.arange(shown.shape[1]) == np.where(shown, probability, -1.0).argmax(axis=1)[:, None]
    return [
        (behavior, start, stop)
        for behavior in range(shown.shape[1])
        for start, stop, value in runs(shown[:, behavior])
        if value and stop - start >= min_bout_frames
    ]


def score_pairs(experiment: Experiment, predictions: Predictions) -> Mabe25Score | None:
    """MABe 2025's score of the evaluated recordings, taken as those of one lab; None if they show no behavior.

    Decisions are of the plain fit, smoothed if smoothing was asked for, with one behavior of a pair in a frame.
    """
    store, classes = experiment.store, experiment.task.classes
    assert isinstance(store, PairStore)
    frames = all_frames(experiment.split.evaluate)
    probability = predictions.postprocessed.get(DECISION, predictions.probability[PLAIN])
    target = store.targets(classes, frames.rows)
    truth, claimed, looked_for = [], [], dict[str, set[tuple[str, str, str]]]()
    for row, part in zip(frames.rows, frames.slices, strict=True):
        assert isinstance(row, PairRow)
        asked = (target[part] != NOT_ANNOTATED).any(axis=0)
        who = row.recording, row.agent, row.target
        looked_for.setdefault(row.recording, set()).update(
            (row.agent, row.target, name) for name, known in zip(classes, asked, strict=True) if known
        )
        for behavior in np.flatnonzero(asked):
            own = runs(target[part, behavior])
            truth += [VideoBout(*who, classes[behavior], start, stop) for start, stop, shown in own if shown == 1]
        decided = decided_bouts(probability[part], asked.tolist(), exclusive=True)
        claimed += [VideoBout(*who, classes[behavior], start, stop) for behavior, start, stop in decided]
    if not truth:
        return None
    return mabe25_score(truth, claimed, looked_for, dict.fromkeys(looked_for, ""))
