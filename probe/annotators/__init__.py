"""One head for all annotators of a label stream, on frozen embeddings: what they share is learned from all of them."""

from probe.annotators.frames import AnnotatedFrames, annotated_frames, annotators_of
from probe.annotators.learning import AnnotatorConfig, add_annotator, learn_annotators
from probe.annotators.model import AnnotatorProbe
from probe.annotators.report import describe_annotators, write_annotators
from probe.annotators.similarity import agreement, annotator_similarity, closest_pair, mean_similarity, style_similarity
from probe.annotators.transfer import style_transfer
from probe.annotators.trials import run_annotator_trials

__all__ = [
    "AnnotatedFrames",
    "AnnotatorConfig",
    "AnnotatorProbe",
    "add_annotator",
    "agreement",
    "annotated_frames",
    "annotator_similarity",
    "annotators_of",
    "closest_pair",
    "describe_annotators",
    "learn_annotators",
    "mean_similarity",
    "run_annotator_trials",
    "style_similarity",
    "style_transfer",
    "write_annotators",
]
