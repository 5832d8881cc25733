"""Comparison of annotators: tables and a figure of similarity, agreement and style transfer.

Similarity compares learned rows and predicted labels of annotators. Transfer compares each annotator's labels with the
predictions in the style of every annotator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from probe.annotators.annotator_probe import AnnotatorProbe, annotated_frames, recordings_labeled_by
from probe.experiment import PLAIN, decide
from probe.representations import Matrix
from probe.tasks import Task, targets
from ssl_behavior.files import atomic_file, write_text
from ssl_behavior.metrics import class_scores, macro
from ssl_behavior.plots import annotator_matrix
from ssl_behavior.plots.style import check_figure, has_matplotlib, save_figure, styled
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import make_table

__all__ = [
    "AnnotatorMatrix",
    "agreement",
    "annotator_similarity",
    "closest_pair",
    "describe_annotators",
    "draw_annotators",
    "markdown_matrix",
    "mean_similarity",
    "ordered",
    "rich_matrix",
    "style_similarity",
    "style_transfer",
    "write_annotators",
]

_UNKNOWN = "undefined"


@dataclass(frozen=True, eq=False)
class AnnotatorMatrix:
    """A number for every pair of annotators.

    Parameters
    ----------
    title : one line about the numbers.
    name : "rows", "styles", "agreement" or "transfer".
    annotators : names of rows and columns.
    values : float [annotator, annotator]; NaN = undefined.
    rows, columns : headings such as "labels of" and "in the style of"; "" if both are the same.
    """

    title: str
    annotators: tuple[str, ...]
    values: np.ndarray
    rows: str = ""
    columns: str = ""
    name: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; None = undefined."""
        values = [[None if np.isnan(value) else float(value) for value in row] for row in self.values]
        return {"name": self.name, "title": self.title, "annotators": list(self.annotators), "values": values,
                "rows": self.rows, "columns": self.columns}  # fmt: skip

    @property
    def corner(self) -> str:
        return f"{self.rows} \\ {self.columns}" if self.rows else "annotator"

    @property
    def symmetric(self) -> bool:
        return bool(np.isfinite(self.values).all() and np.allclose(self.values, self.values.T))

    def cells(self) -> list[list[str]]:
        """Rows of text, each starting with its annotator's name."""
        return [
            [name, *(_UNKNOWN if np.isnan(value) else f"{value:.3f}" for value in row)]
            for name, row in zip(self.annotators, self.values, strict=True)
        ]


def rich_matrix(matrix: AnnotatorMatrix) -> Table:
    """The matrix for the screen."""
    return make_table([matrix.corner, *matrix.annotators], matrix.cells(), matrix.title)


