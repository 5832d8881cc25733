"""Tables and the figure of annotators: similarity, agreement, and transfer of styles.

Similarity compares what was learned of annotators and what they would label. Transfer compares each annotator's labels
with those that every annotator would have given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text
from scipy.cluster.hierarchy import dendrogram, leaves_list, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from probe.annotators.learning import AnnotatorProbe, annotated_frames, recordings_labeled_by
from probe.experiment import PLAIN, decide
from probe.representations import Matrix
from probe.tasks import Task, targets
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file
from ssl_behavior.metrics import class_scores, macro
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.store import Store, StoreRow

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

_FORMATS = (".png", ".svg", ".pdf")
_UNKNOWN = "undefined"


@dataclass(frozen=True, eq=False)
class AnnotatorMatrix:
    """A number for every two annotators.

    Parameters
    ----------
    title : one line, saying what the numbers are.
    annotators : names of rows and columns.
    values : float [annotator, annotator]; NaN = undefined.
    rows, columns : what rows and columns are, e.g. "labels of" and "in the style of"; "" where both are the same.
    """

    title: str
    annotators: tuple[str, ...]
    values: np.ndarray
    rows: str = ""
    columns: str = ""

    @property
    def corner(self) -> str:
        return f"{self.rows} \\ {self.columns}" if self.rows else "annotator"

    @property
    def symmetric(self) -> bool:
        return bool(np.isfinite(self.values).all() and np.allclose(self.values, self.values.T))

    def cells(self) -> list[list[str]]:
        """Rows of text, each beginning with its annotator's name."""
        return [
            [name, *(_UNKNOWN if np.isnan(value) else f"{value:.3f}" for value in row)]
            for name, row in zip(self.annotators, self.values, strict=True)
        ]


def rich_matrix(matrix: AnnotatorMatrix) -> Table:
    """For the screen."""
    table = Table(title=matrix.title, box=SIMPLE)
    for name in (matrix.corner, *matrix.annotators):
        table.add_column(Text(name))
    for row in matrix.cells():
        table.add_row(*(Text(cell) for cell in row))
    return table


