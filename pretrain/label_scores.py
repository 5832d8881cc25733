"""How well a method in training labels the recordings that are held out: whole recordings, every frame."""

import numpy as np
import torch

from ssl_behavior.labeled import LabeledReader, StreamFacts
from ssl_behavior.methods import Joint, Method
from ssl_behavior.metrics import class_scores, macro
from ssl_behavior.prediction import predict_row
from ssl_behavior.windows import WindowReader

__all__ = ["label_scores"]


def label_scores(method: Method, reader: WindowReader, precision: torch.dtype) -> dict[str, float]:
    """Macro average precision ("ap/S1") and macro F1 ("f1/S1") of each stream, without background, frames pooled.

    Classes that the held-out recordings do not show have no average precision and are left out of both means; a stream
    of which they show nothing is not named. Empty for a method that learns no labels.
    """
    if not isinstance(method, Joint) or not isinstance(reader, LabeledReader) or not reader.labeled:
        return {}
    known = method.config.labels.annotators
    probability: dict[str, list[np.ndarray]] = {stream.name: [] for stream in reader.facts.streams}
    shown: dict[str, list[np.ndarray]] = {stream.name: [] for stream in reader.facts.streams}
    for pick in reader.labeled:
        store, row = reader.sources[pick]
        labels = reader.labels(pick, 0, row.frames)
        said = predict_row(method, store, row, known[reader.annotator(pick)], precision)
        for column, stream in enumerate(reader.facts.streams):
            probability[stream.name].append(said[stream.name])
            shown[stream.name].append(labels[:, column])
    scores: dict[str, float] = {}
    for stream in reader.facts.streams:
        found = _scores(np.concatenate(probability[stream.name]), np.concatenate(shown[stream.name]), stream)
        scores |= {f"{score}/{stream.name}": value for score, value in found.items()}
    return scores


def _scores(probability: np.ndarray, shown: np.ndarray, stream: StreamFacts) -> dict[str, float]:
    known = shown >= 0
    probability, shown = probability[known], shown[known]
    claimed = probability.argmax(axis=1) if len(shown) else shown
    present = [number for number in stream.foreground if (shown == number).any()]
    if not present:
        return {}
    scores = [class_scores(shown == number, probability[:, number], claimed == number) for number in present]
    means = {name: macro([getattr(one, name) for one in scores]) for name in ("ap", "f1")}
    return {name: mean for name, mean in means.items() if mean is not None}
