"""Matrices of annotators for people: a table on the screen, in Markdown, and a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text
from scipy.cluster.hierarchy import dendrogram, leaves_list, linkage
from scipy.spatial.distance import squareform

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file

__all__ = ["AnnotatorMatrix", "draw_annotators", "markdown_matrix", "ordered", "rich_matrix"]

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
