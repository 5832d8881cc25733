import numpy as np

from probe.annotators import style_transfer
from ssl_behavior.metrics import class_scores

from .conftest import THRESHOLDS, rows_in


def test_style_transfer_is_pooled_f1(styles, probe):
    store, array, task = styles
    rows = rows_in(store, "test", ("1", "3", "10"))
    score = style_transfer(probe, array, store, task, rows)
    for i, labels_of in enumerate(THRESHOLDS):
        own = [row for row in rows if row.annotators["behavior"] == labels_of]
        for j, style in enumerate(THRESHOLDS):
            if not own:
                assert np.isnan(score[i, j])
                continue
            labels = np.concatenate([store.labels("behavior")[row.slice] for row in own])
            predicted = probe.probabilities(array, own, style).argmax(axis=1)
            known = labels >= 0
            f1 = [
                class_scores(labels[known] == c, predicted[known].astype(float), predicted[known] == c).f1
                for c in range(2)
            ]
            assert score[i, j] == np.mean(f1)
