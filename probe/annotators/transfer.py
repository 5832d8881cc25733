"""Does a style carry over? Every annotator's labels against what each of them would have written."""

from collections.abc import Sequence

import numpy as np

from probe.annotators.frames import rows_of
from probe.annotators.model import AnnotatorProbe
from probe.representations import Matrix
from probe.tasks import Task, targets
from probe.trial import PLAIN, decide
from ssl_behavior.metrics import class_scores, macro
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.store import Store, StoreRow

__all__ = ["style_transfer"]


def style_transfer(
    probe: AnnotatorProbe, array: Matrix, store: Store, task: Task, rows: Sequence[StoreRow], fit: str = PLAIN
) -> np.ndarray:
    """Float [annotator, annotator]: mean F1 of row's labels when frames are labeled in the column's style.

    F1 is pooled over the row's recordings, its mean is over the classes that are not background. NaN where
    an annotator labeled none of `rows`, or shows none of these classes. A diagonal above the rest of its row says that
    the head has learned styles and not only behaviours.

    Parameters
    ----------
    rows : recordings to be scored on, of any of the annotators.
    """
    result = np.full((len(probe.annotators), len(probe.annotators)), np.nan)
    for i, labels_of in enumerate(probe.annotators):
        own = rows_of(rows, task, labels_of)
        if not own:
            continue
        target = targets(store, task, own)
        for j, style in enumerate(probe.annotators):
            predicted = decide(probe.probabilities(array, own, style, fit), "multinomial")
            score = macro(_class_f1(task, target, predicted))
            result[i, j] = np.nan if score is None else score
    return result


def _class_f1(task: Task, target: np.ndarray, predicted: np.ndarray) -> list[float | None]:
    known = (target != NOT_ANNOTATED).all(axis=1)
    columns = [task.classes.index(name) for name in task.foreground]
    claims = predicted[known].astype(np.float32)
    return [class_scores(target[known, c] == 1, claims[:, c], predicted[known, c]).f1 for c in columns]
