"""Annotator probes: one head for all annotators of a label stream on frozen embeddings, and its tables."""

from probe.annotators.annotator_probe import (
    AnnotatedFrames,
    AnnotatorConfig,
    AnnotatorProbe,
    add_annotator,
    annotated_frames,
    find_annotators,
    fit_annotators,
    run_annotator_experiments,
)
from probe.annotators.comparison import (
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
    "closest_pair",
    "describe_annotators",
    "find_annotators",
    "fit_annotators",
    "mean_similarity",
    "run_annotator_experiments",
    "style_similarity",
    "style_transfer",
    "write_annotators",
]