def markdown_matrix(matrix: AnnotatorMatrix) -> str:
    """For `results.md`."""
    head = [matrix.corner, *matrix.annotators]
    lines = [f"**{matrix.title}**", "", _line(head), _line(["---"] + ["---:"] * len(matrix.annotators))]
    return "\n".join([*lines, *(_line(row) for row in matrix.cells()), ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def ordered(similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Annotators joined by average linkage: the linkage matrix, and an order in which the alike are neighbours.

    Parameters
    ----------
    similarity : symmetric float [annotator, annotator], at least two; the largest is the closest.
    """
    distance = similarity.max() - similarity
    np.fill_diagonal(distance, 0.0)
    joined = linkage(squareform(distance, checks=False), method="average", optimal_ordering=True)
    return joined, leaves_list(joined)


def draw_annotators(matrices: Sequence[AnnotatorMatrix], path: Path) -> None:
    """Heat maps side by side, all in the order of the first, which has to be symmetric; its tree stands above it.

    Raises
    ------
    InputError
        If the file's ending is not that of a picture, matplotlib is not installed, or the file cannot be written.
    """
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"{path}: expected a file that ends in one of {list(_FORMATS)}")
    if find_spec("matplotlib") is None:
        raise InputError("a figure needs matplotlib: pip install 'ssl-behavior[plots]'")
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
        titled.set_title(matrix.title, fontsize=9)
        _draw_matrix(figure, axis, matrix, order)
    with atomic_file(path) as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=150)


def _draw_tree(axis: Any, joined: np.ndarray, count: int) -> None:
    dendrogram(joined, ax=axis, no_labels=True, color_threshold=0, above_threshold_color="#444444")
    # The tree's leaves are 10 units apart, from 5 on: cells of the heat map below.
    axis.set_xlim(0, 10 * count)
    axis.axis("off")


def _draw_matrix(figure: Any, axis: Any, matrix: AnnotatorMatrix, order: np.ndarray) -> None:
    from matplotlib import colormaps

    values = matrix.values[np.ix_(order, order)]
    names = [matrix.annotators[index] for index in order]
    shown = _colored(matrix, values)
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    # Cividis looks the same to people with and without colour vision deficiency. An annotator's similarity to itself is
    # always 1: with it on the scale nothing else could be told apart.
    colors = colormaps["cividis"].with_extremes(bad="#e8e8e8")
    image = axis.imshow(shown, cmap=colors, vmin=low, vmax=high, aspect="auto")
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel(matrix.columns or "annotator", fontsize=8)
    axis.set_ylabel(matrix.rows or "annotator", fontsize=8)
    axis.tick_params(labelsize=8, length=0)
    for (row, column), value in np.ndenumerate(values):
        dark = shown[row, column] <= (low + high) / 2
        text = "–" if np.isnan(value) else f"{value:z.{3 if matrix.rows else 2}f}"
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    bar = figure.colorbar(image, ax=axis, shrink=0.8)
    bar.ax.tick_params(labelsize=7)
    if matrix.rows:
        bar.set_label("less the row's mean", fontsize=7)


def _colored(matrix: AnnotatorMatrix, values: np.ndarray) -> np.ndarray:
    """What the colors stand for: similarities to others, or how a row's cells differ among themselves.

    Labels of some annotators are harder to tell than those of others, whatever the style: that would be all one sees.
    """
    if matrix.rows:
        known = np.isfinite(values)
        mean = np.where(known, values, 0).sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
        return values - mean
    return np.where(np.eye(len(values), dtype=bool) & matrix.symmetric, np.nan, values)


def annotator_similarity(matrix: Float[Tensor, "annotator style"]) -> Float[Tensor, "annotator annotator"]:
    """Cosine of every two rows. It starts at 0 (the identity): what differs from 0 was learned.

    The rows pass through a network, so this says which annotators the head treats alike, not how much their labels have
    in common; for that there is `agreement`.
    """
    unit = F.normalize(matrix, dim=1)
    return unit @ unit.T


def mean_similarity(probes: Sequence[AnnotatorProbe]) -> Float[Tensor, "annotator annotator"]:
    """The mean of `annotator_similarity` over all fits of probes that were learned with different seeds.

    What one head makes of an annotator is partly chance: a few recordings each, and first weights that were drawn.
    """
    heads = [head for probe in probes for head in probe.heads.values()]
    return torch.stack([annotator_similarity(head.annotator_matrix) for head in heads]).mean(dim=0)


def agreement(
    probe: AnnotatorProbe, embedded: Float[Tensor, "frames latent"], fit: str = PLAIN
) -> Float[Tensor, "annotator annotator"]:
    """The share of the same frames that two annotators would call the same, by the head's probabilities; 1 = always.

    The mean over frames of sum_c min(p_c, q_c), which is 1 minus the total variation between p and q: the most often
    that two people with these probabilities can agree.

    Parameters
    ----------
    embedded : standardised frames; best of recordings nobody learned from.
    """
    predicted = [probe.predict(embedded, name, fit) for name in probe.annotators]
    result = embedded.new_ones(len(predicted), len(predicted))
    for i, j in combinations(range(len(predicted)), 2):
        result[i, j] = result[j, i] = predicted[i].minimum(predicted[j]).sum(dim=1).mean()
    return result


def style_similarity(
    probe: AnnotatorProbe, embedded: Float[Tensor, "frames latent"], fit: str = PLAIN
) -> Float[Tensor, "annotator annotator"]:
    """Cosine of what sets two annotators apart from all: their log-probabilities less the mean of all annotators'.

    What everybody sees alike, most of all that little happens in most frames, is in `agreement` and not in here. What
    is left sums to 0 over annotators: of k who have nothing in common every two have -1 / (k - 1).

    Parameters
    ----------
    embedded : standardised frames; best of recordings nobody learned from.
    """
    logs = torch.stack([probe.log_probabilities(embedded, name, fit) for name in probe.annotators])
    apart = F.normalize((logs - logs.mean(dim=0)).flatten(1).double(), dim=1)
    return (apart @ apart.T).to(embedded.dtype)


def closest_pair(similarity: Float[Tensor, "annotator annotator"]) -> tuple[int, int]:
    """The two different annotators that are most alike; of equal pairs the first."""
    return max(combinations(range(len(similarity)), 2), key=lambda pair: float(similarity[pair]))


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