def markdown_matrix(matrix: AnnotatorMatrix) -> str:
    """The matrix for `annotators.md`."""
    head = [matrix.corner, *matrix.annotators]
    lines = [f"**{matrix.title}**", "", _line(head), _line(["---"] + ["---:"] * len(matrix.annotators))]
    return "\n".join([*lines, *(_line(row) for row in matrix.cells()), ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def ordered(similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average linkage of annotators: the linkage matrix, and an order that puts similar annotators side by side.

    Parameters
    ----------
    similarity : symmetric float [annotator, annotator] of at least two annotators; larger = more similar.
    """
    distance = similarity.max() - similarity
    np.fill_diagonal(distance, 0.0)
    # Takes half a second to import, and saved probes, which import this module, draw nothing.
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    joined = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return joined, leaves_list(joined)


@styled
def draw_annotators(matrices: Sequence[AnnotatorMatrix], path: Path) -> None:
    """Heat maps side by side, all in the order of the first, which must be symmetric and has a dendrogram above it.

    Raises
    ------
    InputError
        If the suffix is not that of an image, matplotlib is not installed, or the file cannot be written.
    """
    check_figure(path)
    from matplotlib.figure import Figure

    assert matrices[0].symmetric and len(matrices[0].annotators) > 1
    joined, order = ordered(matrices[0].values)
    size = max(2.6, 0.5 * len(order) + 0.9)
    figure = Figure(figsize=((size + 0.9) * len(matrices), size + 1.5), layout="constrained")
    axes = figure.subplots(2, len(matrices), squeeze=False, height_ratios=(1, 4))
    _draw_tree(axes[0, 0], joined, len(order))
    for axis in axes[0, 1:]:
        axis.axis("off")
    for axis, titled, matrix in zip(axes[1], (axes[0, 0], *axes[1, 1:]), matrices, strict=True):
        annotator_matrix(matrix, order=[matrix.annotators[number] for number in order], title="", ax=axis)
        axis.set_aspect("auto")
        titled.set_title(matrix.title)
    save_figure(figure, path)


def _draw_tree(axis: Any, joined: np.ndarray, count: int) -> None:
    from scipy.cluster.hierarchy import dendrogram

    dendrogram(joined, ax=axis, no_labels=True, color_threshold=0, above_threshold_color="#444444")
    # Leaves of the dendrogram are 10 units apart, starting at 5, in line with the cells below.
    axis.set_xlim(0, 10 * count)
    axis.axis("off")


def annotator_similarity(matrix: Float[Tensor, "annotator style"]) -> Float[Tensor, "annotator annotator"]:
    """Cosine of every pair of rows, which is 0 before training (the identity).

    The rows pass through a network: their similarity shows which annotators the head treats similarly, `agreement` how
    similar their labels are.
    """
    unit = F.normalize(matrix, dim=1)
    return unit @ unit.T


def mean_similarity(probes: Sequence[AnnotatorProbe]) -> Float[Tensor, "annotator annotator"]:
    """The mean of `annotator_similarity` over all fits of probes of different seeds.

    The rows of a single head depend on chance: few recordings per annotator, and random initial weights.
    """
    heads = [head for probe in probes for head in probe.heads.values()]
    return torch.stack([annotator_similarity(head.annotator_matrix) for head in heads]).mean(dim=0)


def agreement(
    probe: AnnotatorProbe, embedded: Float[Tensor, "frames latent"], fit: str = PLAIN
) -> Float[Tensor, "annotator annotator"]:
    """The expected share of frames with the same label from two annotators; 1 = all frames.

    The mean over frames of sum_c min(p_c, q_c), which is 1 minus the total variation between the predicted
    probabilities p and q: the maximum agreement of two annotators with these probabilities.

    Parameters
    ----------
    embedded : standardized frames, preferably of held-out recordings.
    """
    predicted = [probe.predict(embedded, name, fit) for name in probe.annotators]
    result = embedded.new_ones(len(predicted), len(predicted))
    for i, j in combinations(range(len(predicted)), 2):
        result[i, j] = result[j, i] = predicted[i].minimum(predicted[j]).sum(dim=1).mean()
    return result


def style_similarity(
    probe: AnnotatorProbe, embedded: Float[Tensor, "frames latent"], fit: str = PLAIN
) -> Float[Tensor, "annotator annotator"]:
    """Cosine of the deviations of two annotators: their log-probabilities minus the mean over all annotators.

    The common part, above all the background of most frames, counts in `agreement` and not here. The deviations sum to
    0 over annotators: each pair of k unrelated annotators has the cosine -1 / (k - 1).

    Parameters
    ----------
    embedded : standardized frames, preferably of held-out recordings.
    """
    logs = torch.stack([probe.log_probabilities(embedded, name, fit) for name in probe.annotators])
    apart = F.normalize((logs - logs.mean(dim=0)).flatten(1).double(), dim=1)
    return (apart @ apart.T).to(embedded.dtype)


def closest_pair(similarity: Float[Tensor, "annotator annotator"]) -> tuple[int, int]:
    """The most similar pair of different annotators; the first of equal pairs."""
    return max(combinations(range(len(similarity)), 2), key=lambda pair: float(similarity[pair]))


def style_transfer(
    probe: AnnotatorProbe, array: Matrix, store: Store, task: Task, rows: Sequence[StoreRow], fit: str = PLAIN
) -> np.ndarray:
    """Float [annotator, annotator]: macro F1 of the row's labels against predictions in the column's style.

    F1 pools the frames of the row's recordings; the mean is over foreground classes. NaN = the annotator labeled none
    of `rows`, or none of these classes. A diagonal above the rest of its row shows that the head learned styles.

    Parameters
    ----------
    rows : scored recordings of any of the annotators.
    """
    result = np.full((len(probe.annotators), len(probe.annotators)), np.nan)
    for i, labels_of in enumerate(probe.annotators):
        own = recordings_labeled_by(rows, task, labels_of)
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


STRIDE = 5
"""Agreement is a mean over every `STRIDE`-th frame."""


def describe_annotators(
    probes: Sequence[AnnotatorProbe],
    array: Matrix,
    store: Store,
    task: Task,
    rows: Sequence[StoreRow],
    fit: str = PLAIN,
) -> list[AnnotatorMatrix]:
    """Matrices of annotators: similarity of learned rows and of styles, agreement, and transfer of styles.

    Parameters
    ----------
    probes : probes of several seeds; rows are compared over all probes, predictions come from the first.
    rows : held-out recordings, labeled by any of the annotators.
    """
    probe = probes[0]
    frames = annotated_frames(store, task, array, rows, probe.annotators, STRIDE, 0, probe.scaling)
    names, inputs = probe.annotators, (probe, frames.embedded, fit)
    transfer = style_transfer(probe, array, store, task, rows, fit)
    return [
        AnnotatorMatrix("cosine of the learned rows", names, _exact(mean_similarity(probes)), name="rows"),
        AnnotatorMatrix(
            "cosine of the deviations of their labels", names, _exact(style_similarity(*inputs)), name="styles"
        ),
        AnnotatorMatrix("share of frames with the same label", names, _exact(agreement(*inputs)), name="agreement"),
        AnnotatorMatrix(
            "macro F1 of labels predicted in a style", names, transfer, "labels of", "in the style of", "transfer"
        ),
    ]


def _exact(similarity: Float[Tensor, "annotator annotator"]) -> np.ndarray:
    """The matrix in double precision, exactly symmetric."""
    values = similarity.double().numpy()
    return (values + values.T) / 2


def write_annotators(out: Path, matrices: Sequence[AnnotatorMatrix]) -> None:
    """`annotators.md`, and `annotators.png` where matplotlib is installed."""
    with atomic_file(out / "annotators.md") as file:
        write_text(file, "\n".join(markdown_matrix(matrix) for matrix in matrices))
    if has_matplotlib():
        draw_annotators(matrices, out / "annotators.png")
