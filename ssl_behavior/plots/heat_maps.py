"""Matrices as heat maps: confusion of classes, and similarity of annotators."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.plots.probe_contents import results_of, row_of, stored
from ssl_behavior.plots.style import axes_for, literal, styled, values_map
from ssl_behavior.terminal import counted, quoted

__all__ = ["annotator_matrix", "confusion"]

_MOST_WRITTEN = 14
"""Classes up to which cells hold their numbers."""
_LONG_NAME = 3
"""Length up to which names of columns are horizontal."""


@styled
def confusion(
    results: Any,
    representation: str | None = None,
    *,
    percent: float = 100.0,
    smoothed: bool = False,
    title: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw the confusion matrix of a probe: a row for each annotated class, with shares of its frames by prediction.

    Cells hold the share of the row, and the number of frames: those of all probe seeds together, so that each held-out
    frame counts once a seed.

    Parameters
    ----------
    results : what `probe` returns, its folder, or the contents of `results.json`.
    representation : its name in the results; None = the first, the trained encoder.
    percent : share of the labeled recordings.
    smoothed : predictions smoothed over time.
    ax : axes to draw on; None = a new figure.

    Returns
    -------
    The axes.

    Raises
    ------
    InputError
        If there is no such row, classes do not exclude each other, or the results are of an older version.
    """
    contents = results_of(results)
    row = row_of(contents, representation, percent, smoothed)
    counts = stored(row, "confusion", "confusion matrices")
    if counts is None:
        raise InputError(
            f"the classes of {contents['task']['name']!r} do not exclude each other, so there is no confusion matrix: "
            "draw `calibration`"
        )
    frames, names = np.array(counts, np.int64), list(row["classes"])
    total = frames.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, frames / np.maximum(total, 1), np.nan)
    ax = axes_for(ax, 2.9 + 0.75 * len(names), 1.7 + 0.68 * len(names))
    both = zip(shares.tolist(), frames.tolist(), strict=True)
    texts = [[_cell(share, number) for share, number in zip(*cells, strict=True)] for cells in both]
    image = _heat_map(ax, shares, (names, names), texts, (0.0, 1.0))
    ax.set(xlabel="predicted", ylabel="annotated")
    ax.figure.colorbar(image, ax=ax, label="share of the annotated frames", shrink=0.85)
    seeds = counted(_num_seeds(row), "seed")
    ax.set_title(literal(f"{row['representation']}, frames of {seeds}" if title is None else title), loc="left")
    return ax


def _cell(share: float, frames: int) -> str:
    return "–" if np.isnan(share) else f"{share:.0%}\n{_short(frames)}"


def _short(number: int) -> str:
    """A number in four characters or fewer up to a billion.

    >>> [_short(number) for number in (0, 999, 1250, 99_950, 2_600_000)]
    ['0', '999', '1.2k', '100k', '2.6M']
    """
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.1f}{unit}" if number < 10 * size else f"{number / size:.0f}{unit}"
    return str(number)


def _num_seeds(row: Any) -> int:
    return len(next(iter(row["by_seed"].values()))["ap"])


@styled
def annotator_matrix(
    results: Any,
    name: str = "agreement",
    *,
    order: Sequence[str] | None = None,
    title: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw how much annotators agree, from a probe with `mode="annotators"`.

    Parameters
    ----------
    results : what `probe` returns, its folder, or the contents of `results.json`; or one matrix of annotators.
    name : "agreement" = share of frames with the same label, "styles" = cosine of the deviations of their labels,
        "rows" = cosine of the learned rows, "transfer" = macro F1 of one annotator's labels predicted in another's
        style, whose colors are differences from the mean of the row.
    order : annotators, in the order of rows and columns; None = all, in that of the matrix.
    ax : axes to draw on; None = a new figure.

    Returns
    -------
    The axes. An annotator's similarity to itself is always 1 and has no color.

    Raises
    ------
    InputError
        If the results hold no such matrix.
    """
    matrix = _matrix_of(results, name)
    known = [str(one) for one in matrix["annotators"]]
    names = known if order is None else [str(one) for one in order]
    if unknown := [one for one in names if one not in known]:
        raise InputError(f"`order`: no annotator {unknown[0]!r}; there are {quoted(known)}")
    picks = [known.index(one) for one in names]
    values = np.array(matrix["values"], np.float64)[np.ix_(picks, picks)]
    compared = bool(matrix["rows"])
    shown = _minus_row_means(values) if compared else _without_diagonal(values)
    ax = axes_for(ax, 2.8 + 0.72 * len(names), 1.6 + 0.6 * len(names))
    texts = [["–" if np.isnan(value) else f"{value:z.{3 if compared else 2}f}" for value in row] for row in values]
    finite = shown[np.isfinite(shown)]
    limits = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    image = _heat_map(ax, shown, (names, names), texts, limits)
    ax.set(xlabel=matrix["columns"] or "annotator", ylabel=matrix["rows"] or "annotator")
    ax.figure.colorbar(image, ax=ax, shrink=0.85, label="minus the row's mean" if compared else None)
    ax.set_title(literal(matrix["title"] if title is None else title), loc="left")
    return ax


def _matrix_of(results: Any, name: str) -> dict[str, Any]:
    fields = ("annotators", "values", "rows", "columns", "title")
    if all(hasattr(results, field) for field in fields):
        return {field: getattr(results, field) for field in fields}
    contents = results_of(results)
    if contents["mode"] != "annotators":
        raise InputError(
            f"the results are of `mode={contents['mode']}`: run `probe` with mode='annotators' and several annotators"
        )
    matrices = {one["name"]: one for one in stored(contents, "annotators", "matrices of annotators")}
    if name not in matrices:
        raise InputError(f"`name` {name!r}: the matrices of annotators are {quoted(list(matrices))}")
    found = dict(matrices[name])
    return found | {"values": [[np.nan if value is None else value for value in row] for row in found["values"]]}


def _minus_row_means(values: np.ndarray) -> np.ndarray:
    """Without the subtraction, differences in difficulty between annotators would hide the styles."""
    known = np.isfinite(values)
    mean = np.where(known, values, 0).sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.asarray(values - mean)


def _without_diagonal(values: np.ndarray) -> np.ndarray:
    """On the color scale, the similarity to oneself would hide all other differences."""
    return np.where(np.eye(len(values), dtype=bool), np.nan, values)


def _heat_map(
    ax: Any,
    values: np.ndarray,
    names: tuple[Sequence[str], Sequence[str]],
    texts: Sequence[Sequence[str]],
    limits: tuple[float, float],
) -> Any:
    """Image of a matrix, with names of (rows, columns) and a text in each cell; NaN = a cell without color."""
    image = ax.imshow(values, cmap=values_map(), vmin=limits[0], vmax=limits[1])
    slanted = max(map(len, names[1]), default=0) > _LONG_NAME
    ax.set_yticks(range(len(names[0])), [literal(name) for name in names[0]])
    ax.set_xticks(
        range(len(names[1])), [literal(name) for name in names[1]], rotation=40 if slanted else 0,
        ha="right" if slanted else "center", rotation_mode="anchor",
    )  # fmt: skip
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if len(values) > _MOST_WRITTEN:
        return image
    middle = sum(limits) / 2
    for (row, column), value in np.ndenumerate(values):
        shade = "white" if value <= middle else "black"
        ax.text(column, row, texts[row][column], ha="center", va="center", fontsize=9, color=shade)
    return image
