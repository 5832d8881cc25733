"""What was learned of annotators, for people: four tables and a figure."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from probe.annotators.frames import annotated_frames
from probe.annotators.model import AnnotatorProbe
from probe.annotators.similarity import agreement, mean_similarity, style_similarity
from probe.annotators.tables import AnnotatorMatrix, draw_annotators, markdown_matrix
from probe.annotators.transfer import style_transfer
from probe.representations import Matrix
from probe.tasks import Task
from probe.trial import PLAIN
from ssl_behavior.files import atomic_file
from ssl_behavior.store import Store, StoreRow

__all__ = ["describe_annotators", "write_annotators"]

STRIDE = 5
"""Agreement is a mean over frames: every so-manieth says as much."""


def describe_annotators(
    probes: Sequence[AnnotatorProbe],
    array: Matrix,
    store: Store,
    task: Task,
    rows: Sequence[StoreRow],
    fit: str = PLAIN,
) -> list[AnnotatorMatrix]:
    """Similarities of styles and of learned rows, agreement on the same frames, whose labels are told in whose style.

    Parameters
    ----------
    probes : of several seeds, whose rows are compared; labels are the first's.
    rows : recordings nobody learned from, labeled by any of the annotators.
    """
    probe = probes[0]
    frames = annotated_frames(store, task, array, rows, probe.annotators, STRIDE, 0, probe.scaling)
    names, told = probe.annotators, (probe, frames.embedded, fit)
    transfer = style_transfer(probe, array, store, task, rows, fit)
    return [
        AnnotatorMatrix("cosine of the learned rows", names, _exact(mean_similarity(probes))),
        AnnotatorMatrix("cosine of what sets their labels apart", names, _exact(style_similarity(*told))),
        AnnotatorMatrix("share of frames called the same", names, _exact(agreement(*told))),
        AnnotatorMatrix("macro F1 of labels told in a style", names, transfer, "labels of", "in the style of"),
    ]


def _exact(similarity: Float[Tensor, "annotator annotator"]) -> np.ndarray:
    """In double precision, and as symmetric as it is meant."""
    values = similarity.double().numpy()
    return (values + values.T) / 2


def write_annotators(out: Path, matrices: Sequence[AnnotatorMatrix]) -> None:
    """`annotators.md`, and `annotators.png` where matplotlib is installed."""
    with atomic_file(out / "annotators.md") as file:
        file.write_text("\n".join(markdown_matrix(matrix) for matrix in matrices), encoding="utf-8")
    if find_spec("matplotlib") is not None:
        draw_annotators(matrices, out / "annotators.png")
