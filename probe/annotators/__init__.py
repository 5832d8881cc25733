"""One head for all annotators of a label stream, on frozen embeddings: what they share is learned from all of them."""

from probe.annotators.learning import (
    AnnotatedFrames,
    AnnotatorConfig,
    AnnotatorProbe,
    add_annotator,
    annotated_frames,
    annotators_of,
    learn_annotators,
    run_annotator_trials,
)
from probe.annotators.tables import (
    agreement,
    annotator_similarity,
    closest_pair,
    describe_annotators,
    mean_similarity,
    style_similarity,
    style_transfer,
    write_annotators,
)

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
